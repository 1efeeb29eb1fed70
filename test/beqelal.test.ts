import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createHttp } from '../activities/http.ts';
import { type Call, NotAuthentic, ProviderError, type ProviderLink } from '../activities/provider.ts';
import { beqelal } from '../activities/providers/beqelal.ts';
import { sums } from '../workflows/facts.ts';
import { statusOf, type Terms } from '../workflows/link.ts';

/** The adapter against scripted answers: wire texts, every word, every odd answer. The sandbox has its own file. */
const NOW = Date.parse('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;
const SECRET = 'webhook-secret-0001';
const CALLBACK = 'https://hooks.example/webhooks/shop/SU5WLTE?t=token-of-this-link';

interface Received {
  call: string;
  text: string;
  headers: IncomingMessage['headers'];
}

let received: Received[] = [];
let answers: Record<string, { status?: number; body: unknown; type?: string }> = {};
let call: Call<ReturnType<typeof configOf>>;
let clock = NOW;
let baseUrl = '';
let close: () => void;

beforeAll(async () => {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const name = `${request.method} ${request.url}`;
    received.push({ call: name, text: Buffer.concat(chunks).toString(), headers: request.headers });
    const { status = 200, body, type = 'application/json' } = answers[name] ?? { status: 418, body: {} };
    response.writeHead(status, { 'content-type': type }).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => server.close();
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => close());
beforeEach(() => {
  received = [];
  answers = {};
  clock = NOW;
  call = { config: configOf(), http: createHttp(), now: () => clock };
});

const options = () => ({
  baseUrl,
  appId: 'test-app-id',
  apiKey: 'test-api-key',
  inquiry: true,
  cancel: true,
  webhookSecrets: [SECRET],
});
// biome-ignore lint/suspicious/noExplicitAny: the schema gives it its type
const configOf = (changes: object = {}): any => beqelal.config.parse({ ...options(), ...changes });

const terms: Terms = {
  account: 'shop',
  reference: 'INV/2026/001',
  amount: 10_050,
  currency: 'ETB',
  exponent: 2,
  expiresAt: NOW + HOUR,
  customer: { phone: '+251911000000' },
};
const link: ProviderLink = {
  providerLinkId: '4FR010DKRB',
  paymentKey: 'INV/2026/001',
  ids: ['4FR010DKRB', 'INV/2026/001'],
  url: 'https://checkout.beqelal.net/#/payment/link/6a1e',
  expiresAt: NOW + HOUR,
  expiresByItself: true,
  handle: { traceNumber: 'INV/2026/001' },
};
const CREATE = 'POST /api/v1/create/payment-link';
const STATUS = 'GET /api/v1/payment/status/INV%2F2026%2F001';
const DEACTIVATE = 'POST /api/v1/deactivate/payment-link';

/** The documented create answer. */
const made = (changes: object = {}) => ({
  id: link.providerLinkId,
  phone: '+251911000000',
  amount: 100.5,
  item_name: null,
  quantity: null,
  expires_at: '2026-03-01T16:00:00',
  reason: null,
  trace_number: 'INV/2026/001',
  status: 'PROCESSED',
  status_code: 200,
  payment_link: link.url,
  ...changes,
});
/** A payment result as providers.md has it. */
const result = (changes: object = {}) => ({
  id: link.providerLinkId,
  trace_number: 'INV/2026/001',
  status: 'PROCESSED',
  status_code: 200,
  amount: 100.5,
  fee: 1,
  total_amount: 101.5,
  bank_name: 'Kacha DFS',
  phone: '251911000000',
  transaction_id: 'TX1',
  reason: null,
  paid_at: '2026-03-01T14:30:00',
  ...changes,
});
const wrapped = (code: string, message: string, detail: string) => ({
  error: { status: 'FAILED', status_code: code, message, detail },
});

const create = (changes: Partial<Terms> = {}) =>
  beqelal.create(call, { terms: { ...terms, ...changes }, key: 'k', callbackUrl: CALLBACK });
const find = () => beqelal.findByReference!(call, { terms, key: 'k', since: NOW });
const inquire = () => beqelal.inquire!(call, link, { terms, known: {}, ids: [] });
const cancel = () => beqelal.cancel!(call, link, { terms, key: 'k', known: {} });

async function errorOf(doing: Promise<unknown>): Promise<ProviderError> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ProviderError) return error;
  throw new Error(`expected a ProviderError, got ${String(error)}`);
}

