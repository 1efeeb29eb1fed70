/**
 * BoomFi, and Uqualify, which is BoomFi under another name: payment links in fiat, paid in crypto or by card.
 *
 * Sources: [seed] Uqualify's integration guide, [public] BoomFi's OpenAPI document and webhook pages, [assumed] our
 * reading where they are silent or at odds; each assumption is one constant, option or table row here and in the sandbox.
 *
 * - Create answers `"error": true` beside a link that was made, and a `deleted_at` beside `enabled: true` [seed]:
 *   success is a 2xx whose `data` has an id, and `enabled` alone says whether a link can be paid.
 * - Nothing dedupes a create: `reference` becomes `plan.reference` and may be there twice. A lost answer is looked for
 *   by reference among the links made since the first try; of several the oldest is ours.
 * - A link has no end of its own and can be paid again and again [public]. The engine disables it at its deadline and
 *   once it is paid; `extend` enables it again, which is another opening. Each payment is a payment of its own.
 * - No call reads one link, so links and payments are listed, for all our links at once; payments a webhook named or an
 *   earlier read knew are read one by one where the lists do not show them. `since` means made or changed since, says the
 *   document of links [public]; of payments it says less, so while money is in flight we look back to the beginning.
 * - A payment belongs to the link `payment_link.id` names; one that names none, to that of `plan.reference` [public].
 * - The plan's price is what counts; `amount` may be the crypto leg [public], which is evidence only.
 * - `type` is "2" for one-time links at Uqualify [seed]; BoomFi's later document has no such field [public].
 * - A subscription is no payment link: `interval`, `intervalCount` and `trial_period` are not taken.
 * - Webhooks are RSA-signed over timestamp and body [public]; at Uqualify too [assumed: it is the same system]. Their
 *   address is set in the dashboard or by support. They are hints: what counts is read.
 * - Enabling, disabling and reading one payment are BoomFi's calls [public]; Uqualify has them too [assumed].
 * - No capture, no refund [public: none found]. Customers' names and addresses travel in the link's query [seed].
 */
import { z } from 'zod';
import { type Facts, newestNumber } from '../../workflows/facts.ts';
import type { Terms } from '../../workflows/link.ts';
import { decimal } from '../../workflows/money.ts';
import { evidenceOf, isSafeUrl, minorOf, shaped } from '../answers.ts';
import {
  type Answer,
  type Call,
  defineProvider,
  NotAuthentic,
  type Problem,
  ProviderError,
  type ProviderLink,
} from '../provider.ts';
import { verifyRsaSha256 } from '../signatures.ts';
import { type Config, config, DOCUMENTED_ERRORS, type Lists, payHostOf, send, sharedLists } from './boomfi-api.ts';
import {
  factsOf,
  LINK,
  PAYMENT,
  type Paylink,
  type Payment,
  paylinkOf,
  paylinkShape,
  paymentOf,
  text,
} from './boomfi-facts.ts';
import { optionProblems, optionsOnWire } from './boomfi-options.ts';

/** Clocks differ: a link is looked for from so long before we asked for it [assumed]. */
const CLOCK_SKEW_MS = 5 * 60_000;
/** A read looks back this far beyond the one before it: lists lag and pages shift [assumed]. */
const OVERLAP_MS = 60 * 60_000;
/** Age of a webhook, either way, that is still accepted [public]. */
const SIGNATURE_WINDOW_SECONDS = 300;

const ASSUMED = [
  'since in the list of payments means made or changed since, as the document says of links',
  'a lost create shows in the list of links since five minutes before it, by reference and price; of several the oldest is ours',
  'a list that shows a link enabled within a minute after it was disabled lags behind',
  'a payment in the price’s own currency says itself what was paid; in any other the price counts (option underpaymentTolerancePercent)',
  'a payment whose on-chain transaction is a Refund is no payment to the merchant: it is shown and moves nothing',
  'a disabled link can be enabled again at any time',
  'Uqualify disables, enables and reads payments as BoomFi does, and signs webhooks in the same way',
];

