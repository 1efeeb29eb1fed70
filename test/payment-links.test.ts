import { WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  AmountOutOfRange,
  IdempotencyConflict,
  InvalidRequest,
  NotAllowed,
  NotFound,
  Timeout,
  Unavailable,
} from '../client/errors.ts';
import type { ListQuery } from '../client/list.ts';
import { PaymentLinks } from '../client/payment-links.ts';
import { pause } from '../client/reach.ts';
import { fingerprint } from '../client/requests.ts';
import { extend, workflowIdOf } from '../workflows/messages.ts';
import type { CreateRequest } from '../workflows/schema.ts';
import { ACCOUNT, type LinkStack, startLinkStack } from './link-stack.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

let stack: LinkStack;
let links: PaymentLinks;
beforeAll(async () => {
  stack = await startLinkStack();
  links = new PaymentLinks(stack.client, { timing: { hintSpacingMs: 50 } });
  await stack.startWorkers();
});
afterAll(() => stack?.stop());

let count = 0;
async function open(change: Partial<CreateRequest> = {}): Promise<string> {
  const reference = `INV:${++count}`;
  await links.create({ account: ACCOUNT, reference, amount: { minor: 1050, currency: 'AED' }, ...change });
  return reference;
}
async function paid(change: Partial<CreateRequest> = {}): Promise<string> {
  const reference = await open(change);
  stack.provider.pay(reference, 1050);
  await links.resync(reference);
  return reference;
}
const runOf = (reference: string) => stack.client.workflow.getHandle(workflowIdOf(reference));
const events = async (reference: string) => (await runOf(reference).describe()).historyLength;
const over = (reference: string) =>
  vi.waitFor(async () => expect((await runOf(reference).describe()).status.name).toBe('COMPLETED'), 10_000);
const aed = (minor: number) => ({ minor, currency: 'AED' });

describe('reading', () => {
  it.each(['nobody', '', '..', 'a b', 'x'.repeat(101), "it's"])('there is no link %j', async (reference) => {
    await expect(links.get(reference)).rejects.toThrow(NotFound);
    await expect(links.timeline(reference)).rejects.toThrow(NotFound);
    await expect(links.cancel(reference)).rejects.toThrow(NotFound);
  });

  it('tells what happened, oldest first', async () => {
    const reference = await paid();
    const items = await links.timeline(reference);
    expect(items.map(({ at }) => at)).toEqual(items.map(({ at }) => new Date(at).toISOString()).sort());
    expect(items.map(({ summary }) => summary)).toContainEqual(expect.stringContaining('pending → paid'));
  });

  it('S19: says of every act with money who did it, why, how much, and what the provider calls it', async () => {
    const reference = await open({ capture: 'manual' });
    stack.provider.hold(reference, 1050);
    await links.resync(reference);
    await links.capture(reference, { reason: 'shipped' }, { idempotencyKey: 'c', actor: 'ann' });
    await links.refund(reference, { amount: aed(50), reason: 'scratched' }, { idempotencyKey: 'r', actor: 'ben' });
    const { operations } = await links.get(reference);
    const moving = operations.filter(({ kind }) => kind === 'capture' || kind === 'refund');
    expect(moving).toMatchObject([
      { actor: 'ann', reason: 'shipped', amount: 1050, providerId: expect.stringMatching(/^capture-\d+$/) },
      { actor: 'ben', reason: 'scratched', amount: 50, providerId: expect.stringMatching(/^refund-\d+$/) },
    ]);
    expect(stack.provider.writes.filter((write) => write.endsWith(` ${reference}`))).toHaveLength(moving.length);
    const lines = (await links.timeline(reference)).filter(({ summary }) => summary.endsWith('succeeded'));
    expect(lines.filter(({ summary }) => /^(capture|refund)/.test(summary))).toMatchObject([
      { actor: 'ann', reason: 'shipped', summary: 'capture c 10.50 AED succeeded' },
      { actor: 'ben', reason: 'scratched', summary: 'refund r 0.50 AED succeeded' },
    ]);
  });

  it('reads a link whose run is over', async () => {
    const reference = await open({ policies: { graceSeconds: 0 } });
    await links.cancel(reference);
    await over(reference);
    expect(await links.get(reference)).toMatchObject({ status: 'cancelled' });
  });

  it('waits until a link is settled', async () => {
    const reference = await open();
    await expect(links.settled(reference, { timeoutMs: 300 })).rejects.toThrow(Timeout);
    const settled = links.settled(reference, { timeoutMs: 20_000 });
    stack.provider.pay(reference, 1050);
    await links.resync(reference);
    expect(await settled).toMatchObject({ status: 'paid', captured: 1050 });
    await expect(links.settled('nobody', { timeoutMs: 20_000 })).rejects.toThrow(NotFound);
  });
});

