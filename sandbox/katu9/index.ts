import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { createFaults } from '../faults.ts';
import type { Money } from '../money.ts';
import type { Surroundings } from '../provider.ts';
import { type Action, type ActionInput, type ActionResult, Refused, type SandboxProvider } from '../provider.ts';
import type { Store } from '../store.ts';
import { createDeliveries, hmacHex, type Notice } from '../webhooks.ts';
import { katu9Api, OPERATIONS } from './api.ts';
import { MERCHANTS } from './merchants.ts';
import { payPage } from './page.ts';
import { referenceOf, type Transaction } from './transaction.ts';
import { createTransactions } from './transactions.ts';
import { corrected, expired, failed, paid, refunded, refundFailed, type Transition } from './transitions.ts';
import { EVENT_HEADER, type Event, eventBody, SIGNATURE_HEADER } from './wire.ts';

export interface Katu9Options {
  /** How long a minute of `expiryMinutes` lasts, in milliseconds; default 60,000. Demos and tests shorten it. */
  minuteMs?: number;
  /** Deliver every webhook before the answer to the call that caused it; by itself the two race. */
  webhookFirst?: boolean;
}

/** Where a merchant's dashboard sends webhooks, by merchant name. */
interface WebhookSetting {
  url: string;
  secret: string;
}

const WEBHOOK = 'webhook';

/** Katu9: API under `/`, pay page under `/pay`. A link is a transaction; its id is the ledger's `link` and `payment`. */
export function katu9(store: Store, around: Surroundings, options: Katu9Options): SandboxProvider {
  const { minuteMs = 60_000, webhookFirst = false } = options;
  const name = 'katu9';
  const shelf = store.shelf(name);
  const faults = createFaults();
  const { log, publicUrl } = around;
  const onWriteFailed = (error: unknown) => log('sandbox state was not written', { error: String(error) });
  const deliveries = createDeliveries({ faults, log, retryMs: around.webhookRetryMs });
  const transactions = createTransactions({ shelf, minuteMs, onWriteFailed });
  const settings = shelf.objects<WebhookSetting>(WEBHOOK);

  function notice(event: Event, transaction: Transaction): Notice {
    const setting = settings.get(transaction.merchant);
    return {
      link: transaction.id,
      names: [transaction.id, referenceOf(transaction), ...transaction.links.map(({ id }) => id)],
      body: eventBody(event, transaction, publicUrl()),
      subscribers: setting
        ? [
            {
              address: setting.url,
              headers: (body) => ({
                [SIGNATURE_HEADER]: hmacHex('sha256', setting.secret, body),
                [EVENT_HEADER]: event,
              }),
              live: () => settings.get(transaction.merchant)?.url === setting.url,
              settled() {},
            },
          ]
        : [],
    };
  }

  const announce = (event: Event, transaction: Transaction) => deliveries.send(notice(event, transaction));

  /** Nothing that money does is told by webhook, so `webhooks` is always empty. */
  async function act(link: string, transition: Transition): Promise<ActionResult> {
    const { transaction, entries, durable } = transactions.change(link, transition);
    await durable;
    return { link, status: transaction.status, entries, webhooks: [] };
  }

  const app = new Hono<{ Bindings: HttpBindings }>();
  app.route('/pay', payPage(transactions));
  app.route('/', katu9Api({ transactions, deliveries, faults, webhookFirst, publicUrl, announce, log }));

  return {
    name,
    app,
    operations: OPERATIONS,
    faults,
    deliveries,
    ledger: shelf.ledger,
    find: (named) => (transactions.byId(named) ?? transactions.byLink(named) ?? transactions.byReference(named))?.id,
    act: (link, action, input) => act(link, transitions[action](input)),
    portal: { refund: (link) => act(link, refunded) },
    async resend(link, times) {
      const transaction = transactions.byId(link);
      if (!transaction) return [];
      const newest: Event = transaction.links.length > 0 ? 'payment_link.created' : 'transaction.created';
      // After a restart the old notice is forgotten; the present state makes a new one.
      const { body } = deliveries.latest(link) ?? notice(newest, transaction);
      return deliveries.send({ ...notice(newest, transaction), body }, { times });
    },
    async setWebhook({ url, secret, merchant: wanted }) {
      const merchant = MERCHANTS.find((known) => known.name === (wanted ?? MERCHANTS[0]?.name));
      if (!merchant) throw new Refused(`merchant: must be one of ${MERCHANTS.map((known) => known.name).join(', ')}`);
      const value: WebhookSetting = { url, secret: secret ?? merchant.webhookSecret };
      await shelf.commit([{ kind: WEBHOOK, id: merchant.name, value }]).durable;
      return { ...value, merchant: merchant.name };
    },
    start: transactions.start,
    close() {
      transactions.close();
      faults.close();
      deliveries.close();
    },
  };
}

const transitions: Record<Action, (input: ActionInput) => Transition> = {
  pay: (input) => (now, at) => paid(moneyOf(input, now.requested))(now, at),
  authorize: () => never('authorize: Katu9 takes payments at once'),
  fail: () => failed,
  expire: () => expired,
  chargeback: () => never('chargeback: Katu9 tells of no disputes'),
  dispute_won: () => never('dispute_won: Katu9 tells of no disputes'),
  refund_fails: () => refundFailed,
  correct: ({ amount, currency }) => corrected({ minor: amount, currency }),
};

function never(why: string): Transition {
  return () => {
    throw new Refused(why, 409);
  };
}

function moneyOf({ amount, currency }: ActionInput, otherwise: Money): Money {
  return { minor: amount ?? otherwise.minor, currency: currency ?? otherwise.currency };
}
