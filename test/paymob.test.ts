import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AccountsError, readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { type Call, NotAuthentic, ProviderError, type ProviderLink } from '../activities/provider.ts';
import { paymob } from '../activities/providers/paymob.ts';
import { exceptionsOf } from '../workflows/exceptions.ts';
import { type Facts, join, sums } from '../workflows/facts.ts';
import { statusOf, type Terms } from '../workflows/link.ts';

/** The adapter against scripted answers: wire texts, every test of the status table, every odd answer. */
const MINUTE = 60_000;
const NOW = Date.parse('2026-03-01T12:00:00Z');
const KEY = 'payment-link/INV/2026/001:create:0123456789abcdef';

interface Received {
  call: string;
  authorization?: string;
  body: string;
  json: () => Record<string, unknown>;
  fields: () => Promise<[string, unknown][]>;
}

interface Scripted {
  status?: number;
  body: unknown;
  headers?: Record<string, string>;
}

const TOKENS = 'POST /api/auth/tokens';
const CREATE = 'POST /api/ecommerce/payment-links';
const CANCEL = 'POST /api/ecommerce/payment-links/cancel';
const INQUIRE = 'POST /api/ecommerce/orders/transaction_inquiry';
const CAPTURE = 'POST /api/acceptance/capture';
const VOID = 'POST /api/acceptance/void_refund/void';
const REFUND = 'POST /api/acceptance/void_refund/refund';
const READ = (id: number) => `GET /api/acceptance/transactions/${id}`;

let received: Received[] = [];
/** One answer, or several in turn; the last one stays. */
let answers: Record<string, Scripted | Scripted[]> = {};
let call: Call<never>;
let clock = NOW;
let accounts = 0;
let base = '';
let close: () => void;

beforeAll(async () => {
  const server = createServer(async (request, response) => {
    const body = await textOf(request);
    const name = `${request.method} ${request.url}`;
    const { authorization, 'content-type': type = '' } = request.headers;
    received.push({
      call: name,
      authorization,
      body,
      json: () => JSON.parse(body),
      fields: async () => {
        const form = await new Response(Buffer.from(body, 'latin1'), { headers: { 'content-type': type } }).formData();
        return [...(form as unknown as Iterable<[string, unknown]>)];
      },
    });
    const scripted = answers[name];
    const found = Array.isArray(scripted) ? (scripted.length > 1 ? scripted.shift() : scripted[0]) : scripted;
    const { status = 200, body: answer, headers } = found ?? { status: 400, body: { message: `no script: ${name}` } };
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => server.close();
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => close());
beforeEach(() => {
  received = [];
  clock = NOW;
  // A credential of its own for each test: tokens are kept for as long as the process lives.
  call = callOf();
  answers = { [TOKENS]: { status: 201, body: { token: 'token-number-one', profile: { id: 106 } } } };
});

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

const OPTIONS = {
  secretKey: 'egy_sk_test_0123456789',
  webhookSecrets: ['paymob_test_hmac_secret'],
  integrations: [
    { id: 11, currency: 'EGP' },
    { id: 12, currency: 'EGP' },
    { id: 13, currency: 'EGP', holds: true },
    { id: 21, currency: 'OMR', holds: true },
    { id: 31, currency: 'JPY' },
  ],
};

function callOf(changes: object = {}): Call<never> {
  const options = { baseUrl: base, apiKey: `api-key-of-account-${++accounts}`, ...OPTIONS, ...changes };
  const account = readAccounts({ shop: { provider: 'paymob', options } }).get('shop');
  return { config: account?.config as never, http: createHttp(), now: () => clock };
}

const terms: Terms = {
  account: 'shop',
  reference: 'INV/2026/001',
  amount: 10_000,
  currency: 'EGP',
  exponent: 2,
  expiresAt: NOW + 60 * MINUTE,
};
const link: ProviderLink = {
  providerLinkId: '580010',
  ids: ['580010', 'order:4242'],
  url: 'https://accept.paymob.com/api/ecommerce/payment-links/unrestricted?token=t',
  expiresAt: NOW + 60 * MINUTE,
  expiresByItself: true,
  handle: { order: '4242' },
};

const linkAnswer = (changes: object = {}) => ({
  body: {
    id: 580010,
    currency: 'EGP',
    reference_id: terms.reference,
    amount_cents: 10_000,
    client_url: link.url,
    shorten_url: 'https://paymob.link/x',
    state: 'created',
    expires_at: '2026-03-01T15:00:00',
    order: 4242,
    ...changes,
  },
});

/** A transaction as the document prints it; what is left out is read as no. */
const transaction = (changes: object = {}) => ({
  id: 777,
  pending: false,
  success: true,
  amount_cents: 10_000,
  currency: 'EGP',
  is_auth: false,
  is_capture: false,
  is_captured: false,
  captured_amount: 0,
  is_voided: false,
  is_void: false,
  is_refunded: false,
  is_refund: false,
  refunded_amount_cents: 0,
  has_parent_transaction: false,
  parent_transaction: null,
  created_at: '2026-03-01T13:59:00.123456',
  order: { id: 4242, paid_amount_cents: 0, currency: 'EGP', is_cancel: false, is_canceled: false },
  ...changes,
});
const child = (changes: object) =>
  transaction({ id: 778, has_parent_transaction: true, parent_transaction: 777, ...changes });
const order = (changes: object) => ({ order: { ...transaction().order, ...changes } });

const NOT_FOUND = { status: 404, body: { detail: 'Not found.' } };
const no = (status: number, body: object) => ({ status, body });

async function errorOf(doing: Promise<unknown> | undefined): Promise<ProviderError> {
  const error = await doing?.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ProviderError) return error;
  throw new Error(`expected a ProviderError, got ${String(error)}`);
}

const create = (changes: Partial<Terms> = {}, callbackUrl?: string, by = call) =>
  paymob.create(by, { terms: { ...terms, ...changes }, key: KEY, callbackUrl });
const inquire = async (known: Facts = {}, ids: string[] = []) => {
  const answer = await paymob.inquire?.(call, link, { terms, known, ids });
  return answer?.facts ?? {};
};
const calls = () => received.map((request) => request.call).filter((name) => name !== TOKENS);
const opened: Facts = { openings: { '0': { opened: NOW } } };
const matter = (facts: Facts) => ({ terms, facts: join(opened, facts), operations: [] });
const hold: Facts = {
  payments: { '777': { EGP: { authorized: 10_000, captured: 0, refunded: 0, voided: 0, seenAt: NOW } } },
};
const sale: Facts = {
  payments: { '777': { EGP: { authorized: 10_000, captured: 10_000, refunded: 0, voided: 0, seenAt: NOW } } },
};

describe('account options', () => {
  it.each<[string, object, string]>([
    ['a live key for test links', { secretKey: 'egy_sk_live_0123456789' }, '.options.live: must be true'],
    ['a test key for live links', { live: true }, '.options.live: must be true'],
    ['no integration', { integrations: [] }, '.options.integrations'],
    ['a currency nobody has', { integrations: [{ id: 1, currency: 'EGX' }] }, '.options.integrations.0.currency'],
    ['no HMAC secret', { webhookSecrets: [] }, '.options.webhookSecrets'],
    ['a zone nobody has', { zone: 'Africa/Atlantis' }, '.options.zone'],
    ['plain http', { baseUrl: 'http://accept.paymob.com' }, '.options.baseUrl'],
  ])('refuses %s', (_name, changes, told) => {
    expect(() => callOf(changes)).toThrow(AccountsError);
    expect(() => callOf(changes)).toThrow(told);
  });
});

describe('accepts', () => {
  const problems = (changes: Partial<Terms>) =>
    paymob.accepts({ ...terms, ...changes }, call.config, NOW).map(({ pointer, code }) => `${pointer} ${code}`);
  const png = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(100)]);
  const picture = (type: string, data: string | Buffer) => ({
    providerOptions: { payment_link_image: { type, data: data.toString('base64') } },
  });

  it.each<[string, Partial<Terms>]>([
    ['no expiry', { expiresAt: undefined }],
    ['a minute', { expiresAt: NOW + MINUTE }],
    ['a way of capturing', { capture: 'automatic' }],
    ['the other', { capture: 'manual' }],
    ['a currency that is only held', { currency: 'OMR', exponent: 3, capture: 'automatic' }],
    ['a picture', picture('PNG', png)],
    ['a photograph', picture('JPG', Buffer.from('ffd8ffe000104a464946', 'hex'))],
  ])('takes %s', (_name, changes) => {
    expect(problems(changes)).toEqual([]);
  });

  it.each<[string, Partial<Terms>, string]>([
    ['less than a minute', { expiresAt: NOW + MINUTE - 1 }, '/expiresAt invalid_value'],
    ['a currency without integration', { currency: 'AED' }, '/amount/currency not_supported'],
    ['a hold where all is taken', { currency: 'JPY', exponent: 0, capture: 'manual' }, '/capture not_supported'],
    ['an unknown option', { providerOptions: { 'a/b~c': 1 } }, '/providerOptions/a~1b~0c not_supported'],
    ['a picture of another type', picture('JPG', png), '/providerOptions/payment_link_image/data invalid_value'],
    ['a type of its own', picture('GIF', png), '/providerOptions/payment_link_image/type invalid_value'],
    [
      'a picture that is too large',
      picture('PNG', Buffer.concat([png, Buffer.alloc(128 * 1024)])),
      '/providerOptions/payment_link_image/data invalid_value',
    ],
    [
      'what is not base64',
      { providerOptions: { payment_link_image: { type: 'PNG', data: '%%%' } } },
      '/providerOptions/payment_link_image/data invalid_value',
    ],
  ])('refuses %s', (_name, changes, problem) => {
    expect(problems(changes)).toContain(problem);
  });
});

