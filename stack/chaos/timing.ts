import type { Timing } from '../../workflows/state.ts';

/** Paid and closed links are still looked at; with many of them so many a second, as two cores can carry. */
const LOOKS_PER_SECOND = 25;
const LOOKS_SELDOM_SECONDS = 20;
const SETTLES_MS = 60_000;

const seldom = (links: number) => Math.max(LOOKS_SELDOM_SECONDS, links / LOOKS_PER_SECOND);

/** Everything has come to rest so long after the last fault: what no webhook told of is found by the next look. */
export function settlesWithinMs(links: number): number {
  return Math.max(SETTLES_MS, 1.4 * 1_000 * seldom(links));
}

/**
 * Waits of the engine in a chaos run of so many links. They are inputs of the workflow, and short: what takes minutes in
 * production fits into a run of minutes.
 */
export function timingFor(links: number): Partial<Timing> {
  return {
    cadence: {
      rows: [
        { untilAgeSeconds: 30, everySeconds: 2 },
        { untilAgeSeconds: 120, everySeconds: 6 },
      ],
      thenEverySeconds: seldom(links),
      jitter: 0.2,
    },
    attemptMs: 6_000,
    hintSpacingMs: 500,
    commandWaitMs: 5_000,
    probeAfterMs: 1_000,
    probeAgainMs: 2_000,
    closeMarginMs: 1_000,
    inFlightMs: 5_000,
    closePatienceMs: 8_000,
  };
}
