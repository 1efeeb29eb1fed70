/**
 * Amounts inside the sandbox are integers of minor units; this is the only place where they become a provider's decimal
 * numbers. The table is the sandbox's own: sharing the engine's would hide a wrong exponent from every test.
 */

/** An amount of one currency: `minor` counts the currency's smallest unit (1050 AED = 10.50 AED). */
export interface Money {
  minor: number;
  /** ISO 4217, upper case. */
  currency: string;
}

// ISO 4217 minor units that are not 2.
const EXPONENTS: Record<string, number> = {
  ...fill(0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'),
  ...fill(3, 'BHD IQD JOD KWD LYD OMR TND'),
  ...fill(4, 'CLF UYW'),
};

// Current ISO codes that ICU, and so `Intl`, leaves out.
const UNKNOWN_TO_INTL = 'BOV CHE CHW COU MXV USN VED XAD'.split(' ');
const CODES = new Set([...Intl.supportedValuesOf('currency'), ...Object.keys(EXPONENTS), ...UNKNOWN_TO_INTL]);

function fill(exponent: number, codes: string): Record<string, number> {
  return Object.fromEntries(codes.split(' ').map((code) => [code, exponent]));
}

/** Whether `code` is an ISO 4217 code in upper case. */
export function isCurrency(code: string): boolean {
  return CODES.has(code);
}

/** Digits after the decimal point: AED 2, JPY 0, KWD 3. */
export function exponentOf(currency: string): number {
  return EXPONENTS[currency] ?? 2;
}

/** The number a provider puts on the wire: 1050 AED → 10.5, 500 JPY → 500, 1234 KWD → 1.234. */
export function toDecimal({ minor, currency }: Money): number {
  return minor / 10 ** exponentOf(currency);
}

/** Minor units of a decimal from the wire, or `undefined` when the currency cannot hold it exactly. */
export function toMinor(decimal: number, currency: string): number | undefined {
  const minor = Math.round(decimal * 10 ** exponentOf(currency));
  // Both directions round to the nearest double, so an exact decimal comes back as itself and nothing else does.
  return Number.isSafeInteger(minor) && toDecimal({ minor, currency }) === decimal ? minor : undefined;
}

/** The amount as a customer reads it: `AED 1,050.50`. */
export function display(money: Money): string {
  const digits = exponentOf(money.currency);
  const number = new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${money.currency} ${number.format(toDecimal(money))}`;
}