describe('options', () => {
  const problems = (changes: object) =>
    beqelal.config.safeParse({ ...options(), ...changes }).error?.issues.map(({ path }) => path.join('.'));

  it('asks nothing of a real account but what is published', () => {
    const { inquiry, cancel, ...bare } = options();
    const config = beqelal.config.parse(bare);
    expect(config).toMatchObject({
      zone: 'Africa/Addis_Ababa',
      traceNumberPrefix: '',
      webhookSignatureHeader: 'X-Webhook-Signature',
      requireSignature: true,
      acceptUnsigned: false,
    });
    expect(beqelal.traits?.(config)).toEqual({
      without: ['inquire', 'findByReference', 'cancel'],
      acceptUnsigned: false,
    });
  });

  it.each<[object, string[]]>([
    [{ inquiry: false }, ['inquire', 'findByReference']],
    [{ cancel: false }, ['cancel']],
    [{}, []],
  ])('%j takes away %j', (changes, without) => {
    expect(beqelal.traits?.(configOf(changes))).toMatchObject({ without });
  });

  it.each<[object, string[]]>([
    [{ baseUrl: 'http://api.example' }, ['baseUrl']],
    [{ appId: undefined }, ['appId']],
    [{ apiKey: 'short' }, ['apiKey']],
    [{ apiKey: 'with a space' }, ['apiKey']],
    [{ zone: 'Africa/Nowhere' }, ['zone']],
    [{ traceNumberPrefix: 'a/b' }, ['traceNumberPrefix']],
    [{ webhookSecrets: ['short'] }, ['webhookSecrets.0']],
    [{ webhookSecrets: [] }, ['webhookSecrets']],
    [{ webhookSecrets: [], requireSignature: false }, undefined as never],
    [{ webhookSecrets: [], requireSignature: false, acceptUnsigned: true }, undefined as never],
    [{ acceptUnsigned: true }, ['acceptUnsigned']],
    [{ acceptUnsigned: true, requireSignature: false }, ['acceptUnsigned']],
    [{ webhookSignatureHeader: 'X Y' }, ['webhookSignatureHeader']],
    [{ colour: 'red' }, ['']],
  ])('%j: %j', (changes, paths) => {
    expect(problems(changes)).toEqual(paths);
  });
});

