/** Falsified ledgers, told to the checker alone: a run must fail with any of them. */
import type { LedgerEntry } from '../shop.ts';
import type { Case } from './checker.ts';

/** By the name that `--plant` takes. @throws Error when no link of the run is fit for it */
export const PLANTS: Readonly<Record<string, (cases: Case[]) => void>> = {
  /** A capture that nobody made. */
  'double-capture': (cases) =>
    plant(
      cases,
      ({ entries }) => entries.some(({ kind }) => kind === 'captured'),
      ({ entries }) => {
        const capture = entries.find(({ kind }) => kind === 'captured')!;
        return [...entries, { ...capture, seq: capture.seq + 1_000_000 }];
      },
    ),
  /** A cancel that never came to the provider, though the link says so. */
  'lost-cancel': (cases) =>
    plant(
      cases,
      ({ link }) => link?.status === 'cancelled' && !link.exceptions.includes('cancel_unconfirmed'),
      ({ link, entries }) =>
        entries.filter(
          (entry) => entry.link !== link?.providerLinkId || !['cancelled', 'expired', 'voided'].includes(entry.kind),
        ),
    ),
};

function plant(cases: Case[], fit: (story: Case) => boolean, falsified: (story: Case) => LedgerEntry[]): void {
  const index = cases.findIndex(fit);
  const story = cases[index];
  if (!story) throw new Error('no link of this run is fit to plant it in');
  cases[index] = { ...story, entries: falsified(story) };
}