describe('create', () => {
  it('sends exactly what is documented, every value as text', async () => {
    answers[CREATE] = linkAnswer();
    const { created, facts } = await create(
      {
        expiresAt: NOW + 60 * MINUTE + 999,
        description: 'Two lanterns & a lamp',
        customer: { name: 'Ada', email: 'ada@example.com', phone: '+201012345678' },
        redirectUrl: 'https://shop.example/thanks',
      },
      'https://hooks.example/webhooks/shop/SU5W?t=token',
    );
    const [token, request] = received;
    expect(token?.json()).toEqual({ api_key: expect.stringMatching(/^api-key-of-account-/) });
    expect(request?.authorization).toBe('Bearer token-number-one');
    expect(await request?.fields()).toEqual([
      ['amount_cents', '10000'],
      ['payment_methods', '11'],
      ['payment_methods', '12'],
      ['is_live', 'false'],
      ['reference_id', 'INV/2026/001'],
      ['expires_at', '2026-03-01T15:00:00'],
      ['full_name', 'Ada'],
      ['email', 'ada@example.com'],
      ['phone_number', '+201012345678'],
      ['description', 'Two lanterns & a lamp'],
      ['notification_url', 'https://hooks.example/webhooks/shop/SU5W?t=token'],
      ['redirection_url', 'https://shop.example/thanks'],
    ]);
    expect(created).toEqual(link);
    expect(facts).toEqual({
      openings: { '0': { opened: NOW } },
      latest: { at: NOW, hash: expect.stringMatching(/^[0-9a-f]{32}$/), word: 'CREATED', totals: {} },
    });
  });

  it.each<[string, number, number, Terms['capture'], string[], string]>([
    ['EGP', 1, 2, undefined, ['11', '12'], '1'],
    ['EGP', 10_050, 2, 'manual', ['13'], '10050'],
    ['OMR', 1_234, 3, 'manual', ['21'], '1234'],
    ['OMR', 1_234, 3, 'automatic', ['21'], '1234'],
    ['JPY', 500, 0, 'automatic', ['31'], '500'],
    ['EGP', Number.MAX_SAFE_INTEGER, 2, 'automatic', ['11', '12'], '9007199254740991'],
  ])(
    '%s %i (%i decimals, %s) goes to integrations %j as %s',
    async (currency, amount, exponent, capture, ids, wire) => {
      answers[CREATE] = linkAnswer({ currency, amount_cents: amount });
      await create({ currency, amount, exponent, capture });
      const fields = (await received.at(-1)?.fields()) ?? [];
      expect(fields.filter(([name]) => name === 'payment_methods').map(([, value]) => value)).toEqual(ids);
      expect(fields.find(([name]) => name === 'amount_cents')?.[1]).toBe(wire);
    },
  );

  it('says live where the account is', async () => {
    const live = callOf({ live: true, secretKey: 'egy_sk_live_0123456789' });
    answers[CREATE] = linkAnswer();
    await create({}, undefined, live);
    expect(await received.at(-1)?.fields()).toContainEqual(['is_live', 'true']);
  });

  it('sends a picture as a file', async () => {
    const bytes = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.from([0, 1, 254, 255])]);
    answers[CREATE] = linkAnswer();
    await create({ providerOptions: { payment_link_image: { type: 'PNG', data: bytes.toString('base64') } } });
    const [, file] = (await received.at(-1)?.fields())?.find(([name]) => name === 'payment_link_image') ?? [];
    if (!(file instanceof File)) throw new Error('no file was sent');
    expect([file.name, file.type]).toEqual(['image.png', 'image/png']);
    expect(Buffer.from(await file.arrayBuffer())).toEqual(bytes);
  });

  it.each<[string, object, Partial<ProviderLink>]>([
    ['no client_url', { client_url: null }, { url: 'https://paymob.link/x' }],
    ['no currency', { currency: null }, {}],
    ['a currency in small letters', { currency: 'egp' }, {}],
    ['numbers as text', { id: '580010', order: '4242', amount_cents: '10000' }, {}],
    ['an earlier end', { expires_at: '2026-03-01T14:30:00.123' }, { expiresAt: NOW + 30 * MINUTE }],
    ['an end with an offset', { expires_at: '2026-03-01T13:00:00+00:00' }, {}],
    ['no end', { expires_at: null }, { expiresByItself: false }],
    ['a later end', { expires_at: '2026-03-01T16:00:00' }, { expiresByItself: false }],
    ['an end in the past', { expires_at: '2026-03-01T12:00:00' }, { expiresByItself: false }],
    ['an end nobody can read', { expires_at: 'tomorrow' }, { expiresByItself: false }],
  ])('an answer with %s', async (_name, changes, expected) => {
    answers[CREATE] = linkAnswer(changes);
    expect((await create()).created).toEqual({ ...link, ...expected });
  });

  it.each<[string, string]>([
    ['active', 'pending'],
    ['Cancelled', 'cancelled'],
    ['canceled', 'cancelled'],
    ['expired', 'expired'],
    ['paid', 'pending'],
    ['dreaming', 'pending'],
  ])('state %s reads %s', async (state, status) => {
    answers[CREATE] = linkAnswer({ state });
    const { facts } = await create();
    expect(statusOf(matter(facts))).toBe(status);
    expect(Object.keys(facts.unknownWords ?? {})).toEqual(state === 'dreaming' ? ['link DREAMING'] : []);
  });

  it.each<[string, object]>([
    ['an address that runs code', { client_url: 'javascript:alert(1)', shorten_url: null }],
    ['a plain http address', { client_url: 'http://pay.example/x', shorten_url: '' }],
    ['another reference', { reference_id: 'INV-2' }],
    ['another amount', { amount_cents: 1_000_000 }],
    ['an amount in major units', { amount_cents: 100.5 }],
    ['no order', { order: null }],
    ['no id', { id: undefined }],
    ['an id that lost digits in JSON', { id: 1.7e18 }],
  ])('an answer with %s leaves the outcome unknown', async (_name, changes) => {
    answers[CREATE] = linkAnswer(changes);
    expect(await errorOf(create())).toMatchObject({ kind: 'unknown' });
  });

  it('a link in another currency is cancelled at once, and then there is none', async () => {
    answers[CREATE] = linkAnswer({ currency: 'USD' });
    answers[CANCEL] = { body: { success: true, message: 'Canceled by merchant', payment_link_id: 580010 } };
    expect(await errorOf(create())).toMatchObject({ kind: 'refused', code: 'currency_mismatch' });
    expect(await received.at(-1)?.fields()).toEqual([['payment_link_id', '580010']]);
  });

  it('a link in another currency that cannot be cancelled stays unknown', async () => {
    answers[CREATE] = linkAnswer({ currency: 'USD' });
    answers[CANCEL] = { status: 500, body: {} };
    expect(await errorOf(create())).toMatchObject({ kind: 'unknown' });
  });

  const DUPLICATE = no(400, { message: 'Reference ID already exists.' });

  it('a reference that is taken is a plain no', async () => {
    answers[CREATE] = DUPLICATE;
    expect(await errorOf(create())).toMatchObject({ kind: 'refused', code: 'duplicate_reference' });
    // A no is an answer: it does not make the next one ambiguous.
    expect(await errorOf(create())).toMatchObject({ kind: 'refused', code: 'duplicate_reference' });
  });

  it('a reference that is taken after a lost answer may be ours, whichever process asks again: nobody can say', async () => {
    answers[CREATE] = [{ status: 502, body: {} }, DUPLICATE];
    expect(await errorOf(create())).toMatchObject({ kind: 'unknown', code: 'http_502' });
    const again = paymob.create(callOf(), { terms, key: KEY, again: true });
    expect(await errorOf(again)).toMatchObject({ kind: 'unknown', code: 'ambiguous_create' });
  });
});

