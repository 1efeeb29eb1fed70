/**
 * Adds to the saved histories, from a server that is reached as `TEMPORAL_*` say:
 *
 *     npx tsx test/save-history.ts <workflow id> <name>
 *
 * or makes all of them anew, from the demo's walks and a few lives the demo does not show, on a server of its own:
 *
 *     npx tsx test/save-history.ts --all
 *
 * or only those that are not saved yet, with `--missing`. Anew only while nobody runs the code: a history saved before a change is what proves that the change is safe.
 */
import { connectClient, PaymentLinks } from '../client/index.ts';
import { openShop, pause } from '../stack/shop.ts';
import { onShutdown, shutdown } from '../stack/shutdown.ts';
import { startStack } from '../stack/stack.ts';
import { take } from '../stack/walk.ts';
import { WALKS } from '../stack/walks.ts';
import { workflowIdOf } from '../workflows/messages.ts';
import { TIMING } from '../workflows/state.ts';
import { forgetHistories, nameOf, savedHistories, saveHistory, walkName } from './corpus.ts';
import { LOST_LIVES } from './lost-lives.ts';
import { type Life, ORDER_LIVES } from './order-lives.ts';

const MINUTE_MS = 300;
const AMOUNT = { minor: 10_050, currency: 'AED' };

/** Lives the demo does not show. */
const LIVES: Record<string, Life> = {
  ...ORDER_LIVES,
  ...LOST_LIVES,

  async 'capture answer lost'(stack, reference) {
    const shop = openShop(stack);
    const { link } = await stack.links.create({ ...HELD, reference });
    await shop.pay(link.url!);
    await shop.until(reference, ({ status }) => status === 'authorized');
    const fault = { operation: 'capture', kind: 'drop_after_commit', link: reference, count: 1 };
    await shop.control('POST', '/paymennt/faults', fault);
    await stack.links.capture(reference);
    await shop.until(reference, ({ status, exceptions }) => status === 'paid' && exceptions.length === 0);
  },

  async 'refund answer lost, resolved by a person'(stack, reference) {
    const shop = openShop(stack);
    const links = new PaymentLinks(stack.client, {
      timing: { attemptMs: 1_000, probeAfterMs: 100, probeAgainMs: 100 },
    });
    const { link } = await links.create({ ...TAKEN, reference });
    await shop.pay(link.url!);
    await shop.until(reference, ({ status }) => status === 'paid');
    await shop.control('POST', '/paymennt/faults', { operation: 'refund', kind: 'reset', link: reference, count: 1 });
    await links.refund(reference, { amount: { minor: 3_000, currency: 'AED' } }, { idempotencyKey: 'once' });
    await pause(3_000);
    await links.resolveUnknown(reference, { operation: 'once', outcome: 'absent', reason: 'told by phone' });
    await links.refund(reference);
  },

  async 'closed by us at the deadline'(stack, reference) {
    const shop = openShop(stack);
    const links = new PaymentLinks(stack.client, { timing: { deadlineMs: 1_000, closeMarginMs: 200 } });
    await links.create({ ...TAKEN, reference });
    await shop.until(reference, ({ status }) => status === 'expired');
  },

  async 'continued as new twice'(stack, reference) {
    const shop = openShop(stack);
    const links = new PaymentLinks(stack.client, { timing: { continueAfterEvents: 40 } });
    const { link } = await links.create({ ...HELD, reference });
    for (let read = 0; read < 4; read++) await links.resync(reference);
    await shop.pay(link.url!);
    await shop.until(reference, ({ status }) => status === 'authorized');
    for (let read = 0; read < 4; read++) await links.resync(reference);
    await links.capture(reference);
    await shop.until(reference, ({ status }) => status === 'paid');
  },

  async 'cancelled in Temporal, run over'(stack, reference) {
    const handle = stack.client.workflow.getHandle(workflowIdOf(reference));
    await stack.links.create({ ...TAKEN, reference, policies: { graceSeconds: 1 } });
    await handle.cancel();
    await handle.result();
  },
};

const TAKEN = { account: 'paymennt', amount: AMOUNT };
const HELD = { account: 'paymennt-hold', amount: AMOUNT, capture: 'manual' as const };

async function saveAll({ anew }: { anew: boolean }): Promise<void> {
  const saved = anew ? [] : [...(await savedHistories()).keys()];
  const isMissing = (name: string) => !saved.some((known) => known === name || known.startsWith(`${name}-run-`));
  const stack = await startStack({ minuteMs: MINUTE_MS, timing: { cadence: { ...TIMING.cadence, jitter: 0 } } });
  onShutdown(() => stack.stop());
  const shop = openShop(stack);
  const save = (reference: string, name: string) => saveHistory(stack.client, workflowIdOf(reference), name);
  if (anew) await forgetHistories();
  const lives = Object.entries(LIVES).filter(([name]) => isMissing(nameOf(name)));
  const added = await Promise.all([
    ...WALKS.filter((walk) => isMissing(walkName(walk))).map(async (walk, index) => {
      const reference = `walk/${index + 1}`;
      const { differences } = await take(shop, walk, reference, () => {});
      if (differences.length > 0) throw new Error(`${walkName(walk)}: ${differences.join('; ')}`);
      return save(reference, walkName(walk));
    }),
    ...lives.map(async ([name, live], index) => {
      const reference = `life/${index + 1}`;
      const others = new Map<string, string>();
      await live(stack, reference, (role, workflowId) => others.set(role, workflowId));
      const more = [...others].map(([role, id]) => saveHistory(stack.client, id, nameOf(`${name} ${role}`)));
      return [await save(reference, nameOf(name)), ...(await Promise.all(more))].flat();
    }),
  ]);
  console.log(`${added.flat().length} histories saved`);
}

async function saveOne(workflowId: string, name: string): Promise<void> {
  const client = await connectClient();
  onShutdown(() => client.connection.close());
  console.log(`saved ${(await saveHistory(client, workflowId, nameOf(name))).join(', ')}`);
}

async function main([first, second, ...more]: string[]): Promise<void> {
  if ((first === '--all' || first === '--missing') && second === undefined) return saveAll({ anew: first === '--all' });
  if (!first || first.startsWith('-') || !second || more.length > 0) {
    throw new Error('usage: save-history.ts <workflow id> <name>, or save-history.ts --all or --missing');
  }
  return saveOne(first, second);
}

main(process.argv.slice(2))
  .catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  })
  .finally(shutdown);
