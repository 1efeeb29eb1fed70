/** Answers that never came: what the provider did is found out, never guessed, and never done twice. */
import { describe, expect, it } from 'vitest';
import { NotAllowed, ProviderRefused } from '../../client/index.ts';
import { pause } from '../../stack/shop.ts';
import type { Link, LinkOperation } from '../../workflows/link.ts';
import { AED, fresh, openSystem, UNWATCHED, until } from './shared.ts';

const { shop, handle, linksWith, fault } = await openSystem();
const links = linksWith(UNWATCHED);

const request = (reference: string, more: object = {}) => ({
  account: 'paymennt',
  reference,
  amount: AED(10_050),
  ...more,
});

/** Everything the sandbox tells by webhook about this link is lost. */
const silence = (link: string) => fault({ operation: 'webhook', kind: 'reset', link, count: 1_000 });

async function heldLink(): Promise<Link> {
  const reference = fresh('unknown');
  const { link } = await links.create(request(reference, { account: 'paymennt-hold', capture: 'manual' }));
  await shop.pay(link.url!);
  const held = await shop.until(reference, ({ status }) => status === 'authorized');
  await silence(reference);
  return held;
}

async function paidLink(): Promise<Link> {
  const reference = fresh('unknown');
  const { link } = await links.create(request(reference));
  await shop.pay(link.url!);
  const paid = await shop.until(reference, ({ status }) => status === 'paid');
  await silence(reference);
  return paid;
}

const operationOf = ({ operations }: Link, id: string): LinkOperation | undefined =>
  operations.find((operation) => operation.id === id);

const stateBecomes = async (reference: string, id: string, state: LinkOperation['state']) => {
  const link = await shop.until(reference, (seen) => operationOf(seen, id)?.state === state);
  expect(operationOf(link, id)).toMatchObject({ state });
  return link;
};

/** An unknown operation that is no longer looked for: what became of it is for others to say. */
const parks = async (reference: string, id: string) => {
  const said = (link: Link) => operationOf(link, id)?.error?.message ?? '';
  const link = await shop.until(reference, (seen) => said(seen).includes('see resolve-unknown'));
  expect(operationOf(link, id)).toMatchObject({ state: 'unknown', error: { code: 'unknown_outcome' } });
  expect(said(link)).toContain('see resolve-unknown');
  return link;
};

async function kinds(reference: string): Promise<string[]> {
  return (await shop.ledger('paymennt', reference)).map(({ kind }) => kind);
}

/** The provider has given money back, whatever we know of it. */
async function refunded(reference: string): Promise<void> {
  expect(
    await until(
      () => kinds(reference),
      (seen) => seen.includes('refunded'),
    ),
  ).toContain('refunded');
}

/** The provider acted, its answer got lost. */
const LOST_AFTER = ['drop_after_commit', 'error_after_commit', 'html'] as const;
/** The provider did nothing, which the caller cannot know. */
const LOST_BEFORE = ['reset', 'timeout', 'status', 'truncated'] as const;
/** A call that is dropped only after its attempt is over, so that Temporal's limit is met as well. */
const OF = { timeout: { delayMs: 1_500 }, status: { status: 502 } } as Record<string, object>;

