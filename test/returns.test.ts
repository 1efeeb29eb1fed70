import { describe, expect, it } from 'vitest';
import { returnDue } from '../workflows/allowed.ts';
import type { Facts } from '../workflows/facts.ts';
import type { Created, Matter, Operation } from '../workflows/link.ts';

const terms = { account: 'shop', reference: 'R', amount: 100, currency: 'AED', exponent: 2 };
const policies = { latePayment: 'refund', excess: 'refund_excess' };
const matter = (facts: Facts, operations: Operation[]): Matter => ({
  ...{ terms, facts, operations, created: { policies } as Created },
});
const paid = (captured: number, more: Facts = {}): Facts => ({
  openings: { 0: { opened: 1 } },
  payments: { p: { AED: { authorized: captured, captured, refunded: 0, voided: 0, seenAt: 9 } } },
  ...more,
});
const refund = (more: Partial<Operation>): Operation => ({
  ...{ id: 'r', kind: 'refund', state: 'running', at: 1, actor: 'ana', fingerprint: '', ...more },
});

describe('what policy gives back', () => {
  it.each<[name: string, facts: Facts, operations: Operation[], amount: number | undefined]>([
    ['nothing of what was due', paid(100), [], undefined],
    ['what is beyond it', paid(150), [], 50],
    ['all that is late', paid(100, { openings: { 0: { opened: 1, expired: 5 } } }), [], 100],
    ['nothing of what is going back already', paid(150), [refund({ amount: 50 })], undefined],
    ['nothing while all of it is going back', paid(150), [refund({})], undefined],
    ['the rest of what is going back', paid(150), [refund({ amount: 20 })], 30],
    ['nothing that it tried to give back before', paid(150), [refund({ id: 'perdure return of p from 0' })], undefined],
    ['nothing beside a dispute', paid(150, { disputes: { d: 'open' } }), [], undefined],
  ])('is %s', (_name, facts, operations, amount) => {
    expect(returnDue(matter(facts, operations))?.amount).toBe(amount);
  });
});
