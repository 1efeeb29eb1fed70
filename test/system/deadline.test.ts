/** What a link does by itself when its time has come, and what is left of it afterwards. */
import { describe, expect, it } from 'vitest';
import { NotAllowed, ReferenceConflict } from '../../client/index.ts';
import { pause } from '../../stack/shop.ts';
import type { Link } from '../../workflows/link.ts';
import type { Timing } from '../../workflows/state.ts';
import { AED, fresh, openSystem, until } from './shared.ts';

const { shop, handle, linksWith, fault, events } = await openSystem();

/** Nothing but webhooks, commands and deadlines may cause a read. */
const SILENT = { cadence: { rows: [], thenEverySeconds: 3_600, jitter: 0 } };
const OFTEN = { cadence: { rows: [], thenEverySeconds: 0.3, jitter: 0 } };
/** Our own deadline, long before the provider's. */
const SOON = { deadlineMs: 1_500, closeMarginMs: 200, closePatienceMs: 10_000 };

interface Order {
  timing?: Partial<Timing>;
  account?: string;
  expiresAt?: string;
  capture?: 'manual';
  policies?: Record<string, string | number>;
}

async function made({ timing = {}, ...more }: Order): Promise<Link> {
  const reference = fresh('deadline');
  const links = linksWith({ ...SILENT, ...timing });
  const { link } = await links.create({ account: 'paymennt', reference, amount: AED(10_050), ...more });
  return link;
}

const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();

/** Everything the sandbox tells by webhook about this link is lost. */
const silence = ({ reference }: Link) => fault({ operation: 'webhook', kind: 'reset', link: reference, count: 1_000 });

const reads = (link: Link, status: string, timeoutMs = 15_000) =>
  shop.until(link.reference, (seen) => seen.status === status, timeoutMs);

async function kinds({ reference }: Link): Promise<string[]> {
  return (await shop.ledger('paymennt', reference)).map(({ kind }) => kind);
}

/** The statuses a link went through, as its timeline tells them. */
async function statuses({ reference }: Link): Promise<string[]> {
  const { items } = (await shop.timeline(reference)).body;
  return items.filter(({ kind }) => kind === 'status').map(({ summary }) => summary);
}

const runOf = async ({ reference }: Link) => (await handle(reference).describe()).status.name;

async function ended(link: Link): Promise<void> {
  const over = await until(
    () => runOf(link),
    (name) => name !== 'RUNNING',
  );
  expect(over).toBe('COMPLETED');
}

