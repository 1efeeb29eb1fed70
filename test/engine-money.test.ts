/** What the engine decides by itself about holds, expiry and orders, and what it leaves alone. */
import { describe, expect, it } from 'vitest';
import type { Link } from '../workflows/link.ts';
import { aed, key, news, openEngine, saying, seen } from './engine-bench.ts';

const engine = openEngine();
const { linksWith, fresh, open, operation, writesOf } = engine;
const reads = (reference: string, holds: (link: Link) => boolean) => seen(() => engine.links.get(reference), holds);

describe('a hold', () => {
  it('is captured at once though the capture of the one before it was refused', async () => {
    const reference = await open();
    engine.provider.refuse(reference);
    engine.provider.hold(reference, 1050, 'first');
    await engine.links.resync(reference);
    await seen(
      () => operation(reference, 'perdure capture at once'),
      (op) => op?.state === 'refused',
    );
    engine.provider.release(reference, 'first');
    engine.provider.hold(reference, 1050, 'second');
    await engine.links.resync(reference);
    expect(await reads(reference, ({ status }) => status === 'paid')).toMatchObject({ captured: 1050, exceptions: [] });
    expect(writesOf(reference)).toHaveLength(2);
  });

  it('is no longer tried once its capture was refused, however often it is seen', async () => {
    const reference = await open();
    engine.provider.refuse(reference);
    engine.provider.hold(reference, 1050);
    for (let looks = 0; looks < 3; looks++) await engine.links.resync(reference);
    await seen(
      () => operation(reference, 'perdure capture at once'),
      (op) => op?.state === 'refused',
    );
    await engine.links.resync(reference);
    expect(writesOf(reference)).toEqual([`capture ${reference}`]);
  });

  it('beside money that paid the link is a duplicate for a person to see', async () => {
    const reference = await open({ capture: 'manual' });
    engine.provider.pay(reference, 1050, 'taken');
    engine.provider.hold(reference, 1050, 'held');
    await engine.links.resync(reference);
    const link = await engine.links.get(reference);
    expect(link).toMatchObject({ status: 'paid', authorized: 2100, captured: 1050, exceptions: ['duplicate_payment'] });
  });
});

describe('an expiry', () => {
  it('that is moved while the link is being closed is a new one at the provider', async () => {
    const reference = fresh();
    engine.provider.offerNothing(reference);
    engine.provider.offer(reference, { inquire: true, extend: true, reusable: true });
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    engine.provider.beforeReads(reference, () => answered);
    await open({ reference }, linksWith({ deadlineMs: 300 }));
    await seen(
      () => engine.links.timeline(reference),
      (items) => items.some(({ summary }) => summary === 'the deadline passed'),
    );
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    await engine.links.extend(reference, { expiresAt }, key('later'));
    answer();
    await engine.links.resync(reference);
    expect(await engine.links.get(reference)).toMatchObject({ status: 'pending', expiresAt });
    expect(writesOf(reference)).toEqual([]);
  });

  it('that is moved before the closing has its turn leaves the link open', async () => {
    const reference = fresh();
    engine.provider.offerNothing(reference);
    engine.provider.offer(reference, { inquire: true, extend: true, reusable: true });
    await open({ reference }, linksWith({ deadlineMs: 1_500 }));
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const waits = [answered];
    engine.provider.beforeReads(reference, () => waits.pop());
    const looked = engine.links.resync(reference, {}, key('slow'));
    await seen(
      () => operation(reference, 'slow'),
      (op) => op?.state === 'running',
    );
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const moved = engine.links.extend(reference, { expiresAt }, key('later'));
    await seen(
      () => operation(reference, 'perdure close at deadline'),
      (op) => op?.state === 'queued',
    );
    answer();
    await Promise.all([looked, moved]);
    await seen(
      () => operation(reference, 'perdure close at deadline'),
      (op) => op?.state === 'refused',
    );
    expect(await engine.links.get(reference)).toMatchObject({ status: 'pending', expiresAt });
    expect(writesOf(reference)).toEqual([]);
  });
});

it('money that a person vouches for came when the webhook said, though that could not be believed', async () => {
  const reference = fresh();
  engine.provider.offerNothing(reference);
  engine.provider.offer(reference, { cancel: false });
  await open({ reference, policies: { latePayment: 'refund' } });
  await engine.links.observe(news(reference, { facts: saying('p', 1050), signed: false }));
  await reads(reference, ({ exceptions }) => exceptions.includes('unverified_payment'));
  await engine.links.cancel(reference, {}, key('over'));
  await engine.links.markPaid(reference, { amount: aed(1050), reason: 'it is in the bank' });
  const link = await reads(reference, ({ captured }) => captured > 0);
  expect(link).toMatchObject({ status: 'paid', exceptions: [] });
  expect(link.operations.filter(({ kind }) => kind === 'refund')).toEqual([]);
});

it('late money that goes back does not pay the order', async () => {
  const orderReference = `debt-${fresh()}`;
  const late = await open({ orderReference, policies: { latePayment: 'refund' } });
  await engine.links.cancel(late, {}, key('over'));
  const next = await open({ orderReference });
  engine.provider.pay(late, 1050);
  await engine.links.resync(late);
  await reads(late, ({ refunded }) => refunded === 1050);
  engine.provider.pay(next, 1050);
  await engine.links.resync(next);
  expect(await reads(next, ({ status }) => status !== 'pending')).toMatchObject({ status: 'paid', exceptions: [] });
});
