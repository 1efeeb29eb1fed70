/**
 * Sextant Pay, API v3: fictional. Its document is the README beside this file.
 *
 * - The document is whole and does not contradict itself, so nothing is assumed but what it leaves to the reader: that
 *   `held` and `taken` money of a payment never overlap.
 * - A link shows all its payments, each with its own id: that is the payment's key, and one read tells everything.
 * - Every POST is deduped by `Idempotency-Key` and answered with the link as it is now: all writes may be repeated.
 * - `state` of a link closes it, `state` of a payment says whether its figures are money. No other word moves anything.
 * - Notices name link and reference; the link can be asked, so nothing else of them is used.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { evidenceOf, isSafeUrl, shaped, wordOf } from '../../activities/answers.ts';
import { baseUrl, credential, optionProblemsBy } from '../../activities/options.ts';
import {
  type Answer,
  type Call,
  type DocumentedError,
  defineProvider,
  NotAuthentic,
  type Problem,
  ProviderError,
  type ProviderLink,
} from '../../activities/provider.ts';
import { verifyHexHmac } from '../../activities/signatures.ts';
import type { ClosingWord, Facts, PaymentTotals } from '../../workflows/facts.ts';
import type { Terms } from '../../workflows/link.ts';

const config = z.strictObject({
  baseUrl: baseUrl.default('https://api.sextant.example/v3'),
  keyId: credential(8),
  secret: credential(16),
  /** Old and new are both accepted. Without one every notice is refused, and polling alone learns of payments. */
  webhookSecrets: z.array(z.string().min(16)).default([]),
});
type Config = z.infer<typeof config>;

const text = z.string().min(1).max(200);
const minor = z.int().nonnegative();
const paymentShape = z.object({
  id: text,
  state: text,
  amount: minor,
  currency: z.string().regex(/^[A-Z]{3}$/),
  taken: minor,
  released: minor,
  given_back: minor,
});
const linkShape = z.object({
  id: text,
  reference: text,
  request_key: text,
  amount: minor,
  currency: text,
  pay_url: z.string(),
  expires_at: z.int().positive(),
  state: text,
  payments: z.array(paymentShape),
});
type Link = z.infer<typeof linkShape>;

const LINK: Readonly<Record<string, { closes?: ClosingWord; docs: string }>> = {
  OPEN: { docs: 'pending' },
  HELD: { docs: 'authorized' },
  PAID: { docs: 'paid or refunded, by its payments' },
  CLOSED: { closes: 'cancelled', docs: 'cancelled, a hold is given back' },
  EXPIRED: { closes: 'expired', docs: 'expired, a hold is given back' },
};
/** Whether a payment's figures are money. */
const PAYMENT: Readonly<Record<string, { money: boolean; docs: string }>> = {
  HELD: { money: true, docs: 'authorized' },
  TAKEN: { money: true, docs: 'captured' },
  RELEASED: { money: true, docs: 'hold given back' },
  FAILED: { money: false, docs: 'attempt failed' },
};

const ERRORS: readonly DocumentedError[] = [
  { says: 'malformed', kind: 'refused', code: 'invalid_request' },
  { says: 'no_such_link', kind: 'not_found', code: 'not_found' },
  { says: 'wrong_state', kind: 'refused', code: 'status_conflict' },
  { says: 'out_of_range', kind: 'refused', code: 'amount_out_of_range' },
  { says: 'key_reused', kind: 'refused', code: 'key_reused' },
];
const LOCKED_OUT: DocumentedError = { says: 'who_are_you', kind: 'unauthorized', code: 'invalid_credentials' };

const SHORTEST_MS = 60_000;
const LONGEST_MS = 90 * 86_400_000;
/** Seconds a notice may be off. */
const WINDOW_S = 300;

