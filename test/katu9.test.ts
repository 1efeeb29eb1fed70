import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AccountsError, readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { type Call, NotAuthentic, ProviderError, type ProviderLink } from '../activities/provider.ts';
import { katu9 } from '../activities/providers/katu9.ts';
import { MERCHANTS } from '../sandbox/katu9/merchants.ts';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { exceptionsOf } from '../workflows/exceptions.ts';
import { type Facts, join, sums } from '../workflows/facts.ts';
import { statusOf, type Terms } from '../workflows/link.ts';
import { katu9Merchant } from './katu9-merchant.ts';
import { until, webhookListener } from './sandbox-merchant.ts';

/** The adapter against scripted answers (every word, every odd answer), then against the sandbox over real HTTP. */
const MINUTE = 60_000;
const NOW = Date.parse('2026-03-01T12:00:00Z');
const KEY = 'payment-link/INV/2026/001:create:0123456789abcdef';
const T = '0b5f2f6e-6f0e-4f7a-9a38-5a1a58a0c001';
const L = '0b5f2f6e-6f0e-4f7a-9a38-5a1a58a0c002';
const L2 = '0b5f2f6e-6f0e-4f7a-9a38-5a1a58a0c003';
const OPTIONS = { token: 'test-bearer-token', merchantId: 'merchant-1', environment: 'SANDBOX' };

interface Received {
  call: string;
  query: Record<string, string>;
  body: string;
  headers: IncomingHttpHeaders;
}
type Scripted = { status?: number; body?: unknown; retryAfter?: string; cut?: boolean };

let received: Received[] = [];
/** Answers of one call in turn; the last one stays. */
let answers: Record<string, Scripted[]> = {};
let call: Call<never>;
let clock = NOW;
let close: () => void;

const configOf = (options: object): never =>
  readAccounts({ shop: { provider: 'katu9', options } }).get('shop')?.config as never;

beforeAll(async () => {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? '', 'http://localhost');
    const name = `${request.method} ${url.pathname}`;
    const query = Object.fromEntries(url.searchParams);
    received.push({ call: name, query, body: Buffer.concat(chunks).toString(), headers: request.headers });
    const script = answers[name] ?? [];
    const scripted = script.length > 1 ? script.shift() : script[0];
    const { status = 200, body, retryAfter, cut } = scripted ?? no(418, `nothing scripted for ${name}`);
    if (cut) return request.socket.destroy();
    const headers = { 'content-type': 'application/json', ...(retryAfter ? { 'retry-after': retryAfter } : {}) };
    response.writeHead(status, headers).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => server.close();
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  call = { config: configOf({ ...OPTIONS, baseUrl }), http: createHttp(), now: () => clock };
});
afterAll(() => close());
beforeEach(() => {
  received = [];
  answers = {};
  clock = NOW;
});

const ok = (data: unknown, status = 200): Scripted => ({ status, body: { data } });
const no = (status: number, message: string, details?: object): Scripted => ({
  status,
  body: { error: { message, ...(details && { details }) } },
});
const LIVE = no(409, 'A non-expired payment link already exists for this transaction in this environment.');

const terms: Terms = {
  account: 'shop',
  reference: 'INV/2026/001',
  amount: 10_050,
  currency: 'INR',
  exponent: 2,
  expiresAt: NOW + 60 * MINUTE,
};
const iso = (at: number) => new Date(at).toISOString();
const paymentLink = (changes: object = {}) => ({
  id: L,
  expiresAt: iso(NOW + 60 * MINUTE),
  amount: 100.5,
  currency: 'INR',
  status: 'ACTIVE',
  redirectUrl: 'https://shop.example/thanks',
  url: `https://pay.katu9.com/${L}`,
  ...changes,
});
const transaction = (changes: object = {}) => ({
  id: T,
  type: 'DEPOSIT',
  amount: 100.5,
  currency: 'INR',
  status: 'PENDING',
  ...changes,
});
const link: ProviderLink = {
  providerLinkId: T,
  ids: [T, L],
  url: `https://pay.katu9.com/${L}`,
  expiresAt: NOW + 60 * MINUTE,
  expiresByItself: true,
  handle: { paymentLink: L, opening: '0' },
};
const statusFrom = (facts: Facts) => statusOf({ terms, facts, operations: [] });
const calls = () => received.map((request) => request.call);

async function errorOf(doing: Promise<unknown> | undefined): Promise<ProviderError> {
  const error = await Promise.resolve(doing).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ProviderError) return error;
  throw new Error(`expected a ProviderError, got ${String(error)}`);
}

const create = (changes: Partial<Terms> = {}) => katu9.create(call, { terms: { ...terms, ...changes }, key: KEY });
function scriptCreate(
  first: Scripted[] = [ok(transaction(), 201)],
  second: Scripted[] = [ok({ paymentLink: paymentLink() })],
) {
  answers['POST /transaction'] = first;
  answers['POST /payment-link/generate'] = second;
}

describe('the account', () => {
  const problems = (options: object): readonly string[] => {
    try {
      configOf(options);
      return [];
    } catch (error) {
      if (error instanceof AccountsError) return error.problems;
      throw error;
    }
  };

  it('needs token, merchant and environment, and knows the rest', () => {
    expect(configOf(OPTIONS)).toEqual({
      ...OPTIONS,
      baseUrl: 'https://api.katu9.com',
      webhookSecrets: [],
      payUrlTemplate: 'https://pay.katu9.com/{id}',
    });
    expect(problems({}).map((problem) => problem.split(':')[0])).toEqual([
      'shop.options.token',
      'shop.options.merchantId',
      'shop.options.environment',
    ]);
  });

  it.each([
    { token: 'short' },
    { token: 'sixteen letters ä' },
    { environment: 'TEST' },
    { baseUrl: 'http://api.katu9.com' },
    { webhookSecrets: ['short'] },
    { payUrlTemplate: 'https://pay.katu9.com/' },
    { payUrlTemplate: 'javascript:{id}' },
    { colour: 'red' },
  ])('refuses %j', (change) => {
    expect(problems({ ...OPTIONS, ...change })).toHaveLength(1);
  });
});

