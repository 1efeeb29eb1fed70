/**
 * Katu9 (India), deposits in INR.
 *
 * Sources: [seed] the page about payment links, [public] the pages about transactions, webhooks and balance, [assumed]
 * our reading where they are silent; each assumption is one constant, option or table row here and in the sandbox.
 *
 * - Two steps: a transaction of type DEPOSIT [public], then a payment link for it [seed]. The first step takes the second's
 *   fields too, and a "regenerated" link is spoken of: if it answers with a link, that one is used [assumed].
 * - The transaction is what is paid and what can be read, so its id is our link's id and payment key. A new payment link
 *   for it (`extend`) is another opening of the same link.
 * - A transaction has one live link; asking for another is a conflict [seed: text; 409 assumed]. So the second step may be
 *   repeated: at worst the conflict says that it happened, and the link is read. The first step may not: nothing dedupes
 *   it, and nothing finds a transaction by our reference. Its webhook names it, though, with the metadata that was sent
 *   [assumed]: a transaction that bears our key is ours, and the second step is made up for. Without that webhook a lost
 *   answer stays unknown; what it left behind nobody can pay: no customer was ever given its address.
 * - No address for the payer is documented: `url` of the link, else an option's template [assumed].
 * - Status words are "string": the table in katu9-facts.ts is [assumed]. Errors are `{error:{message,details}}` [seed];
 *   the seed lists five without their HTTP statuses, read in the order of the usual ones [assumed].
 * - Webhooks are signed [public] and report only what we did ourselves: no event tells of a payment. They are hints, and
 *   polling decides. More events are announced [public]: those about transactions and links are hints, others dropped.
 * - Nothing cancels, captures or refunds. WITHDRAWAL is a payout, not a refund, and is never made here.
 */
import { z } from 'zod';
import { closingOf, newestOpening } from '../../workflows/facts.ts';
import type { Terms } from '../../workflows/link.ts';
import { isSafeUrl, jsonNumber, minorOf, shaped } from '../answers.ts';
import { optionPointer } from '../options.ts';
import {
  type Answer,
  type Call,
  type CreateCall,
  defineProvider,
  type Problem,
  ProviderError,
  type ProviderLink,
} from '../provider.ts';
import { verifyHexHmac } from '../signatures.ts';
import {
  ASSUMED,
  type Config,
  config,
  DOCUMENTED_ERRORS,
  generate,
  linkAfterTransaction,
  MINUTE,
  minutesUntil,
  mismatch,
  read,
  send,
} from './katu9-api.ts';
import { factsOf, handleOf, type PaymentLink, transactionShape, WORDS } from './katu9-facts.ts';

const CURRENCY = 'INR';
/** The one option of a create request: which of the merchant's payment methods, as the document names it. */
const OPTION = 'paymentMethodId';
const uuid = z.uuid();

/** For a person who has to find out. */
const LOST =
  'a transaction of it has the reference in its metadata, and cannot be paid, for nobody has its address: say absent, and make the link anew';

