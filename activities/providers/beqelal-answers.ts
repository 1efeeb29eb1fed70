/** How Beqelal's answers read, as facts or as errors; the sources behind each reading stand at the top of beqelal.ts. */
import { z } from 'zod';
import type { ClosingWord, Facts, Opening } from '../../workflows/facts.ts';
import { evidenceOf, minorOf, wordOf } from '../answers.ts';
import type { HttpRequest } from '../http.ts';
import { type Call, type DocumentedError, ProviderError } from '../provider.ts';
import { instantOf } from '../zoned-time.ts';

export const CURRENCY = 'ETB';

interface Meaning {
  paid?: boolean;
  closes?: ClosingWord;
  inFlight?: boolean;
  docs: string;
}

/** Statuses of a payment result: PROCESSED and FAILED [public], the others [assumed]. */
export const RESULT: Readonly<Record<string, Meaning>> = {
  PROCESSED: { paid: true, docs: 'paid' },
  FAILED: { docs: 'attempt failed, the link stays pending' },
  PENDING: { docs: 'pending' },
  INITIATED: { inFlight: true, docs: 'pending, money in flight' },
  EXPIRED: { closes: 'expired', docs: 'expired' },
  DEACTIVATED: { closes: 'disabled', docs: 'cancelled, or expired after the deadline' },
  CANCELLED: { closes: 'cancelled', docs: 'cancelled' },
};

const text = z.string().min(1).max(200);
export const idShape = z.union([text, z.int().transform(String)]);
export const amountShape = z.union([z.number(), z.string()]);

/** What webhooks carry and the status call answers: the authorize answer's fields, and the link's [assumed]. */
export const resultShape = z.object({
  id: idShape,
  trace_number: text,
  status: text,
  amount: amountShape.nullish(),
  transaction_id: idShape.nullish(),
  paid_at: z.string().nullish(),
  /** Only the status call's: without it a link whose create answer was lost cannot be shared [assumed]. */
  payment_link: z.string().nullish(),
});
export type Result = z.infer<typeof resultShape>;

/**
 * Facts of one payment result. The payment key is the trace number. Money counts if a transaction is named: the word
 * alone is also said of a create request that went well.
 *
 * @throws ProviderError `unknown` when there is money whose amount cannot be read.
 */
export function factsOf({ status, amount, transaction_id, trace_number, paid_at }: Result, zone: string, now: number) {
  const word = wordOf(status);
  const said = RESULT[word];
  const facts: Facts = {};
  if (said?.paid && transaction_id) {
    const captured = minorOf(amount ?? '', CURRENCY);
    const totals = { authorized: captured, captured, refunded: 0, voided: 0, seenAt: paidAt(paid_at, zone, now) };
    facts.payments = { [trace_number]: { [CURRENCY]: totals } };
  } else if (said?.paid) {
    facts.unknownWords = { [`${word} without a transaction`]: now };
  }
  if (said?.closes) facts.openings = onlyOpening({ [said.closes]: now });
  if (!said) facts.unknownWords = { [word]: now };
  return facts;
}

/** The same, as a read: with the opening, and what stands at Beqelal now. */
export function readingOf(result: Result, raw: string, zone: string, now: number): Facts {
  const facts = factsOf(result, zone, now);
  const word = wordOf(result.status);
  const paid = facts.payments?.[result.trace_number]?.[CURRENCY];
  return {
    ...facts,
    openings: onlyOpening({ ...facts.openings?.['0'], opened: now }),
    latest: {
      at: now,
      hash: evidenceOf(raw),
      word,
      ...(RESULT[word]?.inFlight ? { inFlight: true } : {}),
      // Refunds it cannot show are left out.
      totals: paid ? { [CURRENCY]: { authorized: paid.authorized, captured: paid.captured } } : {},
    },
  };
}

/** A link is payable once: its expiry cannot be moved. */
export const onlyOpening = (words: Opening): Record<string, Opening> => ({ '0': words });

/**
 * When the money came: at the end of the second that is named, so that it is never earlier than it was, and at the
 * latest now. A webhook told again hours later is no late payment.
 */
