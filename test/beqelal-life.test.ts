import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Accounts, readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { createActivities } from '../activities/index.ts';
import { NotAuthentic } from '../activities/provider.ts';
import { beqelal } from '../activities/providers/beqelal.ts';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { exceptionsOf } from '../workflows/exceptions.ts';
import { type Facts, join, sums } from '../workflows/facts.ts';
import { type Matter, statusOf, type Terms } from '../workflows/link.ts';
import type { FailureType, Ports } from '../workflows/ports.ts';
import { beqelalMerchant, KEYS, WEBHOOK_SECRET } from './beqelal-merchant.ts';
import { type Delivery, until, webhookListener } from './sandbox-merchant.ts';

/** The activities with the Beqelal adapter against its sandbox: with the calls nobody has published, and without. */
type Name = 'beqelal' | 'blind' | 'trusting';

let sandbox: Sandbox;
let shop: ReturnType<typeof beqelalMerchant>;
let listener: Awaited<ReturnType<typeof webhookListener>>;
let accounts: Accounts;
let ports: Ports;
let count = 0;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0, webhookRetryMs: [] });
  shop = beqelalMerchant(sandbox.url);
  listener = await webhookListener();
  const options = { baseUrl: `${sandbox.url}/beqelal`, appId: KEYS['app-id'], apiKey: KEYS['api-key'] };
  const signed = { ...options, webhookSecrets: [WEBHOOK_SECRET] };
  const unsigned = { ...options, requireSignature: false, acceptUnsigned: true };
  accounts = readAccounts({
    beqelal: { provider: 'beqelal', options: { ...signed, inquiry: true, cancel: true } },
    blind: { provider: 'beqelal', options: signed },
    trusting: { provider: 'beqelal', options: unsigned },
    locked: { provider: 'beqelal', options: { ...signed, apiKey: 'not-the-right-key' } },
  });
  ports = createActivities(accounts, {
    http: createHttp({ timeoutMs: 400 }),
    callbacks: { base: new URL(listener.url).origin, keys: ['0123456789abcdef'] },
    random: () => 0,
  });
});
beforeEach(() => {
  listener.heard.length = 0;
});
afterEach(() => shop.control('DELETE', 'faults'));
afterAll(async () => {
  await sandbox.close();
  await listener.close();
});

function termsOf(changes: Partial<Terms> = {}): Terms {
  const reference = `LIFE/${++count}`;
  const customer = { phone: '+251911000000' };
  return { account: 'beqelal', reference, amount: 10_050, currency: 'ETB', exponent: 2, customer, ...changes };
}
const attemptAt = (terms: Terms) => ({ terms, key: `payment-link/${terms.reference}:create:abc`, since: Date.now() });

async function made(changes: Partial<Terms> = {}) {
  const terms = termsOf(changes);
  const result = await ports.create(attemptAt(terms));
  return { terms, result, id: result.created.providerLinkId };
}
type Made = Awaited<ReturnType<typeof made>>;

const inquire = async ({ terms, result }: Made, known: Facts = result.facts) =>
  (await ports.inquire({ terms, created: result.created, known, ids: [] })).facts;

/** What the listener's accounts make of a delivery, as the gateway would ask. */
function read({ headers, raw }: Delivery, name: Name = 'beqelal') {
  const { config, webhookSecrets } = accounts.get(name)!;
  const request = { body: Buffer.from(raw), headers: headers as Record<string, string>, query: new URLSearchParams() };
  const verdict = beqelal.webhook!.verify(request, config as never, webhookSecrets, Date.now());
  return { verdict, ...beqelal.webhook!.read(request, config as never, Date.now()) };
}

async function heard(n: number): Promise<Delivery[]> {
  await until(`${n} webhooks are there`, () => listener.heard.length === n);
  return listener.heard;
}

/** Everything that was told of a link, joined. */
const told = (made: Made, name: Name) =>
  listener.heard.reduce<Facts>((facts, delivery) => join(facts, read(delivery, name).facts ?? {}), made.result.facts);
const matterOf = ({ terms, result }: Made, facts: Facts): Matter => ({
  terms,
  facts,
  operations: [],
  created: result.created,
});

