/** Katu9's calls: headers, errors, and the second step of a link, which may be repeated. Sources: see katu9.ts. */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { Terms } from '../../workflows/link.ts';
import { isSafeUrl, jsonNumber, shaped } from '../answers.ts';
import type { HttpAnswer, HttpRequest } from '../http.ts';
import { baseUrl, credential, webhookSecret } from '../options.ts';
import { type Call, type DocumentedError, ProviderError } from '../provider.ts';
import { isLive, type PaymentLink, paymentLinkShape, type Transaction, transactionShape } from './katu9-facts.ts';

export const config = z.strictObject({
  baseUrl: baseUrl.default('https://api.katu9.com'),
  token: credential(16),
  merchantId: credential(1),
  environment: z.enum(['PRODUCTION', 'SANDBOX']),
  /** Old and new are both accepted. Without one every webhook is refused, and polling alone learns of payments. */
  webhookSecrets: z.array(webhookSecret).default([]),
  /** [assumed] Where a customer pays when the answer has no `url`; `{id}` is the payment link's. */
  payUrlTemplate: z
    .string()
    .refine((url) => url.includes('{id}') && isSafeUrl(url.replaceAll('{id}', 'id')), 'must be an https URL with {id}')
    .default('https://pay.katu9.com/{id}'),
});
export type Config = z.infer<typeof config>;

export const MINUTE = 60_000;
/** [assumed: no limits are published] A request for exactly one minute is a little short of it by the time it is sent. */
const SHORTEST_MS = MINUTE / 2;

/** Whole minutes, rounded down: what the provider holds never outlasts what was asked, but for the shortest. */
export function minutesUntil(expiresAt: number, now: number): number {
  const left = expiresAt - now;
  return left >= SHORTEST_MS && left < MINUTE ? 1 : Math.floor(left / MINUTE);
}

const errorShape = z.object({ error: z.object({ message: z.string(), details: z.unknown().optional() }) });

type Step = 'transaction' | 'link' | 'read';

/** Status of an error answer → kind and our code, by call. */
const ERRORS: Readonly<Record<Step, Readonly<Record<number, readonly [ProviderError['kind'], string]>>>> = {
  transaction: { 400: ['refused', 'invalid_parameters'], 404: ['refused', 'payment_method_not_found'] },
  link: {
    400: ['refused', 'invalid_parameters'],
    404: ['not_found', 'transaction_not_found'],
    409: ['refused', 'live_link_exists'],
  },
  read: { 400: ['refused', 'invalid_parameters'], 404: ['not_found', 'transaction_not_found'] },
};
/** Known by its text [seed] as well as by its status [assumed]. */
const LIVE_LINK = /non-expired payment link already exists/i;
const UNAUTHORIZED: Readonly<Record<string, readonly [string, string]>> = {
  http_401: ['invalid_token', 'the token is not accepted: check token, and that environment is the one it is of'],
  http_403: [
    'merchant_not_active',
    'the merchant is not ACTIVE in this environment, or the token is another merchant’s',
  ],
};

/** What an operator can do about it, by code. */
const TODO: Readonly<Record<string, string>> = {
  invalid_parameters: 'the request or the account’s options have to change',
  transaction_not_found: 'check merchantId and environment: another merchant or environment may have it',
  payment_method_not_found: 'check the option paymentMethodId',
};

const STEPS: Readonly<Record<Step, string>> = {
  transaction: 'POST /transaction',
  link: 'POST /payment-link/generate',
  read: 'GET /transaction',
};

/** For the generated docs. */
export const DOCUMENTED_ERRORS: readonly DocumentedError[] = [
  ...Object.entries(ERRORS).flatMap(([step, answers]) =>
    Object.entries(answers).map(([status, [kind, code]]) => ({
      says: `${STEPS[step as Step]}: ${status}`,
      kind,
      code,
    })),
  ),
  ...Object.entries(UNAUTHORIZED).map(
    ([status, [code]]): DocumentedError => ({
      says: status.replace('http_', 'any call: '),
      kind: 'unauthorized',
      code,
    }),
  ),
];

/** For the generated docs. */
export const ASSUMED = [
  'the first step answers 201, and with a payment link if it makes one itself',
  'the five documented errors of the second step are 400, 401, 404, 409 and 500, in that order',
  'where a customer pays stands in url of the payment link; without it, in option payUrlTemplate',
  'x-katu9-merchant-id and x-katu9-environment go with every call, as with that for the balance',
  'all status words, and that the transaction shows its payment link and the metadata it was made with',
  'a payment link ends by itself at expiresAt, in whole minutes and after one at the earliest',
  'a webhook holds the payment link beside transactionId, nested or flat',
  'events about payments, should they come, are named transaction.…',
];

/** The second step is tried so often, with so much waiting in all: an attempt of ours is over after 25 s. */
const TRIES = 3;
const PAUSE_MS = 100;
const PATIENCE_MS = 12_000;

export interface Payable {
  paymentLink: PaymentLink;
  /** What the transaction said, where it had to be read. */
  transaction?: Transaction;
  raw: string;
}

