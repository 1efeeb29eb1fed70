import { randomUUID } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { html } from 'hono/html';
import { display } from '../money.ts';
import { type PageState, type PayForm, renderCheckout, renderMissing } from '../pay-page.ts';
import { merchantNamed } from './merchants.ts';
import { isPaid, type Paylink, type Payment, type Wallet } from './paylink.ts';
import type { Changed, News, Paylinks } from './paylinks.ts';
import { arrived, ended, sent, type Transition } from './transitions.ts';

export interface PageParts {
  paylinks: Paylinks;
  announce(paylink: Paylink, news: News): Promise<unknown>;
}

const ASSETS = ['USDC', 'USDT'] as const;
const NETWORKS = new Map([
  [137, 'Polygon'],
  [1, 'Ethereum'],
  [56, 'BNB Chain'],
]);

/** The end of addresses that hold nothing: paying from one fails. */
export const EMPTY_WALLET_END = 'dead';

/** The form's fields, as `application/x-www-form-urlencoded`; `terms` is any non-empty text. */
type Form = Record<'asset' | 'network' | 'wallet' | 'terms' | 'attempt', string>;

/**
 * The page a customer pays on, `/boomfi/pay/{paylinkId}`, for as long as the link is enabled: also after it was paid.
 * - `GET`: the form, or what became of a disabled link.
 * - `POST` with `asset`, `network`, `wallet`, `terms` and the form's own `attempt`: 303 to the receipt when paid, and to
 *   the same receipt when the same attempt comes again; 402 and the form when the wallet is empty, 422 and the form when
 *   something is missing, 409 when the link is disabled.
 * - `POST …/cancel`: the customer gives up, which the merchant hears of; the link stays payable.
 * - `GET …/payments/{paymentId}`: the receipt.
 */
export function payPage({ paylinks, announce }: PageParts): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 16 * 1024 }));

  const show = (c: Context, paylink: Paylink, shown: Shown = {}, status: 200 | 402 | 409 | 422 = 200) => {
    // A page about money is never kept by a cache or shown in another site's frame.
    c.header('cache-control', 'no-store');
    c.header('referrer-policy', 'no-referrer');
    const { body, policy } = renderCheckout(view(paylink, shown));
    c.header('content-security-policy', policy);
    return c.html(body, status);
  };

  const missing = (c: Context) => {
    const { body, policy } = renderMissing('BoomFi');
    c.header('content-security-policy', policy);
    return c.html(body, 404);
  };

  /** Makes the changes in one go, and tells of all of them once they are stored. */
  async function change({ id }: Paylink, ...transitions: Transition[]): Promise<Changed> {
    const done = transitions.map((transition) => paylinks.change(id, transition));
    await Promise.all(done.map(({ durable }) => durable));
    for (const { paylink, news } of done) if (news) void announce(paylink, news);
    return done.at(-1)!;
  }

  app.get('/:id', (c) => {
    const paylink = paylinks.byId(c.req.param('id'));
    return paylink ? show(c, paylink) : missing(c);
  });

  app.post('/:id', async (c) => {
    const form = formOf(await c.req.parseBody());
    // Looked up after the body was read, so that nothing can happen between look and payment.
    const paylink = paylinks.byId(c.req.param('id'));
    if (!paylink) return missing(c);
    const known = form.attempt && paylink.payments.find(({ attempt }) => attempt === form.attempt);
    if (known) return c.redirect(receiptOf(paylink, known), 303);
    if (!paylink.enabled) return show(c, paylink, {}, 409);

    const message = incomplete(form);
    if (message) return show(c, paylink, { message, form }, 422);
    const wallet: Wallet = { asset: form.asset, chainId: Number(form.network), address: form.wallet };
    if (form.wallet.toLowerCase().endsWith(EMPTY_WALLET_END)) {
      await change(paylink, ended('Failed', { wallet }));
      const empty = 'This wallet does not hold enough. No money was taken; try another one.';
      return show(c, paylink, { message: empty, form }, 402);
    }
    // Two steps, as on a chain: the transfer is sent, and then it arrives.
    const how = { wallet, ...(form.attempt && { attempt: form.attempt }) };
    const { payment } = await change(paylink, sent(how), arrived({}));
    return c.redirect(receiptOf(paylink, payment!), 303);
  });

  app.post('/:id/cancel', async (c) => {
    const paylink = paylinks.byId(c.req.param('id'));
    if (!paylink) return missing(c);
    if (!paylink.enabled) return show(c, paylink, {}, 409);
    await change(paylink, ended('Canceled'));
    return c.redirect(`../${paylink.id}`, 303);
  });

  app.get('/:id/payments/:payment', (c) => {
    const paid = paylinks.byPayment(c.req.param('payment'));
    if (paid?.paylink.id !== c.req.param('id')) return missing(c);
    return show(c, paid.paylink, { payment: paid.payment });
  });

  return app;
}