describe('the auth token', () => {
  beforeEach(() => {
    answers[CREATE] = linkAnswer();
    answers[INQUIRE] = NOT_FOUND;
  });
  const fetched = () => received.filter((request) => request.call === TOKENS).length;
  const EXPIRED = no(401, { detail: 'incorrect credentials' });
  const named = (name: string) => ({ body: { token: name, profile: { id: 1 } } });

  it('is fetched once for everybody who waits for it', async () => {
    await Promise.all(Array.from({ length: 20 }, () => inquire()));
    expect(fetched()).toBe(1);
    expect(received.at(-1)?.json()).toEqual({ auth_token: 'token-number-one', order_id: '4242' });
  });

  it('is another for another key, and another for another region', async () => {
    await inquire();
    call = { ...callOf(), http: call.http };
    await inquire();
    expect(fetched()).toBe(2);
  });

  it('is fetched anew after 50 minutes', async () => {
    await inquire();
    clock = NOW + 50 * MINUTE - 1;
    await inquire();
    expect(fetched()).toBe(1);
    clock = NOW + 50 * MINUTE;
    await inquire();
    expect(fetched()).toBe(2);
  });

  it('is fetched anew once after a 401, by one for all, and the call is made again', async () => {
    answers[TOKENS] = [named('first-token'), named('second-token')];
    await inquire();
    answers[INQUIRE] = [EXPIRED, EXPIRED, EXPIRED, NOT_FOUND];
    await Promise.all([inquire(), inquire(), inquire()]);
    expect(fetched()).toBe(2);
    const sent = received.filter((request) => request.call === INQUIRE).map(({ authorization }) => authorization);
    expect(sent.filter((header) => header === 'Bearer second-token')).toHaveLength(3);
  });

  it('that is refused again is for an operator', async () => {
    answers[CREATE] = EXPIRED;
    const error = await errorOf(create());
    expect(error).toMatchObject({ kind: 'unauthorized', code: 'incorrect_credentials' });
    expect(error.message).toContain('apiKey');
    expect([fetched(), calls().length]).toEqual([2, 2]);
  });

  it.each<[string, Scripted, ProviderError['kind'], string]>([
    ['wrong key', EXPIRED, 'unauthorized', 'incorrect_credentials'],
    ['a no', no(400, { message: 'api_key - wrong' }), 'unauthorized', 'token_refused'],
    ['an outage', no(503, {}), 'not_sent', 'http_503'],
    ['a limit', { ...no(429, {}), headers: { 'retry-after': '7' } }, 'rate_limited', 'rate_limited'],
    ['an answer without a token', { body: { profile: {} } }, 'not_sent', 'unreadable_answer'],
    [
      'an answer that cannot be read',
      { body: '{"token":"canary-token-1234"}', headers: { 'content-type': 'text/html' } },
      'not_sent',
      'wrong_content_type',
    ],
  ])('%s: the call was not sent', async (_name, answer, kind, code) => {
    answers[TOKENS] = answer;
    const error = await errorOf(create());
    expect(error).toMatchObject({ kind, code });
    expect(error.message).not.toContain('canary');
    expect(calls()).toEqual([]);
    // What failed is not kept.
    answers[TOKENS] = named('good-token');
    await create();
  });

  it('and no other secret stands in a message', async () => {
    const { apiKey, secretKey } = call.config as { apiKey: string; secretKey: string };
    answers[INQUIRE] = no(400, { message: `auth_token token-number-one and ${apiKey} are odd` });
    answers[REFUND] = no(400, { message: `Token ${secretKey} is odd` });
    const read = await errorOf(inquire());
    const refund = await errorOf(paymob.refund?.(call, link, { terms, key: 'k', amount: 1, known: sale }));
    const said = `${read.message}\n${refund.message}`;
    expect(said).toContain('is odd');
    for (const secret of ['token-number-one', apiKey, secretKey]) expect(said).not.toContain(secret);
  });
});

