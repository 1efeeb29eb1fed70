/** Paymob's callbacks: which fields are signed, and in which order. */
import { z } from 'zod';
import { NotAuthentic } from '../provider.ts';

/** Values in this order, joined without separators, are what is signed [public]. */
const SIGNED: Readonly<Record<string, readonly string[]>> = {
  TRANSACTION: [
    'amount_cents',
    'created_at',
    'currency',
    'error_occured',
    'has_parent_transaction',
    'id',
    'integration_id',
    'is_3d_secure',
    'is_auth',
    'is_capture',
    'is_refunded',
    'is_standalone_payment',
    'is_voided',
    'order.id',
    'owner',
    'pending',
    'source_data.pan',
    'source_data.sub_type',
    'source_data.type',
    'success',
  ],
  TOKEN: ['card_subtype', 'created_at', 'email', 'id', 'masked_pan', 'merchant_id', 'order_id', 'token'],
};

const shape = z.object({ type: z.string(), obj: z.record(z.string(), z.unknown()) });

/** @throws Error when the body is no callback. */
export function callbackOf(body: Uint8Array) {
  return shape.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)));
}

/**
 * The values the provider signed, in order. They are signed without separators, so it is not certain where one ends.
 *
 * @throws NotAuthentic when the body is none that is ever signed.
 */
export function signedValues(body: Uint8Array): string[] {
  let callback: z.infer<typeof shape>;
  try {
    callback = callbackOf(body);
  } catch {
    throw new NotAuthentic('the body is no callback');
  }
  const fields = Object.hasOwn(SIGNED, callback.type) ? SIGNED[callback.type] : undefined;
  if (!fields) throw new NotAuthentic('what is signed of this type of callback is not known');
  return fields.map((field) => {
    const value = field
      .split('.')
      .reduce<unknown>((outer, name) => (outer as Record<string, unknown>)?.[name], callback.obj);
    if (typeof value === 'object' && value !== null) throw new NotAuthentic(`${field} of the body is no single value`);
    return String(value ?? '');
  });
}