describe('accepts', () => {
  const problems = (changes: Partial<Terms>, config = call.config) =>
    beqelal.accepts({ ...terms, ...changes }, config, NOW);

  it('takes what is within the limits', () => {
    for (const amount of [100, 100_000_000]) expect(problems({ amount })).toEqual([]);
    for (const phone of ['911000000', '+251911000000']) expect(problems({ customer: { phone } })).toEqual([]);
    for (const expiresAt of [undefined, NOW + 1_000, NOW + 10_000 * HOUR]) expect(problems({ expiresAt })).toEqual([]);
    expect(
      problems({ capture: 'automatic', customer: { name: 'A', email: 'a@b.example', phone: '911000000' } }),
    ).toEqual([]);
    expect(problems({ providerOptions: { item_name: 'Coffee', quantity: '2 Klo' } })).toEqual([]);
    expect(problems({ reference: 'x'.repeat(100) })).toEqual([]);
  });

  it.each<[string, Partial<Terms>, string, string, string]>([
    [
      'no customer',
      { customer: undefined },
      '/customer/phone',
      'invalid_value',
      'is required: Beqelal makes no link without the phone number',
    ],
    [
      'no phone',
      { customer: { name: 'A' } },
      '/customer/phone',
      'invalid_value',
      'is required: Beqelal makes no link without the phone number',
    ],
    [
      'a short phone',
      { customer: { phone: '91100000' } },
      '/customer/phone',
      'invalid_value',
      'must have 9 to 13 characters at Beqelal',
    ],
    [
      'a long phone',
      { customer: { phone: '+2519110000000' } },
      '/customer/phone',
      'invalid_value',
      'must have 9 to 13 characters at Beqelal',
    ],
    [
      'too little',
      { amount: 99 },
      '/amount/minor',
      'invalid_value',
      'must be 100 to 100000000, that is 1 to 1,000,000 ETB',
    ],
    [
      'too much',
      { amount: 100_000_001 },
      '/amount/minor',
      'invalid_value',
      'must be 100 to 100000000, that is 1 to 1,000,000 ETB',
    ],
    ['dollars', { currency: 'USD' }, '/amount/currency', 'not_supported', 'must be ETB, Beqelal has no other'],
    [
      'the past',
      { expiresAt: NOW - 1 },
      '/expiresAt',
      'invalid_value',
      'must be in the future, to the second: at least 2026-03-01T12:00:01.000Z',
    ],
    [
      'this very second',
      { expiresAt: NOW + 999 },
      '/expiresAt',
      'invalid_value',
      'must be in the future, to the second: at least 2026-03-01T12:00:01.000Z',
    ],
    ['a hold', { capture: 'manual' }, '/capture', 'not_supported', 'must be automatic: Beqelal takes money at once'],
    [
      'a return address',
      { redirectUrl: 'https://a.example' },
      '/redirectUrl',
      'not_supported',
      'Beqelal has no return address for a link',
    ],
    [
      'an unknown option',
      { providerOptions: { 'a/b~': 1 } },
      '/providerOptions/a~1b~0',
      'not_supported',
      'is no option of Beqelal: item_name, quantity are',
    ],
    [
      'an option that is no text',
      { providerOptions: { quantity: 2 } },
      '/providerOptions/quantity',
      'invalid_value',
      'must be a text',
    ],
  ])('refuses %s', (_name, changes, pointer, code, message) => {
    expect(problems(changes)).toEqual([{ pointer, code, message }]);
  });

  it('leaves room for the prefix in the trace number', () => {
    const config = configOf({ traceNumberPrefix: 'shop-' });
    expect(problems({ reference: 'x'.repeat(95) }, config)).toEqual([]);
    expect(problems({ reference: 'x'.repeat(96) }, config)).toMatchObject([
      { pointer: '/reference', message: 'must have at most 95 characters on this account' },
    ]);
  });
});