describe('accepts', () => {
  const problems = (changes: Partial<Terms>) => katu9.accepts({ ...terms, ...changes }, call.config, NOW);

  it.each<[string, Partial<Terms>]>([
    ['no expiry: the account has a default', { expiresAt: undefined }],
    ['a minute', { expiresAt: NOW + MINUTE }],
    ['a minute, asked for a moment ago', { expiresAt: NOW + MINUTE - 200 }],
    ['a year', { expiresAt: NOW + 525_600 * MINUTE }],
    ['automatic capture and an empty customer', { capture: 'automatic', customer: {} }],
    ['a return address', { redirectUrl: 'https://shop.example/thanks' }],
    ['a payment method', { providerOptions: { paymentMethodId: L } }],
  ])('takes %s', (_name, changes) => {
    expect(problems(changes)).toEqual([]);
  });

  it.each<[string, Partial<Terms>, [string, string][]]>([
    ['another currency', { currency: 'AED' }, [['/amount/currency', 'not_supported']]],
    ['a currency of another exponent', { currency: 'KWD', exponent: 3 }, [['/amount/currency', 'not_supported']]],
    ['too much for a JSON number', { amount: Number.MAX_SAFE_INTEGER }, [['/amount/minor', 'invalid_value']]],
    ['less than a minute', { expiresAt: NOW + 29_999 }, [['/expiresAt', 'invalid_value']]],
    ['the past', { expiresAt: NOW - 1 }, [['/expiresAt', 'invalid_value']]],
    ['a hold', { capture: 'manual' }, [['/capture', 'not_supported']]],
    [
      'a customer',
      { customer: { name: 'Ada', email: 'ada@example.com' } },
      [
        ['/customer/name', 'not_supported'],
        ['/customer/email', 'not_supported'],
      ],
    ],
    [
      'other options',
      { providerOptions: { paymentMethodId: 'upi', 'a/b~c': 1 } },
      [
        ['/providerOptions/paymentMethodId', 'invalid_value'],
        ['/providerOptions/a~1b~0c', 'not_supported'],
      ],
    ],
  ])('does not take %s', (_name, changes, expected) => {
    expect(problems(changes).map(({ pointer, code }) => [pointer, code])).toEqual(expected);
  });

  it('names the first instant it takes', () => {
    expect(problems({ expiresAt: NOW })[0]?.message).toBe(
      'must be at least 1 minute from now, that is 2026-03-01T12:01:00.000Z or later',
    );
  });
});

describe('create', () => {
  it('makes a transaction, then its payment link, and says exactly what is documented', async () => {
    scriptCreate();
    const redirectUrl = 'https://shop.example/thanks';
    const { created, facts } = await create({
      redirectUrl,
      description: 'Two teas',
      providerOptions: { paymentMethodId: L2 },
    });
    expect(calls()).toEqual(['POST /transaction', 'POST /payment-link/generate']);
    for (const { headers } of received) {
      expect(headers).toMatchObject({
        authorization: 'Bearer test-bearer-token',
        'x-katu9-merchant-id': 'merchant-1',
        'x-katu9-environment': 'SANDBOX',
      });
    }
    expect(received.map(({ body }) => JSON.parse(body))).toEqual([
      {
        type: 'DEPOSIT',
        amount: 100.5,
        currency: 'INR',
        metadata: { reference: 'INV/2026/001', key: KEY },
        expiryMinutes: 60,
        redirectUrl,
        paymentMethodId: L2,
      },
      { transactionId: T, amount: 100.5, currency: 'INR', expiryMinutes: 60, redirectUrl, description: 'Two teas' },
    ]);
    expect(created).toEqual(link);
    expect(facts).toEqual({
      openings: { '0': { opened: NOW } },
      latest: { at: NOW, hash: expect.stringMatching(/^[0-9a-f]{32}$/), word: 'PENDING', totals: {} },
    });
  });

  it.each<[number, string]>([
    [10_050, '"amount":100.5,'],
    [5, '"amount":0.05,'],
    [435, '"amount":4.35,'],
    [100, '"amount":1,'],
    [999_999_999_999_999, '"amount":9999999999999.99,'],
  ])('writes %i paise exactly, in both steps', async (amount, wire) => {
    const money = { amount: Number(wire.slice(9, -1)) };
    scriptCreate([ok(transaction(money), 201)], [ok({ paymentLink: paymentLink(money) })]);
    await create({ amount });
    expect(received.map(({ body }) => body.includes(wire))).toEqual([true, true]);
  });

  it.each<[string, number, number]>([
    ['rounds down to whole minutes', 61 * MINUTE - 1, 60],
    ['asks for the shortest life a moment late', MINUTE - 200, 1],
  ])('%s', async (_name, asked, minutes) => {
    scriptCreate();
    await create({ expiresAt: NOW + asked });
    expect(received.map(({ body }) => JSON.parse(body).expiryMinutes)).toEqual([minutes, minutes]);
  });

  it('takes the end from the provider, in whatever zone it is written', async () => {
    scriptCreate(undefined, [ok({ paymentLink: paymentLink({ expiresAt: '2026-03-01T18:29:30.5+05:30' }) })]);
    expect((await create()).created.expiresAt).toBe(Date.parse('2026-03-01T12:59:30.500Z'));
  });

  it('uses the link the first step may bring', async () => {
    scriptCreate([ok(transaction({ paymentLink: paymentLink() }), 201)]);
    expect((await create()).created).toEqual(link);
    expect(calls()).toEqual(['POST /transaction']);
  });

  it('makes the payer’s address from the template where none is answered', async () => {
    scriptCreate(undefined, [ok({ paymentLink: paymentLink({ url: undefined, id: 'a/b' }) })]);
    expect((await create()).created.url).toBe('https://pay.katu9.com/a%2Fb');
  });

  it.each<[string, object, object]>([
    ['a payout', { type: 'WITHDRAWAL' }, {}],
    ['another amount', { amount: 1.5 }, {}],
    ['another currency', { currency: 'USD' }, {}],
    ['no id', { id: undefined }, {}],
    ['a link of another amount', {}, { amount: 1.5 }],
    ['a link of another currency', {}, { currency: 'USD' }],
    ['a link whose amount nobody can read', {}, { amount: 100.505 }],
    ['an address that runs code', {}, { url: 'javascript:alert(1)' }],
    ['a plain http address', {}, { url: 'http://pay.example/k' }],
  ])('an answer with %s leaves the outcome unknown', async (_name, first, second) => {
    scriptCreate([ok(transaction(first), 201)], [ok({ paymentLink: paymentLink(second) })]);
    expect(await errorOf(create())).toMatchObject({ kind: 'unknown' });
  });

  it.each<[string, Scripted]>([
    ['a lost answer', { cut: true }],
    ['a fault', no(500, 'Internal error', {})],
    ['an answer of another shape', ok([], 201)],
  ])('%s of the first step is unknown, and the first step is never repeated', async (_name, answer) => {
    scriptCreate([answer]);
    expect(await errorOf(create())).toMatchObject({ kind: 'unknown' });
    expect(calls()).toEqual(['POST /transaction']);
  });
});