describe('errors', () => {
  const integration =
    'Integration ID/Name does not exist in our system . You can find the list of Integration ID’/Names from Merchant Dashboard under Developers → Payment Integrations Tab';
  const past = "expires_at - expires_at can't be in the past.";
  it.each<[string, number, object, ProviderError['kind'], string]>([
    ['duplicate reference', 400, { message: 'Reference ID already exists.' }, 'refused', 'duplicate_reference'],
    ['past expiry', 400, { message: past, errors: { expires_at: [past] } }, 'refused', 'expiry_in_past'],
    ['unknown integration', 404, { detail: integration }, 'refused', 'integration_not_found'],
    ['another field', 400, { message: 'email - wrong', errors: { email: ['wrong'] } }, 'refused', 'invalid_request'],
    ['nothing said', 418, {}, 'refused', 'http_418'],
    ['no JSON', 413, 'too large' as never, 'refused', 'http_413'],
    ['address not allowed', 403, { detail: 'no' }, 'unauthorized', 'http_403'],
    ['outage', 500, {}, 'unknown', 'http_500'],
  ])('create: %s', async (_name, status, body, kind, code) => {
    answers[CREATE] = no(status, body);
    expect(await errorOf(create())).toMatchObject({ kind, code });
  });

  it.each<[string, number, object, ProviderError['kind'], string]>([
    [
      'too much',
      400,
      {
        message:
          'Requested Refund Amount is greater than the maximum refund amount permissible. Maximum Refund Amount is EGP 100.0',
      },
      'refused',
      'amount_out_of_range',
    ],
    ['all refunded', 400, { message: 'Full Amount has been already refunded' }, 'refused', 'already_refunded'],
    ['unknown transaction', 422, { message: 'Transaction ID does not exist in our system.' }, 'not_found', 'not_found'],
    ['wrong key', 401, { detail: 'incorrect credentials' }, 'unauthorized', 'incorrect_credentials'],
  ])('refund: %s', async (_name, status, body, kind, code) => {
    answers[REFUND] = no(status, body);
    answers[INQUIRE] = { body: transaction() };
    const error = await errorOf(paymob.refund?.(call, link, { terms, key: 'k', amount: 4_000, known: sale }));
    expect(error).toMatchObject({ kind, code });
    if (status === 401) expect(error.message).toContain('secretKey');
  });

  it.each<[string, number, object, ProviderError['kind'], string]>([
    ['too much', 400, { detail: 'Capture amount cannot exceed auth amount' }, 'refused', 'amount_out_of_range'],
    ['not held', 404, { detail: 'Invalid transaction id' }, 'refused', 'status_conflict'],
  ])('capture: %s', async (_name, status, body, kind, code) => {
    answers[CAPTURE] = no(status, body);
    const error = await errorOf(paymob.capture?.(call, link, { terms, key: 'k', amount: 10_000, known: hold }));
    expect(error).toMatchObject({ kind, code });
  });

  it('a limit says when to come back', async () => {
    answers[CREATE] = { ...no(429, {}), headers: { 'retry-after': '12' } };
    expect(await errorOf(create())).toMatchObject({ kind: 'rate_limited', retryAfterMs: 12_000 });
  });
});

