import { createSign, generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AccountsError, readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { type Call, NotAuthentic, ProviderError, type ProviderLink } from '../activities/provider.ts';
import { boomfi } from '../activities/providers/boomfi.ts';
import { exceptionsOf } from '../workflows/exceptions.ts';
import { type Facts, isNews, join, sums } from '../workflows/facts.ts';
import { type Matter, statusOf, type Terms } from '../workflows/link.ts';

/** The adapter against scripted answers: wire texts, every word, every odd answer. The sandbox has its own file. */
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = Date.parse('2026-03-01T12:00:00Z');
const KEY = 'payment-link/INV/2026/001:create:0123456789abcdef';
const LINK_ID = '2Z4zsnmp37AF3WKM6N2j4wmeakr';
const PLAN_ID = '2Z4zspFMhs2pMYjcR3l6JpJaWdA';
const PAYMENT_ID = '2Tpmnpckx3zXIlOLPGk35xOdfxB';
const OTHER_ID = '2TzGhOAljp2nTpMIWQqO2yEq7zL';
const ORG_ID = '2Tpmnmh6GHJXumKN1oBy2u56Ima';

/** Made with `openssl genrsa` and `openssl dgst -sha256 -sign`; the private key is gone. */
const GOLDEN = {
  timestamp: '1700000000',
  bytes: Buffer.from('{"event":"Payment.Updated","id":"p"}'),
  signature: [
    'nHA/LEbq94o+Hgn1nV2MLpe/s21962Nfq0cyLvf/poLteiMCLsLPbZOTE+znYYNnQ4dswmBHVqus7BZL8jeds6ph/5jOHjNJ',
    'Dz+5NWGLVBxJTNiA9pcCjyoAS/jY+ReHiTKhJDet9cX3L2jJvpxOGe7oN8VWFVjBtX04kJsgZFGkZewoLdmmG+6xWip2tYCQ',
    'KZKWaN+VR8oIb6TSA9F8kZT5BmLHJyg5xAZ8OHVGvSz2iNOQeV9dc98ScxVVkXW9HD2LrprmQc8JrY/zy7YxBoQmdHp3mUWz',
    'BOBD2HLyObElogXp3kbhWpkSa7L054FsdpAti++UmBz1H8nobSc58Q==',
  ].join(''),
  pem: [
    '-----BEGIN PUBLIC KEY-----',
    'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1B6vBWfXkwt44YIpQM9c',
    'oQU+bMdCgbkq+ZhcUT0XEmilAgKUnHhL70b1jGaEG+Ufb5DG+Blk7G+oM5hG5FVk',
    'q/uRLROObRz4GbcOno1ascLYe9gjDhc1O0JXKByzxIsMii/gzoZj1FZhdFpEG1YW',
    'w4yrnIzxQm4Zw7ix3VZP5F/ESuT8kmohjQNYvt0bel+MzuxVISyq9eDy18Gq8BHa',
    'q+2m+xQZ/k6F9GfUxUvFB9tiEfIoSrxq0pR1ww6iwX07b+V6284mAI9ss7Ornq0T',
    '+gjNS/guGmdfFiSWO+aY535kA4oaB105fBMmkuLCLgZ8AapAiLZCi7ZnCnc00Ei5',
    'yQIDAQAB',
    '-----END PUBLIC KEY-----',
  ].join('\n'),
};

interface Received {
  call: string;
  query: Record<string, string>;
  body: string;
  headers: IncomingMessage['headers'];
}
type Scripted = { status?: number; body: unknown };

let received: Received[] = [];
let answers: Record<string, Scripted | ((query: Record<string, string>) => Scripted)> = {};
let call: Call<never>;
let uqualify: Call<never>;
let clock = NOW;
let close: () => void;
let optionsOf: (changes?: object) => Record<string, unknown>;

beforeAll(async () => {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? '', 'http://localhost');
    const name = `${request.method} ${url.pathname}`;
    const query = Object.fromEntries(url.searchParams);
    received.push({ call: name, query, body: Buffer.concat(chunks).toString(), headers: request.headers });
    const scripted = answers[name];
    const { status = 200, body } = (typeof scripted === 'function' ? scripted(query) : scripted) ?? {
      status: 404,
      body: failed(404, 'routes', 'NotFound', `nothing scripted for ${name}`),
    };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => server.close();
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  optionsOf = (changes = {}) => ({ baseUrl, apiKey: 'test-api-key', listSpacingMs: 0, ...changes });
  call = callOf();
  uqualify = callOf({ flavour: 'uqualify' });
});
afterAll(() => close());
beforeEach(() => {
  received = [];
  clock = NOW;
  answers = { 'GET /paylinks': list([paylink()]), 'GET /payments': list([]) };
});

const accountOf = (changes: object = {}) =>
  readAccounts({ shop: { provider: 'boomfi', options: optionsOf(changes) } }).get('shop');
const callOf = (changes: object = {}): Call<never> => ({
  config: accountOf(changes)?.config as never,
  http: createHttp(),
  now: () => clock,
});

const failed = (code: number, domain: string, reason: string, message: string) => ({
  error: { code, errors: [{ domain, reason }], message },
});
const list = (items: unknown[]): Scripted => ({ body: { data: { items, total: items.length, next: 0 } } });

const terms: Terms = {
  account: 'shop',
  reference: 'INV/2026/001',
  amount: 10_050,
  currency: 'USD',
  exponent: 2,
  expiresAt: NOW + HOUR,
};
const link: ProviderLink = {
  providerLinkId: LINK_ID,
  ids: [LINK_ID, PLAN_ID],
  url: `https://pay.boomfi.xyz/${LINK_ID}`,
  expiresAt: NOW + HOUR,
  expiresByItself: false,
  handle: { since: String(NOW - 5 * MINUTE) },
};

