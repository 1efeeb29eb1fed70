/** Whatever comes at once, a worker that takes a link over must get from its history to where it stands. */
import { Worker } from '@temporalio/worker';
import { expect, it } from 'vitest';
import { pause } from '../../stack/shop.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { quietRuntime } from '../quiet-runtime.ts';
import { AED, fresh, openSystem } from './shared.ts';

const { shop, handle, linksWith, fault } = await openSystem();
const LINKS = 16;

/** A link that is read all the time, paid, and given a command just when its provider is asked what happened. */
async function liveUnderPressure(ordinal: number): Promise<string> {
  const reference = fresh('pressure');
  const links = linksWith({ cadence: { rows: [], thenEverySeconds: 0.5, jitter: 0.2 } });
  const { link } = await links.create({ account: 'paymennt', reference, amount: AED(10_050) });
  await fault({ operation: 'inquire', kind: 'slow', link: reference, count: 20, delayMs: 15 * (ordinal % 12) });
  let over = false;
  const reading = (async () => {
    while (!over) await links.get(reference).catch(() => {});
  })();
  // Who comes too late for the money, or for a machine that is busy, has added to the pressure all the same.
  await Promise.allSettled([
    shop.pay(link.url!),
    pause(20 * (ordinal % 8)).then(() => links.cancel(reference)),
    pause(30 * (ordinal % 5)).then(() => links.resync(reference)),
  ]);
  await pause(2_000);
  over = true;
  await reading;
  return reference;
}

// One failure in many tries is a failure.
it('a link that is read, paid and commanded at once replays', { retry: 0 }, async () => {
  quietRuntime();
  const lived = await Promise.allSettled(Array.from({ length: LINKS }, (_, ordinal) => liveUnderPressure(ordinal)));
  const references = lived.flatMap((life) => (life.status === 'fulfilled' ? [life.value] : []));
  expect(references.length).toBeGreaterThan(LINKS / 2);
  const histories = await Promise.all(
    references.map(async (workflowId) => ({ workflowId, history: await handle(workflowId).fetchHistory() })),
  );
  const failed: unknown[] = [];
  for await (const { workflowId, error } of Worker.runReplayHistories(
    { workflowBundle: await workflowBundle() },
    histories,
  )) {
    if (error) failed.push([workflowId, error.message]);
  }
  expect(failed).toEqual([]);
});