describe.concurrent('create', () => {
  it.each(LOST_AFTER)('that happened is adopted: %s', async (kind) => {
    const reference = fresh('unknown');
    await fault({ operation: 'create', kind, link: reference, count: 1 });
    await links.create(request(reference));
    const link = await shop.until(reference, ({ status }) => status === 'pending');
    expect(link).toMatchObject({ status: 'pending', exceptions: [], operations: [{ state: 'succeeded' }] });
    expect(await shop.ledger('paymennt', reference)).toMatchObject([{ kind: 'created', link: link.providerLinkId }]);
  });

  it.each(LOST_BEFORE)('that left no trace is repeated: %s', async (kind) => {
    const reference = fresh('unknown');
    await fault({ operation: 'create', kind, link: reference, count: 1, ...OF[kind] });
    await links.create(request(reference));
    const link = await shop.until(reference, ({ status }) => status === 'pending');
    expect(link).toMatchObject({ status: 'pending', exceptions: [], operations: [{ state: 'succeeded' }] });
    expect(await shop.ledger('paymennt', reference)).toMatchObject([{ kind: 'created', link: link.providerLinkId }]);
  });

  it('is made once when the first call, long given up, gets through after the second', async () => {
    const reference = fresh('unknown');
    await fault({ operation: 'create', kind: 'hold_before_commit', link: reference, count: 1, delayMs: 5_000 });
    await links.create(request(reference));
    const link = await shop.until(reference, ({ status }) => status === 'pending');
    const { faults } = await shop.control<{ faults: { link?: string; fired: number }[] }>('GET', '/paymennt/faults');
    expect(faults).toContainEqual(expect.objectContaining({ link: reference, fired: 1 }));
    await shop.pay(link.url!);
    await pause(5_000);
    expect(await shop.until(reference, ({ status }) => status === 'paid')).toMatchObject({ exceptions: [] });
    expect(await kinds(reference)).toEqual(['created', 'captured']);
  });

  it('parks when the repeat is lost as well; found absent, the reference is free again', async () => {
    const reference = fresh('unknown');
    await fault({ operation: 'create', kind: 'reset', link: reference, count: 2 });
    const { link: accepted } = await links.create(request(reference));
    expect(accepted).toMatchObject({ status: 'creating', url: null });
    const parked = await parks(reference, 'perdure create');
    expect(parked).toMatchObject({
      status: 'creating',
      url: null,
      exceptions: ['unknown_outcome'],
      allowed: ['resync', 'resolve-unknown'],
    });
    expect(await shop.create(request(reference))).toMatchObject({ status: 202, body: { url: null } });
    expect(await shop.order(reference, 'cancel')).toMatchObject({ status: 409, body: { code: 'not_allowed' } });
    // Saying that it happened does not make a link: the provider has to show it.
    await expect(links.resolveUnknown(reference, { operation: 'create', outcome: 'happened' })).rejects.toThrow(
      NotAllowed,
    );
    await expect(links.resolveUnknown(reference, { operation: 'create', outcome: 'absent' })).resolves.toMatchObject({
      operation: { state: 'succeeded' },
    });
    expect(await shop.until(reference, ({ status }) => status === 'failed')).toMatchObject({ exceptions: [] });
    expect(await shop.create(request(reference))).toMatchObject({ status: 201, body: { status: 'pending' } });
    expect(await kinds(reference)).toEqual(['created']);
  });

  it('parks, and a later read finds what the provider made after all', async () => {
    const reference = fresh('unknown');
    await fault({ operation: 'create', kind: 'hold_before_commit', link: reference, count: 2, delayMs: 10_000 });
    await links.create(request(reference));
    await parks(reference, 'perdure create');
    expect(
      await until(
        () => kinds(reference),
        (seen) => seen.length > 0,
      ),
    ).toEqual(['created']);
    const { link } = await links.resync(reference);
    expect(link).toMatchObject({ status: 'pending', exceptions: [] });
    expect(link.url).not.toBeNull();
    // The second call, held as long, is a duplicate of the first.
    await pause(3_000);
    expect(await kinds(reference)).toEqual(['created']);
  });
});

