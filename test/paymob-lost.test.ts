/** An account that makes a second link when the first is an orphan: both orders belong to the link. */
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { createActivities } from '../activities/index.ts';
import { secondReference } from '../activities/providers/paymob-links.ts';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { exceptionsOf } from '../workflows/exceptions.ts';
import { type Facts, join, sums } from '../workflows/facts.ts';
import { type Matter, statusOf, type Terms } from '../workflows/link.ts';
import type { CreateAttempt, Ports } from '../workflows/ports.ts';
import { AUTH, paymobMerchant, SALE } from './paymob-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof paymobMerchant>;
let ports: Ports;
let count = 0;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0, webhookRetryMs: [] });
  shop = paymobMerchant(sandbox.url);
  const { apiKey, secretKey, hmacSecret } = shop.merchant;
  const integrations = [
    { id: Number(SALE.EGP), currency: 'EGP' },
    { id: Number(AUTH.EGP), currency: 'EGP', holds: true },
  ];
  const options = { baseUrl: `${sandbox.url}/paymob`, apiKey, secretKey, webhookSecrets: [hmacSecret], integrations };
  const accounts = readAccounts({ paymob: { provider: 'paymob', options: { ...options, lostCreate: 'recreate' } } });
  ports = createActivities(accounts, { http: createHttp({ timeoutMs: 2_000 }), random: () => 0 });
});
afterAll(() => sandbox.close());

function attemptFor(changes: Partial<Terms> = {}): CreateAttempt {
  const reference = `LOST/${++count}`;
  const terms = { account: 'paymob', reference, amount: 10_050, currency: 'EGP', exponent: 2, ...changes };
  return { terms, key: `payment-link/${reference}:create:abc`, since: Date.now() };
}

const lose = (link: string, kind: string) => shop.fault({ operation: 'create', kind, link, count: 1 });
const act = (link: string, action: string) => shop.control('POST', `links/${link}/${action}`, { webhook: 'never' });

async function unknownCodeOf(doing: Promise<unknown>): Promise<string | undefined> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApplicationFailure);
  const { type, details } = error as ApplicationFailure;
  expect(type).toBe('OutcomeUnknown');
  return (details?.[0] as { code?: string } | undefined)?.code;
}

async function ledgerOf(reference: string) {
  const { entries } = (await shop.control('GET', 'ledger')).body;
  return entries.filter((entry: { reference: string }) => entry.reference === reference);
}

/** A link whose first create was made and never answered. */
async function madeTwice(changes: Partial<Terms> = {}) {
  const attempt = attemptFor(changes);
  const { terms } = attempt;
  await lose(terms.reference, 'drop_after_commit');
  await unknownCodeOf(ports.create(attempt));
  const { created, facts } = await ports.create({ ...attempt, again: true });
  let known: Facts = facts;
  const learn = (answer: { facts: Facts }) => {
    known = join(known, answer.facts);
  };
  const matter = (): Matter => ({ terms, facts: known, operations: [], created });
  const [{ link: orphan }] = await ledgerOf(terms.reference);
  return {
    attempt,
    created,
    orphan: orphan as string,
    read: async (ids: string[] = []) => learn(await ports.inquire({ terms, created, known, ids })),
    write: async (kind: 'capture' | 'cancel' | 'refund', amount?: number) =>
      learn(await ports[kind]({ terms, created, key: `${kind}-${++count}`, amount, known })),
    told: () => [statusOf(matter()), ...exceptionsOf(matter())],
    totals: () => sums(known, terms.currency),
  };
}

it('the second link has a reference of its own, the same for every try, and nobody else’s', async () => {
  const { attempt, created, orphan } = await madeTwice();
  const second = secondReference(attempt);
  expect(second).toMatch(/^LOST\/\d+-2-[0-9a-f]{8}$/);
  expect(secondReference({ ...attempt, key: 'another link' })).not.toBe(second);
  expect(await ledgerOf(second)).toMatchObject([{ kind: 'created', link: created.providerLinkId }]);
  expect(created.providerLinkId).not.toBe(orphan);
  expect((await shop.pay(created.url)).status).toBeLessThan(400);
});