describe('create', () => {
  it('sends exactly what is documented', async () => {
    answers[CREATE] = { body: made() };
    const { created, facts } = await create();
    expect(received.map(({ call: name }) => name)).toEqual([CREATE]);
    expect(received[0]?.headers).toMatchObject({
      'app-id': 'test-app-id',
      'api-key': 'test-api-key',
      'content-type': 'application/json',
    });
    expect(JSON.parse(received[0]?.text ?? '')).toEqual({
      phone: '+251911000000',
      amount: 100.5,
      expires_at: '2026-03-01T16:00:00',
      callback_url: CALLBACK,
      trace_number: 'INV/2026/001',
    });
    expect(created).toEqual(link);
    // PROCESSED is about the request: the link is open, and nothing is paid.
    expect(facts).toEqual({ openings: { '0': { opened: NOW } } });
    expect(statusOf({ terms, facts, operations: [] })).toBe('pending');
  });

  it.each<[number, string]>([
    [100, '"amount":1,'],
    [10_050, '"amount":100.5,'],
    [435, '"amount":4.35,'],
    [107, '"amount":1.07,'],
    [99_999_999, '"amount":999999.99,'],
    [100_000_000, '"amount":1000000,'],
  ])('writes %i santim exactly', async (amount, wire) => {
    answers[CREATE] = { body: made({ amount: amount / 100 }) };
    await create({ amount });
    expect(received[0]?.text).toContain(wire);
  });

  it('fills in the optional fields, the zone and the prefix', async () => {
    call.config = configOf({ zone: 'UTC', traceNumberPrefix: 'shop-' });
    answers[CREATE] = { body: made({ trace_number: 'shop-INV/2026/001' }) };
    const providerOptions = { item_name: 'Coffee', quantity: '2 Klo' };
    const { created } = await create({ description: 'Order 17', providerOptions, expiresAt: NOW + HOUR + 999 });
    expect(JSON.parse(received[0]?.text ?? '')).toMatchObject({
      expires_at: '2026-03-01T13:00:00',
      trace_number: 'shop-INV/2026/001',
      reason: 'Order 17',
      ...providerOptions,
    });
    expect(created).toMatchObject({
      expiresAt: NOW + HOUR,
      ids: [link.providerLinkId, 'shop-INV/2026/001'],
      handle: { traceNumber: 'shop-INV/2026/001' },
    });
  });

  it('is refused, and says what to set, where there is no callback address', async () => {
    const error = await errorOf(beqelal.create(call, { terms, key: 'k' }));
    expect(error).toMatchObject({ kind: 'refused', code: 'callback_required' });
    expect(error.message).toContain('PERDURE_WEBHOOK_URL');
    expect(received).toEqual([]);
  });

  it.each<[string, object]>([
    ['an address that runs code', { payment_link: 'javascript:alert(1)' }],
    ['a plain http address', { payment_link: 'http://pay.example/link' }],
    ['no address', { payment_link: null }],
    ['another trace number', { trace_number: 'INV-2' }],
    ['another amount', { amount: 1.5 }],
    ['an amount nobody can read', { amount: 100.505 }],
    ['no id', { id: undefined }],
  ])('an answer with %s leaves the outcome unknown', async (_name, answer) => {
    answers[CREATE] = { body: made(answer) };
    expect(await errorOf(create())).toMatchObject({ kind: 'unknown' });
  });

  const taken = { status: 400, body: { trace_number: ['This trace number already exists.'] } };

  it('a taken trace number is our own lost link: it is adopted', async () => {
    answers[CREATE] = taken;
    answers[STATUS] = {
      body: result({ status: 'PENDING', transaction_id: null, paid_at: null, payment_link: link.url }),
    };
    const { created, facts } = await create();
    expect(created).toEqual(link);
    expect(facts.latest?.word).toBe('PENDING');
  });

  it.each<[string, { status?: number; body: unknown }]>([
    ['nothing to be found', { status: 404, body: wrapped('404', 'TRANSACTION_NOT_FOUND', 'Transaction not found.') }],
    ['another amount', { body: result({ status: 'PENDING', amount: 7, payment_link: link.url }) }],
    ['no address', { body: result({ status: 'PENDING' }) }],
    ['an address that runs code', { body: result({ payment_link: 'javascript:alert(1)' }) }],
    ['no right to look', { status: 401, body: {} }],
    ['another trace number', { body: result({ trace_number: 'INV-2' }) }],
  ])('a taken trace number and %s leaves the outcome unknown', async (_name, answer) => {
    answers[CREATE] = taken;
    answers[STATUS] = answer;
    expect(await errorOf(create())).toMatchObject({ kind: 'unknown' });
  });

  it('a taken trace number leaves the outcome unknown where nobody can look', async () => {
    call.config = configOf({ inquiry: false });
    answers[CREATE] = taken;
    const error = await errorOf(create());
    expect(error).toMatchObject({ kind: 'unknown', code: 'ambiguous_create' });
    expect(error.message).toContain('This trace number already exists.');
    expect(received).toHaveLength(1);
  });
});

