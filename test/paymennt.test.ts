import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { type Call, NotAuthentic, ProviderError, type ProviderLink } from '../activities/provider.ts';
import { paymennt } from '../activities/providers/paymennt.ts';
import { exceptionsOf } from '../workflows/exceptions.ts';
import { type Facts, join, sums } from '../workflows/facts.ts';
import { type Matter, statusOf, type Terms } from '../workflows/link.ts';

/** The adapter against scripted answers: wire texts, every word, every odd answer. The sandbox has its own file. */
const MINUTE = 60_000;
const NOW = Date.parse('2026-03-01T12:00:00Z');
const KEY = 'payment-link/INV/2026/001:create:0123456789abcdef';

interface Received {
  call: string;
  query: Record<string, string>;
  body: string;
  headers: IncomingMessage['headers'];
}

let received: Received[] = [];
let answers: Record<string, { status?: number; body: unknown }> = {};
let call: Call<never>;
let clock = NOW;
let close: () => void;

beforeAll(async () => {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? '', 'http://localhost');
    const name = `${request.method} ${url.pathname}`;
    received.push({
      call: name,
      query: Object.fromEntries(url.searchParams),
      body: Buffer.concat(chunks).toString(),
      headers: request.headers,
    });
    const { status = 200, body } = answers[name] ?? { status: 400, body: failed(`nothing scripted for ${name}`) };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => server.close();
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = { baseUrl, apiKey: 'test-api-key', apiSecret: 'test-api-secret-1' };
  const account = readAccounts({ shop: { provider: 'paymennt', options } }).get('shop');
  call = { config: account?.config as never, http: createHttp(), now: () => clock };
});
afterAll(() => close());
beforeEach(() => {
  received = [];
  answers = {};
  clock = NOW;
});

const ok = (result: unknown) => ({ body: { success: true, elapsed: 3, result } });
const failed = (error: string) => ({ success: false, elapsed: 3, error });
const no = (error: string) => ({ status: 400, body: failed(error) });

const terms: Terms = {
  account: 'shop',
  reference: 'INV/2026/001',
  amount: 10_050,
  currency: 'AED',
  exponent: 2,
  expiresAt: NOW + 60 * MINUTE,
};
const link: ProviderLink = {
  providerLinkId: '1700000000000000001',
  ids: ['1700000000000000001'],
  url: 'https://pay.test.paymennt.com/checkout/k',
  expiresAt: NOW + 60 * MINUTE,
  expiresByItself: true,
};
const PAYMENT_ID = '1700000000000000002';

/** A checkout as the document prints it; extra fields are allowed. */
function checkout(changes: object = {}) {
  return {
    id: link.providerLinkId,
    displayId: 'C-1',
    requestId: requestId(),
    orderId: terms.reference,
    currency: 'AED',
    amount: 100.5,
    cashAmount: 0,
    status: 'PENDING',
    totalRefunded: 0,
    redirectUrl: link.url,
    timestamp: '2026-03-01T12:00:00.000+00:00',
    ...changes,
  };
}

const payment = (changes: object = {}) => ({
  id: PAYMENT_ID,
  amount: 100.5,
  currency: 'AED',
  status: 'CAPTURED',
  timestamp: '2026-03-01T12:00:00.000+00:00',
  ...changes,
});

let seenRequestId = 'unknown';
const requestId = () => seenRequestId;

async function errorOf(doing: Promise<unknown>): Promise<ProviderError> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ProviderError) return error;
  throw new Error(`expected a ProviderError, got ${String(error)}`);
}

async function createdWith(changes: Partial<Terms>, answer: object = {}) {
  // The first call learns the request id the adapter derives, the second is answered with it.
  await errorOf(paymennt.create(call, { terms: { ...terms, ...changes }, key: KEY }));
  seenRequestId = JSON.parse(received.at(-1)?.body ?? '{}').requestId;
  answers['POST /checkout/link'] = ok(checkout(answer));
  return paymennt.create(call, { terms: { ...terms, ...changes }, key: KEY });
}

