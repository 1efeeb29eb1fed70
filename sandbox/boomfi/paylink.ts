import type { Money } from '../money.ts';
import type { LinkRequest } from './requests.ts';

/** Payment statuses by their number in the API's document; webhooks and events use the words. */
export const STATUSES = {
  Unknown: 1,
  RequiresPaymentMethod: 2,
  RequiresConfirmation: 3,
  RequiresAction: 4,
  Processing: 5,
  Succeeded: 6,
  Canceled: 7,
  Failed: 8,
} as const;

export type Status = keyof typeof STATUSES;

/** How a customer paid: from a wallet on some chain, or by card. */
export interface Wallet {
  asset: string;
  chainId: number;
  address: string;
}

/** One try to pay. A paylink can be paid again and again, each time by another payment. */
export interface Payment {
  id: string;
  customerId: string;
  status: Status;
  /** The plan's price for this customer. */
  price: Money;
  /** What was taken or will be, in fiat: differs from the price where the customer paid more or less. */
  money: Money;
  /** Without one the customer paid by card. */
  wallet?: Wallet;
  /** The try's name in the form, so that a form that is sent twice pays once. */
  attempt?: string;
  createdAt: number;
  updatedAt: number;
}

/** A paylink with its plan and everything paid through it, so that one write changes it whole. Instants in milliseconds. */
export interface Paylink extends LinkRequest {
  id: string;
  planId: string;
  merchant: string;
  shortCode: string;
  enabled: boolean;
  /** Oldest first. */
  payments: Payment[];
  createdAt: number;
  updatedAt: number;
}

export const isPaid = ({ payments }: Paylink): boolean => payments.some(({ status }) => status === 'Succeeded');

/** The try that is under way on the chain. */
export function processing({ payments }: Paylink): Payment | undefined {
  return payments.findLast(({ status }) => status === 'Processing');
}
