import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MERCHANTS } from '../sandbox/katu9/merchants.ts';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { katu9Merchant, transactionBody } from './katu9-merchant.ts';
import { until, webhookListener } from './sandbox-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof katu9Merchant>;
let stall: ReturnType<typeof katu9Merchant>;
let listener: Awaited<ReturnType<typeof webhookListener>>;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0, webhookRetryMs: [10, 10, 10], katu9: { minuteMs: 100 } });
  shop = katu9Merchant(sandbox.url);
  stall = katu9Merchant(sandbox.url, 'katu9-new');
  listener = await webhookListener();
});
afterEach(() => shop.control('DELETE', 'faults'));
afterAll(async () => {
  await sandbox.close();
  await listener.close();
});

const UUID = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const NOBODY = '00000000-0000-4000-8000-000000000000';
const LONG = { expiryMinutes: 100_000 };
const C = 'created 1050 INR';
const error = (message: string, details: object = {}) => ({ error: { message, details } });
const invalid = (details: object) => error('Invalid request parameters', details);
const liveLink = {
  error: { message: 'A non-expired payment link already exists for this transaction in this environment.' },
};
const stateOf = (page: string) => /data-state="(\w+)"/.exec(page)?.[1];
const open = async (url: string) => {
  const response = await fetch(url);
  return { status: response.status, page: await response.text(), headers: response.headers };
};

describe('a transaction', () => {
  it('answers 201 and the whole of it, without a link', async () => {
    const request = {
      ...transactionBody(),
      currency: 'INR',
      requestedAmount: 10.5,
      paymentMethodId: MERCHANTS[0]?.paymentMethodId,
      expiryMinutes: 5,
      redirectUrl: 'https://shop.example/thanks',
    };
    const { status, body } = await shop.call('POST', '/transaction', request);
    expect({ status, body }).toEqual({
      status: 201,
      body: {
        data: {
          id: UUID,
          type: 'DEPOSIT',
          amount: 10.5,
          requestedAmount: 10.5,
          currency: 'INR',
          status: 'PENDING',
          metadata: request.metadata,
          paymentMethodId: request.paymentMethodId,
          redirectUrl: request.redirectUrl,
          createdAt: ISO,
          updatedAt: ISO,
        },
      },
    });
    expect(await shop.read(body.data.id)).toEqual(body.data);
    expect(await shop.ledger(body.data.id)).toEqual([C]);
  });

  it.each<[object, Record<string, unknown>]>([
    [{ amount: 'is required' }, { amount: undefined }],
    [{ amount: 'must be a number' }, { amount: '10.50' }],
    [{ amount: 'must be greater than 0' }, { amount: 0 }],
    [{ amount: 'must have at most 2 decimals' }, { amount: 10.505 }],
    [{ type: 'is required' }, { type: undefined }],
    [{ type: 'must be DEPOSIT or WITHDRAWAL' }, { type: 'deposit' }],
    [{ currency: 'must be INR' }, { currency: 'USD' }],
    [{ metadata: 'must be an object' }, { metadata: 'order-1' }],
    [{ paymentMethodId: 'must be a UUID' }, { paymentMethodId: 'upi' }],
    [{ requestedAmount: 'must be a number' }, { requestedAmount: '1' }],
    [{ withdrawalRecipient: 'is required for a WITHDRAWAL' }, { type: 'WITHDRAWAL' }],
    [{ expiryMinutes: 'must be an integer' }, { expiryMinutes: 1.5 }],
    [{ expiryMinutes: 'must be at least 1' }, { expiryMinutes: 0 }],
    [{ redirectUrl: 'must be a URI' }, { redirectUrl: 'shop' }],
    [
      { amount: 'is required', type: 'must be DEPOSIT or WITHDRAWAL' },
      { amount: undefined, type: 'GIFT' },
    ],
  ])('refuses %j', async (details, change) => {
    const { status, body } = await shop.call('POST', '/transaction', { ...transactionBody(), ...change });
    expect({ status, body }).toEqual({ status: 400, body: invalid(details) });
  });

  it.each<[string, object]>([
    ['{"amount":', { body: 'is not valid JSON' }],
    ['[]', { body: 'must be an object' }],
  ])('refuses the body %j', async (text, details) => {
    const { status, body } = await shop.call('POST', '/transaction', text);
    expect({ status, body }).toEqual({ status: 400, body: invalid(details) });
  });

  it('404: a payment method that is not the merchant’s', async () => {
    for (const paymentMethodId of [NOBODY, MERCHANTS[1]?.paymentMethodId]) {
      const { status, body } = await shop.call('POST', '/transaction', { ...transactionBody(), paymentMethodId });
      expect({ status, body }).toEqual({ status: 404, body: error('Payment method not found') });
    }
  });

  it('a withdrawal is kept, and neither a link nor money comes of it', async () => {
    const payout = { type: 'WITHDRAWAL', withdrawalRecipient: { vpa: 'customer@upi' } };
    const { id, status } = await shop.deposit(payout);
    const link = await shop.call('POST', '/payment-link/generate', { transactionId: id });
    expect([status, link.status, link.body]).toEqual(['PENDING', 400, error('Only a DEPOSIT can have a payment link')]);
    expect(await shop.ledger(id)).toEqual([]);
  });
});

