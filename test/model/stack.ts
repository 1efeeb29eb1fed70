import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import type { Account } from '../../activities/accounts.ts';
import type { createActivities } from '../../activities/index.ts';
import type { PaymentLinks } from '../../client/index.ts';
import { LIMITS } from '../../gateway/limits.ts';
import type { createWebhooks } from '../../gateway/webhooks.ts';
import type { Policies } from '../../workflows/link.ts';
import { accountQueue, facts, watchQueue, workflowIdOf } from '../../workflows/messages.ts';
import type { Timing } from '../../workflows/state.ts';
import { quietRuntime } from '../quiet-runtime.ts';
import { Market } from './merchant.ts';
import { type Errors, KINDS, type KindName, modelProvider, SECRET } from './provider.ts';

/** The code a model runs: ours, or a copy of it with a known bug. */
export interface Code extends Errors {
  bundle: WorkflowBundleOption;
  createActivities: typeof createActivities;
  createWebhooks: typeof createWebhooks;
  PaymentLinks: typeof PaymentLinks;
}

/** Waits so short that a life takes seconds. */
export const SHORT: Partial<Timing> = {
  cadence: { rows: [{ untilAgeSeconds: 20, everySeconds: 1.5 }], thenEverySeconds: 4, jitter: 0.2 },
  ...{ attemptMs: 1_500, hintSpacingMs: 50, commandWaitMs: 1_000, probeAfterMs: 50, probeAgainMs: 150 },
  ...{ closeMarginMs: 200, inFlightMs: 300, closePatienceMs: 700 },
};

const POLICIES: Policies = {
  ...{ latePayment: 'hold', excess: 'hold', uncaptured: 'release', captureMarginSeconds: 1 },
  ...{ graceSeconds: 3_600, refundWindowSeconds: 3_600 },
};
/** A hold lapses soon enough for somebody to decide on it within a life. */
const HOLD_SECONDS = 5;
/**
 * One worker keeps all runs, the other none: there each task is a replay. A cache that fills up is left out, because SDK
 * 1.24 may lose a task when it has two for a run that is not in a full one ("Extra buffered run should not have produced
 * an activation"), and its worker then never ends.
 */
const CACHES = { keeping: 2_000, forgetting: 0 } as const;
export type Memory = keyof typeof CACHES;
const MEMORIES = Object.keys(CACHES) as Memory[];
const TOKEN_KEYS = ['a key of the model for callback tokens'];

export interface ModelStack {
  client: Client;
  market: Market;
  /** Name of the account of each kind. */
  accounts: Record<KindName, string>;
  links(memory: Memory, timing: Partial<Timing>): PaymentLinks;
  /** Hands a webhook to the listener; answers its status. */
  post(url: string, body: string, headers: Record<string, string>): Promise<number>;
  webhookUrl(account: string): string;
  /** Other workers take the runs over. Those who ask at the same time share them. */
  restart(): Promise<void>;
  restarts: number;
  /** What the server and the worker of a link that does not answer have to do for it. */
  pending(reference: string, memory: Memory): Promise<string>;
  stop(): Promise<void>;
}

let stacks = 0;

/** Workers and a webhook listener of their own on a server that is there, around the model's providers. */
export async function startModel(address: string, code: Code): Promise<ModelStack> {
  quietRuntime();
  const name = `${process.pid}-${++stacks}`;
  const queueOf = (memory: Memory) => `perdure-model-${memory}-${name}`;
  const market = new Market();
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection });

  const kinds = Object.keys(KINDS) as KindName[];
  const accounts = Object.fromEntries(kinds.map((kind) => [kind, `model-${kind}-${name}`])) as Record<KindName, string>;
  const book = new Map<string, Account>(
    kinds.map((kind) => {
      const own = accounts[kind];
      const provider = modelProvider(own, kind, code, { market, attemptMs: SHORT.attemptMs! });
      const options = {
        policies: POLICIES,
        expirySeconds: 3_600,
        ...(kind === 'full' && { holdWindowSeconds: HOLD_SECONDS }),
      };
      return [own, { name: own, provider, config: { webhookSecrets: [SECRET] }, options, webhookSecrets: [SECRET] }];
    }),
  );
  const callbacks = { base: 'http://127.0.0.1', keys: TOKEN_KEYS };
  const { watch, ...acts } = code.createActivities(book, {
    callbacks,
    knownNow: (reference) => client.workflow.getHandle(workflowIdOf(reference)).query(facts),
  });
  const webhooks = code.createWebhooks({
    ...{ links: new code.PaymentLinks(client), accounts: book, tokenKeys: TOKEN_KEYS, secretsOf: () => [] },
    ...{
      limits: { ...LIMITS, observeMs: 10_000 },
      log: { info() {}, warn() {}, error: (entry) => console.error(entry) },
    },
  });

  const few = { type: 'simple-maximum', maximum: 2 } as const;
  const on = (queue: string, activities: object) =>
    Worker.create({ connection: native, taskQueue: queue, activities, activityTaskPollerBehavior: few });
  const queues = kinds.flatMap((kind) => [
    on(accountQueue(accounts[kind]), acts),
    on(watchQueue(accounts[kind]), { watch }),
  ]);
  const others = (await Promise.all(queues)).map((worker) => ({ worker, ended: worker.run() }));
  const owners = () =>
    Promise.all(
      MEMORIES.map(async (memory) => {
        const worker = await Worker.create({
          ...{ connection: native, taskQueue: queueOf(memory), workflowBundle: code.bundle },
          ...{ maxCachedWorkflows: CACHES[memory], stickyQueueScheduleToStartTimeout: '1s' },
        });
        return { worker, ended: worker.run() };
      }),
    );
  const end = async (group: { worker: Worker; ended: Promise<void> }[]) => {
    for (const { worker } of group) worker.shutdown();
    await Promise.all(group.map(({ ended }) => ended));
  };
  let current = await owners();
  let change: Promise<void> | undefined;

  const stack: ModelStack = {
    ...{ client, market, accounts, restarts: 0 },
    links: (memory, timing) =>
      new code.PaymentLinks(client, { taskQueue: queueOf(memory), timing: { ...SHORT, ...timing } }),
    webhookUrl: (account) => `${callbacks.base}/webhooks/${account}`,
    async post(url, body, headers) {
      const answer = await webhooks.fetch(new Request(url, { method: 'POST', body, headers }));
      return answer.status;
    },
    async pending(reference, memory) {
      const { raw, historyLength } = await client.workflow.getHandle(workflowIdOf(reference)).describe();
      const { pendingWorkflowTask: task, pendingActivities: activities } = raw;
      const { runState: worker, numInFlightWorkflowActivations: activations } =
        current[MEMORIES.indexOf(memory)]!.worker.getStatus();
      return JSON.stringify({ task, activities: activities?.length, historyLength, worker, activations });
    },
    restart() {
      change ??= (async () => {
        await end(current);
        current = await owners();
        stack.restarts += 1;
        change = undefined;
      })();
      return change;
    },
    async stop() {
      await change;
      // Who is asked last ends last: a watch may still want to know what its run knows.
      await end(others);
      await end(current);
      await native.close();
      await connection.close();
    },
  };
  return stack;
}
