import type { Attention } from './exceptions.ts';
import type { Facts } from './facts.ts';
import type { Created, Operation } from './link.ts';
import type { TimelineItem } from './messages.ts';
import type { Cadence, Lost } from './ports.ts';

/** All a run remembers; travels whole with continue-as-new. Instants are epoch milliseconds. */
export interface State {
  createdAt: number;
  facts: Facts;
  operations: Operation[];
  timeline: TimelineItem[];
  created?: Created;
  /** Call id of whoever was first told of the link: he created it. */
  creator?: string;
  /** When the provider last told something new. */
  lastNewsAt: number;
  /** Ids webhooks named that no read has covered yet; present means a read is due. */
  hinted?: string[];
  /** What webhooks said that is not yet joined; it counts only where the provider cannot be asked. */
  told?: Told[];
  /** What unsigned webhooks said where nobody can be asked. */
  unverified?: Facts;
  /** What a person has to see, and what has been seen. */
  attention?: Attention;
  /** What can be found out about the create whose answer was lost. */
  lost?: Lost;
  /** Ids webhooks named while the create's outcome was unknown. */
  named?: string[];
  /** What was agreed with the order of this link: claims so far, whether the last may still hold it, and the win. */
  order?: { turn: number; claimed?: boolean; won?: boolean };
  /** Another link of the order has won: its reference. */
  lostTo?: string;
  /** Watches started so far: every one has its own activity id. */
  watches: number;
  /** Runs so far, this one included. */
  runs: number;
}

export interface Told {
  signed: boolean;
  facts: Facts;
}

/** Waits of the engine. All are inputs, so that tests pass short ones instead of sleeping. */
export interface Timing {
  cadence: Cadence;
  /** An attempt of any provider call is over after this long: the HTTP timeout (20 s) and a little. */
  attemptMs: number;
  /** Two hint reads are at least this far apart. */
  hintSpacingMs: number;
  /** A command's caller is answered after this long even if the operation still runs. */
  commandWaitMs: number;
  /** After an unknown outcome: first probe this long after the attempt's deadline … */
  probeAfterMs: number;
  /** … and the second this long after the first. */
  probeAgainMs: number;
  /** How long after the deadline the provider is given to close the link by itself. */
  closeMarginMs: number;
  /** How long money in flight may postpone closing. */
  inFlightMs: number;
  /** How long closing keeps asking an unreachable provider before it presumes. */
  closePatienceMs: number;
  /** The engine's own deadline this long after creation instead of the provider's; 0 leaves it to the provider. */
  deadlineMs: number;
  /** Continue as new after this many history events; 0 leaves it to the server's suggestion. */
  continueAfterEvents: number;
}

export const TIMING: Timing = {
  cadence: {
    rows: [
      { untilAgeSeconds: 120, everySeconds: 5 },
      { untilAgeSeconds: 600, everySeconds: 15 },
      { untilAgeSeconds: 7_200, everySeconds: 120 },
      { untilAgeSeconds: 86_400, everySeconds: 900 },
    ],
    thenEverySeconds: 14_400,
    jitter: 0.2,
  },
  attemptMs: 25_000,
  hintSpacingMs: 1_000,
  commandWaitMs: 15_000,
  probeAfterMs: 30_000,
  probeAgainMs: 60_000,
  closeMarginMs: 15_000,
  inFlightMs: 30 * 60_000,
  closePatienceMs: 60_000,
  deadlineMs: 0,
  continueAfterEvents: 0,
};

export const MAX_OPERATIONS = 200;
export const MAX_TIMELINE = 200;