it('a create that was never heard is simply made by the second try', async () => {
  const attempt = attemptFor();
  await lose(attempt.terms.reference, 'reset');
  await unknownCodeOf(ports.create(attempt));
  const { created } = await ports.create({ ...attempt, again: true });
  expect(await ledgerOf(attempt.terms.reference)).toMatchObject([{ kind: 'created', link: created.providerLinkId }]);
  expect(created.handle).not.toHaveProperty('orphan');
});

it('a reference that was taken before the first try is a plain no', async () => {
  const attempt = attemptFor();
  await shop.create({ reference_id: attempt.terms.reference });
  await expect(ports.create(attempt)).rejects.toMatchObject({ type: 'Refused' });
  expect(await ledgerOf(secondReference(attempt))).toEqual([]);
});

it('a second link whose answer is lost too stays open, however often it is tried', async () => {
  const attempt = attemptFor();
  const second = secondReference(attempt);
  await lose(attempt.terms.reference, 'drop_after_commit');
  await lose(second, 'drop_after_commit');
  await unknownCodeOf(ports.create(attempt));
  for (const _ of [1, 2])
    expect(await unknownCodeOf(ports.create({ ...attempt, again: true }))).toBe('ambiguous_create');
  expect(await ledgerOf(second)).toHaveLength(1);
});

it('a second link that was turned away at the door is tried again', async () => {
  const attempt = attemptFor();
  await lose(attempt.terms.reference, 'drop_after_commit');
  await unknownCodeOf(ports.create(attempt));
  await shop.fault({ operation: 'create', kind: 'status', status: 429, link: secondReference(attempt), count: 1 });
  await expect(ports.create({ ...attempt, again: true })).rejects.toMatchObject({ type: 'NotSent' });
  expect((await ports.create({ ...attempt, again: true })).created.url).toContain('http');
});

it.each(['the orphan', 'the second link'])('money on %s is the link’s', async (which) => {
  const { created, orphan, read, write, told, totals } = await madeTwice();
  await read();
  expect(told()).toEqual(['pending']);
  await act(which === 'the orphan' ? orphan : created.providerLinkId, 'pay');
  await read();
  expect(told()).toEqual(['paid']);
  await write('refund', 3_000);
  await read();
  expect(told()).toEqual(['partially_refunded']);
  expect(totals()).toMatchObject({ captured: 10_050, refunded: 3_000 });
});

it('money on both is a duplicate payment, and is read as long as either is known', async () => {
  const { created, orphan, read, told, totals } = await madeTwice();
  await act(orphan, 'pay');
  await read();
  await act(created.providerLinkId, 'pay');
  await read();
  expect(totals().captured).toBe(20_100);
  expect(told()).toEqual(['paid', 'duplicate_payment']);
  await read();
  expect(totals().captured).toBe(20_100);
});

it('a hold on the orphan is captured or given back like any other', async () => {
  const [taken, released] = [await madeTwice({ capture: 'manual' }), await madeTwice({ capture: 'manual' })];
  for (const { orphan, read, told } of [taken, released]) {
    await act(orphan, 'authorize');
    await read();
    expect(told()).toEqual(['authorized']);
  }
  await taken.write('capture', 10_050);
  await taken.read();
  expect(taken.told()).toEqual(['paid']);
  await released.write('cancel');
  await released.read();
  expect(released.told()).toEqual(['cancelled']);
  expect((await ledgerOf(released.attempt.terms.reference)).map(({ kind }: { kind: string }) => kind)).toEqual([
    'created',
    'authorized',
    'voided',
  ]);
});

it('that the orphan was cancelled by hand does not close the link', async () => {
  const { orphan, read, told } = await madeTwice();
  await act(orphan, 'fail');
  await shop.cancel(Number(orphan));
  await read();
  expect(told()).toEqual(['pending']);
});

it('a webhook of the orphan’s payment leads to it, and one of another sale to nothing', async () => {
  const { orphan, read, totals } = await madeTwice();
  const other = await madeTwice();
  await act(orphan, 'pay');
  await act(other.orphan, 'pay');
  const paymentOf = async (reference: string) =>
    `transaction:${(await ledgerOf(reference)).find(({ kind }: { kind: string }) => kind === 'captured').payment}`;
  await read([await paymentOf(other.attempt.terms.reference)]);
  expect(totals().captured).toBe(10_050);
});
