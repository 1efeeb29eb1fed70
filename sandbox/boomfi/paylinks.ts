import { randomBytes } from 'node:crypto';
import type { LedgerEntry } from '../ledger.ts';
import type { Put, Shelf } from '../store.ts';
import { ksuid } from './ksuid.ts';
import type { Merchant } from './merchants.ts';
import type { Paylink, Payment } from './paylink.ts';
import type { LinkRequest, Page } from './requests.ts';
import { type Change, created, type Transition } from './transitions.ts';
import { instant, paymentNews, planOnWire } from './wire.ts';

/** Something BoomFi tells the world: the webhook's event is `type.action`. */
export interface News {
  /** Of the event itself; what it is about has its id in `data`. */
  id: string;
  merchant: string;
  link: string;
  type: 'Plan' | 'Payment';
  action: 'Created' | 'Updated';
  at: number;
  data: Record<string, unknown>;
}

/** A paylink after a change, what the change put into the ledger, and what there is to tell. Answer only once `durable` resolved. */
export interface Changed {
  paylink: Paylink;
  payment?: Payment;
  entries: LedgerEntry[];
  news?: News;
  durable: Promise<void>;
}

/** A payment and the link it was made through. */
export interface Paid {
  paylink: Paylink;
  payment: Payment;
}

export interface Paylinks {
  create(merchant: Merchant, request: LinkRequest): Changed;
  byId(id: string): Paylink | undefined;
  byPayment(id: string): Paid | undefined;
  /** The newest link of a reference. */
  byReference(reference: string): Paylink | undefined;
  /** What was told last of a link. */
  newest(id: string): News | undefined;
  /** Applies a transition to the link as it is now. */
  change(id: string, transition: Transition): Changed;
  links(merchant: Merchant, page: Page): Listing<Paylink>;
  payments(merchant: Merchant, page: Page): Listing<Paid>;
  events(merchant: Merchant, page: Page): Listing<News>;
}

/** One page of a list. */
export interface Listing<T> {
  items: T[];
  total: number;
  /** The next page's number, 0 on the last one [assumed]. */
  next: number;
  lastUpdate: number;
}

const LINK = 'paylink';
const NEWS = 'event';

/** All paylinks of all merchants, with their plans, payments and events. */
export function createPaylinks(shelf: Shelf): Paylinks {
  const all = shelf.objects<Paylink>(LINK);
  const told = shelf.objects<News>(NEWS);
  const idByPayment = new Map<string, string>();
  const idByReference = new Map<string, string>();
  const newestByLink = new Map<string, News>();

  function index({ id, payments }: Paylink) {
    for (const payment of payments) idByPayment.set(payment.id, id);
  }

  for (const paylink of all.values()) {
    index(paylink);
    idByReference.set(paylink.reference, paylink.id);
  }
  for (const news of told.values()) newestByLink.set(news.link, news);

  function commit({ paylink, payment, entries }: Change, news: News | undefined): Changed {
    const puts: Put[] = [{ kind: LINK, id: paylink.id, value: paylink }];
    if (news) puts.push({ kind: NEWS, id: news.id, value: news });
    const committed = shelf.commit(puts, entries);
    index(paylink);
    if (news) newestByLink.set(paylink.id, news);
    return { paylink, payment, news, ...committed };
  }

  const ofMerchant = <T extends { merchant: string }>(values: Iterable<T>, { name }: Merchant) =>
    [...values].filter(({ merchant }) => merchant === name);

  return {
    create(merchant, request) {
      const at = Date.now();
      const paylink: Paylink = {
        ...request,
        id: ksuid(at),
        planId: ksuid(at),
        merchant: merchant.name,
        shortCode: randomBytes(7).toString('base64url'),
        enabled: true,
        payments: [],
        createdAt: at,
        updatedAt: at,
      };
      // Each plan has a paylink, and what is told of is the plan.
      const data = planOnWire(paylink);
      const news: News = { ...newsOf(paylink, at), type: 'Plan', action: 'Created', data };
      const changed = commit(created(paylink), news);
      idByReference.set(paylink.reference, paylink.id);
      return changed;
    },
    byId: (id) => all.get(id),
    byPayment(id) {
      const paylink = all.get(idByPayment.get(id) ?? '');
      const payment = paylink?.payments.find((candidate) => candidate.id === id);
      return paylink && payment && { paylink, payment };
    },
    byReference: (reference) => all.get(idByReference.get(reference) ?? ''),
    newest: (id) => newestByLink.get(id),
    change(id, transition) {
      const before = all.get(id);
      if (!before) throw new Error(`No such paylink: ${id}`);
      const at = Date.now();
      const change = transition(before, { id: ksuid(at), customerId: ksuid(at), at });
      const { paylink, payment } = change;
      const action = before.payments.some((known) => known.id === payment?.id) ? 'Updated' : 'Created';
      const news: News | undefined = payment && {
        ...newsOf(paylink, at),
        type: 'Payment',
        action,
        data: paymentNews(paylink, payment),
      };
      return commit(change, news);
    },
    links: (merchant, page) =>
      paged(
        ofMerchant(all.values(), merchant).filter(({ id }) => id > page.after && (!page.before || id < page.before)),
        page,
        (paylink) => paylink,
      ),
    payments(merchant, page) {
      const made = ofMerchant(all.values(), merchant)
        .flatMap((paylink) => paylink.payments.map((payment) => ({ paylink, payment })))
        .filter(({ payment }) => between(payment.createdAt, page))
        .filter(({ payment }) => (page.filters.customer_id ?? payment.customerId) === payment.customerId)
        // No payment of a one-time link has an invoice.
        .filter(() => (page.filters.invoice_id ?? '') === '');
      return paged(made, page, ({ payment }) => payment);
    },
    events: (merchant, page) =>
      paged(
        ofMerchant(told.values(), merchant).filter(({ at }) => between(at, page)),
        page,
        ({ at }) => ({ createdAt: at, updatedAt: at }),
      ),
  };
}

const newsOf = ({ id, merchant }: Paylink, at: number) => ({ id: ksuid(at), merchant, link: id, at });

/** `after` and `before` of payments and events are timestamps [public]; those of paylinks are cursors, ids here [assumed]. */
function between(at: number, { after, before }: Page): boolean {
  return (after === '' || instant(at) > after) && (before === '' || instant(at) < before);
}

/** `since` and `until` mean made or changed [public, of paylinks]; the order is that of making [assumed]. */
function paged<T>(values: T[], page: Page, times: (value: T) => { createdAt: number; updatedAt: number }): Listing<T> {
  const chosen = values.filter((value) => times(value).updatedAt >= page.since && times(value).createdAt <= page.until);
  const direction = page.sort === 'asc' ? 1 : -1;
  const sorted = chosen.sort((a, b) => direction * (times(a).createdAt - times(b).createdAt));
  const end = page.page * page.limit;
  return {
    items: sorted.slice(end - page.limit, end),
    total: sorted.length,
    next: end < sorted.length ? page.page + 1 : 0,
    lastUpdate: Math.max(0, ...chosen.map((value) => times(value).updatedAt)),
  };
}
