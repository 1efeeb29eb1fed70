/** How Katu9's answers read as facts; the sources behind each reading stand at the top of katu9.ts. */
import { z } from 'zod';
import { type ClosingWord, currenciesOf, type Facts, type PaymentTotals, type Reading } from '../../workflows/facts.ts';
import { evidenceOf, minorOf, wordOf } from '../answers.ts';
import type { Answer, ProviderLink } from '../provider.ts';

const text = z.string().min(1).max(200);
const amount = z.union([z.number(), z.string()]);

export const paymentLinkShape = z.object({
  id: text,
  expiresAt: z.iso.datetime({ offset: true }),
  amount,
  currency: text,
  status: text,
  url: z.string().nullish(),
});
export type PaymentLink = z.infer<typeof paymentLinkShape>;

export const transactionShape = z.object({
  id: text,
  type: text,
  amount,
  currency: text,
  status: text,
  // [assumed] that what was sent is shown again.
  metadata: z.object({ key: text }).optional().catch(undefined),
  // [assumed] that it is there, so an odd one must not hide what the transaction says of the money.
  paymentLink: paymentLinkShape.nullish().catch(undefined),
});
export type Transaction = z.infer<typeof transactionShape>;

interface Meaning {
  money?: 'taken' | 'given_back';
  closes?: ClosingWord;
  inFlight?: boolean;
  docs: string;
}

/** All words are [assumed]: the document says "string". */
export const WORDS: Readonly<Record<'transaction' | 'link', Readonly<Record<string, Meaning>>>> = {
  transaction: {
    PENDING: { docs: 'pending' },
    CREATED: { docs: 'pending' },
    PROCESSING: { inFlight: true, docs: 'pending, money in flight' },
    COMPLETED: { money: 'taken', docs: 'paid' },
    SUCCESS: { money: 'taken', docs: 'paid' },
    PAID: { money: 'taken', docs: 'paid' },
    FAILED: { closes: 'failed', docs: 'failed' },
    REJECTED: { closes: 'failed', docs: 'failed' },
    CANCELLED: { closes: 'cancelled', docs: 'cancelled' },
    EXPIRED: { closes: 'expired', docs: 'expired, unless the link shown is live' },
    REFUNDED: { money: 'given_back', docs: 'refunded' },
  },
  link: {
    ACTIVE: { docs: 'pending' },
    PENDING: { docs: 'pending' },
    EXPIRED: { closes: 'expired', docs: 'expired' },
    CANCELLED: { closes: 'cancelled', docs: 'cancelled' },
    // The transaction decides; until it does the customer has paid and the money is on its way.
    USED: { inFlight: true, docs: 'pending, money in flight' },
    PAID: { inFlight: true, docs: 'pending, money in flight' },
    COMPLETED: { inFlight: true, docs: 'pending, money in flight' },
  },
};

/** A link whose word did not follow its time counts as expired this long after it [assumed: `expiresAt` is binding]. */
const WORD_LAG_MS = 10_000;

/** Whether a customer can pay through the link now. The documented half of it is the time: a strange word changes nothing. */
export function isLive({ status, expiresAt }: PaymentLink, now: number): boolean {
  const said = WORDS.link[wordOf(status)];
  return !said?.closes && !said?.inFlight && Date.parse(expiresAt) > now;
}

/** What of a {@link ProviderLink} only this adapter knows: the payment link, and the opening that it is. */
export function handleOf(paymentLink: string, opening: number) {
  return { paymentLink, opening: String(opening) };
}

interface Seen {
  link: ProviderLink;
  transaction: Transaction;
  known: Facts;
  /** Instant of the observation. */
  now: number;
  raw: string;
}

/**
 * Facts of one transaction. It is one payment at most, and its id is the payment key: every source names it.
 *
 * A link other than our newest may be shown by a read that is older than an `extend`, or newer than one whose answer was
 * lost: then neither it nor the transaction's word says anything about our opening, money apart.
 */
export function factsOf({ link, transaction, known, now, raw }: Seen): Answer {
  const { paymentLink: ours, opening = '0' } = link.handle ?? {};
  const { paymentLink: shown } = transaction;
  const own = shown && shown.id === ours ? shown : undefined;
  const word = wordOf(transaction.status);
  const linkWord = own && wordOf(own.status);
  const said = WORDS.transaction[word];
  const ownSaid = linkWord === undefined ? undefined : WORDS.link[linkWord];

  const overdue = own && !ownSaid?.inFlight && now >= Date.parse(own.expiresAt) + WORD_LAG_MS;
  const byLink = ownSaid?.closes ?? (overdue ? 'expired' : undefined);
  const another = shown && !own;
  const live = own && isLive(own, now);
  const byTransaction = another || (live && said?.closes === 'expired') ? undefined : said?.closes;
  const inFlight = Boolean(said?.inFlight || ownSaid?.inFlight);
  // Money on its way keeps the link from being closed by its clock alone; a word nobody knows closes nothing.
  const closes = !said || said.money ? undefined : (byTransaction ?? (said.inFlight ? undefined : byLink));

  const unknown = [...(said ? [] : [word]), ...(linkWord !== undefined && !ownSaid ? [`link ${linkWord}`] : [])];
  const money = said?.money && moneyOf(transaction, said.money);
  const totals = totalsOf(known, transaction, said, money);
  const facts: Facts = {
    ...(money ? { payments: { [transaction.id]: { [transaction.currency]: { ...money, seenAt: now } } } } : {}),
    openings: { [opening]: { opened: now, ...(closes ? { [closes]: now } : {}) } },
    ...(unknown.length ? { unknownWords: Object.fromEntries(unknown.map((each) => [each, now])) } : {}),
    latest: {
      at: now,
      hash: evidenceOf(raw),
      word,
      ...(inFlight && !closes && !money ? { inFlight } : {}),
      totals,
    },
  };
  return { facts, evidence: raw };
}

type Money = Omit<PaymentTotals, 'seenAt'>;

function moneyOf({ amount, currency }: Transaction, money: 'taken' | 'given_back'): Money {
  const captured = minorOf(amount, currency);
  return { authorized: captured, captured, refunded: money === 'given_back' ? captured : 0, voided: 0 };
}

/**
 * What the read shows of the money. Parts given back have no word, nor has money given back by bank transfer: `refunded`
 * is left out until Katu9 itself has said REFUNDED. A word nobody knows neither confirms nor denies.
 */
function totalsOf(known: Facts, transaction: Transaction, said: Meaning | undefined, money: Money | undefined) {
  const totals: Reading['totals'] = {};
  if (!said) for (const currency of currenciesOf(known)) totals[currency] = {};
  if (money) {
    const { authorized, captured, refunded } = money;
    const before = known.payments?.[transaction.id]?.[transaction.currency]?.refunded ?? 0;
    totals[transaction.currency] = { authorized, captured, ...(refunded + before > 0 ? { refunded } : {}) };
  }
  return totals;
}
