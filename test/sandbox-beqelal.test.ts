import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { addis, beqelalMerchant, KEYS, linkBody, WEBHOOK_SECRET } from './beqelal-merchant.ts';
import { until, webhookListener } from './sandbox-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof beqelalMerchant>;
let listener: Awaited<ReturnType<typeof webhookListener>>;
/** Links that tell the listener. */
let hook: { callback_url: string };

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0, webhookRetryMs: [10, 10, 10] });
  shop = beqelalMerchant(sandbox.url);
  listener = await webhookListener();
  hook = { callback_url: `${listener.url}?t=token` };
});
beforeEach(() => {
  listener.heard.length = 0;
});
afterEach(() => shop.control('DELETE', 'faults'));
afterAll(async () => {
  await sandbox.close();
  await listener.close();
});

const wrapped = (code: string, message: string, detail: string) => ({
  error: { status: 'FAILED', status_code: code, message, detail },
});
const told = (id: string) => listener.heard.filter(({ body }) => body.id === id).map(({ body }) => body.status);
const stateOf = (page: string) => /data-state="(\w+)"/.exec(page)?.[1];

describe('create', () => {
  it('answers the whole documented link, whose PROCESSED is not a payment', async () => {
    const more = { item_name: 'Yirgacheffe', quantity: '2 Klo', reason: 'Order 17' };
    const request = { ...linkBody(), amount: 10.5, ...more };
    const { status, body } = await shop.call('POST', '/create/payment-link', request);
    const { callback_url, ...echoed } = request;
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        ...echoed,
        id: expect.stringMatching(/^[0-9A-Z]{10,14}$/),
        status: 'PROCESSED',
        status_code: 200,
        payment_link: expect.stringMatching(`^${sandbox.url}/beqelal/payment/link/[0-9a-f-]{36}$`),
      },
    });
    expect((await shop.read(request.trace_number)).status).toBe('PENDING');
    expect(await shop.ledger(body.id)).toEqual(['created 1050 ETB']);
  });

  it('answers null for what was left out', async () => {
    expect(await shop.create()).toMatchObject({ item_name: null, quantity: null, reason: null });
  });

  const blank = 'This field may not be blank.';
  const required = 'This field is required.';
  const format = 'Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ss.';
  it.each<[string, unknown, string]>([
    ['phone', undefined, required],
    ['phone', '', blank],
    ['phone', '   ', blank],
    ['phone', null, 'This field may not be null.'],
    ['phone', 911000000, 'Not a valid string.'],
    ['phone', '91100000', 'Ensure this field has at least 9 characters.'],
    ['phone', '+2519110000000', 'Ensure this field has no more than 13 characters.'],
    ['amount', undefined, required],
    ['amount', null, 'This field may not be null.'],
    ['amount', 'ten', 'A valid number is required.'],
    ['amount', 0, 'Ensure this value is greater than or equal to 1.'],
    ['amount', 0.99, 'Ensure this value is greater than or equal to 1.'],
    ['amount', 1_000_000.01, 'Ensure this value is less than or equal to 1000000.'],
    ['amount', 1.005, 'Ensure that there are no more than 2 decimal places.'],
    ['expires_at', undefined, required],
    ['expires_at', '', blank],
    ['expires_at', '2099-01-01', format],
    ['expires_at', '2099-01-01T00:00:00Z', format],
    ['expires_at', '2099-02-30T00:00:00', format],
    ['expires_at', '2020-01-01T00:00:00', 'Expiry date must be in the future.'],
    ['callback_url', undefined, required],
    ['callback_url', '', blank],
    ['callback_url', 'hooks.example', 'Enter a valid URL.'],
    ['callback_url', 'javascript:alert(1)', 'Enter a valid URL.'],
    ['trace_number', undefined, required],
    ['trace_number', '', blank],
    ['trace_number', 'x'.repeat(101), 'Ensure this field has no more than 100 characters.'],
    ['item_name', '', blank],
    ['quantity', 2, 'Not a valid string.'],
    ['reason', '', blank],
  ])('refuses %s %j: %s', async (field, value, error) => {
    const { status, body } = await shop.call('POST', '/create/payment-link', { ...linkBody(), [field]: value });
    expect({ status, body }).toEqual({ status: 400, body: { [field]: [error] } });
  });

  it.each(['', '{"phone":', '[]', 'null'])('names every field a body lacks: %j', async (text) => {
    const { status, body } = await shop.call('POST', '/create/payment-link', text);
    const fields = ['phone', 'amount', 'expires_at', 'callback_url', 'trace_number'];
    expect({ status, body }).toEqual({ status: 400, body: Object.fromEntries(fields.map((f) => [f, [required]])) });
  });

  it.each([
    { phone: '911000000' },
    { phone: '+251911000000' },
    { amount: 1 },
    { amount: 1_000_000 },
    { amount: '12.50' },
    { trace_number: 'x'.repeat(100) },
    { trace_number: 'INV/2026/001 ~:@+' },
    { callback_url: 'https://hooks.example/a?t=b' },
  ])('takes the limits: %j', async (change) => {
    const { trace_number: trace } = await shop.create(change);
    expect((await shop.read(trace)).trace_number).toBe(trace);
  });

  it('reads expires_at in Addis Ababa', async () => {
    const past = { expires_at: addis(Date.now() - 1_000) };
    const { status } = await shop.call('POST', '/create/payment-link', { ...linkBody(), ...past });
    expect(status).toBe(400);
    expect(await shop.create({ expires_at: addis(Date.now() + 2_000) })).toMatchObject({ status: 'PROCESSED' });
  });

  it('takes a trace number once', async () => {
    const request = linkBody();
    const { id } = await shop.create(request);
    const again = await shop.call('POST', '/create/payment-link', { ...request, amount: 5 });
    expect([again.status, again.body]).toEqual([400, { trace_number: ['This trace number already exists.'] }]);
    expect(await shop.ledger(id)).toEqual(['created 100000 ETB']);
  });
});

