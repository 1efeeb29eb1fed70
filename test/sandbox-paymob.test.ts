import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { AUTH, formOf, linkForm, paymobMerchant, SALE } from './paymob-merchant.ts';
import { until, webhookListener } from './sandbox-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof paymobMerchant>;
let gulf: ReturnType<typeof paymobMerchant>;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0, webhookRetryMs: [20, 20] });
  shop = paymobMerchant(sandbox.url);
  gulf = paymobMerchant(sandbox.url, 'paymob-gulf');
});

afterAll(() => sandbox.close());

const LINKS = '/ecommerce/payment-links';
const INCORRECT = { detail: 'incorrect credentials' };
const CAIRO = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Africa/Cairo', dateStyle: 'short', timeStyle: 'medium' });
const cairo = (at: number) => CAIRO.format(at).replace(' ', 'T');
const inAnHour = () => cairo(Date.now() + 3_600_000);
const png = (more = '') => new File([Buffer.from(`89504e470d0a1a0a${more}`, 'hex')], 'a.png', { type: 'image/png' });

/** A link that was paid, or held, and the payment. */
async function paidLink(payment_methods = SALE.EGP, amount_cents = '10000') {
  const link = await shop.create({ payment_methods, amount_cents });
  expect((await shop.pay(link.client_url)).status).toBe(303);
  return { ...link, payment: (await shop.inquire(link.order)).body.id as number };
}

describe('tokens and keys', () => {
  it('sells a token for the API key', async () => {
    const { status, body } = await shop.call('POST', '/auth/tokens', { api_key: 'sandbox-paymob-api-key' });
    expect({ status, body }).toEqual({
      status: 200,
      body: { token: expect.stringMatching(/^[\w-]{40,}$/), profile: { id: 302852 } },
    });
  });

  it.each<[string, unknown, number, object]>([
    ['another key', { api_key: 'x' }, 401, INCORRECT],
    [
      'no key',
      {},
      400,
      { message: 'api_key - This field is required.', errors: { api_key: ['This field is required.'] } },
    ],
    ['no JSON', 'hello', 400, { detail: 'JSON parse error' }],
  ])('sells none for %s', async (_name, sent, status, body) => {
    const answer = await shop.call('POST', '/auth/tokens', sent);
    expect([answer.status, answer.body]).toEqual([status, body]);
  });

  it('create takes the token and the secret key, other calls one of them', async () => {
    const bearer = await shop.bearer();
    const body = { transaction_id: 1, amount_cents: 1 };
    const statusOf = async (path: string, sent: () => unknown, authorization?: string) =>
      (await shop.call('POST', path, sent(), authorization)).status;
    const tries = async (path: string, sent: () => unknown) => [
      await statusOf(path, sent, bearer),
      await statusOf(path, sent, shop.secret),
      await statusOf(path, sent, 'Bearer nobody'),
      await statusOf(path, sent, 'Token nobody'),
      await statusOf(path, sent),
    ];
    expect(await tries(LINKS, () => formOf(linkForm()))).toEqual([200, 200, 401, 401, 401]);
    expect(await tries(`${LINKS}/cancel`, () => formOf({ payment_link_id: '1' }))).toEqual([404, 401, 401, 401, 401]);
    const inquiry = '/ecommerce/orders/transaction_inquiry';
    expect(await tries(inquiry, () => ({ order_id: '1' }))).toEqual([404, 401, 401, 401, 401]);
    expect(await tries('/acceptance/capture', () => body)).toEqual([401, 404, 401, 401, 401]);
    expect(await tries('/acceptance/void_refund/void', () => body)).toEqual([401, 422, 401, 401, 401]);
    expect(await tries('/acceptance/void_refund/refund', () => body)).toEqual([401, 422, 401, 401, 401]);
    const inBody = { order_id: '1', auth_token: bearer.slice('Bearer '.length) };
    expect(await statusOf(inquiry, () => inBody)).toBe(404);
    expect((await shop.call('GET', '/acceptance/transactions/1')).body).toEqual(INCORRECT);
  });

  it('a token dies of age', async () => {
    const brief = await startSandbox({ port: 0, paymob: { tokenMs: 30 } });
    const merchant = paymobMerchant(brief.url);
    const authorization = await merchant.bearer();
    await until('the token is dead', async () => {
      const { status, body } = await merchant.call('GET', '/acceptance/transactions/1', undefined, authorization);
      return status === 401 && body.detail === INCORRECT.detail;
    });
    await brief.close();
  });
});

