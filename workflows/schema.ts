/**
 * Zod schemas of what crosses our edges. Edges only: workflow code imports the types inferred elsewhere, never this
 * file (a test looks for zod in the workflow bundle).
 */
import { z } from 'zod';
import { exponentOf } from './currencies.ts';
import type { Exception, Status } from './link.ts';

/** 1–100 characters, safe in a workflow id and, percent-encoded, in a path. */
export const reference = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[A-Za-z0-9._~:@+/-]+$/, 'may contain only A–Z a–z 0–9 . _ ~ : @ + / -')
  .refine((text) => text !== '.' && text !== '..', 'must not be "." or ".."');

export const accountName = z.string().regex(/^[a-z0-9-]{1,40}$/, 'must be 1–40 of a–z 0–9 -');

export const currency = z
  .string()
  .refine((code) => exponentOf(code) !== undefined, 'must be an ISO 4217 code, such as AED');

export const amount = z.strictObject({
  minor: z.int().positive('must be greater than 0'),
  currency,
});

/** RFC 3339 with an offset: a zoneless instant means different things in different places. */
export const instant = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 date-time with an offset' });

/** Ten years. A link waits for no longer: an instant beyond the calendar would stop its run for good. */
export const LONGEST_WAIT_SECONDS = 10 * 365 * 86_400;

const seconds = z.int().nonnegative().max(LONGEST_WAIT_SECONDS);

export const policies = z.strictObject({
  latePayment: z.enum(['accept', 'refund', 'hold']),
  excess: z.enum(['hold', 'refund_excess']),
  uncaptured: z.enum(['release', 'capture']),
  captureMarginSeconds: seconds,
  graceSeconds: seconds,
  refundWindowSeconds: seconds,
});

/** https, or http on loopback where a developer works; never a scheme that runs code. */
export const webUrl = z
  .string()
  .max(2_000)
  .refine((text) => {
    if (!URL.canParse(text)) return false;
    const url = new URL(text);
    const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
    return (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) && !url.username && !url.password;
  }, 'must be an https URL (http only on loopback), without user info');

export const customer = z.strictObject({
  name: z.string().min(1).max(200).optional(),
  email: z.email().max(254).optional(),
  phone: z
    .string()
    .regex(/^\+?\d{5,20}$/, 'must be digits with an optional leading +')
    .optional(),
});

const metadata = z
  .record(z.string().min(1).max(40), z.string().max(500))
  .refine((map) => Object.keys(map).length <= 50, {
    message: 'must not have more than 50 entries',
  });

/** Every word once: the compiler misses none. */
const words = <W extends string>(table: Record<W, true>) => Object.keys(table) as [W, ...W[]];

export const STATUSES = words<Status>({
  creating: true,
  pending: true,
  authorized: true,
  paid: true,
  partially_refunded: true,
  refunded: true,
  failed: true,
  cancelled: true,
  expired: true,
});

export const EXCEPTIONS = words<Exception>({
  late_payment: true,
  underpaid: true,
  overpaid: true,
  currency_mismatch: true,
  duplicate_payment: true,
  unknown_outcome: true,
  unexplained_money: true,
  unverified_payment: true,
  provider_disagrees: true,
  expired_unconfirmed: true,
  cancel_unconfirmed: true,
  refund_manual: true,
  refund_failed: true,
  disputed: true,
});

/** Body of `POST /v1/payment-links`. */
export const createRequest = z.strictObject({
  account: accountName,
  reference,
  amount,
  expiresAt: instant.optional(),
  capture: z.enum(['automatic', 'manual']).optional(),
  description: z.string().min(1).max(255).optional(),
  customer: customer.optional(),
  metadata: metadata.optional(),
  redirectUrl: webUrl.optional(),
  policies: policies.partial().optional(),
  providerOptions: z.record(z.string(), z.unknown()).optional(),
  orderReference: reference
    .optional()
    .describe('the debt, where several links may pay it: the first that is paid wins'),
});
export type CreateRequest = z.infer<typeof createRequest>;

const reason = z.string().min(1).max(500).optional();

/** Body of capture and refund: the whole of what can be moved when `amount` is left out. */
export const moneyRequest = z.strictObject({ amount: amount.optional(), reason });
export type MoneyRequest = z.infer<typeof moneyRequest>;

/** Body of refund; `force` gives money back although a dispute stands, and takes a reason. */
export const refundRequest = moneyRequest
  .extend({ force: z.boolean().optional() })
  .refine(({ force, reason: why }) => !force || why !== undefined, {
    path: ['reason'],
    message: 'is required with force',
  });
export type RefundRequest = z.infer<typeof refundRequest>;

export const cancelRequest = z.strictObject({ reason });
export type CancelRequest = z.infer<typeof cancelRequest>;

export const resyncRequest = z.strictObject({ accept: z.boolean().optional(), reason });
export type ResyncRequest = z.infer<typeof resyncRequest>;

/** What a person has seen, and why it needs nobody any more. */
export const acknowledgeRequest = z.strictObject({
  exception: z.enum(EXCEPTIONS),
  reason: z.string().min(1).max(500),
});
export type AcknowledgeRequest = z.infer<typeof acknowledgeRequest>;

export const extendRequest = z.strictObject({ expiresAt: instant, reason });
export type ExtendRequest = z.infer<typeof extendRequest>;

/** What a person vouches for. `providerRef` names the payment at the provider. */
export const markRequest = z.strictObject({ amount, providerRef: z.string().min(1).max(255).optional(), reason });
export type MarkRequest = z.infer<typeof markRequest>;

export const resolveRequest = z.strictObject({
  operation: z.string().min(1).max(255),
  outcome: z.enum(['happened', 'absent']),
  reason,
});
export type ResolveRequest = z.infer<typeof resolveRequest>;

/** Why an unmatched webhook is nobody's. */
export const dismissRequest = z.strictObject({ reason: z.string().min(1).max(500) });
export type DismissRequest = z.infer<typeof dismissRequest>;

/** Idempotency-Key: visible ASCII, so that a name with a space in it is never a caller's. */
export const idempotencyKey = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1–255 visible ASCII characters');
