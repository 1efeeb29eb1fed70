import { z } from 'zod';
import { exponentOf, isCurrency, type Money } from '../money.ts';

/** A refusal as BoomFi words it. `domain` and `reason` go into `errors`. */
export class ApiError extends Error {
  constructor(
    readonly status: 400 | 401 | 403 | 404,
    readonly domain: string,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

/** What a link was asked to be. */
export interface LinkRequest {
  name: string;
  description?: string;
  reference: string;
  money: Money;
  metadata: Record<string, unknown>;
  imageUrl?: string;
  accountIds?: number[];
  accountRef?: string;
  /** Present on a subscription. */
  recurring?: { interval: string; count: number; trialPeriod: string };
}

/** Texts of validation errors are not published: one sentence that begins with the field is [assumed]. */
const invalid = (message: string) => new ApiError(400, 'paylinks', 'InvalidRequest', message);

const text = z.string({ error: says('must be a string') });
const filled = text.min(1, 'must not be empty');
const url = text.refine((value) => /^https?:\/\//i.test(value) && URL.canParse(value), 'must be a URL');
const METHODS = ['MerchantContract', 'ProxyWallet', 'Card'];

const afterCompletion = z
  .object({
    type: z.enum(['hosted', 'redirect'], { error: 'must be one of hosted, redirect' }),
    custom_message: text.optional(),
    redirect_url: url.optional(),
  })
  .refine(({ type, redirect_url }) => type !== 'redirect' || redirect_url !== undefined, {
    path: ['redirect_url'],
    error: 'is required',
  });

const metadata = z.looseObject(
  {
    payment_method_types: z
      .array(z.enum(METHODS, { error: `must be one of ${METHODS.join(', ')}` }), { error: 'must be an array' })
      .optional(),
    after_completion: afterCompletion.optional(),
    omit_possible_duplicate_acknowledgement: z.boolean({ error: 'must be a boolean' }).optional(),
  },
  { error: 'must be an object' },
);

const INTERVALS = ['Day', 'Week', 'Month', 'Year'];

const linkRequest = z
  .object(
    {
      name: filled,
      amount: text.regex(/^\d+(\.\d+)?$/, 'must be a decimal number'),
      currency: text.refine(isCurrency, 'must be an ISO 4217 currency code'),
      description: text.optional(),
      reference: text.default(''),
      // "1" is unknown, "2" one-time [seed], "3" recurring; BoomFi's later document has no such field.
      type: z.enum(['1', '2', '3'], { error: 'must be one of 1, 2, 3' }).optional(),
      interval: z.enum(INTERVALS, { error: `must be one of ${INTERVALS.join(', ')}` }).optional(),
      intervalCount: z.int({ error: 'must be an integer' }).min(1, 'must be at least 1').optional(),
      trial_period: text.regex(/^\d+[smh]$/, 'must be a duration such as 24h').optional(),
      metadata: metadata.default({}),
      image_url: url.optional(),
      account_ids: z.array(z.int({ error: 'must be an integer' }), { error: 'must be an array' }).optional(),
      account_ref: filled.optional(),
    },
    { error: 'request body must be an object' },
  )
  .refine(({ account_ids, account_ref }) => account_ids === undefined || account_ref === undefined, {
    path: ['account_ref'],
    error: 'must not be given together with account_ids',
  });

/** `POST /paylinks`. */
export function parseLinkRequest(body: string): LinkRequest {
  const { amount, currency, interval, intervalCount, trial_period, type: _type, ...rest } = parse(linkRequest, body);
  const minor = minorOf(amount, currency);
  if (minor === undefined) throw invalid(`amount must have at most ${exponentOf(currency)} decimals in ${currency}`);
  if (minor === 0) throw invalid('amount must be greater than 0');
  const { image_url, account_ids, account_ref, ...fields } = rest;
  return {
    ...fields,
    money: { minor, currency },
    ...(image_url === undefined ? {} : { imageUrl: image_url }),
    ...(account_ids === undefined ? {} : { accountIds: account_ids }),
    ...(account_ref === undefined ? {} : { accountRef: account_ref }),
    ...(interval === undefined
      ? {}
      : { recurring: { interval, count: intervalCount ?? 1, trialPeriod: trial_period ?? '' } }),
  };
}

/** `PATCH /paylinks/{id}`. */
export function parseSwitch(body: string): boolean {
  return parse(
    z.object({ enabled: z.boolean({ error: says('must be a boolean') }) }, { error: 'request body must be an object' }),
    body,
  ).enabled;
}

/** Query of a list. Instants in milliseconds. */
export interface Page {
  limit: number;
  page: number;
  since: number;
  until: number;
  after: string;
  before: string;
  sort: 'asc' | 'desc';
  filters: Record<string, string>;
}

const LIMIT = 100;

/** `filters` are the parameters that name a field of the list's items. */
export function parsePage(query: Record<string, string>, domain: string, filters: readonly string[] = []): Page {
  const refuse = (message: string) => new ApiError(400, domain, 'InvalidRequest', message);
  const whole = (name: string, most: number, otherwise: number) => {
    const value = query[name];
    if (value === undefined) return otherwise;
    const range = most === LIMIT ? `must be between 1 and ${LIMIT}` : 'must be at least 1';
    if (!/^\d{1,9}$/.test(value) || Number(value) < 1 || Number(value) > most) throw refuse(`${name} ${range}`);
    return Number(value);
  };
  const instant = (name: string, otherwise: number) => {
    const value = query[name];
    if (value === undefined) return otherwise;
    const at = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
    if (Number.isNaN(at)) throw refuse(`${name} must be an RFC 3339 timestamp`);
    return at;
  };
  const { sort = 'desc', after = '', before = '' } = query;
  if (sort !== 'asc' && sort !== 'desc') throw refuse('sort must be one of asc, desc');
  return {
    limit: whole('limit', LIMIT, LIMIT),
    page: whole('page', 999_999_999, 1),
    since: instant('since', Number.NEGATIVE_INFINITY),
    until: instant('until', Number.POSITIVE_INFINITY),
    after,
    before,
    sort,
    filters: Object.fromEntries(filters.flatMap((name) => (query[name] === undefined ? [] : [[name, query[name]]]))),
  };
}

/** Minor units of a decimal text: no float has a part in it. */
function minorOf(amount: string, currency: string): number | undefined {
  const exponent = exponentOf(currency);
  const [whole = '', fraction = ''] = amount.split('.');
  if (/[1-9]/.test(fraction.slice(exponent))) return undefined;
  const minor = Number(whole + fraction.slice(0, exponent).padEnd(exponent, '0'));
  return Number.isSafeInteger(minor) ? minor : undefined;
}

function parse<T>(schema: z.ZodType<T>, body: string): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw invalid('request body is not valid JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  throw invalid([first?.path.join('.'), first?.message].filter(Boolean).join(' '));
}

function says(otherwise: string) {
  return (issue: { input?: unknown }) => (issue.input === undefined ? 'is required' : otherwise);
}
