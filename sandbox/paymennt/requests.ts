import { z } from 'zod';
import { exponentOf, isCurrency, type Money, toMinor } from '../money.ts';
import { Refused } from '../provider.ts';

/**
 * What paymennt's OpenAPI document demands of requests. Texts of validation errors are not published: one sentence that
 * begins with the field is [assumed]. Fields the document does not know are ignored, as its servers (Spring) do by default.
 */
const PAYMENT_METHODS = [
  'CARD',
  'VISA',
  'MASTERCARD',
  'AMEX',
  'UNIONPAY',
  'TABBY',
  'CAREEM_PAY',
  'POINTCHECKOUT',
] as const;

const CHECKOUT_TYPES = ['QR', 'WEB', 'MOBILE', 'LINK', 'TERMINAL'];

const text = z.string({ error: says('must be a string') }).min(1, 'must not be empty');
const number = z.number({ error: says('must be a number') });
const flag = z.boolean({ error: 'must be a boolean' });
const method = z.enum(PAYMENT_METHODS, { error: `must be one of ${PAYMENT_METHODS.join(', ')}` });
const notNegative = number.min(0, 'must not be negative');
const object = { error: 'must be an object' };

const customer = z.object(
  {
    id: text.optional(),
    firstName: text,
    lastName: text,
    email: text.regex(/^[^\s@]+@[^\s@]+$/, 'must be an email address'),
    phone: text.optional(),
  },
  object,
);

const address = z.object(
  {
    name: text,
    address1: text,
    address2: text.optional(),
    city: text,
    state: text.optional(),
    zip: text.optional(),
    country: text.regex(/^[A-Za-z]{2,3}$/, 'must be an ISO 3166-1 code'),
  },
  object,
);

const totals = z.object(
  {
    subtotal: notNegative,
    tax: notNegative,
    shipping: notNegative.optional(),
    handling: notNegative.optional(),
    discount: notNegative.optional(),
    skipTotalsValidation: flag.default(true),
  },
  object,
);

const item = z.object(
  {
    name: text,
    sku: text.optional(),
    unitprice: number.optional(),
    quantity: number.gt(0, 'must be greater than 0'),
    linetotal: number,
  },
  object,
);

const EXPIRES_IN = 'must be between 15 and 10080';

const linkRequest = z.object(
  {
    requestId: text,
    orderId: text,
    description: text,
    currency: text.refine(isCurrency, 'must be an ISO 4217 currency code'),
    amount: number.gt(0, 'must be greater than 0'),
    expiresIn: z
      .int({ error: says('must be an integer') })
      .min(15, EXPIRES_IN)
      .max(10_080, EXPIRES_IN)
      .optional(),
    sendSms: flag.default(false),
    sendEmail: flag.default(false),
    customer: customer.optional(),
    billingAddress: address.optional(),
    deliveryAddress: address.optional(),
    totals: totals.optional(),
    items: z.array(item, { error: 'must be an array' }).optional(),
    allowedPaymentMethods: z.array(method, { error: 'must be an array' }).optional(),
    defaultPaymentMethod: method.optional(),
    branchId: z.int({ error: 'must be an integer' }).optional(),
    language: text.min(2, 'must have 2 to 3 characters').max(3, 'must have 2 to 3 characters').optional(),
  },
  { error: 'Request body must be an object' },
);

/** `POST /checkout/link`, checked, with the amount in minor units. */
export type LinkRequest = Omit<z.infer<typeof linkRequest>, 'amount' | 'currency'> & { money: Money };

export type Customer = z.infer<typeof customer>;
export type Address = z.infer<typeof address>;

export function parseLinkRequest(body: string): LinkRequest {
  const { amount, currency, ...rest } = parse(linkRequest, json(body));
  const money = exact('amount', amount, currency);
  const { totals } = rest;
  if (totals && !totals.skipTotalsValidation && !addsUp(totals, amount)) {
    throw new Refused('totals do not add up to amount');
  }
  return { ...rest, money };
}

function addsUp(sum: z.infer<typeof totals>, amount: number): boolean {
  const total = sum.subtotal + sum.tax + (sum.shipping ?? 0) + (sum.handling ?? 0) - (sum.discount ?? 0);
  return Math.abs(total - amount) < 0.0005;
}