describe('errors', () => {
  const blank = { phone: ['This field may not be blank.'], amount: ['A valid number is required.'] };
  it.each<[number, unknown, ProviderError['kind'], string, string]>([
    [
      479,
      wrapped('479', 'UNAUTHORIZED_IP_ACCESS', 'Unauthorized IP address access.'),
      'unauthorized',
      'address_not_listed',
      'add the public address of this machine to the list',
    ],
    [
      400,
      wrapped('479', 'UNAUTHORIZED_IP_ACCESS', 'Unauthorized IP address access.'),
      'unauthorized',
      'address_not_listed',
      'add the public address of this machine to the list',
    ],
    [
      401,
      wrapped('401', 'INVALID_CREDENTIALS', 'Invalid app-id or api-key.'),
      'unauthorized',
      'invalid_credentials',
      'check appId and apiKey',
    ],
    [403, {}, 'unauthorized', 'invalid_credentials', 'check appId and apiKey'],
    [
      400,
      wrapped('423', 'INVALID_PIN', 'Wrong PIN, please try again.'),
      'refused',
      'invalid_pin',
      'INVALID_PIN: Wrong PIN, please try again.',
    ],
    [200, wrapped('423', 'INVALID_PIN', 'Wrong PIN, please try again.'), 'refused', 'invalid_pin', 'Wrong PIN'],
    [
      404,
      wrapped('404', 'LINK_NOT_FOUND', 'Payment link not found.'),
      'not_found',
      'not_found',
      'Payment link not found.',
    ],
    [
      404,
      wrapped('404', 'TRANSACTION_NOT_FOUND', 'Transaction not found.'),
      'not_found',
      'not_found',
      'Transaction not found.',
    ],
    [
      400,
      wrapped('400', 'LINK_ALREADY_PAID', 'Payment link is already paid.'),
      'refused',
      'link_already_paid',
      'already paid',
    ],
    [
      400,
      blank,
      'refused',
      'invalid_request',
      'phone: This field may not be blank.; amount: A valid number is required.',
    ],
    [400, { trace_number: ['This field may not be blank.'] }, 'refused', 'invalid_request', 'trace_number: This field'],
    [404, { detail: 'Not found.' }, 'refused', 'http_404', 'answered 404'],
    [400, {}, 'refused', 'http_400', 'answered 400'],
    [429, {}, 'rate_limited', 'rate_limited', 'answered 429'],
    [500, wrapped('500', 'SERVICE_ERROR', 'Down.'), 'unknown', 'http_500', 'answered 500'],
    [200, { ok: true }, 'unknown', 'unreadable_answer', 'unknown shape'],
    [200, [], 'unknown', 'unreadable_answer', 'unknown shape'],
  ])('%i %j is %s, %s', async (status, body, kind, code, message) => {
    for (const [name, act] of [
      [CREATE, create],
      [STATUS, inquire],
      [DEACTIVATE, cancel],
    ] as const) {
      received = [];
      answers[name] = { status, body };
      const error = await errorOf(act());
      expect(error).toMatchObject({ kind, code });
      expect(error.message).toContain(message);
      expect(received, name).toHaveLength(1);
    }
  });

  it('no secret and no phone number gets into a message, whatever comes back', async () => {
    answers[CREATE] = {
      status: 500,
      type: 'text/html',
      body: `<h1>test-app-id test-api-key +251911000000 ${CALLBACK}</h1>`,
    };
    const { message } = await errorOf(create());
    for (const canary of ['test-app-id', 'test-api-key', '911000000', 'token-of-this-link']) {
      expect(message).not.toContain(canary);
    }
  });
});

