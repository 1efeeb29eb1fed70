import type { Client } from '@temporalio/client';
import { type Limits, within } from './reach.ts';

/** A long poll lasts a minute: who has not asked for work in two is gone, though the server lists him for five. */
const STALE_MS = 2 * 60_000;
const KINDS = { workflow: 1, activity: 2 } as const;

/** How many workers ask this queue for work. @throws Unavailable */
export async function workersOn(
  client: Client,
  taskQueue: string,
  kind: keyof typeof KINDS,
  limits: Limits,
): Promise<number> {
  const { pollers } = await within(client, limits, () =>
    client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: taskQueue },
      taskQueueType: KINDS[kind],
    }),
  );
  const seenAt = (seconds: unknown) => Number(String(seconds ?? 0)) * 1_000;
  return pollers.filter(({ lastAccessTime }) => Date.now() - seenAt(lastAccessTime?.seconds) < STALE_MS).length;
}