describe('create', () => {
  it('answers the whole documented link', async () => {
    const expires_at = inAnHour();
    const form = {
      ...linkForm(),
      payment_methods: [SALE.EGP, AUTH.EGP],
      expires_at,
      full_name: 'Test Account',
      email: 'test@example.com',
      phone_number: '+201012345678',
      description: 'Lanterns',
      notification_url: 'https://shop.example/hook?t=1',
      redirection_url: 'https://shop.example/thanks',
      payment_link_image: png(),
    };
    const { status, body } = await shop.post(LINKS, form);
    const base = `${sandbox.url}/paymob`;
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        id: expect.any(Number),
        currency: 'EGP',
        client_info: { email: 'test@example.com', full_name: 'Test Account', phone_number: '+201012345678' },
        reference_id: form.reference_id,
        shorten_url: expect.stringMatching(new RegExp(`^${base}/l/[\\w-]{8}$`)),
        amount_cents: 1050,
        payment_link_image: expect.stringMatching(new RegExp(`^${base}/media/[\\w-]{8}$`)),
        description: 'Lanterns',
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/),
        expires_at,
        client_url: expect.stringMatching(
          new RegExp(`^${base}/api/ecommerce/payment-links/unrestricted\\?token=[\\w-]{32}$`),
        ),
        origin: 2,
        merchant_staff_tag: null,
        state: 'created',
        paid_at: null,
        redirection_url: 'https://shop.example/thanks',
        notification_url: 'https://shop.example/hook?t=1',
        order: expect.any(Number),
      },
    });
    expect(body.order).not.toBe(body.id);
    expect(Buffer.from(await (await fetch(body.payment_link_image)).arrayBuffer()).toString('hex')).toBe(
      '89504e470d0a1a0a',
    );
    expect((await fetch(body.shorten_url, { redirect: 'manual' })).headers.get('location')).toBe(body.client_url);
  });

  it('needs three fields only', async () => {
    const { reference_id, expires_at, client_info } = await shop.create({ reference_id: undefined });
    expect({ reference_id, expires_at, client_info }).toEqual({
      reference_id: null,
      expires_at: null,
      client_info: { email: null, full_name: null, phone_number: null },
    });
  });

  const required = 'This field is required.';
  const integer = 'A valid integer is required.';
  const blank = 'This field may not be blank.';
  const url = 'Enter a valid URL.';
  const format = 'Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ss.';
  const image = 'Upload a valid image. The file you uploaded was either not an image or a corrupted image.';
  it.each<[string, string, string | string[] | File | undefined]>([
    ['amount_cents', required, undefined],
    ['amount_cents', integer, '55.00'],
    ['amount_cents', integer, 'much'],
    ['amount_cents', 'Ensure this value is greater than or equal to 1.', '0'],
    ['amount_cents', 'Ensure this value is greater than or equal to 1.', '-5'],
    ['payment_methods', required, undefined],
    ['payment_methods', integer, 'card'],
    ['payment_methods', integer, [SALE.EGP, 'card']],
    ['payment_methods', 'Integrations must share one currency.', [SALE.EGP, SALE.AED]],
    ['is_live', required, undefined],
    ['is_live', 'Must be a valid boolean.', 'yes'],
    ['reference_id', blank, ''],
    ['expires_at', format, '2036-01-01'],
    ['expires_at', format, '2036-01-01T00:00:00Z'],
    ['expires_at', format, '2036-02-31T00:00:00'],
    ['expires_at', "expires_at can't be in the past.", cairo(Date.now() - 60_000)],
    ['email', 'Enter a valid email address.', 'test'],
    ['full_name', blank, ' '],
    ['notification_url', url, 'javascript:alert(1)'],
    ['redirection_url', url, 'shop'],
    ['payment_link_image', image, 'picture'],
    ['payment_link_image', image, new File(['GIF89a'], 'a.gif', { type: 'image/png' })],
  ])('refuses %s: %s', async (field, text, value) => {
    const { status, body } = await shop.post(LINKS, { ...linkForm(), [field]: value });
    expect([status, body]).toEqual([400, { message: `${field} - ${text}`, errors: { [field]: [text] } }]);
  });

  it('names every field that is wrong', async () => {
    const { body } = await shop.post(LINKS, { ...linkForm(), is_live: undefined, email: 'x' });
    expect(body).toEqual({
      message: `is_live - ${required}`,
      errors: { is_live: [required], email: ['Enter a valid email address.'] },
    });
  });

  it.each<[string, Record<string, string>]>([
    ['an unknown integration', { payment_methods: '1' }],
    ['another merchant’s', { payment_methods: '4197558' }],
    ['a test one for a live link', { is_live: 'true' }],
    ['a live one for a test link', { payment_methods: '5097558' }],
  ])('does not know %s', async (_name, change) => {
    const { status, body } = await shop.post(LINKS, { ...linkForm(), ...change });
    const detail =
      'Integration ID/Name does not exist in our system . You can find the list of Integration ID’/Names from Merchant Dashboard under Developers → Payment Integrations Tab';
    expect([status, body]).toEqual([404, { detail }]);
  });

  it('takes a reference once per merchant', async () => {
    const { reference_id, id } = await shop.create();
    const again = await shop.post(LINKS, { ...linkForm(), reference_id, amount_cents: '99' });
    expect([again.status, again.body]).toEqual([400, { message: 'Reference ID already exists.' }]);
    await gulf.create({ reference_id, payment_methods: '4197558' });
    const many = await Promise.all(
      Array.from({ length: 10 }, () =>
        shop.post(LINKS, { ...linkForm(), reference_id: 'at-once', payment_link_image: png() }),
      ),
    );
    expect(many.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await shop.ledger(id)).toEqual(['created 1050 EGP']);
  });

  it('takes no JSON', async () => {
    const { status, body } = await shop.call('POST', LINKS, linkForm(), await shop.bearer());
    expect([status, body]).toEqual([415, { detail: 'Unsupported media type "application/json" in request.' }]);
  });

  it('a live link is made by a live integration', async () => {
    const { order, client_url } = await shop.create({ payment_methods: '5097558', is_live: 'true' });
    await shop.pay(client_url);
    expect((await shop.inquire(order)).body.is_live).toBe(true);
  });
});