describe('a first step whose answer was lost', () => {
  const OTHER = '0b5d5c6e-7d0a-4f2c-9e0e-2b9f1d0c3a44';
  const find = (ids: string[], changes: Partial<Terms> = {}) =>
    katu9.findByIds!(call, { terms: { ...terms, ...changes }, key: KEY, ids });
  const mine = (changes: object = {}) =>
    ok(transaction({ metadata: { reference: 'INV/2026/001', key: KEY }, ...changes }));

  it('is found by the ids that its webhook named, and gets its link', async () => {
    answers['GET /transaction'] = [no(404, 'Transaction not found'), mine()];
    answers['POST /payment-link/generate'] = [ok({ paymentLink: paymentLink() })];
    const found = await find([L, T]);
    expect(found?.created).toEqual(link);
    expect(statusFrom(found!.facts)).toBe('pending');
    expect(calls()).toEqual(['GET /transaction', 'GET /transaction', 'POST /payment-link/generate']);
  });

  it.each([
    ['live', {}, 'pending'],
    ['over', { status: 'EXPIRED' }, 'expired'],
  ])('is adopted with the link it has, if that is %s', async (_name, changes, status) => {
    answers['GET /transaction'] = [mine({ paymentLink: paymentLink(changes) })];
    const found = await find([T]);
    expect(found?.created).toEqual(link);
    expect(statusFrom(found!.facts)).toBe(status);
    expect(calls()).toEqual(['GET /transaction']);
  });

  it.each([
    ['another key', { metadata: { reference: 'INV/2026/001', key: 'payment-link/INV:create:other' } }],
    ['no metadata', { metadata: undefined }],
  ])('is not taken for a transaction with %s', async (_name, changes) => {
    answers['GET /transaction'] = [mine({ id: OTHER, ...changes })];
    expect(await find([OTHER])).toBeUndefined();
    expect(calls()).toEqual(['GET /transaction']);
  });

  it('stays as it is when it takes no link any more, or would get one too late', async () => {
    answers['GET /transaction'] = [mine({ status: 'FAILED' }), mine()];
    answers['POST /payment-link/generate'] = [no(400, 'A FAILED transaction cannot have a new payment link', {})];
    expect(await find([T])).toBeUndefined();
    clock = NOW + 60 * MINUTE;
    expect(await find([T])).toBeUndefined();
    expect(calls()).toEqual(['GET /transaction', 'POST /payment-link/generate', 'GET /transaction']);
  });

  it('is not given up because it cannot be asked for', async () => {
    answers['GET /transaction'] = [no(500, 'Internal error', {})];
    expect(await errorOf(find([T]))).toMatchObject({ kind: 'unknown' });
  });

  it('leaves nothing to ask without ids', async () => {
    expect(await find([])).toBeUndefined();
    expect(calls()).toEqual([]);
  });
});

