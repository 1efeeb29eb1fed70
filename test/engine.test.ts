/** What a running link does not do: believe too easily, act twice, or act on what it knew a moment ago. */
import { describe, expect, it } from 'vitest';
import { pause } from '../stack/shop.ts';
import { type Hint, observed, workflowIdOf } from '../workflows/messages.ts';
import { aed, key, news, openEngine, saying, seen } from './engine-bench.ts';

const engine = openEngine();
const { linksWith, fresh, open, paid, operation, writesOf } = engine;

describe('what a webhook says', () => {
  it('is no money where the provider can be asked: it is asked', async () => {
    const reference = await open();
    expect(await engine.links.observe(news(reference, { facts: saying('p', 1050) }))).toBe('accepted');
    await seen(
      () => engine.provider.readsOf(reference).length,
      (reads) => reads > 0,
    );
    expect(await engine.links.resync(reference)).toMatchObject({ link: { status: 'pending', captured: 0 } });
  });

  it('is money where it cannot, if it was signed, for the account, about this link', async () => {
    const reference = fresh();
    engine.provider.offerNothing(reference);
    await open({ reference });
    await engine.links.observe(news(reference, { facts: saying('unsigned', 1050), signed: false }));
    await engine.links.observe(news(reference, { facts: saying('another', 1050), named: 'another' }));
    const byHand: Hint = {
      account: 'other',
      reference,
      ids: [],
      evidence: '',
      at: 0,
      signed: true,
      facts: saying('foreign', 1050),
    };
    await engine.client.workflow.getHandle(workflowIdOf(reference)).signal(observed, byHand);
    // Heard last: what came before it has been weighed by then.
    await engine.links.observe(news(reference, { facts: saying('ours', 300) }));
    const link = await seen(
      () => engine.links.get(reference),
      ({ captured }) => captured > 0,
    );
    expect(link).toMatchObject({ captured: 300, exceptions: ['underpaid', 'unverified_payment'] });
  });

  it('in many words before the link is made counts with every one of them', async () => {
    const reference = fresh();
    engine.provider.offerNothing(reference);
    let make = () => {};
    const made = new Promise<void>((resolve) => {
      make = resolve;
    });
    engine.provider.script(reference, made);
    const opened = open({ reference });
    await seen(
      () => engine.provider.creates,
      (creates) => creates.includes(reference),
    );
    for (let at = 0; at < 25; at++) await engine.links.observe(news(reference, { facts: saying(`p${at}`, 100) }));
    make();
    await opened;
    expect(
      await seen(
        () => engine.links.get(reference),
        ({ captured }) => captured > 0,
      ),
    ).toMatchObject({ captured: 2_500 });
  });

  it.each([
    ['where the provider can be asked', false],
    ['where it cannot', true],
  ])('in the last second of a link is looked at before it ends, %s', async (_, mute) => {
    const by = linksWith({ hintSpacingMs: 4_000 });
    const reference = fresh();
    if (mute) engine.provider.offerNothing(reference);
    await open({ reference, policies: { graceSeconds: 2 } }, by);
    // The link is over in two seconds, and looks again in four.
    await by.observe(news(reference));
    await engine.links.cancel(reference, {}, key('over'));
    engine.provider.pay(reference, 1050);
    expect(await engine.links.observe(news(reference, { facts: saying('p', 1050) }))).toBe('accepted');
    const link = await seen(
      () => engine.links.get(reference),
      ({ captured }) => captured > 0,
    );
    expect(link).toMatchObject({ captured: 1050, exceptions: ['late_payment'] });
  });

  it('hundreds of times in other words costs a read a second, of twenty ids at most, and the link lives', async () => {
    const reference = await open({}, linksWith({}));
    const startedAt = Date.now();
    for (let wave = 0; wave < 20; wave++) {
      const wanted = Array.from({ length: 25 }, (_, at) => news(reference, { ids: [`id-${wave}-${at}`] }));
      expect(new Set(await Promise.all(wanted.map((each) => engine.links.observe(each))))).toEqual(
        new Set(['accepted']),
      );
    }
    engine.provider.pay(reference, 1050);
    await engine.links.observe(news(reference));
    expect(
      await seen(
        () => engine.links.get(reference),
        ({ status }) => status === 'paid',
      ),
    ).toMatchObject({ exceptions: [] });
    const reads = engine.provider.readsOf(reference);
    expect(reads.length).toBeLessThanOrEqual(2 + (Date.now() - startedAt) / 1_000);
    expect(Math.max(...reads.map(({ length }) => length))).toBe(20);
  });
});