describe.concurrent('at its deadline a link nobody paid', () => {
  it('is closed at the provider, which still took money, and then called expired', async () => {
    const link = await made({ timing: SOON });
    const expired = await reads(link, 'expired');
    expect(expired).toMatchObject({ status: 'expired', exceptions: [], captured: 0 });
    expect(expired.operations.at(-1)).toMatchObject({ kind: 'cancel', actor: 'perdure', state: 'succeeded' });
    expect(await statuses(link)).toEqual(['creating → pending', 'pending → expired']);
    expect(await kinds(link)).toEqual(['created', 'cancelled']);
    await expect(shop.pay(link.url!)).rejects.toThrow(/nothing to pay/);
  });

  it('is expired, never cancelled, when the answer of the closing gets lost', async () => {
    const link = await made({ timing: { ...SOON, attemptMs: 1_000, probeAfterMs: 100, probeAgainMs: 100 } });
    await silence(link);
    await fault({ operation: 'cancel', kind: 'drop_after_commit', link: link.reference, count: 1 });
    expect(await reads(link, 'expired')).toMatchObject({ status: 'expired', exceptions: [] });
    expect(await statuses(link)).toEqual(['creating → pending', 'pending → expired']);
    expect(await kinds(link)).toEqual(['created', 'cancelled']);
  });

  it('is expired, never cancelled, when the webhook of the closing overtakes its answer', async () => {
    const link = await made({ timing: SOON });
    await fault({ operation: 'cancel', kind: 'webhook_before_answer', link: link.reference, count: 1, delayMs: 500 });
    expect(await reads(link, 'expired')).toMatchObject({ status: 'expired', exceptions: [] });
    await until(
      () => shop.get(link.reference),
      ({ body }) => body.operations.every(({ finishedAt }) => finishedAt !== undefined),
    );
    expect((await shop.get(link.reference)).body).toMatchObject({ status: 'expired', exceptions: [] });
    expect(await statuses(link)).toEqual(['creating → pending', 'pending → expired']);
  });

  it('is left to the provider, if that closes it in time', async () => {
    const timing = { ...OFTEN, deadlineMs: 4_000, closeMarginMs: 8_000 };
    const link = await made({ timing, expiresAt: inMinutes(16) });
    const expired = await reads(link, 'expired');
    expect(expired).toMatchObject({ status: 'expired', exceptions: [], operations: [{ kind: 'create' }] });
    expect(await kinds(link)).toEqual(['created', 'expired']);
  });

  it('is paid after all, when the last look finds money of which nobody told', async () => {
    const link = await made({ timing: SOON });
    await silence(link);
    await shop.pay(link.url!);
    expect(await reads(link, 'paid')).toMatchObject({ status: 'paid', exceptions: [], captured: 10_050 });
    expect(await kinds(link)).toEqual(['created', 'captured']);
  });

  it('is presumed expired while the provider is away, until that confirms it', async () => {
    const timing = { ...OFTEN, deadlineMs: 1_000, closeMarginMs: 200, closePatienceMs: 500 };
    const link = await made({ timing, expiresAt: inMinutes(16) });
    await silence(link);
    await fault({ operation: 'inquire', kind: 'status', status: 503, link: link.reference, count: 35 });
    const presumed = await reads(link, 'expired');
    expect(presumed).toMatchObject({ status: 'expired', exceptions: ['expired_unconfirmed'] });
    expect(presumed.allowed).toContain('cancel');
    const confirmed = await shop.until(link.reference, ({ exceptions }) => exceptions.length === 0, 25_000);
    expect(confirmed).toMatchObject({ status: 'expired', exceptions: [] });
    expect(confirmed.allowed).not.toContain('cancel');
    expect(await statuses(link)).toEqual(['creating → pending', 'pending → expired']);
    expect(await kinds(link)).toEqual(['created', 'expired']);
  });

  it('is presumed expired when the provider will not close it, and a person may try again', async () => {
    const link = await made({ timing: SOON });
    await fault({ operation: 'cancel', kind: 'status', status: 400, link: link.reference, count: 1 });
    expect(await reads(link, 'expired')).toMatchObject({ exceptions: ['expired_unconfirmed'] });
    expect(await shop.order(link.reference, 'cancel')).toMatchObject({ status: 200, body: { exceptions: [] } });
    expect(await kinds(link)).toEqual(['created', 'cancelled']);
  });
});

it('a cancel the provider cannot be told counts at once, and is told as soon as that is there again', async () => {
  const link = await made({ timing: { closePatienceMs: 500, commandWaitMs: 1_000 } });
  await fault({ operation: 'inquire', kind: 'status', status: 503, link: link.reference, count: 4 });
  expect(await shop.order(link.reference, 'cancel')).toMatchObject({
    status: 202,
    body: { status: 'cancelled', exceptions: ['cancel_unconfirmed'] },
  });
  expect(await kinds(link)).toEqual(['created']);
  const told = await shop.until(link.reference, ({ exceptions }) => exceptions.length === 0);
  expect(told).toMatchObject({ status: 'cancelled', exceptions: [] });
  expect(told.operations.at(-1)).toMatchObject({ kind: 'cancel', state: 'succeeded' });
  expect(await kinds(link)).toEqual(['created', 'cancelled']);
});

describe.concurrent('money that comes after the end', () => {
  it('counts, is marked late, and can be given back', async () => {
    const link = await made({ timing: { ...OFTEN, ...SOON } });
    await reads(link, 'expired');
    await silence(link);
    await shop.control('POST', `/paymennt/links/${link.providerLinkId}/pay`, {});
    const late = await reads(link, 'paid');
    expect(late).toMatchObject({ status: 'paid', exceptions: ['late_payment'], captured: 10_050 });
    expect((await shop.order(link.reference, 'refund')).body).toMatchObject({
      status: 'refunded',
      exceptions: ['late_payment'],
    });
  });

  it('has the whole refund window before it, however late it comes', async () => {
    const link = await made({ timing: SOON, policies: { refundWindowSeconds: 8 } });
    await reads(link, 'expired');
    await pause(9_000);
    await shop.control('POST', `/paymennt/links/${link.providerLinkId}/pay`, {});
    expect(await reads(link, 'paid')).toMatchObject({ exceptions: ['late_payment'] });
    await pause(1_000);
    expect(await shop.order(link.reference, 'refund')).toMatchObject({ status: 200, body: { status: 'refunded' } });
  });
});