describe('errors in the wrapper', () => {
  const invalid = wrapped('401', 'INVALID_CREDENTIALS', 'Invalid app-id or api-key.');
  it.each<[string, Record<string, string>]>([
    ['no keys', {}],
    ['no app-id', { 'api-key': KEYS['api-key'] }],
    ['no api-key', { 'app-id': KEYS['app-id'] }],
    ['another api-key', { ...KEYS, 'api-key': 'x' }],
  ])('401: %s', async (_name, headers) => {
    const calls: [string, string][] = [
      ['POST', '/create/payment-link'],
      ['GET', '/payment/status/x'],
      ['POST', '/deactivate/payment-link'],
    ];
    for (const [method, path] of calls) {
      const { status, body } = await shop.call(method, path, undefined, headers);
      expect([status, body]).toEqual([401, invalid]);
    }
  });

  it('479: the address is not on the list, as the seed prints it', async () => {
    await shop.fault({ operation: '*', kind: 'status', status: 479 });
    const request = linkBody();
    const { status, body } = await shop.call('POST', '/create/payment-link', request);
    expect([status, body]).toEqual([479, wrapped('479', 'UNAUTHORIZED_IP_ACCESS', 'Unauthorized IP address access.')]);
    await shop.control('DELETE', 'faults');
    expect((await shop.call('GET', `/payment/status/${request.trace_number}`)).status).toBe(404);
  });

  it.each<[string, string, unknown, number, unknown]>([
    ['GET', '/payment/status/nobody', undefined, 404, ['404', 'TRANSACTION_NOT_FOUND', 'Transaction not found.']],
    ['POST', '/deactivate/payment-link', { id: 'X' }, 404, ['404', 'LINK_NOT_FOUND', 'Payment link not found.']],
    ['GET', '/nothing', undefined, 404, ['404', 'NOT_FOUND', 'No such call: GET /beqelal/api/v1/nothing']],
  ])('%s %s %j', async (method, path, sent, status, error) => {
    const answer = await shop.call(method, path, sent);
    expect([answer.status, answer.body]).toEqual([status, wrapped(...(error as [string, string, string]))]);
  });

  it('a body beyond 1 MB', async () => {
    const answer = await shop.call('POST', '/create/payment-link', { ...linkBody(), reason: 'x'.repeat(1_100_000) });
    expect([answer.status, answer.body]).toEqual([
      413,
      wrapped('413', 'REQUEST_TOO_LARGE', 'Request body is too large.'),
    ]);
  });
});

