import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { html } from 'hono/html';
import { display } from '../money.ts';
import { type PageState, type PayForm, renderCheckout, renderMissing } from '../pay-page.ts';
import { merchantNamed } from './merchants.ts';
import { liveLink, type PaymentLink, referenceOf, type Status, type Transaction } from './transaction.ts';
import type { Transactions } from './transactions.ts';
import { attemptFailed, cancelled, paid } from './transitions.ts';

/** The UPI address that pays, on any amount; every other one is declined. */
export const GOOD_VPA = 'success@upi';

/** A virtual payment address: a name and the handle of a bank or app. */
const VPA = /^[a-z0-9][a-z0-9._-]{1,255}@[a-z][a-z0-9]{1,63}$/i;

const STATES: Record<Status, PageState> = {
  PENDING: 'expired',
  COMPLETED: 'paid',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  EXPIRED: 'expired',
  REFUNDED: 'refunded',
};

/**
 * The page a customer pays on, `/katu9/pay/{payment link id}`, with UPI: the fields are `vpa` and `terms` (any text).
 * - `GET`: the form, a receipt, or what became of the link.
 * - `POST` with the fields: 303 to the receipt when paid (again so when it already was), 402 and the form when the
 *   customer's bank declines, 422 and the form when something is missing, 409 when the link can no longer be paid.
 * - `POST …/cancel`: calls the payment off, then 303 to the page.
 *
 * No webhook follows from anything here: Katu9 has none for payments.
 */
export function payPage(transactions: Transactions): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 16 * 1024 }));

  const look = (id: string): Shown | undefined => {
    const transaction = transactions.byLink(id);
    const link = transaction?.links.find((candidate) => candidate.id === id);
    return transaction && link && { transaction, link };
  };

  const show = (c: Context, shown: Shown, status: 200 | 402 | 409 | 422 = 200, message?: string, vpa = '') => {
    // A page about money is never kept by a cache or shown in another site's frame.
    c.header('cache-control', 'no-store');
    c.header('referrer-policy', 'no-referrer');
    const { body, policy } = renderCheckout(view(shown, message, vpa));
    c.header('content-security-policy', policy);
    return c.html(body, status);
  };

  const missing = (c: Context) => {
    const { body, policy } = renderMissing('Katu9');
    c.header('content-security-policy', policy);
    return c.html(body, 404);
  };

  app.get('/:id', (c) => {
    const shown = look(c.req.param('id'));
    return shown ? show(c, shown) : missing(c);
  });

  app.post('/:id', async (c) => {
    const id = c.req.param('id');
    const { vpa, terms } = formOf(await c.req.parseBody());
    // Looked up after the body was read, so that nothing can happen between look and payment.
    const shown = look(id);
    if (!shown) return missing(c);
    if (shown.transaction.status === 'COMPLETED') return c.redirect(id, 303);
    if (stateOf(shown) !== 'open') return show(c, shown, 409);

    if (vpa === '') return show(c, shown, 422, 'Enter your UPI ID.');
    if (!VPA.test(vpa)) return show(c, shown, 422, 'A UPI ID looks like name@bank.', vpa);
    if (terms === '') return show(c, shown, 422, 'Accept the terms to pay.', vpa);
    const good = vpa.toLowerCase() === GOOD_VPA;
    await transactions.change(shown.transaction.id, good ? paid(shown.link.money) : attemptFailed).durable;
    if (good) return c.redirect(id, 303);
    return show(c, shown, 402, 'Your bank declined the request. No money was taken; try another UPI ID.', vpa);
  });

  app.post('/:id/cancel', async (c) => {
    const id = c.req.param('id');
    const shown = look(id);
    if (!shown) return missing(c);
    if (stateOf(shown) === 'open') await transactions.change(shown.transaction.id, cancelled).durable;
    return c.redirect(`../${id}`, 303);
  });

  return app;
}

interface Shown {
  transaction: Transaction;
  link: PaymentLink;
}

/** An older link of the transaction has ended, whatever became of the newer one, unless that was paid. */
function stateOf({ transaction, link }: Shown): PageState {
  return liveLink(transaction)?.id === link.id ? 'open' : STATES[transaction.status];
}

function view(shown: Shown, message: string | undefined, vpa: string) {
  const { transaction, link } = shown;
  const merchant = merchantNamed(transaction.merchant).displayName;
  return {
    provider: 'Katu9',
    merchant,
    description: link.description ?? 'Payment',
    reference: referenceOf(transaction),
    amount: display(transaction.paid ?? link.money),
    state: stateOf(shown),
    expiresAt: link.expiresAt,
    cancelPath: `${link.id}/cancel`,
    receipt: transaction.paid && { id: transaction.id, at: transaction.paid.at },
    message,
    form: upiForm(merchant, vpa),
  };
}

function upiForm(merchant: string, vpa: string): PayForm {
  const fields = html`<div>
        <label for="vpa">UPI ID</label>
        <input id="vpa" name="vpa" inputmode="email" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="320" placeholder="${GOOD_VPA}" value="${vpa}" required>
      </div>
      <label class="terms" for="terms"><input type="checkbox" id="terms" name="terms" value="yes" required>
        <span>I accept the terms of payment and will approve the request of ${merchant} in my UPI app.</span></label>`;
  return { title: 'Pay by UPI', fields };
}

function formOf(body: Record<string, string | File>): { vpa: string; terms: string } {
  const text = (name: string) => (typeof body[name] === 'string' ? body[name].trim() : '');
  return { vpa: text('vpa'), terms: text('terms') };
}
