/**
 * paymennt (formerly PointCheckout, UAE), merchant API 2.0.
 *
 * Sources: [seed] the provider's integration guide, [public] its OpenAPI document and PHP SDK, [assumed] our reading
 * where both are silent; each assumption is one constant or one table row here and in the sandbox.
 *
 * - A link is a checkout; `orderId` is our reference, `requestId` names one create call and can be searched [public].
 * - Failures are HTTP 400 with `{success:false,error}`, not-found included [public]: `success` decides, then the text.
 * - The checkout's `amount` is what was asked. What was paid stands in the payment [public], whose id no published
 *   checkout schema has although capture needs it: `paymentId` [assumed]. Without one the checkout's amount counts.
 * - Capture is of the whole only; cancel of an authorized checkout gives the hold back [seed: "Capture or Cancel"].
 * - FAILED reads as final [seed]; how much PARTIALLY_REVERSED took back is nowhere said: shown, moves nothing.
 * - A won chargeback has no word: we read it from the money being back under its former one [assumed].
 * - Timestamps carry no dependable zone (the guide prints none): no instant is taken from them, every fact bears the
 *   instant at which we saw it.
 * - A webhook's events, body and signature are unpublished. The flow says: on notification read the checkout [seed].
 *   So it is a hint, and nothing in it but the ids is used.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Facts, sums } from '../../workflows/facts.ts';
import type { Terms } from '../../workflows/link.ts';
import { decimal } from '../../workflows/money.ts';
import { isSafeUrl, jsonNumber, minorOf, shaped } from '../answers.ts';
import type { HttpRequest } from '../http.ts';
import { baseUrl, credential, headerName, webhookSecret } from '../options.ts';
import {
  type Answer,
  type Call,
  type DocumentedError,
  defineProvider,
  type Problem,
  ProviderError,
  type ProviderLink,
} from '../provider.ts';
import { verifyHexHmac } from '../signatures.ts';
import { CHECKOUT, type Checkout, checkoutShape, factsOf, PAYMENT, paymentShape, text } from './paymennt-facts.ts';
import { optionProblems, optionsOnWire } from './paymennt-options.ts';

const config = z.strictObject({
  baseUrl,
  apiKey: credential(8),
  apiSecret: credential(16),
  /** Old and new are both accepted; the key issued at registration is added at start-up. */
  webhookSecrets: z.array(webhookSecret).default([]),
  /** [assumed: integrators report this name, no document has it] */
  webhookSignatureHeader: headerName.default('X-Paymennt-Signature'),
  /** The scheme is unconfirmed; off, any caller can make us read the provider, and nothing else. */
  requireSignature: z.boolean().default(true),
});
type Config = z.infer<typeof config>;

const pageShape = z.object({ totalElements: z.number(), content: z.array(checkoutShape) });
const registrationShape = z.object({
  id: text,
  hmacKey: z.string().min(16),
  address: z.string().optional(),
  enabled: z.boolean().optional(),
});
const envelope = z.object({ success: z.boolean(), result: z.unknown().optional(), error: z.string().nullish() });

/** What an error text contains → our codes; "not found" [public], the others [assumed: same envelope]. */
const ERRORS: readonly DocumentedError[] = [
  { says: 'Checkout not found', kind: 'not_found', code: 'not_found' },
  { says: 'Payment not found', kind: 'not_found', code: 'not_found' },
  { says: 'Webhook not found', kind: 'not_found', code: 'not_found' },
  { says: 'Duplicate request ID', kind: 'refused', code: 'duplicate_request' },
  { says: 'exceeds paid amount', kind: 'refused', code: 'amount_out_of_range' },
  { says: 'status does not allow', kind: 'refused', code: 'status_conflict' },
];
const OTHERWISE: DocumentedError = { says: 'anything else', kind: 'refused', code: 'provider_error' };
const LOCKED_OUT: DocumentedError = { says: 'Invalid API credentials', kind: 'unauthorized', code: 'http_401' };

/** For the generated docs. */
const ASSUMED = [
  'a checkout names its payment in paymentId, once there is one; capture needs that id',
  'cancelling an authorized checkout, or letting it expire, gives the hold back',
  'a won chargeback shows by the money standing as captured again: there is no word for it',
  'PARTIALLY_REVERSED does not say how much was taken back: it is shown and moves nothing',
  'the payment statuses mean what their names say',
  'a second create with one requestId is refused with “Duplicate request ID”',
  'a refund beyond what was paid, or in the wrong state, is refused in the usual envelope',
  'referenceId does not dedupe refunds',
  'X-Paymennt-Signature is the hex HMAC-SHA256 of the raw body with the registration’s hmacKey (options webhookSignatureHeader, requireSignature)',
  'a webhook names the checkout by orderId, id or checkoutId, as JSON or as a form',
  'a customer with one name only has it as first and last name',
];

