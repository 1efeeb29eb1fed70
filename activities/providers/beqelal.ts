/**
 * Beqelal (Ethiopia): payment links in birr over banks and wallets, merchant API v1.
 *
 * Sources: [seed] the provider's integration guide, [public] its pages on checkout, authorize, QR and direct payments,
 * [assumed] our reading where both are silent; each assumption is one constant, option or table row here and in the
 * sandbox.
 *
 * - `trace_number` is ours and globally unique [seed], so over all merchants: `traceNumberPrefix` keeps a reference
 *   such as INV-1 apart from everybody else's. It is the payment's key: every source names it.
 * - Create answers PROCESSED [seed], the word that means paid in a payment result [public]. There it is about the
 *   request, so the create answer's status is never read; and a result counts as money only if it names a transaction.
 * - Links "stay active until paid or manually deactivated" [seed], yet `expires_at` is required [seed]: we read that the
 *   link ends then by itself. It is zoneless, as is `paid_at`; both are read in `zone` [assumed].
 * - No call to ask, and none to deactivate, is published: `inquiry` and `cancel` are off unless the account says
 *   otherwise. Without inquiry a verified webhook is evidence, and the engine cancels on our side alone.
 * - The webhook's body mirrors the authorize answer, with the link's fields [assumed]; a webhook secret exists [public],
 *   what is done with it is not said: hex HMAC of the raw body [assumed].
 * - Errors come in two shapes: a wrapper whose inner code need not be the HTTP status [public], and texts per field
 *   [public]. 479 is a caller whose address is not on the list in the portal [seed].
 * - There are no holds and no refunds; a link has one payment, in ETB.
 */
import { z } from 'zod';
import type { Terms } from '../../workflows/link.ts';
import { isSafeUrl, jsonNumber, minorOf, shaped, wordOf } from '../answers.ts';
import {
  type Answer,
  type Call,
  type CreateCall,
  defineProvider,
  ProviderError,
  type ProviderLink,
} from '../provider.ts';
import { verifyHexHmac } from '../signatures.ts';
import { localTime } from '../zoned-time.ts';
import {
  amountShape,
  CURRENCY,
  DOCUMENTED_ERRORS,
  factsOf,
  idShape,
  onlyOpening,
  RESULT,
  type Result,
  readingOf,
  resultShape,
  send,
} from './beqelal-answers.ts';
import { ASSUMED, type Config, config, problemsOf, traceOf, wholeSecond } from './beqelal-options.ts';

const createdShape = z.object({ id: idShape, trace_number: z.string(), amount: amountShape, payment_link: z.string() });
const deactivatedShape = z.object({ id: idShape, status: z.string() });
const namesShape = z.object({
  id: idShape.optional().catch(undefined),
  trace_number: idShape.optional().catch(undefined),
});

