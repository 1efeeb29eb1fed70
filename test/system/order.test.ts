/** One debt, several links: whoever takes the money first keeps it, and nobody else does. */
import { describe, expect, it } from 'vitest';
import { OrderAlreadyPaid } from '../../client/index.ts';
import type { Link } from '../../workflows/link.ts';
import { type Hint, observed, TASK_QUEUE } from '../../workflows/messages.ts';
import {
  claim,
  ORDER_TYPE,
  type OrderInput,
  order,
  orderIdOf,
  type paymentOrder,
  settle,
} from '../../workflows/payment-order.ts';
import type { CreateRequest } from '../../workflows/schema.ts';
import type { Timing } from '../../workflows/state.ts';
import { AED, fresh, openSystem, until } from './shared.ts';

const { shop, client, handle, linksWith, fault } = await openSystem();

const AT = {
  paymennt: { account: 'paymennt', amount: AED(10_050) },
  hold: { account: 'paymennt-hold', amount: AED(10_050), capture: 'manual' },
  captured: { account: 'paymennt-hold', amount: AED(10_050) },
  paymob: { account: 'paymob', amount: { minor: 10_050, currency: 'EGP' } },
} as const;

/** On a busy machine the answer to create may come before the provider's. */
const payable = (reference: string) => shop.until(reference, ({ url }) => typeof url === 'string', 40_000);

async function made(orderReference: string, at: keyof typeof AT, more: Partial<CreateRequest> = {}): Promise<Link> {
  const request = { ...AT[at], reference: fresh('order'), orderReference, ...more };
  await shop.create(request);
  const link = await payable(request.reference);
  expect(link).toMatchObject({ status: 'pending', orderReference });
  return link;
}

/** Money that moves at the provider, wherever the customer is. */
const happens = ({ provider, providerLinkId }: Link, what: 'pay' | 'authorize', body: object = {}) =>
  shop.control('POST', `/${provider}/links/${providerLinkId}/${what}`, body);

const reads = (link: Link, holds: (seen: Link) => boolean) => shop.until(link.reference, holds);
const reaches = async (link: Link, status: string) => {
  const seen = await reads(link, (now) => now.status === status);
  expect(seen.status).toBe(status);
  return seen;
};
const now = async ({ reference }: Link) => (await shop.get(reference)).body;
const kinds = async ({ provider, reference }: Link) =>
  (await shop.ledger(provider!, reference)).map(({ kind }) => kind);
const orderOf = (orderReference: string) => client.workflow.getHandle<typeof paymentOrder>(orderIdOf(orderReference));
const stateOf = (orderReference: string) => orderOf(orderReference).query(order);
const startOrder = (input: OrderInput) =>
  client.workflow.start<typeof paymentOrder>(ORDER_TYPE, {
    workflowId: orderIdOf(input.orderReference),
    taskQueue: TASK_QUEUE,
    args: [input],
  });
const shows = (orderReference: string, field: 'reserved' | 'winner') =>
  until(
    () => stateOf(orderReference),
    (state) => state[field] !== undefined,
  );
/** How the run of an order ended. */
const endOf = (orderReference: string) =>
  until(
    async () => (await orderOf(orderReference).describe()).status.name,
    (name) => name !== 'RUNNING',
  );

