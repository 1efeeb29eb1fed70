/** What adapters share in reading a provider's answer: it is untrusted, and an unreadable one proves nothing. */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { exponentOf } from '../workflows/currencies.ts';
import { decimal, minorUnits } from '../workflows/money.ts';
import { ProviderError } from './provider.ts';

/** Short name of what a provider said: equal texts, equal hash. 32 hex digits of SHA-256. */
export function evidenceOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** A status word as our tables spell it: upper case, `_` between words, one spelling of cancelled. */
export function wordOf(text: string): string {
  const word = text
    .trim()
    .toUpperCase()
    .replace(/[\s_-]+/g, '_');
  return word === 'CANCELED' ? 'CANCELLED' : word.slice(0, 60);
}

/**
 * Reads `value` by `schema`.
 *
 * @throws ProviderError `unknown` naming the fields, never their values.
 */
export function shaped<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.map(({ path, message }) => `${path.join('.') || 'answer'}: ${message}`);
  throw new ProviderError(
    'unknown',
    'unreadable_answer',
    `${what} answered in an unknown shape (${fields.join('; ')})`,
  );
}

/**
 * Minor units of a decimal a provider sent.
 *
 * @throws ProviderError `unknown` when the currency is not ISO 4217, or the amount is negative or finer than the currency.
 */
export function minorOf(amount: number | string, currency: string): number {
  const exponent = exponentOf(currency);
  try {
    if (exponent === undefined) throw new RangeError(`${JSON.stringify(currency)} is no ISO 4217 currency`);
    const minor = minorUnits(amount, exponent);
    if (minor < 0) throw new RangeError(`${amount} is less than nothing`);
    return minor;
  } catch (error) {
    throw new ProviderError('unknown', 'unreadable_amount', `an amount cannot be read: ${(error as Error).message}`);
  }
}

/** The JSON number for an amount, or undefined when a double cannot hold it exactly. */
export function jsonNumber(minor: number, exponent: number): number | undefined {
  const value = Number(decimal(minor, exponent));
  try {
    return minorUnits(value, exponent) === minor ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an address may be handed on, or called with credentials: https, or http on this machine; no user info. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  return (protocol === 'https:' || (protocol === 'http:' && loopback)) && !username && !password;
}
