/** What an account at Beqelal can choose, and what a link there may be; sources stand at the top of beqelal.ts. */
import { z } from 'zod';
import type { Terms } from '../../workflows/link.ts';
import { baseUrl, credential, headerName, optionPointer, timeZone, webhookSecret } from '../options.ts';
import type { Problem } from '../provider.ts';
import { CURRENCY } from './beqelal-answers.ts';

const AMOUNT = { min: 1_00, max: 1_000_000_00 };
const PHONE = { min: 9, max: 13 };
const TRACE_MAX = 100;
/** Fields of the create request a merchant may fill in [seed]; `reason` is our description. */
const OPTIONS = ['item_name', 'quantity'] as const;

export const config = z
  .strictObject({
    baseUrl,
    appId: credential(4),
    apiKey: credential(8),
    /** [assumed: no offset is given] */
    zone: timeZone.default('Africa/Addis_Ababa'),
    /** Put before our reference; the webhook brings it back. */
    traceNumberPrefix: z
      .string()
      .max(40)
      .regex(/^[A-Za-z0-9._-]*$/, 'may contain only A–Z a–z 0–9 . _ -')
      .default(''),
    /** The status call [assumed]: only for accounts for which Beqelal confirmed it. */
    inquiry: z.boolean().default(false),
    /** The deactivation call [assumed]: likewise. */
    cancel: z.boolean().default(false),
    /** Old and new are both accepted. */
    webhookSecrets: z.array(webhookSecret).default([]),
    /** [assumed] */
    webhookSignatureHeader: headerName.default('X-Webhook-Signature'),
    /** [assumed] */
    webhookAlgorithm: z.enum(['sha256', 'sha512']).default('sha256'),
    /** False for an account without a secret: its webhooks are then heard, and shown, but move no money. */
    requireSignature: z.boolean().default(true),
    /** Lets unsigned webhooks move money: whoever knows the listener's address and a reference can say "paid". */
    acceptUnsigned: z.boolean().default(false),
  })
  .superRefine(({ requireSignature, acceptUnsigned, webhookSecrets }, context) => {
    const report = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (requireSignature && webhookSecrets.length === 0) {
      report('webhookSecrets', 'is needed to verify webhooks (requireSignature: false hears them unverified)');
    }
    if (acceptUnsigned && (requireSignature || webhookSecrets.length > 0)) {
      report('acceptUnsigned', 'needs requireSignature: false and no webhookSecrets');
    }
  });
export type Config = z.infer<typeof config>;

/** For the generated docs: every line is one option, constant or table row. */
export const ASSUMED = [
  'expires_at and paid_at are times of Africa/Addis_Ababa (option zone)',
  'a link ends by itself at expires_at',
  'a second link with one trace_number is refused with 400 {"trace_number": ["This trace number already exists."]}',
  'wrong credentials are a 401 with INVALID_CREDENTIALS in the error wrapper',
  'a webhook carries the fields of the authorize answer, trace_number and paid_at',
  'X-Webhook-Signature is the hex HMAC-SHA256 of the raw body with the webhook secret (options webhookSignatureHeader, webhookAlgorithm, requireSignature)',
  'the status words PENDING, INITIATED, EXPIRED, DEACTIVATED and CANCELLED',
  'amount is what was paid for the link, the fee comes on top',
  'GET /api/v1/payment/status/{trace_number} answers the webhook’s fields and payment_link, or 404 TRANSACTION_NOT_FOUND (option inquiry)',
  'POST /api/v1/deactivate/payment-link {"id"} deactivates a link nobody paid (option cancel)',
];

/** The limits of the create request [seed], and what Beqelal has no notion of. */
export function problemsOf(terms: Terms, { traceNumberPrefix }: Config, now: number): Problem[] {
  const problems: Problem[] = [];
  const invalid = (pointer: string, message: string) => problems.push({ code: 'invalid_value', pointer, message });
  const unsupported = (pointer: string, message: string) => problems.push({ code: 'not_supported', pointer, message });
  if (terms.currency !== CURRENCY) unsupported('/amount/currency', `must be ${CURRENCY}, Beqelal has no other`);
  else if (terms.amount < AMOUNT.min || terms.amount > AMOUNT.max) {
    invalid('/amount/minor', `must be ${AMOUNT.min} to ${AMOUNT.max}, that is 1 to 1,000,000 ${CURRENCY}`);
  }
  const phone = terms.customer?.phone;
  if (phone === undefined) invalid('/customer/phone', 'is required: Beqelal makes no link without the phone number');
  else if (phone.length < PHONE.min || phone.length > PHONE.max) {
    invalid('/customer/phone', `must have ${PHONE.min} to ${PHONE.max} characters at Beqelal`);
  }
  if (terms.expiresAt !== undefined && wholeSecond(terms.expiresAt) <= now) {
    invalid(
      '/expiresAt',
      `must be in the future, to the second: at least ${new Date(wholeSecond(now) + 1_000).toISOString()}`,
    );
  }
  if (traceNumberPrefix.length + terms.reference.length > TRACE_MAX) {
    invalid('/reference', `must have at most ${TRACE_MAX - traceNumberPrefix.length} characters on this account`);
  }
  if (terms.capture === 'manual') unsupported('/capture', 'must be automatic: Beqelal takes money at once');
  if (terms.redirectUrl !== undefined) unsupported('/redirectUrl', 'Beqelal has no return address for a link');
  for (const [option, value] of Object.entries(terms.providerOptions ?? {})) {
    const pointer = optionPointer(option);
    if (!OPTIONS.some((known) => known === option))
      unsupported(pointer, `is no option of Beqelal: ${OPTIONS.join(', ')} are`);
    else if (typeof value !== 'string' || value.trim() === '') invalid(pointer, 'must be a text');
  }
  return problems;
}

/** `expires_at` has no fractions: what we hold is what Beqelal holds. */
export const wholeSecond = (at: number) => Math.floor(at / 1_000) * 1_000;

export const traceOf = ({ reference }: Terms, { traceNumberPrefix }: Config) => `${traceNumberPrefix}${reference}`;