describe('commands', () => {
  it('does once what is asked twice with one key, and tells the same', async () => {
    const reference = await paid();
    const once = { idempotencyKey: 'refund-1', actor: 'ann' };
    const body = { amount: aed(50), reason: 'scratched' };
    const first = await links.refund(reference, body, once);
    expect(first.operation).toMatchObject({
      id: 'refund-1',
      kind: 'refund',
      amount: 50,
      state: 'succeeded',
      actor: 'ann',
      reason: 'scratched',
    });
    expect(first.link).toMatchObject({ status: 'partially_refunded', refunded: 50 });
    const [again, atOnce] = await Promise.all([
      links.refund(reference, body, once),
      links.refund(reference, body, once),
    ]);
    expect([again.operation, atOnce.operation]).toEqual([first.operation, first.operation]);
    expect(stack.provider.writes.filter((write) => write === `refund ${reference}`)).toHaveLength(1);
  });

  it('draws a key when none is given: two calls are two operations', async () => {
    const reference = await paid();
    await links.refund(reference, { amount: aed(10) });
    expect((await links.refund(reference, { amount: aed(10) })).link.refunded).toBe(20);
  });

  it('refuses a key that was used for something else', async () => {
    const reference = await paid();
    const key = { idempotencyKey: 'k' };
    await links.refund(reference, { amount: aed(10) }, key);
    await expect(links.refund(reference, { amount: aed(11) }, key)).rejects.toThrow(IdempotencyConflict);
    await expect(links.cancel(reference, {}, key)).rejects.toThrow(IdempotencyConflict);
  });

  it.each([
    ['more than was captured', { amount: aed(1051) }, AmountOutOfRange],
    ['another currency', { amount: { minor: 1, currency: 'USD' } }, AmountOutOfRange],
    ['no amount at all', { amount: aed(0) }, InvalidRequest],
    ['an unknown field', { amuont: aed(1) } as object, InvalidRequest],
  ])('refuses a refund of %s and writes no history', async (_, body, error) => {
    const reference = await paid();
    // The watch may have been as quick as the webhook, and is then still to be heard.
    await pause(1_000);
    const before = await events(reference);
    await expect(links.refund(reference, body)).rejects.toThrow(error);
    expect(await events(reference)).toBe(before);
  });

  it('says what would be allowed instead', async () => {
    const reference = await paid();
    const refused = links.capture(reference).catch((error: unknown) => error);
    expect(await refused).toBeInstanceOf(NotAllowed);
    expect(await refused).toMatchObject({ code: 'not_allowed', allowed: ['refund', 'resync'] });
    const nothing = links.acknowledge(reference, { exception: 'late_payment', reason: 'seen' });
    await expect(nothing).rejects.toThrow(NotAllowed);
  });

  it('captures what is held', async () => {
    const reference = await open({ capture: 'manual' });
    stack.provider.hold(reference, 1050);
    await links.resync(reference);
    const { operation, link } = await links.capture(reference);
    expect(operation).toMatchObject({ kind: 'capture', amount: 1050, state: 'succeeded' });
    expect(link).toMatchObject({ status: 'paid', captured: 1050 });
  });

  it('answers a known key from a link that is over, and allows nothing new on it', async () => {
    const reference = await open({ policies: { graceSeconds: 0 } });
    const { operation } = await links.cancel(reference, {}, { idempotencyKey: 'c' });
    await over(reference);
    expect((await links.cancel(reference, {}, { idempotencyKey: 'c' })).operation).toEqual(operation);
    await expect(links.cancel(reference)).rejects.toMatchObject({ code: 'not_allowed', allowed: [] });
    await expect(links.resync(reference, {}, { idempotencyKey: 'c' })).rejects.toThrow(IdempotencyConflict);
  });

  it('refuses a key that was used with another body, also when the link is over', async () => {
    const reference = await open({ policies: { graceSeconds: 0 } });
    const key = (idempotencyKey: string) => ({ idempotencyKey });
    const { operation } = await links.resync(reference, {}, key('s'));
    await links.cancel(reference, { reason: 'sold out' }, key('c'));
    await over(reference);
    expect((await links.resync(reference, {}, key('s'))).operation).toEqual(operation);
    const others = [
      () => links.resync(reference, { accept: true }, key('s')),
      () => links.cancel(reference, {}, key('c')),
    ];
    for (const other of others) await expect(other()).rejects.toThrow(IdempotencyConflict);
  });

  it('answers a known key of an extension although its instant has passed meanwhile', async () => {
    stack.provider.offer(`INV:${count + 1}`, { extend: true });
    const reference = await open();
    const at = Date.now() + 3_000;
    const body = { expiresAt: new Date(at).toISOString() };
    const [first, again] = [{ idempotencyKey: 'e' }, { idempotencyKey: 'unused' }];
    const { operation } = await links.extend(reference, body, first);
    expect(operation).toMatchObject({ kind: 'extend', state: 'succeeded' });
    await pause(at + 100 - Date.now());
    expect((await links.extend(reference, body, first)).operation).toEqual(operation);
    // By another way, the run itself knows it as well.
    const typed = { id: 'e', fingerprint: fingerprint('extend', body), actor: 'local', expiresAt: at };
    const told = await runOf(reference).executeUpdate(extend, { args: [typed] });
    expect(told.operation).toEqual(operation);

    const past = { status: 422, errors: [{ pointer: '/expiresAt' }] };
    await expect(links.extend(reference, body)).rejects.toMatchObject(past);
    await expect(links.extend(reference, body, again)).rejects.toMatchObject(past);
    await expect(links.extend('nobody', body, again)).rejects.toMatchObject(past);
    const other = { expiresAt: new Date(at - 1).toISOString() };
    await expect(links.extend(reference, other, first)).rejects.toThrow(IdempotencyConflict);
    const unknown = runOf(reference).executeUpdate(extend, { args: [{ ...typed, id: 'unused' }] });
    await expect(unknown).rejects.toThrow(WorkflowUpdateFailedError);
  });

  it('answers a known key after the run continued as new', async () => {
    const brief = new PaymentLinks(stack.client, { timing: { continueAfterEvents: 30 } });
    const reference = `INV:${++count}`;
    await brief.create({ account: ACCOUNT, reference, amount: aed(1050) });
    stack.provider.pay(reference, 1050);
    await brief.resync(reference);
    const first = await brief.refund(reference, { amount: aed(50) }, { idempotencyKey: 'r' });
    const { runId } = await runOf(reference).describe();
    await vi.waitFor(async () => {
      await brief.resync(reference);
      expect((await runOf(reference).describe()).runId).not.toBe(runId);
    }, 20_000);
    const again = await brief.refund(reference, { amount: aed(50) }, { idempotencyKey: 'r' });
    // The first answer may have been `running`, cut short by the end of its run.
    expect(again.operation).toMatchObject({ at: first.operation.at, amount: 50, state: 'succeeded' });
    expect(again.link.refunded).toBe(50);
    expect(stack.provider.writes.filter((write) => write === `refund ${reference}`)).toHaveLength(1);
    await expect(brief.refund(reference, { amount: aed(51) }, { idempotencyKey: 'r' })).rejects.toThrow(
      IdempotencyConflict,
    );
  });

  it.each(['', 'a b', 'ü', 'x'.repeat(256)])('refuses the key %j', async (idempotencyKey) => {
    const reference = await open();
    await expect(links.cancel(reference, {}, { idempotencyKey })).rejects.toMatchObject({
      status: 400,
      errors: [{ pointer: '/idempotencyKey' }],
    });
  });
});

