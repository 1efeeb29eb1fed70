/** What happened to a link's money between two looks at it. */
import { closingOf, currenciesOf, type Facts, newestOpening, sums } from '../workflows/facts.ts';
import type { Terms } from '../workflows/link.ts';

export const isPaid = (facts: Facts) => currenciesOf(facts).some((currency) => sums(facts, currency).captured > 0);

/** Whether a read speaks of every payment that is known. */
export const coversPayments = (read: Facts, { payments = {} }: Facts) =>
  Object.keys(payments).every((key) => read.payments?.[key] !== undefined);

/** Whether money moved, or the link closed, between what a write was based on and now. */
export function moved(before: Facts, now: Facts): boolean {
  if (closingOf(newestOpening(before))?.confirmed !== closingOf(newestOpening(now))?.confirmed) return true;
  return currenciesOf(now).some((currency) => {
    const [was, is] = [sums(before, currency), sums(now, currency)];
    return (Object.keys(was) as (keyof typeof was)[]).some((field) => was[field] !== is[field]);
  });
}

/**
 * The latest reading as a write has changed it, for when there was no other: the reading from before would contradict
 * the money just moved.
 */
export function readAnew({ latest }: Facts, now: Facts, at: number): Facts {
  if (!latest) return {};
  const totals = Object.entries(latest.totals).map(([currency, shown]) => {
    const known = sums(now, currency);
    const fields = Object.keys(shown) as (keyof typeof shown)[];
    return [currency, Object.fromEntries(fields.map((field) => [field, Math.max(shown[field] ?? 0, known[field])]))];
  });
  return { latest: { ...latest, at: Math.max(at, latest.at + 1), totals: Object.fromEntries(totals) } };
}

export function reached(
  kind: 'capture' | 'cancel',
  { currency }: Terms,
  before: Facts,
  after: Facts,
  amount = 0,
): boolean {
  const [was, is] = [sums(before, currency), sums(after, currency)];
  if (kind === 'capture') return is.captured - was.captured >= amount && is.captured > was.captured;
  const closing = closingOf(newestOpening(after));
  return closing?.confirmed === true && closing.status === 'cancelled' && is.held === 0 && is.captured === was.captured;
}
