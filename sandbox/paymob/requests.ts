import { z } from 'zod';
import type { Money } from '../money.ts';
import { invalid, noIntegration, notJson } from './errors.ts';
import type { Integration, Merchant } from './merchants.ts';
import { fromLocal } from './zone.ts';

/**
 * What Paymob demands of requests [seed]. One field error is published, in the words of Django REST framework: its other
 * standard texts stand here [assumed].
 */
export interface LinkRequest {
  money: Money;
  /** Ids of the integrations, the first of which decides how money is taken. */
  integrations: number[];
  live: boolean;
  holds: boolean;
  reference?: string;
  /** As it was sent. */
  expiresAtText?: string;
  expiresAt?: number;
  fullName?: string;
  email?: string;
  phoneNumber?: string;
  description?: string;
  notificationUrl?: string;
  redirectionUrl?: string;
  image?: { type: string; data: string };
}

const REQUIRED = 'This field is required.';
const INTEGER = 'A valid integer is required.';
const POSITIVE = 'Ensure this value is greater than or equal to 1.';

type Form = Record<string, string | File | (string | File)[]>;

/** The create form. Throws `ApiError` naming every field that is wrong, or for the integrations. */
export async function parseLinkRequest(form: Form, merchant: Merchant): Promise<LinkRequest> {
  const errors: Record<string, string[]> = {};
  const wrong = (field: string, text: string) => {
    errors[field] ??= [text];
  };
  const all = (field: string) => [form[field] ?? []].flat().filter((value) => typeof value === 'string');
  const text = (field: string) => {
    const value = all(field).at(-1)?.trim();
    if (value === '') wrong(field, 'This field may not be blank.');
    return value;
  };
  const url = (field: string) => {
    const value = text(field);
    if (value && !(URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)))
      wrong(field, 'Enter a valid URL.');
    return value;
  };

  const amount = text('amount_cents');
  if (amount === undefined) wrong('amount_cents', REQUIRED);
  else if (!/^[+-]?\d{1,15}$/.test(amount)) wrong('amount_cents', INTEGER);
  else if (Number(amount) < 1) wrong('amount_cents', POSITIVE);

  const methods = all('payment_methods');
  if (methods.length === 0) wrong('payment_methods', REQUIRED);
  else if (!methods.every((id) => /^\d{1,15}$/.test(id))) wrong('payment_methods', INTEGER);

  const live = text('is_live')?.toLowerCase();
  if (live === undefined) wrong('is_live', REQUIRED);
  else if (live !== 'true' && live !== 'false') wrong('is_live', 'Must be a valid boolean.');

  const expiresAtText = text('expires_at');
  const expiresAt = expiresAtText === undefined ? undefined : fromLocal(expiresAtText);
  if (expiresAtText && expiresAt === undefined) {
    wrong('expires_at', 'Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ss.');
  }
  if (expiresAt !== undefined && expiresAt <= Date.now()) wrong('expires_at', "expires_at can't be in the past.");

  const email = text('email');
  if (email && !/^[^\s@]+@[^\s@]+$/.test(email)) wrong('email', 'Enter a valid email address.');

  const [picture] = [form.payment_link_image ?? []].flat();
  const image = picture === undefined ? undefined : await pictureOf(picture);
  if (image === 'none') {
    wrong(
      'payment_link_image',
      'Upload a valid image. The file you uploaded was either not an image or a corrupted image.',
    );
  }

  const [reference, fullName, phoneNumber, description] = [
    'reference_id',
    'full_name',
    'phone_number',
    'description',
  ].map(text);
  const [notificationUrl, redirectionUrl] = [url('notification_url'), url('redirection_url')];
  if (Object.keys(errors).length > 0) throw invalid(errors);

  const ids = methods.map(Number);
  const chosen = integrationsOf(merchant, ids, live === 'true');
  return {
    money: { minor: Number(amount), currency: chosen.currency },
    integrations: ids,
    live: chosen.live,
    holds: chosen.holds,
    ...given({ reference, expiresAtText, expiresAt, fullName, email, phoneNumber, description }),
    ...given({ notificationUrl, redirectionUrl }),
    ...(image && image !== 'none' ? { image } : {}),
  };
}

/** All must be the merchant's and of the mode; one link has one currency. The first decides what a payment does. */
function integrationsOf(merchant: Merchant, ids: readonly number[], live: boolean): Integration {
  const found = ids.map((id) => merchant.integrations.find((known) => known.id === id && known.live === live));
  const [first] = found;
  if (!first || found.includes(undefined)) throw noIntegration();
  if (found.some((other) => other?.currency !== first.currency)) {
    // Nothing is published about mixed currencies.
    throw invalid({ payment_methods: ['Integrations must share one currency.'] });
  }
  return first;
}

/** PNG or JPG, told by how the file begins. */
async function pictureOf(file: string | File): Promise<{ type: string; data: string } | 'none'> {
  if (typeof file === 'string') return 'none';
  const bytes = Buffer.from(await file.arrayBuffer());
  if (bytes.subarray(1, 4).toString('latin1') === 'PNG') return { type: 'image/png', data: bytes.toString('base64') };
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return { type: 'image/jpeg', data: bytes.toString('base64') };
  return 'none';
}

function given<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

const integer = z
  .union([z.int(), z.string().regex(/^\d{1,15}$/)], {
    error: ({ input }) => (input === undefined ? REQUIRED : INTEGER),
  })
  .transform(Number);
const move = z.object({ transaction_id: integer });
const amountOf = z.object({ amount_cents: integer.pipe(z.number().min(1, POSITIVE)) });

/** Body of a void. */
export const parseVoid = (body: string) => parse(move, body);
/** Body of a capture or refund. */
export const parseMove = (body: string) => parse(z.object({ ...move.shape, ...amountOf.shape }), body);
/** Body of an inquiry: an order of ours or of the merchant's, and perhaps the token. */
export const parseInquiry = (body: string) => parse(inquiry, body);
/** Body of the token call. */
export const parseTokenRequest = (body: string) => parse(z.object({ api_key: z.string({ error: REQUIRED }) }), body);
/** Whatever of a JSON body is an object. */
export const peek = (body: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(body);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
};

const inquiry = z
  .object({
    auth_token: z.string().optional(),
    order_id: z.union([z.int(), z.string()]).transform(String).optional(),
    merchant_order_id: z.string().optional(),
  })
  .refine(({ order_id, merchant_order_id }) => order_id !== undefined || merchant_order_id !== undefined, {
    path: ['order_id'],
    error: REQUIRED,
  });

function parse<T>(schema: z.ZodType<T>, body: string): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw notJson();
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors: Record<string, string[]> = {};
  for (const { path, message } of parsed.error.issues) errors[String(path[0] ?? 'non_field_errors')] ??= [message];
  throw invalid(errors);
}