describe('a payment link', () => {
  it('answers the whole documented link with the address for the payer', async () => {
    const { id } = await shop.deposit();
    const request = { transactionId: id, ...LONG, redirectUrl: 'https://shop.example/thanks', description: 'Tea' };
    const before = Date.now();
    const { status, body } = await shop.call('POST', '/payment-link/generate', request);
    const paymentLink = {
      id: UUID,
      expiresAt: ISO,
      amount: 10.5,
      currency: 'INR',
      status: 'ACTIVE',
      redirectUrl: request.redirectUrl,
      url: `${sandbox.url}/katu9/pay/${body.data.paymentLink.id}`,
    };
    expect({ status, body }).toEqual({ status: 200, body: { data: { paymentLink } } });
    // A sandbox minute is 100 ms here.
    expect(Date.parse(body.data.paymentLink.expiresAt)).toBeGreaterThanOrEqual(before + 10_000_000);
    expect((await shop.read(id)).paymentLink).toEqual(body.data.paymentLink);
    expect(await shop.ledger(id)).toEqual([C]);
  });

  it('takes its own amount, and from the transaction what is left out', async () => {
    const { id } = await shop.deposit({ redirectUrl: 'https://shop.example/a' });
    expect(await shop.generate(id, { ...LONG, amount: 4.2 })).toMatchObject({
      amount: 4.2,
      redirectUrl: 'https://shop.example/a',
    });
  });

  it.each<[object, Record<string, unknown>]>([
    [{ transactionId: 'is required' }, { transactionId: undefined }],
    [{ transactionId: 'must be a UUID' }, { transactionId: '1' }],
    [{ amount: 'must be greater than 0' }, { amount: -1 }],
    [{ amount: 'must have at most 2 decimals' }, { amount: 0.001 }],
    [{ currency: 'must be INR' }, { currency: 'AED' }],
    [{ expiryMinutes: 'must be at least 1' }, { expiryMinutes: 0 }],
    [{ redirectUrl: 'must be a URI' }, { redirectUrl: '' }],
    [{ description: 'must be a string' }, { description: 7 }],
  ])('refuses %j', async (details, change) => {
    const { id } = await shop.deposit();
    const { status, body } = await shop.call('POST', '/payment-link/generate', { transactionId: id, ...change });
    expect({ status, body }).toEqual({ status: 400, body: invalid(details) });
  });

  it('404: unknown, another merchant’s, or of the other environment', async () => {
    const live = katu9Merchant(sandbox.url, 'katu9', 'PRODUCTION');
    const others = [NOBODY, (await stall.deposit()).id, (await live.deposit()).id];
    for (const transactionId of others) {
      const { status, body } = await shop.call('POST', '/payment-link/generate', { transactionId });
      expect({ status, body }).toEqual({ status: 404, body: error('Transaction not found') });
    }
  });

  it('409: one live link at a time, whoever asks how often', async () => {
    const { id } = await shop.deposit();
    const ask = () => shop.call('POST', '/payment-link/generate', { transactionId: id, ...LONG });
    const answers = await Promise.all(Array.from({ length: 5 }, ask));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409]);
    for (const { status, body } of answers) if (status === 409) expect(body).toEqual(liveLink);
  });

  it('can be replaced once expired: another id and address, the same transaction', async () => {
    const { id, link } = await shop.create(LONG, LONG);
    await shop.act(id, 'expire');
    expect(await shop.read(id)).toMatchObject({ status: 'EXPIRED', paymentLink: { id: link.id, status: 'EXPIRED' } });
    const next = await shop.generate(id, LONG);
    expect(next.id).not.toBe(link.id);
    expect(await shop.read(id)).toMatchObject({ status: 'PENDING', paymentLink: next });
    expect([stateOf((await open(link.url)).page), stateOf((await open(next.url)).page)]).toEqual(['expired', 'open']);
    expect((await shop.pay(link.url)).status).toBe(409);
    expect((await shop.pay(next.url)).status).toBe(303);
    expect(await shop.ledger(id)).toEqual([C, 'expired', 'captured 1050 INR']);
  });

  it.each([
    ['pay', 'COMPLETED'],
    ['fail', 'FAILED'],
  ])('cannot be had after %s', async (action, status) => {
    const { id } = await shop.create({}, LONG);
    await shop.act(id, action);
    const { status: code, body } = await shop.call('POST', '/payment-link/generate', { transactionId: id });
    expect([code, body]).toEqual([400, error(`A ${status} transaction cannot have a new payment link`)]);
  });

  it('expires on time by itself', async () => {
    const { id, link } = await shop.create({}, { expiryMinutes: 1 });
    await until('the link expired', async () => (await shop.ledger(id)).includes('expired'));
    expect(await shop.read(id)).toMatchObject({ status: 'EXPIRED', paymentLink: { status: 'EXPIRED' } });
    expect((await shop.pay(link.url)).status).toBe(409);
    expect(await shop.ledger(id)).toEqual([C, 'expired']);
  });
});