/** A paylink as the seed's sample prints it, traps included. */
function paylink(changes: object = {}, plan: object = {}) {
  return {
    id: LINK_ID,
    plan_id: PLAN_ID,
    invoice_id: '',
    source: 'BoomFi',
    enabled: true,
    deleted_at: '2026-03-01T12:00:00.499Z',
    created_at: '2026-03-01T12:00:00.496Z',
    updated_at: '2026-03-01T12:00:00.499Z',
    metadata: {},
    properties: { short_code: 'AANj9Dm7Zl' },
    plan: { id: PLAN_ID, price: '100.5', currency: 'USD', reference: terms.reference, type: 'OneTime', ...plan },
    ...changes,
  };
}

function payment(changes: object = {}) {
  return {
    id: PAYMENT_ID,
    parent_id: '',
    org_id: ORG_ID,
    amount: '100.500308',
    currency: 'USDC',
    status: 6,
    payment_link: paylink(),
    crypto_transaction: { chain_id: 137, status: 2, type: 5 },
    created_at: '2026-03-01T12:10:00Z',
    ...changes,
  };
}

async function errorOf(doing: Promise<unknown> | undefined): Promise<ProviderError> {
  const error = await doing?.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ProviderError) return error;
  throw new Error(`expected a ProviderError, got ${String(error)}`);
}

function createdWith(changes: Partial<Terms> = {}, answer: unknown = undefined, by: Call<never> = call) {
  answers['POST /paylinks'] ??= { body: { data: answer ?? paylink(), error: true } };
  return boomfi.create(by, { terms: { ...terms, ...changes }, key: KEY });
}
const sent = () => JSON.parse(received.find((request) => request.call === 'POST /paylinks')?.body ?? '{}');

async function read(payments: unknown[], known: Facts = {}, ids: string[] = [], by: Call<never> = call) {
  answers['GET /payments'] = list(payments);
  const answer = await boomfi.inquire?.(by, link, { terms, known, ids });
  return answer?.facts ?? {};
}
const opened: Facts = { openings: { '0': { opened: NOW } } };
const matter = (facts: Facts): Matter => ({ terms, facts: join(opened, facts), operations: [] });

describe('an account', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });

  it('takes PEM keys as they are and with their line breaks escaped', () => {
    const escaped = publicKey.trim().replaceAll('\n', '\\n');
    expect(accountOf({ webhookSecrets: [publicKey, escaped] })?.webhookSecrets).toEqual([
      publicKey.trim(),
      publicKey.trim(),
    ]);
  });

  it.each<[string, object, string]>([
    ['a private key', { webhookSecrets: [privateKey] }, '.webhookSecrets.0: must be a PEM public key'],
    ['a shared secret', { webhookSecrets: ['a-secret-of-some-length'] }, '.webhookSecrets.0: must be a PEM public key'],
    [
      'a short key',
      { webhookSecrets: [shortKey('rsa', 1024)] },
      '.webhookSecrets.0: must be a PEM public key, RSA of at least 2048 bits',
    ],
    ['a key of another kind', { webhookSecrets: [shortKey('ed25519')] }, '.webhookSecrets.0: must be a PEM public key'],
    ['plain http', { baseUrl: 'http://mapi.boomfi.xyz/v1' }, '.baseUrl: must be an https URL'],
    ['another flavour', { flavour: 'vanilla' }, '.flavour: '],
    ['more than all', { underpaymentTolerancePercent: 101 }, '.underpaymentTolerancePercent: '],
    ['an unknown option', { secret: 'x' }, '.options: '],
  ])('refuses %s', (_name, changes, problem) => {
    const reading = () => accountOf(changes);
    expect(reading).toThrow(AccountsError);
    expect(reading).toThrow(problem);
  });

  it.each<[object, string]>([
    [{ baseUrl: 'https://mapi.boomfi.xyz/v1' }, 'https://pay.boomfi.xyz/'],
    [{ baseUrl: 'https://mapi-test.boomfi.xyz/v1/' }, 'https://pay-test.boomfi.xyz/'],
    [{ baseUrl: 'https://paylinks.uqualify.co.uk/api/v1', flavour: 'uqualify' }, 'https://pay.boomfi.xyz/'],
    [{ baseUrl: 'https://mapi.boomfi.xyz/v1', payHost: 'https://pay.example/' }, 'https://pay.example/'],
  ])('with %j sends customers to %s', async (changes, host) => {
    // These hosts are not ours to call: the answer comes from here.
    const http = { request: async () => answered({ data: paylink(), error: true }) };
    const { created } = await boomfi.create({ ...callOf(changes), http }, { terms, key: KEY });
    expect(created.url).toBe(`${host}${LINK_ID}`);
  });
});

function shortKey(kind: 'rsa' | 'ed25519', modulusLength = 0): string {
  const pair = kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength }) : generateKeyPairSync('ed25519');
  return pair.publicKey.export({ type: 'spki', format: 'pem' }) as string;
}

function answered(json: unknown) {
  return { status: 200, headers: new Headers(), json, text: JSON.stringify(json), excerpt: (text: string) => text };
}

