/** What the options of several providers have in common: those of accounts, and `providerOptions` of links. */
import { z } from 'zod';
import type { Terms } from '../workflows/link.ts';
import { isSafeUrl } from './answers.ts';
import type { Problem } from './provider.ts';

/** Header values go out as they are: visible ASCII only. */
export const credential = (min: number) =>
  z
    .string()
    .regex(/^[\x21-\x7e]*$/, 'must be visible ASCII')
    .min(min);

/** A shared secret that webhooks are signed with. A stray line break would make every one of them look forged. */
export const webhookSecret = z
  .string()
  .min(16)
  .refine((text) => text === text.trim(), 'must not begin or end with white space');

/** Where a provider's API is, without a slash at the end. */
export const baseUrl = z
  .string()
  .refine(isSafeUrl, 'must be an https URL (http only on loopback), without user info')
  .transform((url) => url.replace(/\/+$/, ''));

export const headerName = z.string().regex(/^[A-Za-z0-9-]+$/, 'must be the name of a header');

export const timeZone = z.string().refine(isTimeZone, 'must be a time zone such as Africa/Addis_Ababa');

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** JSON pointer to a part of a create request's `providerOptions`. */
export const optionPointer = (...path: readonly PropertyKey[]) =>
  ['', 'providerOptions', ...path].map((part) => String(part).replaceAll('~', '~0').replaceAll('/', '~1')).join('/');

/**
 * What is wrong with a link's `providerOptions`, field by field. `options` is a strict schema under the provider's own
 * names; `unknown` says of an option that is not in it what is the matter.
 */
export function optionProblemsBy(
  options: z.ZodType,
  { providerOptions = {} }: Terms,
  unknown: (option: string) => string,
): Problem[] {
  const issues = options.safeParse(providerOptions).error?.issues ?? [];
  return issues.flatMap((issue): Problem[] => {
    const { path, message } = issue;
    if (issue.code !== 'unrecognized_keys')
      return [{ pointer: optionPointer(...path), code: 'invalid_value', message }];
    return issue.keys.map((key) => ({
      pointer: optionPointer(...path, key),
      code: 'not_supported',
      message: unknown(key),
    }));
  });
}
