import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { createFaults } from '../faults.ts';
import {
  type Action,
  type ActionInput,
  type ActionResult,
  Refused,
  type SandboxProvider,
  type Surroundings,
  type WebhookTarget,
} from '../provider.ts';
import type { Store } from '../store.ts';
import { createDeliveries, type DeliveryOrder, type Notice } from '../webhooks.ts';
import { merchantApi, OPERATIONS } from './api.ts';
import { MERCHANTS } from './merchants.ts';
import { payPage } from './page.ts';
import type { Paylink } from './paylink.ts';
import { createPaylinks, type News } from './paylinks.ts';
import { createSigner } from './signing.ts';
import { arrived, corrected, ended, impossible, sent, switched, type Transition } from './transitions.ts';

const WEBHOOK = 'webhook';

/**
 * BoomFi, and so Uqualify: API under `/v1`, pay page under `/pay`, the key that webhooks are verified with at
 * `/public-key.pem`. Where webhooks go is set in the dashboard, here `PUT /__sandbox/boomfi/webhook`; it is kept.
 */
export function boomfi(store: Store, around: Surroundings): SandboxProvider {
  const name = 'boomfi';
  const shelf = store.shelf(name);
  const faults = createFaults();
  const { log } = around;
  const onWriteFailed = (error: unknown) => log('sandbox state was not written', { error: String(error) });
  const deliveries = createDeliveries({ faults, log, retryMs: around.webhookRetryMs });
  const signer = createSigner(shelf, onWriteFailed);
  const paylinks = createPaylinks(shelf);
  const targets = shelf.objects<WebhookTarget>(WEBHOOK);

  const notice = ({ id, reference, merchant }: Paylink, body: string): Notice => {
    const address = targets.get(merchant)?.url;
    return {
      link: id,
      names: [id, reference],
      body,
      subscribers:
        address === undefined
          ? []
          : [{ address, headers: signer.headers, live: () => targets.get(merchant)?.url === address, settled() {} }],
    };
  };
  const bodyOf = ({ type, action, data }: News) => JSON.stringify({ event: `${type}.${action}`, ...data });
  const announce = (paylink: Paylink, news: News, order?: DeliveryOrder) =>
    deliveries.send(notice(paylink, bodyOf(news)), order);

  const app = new Hono<{ Bindings: HttpBindings }>();
  app.get('/public-key.pem', async (c) =>
    c.body(await signer.publicKey(), 200, { 'content-type': 'application/x-pem-file' }),
  );
  app.route('/v1', merchantApi({ paylinks, deliveries, faults, announce, log }));
  app.route('/pay', payPage({ paylinks, announce }));

  async function happen(id: string, transition: Transition, input: ActionInput): Promise<ActionResult> {
    const { paylink, payment, news, entries, durable } = paylinks.change(id, transition);
    await durable;
    const webhooks = news ? await announce(paylink, news, input) : [];
    return { link: id, status: payment?.status ?? (paylink.enabled ? 'Enabled' : 'Disabled'), entries, webhooks };
  }

  return {
    name,
    app,
    operations: OPERATIONS,
    faults,
    deliveries,
    ledger: shelf.ledger,
    find: (linkOrReference) => (paylinks.byId(linkOrReference) ?? paylinks.byReference(linkOrReference))?.id,
    act: (id, action, input) => happen(id, transitions[action](input), input),
    portal: {
      enable: (id, input) => happen(id, switched(true), input),
      disable: (id, input) => happen(id, switched(false), input),
    },
    async resend(id, times) {
      const paylink = paylinks.byId(id);
      const news = paylinks.newest(id);
      return paylink && news ? deliveries.send(notice(paylink, bodyOf(news)), { times }) : [];
    },
    async setWebhook({ url, secret, merchant = MERCHANTS[0]!.name }) {
      if (secret !== undefined)
        throw new Refused('secret: BoomFi signs with a key of its own, see /boomfi/public-key.pem');
      if (!MERCHANTS.some((known) => known.name === merchant))
        throw new Refused(`merchant: no such merchant: ${merchant}`, 404);
      const target = { url, merchant };
      await shelf.commit([{ kind: WEBHOOK, id: merchant, value: target }]).durable;
      return target;
    },
    start() {},
    close() {
      faults.close();
      deliveries.close();
    },
  };
}

/** `authorize` is a transfer under way, Processing: `pay` lets it arrive, `fail` lets it fail. */
const transitions: Readonly<Record<Action, (input: ActionInput) => Transition>> = {
  pay: (input) => arrived(howOf(input)),
  authorize: (input) => sent(howOf(input)),
  fail: (input) => ended('Failed', howOf(input)),
  correct: (input) => corrected(input),
  expire: () => () => impossible('expire'),
  chargeback: () => () => impossible('chargeback'),
  dispute_won: () => () => impossible('dispute_won'),
  refund_fails: () => () => impossible('refund_fails'),
};

function howOf({ amount, currency }: ActionInput) {
  return amount === undefined && currency === undefined ? {} : { money: { minor: amount, currency } };
}