describe('accepts', () => {
  const problems = (changes: Partial<Terms>, by: Call<never> = call) =>
    boomfi.accepts({ ...terms, ...changes }, by.config, NOW);

  it('takes what the API takes', () => {
    const providerOptions = {
      payment_method_types: ['Card', 'MerchantContract'],
      custom_message: 'Thank you',
      omit_possible_duplicate_acknowledgement: true,
      image_url: 'https://shop.example/tea.png',
      account_ref: 'main',
    };
    expect(problems({ providerOptions, customer: { name: 'Ada', email: 'ada@example.com' } })).toEqual([]);
    expect(problems({ expiresAt: NOW + 1, redirectUrl: 'https://shop.example/thanks', capture: 'automatic' })).toEqual(
      [],
    );
    expect(problems({ expiresAt: undefined, amount: Number.MAX_SAFE_INTEGER })).toEqual([]);
  });

  const options = (providerOptions: Record<string, unknown>) => ({ providerOptions });
  it.each<[string, Partial<Terms>, string, string]>([
    ['the past', { expiresAt: NOW }, 'invalid_value', '/expiresAt'],
    ['holds', { capture: 'manual' }, 'not_supported', '/capture'],
    ['a phone number', { customer: { phone: '+15550100' } }, 'not_supported', '/customer/phone'],
    ['an interval', options({ interval: 'Month' }), 'not_supported', '/providerOptions/interval'],
    ['an interval count', options({ intervalCount: 2 }), 'not_supported', '/providerOptions/intervalCount'],
    ['a trial', options({ trial_period: '24h' }), 'not_supported', '/providerOptions/trial_period'],
    ['a type', options({ type: '3' }), 'not_supported', '/providerOptions/type'],
    ['an unknown option', options({ 'a/b~c': 1 }), 'not_supported', '/providerOptions/a~1b~0c'],
    [
      'an unknown method',
      options({ payment_method_types: ['Cash'] }),
      'invalid_value',
      '/providerOptions/payment_method_types/0',
    ],
    ['no method', options({ payment_method_types: [] }), 'invalid_value', '/providerOptions/payment_method_types'],
    [
      'a method twice',
      options({ payment_method_types: ['Card', 'Card'] }),
      'invalid_value',
      '/providerOptions/payment_method_types',
    ],
    [
      'an image that is no https URL',
      options({ image_url: 'javascript:alert(1)' }),
      'invalid_value',
      '/providerOptions/image_url',
    ],
    [
      'accounts named in two ways',
      options({ account_ids: [1], account_ref: 'main' }),
      'invalid_value',
      '/providerOptions/account_ref',
    ],
    [
      'two things after payment',
      { redirectUrl: 'https://shop.example', ...options({ custom_message: 'Hi' }) },
      'invalid_value',
      '/providerOptions/custom_message',
    ],
  ])('refuses %s', (_name, changes, code, pointer) => {
    expect(problems(changes).map((problem) => [problem.code, problem.pointer])).toEqual([[code, pointer]]);
  });

  it('tells a subscription from an unknown option', () => {
    expect(problems(options({ interval: 'Month' }))[0]?.message).toBe(
      'is not supported: a subscription is not a payment link',
    );
  });

  it('knows what only BoomFi has', () => {
    const changes = options({ image_url: 'https://shop.example/tea.png', payment_method_types: ['Card'] });
    expect(problems(changes, uqualify)).toEqual([
      {
        pointer: '/providerOptions/image_url',
        code: 'not_supported',
        message: 'is an option of BoomFi, not of Uqualify',
      },
    ]);
  });
});

describe('create', () => {
  it('sends exactly what is documented, and takes "error": true for the success it is', async () => {
    const { created, facts } = await createdWith({ description: 'Two books' });
    expect(received.map((request) => [request.call, request.headers['x-api-key']])).toEqual([
      ['POST /paylinks', 'test-api-key'],
    ]);
    expect(sent()).toEqual({
      name: 'Two books',
      description: 'Two books',
      amount: '100.50',
      currency: 'USD',
      reference: 'INV/2026/001',
    });
    expect(created).toEqual(link);
    expect(facts).toEqual({
      openings: { '0': { opened: NOW } },
      latest: { at: NOW, hash: expect.stringMatching(/^[0-9a-f]{32}$/), word: 'ENABLED', totals: {} },
    });
  });

  it('says "2" for one-time to Uqualify, and names what has no description', async () => {
    await createdWith({}, undefined, uqualify);
    expect(sent()).toEqual({
      name: 'Payment INV/2026/001',
      amount: '100.50',
      currency: 'USD',
      reference: 'INV/2026/001',
      type: '2',
    });
  });

  it('puts return address and options where they belong', async () => {
    const providerOptions = {
      payment_method_types: ['Card'],
      omit_possible_duplicate_acknowledgement: false,
      image_url: 'https://shop.example/tea.png',
      account_ids: [7],
    };
    await createdWith({ redirectUrl: 'https://shop.example/thanks', providerOptions });
    expect(sent()).toMatchObject({
      image_url: 'https://shop.example/tea.png',
      account_ids: [7],
      metadata: {
        payment_method_types: ['Card'],
        omit_possible_duplicate_acknowledgement: false,
        after_completion: { type: 'redirect', redirect_url: 'https://shop.example/thanks' },
      },
    });
    received = [];
    await createdWith({ providerOptions: { custom_message: 'Thank you' } });
    expect(sent().metadata).toEqual({ after_completion: { type: 'hosted', custom_message: 'Thank you' } });
  });

  it('hands the customer’s name and address on in the link’s query', async () => {
    const { created } = await createdWith({ customer: { name: 'Ada & Co', email: 'ada@example.com' } });
    expect(created.url).toBe(`${link.url}?name=Ada+%26+Co&email=ada%40example.com`);
  });

  it.each<[string, number, number, string]>([
    ['USD', 10_050, 2, '100.50'],
    ['USD', 5, 2, '0.05'],
    ['USD', 100, 2, '1.00'],
    ['JPY', 500, 0, '500'],
    ['KWD', 1_005, 3, '1.005'],
    ['CLF', 12_345, 4, '1.2345'],
    ['USD', Number.MAX_SAFE_INTEGER, 2, '90071992547409.91'],
  ])('writes %s %i as text, exactly', async (currency, amount, exponent, wire) => {
    await createdWith({ currency, amount, exponent }, paylink({}, { price: wire, currency }));
    expect(sent()).toMatchObject({ amount: wire, currency });
  });

  it('a link that was made disabled reads so', async () => {
    const { facts } = await createdWith({}, paylink({ enabled: false }));
    expect(statusOf(matter(facts))).toBe('cancelled');
  });

  it.each<[string, unknown]>([
    ['no data', null],
    ['no id', paylink({ id: undefined })],
    ['an id that is none', paylink({ id: '../../other' })],
    ['another reference', paylink({}, { reference: 'INV-2' })],
    ['another amount', paylink({}, { price: '100.51' })],
    ['another currency', paylink({}, { currency: 'EUR' })],
    ['an amount nobody can read', paylink({}, { price: '100.505' })],
    ['no plan', paylink({ plan: null })],
  ])('an answer with %s leaves the outcome unknown', async (_name, data) => {
    answers['POST /paylinks'] = { body: { data, error: true } };
    expect(await errorOf(createdWith())).toMatchObject({ kind: 'unknown' });
  });

  it.each<[number, unknown, ProviderError['kind'], string, string]>([
    [
      400,
      failed(400, 'orders', 'InsufficientQuantity', 'Insufficient quantity'),
      'refused',
      'insufficient_quantity',
      'Insufficient quantity (InsufficientQuantity): the plan has nothing left to sell, raise its quantity in the dashboard',
    ],
    [
      400,
      failed(400, 'paylinks', 'InvalidRequest', 'name is required'),
      'refused',
      'invalid_request',
      'name is required (InvalidRequest)',
    ],
    [400, { error: { code: 400, message: 'no reasons' } }, 'refused', 'http_400', 'no reasons'],
    [404, failed(404, 'x', 'NotFound', 'Not there'), 'not_found', 'not_found', 'Not there (NotFound)'],
    [
      422,
      { message: 'another shape' },
      'refused',
      'http_422',
      'POST /paylinks answered 422: {"message":"another shape"}',
    ],
    [
      401,
      failed(401, 'orgs', 'Unauthorized', 'Unauthorized'),
      'unauthorized',
      'invalid_credentials',
      'BoomFi does not accept the API key: check apiKey',
    ],
    [403, failed(403, 'orgs', 'Forbidden', 'Forbidden'), 'unauthorized', 'forbidden', 'the API key may not do this'],
    [500, failed(500, 'orders', 'Internal', 'Internal server error'), 'unknown', 'http_500', 'Internal server error'],
    [429, {}, 'rate_limited', 'rate_limited', '429'],
    [200, failed(400, 'orders', 'InsufficientQuantity', 'Insufficient quantity'), 'unknown', 'unreadable_answer', ''],
  ])('%i %j is %s, %s', async (status, body, kind, code, message) => {
    answers['POST /paylinks'] = { status, body };
    const error = await errorOf(createdWith());
    expect(error).toMatchObject({ kind, code });
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('test-api-key');
  });
});