describe('money on the wire', () => {
  it.each([
    ['EGP', SALE.EGP, 5500],
    ['AED', SALE.AED, 1],
    ['OMR', SALE.OMR, 1234],
    ['JPY', SALE.JPY, 500],
  ])('%s is what the integration settles in, %s, %i minor units', async (currency, payment_methods, minor) => {
    const link = await shop.create({ payment_methods, amount_cents: String(minor), currency: 'USD' });
    expect([link.currency, link.amount_cents]).toEqual([currency, minor]);
    await shop.pay(link.client_url);
    expect((await shop.inquire(link.order)).body).toMatchObject({ currency, amount_cents: minor, success: true });
    expect(await shop.ledger(link.id)).toEqual([`created ${minor} ${currency}`, `captured ${minor} ${currency}`]);
  });
});

describe('reads', () => {
  it('the whole documented transaction, by order, by reference and by its id', async () => {
    const form = { ...linkForm(), notification_url: 'http://127.0.0.1:9/never' };
    const link = await shop.create(form);
    await shop.pay(link.client_url);
    const { status, body } = await shop.inquire(link.order);
    const stamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        id: expect.any(Number),
        pending: false,
        amount_cents: 1050,
        success: true,
        is_auth: false,
        is_capture: false,
        is_captured: false,
        captured_amount: 0,
        is_standalone_payment: true,
        is_voided: false,
        is_void: false,
        is_refunded: false,
        is_refund: false,
        refunded_amount_cents: 0,
        is_3d_secure: true,
        integration_id: Number(SALE.EGP),
        profile_id: 302852,
        has_parent_transaction: false,
        parent_transaction: null,
        owner: 302852,
        error_occured: false,
        is_live: false,
        is_settled: false,
        api_source: 'QUICKLINK',
        currency: 'EGP',
        created_at: stamp,
        updated_at: stamp,
        source_data: { type: 'card', sub_type: 'MasterCard', pan: '2346' },
        order: {
          id: link.order,
          created_at: stamp,
          amount_cents: 1050,
          paid_amount_cents: 1050,
          currency: 'EGP',
          merchant_order_id: form.reference_id,
          payment_status: 'PAID',
          is_cancel: false,
          is_canceled: false,
          api_source: 'QUICKLINK',
          data: { notification_url: 'http://127.0.0.1:9/never' },
          items: [],
        },
        data: { message: 'Approved', txn_response_code: 'APPROVED', acq_response_code: '00' },
        payment_key_claims: {
          amount_cents: 1050,
          currency: 'EGP',
          order_id: link.order,
          integration_id: Number(SALE.EGP),
          next_payment_intention: expect.stringMatching(/^pi_test_/),
        },
      },
    });
    expect(await shop.read(body.id)).toEqual(body);
    const inquiry = '/ecommerce/orders/transaction_inquiry';
    const named = await shop.call('POST', inquiry, { merchant_order_id: form.reference_id }, await shop.bearer());
    expect(named.body).toEqual(body);
    const unnamed = await shop.call('POST', inquiry, {}, await shop.bearer());
    const text = 'This field is required.';
    expect(unnamed.body).toEqual({ message: `order_id - ${text}`, errors: { order_id: [text] } });
  });

  it('finds nothing before the first try, nor of another merchant', async () => {
    const { order, client_url } = await shop.create();
    const nothing = [404, { detail: 'Not found.' }];
    const first = await shop.inquire(order);
    expect([first.status, first.body]).toEqual(nothing);
    await shop.pay(client_url);
    const { body } = await shop.inquire(order);
    const other = await gulf.inquire(order);
    expect([other.status, other.body]).toEqual(nothing);
    expect(await gulf.read(body.id)).toEqual(nothing[1]);
    const { secret } = gulf;
    const refund = { transaction_id: body.id, amount_cents: 1 };
    expect((await gulf.call('POST', '/acceptance/void_refund/refund', refund, secret)).status).toBe(422);
    expect((await gulf.call('POST', '/acceptance/capture', refund, secret)).status).toBe(404);
    expect((await fetch(`${sandbox.url}/paymob/api/nothing`)).status).toBe(404);
  });
});