export const boomfi = defineProvider<Config>({
  name: 'boomfi',
  config,
  errors: DOCUMENTED_ERRORS,
  assumed: ASSUMED,
  partial: { capture: false, refund: false },
  // cancel: what is disabled stays so. create: nothing dedupes it.
  repeatable: ['cancel'],
  reusable: true,
  statuses: {
    ...LINK,
    ...Object.fromEntries(
      Object.entries(PAYMENT).map(([word, { number, docs }]) => [`payment ${word} (${number})`, docs]),
    ),
  },

  accepts(terms, { flavour }, now) {
    const problems: Problem[] = [];
    const refuse = (code: Problem['code'], pointer: string, message: string) =>
      problems.push({ code, pointer, message });
    if (terms.expiresAt !== undefined && terms.expiresAt <= now) {
      refuse('invalid_value', '/expiresAt', `must be later than ${new Date(now).toISOString()}`);
    }
    if (terms.capture === 'manual') refuse('not_supported', '/capture', 'BoomFi takes payments at once');
    if (terms.customer?.phone !== undefined) {
      refuse('not_supported', '/customer/phone', 'BoomFi takes name and email of a customer only');
    }
    return [...problems, ...optionProblems(terms, flavour)];
  },

  async create(call, { terms }) {
    const now = call.now();
    const { data, raw } = await send(call, {
      method: 'POST',
      url: '/paylinks',
      json: {
        name: terms.description ?? `Payment ${terms.reference}`,
        ...(terms.description === undefined ? {} : { description: terms.description }),
        amount: decimal(terms.amount, terms.exponent),
        currency: terms.currency,
        reference: terms.reference,
        ...(call.config.flavour === 'uqualify' ? { type: '2' } : {}),
        ...optionsOnWire(terms),
      },
    });
    const paylink = shaped(paylinkShape, data, 'create');
    const created = linkOf(paylink, terms, call, now);
    // Whatever was paid since was paid later: of a new link everything is known.
    const latest = { at: now, hash: evidenceOf(raw), word: paylink.enabled ? 'ENABLED' : 'DISABLED', totals: {} };
    const opening = { opened: now, ...(paylink.enabled ? {} : { disabled: now }) };
    return { created, facts: { openings: { '0': opening }, latest }, evidence: raw };
  },

  async findByReference(call, { terms, since }) {
    const lists = await sharedLists(call, since - CLOCK_SKEW_MS);
    const named = lists.paylinks.filter((item) => referenceShape(terms.reference).safeParse(item).success);
    const found = named.map((item) => shaped(paylinkShape, item, 'paylink')).find((paylink) => isFor(paylink, terms));
    if (!found) return undefined;
    const created = linkOf(found, terms, call, since);
    const { facts, evidence } = await observe(call, created, { terms, known: {}, ids: [] }, lists);
    const openings = { '0': { opened: since, ...facts.openings?.['0'] } };
    return { created, facts: { ...facts, openings }, evidence };
  },

  inquire: (call, link, read) => observe(call, link, read),

  async cancel(call, link, { known }) {
    const raw = await enable(call, link, false);
    return { facts: { openings: { [newestNumber(known)]: { disabled: call.now() } } }, evidence: raw };
  },

  async extend(call, link, { expiresAt, opening }) {
    const now = call.now();
    const raw = await enable(call, link, true);
    return { created: { ...link, expiresAt }, facts: { openings: { [opening]: { opened: now } } }, evidence: raw };
  },

  webhook: {
    verify({ body, headers }, { orgId }, secrets, now) {
      const timestamp = headers['x-boomfi-timestamp'] ?? '';
      verifyRsaSha256(Buffer.concat([Buffer.from(`${timestamp}.`), body]), headers['x-boomfi-signature'], secrets);
      // Signed, so it is theirs; still it may be somebody's recording.
      if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > SIGNATURE_WINDOW_SECONDS) {
        throw new NotAuthentic(`the timestamp is not within ${SIGNATURE_WINDOW_SECONDS} s of now`, true);
      }
      const news = newsShape.safeParse(fieldsOf(body)).data;
      if (orgId !== undefined && news && isPayment(news.event) && (news.org_id || news.org?.id) !== orgId) {
        throw new NotAuthentic('it is about another organisation');
      }
      return 'signed';
    },
    read({ body }) {
      const { event, id, payment_link: link, plan } = newsShape.parse(fieldsOf(body));
      if (!isPayment(event)) return { ids: [], ignore: true };
      return {
        ...(plan?.reference ? { reference: plan.reference } : {}),
        ids: [link?.id, plan?.id, id].filter((name): name is string => Boolean(name)),
      };
    },
  },
});

const name = z.string().max(200).nullish();
const newsShape = z.object({
  event: z.string(),
  id: name,
  org_id: name,
  org: z.object({ id: name }).nullish(),
  payment_link: z.object({ id: name }).nullish(),
  plan: z.object({ id: name, reference: name }).nullish(),
});

