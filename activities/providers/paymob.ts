/**
 * Paymob QuickLink (Egypt and the Gulf): payment links over cards and wallets.
 *
 * Sources: [seed] the provider's guide, [public] its pages, Postman collections and public clients, [assumed] our
 * reading where they are silent; each assumption is one constant, option or table row here and in the sandbox.
 *
 * - The seed's header row shows the secret key for create, its prose the auth token; collections use the token [public].
 *   The token is for links and reads, the secret key for capture, void and refund.
 * - Amounts are whole minor units, on the way out as text. No request names a currency: it follows the integration, so
 *   the account says what each of its integrations settles in, and the answer is checked against it.
 * - `expires_at` has no offset: it is meant in the account's `zone` [assumed].
 * - `state` "State or province" [seed] is the link's state; only create answers show it. Nothing reads a link: payments
 *   are read, as the order's last transaction or by id. So a link ends by `expires_at`, and by a cancel that is answered.
 * - `reference_id` is unique [seed]. "Already exists" means a link whose address cannot be read back: see `create`.
 * - A capture, void or refund is a transaction of its own with a parent; the payment's key is the parent. A read of the
 *   order may lead to such a child, and is followed up [public].
 * - A hold is captured once: see `CAPTURE_ENDS_HOLD`. No call is idempotent: the engine reads before each of them.
 * - A void works on the same business day, before settlement [public]; a later one is refused.
 * - The callback's signature covers 20 fields, joined without separators [public]: neither parent nor captured or
 *   refunded amounts are among them, and digits could be moved from one field to the next. So it is a hint, of ids only.
 */
import { z } from 'zod';
import { currenciesOf, type Facts, sums } from '../../workflows/facts.ts';
import type { Terms } from '../../workflows/link.ts';
import { isSafeUrl, shaped } from '../answers.ts';
import type { FormPart } from '../http.ts';
import { type Call, defineProvider, type Problem, ProviderError, type ProviderLink } from '../provider.ts';
import { verifyHexHmac } from '../signatures.ts';
import { instantOf, localTime } from '../zoned-time.ts';
import { type Config, config, DOCUMENTED_ERRORS, mismatch, withToken } from './paymob-api.ts';
import { callbackOf, signedValues } from './paymob-callback.ts';
import { cents, factsOfState, id, knownTotals, STATUSES } from './paymob-facts.ts';
import { optionParts, optionProblems } from './paymob-options.ts';
import { move, moved, observe, orderName, paymentFor, release, transactionName } from './paymob-payments.ts';

/** `expires_at` must lie ahead when the request arrives [seed]: time for a slow one. */
const MIN_LIFE_MS = 60_000;

const linkShape = z.object({
  id,
  order: id,
  currency: z.string().nullish(),
  reference_id: z.string(),
  amount_cents: cents,
  client_url: z.string().nullish(),
  shorten_url: z.string().nullish(),
  state: z.string().min(1),
  expires_at: z.string().nullish(),
});
type Link = z.infer<typeof linkShape>;

const ASSUMED = [
  'expires_at is a time of Africa/Cairo (option zone), and the link ends by itself then',
  'an order nobody has tried to pay is a 404 “Not found.”',
  'a capture of a part gives the rest of the hold back',
  'a link that is paid, cancelled or expired is refused a cancel with success false',
  'is_cancel or is_canceled of the order is how a read shows that the link was cancelled',
  'a void after the business day is refused as refunds are',
  'integrations of type Auth may be used for links',
  'ids of links, orders and transactions are numbered apart',
];

/** Creates of this process that nobody answered, by credential and reference: a duplicate may be one of them. */
const unanswered = new Set<string>();

