/**
 * What is known about a link's money, and how knowledge is joined.
 *
 * Whatever a create answer, poll, read, webhook or operator says becomes facts. `join` is commutative, associative
 * and idempotent, so permuted, repeated and stale news need no code of their own. Absent and empty mean the same.
 * Amounts are integer minor units, instants are epoch milliseconds.
 */
export interface Facts {
  /** Payment key → currency → totals. The key is an id that every source of the provider can name. */
  payments?: Record<string, Record<string, PaymentTotals>>;
  /** Currency → captured total the provider gives without naming payments. */
  stated?: Record<string, number>;
  /** One opening is one provider link being payable; the newest (highest number) decides whether the link is closed. */
  openings?: Record<string, Opening>;
  disputes?: Record<string, DisputeTurn>;
  /** Operation id → what an operator stated about one payment. */
  entries?: Record<string, Entry>;
  /** Status words the provider's table does not know → first seen. They are shown and move nothing. */
  unknownWords?: Record<string, number>;
  /** The read with the greatest instant. */
  latest?: Reading;
}

/** One payment's totals in one currency. Totals only grow; `seenAt` (money first seen) only falls. */
export interface PaymentTotals {
  authorized: number;
  captured: number;
  refunded: number;
  voided: number;
  seenAt: number;
}

/**
 * Why a provider link can no longer take money. What is closed after its deadline has expired, whatever the provider
 * calls it: `cancelled` and `disabled` read `expired` then, else `cancelled`.
 */
export type ClosingWord = 'failed' | 'cancelled' | 'expired' | 'disabled';
/** Closings we had to declare because the provider could not be asked or told. */
export type PresumedWord = 'presumed_expired' | 'presumed_cancelled';
/** Word → earliest instant. `deadline` only says that our timer fired: it closes nothing. */
export type Opening = Partial<Record<'opened' | 'deadline' | ClosingWord | PresumedWord, number>>;

export type DisputeTurn = 'open' | 'won' | 'lost';

export interface Entry {
  payment: string;
  currency: string;
  field: MoneyField;
  /**
   * Money a person vouches for, > 0: such entries of one payment add up and count until the provider shows as much
   * itself, so that nothing is counted twice.
   */
  minor: number;
}

export type MoneyField = 'authorized' | 'captured' | 'refunded' | 'voided';

/** A provider read as it stood: never joined into the maxima, only compared with them. */
export interface Reading {
  at: number;
  /** Hash of the evidence: decides between two reads of one instant. */
  hash: string;
  /** The provider's own status word. */
  word: string;
  /** Money is moving at the provider and may still arrive: postpones closing. */
  inFlight?: boolean;
  /** Currency → what the provider shows now; a field it cannot show is left out. */
  totals: Record<string, Partial<Record<MoneyField, number>>>;
}

/** Everything known from `a` and `b` together. */
export function join(a: Facts, b: Facts): Facts {
  return compact({
    payments: unite(a.payments, b.payments, (x, y) => unite(x, y, joinTotals) ?? {}),
    stated: unite(a.stated, b.stated, Math.max),
    openings: unite(a.openings, b.openings, (x, y) => unite(x, y, Math.min) ?? {}),
    disputes: unite(a.disputes, b.disputes, (x, y) => (TURNS.indexOf(x) >= TURNS.indexOf(y) ? x : y)),
    entries: unite(a.entries, b.entries, (x, y) => (entryOrder(x) >= entryOrder(y) ? x : y)),
    unknownWords: unite(a.unknownWords, b.unknownWords, Math.min),
    latest: laterReading(a.latest, b.latest),
  });
}

/**
 * Whether `read` tells anything that `known` does not: news moves the link, its absence keeps a poll silent. That a
 * read is merely newer is no news; that it shows other totals or another word than the one before is.
 */
export function isNews(known: Facts, read: Facts): boolean {
  const before = { ...known, latest: undefined };
  const after = { ...join(known, read), latest: undefined };
  return (
    canonical(before) !== canonical(after) || reads(known.latest) !== reads(laterReading(known.latest, read.latest))
  );
}

/** Sums over all payments of a link in one currency, entries included. */
export interface Sums {
  authorized: number;
  captured: number;
  refunded: number;
  voided: number;
  /** Authorized and neither captured nor released. */
  held: number;
}

export function sums(facts: Facts, currency: string): Sums {
  const total: Sums = { authorized: 0, captured: 0, refunded: 0, voided: 0, held: 0 };
  for (const [, payment] of paymentsIn(facts, currency)) {
    total.authorized += payment.authorized;
    total.captured += payment.captured;
    total.refunded += payment.refunded;
    total.voided += payment.voided;
    total.held += heldOf(payment);
  }
  return total;
}

/**
 * The payments that moved money in `currency`, with what follows from the definitions: a sale counts as authorized
 * too, a voided sale was never captured, and no more than was captured can have been refunded.
 */
