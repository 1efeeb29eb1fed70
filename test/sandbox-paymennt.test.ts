import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { linkBody, sandboxMerchant } from './sandbox-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof sandboxMerchant>;
let hotel: ReturnType<typeof sandboxMerchant>;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0 });
  shop = sandboxMerchant(sandbox.url);
  hotel = sandboxMerchant(sandbox.url, 'paymennt-hold');
});

afterAll(() => sandbox.close());

const refusal = (error: string) => ({ success: false, error });

describe('create', () => {
  it('answers the whole documented checkout', async () => {
    const customer = {
      id: 'c-1',
      firstName: 'TEST',
      lastName: 'USER',
      email: 'test@example.com',
      phone: '971500000000',
    };
    const billingAddress = { name: 'TEST USER', address1: '1 Pier', city: 'Dubai', country: 'AE' };
    const request = { ...linkBody(), expiresIn: 15, customer, billingAddress, branchId: 7, language: 'EN' };
    const { status, body } = await shop.call('POST', '/checkout/link', request);
    const { checkoutKey } = body.result;
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        success: true,
        result: {
          id: expect.stringMatching(/^\d{19}$/),
          displayId: expect.stringMatching(/^[0-9A-F]{6}$/),
          checkoutKey: expect.stringMatching(/^[0-9a-f]{48}$/),
          requestId: request.requestId,
          orderId: request.orderId,
          currency: 'AED',
          amount: 10.5,
          cashAmount: 0,
          status: 'PENDING',
          totalRefunded: 0,
          redirectUrl: `${sandbox.url}/paymennt/checkout/${checkoutKey}`,
          usedPaymentMethod: null,
          customer: { ...customer, id: expect.stringMatching(/^\d{19}$/), reference: 'c-1' },
          billingAddress,
          deliveryAddress: null,
          subscriptionId: null,
          branchId: '7',
          branchName: 'Tidewater Books',
          timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/),
          firebaseDatabase: null,
          firebaseCollection: null,
          firebaseDocument: null,
        },
      },
    });
    expect(await shop.read(body.result.id)).toEqual(body.result);
  });

  const address = { name: 'n', address1: 'a', city: 'c', country: 'AE' };
  const customer = { firstName: 'f', lastName: 'l', email: 'a@b' };
  const item = { name: 'n', quantity: 1, linetotal: 1 };
  it.each<[string, Record<string, unknown>]>([
    ['requestId is required', { requestId: undefined }],
    ['requestId must not be empty', { requestId: '' }],
    ['orderId is required', { orderId: undefined }],
    ['orderId must be a string', { orderId: 7 }],
    ['description is required', { description: undefined }],
    ['currency is required', { currency: undefined }],
    ['currency must be an ISO 4217 currency code', { currency: 'AEX' }],
    ['currency must be an ISO 4217 currency code', { currency: 'aed' }],
    ['amount is required', { amount: undefined }],
    ['amount must be a number', { amount: '10.50' }],
    ['amount must be greater than 0', { amount: 0 }],
    ['amount must be greater than 0', { amount: -1 }],
    ['amount must have at most 2 decimals in AED', { amount: 10.505 }],
    ['amount must have at most 0 decimals in JPY', { amount: 500.5, currency: 'JPY' }],
    ['amount must have at most 3 decimals in KWD', { amount: 1.2345, currency: 'KWD' }],
    ['expiresIn must be between 15 and 10080', { expiresIn: 14 }],
    ['expiresIn must be between 15 and 10080', { expiresIn: 10081 }],
    ['expiresIn must be an integer', { expiresIn: 15.5 }],
    ['expiresIn must be an integer', { expiresIn: '15' }],
    ['sendSms must be a boolean', { sendSms: 'no' }],
    ['sendEmail must be a boolean', { sendEmail: 1 }],
    ['customer must be an object', { customer: 'me' }],
    ['customer.firstName is required', { customer: { ...customer, firstName: undefined } }],
    ['customer.lastName is required', { customer: { ...customer, lastName: undefined } }],
    ['customer.email is required', { customer: { ...customer, email: undefined } }],
    ['customer.email must be an email address', { customer: { ...customer, email: 'a b' } }],
    ['billingAddress.name is required', { billingAddress: { ...address, name: undefined } }],
    ['billingAddress.address1 is required', { billingAddress: { ...address, address1: undefined } }],
    ['deliveryAddress.city is required', { deliveryAddress: { ...address, city: undefined } }],
    ['deliveryAddress.country is required', { deliveryAddress: { ...address, country: undefined } }],
    ['deliveryAddress.country must be an ISO 3166-1 code', { deliveryAddress: { ...address, country: 'Emirates' } }],
    ['totals.subtotal is required', { totals: { tax: 0 } }],
    ['totals.tax is required', { totals: { subtotal: 1 } }],
    ['totals.shipping must not be negative', { totals: { subtotal: 1, tax: 0, shipping: -1 } }],
    ['totals do not add up to amount', { totals: { subtotal: 10, tax: 0.4, skipTotalsValidation: false } }],
    ['items must be an array', { items: {} }],
    ['items.0.name is required', { items: [{ ...item, name: undefined }] }],
    ['items.0.quantity must be greater than 0', { items: [{ ...item, quantity: 0 }] }],
    ['items.0.linetotal is required', { items: [{ ...item, linetotal: undefined }] }],
    [
      'allowedPaymentMethods.0 must be one of CARD, VISA, MASTERCARD, AMEX, UNIONPAY, TABBY, CAREEM_PAY, POINTCHECKOUT',
      { allowedPaymentMethods: ['CASH'] },
    ],
    [
      'defaultPaymentMethod must be one of CARD, VISA, MASTERCARD, AMEX, UNIONPAY, TABBY, CAREEM_PAY, POINTCHECKOUT',
      { defaultPaymentMethod: 'card' },
    ],
    ['branchId must be an integer', { branchId: 'x' }],
    ['language must have 2 to 3 characters', { language: 'E' }],
    ['language must have 2 to 3 characters', { language: 'ENGL' }],
  ])('refuses: %s', async (error, change) => {
    const { status, body } = await shop.call('POST', '/checkout/link', { ...linkBody(), ...change });
    expect({ status, body }).toEqual({ status: 400, body: refusal(error) });
  });

  it('takes both limits of expiresIn, every optional part, and fields it does not know', async () => {
    await shop.create({ expiresIn: 15, somethingElse: true });
    const totals = { subtotal: 10, tax: 1, shipping: 0.5, handling: 0, discount: 1, skipTotalsValidation: false };
    const more = { items: [item], totals, allowedPaymentMethods: ['CARD', 'AMEX'], defaultPaymentMethod: 'CARD' };
    const checkout = await shop.create({ expiresIn: 10_080, deliveryAddress: address, sendEmail: true, ...more });
    expect(checkout.deliveryAddress).toEqual(address);
  });

  it.each([
    ['Request body is not valid JSON', '{"requestId":'],
    ['Request body is not valid JSON', ''],
    ['Request body must be an object', '[]'],
    ['Request body must be an object', 'null'],
  ])('refuses: %s (%j)', async (error, text) => {
    const { status, body } = await shop.call('POST', '/checkout/link', text);
    expect({ status, body }).toEqual({ status: 400, body: refusal(error) });
  });

  it('takes a requestId once per merchant, and many for one order', async () => {
    const request = linkBody();
    const first = await shop.create(request);
    const again = await shop.call('POST', '/checkout/link', { ...request, amount: 99 });
    expect([again.status, again.body]).toEqual([400, refusal('Duplicate request ID')]);
    await shop.create({ ...request, requestId: `${request.orderId}-r2` });
    await hotel.create(request);
    expect(await shop.ledger(first.id)).toEqual(['created 1050 AED']);
  });
});

