/**
 * Provider ids: strings of 19 digits, strictly growing, milliseconds first and chance behind, so that neither a restart
 * nor an emptied state folder repeats one.
 */
export interface Ids {
  next(): string;
  /** Tells the source about an id read back from the state file. */
  seen(id: string): void;
}

/** An id source that starts above every id it has been told of. */
export function createIds(): Ids {
  let last = 0n;
  return {
    next() {
      const fresh = BigInt(Date.now()) * 1_000_000n + BigInt(Math.floor(Math.random() * 1_000_000));
      last = fresh > last ? fresh : last + 1n;
      return String(last);
    },
    seen(id) {
      if (BigInt(id) > last) last = BigInt(id);
    },
  };
}