describe.concurrent.each(['capture', 'cancel'] as const)('%s', (verb) => {
  const done = {
    capture: ['created', 'authorized', 'captured'],
    cancel: ['created', 'authorized', 'voided', 'cancelled'],
  };
  const status = { capture: 'paid', cancel: 'cancelled' };

  it.each(LOST_AFTER)('that happened is seen: %s', async (kind) => {
    const { reference } = await heldLink();
    await fault({ operation: verb, kind, link: reference, count: 1 });
    await links[verb](reference, {}, { idempotencyKey: 'once' });
    const link = await stateBecomes(reference, 'once', 'succeeded');
    expect(link).toMatchObject({ status: status[verb], exceptions: [] });
    expect(await kinds(reference)).toEqual(done[verb]);
  });

  it.each(LOST_BEFORE)('that left no trace is repeated: %s', async (kind) => {
    const { reference } = await heldLink();
    await fault({ operation: verb, kind, link: reference, count: 1, ...OF[kind] });
    const { operation, link: asked } = await links[verb](reference, {}, { idempotencyKey: 'once' });
    expect(operation.state).toBe('unknown');
    expect(asked).toMatchObject({ status: 'authorized', exceptions: ['unknown_outcome'] });
    const link = await stateBecomes(reference, 'once', 'succeeded');
    expect(link).toMatchObject({ status: status[verb], exceptions: [] });
    expect(await kinds(reference)).toEqual(done[verb]);
  });

  it('blocks every other command while its outcome is unknown, and parks when the repeat is lost too', async () => {
    const { reference } = await heldLink();
    await fault({ operation: verb, kind: 'reset', link: reference, count: 2 });
    await links[verb](reference, {}, { idempotencyKey: 'once' });
    for (const other of ['capture', 'cancel', 'refund']) {
      expect(await shop.order(reference, other)).toMatchObject({
        status: 409,
        body: { code: 'not_allowed', allowed: ['resync', 'resolve-unknown'] },
      });
    }
    const parked = await parks(reference, 'once');
    expect(parked).toMatchObject({ exceptions: ['unknown_outcome'], allowed: ['resync', 'resolve-unknown'] });
    expect(await shop.order(reference, verb)).toMatchObject({ status: 409 });
    // A read shows the old totals: no evidence, nothing is settled.
    expect((await links.resync(reference)).link.exceptions).toEqual(['unknown_outcome']);
    await links.resolveUnknown(reference, { operation: 'once', outcome: 'absent', reason: 'told by phone' });
    const resolved = await stateBecomes(reference, 'once', 'failed');
    expect(resolved).toMatchObject({ status: 'authorized', exceptions: [] });
    expect(await shop.order(reference, verb)).toMatchObject({ status: 200, body: { status: status[verb] } });
    expect(await kinds(reference)).toEqual(done[verb]);
  });

  it('happens once when the first call gets through after the second', async () => {
    const { reference } = await heldLink();
    await fault({ operation: verb, kind: 'hold_before_commit', link: reference, count: 1, delayMs: 5_000 });
    await links[verb](reference, {}, { idempotencyKey: 'once' });
    await stateBecomes(reference, 'once', 'succeeded');
    await pause(3_500);
    expect((await links.resync(reference)).link).toMatchObject({ status: status[verb], exceptions: [] });
    expect(await kinds(reference)).toEqual(done[verb]);
  });

  it('succeeded when the first call gets through between the last look and the repeat', async () => {
    const { reference } = await heldLink();
    await fault({ operation: verb, kind: 'hold_before_commit', link: reference, count: 1, delayMs: 2_800 });
    // The read before the first call and the three looks pass; the read before the repeat waits for the first call.
    await fault({ operation: 'inquire', kind: 'slow', link: reference, count: 4, delayMs: 0 });
    await fault({ operation: 'inquire', kind: 'hold_before_commit', link: reference, count: 1, delayMs: 1_000 });
    await links[verb](reference, {}, { idempotencyKey: 'once' });
    const link = await stateBecomes(reference, 'once', 'succeeded');
    expect(link).toMatchObject({ status: status[verb], exceptions: [] });
    expect(await kinds(reference)).toEqual(done[verb]);
  });
});

