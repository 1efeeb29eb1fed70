import type { Client } from '@temporalio/client';
import { type NativeConnection, Worker } from '@temporalio/worker';
import type { Accounts } from '../activities/accounts.ts';
import { createActivities } from '../activities/index.ts';
import type { Callbacks } from '../activities/tokens.ts';
import { accountQueue, facts, TASK_QUEUE, watchQueue, workflowIdOf } from '../workflows/messages.ts';
import { workflowBundle } from './bundle.ts';
import { createMatch } from './match.ts';
import { createOrders } from './orders.ts';

export interface WorkerSettings {
  connection: NativeConnection;
  namespace: string;
  accounts: Accounts;
  /** For webhooks that named no open link: looks for one and delivers them. */
  client: Client;
  /** Where providers reach our webhook listener. */
  callbacks?: Callbacks;
  /** Open links kept in memory; the others are replayed when something happens to them. */
  maxCachedWorkflows?: number;
}

/**
 * Workers of one process: one for workflows, two for each account. Money and reads of an account have a queue, its
 * polls another, so that a provider's limit or outage holds up nobody else and polls never starve captures.
 */
export async function createWorkers(settings: WorkerSettings): Promise<Worker[]> {
  const { connection, namespace, accounts } = settings;
  // Above the HTTP timeout: a provider call under way at shutdown is answered and recorded.
  const shutdownGraceTime = '25s';
  const { watch, ...others } = createActivities(accounts, {
    callbacks: settings.callbacks,
    knownNow: (reference) => settings.client.workflow.getHandle(workflowIdOf(reference)).query(facts),
  });
  const workers = [
    Worker.create({
      connection,
      namespace,
      taskQueue: TASK_QUEUE,
      workflowBundle: await workflowBundle(),
      activities: { ...createMatch(settings.client), ...createOrders(settings.client) },
      maxCachedWorkflows: settings.maxCachedWorkflows ?? 2_000,
      // A killed worker's cached runs are picked up by another after this long.
      stickyQueueScheduleToStartTimeout: '5s',
      shutdownGraceTime,
    }),
  ];
  for (const [name, { limits }] of accounts) {
    workers.push(
      Worker.create({
        connection,
        namespace,
        taskQueue: accountQueue(name),
        activities: others,
        // Held by the server for all workers together.
        maxTaskQueueActivitiesPerSecond: limits?.requestsPerSecond,
        shutdownGraceTime,
      }),
      Worker.create({
        connection,
        namespace,
        taskQueue: watchQueue(name),
        activities: { watch },
        maxConcurrentActivityTaskExecutions: 20,
        maxTaskQueueActivitiesPerSecond: limits?.requestsPerSecond,
        activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
        shutdownGraceTime,
      }),
    );
  }
  return Promise.all(workers);
}

/** Runs them until `stop` resolves; one that dies takes the others down with it, in order. */
export async function runWorkers(workers: Worker[], stop: Promise<unknown>): Promise<void> {
  const runs = workers.map((worker) => worker.run());
  try {
    await Promise.race([stop, ...runs]);
  } finally {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.all(runs);
  }
}