describe('findByReference', () => {
  const find = async () => boomfi.findByReference?.(call, { terms, key: KEY, since: NOW });

  it('looks among the links made since the first try, clocks being what they are', async () => {
    expect((await find())?.created).toEqual(link);
    expect(received[0]).toMatchObject({
      call: 'GET /paylinks',
      query: { since: '2026-03-01T11:55:00.000Z', sort: 'asc', limit: '100', page: '1' },
    });
  });

  it('finds nothing when there is nothing of ours', async () => {
    answers['GET /paylinks'] = list([
      paylink({}, { reference: 'INV/2026/0011' }),
      paylink({}, { price: '7' }),
      'odd',
      null,
    ]);
    expect(await find()).toBeUndefined();
    answers['GET /paylinks'] = { body: { data: { items: null, total: 0 } } };
    expect(await find()).toBeUndefined();
  });

  it('of two takes the older', async () => {
    answers['GET /paylinks'] = list([paylink(), paylink({ id: OTHER_ID })]);
    expect((await find())?.created.providerLinkId).toBe(LINK_ID);
  });

  it('turns pages until the last one', async () => {
    const others = (page: number) => Array.from({ length: 100 }, () => paylink({}, { reference: `other-${page}` }));
    answers['GET /paylinks'] = ({ page }) => {
      const items = page === '3' ? [paylink()] : others(Number(page));
      // The document has it both ways: of all pages, or of this one.
      return { body: { data: { items, total: items.length } } };
    };
    expect((await find())?.created.providerLinkId).toBe(LINK_ID);
    const pages = received.filter((request) => request.call === 'GET /paylinks').map(({ query }) => query.page);
    expect(pages.slice(0, 3)).toEqual(['1', '2', '3']);
  });

  it('goes on behind a page that is shorter than was asked for', async () => {
    answers['GET /paylinks'] = ({ page }) => ({
      body: { data: { items: page === '1' ? [paylink({}, { reference: 'other' })] : [paylink()], total: 2 } },
    });
    expect((await find())?.created.providerLinkId).toBe(LINK_ID);
  });

  it('gives up on a list without end', async () => {
    answers['GET /paylinks'] = {
      body: { data: { items: Array.from({ length: 100 }, () => ({ id: 'x' })), total: 0 } },
    };
    expect(await errorOf(find())).toMatchObject({ kind: 'unknown', code: 'list_too_long' });
  });

  it('reads what was paid meanwhile, and that it was disabled', async () => {
    answers['GET /paylinks'] = list([paylink({ enabled: false })]);
    answers['GET /payments'] = list([payment()]);
    const { facts } = (await find())!;
    expect(sums(facts, 'USD').captured).toBe(10_050);
    expect(facts.openings).toEqual({ '0': { opened: NOW, disabled: NOW } });
  });

  it.each<[string, unknown]>([
    ['something that is no page', { data: [] }],
    ['a match nobody can read', { data: { items: [paylink({ enabled: 'yes' })] } }],
  ])('does not take %s for an answer', async (_name, body) => {
    answers['GET /paylinks'] = { body };
    expect(await errorOf(find())).toMatchObject({ kind: 'unknown' });
  });
});

