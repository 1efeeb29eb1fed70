/** Speaking with Paymob: whose credentials go with which call, and what its errors mean. */
import { z } from 'zod';
import { currency } from '../../workflows/schema.ts';
import { shaped } from '../answers.ts';
import type { HttpRequest } from '../http.ts';
import { baseUrl, credential, timeZone, webhookSecret } from '../options.ts';
import { type Call, type DocumentedError, ProviderError } from '../provider.ts';

const integration = z.strictObject({
  id: z.int().positive(),
  /** What the integration settles in: no request names a currency. */
  currency,
  /** An integration of type Auth only holds money; all others take it at once. */
  holds: z.boolean().default(false),
});

export const config = z
  .strictObject({
    /** One per region [public]; test and live share it. */
    baseUrl: baseUrl.default('https://accept.paymob.com'),
    /** Buys the auth tokens for links and reads. */
    apiKey: credential(16),
    /** Goes with whatever moves money: `sk_test_…` or `sk_live_…`. */
    secretKey: credential(16),
    /** The dashboard's HMAC secret; old and new are both accepted. */
    webhookSecrets: z.array(webhookSecret).min(1),
    integrations: z.array(integration).min(1),
    /** Must be what the integrations are [seed]. */
    live: z.boolean().default(false),
    /** Zone of `expires_at` [assumed: Egyptian timestamps in public examples carry no offset]. */
    zone: timeZone.default('Africa/Cairo'),
    /**
     * When the answer to a create was lost and its reference turns out to be taken: `park` leaves it to a person,
     * `recreate` makes a second link under a reference of its own. Money on either counts.
     */
    lostCreate: z.enum(['park', 'recreate']).default('park'),
  })
  .refine(({ secretKey, live }) => (/sk_(live|test)_/.exec(secretKey)?.[1] ?? modeOf(live)) === modeOf(live), {
    path: ['live'],
    error: 'must be true with a live secretKey, and false with a test one',
  });
export type Config = z.infer<typeof config>;

const modeOf = (live: boolean) => (live ? 'live' : 'test');

/** A token lives 60 minutes [public]. */
const TOKEN_LASTS_MS = 50 * 60_000;

interface Token {
  text: string;
  madeAt: number;
}

/** One per credential, for all links of the account; whoever finds one being fetched waits for that one. */
const tokens = new Map<string, Promise<Token>>();

async function tokenFor(call: Call<Config>, spent?: string): Promise<string> {
  const credentials = `${call.config.baseUrl} ${call.config.apiKey}`;
  const known = tokens.get(credentials);
  if (known) {
    const { text, madeAt } = await known;
    if (text !== spent && call.now() - madeAt < TOKEN_LASTS_MS) return text;
    // Somebody else replaced it meanwhile.
    if (tokens.get(credentials) !== known) return tokenFor(call, spent);
  }
  const fresh = fetchToken(call);
  tokens.set(credentials, fresh);
  try {
    return (await fresh).text;
  } catch (error) {
    tokens.delete(credentials);
    throw error;
  }
}

async function fetchToken({ config, http, now }: Call<Config>): Promise<Token> {
  const { baseUrl, apiKey } = config;
  const madeAt = now();
  const request: HttpRequest = {
    method: 'POST',
    url: `${baseUrl}/api/auth/tokens`,
    json: { api_key: apiKey },
    secrets: [apiKey],
  };
  try {
    const { status, json, text, excerpt } = await http.request(request);
    const what = 'the request for an auth token';
    if (status >= 400) {
      throw new ProviderError('unauthorized', 'token_refused', `${what} was refused: ${excerpt(text)}; check apiKey`);
    }
    return { text: shaped(z.object({ token: credential(1) }), json, what).token, madeAt };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    if (error.code === 'http_401') throw incorrect(error, 'apiKey');
    // Whatever the call was for, it was not sent. An answer that cannot be read may hold a token: not quoted.
    if (error.kind !== 'unknown') throw error;
    throw new ProviderError(
      'not_sent',
      error.code,
      `no auth token could be fetched (${error.code})`,
      error.retryAfterMs,
    );
  }
}

const incorrect = ({ message }: ProviderError, option: string) =>
  new ProviderError('unauthorized', 'incorrect_credentials', `${message}; check the account’s ${option}`);

/** A call as a provider file states it: path, and what goes with it. */
export type ApiRequest = Pick<HttpRequest, 'method' | 'json' | 'form' | 'secrets'> & { path: string };

export interface Answered {
  json: unknown;
  raw: string;
  /** A piece of the answer that may be shown. */
  excerpt(text: string): string;
}

