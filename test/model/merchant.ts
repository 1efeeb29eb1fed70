import type { Answer } from '../../activities/provider.ts';
import { Truth } from './truth.ts';

/**
 * What goes wrong with one call. `lost before` did nothing and `lost after` did it, and neither is answered; `late` is
 * given up by the caller and done all the same, within the time an attempt may last; `hang` outlasts the attempt,
 * `hang after` did it before. `stale` is the answer of an earlier read; `early` tells by webhook before it answers.
 */
export const FAULTS = ['lost before', 'lost after', 'late', 'hang', 'hang after', 'busy', 'not sent'] as const;
export type Fault = (typeof FAULTS)[number] | 'refused' | 'stale' | 'early';
export type Verb = 'create' | 'inquire' | 'find' | 'extend' | 'capture' | 'cancel' | 'refund';

/** One call that moves something, as the provider saw it. */
export interface Call {
  verb: Verb;
  key: string;
  amount?: number;
  /** It took effect; a repeat that is answered from the first has none of its own. */
  effective: boolean;
}

/** Everything one provider has under one reference, and everything that is still to go wrong there. */
export class Shelf {
  readonly truth = new Truth();
  /** Provider links made for this reference that can take money. */
  readonly objects: string[] = [];
  readonly calls: Call[] = [];
  /** Instants of the reads that were answered. */
  readonly looks: number[] = [];
  /** The state of the truth that was last told to us. */
  toldVersion = -1;
  /** When the truth last changed. */
  changedAt = 0;
  expiresAt = Number.POSITIVE_INFINITY;
  /** Where this link's webhooks go, as we said when it was made. */
  callbackUrl?: string;
  /** Tells by webhook what is so now. */
  tellEarly?: () => Promise<void>;
  /** Somebody else moved money at the provider. */
  meddled = false;
  /** Calls that were given up by their caller and are still to be done. */
  underway = 0;
  /** The most writes that were worked on at once. */
  crowd = 0;
  /** What must never happen, and did. */
  readonly violations: string[] = [];
  private readonly faults = new Map<Verb, Fault[]>();
  private readonly answers: Answer[] = [];
  private working = 0;

  constructor(
    readonly reference: string,
    readonly account: string,
  ) {}

  /** What the next calls of a kind meet, in order. */
  plan(verb: Verb, ...faults: Fault[]): void {
    this.faults.set(verb, [...(this.faults.get(verb) ?? []), ...faults]);
  }

  next(verb: Verb): Fault | undefined {
    return this.faults.get(verb)?.shift();
  }

  heal(): void {
    this.faults.clear();
  }

  /** Something happened to the link. */
  happens<T>(what: (truth: Truth, now: number) => T): T {
    const { version } = this.truth;
    const result = what(this.truth, Date.now());
    if (this.truth.version !== version) this.changedAt = Date.now();
    return result;
  }

  /** A read of what stands. */
  look(): Answer {
    const now = Date.now();
    const facts = this.truth.observe(now);
    const answer = { facts, evidence: JSON.stringify(facts) };
    this.answers.push(answer);
    if (this.answers.length > 5) this.answers.shift();
    return answer;
  }

  /** The oldest of the last answers, given as if it were of now. */
  staleLook(): Answer {
    const { facts } = this.answers[0] ?? this.look();
    const old = { ...facts, latest: { ...facts.latest!, at: Date.now() } };
    return { facts: old, evidence: JSON.stringify(old) };
  }

  /** We were answered. */
  told(): void {
    this.looks.push(Date.now());
    this.toldVersion = this.truth.version;
  }

  /** Counts those who write to this link at the same time. */
  async served(ms: number): Promise<void> {
    this.working += 1;
    this.crowd = Math.max(this.crowd, this.working);
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.working -= 1;
  }

  effective(verb: Verb, key?: string): Call[] {
    return this.calls.filter((call) => call.verb === verb && call.effective && (key === undefined || call.key === key));
  }
}

/** All links of one run of the model. */
export class Market {
  private readonly shelves = new Map<string, Shelf>();

  open(reference: string, account: string): Shelf {
    const shelf = new Shelf(reference, account);
    this.shelves.set(reference, shelf);
    return shelf;
  }

  at(reference: string): Shelf {
    const shelf = this.shelves.get(reference);
    if (!shelf) throw new Error(`nobody of this run made ${reference}`);
    return shelf;
  }
}
