import { createHash } from 'node:crypto';
import { html, raw } from 'hono/html';
import { PAY_PAGE_CSS } from './pay-page-style.ts';

/** What a customer can find on opening a link. */
export type PageState = 'open' | 'authorized' | 'paid' | 'refunded' | 'failed' | 'cancelled' | 'expired';

/** Everything a pay page shows. All texts are escaped by the templates. */
export interface PageView {
  provider: string;
  merchant: string;
  description: string;
  reference: string;
  /** As a customer reads it, currency included. */
  amount: string;
  state: PageState;
  /** Milliseconds since the epoch; none where a link has no end of its own. */
  expiresAt?: number;
  /** Where the cancel form posts to, relative to the page; none where the customer cannot cancel. */
  cancelPath?: string;
  receipt?: { id: string; at: number };
  /** Why the last try did not work. */
  message?: string;
  /** The name typed before, the only field given back to the form: card data is never sent to a page. */
  cardName?: string;
  /** How one pays where it is not by card. */
  form?: PayForm;
}

/** The inside of the form `pay-form`, whose button `pay` the page adds. */
export interface PayForm {
  title: string;
  fields: ReturnType<typeof html>;
}

/** A page and the Content-Security-Policy it works under. */
export interface Page {
  body: ReturnType<typeof html>;
  policy: string;
}

// Without script the page shows the instant; with it, the time left, and that it has run out.
const COUNTDOWN = `
const shown = document.getElementById('countdown');
const ends = Number(shown.dataset.ends);
const tick = () => {
  const left = Math.ceil((ends - Date.now()) / 1000);
  if (left <= 0) { shown.textContent = 'Time is up'; document.getElementById('pay').disabled = true; return; }
  const parts = [Math.floor(left / 86400), Math.floor(left / 3600) % 24, Math.floor(left / 60) % 60, left % 60];
  const text = parts.map((part, i) => [part, 'dhms'[i]]).slice(parts.findIndex((part) => part > 0)).slice(0, 2);
  shown.textContent = text.map(([part, unit]) => part + ' ' + unit).join(' ') + ' left';
  setTimeout(tick, 1000);
};
tick();
`;

