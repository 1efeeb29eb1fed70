/** A cancel races the customer's payment: the provider decides, and the link says what it decided. */
import { expect, it } from 'vitest';
import { Unavailable } from '../../client/index.ts';
import { FORMS, pause } from '../../stack/shop.ts';
import { fresh, openSystem, UNWATCHED, until } from './shared.ts';

const { shop, linksWith } = await openSystem();
// Nothing is lost here: an answer may take its time.
const links = linksWith({ ...UNWATCHED, attemptMs: 20_000 });

/** `npm run model` races a thousand times. */
const RACES = Number(process.env.PERDURE_RACES ?? 24);
const AT_ONCE = 24;
const DESKS = [
  { account: 'paymennt', currency: 'AED' },
  { account: 'paymob', currency: 'EGP' },
  { account: 'boomfi', currency: 'USD' },
] as const;

/** A busy machine may answer "not now": the same call again is safe. */
async function asked<T>(ask: () => Promise<T>, giveUpAt = Date.now() + 60_000): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Unavailable) || Date.now() > giveUpAt) throw error;
    await pause(200);
    return asked(ask, giveUpAt);
  }
}

async function race(ordinal: number): Promise<'paid' | 'cancelled'> {
  const { account, currency } = DESKS[ordinal % DESKS.length]!;
  const reference = fresh('race');
  const request = { account, reference, amount: { minor: 10_050, currency } };
  await asked(() => links.create(request));
  // Whose answer got lost on a busy machine is found again, later.
  const link = await until(
    () => asked(() => links.get(reference)),
    ({ url }) => url !== null,
    120_000,
  );
  const cancelling = links.cancel(reference, {}).catch((error: Error) => error);
  // A cancel has the longer way: the customer starts with it, or later, or when it is over.
  const turn = ordinal % 12;
  const [cancelled] = await Promise.all([
    cancelling,
    // The page refuses a closed link.
    (turn < 11 ? pause(turn * 50) : cancelling).then(() => shop.pay(link.url!, FORMS[account].good)).catch(() => {}),
  ]);
  const settled = await until(
    () => asked(() => links.get(reference)),
    ({ status, operations }) => status !== 'pending' && operations.every(({ state }) => state !== 'running'),
  );
  await asked(() => links.resync(reference));
  const end = await asked(() => links.get(reference));
  const taken = (await shop.ledger(account, reference))
    .filter(({ kind }) => kind === 'captured')
    .reduce((sum, { amount = 0 }) => sum + amount, 0);
  const what = `${reference}: ${JSON.stringify({ end, settled: settled.status, cancelled: String(cancelled) })}`;
  expect(end.captured, what).toBe(taken);
  expect(end.status, what).toBe(taken > 0 ? 'paid' : 'cancelled');
  // Money that came after the provider had closed is told apart from money that kept it open.
  if (
    taken > 0 &&
    end.operations.some(({ kind, state, actor }) => kind === 'cancel' && state === 'succeeded' && actor !== 'perdure')
  ) {
    expect(end.exceptions, what).toContain('late_payment');
  }
  return taken > 0 ? 'paid' : 'cancelled';
}

// One failure in many tries is a failure.
it(`one of the two wins, ${RACES} times`, { retry: 0, timeout: 60_000 + RACES * 1_000 }, async () => {
  const ends: string[] = [];
  for (let from = 0; from < RACES; from += AT_ONCE) {
    const ordinals = Array.from({ length: Math.min(AT_ONCE, RACES - from) }, (_, index) => from + index);
    ends.push(...(await Promise.all(ordinals.map(race))));
  }
  expect(ends).toHaveLength(RACES);
  expect(new Set(ends)).toEqual(new Set(['paid', 'cancelled']));
});
