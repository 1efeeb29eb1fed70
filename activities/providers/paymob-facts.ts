/** How Paymob's transactions read as facts; the sources behind each reading stand at the top of paymob.ts. */
import { z } from 'zod';
import { currenciesOf, type Facts, type PaymentTotals, paymentsIn, type Reading } from '../../workflows/facts.ts';
import { minorUnits } from '../../workflows/money.ts';
import { evidenceOf, wordOf } from '../answers.ts';
import { type Answer, ProviderError } from '../provider.ts';

/**
 * What a capture leaves of a hold is given back [assumed: the flag `is_captured` makes a payment paid, and no flag tells
 * of a rest that could still be captured]. So a hold is captured once.
 */
const CAPTURE_ENDS_HOLD = true;

/** Ids are numbers; as text they survive everything. */
export const id = z
  .union([z.int().positive(), z.string().regex(/^[1-9]\d*$/)])
  .refine((value) => Number.isSafeInteger(Number(value)))
  .transform((value) => String(value));

/** Integer minor units, as a number or as text. */
export const cents = z.union([z.number(), z.string()]).transform((value, context) => {
  try {
    const minor = minorUnits(value, 0);
    if (minor >= 0) return minor;
  } catch {
    // Told below.
  }
  context.addIssue('must be whole minor units');
  return z.NEVER;
});

/** Older samples send text [public]; absent is no. */
const flag = z
  .union([z.boolean(), z.string().regex(/^(true|false)$/i)])
  .nullish()
  .transform((value) => String(value ?? false).toLowerCase() === 'true');

const currency = z
  .string()
  .regex(/^[A-Za-z]{3}$/)
  .transform((code) => code.toUpperCase());

/** The part of a transaction that is read; the document has three times as many fields. */
export const transactionShape = z.object({
  id,
  pending: flag,
  success: flag,
  amount_cents: cents,
  currency,
  is_auth: flag,
  is_capture: flag,
  is_captured: flag,
  captured_amount: cents.nullish(),
  is_voided: flag,
  is_void: flag,
  is_refunded: flag,
  is_refund: flag,
  refunded_amount_cents: cents.nullish(),
  has_parent_transaction: flag,
  parent_transaction: id.nullish(),
  order: z.object({
    id,
    paid_amount_cents: cents.nullish(),
    currency: currency.nullish(),
    is_cancel: flag,
    is_canceled: flag,
  }),
});
export type Transaction = z.infer<typeof transactionShape>;

/** The transaction this one is a capture, void or refund of; undefined for a payment. */
export function parentOf(transaction: Transaction): string | undefined {
  const { is_capture, is_refund, is_void, has_parent_transaction, parent_transaction } = transaction;
  if (parent_transaction) return parent_transaction;
  if (!is_capture && !is_refund && !is_void && !has_parent_transaction) return undefined;
  throw new ProviderError('unknown', 'unreadable_answer', `transaction ${transaction.id} does not name its parent`);
}

/** Money that was given back of a flag alone: how much is worth another look. */
export const hidesItsRefunds = ({ is_refunded, refunded_amount_cents }: Transaction) =>
  is_refunded && !refunded_amount_cents;

/** Minor units taken from the customer, refunds aside. Amounts are trusted before flags: public texts disagree on those. */
function takenOf({ is_auth, is_captured, captured_amount, amount_cents }: Transaction): number {
  if (!is_auth) return amount_cents;
  return captured_amount || (is_captured ? amount_cents : 0);
}

function refundedOf(transaction: Transaction): number {
  const taken = takenOf(transaction);
  return hidesItsRefunds(transaction) ? taken : Math.min(transaction.refunded_amount_cents ?? 0, taken);
}

interface Row {
  /** Our name for it: the provider has flags and no word. */
  word: string;
  /** The documented test [seed, public]. */
  flags: string;
  docs: string;
  holds(payment: Transaction): boolean;
}

/** What a payment is, by the first test that holds. */
const PAYMENT: readonly Row[] = [
  {
    word: 'VOIDED',
    flags: 'is_voided',
    docs: 'a hold, or a payment of the same day, given back',
    holds: ({ is_voided }) => is_voided,
  },
  {
    word: 'REFUNDED',
    flags: 'refunded_amount_cents ≥ captured or paid amount',
    docs: 'refunded',
    holds: (payment) => refundedOf(payment) > 0 && refundedOf(payment) >= takenOf(payment),
  },
  {
    word: 'PARTIALLY_REFUNDED',
    flags: '0 < refunded_amount_cents < that amount',
    docs: 'partially_refunded',
    holds: (payment) => refundedOf(payment) > 0,
  },
  { word: 'PENDING', flags: 'pending', docs: 'pending, money in flight', holds: ({ pending }) => pending },
  {
    word: 'AUTHORIZED',
    flags: 'success and is_auth and not is_captured',
    docs: 'authorized',
    holds: (payment) => payment.success && takenOf(payment) === 0,
  },
  { word: 'PAID', flags: 'success', docs: 'paid', holds: ({ success }) => success },
  { word: 'DECLINED', flags: 'not success', docs: 'attempt failed, the link stays pending', holds: () => true },
];

const rowOf = (payment: Transaction) => PAYMENT.find(({ holds }) => holds(payment))!.word;