export function paymentsIn(facts: Facts, currency: string): [key: string, PaymentTotals][] {
  const withEntries = new Set(
    Object.values(facts.entries ?? {})
      .filter((entry) => entry.currency === currency)
      .map((entry) => entry.payment),
  );
  for (const [key, currencies] of Object.entries(facts.payments ?? {})) {
    if (currencies[currency]) withEntries.add(key);
  }
  return [...withEntries]
    .sort()
    .map((key): [string, PaymentTotals] => [key, settledTotals(facts, key, currency)])
    .filter(([, payment]) => payment.authorized > 0);
}

function settledTotals(facts: Facts, key: string, currency: string): PaymentTotals {
  const raw = facts.payments?.[key]?.[currency];
  const stated = (field: MoneyField) => {
    const vouched = Object.values(facts.entries ?? {})
      .filter((entry) => entry.payment === key && entry.currency === currency && entry.field === field)
      .reduce((sum, { minor }) => sum + minor, 0);
    return Math.max(raw?.[field] ?? 0, vouched);
  };
  const grossCaptured = Math.max(0, stated('captured'));
  const authorized = Math.max(0, stated('authorized'), grossCaptured);
  const voided = Math.min(authorized, Math.max(0, stated('voided')));
  const captured = Math.min(grossCaptured, authorized - voided);
  const refunded = Math.min(captured, Math.max(0, stated('refunded')));
  return { authorized, captured, refunded, voided, seenAt: raw?.seenAt ?? Number.MAX_SAFE_INTEGER };
}

/** What of a payment is authorized and neither captured nor released. */
export const heldOf = ({ authorized, voided, captured }: PaymentTotals): number => authorized - voided - captured;

/** The payment that was held last of those that are still held. */
export function newestHold(facts: Facts, currency: string): string | undefined {
  const holds = paymentsIn(facts, currency).filter(([, payment]) => heldOf(payment) > 0);
  return holds.sort(([, a], [, b]) => a.seenAt - b.seenAt).at(-1)?.[0];
}

/** Currencies in which any money was seen. */
export function currenciesOf(facts: Facts): string[] {
  const found = new Set(Object.keys(facts.stated ?? {}));
  for (const currencies of Object.values(facts.payments ?? {})) {
    for (const currency of Object.keys(currencies)) found.add(currency);
  }
  for (const { currency } of Object.values(facts.entries ?? {})) found.add(currency);
  return [...found].sort();
}

/** The newest opening, or undefined before the provider answered. */
export function newestOpening(facts: Facts): Opening | undefined {
  return facts.openings?.[newestNumber(facts)];
}

/** Number of the newest opening; the first is 0. */
export function newestNumber({ openings = {} }: Facts): number {
  return Math.max(0, ...Object.keys(openings).map(Number));
}

const CLOSING_WORDS: readonly ClosingWord[] = ['failed', 'cancelled', 'expired', 'disabled'];
const PRESUMED_WORDS: readonly PresumedWord[] = ['presumed_cancelled', 'presumed_expired'];
const EXPIRED_WORDS: ReadonlySet<ClosingWord | PresumedWord> = new Set(['expired', 'presumed_expired']);

/** How an opening ended: what the provider confirmed, or failing that, what we had to presume. */
export interface Closing {
  status: 'failed' | 'cancelled' | 'expired';
  at: number;
  confirmed: boolean;
}

export function closingOf(opening: Opening | undefined): Closing | undefined {
  if (!opening) return undefined;
  const confirmed = earliest(opening, CLOSING_WORDS);
  const [word, at] = confirmed ?? earliest(opening, PRESUMED_WORDS) ?? [];
  if (!word || at === undefined) return undefined;
  const overdue = opening.deadline !== undefined && opening.deadline <= at;
  const status = word === 'failed' ? 'failed' : overdue || EXPIRED_WORDS.has(word) ? 'expired' : 'cancelled';
  return { status, at, confirmed: confirmed !== undefined };
}

/** A closing we presumed and told counts from then on, though the provider confirms a later instant. */
function closedAt(opening: Opening): number {
  const closings = [earliest(opening, CLOSING_WORDS), earliest(opening, PRESUMED_WORDS)];
  return Math.min(...closings.map((closing) => closing?.[1] ?? Number.POSITIVE_INFINITY));
}

/** Keys of payments whose money was first seen after the opening it came through had closed. */
export function latePayments(facts: Facts): string[] {
  const openings = Object.entries(facts.openings ?? {})
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, opening]) => opening);
  const late = new Set<string>();
  for (const currency of currenciesOf(facts)) {
    for (const [key, payment] of paymentsIn(facts, currency)) {
      const through = openings.findLast((opening) => (opening.opened ?? 0) <= payment.seenAt) ?? openings[0];
      if (through && payment.seenAt > closedAt(through)) late.add(key);
    }
  }
  return [...late].sort();
}