describe.concurrent('of the links of one order', () => {
  it('paid in the same second at two providers one keeps the money, the other gives all of it back', async () => {
    const debt = fresh('debt');
    const policies = { excess: 'refund_excess' } as const;
    const both = await Promise.all([made(debt, 'paymennt', { policies }), made(debt, 'paymob', { policies })]);
    await Promise.all(both.map((link) => happens(link, 'pay')));
    const ends = await until(
      () => Promise.all(both.map(now)),
      (links) => links.some(({ status }) => status === 'refunded'),
      30_000,
    );
    const { winner } = await stateOf(debt);
    const [kept, lost] = ends.sort((link) => (link.reference === winner ? -1 : 1)) as [Link, Link];
    expect(kept).toMatchObject({ reference: winner, status: 'paid', exceptions: [], captured: 10_050, refunded: 0 });
    expect(lost).toMatchObject({ status: 'refunded', exceptions: ['duplicate_payment'], refunded: 10_050 });
    expect(await kinds(kept)).not.toContain('refunded');
    expect((await kinds(lost)).filter((kind) => kind === 'refunded')).toHaveLength(1);
  }, 90_000);

  it('one that nobody paid is cancelled at its provider as soon as another is paid', async () => {
    const debt = fresh('debt');
    const [paid, pending] = await Promise.all([made(debt, 'paymennt'), made(debt, 'paymennt')]);
    await shop.pay(paid.url!);
    const cancelled = await reaches(pending, 'cancelled');
    expect(cancelled).toMatchObject({ exceptions: [], allowed: expect.not.arrayContaining(['extend']) });
    expect(cancelled.operations.at(-1)).toMatchObject({
      kind: 'cancel',
      actor: 'perdure',
      state: 'succeeded',
      reason: `order ${debt} is already paid through ${paid.reference}`,
    });
    expect(await kinds(pending)).toEqual(['created', 'cancelled']);
    expect(await now(paid)).toMatchObject({ status: 'paid', exceptions: [] });
  });

  it('one whose money is only held gives it back, and cannot be captured any more', async () => {
    const debt = fresh('debt');
    const [paid, held] = await Promise.all([made(debt, 'paymob'), made(debt, 'hold')]);
    await happens(held, 'authorize');
    await reaches(held, 'authorized');
    await happens(paid, 'pay');
    expect(await reaches(held, 'cancelled')).toMatchObject({ exceptions: [], captured: 0 });
    expect(await kinds(held)).toEqual(['created', 'authorized', 'voided', 'cancelled']);
    expect(await shop.order(held.reference, 'capture')).toMatchObject({
      status: 409,
      body: { code: 'order_already_paid', detail: expect.stringContaining(paid.reference) },
    });
  });

  it('one that takes money after it lost keeps none of it, whoever looks first', async () => {
    const debt = fresh('debt');
    const policies = { excess: 'refund_excess' } as const;
    const [paid, lost] = await Promise.all([made(debt, 'paymennt'), made(debt, 'paymennt', { policies })]);
    await happens(paid, 'pay');
    await reaches(lost, 'cancelled');
    await happens(lost, 'pay');
    const refunded = await reaches(lost, 'refunded');
    expect(refunded.exceptions).toEqual(['late_payment', 'duplicate_payment']);
    expect(await kinds(lost)).toEqual(['created', 'cancelled', 'captured', 'refunded']);
  });

  it('exactly one of twenty that race is captured, and every other hold is given back', async () => {
    const debt = fresh('debt');
    const siblings: Link[] = [];
    // The race is for the money: making the links is not to crowd out the files that run beside this one.
    while (siblings.length < 20) {
      siblings.push(...(await Promise.all(Array.from({ length: 5 }, () => made(debt, 'captured')))));
    }
    await Promise.all(siblings.map((link) => happens(link, 'authorize')));
    const over = ({ status, operations }: Link) =>
      ['paid', 'cancelled'].includes(status) && operations.every(({ finishedAt }) => finishedAt !== undefined);
    const ends = await Promise.all(siblings.map((link) => shop.until(link.reference, over, 60_000)));
    const statuses = ends.map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array<string>(19).fill('cancelled'), 'paid']);
    expect(ends.flatMap(({ exceptions }) => exceptions)).toEqual([]);
    const entries = (await Promise.all(siblings.map(kinds))).flat();
    expect(entries.filter((kind) => kind === 'captured')).toHaveLength(1);
    expect(entries.filter((kind) => kind === 'voided')).toHaveLength(19);
    expect(ends.find(({ status }) => status === 'paid')).toMatchObject({ reference: (await stateOf(debt)).winner });
  }, 120_000);

  it('none is captured while it is not known whether another was', async () => {
    const debt = fresh('debt');
    const quick = { attemptMs: 1_000, probeAfterMs: 100, probeAgainMs: 100, commandWaitMs: 1_000 };
    const hold = async (timing: Partial<Timing>) => {
      const request = { ...AT.hold, reference: fresh('order'), orderReference: debt };
      await linksWith(timing).create(request);
      const link = await payable(request.reference);
      await happens(link, 'authorize');
      return reaches(link, 'authorized');
    };
    const [first, second] = await Promise.all([hold(quick), hold({ ...quick, continueAfterEvents: 80 })]);
    await fault({ operation: 'capture', kind: 'reset', link: first.reference, count: 2 });
    await shop.order(first.reference, 'capture', {}, 'once');
    await reads(first, ({ exceptions }) => exceptions.includes('unknown_outcome'));
    expect(await shop.order(second.reference, 'capture', {}, 'twice')).toMatchObject({ status: 202 });
    expect(await kinds(second)).toEqual(['created', 'authorized']);
    expect(await stateOf(debt)).toMatchObject({ reserved: { reference: first.reference } });
    // Whoever waits may continue as new meanwhile: news lengthens the history.
    const { runId } = await handle(second.reference).describe();
    const news: Hint = { account: second.account, ids: [], evidence: '', at: 0, signed: true };
    await until(
      async () => {
        await handle(second.reference).signal(observed, news);
        return (await handle(second.reference).describe()).runId;
      },
      (seen) => seen !== runId,
    );
    await reads(first, ({ operations }) => operations.some(({ error }) => error?.message.includes('resolve-unknown')));
    await shop.order(first.reference, 'resolve-unknown', { operation: 'once', outcome: 'absent' });
    expect(await reaches(second, 'paid')).toMatchObject({ exceptions: [], captured: 10_050 });
    expect(await reaches(first, 'cancelled')).toMatchObject({ captured: 0 });
    expect(await kinds(first)).toEqual(['created', 'authorized', 'voided', 'cancelled']);
  }, 90_000);

  it('one that waits for another can still be cancelled', async () => {
    const debt = fresh('debt');
    const [first, second] = await Promise.all([made(debt, 'hold'), made(debt, 'hold')]);
    await Promise.all([first, second].map((link) => happens(link, 'authorize')));
    await Promise.all([first, second].map((link) => reaches(link, 'authorized')));
    await fault({ operation: 'capture', kind: 'hold_before_commit', link: first.reference, count: 1, delayMs: 8_000 });
    const captured = shop.order(first.reference, 'capture');
    await shows(debt, 'reserved');
    const waiting = shop.order(second.reference, 'capture');
    await reads(second, ({ operations }) => operations.some(({ kind }) => kind === 'capture'));
    expect(await shop.order(second.reference, 'cancel')).toMatchObject({ status: 200, body: { status: 'cancelled' } });
    expect(await waiting).toMatchObject({ status: 409, body: { code: 'not_allowed' } });
    expect(await captured).toMatchObject({ status: 200, body: { status: 'paid' } });
    expect(await kinds(second)).toEqual(['created', 'authorized', 'voided', 'cancelled']);
  });
});