describe.concurrent('a hold', () => {
  /** An ordinary link lives a day less the minute that is rounded down: a few seconds after its making it is decided. */
  const decidedSoon = (uncaptured: string): Order => ({
    account: 'paymennt-hold',
    capture: 'manual',
    policies: { uncaptured, captureMarginSeconds: 86_340 - 5 },
  });

  it.each([
    ['release', 'cancelled', ['created', 'authorized', 'voided', 'cancelled']],
    ['capture', 'paid', ['created', 'authorized', 'captured']],
  ] as const)('that nobody decided on is decided before it lapses: %s', async (policy, status, ledger) => {
    const link = await made(decidedSoon(policy));
    await shop.pay(link.url!);
    const held = await reads(link, 'authorized');
    expect(held).toMatchObject({ status: 'authorized', authorized: 10_050, captured: 0 });
    expect(Date.parse(held.captureBefore!)).toBe(Date.parse(held.expiresAt!));
    const decided = await reads(link, status);
    expect(decided).toMatchObject({ status, exceptions: [] });
    expect(decided.operations.at(-1)).toMatchObject({ actor: 'perdure', state: 'succeeded' });
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(held.captureBefore!) - 86_335_000);
    expect(await kinds(link)).toEqual(ledger);
  });

  it('that was captured by command is left alone', async () => {
    const link = await made(decidedSoon('release'));
    await shop.pay(link.url!);
    await reads(link, 'authorized');
    expect(await shop.order(link.reference, 'capture')).toMatchObject({ status: 200, body: { status: 'paid' } });
    await pause(6_000);
    expect((await shop.get(link.reference)).body).toMatchObject({ status: 'paid', exceptions: [] });
    expect(await kinds(link)).toEqual(['created', 'authorized', 'captured']);
  });
});

describe.concurrent('a run is over', () => {
  const BRIEF = { graceSeconds: 1 };
  /** What the gateway answered to each of the sandbox's webhooks. */
  type Told = { webhooks: (number | string)[] };

  it('when the watch for late money ends; the link still answers as it did', async () => {
    const link = await made({ policies: BRIEF });
    const { operation } = (await shop.order(link.reference, 'cancel', { reason: 'sold out' }, 'once')).body;
    await ended(link);
    const { body: closed } = await shop.get(link.reference);
    expect(closed).toMatchObject({ status: 'cancelled', exceptions: [], url: link.url });
    expect((await shop.timeline(link.reference)).body.items.length).toBeGreaterThan(0);

    const links = linksWith(SILENT);
    const body = { account: 'paymennt', reference: link.reference, amount: AED(10_050), policies: BRIEF };
    expect(await links.create(body)).toMatchObject({ created: false, link: { url: link.url, status: 'cancelled' } });
    await expect(links.create({ ...body, amount: AED(10_051) })).rejects.toThrow(ReferenceConflict);

    const again = await shop.order(link.reference, 'cancel', { reason: 'sold out' }, 'once');
    expect(again).toMatchObject({ status: 200, body: { status: 'cancelled' } });
    expect(again.body.operation).toEqual(operation);
    await expect(links.cancel(link.reference)).rejects.toThrow(NotAllowed);
    expect(await kinds(link)).toEqual(['created', 'cancelled']);
  });

  it('and webhooks it heard are known, while new ones are not taken for heard', async () => {
    const link = await made({ policies: BRIEF });
    await shop.order(link.reference, 'cancel');
    await ended(link);
    const length = await events(link.reference);
    const order = { link: link.providerLinkId, times: 2 };
    const resent = await shop.control<Told>('POST', '/paymennt/webhooks/resend', order);
    expect(resent.webhooks).toEqual([200, 200]);
    const paid = await shop.control<Told>('POST', `/paymennt/links/${link.providerLinkId}/pay`, {});
    // Kept for somebody to look at, not swallowed by a run that is over.
    expect(paid.webhooks).toEqual([202]);
    expect(await events(link.reference)).toBe(length);
  });

  it('when the refund window ends', async () => {
    const link = await made({ policies: { refundWindowSeconds: 2 } });
    await shop.pay(link.url!);
    expect(await reads(link, 'paid')).toMatchObject({ allowed: ['refund', 'resync'] });
    await ended(link);
    expect((await shop.get(link.reference)).body).toMatchObject({ status: 'paid', captured: 10_050 });
    expect(await shop.order(link.reference, 'refund')).toMatchObject({
      status: 409,
      body: { code: 'not_allowed', allowed: [] },
    });
    expect(await kinds(link)).toEqual(['created', 'captured']);
  });

  it('only after its last command is: a refund under way at the end of the window is finished', async () => {
    const link = await made({ policies: { refundWindowSeconds: 4 } });
    await shop.pay(link.url!);
    await reads(link, 'paid');
    await fault({ operation: 'refund', kind: 'hold_before_commit', link: link.reference, count: 1, delayMs: 6_000 });
    const answer = await shop.order(link.reference, 'refund', {}, 'once');
    expect(answer).toMatchObject({ status: 200, body: { status: 'refunded', refunded: 10_050 } });
    await ended(link);
    expect(await kinds(link)).toEqual(['created', 'captured', 'refunded']);
  });
});

