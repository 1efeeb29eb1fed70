/**
 * Currency exponents, for the edges only: the workflow gets the exponent with its terms, so that dinero's table is
 * not loaded into every cached run.
 */
import * as iso from 'dinero.js/currencies';

interface IsoCurrency {
  code: string;
  base: number | readonly number[];
  exponent: number;
}

const table = new Map(
  Object.values(iso as unknown as Record<string, IsoCurrency>).map((currency) => [currency.code, currency]),
);

/** Ariary and ouguiya divide by five; their ISO 4217 exponent, and every provider's wire format, is 2. */
const NOT_DECIMAL = new Map([
  ['MGA', 2],
  ['MRU', 2],
]);

/** Decimal places of an ISO 4217 currency, or undefined when the code is unknown. */
export function exponentOf(currency: string): number | undefined {
  return NOT_DECIMAL.get(currency) ?? table.get(currency)?.exponent;
}
