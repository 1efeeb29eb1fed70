/** Questions about money that does not follow the plan; the sandbox's ledger is the judge. */
import { expect } from 'vitest';
import type { Facts } from '../../workflows/facts.ts';
import type { Bench, TestLink } from './bench.ts';
import { errorOf, expectTruth, moneyIn, moneyTold, typed } from './judge.ts';
import type { Question } from './questions.ts';
import { edited, everywhere, untouched } from './wire.ts';

const UNKNOWN_WORD = 'QUANTUM';

export const moneyQuestions = ({ abilities, kit }: Bench): Question[] => {
  const { inquire, capture, cancel, refund, extend } = abilities;
  if (!inquire) return [];
  return [
    { name: 'another amount or currency than asked is told as it is', ask: tellsMismatches },
    { name: 'a second payment counts, and stands out', ask: countsASecondPayment },
    { name: 'money after expiry counts, and is late', ask: (bench) => latePayment(bench, expireIt) },
    { name: 'a dispute shows, and a won one goes', ask: showsDisputes },
    ...(cancel
      ? [
          { name: 'cancel closes the link, once', ask: cancelsOnce },
          {
            name: 'money after a cancel counts, and is late',
            ask: (bench: Bench) => latePayment(bench, (link) => link.write('cancel').then(() => true)),
          },
        ]
      : []),
    ...(refund ? [{ name: 'gives back no more than was taken', ask: refundsWithinLimits }] : []),
    ...(refund ? [{ name: 'a refund of one of two payments is of that one', ask: refundsTheOneThatWasNamed }] : []),
    ...(refund ? [{ name: 'a refund that failed later is not forgotten', ask: showsFailedRefunds }] : []),
    ...(capture ? [{ name: 'captures no more than is held', ask: capturesWithinLimits }] : []),
    ...(extend ? [{ name: 'an extended link is open again, and its money is in time', ask: extendsIt }] : []),
    { name: 'a number that is no amount is no money', ask: readsNoNonsense },
    ...(kit.statusFields.length > 0
      ? [{ name: 'a status word nobody knows is shown and moves nothing', ask: unknownWordsMoveNothing }]
      : []),
  ];
};

async function tellsMismatches(bench: Bench): Promise<void> {
  const { amount } = bench.kit.terms;
  for (const [paid, exception] of [
    [amount - 1, 'underpaid'],
    [amount + 1, 'overpaid'],
  ] as const) {
    const link = await bench.link();
    if (!(await bench.happen(link, 'pay', { amount: paid }))) continue;
    await link.read();
    expectTruth(bench, link);
    expect(link.exceptions()).toContain(exception);
  }
  const link = await bench.link();
  const currency = link.terms.currency === 'USD' ? 'EUR' : 'USD';
  if (!(await bench.happen(link, 'pay', { currency }))) return;
  await link.read();
  expect(moneyTold(link.facts(), link.terms.currency)).toEqual({ captured: 0, refunded: 0, held: 0 });
  expect(moneyTold(link.facts(), currency)).toEqual(moneyIn(bench.ledger(link.terms.reference), currency));
  expect(link.status()).toBe('pending');
  expect(link.exceptions()).toContain('currency_mismatch');
}

async function countsASecondPayment(bench: Bench): Promise<void> {
  const link = await paidLink(bench);
  // Some providers take no second payment at all.
  if (!(await bench.happen(link, 'pay', { amount: link.terms.amount }))) return;
  await link.read();
  expectTruth(bench, link);
  const { captured } = moneyIn(bench.ledger(link.terms.reference), link.terms.currency);
  if (captured === link.terms.amount) return;
  expect(link.exceptions()).toEqual([expect.stringMatching(/^(overpaid|duplicate_payment)$/)]);
  expect(link.status()).toBe('paid');
}

async function expireIt(link: TestLink, bench: Bench): Promise<boolean> {
  return bench.happen(link, 'expire');
}

async function latePayment(bench: Bench, close: (link: TestLink, bench: Bench) => Promise<boolean>): Promise<void> {
  const link = await bench.link();
  // A provider without an expiry of its own leaves it to the engine.
  if (!(await close(link, bench))) return;
  await link.read();
  if (link.status() === 'pending') {
    // A provider that does not tell leaves it to the engine to say so.
    const presumed = { openings: { '0': { presumed_expired: bench.call().now() } } };
    link.hear('engine', { facts: presumed, evidence: '' });
  }
  expect(['expired', 'cancelled']).toContain(link.status());
  expect(await bench.happen(link, 'pay', { amount: link.terms.amount })).toBe(true);
  await link.read();
  expectTruth(bench, link);
  expect(link.status()).toBe('paid');
  expect(link.exceptions()).toEqual(['late_payment']);
}

