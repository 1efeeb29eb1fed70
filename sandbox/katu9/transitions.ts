import type { LedgerDraft, LedgerKind } from '../ledger.ts';
import type { Money } from '../money.ts';
import { Refused } from '../provider.ts';
import {
  type LinkStatus,
  liveLink,
  type PaymentLink,
  referenceOf,
  type Status,
  type Transaction,
} from './transaction.ts';

/**
 * Everything that can happen to a transaction, as pure functions: from a transaction to the next one and its ledger
 * entries. What Katu9 would turn down is checked by the API; what makes no sense throws `Refused` for the control plane.
 */
export interface Change {
  transaction: Transaction;
  entries: LedgerDraft[];
}

export type Transition = (now: Transaction, at: number) => Change;

const CONFLICT = 409;

/** A payout is no link: the ledger starts with deposits only. */
export function created(transaction: Transaction): Change {
  const entries = transaction.type === 'DEPOSIT' ? [entry(transaction, 'created', transaction.requested)] : [];
  return { transaction, entries };
}

/** Another page for the same transaction: nothing new is owed, so the ledger does not mention it. */
export function withLink(before: Transaction, link: PaymentLink, at: number): Change {
  return { transaction: { ...before, status: 'PENDING', links: [...before.links, link], updatedAt: at }, entries: [] };
}

/** Money came in, in whatever state. More of it adds to what was paid: the API has one amount and one currency. */
export const paid =
  ({ minor, currency }: Money): Transition =>
  (before, at) => {
    if (before.paid && before.paid.currency !== currency) {
      throw new Refused(`currency: the transaction was paid in ${before.paid.currency}`, CONFLICT);
    }
    const total = { minor: (before.paid?.minor ?? 0) + minor, currency, at: before.paid?.at ?? at };
    const transaction = moved({ ...before, paid: total }, 'COMPLETED', 'USED', at);
    return { transaction, entries: [entry(transaction, 'captured', { minor, currency })] };
  };

/** A customer's try was declined: nothing changes but the ledger. */
export const attemptFailed: Transition = (before) => ({
  transaction: before,
  entries: [entry(before, 'attempt_failed', liveLink(before)?.money ?? before.requested)],
});

/** Failed for good; once it is paid only an older try can still fail. */
export const failed: Transition = (before, at) => {
  if (before.paid) return attemptFailed(before, at);
  const transaction = moved(before, 'FAILED', 'CANCELLED', at);
  return { transaction, entries: [entry(transaction, 'attempt_failed', before.requested)] };
};

/** The customer called it off on the page; the API has no cancel. */
export const cancelled: Transition = (before, at) => {
  const transaction = moved(before, 'CANCELLED', 'CANCELLED', at);
  return { transaction, entries: [entry(transaction, 'cancelled')] };
};

/** The link's time is up, and with it the transaction's until another link is generated [assumed]. */
export const expired: Transition = (before, at) => {
  if (before.paid || before.status !== 'PENDING') return { transaction: before, entries: [] };
  const transaction = moved(before, 'EXPIRED', 'EXPIRED', at);
  return { transaction, entries: [entry(transaction, 'expired')] };
};

/** The merchant gives everything back in the dashboard: there is no call for it, only the word. */
export const refunded: Transition = (before, at) => {
  const rest = (before.paid?.minor ?? 0) - before.refunded;
  if (!before.paid || rest === 0) throw new Refused('refund: the link has nothing to give back', CONFLICT);
  const transaction = moved({ ...before, refunded: before.paid.minor }, 'REFUNDED', 'USED', at);
  return { transaction, entries: [entry(transaction, 'refunded', { ...before.paid, minor: rest })] };
};

/** What was given back did not reach the customer: the merchant has it again. */
export const refundFailed: Transition = (before, at) => {
  if (!before.paid || before.refunded === 0) throw new Refused('refund_fails: the link has no refund', CONFLICT);
  const transaction = moved({ ...before, refunded: 0 }, 'COMPLETED', 'USED', at);
  return { transaction, entries: [entry(transaction, 'refund_failed', { ...before.paid, minor: before.refunded })] };
};

/** Katu9 restates what was paid: more is money that came in, less is `voided`, as the ledger says it. */
export const corrected =
  (to: Partial<Money>): Transition =>
  (before, at) => {
    if (!before.paid) throw new Refused('correct: the link has no payment', CONFLICT);
    if (before.refunded > 0) throw new Refused('correct: the payment was refunded already', CONFLICT);
    const was: Money = before.paid;
    const is: Money = { minor: to.minor ?? was.minor, currency: to.currency ?? was.currency };
    const transaction = { ...before, paid: { ...is, at: before.paid.at }, updatedAt: at };
    const change = (kind: LedgerKind, { minor, currency }: Money) => entry(transaction, kind, { minor, currency });
    if (is.currency !== was.currency) return { transaction, entries: [change('voided', was), change('captured', is)] };
    const more = is.minor - was.minor;
    if (more === 0) return { transaction: before, entries: [] };
    return { transaction, entries: [change(more > 0 ? 'captured' : 'voided', { ...is, minor: Math.abs(more) })] };
  };

/** The transaction with a new status; its live link, if any, ends with the given word. */
function moved(before: Transaction, status: Status, linkEnds: LinkStatus, at: number): Transaction {
  const links = before.links.map((link) => (link.status === 'ACTIVE' ? { ...link, status: linkEnds } : link));
  return { ...before, status, links, updatedAt: at };
}

/** A transaction is one payment at most, so its id names the payment too. */
function entry(transaction: Transaction, kind: LedgerKind, money?: Money): LedgerDraft {
  const isPayment = ['captured', 'voided', 'refunded', 'refund_failed'].includes(kind);
  return {
    kind,
    link: transaction.id,
    reference: referenceOf(transaction),
    ...(isPayment && { payment: transaction.id }),
    ...(money && { amount: money.minor, currency: money.currency }),
  };
}
