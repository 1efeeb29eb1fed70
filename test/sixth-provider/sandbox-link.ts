/** A link at Sextant, and everything that can happen to it, as pure functions. Instants in milliseconds. */
import type { LedgerDraft, LedgerKind } from '../../sandbox/ledger.ts';
import type { Money } from '../../sandbox/money.ts';

export interface Payment {
  id: string;
  state: 'held' | 'taken' | 'released' | 'failed';
  money: Money;
  taken: number;
  released: number;
  givenBack: number;
  at: number;
}

export interface Link {
  id: string;
  reference: string;
  requestKey: string;
  money: Money;
  hold: boolean;
  title: string;
  notifyUrl: string;
  state: 'open' | 'held' | 'paid' | 'closed' | 'expired';
  payments: Payment[];
  createdAt: number;
  expiresAt: number;
}

/** What the API answers a refusal with: HTTP status, `code` and `detail`. */
export class No extends Error {
  constructor(
    readonly status: 400 | 401 | 404 | 409 | 422,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

export interface Change {
  link: Link;
  entries: LedgerDraft[];
}
export type Transition = (before: Link) => Change;

const entry = (link: Link, kind: LedgerKind, money?: Money, payment?: string): LedgerDraft => ({
  kind,
  link: link.id,
  reference: link.reference,
  ...(payment && { payment }),
  ...(money && { amount: money.minor, currency: money.currency }),
});

export const created: Transition = (link) => ({ link, entries: [entry(link, 'created', link.money)] });

const wrongState = (link: Link, what: string) => new No(409, 'wrong_state', `a link that is ${link.state} ${what}`);

export const isLive = ({ state }: Link): boolean => state === 'open' || state === 'held';
export const heldOf = ({ payments }: Link): Payment | undefined => payments.find(({ state }) => state === 'held');

/** A payment of the customer's, in any state of the link: late money is money. */
export const paid =
  (id: string, money: Money, hold: boolean): Transition =>
  (before) => {
    const payment: Payment = {
      ...{ id, money, released: 0, givenBack: 0, at: Date.now() },
      state: hold ? 'held' : 'taken',
      taken: hold ? 0 : money.minor,
    };
    const link: Link = { ...before, state: hold ? 'held' : 'paid', payments: [...before.payments, payment] };
    return { link, entries: [entry(link, hold ? 'authorized' : 'captured', money, id)] };
  };

export const declined =
  (id: string): Transition =>
  (before) => {
    const money = before.money;
    const failed = { id, money, state: 'failed' as const, taken: 0, released: 0, givenBack: 0, at: Date.now() };
    return {
      link: { ...before, payments: [...before.payments, failed] },
      entries: [entry(before, 'attempt_failed', money)],
    };
  };

/** Takes `amount` of what is held; the rest of it is released. */
export const take =
  (amount: number): Transition =>
  (before) => {
    const held = heldOf(before);
    if (!held) throw wrongState(before, 'holds nothing to take');
    if (amount > held.money.minor) throw new No(422, 'out_of_range', `only ${held.money.minor} is held`);
    const released = held.money.minor - amount;
    const link = changed({ ...before, state: 'paid' }, { ...held, state: 'taken', taken: amount, released });
    const { currency } = held.money;
    return {
      link,
      entries: [
        entry(link, 'captured', { minor: amount, currency }, held.id),
        ...(released > 0 ? [entry(link, 'voided', { minor: released, currency }, held.id)] : []),
      ],
    };
  };

export const close: Transition = (before) => {
  if (!isLive(before)) throw wrongState(before, 'cannot be closed');
  return ended(before, 'closed', 'cancelled');
};

/** Time is up; a link that was paid or closed before stays what it is. */
export const expired: Transition = (before) =>
  isLive(before) ? ended(before, 'expired', 'expired') : { link: before, entries: [] };

export const prolong =
  (expiresAt: number): Transition =>
  (before) => {
    if (!isLive(before) && before.state !== 'expired') throw wrongState(before, 'cannot be prolonged');
    const state = before.state === 'expired' ? 'open' : before.state;
    return { link: { ...before, state, expiresAt }, entries: [] };
  };

/** Gives money back, of one payment or of the oldest first. */
export const giveBack =
  ({ amount, payment: named }: { amount: number; payment?: string }): Transition =>
  (before) => {
    const from = before.payments.filter(({ id }) => named === undefined || id === named);
    const most = from.reduce((sum, { taken, givenBack }) => sum + taken - givenBack, 0);
    if (most === 0) throw wrongState(before, 'has nothing to give back');
    if (amount > most) throw new No(422, 'out_of_range', `only ${most} can be given back`);
    let [link, left] = [before, amount];
    const entries: LedgerDraft[] = [];
    for (const payment of from) {
      const minor = Math.min(left, payment.taken - payment.givenBack);
      if (minor === 0) continue;
      left -= minor;
      link = changed(link, { ...payment, givenBack: payment.givenBack + minor });
      entries.push(entry(link, 'refunded', { minor, currency: payment.money.currency }, payment.id));
    }
    return { link, entries };
  };

/** The customer's bank sends back what was given back. */
export const giveBackReturned: Transition = (before) => {
  const payment = before.payments.find(({ givenBack }) => givenBack > 0);
  if (!payment) throw wrongState(before, 'has given nothing back');
  const money = { minor: payment.givenBack, currency: payment.money.currency };
  const link = changed(before, { ...payment, givenBack: 0 });
  return { link, entries: [entry(link, 'refund_failed', money, payment.id)] };
};

function ended(before: Link, state: 'closed' | 'expired', kind: LedgerKind): Change {
  const held = heldOf(before);
  const after: Link = { ...before, state };
  if (!held) return { link: after, entries: [entry(after, kind)] };
  const link = changed(after, { ...held, state: 'released', released: held.money.minor });
  return { link, entries: [entry(link, 'voided', held.money, held.id), entry(link, kind)] };
}

function changed(link: Link, payment: Payment): Link {
  return { ...link, payments: link.payments.map((each) => (each.id === payment.id ? payment : each)) };
}
