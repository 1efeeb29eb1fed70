import { randomBytes } from 'node:crypto';
import type { LedgerEntry } from '../ledger.ts';
import type { Shelf } from '../store.ts';
import type { Link } from './link.ts';
import type { Merchant } from './merchants.ts';
import type { LinkRequest } from './requests.ts';
import { type Change, created, expired, type Stamp, type Transition } from './transitions.ts';

/** A link after a change, and what the change put into the ledger. Answer only once `durable` resolved. */
export interface Changed {
  link: Link;
  entries: LedgerEntry[];
  news: number[];
  durable: Promise<void>;
}

export interface Links {
  create(merchant: Merchant, request: LinkRequest): Changed;
  /** Like every read, first expires a link whose time is up. */
  byId(id: number): Link | undefined;
  byOrder(order: number): Link | undefined;
  byReference(reference: string, merchant?: Merchant): Link | undefined;
  byTransaction(transaction: number): Link | undefined;
  byToken(token: string): Link | undefined;
  byCode(code: string): Link | undefined;
  /** Applies a transition to the link as it is now. */
  change(id: number, transition: Transition): Changed;
  /** Starts the timers that expire links on time. */
  start(): void;
  close(): void;
}

export interface LinksOptions {
  shelf: Shelf;
  /** How long one minute until `expires_at` lasts, in milliseconds. */
  minuteMs: number;
  /** Hears of a write nobody waits for that failed. */
  onWriteFailed(error: unknown): void;
}

const KIND = 'link';
/** The life of a link that asks for none [assumed: not published]. */
const DEFAULT_LIFE_MS = 365 * 86_400_000;
/** A timer of Node's cannot wait longer, and would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** All links, their indexes and their expiry. */
export function createLinks({ shelf, minuteMs, onWriteFailed }: LinksOptions): Links {
  const all = shelf.objects<Link>(KIND);
  const idByOrder = new Map<number, string>();
  const idByTransaction = new Map<number, string>();
  const idByReference = new Map<string, string>();
  const idByToken = new Map<string, string>();
  const idByCode = new Map<string, string>();
  const timers = new Map<number, NodeJS.Timeout>();
  let started = false;
  let lastNumber = 0;

  /** Numbers that JSON carries exactly, strictly growing; time comes first, so that an emptied folder repeats none. */
  const nextNumber = () => {
    lastNumber = Math.max(lastNumber + 1, Date.now());
    return lastNumber;
  };
  const referenceKey = (merchant: string, reference: string) => `${merchant} ${reference}`;

  function index(link: Link) {
    const id = String(link.id);
    idByOrder.set(link.order, id);
    idByToken.set(link.token, id);
    idByCode.set(link.code, id);
    if (link.reference !== undefined) {
      idByReference.set(referenceKey(link.merchant, link.reference), id);
      idByReference.set(referenceKey('', link.reference), id);
    }
    for (const transaction of link.transactions) idByTransaction.set(transaction.id, id);
    lastNumber = Math.max(lastNumber, link.id, link.order, ...link.transactions.map((known) => known.id));
  }

  for (const link of all.values()) index(link);

  function watch(link: Link) {
    clearTimeout(timers.get(link.id));
    timers.delete(link.id);
    if (!started || link.state !== 'created') return;
    const wait = Math.min(Math.max(0, link.endsAt - Date.now()), LONGEST_TIMER_MS);
    timers.set(link.id, setTimeout(current, wait, String(link.id)).unref());
  }

  function commit({ link, entries, news }: Change): Changed {
    const committed = shelf.commit([{ kind: KIND, id: String(link.id), value: link }], entries);
    index(link);
    watch(link);
    return { link, news, ...committed };
  }

  /** The link as it is at this instant. Its expiry is told to nobody. */
  function current(id: string | undefined): Link | undefined {
    const link = id === undefined ? undefined : all.get(id);
    if (link?.state !== 'created' || Date.now() < link.endsAt) {
      // A timer may fire a moment early.
      if (link && timers.has(link.id)) watch(link);
      return link;
    }
    const change = commit(expired(link, { id: 0, at: Date.now() }));
    change.durable.catch(onWriteFailed);
    return change.link;
  }

  return {
    create(merchant, { expiresAt, ...request }) {
      const createdAt = Date.now();
      const life = expiresAt === undefined ? DEFAULT_LIFE_MS : ((expiresAt - createdAt) * minuteMs) / 60_000;
      const link: Link = {
        ...request,
        id: nextNumber(),
        order: nextNumber(),
        merchant: merchant.name,
        token: randomBytes(24).toString('base64url'),
        code: randomBytes(6).toString('base64url'),
        state: 'created',
        transactions: [],
        createdAt,
        endsAt: createdAt + life,
      };
      return commit(created(link));
    },
    byId: (id) => current(String(id)),
    byOrder: (order) => current(idByOrder.get(order)),
    byReference: (reference, merchant) => current(idByReference.get(referenceKey(merchant?.name ?? '', reference))),
    byTransaction: (transaction) => current(idByTransaction.get(transaction)),
    byToken: (token) => current(idByToken.get(token)),
    byCode: (code) => current(idByCode.get(code)),
    change(id, transition) {
      const link = current(String(id));
      if (!link) throw new Error(`No such link: ${id}`);
      const stamp: Stamp = { id: nextNumber(), at: Date.now() };
      return commit(transition(link, stamp));
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
