import * as iso from 'dinero.js/currencies';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exponentOf } from '../workflows/currencies.ts';
import { decimal, minorUnits } from '../workflows/money.ts';

describe('decimal writes minor units as exact text', () => {
  it.each([
    ['no decimals', 500, 0, '500'],
    ['two decimals', 1050, 2, '10.50'],
    ['less than one unit', 5, 2, '0.05'],
    ['three decimals', 1234, 3, '1.234'],
    ['less than one unit of three decimals', 7, 3, '0.007'],
    ['four decimals', 12345, 4, '1.2345'],
    ['zero', 0, 2, '0.00'],
    ['zero without decimals', 0, 0, '0'],
    ['a negative amount', -1050, 2, '-10.50'],
    ['less than one unit, negative', -5, 2, '-0.05'],
    ['the largest safe integer', Number.MAX_SAFE_INTEGER, 2, '90071992547409.91'],
    ['more than a float prints plainly', 1_000_000_000_000_000, 0, '1000000000000000'],
  ])('%s', (_name, minor, exponent, text) => {
    expect(decimal(minor, exponent)).toBe(text);
  });

  it.each([
    ['a fraction of a minor unit', 10.5, 2],
    ['more than a safe integer', Number.MAX_SAFE_INTEGER + 1, 2],
    ['not a number', Number.NaN, 2],
    ['infinity', Number.POSITIVE_INFINITY, 2],
    ['a negative exponent', 100, -1],
    ['an exponent of five', 100, 5],
    ['a fractional exponent', 100, 1.5],
  ])('refuses %s', (_name, minor, exponent) => {
    expect(() => decimal(minor, exponent)).toThrow(RangeError);
  });
});

describe('minorUnits reads a decimal exactly', () => {
  it.each<[string, number | string, number, number]>([
    ['a number', 10.5, 2, 1050],
    ['text', '10.50', 2, 1050],
    ['an integer', 10, 2, 1000],
    ['the classic float trap 1.1 × 3', '3.3', 2, 330],
    ['a number whose product with 100 is not an integer', 4.35, 2, 435],
    ['another one', 1.005, 3, 1005],
    ['a currency without decimals', 500, 0, 500],
    ['text with zeros the currency cannot hold', '500.00', 0, 500],
    ['three decimals', 1.234, 3, 1234],
    ['four decimals', '0.0001', 4, 1],
    ['trailing zeros beyond the exponent', '1.5000', 2, 150],
    ['a negative amount', '-0.05', 2, -5],
    ['spaces around', ' 7.00 ', 2, 700],
    ['leading zeros', '007', 2, 700],
  ])('%s', (_name, value, exponent, minor) => {
    expect(minorUnits(value, exponent)).toBe(minor);
  });

  it('never answers minus zero', () => {
    expect(Object.is(minorUnits('-0.00', 2), 0)).toBe(true);
  });

  it.each<[string, number | string, number]>([
    ['a third decimal of two', '10.505', 2],
    ['a third decimal of two, as a number', 10.005, 2],
    ['any decimal of none', '500.5', 0],
    ['a fifth decimal of four', '0.00001', 4],
    ['an exponent in the text', '1e3', 2],
    ['a number printed with an exponent', 1e21, 2],
    ['a tiny number printed with an exponent', 1e-7, 4],
    ['grouping', '1,000.00', 2],
    ['a decimal comma', '10,50', 2],
    ['a bare point', '.5', 2],
    ['a point without decimals', '5.', 2],
    ['a plus sign', '+5', 2],
    ['two points', '1.2.3', 2],
    ['hexadecimal', '0x10', 2],
    ['digits of another script', '١٠', 2],
    ['a currency sign', '10.00 AED', 2],
    ['nothing', '', 2],
    ['not a number', Number.NaN, 2],
    ['infinity', Number.POSITIVE_INFINITY, 2],
    ['more than a safe integer', '90071992547409.92', 2],
  ])('refuses %s', (_name, value, exponent) => {
    expect(() => minorUnits(value, exponent)).toThrow(RangeError);
  });
});

it('what is written is read back, for every exponent and amount', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
      fc.integer({ min: 0, max: 4 }),
      (minor, exponent) => {
        const text = decimal(minor, exponent);
        expect(text).toMatch(exponent === 0 ? /^-?\d+$/ : new RegExp(`^-?\\d+\\.\\d{${exponent}}$`));
        expect(minorUnits(text, exponent)).toBe(minor);
      },
    ),
  );
});

it('one more digit than the currency holds is refused unless it is a zero', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1_000_000_000 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 9 }),
      (minor, exponent, digit) => {
        const text = `${decimal(minor, exponent)}${digit}`;
        if (digit === 0) expect(minorUnits(text, exponent)).toBe(minor);
        else expect(() => minorUnits(text, exponent)).toThrow(RangeError);
      },
    ),
  );
});

describe('exponentOf', () => {
  it.each([
    ['JPY', 0],
    ['AED', 2],
    ['ETB', 2],
    ['INR', 2],
    ['KWD', 3],
    ['BHD', 3],
    ['CLF', 4],
    // Base five, and two decimals on every wire.
    ['MGA', 2],
    ['MRU', 2],
  ])('%s has %i decimals', (code, exponent) => {
    expect(exponentOf(code)).toBe(exponent);
  });

  it.each(['', 'aed', 'XXZ', 'AE', 'constructor', '__proto__'])('does not know %j', (code) => {
    expect(exponentOf(code)).toBeUndefined();
  });

  it('gives every ISO currency an exponent that money can be written with', () => {
    const codes = Object.values(iso as unknown as Record<string, { code: string }>).map(({ code }) => code);
    expect(codes.length).toBeGreaterThan(150);
    for (const code of codes) {
      expect(minorUnits(decimal(123_456, exponentOf(code) ?? -1), exponentOf(code) ?? -1), code).toBe(123_456);
    }
  });
});