describe('every word', () => {
  const unpaid = { transaction_id: null, paid_at: null, bank_name: null };
  it.each<[string, object, string, number, object]>([
    ['PROCESSED', {}, 'paid', 10_050, {}],
    ['Processed', {}, 'paid', 10_050, {}],
    ['PROCESSED', { amount: '100.50' }, 'paid', 10_050, {}],
    ['PROCESSED', unpaid, 'pending', 0, { unknownWords: { 'PROCESSED without a transaction': NOW } }],
    ['FAILED', unpaid, 'pending', 0, {}],
    ['FAILED', {}, 'pending', 0, {}],
    ['PENDING', unpaid, 'pending', 0, {}],
    ['INITIATED', unpaid, 'pending', 0, { latest: { inFlight: true } }],
    ['EXPIRED', unpaid, 'expired', 0, { openings: { '0': { expired: NOW } } }],
    ['DEACTIVATED', unpaid, 'cancelled', 0, { openings: { '0': { disabled: NOW } } }],
    ['CANCELLED', unpaid, 'cancelled', 0, { openings: { '0': { cancelled: NOW } } }],
    ['canceled', unpaid, 'cancelled', 0, {}],
    ['On hold', {}, 'pending', 0, { unknownWords: { ON_HOLD: NOW } }],
  ])('%s %j reads %s', async (status, changes, reads, captured, more) => {
    answers[STATUS] = { body: result({ status, ...changes }) };
    const { facts } = await inquire();
    expect(statusOf({ terms, facts, operations: [] })).toBe(reads);
    expect(sums(facts, 'ETB')).toMatchObject({ authorized: captured, captured, refunded: 0, held: 0 });
    expect(facts).toMatchObject(more);
    expect(facts.openings?.['0']?.opened).toBe(NOW);
    expect(facts.latest?.totals).toEqual(captured ? { ETB: { authorized: captured, captured } } : {});
  });

  it('every word is in the published table, and the trap with it', () => {
    const words = ['PROCESSED', 'FAILED', 'PENDING', 'INITIATED', 'EXPIRED', 'DEACTIVATED', 'CANCELLED'];
    expect(Object.keys(beqelal.statuses).sort()).toEqual(['create PROCESSED', ...words].sort());
  });

  it.each<[string, object, number]>([
    ['in the zone, to the end of its second', {}, Date.parse('2026-03-01T11:30:00.999Z')],
    ['never later than now', { paid_at: '2026-03-01T15:00:00' }, NOW],
    ['as now where it says nothing', { paid_at: null }, NOW],
    ['as now where it cannot be read', { paid_at: 'yesterday' }, NOW],
  ])('reads when it was paid %s', async (_name, changes, seenAt) => {
    answers[STATUS] = { body: result(changes) };
    expect((await inquire()).facts.payments?.['INV/2026/001']?.ETB?.seenAt).toBe(seenAt);
  });

  it.each<[string, object, string]>([
    ['another link', { id: 'ANOTHER' }, 'answer_mismatch'],
    ['another trace number', { trace_number: 'INV-2' }, 'answer_mismatch'],
    ['an amount finer than a santim', { amount: 100.505 }, 'unreadable_amount'],
    ['no amount', { amount: null }, 'unreadable_amount'],
  ])('facts with %s are refused', async (_name, changes, code) => {
    answers[STATUS] = { body: result(changes) };
    expect(await errorOf(inquire())).toMatchObject({ kind: 'unknown', code });
  });

  it('deactivation closes the link, and only by a word that does', async () => {
    answers[DEACTIVATE] = { body: { id: link.providerLinkId, status: 'DEACTIVATED', status_code: 200 } };
    const { facts } = await cancel();
    expect(JSON.parse(received[0]?.text ?? '')).toEqual({ id: link.providerLinkId });
    expect(facts).toEqual({ openings: { '0': { disabled: NOW } } });
    for (const change of [{ id: 'ANOTHER' }, { status: 'PROCESSED' }, { status: 'OK' }]) {
      answers[DEACTIVATE] = { body: { id: link.providerLinkId, status: 'DEACTIVATED', ...change } };
      expect(await errorOf(cancel())).toMatchObject({ kind: 'unknown', code: 'answer_mismatch' });
    }
  });

  it('findByReference finds nothing only where Beqelal says so', async () => {
    answers[STATUS] = { status: 404, body: wrapped('404', 'TRANSACTION_NOT_FOUND', 'Transaction not found.') };
    expect(await find()).toBeUndefined();
    answers[STATUS] = { status: 404, body: '<h1>Not found</h1>', type: 'text/html' };
    expect(await errorOf(find())).toMatchObject({ kind: 'refused', code: 'http_404' });
    answers[STATUS] = { body: result({ amount: 50, payment_link: link.url }) };
    const found = await find();
    // Paid less than was asked: the link is ours all the same.
    expect([found?.created, sums(found?.facts ?? {}, 'ETB').captured]).toEqual([link, 5_000]);
  });
});