describe('what a payment is, test by test', () => {
  const auth = { is_auth: true };
  const capturedPart = { ...auth, is_captured: true, captured_amount: 4_000 };
  it.each<[string, object, string, string, Partial<ReturnType<typeof sums>>]>([
    ['voided sale', { is_voided: true }, 'VOIDED', 'pending', { authorized: 10_000, voided: 10_000, held: 0 }],
    ['voided hold', { ...auth, is_voided: true }, 'VOIDED', 'pending', { voided: 10_000, captured: 0 }],
    ['voided, and refunded by its flag', { is_voided: true, is_refunded: true }, 'VOIDED', 'pending', { refunded: 0 }],
    ['all refunded', { refunded_amount_cents: 10_000 }, 'REFUNDED', 'refunded', { refunded: 10_000 }],
    ['more than all', { refunded_amount_cents: 99_999 }, 'REFUNDED', 'refunded', { refunded: 10_000 }],
    [
      'refunded in part, whatever the flag',
      { refunded_amount_cents: 1, is_refunded: true },
      'PARTIALLY_REFUNDED',
      'partially_refunded',
      { refunded: 1, captured: 10_000 },
    ],
    [
      'all of what was captured',
      { ...capturedPart, refunded_amount_cents: 4_000 },
      'REFUNDED',
      'refunded',
      { captured: 4_000, refunded: 4_000 },
    ],
    ['pending', { pending: true, success: false }, 'PENDING', 'pending', { authorized: 0 }],
    ['pending and yet successful', { pending: true }, 'PENDING', 'pending', { authorized: 0 }],
    ['held', auth, 'AUTHORIZED', 'authorized', { held: 10_000, captured: 0 }],
    [
      'captured',
      { ...auth, is_captured: true, captured_amount: 10_000 },
      'PAID',
      'paid',
      { captured: 10_000, held: 0 },
    ],
    ['captured by the amount alone', { ...auth, captured_amount: 10_000 }, 'PAID', 'paid', { captured: 10_000 }],
    ['captured by the flag alone', { ...auth, is_captured: true }, 'PAID', 'paid', { captured: 10_000 }],
    ['captured in part', capturedPart, 'PAID', 'pending', { captured: 4_000, held: 0, voided: 6_000 }],
    ['paid', {}, 'PAID', 'paid', { captured: 10_000 }],
    ['declined', { success: false }, 'DECLINED', 'pending', { authorized: 0 }],
    ['paid, in the words of older samples', { success: 'true', pending: 'false' }, 'PAID', 'paid', {}],
    ['declined, in the words of older samples', { success: 'False', is_voided: 'FALSE' }, 'DECLINED', 'pending', {}],
    [
      'amounts as text',
      { amount_cents: '10000', refunded_amount_cents: '10.0' },
      'PARTIALLY_REFUNDED',
      'partially_refunded',
      { refunded: 10 },
    ],
  ])('%s', async (_name, changes, word, status, expected) => {
    answers[INQUIRE] = { body: transaction(changes) };
    answers[READ(777)] = { body: transaction(changes) };
    const facts = await inquire();
    expect(facts.latest?.word).toBe(word);
    expect(statusOf(matter(facts))).toBe(status);
    expect(sums(facts, 'EGP')).toMatchObject(expected);
    expect(Object.keys(facts.payments ?? {})).toEqual(word === 'PENDING' || word === 'DECLINED' ? [] : ['777']);
    expect(facts.latest?.inFlight).toBe(word === 'PENDING' ? true : undefined);
  });

  it('a refund without an amount is looked at once more, and then believed', async () => {
    answers[INQUIRE] = { body: transaction({ is_refunded: true }) };
    answers[READ(777)] = { body: transaction({ is_refunded: true, refunded_amount_cents: 2_500 }) };
    expect(sums(await inquire(), 'EGP').refunded).toBe(2_500);
    answers[READ(777)] = { body: transaction({ is_refunded: true }) };
    expect(sums(await inquire(), 'EGP').refunded).toBe(10_000);
  });

  it.each<[string, object]>([
    ['a flag that is none', { success: 'maybe' }],
    ['a flag that is a number', { is_voided: 1 }],
    ['half a piastre', { amount_cents: 100.5 }],
    ['no currency', { currency: null }],
    ['no order', { order: undefined }],
    ['a child that names no parent', { is_refund: true }],
  ])('%s cannot be read', async (_name, changes) => {
    answers[INQUIRE] = { body: transaction(changes) };
    expect(await errorOf(inquire())).toMatchObject({ kind: 'unknown', code: 'unreadable_answer' });
  });
});