describe('capture, void, refund', () => {
  const INVALID = [404, { detail: 'Invalid transaction id' }];
  const FAR = { message: 'Transaction ID does not exist in our system.' };
  const answerOf = async (asked: Promise<{ status: number; body: unknown }>) => {
    const { status, body } = await asked;
    return [status, body];
  };

  it('captures a hold once, in part or whole', async () => {
    const { payment, order, id } = await paidLink(AUTH.EGP);
    expect(await shop.read(payment)).toMatchObject({
      is_auth: true,
      is_captured: false,
      order: { paid_amount_cents: 0 },
    });
    const tooMuch = await answerOf(shop.capture(payment, 10_001));
    expect(tooMuch).toEqual([400, { detail: 'Capture amount cannot exceed auth amount' }]);
    const { status, body } = await shop.capture(payment, 4_000);
    expect(status).toBe(200);
    const children = { has_parent_transaction: true, parent_transaction: payment, is_auth: false, amount_cents: 4_000 };
    expect(body).toMatchObject({ ...children, is_capture: true, success: true, order: { paid_amount_cents: 4_000 } });
    expect(await shop.read(payment)).toMatchObject({ is_captured: true, captured_amount: 4_000, amount_cents: 10_000 });
    // The order's last transaction is now the child.
    expect((await shop.inquire(order)).body.id).toBe(body.id);
    expect(await answerOf(shop.capture(payment, 1))).toEqual(INVALID);
    expect(await answerOf(shop.capture(body.id, 1))).toEqual(INVALID);
    await shop.voids(payment);
    expect(await shop.ledger(id)).toEqual([
      'created 10000 EGP',
      'authorized 10000 EGP',
      'captured 4000 EGP',
      // What the capture left of the hold, and then the capture.
      'voided 6000 EGP',
      'voided 4000 EGP',
    ]);
  });

  it('captures nothing else', async () => {
    const { payment } = await paidLink();
    expect(await answerOf(shop.capture(payment, 1))).toEqual(INVALID);
    expect(await answerOf(shop.capture(1, 1))).toEqual(INVALID);
    const declined = await shop.create({ payment_methods: AUTH.EGP });
    expect((await shop.pay(declined.client_url, { cardNumber: '4242424242424242' })).status).toBe(402);
    expect(await answerOf(shop.capture((await shop.inquire(declined.order)).body.id, 1))).toEqual(INVALID);
  });

  it('voids a hold, and a sale of the same day, once', async () => {
    for (const [integration, first] of [
      [AUTH.EGP, 'authorized'],
      [SALE.EGP, 'captured'],
    ] as const) {
      const { payment, id } = await paidLink(integration);
      const { status, body } = await shop.voids(payment);
      expect([status, body]).toMatchObject([200, { is_void: true, parent_transaction: payment, amount_cents: 10_000 }]);
      expect(await shop.read(payment)).toMatchObject({
        is_voided: true,
        success: true,
        order: { paid_amount_cents: 0 },
      });
      const refused = [400, { message: 'Transaction can not be voided' }];
      for (const again of [payment, body.id]) expect(await answerOf(shop.voids(again))).toEqual(refused);
      expect(await answerOf(shop.refund(payment, 1))).toEqual([400, { message: 'Transaction can not be refunded' }]);
      expect(await shop.ledger(id)).toEqual(['created 10000 EGP', `${first} 10000 EGP`, 'voided 10000 EGP']);
    }
  });

  it('voids nothing of yesterday, and nothing that was refunded', async () => {
    const refused = [400, { message: 'Transaction can not be voided' }];
    const { payment, id } = await paidLink(AUTH.EGP);
    await shop.control('POST', `links/${id}/settle`);
    expect(await answerOf(shop.voids(payment))).toEqual(refused);
    const { payment: sold } = await paidLink();
    await shop.refund(sold, 1);
    expect(await answerOf(shop.voids(sold))).toEqual(refused);
    expect(await answerOf(shop.voids(1))).toEqual([422, FAR]);
  });

  it('refunds in parts to the last piastre, and not one more', async () => {
    const { payment, id } = await paidLink();
    const tooMuch = (most: string) => [
      400,
      {
        message: `Requested Refund Amount is greater than the maximum refund amount permissible. Maximum Refund Amount is ${most}`,
      },
    ];
    expect(await answerOf(shop.refund(payment, 10_001))).toEqual(tooMuch('EGP 100.0'));
    const first = await shop.refund(payment, 3_995);
    expect([first.status, first.body]).toMatchObject([200, { is_refund: true, amount_cents: 3_995, success: true }]);
    expect(await shop.read(payment)).toMatchObject({ is_refunded: true, refunded_amount_cents: 3_995 });
    expect(await answerOf(shop.refund(payment, 6_006))).toEqual(tooMuch('EGP 60.05'));
    await shop.refund(payment, 6_005);
    expect(await shop.read(payment)).toMatchObject({ refunded_amount_cents: 10_000 });
    expect(await answerOf(shop.refund(payment, 1))).toEqual([
      400,
      { message: 'Full Amount has been already refunded' },
    ]);
    expect(await answerOf(shop.refund(1, 1))).toEqual([422, FAR]);
    expect(await shop.ledger(id)).toEqual([
      'created 10000 EGP',
      'captured 10000 EGP',
      'refunded 3995 EGP',
      'refunded 6005 EGP',
    ]);
  });

  it.each<[string, unknown, object]>([
    ['no amount', { transaction_id: 1 }, { amount_cents: ['This field is required.'] }],
    ['half a piastre', { transaction_id: 1, amount_cents: 0.5 }, { amount_cents: ['A valid integer is required.'] }],
    [
      'nothing',
      { transaction_id: 1, amount_cents: 0 },
      { amount_cents: ['Ensure this value is greater than or equal to 1.'] },
    ],
    ['no transaction', { amount_cents: 1 }, { transaction_id: ['This field is required.'] }],
  ])('refuses %s', async (_name, sent, errors) => {
    const [[field, [text]]] = Object.entries(errors) as [[string, [string]]];
    for (const path of ['/acceptance/capture', '/acceptance/void_refund/refund']) {
      const { status, body } = await shop.call('POST', path, sent, shop.secret);
      expect([status, body]).toEqual([400, { message: `${field} - ${text}`, errors }]);
    }
  });
});

