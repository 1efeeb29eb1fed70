import { randomBytes } from 'node:crypto';
import type { Ids } from '../ids.ts';
import type { LedgerEntry } from '../ledger.ts';
import { Refused } from '../provider.ts';
import type { Shelf } from '../store.ts';
import { type Checkout, isOpen, type Status } from './checkout.ts';
import type { Merchant } from './merchants.ts';
import type { LinkRequest, Search } from './requests.ts';
import { type Change, created, expired, type Stamp } from './transitions.ts';

/** The lifetime of a checkout that asks for none [assumed: not published]. */
const DEFAULT_EXPIRES_IN = 1_440;

/** A checkout after a change, and what the change put into the ledger. Answer only once `durable` resolved. */
export interface Changed {
  checkout: Checkout;
  entries: LedgerEntry[];
  durable: Promise<void>;
}

export interface Checkouts {
  create(merchant: Merchant, request: LinkRequest): Changed;
  /** By checkout id. Like every read, first expires a checkout whose time is up. */
  byId(id: string): Checkout | undefined;
  byKey(checkoutKey: string): Checkout | undefined;
  byPayment(paymentId: string): Checkout | undefined;
  /** The newest checkout of an order. */
  byOrder(orderId: string): Checkout | undefined;
  /** A merchant's matching checkouts, oldest first, so that `afterId` walks forward. */
  search(merchant: Merchant, search: Search): Checkout[];
  /** Applies a transition to the checkout as it is now. */
  change(id: string, transition: (checkout: Checkout, stamp: Stamp) => Change): Changed;
  /** Starts the timers that expire checkouts on time. */
  start(): void;
  close(): void;
}

export interface CheckoutsOptions {
  shelf: Shelf;
  ids: Ids;
  /** How long one minute of `expiresIn` lasts, in milliseconds. */
  minuteMs: number;
  /** Hears of every checkout whose status changed by time alone. */
  onExpired(checkout: Checkout): void;
  /** Hears of a write nobody waits for that failed. */
  onWriteFailed(error: unknown): void;
}

const KIND = 'checkout';

/** All checkouts of all merchants, their indexes and their expiry. */
export function createCheckouts({ shelf, ids, minuteMs, onExpired, onWriteFailed }: CheckoutsOptions): Checkouts {
  const all = shelf.objects<Checkout>(KIND);
  const idByKey = new Map<string, string>();
  const idByRequest = new Map<string, string>();
  const idByPayment = new Map<string, string>();
  const idByOrder = new Map<string, string>();
  const timers = new Map<string, NodeJS.Timeout>();
  let started = false;

  const requestKey = (merchant: string, requestId: string) => `${merchant} ${requestId}`;

  function index(checkout: Checkout) {
    idByKey.set(checkout.checkoutKey, checkout.id);
    idByRequest.set(requestKey(checkout.merchant, checkout.requestId), checkout.id);
    // An older checkout of the order that changes stays older. Ids have one length, so text compares as numbers.
    const newest = idByOrder.get(checkout.orderId) ?? '';
    if (checkout.id >= newest) idByOrder.set(checkout.orderId, checkout.id);
    for (const payment of checkout.payments) idByPayment.set(payment.id, checkout.id);
  }

  for (const checkout of all.values()) {
    index(checkout);
    for (const { id } of [checkout, ...checkout.payments]) ids.seen(id);
  }

  function watch(checkout: Checkout) {
    clearTimeout(timers.get(checkout.id));
    timers.delete(checkout.id);
    if (!started || !isOpen(checkout)) return;
    const wait = Math.max(0, checkout.expiresAt - Date.now());
    timers.set(checkout.id, setTimeout(current, wait, checkout.id).unref());
  }

  function commit({ checkout, entries }: Change): Changed {
    const committed = shelf.commit([{ kind: KIND, id: checkout.id, value: checkout }], entries);
    index(checkout);
    watch(checkout);
    return { checkout, ...committed };
  }

  /** The checkout as it is at this instant. */
  function current(id: string | undefined): Checkout | undefined {
    const checkout = id === undefined ? undefined : all.get(id);
    if (!checkout || !isOpen(checkout) || Date.now() < checkout.expiresAt) {
      // A timer may fire a moment early.
      if (checkout && timers.has(checkout.id)) watch(checkout);
      return checkout;
    }
    const change = commit(expired(checkout));
    change.durable.catch(onWriteFailed);
    onExpired(change.checkout);
    return change.checkout;
  }

  return {
    create(merchant, request) {
      if (idByRequest.has(requestKey(merchant.name, request.requestId))) throw new Refused('Duplicate request ID');
      return commit(created(open(merchant, request, ids, minuteMs)));
    },
    byId: current,
    byKey: (key) => current(idByKey.get(key)),
    byPayment: (paymentId) => current(idByPayment.get(paymentId)),
    byOrder: (orderId) => current(idByOrder.get(orderId)),
    search(merchant, search) {
      // A request id has at most one checkout: no need to walk through all of them.
      const { requestId } = search;
      const candidates =
        requestId === undefined ? [...all.keys()] : [idByRequest.get(requestKey(merchant.name, requestId))];
      return candidates
        .map(current)
        .filter((checkout) => checkout !== undefined)
        .filter((checkout) => matches(checkout, merchant, search));
    },
    change(id, transition) {
      const checkout = current(id);
      if (!checkout) throw new Error(`No such checkout: ${id}`);
      const change = transition(checkout, { id: ids.next(), at: Date.now() });
      return commit(change);
    },
    start() {
      started = true;
      for (const checkout of all.values()) watch(checkout);
    },
    close() {
      started = false;
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}

function open(merchant: Merchant, request: LinkRequest, ids: Ids, minuteMs: number): Checkout {
  const createdAt = Date.now();
  const { customer } = request;
  return {
    id: ids.next(),
    displayId: randomBytes(5).toString('hex').slice(0, 6).toUpperCase(),
    checkoutKey: randomBytes(24).toString('hex'),
    merchant: merchant.name,
    requestId: request.requestId,
    orderId: request.orderId,
    description: request.description,
    money: request.money,
    // In answers `id` is paymennt's own and the merchant's becomes `reference`.
    customer: customer && { ...customer, id: ids.next(), reference: customer.id },
    billingAddress: request.billingAddress,
    deliveryAddress: request.deliveryAddress,
    branchId: request.branchId === undefined ? merchant.branchId : String(request.branchId),
    status: 'PENDING' satisfies Status,
    payments: [],
    createdAt,
    expiresAt: createdAt + (request.expiresIn ?? DEFAULT_EXPIRES_IN) * minuteMs,
  };
}

function matches(checkout: Checkout, merchant: Merchant, search: Search): boolean {
  return (
    checkout.merchant === merchant.name &&
    (search.type ?? 'LINK') === 'LINK' &&
    (search.requestId ?? checkout.requestId) === checkout.requestId &&
    (search.orderId ?? checkout.orderId) === checkout.orderId &&
    (search.statuses?.includes(checkout.status) ?? true) &&
    (search.afterId === undefined || BigInt(checkout.id) > search.afterId) &&
    (search.afterTimestamp === undefined || checkout.createdAt > search.afterTimestamp)
  );
}
