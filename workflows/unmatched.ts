/** What a run that keeps unmatched webhooks is told, remembers, asks for and shows. */
import { defineUpdate } from '@temporalio/workflow';
import type { ClosedLink, Tidings } from './after-end.ts';
import { when } from './card.ts';
import type { Facts } from './facts.ts';
import type { Hint } from './messages.ts';

export const UNMATCHED_TYPE = 'unmatchedWebhook';
/** `LinkStatus` of a run that shows nothing any more since somebody dismissed it, and still has webhooks to read. */
export const DISMISSED = 'dismissed';

export interface UnmatchedInput {
  account: string;
  /** What the webhooks have in common: the provider's id of the object, or our reference. */
  about: string;
  /** The shop's other sales come to this account as well: what matches nothing in time is not ours. */
  shared: boolean;
  /** How long a link may still appear. */
  patienceMs: number;
  /** Continue as new after this many history events; without it that is left to the server's suggestion. */
  continueAfterEvents?: number;
  /** Carried over by continue-as-new. */
  state?: UnmatchedState;
}

/** All a run remembers. */
export interface UnmatchedState {
  /** When the first run began, by the first hint (epoch ms). */
  since: number;
  /** Hints that are not yet delivered, read or given up, the one that is attended to among them. */
  waiting: Waiting[];
  /** Evidence of those that are: the latest. */
  done: string[];
  /** The link that is over; `known` is the measure of what is new. */
  closed?: ClosedLink;
  now: Facts;
  unverified: Facts;
  /** What waits for a person. */
  published?: Tidings;
  /** What was known whenever something was published: all that a person could ever see. */
  shown: Facts;
  dismissed: boolean;
}

export interface Waiting {
  hint: Hint;
  /** When it came (epoch ms). */
  at: number;
}

/**
 * Delivers a hint to the link it names, or answers which link that was, if its run is over. Throws `NothingNew` with the
 * next delay while there is none.
 */
export interface Match {
  hint: Hint;
  /** When the hint came (epoch ms): the wait between tries grows with the age. */
  since: number;
}

export interface MatchPorts {
  match(match: Match): Promise<ClosedLink | undefined>;
}

export interface Dismissal {
  actor: string;
  reason: string;
}

/** Memo of a run that found something to be heard, or goes on for an earlier one. */
export interface UnmatchedMemo {
  /** `null`: it has been dismissed. */
  tidings?: Tidings | null;
  since?: number;
}

/**
 * An operator looked at it: it is nobody's, or it has been seen to. Settles what could be seen: what is published, or before
 * that the webhooks that were counted. The run goes on for what came since.
 */
export const dismiss = defineUpdate<void, [Dismissal]>('dismiss');

export type Outcome = 'adopted' | 'foreign' | 'nothing_new' | 'dismissed';

/** For the Temporal UI, until there is something to be heard; Markdown, nothing personal. */
export function unmatchedCard(
  { account, about, shared, patienceMs }: UnmatchedInput,
  { since, waiting, closed }: UnmatchedState,
) {
  const then = shared ? 'it is closed as foreign' : 'an operator has to look';
  return [
    `# UNMATCHED · \`${about}\``,
    `${waiting.length} authentic webhook(s) of account \`${account}\` since ${when(since)} name no open link.`,
    closed
      ? `Link \`${closed.terms.reference}\` is over; its provider is read.`
      : `A link is looked for; without one after ${Math.round(patienceMs / 60_000)} minutes ${then}.`,
    'Allowed now: `dismiss {actor, reason}`',
  ].join('\n\n');
}