describe('every word', () => {
  it.each<[number, string, string, number, boolean]>([
    [1, 'Unknown', 'pending', 0, false],
    [2, 'RequiresPaymentMethod', 'pending', 0, false],
    [3, 'RequiresConfirmation', 'pending', 0, false],
    [4, 'RequiresAction', 'pending', 0, false],
    [5, 'Processing', 'pending', 0, true],
    [6, 'Succeeded', 'paid', 10_050, false],
    [7, 'Canceled', 'pending', 0, false],
    [8, 'Failed', 'pending', 0, false],
  ])('%i, %s, reads %s', async (number, word, status, captured, inFlight) => {
    const spellings = [number, String(number), word, word.toLowerCase(), word.replace(/(?<=[a-z])[A-Z]/g, ' $&')];
    for (const spelling of spellings) {
      const facts = await read([payment({ status: spelling })]);
      expect(statusOf(matter(facts)), String(spelling)).toBe(status);
      expect(sums(facts, 'USD')).toMatchObject({ authorized: captured, captured, refunded: 0, voided: 0 });
      expect(facts.latest?.inFlight ?? false).toBe(inFlight);
      expect(facts.unknownWords).toBeUndefined();
    }
  });

  it('one the table does not know is shown and moves nothing', async () => {
    const facts = await read([payment({ status: 'Reversed' }), payment({ id: OTHER_ID, status: 99 })]);
    expect(statusOf(matter(facts))).toBe('pending');
    expect(facts.unknownWords).toEqual({ 'payment REVERSED': NOW, 'payment 99': NOW });
  });

  it('a transfer back on the chain is no payment', async () => {
    for (const type of [6, '6', 'Refund']) {
      const facts = await read([payment({ crypto_transaction: { type } })]);
      expect(sums(facts, 'USD').captured).toBe(0);
      expect(facts.unknownWords).toEqual({ 'payment of transaction type Refund': NOW });
    }
  });

  it('the latest word is about money first, then about movement, the link, and failed tries', async () => {
    const words = async (...payments: unknown[]) => (await read(payments)).latest?.word;
    const failedTry = payment({ id: OTHER_ID, status: 8, created_at: '2026-03-01T12:20:00Z' });
    expect(await words()).toBe('ENABLED');
    expect(await words(payment({ status: 2 }), failedTry)).toBe('FAILED');
    expect(await words(payment({ status: 5 }), failedTry)).toBe('PROCESSING');
    expect(await words(payment(), failedTry)).toBe('SUCCEEDED');
    answers['GET /paylinks'] = list([paylink({ enabled: false })]);
    expect(await words(failedTry)).toBe('DISABLED');
  });

  it('every number and word is in the published table', () => {
    expect(Object.keys(boomfi.statuses)).toEqual([
      'ENABLED',
      'DISABLED',
      'payment UNKNOWN (1)',
      'payment REQUIRESPAYMENTMETHOD (2)',
      'payment REQUIRESCONFIRMATION (3)',
      'payment REQUIRESACTION (4)',
      'payment PROCESSING (5)',
      'payment SUCCEEDED (6)',
      'payment CANCELLED (7)',
      'payment FAILED (8)',
    ]);
  });
});

describe('what a payment counts for', () => {
  const captured = async (changes: object, currency = 'USD', by: Call<never> = call) =>
    sums(await read([payment(changes)], {}, [], by), currency).captured;
  const plan = (price: string, currency: string) => ({ payment_link: paylink({}, { price, currency }) });

  it('is the plan’s price, whatever the crypto leg says', async () => {
    expect(await captured({ amount: '99.1', currency: 'USDC' })).toBe(10_050);
    expect(await captured({ amount: '0.031', currency: 'ETH' })).toBe(10_050);
    expect(await captured({ amount: '', currency: '' })).toBe(10_050);
  });

  it('is the price the payment itself names before that of its link', async () => {
    expect(await captured({ plan_price: '70', plan_currency: 'USD' })).toBe(7_000);
    expect(await captured({ plan_price: '', plan_currency: '', ...plan('80', 'USD') })).toBe(8_000);
    expect(await captured({ payment_link: { id: LINK_ID }, plan: { price: '90', currency: 'USD' } })).toBe(9_000);
  });

  it('is in the currency of the price', async () => {
    const facts = await read([payment(plan('95', 'EUR'))]);
    expect(exceptionsOf(matter(facts))).toEqual(['currency_mismatch']);
    expect(sums(facts, 'EUR').captured).toBe(9_500);
  });

  it.each<[string, string, string, number]>([
    ['JPY', '500', '500', 500],
    ['KWD', '1.005', '1.005', 1_005],
    ['USD', '0.05', '0.05', 5],
  ])('reads %s %s', async (currency, price, amount, minor) => {
    expect(await captured({ ...plan(price, currency), amount, currency }, currency)).toBe(minor);
  });

  it.each<[number, string, number, string[]]>([
    [0, '100.49', 10_049, ['underpaid']],
    [1, '99.50', 10_050, []],
    [1, '99.49', 9_949, ['underpaid']],
    [1, '101', 10_100, ['overpaid']],
    [0, '100.5', 10_050, []],
  ])('with %i %% tolerance %s by card is %i', async (underpaymentTolerancePercent, amount, minor, exceptions) => {
    const facts = await read([payment({ amount, currency: 'USD' })], {}, [], callOf({ underpaymentTolerancePercent }));
    expect(sums(facts, 'USD').captured).toBe(minor);
    expect(exceptionsOf(matter(facts))).toEqual(exceptions);
  });

  it.each<[string, object]>([
    ['no price', { payment_link: { id: LINK_ID } }],
    ['a price finer than its currency', plan('1.005', 'USD')],
    ['a price in crypto', plan('1', 'USDC')],
  ])('is not guessed with %s', async (_name, changes) => {
    expect(await errorOf(read([payment(changes)]))).toMatchObject({ kind: 'unknown', code: 'unreadable_amount' });
  });
});

