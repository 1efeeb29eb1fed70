import { request } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loopbackOnly } from '../sandbox/loopback.ts';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import type { Tally } from '../sandbox/webhooks.ts';
import { linkBody, sandboxMerchant, until, webhookListener } from './sandbox-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof sandboxMerchant>;
let listener: Awaited<ReturnType<typeof webhookListener>>;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0, webhookRetryMs: [20], paymennt: { minuteMs: 60 } });
  shop = sandboxMerchant(sandbox.url);
  listener = await webhookListener();
  await shop.call('POST', '/webhooks', { address: listener.url });
});

afterAll(async () => {
  await sandbox.close();
  await listener.close();
});

const LONG = { expiresIn: 10_080 };
const told = (id: string) => listener.heard.filter(({ body }) => body.id === id).map(({ body }) => body.status);

describe('expiry', () => {
  it('comes on time by itself: ledger, status and webhook', async () => {
    const { id, redirectUrl } = await shop.create({ expiresIn: 15 });
    await until('expiry is told', () => told(id).length === 1);
    expect(told(id)).toEqual(['EXPIRED']);
    expect((await shop.read(id)).status).toBe('EXPIRED');
    expect((await shop.pay(redirectUrl)).status).toBe(409);
    expect(await shop.ledger(id)).toEqual(['created 1050 AED', 'expired']);
  });

  it('gives a hold back', async () => {
    const { id } = await shop.create({ expiresIn: 15 });
    await shop.control('POST', `links/${id}/authorize`, { webhook: 'never' });
    await until('expiry is told', () => told(id).length === 1);
    const { status, paymentId } = await shop.read(id);
    expect([status, (await shop.payment(paymentId)).status]).toEqual(['EXPIRED', 'VOIDED']);
    expect(await shop.ledger(id)).toEqual(['created 1050 AED', 'authorized 1050 AED', 'voided 1050 AED', 'expired']);
  });
});

