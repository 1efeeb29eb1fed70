import type { Cadence } from '../workflows/ports.ts';

/** Within this long after the deadline the provider's last word is looked for. */
const AFTER_DEADLINE_MS = 3_000;
const SHORTEST_MS = 10;

/**
 * Milliseconds until the next look at a link. Young news is followed closely, old news seldom; a look due after the
 * link's deadline is moved to just after it. `random` in [0, 1) spreads links that were made together.
 */
export function delayUntilNextLook(
  cadence: Cadence,
  { lastNewsAt, deadline, now }: { lastNewsAt: number; deadline: number; now: number },
  random: number,
): number {
  const age = (now - lastNewsAt) / 1000;
  const row = cadence.rows.find(({ untilAgeSeconds }) => age < untilAgeSeconds);
  const spread = 1 + cadence.jitter * (2 * random - 1);
  const delay = Math.max(SHORTEST_MS, (row?.everySeconds ?? cadence.thenEverySeconds) * 1000 * spread);
  if (now >= deadline || now + delay <= deadline + AFTER_DEADLINE_MS) return Math.round(delay);
  return Math.round(deadline - now + AFTER_DEADLINE_MS * (1 + random) * 0.5);
}

/** A duration as a person reads it: `15 s`, `2 min`, `4 h`. */
export function readable(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 90) return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}
