/** Sextant's requests and answers as they go over the wire. */
import { createHash } from 'node:crypto';
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from 'zod';
import { isCurrency } from '../../sandbox/money.ts';
import { hmacHex } from '../../sandbox/webhooks.ts';
import { type Link, No } from './sandbox-link.ts';

/** Its one merchant. The credentials open nothing but the sandbox. */
export const MERCHANT = {
  keyId: 'sandbox-sextant-key',
  secret: 'sandbox-sextant-secret',
  noticeSecret: 'sandbox-sextant-notice-secret',
};

const amount = z.int().positive();
const end = z.int().refine((at) => {
  const left = at * 1_000 - Date.now();
  // Whole seconds: a request for exactly a minute is a little short of it on arrival.
  return left > 58_000 && left <= 90 * 86_400_000;
}, 'must be 1 minute to 90 days ahead');
export const linkRequest = z.strictObject({
  reference: z.string().min(1).max(100),
  amount,
  currency: z.string().refine(isCurrency, 'must be an ISO 4217 code'),
  expires_at: end,
  hold: z.boolean(),
  notify_url: z.url(),
  title: z.string().optional(),
  return_url: z.url().optional(),
  payer: z.strictObject({ name: z.string(), email: z.string(), phone: z.string() }).partial().optional(),
});
export const takeRequest = z.strictObject({ amount });
export const giveBackRequest = z.strictObject({ amount, note: z.string().min(1), payment: z.string().optional() });
export const prolongRequest = z.strictObject({ expires_at: end });

export function onWire(link: Link, publicUrl: string) {
  return {
    id: link.id,
    reference: link.reference,
    request_key: link.requestKey,
    amount: link.money.minor,
    currency: link.money.currency,
    hold: link.hold,
    pay_url: `${publicUrl}/sextant/pay/${link.id}`,
    expires_at: Math.floor(link.expiresAt / 1_000),
    state: link.state,
    payments: link.payments.map(({ id, state, money, taken, released, givenBack }) => ({
      ...{ id, state, amount: money.minor, currency: money.currency, taken, released },
      given_back: givenBack,
    })),
  };
}

/** Signed with the time of sending. */
export function sign(body: string): Record<string, string> {
  const at = Math.floor(Date.now() / 1_000);
  return { 'Sextant-Signature': `t=${at},v1=${hmacHex('sha256', MERCHANT.noticeSecret, `${at}.${body}`)}` };
}

export function admit(authorization = ''): void {
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  const wanted = `Basic ${Buffer.from(`${MERCHANT.keyId}:${MERCHANT.secret}`).toString('base64')}`;
  if (digest(authorization) !== digest(wanted)) throw new No(401, 'who_are_you', 'no such key id and secret');
}

export function read<T>(shape: z.ZodType<T>, body: unknown): T {
  const found = shape.safeParse(body);
  if (found.success) return found.data;
  const [{ path, message } = { path: [], message: 'is not readable' }] = found.error.issues;
  throw new No(400, 'malformed', `${path.join('.')}: ${message}`);
}

export function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

export const problem = (c: Context, status: number, code: string, detail: string) =>
  c.body(JSON.stringify({ code, detail }), status as ContentfulStatusCode, {
    'content-type': 'application/problem+json',
  });
export const refuse = (c: Context, { status, code, message }: No) => problem(c, status, code, message);
