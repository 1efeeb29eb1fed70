import { toDecimal } from '../money.ts';
import type { PaymentLink, Transaction } from './transaction.ts';

/** Hex HMAC-SHA256 of the raw body, and the event's name. */
export const SIGNATURE_HEADER = 'X-Katu9-Signature';
export const EVENT_HEADER = 'X-Webhook-Event';

/** The two events the document names; both report what the merchant itself did, none tells of a payment. */
export type Event = 'transaction.created' | 'payment_link.created';

/**
 * A transaction as `POST` and `GET /transaction` answer it. Fields after `status` are not published: `paymentLink` (the
 * newest), `updatedAt` and the echo of what was sent are [assumed]. `amount` is what was paid as soon as it is paid.
 */
export function transactionOnWire(transaction: Transaction, publicUrl: string): Record<string, unknown> {
  const { requested, paid } = transaction;
  const link = transaction.links.at(-1);
  return {
    id: transaction.id,
    type: transaction.type,
    amount: toDecimal(paid ?? requested),
    requestedAmount: toDecimal(requested),
    currency: (paid ?? requested).currency,
    status: transaction.status,
    metadata: transaction.metadata,
    paymentMethodId: transaction.paymentMethodId ?? null,
    redirectUrl: transaction.redirectUrl ?? null,
    createdAt: new Date(transaction.createdAt).toISOString(),
    updatedAt: new Date(transaction.updatedAt).toISOString(),
    ...(link && { paymentLink: linkOnWire(link, publicUrl) }),
  };
}

/** The documented link; `url` is [assumed]: the document has no address for the payer, yet a link must be shareable. */
export function linkOnWire(link: PaymentLink, publicUrl: string): Record<string, unknown> {
  return {
    id: link.id,
    expiresAt: new Date(link.expiresAt).toISOString(),
    amount: toDecimal(link.money),
    currency: link.money.currency,
    status: link.status,
    redirectUrl: link.redirectUrl ?? null,
    url: pageUrl(link, publicUrl),
  };
}

/** Nested as the create answers are [assumed: the document says "payment link + transactionId"]. */
export function eventBody(event: Event, transaction: Transaction, publicUrl: string): string {
  const link = transaction.links.at(-1);
  const data =
    event === 'transaction.created'
      ? { transaction: transactionOnWire({ ...transaction, links: [] }, publicUrl) }
      : { paymentLink: link && linkOnWire(link, publicUrl), transactionId: transaction.id };
  return JSON.stringify({ event, data });
}

/** Where the customer pays. Made from the server's present address, so old links open after a change of port. */
export function pageUrl({ id }: PaymentLink, publicUrl: string): string {
  return `${publicUrl}/katu9/pay/${id}`;
}
