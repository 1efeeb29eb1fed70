/** How BoomFi's answers read as facts; the sources behind each reading stand at the top of boomfi.ts. */
import { z } from 'zod';
import {
  currenciesOf,
  type Facts,
  newestNumber,
  type Opening,
  type PaymentTotals,
  type Reading,
} from '../../workflows/facts.ts';
import type { Terms } from '../../workflows/link.ts';
import { evidenceOf, minorOf, shaped, wordOf } from '../answers.ts';
import { type Answer, ProviderError, type ProviderLink } from '../provider.ts';

export const text = z.string().min(1).max(200);
/** Absent values come as null, as an empty text, or not at all [seed, public]. */
const maybe = z.string().nullish();
const plan = z.object({ price: maybe, currency: maybe, reference: maybe }).nullish();

export const paylinkShape = z.object({
  /** KSUIDs [seed]; the id becomes part of an address. */
  id: z.string().regex(/^[0-9A-Za-z]{27}$/, 'must be a KSUID'),
  plan_id: maybe,
  enabled: z.boolean(),
  plan,
});
export type Paylink = z.infer<typeof paylinkShape>;

export const paymentShape = z.object({
  id: text,
  /** An integer in the API's document, a word in webhooks and live answers [public]. */
  status: z.union([z.int(), text]),
  /** What moved: the crypto leg, or fiat where the customer paid by card [public]. */
  amount: maybe,
  currency: maybe,
  /** In webhooks only [public]. */
  plan_price: maybe,
  plan_currency: maybe,
  plan,
  payment_link: z.object({ id: maybe, plan }).nullish(),
  crypto_transaction: z.object({ type: z.union([z.int(), z.string()]).nullish() }).nullish(),
  created_at: maybe,
});
export type Payment = z.infer<typeof paymentShape>;

/** Payment statuses [public]; the spelling of the words varies between sources, the numbers do not. */
export const PAYMENT: Readonly<Record<string, { number: number; paid?: boolean; inFlight?: boolean; docs: string }>> = {
  UNKNOWN: { number: 1, docs: 'pending' },
  REQUIRESPAYMENTMETHOD: { number: 2, docs: 'pending' },
  REQUIRESCONFIRMATION: { number: 3, docs: 'pending' },
  REQUIRESACTION: { number: 4, docs: 'pending' },
  PROCESSING: { number: 5, inFlight: true, docs: 'pending, money in flight' },
  SUCCEEDED: { number: 6, paid: true, docs: 'paid' },
  CANCELLED: { number: 7, docs: 'attempt cancelled, the link stays pending' },
  FAILED: { number: 8, docs: 'attempt failed, the link stays pending' },
};
/** Of a link: its `enabled`, in words. */
export const LINK = { ENABLED: 'pending', DISABLED: 'cancelled, or expired after the deadline' } as const;

/** On-chain type of a refund [public: 6 in an enumeration, no document of what such a payment looks like]. */
const REFUND_TRANSACTION = ['6', 'REFUND', 'TRANSACTIONTYPEREFUND'];

/** A list may still show the state before our own call: so long is it not taken for somebody's re-enabling [assumed]. */
const LIST_LAG_MS = 60_000;

/** What one read showed, and what was known before it. */
export interface Seen {
  link: ProviderLink;
  /** Missing when the lists, which go back a limited time, do not show it: then it is as it was. */
  paylink?: Paylink;
  /** Every payment of the link that is known or was found. */
  payments: readonly Payment[];
  known: Facts;
  tolerancePercent: number;
  /** Instant at which the read began. */
  at: number;
}

/** Facts of one read. The payment key is the payment's id; every source names it. */
export function factsOf({ link, paylink, payments, known, tolerancePercent, at }: Seen): Answer {
  const moved: Record<string, Record<string, PaymentTotals>> = {};
  const unknown: string[] = [];
  // What can be shown is shown for every currency in which money is known, even if it is nothing any more; refunds
  // cannot be, so the latest read says nothing about them.
  const totals: Reading['totals'] = Object.fromEntries(
    currenciesOf(known).map((currency) => [currency, { authorized: 0, captured: 0 }]),
  );
  for (const payment of payments) {
    const word = wordOfPayment(payment);
    if (!PAYMENT[word]) unknown.push(`payment ${word}`);
    if (!PAYMENT[word]?.paid) continue;
    if (isRefund(payment)) {
      unknown.push('payment of transaction type Refund');
      continue;
    }
    const { minor, currency } = moneyOf(payment, tolerancePercent);
    moved[payment.id] = { [currency]: { authorized: minor, captured: minor, refunded: 0, voided: 0, seenAt: at } };
    const { captured = 0 } = totals[currency] ?? {};
    totals[currency] = { authorized: captured + minor, captured: captured + minor };
  }
  const opening = openingOf(paylink, known, at);
  const { word, inFlight } = summary(payments, moved, isEnabled(paylink, known));
  const raw = JSON.stringify({ link: link.providerLinkId, paylink, payments });
  const facts: Facts = {
    ...(Object.keys(moved).length ? { payments: moved } : {}),
    ...(opening ? { openings: opening } : {}),
    ...(unknown.length ? { unknownWords: Object.fromEntries(unknown.map((name) => [name, at])) } : {}),
    latest: { at, hash: evidenceOf(raw), word, ...(inFlight ? { inFlight } : {}), totals },
  };
  return { facts, evidence: raw };
}

