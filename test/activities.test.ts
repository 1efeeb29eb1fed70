import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Accounts, DEFAULT_POLICIES, readAccounts } from '../activities/accounts.ts';
import { delayUntilNextLook, readable } from '../activities/cadence.ts';
import { failureOf, type Use, VERDICTS } from '../activities/failures.ts';
import { createHttp } from '../activities/http.ts';
import { createActivities } from '../activities/index.ts';
import { ProviderError, type ProviderErrorKind } from '../activities/provider.ts';
import { startSandbox } from '../sandbox/server.ts';
import { exceptionsOf } from '../workflows/exceptions.ts';
import { type Facts, join, sums } from '../workflows/facts.ts';
import { statusOf, type Terms } from '../workflows/link.ts';
import type { Cadence, CreateResult, FailureType, Observation, Ports, Watch, WriteResult } from '../workflows/ports.ts';
import { TIMING } from '../workflows/state.ts';

/** The activities with the real adapter against the real sandbox, over HTTP. */
const MINUTE = 60_000;
const SECRET = 'sandbox-paymennt-hold-secret';
let sandbox: Awaited<ReturnType<typeof startSandbox>>;
let accounts: Accounts;
let ports: Ports;
let count = 0;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0 });
  const options = {
    baseUrl: `${sandbox.url}/paymennt/mer/v2.0`,
    apiKey: 'sandbox-paymennt-key',
    apiSecret: 'sandbox-paymennt-secret',
  };
  const hold = { ...options, apiKey: 'sandbox-paymennt-hold-key', apiSecret: SECRET };
  accounts = readAccounts({
    paymennt: { provider: 'paymennt', options, policies: { graceSeconds: 60 }, expirySeconds: 3_600 },
    'paymennt-hold': { provider: 'paymennt', options: hold, holdWindowSeconds: 604_800 },
    locked: { provider: 'paymennt', options: { ...options, apiSecret: 'not-the-right-secret' } },
    gone: { provider: 'paymennt', options: { ...options, baseUrl: 'http://127.0.0.1:1' } },
  });
  ports = createActivities(accounts, { http: createHttp({ timeoutMs: 400 }), random: () => 0.5 });
});
afterAll(() => sandbox.close());
beforeEach(() => control('DELETE', 'faults'));