function paidAt(local: string | null | undefined, zone: string, now: number): number {
  if (!local) return now;
  try {
    return Math.min(instantOf(local, zone) + 999, now);
  } catch {
    return now;
  }
}

const wrapper = z.object({ error: z.object({ message: z.string().min(1), detail: z.string().nullish() }) });
const fieldErrors = z.record(z.string(), z.array(z.string()).min(1)).refine((fields) => Object.keys(fields).length > 0);

const UNLISTED =
  'Beqelal takes calls only from listed addresses: add the public address of this machine to the list in its portal';
const LOCKED_OUT = 'Beqelal does not accept the credentials: check appId and apiKey of the account';

/** Messages in the wrapper that mean more than a no; the first [seed], the others [assumed]. */
const ERRORS: Readonly<Record<string, [kind: ProviderError['kind'], code: string, todo?: string]>> = {
  UNAUTHORIZED_IP_ACCESS: ['unauthorized', 'address_not_listed', UNLISTED],
  INVALID_CREDENTIALS: ['unauthorized', 'invalid_credentials', LOCKED_OUT],
  TRANSACTION_NOT_FOUND: ['not_found', 'not_found'],
  LINK_NOT_FOUND: ['not_found', 'not_found'],
};
/** [assumed: the style of the published field errors] */
const DUPLICATE = /already exists/i;

/** For the generated docs. */
export const DOCUMENTED_ERRORS: readonly DocumentedError[] = [
  ...Object.entries(ERRORS).map(([says, [kind, code]]) => ({ says, kind, code })),
  { says: 'trace_number: This trace number already exists.', kind: 'unknown', code: 'ambiguous_create' },
  { says: '<field>: This field may not be blank.', kind: 'refused', code: 'invalid_request' },
];

/** What every call needs of the account's options. */
interface Access {
  baseUrl: string;
  appId: string;
  apiKey: string;
}

/** Sends one call and tells the shapes of errors apart. */
export async function send(call: Call<Access>, request: HttpRequest): Promise<{ json: unknown; raw: string }> {
  const { baseUrl, appId, apiKey } = call.config;
  const what = `${request.method} ${request.url}`;
  const { status, json, text, excerpt } = await call.http
    .request({ ...request, url: `${baseUrl}/api/v1${request.url}`, headers: { 'app-id': appId, 'api-key': apiKey } })
    .catch(explain);
  const { error } = wrapper.safeParse(json).data ?? {};
  if (error) {
    const [kind, code, todo] = ERRORS[wordOf(error.message)] ?? ['refused', codeOf(error.message)];
    const said = excerpt(`${error.message}${error.detail ? `: ${error.detail}` : ''}`);
    throw new ProviderError(kind, code, `${what} was refused: ${said}${todo ? `; ${todo}` : ''}`);
  }
  if (status < 300) return { json, raw: text };
  const { data: fields } = fieldErrors.safeParse(json);
  if (!fields) throw new ProviderError('refused', `http_${status}`, `${what} answered ${status}: ${excerpt(text)}`);
  const said = Object.entries(fields).map(([field, texts]) => `${field}: ${texts.join(' ')}`);
  const duplicate = fields.trace_number?.some((told) => DUPLICATE.test(told));
  const code = duplicate ? 'duplicate_trace_number' : 'invalid_request';
  throw new ProviderError('refused', code, `${what} was refused: ${excerpt(said.join('; '))}`);
}

/** Messages are words [seed, public], and our codes; a whole sentence is none, and may repeat what it was sent. */
const codeOf = (message: string) => (/^[A-Z][A-Z_]{1,59}$/.test(message) ? message.toLowerCase() : 'provider_error');

/** What to do about a caller who is turned away at the door, whatever the body says. */
function explain(error: unknown): never {
  if (!(error instanceof ProviderError) || error.kind !== 'unauthorized') throw error;
  const [code, todo] =
    error.code === 'http_479' ? ['address_not_listed', UNLISTED] : ['invalid_credentials', LOCKED_OUT];
  throw new ProviderError('unauthorized', code, `${error.message}; ${todo}`);
}
