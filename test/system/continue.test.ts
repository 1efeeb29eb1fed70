import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { NotAllowed, ReferenceConflict } from '../../client/index.ts';
import type { LinkSummary } from '../../client/list.ts';
import { fingerprint } from '../../client/requests.ts';
import { pause } from '../../stack/shop.ts';
import type { Link } from '../../workflows/link.ts';
import { resync } from '../../workflows/messages.ts';
import { AED, fresh, openSystem, until } from './shared.ts';

const { shop, handle, linksWith, events, fault } = await openSystem();

/** A link makes about twenty events until the customer pays: a few more, and it continues as new. */
const SOON = { continueAfterEvents: 30 };
/** Held money and two commands later. */
const SOON_WITH_A_HOLD = { continueAfterEvents: 45 };
/** Nothing but webhooks and commands may cause a read. */
const SILENT = { cadence: { rows: [], thenEverySeconds: 3_600, jitter: 0 } };

const request = (reference: string, more: object = {}) => ({
  account: 'paymennt',
  reference,
  amount: AED(10_050),
  ...more,
});

/** What a run shows of its link without its worker. An attribute set to nothing is none. */
async function outside(reference: string) {
  const { runId, memo, typedSearchAttributes } = await handle(reference).describe();
  const ours = typedSearchAttributes
    .getAll()
    .filter(({ key, value }) => key.name.startsWith('Link') && (!Array.isArray(value) || value.length > 0));
  return { runId, seen: { memo, attributes: Object.fromEntries(ours.map(({ key, value }) => [key.name, value])) } };
}

const card = async (reference: string): Promise<string> => {
  const { currentDetails = '' } = await handle(reference).query<{ currentDetails?: string }>(
    '__temporal_workflow_metadata',
  );
  return currentDetails;
};

/** Repeats a command that is done, which changes nothing, until the run has continued as new with nothing to do. */
async function continueAsNew(reference: string, links: ReturnType<typeof linksWith>) {
  await links.resync(reference, {}, { idempotencyKey: 'read-1' });
  const first = await outside(reference);
  const done = { id: 'read-1', fingerprint: fingerprint('resync', {}), actor: 'local' };
  for (let repeat = 1; repeat <= 20; repeat++) {
    await handle(reference).executeUpdate(resync, { args: [done] });
    const now = await outside(reference);
    if (now.runId !== first.runId) return { first, now };
  }
  throw new Error(`${reference} did not continue as new`);
}

describe('a link that continues as new while it is pending', () => {
  it('carries everything over, answers as before, and still completes', async () => {
    const reference = fresh('continue');
    const links = linksWith({ ...SOON, ...SILENT });
    const metadata = { order: '17' };
    const { link: created, created: isNew } = await links.create(request(reference, { metadata }));
    expect(isNew).toBe(true);
    const { first, now } = await continueAsNew(reference, links);

    expect(now.seen).toEqual(first.seen);
    const link = await links.get(reference);
    const { operations, ...rest } = link;
    const { operations: before, ...restBefore } = created;
    expect(rest).toEqual(restBefore);
    expect(operations.slice(0, before.length)).toEqual(before);
    expect(operations.length).toBeGreaterThan(before.length);
    expect(await card(reference)).toMatch(/PENDING · 100\.50 AED/);
    const { items } = (await shop.timeline(reference)).body;
    expect(items[0]).toMatchObject({ kind: 'operation', summary: 'create perdure create running' });
    expect(items.filter(({ kind }) => kind === 'created')).toHaveLength(1);
    // Read only: nothing was made at the provider again.
    expect(await shop.ledger('paymennt', reference)).toHaveLength(1);

    await shop.pay(link.url!);
    expect(await shop.until(reference, ({ status }) => status === 'paid')).toMatchObject({ captured: 10_050 });
    expect((await outside(reference)).seen.attributes).toMatchObject({ LinkStatus: 'paid', LinkAccount: 'paymennt' });
  });

  it('is still the one link of its reference: the same body finds it, another is a conflict', async () => {
    const reference = fresh('continue');
    const links = linksWith({ ...SOON, ...SILENT });
    const { link } = await links.create(request(reference));
    await continueAsNew(reference, links);
    expect(await links.create(request(reference))).toMatchObject({ created: false, link: { url: link.url } });
    expect(await shop.create(request(reference))).toMatchObject({ status: 200, body: { url: link.url } });
    await expect(links.create(request(reference, { amount: AED(10_051) }))).rejects.toThrow(ReferenceConflict);
    expect(await shop.ledger('paymennt', reference)).toHaveLength(1);
  });

  it('answers a command of an earlier run with its old outcome', async () => {
    const reference = fresh('continue');
    const links = linksWith({ ...SOON, ...SILENT });
    await links.create(request(reference));
    await continueAsNew(reference, links);
    const old = (await links.get(reference)).operations.find(({ id }) => id === 'read-1');
    const before = await events(reference);
    const again = await links.resync(reference, {}, { idempotencyKey: 'read-1' });
    expect(again.operation).toEqual(old);
    expect(again.link.operations.filter(({ id }) => id === 'read-1')).toHaveLength(1);
    // Accepted and answered in one task: nothing was read.
    expect((await events(reference)) - before).toBeLessThanOrEqual(5);
    await expect(links.cancel(reference, {}, { idempotencyKey: 'read-1' })).rejects.toThrow(/was used before/);
  });

  it('shows up once in lists', async () => {
    const reference = fresh('continue');
    const links = linksWith({ ...SOON, ...SILENT });
    await links.create(request(reference));
    await continueAsNew(reference, links);
    const listed = async () => {
      const found: LinkSummary[] = [];
      for (let cursor: string | undefined; ; ) {
        const { items, nextCursor } = await links.list({ account: 'paymennt', limit: 100, cursor });
        found.push(...items.filter((item) => item.reference === reference));
        if (!nextCursor) return found;
        cursor = nextCursor;
      }
    };
    await until(listed, (found) => found.length === 1 && found[0]?.status === 'pending');
    // Visibility lags: a stale half would stay.
    await pause(1_000);
    const found = await listed();
    expect(found).toMatchObject([{ reference, status: 'pending' }]);
    expect(found[0]?.createdAt.slice(0, 16)).toBe((await links.get(reference)).createdAt.slice(0, 16));
  });
});