async function showsDisputes(bench: Bench): Promise<void> {
  const link = await paidLink(bench);
  if (!(await bench.happen(link, 'chargeback'))) return;
  await link.read();
  expect(link.exceptions()).toContain('disputed');
  expect(await bench.happen(link, 'dispute_won')).toBe(true);
  await link.read();
  expect(link.exceptions()).not.toContain('disputed');
  expect(link.status()).toBe('paid');
}

async function cancelsOnce(bench: Bench): Promise<void> {
  const link = await bench.link();
  await link.write('cancel');
  await link.read();
  expect(link.status()).toBe('cancelled');
  // Told again it may be a no, or done already; never a second end.
  await link.write('cancel').catch((error: unknown) => errorOf(Promise.reject(error)));
  await link.read();
  expect(link.status()).toBe('cancelled');
  expect(bench.ledger(link.terms.reference).filter(({ kind }) => kind === 'cancelled').length).toBeLessThanOrEqual(1);
}

async function refundsWithinLimits(bench: Bench): Promise<void> {
  const { amount } = bench.kit.terms;
  const before = await bench.link();
  expect((await errorOf(before.write('refund', amount))).kind, 'nothing was paid').toMatch(/^(refused|not_found)$/);
  const link = await paidLink(bench);
  const refused = async (minor: number) => {
    const told = bench.ledger(link.terms.reference).length;
    expect((await errorOf(link.write('refund', minor))).kind, `refund ${minor}`).toBe('refused');
    expect(bench.ledger(link.terms.reference)).toHaveLength(told);
  };
  await refused(amount + 1);
  if (bench.abilities.refund !== 'partial') return;
  await link.write('refund', 1);
  await link.read();
  expectTruth(bench, link);
  expect(link.status()).toBe('partially_refunded');
  await refused(amount);
  await link.write('refund', amount - 1);
  await link.read();
  expect(link.status()).toBe('refunded');
  await refused(1);
}

async function refundsTheOneThatWasNamed(bench: Bench): Promise<void> {
  for (const which of [0, 1]) {
    const link = await paidLink(bench);
    const { terms, created } = link;
    const { amount, currency } = terms;
    // Where a second payment is none of its own there is nothing to choose from.
    if (!(await bench.happen(link, 'pay', { amount }))) return;
    await link.read();
    const payments = Object.keys(link.facts().payments ?? {});
    if (payments.length < 2) return;
    const payment = payments[which];
    const key = `payment-link/${terms.reference}:refund:1`;
    await bench.kit.provider.refund!(bench.call(), created, { terms, key, amount, payment, known: link.facts() });
    await link.read();
    expectTruth(bench, link);
    const told = Object.entries(link.facts().payments ?? {});
    const refunded = Object.fromEntries(told.map(([name, totals]) => [name, totals[currency]?.refunded]));
    expect(refunded).toEqual(Object.fromEntries(payments.map((name) => [name, name === payment ? amount : 0])));
  }
}

async function showsFailedRefunds(bench: Bench): Promise<void> {
  const link = await paidLink(bench);
  await link.write('refund', link.terms.amount);
  await link.read();
  if (!(await bench.happen(link, 'refund_fails'))) return;
  await link.read();
  expect(link.status()).toBe('refunded');
  expect(link.exceptions()).toContain('provider_disagrees');
}

async function capturesWithinLimits(bench: Bench): Promise<void> {
  const { amount } = bench.kit.terms;
  const link = await bench.link();
  expect(await bench.happen(link, 'authorize')).toBe(true);
  await link.read();
  const told = bench.ledger(link.terms.reference).length;
  expect((await errorOf(link.write('capture', amount + 1))).kind).toBe('refused');
  const part = link.write('capture', amount - 1);
  if (bench.abilities.capture === 'partial') {
    await part;
    await link.read();
    expectTruth(bench, link);
    return;
  }
  expect((await errorOf(part)).kind, 'only the whole').toBe('refused');
  expect(bench.ledger(link.terms.reference)).toHaveLength(told);
}