describe('cancel and expiry', () => {
  it('cancels a link nobody paid, once', async () => {
    const { id, client_url, order } = await shop.create();
    const { status, body } = await shop.cancel(id);
    expect([status, body]).toEqual([200, { success: true, message: 'Canceled by merchant', payment_link_id: id }]);
    const again = await shop.cancel(id);
    expect([again.status, again.body]).toEqual([400, { success: false, message: 'Payment link is already canceled' }]);
    expect((await shop.pay(client_url)).status).toBe(409);
    expect(await shop.ledger(id)).toEqual(['created 1050 EGP', 'cancelled']);
    // Late money shows that the order was cancelled.
    expect((await shop.control('POST', `links/${id}/pay`)).body.status).toBe('canceled');
    expect((await shop.inquire(order)).body.order.is_canceled).toBe(true);
  });

  it('cancels a link whose payment is only held, and leaves the hold', async () => {
    const { id, payment } = await paidLink(AUTH.EGP);
    expect((await shop.cancel(id)).status).toBe(200);
    expect(await shop.read(payment)).toMatchObject({ is_voided: false, order: { is_canceled: true } });
  });

  it('cancels no paid link, no link of others, and nothing without a number', async () => {
    const { id } = await paidLink();
    const paid = await shop.cancel(id);
    expect([paid.status, paid.body]).toEqual([400, { success: false, message: 'Payment link is already paid' }]);
    const other = await gulf.cancel(id);
    expect([other.status, other.body]).toEqual([404, { detail: 'Not found.' }]);
    const none = await shop.post(`${LINKS}/cancel`, {});
    const text = 'This field is required.';
    expect([none.status, none.body]).toEqual([
      400,
      { message: `payment_link_id - ${text}`, errors: { payment_link_id: [text] } },
    ]);
  });

  it('a voided hold leaves its link payable', async () => {
    const { id, payment, client_url } = await paidLink(AUTH.EGP);
    await shop.voids(payment);
    expect((await shop.pay(client_url)).status).toBe(303);
    expect(await shop.ledger(id)).toEqual([
      'created 10000 EGP',
      'authorized 10000 EGP',
      'voided 10000 EGP',
      'authorized 10000 EGP',
    ]);
  });

  it('expires on time, in short minutes, also without being looked at', async () => {
    const quick = await startSandbox({ port: 0, paymob: { minuteMs: 5 } });
    const merchant = paymobMerchant(quick.url);
    const { id, client_url } = await merchant.create({ expires_at: cairo(Date.now() + 20 * 60_000) });
    await until('it expired', async () => (await merchant.ledger(id)).length === 2);
    expect(await merchant.ledger(id)).toEqual(['created 1050 EGP', 'expired']);
    expect((await merchant.pay(client_url)).status).toBe(409);
    const { body } = await merchant.cancel(id);
    expect(body).toEqual({ success: false, message: 'Payment link is already expired' });
    expect((await merchant.control('POST', `links/${id}/pay`)).body.entries).toHaveLength(1);
    await quick.close();
  });
});

