import type { LedgerDraft, LedgerKind } from '../ledger.ts';
import type { Money } from '../money.ts';
import { type ActionInput, Refused } from '../provider.ts';
import {
  type Checkout,
  currentPayment,
  liveHold,
  moneyStatus,
  type Payment,
  type PaymentStatus,
  refundedOf,
  type Status,
  taken,
} from './checkout.ts';
import type { RefundRequest } from './requests.ts';

/**
 * Everything that can happen to a checkout, as pure functions: from a checkout to the next one and its ledger entries.
 * What paymennt would turn down throws `Refused` with the text of its error.
 */
export interface Change {
  checkout: Checkout;
  entries: LedgerDraft[];
}

/** Where new payments get their id and instant from. */
export interface Stamp {
  id: string;
  at: number;
}

// The control plane's refusals: these are no answers of paymennt's.
const CONFLICT = 409;

export function created(checkout: Checkout): Change {
  return { checkout, entries: [entry(checkout, 'created', checkout.money)] };
}

/** A customer's card was declined: nothing changes but the ledger. */
export function attemptFailed(checkout: Checkout): Change {
  return { checkout, entries: [entry(checkout, 'attempt_failed', checkout.money)] };
}

/** Money taken at once. Captures a live hold of the same money instead, and gives any other hold back first. */
export function sale(before: Checkout, money: Money, stamp: Stamp): Change {
  const hold = liveHold(before);
  if (hold && same(hold.money, money)) return captured(before, hold.id, stamp.at);

  const { checkout, entries } = withoutHold(before);
  const earlier = taken(checkout).find((payment) => payment.money.currency === money.currency);
  const payment = earlier ? grown(earlier, money.minor) : newPayment('CAPTURED', money, stamp);
  const after = settle(withPayment({ ...checkout, paidAt: checkout.paidAt ?? stamp.at }, payment));
  return { checkout: after, entries: [...entries, entry(after, 'captured', money, payment)] };
}

/** Money held for a later capture. A second hold in the same currency adds to the first. */
export function hold(before: Checkout, money: Money, stamp: Stamp): Change {
  const earlier = liveHold(before);
  const adds = earlier?.money.currency === money.currency;
  const { checkout, entries } = adds ? { checkout: before, entries: [] } : withoutHold(before);
  const payment = earlier && adds ? grown(earlier, money.minor) : newPayment('AUTHORIZED', money, stamp);
  // A hold that comes after the checkout's end lives as long again, or it would be gone before anyone can read it.
  const { createdAt, expiresAt } = checkout;
  const lasts = stamp.at < expiresAt ? expiresAt : stamp.at + (expiresAt - createdAt);
  const after = settle(withPayment({ ...checkout, expiresAt: lasts }, payment), 'AUTHORIZED');
  return { checkout: after, entries: [...entries, entry(after, 'authorized', money, payment)] };
}

/** The documented capture: always the full amount. */
export function captured(before: Checkout, paymentId: string, at: number): Change {
  const payment = before.payments.find(({ id }) => id === paymentId);
  if (payment?.status !== 'AUTHORIZED') throw new Refused('Payment status does not allow capture');
  const checkout = settle(withPayment({ ...before, paidAt: before.paidAt ?? at }, { ...payment, status: 'CAPTURED' }));
  return { checkout, entries: [entry(checkout, 'captured', payment.money, payment)] };
}

/** The documented cancel; of an authorized checkout it also gives the hold back [assumed: "Capture or Cancel"]. */
export function cancelled(before: Checkout): Change {
  if (before.status !== 'PENDING' && before.status !== 'AUTHORIZED') {
    throw new Refused('Checkout status does not allow cancellation');
  }
  return closed(before, 'CANCELLED', 'cancelled');
}

/** Time is up: a hold is given back. Taken money stays, and with it the checkout. */
export function expired(before: Checkout): Change {
  if (before.status === 'EXPIRED' || taken(before).length > 0) return { checkout: before, entries: [] };
  return closed(before, 'EXPIRED', 'expired');
}

/** The checkout failed for good; with money taken it is only an older attempt that failed. */
export function failed(before: Checkout): Change {
  if (taken(before).length > 0) return attemptFailed(before);
  return closed(before, 'FAILED', 'attempt_failed');
}

/**
 * The documented refund, whole or in parts. `referenceId` is kept and does not dedupe: its effect is not published, and a
 * caller must be safe where it has none.
 */
export function refunded(before: Checkout, { money, note, referenceId }: RefundRequest, at: number): Change {
  if (before.status !== 'PAID' && before.status !== 'PARTIALLY_REFUNDED') {
    throw new Refused('Checkout status does not allow refund');
  }
  const payment = taken(before).find((candidate) => candidate.money.currency === money.currency);
  if (!payment) throw new Refused('Refund currency does not match paid currency');
  if (money.minor > payment.money.minor - refundedOf(payment)) {
    throw new Refused('Refund amount exceeds paid amount');
  }
  const refund = { minor: money.minor, at: new Date(at).toISOString(), note, referenceId };
  const checkout = settle(withPayment(before, { ...payment, refunds: [...payment.refunds, refund] }));
  return { checkout, entries: [entry(checkout, 'refunded', money, payment)] };
}