describe('inquire', () => {
  it('nobody has tried to pay: nothing new', async () => {
    answers[INQUIRE] = NOT_FOUND;
    const facts = await inquire();
    expect(facts).toEqual({ latest: { at: NOW, hash: expect.any(String), word: 'CREATED', totals: {} } });
    expect(statusOf(matter(facts))).toBe('pending');
  });

  it('a 404 in another form is no such answer', async () => {
    answers[INQUIRE] = { status: 404, body: '<h1>Not found</h1>', headers: { 'content-type': 'text/html' } };
    expect(await errorOf(inquire())).toMatchObject({ kind: 'refused', code: 'http_404' });
  });

  it.each(['is_capture', 'is_refund', 'is_void'])('a child (%s) leads to its payment', async (flag) => {
    answers[INQUIRE] = { body: child({ [flag]: true, amount_cents: 4_000 }) };
    answers[READ(777)] = { body: transaction({ refunded_amount_cents: 4_000 }) };
    const facts = await inquire();
    expect(Object.keys(facts.payments ?? {})).toEqual(['777']);
    expect(sums(facts, 'EGP')).toMatchObject({ captured: 10_000, refunded: 4_000 });
  });

  it('known payments are read by id, beside the last one', async () => {
    answers[INQUIRE] = { body: transaction({ id: 800 }) };
    answers[READ(777)] = { body: transaction({ refunded_amount_cents: 1_000 }) };
    const facts = await inquire(sale);
    expect(calls()).toEqual([INQUIRE, READ(777)]);
    expect(facts.latest?.totals.EGP).toEqual({ authorized: 20_000, captured: 20_000, refunded: 1_000, voided: 0 });
    expect(exceptionsOf(matter(join(sale, facts)))).toContain('duplicate_payment');
  });

  it('less than before is shown, and moves nothing', async () => {
    answers[INQUIRE] = { body: transaction() };
    const known = join(sale, { payments: { '777': { EGP: { ...sale.payments!['777']!.EGP!, refunded: 500 } } } });
    const facts = join(known, await inquire(known));
    expect(sums(facts, 'EGP').refunded).toBe(500);
    expect(exceptionsOf(matter(facts))).toContain('provider_disagrees');
  });

  it('hints are followed: to the payment, through a child, and not to other orders', async () => {
    answers[INQUIRE] = { body: transaction({ id: 900, success: false }) };
    answers[READ(778)] = { body: child({ is_capture: true }) };
    answers[READ(777)] = { body: transaction({ is_auth: true, is_captured: true, captured_amount: 10_000 }) };
    answers[READ(555)] = { body: transaction({ id: 555, ...order({ id: 99 }) }) };
    answers[READ(556)] = NOT_FOUND;
    const ids = [
      'order:4242',
      'transaction:778',
      'transaction:555',
      'transaction:556',
      'transaction:900',
      '580010',
      '../x',
    ];
    const facts = await inquire({}, ids);
    expect(Object.keys(facts.payments ?? {})).toEqual(['777']);
    expect(calls()).toEqual([INQUIRE, READ(778), READ(777), READ(555), READ(556)]);
  });

  it.each<[string, () => Promise<Facts>]>([
    [
      'the inquiry',
      () => {
        answers[INQUIRE] = { body: transaction(order({ id: 99 })) };
        return inquire();
      },
    ],
    [
      'a known payment',
      () => {
        answers[INQUIRE] = NOT_FOUND;
        answers[READ(777)] = { body: transaction(order({ id: 99 })) };
        return inquire(sale);
      },
    ],
    [
      'a read',
      () => {
        answers[INQUIRE] = NOT_FOUND;
        answers[READ(777)] = { body: transaction({ id: 1 }) };
        return inquire(sale);
      },
    ],
  ])('%s answered about something else proves nothing', async (_name, asking) => {
    expect(await errorOf(asking())).toMatchObject({ kind: 'unknown', code: 'answer_mismatch' });
  });

  it('a known payment that is not found is no end of it', async () => {
    answers[INQUIRE] = NOT_FOUND;
    answers[READ(777)] = NOT_FOUND;
    expect(await errorOf(inquire(sale))).toMatchObject({ kind: 'not_found' });
  });

  it('an order that was paid more than its payments show is unexplained', async () => {
    answers[INQUIRE] = { body: transaction({ success: false, ...order({ paid_amount_cents: 10_000 }) }) };
    const facts = await inquire();
    expect(facts.stated).toEqual({ EGP: 10_000 });
    expect(exceptionsOf(matter(facts))).toEqual(['unexplained_money']);
    clock += 1;
    answers[READ(777)] = { body: transaction(order({ paid_amount_cents: 10_000 })) };
    answers[INQUIRE] = { body: transaction({ id: 778, success: false, ...order({ paid_amount_cents: 10_000 }) }) };
    expect(exceptionsOf(matter(join(facts, await inquire({}, ['transaction:777']))))).toEqual([]);
  });

  it.each<[string, object]>([
    ['a payment', {}],
    ['a hold, if those are counted', { is_auth: true }],
    ['what was voided, if that stays counted', { is_voided: true }],
    ['what was refunded', { refunded_amount_cents: 10_000 }],
  ])('an order’s total is explained by %s', async (_name, changes) => {
    answers[INQUIRE] = { body: transaction({ ...changes, ...order({ paid_amount_cents: 10_000 }) }) };
    expect((await inquire()).stated).toBeUndefined();
  });

  it('another currency than was asked for is shown as such', async () => {
    answers[INQUIRE] = { body: transaction({ currency: 'usd' }) };
    const facts = await inquire();
    expect(exceptionsOf(matter(facts))).toContain('currency_mismatch');
    expect(statusOf(matter(facts))).toBe('pending');
  });

  it('an order that is cancelled closes the link', async () => {
    for (const flag of ['is_cancel', 'is_canceled']) {
      answers[INQUIRE] = { body: transaction({ success: false, ...order({ [flag]: true }) }) };
      expect(statusOf(matter(await inquire()))).toBe('cancelled');
    }
  });

  it('an order that is cancelled is not over while a hold is there', async () => {
    answers[INQUIRE] = { body: transaction({ is_auth: true, ...order({ is_canceled: true }) }) };
    expect((await inquire()).openings).toBeUndefined();
    answers[INQUIRE] = { body: transaction({ is_auth: true, is_voided: true, ...order({ is_canceled: true }) }) };
    expect(statusOf(matter(await inquire()))).toBe('cancelled');
  });
});

