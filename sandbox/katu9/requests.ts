import { z } from 'zod';
import { type Money, toMinor } from '../money.ts';
import type { Transaction } from './transaction.ts';

/**
 * What Katu9's document demands of requests. Texts of validation errors are not published: one sentence, and in
 * `details` what is wrong by field, are [assumed]. Fields the document does not know are ignored.
 */
export const INVALID = 'Invalid request parameters';

/** A request Katu9 turns down; `null` leaves `details` out of the answer. */
export class ApiError extends Error {
  constructor(
    readonly status: 400 | 401 | 403 | 404 | 409,
    message: string,
    readonly details: Record<string, unknown> | null = {},
  ) {
    super(message);
  }
}

/** Lifetime in minutes of a transaction or link that names none. */
const EXPIRY_MINUTES = 60;

const number = z.number({ error: says('must be a number') }).gt(0, 'must be greater than 0');
const text = z.string({ error: says('must be a string') });
const uuid = text.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'must be a UUID');
const object = z.record(z.string(), z.unknown(), { error: says('must be an object') });
const uri = text.refine((url) => URL.canParse(url), 'must be a URI');
const currency = z.literal('INR', { error: 'must be INR' });
const minutes = z.int({ error: 'must be an integer' }).min(1, 'must be at least 1');
const body = { error: 'must be an object' };

const transactionRequest = z.object(
  {
    amount: number,
    type: z.enum(['DEPOSIT', 'WITHDRAWAL'], { error: says('must be DEPOSIT or WITHDRAWAL') }),
    currency: currency.default('INR'),
    metadata: object.default({}),
    paymentMethodId: uuid.optional(),
    requestedAmount: number.optional(),
    withdrawalRecipient: object.optional(),
    expiryMinutes: minutes.default(EXPIRY_MINUTES),
    redirectUrl: uri.optional(),
  },
  body,
);

const linkRequest = z.object(
  {
    transactionId: uuid,
    amount: number.optional(),
    currency: currency.optional(),
    expiryMinutes: minutes.default(EXPIRY_MINUTES),
    redirectUrl: uri.optional(),
    description: text.optional(),
  },
  body,
);

/** `POST /transaction`, checked, with the amount in minor units. */
export type TransactionRequest = Pick<
  z.infer<typeof transactionRequest>,
  'type' | 'metadata' | 'paymentMethodId' | 'redirectUrl'
> & { money: Money };

export function parseTransaction(raw: string): TransactionRequest {
  const request = parse(transactionRequest, raw);
  if (request.type === 'WITHDRAWAL' && !request.withdrawalRecipient) {
    throw new ApiError(400, INVALID, { withdrawalRecipient: 'is required for a WITHDRAWAL' });
  }
  return { ...request, money: exact(request.amount) };
}

/** `POST /payment-link/generate`, checked; what is left out comes from the transaction. */
export interface LinkRequest {
  money: Money;
  expiryMinutes: number;
  redirectUrl?: string;
  description?: string;
}

/** `owner` gives the transaction of an id, or throws. */
export function parseLinkRequest(raw: string, owner: (id: string) => Transaction): [Transaction, LinkRequest] {
  const { transactionId, amount, expiryMinutes, redirectUrl, description } = parse(linkRequest, raw);
  const money = amount === undefined ? undefined : exact(amount);
  const transaction = owner(transactionId);
  return [
    transaction,
    {
      money: money ?? transaction.requested,
      expiryMinutes,
      redirectUrl: redirectUrl ?? transaction.redirectUrl,
      description,
    },
  ];
}

function exact(amount: number): Money {
  const minor = toMinor(amount, 'INR');
  // Whether Katu9 rounds or refuses is not published; refusing is what cannot hide an error of the caller.
  if (minor === undefined) throw new ApiError(400, INVALID, { amount: 'must have at most 2 decimals' });
  return { minor, currency: 'INR' };
}

function parse<T>(schema: z.ZodType<T>, raw: string): T {
  let value: unknown;
  try {
    value = JSON.parse(raw);
  } catch {
    throw new ApiError(400, INVALID, { body: 'is not valid JSON' });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => [path.join('.') || 'body', message] as const);
  throw new ApiError(400, INVALID, Object.fromEntries(wrong.reverse()));
}

function says(otherwise: string) {
  return (issue: { input?: unknown }) => (issue.input === undefined ? 'is required' : otherwise);
}
