import type { Attention } from './exceptions.ts';
import { closingOf, type Facts, latePayments, newestHold, newestOpening, sums } from './facts.ts';

/** What the merchant asked for, normalised: currencies upper case, instants epoch milliseconds, defaults not filled in. */
export interface Terms {
  account: string;
  reference: string;
  /** Minor units of `currency`, > 0. */
  amount: number;
  currency: string;
  /** Decimal places of `currency` (ISO 4217). */
  exponent: number;
  expiresAt?: number;
  capture?: 'automatic' | 'manual';
  description?: string;
  customer?: { name?: string; email?: string; phone?: string };
  metadata?: Record<string, string>;
  redirectUrl?: string;
  policies?: Partial<Policies>;
  providerOptions?: Record<string, unknown>;
  /** The debt this link may pay, shared with other links: only one of them keeps the money. */
  orderReference?: string;
}

/** What to do when the merchant is not there to decide. Account options give the defaults, a link may override. */
export interface Policies {
  latePayment: 'accept' | 'refund' | 'hold';
  excess: 'hold' | 'refund_excess';
  uncaptured: 'release' | 'capture';
  /** How long before a hold lapses it is captured or released. */
  captureMarginSeconds: number;
  /** How long a closed link is watched for late money. */
  graceSeconds: number;
  /** How long a paid link stays open for refunds and disputes. */
  refundWindowSeconds: number;
}

/** What a provider can do for one link, frozen when the link was created. */
export interface Abilities {
  inquire: boolean;
  findByReference: boolean;
  capture: false | 'full' | 'partial';
  cancel: boolean;
  refund: false | 'full' | 'partial';
  /** A paid link takes further payments until it is disabled. */
  reusable: boolean;
  extend: boolean;
  /** Operations a second try of which with the same key cannot happen twice. */
  repeatable: readonly WriteKind[];
}

/** What the provider made of our create call. */
export interface Created {
  provider: string;
  /** The id the provider knows the link by; the sandbox ledger's `link`. */
  providerLinkId: string;
  /** Every id a webhook may name the link by, `providerLinkId` included. */
  ids: string[];
  /** Key of the link's payment, where it is known before there is one and is not `providerLinkId`. */
  paymentKey?: string;
  url: string;
  /** As the provider holds it: what was asked, rounded down to what it can hold. */
  expiresAt: number;
  /** The provider closes the link at `expiresAt` by itself. */
  expiresByItself: boolean;
  /** The provider's own end of a hold, where it has one. */
  holdEndsAt?: number;
  /** The account's limit on the age of a hold. */
  holdWindowSeconds?: number;
  /** The account lets unsigned webhooks count as money where the provider cannot be asked. */
  acceptUnsigned?: boolean;
  abilities: Abilities;
  policies: Policies;
  /** Whatever else the adapter needs to find this link again. */
  handle?: Record<string, string>;
}

export type WriteKind = 'create' | 'capture' | 'cancel' | 'refund';
export type OperationKind =
  | WriteKind
  | 'extend'
  | 'mark-paid'
  | 'mark-refunded'
  | 'resync'
  | 'acknowledge'
  | 'resolve-unknown';
export type OperationState = 'queued' | 'running' | 'succeeded' | 'refused' | 'failed' | 'unknown';

/** One thing that was asked of the provider, by a person or by the engine (actor `perdure`). */
export interface Operation {
  /** The caller's idempotency key, or a name no key can have for the engine's own. */
  id: string;
  kind: OperationKind;
  /** Minor units of the link's currency, for capture and refund. */
  amount?: number;
  state: OperationState;
  at: number;
  finishedAt?: number;
  actor: string;
  reason?: string;
  /** The provider's id of what the operation made. */
  providerId?: string;
  error?: { code: string; message: string };
  /** Of verb and body: the same key with another fingerprint is a conflict. */
  fingerprint: string;
  /** Totals the operation started from: what tells whether an unknown one happened. */
  basis?: { captured: number; refunded: number; voided: number };
  /** For extend: the new expiry. */
  expiresAt?: number;
  /** For refund: the payment it is about, where it was not left to the provider's adapter. */
  payment?: string;
  /** For what the engine decides about a hold: the payment that was held last. */
  hold?: string;
  /** For refund: asked for although a dispute stands. */
  forced?: boolean;
  /** For acknowledge: what a person has seen. */
  acknowledges?: Exception;
  /** For resync: a lower figure of the provider is taken as true. */
  accept?: boolean;
  /** For resolve-unknown: which operation, and what a person found out about it. */
  resolves?: { operation: string; outcome: 'happened' | 'absent' };
}

export type Status =
  | 'creating'
  | 'pending'
  | 'authorized'
  | 'paid'
  | 'partially_refunded'
  | 'refunded'
  | 'failed'
  | 'cancelled'
  | 'expired';