async function failureFrom(doing: Promise<unknown>): Promise<ApplicationFailure & { code?: string }> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApplicationFailure)) throw new Error(`expected an ApplicationFailure, got ${String(error)}`);
  const [refusal] = (error.details ?? []) as { code: string }[];
  return Object.assign(error, { code: refusal?.code });
}

describe('what an account can do', () => {
  const nothing = { capture: false, refund: false, extend: false, reusable: false, repeatable: ['create', 'cancel'] };
  it.each<[Name, object, boolean | undefined]>([
    ['beqelal', { inquire: true, findByReference: true, cancel: true }, undefined],
    ['blind', { inquire: false, findByReference: false, cancel: false }, undefined],
    ['trusting', { inquire: false, findByReference: false, cancel: false }, true],
  ])('is frozen with the link: %s', async (account, abilities, acceptUnsigned) => {
    const { result } = await made({ account });
    expect(result.created.abilities).toEqual({ ...nothing, ...abilities });
    expect(result.created.acceptUnsigned).toBe(acceptUnsigned);
  });

  it('is not asked of an account without it', async () => {
    const { terms, result } = await made({ account: 'blind' });
    await shop.fault({ operation: '*', kind: 'status', status: 500 });
    const cancelling = ports.cancel({ terms, created: result.created, key: 'k', known: result.facts });
    expect(await failureFrom(cancelling)).toMatchObject({ type: 'Refused', code: 'not_supported' });
    expect(await ports.find(attemptAt(terms))).toMatchObject({ search: 'none', repeatable: true });
    expect((await shop.control('GET', 'faults')).body.faults[0].fired).toBe(0);
  });

  it('keeps a link’s abilities when the account’s options change', async () => {
    const { terms, result, id } = await made();
    const { config } = accounts.get('beqelal')!;
    const later = new Map([
      ['beqelal', { ...accounts.get('beqelal')!, config: { ...(config as object), cancel: false } }],
    ]);
    await createActivities(later).cancel({ terms, created: result.created, key: 'k', known: result.facts });
    expect(await shop.ledger(id)).toEqual(['created 10050 ETB', 'cancelled']);
  });
});

describe('create', () => {
  it('hands out the link’s own callback address, and the expiry the provider holds', async () => {
    const expiresAt = Math.floor(Date.now() / 1_000) * 1_000 + 3_600_999;
    const { terms, result } = await made({ expiresAt });
    expect(result.created).toMatchObject({ expiresAt: expiresAt - 999, expiresByItself: true });
    expect(result.created.ids).toEqual([result.created.providerLinkId, terms.reference]);
    await shop.pay(result.created.url);
    await heard(1);
  });

  it('is refused before any call without a phone number', async () => {
    const error = await failureFrom(made({ customer: { name: 'A' } }));
    expect(error).toMatchObject({ type: 'Refused', nonRetryable: true, code: 'invalid_value' });
    expect(error.message).toContain('/customer/phone is required');
  });

  it('is refused where the deployment has no address for webhooks', async () => {
    const error = await failureFrom(createActivities(accounts).create(attemptAt(termsOf())));
    expect(error).toMatchObject({ type: 'Refused', nonRetryable: true, code: 'callback_required' });
  });

  it.each<[string, object, string, string]>([
    ['an address that is not listed', { kind: 'status', status: 479 }, 'beqelal', 'address_not_listed'],
    ['wrong keys', { kind: 'slow', delayMs: 1 }, 'locked', 'invalid_credentials'],
  ])('%s is tried once, and says what to do', async (_name, fault, account, code) => {
    await shop.fault({ operation: 'create', ...fault });
    const terms = termsOf({ account });
    const error = await failureFrom(ports.create(attemptAt(terms)));
    expect(error).toMatchObject({ type: 'Refused', nonRetryable: true, code });
    expect(error.message).toMatch(/add the public address|check appId and apiKey/);
    expect(error.message).not.toContain('not-the-right-key');
    expect((await shop.control('GET', 'faults')).body.faults[0].fired).toBe(account === 'locked' ? 0 : 1);
  });

  it('a rate limit waits as long as it is asked to', async () => {
    await shop.fault({ operation: 'create', kind: 'status', status: 429, retryAfter: 7, count: 1 });
    const error = await failureFrom(ports.create(attemptAt(termsOf())));
    expect(error).toMatchObject({ type: 'NotSent', nonRetryable: false, nextRetryDelay: 7_000 });
  });
});

