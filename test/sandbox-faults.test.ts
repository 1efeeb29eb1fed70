import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createIds } from '../sandbox/ids.ts';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { linkBody, sandboxMerchant, until, webhookListener } from './sandbox-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof sandboxMerchant>;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0 });
  shop = sandboxMerchant(sandbox.url);
});

afterEach(() => shop.control('DELETE', 'faults'));
afterAll(() => sandbox.close());

const url = (path: string) => `${sandbox.url}/paymennt/mer/v2.0${path}`;
const keys = { 'x-paymennt-api-key': 'sandbox-paymennt-key', 'x-paymennt-api-secret': 'sandbox-paymennt-secret' };
const held = async () => (await shop.control('GET', 'faults')).body.held;

/** Creates over a bare connection and tells how it ended, and whether the link is there afterwards. */
async function createUnder(fault: Record<string, unknown>, patienceMs = 10_000) {
  const request = linkBody();
  await shop.fault({ operation: 'create', link: request.orderId, ...fault });
  const end = await fetch(url('/checkout/link'), {
    method: 'POST',
    headers: keys,
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(patienceMs),
  })
    .then(async (response) => ({ status: response.status, response, text: await response.text() }))
    .catch((error: Error & { cause?: { code?: string } }) => ({ error: error.cause?.code ?? error.name }));
  const { body } = await shop.call('GET', `/checkout?requestId=${request.requestId}`);
  return { end, committed: body.result.totalElements === 1 };
}

