import { setTimeout as pause } from 'node:timers/promises';

/**
 * Reads of a whole account, made once for every link that wants one. Everybody who asks while a read has not begun gets
 * that read; reads of one name begin at least `spacingMs` apart. So whatever is answered was read after it was asked
 * for, and a thousand links cost as much as one.
 *
 * A read that fails has failed for everybody who waited for it.
 */
export interface SharedReads {
  /**
   * @param since How far back the asker wants to look; the read goes back to the earliest of them all.
   * @param read Called with that instant, once for all askers.
   */
  ask<T>(name: string, spacingMs: number, since: number, read: (since: number) => Promise<T>): Promise<T>;
}

interface Gathering {
  since: number;
  answer: Promise<unknown>;
}

export function createSharedReads(): SharedReads {
  const gatherings = new Map<string, Gathering>();
  const begun = new Map<string, number>();

  async function begin<T>(name: string, wait: number, read: (since: number) => Promise<T>): Promise<T> {
    // Also without a wait: links that ask in the same instant are together.
    await pause(wait);
    const since = gatherings.get(name)?.since ?? 0;
    gatherings.delete(name);
    begun.set(name, performance.now());
    return read(since);
  }

  return {
    ask<T>(name: string, spacingMs: number, since: number, read: (since: number) => Promise<T>): Promise<T> {
      const known = gatherings.get(name);
      if (known) {
        known.since = Math.min(known.since, since);
        return known.answer as Promise<T>;
      }
      const wait = (begun.get(name) ?? Number.NEGATIVE_INFINITY) + spacingMs - performance.now();
      const answer = begin(name, Math.max(0, wait), read);
      gatherings.set(name, { since, answer });
      return answer;
    },
  };
}