/** The second step of a create: whatever its end, the first one must not be made again by itself. */
export async function linkAfterTransaction(
  call: Call<Config>,
  transactionId: string,
  terms: Terms,
  expiresAt: number,
): Promise<Payable> {
  try {
    return await generate(call, transactionId, terms, expiresAt, IN_PASSING);
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    const { kind, code, message, retryAfterMs } = error;
    const stays = `transaction ${transactionId} was made, a payment link for it was not`;
    // The link is proven not made and nobody can pay: a no that the merchant may answer with another create.
    if (kind === 'not_sent' || kind === 'rate_limited') {
      throw new ProviderError('refused', 'link_not_generated', `${stays}: ${message}`);
    }
    if (kind === 'unknown') {
      const open = `transaction ${transactionId} was made, whether it has a payment link is not known`;
      throw new ProviderError(kind, code, `${open}: ${message}`, retryAfterMs);
    }
    throw new ProviderError(kind, code, `${stays}: ${message}`, retryAfterMs);
  }
}

/** What may be tried again in the middle of a create, which cannot be tried again itself. */
const IN_PASSING: readonly ProviderError['kind'][] = ['unknown', 'not_sent', 'rate_limited'];

/**
 * A live payment link for the transaction: a new one, or the one it has. Repeating that is safe: there is one at most. So
 * lost answers are asked for again; what was not sent only if `passing` says so, else that is left to the caller.
 */
export async function generate(
  call: Call<Config>,
  transactionId: string,
  terms: Terms,
  expiresAt: number,
  passing: readonly ProviderError['kind'][] = ['unknown'],
): Promise<Payable> {
  let mayBeThere = false;
  let paused = 0;
  for (let tries = 1; ; tries++) {
    try {
      return await generateOrAdopt(call, transactionId, terms, expiresAt);
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      const { kind, code, message, retryAfterMs } = error;
      mayBeThere ||= kind === 'unknown';
      const wait = retryAfterMs ?? PAUSE_MS;
      paused += wait;
      if (!passing.includes(kind) || tries === TRIES || paused > PATIENCE_MS) {
        // A refusal now says nothing about an earlier try whose answer was lost.
        throw mayBeThere ? new ProviderError('unknown', code, message, retryAfterMs) : error;
      }
      await pause(wait);
    }
  }
}

async function generateOrAdopt(
  call: Call<Config>,
  transactionId: string,
  { amount, exponent, currency, redirectUrl, description }: Terms,
  expiresAt: number,
): Promise<Payable> {
  const request: HttpRequest = {
    method: 'POST',
    url: '/payment-link/generate',
    json: {
      transactionId,
      amount: jsonNumber(amount, exponent),
      currency,
      expiryMinutes: minutesUntil(expiresAt, call.now()),
      ...(redirectUrl === undefined ? {} : { redirectUrl }),
      ...(description === undefined ? {} : { description }),
    },
  };
  try {
    const { data, raw } = await send(call, 'link', request);
    return { paymentLink: shaped(z.object({ paymentLink: paymentLinkShape }), data, 'generate').paymentLink, raw };
  } catch (error) {
    if (!(error instanceof ProviderError) || error.code !== 'live_link_exists') throw error;
  }
  const { transaction, raw } = await read(call, transactionId).catch((error: unknown) => {
    // There is a link; that it could not be read does not make it go away.
    if (!(error instanceof ProviderError)) throw error;
    throw new ProviderError('unknown', error.code, `a live link exists, yet ${error.message}`, error.retryAfterMs);
  });
  const { paymentLink } = transaction;
  if (!paymentLink || !isLive(paymentLink, call.now())) {
    throw new ProviderError('unknown', 'live_link_exists', 'a live link exists, yet the transaction shows none');
  }
  return { paymentLink, transaction, raw };
}

export async function read(call: Call<Config>, transactionId: string) {
  const { data, raw } = await send(call, 'read', { method: 'GET', url: '/transaction', query: { id: transactionId } });
  const transaction = shaped(transactionShape, data, 'read');
  // Only an answer about our own transaction counts, whatever address it came from.
  if (transaction.id !== transactionId) throw mismatch('read', 'another transaction');
  return { transaction, raw };
}

/** Sends one call and opens the envelope. */
export async function send(
  call: Call<Config>,
  step: Step,
  request: HttpRequest,
): Promise<{ data: unknown; raw: string }> {
  const { baseUrl, token, merchantId, environment } = call.config;
  const headers = {
    Authorization: `Bearer ${token}`,
    'x-katu9-merchant-id': merchantId,
    'x-katu9-environment': environment,
  };
  let answer: HttpAnswer;
  try {
    answer = await call.http.request({ ...request, url: `${baseUrl}${request.url}`, headers });
  } catch (error) {
    const [code, why] = (error instanceof ProviderError && UNAUTHORIZED[error.code]) || [];
    if (!(error instanceof ProviderError) || code === undefined) throw error;
    throw new ProviderError('unauthorized', code, `${why}: ${error.message}`);
  }
  const { status, json, text, excerpt } = answer;
  if (status < 400) return { data: shaped(z.object({ data: z.unknown() }), json, `the ${step}`).data, raw: text };

  const { message, details } = errorShape.safeParse(json).data?.error ?? {};
  const extra = details && JSON.stringify(details) !== '{}' ? ` ${JSON.stringify(details)}` : '';
  const said = excerpt(message ? `${message}${extra}` : text) || `answered ${status} without a reason`;
  if (step === 'link' && message && LIVE_LINK.test(message)) {
    throw new ProviderError('refused', 'live_link_exists', said);
  }
  const [kind, code] = ERRORS[step][status] ?? (['refused', `http_${status}`] as const);
  const todo = TODO[code];
  throw new ProviderError(kind, code, todo === undefined ? said : `${said}; ${todo}`);
}

export const mismatch = (what: string, found: string) =>
  new ProviderError('unknown', 'answer_mismatch', `the ${what} was answered with ${found}`);
