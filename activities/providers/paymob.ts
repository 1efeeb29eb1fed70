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
 * - `reference_id` is unique [seed]. "Already exists" means a link whose address cannot be read back: see
 *   `createLink`, and the account's option `lostCreate`.
 * - A capture, void or refund is a transaction of its own with a parent; the payment's key is the parent. A read of the
 *   order may lead to such a child, and is followed up [public].
 * - A hold is captured once: see `CAPTURE_ENDS_HOLD`. No call is idempotent: the engine reads before each of them.
 * - A void works on the same business day, before settlement [public]; a later one is refused.
 * - The callback's signature covers 20 fields, joined without separators [public]: neither parent nor captured or
 *   refunded amounts are among them, and digits could be moved from one field to the next. So it is a hint, of ids only.
 */
import { z } from 'zod';
import { sums } from '../../workflows/facts.ts';
import { defineProvider, type Problem, ProviderError } from '../provider.ts';
import { verifyHexHmac } from '../signatures.ts';
import { type Config, config, DOCUMENTED_ERRORS } from './paymob-api.ts';
import { callbackOf, signedValues } from './paymob-callback.ts';
import { id, knownTotals, STATUSES } from './paymob-facts.ts';
import { closeLink, createLink, expiryOf, LOST } from './paymob-links.ts';
import { optionProblems } from './paymob-options.ts';
import { move, moved, observe, orderName, paymentFor, release, transactionName } from './paymob-payments.ts';

/** `expires_at` must lie ahead when the request arrives [seed]: time for a slow one. */
const MIN_LIFE_MS = 60_000;

const ASSUMED = [
  'expires_at is a time of Africa/Cairo (option zone), and the link ends by itself then',
  'an order nobody has tried to pay is a 404 “Not found.”',
  'a capture of a part gives the rest of the hold back',
  'a link that is paid, cancelled or expired is refused a cancel with success false',
  'is_cancel or is_canceled of the order is how a read shows that the link was cancelled',
  'a void after the business day is refused as refunds are',
  'integrations of type Auth may be used for links',
  'ids of links, orders and transactions are numbered apart',
  'the order of a link is asked for by its reference_id as merchant_order_id (option lostCreate: recreate)',
];

export const paymob = defineProvider<Config>({
  name: 'paymob',
  config,
  partial: { capture: true, refund: true },
  // create: `reference_id` is unique [seed]. capture: what a payment has captured is read first, and a hold is captured
  // once. cancel: there is nothing left to cancel or void twice. refund: only amounts would tell two of them apart.
  repeatable: ['create', 'capture', 'cancel'],
  lostAdvice: LOST,
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

  create: createLink,

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
