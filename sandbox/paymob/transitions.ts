import type { LedgerDraft, LedgerKind } from '../ledger.ts';
import { exponentOf, type Money, toDecimal } from '../money.ts';
import { type ActionInput, Refused } from '../provider.ts';
import {
  captureTooLarge,
  fullyRefunded,
  notCancellable,
  notCapturable,
  notRefundable,
  notVoidable,
  refundTooLarge,
  unknownTransaction,
} from './errors.ts';
import { type Link, liveHold, payments, type Transaction, taken, takenOf } from './link.ts';

/**
 * Everything that can happen to a link, as pure functions: from a link to the next one and its ledger entries. What Paymob
 * would turn down throws `ApiError`, what makes no sense of the control plane `Refused`.
 */
export interface Change {
  link: Link;
  entries: LedgerDraft[];
  /** Transactions to be told of, in this order; after a child its payment is sent again. */
  news: number[];
}

/** Where new transactions get their id and instant from. */
export interface Stamp {
  id: number;
  at: number;
}

export type Transition = (link: Link, stamp: Stamp) => Change;

// What the control plane answers a refusal with.
const CONFLICT = 409;

/** What the customer paid with: the published example's card unless the pay page knows better. */
export type Source = Transaction['source'];
export const CARD: Source = { type: 'card', sub_type: 'MasterCard', pan: '2346' };

export function created(link: Link): Change {
  return { link, entries: [entry(link, 'created', link.money)], news: [] };
}

/** A declined attempt: a transaction of its own, and the link as payable as before. */
export const attemptFailed =
  (source: Source = CARD): Transition =>
  (before, stamp) => {
    const attempt = {
      ...payment(before, before.money, stamp, source, before.holds),
      success: false,
      message: 'Do not honour',
    };
    const link = { ...before, transactions: [...before.transactions, attempt] };
    return { link, entries: [entry(link, 'attempt_failed', before.money, attempt.id)], news: [attempt.id] };
  };

/** Money taken at once; of a live hold of enough money, a capture. */
export const paid =
  (money?: Money, source: Source = CARD): Transition =>
  (before, stamp) => {
    const hold = liveHold(before);
    const minor = money?.minor ?? hold?.money.minor ?? 0;
    if (hold && (money === undefined || (money.currency === hold.money.currency && minor <= hold.money.minor))) {
      return captured(hold.id, minor)(before, stamp);
    }
    const sale = payment(before, money ?? before.money, stamp, source, false);
    const link = settle({ ...before, transactions: [...before.transactions, sale] });
    return { link, entries: [entry(link, 'captured', sale.money, sale.id)], news: [sale.id] };
  };

/** Money held for a later capture. */
export const held =
  (money?: Money, source: Source = CARD): Transition =>
  (before, stamp) => {
    const hold = payment(before, money ?? before.money, stamp, source, true);
    const link = { ...before, transactions: [...before.transactions, hold] };
    return { link, entries: [entry(link, 'authorized', hold.money, hold.id)], news: [hold.id] };
  };

/** The documented capture, whole or in part, and once: what it leaves is given back with it [assumed]. */
export const captured =
  (id: number, minor: number): Transition =>
  (before, stamp) => {
    const hold = payments(before).find((known) => known.id === id);
    if (!hold?.isAuth || hold.captured > 0 || hold.voided) throw notCapturable();
    if (minor > hold.money.minor) throw captureTooLarge();
    const after = child(before, hold, 'capture', { ...hold, captured: minor }, minor, stamp);
    const change = done(settle(after), 'captured', hold, minor, stamp);
    if (minor === hold.money.minor) return change;
    const rest = { ...hold.money, minor: hold.money.minor - minor };
    return { ...change, entries: [...change.entries, entry(change.link, 'voided', rest, hold.id)] };
  };

/** The documented void: of a hold, or of a payment of the same business day. */
export const voided =
  (id: number): Transition =>
  (before, stamp) => {
    const whole = before.transactions.find((known) => known.id === id);
    if (!whole) throw unknownTransaction();
    if (whole.kind !== 'payment' || !whole.success || whole.voided || whole.settled || whole.refunded > 0) {
      throw notVoidable();
    }
    // What a capture left was given back with it.
    const minor = whole.captured || whole.money.minor;
    return done(child(before, whole, 'void', { ...whole, voided: true }, minor, stamp), 'voided', whole, minor, stamp);
  };

/** The documented refund, in as many parts as one likes. */
export const refunded =
  (id: number, minor: number): Transition =>
  (before, stamp) => {
    const whole = before.transactions.find((known) => known.id === id);
    if (!whole) throw unknownTransaction();
    const most = takenOf(whole) - whole.refunded;
    if (whole.kind !== 'payment' || takenOf(whole) === 0) throw notRefundable();
    if (most === 0) throw fullyRefunded();
    if (minor > most) throw refundTooLarge(asPrinted({ minor: most, currency: whole.money.currency }));
    const after = child(before, whole, 'refund', { ...whole, refunded: whole.refunded + minor }, minor, stamp);
    return done(after, 'refunded', whole, minor, stamp);
  };

/** The documented cancel: closes the link and leaves its payments alone. */
export const cancelled: Transition = (before) => {
  if (before.state !== 'created') throw notCancellable(before.state);
  const link: Link = { ...before, state: 'canceled' };
  return { link, entries: [entry(link, 'cancelled')], news: [] };
};