const POLICY = [
  "default-src 'none'",
  `style-src ${hash(PAY_PAGE_CSS)}`,
  `script-src ${hash(COUNTDOWN)}`,
  'img-src data:',
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

const ENDINGS: Record<Exclude<PageState, 'open'>, { mark: string; title: string; text: string }> = {
  paid: { mark: '✓', title: 'Payment received', text: 'Thank you. You can close this page.' },
  authorized: {
    mark: '✓',
    title: 'Payment authorised',
    text: 'The amount is reserved on your card. The merchant takes it when your order is confirmed.',
  },
  refunded: { mark: '↩', title: 'Payment refunded', text: 'The merchant has given money back for this payment.' },
  failed: {
    mark: '!',
    title: 'Payment failed',
    text: 'This link can no longer be paid. Ask the merchant for a new one.',
  },
  cancelled: { mark: '×', title: 'Payment cancelled', text: 'This link was cancelled. Nothing was charged.' },
  expired: { mark: '!', title: 'Link expired', text: 'The time to pay is over. Ask the merchant for a new link.' },
};

/**
 * The page for a link in any state.
 * Ids that tests and scripts may rely on: `pay-form card-number card-name expiry cvv terms pay cancel amount description
 * countdown message state receipt`; `state` also carries `data-state` with the `PageState`.
 */
export function renderCheckout(view: PageView): Page {
  return view.state === 'open' ? openPage(view) : endPage(view, ENDINGS[view.state], view.state);
}

/** The page for a link that does not exist. */
export function renderMissing(provider: string): Page {
  return page(
    'Link not found',
    provider,
    html`<main class="single"><section class="state" id="state" data-state="missing">
      <div class="mark" aria-hidden="true">?</div>
      <h1>Link not found</h1>
      <p>Check the address, or ask the merchant for a new link.</p>
    </section></main>`,
  );
}

function openPage(view: PageView): Page {
  const { expiresAt } = view;
  const { title, fields } = view.form ?? cardForm(view);
  return page(
    `Pay ${view.merchant}`,
    view.provider,
    html`<main id="state" data-state="open">
  <section class="summary" aria-label="Order">
    <p class="merchant"><span class="badge" aria-hidden="true">${view.merchant.slice(0, 1)}</span>${view.merchant}</p>
    <p class="description" id="description">${view.description}</p>
    <p class="amount" id="amount">${view.amount}</p>
    <dl class="facts">
      <div><dt>Reference</dt><dd>${view.reference}</dd></div>
      ${
        expiresAt === undefined
          ? ''
          : html`<div><dt>Pay before</dt><dd><time datetime="${new Date(expiresAt).toISOString()}">${readable(expiresAt)}</time></dd>
        <dd id="countdown" data-ends="${expiresAt}"></dd></div>`
      }
    </dl>
  </section>
  <section class="pay">
    <h1>${title}</h1>
    ${view.message ? html`<p class="message" id="message" role="alert">${view.message}</p>` : ''}
    <form method="post" id="pay-form">
      ${fields}
      <button type="submit" id="pay">Pay ${view.amount}</button>
    </form>
    ${
      view.cancelPath === undefined
        ? ''
        : html`<form method="post" action="${view.cancelPath}" class="cancel">
      <button type="submit" id="cancel">Cancel payment</button>
    </form>`
    }
  </section>
</main>
${expiresAt === undefined ? '' : html`<script>${raw(COUNTDOWN)}</script>`}`,
  );
}

function cardForm(view: PageView): PayForm {
  const fields = html`<div>
        <label for="card-number">Card number</label>
        <input id="card-number" name="cardNumber" inputmode="numeric" autocomplete="cc-number" maxlength="23" placeholder="4242 4242 4242 4242" required>
      </div>
      <div>
        <label for="card-name">Name on card</label>
        <input id="card-name" name="cardName" autocomplete="cc-name" maxlength="100" value="${view.cardName ?? ''}" required>
      </div>
      <div class="two">
        <div>
          <label for="expiry">Expiry (MM/YY)</label>
          <input id="expiry" name="expiry" autocomplete="cc-exp" maxlength="7" placeholder="MM/YY" required>
        </div>
        <div>
          <label for="cvv">Security code (CVV)</label>
          <input id="cvv" name="cvv" inputmode="numeric" autocomplete="cc-csc" maxlength="4" placeholder="3 digits" required>
        </div>
      </div>
      <label class="terms" for="terms"><input type="checkbox" id="terms" name="terms" value="yes" required>
        <span>I accept the terms of payment and allow ${view.merchant} to charge this card.</span></label>`;
  return { title: 'Pay by card', fields };
}

function endPage(view: PageView, ending: { mark: string; title: string; text: string }, state: PageState): Page {
  const good = state === 'paid' || state === 'authorized' || state === 'refunded';
  return page(
    ending.title,
    view.provider,
    html`<main class="single"><section class="state" id="state" data-state="${state}">
  <div class="mark${good ? ' good' : ''}" aria-hidden="true">${ending.mark}</div>
  <h1>${ending.title}</h1>
  <p class="amount" id="amount">${view.amount}</p>
  <p>${ending.text}</p>
  <dl class="facts"${good ? raw(' id="receipt"') : ''}>
    <dt>Merchant</dt><dd>${view.merchant}</dd>
    <dt>For</dt><dd id="description">${view.description}</dd>
    <dt>Reference</dt><dd>${view.reference}</dd>
    ${view.receipt ? html`<dt>Payment</dt><dd>${view.receipt.id}</dd><dt>Date</dt><dd>${readable(view.receipt.at)}</dd>` : ''}
  </dl>
</section></main>`,
  );
}

function page(title: string, provider: string, content: ReturnType<typeof html>): Page {
  const body = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${raw(PAY_PAGE_CSS)}</style>
</head>
<body>
<p class="note">${provider} sandbox: no real money moves here</p>
${content}
</body>
</html>`;
  return { body, policy: POLICY };
}

/** `20 Nov 2026, 23:59 UTC` */
function readable(at: number): string {
  const format = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });
  return `${format.format(at)} UTC`;
}

function hash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
