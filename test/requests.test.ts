import { describe, expect, it } from 'vitest';
import { moneyOf } from '../client/cli/requests.ts';
import { InvalidRequest } from '../client/errors.ts';
import { fingerprint, parse, problemsOf, termsHash, termsOf } from '../client/requests.ts';
import { createRequest, moneyRequest } from '../workflows/schema.ts';

const valid = { account: 'paymennt', reference: 'INV/2026/001', amount: { minor: 1050, currency: 'AED' } };

function refusal(work: () => unknown): InvalidRequest {
  try {
    work();
  } catch (error) {
    if (error instanceof InvalidRequest) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('parse', () => {
  it('gives the body back when it is right', () => {
    expect(parse(createRequest, valid)).toEqual(valid);
  });

  it.each([
    ['a body that is no object', [], 400, '', 'must be an object'],
    ['a missing field', { ...valid, account: undefined }, 400, '/account', 'is required'],
    ['an unknown field', { ...valid, amout: 1 }, 400, '/amout', 'is not a known field'],
    ['an unknown field further in', { ...valid, amount: { ...valid.amount, 'a/b': 1 } }, 400, '/amount/a~1b', 'is not'],
    ['a wrong type', { ...valid, reference: 5 }, 400, '/reference', 'must be a string'],
    ['a word of a wrong type', { ...valid, capture: 7 }, 400, '/capture', 'must be one of "automatic", "manual"'],
    ['fractional minor units', { ...valid, amount: { minor: 10.5, currency: 'AED' } }, 400, '/amount/minor', 'integer'],
    ['a number as text', { ...valid, amount: { minor: '10', currency: 'AED' } }, 400, '/amount/minor', 'a number'],
    ['an unknown policy', { ...valid, policies: { grace: 1 } }, 400, '/policies/grace', 'is not a known field'],
    ['a metadata value that is no text', { ...valid, metadata: { a: 1 } }, 400, '/metadata/a', 'must be a string'],
    ['zero', { ...valid, amount: { minor: 0, currency: 'AED' } }, 422, '/amount/minor', 'greater than 0'],
    ['a negative amount', { ...valid, amount: { minor: -5, currency: 'AED' } }, 422, '/amount/minor', 'greater than 0'],
    ['an inexact amount', { ...valid, amount: { minor: 2 ** 60, currency: 'AED' } }, 422, '/amount/minor', 'at most'],
    ['an unknown currency', { ...valid, amount: { minor: 1, currency: 'XXY' } }, 422, '/amount/currency', 'ISO 4217'],
    ['a lower-case currency', { ...valid, amount: { minor: 1, currency: 'aed' } }, 422, '/amount/currency', 'ISO 4217'],
    [
      'a wait beyond the calendar',
      { ...valid, policies: { graceSeconds: 2 ** 53 - 1 } },
      422,
      '/policies/graceSeconds',
      'at most 315360000',
    ],
    ['an expiry without a zone', { ...valid, expiresAt: '2030-01-01T00:00:00' }, 422, '/expiresAt', 'offset'],
    ['a reference of 101 characters', { ...valid, reference: 'x'.repeat(101) }, 422, '/reference', 'at most 100'],
    ['a reference that is a path step', { ...valid, reference: '..' }, 422, '/reference', 'must not be'],
    ['a reference with a space', { ...valid, reference: 'a b' }, 422, '/reference', 'may contain only'],
    ['an order with a space', { ...valid, orderReference: 'a b' }, 422, '/orderReference', 'may contain only'],
    ['a redirect that runs code', { ...valid, redirectUrl: 'javascript:alert(1)' }, 422, '/redirectUrl', 'https'],
    ['an unknown word', { ...valid, capture: 'later' }, 422, '/capture', 'must be one of'],
    ['no e-mail address', { ...valid, customer: { email: 'x' } }, 422, '/customer/email', 'e-mail address'],
    [
      'a long metadata name',
      { ...valid, metadata: { ['k'.repeat(41)]: 'v' } },
      422,
      `/metadata/${'k'.repeat(41)}`,
      '40',
    ],
  ])('refuses %s', (_, body, status, pointer, message) => {
    const { errors, ...error } = refusal(() => parse(createRequest, body));
    expect(error.status).toBe(status);
    expect(errors).toHaveLength(1);
    expect(errors[0]!.pointer).toBe(pointer);
    expect(errors[0]!.message).toContain(message);
  });

  it('lists every problem, and is of shape when one of them is', () => {
    const error = refusal(() =>
      parse(createRequest, { ...valid, reference: 'a b', amount: { minor: '1' }, x: 1, y: 2 }),
    );
    expect(error.status).toBe(400);
    expect(error.errors.map(({ pointer }) => pointer).sort()).toEqual(
      ['/amount/currency', '/amount/minor', '/reference', '/x', '/y'].sort(),
    );
    expect(error.message).toContain('/amount/currency: is required');
  });

  it('takes an empty body where nothing is required', () => {
    expect(parse(moneyRequest, {})).toEqual({});
  });
});

describe('termsOf', () => {
  it('keeps what was asked and fills nothing in', () => {
    expect(termsOf(parse(createRequest, valid))).toEqual({
      account: 'paymennt',
      reference: 'INV/2026/001',
      amount: 1050,
      currency: 'AED',
      exponent: 2,
    });
  });

  it.each([
    ['JPY', 0],
    ['AED', 2],
    ['KWD', 3],
    ['MGA', 2],
  ])('knows the decimal places of %s', (currency, exponent) => {
    expect(termsOf({ ...valid, amount: { minor: 1, currency } }).exponent).toBe(exponent);
  });

  it('reads an instant with its offset', () => {
    expect(termsOf({ ...valid, expiresAt: '2030-01-01T04:00:00+04:00' }).expiresAt).toBe(Date.UTC(2030, 0, 1));
  });
});

describe('termsHash', () => {
  const hash = (body: object) => termsHash(termsOf(parse(createRequest, { ...valid, ...body })));

  it('is equal for requests that ask for the same', () => {
    const reordered = { amount: { currency: 'AED', minor: 1050 }, reference: valid.reference, account: valid.account };
    expect(termsHash(termsOf(parse(createRequest, reordered)))).toBe(hash({}));
    expect(hash({ expiresAt: '2030-01-01T04:00:00+04:00' })).toBe(hash({ expiresAt: '2030-01-01T00:00:00.000Z' }));
    expect(hash({ description: undefined, customer: { name: undefined } })).toBe(hash({ customer: {} }));
  });

  it.each([
    ['amount', { amount: { minor: 1051, currency: 'AED' } }],
    ['currency', { amount: { minor: 1050, currency: 'USD' } }],
    ['account', { account: 'paymennt-hold' }],
    ['capture', { capture: 'manual' }],
    ['expiry', { expiresAt: '2030-01-01T00:00:00Z' }],
    ['customer', { customer: { name: 'A' } }],
    ['metadata', { metadata: { a: 'b' } }],
    ['policies', { policies: { graceSeconds: 1 } }],
    ['order', { orderReference: 'debt' }],
  ])('differs with another %s', (_, change) => {
    expect(hash(change)).not.toBe(hash({}));
  });
});

describe('fingerprint', () => {
  it('tells verbs and bodies apart, not the order of fields', () => {
    const body = { amount: { minor: 1, currency: 'AED' }, reason: 'r' };
    expect(fingerprint('refund', { reason: 'r', amount: { currency: 'AED', minor: 1 } })).toBe(
      fingerprint('refund', body),
    );
    expect(fingerprint('capture', body)).not.toBe(fingerprint('refund', body));
    expect(fingerprint('refund', { ...body, reason: 's' })).not.toBe(fingerprint('refund', body));
  });
});

describe('problemsOf', () => {
  const now = Date.UTC(2026, 0, 1);
  const problems = (body: object) => problemsOf(termsOf(parse(createRequest, { ...valid, ...body })), now);

  it('finds none in an ordinary request', () => {
    expect(problems({ expiresAt: '2026-01-01T00:00:01Z', policies: { latePayment: 'hold', excess: 'hold' } })).toEqual(
      [],
    );
  });

  it('refuses an expiry that is not in the future', () => {
    expect(problems({ expiresAt: '2026-01-01T00:00:00Z' })).toMatchObject([{ pointer: '/expiresAt' }]);
  });

  it('refuses an expiry that no calendar of ours reaches', () => {
    expect(problems({ expiresAt: '9999-12-31T00:00:00Z' })).toMatchObject([
      { pointer: '/expiresAt', message: 'must not be later than 2035-12-30T00:00:00.000Z' },
    ]);
  });
});

describe('amounts on the command line', () => {
  it.each([
    ['10.50', 'AED', 1050],
    ['10.5', 'AED', 1050],
    ['500', 'JPY', 500],
    ['1.234', 'KWD', 1234],
    ['0.07', 'USD', 7],
    ['9007199254740.93', 'USD', 900719925474093],
  ])('%s %s is %d minor units', (text, currency, minor) => {
    expect(moneyOf(text, currency)).toEqual({ minor, currency });
  });

  it.each([
    ['10.505', 'AED', '/amount', 'more than 2 decimal places'],
    ['10.5', 'JPY', '/amount', 'more than 0 decimal places'],
    ['1e3', 'AED', '/amount', 'not a decimal'],
    ['10,50', 'AED', '/amount', 'not a decimal'],
    ['10.50', 'XXY', '/amount/currency', 'ISO 4217'],
    ['10.50', undefined, '/amount', 'belong together'],
    [undefined, 'AED', '/amount', 'belong together'],
  ])('refuses %s %s', (text, currency, pointer, message) => {
    const { errors } = refusal(() => moneyOf(text, currency));
    expect(errors).toMatchObject([{ pointer, message: expect.stringContaining(message) }]);
  });
});
