/** How paymennt's answers read as facts; the sources behind each reading stand at the top of paymennt.ts. */
import { z } from 'zod';
import {
  type ClosingWord,
  currenciesOf,
  type DisputeTurn,
  type Facts,
  type PaymentTotals,
  paymentsIn,
  type Reading,
} from '../../workflows/facts.ts';
import { evidenceOf, minorOf, wordOf } from '../answers.ts';
import type { Answer, ProviderLink } from '../provider.ts';

export const text = z.string().min(1).max(200);
const amount = z.union([z.number(), z.string()]);

export const checkoutShape = z.object({
  id: text,
  orderId: text,
  requestId: text,
  currency: text,
  amount,
  status: z.string().min(1),
  totalRefunded: amount.nullish(),
  redirectUrl: z.string().nullish(),
  paymentId: text.nullish(),
});
export type Checkout = z.infer<typeof checkoutShape>;

export const paymentShape = z.object({
  id: text,
  currency: text,
  amount,
  status: z.string().min(1),
  checkoutDetails: z.unknown().optional(),
});
export type Payment = z.infer<typeof paymentShape>;

/** What a word says about money: `held`, `taken`, or given back without ever having been taken (`released`). */
interface Meaning {
  money: 'none' | 'held' | 'taken' | 'released';
  closes?: ClosingWord;
  inFlight?: boolean;
  disputed?: boolean;
  docs: string;
}

/** Checkout statuses [seed; PENDING_CONFIRMATION and CHARGEBACK public]. */
export const CHECKOUT: Readonly<Record<string, Meaning>> = {
  PENDING: { money: 'none', docs: 'pending' },
  PENDING_CONFIRMATION: { money: 'none', inFlight: true, docs: 'pending, money in flight' },
  AUTHORIZED: { money: 'held', docs: 'authorized' },
  PAID: { money: 'taken', docs: 'paid' },
  FAILED: { money: 'none', closes: 'failed', docs: 'failed' },
  CANCELLED: { money: 'none', closes: 'cancelled', docs: 'cancelled, a hold is given back' },
  EXPIRED: { money: 'none', closes: 'expired', docs: 'expired, a hold is given back' },
  PARTIALLY_REFUNDED: { money: 'taken', docs: 'partially_refunded' },
  REFUNDED: { money: 'taken', docs: 'refunded' },
  CHARGEBACK: { money: 'taken', disputed: true, docs: 'paid, disputed' },
};

/** Payment statuses [public: names only, the meanings are our reading]. */
export const PAYMENT: Readonly<Record<string, Meaning>> = {
  REDIRECT: { money: 'none', inFlight: true, docs: 'pending, the customer is at the bank' },
  AUTHORIZED: { money: 'held', docs: 'authorized' },
  CAPTURED: { money: 'taken', docs: 'captured' },
  VOIDED: { money: 'released', docs: 'hold given back' },
  REVERSED: { money: 'released', docs: 'sale given back' },
  FAILED: { money: 'none', docs: 'attempt failed' },
  REJECTED: { money: 'none', docs: 'attempt failed' },
  UNSUPPORTED: { money: 'none', docs: 'attempt failed' },
  CHARGEBACK: { money: 'taken', disputed: true, docs: 'captured, disputed' },
};

/** What one answer showed, and what was known before it. */
export interface Seen {
  link: ProviderLink;
  /** Missing when only the payment was answered. */
  checkout?: Checkout;
  /** Missing when there is none yet, or when it was not read. */
  payment?: Payment;
  known: Facts;
  /** Instant of the observation. */
  now: number;
  raw: string;
}

/**
 * Facts of one answer. The payment key is the checkout, the one id every source can name; a payment that comes after one
 * that was wholly given back is numbered.
 *
 * A checkout whose payment was not read tells its closing, its refunds and the end of a known hold, and leaves out
 * `latest`: amounts it does not show are not made up.
 */