/** The newest refund, or `amount` of it, did not reach the customer: the merchant has the money again. */
export function refundFailed(before: Checkout, { amount }: ActionInput): Change {
  const payment = taken(before).findLast(({ refunds }) => refunds.length > 0);
  const refund = payment?.refunds.at(-1);
  if (!payment || !refund) throw new Refused('refund_fails: the link has no refund', CONFLICT);
  const minor = amount ?? refund.minor;
  if (minor > refund.minor) {
    throw new Refused(`amount: the newest refund is only ${refund.minor} minor units`, CONFLICT);
  }
  const kept = minor < refund.minor ? [{ ...refund, minor: refund.minor - minor }] : [];
  const checkout = settle(withPayment(before, { ...payment, refunds: [...payment.refunds.slice(0, -1), ...kept] }));
  const money = { minor, currency: payment.money.currency };
  return { checkout, entries: [entry(checkout, 'refund_failed', money, payment)] };
}

/** The customer's bank takes the money back for now. */
export function chargedBack(before: Checkout, { amount }: ActionInput): Change {
  const payment = taken(before).findLast(({ status }) => status === 'CAPTURED');
  if (!payment) throw new Refused('chargeback: the link has no captured payment', CONFLICT);
  const checkout = settle(withPayment(before, { ...payment, status: 'CHARGEBACK' }));
  const money = { minor: amount ?? payment.money.minor - refundedOf(payment), currency: payment.money.currency };
  return { checkout, entries: [entry(checkout, 'charged_back', money, payment)] };
}

/** The merchant won the dispute. */
export function disputeWon(before: Checkout, { amount }: ActionInput): Change {
  const payment = taken(before).findLast(({ status }) => status === 'CHARGEBACK');
  if (!payment) throw new Refused('dispute_won: the link has no chargeback', CONFLICT);
  const checkout = settle(withPayment(before, { ...payment, status: 'CAPTURED' }));
  const money = { minor: amount ?? payment.money.minor - refundedOf(payment), currency: payment.money.currency };
  return { checkout, entries: [entry(checkout, 'dispute_won', money, payment)] };
}

/**
 * The provider restates what a payment was. The ledger has no word for that: more is money that came in, less is money
 * `voided`, as a voided sale was never captured.
 */
export function corrected(before: Checkout, { amount, currency }: ActionInput): Change {
  const payment = currentPayment(before);
  if (!payment || payment.status === 'VOIDED') throw new Refused('correct: the link has no payment', CONFLICT);
  const money = { minor: amount ?? payment.money.minor, currency: currency ?? payment.money.currency };
  const change = money.currency === payment.money.currency ? money.minor - payment.money.minor : undefined;
  if (refundedOf(payment) > (change === undefined ? 0 : money.minor)) {
    throw new Refused('amount: more than that was refunded already', CONFLICT);
  }

  const checkout = settle(withPayment(before, { ...payment, money }), before.status);
  const comesIn: LedgerKind = payment.status === 'AUTHORIZED' ? 'authorized' : 'captured';
  const moved = (kind: LedgerKind, minor: number, of = money.currency) =>
    entry(checkout, kind, { minor, currency: of }, payment);
  if (change === undefined) {
    const goesOut = moved('voided', payment.money.minor, payment.money.currency);
    return { checkout, entries: [goesOut, moved(comesIn, money.minor)] };
  }
  if (change === 0) return { checkout, entries: [] };
  return { checkout, entries: [change > 0 ? moved(comesIn, change) : moved('voided', -change)] };
}

function closed(before: Checkout, status: Status, kind: LedgerKind): Change {
  const { checkout, entries } = withoutHold(before);
  const after = settle({ ...checkout, status }, status);
  const money = kind === 'attempt_failed' ? before.money : undefined;
  return { checkout: after, entries: [...entries, entry(after, kind, money)] };
}

/** The checkout with its hold, if any, given back; its status is the caller's to set. */
function withoutHold(before: Checkout): Change {
  const payment = liveHold(before);
  if (!payment) return { checkout: before, entries: [] };
  const checkout = withPayment(before, { ...payment, status: 'VOIDED' });
  return { checkout, entries: [entry(checkout, 'voided', payment.money, payment)] };
}

/** Gives the checkout the status its money asks for, and only without any the other word. */
function settle(checkout: Checkout, otherwise: Status = checkout.status): Checkout {
  return { ...checkout, status: moneyStatus(checkout) ?? otherwise };
}

function withPayment(checkout: Checkout, payment: Payment): Checkout {
  const known = checkout.payments.some(({ id }) => id === payment.id);
  const payments = known
    ? checkout.payments.map((other) => (other.id === payment.id ? payment : other))
    : [...checkout.payments, payment];
  return { ...checkout, payments };
}

function newPayment(status: PaymentStatus, money: Money, { id, at }: Stamp): Payment {
  return { id, status, money, refunds: [], at };
}

function grown(payment: Payment, minor: number): Payment {
  return { ...payment, money: { ...payment.money, minor: payment.money.minor + minor } };
}

function same(a: Money, b: Money): boolean {
  return a.minor === b.minor && a.currency === b.currency;
}

function entry(checkout: Checkout, kind: LedgerKind, money?: Money, payment?: Payment): LedgerDraft {
  return {
    kind,
    link: checkout.id,
    reference: checkout.orderId,
    ...(payment && { payment: payment.id }),
    ...(money && { amount: money.minor, currency: money.currency }),
  };
}
