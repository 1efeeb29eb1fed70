import { join } from 'node:path';
import { type Journal, memoryJournal, openJournal } from './journal.ts';
import { createLedger, type Ledger, type LedgerDraft, type LedgerEntry } from './ledger.ts';

/** One object as it is from now on; `null` removes it. */
export interface Put {
  kind: string;
  id: string;
  value: unknown;
}

/** What one commit did. Memory has it at once; an answer that promises it must wait for `durable`. */
export interface Committed {
  entries: LedgerEntry[];
  durable: Promise<void>;
}

/** A provider's part of the store. */
export interface Shelf {
  ledger: Pick<Ledger, 'entries'>;
  /** Objects of one kind by id, in order of first appearance. Treat values as frozen: change by `commit`. */
  objects<T>(kind: string): ReadonlyMap<string, T>;
  /** Objects and ledger entries together: after a crash either all of them are there or none. */
  commit(puts: readonly Put[], drafts?: readonly LedgerDraft[]): Committed;
}

export interface Store {
  shelf(provider: string): Shelf;
  close(): Promise<void>;
}

interface Line {
  provider: string;
  puts: readonly Put[];
  entries: readonly LedgerEntry[];
}

/** Opens `sandbox.jsonl` under `stateDir`, or keeps everything in memory when there is none. */
export async function openStore(stateDir: string | undefined): Promise<Store> {
  const journal = stateDir === undefined ? memoryJournal() : await openJournal(join(stateDir, 'sandbox.jsonl'));
  const shelves = new Map<string, Shelf & { restore(line: Line): void }>();

  const shelf = (provider: string) => {
    const known = shelves.get(provider);
    if (known) return known;
    const fresh = createShelf(provider, journal);
    shelves.set(provider, fresh);
    return fresh;
  };

  for (const line of journal.records as Line[]) shelf(line.provider).restore(line);
  return { shelf, close: () => journal.close() };
}

function createShelf(provider: string, journal: Journal): Shelf & { restore(line: Line): void } {
  const ledger = createLedger();
  const kinds = new Map<string, Map<string, unknown>>();

  const objects = (kind: string) => {
    const known = kinds.get(kind);
    if (known) return known;
    const fresh = new Map<string, unknown>();
    kinds.set(kind, fresh);
    return fresh;
  };

  const apply = (puts: readonly Put[]) => {
    for (const { kind, id, value } of puts) {
      if (value === null) objects(kind).delete(id);
      else objects(kind).set(id, value);
    }
  };

  return {
    ledger,
    objects: <T>(kind: string) => objects(kind) as ReadonlyMap<string, T>,
    commit(puts, drafts = []) {
      apply(puts);
      const entries = ledger.record(drafts);
      return { entries, durable: journal.append({ provider, puts, entries } satisfies Line) };
    },
    restore(line) {
      apply(line.puts);
      ledger.restore(line.entries);
    },
  };
}