describe('deactivation', () => {
  const deactivate = (id: string) => shop.call('POST', '/deactivate/payment-link', { id });

  it('closes an unpaid link, and once more changes nothing', async () => {
    const { id, payment_link: page } = await shop.create(hook);
    for (const _time of [1, 2]) {
      const { status, body } = await deactivate(id);
      expect([status, body]).toEqual([200, { id, status: 'DEACTIVATED', status_code: 200 }]);
    }
    expect((await shop.pay(page)).status).toBe(409);
    expect(await shop.ledger(id)).toEqual(['created 100000 ETB', 'cancelled']);
    await until('it is told', () => told(id).length > 0);
    expect(told(id)[0]).toBe('DEACTIVATED');
  });

  it('does not close what is paid', async () => {
    const { id, payment_link: page, trace_number: trace } = await shop.create();
    await shop.pay(page);
    const { status, body } = await deactivate(id);
    expect([status, body]).toEqual([400, wrapped('400', 'LINK_ALREADY_PAID', 'Payment link is already paid.')]);
    expect((await shop.read(trace)).status).toBe('PROCESSED');
  });

  it.each([
    [{}, 'This field is required.'],
    [{ id: '' }, 'This field may not be blank.'],
  ])('refuses %j', async (sent, error) => {
    const { status, body } = await shop.call('POST', '/deactivate/payment-link', sent);
    expect([status, body]).toEqual([400, { id: [error] }]);
  });

  it('in the portal: the control plane has the button', async () => {
    const { id, trace_number: trace } = await shop.create(hook);
    const { status, body } = await shop.control('POST', `links/${trace}/deactivate`);
    expect([status, body]).toMatchObject([200, { link: id, status: 'DEACTIVATED', webhooks: [200] }]);
    expect(told(id)).toEqual(['DEACTIVATED']);
    expect(await shop.ledger(id)).toEqual(['created 100000 ETB', 'cancelled']);
    const paid = await shop.create();
    await shop.pay(paid.payment_link);
    const refused = await shop.control('POST', `links/${paid.id}/deactivate`);
    expect([refused.status, refused.body]).toEqual([409, { error: 'LINK_ALREADY_PAID' }]);
  });
});

