/** `providerOptions` of a BoomFi link: the optional fields of `POST /paylinks` [public], under the provider's own names. */
import { z } from 'zod';
import type { Terms } from '../../workflows/link.ts';
import { webUrl } from '../../workflows/schema.ts';
import { optionPointer, optionProblemsBy } from '../options.ts';
import type { Problem } from '../provider.ts';
import type { Config } from './boomfi-api.ts';

const METHODS = ['MerchantContract', 'ProxyWallet', 'Card'] as const;

const options = z.strictObject({
  /** What the customer may pay with; the merchant's settings when left out. */
  payment_method_types: z
    .array(z.enum(METHODS))
    .min(1)
    .refine((methods) => new Set(methods).size === methods.length, 'must not name a method twice')
    .optional(),
  /** Shown after payment; a return address takes its place. */
  custom_message: z.string().min(1).max(1_000).optional(),
  /** Whether a customer who paid before is told so. */
  omit_possible_duplicate_acknowledgement: z.boolean().optional(),
  image_url: webUrl.optional(),
  account_ids: z.array(z.int().positive()).min(1).optional(),
  account_ref: z.string().min(1).max(255).optional(),
});

/** Of BoomFi's own document only [public]; the seed has none of them. */
const BOOMFI_ONLY = ['image_url', 'account_ids', 'account_ref'] as const;
const RECURRING = ['interval', 'intervalCount', 'trial_period'];

/** What is wrong with a link's `providerOptions`, by field. */
export function optionProblems(terms: Terms, flavour: Config['flavour']): Problem[] {
  const unreadable = optionProblemsBy(options, terms, (option) =>
    RECURRING.includes(option) ? 'is not supported: a subscription is not a payment link' : 'is no option of BoomFi',
  );
  if (unreadable.length > 0) return unreadable;
  const data = options.parse(terms.providerOptions ?? {});
  const problem = (option: string, code: Problem['code'], message: string): Problem => ({
    pointer: optionPointer(option),
    code,
    message,
  });
  const unsupported = flavour === 'boomfi' ? [] : BOOMFI_ONLY.filter((option) => data[option] !== undefined);
  const problems = unsupported.map((option) =>
    problem(option, 'not_supported', 'is an option of BoomFi, not of Uqualify'),
  );
  if (data.account_ids && data.account_ref !== undefined) {
    problems.push(problem('account_ref', 'invalid_value', 'must not be given together with account_ids'));
  }
  if (data.custom_message !== undefined && terms.redirectUrl !== undefined) {
    problems.push(problem('custom_message', 'invalid_value', 'must not be given together with redirectUrl'));
  }
  return problems;
}

/** Options and return address as they go over the wire. */
export function optionsOnWire({ providerOptions, redirectUrl }: Terms): Record<string, unknown> {
  const { payment_method_types, custom_message, omit_possible_duplicate_acknowledgement, ...fields } = options.parse(
    providerOptions ?? {},
  );
  const afterCompletion =
    redirectUrl !== undefined
      ? { type: 'redirect', redirect_url: redirectUrl }
      : custom_message !== undefined
        ? { type: 'hosted', custom_message }
        : undefined;
  const metadata = {
    ...(payment_method_types ? { payment_method_types } : {}),
    ...(afterCompletion ? { after_completion: afterCompletion } : {}),
    ...(omit_possible_duplicate_acknowledgement === undefined ? {} : { omit_possible_duplicate_acknowledgement }),
  };
  return { ...fields, ...(Object.keys(metadata).length ? { metadata } : {}) };
}