describe('reading', () => {
  it.each([
    ['/transaction', 400, invalid({ id: 'is required' })],
    ['/transaction?id=', 400, invalid({ id: 'is required' })],
    [`/transaction?id=${NOBODY}`, 404, error('Transaction not found')],
    ['/nothing', 404, error('No such call: GET /katu9/nothing')],
  ])('GET %s', async (path, status, body) => {
    const answer = await shop.call('GET', path);
    expect([answer.status, answer.body]).toEqual([status, body]);
  });

  it('403: another merchant’s', async () => {
    const { id } = await stall.deposit();
    const { status, body } = await shop.call('GET', `/transaction?id=${id}`);
    expect([status, body]).toEqual([403, error('Transaction belongs to another merchant')]);
  });

  it('tells its health to anybody', async () => {
    const { status, body } = await shop.call('GET', '/health', undefined, {});
    expect([status, body]).toEqual([
      200,
      { status: 'ok', database: { status: 'ok', responseTime: expect.any(Number) }, timestamp: ISO },
    ]);
  });
});

describe('who may ask', () => {
  it.each<[string, Record<string, string | undefined>, number, object]>([
    ['no token', { authorization: undefined }, 401, error('Unauthorized')],
    ['another token', { authorization: 'Bearer nobody' }, 401, error('Unauthorized')],
    ['another scheme', { authorization: 'Token sandbox-katu9-token' }, 401, error('Unauthorized')],
    ['no merchant', { 'x-katu9-merchant-id': undefined }, 400, invalid({ 'x-katu9-merchant-id': 'is required' })],
    [
      'another merchant',
      { 'x-katu9-merchant-id': 'sandbox-katu9-new-merchant' },
      403,
      error('The token belongs to another merchant'),
    ],
    [
      'another environment',
      { 'x-katu9-environment': 'TEST' },
      400,
      invalid({ 'x-katu9-environment': 'must be PRODUCTION or SANDBOX' }),
    ],
  ])('not %s', async (_name, change, status, body) => {
    const headers = Object.entries({ ...shop.keys, ...change }).filter(([, value]) => value !== undefined);
    const given = Object.fromEntries(headers) as Record<string, string>;
    for (const [method, path] of [
      ['POST', '/transaction'],
      ['POST', '/payment-link/generate'],
      ['GET', `/transaction?id=${NOBODY}`],
    ] as const) {
      const answer = await shop.call(method, path, method === 'POST' ? transactionBody() : undefined, given);
      expect([answer.status, answer.body]).toEqual([status, body]);
    }
  });

  it('production is closed to a merchant that is not active, the sandbox is not', async () => {
    const live = katu9Merchant(sandbox.url, 'katu9-new', 'PRODUCTION');
    const { status, body } = await live.call('POST', '/transaction', transactionBody());
    expect([status, body]).toEqual([403, error('Merchant is not active')]);
    expect((await stall.create()).link.status).toBe('ACTIVE');
  });
});

