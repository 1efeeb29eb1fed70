import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { sandboxMerchant, until, webhookListener } from './sandbox-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof sandboxMerchant>;
let hotel: ReturnType<typeof sandboxMerchant>;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0, webhookRetryMs: [20, 20] });
  shop = sandboxMerchant(sandbox.url);
  hotel = sandboxMerchant(sandbox.url, 'paymennt-hold');
});

afterAll(() => sandbox.close());

const refusal = (error: string) => ({ success: false, error });

describe('a link’s life', () => {
  it('holds, captures the whole whatever is asked, once', async () => {
    const { id, redirectUrl } = await hotel.create();
    expect((await hotel.pay(redirectUrl)).status).toBe(303);
    const held = await hotel.read(id);
    expect(held).toMatchObject({ status: 'AUTHORIZED', usedPaymentMethod: 'CARD', totalRefunded: 0 });
    const capture = () => hotel.call('POST', `/payment/${held.paymentId}/capture?amount=1`, { amount: 1 });
    const first = await capture();
    expect(first.status).toBe(200);
    expect(first.body.result).toEqual({
      id: held.paymentId,
      currency: 'AED',
      amount: 10.5,
      status: 'CAPTURED',
      checkoutDetails: { ...held, status: 'PAID' },
      timestamp: expect.stringMatching(/\+00:00$/),
    });
    const again = await capture();
    expect([again.status, again.body]).toEqual([400, refusal('Payment status does not allow capture')]);
    expect(await hotel.ledger(id)).toEqual(['created 1050 AED', 'authorized 1050 AED', 'captured 1050 AED']);
  });

  it('gives a hold back on cancel', async () => {
    const { id, redirectUrl } = await hotel.create();
    await hotel.pay(redirectUrl);
    const { body } = await hotel.call('POST', `/checkout/${id}/cancel`);
    expect(body.result.status).toBe('CANCELLED');
    expect((await hotel.payment(body.result.paymentId)).status).toBe('VOIDED');
    expect(await hotel.ledger(id)).toEqual(['created 1050 AED', 'authorized 1050 AED', 'voided 1050 AED', 'cancelled']);
    const capture = await hotel.call('POST', `/payment/${body.result.paymentId}/capture`);
    expect(capture.body).toEqual(refusal('Payment status does not allow capture'));
  });

  it('cancels what nobody paid, once, and nothing that was paid', async () => {
    const { id, redirectUrl } = await shop.create();
    const { status, body } = await shop.call('POST', `/checkout/${id}/cancel`);
    expect([status, body.result.status, body.result.paymentId]).toEqual([200, 'CANCELLED', undefined]);
    const paid = await shop.create();
    await shop.pay(paid.redirectUrl);
    for (const closed of [id, paid.id]) {
      const again = await shop.call('POST', `/checkout/${closed}/cancel`);
      expect([again.status, again.body]).toEqual([400, refusal('Checkout status does not allow cancellation')]);
    }
    expect((await shop.pay(redirectUrl)).status).toBe(409);
    expect(await shop.ledger(id)).toEqual(['created 1050 AED', 'cancelled']);
  });

  it('refunds in parts to the last fils, and not one more', async () => {
    const { id, redirectUrl } = await shop.create();
    await shop.pay(redirectUrl);
    const refund = (amount: string) =>
      shop.call('POST', `/checkout/${id}/refund?amount=${amount}&currency=AED&note=broken&referenceId=r1`);

    const part = await refund('4.20');
    expect([part.status, part.body.result.status, part.body.result.totalRefunded]).toEqual([
      200,
      'PARTIALLY_REFUNDED',
      4.2,
    ]);
    const over = await refund('6.31');
    expect([over.status, over.body]).toEqual([400, refusal('Refund amount exceeds paid amount')]);
    // The same referenceId again is another refund: nobody knows that it would not be.
    const rest = await refund('6.30');
    expect([rest.body.result.status, rest.body.result.totalRefunded]).toEqual(['REFUNDED', 10.5]);
    expect((await refund('0.01')).body).toEqual(refusal('Checkout status does not allow refund'));
    expect((await shop.payment(rest.body.result.paymentId)).status).toBe('CAPTURED');
    expect(await shop.ledger(id)).toEqual([
      'created 1050 AED',
      'captured 1050 AED',
      'refunded 420 AED',
      'refunded 630 AED',
    ]);
  });

  it.each([
    ['currency=AED&note=n', 'amount is required'],
    ['amount=x&currency=AED&note=n', 'amount must be a number'],
    ['amount=1e2&currency=AED&note=n', 'amount must be a number'],
    ['amount=0&currency=AED&note=n', 'amount must be greater than 0'],
    ['amount=-1&currency=AED&note=n', 'amount must be greater than 0'],
    ['amount=1.005&currency=AED&note=n', 'amount must have at most 2 decimals in AED'],
    ['amount=1&note=n', 'currency is required'],
    ['amount=1&currency=AE&note=n', 'currency must have 3 characters'],
    ['amount=1&currency=AEX&note=n', 'currency must be an ISO 4217 currency code'],
    ['amount=1&currency=USD&note=n', 'Refund currency does not match paid currency'],
    ['amount=1&currency=AED', 'note is required'],
  ])('refuses the refund ?%s', async (query, error) => {
    const { id, redirectUrl } = await shop.create();
    await shop.pay(redirectUrl);
    const { status, body } = await shop.call('POST', `/checkout/${id}/refund?${query}`);
    expect([status, body]).toEqual([400, refusal(error)]);
    expect(await shop.ledger(id)).toEqual(['created 1050 AED', 'captured 1050 AED']);
  });

  it.each(['pending', 'authorized', 'cancelled'])('refuses to refund a %s checkout', async (state) => {
    const { id, redirectUrl } = await hotel.create();
    if (state === 'authorized') await hotel.pay(redirectUrl);
    if (state === 'cancelled') await hotel.call('POST', `/checkout/${id}/cancel`);
    const { body } = await hotel.call('POST', `/checkout/${id}/refund?amount=1&currency=AED&note=n`);
    expect(body).toEqual(refusal('Checkout status does not allow refund'));
  });
});

