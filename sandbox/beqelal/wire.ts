import { type Money, toDecimal } from '../money.ts';
import { CURRENCY, type Link, type Status } from './link.ts';
import { localTime } from './requests.ts';

/** Names the webhook signature: hex HMAC-SHA256 of the raw body with the merchant's webhook secret [assumed]. */
export const SIGNATURE_HEADER = 'X-Webhook-Signature';

/**
 * The status answer's field for the pay page. Without it a link whose create answer was lost could never be shared, so
 * this is the smallest addition that makes the status call worth asking [assumed].
 */
export const PAY_PAGE_FIELD = 'payment_link';

/** What the customer pays on top, in percent [assumed: the published example has 10 on 1000]. */
const FEE_PERCENT = 1;

const CODES: Readonly<Record<Status, number>> = {
  PENDING: 200,
  PROCESSED: 200,
  EXPIRED: 200,
  DEACTIVATED: 200,
  // The code of the published wrong-PIN answer.
  FAILED: 423,
};

/** The answer to create. Its PROCESSED is about this request and says nothing of money [seed]. */
export function createdOnWire(link: Link, publicUrl: string): Record<string, unknown> {
  return {
    id: link.id,
    phone: link.phone,
    amount: birr(link.minor),
    item_name: link.itemName ?? null,
    quantity: link.quantity ?? null,
    expires_at: link.expiresAtText,
    reason: link.reason ?? null,
    trace_number: link.traceNumber,
    status: 'PROCESSED',
    status_code: 200,
    payment_link: pageUrl(link, publicUrl),
  };
}

/** A payment result, as webhooks carry it; `status` may be older news than the link's own. */
export function resultOnWire(link: Link, status: Status = link.status): Record<string, unknown> {
  const { payment } = link;
  const minor = payment?.minor ?? link.minor;
  const fee = Math.round((minor * FEE_PERCENT) / 100);
  const settled = status === 'PROCESSED' ? payment : undefined;
  return {
    id: link.id,
    trace_number: link.traceNumber,
    status,
    status_code: CODES[status],
    amount: birr(minor),
    fee: birr(fee),
    total_amount: birr(minor + fee),
    bank_name: settled?.bankName ?? null,
    phone: settled?.phone ?? link.phone,
    transaction_id: settled?.transactionId ?? null,
    reason: link.reason ?? null,
    paid_at: settled ? localTime(settled.at) : null,
  };
}

/** The answer to the status call: the payment result and where to pay. */
export function statusOnWire(link: Link, publicUrl: string): Record<string, unknown> {
  return { ...resultOnWire(link), [PAY_PAGE_FIELD]: pageUrl(link, publicUrl) };
}

/** The wrapper of errors that are not about one field. */
export function failure(code: number, message: string, detail: string) {
  return { error: { status: 'FAILED', status_code: String(code), message, detail } };
}

/**
 * Where the customer pays. The real page keeps its path behind a `#` [seed], which a page without script cannot read.
 * Made from the server's present address, so old links open after a change of port.
 */
export function pageUrl(link: Link, publicUrl: string): string {
  return `${publicUrl}/beqelal/payment/link/${link.key}`;
}

export const moneyOf = (minor: number): Money => ({ minor, currency: CURRENCY });
const birr = (minor: number): number => toDecimal(moneyOf(minor));
