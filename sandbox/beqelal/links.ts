import { randomUUID } from 'node:crypto';
import type { Ids } from '../ids.ts';
import type { LedgerEntry } from '../ledger.ts';
import type { Shelf } from '../store.ts';
import { type Change, created, expired, isOpen, type Link, type Stamp } from './link.ts';
import type { Merchant } from './merchants.ts';
import { Invalid, type LinkRequest } from './requests.ts';

/** A link after a change, and what the change put into the ledger. Answer only once `durable` resolved. */
export interface Changed {
  link: Link;
  entries: LedgerEntry[];
  durable: Promise<void>;
}

export interface Links {
  /** Throws `Invalid` when the trace number is taken: it is unique over all merchants. */
  create(merchant: Merchant, request: LinkRequest): Changed;
  /** Like every read, first expires a link whose time is up. */
  byId(id: string): Link | undefined;
  byTrace(traceNumber: string): Link | undefined;
  byKey(key: string): Link | undefined;
  /** Applies a transition to the link as it is now. */
  change(id: string, transition: (link: Link, stamp: Stamp) => Change): Changed;
  /** Starts the timers that expire links on time. */
  start(): void;
  close(): void;
}

export interface LinksOptions {
  shelf: Shelf;
  ids: Ids;
  /** How long one minute until `expires_at` lasts, in milliseconds. */
  minuteMs: number;
  /** Hears of every link whose status changed by time alone. */
  onExpired(link: Link): void;
  /** Hears of a write nobody waits for that failed. */
  onWriteFailed(error: unknown): void;
}

const KIND = 'link';
/** A timer of Node's cannot wait longer, and would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** All links, their indexes and their expiry. */
export function createLinks({ shelf, ids, minuteMs, onExpired, onWriteFailed }: LinksOptions): Links {
  const all = shelf.objects<Link>(KIND);
  const idByTrace = new Map<string, string>();
  const idByKey = new Map<string, string>();
  const timers = new Map<string, NodeJS.Timeout>();
  let started = false;

  function index({ id, traceNumber, key, serial, payment }: Link) {
    idByTrace.set(traceNumber, id);
    idByKey.set(key, id);
    ids.seen(serial);
    if (payment) ids.seen(String(serialOf(payment.transactionId)));
  }

  for (const link of all.values()) index(link);

  function watch(link: Link) {
    clearTimeout(timers.get(link.id));
    timers.delete(link.id);
    if (!started || !isOpen(link)) return;
    const wait = Math.min(Math.max(0, link.endsAt - Date.now()), LONGEST_TIMER_MS);
    timers.set(link.id, setTimeout(current, wait, link.id).unref());
  }

  function commit({ link, entries }: Change): Changed {
    const committed = shelf.commit([{ kind: KIND, id: link.id, value: link }], entries);
    index(link);
    watch(link);
    return { link, ...committed };
  }

  /** The link as it is at this instant. */
  function current(id: string | undefined): Link | undefined {
    const link = id === undefined ? undefined : all.get(id);
    if (!link || !isOpen(link) || Date.now() < link.endsAt) {
      // A timer may fire a moment early.
      if (link && timers.has(link.id)) watch(link);
      return link;
    }
    const change = commit(expired(link));
    change.durable.catch(onWriteFailed);
    onExpired(change.link);
    return change.link;
  }

  return {
    create(merchant, { expiresAt, ...request }) {
      if (idByTrace.has(request.traceNumber)) throw new Invalid({ trace_number: [DUPLICATE] });
      const createdAt = Date.now();
      const serial = ids.next();
      const endsAt = createdAt + ((expiresAt - createdAt) * minuteMs) / 60_000;
      const more = { id: codeOf(serial), serial, key: randomUUID(), merchant: merchant.name };
      return commit(created({ ...request, ...more, status: 'PENDING', createdAt, endsAt }));
    },
    byId: current,
    byTrace: (traceNumber) => current(idByTrace.get(traceNumber)),
    byKey: (key) => current(idByKey.get(key)),
    change(id, transition) {
      const link = current(id);
      if (!link) throw new Error(`No such link: ${id}`);
      return commit(transition(link, { transactionId: codeOf(ids.next()), at: Date.now() }));
    },
    start() {
      started = true;
      for (const link of all.values()) watch(link);
    },
    close() {
      started = false;
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}

/** [assumed: must be unique; the style of the published field errors] */
const DUPLICATE = 'This trace number already exists.';

/** Ids are capitals and digits, as in `4FR010DKRB`. */
const codeOf = (serial: string) => BigInt(serial).toString(36).toUpperCase();
const serialOf = (code: string) =>
  [...code].reduce((serial, digit) => serial * 36n + BigInt(Number.parseInt(digit, 36)), 0n);
