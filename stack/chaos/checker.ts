/**
 * The judge of a chaos run. It knows what callers were answered, what each link says, and what the provider's ledger
 * says; it asks nobody, so it can be tried on any story.
 */
import { isSettled, type Link, type OperationState } from '../../workflows/link.ts';
import type { LedgerEntry } from '../shop.ts';
import type { Walk } from '../walk.ts';

/** A call of the merchant or operator that the API answered with 2xx. */
export interface Ack {
  verb: string;
  /** Idempotency key; of a create, the reference. */
  key: string;
  status: number;
  /** As the answer showed it. */
  state?: OperationState;
  providerLinkId?: string | null;
}

/** Everything known of one link when all is over. */
export interface Case {
  reference: string;
  ends: Walk['ends'];
  /** As GET shows it; undefined when there is none. */
  link?: Link;
  entries: readonly LedgerEntry[];
  acks: readonly Ack[];
  /** Provider links of lost creates that the operator closed at the provider: nobody has their address. */
  orphans: readonly string[];
  /** Why there need be no link: not the link's own word, but the operator's, or the backend's that asked for it. */
  unmade?: 'found absent' | 'refused';
  /** The listener has answered 2xx to news of the link as it was at this instant (RFC 3339). */
  accepted?: string;
  /** What its walk could not do. */
  trouble?: string;
}

export const KINDS = [
  'lost link',
  'acked but lost',
  'double create',
  'double capture',
  'double refund',
  'more out than in',
  'ledger differs',
  'not settled',
  'other end',
] as const;

export interface Difference {
  kind: (typeof KINDS)[number];
  says: string;
}

export function differencesOf(story: Case): Difference[] {
  const { link, entries, acks, trouble } = story;
  if (!link) {
    const acked = acks.length > 0 ? `, though ${acks.length} calls about it were answered 2xx` : '';
    return [{ kind: 'lost link', says: `there is no link${acked}${trouble === undefined ? '' : `: ${trouble}`}` }];
  }
  const found = [
    ...twice(story),
    ...balance('ledger', moneyIn(entries, link.currency)),
    ...balance('link', link),
    ...disagreements(story, link),
    ...forgotten(acks, link),
    ...unsettled(link),
    ...otherEnd(story, link),
    ...stillOpen(entries, link),
  ];
  return trouble === undefined ? found : [...found, { kind: 'not settled', says: trouble }];
}

export interface Money {
  authorized: number;
  captured: number;
  refunded: number;
}

/** Sums over all payments; a sale counts as authorized too, and what was voided was never captured. */
export function moneyIn(entries: readonly LedgerEntry[], currency: string): Money & { held: number } {
  const total = { authorized: 0, captured: 0, refunded: 0, held: 0 };
  const moved = entries.filter((entry) => entry.currency === currency);
  for (const payment of new Set(moved.flatMap((entry) => entry.payment ?? []))) {
    const sum = (kind: string) => sumOf(moved.filter((entry) => entry.payment === payment && entry.kind === kind));
    const authorized = Math.max(sum('authorized'), sum('captured'));
    total.authorized += authorized;
    const captured = Math.min(sum('captured'), authorized - sum('voided'));
    total.captured += captured;
    total.held += authorized - sum('voided') - captured;
    total.refunded += sum('refunded') - sum('refund_failed');
  }
  return total;
}

/** What must not have happened more often than somebody wanted it. */
function twice({ link, entries, acks, orphans, ends }: Case): Difference[] {
  const found: Difference[] = [];
  const made = new Set(of(entries, 'created').map((entry) => entry.link));
  for (const orphan of orphans) made.delete(orphan);
  if (made.size > 1) found.push({ kind: 'double create', says: `the provider made ${[...made].join(' and ')}` });
  // Nothing is made anew where a create was lost, so a reference has one orphan at most.
  const lost = orphans.filter((orphan) => orphan !== link?.providerLinkId);
  if (lost.length > 1) {
    found.push({
      kind: 'double create',
      says: `the provider made ${lost.join(' and ')}, and nobody has their address`,
    });
  }
  const makers = acks.filter(({ verb, status }) => verb === 'create' && status === 201);
  if (makers.length > 1) {
    found.push({
      kind: 'double create',
      says: `${makers.length} calls were answered 201, as the one that made the link`,
    });
  }
  const captured = of(entries, 'captured');
  // Customers pay whole amounts, and once unless the walk says otherwise.
  const most = Math.max(ends.captured, link?.amount ?? 0);
  if (sumOf(captured) > most) {
    found.push({
      kind: 'double capture',
      says: `captured ${amountsOf(captured).join(' + ')}, at most ${most} was paid`,
    });
  }
  const wanted = refundsOf(link);
  const given = amountsOf(of(entries, 'refunded'));
  const extra = given.filter((amount) => {
    const index = wanted.indexOf(amount);
    if (index >= 0) wanted.splice(index, 1);
    return index < 0;
  });
  if (extra.length > 0) {
    found.push({
      kind: 'double refund',
      says: `refunded ${given.join(' + ')}, of which nobody's order is ${extra.join(' + ')}`,
    });
  }
  return found;
}

/** Amounts of all refunds that were ordered and not found to have failed. */
function refundsOf(link: Link | undefined): number[] {
  return (link?.operations ?? [])
    .filter(({ kind, state }) => kind === 'refund' && state === 'succeeded')
    .map(({ amount }) => amount ?? 0);
}

function balance(whose: string, { authorized, captured, refunded }: Money): Difference[] {
  if (refunded <= captured && captured <= authorized) return [];
  const says = `${whose}: authorized ${authorized}, captured ${captured}, refunded ${refunded}`;
  return [{ kind: 'more out than in', says }];
}

