/** An amount of money: an integer of minor units (fils, cents) and an ISO 4217 code. */
export interface Money {
  minor: number;
  currency: string;
}

/**
 * Writes minor units as the exact decimal text a provider or a person reads: `decimal(1050, 2)` is `10.50`,
 * `decimal(500, 0)` is `500`, `decimal(1234, 3)` is `1.234`.
 *
 * @throws RangeError when `minor` is not a safe integer or `exponent` is not 0…4.
 */
export function decimal(minor: number, exponent: number): string {
  checkExponent(exponent);
  if (!Number.isSafeInteger(minor)) throw new RangeError(`minor units must be a safe integer, got ${minor}`);
  const sign = minor < 0 ? '-' : '';
  const digits = String(Math.abs(minor)).padStart(exponent + 1, '0');
  if (exponent === 0) return sign + digits;
  return `${sign}${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/**
 * Reads a provider's decimal (JSON number or text) as minor units, exactly: no float arithmetic, and digits the
 * currency cannot hold are refused unless they are zeros.
 *
 * @throws RangeError when the value is not a plain decimal, is finer than the currency, or exceeds a safe integer.
 */
export function minorUnits(value: number | string, exponent: number): number {
  checkExponent(exponent);
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(value).trim());
  if (!match) throw new RangeError(`not a decimal amount: ${JSON.stringify(value)}`);
  const [, sign, whole, fraction = ''] = match;
  const kept = fraction.slice(0, exponent).padEnd(exponent, '0');
  if (/[1-9]/.test(fraction.slice(exponent))) {
    throw new RangeError(`${value} has more than ${exponent} decimal places`);
  }
  const minor = Number(`${whole}${kept}`);
  if (!Number.isSafeInteger(minor)) throw new RangeError(`${value} is too large to be exact`);
  return sign === '-' && minor !== 0 ? -minor : minor;
}

function checkExponent(exponent: number): void {
  if (!Number.isInteger(exponent) || exponent < 0 || exponent > 4) {
    throw new RangeError(`a currency has 0 to 4 decimal places, not ${exponent}`);
  }
}
