import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  defineUpdate,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import { when } from './card.ts';
import { type Hint, observed, TASK_QUEUE } from './messages.ts';

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

/** Delivers a hint to the link it names; throws `NothingNew` with the next delay while there is none. */
export interface Match {
  hint: Hint;
  /** When the first hint came (epoch ms): the wait between tries grows with the age. */
  since: number;
}

export interface MatchPorts {
  match(match: Match): Promise<void>;
}

export interface Dismissal {
  actor: string;
  reason: string;
}

/** An operator looked at it: it is nobody's. */
export const dismiss = defineUpdate<void, [Dismissal]>('dismiss');

/**
 * Authentic webhooks that name no open link: one run per account and provider object. They are delivered as soon as
 * the link appears; what nobody claims is closed as foreign on accounts that share their provider with other systems,
 * and kept for an operator elsewhere.
 */
export async function unmatchedWebhook(input: UnmatchedInput): Promise<'adopted' | 'foreign' | 'dismissed'> {
  const { account, about, shared, patienceMs } = input;
  const since = Date.now();
  const waiting = new Map<string, Hint>();
  let dismissed: Dismissal | undefined;
  setHandler(observed, (hint) => {
    if (waiting.size < MAX_HINTS) waiting.set(hint.evidence, hint);
  });
  setHandler(
    dismiss,
    (dismissal) => {
      dismissed = dismissal;
    },
    {
      description: 'Close it as nobody’s: {actor, reason}',
      validator: ({ reason }) => {
        if (!reason) throw ApplicationFailure.nonRetryable('a reason is needed', 'not_allowed');
      },
    },
  );
  const { match } = proxyActivities<MatchPorts>({
    taskQueue: TASK_QUEUE,
    startToCloseTimeout: '10s',
    // For tries lost to a crash; the others name their own delay, and count as attempts all the same.
    retry: { initialInterval: '5s', backoffCoefficient: 1 },
    ...(shared ? { scheduleToCloseTimeout: patienceMs } : {}),
  });

  await condition(() => waiting.size > 0);
  for (;;) {
    const [evidence, hint] = [...waiting][0]!;
    setCurrentDetails(card(input, waiting.size, since));
    const scope = new CancellationScope();
    try {
      await scope.run(async () => {
        const delivered = match.executeWithOptions({ summary: `find the link of ${about}` }, [{ hint, since }]);
        await Promise.race([delivered, condition(() => dismissed !== undefined)]);
        if (dismissed) scope.cancel();
        await delivered;
      });
    } catch (error) {
      if (isCancellation(error) && dismissed) return 'dismissed';
      // Only the patience of a shared account ends the search.
      if (error instanceof ActivityFailure && shared) return 'foreign';
      throw error;
    }
    waiting.delete(evidence);
    if (waiting.size === 0) return 'adopted';
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