export type Exception =
  | 'late_payment'
  | 'underpaid'
  | 'overpaid'
  | 'currency_mismatch'
  | 'duplicate_payment'
  | 'unknown_outcome'
  | 'unexplained_money'
  | 'unverified_payment'
  | 'provider_disagrees'
  | 'expired_unconfirmed'
  | 'cancel_unconfirmed'
  | 'refund_manual'
  | 'refund_failed'
  | 'disputed';

/** The words of the paths an operator may use now. */
export type Action =
  | 'capture'
  | 'cancel'
  | 'refund'
  | 'extend'
  | 'mark-paid'
  | 'mark-refunded'
  | 'resync'
  | 'acknowledge'
  | 'resolve-unknown';

/** Everything status, exceptions and permissions are derived from. */
export interface Matter {
  terms: Terms;
  facts: Facts;
  operations: readonly Operation[];
  created?: Created;
  /** What unsigned webhooks said where nobody can be asked: shown, never counted. */
  unverified?: Facts;
  /** What a person has to see, and what has been seen. */
  attention?: Attention;
  /** Another link paid the order: nothing is due here any more. */
  lostTo?: string;
}

/** What callers see. Amounts are minor units of `currency`, instants RFC 3339 in UTC. */
export interface Link {
  reference: string;
  account: string;
  /** Null only until the first answer of a link started without a gateway. */
  provider: string | null;
  status: Status;
  exceptions: Exception[];
  amount: number;
  authorized: number;
  captured: number;
  refunded: number;
  currency: string;
  url: string | null;
  providerLinkId: string | null;
  createdAt: string;
  expiresAt: string | null;
  captureBefore?: string;
  operations: LinkOperation[];
  allowed: Action[];
  metadata?: Record<string, string>;
  orderReference?: string;
}

/** An operation as callers see it. */
export type LinkOperation = Pick<
  Operation,
  'id' | 'kind' | 'amount' | 'state' | 'actor' | 'reason' | 'providerId' | 'error'
> & { at: string; finishedAt?: string };

/** What must be there for the link to count as paid: the amount, or less if we ourselves captured less. */
export function dueOf({ terms, operations }: Matter): number {
  const captures = operations.filter((op) => op.kind === 'capture' && op.state === 'succeeded');
  if (captures.length === 0) return terms.amount;
  const captured = captures.reduce((sum, op) => sum + (op.amount ?? terms.amount), 0);
  return Math.min(terms.amount, captured);
}

/** Status follows the money; only where there is none does it follow the link. */
export function statusOf(matter: Matter): Status {
  const { terms, facts, operations } = matter;
  const { captured, refunded, held } = sums(facts, terms.currency);
  const net = captured - refunded;
  if (captured > 0 && net >= dueOf(matter)) return 'paid';
  if (refunded > 0 && net > 0) return 'partially_refunded';
  if (captured > 0 && net === 0) return 'refunded';
  if (held > 0) return 'authorized';
  const opening = newestOpening(facts);
  if (opening) return closingOf(opening)?.status ?? 'pending';
  return operations.some((op) => op.kind === 'create' && op.state === 'refused') ? 'failed' : 'creating';
}

/** The engine captures what is held as soon as it sees it, unless that was tried and did not succeed. */
export function capturesAtOnce(matter: Matter): boolean {
  const { terms, facts, created, operations } = matter;
  if (matter.lostTo !== undefined || releasesAtOnce(matter)) return false;
  const hold = newestHold(facts, terms.currency);
  const tried = operations.filter(
    (op) => op.kind === 'capture' && op.actor === 'perdure' && (op.hold ?? hold) === hold,
  );
  const failed = tried.some((op) => isSettled(op) || op.state === 'unknown');
  return terms.capture !== 'manual' && !!created?.abilities.capture && !failed;
}

/** Late money that is only held and must not be kept is let go instead of being taken and given back. */
export function releasesAtOnce({ facts, created }: Matter): boolean {
  return created?.policies.latePayment === 'refund' && latePayments(facts).length > 0;
}

/** A refund the provider cannot make: it waits for a person who gives the money back and marks it. */
export function isManual(operation: Operation): boolean {
  return operation.state === 'running' && operation.error?.code === 'refund_manual';
}

/** Whether the facts show that an operation did what it was for. */
export function happened(operation: Operation, { terms, facts }: Matter): boolean {
  const { captured, refunded, voided, held } = sums(facts, terms.currency);
  const { basis, amount = 0 } = operation;
  if (!basis) return false;
  switch (operation.kind) {
    case 'capture':
      return captured >= basis.captured + amount;
    case 'refund':
      return refunded >= basis.refunded + amount;
    case 'cancel':
      // A closed link whose hold still lives is only half of it.
      return held === 0 && (closingOf(newestOpening(facts))?.confirmed === true || voided > basis.voided);
    default:
      return false;
  }
}

/** An operation nobody needs to wait for any longer. */
export function isSettled(operation: Pick<Operation, 'state'>): boolean {
  return operation.state === 'succeeded' || operation.state === 'refused' || operation.state === 'failed';
}
