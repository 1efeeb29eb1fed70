/**
 * `providerOptions` of a paymennt link: the optional parts of `POST /checkout/link` [public], under the provider's own
 * names. Amounts are integers of the link's minor units, as everywhere in our API.
 */
import { z } from 'zod';
import type { Terms } from '../../workflows/link.ts';
import { jsonNumber } from '../answers.ts';
import { optionProblemsBy } from '../options.ts';
import type { Problem } from '../provider.ts';

const METHODS = ['CARD', 'VISA', 'MASTERCARD', 'AMEX', 'UNIONPAY', 'TABBY', 'CAREEM_PAY', 'POINTCHECKOUT'] as const;

const text = z.string().min(1).max(255);
const minor = z.int().nonnegative();
const method = z.enum(METHODS);

const address = z.strictObject({
  name: text,
  address1: text,
  address2: text.optional(),
  city: text,
  state: text.optional(),
  zip: text.optional(),
  country: text,
});

const options = z.strictObject({
  /** The provider itself sends the link to the customer's phone or e-mail. */
  sendSms: z.boolean().optional(),
  sendEmail: z.boolean().optional(),
  billingAddress: address.optional(),
  deliveryAddress: address.optional(),
  totals: z
    .strictObject({
      subtotal: minor,
      tax: minor,
      shipping: minor.optional(),
      handling: minor.optional(),
      discount: minor.optional(),
      skipTotalsValidation: z.boolean().optional(),
    })
    .optional(),
  items: z
    .array(
      z.strictObject({
        name: text,
        sku: text.optional(),
        unitprice: minor.optional(),
        quantity: z.number().positive(),
        linetotal: minor,
      }),
    )
    .max(200)
    .optional(),
  allowedPaymentMethods: z.array(method).min(1).optional(),
  defaultPaymentMethod: method.optional(),
  branchId: z.int().positive().optional(),
  language: z.string().min(2).max(3).optional(),
});

/** What is wrong with a link's `providerOptions`, by field. */
export function optionProblems(terms: Terms): Problem[] {
  const unreadable = optionProblemsBy(options, terms, () => 'is no option of paymennt');
  if (unreadable.length > 0) return unreadable;
  const { customer, providerOptions = {} } = terms;
  const { sendSms, sendEmail } = options.parse(providerOptions);
  const problems: Problem[] = [];
  const needs = (option: string, field: string) =>
    problems.push({ pointer: `/customer/${field}`, code: 'invalid_value', message: `is needed for ${option}` });
  if (sendSms && customer?.phone === undefined) needs('sendSms', 'phone');
  if (sendEmail && customer?.email === undefined) needs('sendEmail', 'email');
  return problems;
}

/** The options as they go over the wire: amounts as exact JSON numbers of the major unit. */
export function optionsOnWire({ providerOptions, exponent }: Terms): Record<string, unknown> {
  if (providerOptions === undefined) return {};
  const { totals, items, ...others } = options.parse(providerOptions);
  const money = (amounts: Record<string, unknown>, fields: readonly string[]) =>
    Object.fromEntries(
      Object.entries(amounts).map(([name, value]) => [
        name,
        fields.includes(name) ? jsonNumber(value as number, exponent) : value,
      ]),
    );
  return {
    ...others,
    ...(totals ? { totals: money(totals, ['subtotal', 'tax', 'shipping', 'handling', 'discount']) } : {}),
    ...(items ? { items: items.map((item) => money(item, ['unitprice', 'linetotal'])) } : {}),
  };
}