describe('a link that continues as new with commands in flight', () => {
  it('waits for the provider, takes the queued ones along, and repeats none', async () => {
    const reference = fresh('continue');
    const links = linksWith({ ...SILENT, ...SOON_WITH_A_HOLD });
    const body = request(reference, { account: 'paymennt-hold', capture: 'manual' });
    const { link: created } = await links.create(body);
    await shop.pay(created.url!);
    const authorized = await shop.until(reference, ({ status }) => status === 'authorized');
    expect(authorized).toMatchObject({ status: 'authorized', authorized: 10_050, captured: 0 });
    const first = await outside(reference);

    await fault({ operation: 'capture', kind: 'hold_before_commit', link: reference, count: 1, delayMs: 4_000 });
    const capturing = links.capture(reference, {}, { idempotencyKey: 'capture-1' });
    const stateOf = (link: Link, id: string) => link.operations.find((op) => op.id === id)?.state;
    await until(
      () => links.get(reference),
      (link) => stateOf(link, 'capture-1') === 'running',
    );
    const cancelling = links.cancel(reference, {}, { idempotencyKey: 'cancel-1' });
    cancelling.catch(() => {});
    // Reads queue up behind the capture until the history is long enough.
    const reads: Promise<unknown>[] = [];
    const long = async () => (await events(reference)) >= SOON_WITH_A_HOLD.continueAfterEvents;
    while (!(await long())) {
      const id = `read-${reads.length + 1}`;
      reads.push(links.resync(reference, {}, { idempotencyKey: id }).catch(() => {}));
      await until(
        () => links.get(reference),
        (link) => stateOf(link, id) === 'queued',
      );
    }
    expect(reads.length).toBeGreaterThan(0);
    expect(stateOf(await links.get(reference), 'capture-1')).toBe('running');
    expect((await outside(reference)).runId).toBe(first.runId);

    const ended = await until(
      () => links.get(reference),
      ({ operations }) => operations.every(({ finishedAt }) => finishedAt !== undefined),
    );
    expect((await outside(reference)).runId).not.toBe(first.runId);
    expect(ended).toMatchObject({ status: 'paid', captured: 10_050, exceptions: [], url: created.url });
    expect(stateOf(ended, 'capture-1')).toBe('succeeded');
    expect(stateOf(ended, 'cancel-1')).toBe('refused');
    expect(ended.operations.filter(({ kind }) => kind === 'resync').map(({ state }) => state)).toEqual(
      reads.map(() => 'succeeded'),
    );
    // One after the other, in the order in which they came.
    const finished = ended.operations.map(({ finishedAt }) => finishedAt!);
    expect(finished).toEqual([...finished].sort());

    // Whoever waited was answered, truthfully.
    expect(['running', 'succeeded']).toContain((await capturing).operation.state);
    const answer = await cancelling.then(
      ({ operation }) => operation.state,
      (error: unknown) => error,
    );
    expect(answer === 'queued' || answer instanceof NotAllowed, String(answer)).toBe(true);
    await Promise.all(reads);

    const outcome = await links.capture(reference, {}, { idempotencyKey: 'capture-1' });
    expect(outcome.operation).toEqual(ended.operations.find(({ id }) => id === 'capture-1'));
    await expect(links.cancel(reference, {}, { idempotencyKey: 'cancel-1' })).rejects.toThrow(NotAllowed);
    const kinds = (await shop.ledger('paymennt', reference)).map(({ kind }) => kind);
    expect(kinds).toEqual(['created', 'authorized', 'captured']);
    expect((await outside(reference)).seen.attributes).toMatchObject({ LinkStatus: 'paid' });
    expect((await outside(reference)).seen.memo).toEqual(first.seen.memo);
  });
});

describe('webhooks around the boundary', () => {
  /** Authentic news as the gateway passes it on; no two are alike, so none is a repeat. */
  const tell = (links: ReturnType<typeof linksWith>, { reference, account, providerLinkId }: Link) =>
    links.observe({ account, reference, ids: [providerLinkId!], body: randomBytes(8), at: Date.now(), signed: true });

  // The lengths of the burst move the boundary through the last hint's life: before it, under its read, after it.
  it.concurrent.each([1, 2, 3, 4, 5, 6, 7, 8])('are not lost: the last of %i finds the money', async (burst) => {
    const reference = fresh('boundary');
    const links = linksWith({ ...SILENT, continueAfterEvents: 14 + burst, hintSpacingMs: 100 });
    const { link } = await links.create(request(reference));
    // The sandbox's own webhooks are lost: only ours tell.
    await fault({ operation: 'webhook', kind: 'reset', link: reference, count: 100 });
    const { runId } = await outside(reference);
    for (let told = 1; told < burst; told++) expect(await tell(links, link)).toBe('accepted');
    await shop.pay(link.url!);
    expect(await tell(links, link)).toBe('accepted');
    expect(await shop.until(reference, ({ status }) => status === 'paid', 8_000)).toMatchObject({ status: 'paid' });
    // It may still be on its way there.
    const now = await until(
      () => outside(reference),
      (seen) => burst === 1 || seen.runId !== runId,
    );
    if (burst > 1) expect(now.runId).not.toBe(runId);
  });
});