describe('webhooks', () => {
  it('registers an address once, and can be told to stop', async () => {
    const listener = await webhookListener();
    const register = async () => (await shop.call('POST', '/webhooks', { address: listener.url })).body.result;
    const hook = await register();
    expect(hook).toEqual({
      id: expect.stringMatching(/^\d{19}$/),
      hmacKey: expect.stringMatching(/^[0-9a-f]{64}$/),
      address: listener.url,
      failed: false,
      enabled: true,
    });
    expect(await register()).toEqual(hook);
    expect((await shop.call('GET', `/webhooks/${hook.id}`)).body.result).toEqual(hook);
    expect((await shop.call('GET', '/webhooks')).body.result).toEqual([hook]);
    expect((await hotel.call('GET', '/webhooks')).body.result).toEqual([]);

    expect((await shop.call('POST', `/webhooks/${hook.id}/test`)).body.result).toEqual(hook);
    expect(listener.heard.splice(0)).toHaveLength(1);

    const disabled = await shop.call('POST', `/webhooks/${hook.id}/disable`);
    expect(disabled.body.result).toEqual({ ...hook, enabled: false });
    const { id } = await shop.create();
    expect((await shop.control('POST', `links/${id}/pay`)).body.webhooks).toEqual([]);
    const enabled = await shop.call('POST', `/webhooks/${hook.id}/enable`);
    expect(enabled.body.result).toEqual(hook);
    expect((await shop.control('POST', 'webhooks/resend', { link: id })).body.webhooks).toEqual([200]);

    expect((await shop.call('POST', `/webhooks/${hook.id}/delete`)).body.result).toEqual(hook);
    expect((await shop.call('GET', '/webhooks')).body.result).toEqual([]);
    await listener.close();
  });

  it.each([
    [{}, 'address is required'],
    [{ address: 'example.com' }, 'address must be an https URL'],
    [{ address: 'http://example.com/hook' }, 'address must be an https URL'],
    [{ address: 'ftp://127.0.0.1/hook' }, 'address must be an https URL'],
  ])('refuses %j', async (request, error) => {
    const { status, body } = await shop.call('POST', '/webhooks', request);
    expect([status, body]).toEqual([400, refusal(error)]);
  });

  it('tells every change in a flat body signed over its raw bytes', async () => {
    const listener = await webhookListener();
    const { hmacKey, id: hookId } = (await hotel.call('POST', '/webhooks', { address: listener.url })).body.result;
    const customer = { firstName: 'Żoë', lastName: 'USER', email: 'test@example.com' };
    const link = await hotel.create({ customer });
    await hotel.pay(link.redirectUrl);
    await until('the hold is told', () => listener.heard.length === 1);
    const { paymentId } = await hotel.read(link.id);
    await hotel.call('POST', `/payment/${paymentId}/capture`);
    await until('the capture is told', () => listener.heard.length === 2);
    await hotel.call('POST', `/checkout/${link.id}/refund?amount=1&currency=AED&note=n`);
    await until('the refund is told', () => listener.heard.length === 3);
    const cancelled = await hotel.create();
    await hotel.call('POST', `/checkout/${cancelled.id}/cancel`);
    await until('the cancel is told', () => listener.heard.length === 4);

    expect(listener.heard.map(({ body }) => body.status)).toEqual([
      'AUTHORIZED',
      'PAID',
      'PARTIALLY_REFUNDED',
      'CANCELLED',
    ]);
    expect(listener.heard[1]?.body).toEqual({
      id: link.id,
      status: 'PAID',
      orderId: link.orderId,
      referenceId: link.requestId,
      grandtotal: 10.5,
      currency: 'AED',
      paidOn: expect.stringMatching(/\+00:00$/),
      customerEmail: 'test@example.com',
      customerFirstName: 'Żoë',
      customerLastName: 'USER',
    });
    for (const { raw, headers } of listener.heard) {
      expect(headers['content-type']).toBe('application/json');
      expect(headers['x-paymennt-signature']).toBe(createHmac('sha256', hmacKey).update(raw).digest('hex'));
    }
    await hotel.call('POST', `/webhooks/${hookId}/delete`);
    await listener.close();
  });

  it('tries again when the listener does not say 2xx, then marks the registration', async () => {
    const listener = await webhookListener();
    const { id: hookId } = (await shop.call('POST', '/webhooks', { address: listener.url })).body.result;
    const failed = async () => (await shop.call('GET', `/webhooks/${hookId}`)).body.result.failed;
    const { id } = await shop.create();
    listener.answers.push(503, 302);
    const { body } = await shop.control('POST', `links/${id}/pay`);
    expect(body.webhooks).toEqual([503]);
    await until('the third attempt', () => listener.heard.length === 3);
    expect(new Set(listener.heard.map(({ raw }) => raw)).size).toBe(1);
    expect(await failed()).toBe(false);

    listener.answers.push(500, 500, 500);
    await shop.control('POST', 'webhooks/resend', { link: id });
    await until('it is marked as failed', failed);
    expect(listener.heard).toHaveLength(6);
    await shop.control('POST', 'webhooks/resend', { link: id });
    await until('it is well again', async () => !(await failed()));
    await shop.call('POST', `/webhooks/${hookId}/delete`);
    await listener.close();
  });
});
