import { createVerify } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { BOOMFI, boomfiMerchant, linkBody } from './boomfi-merchant.ts';
import { until, webhookListener } from './sandbox-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof boomfiMerchant>;
let stateDir: string;

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'sandbox-boomfi-'));
  sandbox = await startSandbox({ port: 0, stateDir, webhookRetryMs: [20, 20] });
  shop = boomfiMerchant(sandbox.url);
});
afterAll(async () => {
  await sandbox.close();
  rmSync(stateDir, { recursive: true });
});

const KSUID = expect.stringMatching(/^[0-9A-Za-z]{27}$/);
const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const refusal = (code: number, domain: string, reason: string, message: string) => ({
  error: { code, errors: [{ domain, reason }], message },
});
const stateOf = (page: string) => /data-state="(\w+)"/.exec(page)?.[1];

describe('create', () => {
  it('answers the whole documented link, with "error": true and a deleted_at', async () => {
    const request = { ...linkBody(), description: 'For two', metadata: { payment_method_types: ['Card'] } };
    const { status, body } = await shop.call('POST', '/paylinks', request);
    const plan = {
      id: body.data.plan_id,
      org_id: BOOMFI.orgId,
      source: 'BoomFi',
      name: 'Tea & cake',
      type: 'OneTime',
      billing_scheme: 'FlatFee',
      price: '10.5',
      currency: 'USD',
      available_quantity: 0,
      trial_period: '',
      recurring_interval: 'Unknown',
      recurring_interval_count: 1,
      recurring_usage_type: 'Unknown',
      reference: request.reference,
      enabled: true,
      v1: '',
      created_by: BOOMFI.orgId,
      created_at: INSTANT,
      updated_at: INSTANT,
      deleted_at: null,
      metadata: {},
    };
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        error: true,
        data: {
          id: KSUID,
          plan_id: KSUID,
          invoice_id: '',
          source: 'BoomFi',
          customer_ident_collection: false,
          shipping_address_collection: false,
          tax_ident_collection: false,
          enabled: true,
          deleted_at: INSTANT,
          created_by: BOOMFI.orgId,
          updated_by: '',
          created_at: INSTANT,
          updated_at: INSTANT,
          metadata: { payment_method_types: ['Card'] },
          properties: { short_code: expect.stringMatching(/^[\w-]{10}$/) },
          plan,
        },
      },
    });
    expect(await shop.read(body.data.id)).toEqual(body.data);
    expect(await shop.ledger(body.data.id)).toEqual(['created 1050 USD']);
  });

  it('takes one reference twice, none at all, and what a subscription needs', async () => {
    const [first, second] = [await shop.create({ reference: 'twice' }), await shop.create({ reference: 'twice' })];
    expect(second.id).not.toBe(first.id);
    expect((await shop.create({ reference: undefined })).plan.reference).toBe('');
    const recurring = { type: '3', interval: 'Month', intervalCount: 2, trial_period: '24h' };
    expect((await shop.create(recurring)).plan).toMatchObject({
      type: 'Recurring',
      recurring_interval: 'Month',
      recurring_interval_count: 2,
      trial_period: '24h',
    });
  });

  it('takes every optional field and those it does not know', async () => {
    const afterCompletion = { type: 'redirect', redirect_url: 'https://shop.example/thanks' };
    const link = await shop.create({
      image_url: 'https://shop.example/tea.png',
      account_ids: [1, 2],
      metadata: { after_completion: afterCompletion, omit_possible_duplicate_acknowledgement: true, more: 1 },
      somethingElse: true,
    });
    expect(link).toMatchObject({ image_url: 'https://shop.example/tea.png', account_ids: [1, 2] });
    expect(link.metadata).toEqual({
      after_completion: afterCompletion,
      omit_possible_duplicate_acknowledgement: true,
      more: 1,
    });
    expect((await shop.create({ account_ref: 'main' })).account_ref).toBe('main');
  });

  const metadata = (fields: object) => ({ metadata: fields });
  it.each<[string, Record<string, unknown>]>([
    ['name is required', { name: undefined }],
    ['name must not be empty', { name: '' }],
    ['amount is required', { amount: undefined }],
    ['amount must be a string', { amount: 10.5 }],
    ['amount must be a decimal number', { amount: '-1' }],
    ['amount must be a decimal number', { amount: '1e3' }],
    ['amount must be greater than 0', { amount: '0.00' }],
    ['amount must have at most 2 decimals in USD', { amount: '10.505' }],
    ['amount must have at most 0 decimals in JPY', { amount: '1.5', currency: 'JPY' }],
    ['currency is required', { currency: undefined }],
    ['currency must be an ISO 4217 currency code', { currency: 'USDC' }],
    ['reference must be a string', { reference: 7 }],
    ['type must be one of 1, 2, 3', { type: '4' }],
    ['interval must be one of Day, Week, Month, Year', { interval: 'Hour' }],
    ['intervalCount must be at least 1', { intervalCount: 0 }],
    ['trial_period must be a duration such as 24h', { trial_period: 'a day' }],
    ['metadata must be an object', { metadata: 'x' }],
    [
      'metadata.payment_method_types.0 must be one of MerchantContract, ProxyWallet, Card',
      metadata({ payment_method_types: ['Cash'] }),
    ],
    ['metadata.after_completion.type must be one of hosted, redirect', metadata({ after_completion: { type: 'x' } })],
    ['metadata.after_completion.redirect_url is required', metadata({ after_completion: { type: 'redirect' } })],
    [
      'metadata.omit_possible_duplicate_acknowledgement must be a boolean',
      metadata({ omit_possible_duplicate_acknowledgement: 'no' }),
    ],
    ['image_url must be a URL', { image_url: 'tea.png' }],
    ['account_ref must not be given together with account_ids', { account_ref: 'main', account_ids: [1] }],
  ])('refuses: %s', async (message, change) => {
    const { status, body } = await shop.call('POST', '/paylinks', { ...linkBody(), ...change });
    expect({ status, body }).toEqual({ status: 400, body: refusal(400, 'paylinks', 'InvalidRequest', message) });
  });

  it.each([
    ['request body is not valid JSON', '{"name":'],
    ['request body must be an object', '[]'],
  ])('refuses: %s', async (message, text) => {
    const { status, body } = await shop.call('POST', '/paylinks', text);
    expect({ status, body }).toEqual({ status: 400, body: refusal(400, 'paylinks', 'InvalidRequest', message) });
  });
});

