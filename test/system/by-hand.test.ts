/** What a person types into the Temporal UI by mistake, and what else reaches a run past the gateway. */
import { expect, it } from 'vitest';
import { AED, fresh, openSystem, UNWATCHED } from './shared.ts';

const { handle, linksWith, events, shop } = await openSystem();
const links = linksWith(UNWATCHED);
const who = { id: 'by-hand', fingerprint: '', actor: 'ana' };

async function paid(): Promise<string> {
  const reference = fresh('by-hand');
  const { link } = await links.create({ account: 'paymennt', reference, amount: AED(10_050) });
  await shop.pay(link.url!);
  await shop.until(reference, ({ status }) => status === 'paid');
  return reference;
}

it.each<[string, string, unknown[]]>([
  ['nothing', 'refund', []],
  ['no id', 'refund', [{}]],
  ['no actor', 'refund', [{ id: 'x', fingerprint: '' }]],
  ['a negative amount', 'refund', [{ ...who, amount: -5 }]],
  ['an amount as text', 'refund', [{ ...who, amount: '200' }]],
  ['half a minor unit', 'refund', [{ ...who, amount: 1.5 }]],
  ['an expiry as text', 'extend', [{ ...who, expiresAt: 'tomorrow' }]],
  ['nothing to acknowledge', 'acknowledge', []],
])('an update with %s is refused and leaves no trace', async (_what, update, args) => {
  const reference = await paid();
  const before = await events(reference);
  await expect(
    handle(reference).executeUpdate<unknown, [unknown]>(update, { args: args as [unknown] }),
  ).rejects.toThrow(/Workflow Update failed/);
  expect(await events(reference)).toBe(before);
  expect(await links.get(reference)).toMatchObject({ status: 'paid', refunded: 0 });
});

it('a signal that is no hint changes nothing, and the run lives on', async () => {
  const reference = await paid();
  const before = await links.get(reference);
  await handle(reference).signal('observed');
  await handle(reference).signal('observed', { account: 'paymennt' });
  await handle(reference).signal('observed', { account: 'paymennt', ids: [{}, 7] });
  expect(await links.get(reference)).toEqual(before);
  expect((await links.refund(reference, { amount: AED(50) })).link.refunded).toBe(50);
});