describe('list', () => {
  const listed = (query: ListQuery, reference: string) =>
    vi.waitFor(async () => {
      const { items } = await links.list({ limit: 100, ...query });
      const found = items.filter((item) => item.reference === reference);
      expect(found).toHaveLength(1);
      return found[0]!;
    }, 10_000);

  it('shows what visibility knows, by status, account and exception', async () => {
    const before = Date.now();
    const reference = await paid();
    const link = await links.get(reference);
    const queries: ListQuery[] = [{}, { status: 'paid' }, { account: ACCOUNT }, { accounts: [ACCOUNT, 'other'] }];
    for (const query of queries) {
      expect(await listed(query, reference)).toMatchObject({ account: ACCOUNT, status: 'paid', exceptions: [] });
    }
    const item = await listed({}, reference);
    expect(Date.parse(item.createdAt)).toBeLessThanOrEqual(Date.parse(link.createdAt));
    expect(Date.parse(item.createdAt)).toBeGreaterThanOrEqual(before);
    expect(item.closedAt).toBeUndefined();
    expect(Date.parse(item.deadline ?? '')).toBeGreaterThan(Date.now());
    expect((await links.list({ status: 'refunded' })).items).toEqual([]);
    expect((await links.list({ accounts: [] })).items).toEqual([]);
    expect((await links.list({ account: 'other' })).items).toEqual([]);
  });

  it('finds links by their exceptions', async () => {
    const reference = await open();
    stack.provider.pay(reference, 1049);
    await links.resync(reference);
    expect(await listed({ exception: 'underpaid' }, reference)).toMatchObject({ exceptions: ['underpaid'] });
  });

  it('shows a continued link once, and a refused one that was started anew once', async () => {
    const brief = new PaymentLinks(stack.client, { timing: { continueAfterEvents: 20 } });
    const reference = `INV:${++count}`;
    await brief.create({ account: ACCOUNT, reference, amount: aed(1) });
    const { createdAt } = await listed({}, reference);
    const { runId } = await runOf(reference).describe();
    await vi.waitFor(async () => {
      await brief.resync(reference);
      expect((await runOf(reference).describe()).runId).not.toBe(runId);
    }, 20_000);
    expect((await listed({}, reference)).createdAt).toBe(createdAt);

    const refused = `INV:${++count}`;
    stack.provider.script(refused, 'refusal');
    const body = { account: ACCOUNT, reference: refused, amount: aed(1) };
    await expect(links.create(body)).rejects.toThrow('below 1.00');
    // Listed as long as it is the link; its successor takes its place.
    await listed({}, refused);
    await links.create(body);
    await vi.waitFor(async () => expect((await listed({}, refused)).status).toBe('pending'), 10_000);
  });

  it('goes through all links page by page', async () => {
    for (let made = 0; made < 5; made++) await open();
    const all = await vi.waitFor(async () => {
      const { items } = await links.list({ limit: 100 });
      expect(items.length).toBeGreaterThanOrEqual(5);
      return items.map((item) => item.reference);
    }, 10_000);
    const seen: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await links.list({ limit: 3, cursor });
      seen.push(...page.items.map((item) => item.reference));
      cursor = page.nextCursor;
      if (!cursor) break;
    }
    expect(seen.sort()).toEqual(all.sort());
  });

  it.each([
    ['status', { status: 'payed' }, '/status'],
    ['exception', { exception: "late' OR 1=1" }, '/exception'],
    ['account', { account: "a' OR 'a" }, '/account'],
    ['limit', { limit: 101 }, '/limit'],
    ['limit', { limit: 0 }, '/limit'],
    ['cursor', { cursor: '%%%' }, '/cursor'],
    ['cursor', { cursor: 'bm8gY3Vyc29y' }, '/cursor'],
  ])('refuses an unknown %s', async (_, query, pointer) => {
    await expect(links.list(query as object)).rejects.toMatchObject({ status: 422, errors: [{ pointer }] });
  });

  it('counts open links per account', async () => {
    const reference = await open();
    await listed({}, reference);
    const open_ = await links.openLinks();
    expect([...open_.keys()]).toEqual([ACCOUNT]);
    expect(open_.get(ACCOUNT)).toBeGreaterThan(0);
  });
});