describe('an outcome that is not known', () => {
  const QUICK = { attemptMs: 1_000, probeAfterMs: 50, probeAgainMs: 50 };

  it('of a create is looked for three times before it is sent again', async () => {
    const reference = fresh();
    engine.provider.script(reference, 'lost');
    await open({ reference }, linksWith(QUICK));
    await seen(
      () => engine.links.get(reference),
      ({ status }) => status === 'pending',
    );
    expect(engine.provider.makingOf(reference)).toEqual(['create', 'find', 'find', 'find', 'create']);
  });

  it('is what the first try did, if money moved before the second', async () => {
    const reference = fresh();
    engine.provider.offer(reference, { repeatable: ['capture'] });
    await open({ reference, capture: 'manual' }, linksWith(QUICK));
    engine.provider.hold(reference, 1050);
    await engine.links.resync(reference);
    engine.provider.delay(reference, Promise.reject(new Error('lost')));
    engine.provider.overtake(reference, 1050);
    await engine.links.capture(reference, {}, key('once'));
    const op = await seen(
      () => operation(reference, 'once'),
      (now) => now?.finishedAt !== undefined,
    );
    expect(op).toMatchObject({ state: 'succeeded', amount: 1050 });
    expect(writesOf(reference)).toHaveLength(2);
  });

  it('is sent no second time when that is not possible any more: a cancel, after the customer has paid', async () => {
    const reference = fresh();
    engine.provider.offer(reference, { repeatable: ['cancel'] });
    await open({ reference }, linksWith(QUICK));
    engine.provider.delay(reference, Promise.reject(new Error('lost')));
    await engine.links.cancel(reference, {}, key('once'));
    engine.provider.pay(reference, 1050);
    await engine.links.resync(reference);
    const op = await seen(
      () => operation(reference, 'once'),
      (now) => now?.error?.message.includes('resolve-unknown') ?? now?.finishedAt !== undefined,
    );
    expect(op?.state).toBe('unknown');
    expect(writesOf(reference)).toHaveLength(1);
  });

  it('of a cancel is no reason to cancel what was paid meanwhile', async () => {
    const by = linksWith({ attemptMs: 500, probeAfterMs: 500, probeAgainMs: 50, hintSpacingMs: 50 });
    const reference = fresh();
    engine.provider.offer(reference, { repeatable: ['cancel'] });
    await open({ reference }, by);
    engine.provider.delay(reference, Promise.reject(new Error('lost')));
    void by.cancel(reference, {}, key('once'));
    await seen(
      () => operation(reference, 'once'),
      (op) => op?.state === 'unknown',
    );
    engine.provider.pay(reference, 1050);
    await by.observe(news(reference));
    await seen(
      () => operation(reference, 'once'),
      (op) => op?.state !== 'unknown' || op.error?.message.includes('see resolve-unknown') === true,
    );
    expect(writesOf(reference)).toEqual([`cancel ${reference}`]);
    expect((await engine.links.get(reference)).status).toBe('paid');
  });

  it('keeps what was accepted before it waiting, also when nobody looks any more', async () => {
    const reference = await paid(linksWith(QUICK));
    let lose = () => {};
    engine.provider.delay(reference, new Promise((_, reject) => (lose = () => reject(new Error('lost')))));
    const refund = (id: string) => engine.links.refund(reference, { amount: aed(100) }, key(id));
    const asked = [refund('first')];
    await seen(
      () => operation(reference, 'first'),
      (op) => op?.state === 'running',
    );
    asked.push(refund('second'));
    await seen(
      () => operation(reference, 'second'),
      (op) => op !== undefined,
    );
    // One at a time: it has not begun while the other is under way.
    expect(await operation(reference, 'second')).toMatchObject({ state: 'queued' });
    lose();
    await seen(
      () => operation(reference, 'first'),
      (op) => op?.error?.message.includes('see resolve-unknown') === true,
    );
    await engine.links.resync(reference);
    expect(await operation(reference, 'second')).toMatchObject({ state: 'queued' });
    expect(writesOf(reference)).toHaveLength(1);
    await engine.links.resolveUnknown(reference, { operation: 'first', outcome: 'absent' });
    await seen(
      () => operation(reference, 'second'),
      (op) => op?.state === 'succeeded',
    );
    expect((await engine.links.get(reference)).refunded).toBe(100);
    await Promise.all(asked);
  });
});