describe('who may call, and what is not there', () => {
  it.each<[string, Record<string, string>]>([
    ['no key', {}],
    ['another key', { 'x-api-key': 'somebody-else' }],
  ])('refuses %s', async (_name, headers) => {
    const { status, body } = await shop.call('GET', '/paylinks', undefined, headers);
    expect([status, body]).toEqual([401, refusal(401, 'orgs', 'Unauthorized', 'Unauthorized')]);
  });

  it.each([
    ['PATCH', '/paylinks/none', refusal(404, 'paylinks', 'NotFound', 'Paylink not found')],
    ['GET', '/payments/none', refusal(404, 'payments', 'NotFound', 'Payment not found')],
    ['GET', '/paylinks/none', refusal(404, 'routes', 'NotFound', 'No such call: GET /boomfi/v1/paylinks/none')],
  ])('%s %s', async (method, path, expected) => {
    const { status, body } = await shop.call(method, path, method === 'PATCH' ? { enabled: true } : undefined);
    expect([status, body]).toEqual([404, expected]);
  });

  it.each([
    [400, refusal(400, 'orders', 'InsufficientQuantity', 'Insufficient quantity')],
    [403, refusal(403, 'orgs', 'Forbidden', 'Forbidden')],
    [500, refusal(500, 'orders', 'Internal', 'Internal server error')],
  ])('a fault answers %d as documented', async (status, expected) => {
    const request = linkBody();
    await shop.fault({ operation: 'create', kind: 'status', status, link: request.reference, count: 1 });
    const answer = await shop.call('POST', '/paylinks', request);
    expect([answer.status, answer.body]).toEqual([status, expected]);
  });
});