describe('the pay page', () => {
  it('asks for bank, phone and PIN, escaped, with a form that needs no script', async () => {
    const { payment_link: page } = await shop.create({
      item_name: '<script>alert(1)</script>',
      quantity: '2',
      amount: 1250,
    });
    const response = await fetch(page);
    const text = await response.text();
    expect([response.status, stateOf(text)]).toEqual([200, 'open']);
    expect(text).toContain('Highland Coffee');
    expect(text).toContain('ETB 1,250.00');
    expect(text).toContain('2 &lt;script&gt;alert(1)&lt;/script&gt;');
    for (const name of ['bank', 'phone', 'pin']) expect(text).toContain(`name="${name}"`);
    expect(text).not.toContain('cardNumber');
    expect(text).not.toContain('id="cancel"');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it('takes the good PIN, and tells the callback of the payment', async () => {
    const { id, trace_number: trace, payment_link: page } = await shop.create({ ...hook, reason: 'Order 17' });
    const before = Date.now();
    const paid = await shop.pay(page, { bank: 'Sandbox Wallet' });
    expect(paid.status).toBe(303);
    const receipt = await (await fetch(new URL(paid.headers.get('location') ?? '', page))).text();
    await until('it is told', () => told(id).length === 1);
    const { body, raw, headers } = listener.heard[0]!;
    const result = {
      id,
      trace_number: trace,
      status: 'PROCESSED',
      status_code: 200,
      amount: 1000,
      fee: 10,
      total_amount: 1010,
      bank_name: 'Sandbox Wallet',
      phone: '0911000001',
      transaction_id: expect.stringMatching(/^[0-9A-Z]{10,14}$/),
      reason: 'Order 17',
      paid_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/),
    };
    expect(body).toEqual(result);
    expect([addis(before), addis(Date.now())]).toContain(body.paid_at);
    expect(headers['x-webhook-signature']).toBe(createHmac('sha256', WEBHOOK_SECRET).update(raw).digest('hex'));
    expect(headers['content-type']).toBe('application/json');
    expect([stateOf(receipt), receipt.includes(body.transaction_id)]).toEqual(['paid', true]);
    expect(await shop.read(trace)).toEqual({ ...body, payment_link: page });
    expect(await shop.ledger(id)).toEqual(['created 100000 ETB', 'captured 100000 ETB']);
  });

  it.each(['0000', '12345', 'abcd'])('fails with PIN %s, and lets the customer try again', async (pin) => {
    const { id, trace_number: trace, payment_link: page } = await shop.create(hook);
    const wrong = await shop.pay(page, { pin, phone: '0922000002' });
    const text = await wrong.text();
    expect([wrong.status, stateOf(text)]).toEqual([402, 'open']);
    expect(text).toContain('Wrong PIN, please try again.');
    expect(text).toContain('value="0922000002"');
    expect(text).not.toContain(`value="${pin}"`);
    expect(await shop.read(trace)).toMatchObject({
      status: 'FAILED',
      status_code: 423,
      transaction_id: null,
      paid_at: null,
    });
    await until('the failure is told', () => told(id).length === 1);
    expect((await shop.pay(page)).status).toBe(303);
    await until('the payment is told', () => told(id).length === 2);
    expect(told(id)).toEqual(['FAILED', 'PROCESSED']);
    expect(await shop.ledger(id)).toEqual(['created 100000 ETB', 'attempt_failed 100000 ETB', 'captured 100000 ETB']);
  });

  it.each([
    [{ bank: 'Another Bank' }, 'Choose a bank or wallet.'],
    [{ phone: '0911' }, 'Enter a phone number of 9 to 13 characters.'],
    [{ pin: ' ' }, 'Enter your PIN.'],
  ])('asks for what is missing: %j', async (change, message) => {
    const { id, payment_link: page } = await shop.create();
    const response = await shop.pay(page, change);
    expect(response.status).toBe(422);
    expect(await response.text()).toContain(message);
    expect(await shop.ledger(id)).toEqual(['created 100000 ETB']);
  });

  it('charges once, however often the form arrives', async () => {
    const { id, payment_link: page } = await shop.create();
    const answers = await Promise.all(Array.from({ length: 10 }, () => shop.pay(page)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(303));
    expect(await shop.ledger(id)).toEqual(['created 100000 ETB', 'captured 100000 ETB']);
  });

  it.each([
    ['expire', 'expired'],
    ['deactivate', 'cancelled'],
    ['fail', 'open'],
    ['pay', 'paid'],
  ])('shows what became of a link: %s', async (action, state) => {
    const { id, payment_link: page } = await shop.create();
    await shop.control('POST', `links/${id}/${action}`);
    expect(stateOf(await (await fetch(page)).text())).toBe(state);
  });

  it('has a page for links that do not exist', async () => {
    const missing = `${sandbox.url}/beqelal/payment/link/none`;
    expect([(await fetch(missing)).status, (await shop.pay(missing)).status]).toEqual([404, 404]);
  });
});

describe('webhooks', () => {
  it('are tried again three times, and no more', async () => {
    const { id } = await shop.create(hook);
    listener.answers.push(500, 503, 404, 500);
    expect((await shop.control('POST', `links/${id}/pay`)).body.webhooks).toEqual([500]);
    await until('four tries', () => told(id).length === 4);
    expect(new Set(listener.heard.map(({ raw }) => raw)).size).toBe(1);
    listener.answers.length = 0;
    await shop.control('POST', `links/${id}/fail`);
    await until('later news', () => told(id).length === 5);
    expect(told(id)).toEqual([...Array(4).fill('PROCESSED'), 'FAILED']);
  });

  it('stop once they are taken', async () => {
    const { id } = await shop.create(hook);
    listener.answers.push(500);
    await shop.control('POST', `links/${id}/pay`);
    await until('the second try', () => told(id).length === 2);
    await shop.control('POST', `links/${id}/expire`);
    expect(told(id)).toEqual(['PROCESSED', 'PROCESSED', 'EXPIRED']);
  });

  it('go to the link’s own address, never, often, or again byte by byte', async () => {
    const { id, trace_number: trace } = await shop.create(hook);
    const other = await shop.create();
    expect((await shop.control('POST', `links/${other.id}/pay`)).body.webhooks).toEqual(['unreachable']);
    await shop.control('POST', `links/${id}/pay`, { webhook: 'never' });
    expect(listener.heard).toEqual([]);
    expect((await shop.control('POST', 'webhooks/resend', { link: trace, times: 3 })).body).toEqual({
      link: id,
      webhooks: [200, 200, 200],
    });
    expect(new Set(listener.heard.map(({ raw }) => raw)).size).toBe(1);
  });
});

describe('the control plane', () => {
  const C = 'created 100000 ETB';
  it.each<[string, [action: string, input?: object][], string, number, string[]]>([
    ['paid', [['pay']], 'PROCESSED', 1000, ['captured 100000 ETB']],
    ['underpaid', [['pay', { amount: 400 }]], 'PROCESSED', 4, ['captured 400 ETB']],
    ['paid twice', [['pay'], ['pay', { amount: 50 }]], 'PROCESSED', 1000.5, ['captured 100000 ETB', 'captured 50 ETB']],
    ['an attempt failed', [['fail']], 'FAILED', 1000, ['attempt_failed 100000 ETB']],
    ['expired twice is once', [['expire'], ['expire']], 'EXPIRED', 1000, ['expired']],
    ['paid after expiry', [['expire'], ['pay']], 'PROCESSED', 1000, ['expired', 'captured 100000 ETB']],
    ['paid after deactivation', [['deactivate'], ['pay']], 'PROCESSED', 1000, ['cancelled', 'captured 100000 ETB']],
    [
      'failed after payment: old news',
      [['pay'], ['fail']],
      'PROCESSED',
      1000,
      ['captured 100000 ETB', 'attempt_failed 100000 ETB'],
    ],
    ['expired after payment: old news', [['pay'], ['expire']], 'PROCESSED', 1000, ['captured 100000 ETB']],
    [
      'corrected down',
      [['pay'], ['correct', { amount: 99_000 }]],
      'PROCESSED',
      990,
      ['captured 100000 ETB', 'voided 1000 ETB'],
    ],
    [
      'corrected up',
      [['pay'], ['correct', { amount: 100_100 }]],
      'PROCESSED',
      1001,
      ['captured 100000 ETB', 'captured 100 ETB'],
    ],
    ['corrected to the same', [['pay'], ['correct']], 'PROCESSED', 1000, ['captured 100000 ETB']],
  ])('%s', async (_name, steps, status, amount, ledger) => {
    const { id, trace_number: trace } = await shop.create(hook);
    for (const [action, input] of steps) {
      const answer = await shop.control('POST', `links/${id}/${action}`, input);
      expect([answer.status, answer.body.link, answer.body.webhooks]).toEqual([200, id, [200]]);
    }
    expect(await shop.read(trace)).toMatchObject({ status, amount });
    expect(await shop.ledger(id)).toEqual([C, ...ledger]);
  });

  it('sends old words after newer ones', async () => {
    const { id } = await shop.create(hook);
    for (const action of ['pay', 'fail', 'expire']) await shop.control('POST', `links/${id}/${action}`);
    expect(told(id)).toEqual(['PROCESSED', 'FAILED', 'EXPIRED']);
  });

  it.each<[string, unknown, number, string]>([
    ['authorize', {}, 409, 'authorize: Beqelal takes money at once and gives none back'],
    ['chargeback', {}, 409, 'chargeback: Beqelal takes money at once and gives none back'],
    ['dispute_won', {}, 409, 'dispute_won: Beqelal takes money at once and gives none back'],
    ['refund_fails', {}, 409, 'refund_fails: Beqelal takes money at once and gives none back'],
    ['correct', {}, 409, 'correct: the link has no payment'],
    ['pay', { currency: 'USD' }, 409, 'currency: Beqelal pays in ETB only'],
    [
      'explode',
      {},
      400,
      'action: must be one of pay, authorize, fail, expire, chargeback, dispute_won, refund_fails, correct, deactivate',
    ],
  ])('refuses %s %j', async (action, input, status, error) => {
    const { id } = await shop.create();
    const answer = await shop.control('POST', `links/${id}/${action}`, input);
    expect([answer.status, answer.body]).toEqual([status, { error }]);
    expect(await shop.ledger(id)).toEqual([C]);
  });

  it('meets every operation by its own name, on one link only, by any of its names', async () => {
    const one = await shop.create();
    const other = await shop.create();
    const fresh = linkBody();
    const calls: [
      operation: string,
      name: string,
      hit: [string, string, unknown?],
      missed: [string, string, unknown?],
    ][] = [
      [
        'create',
        fresh.trace_number,
        ['POST', '/create/payment-link', fresh],
        ['POST', '/create/payment-link', linkBody()],
      ],
      [
        'inquire',
        one.id,
        ['GET', `/payment/status/${one.trace_number}`],
        ['GET', `/payment/status/${other.trace_number}`],
      ],
      [
        'cancel',
        one.trace_number,
        ['POST', '/deactivate/payment-link', { id: one.id }],
        ['POST', '/deactivate/payment-link', { id: other.id }],
      ],
    ];
    for (const [operation, link, hit, missed] of calls) {
      await shop.fault({ operation, kind: 'status', status: 418, link, count: 1 });
      expect((await shop.call(...missed)).status).toBe(200);
      const { status, body } = await shop.call(...hit);
      expect([status, body]).toEqual([418, wrapped('418', 'SERVICE_ERROR', 'Refused by a sandbox fault.')]);
      expect((await shop.call(...hit)).status).toBe(200);
    }
    expect(await shop.ledger(one.id)).toEqual([C, 'cancelled']);
  });

  it('webhook_before_answer: the news of a new link is its own result, and unpaid', async () => {
    await shop.fault({ operation: 'create', kind: 'webhook_before_answer' });
    const { id } = await shop.create(hook);
    expect(listener.heard.map(({ body }) => [body.id, body.status, body.transaction_id])).toEqual([
      [id, 'PENDING', null],
    ]);
  });
});

describe('time', () => {
  it('expires a link by itself, and tells; minutes can be shortened', async () => {
    const quick = await startSandbox({ port: 0, beqelal: { minuteMs: 20 } });
    const merchant = beqelalMerchant(quick.url);
    const { id, trace_number: trace } = await merchant.create({ ...hook, expires_at: addis(Date.now() + 120_000) });
    await until('expiry is told', () => told(id).length === 1);
    expect(told(id)).toEqual(['EXPIRED']);
    expect(await merchant.read(trace)).toMatchObject({ status: 'EXPIRED', transaction_id: null });
    expect(await merchant.ledger(id)).toEqual(['created 100000 ETB', 'expired']);
    await quick.close();
  });

  it('takes an expiry far beyond what a timer can hold', async () => {
    const { trace_number: trace } = await shop.create({ expires_at: '2099-01-01T00:00:00' });
    expect((await shop.read(trace)).status).toBe('PENDING');
  });

  it('survives a restart: links, payments, trace numbers and ledger; ids go on', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'perdure-sandbox-'));
    const first = await startSandbox({ port: 0, stateDir });
    const before = beqelalMerchant(first.url);
    const paid = await before.create(hook);
    await before.pay(paid.payment_link);
    const pending = await before.create();
    const ledger = (await before.control('GET', 'ledger')).body;
    const read = await before.read(paid.trace_number);
    await first.close();

    const second = await startSandbox({ port: 0, stateDir });
    const after = beqelalMerchant(second.url);
    const moved = read.payment_link.replace(first.url, second.url);
    expect(await after.read(paid.trace_number)).toEqual({ ...read, payment_link: moved });
    expect((await after.read(pending.trace_number)).status).toBe('PENDING');
    expect((await after.control('GET', 'ledger')).body).toEqual(ledger);
    const again = await after.call('POST', '/create/payment-link', { ...linkBody(), trace_number: paid.trace_number });
    expect(again.status).toBe(400);
    const next = await after.create();
    expect(Number.parseInt(next.id, 36)).toBeGreaterThan(Number.parseInt(pending.id, 36));
    listener.heard.length = 0;
    expect((await after.control('POST', 'webhooks/resend', { link: paid.id })).body.webhooks).toEqual([200]);
    expect(listener.heard[0]?.body).toMatchObject({ id: paid.id, status: 'PROCESSED' });
    await second.close();
    await rm(stateDir, { recursive: true });
  });
});