describe('faults', () => {
  it('timeout: no answer, nothing committed', async () => {
    expect(await createUnder({ kind: 'timeout' }, 100)).toEqual({ end: { error: 'TimeoutError' }, committed: false });
    await until('the call is given up', async () => (await held()).length === 0);
  });

  it.each([
    ['reset', false],
    ['drop_after_commit', true],
  ])('%s: the connection dies; committed: %s', async (kind, committed) => {
    expect(await createUnder({ kind })).toEqual({ end: { error: 'ECONNRESET' }, committed });
  });

  it.each<[Record<string, unknown>, number, string | null, boolean]>([
    [{ kind: 'status' }, 503, null, false],
    [{ kind: 'status', status: 429, retryAfter: 7 }, 429, '7', false],
    [
      { kind: 'status', status: 429, retryAfter: 'Fri, 31 Dec 1999 23:59:59 GMT' },
      429,
      'Fri, 31 Dec 1999 23:59:59 GMT',
      false,
    ],
    [{ kind: 'status', status: 401 }, 401, null, false],
    [{ kind: 'error_after_commit' }, 500, null, true],
    [{ kind: 'error_after_commit', status: 502, retryAfter: -1 }, 502, '-1', true],
  ])('%j', async (fault, status, retryAfter, committed) => {
    const { end, committed: there } = await createUnder(fault);
    if (!('response' in end)) throw new Error(end.error);
    expect([end.status, end.response.headers.get('retry-after'), there]).toEqual([status, retryAfter, committed]);
    expect(JSON.parse(end.text)).toMatchObject({ success: false, error: 'Refused by a sandbox fault' });
  });

  it('html: a 200 that is no JSON, after the commit', async () => {
    const { end, committed } = await createUnder({ kind: 'html' });
    if (!('response' in end)) throw new Error(end.error);
    expect([end.status, end.response.headers.get('content-type'), committed]).toEqual([
      200,
      'text/html; charset=UTF-8',
      true,
    ]);
    expect(end.text).toMatch(/^<!doctype html>/);
  });

  it('truncated: a 200 that ends too early, nothing committed', async () => {
    expect(await createUnder({ kind: 'truncated' })).toEqual({ end: { error: 'UND_ERR_SOCKET' }, committed: false });
  });

  it('slow: committed at once, answered later', async () => {
    const request = linkBody();
    await shop.fault({ operation: 'create', kind: 'slow', link: request.orderId, delayMs: 60_000 });
    const caller = new AbortController();
    const unanswered = fetch(url('/checkout/link'), {
      method: 'POST',
      headers: keys,
      body: JSON.stringify(request),
      signal: caller.signal,
    }).catch((error: Error) => error.name);
    const there = async () =>
      (await shop.call('GET', `/checkout?requestId=${request.requestId}`)).body.result.totalElements === 1;
    await until('the link is there', there);
    caller.abort();
    expect(await unanswered).toBe('AbortError');

    await shop.fault({ operation: 'create', kind: 'slow', delayMs: 10 });
    expect((await shop.create()).status).toBe('PENDING');
  });

  it('webhook_before_answer: the news overtakes the answer', async () => {
    const listener = await webhookListener();
    const { id: hook } = (await shop.call('POST', '/webhooks', { address: listener.url })).body.result;
    await shop.fault({ operation: '*', kind: 'webhook_before_answer' });
    const { id } = await shop.create();
    expect(listener.heard.map(({ body }) => [body.id, body.status])).toEqual([[id, 'PENDING']]);
    await shop.call('POST', `/checkout/${id}/cancel`);
    expect(listener.heard.map(({ body }) => body.status)).toEqual(['PENDING', 'CANCELLED']);
    await shop.call('POST', `/webhooks/${hook}/delete`);
    await listener.close();
  });

  it.each([
    ['hold_before_commit', ['created 1050 AED', 'captured 1050 AED']],
    ['hold_after_commit', ['created 1050 AED', 'captured 1050 AED', 'refunded 100 AED']],
  ])('%s: waits, and goes on although the caller is gone', async (kind, whileHeld) => {
    const { id, orderId, redirectUrl } = await shop.create();
    await shop.pay(redirectUrl);
    await shop.fault({ operation: 'refund', kind, link: id });
    const caller = new AbortController();
    const call = fetch(url(`/checkout/${id}/refund?amount=1&currency=AED&note=n`), {
      method: 'POST',
      headers: keys,
      signal: caller.signal,
    }).catch((error: Error) => error.name);
    await until('the call is held', async () => (await held()).length === 1);
    expect((await held())[0]).toMatchObject({
      operation: 'refund',
      kind,
      names: expect.arrayContaining([id, orderId]),
    });
    expect(await shop.ledger(id)).toEqual(whileHeld);
    caller.abort();
    expect(await call).toBe('AbortError');
    expect((await shop.control('DELETE', 'faults')).body).toEqual({ released: 1 });
    await until('the refund is there', async () => (await shop.ledger(id)).at(-1) === 'refunded 100 AED');
    expect((await shop.read(id)).totalRefunded).toBe(1);
  });

  it('answers a held call that is released', async () => {
    await shop.fault({ operation: 'create', kind: 'hold_after_commit' });
    const creating = shop.create();
    await until('the call is held', async () => (await held()).length === 1);
    await shop.control('DELETE', 'faults');
    expect((await creating).status).toBe('PENDING');
  });

  it('meets every operation, by its own name', async () => {
    const { id, redirectUrl } = await shop.create();
    await shop.pay(redirectUrl);
    const { paymentId } = await shop.read(id);
    const calls: Record<string, [string, string]> = {
      create: ['POST', '/checkout/link'],
      inquire: ['GET', `/checkout/${id}`],
      find: ['GET', '/checkout'],
      capture: ['POST', `/payment/${paymentId}/capture`],
      cancel: ['POST', `/checkout/${id}/cancel`],
      refund: ['POST', `/checkout/${id}/refund`],
      payment: ['GET', `/payment/${paymentId}`],
      webhooks: ['POST', '/webhooks'],
    };
    for (const [operation, [method, path]] of Object.entries(calls)) {
      await shop.fault({ operation, kind: 'status', status: 418, count: 1 });
      for (const [other, [otherMethod, otherPath]] of Object.entries(calls)) {
        if (other !== operation) expect((await shop.call(otherMethod, otherPath)).status).not.toBe(418);
      }
      expect((await shop.call(method, path)).status).toBe(418);
      expect((await shop.call(method, path)).status).not.toBe(418);
    }
  });

  it('acts on one link only, by any of its names', async () => {
    const one = await shop.create();
    const other = await shop.create();
    for (const link of [one.id, one.orderId, one.requestId]) {
      await shop.fault({ operation: 'inquire', kind: 'status', link, count: 1 });
      expect((await shop.call('GET', `/checkout/${other.id}`)).status).toBe(200);
      expect((await shop.call('GET', `/checkout/${one.id}`)).status).toBe(503);
    }
  });

  it('strikes at a rate, the same for the same seed', async () => {
    const { id } = await shop.create();
    const run = async (seed: number) => {
      await shop.fault({ operation: 'inquire', kind: 'status', rate: 0.5, seed });
      const statuses = [];
      for (let i = 0; i < 40; i++) statuses.push((await shop.call('GET', `/checkout/${id}`)).status);
      await shop.control('DELETE', 'faults');
      return statuses;
    };
    const first = await run(7);
    expect(await run(7)).toEqual(first);
    expect(await run(8)).not.toEqual(first);
    expect(new Set(first)).toEqual(new Set([200, 503]));
  });

  it('ends held calls at close, without committing', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'perdure-sandbox-'));
    const short = await startSandbox({ port: 0, stateDir });
    const merchant = sandboxMerchant(short.url);
    await merchant.fault({ operation: 'create', kind: 'hold_before_commit' });
    const creating = merchant.create().catch((error: Error) => error.message);
    await until('the call is held', async () => (await merchant.control('GET', 'faults')).body.held.length === 1);
    await short.close();
    expect(await creating).toBe('fetch failed');
    expect(await readFile(join(stateDir, 'sandbox.jsonl'), 'utf8')).toBe('');
    await rm(stateDir, { recursive: true });
  });
});