/**
 * How far the latest read falls short of what was known before, per money field of one currency; undefined when it
 * does not. A fall moves nothing, it is shown.
 */
export function fallOf(facts: Facts, currency: string): Partial<Record<Fallible, number>> | undefined {
  const shown = facts.latest?.totals[currency];
  const known = sums(facts, currency);
  if (!facts.latest || (!shown && known.authorized === 0)) return undefined;
  const fall: Partial<Record<Fallible, number>> = {};
  for (const field of FALLIBLE) {
    const stands = shown ? shown[field] : 0;
    if (stands !== undefined && stands < known[field]) fall[field] = known[field] - stands;
  }
  return Object.keys(fall).length ? fall : undefined;
}

/**
 * The facts with every fall taken as true, because a person said so. The one step that is no join: what is learned
 * later grows from here. A stale read that comes after it brings the old figure back, and with it the disagreement.
 */
export function corrected(facts: Facts): Facts {
  // In this order: a release that is taken back may show money it had covered.
  const falls = currenciesOf(facts).flatMap((currency) => FALLIBLE.map((field) => [currency, field] as const));
  return falls.reduce((known, [currency, field]) => lowered(known, currency, field), facts);
}

function lowered(facts: Facts, currency: string, field: Fallible): Facts {
  const fall = fallOf(facts, currency)?.[field] ?? 0;
  if (fall === 0) return facts;
  const payments = { ...facts.payments };
  const entries = { ...facts.entries };
  let left = fall;
  for (const [key, known] of paymentsIn(facts, currency).sort(([, a], [, b]) => b[field] - a[field])) {
    const less = Math.min(known[field], left);
    left -= less;
    if (less === 0) continue;
    for (const [id, entry] of Object.entries(entries)) {
      if (entry.payment === key && entry.currency === currency && entry.field === field) delete entries[id];
    }
    const totals = payments[key]?.[currency] ?? known;
    // What was never taken was never authorized either, or it would count as held.
    const authorized = field === 'captured' ? known.authorized - less : totals.authorized;
    payments[key] = { ...payments[key], [currency]: { ...totals, authorized, [field]: known[field] - less } };
  }
  const total = facts.stated?.[currency];
  const stated =
    field === 'captured' && total !== undefined ? { ...facts.stated, [currency]: total - fall } : facts.stated;
  return compact({ ...facts, payments, entries: some(entries), stated });
}

type Fallible = Exclude<MoneyField, 'authorized'>;
const FALLIBLE: readonly Fallible[] = ['voided', 'captured', 'refunded'];
const some = <V>(record: Record<string, V>) => (Object.keys(record).length > 0 ? record : undefined);

/** Text that is equal for equal values whatever the order of their keys. */
export function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? ''
  );
}

const TURNS: readonly DisputeTurn[] = ['open', 'won', 'lost'];

function joinTotals(a: PaymentTotals, b: PaymentTotals): PaymentTotals {
  return {
    authorized: Math.max(a.authorized, b.authorized),
    captured: Math.max(a.captured, b.captured),
    refunded: Math.max(a.refunded, b.refunded),
    voided: Math.max(a.voided, b.voided),
    seenAt: Math.min(a.seenAt, b.seenAt),
  };
}

function laterReading(a: Reading | undefined, b: Reading | undefined): Reading | undefined {
  if (!a || !b) return a ?? b;
  if (a.at !== b.at) return a.at > b.at ? a : b;
  if (a.hash !== b.hash) return a.hash > b.hash ? a : b;
  return canonical(a) >= canonical(b) ? a : b;
}

/** What a reading says, without when. */
function reads(reading: Reading | undefined): string {
  return canonical(reading && { word: reading.word, inFlight: reading.inFlight ?? false, totals: reading.totals });
}

const entryOrder = (entry: Entry) => canonical(entry);

function earliest<W extends keyof Opening>(opening: Opening, words: readonly W[]): [W, number] | undefined {
  let found: [W, number] | undefined;
  for (const word of words) {
    const at = opening[word];
    if (at !== undefined && (!found || at < found[1])) found = [word, at];
  }
  return found;
}

/** Union of two records; values of shared keys are joined. */
function unite<V>(
  a: Record<string, V> | undefined,
  b: Record<string, V> | undefined,
  joinValues: (x: V, y: V) => V,
): Record<string, V> | undefined {
  if (!a || !b) return a ?? b;
  // Own keys only: a provider may have a word called `constructor`.
  const shared = ([key, value]: [string, V]): [string, V] => [
    key,
    Object.hasOwn(a, key) ? joinValues(a[key]!, value) : value,
  ];
  return { ...a, ...Object.fromEntries(Object.entries(b).map(shared)) };
}

function compact(facts: Facts): Facts {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as Facts;
}