describe('whose payment it is', () => {
  it('the link’s id says, and only without one the reference', async () => {
    const named = (id: string | undefined, reference: string) =>
      payment({
        payment_link: id === undefined ? undefined : { ...paylink(), id },
        plan: { price: '100.5', currency: 'USD', reference },
      });
    const counted = async (item: unknown) => sums(await read([item]), 'USD').captured > 0;
    expect(await counted(named(LINK_ID, 'INV-2'))).toBe(true);
    expect(await counted(named(OTHER_ID, terms.reference))).toBe(false);
    expect(await counted(named(undefined, terms.reference))).toBe(true);
    expect(await counted(named('', terms.reference))).toBe(true);
    expect(await counted(named(undefined, 'INV-2'))).toBe(false);
    expect(await counted({ ...payment({ payment_link: null }), plan: null })).toBe(false);
  });

  it('what others’ payments look like is nothing to us', async () => {
    const odd = [null, 'text', { id: 7 }, { id: 'x', payment_link: 'odd', plan: 3 }, { id: 'y', status: {} }];
    expect(sums(await read([...odd, payment()]), 'USD').captured).toBe(10_050);
    expect(await errorOf(read([payment({ status: {} })]))).toMatchObject({ kind: 'unknown' });
  });

  it('one payment through every source is one key', async () => {
    const listed = await read([payment()]);
    answers[`GET /payments/${PAYMENT_ID}`] = { body: { data: payment({ status: 'Succeeded' }) } };
    clock += MINUTE;
    const named = await read([], {}, [PAYMENT_ID]);
    clock += MINUTE;
    const both = await read([payment()], join(listed, named), [PAYMENT_ID]);
    const facts = join(join(both, named), listed);
    expect(Object.keys(facts.payments ?? {})).toEqual([PAYMENT_ID]);
    expect(sums(facts, 'USD').captured).toBe(10_050);
    expect(facts.payments?.[PAYMENT_ID]?.USD?.seenAt).toBe(NOW);
    expect(exceptionsOf(matter(facts))).toEqual([]);
  });

  it('a second payment is a payment of its own', async () => {
    const facts = await read([payment(), payment({ id: OTHER_ID })]);
    expect(sums(facts, 'USD').captured).toBe(20_100);
    expect(facts.latest?.totals).toEqual({ USD: { authorized: 20_100, captured: 20_100 } });
    expect(exceptionsOf(matter(facts))).toEqual(['duplicate_payment']);
  });
});

describe('a read', () => {
  const calls = () => received.map((request) => request.call).sort();

  it('is of both lists, from a little before the link was made', async () => {
    const facts = await read([]);
    expect(calls()).toEqual(['GET /paylinks', 'GET /payments']);
    for (const { query } of received) {
      expect(query).toEqual({ since: '2026-03-01T11:55:00.000Z', sort: 'asc', limit: '100', page: '1' });
    }
    expect(facts).toEqual({
      latest: { at: NOW, hash: expect.stringMatching(/^[0-9a-f]{32}$/), word: 'ENABLED', totals: {} },
    });
  });

  it('goes on where the last one ended, an hour over, unless something was moving then', async () => {
    const sinceOf = async (latest: Facts['latest']) => {
      received = [];
      await read([], { ...opened, ...(latest && { latest }) });
      return received[0]?.query.since;
    };
    const latest = { at: NOW + 5 * HOUR, hash: 'h', word: 'ENABLED', totals: {} };
    expect(await sinceOf(latest)).toBe('2026-03-01T16:00:00.000Z');
    expect(await sinceOf({ ...latest, at: NOW })).toBe('2026-03-01T11:55:00.000Z');
    expect(await sinceOf({ ...latest, inFlight: true })).toBe('2026-03-01T11:55:00.000Z');
  });

  it('reads one by one what the list no longer shows, and whatever a webhook named', async () => {
    const known = await read([payment()]);
    received = [];
    answers[`GET /payments/${PAYMENT_ID}`] = { body: { data: payment() } };
    answers[`GET /payments/${OTHER_ID}`] = { body: { data: payment({ id: OTHER_ID, status: 5 }) } };
    const facts = await read([], known, [LINK_ID, PLAN_ID, OTHER_ID, 'a/strange id']);
    expect(calls()).toEqual(
      [
        'GET /paylinks',
        'GET /payments',
        `GET /payments/${PAYMENT_ID}`,
        `GET /payments/${OTHER_ID}`,
        'GET /payments/a%2Fstrange%20id',
      ].sort(),
    );
    expect(facts.latest).toMatchObject({ word: 'SUCCEEDED', inFlight: true, totals: { USD: { captured: 10_050 } } });
  });

  it('believes the payment before the list', async () => {
    answers[`GET /payments/${PAYMENT_ID}`] = { body: { data: payment() } };
    expect(statusOf(matter(await read([payment({ status: 5 })], {}, [PAYMENT_ID])))).toBe('paid');
  });

  it('facts about another payment are refused', async () => {
    answers[`GET /payments/${PAYMENT_ID}`] = { body: { data: payment({ id: OTHER_ID }) } };
    expect(await errorOf(read([], {}, [PAYMENT_ID]))).toMatchObject({ kind: 'unknown', code: 'answer_mismatch' });
  });

  it('a payment that is gone, or is paid no more, moves nothing and is shown', async () => {
    const known = await read([payment()]);
    clock += MINUTE;
    for (const now of [[], [payment({ status: 8 })]]) {
      const facts = join(known, await read(now, known));
      expect(statusOf(matter(facts))).toBe('paid');
      expect(exceptionsOf(matter(facts))).toEqual(['provider_disagrees']);
    }
  });

  it('says nothing about refunds, which BoomFi does not show', async () => {
    const known = await read([payment()]);
    const entries = { back: { payment: PAYMENT_ID, currency: 'USD', field: 'refunded' as const, minor: 10_050 } };
    clock += MINUTE;
    const facts = join({ ...known, entries }, await read([payment()], known));
    expect(statusOf(matter(facts))).toBe('refunded');
    expect(exceptionsOf(matter(facts))).toEqual([]);
  });

  it('that shows the same again is no news', async () => {
    const known = join(opened, await read([payment()]));
    clock += 10 * HOUR;
    expect(isNews(known, await read([payment()], known))).toBe(false);
  });

  it('that fails, fails', async () => {
    answers['GET /paylinks'] = { status: 500, body: {} };
    expect(await errorOf(read([]))).toMatchObject({ kind: 'unknown', code: 'http_500' });
  });

  it('is one for every link that asks at the time, whatever they ask for', async () => {
    const others = Array.from(
      { length: 40 },
      (_, n): ProviderLink => ({ ...link, providerLinkId: `2Other${n}`, ids: [`2Other${n}`] }),
    );
    answers['GET /payments'] = list([payment()]);
    const asked = await Promise.all(
      [link, ...others].map((each) =>
        boomfi.inquire?.(call, each, { terms: { ...terms, reference: each.providerLinkId }, known: {}, ids: [] }),
      ),
    );
    expect(calls()).toEqual(['GET /paylinks', 'GET /payments']);
    expect(asked.map((answer) => sums(answer?.facts ?? {}, 'USD').captured > 0)).toEqual([
      true,
      ...others.map(() => false),
    ]);
  });

  it('of another credential is another', async () => {
    await Promise.all(
      [call, { ...callOf({ apiKey: 'another-api-key' }), http: call.http }].map((each) =>
        boomfi.inquire?.(each, link, { terms, known: {}, ids: [] }),
      ),
    );
    expect(calls()).toEqual(['GET /paylinks', 'GET /paylinks', 'GET /payments', 'GET /payments']);
  });

  it('comes in two seconds at the earliest after the one before, unless the account says otherwise', () => {
    const { listSpacingMs } = callOf({ listSpacingMs: undefined }).config as { listSpacingMs: number };
    expect(listSpacingMs).toBe(2_000);
  });
});