async function control(method: string, path: string, body?: object): Promise<unknown> {
  const url = `${sandbox.url}/__sandbox/paymennt/${path}`;
  const response = await fetch(url, {
    method,
    body: body && JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const fault = (operation: string, kind: string, more: object = {}) =>
  control('POST', 'faults', { operation, kind, count: 1, ...more });

async function ledger(link: string): Promise<string[]> {
  const { entries } = (await control('GET', 'ledger')) as { entries: { link: string; kind: string }[] };
  return entries.filter((entry) => entry.link === link).map(({ kind }) => kind);
}

function termsOf(changes: Partial<Terms> = {}): Terms {
  count += 1;
  const reference = `ACT/${count}`;
  return { account: 'paymennt', reference, amount: 10_050, currency: 'AED', exponent: 2, ...changes };
}

const attemptAt = (terms: Terms) => ({ terms, key: `payment-link/${terms.reference}:create:abc`, since: Date.now() });

/** One link through the activities, its facts joined the way the workflow does. */
class Walk {
  facts: Facts;
  constructor(
    readonly terms: Terms,
    readonly result: CreateResult,
  ) {
    this.facts = result.facts;
  }

  static async create(changes: Partial<Terms> = {}): Promise<Walk> {
    const terms = termsOf(changes);
    return new Walk(terms, await ports.create(attemptAt(terms)));
  }

  get id(): string {
    return this.result.created.providerLinkId;
  }
  get link() {
    return { terms: this.terms, created: this.result.created };
  }
  get status(): string {
    return statusOf({ terms: this.terms, facts: this.facts, operations: [] });
  }

  act(action: string, body: object = {}): Promise<unknown> {
    return control('POST', `links/${this.id}/${action}`, body);
  }

  async inquire(): Promise<string> {
    const { facts } = await ports.inquire({ ...this.link, ids: [], known: this.facts });
    this.facts = join(this.facts, facts);
    return this.status;
  }

  async write(kind: 'capture' | 'cancel' | 'refund', amount?: number): Promise<WriteResult> {
    const result = await ports[kind]({ ...this.link, key: `k-${kind}`, amount, known: this.facts });
    this.facts = join(this.facts, result.facts);
    return result;
  }

  watch(attempt: number, cadence: Cadence = TIMING.cadence): Promise<Observation> {
    // Failures are what these tests look at: they need no log of them.
    const env = new MockActivityEnvironment({ attempt }, { logger: new DefaultLogger('ERROR') });
    return env.run<[Watch], Observation, Ports['watch']>(ports.watch, {
      ...this.link,
      known: this.facts,
      lastNewsAt: Date.now(),
      cadence,
    });
  }
}

async function failureFrom(doing: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ApplicationFailure) return error;
  throw new Error(`expected an ApplicationFailure, got ${String(error)}`);
}

describe('the table of verdicts', () => {
  type Row = [use: Use, kind: ProviderErrorKind, type: FailureType, retry: boolean];
  const rows: Row[] = [
    ['read', 'refused', 'Unreachable', true],
    ['read', 'unauthorized', 'Refused', false],
    ['read', 'not_found', 'Unreachable', true],
    ['read', 'rate_limited', 'Unreachable', true],
    ['read', 'not_sent', 'Unreachable', true],
    ['read', 'unknown', 'Unreachable', true],
    ['watch', 'refused', 'Unreachable', true],
    ['watch', 'unauthorized', 'Unreachable', true],
    ['watch', 'not_found', 'Unreachable', true],
    ['watch', 'rate_limited', 'Unreachable', true],
    ['watch', 'not_sent', 'Unreachable', true],
    ['watch', 'unknown', 'Unreachable', true],
    ['before_write', 'refused', 'NotSent', true],
    ['before_write', 'unauthorized', 'Refused', false],
    ['before_write', 'not_found', 'NotSent', true],
    ['before_write', 'rate_limited', 'NotSent', true],
    ['before_write', 'not_sent', 'NotSent', true],
    ['before_write', 'unknown', 'NotSent', true],
    ['write', 'refused', 'Refused', false],
    ['write', 'unauthorized', 'Refused', false],
    ['write', 'not_found', 'Refused', false],
    ['write', 'rate_limited', 'NotSent', true],
    ['write', 'not_sent', 'NotSent', true],
    ['write', 'unknown', 'OutcomeUnknown', false],
  ];
  const attempt = { verb: 'capture', reference: 'INV-1', provider: 'paymennt' };

  it.each(rows)('%s, %s: %s', (use, kind, type, retry) => {
    const failure = failureOf(new ProviderError(kind, 'its_code', 'what it said'), use, attempt, 4_000);
    expect(failure).toMatchObject({ type, nonRetryable: !retry, nextRetryDelay: retry ? 4_000 : undefined });
    expect(failure.details).toEqual([{ code: 'its_code', message: 'what it said' }]);
    expect(failure.message).toMatch(/^capture INV-1 at paymennt: what it said; \w.+/);
    expect(failure.message.endsWith(' in 4 s')).toBe(retry);
    expect(failure.category).toBe(kind === 'rate_limited' ? 'BENIGN' : undefined);
  });

  it('has no row this test does not know', () => {
    const known = Object.entries(VERDICTS).flatMap(([use, kinds]) =>
      Object.keys(kinds).map((kind) => `${use} ${kind}`),
    );
    expect(known.sort()).toEqual(rows.map(([use, kind]) => `${use} ${kind}`).sort());
  });

  it('tells nothing of the customer, whom providers repeat', () => {
    const customer = { name: 'Pay Lovelace', email: 'pay.l@example.com', phone: '+971501234567' };
    const said = 'payment of PAY LOVELACE (971501234567, pay.l%40example.com, Lovelace) was not paid';
    const failure = failureOf(new ProviderError('refused', 'its_code', said), 'write', { ...attempt, customer });
    const told = 'payment of [customer] ([customer], [customer], [customer]) was not paid';
    expect(failure.details).toEqual([{ code: 'its_code', message: told }]);
    expect(failure.message).toContain(`: ${told}; `);
  });

  it('a bug within a write leaves its outcome open, within a read it does not', () => {
    expect(failureOf(new TypeError('x is undefined'), 'write', attempt)).toMatchObject({
      type: 'OutcomeUnknown',
      nonRetryable: true,
    });
    expect(failureOf(new TypeError('x is undefined'), 'read', attempt)).toMatchObject({
      type: 'Unreachable',
      nonRetryable: false,
    });
  });
});

describe('create', () => {
  it('brings the link with what the workflow has to know of it', async () => {
    const before = Date.now();
    const { result, terms, status } = await Walk.create({ policies: { uncaptured: 'capture' } });
    expect(result.created).toMatchObject({
      provider: 'paymennt',
      url: expect.stringMatching(/\/paymennt\/checkout\//),
      abilities: {
        inquire: true,
        findByReference: true,
        capture: 'full',
        cancel: true,
        refund: 'partial',
        repeatable: ['create', 'capture', 'cancel'],
      },
      policies: { ...DEFAULT_POLICIES, graceSeconds: 60, uncaptured: 'capture' },
    });
    expect(result.created).not.toHaveProperty('holdWindowSeconds');
    // The account's default life, from the first try, in whole minutes.
    expect(result.created.expiresAt - before).toBeGreaterThan(58 * MINUTE);
    expect(result.created.expiresAt - before).toBeLessThanOrEqual(60 * MINUTE + 1_000);
    expect(result.evidence).toMatch(/^[0-9a-f]{32}$/);
    expect(status).toBe('pending');
    expect(await ledger(result.created.providerLinkId)).toEqual(['created']);
    expect(terms.expiresAt).toBeUndefined();
  });

  it('carries the account’s limit on holds', async () => {
    const { result } = await Walk.create({ account: 'paymennt-hold' });
    expect(result.created.holdWindowSeconds).toBe(604_800);
  });

  it('refuses what the provider cannot do before any call', async () => {
    const terms = termsOf({ redirectUrl: 'https://shop.example', expiresAt: Date.now() + 5 * MINUTE });
    const failure = await failureFrom(ports.create(attemptAt(terms)));
    expect(failure).toMatchObject({ type: 'Refused', nonRetryable: true });
    expect(failure.details?.[0]).toMatchObject({
      code: 'invalid_value',
      message: expect.stringMatching(/expiresAt.*redirectUrl/),
    });
    expect((await ports.find(attemptAt(terms))).found).toBeUndefined();
  });

  it('an account that is not in the file is refused', async () => {
    const failure = await failureFrom(ports.create(attemptAt(termsOf({ account: 'nobody' }))));
    expect(failure).toMatchObject({ type: 'Refused', nonRetryable: true, details: [{ code: 'unknown_account' }] });
  });

  it('wrong credentials are refused once, without naming them', async () => {
    const failure = await failureFrom(ports.create(attemptAt(termsOf({ account: 'locked' }))));
    expect(failure).toMatchObject({ type: 'Refused', nonRetryable: true, details: [{ code: 'http_401' }] });
    expect(JSON.stringify([failure.message, failure.details])).not.toContain('not-the-right-secret');
  });

  it('nobody listening is not sent', async () => {
    const failure = await failureFrom(ports.create(attemptAt(termsOf({ account: 'gone' }))));
    expect(failure).toMatchObject({ type: 'NotSent', nonRetryable: false });
  });

  it('a rate limit waits as long as the provider asks', async () => {
    await fault('create', 'status', { status: 429, retryAfter: 7 });
    const failure = await failureFrom(ports.create(attemptAt(termsOf())));
    expect(failure).toMatchObject({ type: 'NotSent', nonRetryable: false, nextRetryDelay: 7_700, category: 'BENIGN' });
  });

  it.each<[kind: string, committed: boolean]>([
    ['timeout', false],
    ['reset', false],
    ['truncated', false],
    ['drop_after_commit', true],
    ['error_after_commit', true],
    ['html', true],
  ])('after %s the outcome is unknown, and a look tells the truth', async (kind, committed) => {
    const attempt = attemptAt(termsOf());
    await fault('create', kind);
    expect(await failureFrom(ports.create(attempt))).toMatchObject({
      type: 'OutcomeUnknown',
      nonRetryable: true,
      details: [{ lost: { search: 'reference', repeatable: true } }],
    });
    const { found } = await ports.find(attempt);
    expect(found !== undefined).toBe(committed);
    // Once more with the same key: one link, however it went the first time.
    const again = await ports.create(attempt);
    if (found) expect(again.created.providerLinkId).toBe(found.created.providerLinkId);
    expect(await ledger(again.created.providerLinkId)).toEqual(['created']);
  });

  it('find sees nothing where nothing was made', async () => {
    const nothing = { search: 'reference', repeatable: true };
    expect(await ports.find(attemptAt(termsOf()))).toEqual(nothing);
  });
});

describe('reads', () => {
  it('follow a link through its life', async () => {
    const walk = await Walk.create();
    expect(await walk.inquire()).toBe('pending');
    await walk.act('pay');
    expect(await walk.inquire()).toBe('paid');
    expect(walk.facts.payments).toEqual({ [walk.id]: { AED: expect.objectContaining({ captured: 10_050 }) } });
  });

  it.each<[string, string]>([
    ['expire', 'expired'],
    ['fail', 'failed'],
    ['authorize', 'authorized'],
  ])('%s reads %s', async (action, status) => {
    const walk = await Walk.create();
    await walk.act(action);
    expect(await walk.inquire()).toBe(status);
  });

  it('money after the end is still seen', async () => {
    const walk = await Walk.create();
    await walk.act('expire');
    expect(await walk.inquire()).toBe('expired');
    await walk.act('pay', { amount: 4_000, currency: 'USD' });
    await walk.inquire();
    expect(sums(walk.facts, 'USD').captured).toBe(4_000);
  });

  it('that fail are tried again', async () => {
    const walk = await Walk.create();
    await fault('inquire', 'html');
    const failure = await failureFrom(walk.inquire());
    expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
    expect(failure.message).toMatch(
      /^read ACT\/\d+ at paymennt: GET http.* answered 200: .*wrong content type; read again$/,
    );
  });
});

describe('watch', () => {
  it('waits before its first look', async () => {
    const walk = await Walk.create();
    await walk.act('pay');
    const failure = await failureFrom(walk.watch(1));
    expect(failure).toMatchObject({
      type: 'NothingNew',
      nonRetryable: false,
      category: 'BENIGN',
      nextRetryDelay: 5_000,
      message: 'PENDING at paymennt, first look in 5 s',
    });
  });

  it('stays silent while there is nothing new', async () => {
    const walk = await Walk.create();
    for (const attempt of [2, 3, 50]) {
      expect(await failureFrom(walk.watch(attempt))).toMatchObject({
        type: 'NothingNew',
        message: 'PENDING at paymennt, next look in 5 s',
      });
    }
  });

  it('looks at a paid link seldom, and returns what is new even then', async () => {
    const walk = await Walk.create();
    await walk.act('pay');
    await walk.inquire();
    expect(await failureFrom(walk.watch(1))).toMatchObject({ message: 'PAID at paymennt, first look in 4 h' });
    expect(await failureFrom(walk.watch(2))).toMatchObject({ message: 'PAID at paymennt, next look in 4 h' });
    await walk.act('pay');
    expect(sums((await walk.watch(2)).facts, 'AED').captured).toBe(20_100);
  });

  it('returns what is new', async () => {
    const walk = await Walk.create();
    await walk.act('pay');
    const { facts, evidence } = await walk.watch(2);
    expect(sums(facts, 'AED').captured).toBe(10_050);
    expect(evidence).toMatch(/^[0-9a-f]{32}$/);
  });

  it.each<[string, object, object]>([
    ['an outage', { kind: 'status', status: 503 }, { nextRetryDelay: 5_000 }],
    ['wrong credentials', { kind: 'status', status: 401 }, { nextRetryDelay: 5_000 }],
    [
      'a rate limit shorter than its pace',
      { kind: 'status', status: 429, retryAfter: 2 },
      { nextRetryDelay: 5_000, category: 'BENIGN' },
    ],
    ['a rate limit', { kind: 'status', status: 429, retryAfter: 60 }, { nextRetryDelay: 66_000, category: 'BENIGN' }],
  ])('outlives %s', async (_name, { kind, ...more }: { kind?: string }, expected) => {
    const walk = await Walk.create();
    await fault('inquire', kind ?? '', more);
    const failure = await failureFrom(walk.watch(2));
    expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false, ...expected });
    expect(failure.message).toMatch(/; looked at again in \d+ s$/);
  });
});

describe('writes', () => {
  it('capture takes the whole of a hold', async () => {
    const walk = await Walk.create({ account: 'paymennt-hold' });
    await walk.act('authorize');
    expect(await walk.inquire()).toBe('authorized');
    const result = await walk.write('capture', 10_050);
    expect(result).toMatchObject({ outcome: 'done', providerId: expect.stringMatching(/^\d+$/) });
    expect(walk.status).toBe('paid');
    expect(await ledger(walk.id)).toEqual(['created', 'authorized', 'captured']);
    // A following poll has nothing to add.
    expect(await failureFrom(walk.watch(2))).toMatchObject({ type: 'NothingNew' });
  });

  it('a part of a hold cannot be captured', async () => {
    const walk = await Walk.create({ account: 'paymennt-hold' });
    await walk.act('authorize');
    await walk.inquire();
    expect(await failureFrom(walk.write('capture', 5_000))).toMatchObject({
      type: 'Refused',
      details: [{ code: 'not_supported' }],
    });
    expect(await ledger(walk.id)).toEqual(['created', 'authorized']);
  });

  it('cancel closes an unpaid link, and gives a hold back', async () => {
    const unpaid = await Walk.create();
    expect(await unpaid.write('cancel')).toMatchObject({ outcome: 'done' });
    expect(unpaid.status).toBe('cancelled');

    const held = await Walk.create({ account: 'paymennt-hold' });
    await held.act('authorize');
    await held.inquire();
    expect(await held.write('cancel')).toMatchObject({ outcome: 'done' });
    expect(held.status).toBe('cancelled');
    expect(sums(held.facts, 'AED')).toMatchObject({ voided: 10_050, held: 0 });
    expect(await ledger(held.id)).toEqual(['created', 'authorized', 'voided', 'cancelled']);
    expect(await failureFrom(held.watch(2))).toMatchObject({ type: 'NothingNew' });
  });

  it('refunds add up, and more than was paid is refused', async () => {
    const walk = await Walk.create();
    await walk.act('pay');
    await walk.inquire();
    await walk.write('refund', 4_000);
    expect(walk.status).toBe('partially_refunded');
    expect(await failureFrom(walk.write('refund', 6_051))).toMatchObject({
      type: 'Refused',
      nonRetryable: true,
      details: [{ code: 'amount_out_of_range', message: 'Refund amount exceeds paid amount' }],
    });
    await walk.write('refund', 6_050);
    expect(walk.status).toBe('refunded');
    expect(await ledger(walk.id)).toEqual(['created', 'captured', 'refunded', 'refunded']);
    expect(await failureFrom(walk.watch(2))).toMatchObject({ type: 'NothingNew' });
  });

  it.each<['capture' | 'cancel' | 'refund', string, string[]]>([
    ['cancel', 'pay', ['created', 'captured']],
    ['cancel', 'expire', ['created', 'expired']],
    ['cancel', 'authorize', ['created', 'authorized']],
  ])('%s sends nothing when %s came first', async (kind, action, entries) => {
    const walk = await Walk.create();
    await walk.act(action);
    expect(await walk.write(kind)).toMatchObject({ outcome: 'changed' });
    expect(await ledger(walk.id)).toEqual(entries);
    expect(walk.status).not.toBe('pending');
  });

  it('a capture or refund that happened already is not sent again', async () => {
    const hold = await Walk.create({ account: 'paymennt-hold' });
    await hold.act('authorize');
    await hold.inquire();
    const before = hold.facts;
    await hold.write('capture', 10_050);
    hold.facts = before;
    expect(await hold.write('capture', 10_050)).toMatchObject({ outcome: 'changed' });

    const paid = hold.facts;
    await hold.write('refund', 1_000);
    hold.facts = paid;
    expect(await hold.write('refund', 1_000)).toMatchObject({ outcome: 'changed' });
    expect(await ledger(hold.id)).toEqual(['created', 'authorized', 'captured', 'refunded']);
  });

  it('a failed look before a write means that nothing was sent', async () => {
    const walk = await Walk.create();
    await fault('inquire', 'status', { status: 500 });
    expect(await failureFrom(walk.write('cancel'))).toMatchObject({ type: 'NotSent', nonRetryable: false });
    expect(await ledger(walk.id)).toEqual(['created']);
  });

  it.each<['capture' | 'cancel' | 'refund', string, boolean]>([
    ['capture', 'drop_after_commit', true],
    ['capture', 'error_after_commit', true],
    ['capture', 'html', true],
    ['capture', 'timeout', false],
    ['capture', 'reset', false],
    ['refund', 'drop_after_commit', true],
    ['refund', 'timeout', false],
    ['cancel', 'error_after_commit', true],
    ['cancel', 'reset', false],
  ])('%s after %s is unknown, and a read tells', async (kind, faultKind, happened) => {
    const walk = await Walk.create({ account: 'paymennt-hold' });
    if (kind !== 'cancel') await walk.act(kind === 'capture' ? 'authorize' : 'pay');
    const before = await walk.inquire();
    await fault(kind, faultKind);
    const failure = await failureFrom(walk.write(kind, kind === 'cancel' ? undefined : 10_050));
    expect(failure).toMatchObject({ type: 'OutcomeUnknown', nonRetryable: true });
    const after = { capture: 'paid', refund: 'refunded', cancel: 'cancelled' }[kind];
    expect(await walk.inquire()).toBe(happened ? after : before);
  });

  it('a failed look after a write does not undo it', async () => {
    const walk = await Walk.create();
    await walk.act('pay');
    await walk.inquire();
    // The look before the refund reads the payment, the one after it does not get that far.
    const reads = createActivities(accounts, { http: failingAfter('/refund') });
    const result = await reads.refund({ ...walk.link, key: 'k', amount: 10_050, known: walk.facts });
    expect(result.outcome).toBe('done');
    const matter = { terms: walk.terms, facts: join(walk.facts, result.facts), operations: [] };
    expect(statusOf(matter)).toBe('refunded');
    // What was read before the refund is no sign that it failed.
    expect(exceptionsOf(matter)).toEqual([]);
  });

  it('“already cancelled” is success when it is', async () => {
    const walk = await Walk.create();
    // Between look and call somebody else cancels: the call is refused, the goal reached.
    const http = createHttp();
    const racing = createActivities(accounts, {
      http: {
        async request(request) {
          if (request.url.endsWith('/cancel')) await http.request(request);
          return http.request(request);
        },
      },
    });
    const result = await racing.cancel({ ...walk.link, key: 'k', known: walk.facts });
    expect(result.outcome).toBe('done');
    expect(await ledger(walk.id)).toEqual(['created', 'cancelled']);
  });

  it('“already captured” is success when it is', async () => {
    const walk = await Walk.create({ account: 'paymennt-hold' });
    await walk.act('authorize');
    await walk.inquire();
    const http = createHttp();
    const racing = createActivities(accounts, {
      http: {
        async request(request) {
          if (request.url.endsWith('/capture')) await http.request(request);
          return http.request(request);
        },
      },
    });
    const result = await racing.capture({ ...walk.link, key: 'k', amount: 10_050, known: walk.facts });
    expect(result.outcome).toBe('done');
    expect(await ledger(walk.id)).toEqual(['created', 'authorized', 'captured']);
  });

  /** The real client until a call to `path` was answered; from then on nobody is reached. */
  function failingAfter(path: string) {
    const http = createHttp();
    let down = false;
    return {
      async request(request: Parameters<typeof http.request>[0]) {
        if (down) throw new ProviderError('not_sent', 'ECONNREFUSED', 'nobody is reached');
        const answer = await http.request(request);
        down = request.url.endsWith(path);
        return answer;
      },
    };
  }
});

it('no failure names a secret', async () => {
  const walk = await Walk.create({ account: 'paymennt-hold' });
  const said: string[] = [];
  for (const kind of ['html', 'truncated', 'status', 'reset', 'timeout']) {
    await fault('inquire', kind);
    const failure = await failureFrom(walk.inquire());
    said.push(JSON.stringify([failure.message, failure.details, failure.stack]));
  }
  expect(said).toHaveLength(5);
  for (const text of said) expect(text).not.toMatch(/sandbox-paymennt-hold/);
});

describe('cadence', () => {
  const at = (age: number, untilDeadline: number, random = 0.5) =>
    delayUntilNextLook(TIMING.cadence, { lastNewsAt: 0, deadline: age + untilDeadline, now: age }, random);
  const HOUR = 3_600_000;
  const DAY = 24 * HOUR;

  it.each<[string, number, number]>([
    ['just now', 0, 5_000],
    ['under two minutes', 119_999, 5_000],
    ['two minutes', 120_000, 15_000],
    ['ten minutes', 600_000, 120_000],
    ['two hours', 2 * HOUR, 900_000],
    ['a day', DAY, 4 * HOUR],
    ['a month', 30 * DAY, 4 * HOUR],
  ])('news of %s', (_name, age, delay) => {
    expect(at(age, 90 * DAY)).toBe(delay);
  });

  it('spreads by a fifth both ways', () => {
    expect(at(0, DAY, 0)).toBe(4_000);
    expect(at(0, DAY, 0.9999999)).toBe(6_000);
  });

  it('looks just after the deadline instead of long after it', () => {
    for (const random of [0, 0.5, 0.999]) {
      const delay = at(DAY, HOUR, random);
      expect(delay).toBeGreaterThan(HOUR);
      expect(delay).toBeLessThanOrEqual(HOUR + 3_000);
    }
  });

  it('goes on at its own pace after the deadline', () => {
    expect(at(DAY, -1)).toBe(4 * HOUR);
    expect(at(0, 0)).toBe(5_000);
  });

  it('never spins, whatever the cadence says', () => {
    const none: Cadence = { rows: [], thenEverySeconds: 0, jitter: 0 };
    expect(delayUntilNextLook(none, { lastNewsAt: 0, deadline: DAY, now: 0 }, 0.5)).toBeGreaterThan(0);
  });

  it.each<[number, string]>([
    [250, '0.3 s'],
    [5_000, '5 s'],
    [15_400, '15 s'],
    [120_000, '2 min'],
    [900_000, '15 min'],
    [4 * HOUR, '4 h'],
  ])('%i ms reads %s', (ms, text) => {
    expect(readable(ms)).toBe(text);
  });
});