/** What is read of an order that nobody has tried to pay; a new link reads so too. */
const UNTRIED = 'CREATED';

/** Link `state` [example: seed; the other words: third parties]. Only the create answer shows it. */
const STATE: Readonly<Record<string, { closes?: 'cancelled' | 'expired'; docs: string }>> = {
  CREATED: { docs: 'pending' },
  ACTIVE: { docs: 'pending' },
  PAID: { docs: 'shown; the money is read from the transaction' },
  CANCELLED: { closes: 'cancelled', docs: 'cancelled' },
  EXPIRED: { closes: 'expired', docs: 'expired' },
};

export const STATUSES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(STATE).map(([word, { docs }]) => [`link ${word}`, docs])),
  ...Object.fromEntries(PAYMENT.map(({ flags, docs }) => [flags, docs])),
};

/** Facts of a create answer. */
export function factsOfState(state: string, now: number, raw: string): Facts {
  const word = wordOf(state);
  const said = STATE[word];
  return {
    openings: { '0': { opened: now, ...(said?.closes ? { [said.closes]: now } : {}) } },
    ...(said ? {} : { unknownWords: { [`link ${word}`]: now } }),
    latest: { at: now, hash: evidenceOf(raw), word: UNTRIED, totals: {} },
  };
}

type Totals = Omit<PaymentTotals, 'seenAt'>;

/** What a payment moved; undefined while nothing did. */
function totalsOf(payment: Transaction): Totals | undefined {
  const word = rowOf(payment);
  if (word === 'PENDING' || word === 'DECLINED') return undefined;
  const taken = takenOf(payment);
  const authorized = Math.max(payment.amount_cents, taken);
  if (word === 'VOIDED') return { authorized, captured: 0, refunded: 0, voided: authorized };
  const rest = CAPTURE_ENDS_HOLD && taken > 0 ? authorized - taken : 0;
  return { authorized, captured: taken, refunded: refundedOf(payment), voided: rest };
}

export interface Seen {
  /** The order of the link a customer has. */
  order: string;
  /** Every known payment of the order and every one found now: transactions without a parent. */
  payments: readonly Transaction[];
  /** The one the order's inquiry led to. */
  newest?: Transaction;
  known: Facts;
  /** Instant of the observation. */
  now: number;
  raw: string;
}

/** Facts of a whole read. The payment key is the original transaction: children are resolved before. */
export function factsOf({ order: own, payments, newest, known, now, raw }: Seen): Answer {
  const moved: Record<string, Record<string, PaymentTotals>> = {};
  const totals: Record<string, Totals> = {};
  // All payments are read, so what is not shown of a currency is not there.
  for (const other of currenciesOf(known)) totals[other] = { ...NOTHING };
  for (const payment of payments) {
    const found = totalsOf(payment);
    if (!found) continue;
    moved[payment.id] = { [payment.currency]: { ...found, seenAt: now } };
    totals[payment.currency] ??= { ...NOTHING };
    const sum = totals[payment.currency]!;
    for (const field of FIELDS) sum[field] += found[field];
  }
  const stated = unexplained(payments);
  // An order nobody can pay any more: in a read, the only sign that the link was cancelled [assumed]. A hold that is
  // still there is not given back by that, so it is not over.
  const closed =
    payments.some(({ order }) => order.id === own && (order.is_cancel || order.is_canceled)) &&
    !payments.some((payment) => rowOf(payment) === 'AUTHORIZED');
  const inFlight = payments.some((payment) => rowOf(payment) === 'PENDING');
  const word = newest ? rowOf(newest) : payments[0] ? rowOf(payments[0]) : UNTRIED;
  const latest: Reading = { at: now, hash: evidenceOf(raw), word, ...(inFlight ? { inFlight } : {}), totals };
  return {
    facts: {
      ...(Object.keys(moved).length ? { payments: moved } : {}),
      ...(stated ? { stated } : {}),
      ...(closed ? { openings: { '0': { cancelled: now } } } : {}),
      latest,
    },
    evidence: raw,
  };
}

const NOTHING: Totals = { authorized: 0, captured: 0, refunded: 0, voided: 0 };
const FIELDS = ['authorized', 'captured', 'refunded', 'voided'] as const;

/**
 * The order's own total, where it is more than the payments we could read account for: the inquiry shows the last
 * transaction only. Whether it counts holds, or falls with a void, is nowhere said; both are allowed for here.
 */
function unexplained(payments: readonly Transaction[]): Record<string, number> | undefined {
  const found = new Map<string, number>();
  for (const payment of payments) {
    const gross = totalsOf(payment)?.authorized ?? 0;
    found.set(payment.currency, (found.get(payment.currency) ?? 0) + gross);
  }
  const stated = payments
    .map(({ order, currency }) => [order.currency ?? currency, order.paid_amount_cents ?? 0] as const)
    .filter(([of, paid]) => paid > (found.get(of) ?? 0));
  return stated.length ? Object.fromEntries(stated) : undefined;
}

/** Known totals of one payment. */
export function knownTotals(known: Facts, key: string, of: string): PaymentTotals {
  const nothing = { ...NOTHING, seenAt: Number.MAX_SAFE_INTEGER };
  return paymentsIn(known, of).find(([name]) => name === key)?.[1] ?? nothing;
}