describe('accepts', () => {
  const problems = (changes: Partial<Terms>) => paymennt.accepts({ ...terms, ...changes }, call.config, NOW);

  it.each<[string, number | undefined]>([
    ['no expiry: the account has a default', undefined],
    ['15 minutes', NOW + 15 * MINUTE],
    ['15 minutes, asked for a moment ago', NOW + 15 * MINUTE - 200],
    ['14 minutes, the whole slack', NOW + 14 * MINUTE],
    ['a week', NOW + 10_080 * MINUTE],
    ['a week and a part of a minute', NOW + 10_080 * MINUTE + 59_999],
  ])('takes %s', (_name, expiresAt) => {
    expect(problems({ expiresAt })).toEqual([]);
  });

  it.each<[string, number]>([
    ['the past', NOW - 1],
    ['less than 14 minutes', NOW + 14 * MINUTE - 1],
    ['a week and a minute', NOW + 10_081 * MINUTE],
  ])('refuses %s with both limits', (_name, expiresAt) => {
    expect(problems({ expiresAt })).toEqual([
      {
        pointer: '/expiresAt',
        code: 'invalid_value',
        message:
          'must be 15 to 10080 minutes from now, that is between 2026-03-01T12:15:00.000Z and 2026-03-08T12:00:00.000Z',
      },
    ]);
  });

  it.each<[string, Partial<Terms>, string[]]>([
    ['a return address', { redirectUrl: 'https://shop.example/thanks' }, ['/redirectUrl']],
    ['a customer without e-mail', { customer: { name: 'Ada Lovelace' } }, ['/customer/email']],
    ['a customer without name', { customer: { email: 'ada@example.com' } }, ['/customer/name']],
    ['a phone alone', { customer: { phone: '+971501234567' } }, ['/customer/name', '/customer/email']],
    ['options nobody documented', { providerOptions: { 'a/b~c': 1 } }, ['/providerOptions/a~1b~0c']],
    [
      'options nobody documented inside a documented one',
      { providerOptions: { totals: { subtotal: 1, tax: 0, tip: 1 } } },
      ['/providerOptions/totals/tip'],
    ],
  ])('does not support %s', (_name, changes, pointers) => {
    expect(problems(changes).map(({ pointer, code }) => [pointer, code])).toEqual(
      pointers.map((pointer) => [pointer, 'not_supported']),
    );
  });

  it.each<[string, Partial<Terms>, string]>([
    ['SMS without a phone', { providerOptions: { sendSms: true } }, '/customer/phone'],
    ['e-mail without an address', { providerOptions: { sendEmail: true } }, '/customer/email'],
    ['a flag that is none', { providerOptions: { sendSms: 'yes' } }, '/providerOptions/sendSms'],
    [
      'a method nobody offers',
      { providerOptions: { allowedPaymentMethods: ['CASH'] } },
      '/providerOptions/allowedPaymentMethods/0',
    ],
    ['totals without tax', { providerOptions: { totals: { subtotal: 5 } } }, '/providerOptions/totals/tax'],
    [
      'a fractional minor unit',
      { providerOptions: { totals: { subtotal: 5.5, tax: 0 } } },
      '/providerOptions/totals/subtotal',
    ],
    [
      'an item of nothing',
      { providerOptions: { items: [{ name: 'Book', quantity: 0, linetotal: 5 }] } },
      '/providerOptions/items/0/quantity',
    ],
    [
      'an address without a city',
      { providerOptions: { billingAddress: { name: 'A', address1: 'B', country: 'AE' } } },
      '/providerOptions/billingAddress/city',
    ],
  ])('refuses %s', (_name, changes, pointer) => {
    expect(problems(changes).map((problem) => [problem.pointer, problem.code])).toEqual([[pointer, 'invalid_value']]);
  });

  it('takes both ways of capturing, a whole customer and an empty one', () => {
    expect(problems({ capture: 'manual' })).toEqual([]);
    expect(problems({ capture: 'automatic' })).toEqual([]);
    expect(problems({ customer: {} })).toEqual([]);
    expect(problems({ customer: { name: 'Ada', email: 'ada@example.com', phone: '+971501234567' } })).toEqual([]);
  });

  it('refuses an amount a JSON number cannot carry exactly', () => {
    expect(problems({ amount: Number.MAX_SAFE_INTEGER }).map(({ pointer }) => pointer)).toEqual(['/amount/minor']);
    expect(problems({ amount: 999_999_999_999_999 })).toEqual([]);
  });
});