export const paymob = defineProvider<Config>({
  name: 'paymob',
  config,
  partial: { capture: true, refund: true },
  // create: `reference_id` is unique [seed]. capture: what a payment has captured is read first, and a hold is captured
  // once. cancel: there is nothing left to cancel or void twice. refund: only amounts would tell two of them apart.
  repeatable: ['create', 'capture', 'cancel'],
  errors: DOCUMENTED_ERRORS,
  assumed: ASSUMED,
  statuses: STATUSES,

  accepts(terms, { integrations }, now) {
    const problems: Problem[] = [];
    const refuse = (code: Problem['code'], pointer: string, message: string) =>
      problems.push({ code, pointer, message });
    if (terms.expiresAt !== undefined && expiryOf(terms) < now + MIN_LIFE_MS) {
      const first = new Date(now + MIN_LIFE_MS).toISOString();
      refuse('invalid_value', '/expiresAt', `must be at least 1 minute from now, that is ${first} or later`);
    }
    const settling = integrations.filter(({ currency }) => currency === terms.currency);
    if (settling.length === 0) {
      const known = [...new Set(integrations.map(({ currency }) => currency))].join(', ');
      refuse('not_supported', '/amount/currency', `the account’s integrations settle in ${known} only`);
    } else if (terms.capture === 'manual' && !settling.some(({ holds }) => holds)) {
      refuse('not_supported', '/capture', `the account has no integration that holds ${terms.currency}`);
    }
    return [...problems, ...optionProblems(terms)];
  },

  /**
   * "Reference ID already exists" is a plain no, unless this very process lost the answer to such a create: then the
   * link may be ours, nobody has its address, and only a person can tell. Nobody else sends a create again: the engine
   * repeats one only when it is proven not to have been sent.
   */
  async create(call, { terms, callbackUrl }) {
    const now = call.now();
    const form: FormPart[] = [
      { name: 'amount_cents', value: String(terms.amount) },
      ...integrationsFor(terms, call.config).map((value) => ({ name: 'payment_methods', value })),
      { name: 'is_live', value: String(call.config.live) },
      { name: 'reference_id', value: terms.reference },
      { name: 'expires_at', value: localTime(expiryOf(terms), call.config.zone) },
      ...Object.entries({
        full_name: terms.customer?.name,
        email: terms.customer?.email,
        phone_number: terms.customer?.phone,
        description: terms.description,
        notification_url: callbackUrl,
        redirection_url: terms.redirectUrl,
      }).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }])),
      ...optionParts(terms),
    ];
    const name = `${call.config.baseUrl} ${call.config.apiKey} ${terms.reference}`;
    try {
      const { json, raw } = await withToken(call, () => ({ method: 'POST', path: LINKS, form }));
      const link = shaped(linkShape, json, 'create');
      if (link.reference_id !== terms.reference) throw mismatch('create', 'another reference');
      await checkMoney(call, link, terms);
      return {
        created: linkOf(link, terms, call.config, now),
        facts: factsOfState(link.state, now, raw),
        evidence: raw,
      };
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      if (error.kind === 'unknown') unanswered.add(name);
      if (error.code !== 'duplicate_reference' || !unanswered.has(name)) throw error;
      const told = `Paymob has a link of reference ${terms.reference}, perhaps from a create whose answer was lost`;
      const advice = 'its address cannot be read back: look for it in the dashboard, and cancel it there';
      throw new ProviderError('unknown', 'ambiguous_create', `${told}; ${advice}`);
    }
  },

  inquire: (call, link, { known, ids }) => observe(call, link, known, ids),

  async capture(call, _link, { terms, amount = 0, known }) {
    const payment = paymentFor('capture', amount, known, terms);
    const path = '/api/acceptance/capture';
    const child = await move(call, path, { transaction_id: Number(payment), amount_cents: amount });
    const { captured } = knownTotals(known, payment, terms.currency);
    return moved(child, payment, terms.currency, known, { captured: captured + amount });
  },

  /** First the link, so that nobody can pay it while a hold is given back, or if that is refused. */
  async cancel(call, link, { known }) {
    const closed = await closeLink(call, link, known);
    const { facts, evidence, providerId } = await release(call, known);
    const openings = { '0': { cancelled: call.now() } };
    return { facts: { ...facts, openings }, evidence: `${closed}\n${evidence}`, providerId };
  },

  async refund(call, link, { terms, amount = 0, payment: named, known }) {
    const payment = named ?? paymentFor('refund', amount, known, terms);
    const path = '/api/acceptance/void_refund/refund';
    try {
      const child = await move(call, path, { transaction_id: Number(payment), amount_cents: amount });
      const { refunded } = knownTotals(known, payment, terms.currency);
      return moved(child, payment, terms.currency, known, { refunded: refunded + amount });
    } catch (error) {
      // All of it is back already: that is what a refund of all there was wanted, and not what a part of it was.
      if (!(error instanceof ProviderError) || error.code !== 'already_refunded') throw error;
      const { captured, refunded } = sums(known, terms.currency);
      if (amount < captured - refunded) throw error;
      const now = await observe(call, link, known, []).catch(() => undefined);
      if (!now || sums(now.facts, terms.currency).refunded < captured) throw error;
      return now;
    }
  },

  webhook: {
    verify({ body, query }, _config, secrets) {
      verifyHexHmac('sha512', Buffer.from(signedValues(body).join('')), query.get('hmac') ?? undefined, secrets);
      return 'signed';
    },
    /** The address of the callback names the link; the body's `merchant_order_id` is not signed, so it does not. */
    read({ body }) {
      const { type, obj } = callbackOf(body);
      if (type !== 'TRANSACTION') return { ids: [], ignore: true };
      const named = z.object({ id, order: z.object({ id }) }).parse(obj);
      // A customer gets the signature in the return address, and could send it with any other fields about it.
      const signed = Buffer.from(JSON.stringify(signedValues(body)));
      return { ids: [orderName(named.order.id), transactionName(named.id)], signed };
    },
  },
});