export const katu9 = defineProvider<Config>({
  name: 'katu9',
  config,
  partial: { capture: false, refund: false },
  // Nothing dedupes a transaction.
  repeatable: [],
  errors: DOCUMENTED_ERRORS,
  assumed: ASSUMED,
  statuses: {
    ...Object.fromEntries(Object.entries(WORDS.transaction).map(([word, { docs }]) => [word, docs])),
    ...Object.fromEntries(Object.entries(WORDS.link).map(([word, { docs }]) => [`link ${word}`, docs])),
  },

  accepts(terms, _config, now) {
    const problems: Problem[] = [];
    const refuse = (code: Problem['code'], pointer: string, message: string) =>
      problems.push({ code, pointer, message });
    if (terms.currency !== CURRENCY) refuse('not_supported', '/amount/currency', `katu9 takes ${CURRENCY} only`);
    if (jsonNumber(terms.amount, terms.exponent) === undefined) {
      refuse('invalid_value', '/amount/minor', 'is too large for the provider to hold exactly');
    }
    if (terms.expiresAt !== undefined && minutesUntil(terms.expiresAt, now) < 1) {
      const first = new Date(now + MINUTE).toISOString();
      refuse('invalid_value', '/expiresAt', `must be at least 1 minute from now, that is ${first} or later`);
    }
    if (terms.capture === 'manual') refuse('not_supported', '/capture', 'katu9 takes payments at once');
    for (const [field, value] of Object.entries(terms.customer ?? {})) {
      if (value !== undefined) refuse('not_supported', `/customer/${field}`, 'katu9 takes no customer with a deposit');
    }
    for (const [option, value] of Object.entries(terms.providerOptions ?? {})) {
      const pointer = optionPointer(option);
      if (option !== OPTION) refuse('not_supported', pointer, 'is no option of katu9');
      else if (!uuid.safeParse(value).success) refuse('invalid_value', pointer, 'must be a UUID');
    }
    return problems;
  },

  async create(call, { terms, key }) {
    const now = call.now();
    if (terms.expiresAt === undefined) throw new RangeError('create wants terms whose expiry is filled in');
    const { reference, redirectUrl, providerOptions } = terms;
    const paymentMethodId = providerOptions?.[OPTION];
    const first = await send(call, 'transaction', {
      method: 'POST',
      url: '/transaction',
      json: {
        type: 'DEPOSIT',
        amount: jsonNumber(terms.amount, terms.exponent),
        currency: terms.currency,
        metadata: { reference, key },
        expiryMinutes: minutesUntil(terms.expiresAt, now),
        ...(redirectUrl === undefined ? {} : { redirectUrl }),
        ...(paymentMethodId === undefined ? {} : { paymentMethodId }),
      },
    });
    const transaction = shaped(transactionShape, first.data, 'create');
    if (transaction.type !== 'DEPOSIT') throw mismatch('create', `a ${transaction.type}`);
    checkMoney('create', transaction, terms);
    const atOnce = transaction.paymentLink;
    const payable = atOnce
      ? { paymentLink: atOnce, transaction, raw: first.raw }
      : await linkAfterTransaction(call, transaction.id, terms, terms.expiresAt);
    const created = linkOf(call.config, transaction.id, payable.paymentLink, terms, 0);
    const shown = payable.transaction ?? transaction;
    const raw = payable.raw === first.raw ? first.raw : `${first.raw}\n${payable.raw}`;
    return { created, ...factsOf({ link: created, transaction: shown, known: {}, now, raw }) };
  },

  findByIds: findNamed,
  lostAdvice: LOST,

  async inquire(call, link, { known }) {
    // Before the call: what happens while it is answered belongs to a later read.
    const now = call.now();
    // Other ids a webhook may name are this transaction's payment links: they are read with it.
    const { transaction, raw } = await read(call, link.providerLinkId);
    return factsOf({ link, transaction, known, now, raw });
  },

  async extend(call, link, { terms, expiresAt, opening, known }) {
    const now = call.now();
    if (minutesUntil(expiresAt, now) < 1) {
      throw new ProviderError('refused', 'invalid_expiry', 'a link of katu9 lives for at least 1 minute from now');
    }
    const { paymentLink, transaction, raw } = await generate(call, link.providerLinkId, terms, expiresAt);
    const closed = closingOf(newestOpening(known)) !== undefined;
    if (paymentLink.id === link.handle?.paymentLink && !closed) {
      const message = `the link is live until ${paymentLink.expiresAt}; katu9 makes another only after that`;
      throw new ProviderError('refused', 'live_link_exists', message);
    }
    const created = linkOf(call.config, link.providerLinkId, paymentLink, terms, opening);
    if (transaction) return { created, ...factsOf({ link: created, transaction, known, now, raw }) };
    return { created, facts: { openings: { [opening]: { opened: now } } }, evidence: raw };
  },

  webhook: {
    verify({ body, headers }, _config, secrets) {
      verifyHexHmac('sha256', body, headers['x-katu9-signature'], secrets);
      return 'signed';
    },
    /** The event in the body counts: the one in the header is not signed. */
    read({ body }) {
      const { event, data } = eventShape.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)));
      const isLink = event.startsWith('payment_link.');
      if (!isLink && !event.startsWith('transaction.')) return { ids: [], ignore: true };
      // Nested [assumed] or flat [seed: "payment link + transactionId"].
      const transaction = data.transaction ?? (isLink ? undefined : data);
      const paymentLink = data.paymentLink ?? (isLink ? data : undefined);
      const ids = [data.transactionId, transaction?.id, paymentLink?.id].filter((id) => id !== undefined);
      if (ids.length === 0) throw new Error(`${event} names neither a transaction nor a payment link`);
      return { reference: transaction?.metadata?.reference, ids: [...new Set(ids)] };
    },
  },
});