describe('capture, cancel, refund', () => {
  const write = (amount: number | undefined, known: Facts) => ({ terms, key: 'k', amount, known });

  it('capture names the payment, by the secret key', async () => {
    answers[CAPTURE] = { status: 201, body: child({ is_capture: true, amount_cents: 4_000 }) };
    const answer = await paymob.capture?.(call, link, write(4_000, hold));
    expect(received.at(-1)).toMatchObject({ authorization: 'Token egy_sk_test_0123456789' });
    expect(received.at(-1)?.json()).toEqual({ transaction_id: 777, amount_cents: 4_000 });
    expect(answer).toMatchObject({ providerId: '778' });
    expect(sums(join(hold, answer?.facts ?? {}), 'EGP').captured).toBe(4_000);
    // The whole is for a read to tell.
    expect(answer?.facts.latest).toBeUndefined();
  });

  it('refund adds to what was refunded before', async () => {
    const known = { payments: { '777': { EGP: { ...sale.payments!['777']!.EGP!, refunded: 1_000 } } } };
    answers[REFUND] = { body: child({ is_refund: true, amount_cents: 2_000 }) };
    const answer = await paymob.refund?.(call, link, write(2_000, known));
    expect(sums(join(known, answer?.facts ?? {}), 'EGP').refunded).toBe(3_000);
  });

  const two: Facts = join(sale, {
    payments: { '888': { EGP: { authorized: 3_000, captured: 3_000, refunded: 0, voided: 0, seenAt: NOW + 1 } } },
  });
  it.each([
    [3_000, 888, 'the one that has exactly as much'],
    [10_000, 777, 'the one that has exactly as much'],
    [2_000, 888, 'the latest that has enough'],
    [9_000, 777, 'the one that has enough'],
  ])('of two payments a refund of %i takes %i, %s', async (amount, id) => {
    answers[REFUND] = { body: child({ is_refund: true, amount_cents: amount, parent_transaction: id }) };
    await paymob.refund?.(call, link, write(amount, two));
    expect(received.at(-1)?.json()).toEqual({ transaction_id: id, amount_cents: amount });
  });

  it('what no single payment has is refused before anything is sent', async () => {
    const error = await errorOf(paymob.refund?.(call, link, write(13_000, two)));
    expect(error).toMatchObject({ kind: 'refused', code: 'not_supported' });
    expect(error.message).toContain('100.00 EGP');
    expect(received).toEqual([]);
  });

  it.each<[string, object, ProviderError['kind'], string]>([
    ['declined', { success: false, data: { message: 'No funds' } }, 'refused', 'declined'],
    ['still under way', { success: false, pending: true }, 'unknown', 'in_flight'],
    ['of another payment', { parent_transaction: 1 }, 'unknown', 'answer_mismatch'],
    ['of no payment', { parent_transaction: null }, 'unknown', 'answer_mismatch'],
    ['of another amount', { amount_cents: 1 }, 'unknown', 'answer_mismatch'],
    ['unreadable', { id: null }, 'unknown', 'unreadable_answer'],
  ])('a child that is %s', async (_name, changes, kind, code) => {
    answers[REFUND] = { body: child({ is_refund: true, amount_cents: 4_000, ...changes }) };
    expect(await errorOf(paymob.refund?.(call, link, write(4_000, sale)))).toMatchObject({ kind, code });
  });

  it('“already refunded” is what a full refund wanted, if a read says so', async () => {
    answers[REFUND] = no(400, { message: 'Full Amount has been already refunded' });
    answers[INQUIRE] = { body: transaction({ refunded_amount_cents: 10_000, is_refunded: true }) };
    const done = await paymob.refund?.(call, link, write(10_000, sale));
    expect(sums(done?.facts ?? {}, 'EGP').refunded).toBe(10_000);
    // Not for a part of it, and not if the read says otherwise.
    expect(await errorOf(paymob.refund?.(call, link, write(4_000, sale)))).toMatchObject({ code: 'already_refunded' });
    answers[INQUIRE] = { body: transaction() };
    expect(await errorOf(paymob.refund?.(call, link, write(10_000, sale)))).toMatchObject({ code: 'already_refunded' });
  });

  const cancelledBody = { success: true, message: 'Canceled by merchant', payment_link_id: 580010 };

  it('cancel closes the link', async () => {
    answers[CANCEL] = { body: cancelledBody };
    const answer = await paymob.cancel?.(call, link, write(undefined, {}));
    expect(await received.at(-1)?.fields()).toEqual([['payment_link_id', '580010']]);
    expect(statusOf(matter(answer?.facts ?? {}))).toBe('cancelled');
  });

  it('cancel of a hold closes the link first, then gives the hold back', async () => {
    answers[CANCEL] = { body: cancelledBody };
    answers[VOID] = { body: child({ is_void: true }) };
    const answer = await paymob.cancel?.(call, link, write(undefined, hold));
    expect(calls()).toEqual([CANCEL, VOID]);
    expect(received.at(-1)?.json()).toEqual({ transaction_id: 777 });
    expect(answer?.providerId).toBe('778');
    const facts = join(hold, answer?.facts ?? {});
    expect(sums(facts, 'EGP')).toMatchObject({ held: 0, voided: 10_000 });
    expect(statusOf(matter(facts))).toBe('cancelled');
  });

  const CLOSED = no(400, { success: false, message: 'Payment link is already canceled' });
  it('a link that cannot be cancelled any more is closed, unless a read finds money', async () => {
    answers[CANCEL] = CLOSED;
    answers[INQUIRE] = NOT_FOUND;
    expect(statusOf(matter((await paymob.cancel?.(call, link, write(undefined, {})))?.facts ?? {}))).toBe('cancelled');
    for (const found of [transaction(), transaction({ is_auth: true })]) {
      answers[INQUIRE] = { body: found };
      const error = await errorOf(paymob.cancel?.(call, link, write(undefined, {})));
      expect(error).toMatchObject({ kind: 'refused', code: 'status_conflict' });
    }
    // A hold that was known is given back all the same.
    answers[VOID] = { body: child({ is_void: true }) };
    const answer = await paymob.cancel?.(call, link, write(undefined, hold));
    expect(sums(join(hold, answer?.facts ?? {}), 'EGP').held).toBe(0);
  });

  it('a link that cannot be cancelled any more is asked for again, when how it ended could not be read', async () => {
    answers[CANCEL] = CLOSED;
    answers[INQUIRE] = no(500, {});
    const error = await errorOf(paymob.cancel?.(call, link, write(undefined, {})));
    expect(error).toMatchObject({ kind: 'not_sent', code: 'unread' });
  });

  it('a void that comes too late is refused', async () => {
    answers[CANCEL] = { body: cancelledBody };
    answers[VOID] = no(400, { message: 'Transaction can not be voided' });
    const error = await errorOf(paymob.cancel?.(call, link, write(undefined, hold)));
    expect(error).toMatchObject({ kind: 'refused', code: 'void_refused' });
  });

  it('a link that is not there is not cancelled', async () => {
    answers[CANCEL] = NOT_FOUND;
    expect(await errorOf(paymob.cancel?.(call, link, write(undefined, {})))).toMatchObject({ kind: 'not_found' });
  });
});

