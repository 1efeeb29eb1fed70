import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { html } from 'hono/html';
import { display } from '../money.ts';
import { type PageState, type PayForm, renderCheckout, renderMissing } from '../pay-page.ts';
import { attemptFailed, type Change, isOpen, type Link, paid, type Stamp, type Status } from './link.ts';
import type { Changed, Links } from './links.ts';
import { merchantNamed } from './merchants.ts';
import { moneyOf } from './wire.ts';

export interface PageParts {
  links: Links;
  announce(link: Link, status?: Status): Promise<unknown>;
}

/** Whom the customer can pay through: the first stands in a published example. */
export const BANKS = ['Kacha DFS', 'Sandbox Wallet', 'Sandbox Bank'] as const;

/** The one PIN that pays; every other is wrong. */
export const GOOD_PIN = '1234';

/** The published text of a wrong PIN. */
const WRONG_PIN = 'Wrong PIN, please try again.';

const STATES: Readonly<Record<Status, PageState>> = {
  PENDING: 'open',
  FAILED: 'open',
  PROCESSED: 'paid',
  EXPIRED: 'expired',
  DEACTIVATED: 'cancelled',
};

/** The form's fields, as `application/x-www-form-urlencoded`. */
type Form = Record<'bank' | 'phone' | 'pin', string>;

/**
 * The page a customer pays on, `/beqelal/payment/link/{uuid}`.
 * - `GET`: the form, a receipt, or what became of the link.
 * - `POST` with `bank`, `phone` and `pin`: 303 to the receipt when paid (again so when it already was), 402 and the form
 *   when the PIN is wrong, 422 and the form when something is missing, 409 when the link can no longer be paid.
 *
 * PINs are compared and forgotten: nothing of them is stored or logged.
 */
export function checkoutPage({ links, announce }: PageParts): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 16 * 1024 }));

  const show = (c: Context, link: Link, status: 200 | 402 | 409 | 422 = 200, message?: string, form?: Form) => {
    // A page about money is never kept by a cache or shown in another site's frame.
    c.header('cache-control', 'no-store');
    c.header('referrer-policy', 'no-referrer');
    const { body, policy } = renderCheckout(view(link, message, form));
    c.header('content-security-policy', policy);
    return c.html(body, status);
  };

  const missing = (c: Context) => {
    const { body, policy } = renderMissing('Beqelal');
    c.header('content-security-policy', policy);
    return c.html(body, 404);
  };

  async function change({ id }: Link, transition: (now: Link, stamp: Stamp) => Change): Promise<Changed> {
    const changed = links.change(id, transition);
    await changed.durable;
    return changed;
  }

  app.get('/:key', (c) => {
    const link = links.byKey(c.req.param('key'));
    return link ? show(c, link) : missing(c);
  });

  app.post('/:key', async (c) => {
    const key = c.req.param('key');
    const form = formOf(await c.req.parseBody());
    // Looked up after the body was read, so that nothing can happen between look and payment.
    const link = links.byKey(key);
    if (!link) return missing(c);
    if (link.status === 'PROCESSED') return c.redirect(key, 303);
    if (!isOpen(link)) return show(c, link, 409);

    const missingField = incomplete(form);
    if (missingField) return show(c, link, 422, missingField, form);
    if (form.pin !== GOOD_PIN) {
      const failed = await change(link, attemptFailed);
      void announce(failed.link);
      return show(c, failed.link, 402, WRONG_PIN, form);
    }
    const { bank: bankName, phone } = form;
    const done = await change(link, (now, stamp) => paid(now, { minor: now.minor, bankName, phone }, stamp));
    void announce(done.link);
    return c.redirect(key, 303);
  });

  return app;
}

function view(link: Link, message?: string, form?: Form) {
  const { payment } = link;
  const things = [link.quantity, link.itemName].filter((part) => part !== undefined).join(' ');
  return {
    provider: 'Beqelal',
    merchant: merchantNamed(link.merchant).displayName,
    description: [things, link.reason].filter((part) => part).join(', ') || 'Payment',
    reference: link.traceNumber,
    amount: display(moneyOf(payment?.minor ?? link.minor)),
    state: STATES[link.status],
    expiresAt: link.endsAt,
    receipt: payment && { id: payment.transactionId, at: payment.at },
    message,
    form: payForm(link, form),
  };
}

function payForm(link: Link, form?: Form): PayForm {
  const chosen = form?.bank ?? BANKS[0];
  const fields = html`<div>
        <label for="bank">Bank or wallet</label>
        <select id="bank" name="bank" required>
          ${BANKS.map((name) => html`<option value="${name}"${name === chosen ? html` selected` : ''}>${name}</option>`)}
        </select>
      </div>
      <div>
        <label for="phone">Phone number</label>
        <input id="phone" name="phone" inputmode="tel" autocomplete="tel" maxlength="13" value="${form?.phone ?? link.phone}" required>
      </div>
      <div>
        <label for="pin">PIN</label>
        <input id="pin" name="pin" type="password" inputmode="numeric" autocomplete="off" maxlength="6" required>
      </div>`;
  return { title: 'Pay by bank or wallet', fields };
}

function formOf(body: Record<string, string | File>): Form {
  const text = (name: string) => (typeof body[name] === 'string' ? body[name].trim() : '');
  return { bank: text('bank'), phone: text('phone'), pin: text('pin') };
}

function incomplete({ bank, phone, pin }: Form): string | undefined {
  if (!BANKS.some((name) => name === bank)) return 'Choose a bank or wallet.';
  if (phone.length < 9 || phone.length > 13) return 'Enter a phone number of 9 to 13 characters.';
  return pin === '' ? 'Enter your PIN.' : undefined;
}