/** The transaction that bears our key, among those that webhooks named, with the link it has or is given now. */
async function findNamed(
  call: Call<Config>,
  { terms, key, ids }: CreateCall & { ids: readonly string[] },
): Promise<(Answer & { created: ProviderLink }) | undefined> {
  for (const named of ids) {
    const now = call.now();
    const found = await read(call, named).catch(unlessMissing);
    if (found?.transaction.metadata?.key !== key) continue;
    const { transaction, raw } = found;
    const paymentLink = transaction.paymentLink ?? (await finish(call, transaction.id, terms));
    if (!paymentLink) continue;
    const created = linkOf(call.config, transaction.id, paymentLink, terms, 0);
    return {
      created,
      ...factsOf({ link: created, transaction: { ...transaction, paymentLink }, known: {}, now, raw }),
    };
  }
  return undefined;
}

/** The step that is missing; undefined where it is too late for it, or the transaction takes no link any more. */
async function finish(call: Call<Config>, transactionId: string, terms: Terms): Promise<PaymentLink | undefined> {
  const { expiresAt = 0 } = terms;
  if (minutesUntil(expiresAt, call.now()) < 1) return undefined;
  const made = await generate(call, transactionId, terms, expiresAt).catch(unlessMissing);
  return made?.paymentLink;
}

/** What the provider does not have or does not want is not there; that it could not be asked says nothing. */
function unlessMissing(error: unknown): undefined {
  if (error instanceof ProviderError && (error.kind === 'not_found' || error.kind === 'refused')) return undefined;
  throw error;
}

const id = z.string().min(1).max(200).optional().catch(undefined);
const metadata = z.object({ reference: id }).optional().catch(undefined);
const named = z.object({ id, metadata });
const eventShape = z.object({
  event: z.string(),
  data: named.extend({
    transactionId: id,
    transaction: named.optional().catch(undefined),
    paymentLink: named.optional().catch(undefined),
  }),
});

function linkOf(
  { payUrlTemplate }: Config,
  id: string,
  paymentLink: PaymentLink,
  terms: Terms,
  opening: number,
): ProviderLink {
  checkMoney('link', paymentLink, terms);
  const url = paymentLink.url ?? payUrlTemplate.replaceAll('{id}', encodeURIComponent(paymentLink.id));
  // The address goes to customers: a scheme that runs code or a plain one must not get through.
  if (!isSafeUrl(url)) throw mismatch('link', 'no https address for the customer');
  return {
    providerLinkId: id,
    ids: [id, paymentLink.id],
    url,
    expiresAt: Date.parse(paymentLink.expiresAt),
    expiresByItself: true,
    handle: handleOf(paymentLink.id, opening),
  };
}

function checkMoney(what: string, { amount, currency }: Pick<PaymentLink, 'amount' | 'currency'>, terms: Terms): void {
  if (currency !== terms.currency || minorOf(amount, currency) !== terms.amount) throw mismatch(what, 'another amount');
}
