import type { Money } from '../money.ts';
import type { LinkRequest } from './requests.ts';

/**
 * Link states: `created` [example of the provider], the others from third-party texts. A link is `paid` once money was
 * taken; one whose payment is only held is still `created`, and cannot be paid a second time [assumed].
 */
export type State = 'created' | 'paid' | 'canceled' | 'expired';

/** A payment with its totals, or a capture, void or refund of one. Instants in milliseconds. */
export interface Transaction {
  id: number;
  kind: 'payment' | 'capture' | 'void' | 'refund';
  /** The payment it was made of; none for a payment. */
  parent?: number;
  money: Money;
  success: boolean;
  integration: number;
  isAuth: boolean;
  source: { type: string; sub_type: string; pan: string };
  message: string;
  /** Totals of a payment. */
  captured: number;
  refunded: number;
  voided: boolean;
  /** The business day is over: too late for a void. */
  settled: boolean;
  at: number;
}

/** A link with everything that belongs to it, so that one write changes it whole. */
export interface Link extends Omit<LinkRequest, 'expiresAt'> {
  id: number;
  order: number;
  merchant: string;
  /** Of the pay page's address, and of the short one. */
  token: string;
  code: string;
  state: State;
  /** Oldest first, children among them. */
  transactions: Transaction[];
  createdAt: number;
  /** When this sandbox closes the link: `expires_at`, or sooner where minutes are shortened. */
  endsAt: number;
}

export function payments(link: Link): Transaction[] {
  return link.transactions.filter(({ kind, success }) => kind === 'payment' && success);
}

/** Minor units taken from the customer, refunds aside. */
export function takenOf({ isAuth, captured, money, success, voided }: Transaction): number {
  if (!success || voided) return 0;
  return isAuth ? captured : money.minor;
}

/** A hold that was neither captured nor given back. */
export function liveHold(link: Link): Transaction | undefined {
  return payments(link).find(({ isAuth, captured, voided }) => isAuth && captured === 0 && !voided);
}

export function taken(link: Link): Transaction[] {
  return payments(link).filter((payment) => takenOf(payment) > 0);
}

/** Whether a customer can pay on the page. */
export function isOpen(link: Link): boolean {
  return link.state === 'created' && !liveHold(link);
}
