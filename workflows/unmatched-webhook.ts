import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  defineUpdate,
  isCancellation,
  proxyActivities,
  rootCause,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { afterEndCard, type ClosedLink, heard, type Tidings, tidingsOf } from './after-end.ts';
import { linkExceptions, linkProviderId } from './attributes.ts';
import { when } from './card.ts';
import { canonical, type Facts, join } from './facts.ts';
import { facts, type Hint, observed, TASK_QUEUE } from './messages.ts';
import { TIMING } from './state.ts';
import { worldOf } from './world.ts';

export const UNMATCHED_TYPE = 'unmatchedWebhook';

export interface UnmatchedInput {
  account: string;
  /** What the webhooks have in common: the provider's id of the object, or our reference. */
  about: string;
  /** The shop's other sales come to this account as well: what matches nothing in time is not ours. */
  shared: boolean;
  /** How long a link may still appear. */
  patienceMs: number;
}

/**
 * Delivers a hint to the link it names, or answers which link that was, if its run is over. Throws `NothingNew` with the
 * next delay while there is none.
 */
export interface Match {
  hint: Hint;
  /** When the first hint came (epoch ms): the wait between tries grows with the age. */
  since: number;
}

export interface MatchPorts {
  match(match: Match): Promise<ClosedLink | undefined>;
}

export interface Dismissal {
  actor: string;
  reason: string;
}

/** Memo of a run that found something to be heard. */
export interface UnmatchedMemo {
  tidings?: Tidings;
}

/** An operator looked at it: it is nobody's, or it has been seen to. */
export const dismiss = defineUpdate<void, [Dismissal]>('dismiss');

/**
 * Authentic webhooks that name no open link: one run per account and provider object. They are delivered as soon as
 * the link appears; what nobody claims is closed as foreign on accounts that share their provider with other systems,
 * and kept for an operator elsewhere. Is the link over, its provider is read: what was known ends quietly, late money and
 * disputes stay until an operator has seen to them.
 */
export async function unmatchedWebhook(
  input: UnmatchedInput,
): Promise<'adopted' | 'foreign' | 'nothing_new' | 'dismissed'> {
  const { account, about, shared, patienceMs } = input;
  const since = Date.now();
  const waiting = new Map<string, Hint>();
  const done = new Set<string>();
  let closed: ClosedLink | undefined;
  let now: Facts = {};
  let unverified: Facts = {};
  let published = '';
  let dismissed: Dismissal | undefined;
  setHandler(facts, () => now);
  setHandler(observed, (hint) => {
    // What is no hint at all, signalled by hand, must not stop the run.
    if (typeof hint?.evidence !== 'string' || !Array.isArray(hint.ids)) return;
    if (waiting.size < MAX_HINTS && !done.has(hint.evidence)) waiting.set(hint.evidence, hint);
  });
  setHandler(
    dismiss,
    (dismissal) => {
      dismissed = dismissal;
    },
    {
      description: 'Close it as nobody’s, or as seen to: {actor, reason}',
      validator: ({ reason }) => {
        if (!reason) throw ApplicationFailure.nonRetryable('a reason is needed', 'not_allowed');
      },
    },
  );
  const { match } = proxyActivities<MatchPorts>({
    taskQueue: TASK_QUEUE,
    startToCloseTimeout: '10s',
    retry: { initialInterval: '5s', maximumInterval: '15m' },
    ...(shared ? { scheduleToCloseTimeout: patienceMs } : {}),
  });
  const { inquire } = worldOf(account, TIMING.attemptMs).reads;

  await condition(() => waiting.size > 0);
  for (;;) {
    const [evidence, hint] = [...waiting][0]!;
    if (!closed) setCurrentDetails(card(input, waiting.size, since));
    try {
      const options = { summary: `find the link of ${about}` };
      const over = await unlessDismissed(() => match.executeWithOptions(options, [{ hint, since }]));
      if (over) await hear(over, hint);
    } catch (error) {
      if (isCancellation(error) && dismissed) return 'dismissed';
      // Only the patience of a shared account ends the search.
      if (!(error instanceof ActivityFailure && shared)) throw error;
      if (!closed) return 'foreign';
    }
    waiting.delete(evidence);
    done.add(evidence);
    if (waiting.size > 0) continue;
    if (!closed) return 'adopted';
    if (published === '') return 'nothing_new';
    await condition(() => dismissed !== undefined || waiting.size > 0);
    if (dismissed) return 'dismissed';
  }

  async function hear(over: ClosedLink, hint: Hint): Promise<void> {
    // What it was compared with first stays the measure of what has come since.
    closed ??= over;
    now = join(now, over.known);
    if (closed.created.abilities.inquire) now = join(now, await read(closed, hint));
    else {
      const told = heard(closed, hint);
      now = join(now, told.facts);
      unverified = join(unverified, told.unverified);
    }
    publish(closed, tidingsOf(closed, now, unverified));
  }

  /** Until the provider answers. That it refuses to be asked is an operator's matter, and is asked again later. */
  async function read(link: ClosedLink, { ids }: Hint): Promise<Facts> {
    for (;;) {
      try {
        const { terms, created } = link;
        const options = { summary: `read for ${about}` };
        const answer = await unlessDismissed(() =>
          inquire.executeWithOptions(options, [{ terms, created, ids, known: now }]),
        );
        return answer.facts;
      } catch (error) {
        if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
        setCurrentDetails(`${card(input, waiting.size, since)}\n\nThe provider cannot be read: ${rootCause(error)}`);
        await unlessDismissed(() => condition(() => false, RETRY_AFTER_REFUSAL));
      }
    }
  }

  async function unlessDismissed<T>(work: () => Promise<T>): Promise<T> {
    const scope = new CancellationScope();
    return scope.run(async () => {
      const worked = work();
      await Promise.race([worked, condition(() => dismissed !== undefined)]);
      if (dismissed) scope.cancel();
      return worked;
    });
  }

  function publish(link: ClosedLink, tidings: Tidings): void {
    if (tidings.exceptions.length === 0) return;
    setCurrentDetails(afterEndCard(link, tidings, now));
    if (canonical(tidings) === published) return;
    published = canonical(tidings);
    upsertSearchAttributes([
      { key: linkExceptions, value: tidings.exceptions },
      { key: linkProviderId, value: link.created.ids },
    ]);
    upsertMemo({ tidings } satisfies UnmatchedMemo);
  }

  function card({ shared: foreign }: UnmatchedInput, count: number, from: number): string {
    const then = foreign ? 'it is closed as foreign' : 'an operator has to look';
    return [
      `# UNMATCHED · \`${about}\``,
      `${count} authentic webhook(s) of account \`${account}\` since ${when(from)} name no open link.`,
      `A link is looked for; without one after ${Math.round(patienceMs / 60_000)} minutes ${then}.`,
      'Allowed now: `dismiss {actor, reason}`',
    ].join('\n\n');
  }
}

const MAX_HINTS = 20;
const RETRY_AFTER_REFUSAL = '15m';