describe('the second step', () => {
  it.each<[string, Scripted]>([
    ['a lost answer', { cut: true }],
    ['a fault', no(500, 'Internal error', {})],
    ['an answer of another shape', ok({ link: 1 })],
    ['a limit', { ...no(429, 'Slow down', {}), retryAfter: '1' }],
  ])('is repeated after %s', async (_name, answer) => {
    scriptCreate(undefined, [answer, ok({ paymentLink: paymentLink() })]);
    expect((await create()).created).toEqual(link);
    expect(calls()).toEqual(['POST /transaction', 'POST /payment-link/generate', 'POST /payment-link/generate']);
  });

  it.each([LIVE, { ...LIVE, status: 400 }, no(409, 'Conflict')])('%j: adopts the live link', async (conflict) => {
    scriptCreate(undefined, [{ cut: true }, conflict]);
    answers['GET /transaction'] = [ok(transaction({ paymentLink: paymentLink() }))];
    const { created, facts } = await create();
    expect(created).toEqual(link);
    expect(facts.latest?.word).toBe('PENDING');
    expect(received.at(-1)?.query).toEqual({ id: T });
  });

  it('adopts a link that was paid meanwhile with its money', async () => {
    scriptCreate(undefined, [LIVE]);
    answers['GET /transaction'] = [ok(transaction({ status: 'COMPLETED', paymentLink: paymentLink() }))];
    expect(statusFrom((await create()).facts)).toBe('paid');
  });

  it.each<[string, Scripted]>([
    ['no link', ok(transaction())],
    ['an expired one', ok(transaction({ paymentLink: paymentLink({ status: 'EXPIRED' }) }))],
    ['one whose time is over', ok(transaction({ paymentLink: paymentLink({ expiresAt: iso(NOW) }) }))],
    ['one of another transaction', ok(transaction({ id: L2, paymentLink: paymentLink() }))],
    ['a fault', no(500, 'Internal error', {})],
    ['not found', no(404, 'Transaction not found', {})],
  ])('stays unknown when a live link is said to be there and the read shows %s', async (_name, answer) => {
    scriptCreate(undefined, [LIVE]);
    answers['GET /transaction'] = [answer];
    const error = await errorOf(create());
    expect(error.kind).toBe('unknown');
    expect(error.message).toContain(`transaction ${T} was made, whether it has a payment link is not known`);
    expect(calls().filter((name) => name === 'POST /transaction')).toHaveLength(1);
  });

  it.each<[string, Scripted, string, string]>([
    ['a limit', { ...no(429, 'Slow down', {}), retryAfter: '60' }, 'refused', 'link_not_generated'],
    ['wrong parameters', no(400, 'Invalid', { currency: 'must be INR' }), 'refused', 'invalid_parameters'],
    ['a transaction it does not know', no(404, 'Transaction not found', {}), 'not_found', 'transaction_not_found'],
    ['a token that ran out', no(401, 'Unauthorized', {}), 'unauthorized', 'invalid_token'],
  ])('proves by %s that nobody can pay', async (_name, answer, kind, code) => {
    scriptCreate(undefined, [answer]);
    const error = await errorOf(create());
    expect(error).toMatchObject({ kind, code });
    expect(error.message).toContain(`transaction ${T} was made, a payment link for it was not`);
    expect(calls()).toHaveLength(2);
  });

  it('a refusal after a lost answer proves nothing', async () => {
    scriptCreate(undefined, [{ cut: true }, no(400, 'Invalid', {})]);
    expect(await errorOf(create())).toMatchObject({ kind: 'unknown', code: 'invalid_parameters' });
  });
});

describe('errors', () => {
  it.each<[string, string, Scripted, ProviderError['kind'], string, string]>([
    [
      'create',
      'POST /transaction',
      no(400, 'Invalid request', { amount: 'is required' }),
      'refused',
      'invalid_parameters',
      'Invalid request {"amount":"is required"}',
    ],
    [
      'create',
      'POST /transaction',
      no(404, 'Payment method not found', {}),
      'refused',
      'payment_method_not_found',
      'Payment method not found',
    ],
    ['read', 'GET /transaction', no(400, 'id is required', {}), 'refused', 'invalid_parameters', 'id is required'],
    [
      'read',
      'GET /transaction',
      no(404, 'Transaction not found', {}),
      'not_found',
      'transaction_not_found',
      'Transaction not found',
    ],
    ['read', 'GET /transaction', no(422, 'Unprocessable'), 'refused', 'http_422', 'Unprocessable'],
    ['read', 'GET /transaction', { status: 404, body: 'no route' }, 'not_found', 'transaction_not_found', '"no route"'],
    [
      'read',
      'GET /transaction',
      ok(transaction({ id: L2 })),
      'unknown',
      'answer_mismatch',
      'the read was answered with another transaction',
    ],
  ])('%s: %s %j', async (verb, name, answer, kind, code, message) => {
    answers[name] = [answer];
    const doing = verb === 'create' ? create() : katu9.inquire?.(call, link, { terms, known: {}, ids: [] });
    const error = await errorOf(doing);
    expect(error).toMatchObject({ kind, code });
    expect(error.message).toContain(message);
  });

  it.each<[number, string, string]>([
    [401, 'invalid_token', 'the token is not accepted'],
    [403, 'merchant_not_active', 'the merchant is not ACTIVE in this environment'],
  ])('%i says what an operator must do, without the secrets', async (status, code, says) => {
    answers['GET /transaction'] = [no(status, 'test-bearer-token of merchant-1 is wrong', {})];
    const error = await errorOf(katu9.inquire?.(call, link, { terms, known: {}, ids: [] }));
    expect(error).toMatchObject({ kind: 'unauthorized', code });
    expect(error.message).toContain(says);
    expect(error.message).not.toMatch(/test-bearer-token|merchant-1/);
    expect(received).toHaveLength(1);
  });
});

async function read(answer: object, shown: object | null, known: Facts = {}, of: ProviderLink = link): Promise<Facts> {
  answers['GET /transaction'] = [ok(transaction({ ...answer, ...(shown && { paymentLink: paymentLink(shown) }) }))];
  const { facts } = (await katu9.inquire?.(call, of, { terms, known, ids: [L] })) ?? { facts: {} };
  return facts;
}