describe.concurrent('refund', () => {
  const part = { amount: AED(3_000) };

  it.each(LOST_AFTER)('that happened is seen: %s', async (kind) => {
    const { reference } = await paidLink();
    await fault({ operation: 'refund', kind, link: reference, count: 1 });
    await links.refund(reference, part, { idempotencyKey: 'once' });
    const link = await stateBecomes(reference, 'once', 'succeeded');
    expect(link).toMatchObject({ status: 'partially_refunded', refunded: 3_000, exceptions: [] });
    expect(await kinds(reference)).toEqual(['created', 'captured', 'refunded']);
  });

  it('happens twice only when it is asked for twice, whatever gets lost', async () => {
    const { reference } = await paidLink();
    await fault({ operation: 'refund', kind: 'drop_after_commit', link: reference, count: 10 });
    await links.refund(reference, part, { idempotencyKey: 'first' });
    await stateBecomes(reference, 'first', 'succeeded');
    await links.refund(reference, part, { idempotencyKey: 'second' });
    const link = await stateBecomes(reference, 'second', 'succeeded');
    await links.refund(reference, part, { idempotencyKey: 'first' });
    expect(link).toMatchObject({ refunded: 6_000, exceptions: [] });
    expect(await kinds(reference)).toEqual(['created', 'captured', 'refunded', 'refunded']);
  });

  it.each(LOST_BEFORE)('that left no trace is never repeated, it parks: %s', async (kind) => {
    const { reference } = await paidLink();
    await fault({ operation: 'refund', kind, link: reference, count: 1, ...OF[kind] });
    await links.refund(reference, part, { idempotencyKey: 'once' });
    const parked = await parks(reference, 'once');
    expect(parked).toMatchObject({ status: 'paid', refunded: 0, exceptions: ['unknown_outcome'] });
    expect(await shop.order(reference, 'refund', part)).toMatchObject({
      status: 409,
      body: { code: 'not_allowed', allowed: ['resync', 'resolve-unknown'] },
    });
    // The same key again is the same operation, still unknown.
    expect(await shop.order(reference, 'refund', part, 'once')).toMatchObject({ status: 202 });
    const resolve = { operation: 'once', outcome: 'absent' } as const;
    expect((await links.resolveUnknown(reference, resolve)).link).toMatchObject({ status: 'paid', exceptions: [] });
    await stateBecomes(reference, 'once', 'failed');
    const { link } = await links.refund(reference, part);
    expect(link).toMatchObject({ status: 'partially_refunded', refunded: 3_000 });
    expect(await kinds(reference)).toEqual(['created', 'captured', 'refunded']);
  });

  it('that gets through late is seen by the webhook it causes', async () => {
    const reference = fresh('unknown');
    const { link } = await links.create(request(reference));
    await shop.pay(link.url!);
    await shop.until(reference, ({ status }) => status === 'paid');
    await fault({ operation: 'refund', kind: 'hold_before_commit', link: reference, count: 1, delayMs: 6_000 });
    await links.refund(reference, part, { idempotencyKey: 'once' });
    await parks(reference, 'once');
    const told = await stateBecomes(reference, 'once', 'succeeded');
    expect(told).toMatchObject({ status: 'partially_refunded', refunded: 3_000, exceptions: [] });
    expect(await kinds(reference)).toEqual(['created', 'captured', 'refunded']);
  });

  it('that gets through late, its webhook lost, is seen by resync', async () => {
    const { reference } = await paidLink();
    await fault({ operation: 'refund', kind: 'hold_before_commit', link: reference, count: 1, delayMs: 6_000 });
    await links.refund(reference, part, { idempotencyKey: 'once' });
    await parks(reference, 'once');
    await refunded(reference);
    const { link } = await links.resync(reference);
    expect(link).toMatchObject({ status: 'partially_refunded', refunded: 3_000, exceptions: [] });
    expect(operationOf(link, 'once')?.state).toBe('succeeded');
  });

  it('that a person found to have happened is over, and what the provider shows is read', async () => {
    const { reference } = await paidLink();
    await fault({ operation: 'refund', kind: 'hold_before_commit', link: reference, count: 1, delayMs: 5_000 });
    await links.refund(reference, part, { idempotencyKey: 'once' });
    await parks(reference, 'once');
    await refunded(reference);
    const { link } = await links.resolveUnknown(reference, { operation: 'once', outcome: 'happened' });
    expect(operationOf(link, 'once')?.state).toBe('succeeded');
    expect(await shop.until(reference, ({ refunded }) => refunded > 0)).toMatchObject({
      refunded: 3_000,
      exceptions: [],
    });
  });
});