/** Query of `POST /checkout/{id}/refund`. */
export interface RefundRequest {
  money: Money;
  note: string;
  referenceId?: string;
}

export function parseRefund(query: Record<string, string>): RefundRequest {
  const { amount = '', currency = '', note = '', referenceId } = query;
  if (amount === '') throw new Refused('amount is required');
  if (!/^-?\d+(\.\d+)?$/.test(amount)) throw new Refused('amount must be a number');
  if (Number(amount) <= 0) throw new Refused('amount must be greater than 0');
  if (currency === '') throw new Refused('currency is required');
  if (currency.length !== 3) throw new Refused('currency must have 3 characters');
  if (!isCurrency(currency)) throw new Refused('currency must be an ISO 4217 currency code');
  if (note === '') throw new Refused('note is required');
  return { money: exact('amount', Number(amount), currency), note, referenceId };
}

/** Query of `GET /checkout`. */
export interface Search {
  requestId?: string;
  orderId?: string;
  type?: string;
  statuses?: string[];
  afterId?: bigint;
  afterTimestamp?: number;
  page: number;
  size: number;
}

export function parseSearch(query: Record<string, string>, statuses: readonly string[]): Search {
  const { requestId, orderId, status, type, afterId, afterTimestamp } = query;
  if (type !== undefined && !CHECKOUT_TYPES.includes(type)) {
    throw new Refused(`type must be one of ${CHECKOUT_TYPES.join(', ')}`);
  }
  // The document prints display words ("Partially refunded") beside constants.
  const wanted = status?.split(',').map((word) => word.trim().toUpperCase().replaceAll(' ', '_'));
  const unknown = wanted?.find((word) => !statuses.includes(word));
  if (unknown !== undefined) throw new Refused(`status must be a list of ${statuses.join(', ')}`);
  if (afterId !== undefined && !/^\d+$/.test(afterId)) throw new Refused('afterId must be an integer');
  return {
    requestId,
    orderId,
    type,
    statuses: wanted,
    afterId: afterId === undefined ? undefined : BigInt(afterId),
    afterTimestamp: afterTimestamp === undefined ? undefined : instant(afterTimestamp),
    ...parsePage(query),
  };
}

/** Both texts follow the one published: "page size parameter must be a positive integer". */
export function parsePage({ page = '0', size = '20' }: Record<string, string>): { page: number; size: number } {
  if (!/^\d{1,9}$/.test(page)) throw new Refused('page parameter must be a non-negative integer');
  if (!/^[1-9]\d{0,8}$/.test(size)) throw new Refused('page size parameter must be a positive integer');
  return { page: Number(page), size: Number(size) };
}

/** `POST /webhooks`. The document asks for https; plain http is taken for this machine only. */
export function parseWebhookRequest(body: string): string {
  const { address } = parse(z.object({ address: text }, { error: 'Request body must be an object' }), json(body));
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const secure = url?.protocol === 'https:';
  const local = url?.protocol === 'http:' && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (!secure && !local) throw new Refused('address must be an https URL');
  return address;
}

function exact(field: string, decimal: number, currency: string): Money {
  const minor = toMinor(decimal, currency);
  // Whether paymennt rounds or refuses is not published; refusing is what cannot hide an error of the caller.
  if (minor === undefined) {
    throw new Refused(`${field} must have at most ${exponentOf(currency)} decimals in ${currency}`);
  }
  return { minor, currency };
}

/** `yyyy-mm-dd HH:MM:SS`, read as UTC [assumed: the document names no zone]. */
function instant(value: string): number {
  const at = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(value) ? Date.parse(`${value.replace(' ', 'T')}Z`) : Number.NaN;
  if (Number.isNaN(at)) throw new Refused('afterTimestamp must have the format yyyy-mm-dd HH:MM:SS');
  return at;
}

function json(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new Refused('Request body is not valid JSON');
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  throw new Refused([first?.path.join('.'), first?.message].filter(Boolean).join(' '));
}

function says(otherwise: string) {
  return (issue: { input?: unknown }) => (issue.input === undefined ? 'is required' : otherwise);
}