describe('the pay page', () => {
  it('shows the amount, takes the test cards and declines all others', async () => {
    for (const cardNumber of ['5123456789012346', '5123450000000008', '4111111111111111']) {
      const { client_url, order } = await shop.create({ amount_cents: '105050' });
      const page = await fetch(client_url);
      const html = await page.text();
      expect(html).toContain('EGP 1,050.50');
      expect(html).toContain('id="pay-form"');
      expect((await shop.pay(client_url, { cardNumber: '4242424242424242' })).status).toBe(402);
      expect((await shop.pay(client_url, { cardNumber, cvv: '999' })).status).toBe(402);
      expect((await shop.pay(client_url, { cardNumber, expiry: '12/30' })).status).toBe(402);
      expect((await shop.pay(client_url, { cardNumber, terms: '' })).status).toBe(422);
      const paid = await shop.pay(client_url, { cardNumber });
      expect([paid.status, paid.headers.get('location')]).toEqual([303, client_url]);
      expect((await shop.inquire(order)).body.source_data.pan).toBe(cardNumber.slice(-4));
      const again = await shop.pay(client_url, { cardNumber });
      expect(again.status).toBe(303);
      expect(await (await fetch(client_url)).text()).toContain('data-state="paid"');
    }
  });

  it('a declined try is a transaction of its own', async () => {
    const { id, order, client_url } = await shop.create();
    await shop.pay(client_url, { cardNumber: '1' });
    expect((await shop.inquire(order)).body).toMatchObject({ success: false, data: { txn_response_code: 'DECLINED' } });
    expect(await shop.ledger(id)).toEqual(['created 1050 EGP', 'attempt_failed 1050 EGP']);
  });

  it('leads the customer back with signed fields', async () => {
    const redirection_url = 'https://shop.example/thanks?cart=7';
    const { client_url, order } = await shop.create({ redirection_url });
    const policy = (await fetch(client_url)).headers.get('content-security-policy');
    expect(policy).toContain("form-action 'self' https://shop.example;");
    const { headers } = await shop.pay(client_url);
    const back = new URL(headers.get('location') ?? '');
    expect(back.origin + back.pathname).toBe('https://shop.example/thanks');
    expect(Object.fromEntries(back.searchParams)).toMatchObject({ cart: '7', success: 'true', order: String(order) });
    const fields = [...back.searchParams].filter(([name]) => name !== 'cart' && name !== 'hmac');
    const text = fields.map(([, value]) => value).join('');
    expect(back.searchParams.get('hmac')).toBe(
      createHmac('sha512', 'sandbox-paymob-hmac-secret').update(text).digest('hex'),
    );
  });

  it('knows no other links', async () => {
    for (const path of ['api/ecommerce/payment-links/unrestricted?token=x', 'l/x', 'media/x']) {
      expect((await fetch(`${sandbox.url}/paymob/${path}`)).status).toBe(404);
    }
  });
});