describe.concurrent('a person need not wait for the engine to find out', () => {
  const patient = linksWith({
    cadence: { rows: [], thenEverySeconds: 3_600, jitter: 0 },
    attemptMs: 1_000,
    probeAfterMs: 60_000,
  });

  async function paid(): Promise<string> {
    const reference = fresh('unknown');
    const { link } = await patient.create(request(reference));
    await shop.pay(link.url!);
    await shop.until(reference, ({ status }) => status === 'paid');
    await silence(reference);
    return reference;
  }

  it('resync reads between two probes', async () => {
    const reference = await paid();
    await fault({ operation: 'refund', kind: 'hold_before_commit', link: reference, count: 1, delayMs: 2_000 });
    await patient.refund(reference, {}, { idempotencyKey: 'once' });
    await stateBecomes(reference, 'once', 'unknown');
    await refunded(reference);
    await patient.resync(reference);
    expect(await shop.until(reference, ({ status }) => status === 'refunded', 3_000)).toMatchObject({
      status: 'refunded',
      exceptions: [],
    });
  });

  it('resolve-unknown counts between two probes, and the next command runs', async () => {
    const reference = await paid();
    await fault({ operation: 'refund', kind: 'reset', link: reference, count: 1 });
    await patient.refund(reference, {}, { idempotencyKey: 'once' });
    await patient.resolveUnknown(reference, { operation: 'once', outcome: 'absent' });
    const resolved = await shop.until(reference, ({ exceptions }) => exceptions.length === 0, 3_000);
    expect(operationOf(resolved, 'once')).toMatchObject({ state: 'failed', error: { code: 'resolved_absent' } });
    expect((await patient.refund(reference)).link).toMatchObject({ status: 'refunded' });
    expect(await kinds(reference)).toEqual(['created', 'captured', 'refunded']);
  });

  it('resolve-unknown counts while the provider cannot be read at all', async () => {
    const reference = await paid();
    await fault({ operation: 'refund', kind: 'hold_after_commit', link: reference, count: 1, delayMs: 3_000 });
    const refunding = patient.refund(reference, { amount: AED(3_000) }, { idempotencyKey: 'once' });
    await refunded(reference);
    // The read before the refund is done; those after it are retried at growing distance, for half a minute.
    await fault({ operation: 'inquire', kind: 'status', status: 503, link: reference, count: 6 });
    expect((await refunding).operation.state).toBe('unknown');
    await patient.resolveUnknown(reference, { operation: 'once', outcome: 'happened' });
    const resolved = await shop.until(reference, (seen) => operationOf(seen, 'once')?.state === 'succeeded', 3_000);
    expect(operationOf(resolved, 'once')?.state).toBe('succeeded');
  });
});

it('a read that fails beside the workflow task is repeated, and fails no workflow task', async () => {
  const reference = fresh('unknown');
  const { link } = await links.create(request(reference));
  await fault({ operation: 'inquire', kind: 'status', status: 503, link: reference, count: 2 });
  await shop.pay(link.url!);
  expect(await shop.until(reference, ({ status }) => status === 'paid')).toMatchObject({ status: 'paid' });
  const { events } = await handle(reference).fetchHistory();
  expect(events?.filter((event) => event.workflowTaskFailedEventAttributes)).toEqual([]);
});

it('the provider’s plain no is no unknown outcome', async () => {
  const { reference } = await heldLink();
  await fault({ operation: 'capture', kind: 'status', status: 400, link: reference, count: 1 });
  await expect(links.capture(reference, {}, { idempotencyKey: 'once' })).rejects.toThrow(ProviderRefused);
  expect(await shop.until(reference, () => true)).toMatchObject({ status: 'authorized', exceptions: [] });
  expect((await links.capture(reference)).link).toMatchObject({ status: 'paid' });
});
