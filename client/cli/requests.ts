/** From flags to request bodies. Values are checked where the API checks them; here they only get their shape. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { exponentOf } from '../../workflows/currencies.ts';
import { minorUnits } from '../../workflows/money.ts';
import type { CreateRequest } from '../../workflows/schema.ts';
import { InvalidRequest } from '../errors.ts';
import type { Terminal } from './session.ts';

export interface CreateFlags {
  file?: string;
  account?: string;
  reference?: string;
  amount?: string;
  currency?: string;
  expiresAt?: string;
  capture?: string;
  description?: string;
  name?: string;
  email?: string;
  phone?: string;
  metadata?: Record<string, string>;
  redirectUrl?: string;
  order?: string;
}

/** The body of a create call; flags win over the file. What is missing or wrong is found by the client. */
export function createBody(flags: CreateFlags, terminal: Pick<Terminal, 'stdin'>): CreateRequest {
  const { file, amount, currency, name, email, phone, order: orderReference, ...rest } = flags;
  const base = file === undefined ? {} : readBody(file, terminal);
  const customer = present({ name, email, phone });
  const body = {
    ...base,
    ...present({ ...rest, orderReference }),
    ...(amount === undefined && currency === undefined ? {} : { amount: moneyOf(amount, currency) }),
    ...(Object.keys(customer).length === 0 ? {} : { customer: { ...asObject(base.customer), ...customer } }),
  };
  // Untrusted as any other body: `create` checks every field.
  return body as CreateRequest;
}

/**
 * `10.50` and `AED` as `{minor: 1050, currency: 'AED'}`, exactly.
 *
 * @throws InvalidRequest for an unknown currency, and an amount that is no decimal or finer than the currency
 */
export function moneyOf(amount: string | undefined, currency: string | undefined): { minor: number; currency: string } {
  if (amount === undefined || currency === undefined) {
    throw invalid('/amount', '--amount and --currency belong together, such as --amount 10.50 --currency AED');
  }
  const exponent = exponentOf(currency);
  if (exponent === undefined) throw invalid('/amount/currency', 'must be an ISO 4217 code, such as AED');
  try {
    return { minor: minorUnits(amount, exponent), currency };
  } catch (error) {
    throw invalid('/amount', (error as RangeError).message);
  }
}

/** Collects `--metadata key=value`, given any number of times. */
export function keyValue(text: string, previous: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw invalid('/metadata', `must be key=value, got ${JSON.stringify(text)}`);
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Commander's own refusal names the option. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** A JSON object from a file, or from standard input for `-`. */
function readBody(file: string, { stdin }: Pick<Terminal, 'stdin'>): Record<string, unknown> {
  const name = file === '-' ? 'standard input' : file;
  let text: string;
  try {
    text = file === '-' ? stdin() : readFileSync(file, 'utf8');
  } catch (error) {
    throw invalid('', `${name} cannot be read: ${(error as Error).message}`);
  }
  try {
    const body: unknown = JSON.parse(text);
    if (body !== null && typeof body === 'object' && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch (error) {
    throw invalid('', `${name} is not JSON: ${(error as Error).message}`);
  }
  throw invalid('', `${name} must hold a JSON object`);
}

const invalid = (pointer: string, message: string) => new InvalidRequest(422, [{ pointer, message }]);

const asObject = (value: unknown): object => (value !== null && typeof value === 'object' ? value : {});

function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
