import type { Money } from '../money.ts';
import type { Address, Customer } from './requests.ts';

/** Checkout statuses as the API spells them [seed; PENDING_CONFIRMATION and CHARGEBACK from the OpenAPI document]. */
export const STATUSES = [
  'PENDING',
  'AUTHORIZED',
  'PENDING_CONFIRMATION',
  'PAID',
  'FAILED',
  'CANCELLED',
  'EXPIRED',
  'REFUNDED',
  'PARTIALLY_REFUNDED',
  'CHARGEBACK',
] as const;

export type Status = (typeof STATUSES)[number];

/**
 * Statuses of a payment. The document also has REDIRECT, FAILED, REJECTED, REVERSED, PARTIALLY_REVERSED and UNSUPPORTED;
 * a refund leaves the payment CAPTURED here [assumed: the document tells of refunds on the checkout only].
 */
export type PaymentStatus = 'AUTHORIZED' | 'CAPTURED' | 'VOIDED' | 'CHARGEBACK';

/** Money a customer gave. Failed attempts leave none behind, only a ledger entry. */
export interface Payment {
  id: string;
  status: PaymentStatus;
  money: Money;
  /** Minor units given back so far. */
  refunds: { minor: number; at: string; note: string; referenceId?: string }[];
  at: number;
}

/**
 * A checkout with everything that belongs to it, so that one write changes it whole. Instants in milliseconds.
 * In each currency at most one payment holds captured money: what the control plane adds later is added to that payment,
 * so that reading the checkout's payment always tells everything the ledger knows.
 */
export interface Checkout {
  id: string;
  displayId: string;
  checkoutKey: string;
  merchant: string;
  requestId: string;
  orderId: string;
  description: string;
  money: Money;
  customer?: Customer & { reference?: string };
  billingAddress?: Address;
  deliveryAddress?: Address;
  branchId: string;
  status: Status;
  /** Oldest first; the last one is what `paymentId` names. */
  payments: Payment[];
  paidAt?: number;
  createdAt: number;
  expiresAt: number;
}

/** The payment that `paymentId` names. */
export function currentPayment(checkout: Checkout): Payment | undefined {
  return checkout.payments.at(-1);
}

/** A hold that neither was captured nor voided. */
export function liveHold(checkout: Checkout): Payment | undefined {
  return checkout.payments.find((payment) => payment.status === 'AUTHORIZED');
}

/** Payments whose money was taken, disputed or not. */
export function taken(checkout: Checkout): Payment[] {
  return checkout.payments.filter(({ status }) => status === 'CAPTURED' || status === 'CHARGEBACK');
}

/** Minor units given back of one payment. */
export function refundedOf(payment: Payment): number {
  return payment.refunds.reduce((sum, refund) => sum + refund.minor, 0);
}

/** Whether the checkout still ends by itself when its time is up. */
export function isOpen(checkout: Checkout): boolean {
  return checkout.status === 'PENDING' || checkout.status === 'AUTHORIZED';
}

/** The status that taken money gives a checkout, or `undefined` when none was taken. */
export function moneyStatus(checkout: Checkout): Status | undefined {
  const payments = taken(checkout);
  if (payments.length === 0) return undefined;
  if (payments.some(({ status }) => status === 'CHARGEBACK')) return 'CHARGEBACK';
  if (payments.every((payment) => refundedOf(payment) >= payment.money.minor)) return 'REFUNDED';
  return payments.some((payment) => payment.refunds.length > 0) ? 'PARTIALLY_REFUNDED' : 'PAID';
}