describe('webhook', () => {
  const body = Buffer.from(JSON.stringify(result()));
  const sign = (key: string, bytes: Uint8Array = body, algorithm = 'sha256') =>
    createHmac(algorithm, key).update(bytes).digest('hex');
  const request = (bytes: Uint8Array, headers: Record<string, string | undefined> = {}) => ({
    body: bytes,
    headers,
    query: new URLSearchParams(),
  });
  const verify = (
    signature: string | undefined,
    secrets = [SECRET],
    config = call.config,
    header = 'x-webhook-signature',
  ) => beqelal.webhook?.verify(request(body, { [header]: signature }), config, secrets, NOW);
  const read = (fields: unknown, config = call.config) =>
    beqelal.webhook?.read(request(Buffer.from(JSON.stringify(fields))), config, NOW);

  it('takes the old and the new secret, another header, another algorithm', () => {
    expect(verify(sign(SECRET))).toBe('signed');
    expect(verify(sign('webhook-secret-0000'), [SECRET, 'webhook-secret-0000'])).toBe('signed');
    expect(verify(sign(SECRET), [SECRET], configOf({ webhookSignatureHeader: 'X-Other' }), 'x-other')).toBe('signed');
    expect(verify(sign(SECRET, body, 'sha512'), [SECRET], configOf({ webhookAlgorithm: 'sha512' }))).toBe('signed');
  });

  it.each<[string, string | undefined, string[]]>([
    ['no signature', undefined, [SECRET]],
    ['another secret', sign('somebody-elses-key'), [SECRET]],
    ['an empty secret on both sides', sign(''), ['']],
    ['no secret', sign(SECRET), []],
    ['a digest cut short', sign(SECRET).slice(0, 62), [SECRET]],
    ['two signatures', `${sign(SECRET)}, ${sign(SECRET)}`, [SECRET]],
    ['another body', sign(SECRET, Buffer.from('{}')), [SECRET]],
  ])('refuses %s', (_name, signature, secrets) => {
    expect(() => verify(signature, secrets)).toThrow(NotAuthentic);
  });

  it('hears unsigned news only of an account that has no secret and says so', () => {
    const lenient = configOf({ webhookSecrets: [], requireSignature: false });
    expect(verify(undefined, [], lenient)).toBe('unsigned');
    expect(verify(sign(SECRET), [SECRET], lenient)).toBe('signed');
    expect(() => verify(undefined, [SECRET], lenient)).toThrow(NotAuthentic);
    expect(beqelal.traits?.(lenient)).toMatchObject({ acceptUnsigned: false });
    const trusting = configOf({ webhookSecrets: [], requireSignature: false, acceptUnsigned: true });
    expect(beqelal.traits?.(trusting)).toMatchObject({ acceptUnsigned: true });
  });

  it('names the link by our reference, its id and its trace number, and is evidence', () => {
    const seenAt = Date.parse('2026-03-01T11:30:00.999Z');
    const totals = { authorized: 10_050, captured: 10_050, refunded: 0, voided: 0, seenAt };
    expect(read(result())).toEqual({
      reference: 'INV/2026/001',
      ids: [link.providerLinkId, 'INV/2026/001'],
      facts: { payments: { 'INV/2026/001': { ETB: totals } } },
    });
  });

  it.each<[string, object, object]>([
    ['a failed attempt', { status: 'FAILED', transaction_id: null }, {}],
    ['a create answer in a webhook’s clothes', made(), { unknownWords: { 'PROCESSED without a transaction': NOW } }],
    ['the end of time', { status: 'EXPIRED' }, { openings: { '0': { expired: NOW } } }],
    ['deactivation', { status: 'DEACTIVATED' }, { openings: { '0': { disabled: NOW } } }],
    ['an unknown word', { status: 'Settled' }, { unknownWords: { SETTLED: NOW } }],
  ])('%s moves no money', (_name, changes, facts) => {
    const base = 'payment_link' in changes ? {} : result();
    expect(read({ ...base, ...changes })?.facts).toEqual(facts);
  });

  it('takes the prefix off, and does not take another sale for ours', () => {
    const config = configOf({ traceNumberPrefix: 'shop-' });
    expect(read(result({ trace_number: 'shop-INV-1' }), config)).toMatchObject({
      reference: 'INV-1',
      ids: [link.providerLinkId, 'shop-INV-1'],
      facts: { payments: { 'shop-INV-1': {} } },
    });
    expect(read(result({ trace_number: 'INV-1' }), config)?.reference).toBeUndefined();
  });

  it.each<[string, object, string[]]>([
    ['no trace number', { trace_number: undefined }, [link.providerLinkId]],
    ['no id', { id: undefined }, ['INV/2026/001']],
    ['ids of another type', { id: { $ne: 1 }, trace_number: ['x'] }, []],
    ['no status', { status: undefined }, [link.providerLinkId, 'INV/2026/001']],
  ])('with %s is a hint, no evidence', (_name, changes, ids) => {
    const news = read(result(changes));
    expect([news?.ids, news?.facts]).toEqual([ids, undefined]);
  });

  it.each(['', 'not json', '[]', 'null', '"text"'])('cannot read %j', (text) => {
    expect(() => beqelal.webhook?.read(request(Buffer.from(text)), call.config, NOW)).toThrow(Error);
  });

  it('cannot read broken UTF-8, nor money that is no amount', () => {
    const broken = Buffer.from([0x7b, 0xff, 0xfe]);
    expect(() => beqelal.webhook?.read(request(broken), call.config, NOW)).toThrow(Error);
    expect(() => read(result({ amount: null }))).toThrow(Error);
  });
});
