/** What the accounts' options of several providers have in common. */
import { z } from 'zod';
import { isSafeUrl } from './answers.ts';

/** Header values go out as they are: visible ASCII only. */
export const credential = (min: number) =>
  z
    .string()
    .regex(/^[\x21-\x7e]*$/, 'must be visible ASCII')
    .min(min);

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