export const sextant = defineProvider<Config>({
  name: 'sextant',
  config,
  partial: { capture: true, refund: true },
  // One key, one effect.
  repeatable: ['create', 'capture', 'cancel', 'refund'],
  errors: [...ERRORS, LOCKED_OUT],
  assumed: ['what is taken, released and still held of a payment adds up to its amount'],
  statuses: {
    ...Object.fromEntries(Object.entries(LINK).map(([word, { docs }]) => [word, docs])),
    ...Object.fromEntries(Object.entries(PAYMENT).map(([word, { docs }]) => [`payment ${word}`, docs])),
  },

  accepts(terms, _config, now) {
    const problems: Problem[] = [];
    const left = (terms.expiresAt ?? now + SHORTEST_MS) - now;
    if (left < SHORTEST_MS || left > LONGEST_MS) {
      const limits = [SHORTEST_MS, LONGEST_MS].map((limit) => new Date(now + limit).toISOString());
      problems.push({
        pointer: '/expiresAt',
        code: 'invalid_value',
        message: `must be between ${limits.join(' and ')}`,
      });
    }
    return [...problems, ...optionProblemsBy(z.strictObject({}), terms, () => 'is no option of sextant')];
  },

  async create(call, { terms, key, callbackUrl }) {
    const { reference, amount, currency, expiresAt, capture, description, redirectUrl, customer } = terms;
    if (expiresAt === undefined) throw new RangeError('create wants terms whose expiry is filled in');
    const { json, raw } = await post(call, '/links', key, {
      reference,
      amount,
      currency,
      expires_at: Math.floor(expiresAt / 1_000),
      hold: capture === 'manual',
      notify_url: callbackUrl,
      title: description,
      return_url: redirectUrl,
      payer: customer,
    });
    return adopt(shaped(linkShape, json, 'create'), terms, key, call.now(), raw);
  },

  async findByReference(call, { terms, key }) {
    const now = call.now();
    const query = { request_key: keyOnWire(key) };
    const { json, raw } = await send(call, { method: 'GET', path: '/links', query });
    const [found] = shaped(z.object({ links: z.array(linkShape).max(1) }), json, 'search').links;
    return found && adopt(found, terms, key, now, raw);
  },

  async inquire(call, link, { terms }) {
    // Before the call: what happens while it is answered belongs to a later read.
    const now = call.now();
    const { json, raw } = await send(call, { method: 'GET', path: pathOf(link) });
    return factsOf(own(json, link, terms), link, now, raw);
  },

  async capture(call, link, { terms, amount, key }) {
    const { json, raw } = await post(call, `${pathOf(link)}/take`, key, { amount });
    return factsOf(own(json, link, terms), link, call.now(), raw);
  },

  async cancel(call, link, { terms, key }) {
    const { json, raw } = await post(call, `${pathOf(link)}/close`, key, {});
    return factsOf(own(json, link, terms), link, call.now(), raw);
  },

  async refund(call, link, { terms, amount, payment, reason, key }) {
    const note = reason ?? `Refund ${terms.reference}`;
    const { json, raw } = await post(call, `${pathOf(link)}/give_back`, key, { amount, note, payment });
    const given = shaped(z.object({ id: text, link: z.unknown() }), json, 'give-back');
    return { ...factsOf(own(given.link, link, terms), link, call.now(), raw), providerId: given.id };
  },

  async extend(call, link, { terms, key, expiresAt, opening }) {
    const { json, raw } = await post(call, `${pathOf(link)}/prolong`, key, {
      expires_at: Math.floor(expiresAt / 1_000),
    });
    const told = own(json, link, terms);
    const created = providerLink(told, opening);
    return { created, ...factsOf(told, created, call.now(), raw) };
  },

  webhook: {
    verify({ body, headers }, _config, secrets, now) {
      const [, at, digest] = /^t=(\d{10}),v1=([0-9a-f]{64})$/.exec(headers['sextant-signature'] ?? '') ?? [];
      if (at === undefined) throw new NotAuthentic('the header Sextant-Signature is missing or malformed');
      verifyHexHmac('sha256', Buffer.concat([Buffer.from(`${at}.`), body]), digest, secrets);
      const off = Math.abs(now / 1_000 - Number(at));
      if (off > WINDOW_S) throw new NotAuthentic(`the notice is ${Math.round(off)} s off`, true);
      return 'signed';
    },
    read({ body }) {
      const notice = noticeShape.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)));
      if (!notice.topic.startsWith('link.')) return { ids: [], ignore: true };
      return { reference: notice.reference, ids: [notice.link] };
    },
  },
});

const noticeShape = z.object({ topic: z.string(), link: text, reference: text.optional().catch(undefined) });