async function extendsIt(bench: Bench): Promise<void> {
  const { provider } = bench.kit;
  const link = await bench.link();
  const { terms, created } = link;
  if (created.expiresByItself) {
    expect(await bench.happen(link, 'expire')).toBe(true);
    await link.read();
    expect(link.status()).toBe('expired');
  }
  const expiresAt = terms.expiresAt + 3_600_000;
  const attempt = {
    terms,
    key: `payment-link/${terms.reference}:extend:1`,
    expiresAt,
    opening: 1,
    known: link.facts(),
  };
  const answer = await provider.extend!(bench.call(), created, attempt);
  link.hear('extend', answer);
  expect(answer.created.expiresAt).toBeLessThanOrEqual(expiresAt);
  expect(answer.created.expiresAt).toBeGreaterThan(terms.expiresAt);
  expect(Object.keys(link.facts().openings ?? {})).toEqual(['0', '1']);
  link.created = answer.created;
  await link.read();
  expect(link.status()).toBe('pending');
  expect(await bench.happen(link, 'pay')).toBe(true);
  await link.read();
  expectTruth(bench, link);
  expect(link.status()).toBe('paid');
  expect(link.exceptions()).toEqual([]);
}

/** The word hides what it means: whatever it is, the link stays as it was, and polling goes on. */
async function unknownWordsMoveNothing(bench: Bench): Promise<void> {
  const { kit, wire, sandbox } = bench;
  for (const action of ['pay', 'expire', 'fail'] as const) {
    const link = await bench.link();
    if (!(await bench.happen(link, action))) continue;
    let hidden = 0;
    const hide = (value: unknown, field: string) => {
      if (!kit.statusFields.includes(field) || value === null) return value;
      hidden++;
      return UNKNOWN_WORD;
    };
    const plan = () => edited((json) => everywhere(json, hide));
    const { outcome } = await wire.during(plan, () => link.read());
    if (outcome instanceof Error) throw outcome;
    expect(hidden, 'status words in the answer').toBeGreaterThan(0);
    expect(link.status(), `${sandbox.name} ${action}`).toBe('pending');
    expect(moneyTold(link.facts(), link.terms.currency)).toEqual({ captured: 0, refunded: 0, held: 0 });
    const shown = [...Object.keys(link.facts().unknownWords ?? {}), link.facts().latest?.word];
    expect(shown.join(), 'the word is shown').toContain(UNKNOWN_WORD);
    await link.read();
    expectTruth(bench, link);
  }
}

const NONSENSE = [-1, 0.00001, '1e9', 'NaN', null];

/** Every number in the answers to a read, one field after the other: unreadable, or sums that can be. */
async function readsNoNonsense(bench: Bench): Promise<void> {
  const link = await paidLink(bench);
  const { provider } = bench.kit;
  const { terms, created } = link;
  const read = () => provider.inquire!(bench.call(), created, { terms, known: {}, ids: [] });
  const fields = new Set<string>();
  const { answers } = await bench.wire.during(untouched, read);
  const isNumber = (value: unknown) => /^-?\d+(\.\d+)?$/.test(String(value));
  for (const { text } of answers) everywhere(JSON.parse(text), (value, field) => isNumber(value) && fields.add(field));
  expect(fields.size).toBeGreaterThan(0);
  for (const field of fields) {
    for (const nonsense of NONSENSE) {
      const change = (value: unknown, name: string) => (name === field && isNumber(value) ? nonsense : value);
      const { outcome } = await bench.wire.during(() => edited((json) => everywhere(json, change)), read);
      const what = `${field}: ${JSON.stringify(nonsense)}`;
      if (outcome instanceof Error) expect(typed(outcome).kind, what).toMatch(/^(unknown|not_found)$/);
      else expectPossible(outcome.facts, what);
    }
  }
}

function expectPossible({ payments = {}, latest }: Facts, what: string): void {
  const amounts = [
    ...Object.values(payments).flatMap((currencies) => Object.values(currencies)),
    ...Object.values(latest?.totals ?? {}),
  ].flatMap((totals) => Object.values(totals));
  for (const amount of amounts) expect(Number.isSafeInteger(amount) && amount >= 0, `${what} → ${amount}`).toBe(true);
}

async function paidLink(bench: Bench): Promise<TestLink> {
  const link = await bench.link();
  expect(await bench.happen(link, 'pay')).toBe(true);
  await link.read();
  expect(link.status()).toBe('paid');
  return link;
}