describe('keys', () => {
  const wrong = 'Invalid API credentials';
  const secret = { 'x-paymennt-api-secret': 'sandbox-paymennt-secret' };
  it.each<[string, Record<string, string>]>([
    ['none', {}],
    ['no key', secret],
    ['an unknown key', { ...secret, 'x-paymennt-api-key': 'x' }],
    ['the other merchant’s key', { ...secret, 'x-paymennt-api-key': 'sandbox-paymennt-hold-key' }],
  ])('refuses %s', async (_name, headers) => {
    const { status, body } = await shop.call('GET', '/checkout', undefined, headers);
    expect([status, body]).toEqual([401, refusal(wrong)]);
  });

  it('takes the older header names too', async () => {
    const { status } = await shop.call('GET', '/checkout', undefined, {
      'x-pointcheckout-api-key': 'sandbox-paymennt-key',
      'x-pointcheckout-api-secret': 'sandbox-paymennt-secret',
    });
    expect(status).toBe(200);
  });
});

describe('money on the wire', () => {
  it.each([
    ['AED', 10.5, 1050],
    ['AED', 0.07, 7],
    ['USD', 1_234_567.89, 123_456_789],
    ['JPY', 500, 500],
    ['KWD', 1.234, 1234],
  ])('%s %d is %d minor units', async (currency, amount, minor) => {
    const { id, redirectUrl, orderId } = await shop.create({ currency, amount });
    await shop.pay(redirectUrl);
    const { paymentId, ...checkout } = await shop.read(id);
    expect(checkout).toMatchObject({ currency, amount, status: 'PAID', orderId });
    expect(await shop.payment(paymentId)).toMatchObject({ currency, amount, status: 'CAPTURED' });
    expect(await shop.ledger(id)).toEqual([`created ${minor} ${currency}`, `captured ${minor} ${currency}`]);
  });
});