describe('PATCH', () => {
  it('disables and enables, as often as asked', async () => {
    const { id } = await shop.create();
    for (const enabled of [false, false, true, true, false]) {
      const { status, body } = await shop.call('PATCH', `/paylinks/${id}`, { enabled });
      expect([status, body.data.id, body.data.enabled]).toEqual([200, id, enabled]);
    }
    expect(await shop.read(id)).toMatchObject({ enabled: false });
    expect(await shop.ledger(id)).toEqual(['created 1050 USD', 'cancelled', 'cancelled']);
  });

  it.each([
    [{}, 'enabled is required'],
    [{ enabled: 'no' }, 'enabled must be a boolean'],
  ])('refuses %j', async (sent, message) => {
    const { id } = await shop.create();
    const { status, body } = await shop.call('PATCH', `/paylinks/${id}`, sent);
    expect([status, body]).toEqual([400, refusal(400, 'paylinks', 'InvalidRequest', message)]);
  });
});

describe('lists', () => {
  it('pages, sorts, and knows when something changed', async () => {
    const others = new Date().toISOString();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const made = [];
    for (const _ of [1, 2, 3]) {
      made.push(await shop.create());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const ids = made.map(({ id }) => id);
    const list = async (query: Record<string, string>) =>
      (await shop.call('GET', `/paylinks?${new URLSearchParams({ since: others, ...query })}`)).body.data;
    const idsOf = async (query: Record<string, string>) =>
      (await list(query)).items.map(({ id }: { id: string }) => id);

    expect(await idsOf({ sort: 'asc' })).toEqual(ids);
    expect(await idsOf({})).toEqual(ids.toReversed());
    expect(await list({ sort: 'asc', limit: '2' })).toEqual({
      items: made.slice(0, 2),
      total: 3,
      next: 2,
      last_update: made[2].updated_at,
    });
    expect(await list({ sort: 'asc', limit: '2', page: '2' })).toMatchObject({ items: [made[2]], total: 3, next: 0 });
    expect(await idsOf({ page: '9' })).toEqual([]);
    expect(await idsOf({ until: made[1].created_at, sort: 'asc' })).toEqual(ids.slice(0, 2));

    const later = new Date(Date.parse(made[2].created_at) + 1).toISOString();
    expect(await idsOf({ since: later })).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await shop.call('PATCH', `/paylinks/${ids[0]}`, { enabled: false });
    expect(await idsOf({ since: later })).toEqual([ids[0]]);
  });

  it('of payments can be cut by customer and invoice', async () => {
    const { id } = await shop.create();
    await shop.pay(id);
    await shop.pay(id);
    const [first] = await shop.payments(id);
    const list = async (query: string) => (await shop.call('GET', `/payments?${query}`)).body.data.items;
    expect(await list(`customer_id=${first.customer_id}`)).toEqual([first]);
    expect(await list('invoice_id=none')).toEqual([]);
    expect((await list('invoice_id=')).length).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ['/paylinks?limit=0', 'paylinks', 'limit must be between 1 and 100'],
    ['/paylinks?limit=101', 'paylinks', 'limit must be between 1 and 100'],
    ['/payments?page=0', 'payments', 'page must be at least 1'],
    ['/payments?since=yesterday', 'payments', 'since must be an RFC 3339 timestamp'],
    ['/events?until=2026-01-01', 'events', 'until must be an RFC 3339 timestamp'],
    ['/events?sort=up', 'events', 'sort must be one of asc, desc'],
  ])('refuse %s', async (path, domain, message) => {
    const { status, body } = await shop.call('GET', path);
    expect([status, body]).toEqual([400, refusal(400, domain, 'InvalidRequest', message)]);
  });
});

describe('payments', () => {
  it('are answered whole: status and method as numbers, the crypto leg as amount', async () => {
    const link = await shop.create({ amount: '100.50', currency: 'AED' });
    await shop.pay(link.id);
    const [payment] = await shop.payments(link.id);
    expect(payment).toEqual({
      id: KSUID,
      parent_id: '',
      org_id: BOOMFI.orgId,
      // 100.50 AED at the sandbox's rate.
      amount: '27.366150',
      currency: 'USDC',
      customer_id: KSUID,
      customer: {
        id: payment.customer_id,
        org_id: BOOMFI.orgId,
        name: '',
        email: '',
        reference: '',
        wallet_address: '0x00000000000000000000000000000000000000A1',
      },
      invoice_id: '',
      payment_link: link,
      payment_method: 2,
      status: 6,
      next_action: '',
      source: 'BoomFi',
      scheduled_time: 0,
      crypto_transaction: {
        chain_id: 137,
        payment_id: payment.id,
        status: 2,
        transaction_hash: expect.stringMatching(/^0x[0-9a-f]{64}$/),
        type: 5,
        source: 2,
        created_at: INSTANT,
        updated_at: INSTANT,
      },
      properties: {},
      created_at: INSTANT,
      updated_at: INSTANT,
    });
    expect((await shop.call('GET', `/payments/${payment.id}`)).body).toEqual({ data: payment });
    expect(await shop.ledger(link.id)).toEqual(['created 10050 AED', 'captured 10050 AED']);
  });

  it.each([
    ['USD', '10.50', '10.5', 1050],
    ['USD', '1', '1', 100],
    ['JPY', '500', '500', 500],
    ['KWD', '1.234', '1.234', 1234],
    ['USD', '90071992547409.91', '90071992547409.91', 9007199254740991],
  ])('%s %s', async (currency, amount, price, minor) => {
    const { id, plan } = await shop.create({ currency, amount });
    expect([plan.price, plan.currency]).toEqual([price, currency]);
    expect(await shop.ledger(id)).toEqual([`created ${minor} ${currency}`]);
  });
});

describe('the control plane', () => {
  const act = async (link: string, action: string, input?: object) => {
    const { status, body } = await shop.control('POST', `links/${link}/${action}`, input);
    const entries = body.entries?.map(({ kind, amount, currency }: Record<string, unknown>) =>
      [kind, amount, currency].filter(Boolean).join(' '),
    );
    return { status, word: body.status, entries, error: body.error };
  };

  it('sends a transfer, and lets it arrive or fail', async () => {
    const { id } = await shop.create();
    expect(await act(id, 'authorize')).toEqual({ status: 200, word: 'Processing', entries: [], error: undefined });
    expect(await act(id, 'pay')).toMatchObject({ word: 'Succeeded', entries: ['captured 1050 USD'] });
    await act(id, 'authorize');
    expect(await act(id, 'fail')).toMatchObject({ word: 'Failed', entries: ['attempt_failed 1050 USD'] });
    const payments = await shop.payments(id);
    expect(payments.map(({ status }: { status: number }) => status)).toEqual([6, 8]);
    expect(payments[1].crypto_transaction.status).toBe(3);
  });

  it('pays in any state, and every time it is another payment', async () => {
    const { id } = await shop.create();
    expect(await act(id, 'disable')).toMatchObject({ word: 'Disabled', entries: ['cancelled'] });
    await act(id, 'pay');
    await act(id, 'pay');
    expect(await act(id, 'enable')).toMatchObject({ word: 'Enabled', entries: [] });
    const payments = await shop.payments(id);
    expect(new Set(payments.map((payment: { id: string }) => payment.id)).size).toBe(2);
    expect(await shop.ledger(id)).toEqual(['created 1050 USD', 'cancelled', 'captured 1050 USD', 'captured 1050 USD']);
  });

  it('takes another amount by card, and another currency by a variant with a price of its own', async () => {
    const { id } = await shop.create();
    expect(await act(id, 'pay', { amount: 1000 })).toMatchObject({ entries: ['captured 1000 USD'] });
    expect(await act(id, 'pay', { amount: 900, currency: 'EUR' })).toMatchObject({ entries: ['captured 900 EUR'] });
    const [byCard, variant] = await shop.payments(id);
    expect(byCard).toMatchObject({ amount: '10.00', currency: 'USD', payment_method: 5, crypto_transaction: null });
    expect(byCard.payment_link.plan).toMatchObject({ price: '10.5', currency: 'USD' });
    expect(variant).toMatchObject({ amount: '9.720000', currency: 'USDC', payment_method: 2 });
    expect(variant.payment_link.plan).toMatchObject({ price: '9', currency: 'EUR' });
  });

  it('restates what was paid last', async () => {
    const { id } = await shop.create();
    expect(await act(id, 'correct')).toMatchObject({ status: 409, error: 'correct: the link has no payment' });
    await act(id, 'pay');
    expect(await act(id, 'correct', { amount: 1000 })).toMatchObject({ entries: ['voided 50 USD'] });
    expect(await act(id, 'correct', { amount: 1200 })).toMatchObject({ entries: ['captured 200 USD'] });
    expect(await act(id, 'correct', { amount: 1200 })).toMatchObject({ entries: [] });
    expect(await act(id, 'correct', { currency: 'EUR' })).toMatchObject({
      entries: ['voided 1200 USD', 'captured 1200 EUR'],
    });
    expect((await shop.payments(id))[0].payment_link.plan).toMatchObject({ price: '12', currency: 'EUR' });
  });

  it.each(['expire', 'chargeback', 'dispute_won', 'refund_fails'])('has no %s', async (action) => {
    const { id } = await shop.create();
    const error = `${action}: BoomFi's links do not expire, and what was paid stays paid`;
    expect(await act(id, action)).toMatchObject({ status: 409, error });
    expect(await shop.ledger(id)).toEqual(['created 1050 USD']);
  });

  it('finds a link by its reference', async () => {
    const { id, plan } = await shop.create();
    expect(await act(plan.reference, 'pay')).toMatchObject({ status: 200 });
    expect(await shop.ledger(id)).toContain('captured 1050 USD');
  });
});

describe('the pay page', () => {
  const open = async (id: string) => (await fetch(shop.pageOf(id))).text();

  it('shows what is to be paid, escaped, and no end', async () => {
    const { id } = await shop.create({ name: '<script>alert(1)</script>', currency: 'KWD', amount: '1.5' });
    const page = await open(id);
    expect(stateOf(page)).toBe('open');
    for (const text of ['Lantern Audio', 'KWD 1.500', '&lt;script&gt;alert(1)&lt;/script&gt;', 'id="wallet"']) {
      expect(page).toContain(text);
    }
    for (const text of ['<script', 'Pay before', 'paid before']) expect(page).not.toContain(text);
  });

  it('pays as often as it is asked to, and says so', async () => {
    const { id } = await shop.create();
    for (const _ of [1, 2]) {
      const paid = await shop.pay(id);
      expect(paid.status).toBe(303);
      const receipt = await fetch(new URL(paid.headers.get('location') ?? '', shop.pageOf(id)));
      expect(stateOf(await receipt.text())).toBe('paid');
    }
    expect(stateOf(await open(id))).toBe('open');
    expect(await open(id)).toContain('This link was paid before.');
    expect(await shop.ledger(id)).toEqual(['created 1050 USD', 'captured 1050 USD', 'captured 1050 USD']);
  });

  it('pays one form once', async () => {
    const { id } = await shop.create();
    const [, attempt = ''] = /name="attempt" value="([\w-]+)"/.exec(await open(id)) ?? [];
    const answers = await Promise.all([1, 2, 3].map(() => shop.pay(id, { attempt })));
    expect(new Set(answers.map(({ headers }) => headers.get('location'))).size).toBe(1);
    expect(await shop.ledger(id)).toEqual(['created 1050 USD', 'captured 1050 USD']);
  });

  it('turns an empty wallet down and lets the customer try again or give up', async () => {
    const { id } = await shop.create();
    const failed = await shop.pay(id, { wallet: `0x${'0'.repeat(36)}dEaD` });
    expect([failed.status, stateOf(await failed.text())]).toEqual([402, 'open']);
    expect((await fetch(`${shop.pageOf(id)}/cancel`, { method: 'POST', redirect: 'manual' })).status).toBe(303);
    expect((await shop.pay(id)).status).toBe(303);
    const statuses = (await shop.payments(id)).map(({ status }: { status: number }) => status);
    expect(statuses).toEqual([8, 7, 6]);
  });

  it.each([
    [{ asset: 'DOGE' }, 'Choose what to pay with.'],
    [{ network: '2' }, 'Choose a network.'],
    [{ wallet: '0x12' }, 'Enter a wallet address: 0x and 40 hexadecimal digits.'],
    [{ terms: '' }, 'Confirm the transfer to pay.'],
  ])('asks for what is missing: %j', async (change, message) => {
    const { id } = await shop.create();
    const response = await shop.pay(id, change as Record<string, string>);
    expect(response.status).toBe(422);
    expect(await response.text()).toContain(message);
    expect(await shop.ledger(id)).toEqual(['created 1050 USD']);
  });

  it('takes nothing while the link is disabled', async () => {
    const { id } = await shop.create();
    await shop.control('POST', `links/${id}/disable`);
    const refused = await shop.pay(id);
    expect([refused.status, stateOf(await refused.text())]).toEqual([409, 'cancelled']);
    await shop.control('POST', `links/${id}/pay`);
    expect(stateOf(await open(id))).toBe('paid');
  });

  it('has a page for links that do not exist', async () => {
    const response = await fetch(shop.pageOf('none'));
    expect([response.status, stateOf(await response.text())]).toEqual([404, 'missing']);
  });
});

describe('webhooks', () => {
  let listener: Awaited<ReturnType<typeof webhookListener>>;
  beforeAll(async () => {
    listener = await webhookListener();
  });
  afterAll(() => listener.close());
  afterEach(async () => {
    await shop.control('DELETE', 'faults');
  });

  it('go where the dashboard says', async () => {
    const { status, body } = await shop.control('PUT', 'webhook', { url: listener.url });
    expect([status, body]).toEqual([200, { url: listener.url, merchant: 'boomfi' }]);
    const { id, plan } = await shop.create();
    await until('the plan was told of', () => listener.heard.length > 0);
    expect(listener.heard[0]?.body).toEqual({ event: 'Plan.Created', ...plan });
    await shop.pay(id);
    await until('both payment events were told', () => listener.heard.length === 3);
    const events = listener.heard.slice(1).map(({ body: { event, status } }) => `${event} ${status}`);
    expect(events.sort()).toEqual(['Payment.Created Processing', 'Payment.Updated Succeeded']);
    const updated = listener.heard.find(({ body }) => body.status === 'Succeeded')?.body;
    const [payment] = await shop.payments(id);
    expect(updated).toEqual({
      event: 'Payment.Updated',
      id: payment.id,
      parent_id: '',
      org_id: BOOMFI.orgId,
      amount: '10.500000',
      currency: 'USDC',
      customer_id: payment.customer_id,
      customer: payment.customer,
      invoice_id: '',
      payment_method: 'Crypto',
      status: 'Succeeded',
      next_action: '',
      source: 'BoomFi',
      scheduled_time: 0,
      amount_usd: '10.50',
      plan_currency: 'USD',
      plan_price: '10.5',
      plan: {
        id: plan.id,
        name: plan.name,
        type: 'OneTime',
        price: '10.5',
        currency: 'USD',
        reference: plan.reference,
      },
      org: { id: BOOMFI.orgId, name: 'Lantern Audio' },
      created_at: payment.created_at,
      updated_at: payment.updated_at,
    });
  });

  it('are signed over timestamp and body with the published key', async () => {
    const key = await shop.publicKey();
    expect(listener.heard).toHaveLength(3);
    for (const { headers, raw } of listener.heard) {
      const timestamp = String(headers['x-boomfi-timestamp']);
      expect(Math.abs(Date.now() / 1000 - Number(timestamp))).toBeLessThan(60);
      const signed = (text: string) =>
        createVerify('RSA-SHA256').update(text).verify(key, String(headers['x-boomfi-signature']), 'base64');
      expect(signed(`${timestamp}.${raw}`)).toBe(true);
      expect(signed(`${timestamp}.${raw} `)).toBe(false);
    }
  });

  it('that fail are sent again, and a resend repeats the body', async () => {
    const { id } = await shop.create({ reference: undefined });
    await shop.control('POST', `links/${id}/pay`, { webhook: 'never' });
    listener.heard.length = 0;
    listener.answers.push(503);
    const { body } = await shop.control('POST', 'webhooks/resend', { link: id });
    expect(body.webhooks).toEqual([503]);
    await until('it was sent again', () => listener.heard.length === 2);
    expect(listener.heard[1]?.raw).toBe(listener.heard[0]?.raw);
    expect(listener.heard[0]?.body).toMatchObject({ event: 'Payment.Created', status: 'Succeeded' });
  });

  it('lost to a fault are lost, and still stand in the list of events', async () => {
    const { id } = await shop.create();
    await shop.fault({ operation: 'webhook', kind: 'reset', link: id });
    const { body } = await shop.control('POST', `links/${id}/pay`);
    expect(body.webhooks).toEqual(['lost']);
    const [payment] = await shop.payments(id);
    const events = (await shop.call('GET', '/events?limit=2')).body.data.items;
    expect(events[0]).toEqual({
      type: 'Payment',
      action: 'Created',
      id: payment.id,
      timestamp: INSTANT,
      data: expect.objectContaining({ id: payment.id, status: 'Succeeded', plan_price: '10.5' }),
    });
  });

  it.each([
    [{ url: 'http://shop.example/hook' }, 400],
    [{ url: 'https://shop.example/hook', secret: 'x' }, 400],
    [{ url: 'https://shop.example/hook', merchant: 'nobody' }, 404],
  ])('refuses %j', async (target, status) => {
    expect((await shop.control('PUT', 'webhook', target)).status).toBe(status);
  });
});

describe('a restart', () => {
  it('keeps links, payments, events, the webhook and the key', async () => {
    const listener = await webhookListener();
    await shop.control('PUT', 'webhook', { url: listener.url });
    const { id } = await shop.create();
    await shop.control('POST', `links/${id}/authorize`, { webhook: 'never' });
    const before = { key: await shop.publicKey(), link: await shop.read(id), payments: await shop.payments(id) };
    await sandbox.close();
    sandbox = await startSandbox({ port: 0, stateDir, webhookRetryMs: [20, 20] });
    shop = boomfiMerchant(sandbox.url);
    expect({ key: await shop.publicKey(), link: await shop.read(id), payments: await shop.payments(id) }).toEqual(
      before,
    );
    listener.heard.length = 0;
    await shop.control('POST', 'webhooks/resend', { link: id });
    expect(listener.heard[0]?.body).toMatchObject({ event: 'Payment.Created', status: 'Processing' });
    await shop.control('POST', `links/${id}/pay`);
    expect(await shop.ledger(id)).toEqual(['created 1050 USD', 'captured 1050 USD']);
    await listener.close();
  });
});