describe('actions', () => {
  const C = 'created 1050 AED';
  it.each<[string, [action: string, input?: object][], string, string[]]>([
    ['paid', [['pay']], 'PAID', ['captured 1050 AED']],
    ['underpaid', [['pay', { amount: 400 }]], 'PAID', ['captured 400 AED']],
    ['paid in another currency', [['pay', { amount: 7, currency: 'KWD' }]], 'PAID', ['captured 7 KWD']],
    ['paid twice', [['pay'], ['pay', { amount: 50 }]], 'PAID', ['captured 1050 AED', 'captured 50 AED']],
    ['held, then paid: a capture', [['authorize'], ['pay']], 'PAID', ['authorized 1050 AED', 'captured 1050 AED']],
    [
      'held, then paid otherwise',
      [['authorize'], ['pay', { amount: 5 }]],
      'PAID',
      ['authorized 1050 AED', 'voided 1050 AED', 'captured 5 AED'],
    ],
    ['held twice', [['authorize'], ['authorize']], 'AUTHORIZED', ['authorized 1050 AED', 'authorized 1050 AED']],
    ['paid after expiry', [['expire'], ['pay']], 'PAID', ['expired', 'captured 1050 AED']],
    ['paid after failure', [['fail'], ['pay']], 'PAID', ['attempt_failed 1050 AED', 'captured 1050 AED']],
    ['expired twice is once', [['expire'], ['expire']], 'EXPIRED', ['expired']],
    ['failed after payment: old news', [['pay'], ['fail']], 'PAID', ['captured 1050 AED', 'attempt_failed 1050 AED']],
    ['expired after payment: old news', [['pay'], ['expire']], 'PAID', ['captured 1050 AED']],
    [
      'a hold that fails is given back',
      [['authorize'], ['fail']],
      'FAILED',
      ['authorized 1050 AED', 'voided 1050 AED', 'attempt_failed 1050 AED'],
    ],
    ['disputed', [['pay'], ['chargeback']], 'CHARGEBACK', ['captured 1050 AED', 'charged_back 1050 AED']],
    [
      'dispute won',
      [['pay'], ['chargeback'], ['dispute_won']],
      'PAID',
      ['captured 1050 AED', 'charged_back 1050 AED', 'dispute_won 1050 AED'],
    ],
    ['corrected down', [['pay'], ['correct', { amount: 1000 }]], 'PAID', ['captured 1050 AED', 'voided 50 AED']],
    ['corrected up', [['pay'], ['correct', { amount: 1100 }]], 'PAID', ['captured 1050 AED', 'captured 50 AED']],
    [
      'corrected to another currency',
      [['pay'], ['correct', { amount: 3, currency: 'USD' }]],
      'PAID',
      ['captured 1050 AED', 'voided 1050 AED', 'captured 3 USD'],
    ],
  ])('%s', async (_name, steps, status, ledger) => {
    const { id } = await shop.create(LONG);
    for (const [action, input] of steps) {
      const answer = await shop.control('POST', `links/${id}/${action}`, input);
      expect([answer.status, answer.body.link, answer.body.webhooks]).toEqual([200, id, [200]]);
    }
    expect((await shop.read(id)).status).toBe(status);
    expect(await shop.ledger(id)).toEqual([C, ...ledger]);
    expect(told(id)).toHaveLength(steps.length);
  });

  it('reads what was paid from the payment and what was asked from the checkout', async () => {
    const { id } = await shop.create(LONG);
    await shop.control('POST', `links/${id}/pay`, { amount: 1234, currency: 'KWD' });
    const checkout = await shop.read(id);
    expect(checkout).toMatchObject({ amount: 10.5, currency: 'AED' });
    expect(await shop.payment(checkout.paymentId)).toMatchObject({ amount: 1.234, currency: 'KWD' });
  });

  it('lets a refund fail later, whole or in part', async () => {
    const { id, redirectUrl } = await shop.create(LONG);
    await shop.pay(redirectUrl);
    await shop.call('POST', `/checkout/${id}/refund?amount=10.50&currency=AED&note=n`);
    expect((await shop.control('POST', `links/${id}/refund_fails`, { amount: 50 })).body.status).toBe(
      'PARTIALLY_REFUNDED',
    );
    expect((await shop.read(id)).totalRefunded).toBe(10);
    expect((await shop.control('POST', `links/${id}/refund_fails`)).body.status).toBe('PAID');
    expect((await shop.ledger(id)).slice(2)).toEqual([
      'refunded 1050 AED',
      'refund_failed 50 AED',
      'refund_failed 1000 AED',
    ]);
  });

  it('sends old words after newer ones', async () => {
    const { id } = await shop.create(LONG);
    for (const action of ['pay', 'fail', 'expire']) await shop.control('POST', `links/${id}/${action}`);
    expect(told(id)).toEqual(['PAID', 'FAILED', 'EXPIRED']);
  });

  it('sends never, often, or later; and again, byte by byte', async () => {
    const { id, orderId } = await shop.create(LONG);
    await shop.control('POST', `links/${id}/pay`, { webhook: 'never' });
    expect(told(id)).toEqual([]);
    const resent = await shop.control('POST', 'webhooks/resend', { link: orderId, times: 3 });
    expect(resent.body).toEqual({ link: id, webhooks: [200, 200, 200] });
    const raws = listener.heard.filter(({ body }) => body.id === id).map(({ raw }) => raw);
    expect([raws.length, new Set(raws).size]).toEqual([3, 1]);

    const many = await shop.create(LONG);
    await shop.control('POST', `links/${many.id}/pay`, { times: 5 });
    expect(told(many.id)).toHaveLength(5);

    const later = await shop.create(LONG);
    expect((await shop.control('POST', `links/${later.id}/pay`, { delayMs: 30 })).body.webhooks).toEqual([]);
    await until('the late webhook', () => told(later.id).length === 1);
  });

  it('loses a webhook by fault, without a second try', async () => {
    const { id, redirectUrl } = await shop.create(LONG);
    await shop.fault({ operation: 'webhook', kind: 'reset', link: id, count: 1 });
    await shop.pay(redirectUrl);
    expect((await shop.control('POST', 'webhooks/resend', { link: id })).body.webhooks).toEqual([200]);
    expect(told(id)).toEqual(['PAID']);
    await shop.control('DELETE', 'faults');
  });

  it('sends a webhook several times by fault', async () => {
    const { id, redirectUrl } = await shop.create(LONG);
    await shop.fault({ operation: 'webhook', kind: 'duplicate', times: 4, link: id, count: 1 });
    await shop.pay(redirectUrl);
    await until('all copies are heard', () => told(id).length === 4);
    await shop.control('DELETE', 'faults');
  });

  it('tells which state of a link a listener has taken, and how many tries came to nothing', async () => {
    const tally = async () => (await shop.control('GET', 'deliveries')).body as Tally;
    const before = (await tally()).attempts;
    const { id } = await shop.create(LONG);
    await shop.fault({ operation: 'webhook', kind: 'reset', link: id, count: 1 });
    await shop.control('POST', `links/${id}/pay`);
    expect((await tally()).accepted[id]).toBeUndefined();
    const paidBy = new Date().toISOString();
    listener.answers.push(500);
    expect((await shop.control('POST', 'webhooks/resend', { link: id })).body.webhooks).toEqual([500]);
    await until('the second try', async () => (await tally()).accepted[id] !== undefined);
    const { attempts, accepted } = await tally();
    // Sent again it tells of what was then, not of now.
    expect(accepted[id]! <= paidBy).toBe(true);
    expect([attempts.lost - before.lost, attempts.refused - before.refused]).toEqual([1, 1]);
    expect(attempts.accepted).toBe(before.accepted + 1);
    const narrowed = async (link: string) => (await shop.control('GET', `deliveries?link=${link}`)).body.accepted;
    expect([await narrowed(id), await narrowed('nobody')]).toEqual([{ [id]: accepted[id] }, {}]);
    await shop.control('DELETE', 'faults');
  });

  it('shows the ledger of one reference', async () => {
    const { id, orderId } = await shop.create(LONG);
    await shop.create(LONG);
    const { body } = await shop.control('GET', `ledger?reference=${orderId}`);
    expect(body.entries).toMatchObject([{ kind: 'created', link: id, reference: orderId }]);
  });
});