describe('the pay page', () => {
  it('shows what is to be paid, escaped, with a form that needs no script', async () => {
    const { link, reference } = await shop.create({ amount: 1234.5 }, { ...LONG, description: '<b>"tea"</b>' });
    const { status, page, headers } = await open(link.url);
    expect([status, stateOf(page)]).toEqual([200, 'open']);
    for (const text of ['Monsoon Tea House', 'INR 1,234.50', '&lt;b&gt;&quot;tea&quot;&lt;/b&gt;', reference]) {
      expect(page).toContain(text);
    }
    for (const name of ['vpa', 'terms']) expect(page).toContain(`name="${name}"`);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it.each(['success@upi', ' Success@UPI '])('takes %j', async (vpa) => {
    const { id, link } = await shop.create({}, LONG);
    const response = await shop.pay(link.url, { vpa });
    expect(response.status).toBe(303);
    const receipt = await open(new URL(response.headers.get('location') ?? '', link.url).href);
    expect(stateOf(receipt.page)).toBe('paid');
    expect(await shop.read(id)).toMatchObject({ status: 'COMPLETED', amount: 10.5, paymentLink: { status: 'USED' } });
    expect(await shop.ledger(id)).toEqual([C, 'captured 1050 INR']);
  });

  it('declines any other UPI ID and lets the customer try again', async () => {
    const { id, link } = await shop.create({}, LONG);
    const declined = await shop.pay(link.url, { vpa: 'nobody@okbank' });
    const page = await declined.text();
    expect([declined.status, stateOf(page)]).toEqual([402, 'open']);
    expect(page).toContain('Your bank declined the request');
    expect((await shop.read(id)).status).toBe('PENDING');
    expect((await shop.pay(link.url)).status).toBe(303);
    expect(await shop.ledger(id)).toEqual([C, 'attempt_failed 1050 INR', 'captured 1050 INR']);
  });

  it.each([
    [{ vpa: ' ' }, 'Enter your UPI ID.'],
    [{ vpa: '"><b>x' }, 'A UPI ID looks like name@bank.'],
    [{ terms: '' }, 'Accept the terms to pay.'],
  ])('asks for what is missing: %j', async (change, message) => {
    const { id, link } = await shop.create({}, LONG);
    const response = await shop.pay(link.url, change);
    const page = await response.text();
    expect([response.status, page.includes(message), page.includes('<b>x')]).toEqual([422, true, false]);
    expect(await shop.ledger(id)).toEqual([C]);
  });

  it('charges once, however often the form arrives', async () => {
    const { id, link } = await shop.create({}, LONG);
    const answers = await Promise.all(Array.from({ length: 10 }, () => shop.pay(link.url)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(303));
    expect(await shop.ledger(id)).toEqual([C, 'captured 1050 INR']);
  });

  it('is called off, and then takes no money; what was paid is not', async () => {
    const { id, link } = await shop.create({}, LONG);
    const response = await fetch(`${link.url}/cancel`, { method: 'POST' });
    expect([response.url, stateOf(await response.text())]).toEqual([link.url, 'cancelled']);
    expect((await shop.pay(link.url)).status).toBe(409);
    expect(await shop.read(id)).toMatchObject({ status: 'CANCELLED', paymentLink: { status: 'CANCELLED' } });
    expect(await shop.ledger(id)).toEqual([C, 'cancelled']);

    const paid = await shop.create({}, LONG);
    await shop.pay(paid.link.url);
    await fetch(`${paid.link.url}/cancel`, { method: 'POST' });
    expect((await shop.read(paid.id)).status).toBe('COMPLETED');
  });

  it('has a page for links that do not exist', async () => {
    const missing = `${sandbox.url}/katu9/pay/${NOBODY}`;
    const { status, page } = await open(missing);
    expect([status, stateOf(page)]).toEqual([404, 'missing']);
    expect((await shop.pay(missing)).status).toBe(404);
  });
});

describe('the control plane', () => {
  it.each<[string, [action: string, input?: object][], object, string[]]>([
    ['paid', [['pay']], { status: 'COMPLETED', amount: 10.5 }, ['captured 1050 INR']],
    [
      'underpaid',
      [['pay', { amount: 400 }]],
      { status: 'COMPLETED', amount: 4, requestedAmount: 10.5 },
      ['captured 400 INR'],
    ],
    [
      'paid in another currency',
      [['pay', { amount: 7, currency: 'KWD' }]],
      { amount: 0.007, currency: 'KWD' },
      ['captured 7 KWD'],
    ],
    [
      'paid twice',
      [['pay'], ['pay', { amount: 50 }]],
      { status: 'COMPLETED', amount: 11 },
      ['captured 1050 INR', 'captured 50 INR'],
    ],
    [
      'paid after expiry',
      [['expire'], ['pay']],
      { status: 'COMPLETED', paymentLink: expect.objectContaining({ status: 'EXPIRED' }) },
      ['expired', 'captured 1050 INR'],
    ],
    [
      'paid after failure',
      [['fail'], ['pay']],
      { status: 'COMPLETED' },
      ['attempt_failed 1050 INR', 'captured 1050 INR'],
    ],
    ['expired twice is once', [['expire'], ['expire']], { status: 'EXPIRED' }, ['expired']],
    [
      'failed after payment',
      [['pay'], ['fail']],
      { status: 'COMPLETED' },
      ['captured 1050 INR', 'attempt_failed 1050 INR'],
    ],
    ['expired after payment', [['pay'], ['expire']], { status: 'COMPLETED' }, ['captured 1050 INR']],
    [
      'refunded in the dashboard',
      [['pay'], ['refund']],
      { status: 'REFUNDED', amount: 10.5 },
      ['captured 1050 INR', 'refunded 1050 INR'],
    ],
    [
      'refunded, and that failed',
      [['pay'], ['refund'], ['refund_fails']],
      { status: 'COMPLETED' },
      ['captured 1050 INR', 'refunded 1050 INR', 'refund_failed 1050 INR'],
    ],
    [
      'corrected down',
      [['pay'], ['correct', { amount: 1000 }]],
      { amount: 10 },
      ['captured 1050 INR', 'voided 50 INR'],
    ],
    [
      'corrected up',
      [['pay'], ['correct', { amount: 1100 }]],
      { amount: 11 },
      ['captured 1050 INR', 'captured 50 INR'],
    ],
    [
      'corrected to another currency',
      [['pay'], ['correct', { amount: 3, currency: 'USD' }]],
      { amount: 0.03, currency: 'USD' },
      ['captured 1050 INR', 'voided 1050 INR', 'captured 3 USD'],
    ],
  ])('%s', async (_name, steps, reads, ledger) => {
    const { id } = await shop.create({}, LONG);
    for (const [action, input] of steps) {
      const answer = await shop.act(id, action, input);
      expect([answer.status, answer.body.link, answer.body.webhooks]).toEqual([200, id, []]);
    }
    expect(await shop.read(id)).toMatchObject(reads);
    expect(await shop.ledger(id)).toEqual([C, ...ledger]);
  });

  it('names link, payment and reference in the ledger', async () => {
    const { id, reference } = await shop.create({}, LONG);
    await shop.act(id, 'pay');
    const { entries } = (await shop.control('GET', 'ledger')).body;
    expect(entries.filter((entry: { reference: string }) => entry.reference === reference)).toMatchObject([
      { kind: 'created', link: id },
      { kind: 'captured', link: id, payment: id },
    ]);
  });

  it('finds a link by its reference, and by a payment link', async () => {
    const { id, reference, link } = await shop.create({}, LONG);
    for (const name of [reference, link.id]) expect((await shop.act(name, 'expire')).body.link).toBe(id);
  });

  it.each<[string, object, string]>([
    ['authorize', {}, 'authorize: Katu9 takes payments at once'],
    ['chargeback', {}, 'chargeback: Katu9 tells of no disputes'],
    ['dispute_won', {}, 'dispute_won: Katu9 tells of no disputes'],
    ['refund', {}, 'refund: the link has nothing to give back'],
    ['refund_fails', {}, 'refund_fails: the link has no refund'],
    ['correct', {}, 'correct: the link has no payment'],
  ])('409: %s', async (action, input, message) => {
    const { id } = await shop.create({}, LONG);
    const { status, body } = await shop.act(id, action, input);
    expect([status, body]).toEqual([409, { error: message }]);
    expect(await shop.ledger(id)).toEqual([C]);
  });
});

describe('webhooks', () => {
  const about = (id: string) => listener.heard.filter(({ raw }) => raw.includes(id));
  const sign = (secret: string, raw: string) => createHmac('sha256', secret).update(raw).digest('hex');

  it('go where the dashboard says, signed, and tell of nothing but what the merchant did', async () => {
    const set = await shop.control('PUT', 'webhook', { url: listener.url });
    expect([set.status, set.body]).toEqual([
      200,
      { url: listener.url, secret: 'sandbox-katu9-webhook-secret', merchant: 'katu9' },
    ]);
    const transaction = await shop.deposit();
    const paymentLink = await shop.generate(transaction.id, LONG);
    await shop.pay(paymentLink.url);
    await until('both are heard', () => about(transaction.id).length === 2);
    const bodies = about(transaction.id).map(({ body }) => body);
    expect(bodies).toEqual(
      expect.arrayContaining([
        { event: 'transaction.created', data: { transaction } },
        { event: 'payment_link.created', data: { paymentLink, transactionId: transaction.id } },
      ]),
    );
    for (const { headers, raw, body } of about(transaction.id)) {
      expect(headers['x-katu9-signature']).toBe(sign('sandbox-katu9-webhook-secret', raw));
      expect(headers['x-webhook-event']).toBe(body.event);
    }
  });

  it('arrive before the answer by a fault', async () => {
    await shop.control('PUT', 'webhook', { url: listener.url });
    const { id } = await shop.deposit();
    await until('the transaction is told', () => about(id).length === 1);
    await shop.fault({ operation: 'generate', kind: 'webhook_before_answer', link: id });
    await shop.generate(id, LONG);
    expect(about(id).map(({ body }) => body.event)).toEqual(['transaction.created', 'payment_link.created']);
  });

  it('arrive before every answer where the sandbox is told so', async () => {
    const eager = await startSandbox({ port: 0, katu9: { webhookFirst: true } });
    const merchant = katu9Merchant(eager.url);
    await merchant.control('PUT', 'webhook', { url: listener.url });
    const { id } = await merchant.deposit();
    expect(about(id)).toHaveLength(1);
    await merchant.generate(id);
    expect(about(id)).toHaveLength(2);
    await eager.close();
  });

  it('are tried again until they are taken, are lost by a fault, and are sent again on demand', async () => {
    await shop.control('PUT', 'webhook', { url: listener.url, secret: 'another-webhook-secret' });
    const { id } = await shop.deposit();
    await until('the transaction is told', () => about(id).length === 1);
    listener.answers.push(503, 503);
    await shop.generate(id, LONG);
    await until('the third try is taken', () => about(id).length === 4);
    const { body } = await shop.control('POST', 'webhooks/resend', { link: id, times: 2 });
    expect(body).toEqual({ link: id, webhooks: [200, 200] });
    const raws = about(id)
      .slice(1)
      .map(({ raw }) => raw);
    expect([raws.length, new Set(raws).size]).toEqual([5, 1]);
    expect(about(id).at(-1)?.headers['x-katu9-signature']).toBe(sign('another-webhook-secret', raws[0] ?? ''));

    await shop.fault({ operation: 'webhook', kind: 'reset' });
    const lost = await shop.create({}, LONG);
    expect((await shop.control('POST', 'webhooks/resend', { link: lost.id })).body.webhooks).toEqual(['lost']);
    expect(about(lost.id)).toEqual([]);
  });

  it.each<[object, number, string]>([
    [{ url: 'http://shop.example/hook' }, 400, 'url: must be an https URL, or http on this machine'],
    [{ url: 'ftp://127.0.0.1/hook' }, 400, 'url: must be an https URL, or http on this machine'],
    [{ url: 'https://shop.example/hook', merchant: 'acme' }, 400, 'merchant: must be one of katu9, katu9-new'],
  ])('cannot go to %j', async (target, status, message) => {
    const answer = await shop.control('PUT', 'webhook', target);
    expect([answer.status, answer.body]).toEqual([status, { error: message }]);
  });

  it('of a provider that registers them by a call are not set here', async () => {
    const response = await fetch(`${sandbox.url}/__sandbox/paymennt/webhook`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ url: listener.url }),
    });
    expect([response.status, await response.json()]).toEqual([404, { error: 'paymennt has no webhook to set here' }]);
  });
});