describe('a create whose answer is lost', () => {
  const lose = async (kind: string, account = 'beqelal') => {
    const terms = termsOf({ account });
    await shop.fault({ operation: 'create', kind, link: terms.reference, count: 1 });
    expect(await failureFrom(ports.create(attemptAt(terms)))).toMatchObject({
      type: 'OutcomeUnknown' satisfies FailureType,
      nonRetryable: true,
    });
    return terms;
  };
  const creates = async (reference: string) => {
    const { entries } = (await shop.control('GET', 'ledger')).body;
    return entries.filter((entry: { reference: string }) => entry.reference === reference).length;
  };

  it.each(['reset', 'timeout', 'truncated'])(
    'before the commit (%s) is absent, and made by a second try',
    async (kind) => {
      const terms = await lose(kind);
      expect((await ports.find(attemptAt(terms))).found).toBeUndefined();
      await ports.create(attemptAt(terms));
      expect(await creates(terms.reference)).toBe(1);
    },
  );

  it.each(['drop_after_commit', 'error_after_commit', 'html', 'slow'])(
    'after the commit (%s) is found, and adopted by a second try',
    async (kind) => {
      const terms = await lose(kind);
      const found = (await ports.find(attemptAt(terms))).found!;
      const again = await ports.create(attemptAt(terms));
      expect(again.created).toEqual({ ...found.created, expiresAt: again.created.expiresAt });
      expect(found.created.abilities.inquire).toBe(true);
      expect((await shop.pay(found.created.url)).status).toBe(303);
      expect(await shop.ledger(found.created.providerLinkId)).toEqual(['created 10050 ETB', 'captured 10050 ETB']);
    },
  );

  it('stays open where nobody can look', async () => {
    const terms = await lose('drop_after_commit', 'blind');
    expect(await failureFrom(ports.create(attemptAt(terms)))).toMatchObject({
      type: 'OutcomeUnknown',
      code: 'ambiguous_create',
    });
    expect(await creates(terms.reference)).toBe(1);
  });
});

describe('one payment through every source', () => {
  it('is one key', async () => {
    const link = await made();
    await shop.pay(link.result.created.url);
    const [delivery] = await heard(1);
    const news = read(delivery!);
    expect(news).toMatchObject({
      verdict: 'signed',
      reference: link.terms.reference,
      ids: link.result.created.ids,
    });
    const found = (await ports.find(attemptAt(link.terms))).found!;
    const sources = { webhook: news.facts ?? {}, read: await inquire(link), found: found.facts };
    for (const [source, facts] of Object.entries(sources)) {
      expect(Object.keys(facts.payments ?? {}), source).toEqual([link.terms.reference]);
      expect(sums(facts, 'ETB').captured, source).toBe(10_050);
    }
    const all = Object.values(sources).reduce(join, link.result.facts);
    expect(statusOf(matterOf(link, all))).toBe('paid');
    expect(exceptionsOf(matterOf(link, all))).toEqual([]);
    expect(sums(all, 'ETB')).toEqual({ authorized: 10_050, captured: 10_050, refunded: 0, voided: 0, held: 0 });
  });

  it('whatever is paid beyond or below shows, by read and by webhook alike', async () => {
    for (const [amount, exception] of [
      [10_000, 'underpaid'],
      [10_100, 'overpaid'],
    ] as const) {
      const link = await made();
      listener.heard.length = 0;
      await shop.control('POST', `links/${link.id}/pay`, { amount });
      for (const facts of [await inquire(link), told(link, 'blind')]) {
        expect(exceptionsOf(matterOf(link, join(link.result.facts, facts)))).toEqual([exception]);
      }
    }
  });

  it('less than before moves nothing and is shown', async () => {
    const link = await made();
    await shop.pay(link.result.created.url);
    const before = await inquire(link);
    await shop.control('POST', `links/${link.id}/correct`, { amount: 9_000 });
    const after = join(before, await inquire(link, before));
    expect(sums(after, 'ETB').captured).toBe(10_050);
    expect(exceptionsOf(matterOf(link, after))).toEqual(['provider_disagrees']);
  });
});

