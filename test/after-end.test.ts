import { describe, expect, it } from 'vitest';
import { type ClosedLink, heard, tidingsOf } from '../workflows/after-end.ts';
import { type Facts, join } from '../workflows/facts.ts';
import type { Created } from '../workflows/link.ts';

const created = { provider: 'scripted', providerLinkId: '1', ids: ['1'], acceptUnsigned: false } as Created;
const terms = { account: 'shop', reference: 'INV-1', amount: 1_050, currency: 'AED', exponent: 2 };
const money = (key: string, currency: string, captured: number, more: object = {}): Facts => ({
  payments: { [key]: { [currency]: { authorized: captured, captured, refunded: 0, voided: 0, seenAt: 900, ...more } } },
});
const reading = (at: number, totals: object): Facts => ({ latest: { at, hash: 'x', word: 'PAID', totals } as never });
const expired: Facts = { openings: { 0: { opened: 1, expired: 500 } } };
const paid = join({ openings: { 0: { opened: 1 } } }, money('1', 'AED', 1_050, { seenAt: 100 }));

const told = (known: Facts, read: Facts, unverified: Facts = {}) => {
  const { exceptions, money: came } = tidingsOf({ terms, created, known } as ClosedLink, join(known, read), unverified);
  return [...exceptions, ...came.map(({ minor, currency }) => `${minor} ${currency}`)];
};

describe('what comes after the end', () => {
  it.each<[name: string, known: Facts, read: Facts, told: string[]]>([
    ['nothing', paid, {}, []],
    ['what was known', paid, money('1', 'AED', 1_050), []],
    ['a refund, which nobody has to decide', paid, money('1', 'AED', 1_050, { refunded: 1_050 }), []],
    ['another word for the end', expired, { openings: { 0: { cancelled: 600 } } }, []],
    ['a payment', expired, money('1', 'AED', 1_050), ['late_payment', '1050 AED']],
    ['a part of it', expired, money('1', 'AED', 50), ['late_payment', 'underpaid', '50 AED']],
    ['a hold', expired, money('1', 'AED', 0, { authorized: 1_050 }), ['late_payment', '1050 AED']],
    ['a second payment', paid, money('2', 'AED', 1_050), ['late_payment', 'duplicate_payment', '1050 AED']],
    ['other money', expired, money('1', 'USD', 1_050), ['late_payment', 'currency_mismatch', '1050 USD']],
    ['a chargeback', paid, { disputes: { d: 'open' } }, ['disputed']],
    ['a chargeback that was lost', join(paid, { disputes: { d: 'open' } }), { disputes: { d: 'lost' } }, ['disputed']],
    ['a chargeback that was won', join(paid, { disputes: { d: 'open' } }), { disputes: { d: 'won' } }, []],
    [
      'a refund that failed',
      join(paid, money('1', 'AED', 1_050, { refunded: 1_050, seenAt: 100 })),
      reading(900, { AED: { authorized: 1_050, captured: 1_050, refunded: 0 } }),
      ['provider_disagrees'],
    ],
  ])('%s', (_name, known, read, expected) => {
    expect(told(known, read)).toEqual(expected);
  });

  it('by an unsigned webhook is shown and not counted, unless the account says so', () => {
    const facts = money('1', 'AED', 1_050);
    const unsigned = { signed: false, facts };
    const link = (acceptUnsigned: boolean) => ({ terms, created: { ...created, acceptUnsigned }, known: expired });
    expect(heard(link(false), unsigned)).toEqual({ facts: {}, unverified: facts });
    expect(told(expired, {}, facts)).toEqual(['unverified_payment']);
    expect(heard(link(true), unsigned)).toEqual({ facts, unverified: {} });
    expect(heard(link(false), { signed: true, facts })).toEqual({ facts, unverified: {} });
  });
});