describe('callbacks', () => {
  /** The published order of the signed fields, written down once more. */
  const signedText = (obj: Record<string, never> & { order: { id: number }; source_data: Record<string, string> }) =>
    [
      obj.amount_cents,
      obj.created_at,
      obj.currency,
      obj.error_occured,
      obj.has_parent_transaction,
      obj.id,
      obj.integration_id,
      obj.is_3d_secure,
      obj.is_auth,
      obj.is_capture,
      obj.is_refunded,
      obj.is_standalone_payment,
      obj.is_voided,
      obj.order.id,
      obj.owner,
      obj.pending,
      obj.source_data.pan,
      obj.source_data.sub_type,
      obj.source_data.type,
      obj.success,
    ].join('');

  it('tells every transaction at the link’s own address, and after a child its payment again', async () => {
    const listener = await webhookListener();
    const notification_url = `${listener.url}?t=a%2Bb`;
    const link = await shop.create({ payment_methods: AUTH.EGP, amount_cents: '10000', notification_url });
    await shop.pay(link.client_url, { cardNumber: '1' });
    await until('the decline is told', () => listener.heard.length === 1);
    await shop.pay(link.client_url);
    await until('the hold is told', () => listener.heard.length === 2);
    const payment = listener.heard[1]?.body.obj.id;
    await shop.capture(payment, 6_000);
    await until('the capture is told', () => listener.heard.length === 4);
    await shop.refund(payment, 1_000);
    await until('the refund is told', () => listener.heard.length === 6);

    for (const { url, body } of listener.heard) {
      expect(body.type).toBe('TRANSACTION');
      const query = new URL(url ?? '', listener.url).searchParams;
      expect([...query.keys()]).toEqual(['t', 'hmac']);
      expect(query.get('t')).toBe('a+b');
      const digest = createHmac('sha512', 'sandbox-paymob-hmac-secret').update(signedText(body.obj)).digest('hex');
      expect(query.get('hmac')).toBe(digest);
    }
    const told = listener.heard.map(({ body }) => body.obj);
    expect(told.slice(0, 2)).toMatchObject([{ success: false }, { success: true, is_auth: true }]);
    const byId = (pair: { id: number }[]) => pair.sort((a, b) => a.id - b.id);
    expect(byId(told.slice(2, 4))).toMatchObject([
      { id: payment, is_captured: true, captured_amount: 6_000 },
      { is_capture: true, parent_transaction: payment, amount_cents: 6_000 },
    ]);
    expect(byId(told.slice(4))).toMatchObject([
      { id: payment, is_refunded: true, refunded_amount_cents: 1_000 },
      { is_refund: true, parent_transaction: payment, amount_cents: 1_000 },
    ]);

    const voided = await shop.create({ payment_methods: AUTH.EGP, notification_url });
    await shop.pay(voided.client_url);
    await until('the other hold is told', () => listener.heard.length === 7);
    await shop.voids(listener.heard[6]?.body.obj.id);
    await until('the void is told', () => listener.heard.length === 9);
    expect(byId(listener.heard.slice(7).map(({ body }) => body.obj))).toMatchObject([
      { is_voided: true },
      { is_void: true },
    ]);
    await listener.close();
  });

  it('goes to the dashboard’s address where the link has none, and again byte by byte', async () => {
    const listener = await webhookListener();
    const silent = await shop.create();
    expect((await shop.control('POST', `links/${silent.id}/pay`)).body.webhooks).toEqual([]);
    const set = await shop.control('PUT', 'webhook', { url: listener.url, secret: 'another-secret' });
    expect(set.body).toEqual({ url: listener.url, secret: 'another-secret', merchant: 'paymob' });
    const { id } = await shop.create();
    expect((await shop.control('POST', `links/${id}/pay`, { webhook: 'never' })).body.webhooks).toEqual([]);
    expect((await shop.control('POST', 'webhooks/resend', { link: String(id), times: 2 })).body.webhooks).toEqual([
      200, 200,
    ]);
    const [first, second] = listener.heard;
    expect([second?.raw, second?.url]).toEqual([first?.raw, first?.url]);
    const digest = createHmac('sha512', 'another-secret').update(signedText(first?.body.obj)).digest('hex');
    expect(first?.url).toBe(`/hook?hmac=${digest}`);
    listener.answers.push(503);
    expect((await shop.control('POST', 'webhooks/resend', { link: String(id) })).body.webhooks).toEqual([503]);
    await until('it was tried again', () => listener.heard.length === 4);
    await listener.close();
  });
});