const LINKS = '/api/ecommerce/payment-links';

/** All integrations of the link's currency that treat a payment as the link wants it. */
function integrationsFor({ currency, capture }: Terms, { integrations }: Config): string[] {
  const settling = integrations.filter((integration) => integration.currency === currency);
  const wanted = settling.filter(({ holds }) => holds === (capture === 'manual'));
  // Without one that takes money at once the engine captures what is held.
  return (wanted.length > 0 || capture === 'manual' ? wanted : settling).map((integration) => String(integration.id));
}

/** What `expires_at` can hold: whole seconds, rounded down. */
function expiryOf({ expiresAt }: Terms): number {
  if (expiresAt === undefined) throw new RangeError('create wants terms whose expiry is filled in');
  return Math.floor(expiresAt / 1000) * 1000;
}

/** A link over other money than was asked for must not stay: it is cancelled, and then nothing of it is left. */
async function checkMoney(call: Call<Config>, link: Link, { amount, currency }: Terms): Promise<void> {
  if (link.amount_cents !== amount) throw mismatch('create', 'another amount');
  // Null in some answers [seed]: then the payment tells, and a wrong one is shown as such.
  if (!link.currency || link.currency.toUpperCase() === currency) return;
  await cancelLink(call, link.id);
  const told = `the integration made a link in ${link.currency}, not ${currency}: it was cancelled`;
  const advice = 'correct the account’s integrations; the reference is used up at Paymob';
  throw new ProviderError('refused', 'currency_mismatch', `${told}; ${advice}`);
}

function linkOf(link: Link, terms: Terms, { zone }: Config, now: number): ProviderLink {
  // The address goes to customers: a scheme that runs code or a plain one must not get through.
  const url = [link.client_url, link.shorten_url].find((address) => address && isSafeUrl(address));
  if (!url) throw mismatch('create', 'no https address for the customer');
  const asked = expiryOf(terms);
  const held = heldUntil(link.expires_at, zone);
  // An end that is not told, has passed, or comes too late is not relied upon: the engine closes the link itself.
  const expiresByItself = held !== undefined && held > now && held <= asked;
  return {
    providerLinkId: link.id,
    ids: [link.id, orderName(link.order)],
    url,
    expiresAt: expiresByItself ? held : asked,
    expiresByItself,
    handle: { order: link.order },
  };
}

function heldUntil(text: string | null | undefined, zone: string): number | undefined {
  if (!text) return undefined;
  try {
    const at = /(Z|[+-]\d\d:?\d\d)$/.test(text) ? Date.parse(text) : instantOf(text, zone);
    return Number.isNaN(at) ? undefined : Math.floor(at / 1000) * 1000;
  } catch {
    return undefined;
  }
}

async function cancelLink(call: Call<Config>, linkId: string): Promise<string> {
  const form = [{ name: 'payment_link_id', value: linkId }];
  const { json, raw } = await withToken(call, () => ({ method: 'POST', path: `${LINKS}/cancel`, form }));
  const { success } = shaped(z.object({ success: z.boolean() }), json, 'cancel');
  if (success) return raw;
  throw new ProviderError(
    'refused',
    'status_conflict',
    'the link was not cancelled, though the call was answered with 200',
  );
}

/** Paid and cancelled links are refused alike [assumed]: only a read tells one from the other. */
async function closeLink(call: Call<Config>, link: ProviderLink, known: Facts): Promise<string> {
  try {
    return await cancelLink(call, link.providerLinkId);
  } catch (error) {
    if (!(error instanceof ProviderError) || error.code !== 'status_conflict') throw error;
    const { facts, evidence } = await observe(call, link, known, []).catch(() => {
      throw error;
    });
    const other = currenciesOf(facts).some((currency) => {
      const [before, now] = [sums(known, currency), sums(facts, currency)];
      return now.captured > 0 || now.held > before.held;
    });
    if (other) throw error;
    return evidence;
  }
}
