/**
 * The judge in every reconciliation: what really happened to money and links at a provider, in order. An entry is never
 * changed. Sums per link and currency are exact: a sale is `captured` with no `authorized` before it, and what was
 * captured is the sum of `captured`, less what a `voided` takes from it (see `correct` in the control plane).
 */
export const LEDGER_KINDS = [
  'created',
  'authorized',
  'captured',
  'voided',
  'refunded',
  'refund_failed',
  'cancelled',
  'expired',
  'attempt_failed',
  'charged_back',
  'dispute_won',
] as const;

export type LedgerKind = (typeof LEDGER_KINDS)[number];

/** One fact. Amounts are minor units and always positive; the kind says the direction. */
export interface LedgerEntry {
  /** 1, 2, 3 … per provider, kept over restarts. */
  seq: number;
  /** RFC 3339 instant in UTC. */
  at: string;
  kind: LedgerKind;
  /** The provider's link id. */
  link: string;
  /** The merchant's reference. */
  reference: string;
  /** The provider's payment id, where money is concerned. */
  payment?: string;
  amount?: number;
  currency?: string;
}

export type LedgerDraft = Omit<LedgerEntry, 'seq' | 'at'>;

/** A provider's ledger; `record` only numbers and dates, the store makes it durable. */
export interface Ledger {
  entries: readonly LedgerEntry[];
  record(drafts: readonly LedgerDraft[]): LedgerEntry[];
  restore(entries: readonly LedgerEntry[]): void;
}

export function createLedger(): Ledger {
  const entries: LedgerEntry[] = [];
  return {
    entries,
    record(drafts) {
      const at = new Date().toISOString();
      const recorded = drafts.map((draft, i) => ({ seq: entries.length + i + 1, at, ...draft }));
      entries.push(...recorded);
      return recorded;
    },
    restore(earlier) {
      entries.push(...earlier);
    },
  };
}
