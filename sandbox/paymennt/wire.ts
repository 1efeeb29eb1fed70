import { toDecimal } from '../money.ts';
import { type Checkout, currentPayment, type Payment, refundedOf, type Status } from './checkout.ts';
import { merchantNamed } from './merchants.ts';

/**
 * The field that names a checkout's payment. No published schema has one, yet capture wants the id: this is the smallest
 * addition that makes the documented capture usable [assumed].
 */
export const PAYMENT_ID_FIELD = 'paymentId';

/** Names the webhook signature: hex HMAC-SHA256 of the raw body with the registration's `hmacKey` [assumed]. */
export const SIGNATURE_HEADER = 'X-Paymennt-Signature';

/** A checkout as every checkout call answers it. */
export function checkoutOnWire(checkout: Checkout, publicUrl: string): Record<string, unknown> {
  const { money, customer } = checkout;
  const payment = currentPayment(checkout);
  return {
    id: checkout.id,
    displayId: checkout.displayId,
    checkoutKey: checkout.checkoutKey,
    requestId: checkout.requestId,
    orderId: checkout.orderId,
    currency: money.currency,
    amount: toDecimal(money),
    cashAmount: 0,
    status: checkout.status,
    totalRefunded: totalRefunded(checkout, payment),
    redirectUrl: pageUrl(checkout, publicUrl),
    usedPaymentMethod: payment ? 'CARD' : null,
    customer: customer ?? null,
    billingAddress: checkout.billingAddress ?? null,
    deliveryAddress: checkout.deliveryAddress ?? null,
    subscriptionId: null,
    branchId: checkout.branchId,
    branchName: merchantNamed(checkout.merchant).displayName,
    timestamp: timestamp(checkout.createdAt),
    // The Firestore push channel is not part of the sandbox.
    firebaseDatabase: null,
    firebaseCollection: null,
    firebaseDocument: null,
    ...(payment && { [PAYMENT_ID_FIELD]: payment.id }),
  };
}

/** A payment as the payment calls answer it: what was really paid, whatever was asked. */
export function paymentOnWire(checkout: Checkout, payment: Payment, publicUrl: string): Record<string, unknown> {
  return {
    id: payment.id,
    currency: payment.money.currency,
    amount: toDecimal(payment.money),
    status: payment.status,
    checkoutDetails: checkoutOnWire(checkout, publicUrl),
    timestamp: timestamp(payment.at),
  };
}

/**
 * The webhook's body: flat, as integrators see it. No document lists the fields; which of our ids is `referenceId` is
 * [assumed]. `status` may be older news than the checkout's own.
 */
export function notificationBody(checkout: Checkout, status: Status = checkout.status): string {
  return JSON.stringify({
    id: checkout.id,
    status,
    orderId: checkout.orderId,
    referenceId: checkout.requestId,
    grandtotal: toDecimal(checkout.money),
    currency: checkout.money.currency,
    paidOn: checkout.paidAt === undefined ? null : timestamp(checkout.paidAt),
    customerEmail: checkout.customer?.email ?? null,
    customerFirstName: checkout.customer?.firstName ?? null,
    customerLastName: checkout.customer?.lastName ?? null,
  });
}

/** Where the customer pays. Made from the server's present address, so old links open after a change of port. */
export function pageUrl(checkout: Checkout, publicUrl: string): string {
  return `${publicUrl}/paymennt/checkout/${checkout.checkoutKey}`;
}

/** Refunds in the currency of the payment that `paymentId` names, which is all a reader can compare them with. */
function totalRefunded(checkout: Checkout, current: Payment | undefined): number {
  const currency = current?.money.currency ?? checkout.money.currency;
  const alike = checkout.payments.filter((payment) => payment.money.currency === currency);
  return toDecimal({ minor: alike.reduce((sum, payment) => sum + refundedOf(payment), 0), currency });
}

/** `yyyy-MM-ddTHH:mm:ss.SSS+00:00`, the document's format. */
function timestamp(at: number): string {
  return new Date(at).toISOString().replace('Z', '+00:00');
}