describe.concurrent('cancelling the workflow in Temporal', () => {
  const cancelOf = ({ operations }: Link) => operations.find(({ kind }) => kind === 'cancel');

  it('is a cancel command: the link is closed at the provider and still hears of late money', async () => {
    const link = await made({});
    await handle(link.reference).cancel();
    const cancelled = await reads(link, 'cancelled');
    expect(cancelOf(cancelled)).toMatchObject({ actor: 'temporal', state: 'succeeded' });
    expect(cancelled.exceptions).toEqual([]);
    expect(await runOf(link)).toBe('RUNNING');
    expect(await kinds(link)).toEqual(['created', 'cancelled']);
    await shop.control('POST', `/paymennt/links/${link.providerLinkId}/pay`, {});
    expect(await reads(link, 'paid')).toMatchObject({ exceptions: ['late_payment'] });
    expect(await shop.order(link.reference, 'refund')).toMatchObject({ status: 200, body: { status: 'refunded' } });
  });

  it('gives a hold back', async () => {
    const link = await made({ account: 'paymennt-hold', capture: 'manual' });
    await shop.pay(link.url!);
    await reads(link, 'authorized');
    await handle(link.reference).cancel();
    expect(cancelOf(await reads(link, 'cancelled'))).toMatchObject({ actor: 'temporal', state: 'succeeded' });
    expect(await kinds(link)).toEqual(['created', 'authorized', 'voided', 'cancelled']);
  });

  it('has no effect on a paid link, which goes on', async () => {
    const link = await made({});
    await shop.pay(link.url!);
    await reads(link, 'paid');
    await handle(link.reference).cancel();
    const told = await shop.until(link.reference, (seen) => cancelOf(seen)?.state === 'refused');
    expect(cancelOf(told)).toMatchObject({ actor: 'temporal', error: { code: 'not_allowed' } });
    expect(told).toMatchObject({ status: 'paid', exceptions: [] });
    expect(await shop.order(link.reference, 'refund')).toMatchObject({ status: 200, body: { status: 'refunded' } });
    expect(await runOf(link)).toBe('RUNNING');
  });

  it('is carried out once, whatever runs the link continues in', async () => {
    const link = await made({ timing: { continueAfterEvents: 20 } });
    const { runId } = await handle(link.reference).describe();
    await handle(link.reference).cancel();
    await reads(link, 'cancelled');
    const links = linksWith(SILENT);
    await until(
      async () => {
        await links.resync(link.reference);
        return (await handle(link.reference).describe()).runId;
      },
      (now) => now !== runId,
    );
    const { body } = await shop.get(link.reference);
    expect(body.operations.filter(({ kind }) => kind === 'cancel')).toMatchObject([{ state: 'succeeded' }]);
    expect(await runOf(link)).toBe('RUNNING');
    expect(await kinds(link)).toEqual(['created', 'cancelled']);
  });
});