export function factsOf({ link, checkout, payment, known, now, raw }: Seen): Answer {
  const id = link.providerLinkId;
  const checkoutWord = checkout && wordOf(checkout.status);
  const paymentWord = payment && wordOf(payment.status);
  const said = checkoutWord === undefined ? undefined : CHECKOUT[checkoutWord];
  const paid = paymentWord === undefined ? undefined : PAYMENT[paymentWord];
  const unread = checkout?.paymentId !== undefined && checkout.paymentId !== null && !payment;

  // The payment is read after the checkout and knows better, unless it is only an attempt that came to nothing.
  const attempted = paid?.money === 'none';
  const told = (attempted ? undefined : paid?.money) ?? said?.money ?? 'none';
  // A hold does not outlive its checkout [assumed: cancel and expiry give it back].
  const money = said?.closes && told !== 'taken' ? 'released' : told;

  const shows = attempted ? checkout : (payment ?? checkout);
  const key = presentPayment(known, id, money === 'held' || money === 'taken');
  const totals: Reading['totals'] = {};
  const moved: Record<string, PaymentTotals> = {};
  if (shows) {
    const { currency } = shows;
    const found = moneyNow(money, {
      amount: unread || told === 'none' ? undefined : minorOf(shows.amount, currency),
      refunds: checkout?.totalRefunded ? minorOf(checkout.totalRefunded, currency) : 0,
      whollyRefunded: checkoutWord === 'REFUNDED',
      before: totalsOf(known, key, currency),
    });
    if (found) {
      moved[currency] = { ...found, seenAt: now };
      // A checkout shows its present payment alone: what was given back before it, or stands in another currency, is
      // neither confirmed nor denied.
      const { authorized, captured, refunded } = found;
      totals[currency] = { authorized, captured: money === 'released' ? 0 : captured, refunded };
      for (const other of currenciesOf(known)) totals[other] ??= {};
      for (const [other, held] of otherHolds(known, key, currency)) {
        moved[other] = { ...held, voided: held.authorized - held.captured, seenAt: now };
      }
    }
  }

  const unknown = [
    ...(checkoutWord !== undefined && !said ? [checkoutWord] : []),
    ...(paymentWord !== undefined && !paid ? [`payment ${paymentWord}`] : []),
  ];
  const inFlight = money === 'none' && !said?.closes && (said?.inFlight || paid?.inFlight);
  const disputes = disputesOf(known, id, money === 'taken', Boolean(said?.disputed || paid?.disputed));
  const facts: Facts = {
    ...(Object.keys(moved).length ? { payments: { [key]: moved } } : {}),
    ...(checkout ? { openings: { '0': { opened: now, ...(said?.closes ? { [said.closes]: now } : {}) } } } : {}),
    ...(disputes ? { disputes } : {}),
    ...(unknown.length ? { unknownWords: Object.fromEntries(unknown.map((word) => [word, now])) } : {}),
    ...(checkoutWord !== undefined && !unread
      ? { latest: { at: now, hash: evidenceOf(raw), word: checkoutWord, ...(inFlight ? { inFlight } : {}), totals } }
      : {}),
  };
  return { facts, evidence: raw };
}

type Totals = Omit<PaymentTotals, 'seenAt'>;

const NOTHING: Totals = { authorized: 0, captured: 0, refunded: 0, voided: 0 };

interface Shown {
  /** Undefined when no payment was read. */
  amount?: number;
  refunds: number;
  whollyRefunded: boolean;
  /** What was known of this payment in this currency. */
  before: Totals;
}

/** The payment's totals; undefined when there is no money to tell of. */
function moneyNow(money: Meaning['money'], shown: Shown): Totals | undefined {
  const { amount, refunds, whollyRefunded, before } = shown;
  const held = before.authorized - before.voided - before.captured;
  if (money === 'held' && amount !== undefined) return { ...NOTHING, authorized: amount };
  if (money === 'taken') {
    const captured = amount ?? before.captured;
    if (captured === 0) return undefined;
    // Captures are of the whole: what was held and is not among the taken money was given back.
    const voided = before.voided + Math.max(0, held - Math.max(0, captured - before.captured));
    const refunded = whollyRefunded && refunds === 0 ? captured : refunds;
    return { authorized: voided + captured, captured, refunded, voided };
  }
  if (money === 'released') {
    const voided = Math.max(amount ?? 0, before.voided + held);
    return voided === 0 ? undefined : { ...NOTHING, authorized: Math.max(before.authorized, voided), voided };
  }
  return undefined;
}

/** Names of what comes in turn on one checkout: the checkout's id, then `id#2`, `id#3` … */
const nameOf = (id: string, turn: number) => (turn === 1 ? id : `${id}#${turn}`);

function lastTurn(record: Readonly<Record<string, unknown>> = {}, id: string): number {
  let turn = 1;
  while (record[nameOf(id, turn + 1)] !== undefined) turn += 1;
  return turn;
}

/** The key of the payment an answer is about: new live money after a payment that was given back is another payment. */
function presentPayment(known: Facts, id: string, live: boolean): string {
  const turn = lastTurn(known.payments, id);
  const key = nameOf(id, turn);
  const totals = Object.keys(known.payments?.[key] ?? {}).map((currency) => totalsOf(known, key, currency));
  const givenBack = totals.length > 0 && totals.every(({ authorized, voided }) => voided === authorized);
  return live && givenBack ? nameOf(id, turn + 1) : key;
}

/**
 * Disputes of a checkout: a chargeback after a won one is a new dispute. There is no word for winning; the money standing
 * as captured again after an open dispute is one [assumed].
 */
function disputesOf(
  known: Facts,
  id: string,
  taken: boolean,
  disputed: boolean,
): Record<string, DisputeTurn> | undefined {
  const turn = lastTurn(known.disputes, id);
  const last = known.disputes?.[nameOf(id, turn)];
  if (disputed) return { [nameOf(id, last === undefined || last === 'open' ? turn : turn + 1)]: 'open' };
  return taken && last === 'open' ? { [nameOf(id, turn)]: 'won' } : undefined;
}

function totalsOf(known: Facts, key: string, currency: string): Totals {
  return paymentsIn(known, currency).find(([name]) => name === key)?.[1] ?? NOTHING;
}

/** A checkout has one payment at a time: what it held in another currency was given back for the present one. */
function otherHolds(known: Facts, key: string, currency: string): [string, Totals][] {
  return Object.keys(known.payments?.[key] ?? {})
    .filter((other) => other !== currency)
    .map((other): [string, Totals] => [other, totalsOf(known, key, other)])
    .filter(([, { authorized, voided, captured }]) => authorized - voided - captured > 0);
}