const receiptOf = ({ id }: Paylink, payment: Payment) => `${id}/payments/${payment.id}`;

interface Shown {
  message?: string;
  form?: Form;
  /** The payment whose receipt is asked for. */
  payment?: Payment;
}

function view(paylink: Paylink, { message, form, payment: asked }: Shown) {
  const receipt = asked?.status === 'Succeeded' ? asked : undefined;
  const payment =
    receipt ?? (paylink.enabled ? undefined : paylink.payments.findLast(({ status }) => status === 'Succeeded'));
  const state: PageState = payment ? 'paid' : paylink.enabled ? 'open' : 'cancelled';
  return {
    provider: 'BoomFi',
    merchant: merchantNamed(paylink.merchant).displayName,
    description: paylink.description || paylink.name,
    reference: paylink.reference || paylink.shortCode,
    amount: display(payment?.money ?? paylink.money),
    state,
    cancelPath: `${paylink.id}/cancel`,
    receipt: payment && { id: payment.id, at: payment.updatedAt },
    message:
      message ??
      (tellsOfEarlier(paylink) ? 'This link was paid before. Paying again makes another payment.' : undefined),
    form: walletForm(paylink, form),
  };
}

/** The document says so of `true` and not of `false`; what it says when it is left out is [assumed]. */
function tellsOfEarlier(paylink: Paylink): boolean {
  return isPaid(paylink) && paylink.metadata.omit_possible_duplicate_acknowledgement !== false;
}

function walletForm({ merchant }: Paylink, form?: Form): PayForm {
  const option = (value: string, label: string, chosen: string | undefined) =>
    html`<option value="${value}"${value === chosen ? html` selected` : ''}>${label}</option>`;
  const fields = html`<input type="hidden" name="attempt" value="${randomUUID()}">
      <div class="two">
        <div>
          <label for="asset">Pay with</label>
          <select id="asset" name="asset" required>${ASSETS.map((asset) => option(asset, asset, form?.asset))}</select>
        </div>
        <div>
          <label for="network">Network</label>
          <select id="network" name="network" required>
            ${[...NETWORKS].map(([chainId, name]) => option(String(chainId), name, form?.network))}
          </select>
        </div>
      </div>
      <div>
        <label for="wallet">Your wallet address</label>
        <input id="wallet" name="wallet" autocomplete="off" spellcheck="false" maxlength="42" placeholder="0x and 40 digits" value="${form?.wallet ?? ''}" required>
      </div>
      <label class="terms" for="terms"><input type="checkbox" id="terms" name="terms" value="yes" required>
        <span>I confirm this transfer to ${merchantNamed(merchant).displayName}. Transfers cannot be taken back.</span></label>`;
  return { title: 'Pay from a wallet', fields };
}

function formOf(body: Record<string, string | File>): Form {
  const text = (name: string) => (typeof body[name] === 'string' ? body[name].trim() : '');
  return {
    asset: text('asset'),
    network: text('network'),
    wallet: text('wallet'),
    terms: text('terms'),
    attempt: text('attempt'),
  };
}

function incomplete({ asset, network, wallet, terms }: Form): string | undefined {
  if (!ASSETS.some((known) => known === asset)) return 'Choose what to pay with.';
  if (!NETWORKS.has(Number(network))) return 'Choose a network.';
  if (!/^0x[0-9a-fA-F]{40}$/.test(wallet)) return 'Enter a wallet address: 0x and 40 hexadecimal digits.';
  return terms === '' ? 'Confirm the transfer to pay.' : undefined;
}