describe('faults', () => {
  it.each(['create', 'generate', 'inquire'] as const)('refuse %s before anything happened', async (operation) => {
    const { id } = await shop.deposit();
    const request = transactionBody();
    await shop.fault({ operation, kind: 'status', status: 429, retryAfter: 7 });
    const ask = {
      create: () => shop.call('POST', '/transaction', request),
      generate: () => shop.call('POST', '/payment-link/generate', { transactionId: id }),
      inquire: () => shop.call('GET', `/transaction?id=${id}`),
    };
    const { status, body, headers } = await ask[operation]();
    expect([status, body, headers.get('retry-after')]).toEqual([429, error('Refused by a sandbox fault'), '7']);
    await shop.control('DELETE', 'faults');
    expect((await shop.act(request.metadata.reference, 'expire')).status).toBe(404);
    expect((await shop.read(id)).paymentLink).toBeUndefined();
  });

  it('lose an answer after the fact, of one reference or link only', async () => {
    const request = transactionBody();
    await shop.fault({ operation: 'create', kind: 'drop_after_commit', link: request.metadata.reference });
    await expect(shop.call('POST', '/transaction', request)).rejects.toThrow('fetch failed');
    const { entries } = (await shop.control('GET', 'ledger')).body;
    const { reference } = request.metadata;
    expect(entries.filter((entry: { reference: string }) => entry.reference === reference)).toMatchObject([
      { kind: 'created', amount: 1050, currency: 'INR' },
    ]);

    const { id } = await shop.deposit();
    await shop.fault({ operation: 'generate', kind: 'error_after_commit', link: id });
    expect((await shop.call('POST', '/payment-link/generate', { transactionId: id, ...LONG })).status).toBe(500);
    await shop.control('DELETE', 'faults');
    expect((await shop.read(id)).paymentLink.status).toBe('ACTIVE');
  });
});