/** The link against the ledger: amounts, currency, ids. */
function disagreements({ entries, accepted, orphans }: Case, link: Link): Difference[] {
  const ledger = moneyIn(entries, link.currency);
  const money = entries.filter((entry) => entry.payment !== undefined && entry.kind !== 'attempt_failed');
  const [object] = of(entries, 'created').filter((entry) => !orphans.includes(entry.link));
  const compare: [string, unknown, unknown][] = [
    ['authorized', ledger.authorized, link.authorized],
    ['captured', ledger.captured, link.captured],
    // What is neither taken nor given back is money a customer misses.
    ['held', ledger.held, link.status === 'authorized' ? ledger.held : 0],
    // Given back by hand, and no portal of the provider's shows it.
    ['refunded', ledger.refunded, link.refunded - byHand(link, ledger)],
    ['currency', money.some((entry) => entry.currency !== link.currency), false],
    ['provider link', object?.link ?? null, link.providerLinkId],
  ];
  const told = moneyIn(
    entries.filter(({ at }) => accepted !== undefined && at <= accepted),
    link.currency,
  );
  const differing = compare.filter(([, there, here]) => there !== here);
  return differing.map(([what, there, here]): Difference => {
    const says = `${what}: ledger has ${there}, link says ${here}`;
    // That a hold lives on is no news that was lost.
    const lost = what !== 'held' && what in told && told[what as keyof Money] > Number(here);
    return lost
      ? { kind: 'acked but lost', says: `${says}, and a webhook about it was answered 2xx` }
      : { kind: 'ledger differs', says };
  });
}

function byHand(link: Link, ledger: Money): number {
  const marked = link.operations.filter(({ kind, state }) => kind === 'mark-refunded' && state === 'succeeded');
  return ledger.refunded > 0 ? 0 : sumOf(marked);
}

/** What a caller was told stays so. */
function forgotten(acks: readonly Ack[], link: Link): Difference[] {
  return acks.flatMap(({ verb, key, status, state, providerLinkId }): Difference[] => {
    const what = `${verb} ${key} was answered ${status}`;
    if (verb === 'create') {
      if (!providerLinkId || link.providerLinkId === providerLinkId) return [];
      return [{ kind: 'acked but lost', says: `${what} with ${providerLinkId}, the link has ${link.providerLinkId}` }];
    }
    const operation = link.operations.find(({ id }) => id === key);
    if (!operation) return [{ kind: 'acked but lost', says: `${what}, the link does not know it` }];
    if (state !== 'succeeded' || operation.state === 'succeeded') return [];
    return [{ kind: 'acked but lost', says: `${what} as succeeded, and is ${operation.state}` }];
  });
}

function unsettled(link: Link): Difference[] {
  return link.operations
    .filter((operation) => !isSettled(operation))
    .map(({ kind, id, state }) => ({ kind: 'not settled', says: `${kind} ${id} is ${state}` }));
}

/** Each link ends as its walk says, or could not be made. */
function otherEnd({ ends, unmade }: Case, link: Link): Difference[] {
  if (link.status === 'failed') {
    if (unmade) return [];
    return [{ kind: 'other end', says: 'failed, though nobody found its create absent, nor was it refused for good' }];
  }
  const { status, exceptions, captured, refunded } = link;
  const seen = { status, exceptions, captured, refunded };
  return (Object.keys(seen) as (keyof typeof seen)[])
    .filter((key) => JSON.stringify(seen[key]) !== JSON.stringify(ends[key]))
    .map((key) => ({
      kind: 'other end',
      says: `${key} is ${JSON.stringify(seen[key])}, must be ${JSON.stringify(ends[key])}`,
    }));
}

const OVER = ['failed', 'cancelled', 'expired'];
const UNCONFIRMED = ['cancel_unconfirmed', 'expired_unconfirmed'];
/** Its links take one payment after another until they are disabled, so the engine disables what is paid. */
const REUSABLE = 'boomfi';

/** Of what is over nothing takes money any more, unless the link itself says that it may. */
function stillOpen(entries: readonly LedgerEntry[], link: Link): Difference[] {
  const { status, exceptions, provider, captured } = link;
  const over = OVER.includes(status) || (provider === REUSABLE && captured > 0);
  if (!over || exceptions.some((exception) => UNCONFIRMED.includes(exception))) return [];
  const open = payable(entries, link);
  if (open.length === 0) return [];
  return [{ kind: 'other end', says: `${status}, and ${open.join(' and ')} of it can still be paid` }];
}

/** Provider links that were made and not closed, or not since they were opened again: the ledger has no word for that. */
export function payable(entries: readonly LedgerEntry[], link?: Link): string[] {
  const reopened = link?.operations.findLast(({ kind, state }) => kind === 'extend' && state === 'succeeded');
  const since = reopened?.finishedAt ?? reopened?.at ?? '';
  const closed = new Set(
    entries
      .filter(({ kind }) => kind === 'cancelled' || kind === 'expired')
      .filter((entry) => entry.link !== link?.providerLinkId || entry.at > since)
      .map((entry) => entry.link),
  );
  return [...new Set(of(entries, 'created').map((entry) => entry.link))].filter((id) => !closed.has(id));
}

const of = (entries: readonly LedgerEntry[], kind: string) => entries.filter((entry) => entry.kind === kind);
const amountsOf = (entries: readonly LedgerEntry[]) => entries.map(({ amount }) => amount ?? 0);
const sumOf = (items: readonly { amount?: number }[]) => items.reduce((sum, { amount }) => sum + (amount ?? 0), 0);
