import { z } from 'zod';
import { toMinor } from '../money.ts';

/** The zone in which `expires_at` is read and `paid_at` written [assumed: no offset is given; Ethiopia has one zone]. */
export const ZONE_OFFSET = '+03:00';

/** Texts about each field that is wrong: the body of a 400 as it goes out. */
export class Invalid extends Error {
  constructor(readonly fields: Readonly<Record<string, readonly string[]>>) {
    super('The request is not valid');
  }
}

/** What a link was asked to be. Amounts in santim, instants in milliseconds. */
export interface LinkRequest {
  phone: string;
  minor: number;
  /** As it was sent. */
  expiresAtText: string;
  expiresAt: number;
  callbackUrl: string;
  traceNumber: string;
  itemName?: string;
  quantity?: string;
  reason?: string;
}

/**
 * One text, "This field may not be blank.", is published. It is the one Django REST framework gives, so its other
 * standard texts stand here [assumed].
 */
const text = z
  .string({ error: ({ input }) => (input === undefined ? 'This field is required.' : notText(input)) })
  .trim()
  .min(1, 'This field may not be blank.');

const optional = text.optional();

const linkRequest = z.object({
  phone: text
    .min(9, 'Ensure this field has at least 9 characters.')
    .max(13, 'Ensure this field has no more than 13 characters.'),
  // Text that is a number is taken too, as the framework does; that the document says number binds the caller.
  amount: z
    .preprocess(
      (value) => (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : value),
      z.number({
        error: ({ input }) =>
          input === undefined
            ? 'This field is required.'
            : input === null
              ? 'This field may not be null.'
              : 'A valid number is required.',
      }),
    )
    .pipe(
      z
        .number()
        .min(1, 'Ensure this value is greater than or equal to 1.')
        .max(1_000_000, 'Ensure this value is less than or equal to 1000000.')
        .refine((value) => toMinor(value, 'ETB') !== undefined, 'Ensure that there are no more than 2 decimal places.'),
    ),
  expires_at: text
    .refine(
      (value) => instantOf(value) !== undefined,
      'Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ss.',
    )
    .refine(
      (value) => (instantOf(value) ?? Number.POSITIVE_INFINITY) > Date.now(),
      'Expiry date must be in the future.',
    ),
  callback_url: text.refine((value) => /^https?:\/\//i.test(value) && URL.canParse(value), 'Enter a valid URL.'),
  trace_number: text.max(100, 'Ensure this field has no more than 100 characters.'),
  item_name: optional,
  quantity: optional,
  reason: optional,
});

/** `POST /create/payment-link`. Throws `Invalid` naming every field that is wrong. */
export function parseLinkRequest(body: unknown): LinkRequest {
  const parsed = linkRequest.safeParse(isObject(body) ? body : {});
  if (!parsed.success) throw new Invalid(firstTexts(parsed.error));
  const { phone, amount, expires_at, callback_url, trace_number, item_name, quantity, reason } = parsed.data;
  return {
    phone,
    minor: toMinor(amount, 'ETB')!,
    expiresAtText: expires_at,
    expiresAt: instantOf(expires_at)!,
    callbackUrl: callback_url,
    traceNumber: trace_number,
    ...(item_name === undefined ? {} : { itemName: item_name }),
    ...(quantity === undefined ? {} : { quantity }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** `POST /deactivate/payment-link`: the link's id. */
export function parseDeactivation(body: unknown): string {
  const parsed = z.object({ id: text }).safeParse(isObject(body) ? body : {});
  if (!parsed.success) throw new Invalid(firstTexts(parsed.error));
  return parsed.data.id;
}

/** `YYYY-MM-DDTHH:MM:SS` of the provider's zone. */
function instantOf(value: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(value)) return undefined;
  const at = Date.parse(`${value}${ZONE_OFFSET}`);
  // The 31st of a month of 30 days is read as the next day.
  return Number.isNaN(at) || localTime(at) !== value ? undefined : at;
}

/** The provider's way of writing an instant, to the second. */
export function localTime(at: number): string {
  const hours = Number(ZONE_OFFSET.slice(1, 3));
  return new Date(at + hours * 3_600_000).toISOString().slice(0, 19);
}

function notText(input: unknown): string {
  return input === null ? 'This field may not be null.' : 'Not a valid string.';
}

/** One text a field: later rules say nothing new about a value that broke an earlier one. */
function firstTexts(error: z.ZodError): Record<string, string[]> {
  const fields: Record<string, string[]> = {};
  for (const { path, message } of error.issues) fields[String(path[0])] ??= [message];
  return fields;
}

function isObject(value: unknown): boolean {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
