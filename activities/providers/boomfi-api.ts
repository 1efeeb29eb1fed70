/** BoomFi's calls: the account's options, errors, and lists of the whole organisation. Sources: see boomfi.ts. */
import { z } from 'zod';
import { shaped } from '../answers.ts';
import type { Http, HttpAnswer, HttpRequest } from '../http.ts';
import { baseUrl, credential } from '../options.ts';
import { type Call, type DocumentedError, ProviderError } from '../provider.ts';
import { createSharedReads, type SharedReads } from '../shared-reads.ts';
import { publicKeyPem } from '../signatures.ts';

const pem = z
  .string()
  .refine((key) => publicKeyPem(key) !== undefined, 'must be a PEM public key, RSA of at least 2048 bits')
  .transform((key) => publicKeyPem(key) ?? key);

export const config = z.strictObject({
  /** `https://mapi.boomfi.xyz/v1`, test `https://mapi-test.boomfi.xyz/v1` [public]; `https://paylinks.uqualify.co.uk/api/v1` [seed]. */
  baseUrl,
  apiKey: credential(8),
  /** Whose name is on it. */
  flavour: z.enum(['boomfi', 'uqualify']).default('boomfi'),
  /** Where customers pay; when left out, BoomFi's host of the same environment. */
  payHost: baseUrl.optional(),
  /** Our organisation: webhooks that name another are refused. Keys may be the provider's, not ours alone. */
  orgId: z.string().min(1).optional(),
  /** PEM public keys from the dashboard; old and new are both accepted. Without one every webhook is refused. */
  webhookSecrets: z.array(pem).default([]),
  /** A payment short of the price by at most so many percent counts as whole, as the merchant's own settings may say. */
  underpaymentTolerancePercent: z.number().min(0).max(100).default(0),
  /** Lists of the organisation are read at most this often, once for all links that ask meanwhile. */
  listSpacingMs: z.int().min(0).max(60_000).default(2_000),
});
export type Config = z.infer<typeof config>;

/** The address a customer is given; the test API has its own host [public]. */
export function payHostOf({ payHost, baseUrl }: Config): string {
  return (
    payHost ??
    (new URL(baseUrl).hostname === 'mapi-test.boomfi.xyz' ? 'https://pay-test.boomfi.xyz' : 'https://pay.boomfi.xyz')
  );
}

/** An error in the seed is an object; `"error": true` beside data is not one. */
const errorShape = z.object({
  error: z.object({
    message: z.string().min(1),
    errors: z.array(z.object({ domain: z.string().nullish(), reason: z.string().nullish() })).nullish(),
  }),
});
const envelope = z.object({ data: z.unknown() });

/** Reasons [seed, public] an operator can do something about. */
const TODO: Readonly<Record<string, string>> = {
  InsufficientQuantity: 'the plan has nothing left to sell, raise its quantity in the dashboard',
};
/** Statuses of calls that an operator has to put right [public] → code and what to do. */
const UNAUTHORIZED: Readonly<Record<string, readonly [code: string, todo: string]>> = {
  http_401: [
    'invalid_credentials',
    'BoomFi does not accept the API key: check apiKey, and that baseUrl is of the same environment',
  ],
  http_403: ['forbidden', 'the API key may not do this: check its rights in the dashboard'],
};

/** For the generated docs. */
export const DOCUMENTED_ERRORS: readonly DocumentedError[] = [
  ...Object.keys(TODO).map((reason): DocumentedError => ({ says: reason, kind: 'refused', code: codeOf(reason)! })),
  ...Object.entries(UNAUTHORIZED).map(
    ([status, [code]]): DocumentedError => ({ says: status.replace('http_', 'HTTP '), kind: 'unauthorized', code }),
  ),
  { says: 'Internal', kind: 'unknown', code: 'http_500' },
  { says: 'NotFound', kind: 'not_found', code: 'not_found' },
];

