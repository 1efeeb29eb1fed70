import { randomUUID } from 'node:crypto';
import type { LedgerEntry } from '../ledger.ts';
import type { Shelf } from '../store.ts';
import type { Environment, Merchant } from './merchants.ts';
import type { LinkRequest, TransactionRequest } from './requests.ts';
import { liveLink, type PaymentLink, referenceOf, type Transaction } from './transaction.ts';
import { type Change, created, expired, type Transition, withLink } from './transitions.ts';

/** A transaction after a change, and what the change put into the ledger. Answer only once `durable` resolved. */
export interface Changed {
  transaction: Transaction;
  entries: LedgerEntry[];
  durable: Promise<void>;
}

export interface Transactions {
  create(merchant: Merchant, environment: Environment, request: TransactionRequest): Changed;
  /** A new payment link for a transaction that has no live one. */
  generate(transaction: Transaction, request: LinkRequest): Changed & { link: PaymentLink };
  /** Like every read, first expires a link whose time is up. */
  byId(id: string | undefined): Transaction | undefined;
  byLink(linkId: string): Transaction | undefined;
  /** The newest transaction of a merchant's reference. */
  byReference(reference: string): Transaction | undefined;
  /** Applies a transition to the transaction as it is now. */
  change(id: string, transition: Transition): Changed;
  /** Starts the timers that expire links on time. */
  start(): void;
  close(): void;
}

export interface TransactionsOptions {
  shelf: Shelf;
  /** How long one minute of `expiryMinutes` lasts, in milliseconds. */
  minuteMs: number;
  /** Hears of a write nobody waits for that failed. */
  onWriteFailed(error: unknown): void;
}

const KIND = 'transaction';

/** All transactions of all merchants, their indexes and their expiry. */
export function createTransactions({ shelf, minuteMs, onWriteFailed }: TransactionsOptions): Transactions {
  const all = shelf.objects<Transaction>(KIND);
  const idByLink = new Map<string, string>();
  const idByReference = new Map<string, string>();
  const timers = new Map<string, NodeJS.Timeout>();
  let started = false;

  function index(transaction: Transaction) {
    for (const { id } of transaction.links) idByLink.set(id, transaction.id);
  }

  for (const transaction of all.values()) {
    index(transaction);
    idByReference.set(referenceOf(transaction), transaction.id);
  }

  function watch(transaction: Transaction) {
    clearTimeout(timers.get(transaction.id));
    timers.delete(transaction.id);
    const live = liveLink(transaction);
    if (!started || !live) return;
    // Longer waits than a timer can hold end early and are begun again.
    const wait = Math.min(Math.max(0, live.expiresAt - Date.now()), 2 ** 31 - 1);
    timers.set(transaction.id, setTimeout(current, wait, transaction.id).unref());
  }

  function commit({ transaction, entries }: Change): Changed {
    const committed = shelf.commit([{ kind: KIND, id: transaction.id, value: transaction }], entries);
    index(transaction);
    watch(transaction);
    return { transaction, ...committed };
  }

  /** The transaction as it is at this instant. */
  function current(id: string | undefined): Transaction | undefined {
    const transaction = id === undefined ? undefined : all.get(id);
    const live = transaction && liveLink(transaction);
    if (!transaction || !live || Date.now() < live.expiresAt) {
      // A timer may fire a moment early.
      if (transaction && timers.has(transaction.id)) watch(transaction);
      return transaction;
    }
    const change = commit(expired(transaction, Date.now()));
    change.durable.catch(onWriteFailed);
    return change.transaction;
  }

  return {
    create(merchant, environment, request) {
      const change = commit(created(open(merchant, environment, request)));
      idByReference.set(referenceOf(change.transaction), change.transaction.id);
      return change;
    },
    generate(transaction, { money, expiryMinutes, ...rest }) {
      const at = Date.now();
      const link: PaymentLink = {
        ...rest,
        id: randomUUID(),
        money,
        status: 'ACTIVE',
        expiresAt: at + expiryMinutes * minuteMs,
      };
      return { ...commit(withLink(transaction, link, at)), link };
    },
    byId: current,
    byLink: (linkId) => current(idByLink.get(linkId)),
    byReference: (reference) => current(idByReference.get(reference)),
    change(id, transition) {
      const transaction = current(id);
      if (!transaction) throw new Error(`No such transaction: ${id}`);
      return commit(transition(transaction, Date.now()));
    },
    start() {
      started = true;
      for (const transaction of all.values()) watch(transaction);
    },
    close() {
      started = false;
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}

function open(merchant: Merchant, environment: Environment, request: TransactionRequest): Transaction {
  const { type, money, metadata, paymentMethodId, redirectUrl } = request;
  const at = Date.now();
  return {
    id: randomUUID(),
    merchant: merchant.name,
    environment,
    type,
    requested: money,
    refunded: 0,
    status: 'PENDING',
    metadata,
    paymentMethodId,
    redirectUrl,
    links: [],
    createdAt: at,
    updatedAt: at,
  };
}