describe('search', () => {
  it('finds by request, order, status and type, and pages through the rest', async () => {
    const orderId = 'INV/2026/001';
    const made = [];
    for (const n of [1, 2, 3]) made.push(await shop.create({ orderId, requestId: `search-${n}` }));
    const [first, second, third] = made;
    await shop.pay(second.redirectUrl);
    const find = async (query: Record<string, string>) =>
      (await shop.call('GET', `/checkout?${new URLSearchParams(query)}`)).body.result;
    const ids = async (query: Record<string, string>) =>
      (await find({ orderId, ...query })).content.map(({ id }: { id: string }) => id);

    expect(await find({ requestId: 'search-1' })).toEqual({
      page: 0,
      size: 20,
      totalPages: 1,
      totalElements: 1,
      content: [first],
    });
    expect(await find({ requestId: 'nobody' })).toEqual({
      page: 0,
      size: 20,
      totalPages: 0,
      totalElements: 0,
      content: [],
    });
    expect(await ids({})).toEqual([first.id, second.id, third.id]);
    expect(await ids({ status: 'PAID,Partially refunded' })).toEqual([second.id]);
    expect(await ids({ type: 'LINK', afterId: first.id })).toEqual([second.id, third.id]);
    expect(await ids({ type: 'WEB' })).toEqual([]);
    expect(await ids({ afterTimestamp: '2020-01-01 00:00:00' })).toHaveLength(3);
    expect(await ids({ afterTimestamp: '2999-01-01 00:00:00' })).toEqual([]);
    expect(await find({ orderId, page: '1', size: '2' })).toMatchObject({ page: 1, totalPages: 2, totalElements: 3 });
    expect(await ids({ page: '1', size: '2' })).toEqual([third.id]);
    expect((await hotel.call('GET', '/checkout?requestId=search-1')).body.result.content).toEqual([]);
  });

  const statuses =
    'PENDING, AUTHORIZED, PENDING_CONFIRMATION, PAID, FAILED, CANCELLED, EXPIRED, REFUNDED, PARTIALLY_REFUNDED, CHARGEBACK';
  it.each([
    ['size=0', 'page size parameter must be a positive integer'],
    ['size=x', 'page size parameter must be a positive integer'],
    ['page=-1', 'page parameter must be a non-negative integer'],
    ['type=SHOP', 'type must be one of QR, WEB, MOBILE, LINK, TERMINAL'],
    ['status=PAID,DONE', `status must be a list of ${statuses}`],
    ['afterId=x', 'afterId must be an integer'],
    ['afterTimestamp=2026-01-01T00:00:00Z', 'afterTimestamp must have the format yyyy-mm-dd HH:MM:SS'],
  ])('refuses ?%s', async (query, error) => {
    const { status, body } = await shop.call('GET', `/checkout?${query}`);
    expect([status, body]).toEqual([400, refusal(error)]);
  });
});

describe('what is not there', () => {
  it.each([
    ['GET', '/checkout/1', 400, 'Checkout not found for API merchant'],
    ['POST', '/checkout/1/cancel', 400, 'Checkout not found for API merchant'],
    ['POST', '/checkout/1/refund?amount=1&currency=AED&note=n', 400, 'Checkout not found for API merchant'],
    ['GET', '/payment/1', 400, 'Payment not found for API merchant'],
    ['POST', '/payment/1/capture', 400, 'Payment not found for API merchant'],
    ['GET', '/webhooks/1', 400, 'Webhook not found for API merchant'],
    ['POST', '/webhooks/1/test', 400, 'Webhook not found for API merchant'],
    ['POST', '/webhooks/1/enable', 400, 'Webhook not found for API merchant'],
    ['POST', '/webhooks/1/disable', 400, 'Webhook not found for API merchant'],
    ['POST', '/webhooks/1/delete', 400, 'Webhook not found for API merchant'],
    ['GET', '/nothing', 404, 'No such call: GET /paymennt/mer/v2.0/nothing'],
  ])('%s %s', async (method, path, status, error) => {
    const answer = await shop.call(method, path);
    expect([answer.status, answer.body]).toEqual([status, refusal(error)]);
  });

  it('hides one merchant’s checkouts, payments and webhooks from the other', async () => {
    const { id, redirectUrl } = await shop.create();
    await shop.pay(redirectUrl);
    const { paymentId } = await shop.read(id);
    const hook = (await shop.call('POST', '/webhooks', { address: 'http://127.0.0.1:9/never' })).body.result;
    expect((await hotel.call('GET', `/checkout/${id}`)).body).toEqual(refusal('Checkout not found for API merchant'));
    expect((await hotel.call('GET', `/payment/${paymentId}`)).body).toEqual(
      refusal('Payment not found for API merchant'),
    );
    expect((await hotel.call('GET', `/webhooks/${hook.id}`)).body).toEqual(
      refusal('Webhook not found for API merchant'),
    );
    await shop.call('POST', `/webhooks/${hook.id}/delete`);
  });
});