/** Time is up. Payments stay what they are. */
export const expired: Transition = (before) => {
  if (before.state !== 'created') return { link: before, entries: [], news: [] };
  const link: Link = { ...before, state: 'expired' };
  return { link, entries: [entry(link, 'expired')], news: [] };
};

/** The business day ends: nothing of it can be voided any more. */
export const settled: Transition = (before) => {
  const transactions = before.transactions.map((known) => ({ ...known, settled: true }));
  return { link: { ...before, transactions }, entries: [], news: [] };
};

/** The newest refund did not reach the customer: the merchant has the money again. */
export const refundFailed =
  ({ amount }: ActionInput): Transition =>
  (before) => {
    const refund = before.transactions.findLast(({ kind, success }) => kind === 'refund' && success);
    const whole = before.transactions.find(({ id }) => id === refund?.parent);
    if (!refund || !whole) throw new Refused('refund_fails: the link has no refund', CONFLICT);
    if (amount !== undefined && amount !== refund.money.minor) {
      throw new Refused(`amount: the newest refund is ${refund.money.minor} minor units, and fails whole`, CONFLICT);
    }
    const { minor } = refund.money;
    const failed = { ...refund, success: false, message: 'Refund was returned' };
    const link = replaced(replaced(before, failed), { ...whole, refunded: whole.refunded - minor });
    return { link, entries: [entry(link, 'refund_failed', refund.money, whole.id)], news: [refund.id, whole.id] };
  };

/** Paymob restates what the newest payment was: more is money that came in, less is money `voided`. */
export const corrected =
  ({ amount, currency }: ActionInput): Transition =>
  (before) => {
    const whole = payments(before).findLast((payment) => !payment.voided);
    if (!whole) throw new Refused('correct: the link has no payment', CONFLICT);
    const was = { minor: takenOf(whole) || whole.money.minor, currency: whole.money.currency };
    const is = { minor: amount ?? was.minor, currency: currency ?? was.currency };
    const same = is.currency === was.currency;
    if (whole.refunded > (same ? is.minor : 0)) {
      throw new Refused('amount: more than that was refunded already', CONFLICT);
    }
    const total = Math.max(is.minor, whole.captured > 0 && same ? whole.money.minor : 0);
    const money = { minor: total, currency: is.currency };
    const link = replaced(before, { ...whole, money, captured: whole.captured > 0 ? is.minor : 0 });
    const comesIn: LedgerKind = takenOf(whole) > 0 ? 'captured' : 'authorized';
    const moved = (kind: LedgerKind, minor: number, of: string) => entry(link, kind, { minor, currency: of }, whole.id);
    const change = is.minor - was.minor;
    const entries = !same
      ? [moved('voided', was.minor, was.currency), moved(comesIn, is.minor, is.currency)]
      : change === 0
        ? []
        : [change > 0 ? moved(comesIn, change, is.currency) : moved('voided', -change, is.currency)];
    return { link, entries, news: [whole.id] };
  };

export const impossible =
  (why: string): Transition =>
  () => {
    throw new Refused(why, CONFLICT);
  };

function payment(link: Link, money: Money, { id, at }: Stamp, source: Source, isAuth: boolean): Transaction {
  return {
    id,
    kind: 'payment',
    money,
    success: true,
    integration: link.integrations[0]!,
    isAuth,
    source,
    message: 'Approved',
    captured: 0,
    refunded: 0,
    voided: false,
    settled: false,
    at,
  };
}

/** The link with one more child, and its payment as it is now. */
function child(
  before: Link,
  of: Transaction,
  kind: Transaction['kind'],
  now: Transaction,
  minor: number,
  { id, at }: Stamp,
): Link {
  const money = { minor, currency: of.money.currency };
  const made = {
    ...of,
    id,
    at,
    kind,
    parent: of.id,
    money,
    captured: 0,
    refunded: 0,
    voided: false,
    message: 'Approved',
  };
  const link = replaced(before, now);
  return { ...link, transactions: [...link.transactions, made] };
}

function done(link: Link, kind: LedgerKind, of: Transaction, minor: number, { id }: Stamp): Change {
  const money = { minor, currency: of.money.currency };
  return { link, entries: [entry(link, kind, money, of.id)], news: [id, of.id] };
}

const replaced = (link: Link, now: Transaction): Link => ({
  ...link,
  transactions: link.transactions.map((known) => (known.id === now.id ? now : known)),
});

/** Taken money makes a link paid, unless it was closed before: late money opens nothing. */
function settle(link: Link): Link {
  return link.state === 'created' && taken(link).length > 0 ? { ...link, state: 'paid' } : link;
}

/** `EGP 100.0`, as the published text has it: at least one decimal, no more than there are. */
function asPrinted(money: Money): string {
  const value = toDecimal(money);
  return `${money.currency} ${Number.isInteger(value) && exponentOf(money.currency) > 0 ? value.toFixed(1) : value}`;
}

function entry(link: Link, kind: LedgerKind, money?: Money, of?: number): LedgerDraft {
  return {
    kind,
    link: String(link.id),
    reference: link.reference ?? '',
    ...(of === undefined ? {} : { payment: String(of) }),
    ...(money && { amount: money.minor, currency: money.currency }),
  };
}