const MINUTE = 60_000;
const EXPIRES_IN = { min: 15, max: 10_080 };

/**
 * Minutes to ask for: whole ones, rounded down. A request for exactly the shortest life is a little short of it by the
 * time it is sent, so up to one minute less than the shortest still asks for the shortest.
 */
function minutesUntil(expiresAt: number, now: number): number {
  const minutes = Math.floor((expiresAt - now) / MINUTE);
  return minutes === EXPIRES_IN.min - 1 ? EXPIRES_IN.min : minutes;
}

/** Stable for one create call, of an alphabet that needs no escaping; people find the link by `orderId`. */
const requestIdOf = (key: string) => `pl-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;

export const paymennt = defineProvider<Config>({
  name: 'paymennt',
  config,
  partial: { capture: false, refund: true },
  // create: `requestId` is unique [public]. capture and cancel: of the whole, so there is nothing left to do twice.
  // refund: what `referenceId` does is not published.
  repeatable: ['create', 'capture', 'cancel'],
  errors: [...ERRORS, OTHERWISE, LOCKED_OUT],
  assumed: ASSUMED,
  statuses: {
    ...Object.fromEntries(Object.entries(CHECKOUT).map(([word, { docs }]) => [word, docs])),
    ...Object.fromEntries(Object.entries(PAYMENT).map(([word, { docs }]) => [`payment ${word}`, docs])),
    'payment PARTIALLY_REVERSED': 'shown, moves nothing',
  },

  accepts(terms, _config, now) {
    const problems: Problem[] = [];
    const refuse = (code: Problem['code'], pointer: string, message: string) =>
      problems.push({ code, pointer, message });
    if (terms.expiresAt !== undefined) {
      const minutes = minutesUntil(terms.expiresAt, now);
      if (minutes < EXPIRES_IN.min || minutes > EXPIRES_IN.max) {
        const limits = [EXPIRES_IN.min, EXPIRES_IN.max].map((limit) => new Date(now + limit * MINUTE).toISOString());
        const window = `${EXPIRES_IN.min} to ${EXPIRES_IN.max} minutes from now`;
        refuse('invalid_value', '/expiresAt', `must be ${window}, that is between ${limits.join(' and ')}`);
      }
    }
    if (jsonNumber(terms.amount, terms.exponent) === undefined) {
      refuse('invalid_value', '/amount/minor', 'is too large for the provider to hold exactly');
    }
    if (terms.redirectUrl !== undefined) {
      refuse('not_supported', '/redirectUrl', 'paymennt has no return address for a link');
    }
    // A customer goes whole or not at all: names and e-mail are required inside, and nothing may get lost on the way.
    const { name, email, phone } = terms.customer ?? {};
    if (name ?? email ?? phone) {
      const needed = 'paymennt takes a customer only with both name and email';
      if (name === undefined || name.trim() === '') refuse('not_supported', '/customer/name', needed);
      if (email === undefined) refuse('not_supported', '/customer/email', needed);
    }
    return [...problems, ...optionProblems(terms)];
  },

  async create(call, { terms, key }) {
    const now = call.now();
    const expiresIn = minutesUntil(expiryOf(terms), now);
    const requestId = requestIdOf(key);
    const request: HttpRequest = {
      method: 'POST',
      url: '/checkout/link',
      json: {
        requestId,
        orderId: terms.reference,
        description: terms.description ?? `Payment ${terms.reference}`,
        currency: terms.currency,
        amount: jsonNumber(terms.amount, terms.exponent),
        expiresIn,
        ...customerOf(terms),
        ...optionsOnWire(terms),
      },
    };
    try {
      const { result, raw } = await send(call, request);
      // Counted from before the call: never later than the provider's own end.
      return adopt(shaped(checkoutShape, result, 'create'), terms, requestId, now + expiresIn * MINUTE, now, raw);
    } catch (error) {
      if (!(error instanceof ProviderError) || error.code !== 'duplicate_request') throw error;
      const found = await find(call, { terms, key });
      if (found) return found;
      throw new ProviderError('unknown', 'duplicate_request', `${error.message}, yet no checkout has this request id`);
    }
  },

  findByReference: find,

  async inquire(call, link, { terms, known }) {
    // Other ids a webhook may name are the checkout's own payment: it has one, and it is read with it.
    return observe(call, link, terms, known);
  },

  async capture(call, link, { terms, amount, known }) {
    const { held } = sums(known, terms.currency);
    if (amount !== held) {
      const whole = `${decimal(held, terms.exponent)} ${terms.currency}`;
      throw new ProviderError('refused', 'not_supported', `paymennt captures only the whole of what is held, ${whole}`);
    }
    const { paymentId } = await beforeWriting(checkoutOf(call, link, terms).then(({ checkout }) => checkout));
    if (!paymentId) throw new ProviderError('refused', 'status_conflict', 'the checkout has no payment to capture');
    const request: HttpRequest = { method: 'POST', url: `/payment/${encodeURIComponent(paymentId)}/capture` };
    const { result, raw } = await send(call, request);
    const payment = shaped(paymentShape, result, 'capture');
    if (payment.id !== paymentId) throw mismatch('capture', 'another payment');
    const checkout = checkoutShape.safeParse(payment.checkoutDetails).data;
    const whose = checkout?.id === link.providerLinkId ? checkout : undefined;
    // After the answer: a read that began before it may still show the hold.
    return { ...factsOf({ checkout: whose, payment, link, known, now: call.now(), raw }), providerId: payment.id };
  },

  async cancel(call, link, { terms, known }) {
    const { result, raw } = await send(call, { method: 'POST', url: `${pathOf(link)}/cancel` });
    const checkout = own(shaped(checkoutShape, result, 'cancel'), link, terms);
    return factsOf({ checkout, link, known, now: call.now(), raw });
  },

  async refund(call, link, { terms, amount, reason, key, known }) {
    const query = {
      amount: decimal(amount ?? 0, terms.exponent),
      currency: terms.currency,
      note: reason ?? `Refund ${terms.reference}`,
      referenceId: key,
    };
    const { result, raw } = await send(call, { method: 'POST', url: `${pathOf(link)}/refund`, query });
    const checkout = own(shaped(checkoutShape, result, 'refund'), link, terms);
    return factsOf({ checkout, link, known, now: call.now(), raw });
  },

  webhook: {
    verify({ body, headers }, { requireSignature, webhookSignatureHeader }, secrets) {
      if (!requireSignature) return 'unsigned';
      verifyHexHmac('sha256', body, headers[webhookSignatureHeader.toLowerCase()], secrets);
      return 'signed';
    },
    /** Integrators saw JSON and forms, flat and with `data` [public]: only ids are taken. */
    read({ body, headers }) {
      const raw = new TextDecoder('utf-8', { fatal: true }).decode(body);
      const isForm = /x-www-form-urlencoded/i.test(headers['content-type'] ?? '');
      const fields: unknown = isForm ? Object.fromEntries(new URLSearchParams(raw)) : JSON.parse(raw);
      const id = z
        .union([text, z.int().transform(String)])
        .optional()
        .catch(undefined);
      const names = { orderId: id, id, checkoutId: id };
      const shape = z.object({ ...names, data: z.object(names).optional().catch(undefined) });
      const news = shape.parse(fields);
      const ids = [news.id, news.checkoutId, news.data?.id, news.data?.checkoutId];
      return {
        reference: news.orderId ?? news.data?.orderId,
        ids: [...new Set(ids.filter((found) => found !== undefined))],
      };
    },
    async register(call, url) {
      // One registration per address: a restart finds its own again instead of leaving an orphan behind.
      const { result: all } = await send(call, { method: 'GET', url: '/webhooks', query: { size: '100' } });
      const registered = z.array(registrationShape).catch([]).parse(all);
      const own = registered.find(({ address, enabled }) => address === url && enabled);
      if (own) return { id: own.id, secret: own.hmacKey };
      const { result } = await send(call, { method: 'POST', url: '/webhooks', json: { address: url } });
      const { id, hmacKey } = shaped(registrationShape, result, 'webhook registration');
      return { id, secret: hmacKey };
    },
  },
});

/** Adopts what an earlier create with this key made; `unknown` when the search cannot prove that there is nothing. */
async function find(call: Call<Config>, { terms, key }: { terms: Terms; key: string }) {
  const now = call.now();
  const requestId = requestIdOf(key);
  const { result, raw } = await send(call, { method: 'GET', url: '/checkout', query: { requestId } });
  const { content, totalElements } = shaped(pageShape, result, 'search');
  const [found, ...others] = content.filter((checkout) => checkout.requestId === requestId);
  if (others.length > 0) throw mismatch('search', `${others.length + 1} checkouts of one request id`);
  if (!found && totalElements > content.length) throw mismatch('search', 'more pages than can be searched');
  if (!found) return undefined;
  // When the lost call was made is not known: whole minutes were asked for, so its end is at most one minute earlier.
  const { created, ...answer } = adopt(found, terms, requestId, expiryOf(terms) - MINUTE, now, raw);
  return { created, ...(found.paymentId ? await observe(call, created, terms, {}) : answer) };
}

/** The link that a new or found checkout is, with the facts it brings. */
function adopt(checkout: Checkout, terms: Terms, requestId: string, expiresAt: number, now: number, raw: string) {
  if (checkout.requestId !== requestId || checkout.orderId !== terms.reference)
    throw mismatch('create', 'another order');
  const { id, currency, redirectUrl } = checkout;
  if (currency !== terms.currency || minorOf(checkout.amount, currency) !== terms.amount) {
    throw mismatch('create', 'another amount');
  }
  // The address goes to customers: a scheme that runs code or a plain one must not get through.
  if (!redirectUrl || !isSafeUrl(redirectUrl)) throw mismatch('create', 'no https address for the customer');
  const created: ProviderLink = {
    providerLinkId: id,
    ids: [id],
    url: redirectUrl,
    expiresAt,
    expiresByItself: true,
    holdEndsAt: expiresAt,
  };
  return { created, ...factsOf({ checkout, link: created, known: {}, now, raw }) };
}

async function checkoutOf(call: Call<Config>, link: ProviderLink, terms: Terms) {
  const { result, raw } = await send(call, { method: 'GET', url: pathOf(link) });
  return { checkout: own(shaped(checkoutShape, result, 'read'), link, terms), raw };
}

async function observe(call: Call<Config>, link: ProviderLink, terms: Terms, known: Facts): Promise<Answer> {
  // Before the call: what happens while it is answered belongs to a later read.
  const now = call.now();
  const { checkout, raw } = await checkoutOf(call, link, terms);
  if (!checkout.paymentId) return factsOf({ checkout, link, known, now, raw });
  const paid = await send(call, { method: 'GET', url: `/payment/${encodeURIComponent(checkout.paymentId)}` });
  const payment = shaped(paymentShape, paid.result, 'payment');
  if (payment.id !== checkout.paymentId) throw mismatch('read', 'another payment');
  return factsOf({ checkout, payment, link, known, now, raw: `${raw}\n${paid.raw}` });
}

/** Sends one call and opens the envelope. */
async function send(call: Call<Config>, request: HttpRequest): Promise<{ result: unknown; raw: string }> {
  const { baseUrl, apiKey, apiSecret } = call.config;
  const { status, json, text, excerpt } = await call.http.request({
    ...request,
    url: `${baseUrl}${request.url}`,
    headers: { 'X-Paymennt-Api-Key': apiKey, 'X-Paymennt-Api-Secret': apiSecret },
  });
  const what = `${request.method} ${request.url}`;
  if (status >= 400 && !envelope.safeParse(json).success) {
    throw new ProviderError('refused', `http_${status}`, `${what} answered ${status}: ${excerpt(text)}`);
  }
  const { success, result, error } = shaped(envelope, json, what);
  if (success && status < 300) return { result, raw: text };
  const said = excerpt(error ?? text);
  const { kind, code } = ERRORS.find(({ says }) => said.toLowerCase().includes(says.toLowerCase())) ?? OTHERWISE;
  throw new ProviderError(kind, code, said || `answered ${status} without a reason`);
}

/** Whatever goes wrong in reading what a write needs, nothing was sent. */
async function beforeWriting<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    if (!(error instanceof ProviderError) || error.kind === 'unauthorized') throw error;
    throw new ProviderError('not_sent', error.code, error.message, error.retryAfterMs);
  }
}

/** Only an answer about our own link counts, whatever address it came from. */
function own(checkout: Checkout, link: ProviderLink, terms: Terms): Checkout {
  if (checkout.id !== link.providerLinkId || checkout.orderId !== terms.reference)
    throw mismatch('call', 'another checkout');
  return checkout;
}

const pathOf = (link: ProviderLink) => `/checkout/${encodeURIComponent(link.providerLinkId)}`;

const mismatch = (what: string, found: string) =>
  new ProviderError('unknown', 'answer_mismatch', `the ${what} was answered with ${found}`);

function expiryOf({ expiresAt }: Terms): number {
  if (expiresAt === undefined) throw new RangeError('create wants terms whose expiry is filled in');
  return expiresAt;
}

/** A name of one word is both first and last name [assumed: both are required]. Phone numbers have no plus sign. */
function customerOf({ customer }: Terms) {
  const { name, email, phone } = customer ?? {};
  if (name === undefined || email === undefined) return {};
  const [firstName = '', ...rest] = name.trim().split(/\s+/);
  const lastName = rest.join(' ') || firstName;
  return {
    customer: { firstName, lastName, email, ...(phone === undefined ? {} : { phone: phone.replace('+', '') }) },
  };
}