/**
 * Link and read calls, with an auth token [seed prose, public; the seed's header row shows the secret key]. A 401 is
 * answered at the door: nothing happened, so the call is made once more with a token that is certainly new.
 */
export async function withToken(call: Call<Config>, request: (token: string) => ApiRequest): Promise<Answered> {
  const token = await tokenFor(call);
  try {
    return await send(call, request(token), `Bearer ${token}`);
  } catch (error) {
    if (!(error instanceof ProviderError) || error.code !== 'http_401') throw error;
  }
  const next = await tokenFor(call, token);
  try {
    return await send(call, request(next), `Bearer ${next}`);
  } catch (error) {
    throw error instanceof ProviderError && error.code === 'http_401' ? incorrect(error, 'apiKey') : error;
  }
}

/** Calls that move money, with the secret key. */
export async function withSecret(call: Call<Config>, request: ApiRequest): Promise<Answered> {
  try {
    return await send(call, request, `Token ${call.config.secretKey}`);
  } catch (error) {
    throw error instanceof ProviderError && error.code === 'http_401' ? incorrect(error, 'secretKey') : error;
  }
}

interface Meaning {
  said: RegExp;
  kind: ProviderError['kind'];
  code: string;
  /** What an operator can do about it. */
  advice?: string;
}

/** Error texts [seed, public], in the order in which they are tried. */
const ERRORS: readonly Meaning[] = [
  {
    said: /^Reference ID already exists/i,
    kind: 'refused',
    code: 'duplicate_reference',
    advice: 'Paymob has a link of this reference that was not made by this call: use another reference',
  },
  {
    said: /can't be in the past/i,
    kind: 'refused',
    code: 'expiry_in_past',
    advice: 'check the account’s zone and this machine’s clock',
  },
  {
    said: /Integration ID\/Name does not exist/i,
    kind: 'refused',
    code: 'integration_not_found',
    advice: 'check the account’s integrations, and that live is what they are',
  },
  { said: /already refunded/i, kind: 'refused', code: 'already_refunded' },
  { said: /greater than the maximum refund/i, kind: 'refused', code: 'amount_out_of_range' },
  { said: /cannot exceed auth amount/i, kind: 'refused', code: 'amount_out_of_range' },
  {
    said: /^Invalid transaction id/i,
    kind: 'refused',
    code: 'status_conflict',
    advice: 'the payment is not held: it was declined, released, or captured before',
  },
  { said: /does not exist in our system/i, kind: 'not_found', code: 'not_found' },
  { said: /^Not found/i, kind: 'not_found', code: 'not_found' },
];

/** For the generated docs. */
export const DOCUMENTED_ERRORS: readonly DocumentedError[] = [
  ...ERRORS.map(({ said, kind, code }) => ({ says: said.source.replace(/^\^|\\/g, ''), kind, code })),
  { says: 'incorrect credentials', kind: 'unauthorized', code: 'incorrect_credentials' },
  { says: 'any other answer with errors by field', kind: 'refused', code: 'invalid_request' },
];

const errorBody = z.object({
  success: z.boolean().optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  detail: z.string().optional().catch(undefined),
  errors: z.record(z.string(), z.unknown()).optional().catch(undefined),
});

async function send(call: Call<Config>, request: ApiRequest, authorization: string): Promise<Answered> {
  const { path, secrets = [], ...rest } = request;
  const { baseUrl, apiKey, secretKey, webhookSecrets } = call.config;
  const { status, json, text, excerpt } = await call.http.request({
    ...rest,
    url: `${baseUrl}${path}`,
    headers: { authorization },
    // Whatever the provider repeats to us, whichever call it belongs to.
    secrets: [...secrets, apiKey, secretKey, ...webhookSecrets],
  });
  if (status < 400) return { json, raw: text, excerpt };

  const { success, message, detail, errors } = errorBody.catch({}).parse(json);
  const said = excerpt(message ?? detail ?? text);
  const known = ERRORS.find((meaning) => meaning.said.test(said));
  const other = errors ? 'invalid_request' : success === false ? 'status_conflict' : `http_${status}`;
  const told = `${rest.method} ${path} answered ${status}: ${said || 'no reason'}`;
  const advice = known?.advice === undefined ? '' : `; ${known.advice}`;
  throw new ProviderError(known?.kind ?? 'refused', known?.code ?? other, `${told}${advice}`);
}

/** An answer that is not about what was asked. */
export const mismatch = (what: string, found: string) =>
  new ProviderError('unknown', 'answer_mismatch', `the ${what} was answered with ${found}`);
