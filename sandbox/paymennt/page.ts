import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { display } from '../money.ts';
import { type PageState, renderCheckout, renderMissing } from '../pay-page.ts';
import type { Checkout, Status } from './checkout.ts';
import { currentPayment } from './checkout.ts';
import type { Changed, Checkouts } from './checkouts.ts';
import { merchantNamed } from './merchants.ts';
import { attemptFailed, type Change, cancelled, hold, type Stamp, sale } from './transitions.ts';

export interface PageParts {
  checkouts: Checkouts;
  announce(checkout: Checkout, status?: Status): Promise<unknown>;
}

const STATES: Record<Status, PageState> = {
  PENDING: 'open',
  PENDING_CONFIRMATION: 'open',
  AUTHORIZED: 'authorized',
  PAID: 'paid',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  EXPIRED: 'expired',
  REFUNDED: 'refunded',
  PARTIALLY_REFUNDED: 'refunded',
  CHARGEBACK: 'paid',
};

/** The form's fields, as `application/x-www-form-urlencoded`; `terms` is any non-empty text. */
const FIELDS = ['cardNumber', 'cardName', 'expiry', 'cvv', 'terms'] as const;

type Form = Record<(typeof FIELDS)[number], string>;

/**
 * The page a customer pays on, `/paymennt/checkout/{checkoutKey}`.
 * - `GET`: the form, a receipt, or what became of the checkout.
 * - `POST` with the form's fields: 303 to the receipt when paid (again so when it already was), 402 and the form when the
 *   card is declined, 422 and the form when something is missing, 409 when the checkout can no longer be paid.
 * - `POST …/cancel`: cancels a checkout nobody paid, then 303 to the page.
 *
 * Card numbers are compared and forgotten: nothing of them is stored or logged.
 */
export function checkoutPage({ checkouts, announce }: PageParts): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 16 * 1024 }));

  const show = (c: Context, checkout: Checkout, status: 200 | 402 | 409 | 422 = 200, message?: string, form?: Form) => {
    // A page about money is never kept by a cache or shown in another site's frame.
    c.header('cache-control', 'no-store');
    c.header('referrer-policy', 'no-referrer');
    const { body, policy } = renderCheckout(view(checkout, message, form));
    c.header('content-security-policy', policy);
    return c.html(body, status);
  };

  const missing = (c: Context) => {
    const { body, policy } = renderMissing('paymennt');
    c.header('content-security-policy', policy);
    return c.html(body, 404);
  };

  async function change(checkout: Checkout, transition: (now: Checkout, stamp: Stamp) => Change): Promise<Changed> {
    const changed = checkouts.change(checkout.id, transition);
    await changed.durable;
    return changed;
  }

  app.get('/:key', (c) => {
    const checkout = checkouts.byKey(c.req.param('key'));
    return checkout ? show(c, checkout) : missing(c);
  });

  app.post('/:key', async (c) => {
    const key = c.req.param('key');
    const form = formOf(await c.req.parseBody());
    // Looked up after the body was read, so that nothing can happen between look and payment.
    const checkout = checkouts.byKey(key);
    if (!checkout) return missing(c);
    if (checkout.status === 'PAID' || checkout.status === 'AUTHORIZED') return c.redirect(key, 303);
    if (checkout.status !== 'PENDING') return show(c, checkout, 409);

    const missingField = incomplete(form);
    if (missingField) return show(c, checkout, 422, missingField, form);
    if (!isTestCard(form)) {
      await change(checkout, attemptFailed);
      return show(c, checkout, 402, 'Your card was declined. No money was taken; try another card.', form);
    }
    const take = merchantNamed(checkout.merchant).holds ? hold : sale;
    const paid = await change(checkout, (now, stamp) => take(now, now.money, stamp));
    void announce(paid.checkout);
    return c.redirect(key, 303);
  });

  app.post('/:key/cancel', async (c) => {
    const key = c.req.param('key');
    const checkout = checkouts.byKey(key);
    if (!checkout) return missing(c);
    if (checkout.status === 'PENDING') {
      const { checkout: after } = await change(checkout, cancelled);
      void announce(after);
    }
    return c.redirect(`../${key}`, 303);
  });

  return app;
}

function view(checkout: Checkout, message?: string, form?: Form) {
  const payment = currentPayment(checkout);
  return {
    provider: 'paymennt',
    merchant: merchantNamed(checkout.merchant).displayName,
    description: checkout.description,
    reference: checkout.orderId,
    amount: display(payment?.money ?? checkout.money),
    state: STATES[checkout.status],
    expiresAt: checkout.expiresAt,
    cancelPath: `${checkout.checkoutKey}/cancel`,
    receipt: payment && { id: payment.id, at: payment.at },
    message,
    cardName: form?.cardName,
  };
}

function formOf(body: Record<string, string | File>): Form {
  const text = (name: string) => (typeof body[name] === 'string' ? body[name].trim() : '');
  return Object.fromEntries(FIELDS.map((name) => [name, text(name)])) as Form;
}

function incomplete({ cardNumber, cardName, expiry, cvv, terms }: Form): string | undefined {
  if (cardNumber === '') return 'Enter the card number.';
  if (cardName === '') return 'Enter the name on the card.';
  if (expiry === '') return 'Enter the expiry date as MM/YY.';
  if (cvv === '') return 'Enter the security code.';
  return terms === '' ? 'Accept the terms to pay.' : undefined;
}

/** The seed's test card: 4242 4242 4242 4242, 12/25 or any later month, CVV 100, any name. All else is declined. */
function isTestCard({ cardNumber, expiry, cvv }: Form): boolean {
  const [, month, year] = /^(0?[1-9]|1[0-2])\s*\/\s*(?:20)?(\d\d)$/.exec(expiry) ?? [];
  const months = Number(year) * 12 + Number(month);
  return cardNumber.replace(/[\s-]/g, '') === '4242424242424242' && months >= 25 * 12 + 12 && cvv === '100';
}
