import { createHmac } from 'node:crypto';
import { type Link, type Transaction, takenOf } from './link.ts';
import { merchantNamed } from './merchants.ts';
import { toStamp } from './zone.ts';

/** A link as its create call answers it. */
export function linkOnWire(link: Link, publicUrl: string): Record<string, unknown> {
  const { email = null, fullName = null, phoneNumber = null } = link;
  return {
    id: link.id,
    currency: link.money.currency,
    client_info: { email, full_name: fullName, phone_number: phoneNumber },
    reference_id: link.reference ?? null,
    shorten_url: `${publicUrl}/paymob/l/${link.code}`,
    amount_cents: link.money.minor,
    payment_link_image: link.image ? `${publicUrl}/paymob/media/${link.code}` : null,
    description: link.description ?? null,
    created_at: toStamp(link.createdAt),
    expires_at: link.expiresAtText ?? null,
    client_url: pageUrl(link, publicUrl),
    origin: 2,
    merchant_staff_tag: null,
    state: link.state,
    paid_at: null,
    redirection_url: link.redirectionUrl ?? null,
    notification_url: link.notificationUrl ?? null,
    order: link.order,
  };
}

/** Where the customer pays. Made from the server's present address, so old links open after a change of port. */
export function pageUrl(link: Link, publicUrl: string): string {
  return `${publicUrl}/paymob/api/ecommerce/payment-links/unrestricted?token=${link.token}`;
}

/** A transaction as inquiries, money calls and callbacks show it. */
export function transactionOnWire(link: Link, transaction: Transaction): Record<string, unknown> {
  const { kind, parent, money, source } = transaction;
  const { profile } = merchantNamed(link.merchant);
  const isPayment = kind === 'payment';
  return {
    id: transaction.id,
    pending: false,
    amount_cents: money.minor,
    success: transaction.success,
    is_auth: isPayment && transaction.isAuth,
    is_capture: kind === 'capture',
    is_captured: transaction.captured > 0,
    captured_amount: transaction.captured,
    is_standalone_payment: isPayment,
    is_voided: transaction.voided,
    is_void: kind === 'void',
    is_refunded: transaction.refunded > 0,
    is_refund: kind === 'refund',
    refunded_amount_cents: transaction.refunded,
    is_3d_secure: isPayment,
    integration_id: transaction.integration,
    profile_id: profile,
    has_parent_transaction: parent !== undefined,
    parent_transaction: parent ?? null,
    owner: profile,
    error_occured: false,
    is_live: link.live,
    is_settled: transaction.settled,
    api_source: 'QUICKLINK',
    currency: money.currency,
    created_at: toStamp(transaction.at),
    updated_at: toStamp(transaction.at),
    source_data: source,
    order: orderOnWire(link),
    data: {
      message: transaction.message,
      txn_response_code: transaction.success ? 'APPROVED' : 'DECLINED',
      acq_response_code: transaction.success ? '00' : '05',
    },
    payment_key_claims: {
      amount_cents: link.money.minor,
      currency: link.money.currency,
      order_id: link.order,
      integration_id: transaction.integration,
      next_payment_intention: `pi_test_${link.token}`,
    },
  };
}

/** The order behind a link. `is_canceled` follows the link, and holds are no paid money [assumed: both]. */
function orderOnWire(link: Link): Record<string, unknown> {
  const paid = link.transactions
    .filter(({ kind, money }) => kind === 'payment' && money.currency === link.money.currency)
    .reduce((sum, payment) => sum + takenOf(payment), 0);
  return {
    id: link.order,
    created_at: toStamp(link.createdAt),
    amount_cents: link.money.minor,
    paid_amount_cents: paid,
    currency: link.money.currency,
    merchant_order_id: link.reference ?? null,
    payment_status: paid > 0 ? 'PAID' : 'UNPAID',
    is_cancel: false,
    is_canceled: link.state === 'canceled',
    api_source: 'QUICKLINK',
    data: { notification_url: link.notificationUrl ?? null },
    items: [],
  };
}

/** The fields of a transaction that are signed, sorted by key. */
const SIGNED =
  'amount_cents created_at currency error_occured has_parent_transaction id integration_id is_3d_secure is_auth is_capture is_refunded is_standalone_payment is_voided order.id owner pending source_data.pan source_data.sub_type source_data.type success';

/** Lower-case hex HMAC-SHA512 over the values of the signed fields, one after the other. */
export function hmacOf(transaction: Record<string, unknown>, secret: string): string {
  const hmac = createHmac('sha512', secret);
  for (const [, value] of signedFields(transaction)) hmac.update(value);
  return hmac.digest('hex');
}

/** What the customer's browser takes back to the merchant: the signed fields, flat, and the signature. For display only. */
export function redirectQuery(transaction: Record<string, unknown>, secret: string): URLSearchParams {
  const fields = signedFields(transaction).map(([name, value]): [string, string] => [
    name === 'order.id' ? 'order' : name,
    value,
  ]);
  return new URLSearchParams([...fields, ['hmac', hmacOf(transaction, secret)]]);
}

function signedFields(transaction: Record<string, unknown>): [name: string, value: string][] {
  return SIGNED.split(' ').map((path) => {
    const [name = '', inner] = path.split('.');
    const outer = transaction[name];
    const value = inner === undefined ? outer : (outer as Record<string, unknown>)[inner];
    return [path, value === null || value === undefined ? '' : `${value}`];
  });
}