describe('what is known by now', () => {
  it('limits a refund when its turn comes, whatever was left when it was asked for', async () => {
    const reference = await paid();
    let answer = () => {};
    engine.provider.delay(reference, new Promise<void>((resolve) => (answer = resolve)));
    const first = engine.links.refund(reference, { amount: aed(600) }, key('first'));
    const second = engine.links.refund(reference, { amount: aed(450) }, key('second')).catch((error: Error) => error);
    await seen(
      () => operation(reference, 'second'),
      (op) => op !== undefined,
    );
    engine.provider.giveBack(reference, 300);
    answer();
    await first;
    expect(await second).toMatchObject({ code: 'amount_out_of_range' });
    expect(writesOf(reference)).toHaveLength(1);
  });

  it('is asked for once more before a hold is let go', async () => {
    const by = linksWith({});
    const expiresAt = new Date(Date.now() + 64_000).toISOString();
    const reference = await open({ capture: 'manual', expiresAt }, by);
    engine.provider.hold(reference, 1050);
    await by.resync(reference);
    expect(await engine.links.get(reference)).toMatchObject({ status: 'authorized' });
    // Captured in the portal, and nobody tells us.
    engine.provider.pay(reference, 1050);
    const link = await seen(
      () => engine.links.get(reference),
      ({ status }) => status === 'paid',
    );
    expect(link.operations.filter(({ actor }) => actor === 'perdure').map(({ kind }) => kind)).toEqual(['create']);
    expect(writesOf(reference)).toEqual([]);
  });

  it('keeps a link open whose money is on its way at the deadline', async () => {
    const by = linksWith({ deadlineMs: 1_000, closeMarginMs: 1, hintSpacingMs: 50 });
    const reference = fresh();
    engine.provider.move(reference);
    await open({ reference }, by);
    await seen(
      () => engine.provider.readsOf(reference).length,
      (reads) => reads > 0,
    );
    engine.provider.pay(reference, 1050);
    await by.observe(news(reference));
    const link = await seen(
      () => engine.links.get(reference),
      ({ status }) => status === 'paid',
    );
    expect(link.exceptions).toEqual([]);
    expect(writesOf(reference)).toEqual([]);
  });

  it('keeps a link open that is extended while it is being closed', async () => {
    const by = linksWith({ deadlineMs: 300, closeMarginMs: 2_000 });
    const reference = fresh();
    engine.provider.offer(reference, { extend: true });
    await open({ reference }, by);
    await seen(
      () => engine.links.timeline(reference),
      (items) => items.some(({ summary }) => summary === 'the deadline passed'),
    );
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    await engine.links.extend(reference, { expiresAt }, key('later'));
    // Until after the instant at which it would have been closed.
    await pause(2_500);
    expect(await engine.links.get(reference)).toMatchObject({ status: 'pending', expiresAt, exceptions: [] });
    expect(writesOf(reference)).toEqual([]);
  });

  it('is that a person saw a link closed whose cancel had no answer', async () => {
    const reference = await open();
    engine.provider.delay(reference, Promise.reject(new Error('lost')));
    void engine.links.cancel(reference, {}, key('once'));
    await seen(
      () => operation(reference, 'once'),
      (op) => op?.state === 'unknown',
    );
    const { link } = await engine.links.resolveUnknown(reference, { operation: 'once', outcome: 'happened' });
    expect(link).toMatchObject({ status: 'cancelled', exceptions: [] });
  });

  it('is that more is held than is due: of what can be captured in parts the engine takes what is due', async () => {
    const reference = fresh();
    engine.provider.offer(reference, { capture: 'partial' });
    await open({ reference });
    engine.provider.hold(reference, 1500);
    await engine.links.resync(reference);
    const link = await seen(
      () => engine.links.get(reference),
      ({ captured }) => captured > 0,
    );
    expect(link).toMatchObject({ status: 'paid', captured: 1050, authorized: 1500 });
  });
});