describe('every word', () => {
  it.each<
    [transaction: string, link: string | null, status: string, captured: number, refunded: number, more?: object]
  >([
    ['PENDING', null, 'pending', 0, 0],
    ['CREATED', 'PENDING', 'pending', 0, 0],
    ['PENDING', 'ACTIVE', 'pending', 0, 0],
    ['PROCESSING', 'ACTIVE', 'pending', 0, 0, { latest: { inFlight: true } }],
    ['PENDING', 'USED', 'pending', 0, 0, { latest: { inFlight: true } }],
    ['PENDING', 'PAID', 'pending', 0, 0, { latest: { inFlight: true } }],
    ['PENDING', 'COMPLETED', 'pending', 0, 0, { latest: { inFlight: true } }],
    ['COMPLETED', 'USED', 'paid', 10_050, 0],
    ['COMPLETED', null, 'paid', 10_050, 0],
    ['SUCCESS', 'USED', 'paid', 10_050, 0],
    ['paid', 'EXPIRED', 'paid', 10_050, 0],
    ['FAILED', 'ACTIVE', 'failed', 0, 0],
    ['REJECTED', null, 'failed', 0, 0],
    ['CANCELLED', 'CANCELLED', 'cancelled', 0, 0],
    ['canceled', null, 'cancelled', 0, 0],
    ['PENDING', 'CANCELLED', 'cancelled', 0, 0],
    ['EXPIRED', 'EXPIRED', 'expired', 0, 0],
    ['EXPIRED', null, 'expired', 0, 0],
    ['PENDING', 'EXPIRED', 'expired', 0, 0],
    // The customer has paid in time and the bank takes its time.
    ['PROCESSING', 'EXPIRED', 'pending', 0, 0, { latest: { inFlight: true } }],
    ['REFUNDED', 'USED', 'refunded', 10_050, 10_050],
    ['On hold', 'ACTIVE', 'pending', 0, 0, { unknownWords: { ON_HOLD: NOW } }],
    ['On hold', 'EXPIRED', 'pending', 0, 0, { unknownWords: { ON_HOLD: NOW } }],
    ['PENDING', 'paused', 'pending', 0, 0, { unknownWords: { 'link PAUSED': NOW } }],
  ])('%s with link %s reads %s', async (word, linkWord, status, captured, refunded, more = {}) => {
    const facts = await read({ status: word }, linkWord === null ? null : { status: linkWord });
    expect(statusFrom(facts)).toBe(status);
    expect(sums(facts, 'INR')).toMatchObject({ authorized: captured, captured, refunded, voided: 0 });
    expect(facts).toMatchObject(more);
    expect(facts.openings?.['0']?.opened).toBe(NOW);
  });

  it('is in the published table', () => {
    const words = 'PENDING CREATED PROCESSING COMPLETED SUCCESS PAID FAILED REJECTED CANCELLED EXPIRED REFUNDED';
    const linkWords = 'ACTIVE PENDING EXPIRED USED PAID COMPLETED CANCELLED';
    expect(Object.keys(katu9.statuses).sort()).toEqual(
      [...words.split(' '), ...linkWords.split(' ').map((word) => `link ${word}`)].sort(),
    );
  });

  it('a link whose word lags behind its time has expired ten seconds later', async () => {
    for (const [after, status] of [
      [0, 'pending'],
      [9_999, 'pending'],
      [10_000, 'expired'],
    ] as const) {
      clock = NOW + 60 * MINUTE + after;
      expect(statusFrom(await read({}, {}))).toBe(status);
    }
    expect(statusFrom(await read({}, { status: 'USED' }))).toBe('pending');
  });

  it('an odd payment link hides nothing of the money', async () => {
    const facts = await read({ status: 'COMPLETED' }, { expiresAt: 'soon' });
    expect(statusFrom(facts)).toBe('paid');
  });
});

describe('money', () => {
  it('is what the transaction says, not what was asked', async () => {
    const facts = await read({ status: 'COMPLETED', amount: 99.99, currency: 'USD' }, {});
    expect(facts.payments).toEqual({
      [T]: { USD: { authorized: 9_999, captured: 9_999, refunded: 0, voided: 0, seenAt: NOW } },
    });
  });

  it.each<[string, number | string, number]>([
    ['JPY', 500, 500],
    ['INR', '100.50', 10_050],
    ['KWD', 1.234, 1_234],
  ])('reads %s %s exactly', async (currency, amount, minor) => {
    expect(sums(await read({ status: 'COMPLETED', amount, currency }, {}), currency).captured).toBe(minor);
  });

  it.each([{ amount: 100.005 }, { currency: 'XXZ' }])('is not guessed: %j', async (change) => {
    expect(await errorOf(read({ status: 'COMPLETED', ...change }, {}))).toMatchObject({ kind: 'unknown' });
  });

  async function readInTurn(...steps: [answer: object, shown: object][]): Promise<Facts> {
    let known: Facts = {};
    for (const [answer, shown] of steps) {
      clock += 1_000;
      known = join(known, await read(answer, shown, known));
    }
    return known;
  }
  const exceptions = (facts: Facts) => exceptionsOf({ terms, facts, operations: [] });
  const paid: [object, object] = [{ status: 'COMPLETED' }, { status: 'USED' }];
  const expired: [object, object] = [{ status: 'EXPIRED' }, { status: 'EXPIRED' }];

  it('after expiry is late', async () => {
    const facts = await readInTurn(expired, paid);
    expect([statusFrom(facts), exceptions(facts)]).toEqual(['paid', ['late_payment']]);
  });

  it('less than before, or none, moves nothing and is shown', async () => {
    for (const then of [{ status: 'COMPLETED', amount: 80 }, { status: 'PENDING' }, { status: 'FAILED' }]) {
      const facts = await readInTurn(paid, [then, {}]);
      expect([sums(facts, 'INR').captured, exceptions(facts)]).toEqual([10_050, ['provider_disagrees']]);
    }
  });

  it('is neither confirmed nor denied by a word nobody knows', async () => {
    expect(exceptions(await readInTurn(paid, [{ status: 'SETTLED' }, {}]))).toEqual([]);
  });

  it('given back by hand is not denied by a provider that has no word for it', async () => {
    const facts = await readInTurn(paid, paid);
    const entry = { payment: T, currency: 'INR', field: 'refunded' as const, minor: 10_050 };
    const marked = join(facts, { entries: { 'mark-1': entry } });
    expect([statusFrom(marked), exceptions(marked)]).toEqual(['refunded', []]);
  });

  it('given back and here again is shown', async () => {
    expect(exceptions(await readInTurn([{ status: 'REFUNDED' }, {}], paid))).toEqual(['provider_disagrees']);
  });
});