describe('bad input', () => {
  it.each<[string, string, unknown, number, string]>([
    ['POST', 'links/1/pay', {}, 404, 'No such link: 1'],
    [
      'POST',
      'links/LINK/explode',
      {},
      400,
      'action: must be one of pay, authorize, fail, expire, chargeback, dispute_won, refund_fails, correct',
    ],
    ['POST', 'links/LINK/chargeback', {}, 409, 'chargeback: the link has no captured payment'],
    ['POST', 'links/LINK/dispute_won', {}, 409, 'dispute_won: the link has no chargeback'],
    ['POST', 'links/LINK/refund_fails', {}, 409, 'refund_fails: the link has no refund'],
    ['POST', 'links/LINK/correct', {}, 409, 'correct: the link has no payment'],
    ['POST', 'links/LINK/pay', { amount: 0 }, 400, 'amount: Too small: expected number to be >=1'],
    ['POST', 'links/LINK/pay', { currency: 'XX' }, 400, 'currency: must be an ISO 4217 code'],
    ['POST', 'links/LINK/pay', { colour: 1 }, 400, 'Unrecognized key: "colour"'],
    ['POST', 'webhooks/resend', { link: 'nobody' }, 404, 'No such link: nobody'],
    [
      'POST',
      'faults',
      { operation: 'create', kind: 'fire' },
      400,
      'kind: must be one of timeout, reset, drop_after_commit, error_after_commit, status, html, truncated, slow, webhook_before_answer, hold_before_commit, hold_after_commit, duplicate',
    ],
    [
      'POST',
      'faults',
      { operation: 'dance', kind: 'reset' },
      400,
      'operation: must be one of *, webhook, create, inquire, find, capture, cancel, refund, payment, webhooks',
    ],
    [
      'POST',
      'faults',
      { operation: 'webhook', kind: 'html' },
      400,
      'kind: must be one of timeout, reset, slow, duplicate for the operation webhook',
    ],
    [
      'POST',
      'faults',
      { operation: 'create', kind: 'duplicate' },
      400,
      'kind: must be one of timeout, reset, drop_after_commit, error_after_commit, status, html, truncated, slow, webhook_before_answer, hold_before_commit, hold_after_commit for an operation of the API',
    ],
    [
      'POST',
      'faults',
      { operation: 'create', kind: 'reset', rate: 2 },
      400,
      'rate: Too big: expected number to be <=1',
    ],
    ['GET', 'nothing', undefined, 404, 'No such call: GET /__sandbox/paymennt/nothing'],
  ])('%s %s %j', async (method, path, body, status, error) => {
    const { id } = await shop.create(LONG);
    const answer = await shop.control(method, path.replace('LINK', id), body);
    expect([answer.status, answer.body]).toEqual([status, { error }]);
    expect(await shop.ledger(id)).toEqual(['created 1050 AED']);
  });

  it('knows its providers', async () => {
    const response = await fetch(`${sandbox.url}/__sandbox/acme/ledger`);
    expect([response.status, await response.json()]).toEqual([404, { error: 'No such provider: acme' }]);
  });
});