describe('webhooks as evidence', () => {
  type Walk = [actions: string[], status: string, exceptions: string[]];
  it.each<Walk>([
    [['pay'], 'paid', []],
    [['fail'], 'pending', []],
    [['fail', 'pay'], 'paid', []],
    [['pay', 'fail', 'expire'], 'paid', []],
    [['deactivate'], 'cancelled', []],
    [['expire'], 'expired', []],
    [['expire', 'pay'], 'paid', ['late_payment']],
    [['deactivate', 'pay'], 'paid', ['late_payment']],
  ])('%j: %s %j, in any order and number', async (actions, status, exceptions) => {
    const link = await made({ account: 'blind' });
    const facts: Facts[] = [];
    for (const action of actions) {
      listener.heard.length = 0;
      await shop.control('POST', `links/${link.id}/${action}`, { times: 2 });
      facts.push(...listener.heard.map((delivery) => read(delivery, 'blind').facts ?? {}));
      // What is late is later.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(facts).toHaveLength(2 * actions.length);
    for (const order of [facts, facts.toReversed()]) {
      const matter = matterOf(link, order.reduce(join, link.result.facts));
      expect([statusOf(matter), exceptionsOf(matter)]).toEqual([status, exceptions]);
    }
  });

  it('are refused when the signature is missing or of another body, heard unsigned only by an account that says so', async () => {
    const link = await made();
    await shop.pay(link.result.created.url);
    const [delivery] = await heard(1);
    const { 'x-webhook-signature': _gone, ...bare } = delivery!.headers;
    expect(() => read({ ...delivery!, headers: bare })).toThrow(NotAuthentic);
    expect(() => read({ ...delivery!, raw: delivery!.raw.replace('100.5', '900.5') })).toThrow(NotAuthentic);
    expect(read({ ...delivery!, headers: bare }, 'trusting').verdict).toBe('unsigned');
  });
});

describe('cancel', () => {
  const cancel = ({ terms, result }: Made) =>
    ports.cancel({ terms, created: result.created, key: 'k', known: result.facts });

  it('deactivates an unpaid link, once or twice', async () => {
    const link = await made();
    const { outcome, facts } = await cancel(link);
    expect([outcome, statusOf(matterOf(link, join(link.result.facts, facts)))]).toEqual(['done', 'cancelled']);
    expect(facts.latest?.word).toBe('DEACTIVATED');
    expect(await shop.ledger(link.id)).toEqual(['created 10050 ETB', 'cancelled']);
  });

  it('sees that it was paid meanwhile, and sends nothing', async () => {
    const link = await made();
    await shop.pay(link.result.created.url);
    const { outcome, facts } = await cancel(link);
    expect([outcome, statusOf(matterOf(link, facts))]).toEqual(['changed', 'paid']);
    expect(await shop.ledger(link.id)).toEqual(['created 10050 ETB', 'captured 10050 ETB']);
  });

  it('loses the race against a payment: refused', async () => {
    const link = await made();
    await shop.fault({ operation: 'cancel', kind: 'hold_before_commit', count: 1, delayMs: 300 });
    const cancelling = failureFrom(cancel(link));
    await until('the call is held', async () => (await shop.control('GET', 'faults')).body.held.length === 1);
    await shop.pay(link.result.created.url);
    expect(await cancelling).toMatchObject({ type: 'Refused', code: 'link_already_paid' });
  });

  it.each([
    ['reset', 'pending'],
    ['drop_after_commit', 'cancelled'],
    ['error_after_commit', 'cancelled'],
    ['html', 'cancelled'],
  ])('an answer lost (%s) is unknown until read: %s', async (kind, status) => {
    const link = await made();
    await shop.fault({ operation: 'cancel', kind, link: link.id, count: 1 });
    expect(await failureFrom(cancel(link))).toMatchObject({ type: 'OutcomeUnknown', nonRetryable: true });
    expect(statusOf(matterOf(link, await inquire(link)))).toBe(status);
    expect((await cancel(link)).outcome).toBe(status === 'pending' ? 'done' : 'changed');
  });
});

describe('reads', () => {
  it.each(['reset', 'timeout', 'truncated', 'html', 'error_after_commit', 'status'])(
    'that fail by %s are tried again',
    async (kind) => {
      const link = await made();
      await shop.fault({ operation: 'inquire', kind, count: 1 });
      expect(await failureFrom(inquire(link))).toMatchObject({ type: 'Unreachable', nonRetryable: false });
      expect(statusOf(matterOf(link, await inquire(link)))).toBe('pending');
    },
  );
});