describe('state on disk', () => {
  it('survives a restart: objects, ledger, registrations and their keys; ids go on', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'perdure-sandbox-'));
    const before = await startSandbox({ port: 0, stateDir });
    const merchant = sandboxMerchant(before.url);
    const listener = await webhookListener();
    const hook = (await merchant.call('POST', '/webhooks', { address: listener.url })).body.result;
    const paid = await merchant.create();
    await merchant.pay(paid.redirectUrl);
    await merchant.call('POST', `/checkout/${paid.id}/refund?amount=1&currency=AED&note=n`);
    const pending = await merchant.create({ expiresIn: 15 });
    const read = await merchant.read(paid.id);
    const recorded = (await merchant.control('GET', 'ledger')).body;
    await before.close();
    // As if the clock had gone back meanwhile.
    const future = '9000000000000000000';
    const file = join(stateDir, 'sandbox.jsonl');
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll(pending.id, future));
    const ledger = JSON.parse(JSON.stringify(recorded).replaceAll(pending.id, future));

    // A minute of the first run was a minute: what is stored is the instant, so the new setting moves nothing.
    const after = await startSandbox({ port: 0, stateDir, paymennt: { minuteMs: 1 } });
    const again = sandboxMerchant(after.url);
    expect((await again.call('POST', '/webhooks', { address: listener.url })).body.result).toEqual(hook);
    expect(await again.read(paid.id)).toEqual({
      ...read,
      redirectUrl: read.redirectUrl.replace(before.url, after.url),
    });
    expect((await again.read(future)).status).toBe('PENDING');
    expect((await again.control('GET', 'ledger')).body).toEqual(ledger);
    const duplicate = await again.call('POST', '/checkout/link', { ...linkBody(), requestId: paid.requestId });
    expect(duplicate.body).toEqual({ success: false, error: 'Duplicate request ID' });
    const next = await again.create();
    expect(BigInt(next.id) > BigInt(future)).toBe(true);
    const { entries } = (await again.control('GET', 'ledger')).body;
    expect(entries.map(({ seq }: { seq: number }) => seq)).toEqual(entries.map((_: unknown, i: number) => i + 1));

    listener.heard.length = 0;
    expect((await again.control('POST', 'webhooks/resend', { link: paid.id })).body.webhooks).toEqual([200]);
    expect(listener.heard[0]?.body).toMatchObject({ id: paid.id, status: 'PARTIALLY_REFUNDED' });
    await after.close();
    await listener.close();
    await rm(stateDir, { recursive: true });
  });

  it('never repeats an id, even where the clock went back', () => {
    const ids = createIds();
    ids.seen('9000000000000000000');
    expect([ids.next(), ids.next()]).toEqual(['9000000000000000001', '9000000000000000002']);
  });

  it('expires at start what ended while it was down', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'perdure-sandbox-'));
    const before = await startSandbox({ port: 0, stateDir, paymennt: { minuteMs: 1 } });
    const { id } = await sandboxMerchant(before.url).create({ expiresIn: 15 });
    await before.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const after = await startSandbox({ port: 0, stateDir });
    const merchant = sandboxMerchant(after.url);
    await until('it is expired', async () => (await merchant.ledger(id)).at(-1) === 'expired');
    expect(await merchant.ledger(id)).toEqual(['created 1050 AED', 'expired']);
    await after.close();
    await rm(stateDir, { recursive: true });
  });

  it('forgets a torn last line and nothing else, cut at any byte', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'perdure-sandbox-'));
    const file = join(stateDir, 'sandbox.jsonl');
    const first = await startSandbox({ port: 0, stateDir });
    const kept = await sandboxMerchant(first.url).create();
    const keptBytes = (await readFile(file)).length;
    const lost = await sandboxMerchant(first.url).create();
    await first.close();
    const whole = await readFile(file);

    for (const cut of [keptBytes + 1, keptBytes + 40, whole.length - 1]) {
      await writeFile(file, whole);
      await truncate(file, cut);
      const sandbox = await startSandbox({ port: 0, stateDir });
      const merchant = sandboxMerchant(sandbox.url);
      expect((await merchant.read(kept.id)).status).toBe('PENDING');
      expect((await merchant.call('GET', `/checkout/${lost.id}`)).status).toBe(400);
      const next = await merchant.create();
      await sandbox.close();

      const reopened = await startSandbox({ port: 0, stateDir });
      expect((await sandboxMerchant(reopened.url).read(next.id)).status).toBe('PENDING');
      await reopened.close();
    }
    await rm(stateDir, { recursive: true });
  });

  it('refuses a file that is damaged in the middle, naming the line', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'perdure-sandbox-'));
    await writeFile(join(stateDir, 'sandbox.jsonl'), '{"provider":"paymennt","puts":[],"entries":[]}\nrubbish\n{}\n');
    await expect(startSandbox({ port: 0, stateDir })).rejects.toThrow('sandbox.jsonl: line 2 is damaged');
    await rm(stateDir, { recursive: true });
  });
});
