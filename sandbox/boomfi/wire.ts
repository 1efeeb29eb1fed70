import { createHash } from 'node:crypto';
import { exponentOf, type Money, toDecimal } from '../money.ts';
import { merchantNamed } from './merchants.ts';
import { type Paylink, type Payment, STATUSES } from './paylink.ts';

/**
 * What one unit of a currency is worth in dollars, and so in USDC and USDT [assumed: any rate will do, it never decides
 * what a payment counts for]. Currencies that are not listed are taken one to one.
 */
const USD_RATES: Readonly<Record<string, number>> = { AED: 0.2723, EUR: 1.08, GBP: 1.27, JPY: 0.0067, KWD: 3.25 };

/** Numbers of the payment methods [public]: a customer's wallet pays through the merchant's contract. */
const METHODS = { Crypto: 2, Card: 5 } as const;
/** Numbers of on-chain types and states [public]. */
const TYPE_PAYMENT = 5;
const TRANSACTION_STATUS: Partial<Record<Payment['status'], number>> = { Processing: 1, Succeeded: 2, Failed: 3 };

/** A paylink as create, PATCH and the list answer it. */
export function paylinkOnWire(paylink: Paylink, price: Money = paylink.money): Record<string, unknown> {
  const { orgId } = merchantNamed(paylink.merchant);
  const at = { created_at: instant(paylink.createdAt), updated_at: instant(paylink.updatedAt) };
  return {
    id: paylink.id,
    plan_id: paylink.planId,
    invoice_id: '',
    source: 'BoomFi',
    customer_ident_collection: false,
    shipping_address_collection: false,
    tax_ident_collection: false,
    enabled: paylink.enabled,
    // The published sample has one beside `enabled: true`.
    deleted_at: instant(paylink.createdAt),
    created_by: orgId,
    updated_by: '',
    ...at,
    metadata: paylink.metadata,
    properties: { short_code: paylink.shortCode },
    ...(paylink.imageUrl === undefined ? {} : { image_url: paylink.imageUrl }),
    ...(paylink.accountIds === undefined ? {} : { account_ids: paylink.accountIds }),
    ...(paylink.accountRef === undefined ? {} : { account_ref: paylink.accountRef }),
    plan: planOnWire(paylink, price),
  };
}

/** The plan that stands behind a paylink; `price` is another one in a payment by a variant of the link. */
export function planOnWire(paylink: Paylink, price: Money = paylink.money): Record<string, unknown> {
  const { recurring } = paylink;
  const { orgId } = merchantNamed(paylink.merchant);
  return {
    id: paylink.planId,
    org_id: orgId,
    source: 'BoomFi',
    name: paylink.name,
    type: recurring ? 'Recurring' : 'OneTime',
    billing_scheme: 'FlatFee',
    price: shortest(price),
    currency: price.currency,
    available_quantity: 0,
    trial_period: recurring?.trialPeriod ?? '',
    recurring_interval: recurring?.interval ?? 'Unknown',
    recurring_interval_count: recurring?.count ?? 1,
    recurring_usage_type: 'Unknown',
    reference: paylink.reference,
    enabled: true,
    v1: '',
    created_by: orgId,
    created_at: instant(paylink.createdAt),
    updated_at: instant(paylink.createdAt),
    deleted_at: null,
    metadata: {},
  };
}

/** A payment as the payment calls answer it: status, method and on-chain words are numbers here. */
export function paymentOnWire(paylink: Paylink, payment: Payment): Record<string, unknown> {
  const { wallet } = payment;
  return {
    ...common(paylink, payment),
    customer: customerOnWire(paylink, payment),
    payment_link: paylinkOnWire(paylink, payment.price),
    payment_method: METHODS[methodOf(payment)],
    status: STATUSES[payment.status],
    crypto_transaction: wallet
      ? {
          chain_id: wallet.chainId,
          payment_id: payment.id,
          status: TRANSACTION_STATUS[payment.status] ?? 1,
          transaction_hash: `0x${createHash('sha256').update(payment.id).digest('hex')}`,
          type: TYPE_PAYMENT,
          source: METHODS.Crypto,
          created_at: instant(payment.createdAt),
          updated_at: instant(payment.updatedAt),
        }
      : null,
    properties: {},
  };
}

/** What a payment event tells, in `data` of the list of events and flat in a webhook: words instead of numbers. */
export function paymentNews(paylink: Paylink, payment: Payment): Record<string, unknown> {
  const { orgId, displayName } = merchantNamed(paylink.merchant);
  const { price } = payment;
  const plan = planOnWire(paylink, price);
  return {
    ...common(paylink, payment),
    payment_method: methodOf(payment),
    status: payment.status,
    amount_usd: dollars(price).toFixed(2),
    plan_currency: price.currency,
    plan_price: shortest(price),
    plan: Object.fromEntries(
      ['id', 'name', 'type', 'price', 'currency', 'reference'].map((field) => [field, plan[field]]),
    ),
    org: { id: orgId, name: displayName },
    customer: customerOnWire(paylink, payment),
  };
}

function common(paylink: Paylink, payment: Payment): Record<string, unknown> {
  return {
    id: payment.id,
    parent_id: '',
    org_id: merchantNamed(paylink.merchant).orgId,
    ...legOf(payment),
    customer_id: payment.customerId,
    invoice_id: '',
    next_action: '',
    source: 'BoomFi',
    scheduled_time: 0,
    created_at: instant(payment.createdAt),
    updated_at: instant(payment.updatedAt),
  };
}

/** `amount` and `currency`: what moved. From a wallet that is crypto, six decimals of it. */
function legOf({ wallet, money }: Payment): { amount: string; currency: string } {
  if (!wallet) return { amount: exact(money), currency: money.currency };
  return { amount: dollars(money).toFixed(6), currency: wallet.asset };
}

function customerOnWire(paylink: Paylink, payment: Payment): Record<string, unknown> {
  const { orgId } = merchantNamed(paylink.merchant);
  const wallet_address = payment.wallet?.address ?? '';
  return { id: payment.customerId, org_id: orgId, name: '', email: '', reference: '', wallet_address };
}

const methodOf = ({ wallet }: Payment) => (wallet ? 'Crypto' : 'Card');
const dollars = (money: Money) => toDecimal(money) * (USD_RATES[money.currency] ?? 1);

/** `100.50`: amounts are text here, so the digits are moved and no float has a part in it. */
function exact({ minor, currency }: Money): string {
  const exponent = exponentOf(currency);
  const digits = String(minor).padStart(exponent + 1, '0');
  return exponent === 0 ? digits : `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/** Without zeros at the end, as the samples print prices: `1`, `100.5`. */
const shortest = (money: Money) =>
  exact(money)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');

export const instant = (at: number) => new Date(at).toISOString();

/** Where the customer pays. Made from the server's present address, so old links open after a change of port. */
export const pageUrl = ({ id }: Paylink, publicUrl: string) => `${publicUrl}/boomfi/pay/${id}`;
