import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { display } from '../money.ts';
import { type PageState, renderCheckout, renderMissing } from '../pay-page.ts';
import { isOpen, type Link, liveHold, payments, taken } from './link.ts';
import type { Links } from './links.ts';
import { merchantNamed } from './merchants.ts';
import { attemptFailed, held, paid, type Source, type Transition } from './transitions.ts';
import { pageUrl, redirectQuery, transactionOnWire } from './wire.ts';

export interface PageParts {
  links: Links;
  publicUrl(): string;
  /** Signs what the browser takes back to the merchant. */
  secretOf(link: Link): string;
  announce(link: Link, transactions: readonly number[]): Promise<unknown>;
}

/** The form's fields, as `application/x-www-form-urlencoded`; `terms` is any non-empty text. */
const FIELDS = ['cardNumber', 'cardName', 'expiry', 'cvv', 'terms'] as const;

type Form = Record<(typeof FIELDS)[number], string>;

/** The published test cards: any name, 01/39, 123. All else is declined. */
const CARDS: Readonly<Record<string, string>> = {
  '5123456789012346': 'MasterCard',
  '5123450000000008': 'MasterCard',
  '4111111111111111': 'Visa',
};

/**
 * The page a customer pays on, `/paymob/api/ecommerce/payment-links/unrestricted?token=…`.
 * - `GET`: the form, a receipt, or what became of the link.
 * - `POST` with the form's fields: 303 to the receipt, or to the merchant's own page where the link has one, when paid
 *   (again so when it already was), 402 and the form when the card is declined, 422 and the form when something is
 *   missing, 409 when the link can no longer be paid.
 *
 * Card numbers are compared and forgotten: four digits are kept, as the provider keeps them.
 */
export function payPage({ links, publicUrl, secretOf, announce }: PageParts): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 16 * 1024 }));

  const show = (c: Context, link: Link, status: 200 | 402 | 409 | 422 = 200, message?: string, form?: Form) => {
    // A page about money is never kept by a cache or shown in another site's frame.
    c.header('cache-control', 'no-store');
    c.header('referrer-policy', 'no-referrer');
    const { body, policy } = renderCheckout(view(link, message, form));
    c.header('content-security-policy', leadingTo(policy, link));
    return c.html(body, status);
  };

  const missing = (c: Context) => {
    const { body, policy } = renderMissing('Paymob');
    c.header('content-security-policy', policy);
    return c.html(body, 404);
  };

  async function change({ id }: Link, transition: Transition): Promise<Link> {
    const { link, news, durable } = links.change(id, transition);
    await durable;
    void announce(link, news);
    return link;
  }

  const receipt = (c: Context, link: Link) => {
    const last = payments(link).at(-1);
    if (!link.redirectionUrl || !last) return c.redirect(pageUrl(link, publicUrl()), 303);
    const url = new URL(link.redirectionUrl);
    for (const [name, value] of redirectQuery(transactionOnWire(link, last), secretOf(link))) {
      url.searchParams.set(name, value);
    }
    return c.redirect(url.href, 303);
  };

  app.get('/', (c) => {
    const link = links.byToken(c.req.query('token') ?? '');
    return link ? show(c, link) : missing(c);
  });

  app.post('/', async (c) => {
    const form = formOf(await c.req.parseBody());
    // Looked up after the body was read, so that nothing can happen between look and payment.
    const link = links.byToken(c.req.query('token') ?? '');
    if (!link) return missing(c);
    const state = stateOf(link);
    if (state === 'paid' || state === 'authorized') return receipt(c, link);
    if (!isOpen(link)) return show(c, link, 409);

    const missingField = incomplete(form);
    if (missingField) return show(c, link, 422, missingField, form);
    const pan = form.cardNumber.replace(/[\s-]/g, '');
    const known = /^0?1\s*\/\s*(20)?39$/.test(form.expiry) && form.cvv === '123' ? CARDS[pan] : undefined;
    const source: Source = { type: 'card', sub_type: known ?? 'MasterCard', pan: pan.slice(-4) };
    if (!known) {
      const declined = await change(link, attemptFailed(source));
      return show(c, declined, 402, 'Your card was declined. No money was taken; try another card.', form);
    }
    return receipt(c, await change(link, link.holds ? held(undefined, source) : paid(undefined, source)));
  });

  return app;
}

/** The short address that goes into messages. */
export function shortLinks({ links, publicUrl }: Pick<PageParts, 'links' | 'publicUrl'>): Hono {
  const app = new Hono();
  app.get('/l/:code', (c) => {
    const link = links.byCode(c.req.param('code'));
    return link ? c.redirect(pageUrl(link, publicUrl()), 302) : c.notFound();
  });
  app.get('/media/:code', (c) => {
    const image = links.byCode(c.req.param('code'))?.image;
    if (!image) return c.notFound();
    return c.body(Buffer.from(image.data, 'base64'), 200, { 'content-type': image.type });
  });
  return app;
}

function stateOf(link: Link): PageState {
  if (liveHold(link)) return 'authorized';
  const money = taken(link);
  if (money.length > 0) return money.some(({ refunded }) => refunded > 0) ? 'refunded' : 'paid';
  const states = { created: 'open', paid: 'refunded', canceled: 'cancelled', expired: 'expired' } as const;
  return states[link.state];
}

function view(link: Link, message?: string, form?: Form) {
  const payment = taken(link).at(-1) ?? liveHold(link);
  return {
    provider: 'Paymob',
    merchant: merchantNamed(link.merchant).displayName,
    description: link.description ?? 'Payment',
    reference: link.reference ?? String(link.order),
    amount: display(payment?.money ?? link.money),
    state: stateOf(link),
    expiresAt: link.endsAt,
    receipt: payment && { id: String(payment.id), at: payment.at },
    message,
    cardName: form?.cardName,
  };
}

/** A browser follows a form's redirect only where the page says that the form may lead. */
function leadingTo(policy: string, { redirectionUrl }: Link): string {
  if (!redirectionUrl) return policy;
  return policy.replace("form-action 'self'", `form-action 'self' ${new URL(redirectionUrl).origin}`);
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
