/** What the sandbox's ledger says about money, to hold what an adapter reports against. */
import { expect } from 'vitest';
import { ProviderError } from '../../activities/provider.ts';
import type { LedgerEntry, LedgerKind } from '../../sandbox/ledger.ts';
import { type Facts, sums } from '../../workflows/facts.ts';
import type { Bench, TestLink } from './bench.ts';

export interface Money {
  captured: number;
  refunded: number;
  held: number;
}

/** Sums of one currency. A sale has no `authorized` before it, and what voids it was never captured. */
export function moneyIn(entries: readonly LedgerEntry[], currency: string): Money {
  const total: Money = { captured: 0, refunded: 0, held: 0 };
  const moved = entries.filter((entry) => entry.currency === currency);
  for (const payment of new Set(moved.map((entry) => entry.payment))) {
    const moves = moved.filter((entry) => entry.payment === payment);
    const sum = (kind: LedgerKind) =>
      moves.filter((entry) => entry.kind === kind).reduce((all, { amount = 0 }) => all + amount, 0);
    const [authorized, captured, voided] = [sum('authorized'), sum('captured'), sum('voided')];
    total.captured += authorized > 0 ? captured : captured - voided;
    total.held += authorized > 0 ? authorized - captured - voided : 0;
    total.refunded += sum('refunded') - sum('refund_failed');
  }
  return total;
}

export function moneyTold(facts: Facts, currency: string): Money {
  const { captured, refunded, held } = sums(facts, currency);
  return { captured, refunded, held };
}

/** The link tells exactly what the ledger holds. */
export function expectTruth(bench: Bench, { terms, facts }: TestLink): void {
  expect(moneyTold(facts(), terms.currency), 'money as told').toEqual(
    moneyIn(bench.ledger(terms.reference), terms.currency),
  );
}

/** Runs what must fail, and gives the typed error back. */
export async function errorOf(doing: Promise<unknown>): Promise<ProviderError> {
  const outcome = await doing.then(
    () => 'it succeeded',
    (error: unknown) => error,
  );
  return typed(outcome);
}

export function typed(outcome: unknown): ProviderError {
  expect(outcome, 'must be a ProviderError').toBeInstanceOf(ProviderError);
  const error = outcome as ProviderError;
  expect(error.code, 'codes are words for API and logs').toMatch(/^[A-Za-z][A-Za-z0-9_]*$/);
  expect(error.message.trim(), 'an error says what happened').not.toBe('');
  return error;
}