describe('openings', () => {
  const disabled = (at = NOW): Facts => ({ openings: { '0': { opened: NOW - HOUR, disabled: at } } });
  const readLink = async (enabled: boolean | undefined, known: Facts) => {
    answers['GET /paylinks'] = list(enabled === undefined ? [] : [paylink({ enabled })]);
    return (await read([], known)).openings;
  };

  it('enabled decides, deleted_at does not', async () => {
    expect(await readLink(true, opened)).toBeUndefined();
    expect(await readLink(false, opened)).toEqual({ '0': { disabled: NOW } });
  });

  it('a link that is not listed is as it was', async () => {
    expect(await readLink(undefined, opened)).toBeUndefined();
    expect(await readLink(undefined, disabled())).toBeUndefined();
    expect((await read([], disabled())).latest?.word).toBe('DISABLED');
  });

  it('enabled again by somebody else is another opening, a list that lags is not', async () => {
    clock = NOW + 59_000;
    expect(await readLink(true, disabled())).toBeUndefined();
    clock = NOW + 61_000;
    expect(await readLink(true, disabled())).toEqual({ '1': { opened: clock } });
    const reopened = join(disabled(), { openings: { '1': { opened: clock } } });
    clock += HOUR;
    expect(await readLink(true, reopened)).toBeUndefined();
    expect(await readLink(false, reopened)).toEqual({ '1': { disabled: clock } });
  });

  it('cancel disables, and reads cancelled or expired by the deadline', async () => {
    answers[`PATCH /paylinks/${LINK_ID}`] = { body: { data: paylink({ enabled: false }) } };
    const cancel = (known: Facts) => boomfi.cancel?.(call, link, { terms, key: 'k', known });
    const facts = join(opened, (await cancel(opened))?.facts ?? {});
    expect(received[0]).toMatchObject({ call: `PATCH /paylinks/${LINK_ID}`, body: '{"enabled":false}' });
    expect(statusOf(matter(facts))).toBe('cancelled');
    const overdue = join(facts, { openings: { '0': { deadline: NOW - 1 } } });
    expect(statusOf({ terms, facts: overdue, operations: [] })).toBe('expired');
    const reopened = join(disabled(NOW - MINUTE), { openings: { '1': { opened: NOW } } });
    expect((await cancel(reopened))?.facts).toEqual({ openings: { '1': { disabled: NOW } } });
  });

  it('extend enables, with the new deadline and another opening', async () => {
    answers[`PATCH /paylinks/${LINK_ID}`] = { body: { data: paylink() } };
    const attempt = { terms, key: 'k', expiresAt: NOW + 3 * HOUR, opening: 1, known: disabled() };
    const answer = await boomfi.extend?.(call, link, attempt);
    expect(received[0]?.body).toBe('{"enabled":true}');
    expect(answer?.created).toEqual({ ...link, expiresAt: NOW + 3 * HOUR });
    expect(answer?.facts).toEqual({ openings: { '1': { opened: NOW } } });
    expect(statusOf({ terms, facts: join(disabled(), answer?.facts ?? {}), operations: [] })).toBe('pending');
  });

  it('money that comes after the link was disabled is late', async () => {
    clock = NOW + MINUTE;
    const facts = join(disabled(), await read([payment()], disabled()));
    expect(exceptionsOf({ terms, facts, operations: [] })).toEqual(['late_payment']);
  });

  it.each<[string, Scripted, ProviderError['kind']]>([
    ['another link', { body: { data: paylink({ id: OTHER_ID, enabled: false }) } }, 'unknown'],
    ['a link that is still enabled', { body: { data: paylink() } }, 'unknown'],
    ['nothing', { body: {} }, 'unknown'],
    ['not found', { status: 404, body: failed(404, 'paylinks', 'NotFound', 'Paylink not found') }, 'not_found'],
  ])('cancel answered with %s', async (_name, answer, kind) => {
    answers[`PATCH /paylinks/${LINK_ID}`] = answer;
    expect(await errorOf(boomfi.cancel?.(call, link, { terms, key: 'k', known: opened }))).toMatchObject({ kind });
  });
});