describe('extend', () => {
  const LATER = NOW + 120 * MINUTE;
  const next = paymentLink({ id: L2, expiresAt: iso(LATER), url: `https://pay.katu9.com/${L2}` });
  const known: Facts = { openings: { '0': { opened: NOW - 1, expired: NOW } } };
  const extend = (facts: Facts = known, expiresAt = LATER) =>
    katu9.extend?.(call, link, { terms, key: 'k', expiresAt, opening: 1, known: facts });

  it('generates another link on the same transaction: a new opening of the same link', async () => {
    answers['POST /payment-link/generate'] = [ok({ paymentLink: next })];
    const extended = await extend();
    expect(JSON.parse(received[0]?.body ?? '')).toMatchObject({ transactionId: T, expiryMinutes: 120 });
    expect(extended?.created).toEqual({
      ...link,
      ids: [T, L2],
      url: `https://pay.katu9.com/${L2}`,
      expiresAt: LATER,
      handle: { paymentLink: L2, opening: '1' },
    });
    expect(extended?.facts).toEqual({ openings: { '1': { opened: NOW } } });
    expect(statusFrom(join(known, extended?.facts ?? {}))).toBe('pending');

    // What is read from now on is about the new opening, and closes it.
    const facts = await read({ status: 'EXPIRED' }, { ...next, status: 'EXPIRED' }, known, extended?.created);
    expect(facts.openings).toEqual({ '1': { opened: NOW, expired: NOW } });
  });

  it('adopts the link of an extend whose answer was lost', async () => {
    answers['POST /payment-link/generate'] = [LIVE];
    answers['GET /transaction'] = [ok(transaction({ status: 'EXPIRED', paymentLink: next }))];
    const extended = await extend();
    expect(extended?.created).toMatchObject({ providerLinkId: T, ids: [T, L2], expiresAt: LATER });
    // The transaction's word lags behind: the link is live.
    expect(statusFrom(join(known, extended?.facts ?? {}))).toBe('pending');
  });

  it('is refused while our own link is live: its time cannot be moved', async () => {
    answers['POST /payment-link/generate'] = [LIVE];
    answers['GET /transaction'] = [ok(transaction({ paymentLink: paymentLink() }))];
    expect(await errorOf(extend({ openings: { '0': { opened: NOW } } }))).toMatchObject({
      kind: 'refused',
      code: 'live_link_exists',
      message: `the link is live until ${iso(NOW + 60 * MINUTE)}; katu9 makes another only after that`,
    });
  });

  it('takes the own link up again when it was closed on our side alone', async () => {
    answers['POST /payment-link/generate'] = [LIVE];
    answers['GET /transaction'] = [ok(transaction({ paymentLink: paymentLink() }))];
    const extended = await extend({ openings: { '0': { opened: NOW, presumed_cancelled: NOW } } });
    expect(extended?.created).toMatchObject({ expiresAt: link.expiresAt, handle: { paymentLink: L, opening: '1' } });
  });

  it.each<[string, Scripted, string, string]>([
    ['a paid transaction', no(400, 'A COMPLETED transaction cannot', {}), 'refused', 'invalid_parameters'],
    // Nothing was made, and the transaction is still known: the whole may be repeated.
    ['a limit', { ...no(429, 'Slow down', {}), retryAfter: '60' }, 'rate_limited', 'rate_limited'],
  ])('passes on what Katu9 says about %s', async (_name, answer, kind, code) => {
    answers['POST /payment-link/generate'] = [answer];
    expect(await errorOf(extend())).toMatchObject({ kind, code });
  });

  it('wants a minute at least, and asks for nothing less', async () => {
    expect(await errorOf(extend(known, NOW + 10_000))).toMatchObject({ kind: 'refused', code: 'invalid_expiry' });
    expect(received).toEqual([]);
  });

  it('is not undone by a read that is older than it', async () => {
    const extended = { ...link, handle: { paymentLink: L2, opening: '1' } };
    for (const status of ['EXPIRED', 'CANCELLED', 'FAILED']) {
      const facts = await read({ status }, { status: 'EXPIRED' }, known, extended);
      expect(facts.openings).toEqual({ '1': { opened: NOW } });
    }
    expect(statusFrom(await read({ status: 'COMPLETED' }, {}, known, extended))).toBe('paid');
  });
});

