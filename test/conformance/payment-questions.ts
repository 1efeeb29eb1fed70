/** Questions about one payment: whoever tells of it, in whatever order, it is one payment with one sum. */
import * as fc from 'fast-check';
import { expect } from 'vitest';
import { exceptionsOf } from '../../workflows/exceptions.ts';
import { canonical, type Facts, join } from '../../workflows/facts.ts';
import { statusOf } from '../../workflows/link.ts';
import type { Bench, TestLink } from './bench.ts';
import { expectTruth, moneyTold } from './judge.ts';
import type { Question } from './questions.ts';

/** What happens to one link, told by every source the provider has. */
type Life = (bench: Bench, link: TestLink) => Promise<void>;

export const paymentQuestions = ({ abilities }: Bench): Question[] => {
  const { inquire, capture, cancel, refund } = abilities;
  const lives: Record<string, Life> = {
    paid,
    ...(refund && { 'paid and refunded': paidAndRefunded }),
    ...(capture && { 'held and captured': heldAndCaptured }),
    ...(capture && cancel && { 'held and released': heldAndReleased }),
  };
  return Object.entries(lives).flatMap(([name, live]) => {
    const question = (says: string, ask: (bench: Bench, link: TestLink) => Promise<void>): Question => ({
      name: `${name}: ${says}`,
      async ask(bench) {
        const link = await bench.link();
        await live(bench, link);
        await ask(bench, link);
      },
    });
    return [
      question('every source names one payment, and the ledger agrees', isOnePayment),
      question('news in any order, and more than once, is one state', isOneState),
      ...(inquire ? [question('a read says the same whatever was known before', forgetsWell)] : []),
    ];
  });
};

async function paid(bench: Bench, link: TestLink): Promise<void> {
  expect(await bench.happen(link, 'pay')).toBe(true);
  await hearAll(bench, link);
  expect(link.status()).toBe('paid');
  expect(link.exceptions()).toEqual([]);
}

async function paidAndRefunded(bench: Bench, link: TestLink): Promise<void> {
  await paid(bench, link);
  const { amount } = link.terms;
  const parts =
    bench.abilities.refund === 'partial' ? [Math.floor(amount / 3), amount - Math.floor(amount / 3)] : [amount];
  for (const part of parts) {
    await link.write('refund', part);
    await hearAll(bench, link);
    expectTruth(bench, link);
  }
  expect(link.status()).toBe('refunded');
  expect(link.exceptions()).toEqual([]);
}

async function held(bench: Bench, link: TestLink): Promise<void> {
  expect(await bench.happen(link, 'authorize')).toBe(true);
  await hearAll(bench, link);
  expect(link.status()).toBe('authorized');
}

async function heldAndCaptured(bench: Bench, link: TestLink): Promise<void> {
  await held(bench, link);
  await link.write('capture', link.terms.amount);
  await hearAll(bench, link);
  expect(link.status()).toBe('paid');
  expect(link.exceptions()).toEqual([]);
}

async function heldAndReleased(bench: Bench, link: TestLink): Promise<void> {
  await held(bench, link);
  await link.write('cancel');
  await hearAll(bench, link);
  expect(link.status()).toBe('cancelled');
  expect(moneyTold(link.facts(), link.terms.currency)).toEqual({ captured: 0, refunded: 0, held: 0 });
}

/** Asks every source there is for what it knows now. */
async function hearAll(bench: Bench, link: TestLink): Promise<void> {
  const { kit, abilities, config, call, secrets } = bench;
  if (abilities.inquire) await link.read();
  if (abilities.findByReference) {
    const found = await kit.provider.findByReference!(call(), bench.attempt(link.terms));
    expect(found?.created.providerLinkId).toBe(link.created.providerLinkId);
    if (found) link.hear('find', found);
  }
  const { webhook } = kit.provider;
  if (!webhook) return;
  for (const request of await bench.webhooks(link)) {
    webhook.verify(request, config, secrets, Date.now());
    const { facts } = webhook.read(request, config, Date.now());
    if (facts) link.hear('webhook', { facts, evidence: '' });
  }
}

async function isOnePayment(bench: Bench, link: TestLink): Promise<void> {
  const named = link.seen.flatMap(({ source, facts }) =>
    Object.keys(facts.payments ?? {}).map((key) => ({ source, key })),
  );
  expect(new Set(named.map(({ key }) => key)).size, JSON.stringify(named)).toBe(1);
  expectTruth(bench, link);
}

const stateOf = ({ terms }: TestLink, facts: Facts) => {
  const matter = { terms, facts, operations: [] };
  return { status: statusOf(matter), exceptions: exceptionsOf(matter), facts: canonical(facts) };
};

async function isOneState(_bench: Bench, link: TestLink): Promise<void> {
  const { seen } = link;
  const expected = stateOf(link, link.facts());
  const all = fc.shuffledSubarray(seen, { minLength: seen.length });
  const again = fc.array(fc.constantFrom(...seen), { maxLength: 2 * seen.length });
  await fc.assert(
    fc.property(all, again, (news, repeats) => {
      const facts = [...repeats, ...news, ...repeats].reduce<Facts>((known, one) => join(known, one.facts), {});
      expect(stateOf(link, facts)).toEqual(expected);
    }),
    { numRuns: 50 },
  );
}

/** Two reads may be under way at once, and the slower one was based on less. */
async function forgetsWell(bench: Bench, link: TestLink): Promise<void> {
  const { terms, created, seen } = link;
  const tells = (facts: Facts) => ({
    money: moneyTold(facts, terms.currency),
    payments: Object.keys(facts.payments ?? {}),
    status: stateOf(link, facts).status,
    exceptions: stateOf(link, facts).exceptions,
  });
  const expected = tells(link.facts());
  await fc.assert(
    fc.asyncProperty(fc.subarray(seen), async (remembered) => {
      const known = remembered.reduce<Facts>((facts, one) => join(facts, one.facts), {});
      const { facts } = await bench.kit.provider.inquire!(bench.call(), created, { terms, known, ids: [] });
      expect(tells(join(link.facts(), facts))).toEqual(expected);
    }),
    { numRuns: 8 },
  );
}
