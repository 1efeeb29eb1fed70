import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { createFaults } from '../faults.ts';
import { createIds } from '../ids.ts';
import type { Money } from '../money.ts';
import type { Action, ActionInput, SandboxProvider, Surroundings } from '../provider.ts';
import type { Store } from '../store.ts';
import { createDeliveries, type DeliveryOrder, type Notice } from '../webhooks.ts';
import { merchantApi, OPERATIONS } from './api.ts';
import { type Checkout, liveHold, type Status, taken } from './checkout.ts';
import { createCheckouts } from './checkouts.ts';
import { checkoutPage } from './page.ts';
import { createRegistrations } from './registrations.ts';
import {
  type Change,
  chargedBack,
  corrected,
  disputeWon,
  expired,
  failed,
  hold,
  refundFailed,
  type Stamp,
  sale,
} from './transitions.ts';
import { notificationBody } from './wire.ts';

export interface PaymenntOptions {
  /** How long a minute of `expiresIn` lasts, in milliseconds; default 60,000. Demos and tests shorten it. */
  minuteMs?: number;
}

/** paymennt: API under `/mer/v2.0`, pay page under `/checkout`. */
export function paymennt(store: Store, around: Surroundings, { minuteMs = 60_000 }: PaymenntOptions): SandboxProvider {
  const name = 'paymennt';
  const shelf = store.shelf(name);
  const ids = createIds();
  const faults = createFaults();
  const { log, publicUrl } = around;
  const onWriteFailed = (error: unknown) => log('sandbox state was not written', { error: String(error) });
  const deliveries = createDeliveries({ faults, log, retryMs: around.webhookRetryMs });
  const registrations = createRegistrations(shelf, ids, onWriteFailed);

  const notice = (checkout: Checkout, status?: Status): Notice => ({
    link: checkout.id,
    names: [checkout.id, checkout.orderId, checkout.requestId],
    body: notificationBody(checkout, status),
    subscribers: registrations.subscribers(checkout.merchant),
  });
  const announce = (checkout: Checkout, status?: Status, order?: DeliveryOrder) =>
    deliveries.send(notice(checkout, status), order);

  const checkouts = createCheckouts({
    shelf,
    ids,
    minuteMs,
    onExpired: (checkout) => void announce(checkout),
    onWriteFailed,
  });

  const app = new Hono<{ Bindings: HttpBindings }>();
  app.route('/mer/v2.0', merchantApi({ checkouts, registrations, deliveries, faults, publicUrl, announce, log }));
  app.route('/checkout', checkoutPage({ checkouts, announce }));

  return {
    name,
    app,
    operations: OPERATIONS,
    faults,
    deliveries,
    ledger: shelf.ledger,
    find: (linkOrReference) => (checkouts.byId(linkOrReference) ?? checkouts.byOrder(linkOrReference))?.id,
    async act(link, action, input) {
      const { checkout, entries, durable } = checkouts.change(link, transitions[action](input));
      await durable;
      const webhooks = await announce(checkout, staleWord(checkout, action), input);
      return { link, status: checkout.status, entries, webhooks };
    },
    async resend(link, times) {
      const checkout = checkouts.byId(link);
      if (!checkout) return [];
      // After a restart the old notice is forgotten; the present state makes the same one again.
      const { body } = deliveries.latest(link) ?? notice(checkout);
      return deliveries.send({ ...notice(checkout), body }, { times });
    },
    start: checkouts.start,
    close() {
      checkouts.close();
      faults.close();
      deliveries.close();
    },
  };
}

type Transition = (now: Checkout, stamp: Stamp) => Change;

const transitions: Record<Action, (input: ActionInput) => Transition> = {
  pay: (input) => (now, stamp) => sale(now, moneyOf(input, liveHold(now)?.money ?? now.money), stamp),
  authorize: (input) => (now, stamp) => hold(now, moneyOf(input, now.money), stamp),
  fail: () => failed,
  expire: () => expired,
  chargeback: (input) => (now) => chargedBack(now, input),
  dispute_won: (input) => (now) => disputeWon(now, input),
  refund_fails: (input) => (now) => refundFailed(now, input),
  correct: (input) => (now) => corrected(now, input),
};

function moneyOf({ amount, currency }: ActionInput, otherwise: Money): Money {
  return { minor: amount ?? otherwise.minor, currency: currency ?? otherwise.currency };
}

/** A failure or expiry that money has overtaken still sends its word: old news, out of order. */
function staleWord(checkout: Checkout, action: Action): Status | undefined {
  if (taken(checkout).length === 0) return undefined;
  if (action === 'fail') return 'FAILED';
  return action === 'expire' ? 'EXPIRED' : undefined;
}
