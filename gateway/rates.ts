/** How often callers may ask. */

/** Seconds' worth that may come at once. */
const BURST_SECONDS = 2;

export interface Rates {
  /** Counts a request of the caller. Returns 0 if it may come, else the milliseconds until one may. */
  take(caller: string, perSecond: number): number;
}

/**
 * `perSecond` requests on average, two seconds' worth at once. Callers are remembered for good: they are those of the
 * keys file.
 *
 * @param now milliseconds of a clock that nobody sets
 */
export function createRates(now: () => number = () => performance.now()): Rates {
  const callers = new Map<string, { left: number; at: number }>();
  return {
    take(caller, perSecond) {
      const at = now();
      const most = Math.max(1, perSecond * BURST_SECONDS);
      const last = callers.get(caller) ?? { left: most, at };
      const left = Math.min(most, last.left + ((at - last.at) / 1_000) * perSecond);
      const goes = left >= 1;
      callers.set(caller, { left: goes ? left - 1 : left, at });
      return goes ? 0 : ((1 - left) / perSecond) * 1_000;
    },
  };
}
