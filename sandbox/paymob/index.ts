import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { createFaults } from '../faults.ts';
import type { Money } from '../money.ts';
import {
  type Action,
  type ActionInput,
  type ActionResult,
  Refused,
  type SandboxProvider,
  type Surroundings,
} from '../provider.ts';
import type { Store } from '../store.ts';
import { type Attempt, createDeliveries, type DeliveryOrder, type Notice } from '../webhooks.ts';
import { merchantApi, namesOf, OPERATIONS } from './api.ts';
import { type Link, liveHold } from './link.ts';
import { createLinks } from './links.ts';
import { MERCHANTS, merchantNamed } from './merchants.ts';
import { payPage, shortLinks } from './page.ts';
import { createTokens } from './tokens.ts';
import {
  attemptFailed,
  corrected,
  expired,
  held,
  impossible,
  paid,
  refundFailed,
  settled,
  type Transition,
} from './transitions.ts';
import { hmacOf, transactionOnWire } from './wire.ts';

export interface PaymobOptions {
  /** How long a minute until `expires_at` lasts, in milliseconds; default 60,000. Demos and tests shorten it. */
  minuteMs?: number;
  /** How long an auth token lives, in milliseconds; default 60 minutes. */
  tokenMs?: number;
}

/** Where a merchant's dashboard sends callbacks of links that name no address, by merchant name. */
interface CallbackSetting {
  url: string;
  secret: string;
}

const CALLBACK = 'callback';

/** Paymob: API under `/api`, pay page under `/api/ecommerce/payment-links/unrestricted`, short links under `/l`. */
export function paymob(store: Store, around: Surroundings, options: PaymobOptions): SandboxProvider {
  const { minuteMs = 60_000, tokenMs = 60 * 60_000 } = options;
  const name = 'paymob';
  const shelf = store.shelf(name);
  const faults = createFaults();
  const { log, publicUrl } = around;
  const deliveries = createDeliveries({ faults, log, retryMs: around.webhookRetryMs });
  const settings = shelf.objects<CallbackSetting>(CALLBACK);
  const secretOf = ({ merchant }: Link) => settings.get(merchant)?.secret ?? merchantNamed(merchant).hmacSecret;
  const links = createLinks({
    shelf,
    minuteMs,
    onWriteFailed: (error) => log('sandbox state was not written', { error: String(error) }),
  });

  /** One callback: the signature goes into the address, beside whatever stands there. */
  function notice(link: Link, id: number): Notice | undefined {
    const transaction = link.transactions.find((known) => known.id === id);
    if (!transaction) return undefined;
    const obj = transactionOnWire(link, transaction);
    const address = link.notificationUrl ?? settings.get(link.merchant)?.url;
    const url = address === undefined ? undefined : new URL(address);
    url?.searchParams.set('hmac', hmacOf(obj, secretOf(link)));
    return {
      link: String(link.id),
      names: namesOf(link),
      body: JSON.stringify({ type: 'TRANSACTION', obj }),
      subscribers: url ? [{ address: url.href, headers: () => ({}), live: () => true, settled() {} }] : [],
    };
  }

  async function announce(link: Link, transactions: readonly number[], order?: DeliveryOrder): Promise<Attempt[]> {
    const notices = transactions.map((id) => notice(link, id)).filter((made) => made !== undefined);
    return (await Promise.all(notices.map((made) => deliveries.send(made, order)))).flat();
  }

  async function happen(id: string, transition: Transition, input: ActionInput): Promise<ActionResult> {
    const { link, entries, news, durable } = links.change(Number(id), transition);
    await durable;
    return { link: id, status: link.state, entries, webhooks: await announce(link, news, input) };
  }

  const app = new Hono<{ Bindings: HttpBindings }>();
  const tokens = createTokens(tokenMs);
  app.route('/api/ecommerce/payment-links/unrestricted', payPage({ links, publicUrl, secretOf, announce }));
  app.route('/api', merchantApi({ links, tokens, deliveries, faults, publicUrl, announce, log }));
  app.route('/', shortLinks({ links, publicUrl }));
  app.all('*', (c) => c.json({ detail: 'Not found.' }, 404));

  return {
    name,
    app,
    operations: OPERATIONS,
    faults,
    deliveries,
    ledger: shelf.ledger,
    find(named) {
      const number = Number(named);
      const link =
        links.byId(number) ?? links.byReference(named) ?? links.byOrder(number) ?? links.byTransaction(number);
      return link && String(link.id);
    },
    act: (id, action, input) => happen(id, transitions[action](input, links.byId(Number(id))!), input),
    portal: { settle: (id, input) => happen(id, settled, input) },
    async resend(id, times) {
      const link = links.byId(Number(id));
      const last = link?.transactions.at(-1);
      // After a restart the old notice is forgotten; the present state makes the same one again.
      const newest = deliveries.latest(id) ?? (link && last && notice(link, last.id));
      return newest ? deliveries.send(newest, { times }) : [];
    },
    async setWebhook({ url, secret, merchant: wanted }) {
      const merchant = MERCHANTS.find((known) => known.name === (wanted ?? MERCHANTS[0]?.name));
      if (!merchant) throw new Refused(`merchant: must be one of ${MERCHANTS.map((known) => known.name).join(', ')}`);
      const value: CallbackSetting = { url, secret: secret ?? merchant.hmacSecret };
      await shelf.commit([{ kind: CALLBACK, id: merchant.name, value }]).durable;
      return { ...value, merchant: merchant.name };
    },
    start: links.start,
    close() {
      links.close();
      faults.close();
      deliveries.close();
    },
  };
}

const transitions: Readonly<Record<Action, (input: ActionInput, now: Link) => Transition>> = {
  pay: (input, now) => paid(moneyOf(input, liveHold(now)?.money ?? now.money)),
  authorize: (input, now) => held(moneyOf(input, now.money)),
  fail: () => attemptFailed(),
  expire: () => expired,
  refund_fails: refundFailed,
  correct: corrected,
  chargeback: () => impossible('chargeback: Paymob tells of no disputes'),
  dispute_won: () => impossible('dispute_won: Paymob tells of no disputes'),
};

function moneyOf({ amount, currency }: ActionInput, otherwise: Money): Money {
  return { minor: amount ?? otherwise.minor, currency: currency ?? otherwise.currency };
}