describe('who may ask', () => {
  /** As a browser that was lured here would: `fetch` forbids some of these headers. */
  const ask = (headers: Record<string, string>, body = '{}') =>
    new Promise<[number | undefined, string]>((resolve, reject) => {
      const url = `${sandbox.url}/__sandbox/paymennt/faults`;
      const call = request(url, { method: 'POST', headers }, async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        resolve([response.statusCode, JSON.parse(text).error]);
      });
      call.on('error', reject).end(body);
    });
  const json = { 'content-type': 'application/json' };

  it.each<[string, Record<string, string>, number, string]>([
    ['a rebound host name', { ...json, host: 'evil.example' }, 403, 'Host must be a loopback address'],
    ['a look-alike host', { ...json, host: '127.0.0.1.evil.example' }, 403, 'Host must be a loopback address'],
    ['another site', { ...json, origin: 'https://evil.example' }, 403, 'Origin is not allowed'],
    ['a sandboxed frame', { ...json, origin: 'null' }, 403, 'Origin is not allowed'],
    ['another port', { ...json, origin: 'http://127.0.0.1:1' }, 403, 'Origin is not allowed'],
    ['a form', { 'content-type': 'text/plain' }, 415, 'Content-Type must be application/json'],
    ['no type', {}, 415, 'Content-Type must be application/json'],
  ])('not %s', async (_name, headers, status, error) => {
    expect(await ask(headers)).toEqual([status, error]);
  });

  it.each([
    ['127.0.0.1', 200],
    ['::ffff:127.0.0.1', 200],
    ['::1', 200],
    ['172.17.0.1', 403],
    ['::ffff:172.17.0.1', 403],
  ])('a caller on %s: %i, however wide the sandbox listens', async (remoteAddress, status) => {
    const app = new Hono<{ Bindings: HttpBindings }>();
    app.use(loopbackOnly);
    app.get('/', (c) => c.text('in'));
    const bindings = { incoming: { socket: { remoteAddress } } } as unknown as HttpBindings;
    expect((await app.request('/', { headers: { host: '127.0.0.1:8090' } }, bindings)).status).toBe(status);
  });

  it('only one process per port, which is named', async () => {
    const { port } = sandbox;
    await expect(startSandbox({ port })).rejects.toThrow(
      `PERDURE_SANDBOX_PORT: port ${port} on 127.0.0.1 is already in use`,
    );
  });

  it('a body of more than 64 KB is refused', async () => {
    const answer = await shop.control('POST', 'faults', { operation: 'x'.repeat(70_000), kind: linkBody().orderId });
    expect([answer.status, answer.body]).toEqual([413, { error: 'Body is larger than 64 KB' }]);
  });
});
