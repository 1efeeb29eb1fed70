import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { bundleWorkflowCode, NativeConnection, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { within } from '../client/reach.ts';
import { startTemporal, type TemporalServer } from '../stack/temporal.ts';
import { AHEAD } from '../workflows/interceptors.ts';
import { steps, word } from './early-events/workflow.ts';
import { quietRuntime } from './quiet-runtime.ts';

const { CommandType, TaskQueueKind, TaskQueueType } = proto.temporal.api.enums.v1;
const { Duration } = proto.google.protobuf;
const TIMER_SECONDS = 2;
/** A run stays with a worker that is gone for so long: for the query from now on, for the timer from when it fires. */
const STICKY_SECONDS = 4;

let server: TemporalServer;
let connection: Connection;
let native: NativeConnection;
beforeAll(async () => {
  quietRuntime();
  server = await startTemporal({ env: { ...process.env, TEMPORAL_ADDRESS: undefined } });
  connection = await Connection.connect({ address: server.address });
  native = await NativeConnection.connect({ address: server.address });
});
afterAll(async () => {
  await native.close();
  await connection.close();
  await server.stop();
});

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const bundled = (guarded: boolean) =>
  bundleWorkflowCode({
    workflowsPath: file('./early-events/workflow.ts'),
    workflowInterceptorModules: guarded ? [file('../workflows/interceptors.ts')] : [],
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  });

/** What a worker does that is killed after its first task: the run is its own for a while longer. */
async function workOnceAndDie(queue: string): Promise<void> {
  const { workflowService } = connection;
  const namespace = 'default';
  const sticky = { name: `${queue}-dead`, kind: TaskQueueKind.TASK_QUEUE_KIND_STICKY, normalName: queue };
  const poll = (taskQueue: { name: string; kind?: number; normalName?: string }) =>
    connection.withDeadline(Date.now() + 60_000, () =>
      workflowService.pollWorkflowTaskQueue({ namespace, taskQueue, identity: queue }),
    );
  // Seen to poll there, it is believed to come back. Not seen, its query would not wait for it.
  const quit = new AbortController();
  const polled = connection.withAbortSignal(quit.signal, () => poll(sticky)).catch(() => undefined);
  await vi.waitFor(async () => {
    const taskQueueType = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW;
    const { pollers } = await workflowService.describeTaskQueue({ namespace, taskQueue: sticky, taskQueueType });
    expect(pollers).toHaveLength(1);
  }, 5_000);
  quit.abort();
  await polled;
  const { taskToken } = await poll({ name: queue });
  await workflowService.respondWorkflowTaskCompleted({
    ...{ namespace, taskToken },
    commands: [
      {
        commandType: CommandType.COMMAND_TYPE_START_TIMER,
        startTimerCommandAttributes: {
          timerId: '1',
          startToFireTimeout: Duration.fromObject({ seconds: TIMER_SECONDS }),
        },
      },
    ],
    stickyAttributes: {
      workerTaskQueue: sticky,
      scheduleToStartTimeout: Duration.fromObject({ seconds: STICKY_SECONDS }),
    },
  });
}

/** What `ask` was told between the timer and its task, and whether the history replays. */
async function life(bundle: WorkflowBundleOption, ask: (client: Client, run: WorkflowHandle) => Promise<unknown>) {
  const client = new Client({ connection });
  const queue = `early-${randomUUID()}`;
  const worker = await Worker.create({ connection: native, taskQueue: queue, workflowBundle: bundle });
  const run = await client.workflow.start('ordered', { taskQueue: queue, workflowId: queue });
  await workOnceAndDie(queue);
  // Handed out before the timer fires, it reaches a worker after that.
  const asked = ask(client, run);
  const told = await worker.runUntil(async () => {
    await asked.catch(() => undefined);
    await run.signal(word);
    await vi.waitFor(async () => expect(await run.query(steps)).toHaveLength(2), { timeout: 20_000, interval: 100 });
    return asked;
  });
  const history = await run.fetchHistory();
  await run.terminate();
  return { told, replay: () => Worker.runReplayHistory({ workflowBundle: bundle }, history) };
}

// On a busy machine the worker, or the query, may come when the task has started: each life is another try to be early.
describe.concurrent('a query between an event and its workflow task', { timeout: 100_000 }, () => {
  it('is refused, and the history replays', async () => {
    const bundle = await bundled(true);
    const ask = async (_: Client, run: WorkflowHandle) => run.query(steps).catch((error: Error) => error.message);
    const { told, replay } = await life(bundle, ask);
    expect(told).toContain(AHEAD);
    await expect(replay()).resolves.toBeUndefined();
  });

  it('is asked again by our client, which does not hear of it', async () => {
    const bundle = await bundled(true);
    const ask = (client: Client, run: WorkflowHandle) =>
      within(client, { deadline: Date.now() + 20_000 }, () => run.query(steps));
    const { told, replay } = await life(bundle, ask);
    expect(told).toEqual(['timer']);
    await expect(replay()).resolves.toBeUndefined();
  });

  // When this fails, the SDK no longer needs workflows/interceptors.ts.
  it('would leave a history that nobody can replay', async () => {
    const bundle = await bundled(false);
    const { told, replay } = await life(bundle, (_, run) => run.query(steps));
    expect(told).toEqual(['timer']);
    await expect(replay()).rejects.toThrow(/[Nn]ondeterminism/);
  });
});
