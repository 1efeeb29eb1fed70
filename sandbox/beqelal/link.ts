import type { LedgerDraft, LedgerKind } from '../ledger.ts';
import { type ActionInput, Refused } from '../provider.ts';
import type { LinkRequest } from './requests.ts';

export const CURRENCY = 'ETB';

/**
 * Words of a payment result: PROCESSED and FAILED [public], the others [assumed]. A link that was only made is PENDING
 * here; the PROCESSED of the create answer speaks of the create request.
 */
export type Status = 'PENDING' | 'FAILED' | 'PROCESSED' | 'EXPIRED' | 'DEACTIVATED';

/**
 * Money a customer gave. A link has one payment [assumed: the status call shows one]: what the control plane adds later
 * is added to it, so that what can be asked always tells all that the ledger knows.
 */
export interface Payment {
  transactionId: string;
  /** Santim, without the fee that the customer pays on top. */
  minor: number;
  bankName: string;
  /** The payer's, where he gave one. */
  phone: string;
  at: number;
}

/** A payment link with everything that belongs to it, so that one write changes it whole. Instants in milliseconds. */
export interface Link extends Omit<LinkRequest, 'expiresAt'> {
  id: string;
  /** What `id` was made from: tells the id source how far it had come. */
  serial: string;
  /** Last part of the pay page's address. */
  key: string;
  merchant: string;
  status: Status;
  payment?: Payment;
  createdAt: number;
  /** When this sandbox closes the link: `expires_at`, or sooner where minutes are shortened. */
  endsAt: number;
}

/** What happened to a link, as pure functions: the link afterwards and the ledger entries. */
export interface Change {
  link: Link;
  entries: LedgerDraft[];
}

/** Where a new payment gets its id and instant from. */
export interface Stamp {
  transactionId: string;
  at: number;
}

// What the control plane answers a refusal with.
const CONFLICT = 409;

/** Whether a customer can pay on the page. */
export function isOpen({ status }: Link): boolean {
  return status === 'PENDING' || status === 'FAILED';
}

export function created(link: Link): Change {
  return { link, entries: [entry(link, 'created', link.minor)] };
}

/** Money came in, in any state: late money is money. */
export function paid(before: Link, payer: { minor: number; bankName: string; phone: string }, stamp: Stamp): Change {
  const { minor } = payer;
  const payment = before.payment
    ? { ...before.payment, minor: before.payment.minor + minor }
    : { ...payer, transactionId: stamp.transactionId, at: stamp.at };
  const link: Link = { ...before, status: 'PROCESSED', payment };
  return { link, entries: [entry(link, 'captured', minor)] };
}

/** An attempt that came to nothing: the link can still be paid. */
export function attemptFailed(before: Link): Change {
  const link: Link = isOpen(before) ? { ...before, status: 'FAILED' } : before;
  return { link, entries: [entry(link, 'attempt_failed', before.minor)] };
}

/** Time is up. Money that came stays, and with it the link's word. */
export function expired(before: Link): Change {
  return isOpen(before) ? closed(before, 'EXPIRED', 'expired') : { link: before, entries: [] };
}

/** Deactivated by the merchant, in the portal or by the API; once more changes nothing. */
export function deactivated(before: Link): Change {
  if (before.payment) throw new Refused('LINK_ALREADY_PAID', CONFLICT);
  return before.status === 'DEACTIVATED' ? { link: before, entries: [] } : closed(before, 'DEACTIVATED', 'cancelled');
}

/** The provider restates what was paid: more is money that came in, less is money `voided`. */
export function corrected(before: Link, { amount }: ActionInput): Change {
  const { payment } = before;
  if (!payment) throw new Refused('correct: the link has no payment', CONFLICT);
  const change = (amount ?? payment.minor) - payment.minor;
  const link = { ...before, payment: { ...payment, minor: payment.minor + change } };
  if (change === 0) return { link: before, entries: [] };
  return { link, entries: [entry(link, change > 0 ? 'captured' : 'voided', Math.abs(change))] };
}

/** What Beqelal has no notion of. */
export function impossible(action: string): never {
  throw new Refused(`${action}: Beqelal takes money at once and gives none back`, CONFLICT);
}

/** Refuses another currency: Beqelal pays in birr only. */
export function onlyBirr({ currency = CURRENCY }: ActionInput): void {
  if (currency !== CURRENCY) throw new Refused(`currency: Beqelal pays in ${CURRENCY} only`, CONFLICT);
}

function closed(before: Link, status: Status, kind: LedgerKind): Change {
  const link: Link = { ...before, status };
  return { link, entries: [entry(link, kind)] };
}

function entry(link: Link, kind: LedgerKind, minor?: number): LedgerDraft {
  const money = kind === 'captured' || kind === 'voided';
  return {
    kind,
    link: link.id,
    reference: link.traceNumber,
    ...(money && link.payment && { payment: link.payment.transactionId }),
    ...(minor !== undefined && { amount: minor, currency: CURRENCY }),
  };
}