describe('webhook', () => {
  const keys = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
  const [ours, theirs] = [keys(), keys()];
  const pem = (pair: typeof ours) => pair.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const news = {
    event: 'Payment.Updated',
    id: PAYMENT_ID,
    org_id: ORG_ID,
    plan: { id: PLAN_ID, reference: terms.reference },
  };
  const body = Buffer.from(JSON.stringify(news));
  const SECONDS = String(NOW / 1000);
  const sign = (bytes: Uint8Array = body, { timestamp = SECONDS, pair = ours, algorithm = 'RSA-SHA256' } = {}) =>
    createSign(algorithm).update(`${timestamp}.`).update(bytes).sign(pair.privateKey, 'base64');
  interface Sent {
    signature?: string;
    timestamp?: string;
    bytes?: Uint8Array;
    secrets?: string[];
    config?: object;
    now?: number;
  }
  const verify = ({
    signature = sign(),
    timestamp = SECONDS,
    bytes = body,
    secrets = [pem(ours)],
    config = {},
    now = NOW,
  }: Sent) =>
    boomfi.webhook?.verify(
      {
        body: bytes,
        headers: { 'x-boomfi-timestamp': timestamp, 'x-boomfi-signature': signature },
        query: new URLSearchParams(),
      },
      { ...(call.config as object), ...config } as never,
      secrets,
      now,
    );

  it('takes a signature by any of the keys', () => {
    expect(verify({})).toBe('signed');
    expect(verify({ secrets: [pem(theirs), pem(ours)] })).toBe('signed');
    expect(verify({ signature: sign(body, { pair: theirs }), secrets: [pem(ours), pem(theirs)] })).toBe('signed');
  });

  it('known key, known text, known signature', () => {
    expect(verify({ ...GOLDEN, secrets: [GOLDEN.pem], now: 1_700_000_000_000 })).toBe('signed');
  });

  it.each<[string, Sent]>([
    ['no signature', { signature: '' }],
    ['another key', { signature: sign(body, { pair: theirs }) }],
    ['no key', { secrets: [] }],
    ['another digest', { signature: sign(body, { algorithm: 'RSA-SHA512' }) }],
    ['a signature cut short', { signature: sign().slice(0, -4) }],
    ['two signatures joined by a proxy', { signature: `${sign()}, ${sign()}` }],
    ['hex', { signature: Buffer.from(sign(), 'base64').toString('hex') }],
    ['base64 with a line break', { signature: `${sign().slice(0, 64)}\n${sign().slice(64)}` }],
    ['no timestamp', { timestamp: '', signature: sign(body, { timestamp: '' }) }],
    ['another timestamp', { timestamp: String(NOW / 1000 + 1) }],
    ['a timestamp in milliseconds', { timestamp: String(NOW), signature: sign(body, { timestamp: String(NOW) }) }],
    ['a signed timestamp that is no number', { timestamp: '1e9', signature: sign(body, { timestamp: '1e9' }) }],
    ['an old one', { now: NOW + 301_000 }],
    ['one from the future', { now: NOW - 301_000 }],
    ['another organisation', { config: { orgId: OTHER_ID } }],
    ['no organisation', { config: { orgId: ORG_ID }, ...signedBody({ ...news, org_id: undefined }) }],
  ])('refuses %s', (_name, sent) => {
    expect(() => verify(sent)).toThrow(NotAuthentic);
  });

  function signedBody(fields: object): Sent {
    const bytes = Buffer.from(JSON.stringify(fields));
    return { bytes, signature: sign(bytes) };
  }

  it('takes ours within five minutes either way, and other events whoever they are about', () => {
    for (const now of [NOW - 300_000, NOW + 300_000]) expect(verify({ now, config: { orgId: ORG_ID } })).toBe('signed');
    const org = { ...news, org_id: '', org: { id: ORG_ID } };
    expect(verify({ ...signedBody(org), config: { orgId: ORG_ID } })).toBe('signed');
    expect(verify({ ...signedBody({ event: 'Subscription.Created' }), config: { orgId: ORG_ID } })).toBe('signed');
  });

  it('refuses a body of which one bit was changed', () => {
    for (let index = 0; index < body.length; index += 1) {
      const bytes = Buffer.from(body);
      bytes[index] = (bytes[index] ?? 0) ^ 1;
      expect(() => verify({ bytes }), `byte ${index}`).toThrow(NotAuthentic);
    }
  });

  const readNews = (text: string | Uint8Array) =>
    boomfi.webhook?.read(
      { body: Buffer.from(text as string), headers: {}, query: new URLSearchParams() },
      call.config,
      NOW,
    );

  it.each<[string, object, object]>([
    ['a payment', news, { reference: terms.reference, ids: [PLAN_ID, PAYMENT_ID] }],
    [
      'a payment with its link',
      { ...news, payment_link: { id: LINK_ID } },
      { reference: terms.reference, ids: [LINK_ID, PLAN_ID, PAYMENT_ID] },
    ],
    ['a payment that names no plan', { event: 'Payment.Created', id: PAYMENT_ID, plan: null }, { ids: [PAYMENT_ID] }],
    ['a payment without reference', { ...news, plan: { id: PLAN_ID, reference: '' } }, { ids: [PLAN_ID, PAYMENT_ID] }],
    ['a plan', { event: 'Plan.Created', id: PLAN_ID }, { ids: [], ignore: true }],
    ['a subscription', { event: 'Subscription.Updated', id: 'x', plan: null }, { ids: [], ignore: true }],
  ])('reads %s', (_name, fields, expected) => {
    expect(readNews(JSON.stringify(fields))).toEqual(expected);
  });

  it.each(['', 'not json', '[]', 'null', '{"id":"x"}', '{"event":7}'])('cannot read %j', (text) => {
    expect(() => readNews(text)).toThrow(Error);
  });

  it('cannot read broken UTF-8, and says so only after it was verified', () => {
    const bytes = Buffer.from([0x7b, 0xff, 0xfe]);
    expect(verify({ bytes, signature: sign(bytes), config: { orgId: ORG_ID } })).toBe('signed');
    expect(() => readNews(bytes)).toThrow(Error);
  });
});