/** One word for what the read showed: money before movement, movement before the link, the link before failed tries. */
function summary(payments: readonly Payment[], moved: object, enabled: boolean): { word: string; inFlight: boolean } {
  const inFlight = payments.some((payment) => PAYMENT[wordOfPayment(payment)]?.inFlight);
  const newest = payments.toSorted((a, b) => ((a.created_at ?? '') < (b.created_at ?? '') ? 1 : -1))[0];
  if (Object.keys(moved).length) return { word: 'SUCCEEDED', inFlight };
  if (inFlight) return { word: 'PROCESSING', inFlight };
  if (!enabled) return { word: 'DISABLED', inFlight };
  return { word: newest ? wordOfPayment(newest) : 'ENABLED', inFlight };
}

function isEnabled(paylink: Paylink | undefined, known: Facts): boolean {
  return paylink?.enabled ?? known.openings?.[newestNumber(known)]?.disabled === undefined;
}

/** `enabled` decides, `deleted_at` does not [seed]. Enabled again by somebody else, the link has another opening. */
function openingOf(paylink: Paylink | undefined, known: Facts, at: number): Record<string, Opening> | undefined {
  if (!paylink) return undefined;
  const number = newestNumber(known);
  if (!paylink.enabled) return { [number]: { disabled: at } };
  const { disabled } = known.openings?.[number] ?? {};
  return disabled !== undefined && at > disabled + LIST_LAG_MS ? { [number + 1]: { opened: at } } : undefined;
}

const NUMBERS = new Map(Object.entries(PAYMENT).map(([word, { number }]) => [String(number), word]));

export function wordOfPayment({ status }: Pick<Payment, 'status'>): string {
  const word = wordOf(String(status)).replaceAll('_', '');
  return NUMBERS.get(word) ?? word;
}

function isRefund({ crypto_transaction: transaction }: Payment): boolean {
  return REFUND_TRANSACTION.includes(String(transaction?.type ?? '').toUpperCase());
}

/**
 * What a payment counts for: the plan's price. The crypto leg is evidence only, its rate is the provider's affair; but a
 * leg in the plan's own currency says itself what was paid, short of the price by more than the tolerance or beyond it.
 */
function moneyOf(payment: Payment, tolerancePercent: number): { minor: number; currency: string } {
  const prices = [
    { price: payment.plan_price, currency: payment.plan_currency },
    payment.payment_link?.plan,
    payment.plan,
  ];
  const found = prices.find((price) => price?.price && price.currency);
  if (!found?.price || !found.currency) {
    throw new ProviderError('unknown', 'unreadable_amount', `payment ${payment.id} names no plan price`);
  }
  const currency = found.currency.toUpperCase();
  const price = minorOf(found.price, currency);
  if (payment.currency?.toUpperCase() !== currency || !payment.amount) return { minor: price, currency };
  const paid = minorOf(payment.amount, currency);
  const tolerated = paid < price && (price - paid) * 100 <= price * tolerancePercent;
  return { minor: tolerated ? price : paid, currency };
}

/** The id of a list's item, and which link it says it belongs to; nothing of an item that is none of ours must matter. */
const namesShape = z.object({
  id: text,
  payment_link: z.object({ id: maybe }).nullish().catch(undefined),
  plan: z.object({ reference: maybe }).nullish().catch(undefined),
});

/** The payment an item is, if it belongs to this link: by the link's id, and only without one by our reference. */
export function paymentOf(item: unknown, link: ProviderLink, { reference }: Terms): Payment | undefined {
  const names = namesShape.safeParse(item).data;
  const paylink = names?.payment_link?.id;
  const ours = paylink ? paylink === link.providerLinkId : names?.plan?.reference === reference;
  return ours ? shaped(paymentShape, item, 'payment') : undefined;
}

/** The paylink with this id among a list's items. */
export function paylinkOf(items: readonly unknown[], id: string): Paylink | undefined {
  const item = items.findLast((each) => namesShape.safeParse(each).data?.id === id);
  return item === undefined ? undefined : shaped(paylinkShape, item, 'paylink');
}