it('keeps transactions, links, webhook and ledger over a restart, and expires what ran out meanwhile', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'sandbox-katu9-'));
  const katu9 = { minuteMs: 50 };
  const first = await startSandbox({ port: 0, stateDir, katu9 });
  const before = katu9Merchant(first.url);
  await before.control('PUT', 'webhook', { url: listener.url, secret: 'kept-webhook-secret' });
  const short = await before.create({}, { expiryMinutes: 1 });
  const long = await before.create({}, LONG);
  await before.act(long.id, 'pay');
  await first.close();

  const second = await startSandbox({ port: 0, stateDir, katu9 });
  const after = katu9Merchant(second.url);
  await until('the short one expired', async () => (await after.ledger(short.id)).includes('expired'));
  expect(await after.read(short.id)).toMatchObject({ status: 'EXPIRED', paymentLink: { id: short.link.id } });
  expect(await after.ledger(long.id)).toEqual([C, 'captured 1050 INR']);
  // The address follows the port.
  const page = await open(`${second.url}/katu9/pay/${long.link.id}`);
  expect(stateOf(page.page)).toBe('paid');
  listener.heard.length = 0;
  await after.control('POST', 'webhooks/resend', { link: long.reference });
  const [heard] = listener.heard;
  expect(heard?.body.data.transactionId).toBe(long.id);
  const signature = createHmac('sha256', 'kept-webhook-secret')
    .update(heard?.raw ?? '')
    .digest('hex');
  expect(heard?.headers['x-katu9-signature']).toBe(signature);
  await second.close();
  await rm(stateDir, { recursive: true });
});
