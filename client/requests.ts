/** From untrusted bodies to terms: every problem is named with the field it is in, before anything is started. */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { exponentOf } from '../workflows/currencies.ts';
import { canonical } from '../workflows/facts.ts';
import type { Terms } from '../workflows/link.ts';
import { type CreateRequest, LONGEST_WAIT_SECONDS } from '../workflows/schema.ts';
import { type FieldError, InvalidRequest } from './errors.ts';

/**
 * Checks `body` against `schema`.
 *
 * @throws InvalidRequest with status 400 when anything has the wrong shape (type, missing or unknown field,
 *   fractional minor units), with 422 when the shape is right and a value is refused.
 */
export function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body, { error: explain, reportInput: true });
  if (result.success) return result.data;
  const { issues } = result.error;
  throw new InvalidRequest(issues.some(isOfShape) ? 400 : 422, issues.flatMap(fieldErrors));
}

/** What is asked for, as the workflow keeps it. Absent fields stay absent: defaults are the account's. */
export function termsOf(request: CreateRequest): Terms {
  const { amount, expiresAt, ...rest } = request;
  const exponent = exponentOf(amount.currency);
  if (exponent === undefined) {
    throw new InvalidRequest(422, [{ pointer: '/amount/currency', message: 'must be an ISO 4217 code, such as AED' }]);
  }
  return present({
    ...rest,
    customer: rest.customer && present(rest.customer),
    policies: rest.policies && present(rest.policies),
    amount: amount.minor,
    currency: amount.currency,
    exponent,
    expiresAt: expiresAt === undefined ? undefined : Date.parse(expiresAt),
  });
}

/** What a schema cannot know: the clock. */
export function problemsOf({ expiresAt }: Pick<Terms, 'expiresAt'>, now: number): FieldError[] {
  if (expiresAt === undefined) return [];
  const latest = now + LONGEST_WAIT_SECONDS * 1000;
  const problem =
    expiresAt <= now
      ? 'must be in the future'
      : expiresAt > latest && `must not be later than ${new Date(latest).toISOString()}`;
  return problem ? [{ pointer: '/expiresAt', code: 'invalid_value', message: problem }] : [];
}

/** Equal for requests that ask for the same, however they are written. */
export const termsHash = (terms: Terms): string => sha256(canonical(terms));

/** What makes two commands with one idempotency key the same. */
export const fingerprint = (verb: string, body: unknown): string => sha256(canonical({ verb, body }));

export const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

type Issue = z.core.$ZodIssue;

function isOfShape(issue: Issue): boolean {
  if (issue.code === 'invalid_value') return typeof issue.input !== typeof issue.values[0];
  return issue.code === 'invalid_type' || issue.code === 'unrecognized_keys' || issue.code === 'invalid_union';
}

function fieldErrors(issue: Issue): FieldError[] {
  const { path, message } = issue;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ pointer: pointerTo([...path, key]), message }));
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map((inner) => ({ pointer: pointerTo(path), message: `its name ${inner.message}` }));
  }
  return [{ pointer: pointerTo(path), message }];
}

/** RFC 6901. */
const pointerTo = (path: readonly PropertyKey[]): string =>
  path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Messages for issues whose schema brings none of its own. They follow the field's name. */
function explain(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined && (issue.code === 'invalid_type' || issue.code === 'invalid_value')) {
    return 'is required';
  }
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPES[issue.expected] ?? `of type ${issue.expected}`}`;
    case 'unrecognized_keys':
      return 'is not a known field';
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'invalid_format':
      return issue.format === 'email' ? 'must be an e-mail address' : undefined;
    case 'too_small':
      if (issue.origin === 'string') return issue.minimum === 1 ? 'must not be empty' : undefined;
      return `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'string'
        ? `must have at most ${issue.maximum} characters`
        : `must be at most ${issue.maximum}`;
    default:
      return undefined;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  int: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'an array',
};

function present<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as T;
}