describe('callbacks', () => {
  const SECRET = 'paymob_test_hmac_secret';
  /** The published example. */
  const golden = {
    amount_cents: 100000,
    created_at: '2024-06-13T11:33:44.592345',
    currency: 'EGP',
    error_occured: false,
    has_parent_transaction: false,
    id: 192036465,
    integration_id: 4097558,
    is_3d_secure: true,
    is_auth: false,
    is_capture: false,
    is_refunded: false,
    is_standalone_payment: true,
    is_voided: false,
    order: { id: 217503754, merchant_order_id: 'INV-1' },
    owner: 302852,
    pending: false,
    source_data: { pan: '2346', sub_type: 'MasterCard', type: 'card' },
    success: true,
    parent_transaction: 5,
    captured_amount: 0,
  };
  const TEXT =
    '1000002024-06-13T11:33:44.592345EGPfalsefalse1920364654097558truefalsefalsefalsetruefalse217503754302852false2346MasterCardcardtrue';
  const DIGEST =
    '8d7ecc75db4e57f637133d52b13b0b5d9609b4d58a61114afd9abcb5b65b016f217c03f275d9b263994dd08ad1be336d6b6d9282eb93f924358c350cd54945b1';
  const sign = (text: string, secret = SECRET) => createHmac('sha512', secret).update(text).digest('hex');

  const request = (body: unknown, hmac: string | undefined) => ({
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    headers: {},
    query: new URLSearchParams(hmac === undefined ? {} : { t: 'token', hmac }),
  });
  const callback = (changes: object = {}, type = 'TRANSACTION') => ({ type, obj: { ...golden, ...changes } });
  const verify = (body: unknown, hmac: string | undefined = DIGEST, secrets: readonly string[] = [SECRET]) =>
    paymob.webhook?.verify(request(body, hmac), call.config, secrets, NOW);
  const read = (body: unknown) => paymob.webhook!.read(request(body, DIGEST), call.config, NOW);

  it('the published string has the known digest, and is verified', () => {
    expect(sign(TEXT)).toBe(DIGEST);
    expect(verify(callback())).toBe('signed');
    expect(verify(callback(), DIGEST, ['another-secret-0001', SECRET])).toBe('signed');
  });

  it.each<[string, object]>([
    ['amount_cents', { amount_cents: 100001 }],
    ['created_at, in another form of the same instant', { created_at: '2024-06-13T11:33:44.592345Z' }],
    ['currency', { currency: 'USD' }],
    ['error_occured', { error_occured: true }],
    ['has_parent_transaction', { has_parent_transaction: true }],
    ['id', { id: 192036466 }],
    ['integration_id', { integration_id: 4097559 }],
    ['is_3d_secure', { is_3d_secure: false }],
    ['is_auth', { is_auth: true }],
    ['is_capture', { is_capture: true }],
    ['is_refunded', { is_refunded: true }],
    ['is_standalone_payment', { is_standalone_payment: false }],
    ['is_voided', { is_voided: true }],
    ['order.id', { order: { id: 217503755 } }],
    ['owner', { owner: 302853 }],
    ['pending', { pending: true }],
    ['source_data.pan', { source_data: { ...golden.source_data, pan: '1111' } }],
    ['source_data.sub_type', { source_data: { ...golden.source_data, sub_type: 'Visa' } }],
    ['source_data.type', { source_data: { ...golden.source_data, type: 'wallet' } }],
    ['success', { success: false }],
    ['a list for a value', { currency: ['EGP'] }],
    ['no order', { order: null }],
  ])('refuses a changed %s', (_name, changes) => {
    expect(() => verify(callback(changes))).toThrow(NotAuthentic);
  });

  it('booleans are small letters, nothing is empty, and what is not signed may be anything', () => {
    const nulls = {
      source_data: { pan: null, type: 'card' },
      parent_transaction: 9,
      captured_amount: 5,
      error_occured: null,
    };
    const text = TEXT.replace('EGPfalse', 'EGP').replace('2346MasterCard', '');
    expect(verify(callback(nulls), sign(text))).toBe('signed');
    expect(verify(callback({ source_data: null }), sign(TEXT.replace('2346MasterCardcard', '')))).toBe('signed');
  });

  it.each<[string, unknown, string | undefined, string[]]>([
    ['no signature', callback(), undefined, [SECRET]],
    ['an empty one', callback(), '', [SECRET]],
    ['another secret', callback(), sign(TEXT, 'somebody-elses-secret'), [SECRET]],
    ['no secret', callback(), DIGEST, []],
    ['an empty secret on both sides', callback(), sign(TEXT, ''), ['']],
    ['a digest of the body', callback(), sign(JSON.stringify(callback())), [SECRET]],
    ['a digest cut short', callback(), DIGEST.slice(0, 126), [SECRET]],
    ['a type nobody described', callback({}, 'DELIVERY_STATUS'), DIGEST, [SECRET]],
    ['a type that every object has', callback({}, 'constructor'), DIGEST, [SECRET]],
    ['no JSON', 'hello', DIGEST, [SECRET]],
    ['JSON of another shape', '[]', DIGEST, [SECRET]],
    ['no body', '', DIGEST, [SECRET]],
  ])('refuses %s', (_name, body, hmac, secrets) => {
    expect(() => paymob.webhook?.verify(request(body, hmac), call.config, secrets, NOW)).toThrow(NotAuthentic);
  });

  it('names order and transaction, never what is not signed', () => {
    expect(read(callback())).toMatchObject({ ids: ['order:217503754', 'transaction:192036465'] });
    expect(read(callback())).not.toHaveProperty('reference');
  });

  it('is the same news however what is not signed of it was changed', () => {
    const { signed } = read(callback());
    expect(read({ ...callback({ merchant_order_id: 'INV-2', note: 'x' }), more: 1 }).signed).toEqual(signed);
    expect(read(callback({ success: false })).signed).not.toEqual(signed);
    // The digits signed are the same, and yet it is other news.
    const { id, integration_id: integration } = golden;
    const moved = callback({
      id: Number(`${id}${String(integration)[0]}`),
      integration_id: String(integration).slice(1),
    });
    expect(read(moved).signed).not.toEqual(signed);
  });

  it('a card token is authentic, and no concern of a link', () => {
    const obj = {
      id: 8555026,
      token: 'e98aceb96f5a37',
      masked_pan: 'xxxx-xxxx-xxxx-2346',
      merchant_id: 246628,
      card_subtype: 'MasterCard',
      created_at: '2024-11-13T12:32:23.859982',
      email: 'test@test.example',
      order_id: '264064419',
      user_added: false,
    };
    const text =
      'MasterCard2024-11-13T12:32:23.859982test@test.example8555026xxxx-xxxx-xxxx-2346246628264064419e98aceb96f5a37';
    expect(verify({ type: 'TOKEN', obj }, sign(text))).toBe('signed');
    expect(read({ type: 'TOKEN', obj })).toEqual({ ids: [], ignore: true });
    expect(() => verify({ type: 'TOKEN', obj: { ...obj, order_id: '1' } }, sign(text))).toThrow(NotAuthentic);
  });

  it.each([['not json'], [{ type: 'TRANSACTION', obj: {} }], [callback({ id: 'x' })]])('cannot read %j', (body) => {
    expect(() => read(body)).toThrow(Error);
  });
});