describe('the control plane', () => {
  const act = async (id: number, action: string, body: object = {}) =>
    (await shop.control('POST', `links/${id}/${action}`, body)).body;

  it('takes money in any state, of any amount and currency', async () => {
    const { id, order } = await shop.create();
    await act(id, 'expire');
    expect((await act(id, 'pay', { amount: 900, currency: 'USD' })).status).toBe('expired');
    await act(id, 'authorize', { amount: 50 });
    await act(id, 'pay');
    expect((await shop.inquire(order)).body).toMatchObject({ is_capture: true, amount_cents: 50 });
    expect(await shop.ledger(id)).toEqual([
      'created 1050 EGP',
      'expired',
      'captured 900 USD',
      'authorized 50 EGP',
      'captured 50 EGP',
    ]);
  });

  it('lets a refund fail, an attempt fail, and restates a payment', async () => {
    const { id, payment } = await paidLink();
    await shop.refund(payment, 1_000);
    const failed = await act(id, 'refund_fails');
    expect(failed.entries).toMatchObject([{ kind: 'refund_failed', amount: 1_000, payment: String(payment) }]);
    expect(await shop.read(payment)).toMatchObject({ refunded_amount_cents: 0, is_refunded: false });
    await act(id, 'fail');
    await act(id, 'correct', { amount: 9_000 });
    expect(await shop.read(payment)).toMatchObject({ amount_cents: 9_000 });
    await act(id, 'correct', { amount: 9_500 });
    await act(id, 'correct', { currency: 'AED' });
    expect((await shop.ledger(id)).slice(3)).toEqual([
      'refund_failed 1000 EGP',
      'attempt_failed 10000 EGP',
      'voided 1000 EGP',
      'captured 500 EGP',
      'voided 9500 EGP',
      'captured 9500 AED',
    ]);
  });

  it.each([
    ['chargeback', {}, 'chargeback: Paymob tells of no disputes'],
    ['dispute_won', {}, 'dispute_won: Paymob tells of no disputes'],
    ['refund_fails', {}, 'refund_fails: the link has no refund'],
    ['correct', {}, 'correct: the link has no payment'],
  ])('refuses %s where it makes no sense', async (action, input, error) => {
    const { id } = await shop.create();
    const answer = await shop.control('POST', `links/${id}/${action}`, input);
    expect([answer.status, answer.body]).toEqual([409, { error }]);
  });

  it.each([
    ['token', (link: { id: number }) => ({ link, path: '/auth/tokens', sent: { api_key: 'sandbox-paymob-api-key' } })],
    ['create', () => ({ path: LINKS, sent: formOf(linkForm()) })],
  ])('plays faults on %s', async (operation, make) => {
    await shop.fault({ operation, kind: 'status', status: 429, retryAfter: 3, count: 1 });
    const { path, sent } = make({ id: 0 });
    const { status, headers, body } = await shop.call('POST', path, sent, await shop.bearer());
    expect([status, headers.get('retry-after'), body]).toEqual([429, '3', { detail: 'Refused by a sandbox fault' }]);
  });

  it('plays faults on every call about one link, by any of its names', async () => {
    const { id, order, payment, reference_id } = await paidLink(AUTH.EGP);
    const refused = async (operation: string, link: string | number, asked: () => Promise<{ status: number }>) => {
      await shop.fault({ operation, kind: 'status', status: 401, link: String(link), count: 1 });
      return (await asked()).status;
    };
    expect([
      await refused('inquire', order, () => shop.inquire(order)),
      await refused('capture', payment, () => shop.capture(payment, 1)),
      await refused('void', reference_id, () => shop.voids(payment)),
      await refused('refund', id, () => shop.refund(payment, 1)),
      await refused('cancel', id, () => shop.cancel(id)),
    ]).toEqual([401, 401, 401, 401, 401]);
    await shop.fault({ operation: 'transaction', kind: 'status', status: 500, link: String(id), count: 1 });
    expect(await shop.read(payment)).toEqual({ detail: 'Refused by a sandbox fault' });
    expect(await shop.ledger(id)).toEqual(['created 10000 EGP', 'authorized 10000 EGP']);
  });

  it('an answer that is dropped was acted upon', async () => {
    const { id, payment } = await paidLink(AUTH.EGP);
    await shop.fault({ operation: 'capture', kind: 'drop_after_commit', link: String(id), count: 1 });
    await expect(shop.capture(payment, 5_000)).rejects.toThrow();
    expect(await shop.read(payment)).toMatchObject({ captured_amount: 5_000 });
  });
});

it('remembers everything over a restart, apart from tokens, and repeats no number', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'paymob-'));
  const first = await startSandbox({ port: 0, stateDir });
  const before = paymobMerchant(first.url);
  const { id, order, client_url, reference_id } = await before.create();
  await before.pay(client_url);
  const { body } = await before.inquire(order);
  const bearer = await before.bearer();
  await first.close();

  const second = await startSandbox({ port: 0, stateDir });
  const after = paymobMerchant(second.url);
  expect((await after.call('GET', `/acceptance/transactions/${body.id}`, undefined, bearer)).status).toBe(401);
  expect((await after.inquire(order)).body).toEqual(body);
  expect(await after.ledger(id)).toEqual(['created 1050 EGP', 'captured 1050 EGP']);
  expect((await after.post(LINKS, { ...linkForm(), reference_id })).status).toBe(400);
  expect((await after.create()).id).toBeGreaterThan(body.id);
  const refund = await after.refund(body.id, 50);
  expect(refund.status).toBe(200);
  await second.close();
  await rm(stateDir, { recursive: true });
});