/** The link that a new or found one is, with the facts it brings. */
function adopt(link: Link, terms: Terms, key: string, now: number, raw: string) {
  if (link.request_key !== keyOnWire(key) || link.reference !== terms.reference) throw mismatch('another link');
  if (link.amount !== terms.amount || link.currency !== terms.currency) throw mismatch('another amount');
  const created = providerLink(link, 0);
  return { created, ...factsOf(link, created, now, raw) };
}

function providerLink({ id, pay_url: url, expires_at }: Link, opening: number): ProviderLink {
  // The address goes to customers: a scheme that runs code or a plain one must not get through.
  if (!isSafeUrl(url)) throw mismatch('no https address for the customer');
  const expiresAt = expires_at * 1_000;
  const handle = { opening: String(opening) };
  return { providerLinkId: id, ids: [id], url, expiresAt, expiresByItself: true, holdEndsAt: expiresAt, handle };
}

/** Only an answer about our own link counts, whatever address it came from. */
function own(json: unknown, { providerLinkId }: ProviderLink, { reference }: Terms): Link {
  const link = shaped(linkShape, json, 'the link');
  if (link.id !== providerLinkId || link.reference !== reference) throw mismatch('another link');
  return link;
}

function factsOf(link: Link, { handle }: ProviderLink, now: number, raw: string): Answer {
  const word = wordOf(link.state);
  const payments: NonNullable<Facts['payments']> = {};
  const totals: Record<string, Omit<PaymentTotals, 'seenAt'>> = {};
  const unknown = LINK[word] ? [] : [word];
  for (const { id, state, amount, currency, taken, released, given_back } of link.payments) {
    const said = PAYMENT[wordOf(state)];
    if (!said) unknown.push(`payment ${wordOf(state)}`);
    if (!said?.money) continue;
    const shown = { authorized: amount, captured: taken, refunded: given_back, voided: released };
    payments[id] = { [currency]: { ...shown, seenAt: now } };
    const before = totals[currency] ?? { authorized: 0, captured: 0, refunded: 0, voided: 0 };
    totals[currency] = {
      authorized: before.authorized + amount,
      captured: before.captured + taken,
      refunded: before.refunded + given_back,
      voided: before.voided + released,
    };
  }
  const closes = LINK[word]?.closes;
  const facts: Facts = {
    ...(Object.keys(payments).length ? { payments } : {}),
    openings: { [handle?.opening ?? '0']: { opened: now, ...(closes ? { [closes]: now } : {}) } },
    ...(unknown.length ? { unknownWords: Object.fromEntries(unknown.map((each) => [each, now])) } : {}),
    latest: { at: now, hash: evidenceOf(raw), word, totals },
  };
  return { facts, evidence: raw };
}

const keyOnWire = (key: string) => createHash('sha256').update(key).digest('hex');
const pathOf = ({ providerLinkId }: ProviderLink) => `/links/${encodeURIComponent(providerLinkId)}`;
const mismatch = (found: string) => new ProviderError('unknown', 'answer_mismatch', `the answer is about ${found}`);

interface Request {
  method: 'GET' | 'POST';
  path: string;
  query?: Record<string, string>;
  json?: object;
  headers?: Record<string, string>;
}

const post = (call: Call<Config>, path: string, key: string, json: object) =>
  send(call, { method: 'POST', path, json, headers: { 'Idempotency-Key': keyOnWire(key) } });

const problemShape = z.object({ code: z.string(), detail: z.string() });

async function send(call: Call<Config>, { path, headers, ...request }: Request) {
  const { baseUrl, keyId, secret } = call.config;
  const access = Buffer.from(`${keyId}:${secret}`).toString('base64');
  const { status, json, text, excerpt } = await call.http
    .request({
      ...request,
      url: `${baseUrl}${path}`,
      headers: { ...headers, authorization: `Basic ${access}` },
      secrets: [keyId, secret],
    })
    .catch((error: unknown) => {
      if (!(error instanceof ProviderError) || error.code !== 'http_401') throw error;
      throw new ProviderError('unauthorized', LOCKED_OUT.code, `${error.message}; check keyId and secret`);
    });
  if (status < 300) return { json, raw: text };
  const { code, detail } = problemShape.safeParse(json).data ?? {};
  const known = ERRORS.find(({ says }) => says === code);
  const said = excerpt(detail ?? text) || 'no reason';
  const what = `${request.method} ${path} answered ${status}: ${said}`;
  throw new ProviderError(known?.kind ?? 'refused', known?.code ?? `http_${status}`, what);
}