describe('webhook', () => {
  const secret = 'webhook-secret-0001';
  const body = Buffer.from(
    JSON.stringify({ event: 'payment_link.created', data: { paymentLink: { id: L }, transactionId: T } }),
  );
  const sign = (key: string, bytes: Uint8Array = body) => createHmac('sha256', key).update(bytes).digest('hex');
  const request = (signature: string | undefined, bytes: Uint8Array = body) => ({
    body: bytes,
    headers: { 'x-katu9-signature': signature, 'x-webhook-event': 'payment_link.created' },
    query: new URLSearchParams(),
  });
  const verify = (signature: string | undefined, secrets = [secret], bytes: Uint8Array = body) =>
    katu9.webhook?.verify(request(signature, bytes), call.config, secrets, NOW);
  const news = (value: unknown) =>
    katu9.webhook?.read(request('', Buffer.from(JSON.stringify(value))), call.config, NOW);

  it('known text, known digest', () => {
    const digest = 'f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8';
    expect(verify(digest, ['key'], Buffer.from('The quick brown fox jumps over the lazy dog'))).toBe('signed');
  });

  it('takes the old and the new secret', () => {
    expect(verify(sign(secret))).toBe('signed');
    expect(verify(sign('webhook-secret-0000'), [secret, 'webhook-secret-0000'])).toBe('signed');
  });

  it.each<[string, string | undefined, string[]]>([
    ['no signature', undefined, [secret]],
    ['another secret', sign('somebody-elses-key'), [secret]],
    ['an empty secret on both sides', sign(''), ['']],
    ['no secret', sign(secret), []],
    ['a digest cut short', sign(secret).slice(0, 62), [secret]],
    ['a prefix', `sha256=${sign(secret)}`, [secret]],
    ['base64', createHmac('sha256', secret).update(body).digest('base64'), [secret]],
    ['another body', sign(secret, Buffer.from('{}')), [secret]],
  ])('refuses %s', (_name, signature, secrets) => {
    expect(() => verify(signature, secrets)).toThrow(NotAuthentic);
  });

  it.each<[string, object, object]>([
    ['a nested link', { paymentLink: { id: L }, transactionId: T }, { ids: [T, L] }],
    ['a flat link', { id: L, transactionId: T, status: 'ACTIVE' }, { ids: [T, L] }],
    ['a link without its transaction', { paymentLink: { id: L } }, { ids: [L] }],
  ])('payment_link.created with %s', (_name, data, expected) => {
    expect(news({ event: 'payment_link.created', data })).toEqual({ reference: undefined, ...expected });
  });

  it.each<[string, object, object]>([
    [
      'transaction.created',
      { transaction: { id: T, metadata: { reference: 'INV-1' } } },
      { reference: 'INV-1', ids: [T] },
    ],
    ['transaction.completed', { id: T, metadata: { reference: 'INV-1' } }, { reference: 'INV-1', ids: [T] }],
    ['transaction.updated', { transactionId: T, metadata: ['x'] }, { reference: undefined, ids: [T] }],
  ])('%s with %j', (event, data, expected) => {
    expect(news({ event, data })).toEqual(expected);
  });

  it('brings no facts: no event tells of a payment', () => {
    const data = { id: T, status: 'COMPLETED', amount: 100.5 };
    expect(news({ event: 'transaction.completed', data })).not.toHaveProperty('facts');
  });

  it('other events are no concern of ours', () => {
    expect(news({ event: 'payout.created', data: { id: T } })).toEqual({ ids: [], ignore: true });
  });

  it.each([{ event: 'transaction.created', data: {} }, { event: 'transaction.created' }, { data: { id: T } }, [], 'x'])(
    'cannot read %j',
    (value) => {
      expect(() => news(value)).toThrow(Error);
    },
  );

  it('cannot read broken UTF-8', () => {
    expect(() => katu9.webhook?.read(request('', Buffer.from([0x7b, 0xff])), call.config, NOW)).toThrow(Error);
  });
});