export const beqelal = defineProvider<Config>({
  name: 'beqelal',
  config,
  errors: DOCUMENTED_ERRORS,
  assumed: ASSUMED,
  partial: { capture: false, refund: false },
  // create: `trace_number` is unique [seed]. cancel: what is deactivated stays so.
  repeatable: ['create', 'cancel'],
  lostAdvice:
    'look for the trace number in the portal, deactivate a link it has, say absent, and make the next link under another reference',
  statuses: {
    'create PROCESSED': 'created, nothing paid',
    ...Object.fromEntries(Object.entries(RESULT).map(([word, { docs }]) => [word, docs])),
  },

  traits: ({ inquiry, cancel, acceptUnsigned }) => ({
    without: [...(inquiry ? [] : (['inquire', 'findByReference'] as const)), ...(cancel ? [] : (['cancel'] as const))],
    acceptUnsigned,
  }),

  accepts: problemsOf,

  async create(call, attempt) {
    const { terms, callbackUrl } = attempt;
    if (callbackUrl === undefined) {
      const todo = 'set PERDURE_WEBHOOK_URL and PERDURE_TOKEN_KEYS for the worker';
      throw new ProviderError(
        'refused',
        'callback_required',
        `Beqelal makes no link without a callback address: ${todo}`,
      );
    }
    const now = call.now();
    const phone = terms.customer?.phone ?? '';
    try {
      const { json, raw } = await send(call, {
        method: 'POST',
        url: '/create/payment-link',
        json: {
          phone,
          amount: jsonNumber(terms.amount, terms.exponent),
          expires_at: localTime(expiryOf(terms), call.config.zone),
          callback_url: callbackUrl,
          trace_number: traceOf(terms, call.config),
          ...(terms.description === undefined ? {} : { reason: terms.description }),
          ...terms.providerOptions,
        },
        // A 5xx page may print what it was sent.
        secrets: [phone, callbackUrl],
      });
      const answer = shaped(createdShape, json, 'create');
      if (answer.trace_number !== traceOf(terms, call.config)) throw mismatch('create', 'another trace number');
      if (minorOf(answer.amount, CURRENCY) !== terms.amount) throw mismatch('create', 'another amount');
      if (!isSafeUrl(answer.payment_link)) throw mismatch('create', 'no https address for the customer');
      return {
        created: linkOf(answer.id, answer.payment_link, terms, call),
        facts: { openings: onlyOpening({ opened: now }) },
        evidence: raw,
      };
    } catch (error) {
      if (!(error instanceof ProviderError) || error.code !== 'duplicate_trace_number') throw error;
      const found = call.config.inquiry ? await find(call, attempt).catch(leaveOpen) : undefined;
      if (found) return found;
      const said = `${error.message}: an earlier try made this link and its answer was lost, or another sale has the number`;
      throw new ProviderError('unknown', 'ambiguous_create', `${said}; look for it in Beqelal's portal`);
    }
  },

  findByReference: find,

  async inquire(call, link, { terms }) {
    // Before the call: what happens while it is answered belongs to a later read.
    const now = call.now();
    const { result, raw } = await statusOf(call, link.handle?.traceNumber ?? traceOf(terms, call.config));
    if (result.id !== link.providerLinkId) throw mismatch('read', 'another link');
    return { facts: readingOf(result, raw, call.config.zone, now), evidence: raw };
  },

  async cancel(call, link) {
    const { json, raw } = await send(call, {
      method: 'POST',
      url: '/deactivate/payment-link',
      json: { id: link.providerLinkId },
    });
    const answer = shaped(deactivatedShape, json, 'deactivate');
    const closes = RESULT[wordOf(answer.status)]?.closes;
    if (answer.id !== link.providerLinkId) throw mismatch('deactivation', 'another link');
    if (!closes) throw mismatch('deactivation', 'a word that closes nothing');
    return { facts: { openings: onlyOpening({ [closes]: call.now() }) }, evidence: raw };
  },

  webhook: {
    verify({ body, headers }, { requireSignature, webhookSignatureHeader, webhookAlgorithm }, secrets) {
      if (!requireSignature && !secrets.some((secret) => secret !== '')) return 'unsigned';
      verifyHexHmac(webhookAlgorithm, body, headers[webhookSignatureHeader.toLowerCase()], secrets);
      return 'signed';
    },
    /** A body without a trace number is a hint; with one, what it says may be evidence. */
    read({ body }, { traceNumberPrefix, zone }, now) {
      const fields: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
      const { id, trace_number: trace } = namesShape.parse(fields);
      const result = resultShape.safeParse(fields).data;
      return {
        ...(trace?.startsWith(traceNumberPrefix) ? { reference: trace.slice(traceNumberPrefix.length) } : {}),
        ids: [id, trace].filter((name) => name !== undefined),
        ...(result ? { facts: factsOf(result, zone, now) } : {}),
      };
    },
  },
});

/** Adopts what an earlier create with this reference made; undefined where that is nothing that can be adopted. */
async function find(
  call: Call<Config>,
  { terms }: CreateCall,
): Promise<(Answer & { created: ProviderLink }) | undefined> {
  const now = call.now();
  try {
    const { result, raw } = await statusOf(call, traceOf(terms, call.config));
    const facts = readingOf(result, raw, call.config.zone, now);
    // What was paid may differ from what was asked.
    const { id, amount, payment_link: url } = result;
    const ours = facts.payments !== undefined || !amount || minorOf(amount, CURRENCY) === terms.amount;
    return ours && url && isSafeUrl(url) ? { created: linkOf(id, url, terms, call), facts, evidence: raw } : undefined;
  } catch (error) {
    if (error instanceof ProviderError && error.kind === 'not_found') return undefined;
    throw error;
  }
}

/** That we may not look does not make the link that is there go away. */
function leaveOpen(error: unknown): undefined {
  if (error instanceof ProviderError && (error.kind === 'refused' || error.kind === 'unauthorized')) return undefined;
  throw error;
}

function linkOf(id: string, url: string, terms: Terms, { config }: Call<Config>): ProviderLink {
  const traceNumber = traceOf(terms, config);
  return {
    providerLinkId: id,
    paymentKey: traceNumber,
    ids: [id, traceNumber],
    url,
    expiresAt: expiryOf(terms),
    expiresByItself: true,
    handle: { traceNumber },
  };
}

async function statusOf(call: Call<Config>, trace: string): Promise<{ result: Result; raw: string }> {
  const { json, raw } = await send(call, { method: 'GET', url: `/payment/status/${encodeURIComponent(trace)}` });
  const result = shaped(resultShape, json, 'status');
  if (result.trace_number !== trace) throw mismatch('read', 'another trace number');
  return { result, raw };
}

const mismatch = (what: string, found: string) =>
  new ProviderError('unknown', 'answer_mismatch', `the ${what} was answered with ${found}`);

function expiryOf({ expiresAt }: Terms): number {
  if (expiresAt === undefined) throw new RangeError('create wants terms whose expiry is filled in');
  return wholeSecond(expiresAt);
}
