/** A real server and real workers around a scripted provider, for tests of the client. */
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { startTemporal } from '../stack/temporal.ts';
import { workflowBundle } from '../worker/bundle.ts';
import { createMatch } from '../worker/match.ts';
import { createOrders } from '../worker/orders.ts';
import { accountQueue, TASK_QUEUE, watchQueue } from '../workflows/messages.ts';
import { quietRuntime } from './quiet-runtime.ts';
import { type ScriptedProvider, scriptedProvider } from './scripted-provider.ts';

export const ACCOUNT = 'scripted';

export interface LinkStack {
  client: Client;
  provider: ScriptedProvider;
  /** Lay this over a child process's environment and it finds the server. */
  env: NodeJS.ProcessEnv;
  startWorkers(): Promise<void>;
  stopWorkers(): Promise<void>;
  stop(): Promise<void>;
}

/** `match` stands in for the search for links that are over. */
export async function startLinkStack({ match = createMatch } = {}): Promise<LinkStack> {
  quietRuntime();
  const server = await startTemporal({ env: { ...process.env, TEMPORAL_ADDRESS: undefined } });
  const { address, namespace, env } = server;
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection, namespace });
  const provider = scriptedProvider();
  let running: { workers: Worker[]; ended: Promise<unknown> } | undefined;

  async function startWorkers(): Promise<void> {
    const { watch, ...others } = provider.ports;
    const common = { connection: native, namespace };
    const workers = await Promise.all([
      Worker.create({
        ...common,
        taskQueue: TASK_QUEUE,
        workflowBundle: await workflowBundle(),
        activities: { ...match(client), ...createOrders(client) },
        stickyQueueScheduleToStartTimeout: '1s',
      }),
      Worker.create({ ...common, taskQueue: accountQueue(ACCOUNT), activities: others }),
      Worker.create({ ...common, taskQueue: watchQueue(ACCOUNT), activities: { watch } }),
    ]);
    running = { workers, ended: Promise.all(workers.map((worker) => worker.run())) };
  }

  async function stopWorkers(): Promise<void> {
    for (const worker of running?.workers ?? []) worker.shutdown();
    await running?.ended;
    running = undefined;
  }

  async function stop(): Promise<void> {
    await stopWorkers();
    await native.close();
    await connection.close();
    await server.stop();
  }

  return { client, provider, env, startWorkers, stopWorkers, stop };
}
