import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { createFaults } from '../faults.ts';
import { createIds } from '../ids.ts';
import type { Action, ActionInput, ActionResult, SandboxProvider, Surroundings } from '../provider.ts';
import type { Store } from '../store.ts';
import { createDeliveries, type DeliveryOrder, hmacHex, type Notice } from '../webhooks.ts';
import { merchantApi, OPERATIONS } from './api.ts';
import {
  attemptFailed,
  type Change,
  corrected,
  deactivated,
  expired,
  impossible,
  type Link,
  onlyBirr,
  paid,
  type Stamp,
  type Status,
} from './link.ts';
import { createLinks } from './links.ts';
import { merchantNamed } from './merchants.ts';
import { BANKS, checkoutPage } from './page.ts';
import { resultOnWire, SIGNATURE_HEADER } from './wire.ts';

export interface BeqelalOptions {
  /** How long a minute until `expires_at`, or between two webhook tries, lasts, in milliseconds; default 60,000. */
  minuteMs?: number;
}

/** Minutes before the second, third and fourth try of a webhook [assumed]. */
const RETRY_MINUTES = [1, 5, 15];

/** Beqelal: API under `/api/v1`, pay page under `/payment/link`. */
export function beqelal(store: Store, around: Surroundings, { minuteMs = 60_000 }: BeqelalOptions): SandboxProvider {
  const name = 'beqelal';
  const shelf = store.shelf(name);
  const faults = createFaults();
  const { log, publicUrl } = around;
  const retryMs = around.webhookRetryMs ?? RETRY_MINUTES.map((minutes) => minutes * minuteMs);
  const deliveries = createDeliveries({ faults, log, retryMs });

  const notice = (link: Link, status?: Status): Notice => ({
    link: link.id,
    names: [link.id, link.traceNumber],
    body: JSON.stringify(resultOnWire(link, status)),
    subscribers: [
      {
        address: link.callbackUrl,
        headers: (body) => ({
          [SIGNATURE_HEADER]: hmacHex('sha256', merchantNamed(link.merchant).webhookSecret, body),
        }),
        live: () => true,
        settled() {},
      },
    ],
  });
  const announce = (link: Link, status?: Status, order?: DeliveryOrder) => deliveries.send(notice(link, status), order);

  const links = createLinks({
    shelf,
    ids: createIds(),
    minuteMs,
    onExpired: (link) => void announce(link),
    onWriteFailed: (error) => log('sandbox state was not written', { error: String(error) }),
  });

  const app = new Hono<{ Bindings: HttpBindings }>();
  app.route('/api/v1', merchantApi({ links, deliveries, faults, publicUrl, announce, log }));
  app.route('/payment/link', checkoutPage({ links, announce }));

  async function happen(id: string, transition: Transition, input: ActionInput, stale?: Status): Promise<ActionResult> {
    onlyBirr(input);
    const { link, entries, durable } = links.change(id, transition);
    await durable;
    // A failure or expiry that money has overtaken still sends its word: old news, out of order.
    const webhooks = await announce(link, link.payment ? stale : undefined, input);
    return { link: id, status: link.status, entries, webhooks };
  }

  return {
    name,
    app,
    operations: OPERATIONS,
    faults,
    deliveries,
    ledger: shelf.ledger,
    find: (linkOrReference) => (links.byId(linkOrReference) ?? links.byTrace(linkOrReference))?.id,
    act: (id, action, input) => happen(id, transitions[action](input), input, STALE[action]),
    portal: { deactivate: (id, input) => happen(id, deactivated, input) },
    async resend(id, times) {
      const link = links.byId(id);
      if (!link) return [];
      // After a restart the old notice is forgotten; the present state makes the same one again.
      const { body } = deliveries.latest(id) ?? notice(link);
      return deliveries.send({ ...notice(link), body }, { times });
    },
    start: links.start,
    close() {
      links.close();
      faults.close();
      deliveries.close();
    },
  };
}

type Transition = (now: Link, stamp: Stamp) => Change;

const STALE: Partial<Record<Action, Status>> = { fail: 'FAILED', expire: 'EXPIRED' };

const transitions: Readonly<Record<Action, (input: ActionInput) => Transition>> = {
  pay: (input) => (now, stamp) =>
    paid(now, { minor: input.amount ?? now.minor, bankName: BANKS[0], phone: now.phone }, stamp),
  fail: () => attemptFailed,
  expire: () => expired,
  correct: (input) => (now) => corrected(now, input),
  authorize: () => () => impossible('authorize'),
  chargeback: () => () => impossible('chargeback'),
  dispute_won: () => () => impossible('dispute_won'),
  refund_fails: () => () => impossible('refund_fails'),
};