describe('against the sandbox', () => {
  let sandbox: Sandbox;
  let shop: ReturnType<typeof katu9Merchant>;
  let real: Call<never>;
  let made = 0;

  beforeAll(async () => {
    sandbox = await startSandbox({ port: 0, katu9: { minuteMs: 1_000 } });
    shop = katu9Merchant(sandbox.url);
    const [{ token, id }] = MERCHANTS as [(typeof MERCHANTS)[number]];
    const options = { baseUrl: `${sandbox.url}/katu9`, token, merchantId: id, environment: 'SANDBOX' };
    real = { config: configOf(options), http: createHttp(), now: Date.now };
  });
  afterEach(() => shop.control('DELETE', 'faults'));
  afterAll(() => sandbox.close());

  const fresh = (): Terms => ({ ...terms, reference: `R/${++made}`, expiresAt: Date.now() + 1_000 * MINUTE });
  const make = async (asked = fresh()) => ({ asked, ...(await katu9.create(real, { terms: asked, key: KEY })) });
  const look = async (created: ProviderLink, known: Facts) =>
    join(known, (await katu9.inquire?.(real, created, { terms, known, ids: [] }))?.facts ?? {});

  it('create → pay → paid → given back in the dashboard: one payment under one key', async () => {
    const { asked, created, facts } = await make();
    expect(statusFrom(facts)).toBe('pending');
    expect((await shop.pay(created.url)).status).toBe(303);
    const paid = await look(created, facts);
    expect([statusFrom(paid), Object.keys(paid.payments ?? {})]).toEqual(['paid', [created.providerLinkId]]);
    await shop.act(created.providerLinkId, 'refund');
    const back = await look(created, paid);
    expect([statusFrom(back), Object.keys(back.payments ?? {})]).toEqual(['refunded', [created.providerLinkId]]);
    const { entries } = (await shop.control('GET', 'ledger')).body;
    const own = entries.filter((entry: { reference: string }) => entry.reference === asked.reference);
    expect(
      own.map(({ kind, link: of, payment, amount }: Record<string, unknown>) => [kind, of, payment, amount]),
    ).toEqual([
      ['created', created.providerLinkId, undefined, 10_050],
      ['captured', created.providerLinkId, created.providerLinkId, 10_050],
      ['refunded', created.providerLinkId, created.providerLinkId, 10_050],
    ]);
  });

  it('a declined try changes nothing', async () => {
    const { created, facts } = await make();
    expect((await shop.pay(created.url, { vpa: 'no@bank' })).status).toBe(402);
    expect(statusFrom(await look(created, facts))).toBe('pending');
  });

  it('called off by the customer', async () => {
    const { created, facts } = await make();
    await fetch(`${created.url}/cancel`, { method: 'POST' });
    expect(statusFrom(await look(created, facts))).toBe('cancelled');
  });

  it('expired → extended → paid, over a new address and under the same key', async () => {
    const { asked, created, facts } = await make();
    await shop.act(created.providerLinkId, 'expire');
    const closed = await look(created, facts);
    expect(statusFrom(closed)).toBe('expired');
    const attempt = { terms: asked, key: 'k', expiresAt: Date.now() + 1_000 * MINUTE, opening: 1, known: closed };
    const extended = await katu9.extend?.(real, created, attempt);
    if (!extended) throw new Error('katu9 extends');
    expect([extended.created.providerLinkId, extended.created.url === created.url]).toEqual([
      created.providerLinkId,
      false,
    ]);
    const open = await look(extended.created, join(closed, extended.facts));
    expect(statusFrom(open)).toBe('pending');
    await shop.pay(extended.created.url);
    const paid = await look(extended.created, open);
    expect([statusFrom(paid), exceptionsOf({ terms, facts: paid, operations: [] })]).toEqual(['paid', []]);
    // The same transaction again while it is live, and once it is paid.
    expect(await errorOf(katu9.extend?.(real, created, attempt))).toMatchObject({ kind: 'refused' });
  });

  it('late money is seen and marked', async () => {
    const { created, facts } = await make();
    await shop.act(created.providerLinkId, 'expire');
    const closed = await look(created, facts);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await shop.act(created.providerLinkId, 'pay', { amount: 400 });
    const late = await look(created, closed);
    expect(exceptionsOf({ terms, facts: late, operations: [] })).toEqual(['late_payment', 'underpaid']);
  });

  it.each(['drop_after_commit', 'error_after_commit', 'html', 'truncated', 'reset'])(
    'a link that was generated under %s is found or made again, once',
    async (kind) => {
      await shop.fault({ operation: 'generate', kind, count: 1 });
      const { asked, created } = await make();
      const { entries } = (await shop.control('GET', 'ledger')).body;
      const own = entries.filter((entry: { reference: string }) => entry.reference === asked.reference);
      expect(own.map(({ kind: what }: { kind: string }) => what)).toEqual(['created']);
      expect((await shop.pay(created.url)).status).toBe(303);
    },
  );

  it.each([
    ['drop_after_commit', 1],
    ['error_after_commit', 1],
    ['html', 1],
    ['truncated', 0],
    ['reset', 0],
    ['status', 0],
  ])('a transaction under %s stays unknown, and is not asked for twice', async (kind, there) => {
    await shop.fault({ operation: 'create', kind, count: 1 });
    const asked = fresh();
    expect(await errorOf(make(asked))).toMatchObject({ kind: 'unknown' });
    const { entries } = (await shop.control('GET', 'ledger')).body;
    expect(entries.filter((entry: { reference: string }) => entry.reference === asked.reference)).toHaveLength(there);
  });

  it('a payment method that is not there', async () => {
    expect(await errorOf(make({ ...fresh(), providerOptions: { paymentMethodId: L } }))).toMatchObject({
      kind: 'refused',
      code: 'payment_method_not_found',
      message: 'Payment method not found; check the option paymentMethodId',
    });
  });

  it('wrong credentials, and a merchant that is not active yet', async () => {
    const [good, inactive] = MERCHANTS as [(typeof MERCHANTS)[number], (typeof MERCHANTS)[number]];
    const as = (options: object) => ({ ...real, config: { ...(real.config as object), ...options } as never });
    const asked = fresh();
    const attempt = { terms: asked, key: KEY };
    expect(await errorOf(katu9.create(as({ token: 'nobody-knows-this-token' }), attempt))).toMatchObject({
      kind: 'unauthorized',
      code: 'invalid_token',
    });
    const stall = { token: inactive.token, merchantId: inactive.id, environment: 'PRODUCTION' };
    expect(await errorOf(katu9.create(as(stall), attempt))).toMatchObject({
      kind: 'unauthorized',
      code: 'merchant_not_active',
    });
    expect(await errorOf(katu9.create(as({ token: inactive.token, merchantId: good.id }), attempt))).toMatchObject({
      kind: 'unauthorized',
    });
  });

  it('its webhooks are verified and name the link by every id, our reference too where they can', async () => {
    const listener = await webhookListener();
    const secret = 'agreed-webhook-secret';
    await shop.control('PUT', 'webhook', { url: listener.url, secret });
    const { asked, created } = await make();
    await until('both webhooks came', () => listener.heard.length === 2);
    await listener.close();
    const told = listener.heard.map(({ raw, headers }) => {
      const request = {
        body: Buffer.from(raw),
        headers: headers as Record<string, string>,
        query: new URLSearchParams(),
      };
      expect(katu9.webhook?.verify(request, real.config, [secret], 0)).toBe('signed');
      return katu9.webhook?.read(request, real.config, 0);
    });
    expect(told).toEqual(
      expect.arrayContaining([
        { reference: asked.reference, ids: [created.providerLinkId] },
        { reference: undefined, ids: created.ids },
      ]),
    );
  });
});