/** Sends one call and opens the envelope. Success is a 2xx with `data`, whatever `error` says beside it [seed]. */
export async function send(call: Call<Config>, request: HttpRequest): Promise<{ data: unknown; raw: string }> {
  const { baseUrl, apiKey, orgId } = call.config;
  const what = `${request.method} ${request.url}`;
  let answer: HttpAnswer;
  try {
    answer = await call.http.request({
      ...request,
      url: `${baseUrl}${request.url}`,
      headers: { 'X-API-KEY': apiKey },
      // Every item of a list names the organisation; messages need not.
      secrets: orgId === undefined ? [] : [orgId],
    });
  } catch (error) {
    const [code, todo] = (error instanceof ProviderError && UNAUTHORIZED[error.code]) || [];
    if (code === undefined) throw error;
    throw new ProviderError('unauthorized', code, `${todo} (${(error as ProviderError).message})`);
  }
  const { status, json, text, excerpt } = answer;
  if (status < 300) return { data: shaped(envelope, json, what).data, raw: text };
  const kind = status === 404 ? 'not_found' : 'refused';
  const { error } = errorShape.safeParse(json).data ?? {};
  if (!error) throw new ProviderError(kind, `http_${status}`, `${what} answered ${status}: ${excerpt(text)}`);
  const { reason } = error.errors?.[0] ?? {};
  const todo = TODO[reason ?? ''];
  const said = excerpt(`${error.message}${reason ? ` (${reason})` : ''}`);
  throw new ProviderError(kind, codeOf(reason) ?? `http_${status}`, `${said}${todo ? `: ${todo}` : ''}`);
}

/** `InsufficientQuantity` → `insufficient_quantity`; undefined of what is no word. */
function codeOf(reason: string | null | undefined): string | undefined {
  return /^[A-Za-z]{1,60}$/.test(reason ?? '') ? reason?.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase() : undefined;
}

const PAGE_SIZE = 100;
const MOST_PAGES = 100;
const pageShape = z.object({ items: z.array(z.unknown()).nullish(), total: z.number().nullish() });

/**
 * Everything made or changed since an instant, oldest first: what changes while we turn the pages is found at the end.
 * `total` is said to count all items or those of the page [public, both], so only a short page that agrees is the last.
 */
async function list(call: Call<Config>, path: string, since: string): Promise<unknown[]> {
  const items: unknown[] = [];
  for (let page = 1; page <= MOST_PAGES; page += 1) {
    const query = { since, sort: 'asc', limit: String(PAGE_SIZE), page: String(page) };
    const { data } = await send(call, { method: 'GET', url: path, query });
    const { items: more, total } = shaped(pageShape, data, `GET ${path}`);
    items.push(...(more ?? []));
    const got = more?.length ?? 0;
    if (got === 0 || (got < PAGE_SIZE && items.length >= (total ?? 0))) return items;
  }
  const most = PAGE_SIZE * MOST_PAGES;
  throw new ProviderError('unknown', 'list_too_long', `GET ${path} has more than ${most} items since ${since}`);
}

/** What the organisation has, and the instant before which its reading had not begun. */
export interface Lists {
  paylinks: readonly unknown[];
  payments: readonly unknown[];
  at: number;
}

/** The links before the payments: money that comes while a link is being closed is seen rather than missed. */
async function lists(call: Call<Config>, from: number): Promise<Lists> {
  const at = call.now();
  const since = new Date(from).toISOString();
  const paylinks = await list(call, '/paylinks', since);
  return { paylinks, payments: await list(call, '/payments', since), at };
}

const reads = new WeakMap<Http, SharedReads>();

/** Both lists, read for everybody of this credential who asks now; see {@link SharedReads}. */
export function sharedLists(call: Call<Config>, since: number): Promise<Lists> {
  const { baseUrl, apiKey, listSpacingMs } = call.config;
  const shared = reads.get(call.http) ?? createSharedReads();
  reads.set(call.http, shared);
  return shared.ask(`${baseUrl} ${apiKey}`, listSpacingMs, since, (earliest) => lists(call, earliest));
}