describe('create', () => {
  it('sends options under their own names, amounts in major units', async () => {
    await createdWith({
      customer: { name: 'Ada Lovelace', email: 'ada@example.com', phone: '+971501234567' },
      providerOptions: {
        sendSms: true,
        sendEmail: false,
        totals: { subtotal: 10_000, tax: 50 },
        items: [{ name: 'Book', quantity: 2, unitprice: 5_000, linetotal: 10_000 }],
        allowedPaymentMethods: ['CARD'],
      },
    });
    expect(received.at(-1)?.body).toContain('"totals":{"subtotal":100,"tax":0.5}');
    expect(received.at(-1)?.body).toContain('"items":[{"name":"Book","unitprice":50,"quantity":2,"linetotal":100}]');
    expect(JSON.parse(received.at(-1)?.body ?? '{}')).toMatchObject({ sendSms: true, allowedPaymentMethods: ['CARD'] });
  });

  it('sends exactly what is documented', async () => {
    const { created, facts } = await createdWith({
      customer: { name: 'Ada King Lovelace', email: 'ada@example.com', phone: '+971501234567' },
      description: 'Two books',
    });
    const [request] = received.slice(-1);
    expect(request?.call).toBe('POST /checkout/link');
    expect(request?.headers).toMatchObject({
      'x-paymennt-api-key': 'test-api-key',
      'x-paymennt-api-secret': 'test-api-secret-1',
    });
    expect(JSON.parse(request?.body ?? '')).toEqual({
      requestId: expect.stringMatching(/^pl-[0-9a-f]{32}$/),
      orderId: 'INV/2026/001',
      description: 'Two books',
      currency: 'AED',
      amount: 100.5,
      expiresIn: 60,
      customer: { firstName: 'Ada', lastName: 'King Lovelace', email: 'ada@example.com', phone: '971501234567' },
    });
    expect(created).toEqual({ ...link, holdEndsAt: link.expiresAt });
    expect(facts).toEqual({
      openings: { '0': { opened: NOW } },
      latest: { at: NOW, hash: expect.stringMatching(/^[0-9a-f]{32}$/), word: 'PENDING', totals: {} },
    });
  });

  it('fills in what paymennt wants and the merchant left out', async () => {
    await createdWith({ customer: { name: 'Ada', email: 'ada@example.com' } });
    expect(JSON.parse(received.at(-1)?.body ?? '')).toMatchObject({
      description: 'Payment INV/2026/001',
      customer: { firstName: 'Ada', lastName: 'Ada' },
    });
  });

  it.each<[string, number, number, string]>([
    ['AED', 10_050, 2, '"amount":100.5,'],
    ['AED', 5, 2, '"amount":0.05,'],
    ['AED', 435, 2, '"amount":4.35,'],
    ['JPY', 500, 0, '"amount":500,'],
    ['KWD', 1_005, 3, '"amount":1.005,'],
    ['CLF', 12_345, 4, '"amount":1.2345,'],
    ['AED', 999_999_999_999_999, 2, '"amount":9999999999999.99,'],
  ])('writes %s %i exactly', async (currency, amount, exponent, wire) => {
    await errorOf(paymennt.create(call, { terms: { ...terms, currency, amount, exponent }, key: KEY }));
    expect(received.at(-1)?.body).toContain(wire);
  });

  it.each<[string, number, number, number]>([
    ['rounds down to whole minutes', 61 * MINUTE - 1, 60, 60 * MINUTE],
    ['asks for the shortest life a moment late', 15 * MINUTE - 200, 15, 15 * MINUTE],
    ['asks for the longest', 10_080 * MINUTE + 30_000, 10_080, 10_080 * MINUTE],
  ])('%s', async (_name, asked, minutes, held) => {
    const { created } = await createdWith({ expiresAt: NOW + asked });
    expect(JSON.parse(received.at(-1)?.body ?? '').expiresIn).toBe(minutes);
    expect(created.expiresAt).toBe(NOW + held);
    expect(created.holdEndsAt).toBe(NOW + held);
  });

  it('names one attempt always by the same request id, another by another', async () => {
    const ids = [];
    for (const key of [KEY, KEY, `${KEY}2`]) {
      await errorOf(paymennt.create(call, { terms, key }));
      ids.push(JSON.parse(received.at(-1)?.body ?? '').requestId);
    }
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  it.each<[string, object]>([
    ['an address that runs code', { redirectUrl: 'javascript:alert(1)' }],
    ['a plain http address', { redirectUrl: 'http://pay.example/checkout/k' }],
    ['an address with user info', { redirectUrl: 'https://user@pay.example/checkout/k' }],
    ['no address', { redirectUrl: null }],
    ['another order', { orderId: 'INV-2' }],
    ['another amount', { amount: 1.5 }],
    ['another currency', { currency: 'USD' }],
    ['another request', { requestId: 'ORD-1' }],
    ['an amount nobody can read', { amount: 100.505 }],
    ['no id', { id: undefined }],
    ['a number for an id: 19 digits do not survive JSON', { id: 1_700_000_000_000_000 }],
  ])('an answer with %s leaves the outcome unknown', async (_name, answer) => {
    expect(await errorOf(createdWith({}, answer))).toMatchObject({ kind: 'unknown' });
  });

  it('a duplicate request id means the link is there: it is adopted', async () => {
    await createdWith({});
    answers['POST /checkout/link'] = no('Duplicate request ID');
    answers['GET /checkout'] = ok({ totalElements: 1, content: [checkout()] });
    const { created } = await paymennt.create(call, { terms, key: KEY });
    expect(created.providerLinkId).toBe(link.providerLinkId);
    expect(received.at(-1)?.query).toEqual({ requestId: requestId() });
  });

  it('a duplicate request id that cannot be found stays unknown', async () => {
    answers['POST /checkout/link'] = no('Duplicate request ID');
    answers['GET /checkout'] = ok({ totalElements: 0, content: [] });
    expect(await errorOf(paymennt.create(call, { terms, key: KEY }))).toMatchObject({
      kind: 'unknown',
      code: 'duplicate_request',
    });
  });
});

describe('findByReference', () => {
  const find = async () => paymennt.findByReference?.(call, { terms, key: KEY, since: NOW });
  beforeEach(async () => {
    await createdWith({});
  });

  it('adopts the exact match, its end a minute early at most', async () => {
    answers['GET /checkout'] = ok({
      totalElements: 2,
      content: [checkout({ id: '9', requestId: 'ORD-9' }), checkout()],
    });
    const found = await find();
    expect(found?.created).toMatchObject({ providerLinkId: link.providerLinkId, expiresAt: NOW + 59 * MINUTE });
    expect(found?.facts.latest?.word).toBe('PENDING');
  });

  it('finds nothing when there is nothing', async () => {
    answers['GET /checkout'] = ok({ totalElements: 0, content: [] });
    expect(await find()).toBeUndefined();
  });

  it('reads what was really paid of a link that was paid meanwhile', async () => {
    answers['GET /checkout'] = ok({ totalElements: 1, content: [checkout({ status: 'PAID', paymentId: PAYMENT_ID })] });
    answers[`GET /checkout/${link.providerLinkId}`] = ok(checkout({ status: 'PAID', paymentId: PAYMENT_ID }));
    answers[`GET /payment/${PAYMENT_ID}`] = ok(payment({ amount: 20 }));
    expect(sums((await find())?.facts ?? {}, 'AED').captured).toBe(2_000);
  });

  it.each<[string, () => object]>([
    ['more pages than were read', () => ({ totalElements: 40, content: [checkout({ requestId: 'ORD-9' })] })],
    ['two of one request id', () => ({ totalElements: 2, content: [checkout(), checkout({ id: '9' })] })],
    ['a match for another order', () => ({ totalElements: 1, content: [checkout({ orderId: 'INV-2' })] })],
    ['something that is no page', () => ({ elements: [] })],
  ])('does not take %s for an answer', async (_name, page) => {
    answers['GET /checkout'] = ok(page());
    expect(await errorOf(find())).toMatchObject({ kind: 'unknown' });
  });
});

async function read(answer: object, paid: object | undefined, known: Facts = {}): Promise<Facts> {
  const withPayment = paid ? { paymentId: PAYMENT_ID } : {};
  answers[`GET /checkout/${link.providerLinkId}`] = ok(checkout({ ...withPayment, ...answer }));
  if (paid) answers[`GET /payment/${PAYMENT_ID}`] = ok(payment(paid));
  const { facts } = (await paymennt.inquire?.(call, link, { terms, known, ids: [] })) ?? { facts: {} };
  return facts;
}

const statusFrom = (facts: Facts) => statusOf({ terms, facts, operations: [] } satisfies Matter);

describe('every word', () => {
  type Row = [checkout: string, payment: string | undefined, status: string, sums: number[], more?: object];
  // Sums: authorized, captured, refunded, voided.
  it.each<Row>([
    ['PENDING', undefined, 'pending', [0, 0, 0, 0]],
    ['PENDING', 'REDIRECT', 'pending', [0, 0, 0, 0], { latest: { inFlight: true } }],
    ['PENDING', 'FAILED', 'pending', [0, 0, 0, 0]],
    ['PENDING', 'REJECTED', 'pending', [0, 0, 0, 0]],
    ['PENDING', 'UNSUPPORTED', 'pending', [0, 0, 0, 0]],
    ['PENDING_CONFIRMATION', undefined, 'pending', [0, 0, 0, 0], { latest: { inFlight: true } }],
    ['AUTHORIZED', 'AUTHORIZED', 'authorized', [10_050, 0, 0, 0]],
    ['PAID', 'CAPTURED', 'paid', [10_050, 10_050, 0, 0]],
    ['PAID', undefined, 'paid', [10_050, 10_050, 0, 0]],
    ['Paid', 'Captured', 'paid', [10_050, 10_050, 0, 0]],
    // The payment was read later than the checkout.
    ['PENDING', 'CAPTURED', 'paid', [10_050, 10_050, 0, 0]],
    ['AUTHORIZED', 'CAPTURED', 'paid', [10_050, 10_050, 0, 0]],
    ['FAILED', 'FAILED', 'failed', [0, 0, 0, 0]],
    ['CANCELLED', undefined, 'cancelled', [0, 0, 0, 0]],
    ['canceled', undefined, 'cancelled', [0, 0, 0, 0]],
    ['CANCELLED', 'VOIDED', 'cancelled', [10_050, 0, 0, 10_050]],
    ['CANCELLED', 'AUTHORIZED', 'cancelled', [10_050, 0, 0, 10_050]],
    ['EXPIRED', undefined, 'expired', [0, 0, 0, 0]],
    ['EXPIRED', 'AUTHORIZED', 'expired', [10_050, 0, 0, 10_050]],
    ['EXPIRED', 'CAPTURED', 'paid', [10_050, 10_050, 0, 0]],
    ['PAID', 'REVERSED', 'pending', [10_050, 0, 0, 10_050]],
    ['CHARGEBACK', 'CHARGEBACK', 'paid', [10_050, 10_050, 0, 0], { disputes: { [link.providerLinkId]: 'open' } }],
    ['On hold', undefined, 'pending', [0, 0, 0, 0], { unknownWords: { ON_HOLD: NOW } }],
    ['PENDING', 'MYSTERY', 'pending', [0, 0, 0, 0], { unknownWords: { 'payment MYSTERY': NOW } }],
    [
      'PAID',
      'PARTIALLY_REVERSED',
      'paid',
      [10_050, 10_050, 0, 0],
      { unknownWords: { 'payment PARTIALLY_REVERSED': NOW } },
    ],
  ])('%s with payment %s reads %s', async (word, paid, status, [authorized, captured, refunded, voided], more = {}) => {
    const facts = await read({ status: word }, paid === undefined ? undefined : { status: paid });
    expect(statusFrom(facts)).toBe(status);
    expect(sums(facts, 'AED')).toMatchObject({ authorized, captured, refunded, voided });
    expect(facts).toMatchObject(more);
    expect(facts.openings?.['0']?.opened).toBe(NOW);
  });

  it.each<[string, number | string | null, string, number]>([
    ['PARTIALLY_REFUNDED', 40.5, 'partially_refunded', 4_050],
    ['Partially refunded', '40.50', 'partially_refunded', 4_050],
    ['REFUNDED', 100.5, 'refunded', 10_050],
    ['REFUNDED', null, 'refunded', 10_050],
  ])('%s with %s given back reads %s', async (status, totalRefunded, reads, refunded) => {
    const facts = await read({ status, totalRefunded }, {});
    expect(statusFrom(facts)).toBe(reads);
    expect(sums(facts, 'AED').refunded).toBe(refunded);
    expect(facts.latest?.totals).toEqual({ AED: { authorized: 10_050, captured: 10_050, refunded } });
  });

  it('every documented word is in the published table', () => {
    expect(Object.keys(paymennt.statuses)).toEqual(
      expect.arrayContaining([
        'PENDING',
        'PENDING_CONFIRMATION',
        'AUTHORIZED',
        'PAID',
        'FAILED',
        'CANCELLED',
        'EXPIRED',
      ]),
    );
    expect(Object.keys(paymennt.statuses)).toEqual(
      expect.arrayContaining(['PARTIALLY_REFUNDED', 'REFUNDED', 'CHARGEBACK']),
    );
  });
});

describe('what was really paid', () => {
  it('is what the payment says, not what was asked', async () => {
    const facts = await read({ status: 'PAID' }, { amount: 99.99, currency: 'USD' });
    expect(sums(facts, 'USD').captured).toBe(9_999);
    expect(sums(facts, 'AED').captured).toBe(0);
  });

  it('an amount finer than its currency is not guessed', async () => {
    expect(await errorOf(read({ status: 'PAID' }, { amount: 100.005 }))).toMatchObject({ kind: 'unknown' });
    expect(await errorOf(read({ status: 'PAID' }, { currency: 'XXZ' }))).toMatchObject({ kind: 'unknown' });
  });

  it.each<[string, object]>([
    ['another checkout', { id: '9' }],
    ['another order', { orderId: 'INV-2' }],
  ])('facts about %s are refused', async (_name, answer) => {
    expect(await errorOf(read(answer, undefined))).toMatchObject({ kind: 'unknown', code: 'answer_mismatch' });
  });

  it('facts about another payment are refused', async () => {
    expect(await errorOf(read({ status: 'PAID' }, { id: '9' }))).toMatchObject({ code: 'answer_mismatch' });
  });
});

describe('one read after another', () => {
  type Step = [answer: object, paid: object | undefined];
  async function readInTurn(...steps: Step[]): Promise<Facts> {
    let known: Facts = {};
    for (const [answer, paid] of steps) {
      clock += 1_000;
      known = join(known, await read(answer, paid, known));
    }
    return known;
  }
  const held: Step = [{ status: 'AUTHORIZED' }, { status: 'AUTHORIZED' }];
  const cancelled: Step = [{ status: 'CANCELLED' }, { status: 'VOIDED' }];
  const paid: Step = [{ status: 'PAID' }, { status: 'CAPTURED' }];

  it('a capture ends the hold', async () => {
    expect(sums(await readInTurn(held, paid), 'AED')).toEqual({
      authorized: 10_050,
      captured: 10_050,
      refunded: 0,
      voided: 0,
      held: 0,
    });
  });

  it('a hold ends with its checkout even if the payment is gone from it', async () => {
    const facts = await readInTurn(held, [{ status: 'EXPIRED' }, undefined]);
    expect(statusFrom(facts)).toBe('expired');
    expect(sums(facts, 'AED')).toMatchObject({ voided: 10_050, held: 0 });
  });

  it('money taken after a hold was given back is another payment, and late', async () => {
    const facts = await readInTurn(held, cancelled, paid);
    expect(sums(facts, 'AED')).toMatchObject({ captured: 10_050, voided: 10_050, held: 0 });
    expect(exceptionsOf({ terms, facts, operations: [] })).toEqual(['late_payment']);
    const again = await readInTurn(held, cancelled, paid, paid, paid);
    expect(sums(again, 'AED')).toEqual(sums(facts, 'AED'));
  });

  it('a stale read between two fresh ones leaves no money behind', async () => {
    const back = await readInTurn(held, cancelled, held, cancelled);
    expect(statusFrom(back)).toBe('cancelled');
    expect(sums(back, 'AED')).toMatchObject({ held: 0, captured: 0 });
    const reversed: Step = [{ status: 'PAID' }, { status: 'REVERSED' }];
    const sale = await readInTurn(paid, reversed, paid, reversed);
    expect(sums(sale, 'AED')).toMatchObject({ held: 0, captured: 0 });
    expect(exceptionsOf({ terms, facts: sale, operations: [] })).toEqual([]);
  });

  it('less captured than before moves nothing and is shown', async () => {
    const facts = await readInTurn(paid, [{ status: 'PAID' }, { status: 'CAPTURED', amount: 80 }]);
    expect(sums(facts, 'AED').captured).toBe(10_050);
    expect(exceptionsOf({ terms, facts, operations: [] })).toEqual(['provider_disagrees']);
  });

  it('a refund that failed later is shown', async () => {
    const facts = await readInTurn(paid, [{ status: 'REFUNDED', totalRefunded: 100.5 }, {}], paid);
    expect(exceptionsOf({ terms, facts, operations: [] })).toEqual(['provider_disagrees']);
  });

  it('less taken than was held leaves no hold behind', async () => {
    const facts = await readInTurn(held, [{ status: 'PAID' }, { status: 'CAPTURED', amount: 40, id: PAYMENT_ID }]);
    expect(sums(facts, 'AED')).toMatchObject({ captured: 4_000, held: 0 });
  });

  it('a payment in another currency takes the place of the hold', async () => {
    const facts = await readInTurn(held, [{ status: 'PAID' }, { status: 'CAPTURED', currency: 'USD' }]);
    expect(sums(facts, 'USD').captured).toBe(10_050);
    expect(sums(facts, 'AED')).toMatchObject({ voided: 10_050, held: 0 });
    expect(facts.latest?.totals.AED).toEqual({});
  });

  it('a chargeback is won when the money stands again, and the next one is a new dispute', async () => {
    const id = link.providerLinkId;
    const charged: Step = [{ status: 'CHARGEBACK' }, { status: 'CHARGEBACK' }];
    expect((await readInTurn(paid, charged, charged)).disputes).toEqual({ [id]: 'open' });
    expect((await readInTurn(paid, charged, paid)).disputes).toEqual({ [id]: 'won' });
    expect((await readInTurn(paid, charged, paid, charged)).disputes).toEqual({ [id]: 'won', [`${id}#2`]: 'open' });
  });
});

describe('writes', () => {
  const held: Facts = {
    payments: {
      [link.providerLinkId]: { AED: { authorized: 10_050, captured: 0, refunded: 0, voided: 0, seenAt: NOW } },
    },
  };
  const taken: Facts = {
    payments: {
      [link.providerLinkId]: { AED: { authorized: 10_050, captured: 10_050, refunded: 0, voided: 0, seenAt: NOW } },
    },
  };

  it('capture finds the payment and takes the whole', async () => {
    const details = checkout({ status: 'PAID', paymentId: PAYMENT_ID });
    answers[`GET /checkout/${link.providerLinkId}`] = ok(checkout({ status: 'AUTHORIZED', paymentId: PAYMENT_ID }));
    answers[`POST /payment/${PAYMENT_ID}/capture`] = ok(payment({ checkoutDetails: details }));
    const answer = await paymennt.capture?.(call, link, { terms, key: 'k', amount: 10_050, known: held });
    expect(received.map((request) => request.call)).toEqual([
      `GET /checkout/${link.providerLinkId}`,
      `POST /payment/${PAYMENT_ID}/capture`,
    ]);
    expect(received.at(-1)).toMatchObject({ query: {}, body: '' });
    expect(answer?.providerId).toBe(PAYMENT_ID);
    expect(answer?.facts.latest?.word).toBe('PAID');
    expect(statusFrom(join(held, answer?.facts ?? {}))).toBe('paid');
  });

  it('a part is refused before anything is sent', async () => {
    const doing = paymennt.capture?.(call, link, { terms, key: 'k', amount: 5_000, known: held });
    expect(await errorOf(doing as Promise<unknown>)).toMatchObject({
      kind: 'refused',
      code: 'not_supported',
      message: 'paymennt captures only the whole of what is held, 100.50 AED',
    });
    expect(received).toEqual([]);
  });

  it.each<[string, { status?: number; body: unknown }, ProviderError['kind']]>([
    ['breaks', { status: 500, body: {} }, 'not_sent'],
    ['is about another order', ok(checkout({ orderId: 'INV-2' })), 'not_sent'],
    ['is refused', no('Checkout not found for API merchant'), 'not_sent'],
    ['wants other credentials', { status: 401, body: failed('Invalid API credentials') }, 'unauthorized'],
    ['shows no payment', ok(checkout({ status: 'AUTHORIZED' })), 'refused'],
  ])('nothing is captured when the read before it %s', async (_name, answer, kind) => {
    answers[`GET /checkout/${link.providerLinkId}`] = answer;
    const doing = paymennt.capture?.(call, link, { terms, key: 'k', amount: 10_050, known: held });
    expect(await errorOf(doing as Promise<unknown>)).toMatchObject({ kind });
    expect(received).toHaveLength(1);
  });

  it('cancel closes the checkout and ends a hold', async () => {
    answers[`POST /checkout/${link.providerLinkId}/cancel`] = ok(
      checkout({ status: 'CANCELLED', paymentId: PAYMENT_ID }),
    );
    const answer = await paymennt.cancel?.(call, link, { terms, key: 'k', known: held });
    expect(received.at(-1)).toMatchObject({ query: {}, body: '' });
    expect(statusFrom(join(held, answer?.facts ?? {}))).toBe('cancelled');
    expect(sums(answer?.facts ?? {}, 'AED')).toMatchObject({ voided: 10_050, held: 0 });
    // The payment itself was not shown: a read has to follow.
    expect(answer?.facts.latest).toBeUndefined();
  });

  it('refund sends its figures in the query and reads the new total', async () => {
    const answered = checkout({ status: 'PARTIALLY_REFUNDED', totalRefunded: 40.05, paymentId: PAYMENT_ID });
    answers[`POST /checkout/${link.providerLinkId}/refund`] = ok(answered);
    const answer = await paymennt.refund?.(call, link, {
      terms,
      key: 'the-key',
      amount: 4_005,
      reason: 'one book back',
      known: taken,
    });
    expect(received.at(-1)?.query).toEqual({
      amount: '40.05',
      currency: 'AED',
      note: 'one book back',
      referenceId: 'the-key',
    });
    expect(received.at(-1)?.body).toBe('');
    expect(sums(join(taken, answer?.facts ?? {}), 'AED').refunded).toBe(4_005);
  });

  it('refund gives the note paymennt wants', async () => {
    answers[`POST /checkout/${link.providerLinkId}/refund`] = ok(
      checkout({ status: 'REFUNDED', totalRefunded: 100.5 }),
    );
    await paymennt.refund?.(call, link, { terms, key: 'k', amount: 10_050, known: taken });
    expect(received.at(-1)?.query).toMatchObject({ note: 'Refund INV/2026/001', amount: '100.50' });
  });

  it('an answer about another payment captures nothing', async () => {
    answers[`GET /checkout/${link.providerLinkId}`] = ok(checkout({ status: 'AUTHORIZED', paymentId: PAYMENT_ID }));
    answers[`POST /payment/${PAYMENT_ID}/capture`] = ok(payment({ id: 'another' }));
    const doing = paymennt.capture?.(call, link, { terms, key: 'k', amount: 10_050, known: held });
    expect(await errorOf(doing as Promise<unknown>)).toMatchObject({ kind: 'unknown', code: 'answer_mismatch' });
  });

  it('an answer about another checkout proves nothing', async () => {
    answers[`POST /checkout/${link.providerLinkId}/refund`] = ok(checkout({ id: '9', status: 'REFUNDED' }));
    const doing = paymennt.refund?.(call, link, { terms, key: 'k', amount: 10_050, known: taken });
    expect(await errorOf(doing as Promise<unknown>)).toMatchObject({ kind: 'unknown', code: 'answer_mismatch' });
  });

  it.each<[string, ProviderError['kind'], string]>([
    ['Checkout not found for API merchant', 'not_found', 'not_found'],
    ['Payment not found for API merchant', 'not_found', 'not_found'],
    ['Webhook not found for API merchant', 'not_found', 'not_found'],
    ['Duplicate request ID', 'refused', 'duplicate_request'],
    ['Refund amount exceeds paid amount', 'refused', 'amount_out_of_range'],
    ['Checkout status does not allow refund', 'refused', 'status_conflict'],
    ['amount must be greater than 0', 'refused', 'provider_error'],
  ])('“%s” is %s, %s', async (text, kind, code) => {
    for (const status of [400, 200]) {
      answers[`POST /checkout/${link.providerLinkId}/refund`] = { status, body: failed(text) };
      const doing = paymennt.refund?.(call, link, { terms, key: 'k', amount: 1, known: taken });
      expect(await errorOf(doing as Promise<unknown>)).toMatchObject({ kind, code, message: text });
    }
  });

  it.each<[string, number, unknown, ProviderError['kind']]>([
    ['a 4xx without envelope', 404, { message: 'no route' }, 'refused'],
    ['a 2xx without envelope', 200, { id: '1' }, 'unknown'],
    ['success with an error status', 400, { success: true, result: {} }, 'refused'],
    ['a result of another shape', 200, { success: true, result: [] }, 'unknown'],
  ])('%s', async (_name, status, body, kind) => {
    answers[`POST /checkout/${link.providerLinkId}/cancel`] = { status, body };
    const doing = paymennt.cancel?.(call, link, { terms, key: 'k', known: {} });
    expect(await errorOf(doing as Promise<unknown>)).toMatchObject({ kind });
  });
});

describe('webhook', () => {
  const body = Buffer.from('{"id":"1700000000000000001","status":"PAID","orderId":"INV/2026/001"}');
  const secret = 'webhook-secret-0001';
  const sign = (key: string, bytes: Uint8Array = body) => createHmac('sha256', key).update(bytes).digest('hex');
  const request = (signature: string | undefined, bytes: Uint8Array = body) => ({
    body: bytes,
    headers: { 'x-paymennt-signature': signature },
    query: new URLSearchParams(),
  });
  const verify = (signature: string | undefined, secrets = [secret], bytes = body, config: object = call.config) =>
    paymennt.webhook?.verify(request(signature, bytes), config as never, secrets, 0);

  it('known text, known digest', () => {
    const digest = 'f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8';
    const quick = Buffer.from('The quick brown fox jumps over the lazy dog');
    expect(() => verify(digest, ['key'], quick)).not.toThrow();
  });

  it('takes the old and the new secret, and upper-case hex', () => {
    verify(sign(secret));
    verify(sign(secret).toUpperCase());
    verify(sign('webhook-secret-0000'), ['', secret, 'webhook-secret-0000']);
  });

  it.each<[string, string | undefined, string[]]>([
    ['no signature', undefined, [secret]],
    ['an empty one', '', [secret]],
    ['another secret', sign('somebody-elses-key'), [secret]],
    ['an empty secret on both sides', sign(''), ['']],
    ['no secret', sign(secret), []],
    ['a digest cut short', sign(secret).slice(0, 62), [secret]],
    ['a digest with more behind it', `${sign(secret)}00`, [secret]],
    ['two signatures joined by a proxy', `${sign(secret)}, ${sign(secret)}`, [secret]],
    ['a prefix', `sha256=${sign(secret)}`.slice(0, 64), [secret]],
    ['digits of another script', sign(secret).replace(/\d/, '٣'), [secret]],
    ['base64', createHmac('sha256', secret).update(body).digest('base64').padEnd(64, '='), [secret]],
  ])('refuses %s', (_name, signature, secrets) => {
    expect(() => verify(signature, secrets)).toThrow(NotAuthentic);
  });

  it('refuses a body of which one bit was changed', () => {
    for (let index = 0; index < body.length; index += 1) {
      const changed = Buffer.from(body);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => verify(sign(secret), [secret], changed), `byte ${index}`).toThrow(NotAuthentic);
    }
  });

  it('looks where the account says, or not at all', () => {
    const elsewhere = { requireSignature: true, webhookSignatureHeader: 'X-Other' };
    expect(() => verify(sign(secret), [secret], body, elsewhere)).toThrow(NotAuthentic);
    expect(() => verify(undefined, [secret], body, { ...elsewhere, requireSignature: false })).not.toThrow();
  });

  it.each<[string, string, string | undefined, object]>([
    ['flat JSON', body.toString(), 'application/json', { reference: 'INV/2026/001', ids: ['1700000000000000001'] }],
    ['no content type', body.toString(), undefined, { reference: 'INV/2026/001', ids: ['1700000000000000001'] }],
    [
      'a form',
      'id=17&orderId=INV%2F2026%2F001&status=PAID',
      'application/x-www-form-urlencoded; charset=utf-8',
      { reference: 'INV/2026/001', ids: ['17'] },
    ],
    ['checkoutId', '{"checkoutId":"17"}', 'application/json', { reference: undefined, ids: ['17'] }],
    [
      'nested',
      '{"event":"paid","data":{"id":"17","orderId":"INV-1"}}',
      'application/json',
      { reference: 'INV-1', ids: ['17'] },
    ],
    ['the same id twice', '{"id":"17","checkoutId":"17"}', 'application/json', { reference: undefined, ids: ['17'] }],
    [
      'ids of another type',
      '{"id":{"$ne":1},"orderId":["x"],"checkoutId":17}',
      'application/json',
      { reference: undefined, ids: ['17'] },
    ],
    [
      'an id that lost digits in JSON',
      '{"id":1700000000000000001}',
      'application/json',
      { reference: undefined, ids: [] },
    ],
    ['nothing known', '{"hello":"world"}', 'application/json', { reference: undefined, ids: [] }],
  ])('reads %s', (_name, text, type, news) => {
    const read = paymennt.webhook?.read(
      {
        ...request(undefined, Buffer.from(text)),
        headers: { 'content-type': type },
      },
      {} as never,
      0,
    );
    expect(read).toEqual(news);
  });

  it.each(['', 'not json', '[]', 'null', '"text"'])('cannot read %j', (text) => {
    expect(() => paymennt.webhook?.read(request(undefined, Buffer.from(text)), {} as never, 0)).toThrow(Error);
  });

  it('cannot read broken UTF-8', () => {
    expect(() => paymennt.webhook?.read(request(undefined, Buffer.from([0x7b, 0xff, 0xfe])), {} as never, 0)).toThrow(
      Error,
    );
  });

  it('finds its registration again instead of making another', async () => {
    const mine = { id: '7', hmacKey: 'issued-hmac-key-7', address: 'https://hooks.example/paymennt', enabled: true };
    const other = { ...mine, id: '6', address: 'https://other.example' };
    answers['GET /webhooks'] = ok([other, mine]);
    const found = await paymennt.webhook?.register?.(call, 'https://hooks.example/paymennt');
    expect(found).toEqual({ id: '7', secret: 'issued-hmac-key-7' });
    expect(received.map((request) => request.call)).toEqual(['GET /webhooks']);
  });

  it('is registered with an address and brings the secret', async () => {
    answers['GET /webhooks'] = ok([]);
    answers['POST /webhooks'] = ok({
      id: '5',
      hmacKey: 'issued-hmac-key-1',
      address: 'x',
      failed: false,
      enabled: true,
    });
    expect(await paymennt.webhook?.register?.(call, 'https://hooks.example/paymennt')).toEqual({
      id: '5',
      secret: 'issued-hmac-key-1',
    });
    expect(received.at(-1)?.body).toBe('{"address":"https://hooks.example/paymennt"}');
  });
});