describe('observe', () => {
  const news = (text: string, more: { reference?: string; ids?: string[]; account?: string } = {}) => ({
    account: ACCOUNT,
    ids: [],
    body: new TextEncoder().encode(text),
    at: Date.UTC(2030, 0, 1),
    signed: true,
    ...more,
  });

  it('makes the link read its provider; the same news twenty times is heard once', async () => {
    const reference = await open();
    stack.provider.pay(reference, 1050);
    expect(await links.observe(news('paid', { reference }))).toBe('accepted');
    await vi.waitFor(async () => expect((await links.get(reference)).status).toBe('paid'), 10_000);
    const before = await events(reference);
    const again = Array.from({ length: 20 }, () => links.observe(news('paid', { reference })));
    expect(new Set(await Promise.all(again))).toEqual(new Set(['accepted']));
    expect(await events(reference)).toBe(before);
  });

  it('finds the link by any id of its provider', async () => {
    const reference = await open();
    const { providerLinkId } = await links.get(reference);
    const ids = [`it's "odd" \\`, `payment/${providerLinkId}`];
    await vi.waitFor(async () => expect(await links.observe(news('by id', { ids }))).toBe('accepted'), 10_000);
    expect(await links.observe(news('foreign', { ids, account: 'other' }))).toBe('unmatched');
    expect(await links.observe(news('wrong reference', { ids, reference: 'nobody' }))).toBe('accepted');
    expect(await links.observe(news('no link', { ids: ["' OR '1'='1", 'scripted'] }))).toBe('unmatched');
  });

  it('takes known news for a link that is over as known, and new news as unmatched', async () => {
    const reference = await open({ policies: { graceSeconds: 0 } });
    await links.observe(news('cancelled', { reference }));
    await links.cancel(reference);
    await over(reference);
    expect(await links.observe(news('cancelled', { reference }))).toBe('accepted');
    expect(await links.observe(news('more', { reference }))).toBe('unmatched');
  });

  describe('of a link that is over', () => {
    const { openings } = { openings: { 0: { opened: 1 } } };
    const money = { authorized: 1050, captured: 1050, refunded: 0, voided: 0, seenAt: Date.UTC(2030, 0, 1) };
    const facts = { openings, payments: { p: { AED: money } } };

    async function ended(change: Partial<CreateRequest> = {}, bare = false) {
      const reference = `INV:${++count}`;
      if (bare) stack.provider.offerNothing(reference);
      const request = { account: ACCOUNT, reference, amount: aed(1050), policies: { graceSeconds: 0 }, ...change };
      const { link } = await links.create(request);
      await links.cancel(reference);
      await over(reference);
      return { reference, id: link.providerLinkId! };
    }
    const kept = (about: string) => stack.client.workflow.getHandle(`unmatched-webhook/${ACCOUNT}/${about}`);
    const afterEndOf = (about: string) =>
      vi.waitFor(async () => {
        const item = (await links.unmatched({ account: ACCOUNT, limit: 100 })).items.find((one) => one.about === about);
        expect(item?.afterEnd).toBeDefined();
        return item?.afterEnd;
      }, 10_000);

    it('finds it by an id of its provider as well', async () => {
      const { reference, id } = await ended();
      stack.provider.pay(reference, 1050);
      const told = news('paid after all', { ids: [`payment/${id}`] });
      await vi.waitFor(async () => expect(await links.observe(told)).toBe('unmatched'), 10_000);
      await links.keepUnmatched(told, { shared: true });
      expect(await afterEndOf(`payment/${id}`)).toEqual({
        reference,
        exceptions: ['late_payment'],
        money: [aed(1050)],
      });
    });

    it.each([
      ['signed', true, ['late_payment'], [aed(1050)]],
      ['unsigned', false, ['unverified_payment'], []],
    ])('takes a webhook for evidence where nobody can be asked: %s', async (_, signed, exceptions, came) => {
      const { reference, id } = await ended({}, true);
      await links.keepUnmatched(
        { ...news(`paid ${id}`, { reference, ids: [id] }), named: reference, signed, facts },
        KEEP,
      );
      expect(await afterEndOf(id)).toEqual({ reference, exceptions, money: came });
    });

    it('does not speak for a link of another account, or one that was never made', async () => {
      const { reference, id } = await ended();
      const foreign = { ...news('foreign', { ids: [id], account: 'other' }), named: reference };
      await links.keepUnmatched(foreign, { shared: true, patienceMs: 1_500 });
      expect(await stack.client.workflow.getHandle(`unmatched-webhook/other/${id}`).result()).toBe('foreign');

      const refused = `INV:${++count}`;
      stack.provider.script(refused, 'refusal');
      await expect(links.create({ account: ACCOUNT, reference: refused, amount: aed(1050) })).rejects.toThrow();
      const told = { ...news('of nothing', { ids: [refused] }), named: refused };
      await links.keepUnmatched(told, { shared: true, patienceMs: 1_500 });
      expect(await kept(refused).result()).toBe('foreign');
    });
  });
});

const KEEP = { shared: false };

describe('without a worker', () => {
  it('is unavailable, and is not when the worker is back', async () => {
    const reference = await open();
    const hurried = new PaymentLinks(stack.client, {
      patience: { lookAfterMs: 200, lookMs: 500, giveUpAfterMs: 1_000 },
    });
    await stack.stopWorkers();
    try {
      await expect(links.get(reference)).rejects.toThrow(Unavailable);
      await expect(hurried.cancel(reference, {}, { idempotencyKey: 'later' })).rejects.toThrow(Unavailable);
    } finally {
      await stack.startWorkers();
    }
    const { operation } = await links.cancel(reference, {}, { idempotencyKey: 'later' });
    expect(operation.state).toBe('succeeded');
    expect(stack.provider.writes.filter((write) => write === `cancel ${reference}`)).toHaveLength(1);
  });
});
