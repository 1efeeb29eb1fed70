import type { Money } from '../money.ts';
import type { Environment } from './merchants.ts';

/** Transaction statuses [assumed: the document calls them "string"]; each the first of its kind in our notes. */
export type Status = 'PENDING' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'EXPIRED' | 'REFUNDED';

/** Payment link statuses [assumed, likewise]. */
export type LinkStatus = 'ACTIVE' | 'EXPIRED' | 'USED' | 'CANCELLED';

/** One page a customer can pay on. A transaction has at most one that is `ACTIVE`. */
export interface PaymentLink {
  id: string;
  money: Money;
  status: LinkStatus;
  description?: string;
  redirectUrl?: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

/** A transaction with its payment links, so that one write changes it whole. Instants in milliseconds. */
export interface Transaction {
  id: string;
  merchant: string;
  environment: Environment;
  type: 'DEPOSIT' | 'WITHDRAWAL';
  /** What was asked for. */
  requested: Money;
  /** What was paid: of one currency, since the API shows one amount. */
  paid?: Money & { at: number };
  /** Minor units of `paid` that the merchant gave back. */
  refunded: number;
  status: Status;
  metadata: Record<string, unknown>;
  paymentMethodId?: string;
  redirectUrl?: string;
  /** Oldest first. */
  links: PaymentLink[];
  createdAt: number;
  updatedAt: number;
}

export function liveLink({ links }: Transaction): PaymentLink | undefined {
  return links.find(({ status }) => status === 'ACTIVE');
}

/**
 * The merchant's reference: the API has no field for one, so merchants put it into `metadata`. `reference` is the name the
 * ledger and the control plane look for; without it a transaction goes by its id.
 */
export function referenceOf({ id, metadata }: Transaction): string {
  return typeof metadata.reference === 'string' && metadata.reference !== '' ? metadata.reference : id;
}