describe.concurrent('an order', () => {
  it('that is paid refuses another link before its provider is asked', async () => {
    const debt = fresh('debt');
    const paid = await made(debt, 'paymennt');
    await happens(paid, 'pay');
    await shows(debt, 'winner');
    const request = { ...AT.paymennt, reference: fresh('order'), orderReference: debt };
    expect(await shop.create(request)).toMatchObject({ status: 409, body: { code: 'order_already_paid' } });
    await expect(linksWith({}).create(request)).rejects.toThrow(OrderAlreadyPaid);
    expect((await shop.get(request.reference)).body).toMatchObject({ status: 'failed', url: null });
    expect(await shop.ledger('paymennt', request.reference)).toEqual([]);
    // The reference itself was not used up.
    const { orderReference: _, ...alone } = request;
    expect(await shop.create(alone)).toMatchObject({ status: 201 });
  });

  it('ends with its links, names the winner, and is not paid a second time afterwards', async () => {
    const debt = fresh('debt');
    const brief = { policies: { graceSeconds: 1, refundWindowSeconds: 1 } };
    const [paid, lost] = await Promise.all([made(debt, 'paymennt', brief), made(debt, 'paymennt', brief)]);
    await happens(paid, 'pay');
    expect(await orderOf(debt).result()).toEqual({ winner: paid.reference });
    expect(await kinds(lost)).toEqual(['created', 'cancelled']);
    const request = { ...AT.paymennt, reference: fresh('order'), orderReference: debt };
    expect(await shop.create(request)).toMatchObject({ status: 409, body: { code: 'order_already_paid' } });
  });

  it('that nobody paid starts anew with its next link', async () => {
    const debt = fresh('debt');
    const first = await made(debt, 'paymennt', { policies: { graceSeconds: 1 } });
    await shop.order(first.reference, 'cancel');
    expect(await endOf(debt)).toBe('FAILED');
    const next = await made(debt, 'paymennt');
    await happens(next, 'pay');
    await reaches(next, 'paid');
    expect(await shows(debt, 'winner')).toMatchObject({ winner: next.reference, joined: 1 });
  });

  it('forgets a link whose create the provider refused', async () => {
    const debt = fresh('debt');
    const reference = fresh('order');
    await fault({ operation: 'create', kind: 'status', status: 400, link: reference, count: 1 });
    const refused = await shop.create({ ...AT.paymennt, reference, orderReference: debt });
    expect(refused).toMatchObject({ status: 422, body: { code: 'provider_refused' } });
    expect(await endOf(debt)).toBe('FAILED');
  });

  it('knows its links and its winner after it continued as new, and does not wait for one that was terminated', async () => {
    const debt = fresh('debt');
    await startOrder({ orderReference: debt, continueAfterEvents: 8 });
    const { runId } = await orderOf(debt).describe();
    const brief = { policies: { graceSeconds: 1, refundWindowSeconds: 1 } };
    const [gone, lost] = await Promise.all([made(debt, 'paymennt', brief), made(debt, 'paymennt', brief)]);
    const paid = await made(debt, 'paymennt', brief);
    expect((await orderOf(debt).describe()).runId).not.toBe(runId);
    expect((await stateOf(debt)).links).toHaveLength(3);
    await handle(gone.reference).terminate('an operator gives it up');
    await happens(paid, 'pay');
    await reaches(lost, 'cancelled');
    expect(await orderOf(debt).result()).toEqual({ winner: paid.reference });
  });

  it('heeds what is said late of a turn only as far as that turn goes', async () => {
    const debt = fresh('debt');
    const asked = await startOrder({ orderReference: debt });
    const claims = (reference: string, turn: number) => asked.executeUpdate(claim, { args: [{ reference, turn }] });
    const gives = (reference: string, turn: number) =>
      asked.executeUpdate(settle, { args: [{ reference, turn, captured: false }] });
    const reserved = async () => (await stateOf(debt)).reserved;
    await claims('a', 1);
    await gives('a', 1);
    await claims('a', 2);
    await gives('a', 1);
    expect(await reserved()).toEqual({ reference: 'a', turn: 2 });
    await expect(claims('b', 1)).rejects.toThrow();
    await gives('a', 2);
    await expect(claims('a', 2)).rejects.toThrow();
    await claims('b', 1);
    await gives('a', 2);
    expect(await reserved()).toEqual({ reference: 'b', turn: 1 });
    await asked.executeUpdate(settle, { args: [{ reference: 'c', turn: 0, captured: true }] });
    expect(await stateOf(debt)).toMatchObject({ winner: 'c' });
    expect(await reserved()).toBeUndefined();
    await asked.terminate();
  });

  it('takes no more links than it can tell', async () => {
    const debt = fresh('debt');
    const links = Array.from({ length: 100 }, (_, at) => ({ reference: `link-${at}` }));
    const full = await startOrder({ orderReference: debt, state: { links, joined: links.length } });
    const request = { ...AT.paymennt, reference: fresh('order'), orderReference: debt };
    expect(await shop.create(request)).toMatchObject({ status: 409, body: { code: 'not_allowed' } });
    expect(await shop.ledger('paymennt', request.reference)).toEqual([]);
    await full.terminate();
  });
});