/** Undefined when the body is no JSON. */
function fieldsOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

/** `Payment.Created`, `Payment.Updated` [public]; plans, invoices and subscriptions are no concern of a link. */
const isPayment = (event: string) => /^payment\./i.test(event);

const referenceShape = (reference: string) => z.object({ plan: z.object({ reference: z.literal(reference) }) });

/** Links and payments of the organisation, and what else is known or was named of this link. */
async function observe(
  call: Call<Config>,
  link: ProviderLink,
  { terms, known, ids }: { terms: Terms; known: Facts; ids: string[] },
  read?: Lists,
): Promise<Answer> {
  const lists = read ?? (await sharedLists(call, lookBack(link, known)));
  const payments = new Map<string, Payment>();
  for (const item of lists.payments) {
    const payment = paymentOf(item, link, terms);
    if (payment) payments.set(payment.id, payment);
  }
  // A list may lag behind the webhook that named a payment, so that one is read in any case.
  const named = ids.filter((id) => !link.ids.includes(id));
  const unlisted = Object.keys(known.payments ?? {}).filter((id) => !payments.has(id));
  for (const item of await Promise.all([...new Set([...named, ...unlisted])].map((id) => paymentNamed(call, id)))) {
    const payment = paymentOf(item, link, terms);
    if (payment) payments.set(payment.id, payment);
  }
  return factsOf({
    link,
    paylink: paylinkOf(lists.paylinks, link.providerLinkId),
    payments: [...payments.values()],
    known,
    tolerancePercent: call.config.underpaymentTolerancePercent,
    at: lists.at,
  });
}

/** Everything before the last read is known, unless something was still moving then. */
function lookBack({ handle }: ProviderLink, { latest }: Facts): number {
  const beginning = Number(handle?.since ?? 0);
  return latest && !latest.inFlight ? Math.max(beginning, latest.at - OVERLAP_MS) : beginning;
}

/** Undefined when there is none: a hint may come before the payment can be read, or be about something else. */
async function paymentNamed(call: Call<Config>, id: string): Promise<unknown> {
  try {
    const { data } = await send(call, { method: 'GET', url: `/payments/${encodeURIComponent(id)}` });
    if (shaped(z.object({ id: text }), data, 'payment').id !== id) throw mismatch('read', 'another payment');
    return data;
  } catch (error) {
    if (error instanceof ProviderError && error.kind === 'not_found') return undefined;
    throw error;
  }
}

async function enable(call: Call<Config>, link: ProviderLink, enabled: boolean): Promise<string> {
  const url = `/paylinks/${encodeURIComponent(link.providerLinkId)}`;
  const { data, raw } = await send(call, { method: 'PATCH', url, json: { enabled } });
  const paylink = shaped(paylinkShape, data, 'paylink');
  if (paylink.id !== link.providerLinkId) throw mismatch('change', 'another link');
  if (paylink.enabled !== enabled) throw mismatch('change', `a link that is still ${enabled ? 'disabled' : 'enabled'}`);
  return raw;
}

/** The link that a new or found paylink is. */
function linkOf(paylink: Paylink, terms: Terms, call: Call<Config>, since: number): ProviderLink {
  if (!isFor(paylink, terms)) throw mismatch('create', 'a link for another reference or amount');
  const { id, plan_id: planId } = paylink;
  const url = new URL(`${payHostOf(call.config)}/${id}`);
  const { name, email } = terms.customer ?? {};
  for (const [field, value] of Object.entries({ name, email })) if (value) url.searchParams.set(field, value);
  if (!isSafeUrl(url.href)) throw mismatch('create', 'no https address for the customer');
  return {
    providerLinkId: id,
    ids: planId ? [id, planId] : [id],
    url: url.href,
    expiresAt: expiryOf(terms),
    expiresByItself: false,
    handle: { since: String(since - CLOCK_SKEW_MS) },
  };
}

function isFor({ plan }: Paylink, { reference, currency, amount }: Terms): boolean {
  return plan?.reference === reference && plan.currency === currency && minorOf(plan.price ?? '', currency) === amount;
}

const mismatch = (what: string, found: string) =>
  new ProviderError('unknown', 'answer_mismatch', `the ${what} was answered with ${found}`);

function expiryOf({ expiresAt }: Terms): number {
  if (expiresAt === undefined) throw new RangeError('create wants terms whose expiry is filled in');
  return expiresAt;
}
