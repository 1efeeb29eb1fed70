import {
  ActivityFailure,
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  makeContinueAsNewFunc,
  proxyActivities,
  rootCause,
  setCurrentDetails,
  setHandler,
  sleep,
  TimeoutFailure,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { afterEndCard, type ClosedLink, heard, tidingsOf } from './after-end.ts';
import { linkExceptions, linkProviderId, linkStatus } from './attributes.ts';
import { canonical, type Facts, join } from './facts.ts';
import { facts, type Hint, observed, TASK_QUEUE } from './messages.ts';
import { TIMING } from './state.ts';
import {
  DISMISSED,
  dismiss,
  type MatchPorts,
  type Outcome,
  type UnmatchedInput,
  type UnmatchedMemo,
  type UnmatchedState,
  unmatchedCard,
  type Waiting,
} from './unmatched.ts';
import { worldOf } from './world.ts';

/**
 * Authentic webhooks that name no open link: one run per account and provider object. They are delivered as soon as
 * the link appears; what nobody claims is closed as foreign on accounts that share their provider with other systems,
 * and kept for an operator elsewhere. Is the link over, its provider is read: what was known ends quietly, late money and
 * disputes stay until an operator has seen to them.
 */
export async function unmatchedWebhook(input: UnmatchedInput): Promise<Outcome> {
  const { account, about, shared, patienceMs } = input;
  const state: UnmatchedState = input.state ?? {
    ...{ since: workflowInfo().startTime.getTime(), waiting: [], done: [] },
    ...{ now: {}, unverified: {}, shown: {}, dismissed: false },
  };
  let last: Outcome | undefined;
  /** Tidings stand in attributes and memo. */
  let listed = state.published !== undefined;
  /** The history has grown: the next quiet moment continues as new. */
  let long = false;
  let trouble = '';

  setHandler(facts, () => state.shown);
  setHandler(observed, (hint) => {
    measure();
    // What is no hint at all, signalled by hand, must not stop the run.
    if (typeof hint?.evidence !== 'string' || !Array.isArray(hint.ids)) return;
    if (state.waiting.length >= MAX_HINTS || waits(hint) || state.done.includes(hint.evidence)) return;
    state.waiting.push({ hint, at: Date.now() });
    reveal();
  });
  setHandler(
    dismiss,
    () => {
      measure();
      settle();
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
  });
  const { inquire } = worldOf(account, TIMING.attemptMs).reads;

  for (;;) {
    reveal();
    await condition(() => state.waiting.length > 0 || ended() !== undefined || long);
    const outcome = ended();
    if (outcome) return outcome;
    measure();
    const [next] = state.waiting;
    if (long || !next) return handOn();
    if (!state.published) hide();
    await attend(next);
  }

  function ended(): Outcome | undefined {
    if (state.waiting.length > 0 || state.published) return undefined;
    if (state.dismissed) return 'dismissed';
    return state.closed ? 'nothing_new' : last;
  }

  async function attend(next: Waiting): Promise<void> {
    const { hint } = next;
    trouble = '';
    const stopped = () => long || !waits(hint);
    try {
      const over = await unless(stopped, () => look(next));
      if (over && waits(hint)) await hear(over, hint, stopped);
    } catch (error) {
      // It was dismissed, or the next run begins it anew.
      if (stopped()) return;
      throw error;
    }
    finish(hint);
  }

  /** The link a hint names, if it is over; undefined when an open one heard it, or it is not ours. */
  async function look({ hint, at }: Waiting): Promise<ClosedLink | undefined> {
    for (;;) {
      const patience = Math.ceil(Math.max(patienceMs - (Date.now() - at), patienceMs / 4));
      const options = { summary: `find the link of ${about}`, ...(shared ? { scheduleToCloseTimeout: patience } : {}) };
      try {
        const over = await match.executeWithOptions(options, [{ hint, since: at }]);
        last = 'adopted';
        return over;
      } catch (error) {
        // Only the patience of a shared account ends the search, and only if somebody was there to search.
        if (!shared || !isOutOfTime(error)) throw error;
        measure();
        if (!foundNothing(error)) {
          await sleep(Math.ceil(patienceMs / 20));
          continue;
        }
        last = 'foreign';
        // Nothing names it any more; its run was found, and what came of it is read there.
        return state.closed;
      }
    }
  }

  async function hear(over: ClosedLink, hint: Hint, stopped: () => boolean): Promise<void> {
    // What it was compared with first stays the measure of what has come since.
    state.closed ??= over;
    const { closed } = state;
    state.now = join(state.now, over.known);
    if (closed.created.abilities.inquire) {
      const answer = await read(closed, hint, stopped);
      // Answered and dismissed in one task: nobody has seen it, so it must not be taken as seen.
      if (!waits(hint)) return;
      state.now = join(state.now, answer);
    } else {
      const told = heard(closed, hint);
      state.now = join(state.now, told.facts);
      state.unverified = join(state.unverified, told.unverified);
    }
    publish();
  }

  /** Until the provider answers. That it refuses to be asked is an operator's matter, and is asked again later. */
  async function read({ terms, created }: ClosedLink, { ids }: Hint, stopped: () => boolean): Promise<Facts> {
    for (;;) {
      try {
        const options = { summary: `read for ${about}` };
        const ask = () => inquire.executeWithOptions(options, [{ terms, created, ids, known: state.now }]);
        const answer = await unless(stopped, ask);
        trouble = '';
        return answer.facts;
      } catch (error) {
        if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
        measure();
        trouble = `\n\nThe provider cannot be read: ${rootCause(error)}`;
        reveal();
        await unless(stopped, () => condition(() => false, RETRY_AFTER_REFUSAL));
      }
    }
  }

  /** Gives the work up as soon as it is not wanted any more. */
  async function unless<T>(stopped: () => boolean, work: () => Promise<T>): Promise<T> {
    const scope = new CancellationScope();
    return scope.run(async () => {
      const worked = work();
      await Promise.race([worked, condition(stopped)]);
      if (stopped()) scope.cancel();
      return worked;
    });
  }

  function settle(): void {
    state.dismissed = true;
    const { closed, published } = state;
    if (closed && published) {
      state.closed = { ...closed, known: join(closed.known, state.shown) };
      state.unverified = {};
      state.published = undefined;
      if (state.waiting.length > 0) hide();
    } else {
      // Nobody can have seen what comes in the same task.
      const counted = state.waiting.filter(({ at }) => at < Date.now());
      for (const { hint } of counted) finish(hint);
    }
    reveal();
  }

  function waits({ evidence }: Hint): boolean {
    return state.waiting.some(({ hint }) => hint.evidence === evidence);
  }

  function finish({ evidence }: Hint): void {
    state.waiting = state.waiting.filter(({ hint }) => hint.evidence !== evidence);
    state.done = [...state.done.filter((earlier) => earlier !== evidence), evidence].slice(-MAX_DONE);
  }

  function publish(): void {
    const { closed, now, unverified, published, dismissed } = state;
    if (!closed) return;
    const tidings = tidingsOf(closed, now, unverified);
    if (tidings.exceptions.length === 0) return;
    state.published = tidings;
    state.shown = now;
    reveal();
    if (canonical(tidings) === canonical(published)) return;
    listed = true;
    upsertSearchAttributes([
      { key: linkExceptions, value: tidings.exceptions },
      { key: linkProviderId, value: closed.created.ids },
      ...(dismissed ? [{ key: linkStatus, value: 'unmatched' }] : []),
    ]);
    upsertMemo({ tidings } satisfies UnmatchedMemo);
  }

  /** Takes out of the lists what was dismissed. A run that ends keeps it: what is over is not listed. */
  function hide(): void {
    if (!listed) return;
    listed = false;
    upsertSearchAttributes([
      { key: linkExceptions, value: null },
      { key: linkStatus, value: DISMISSED },
    ]);
    upsertMemo({ tidings: null } satisfies UnmatchedMemo);
  }

  /** For the Temporal UI; costs nothing. */
  function reveal(): void {
    const { closed, published, now } = state;
    setCurrentDetails(
      closed && published ? afterEndCard(closed, published, now) : `${unmatchedCard(input, state)}${trouble}`,
    );
  }

  /** Asked only together with what the history shows, as a link's run does. */
  function measure(): void {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    const { continueAfterEvents: limit = Number.POSITIVE_INFINITY } = input;
    long ||= continueAsNewSuggested || historyLength >= limit;
  }

  async function handOn(): Promise<never> {
    await condition(allHandlersFinished);
    // The server hands on the attributes as they are, and the memo as it was at the start.
    const memo = { ...workflowInfo().memo, since: state.since } satisfies UnmatchedMemo;
    return makeContinueAsNewFunc<typeof unmatchedWebhook>({ memo })({ ...input, state });
  }
}

/** The server says so by one of the two: a try that is the last, or one that nobody made or finished in time. */
function isOutOfTime(error: unknown): error is ActivityFailure {
  return error instanceof ActivityFailure && (error.retryState === 'TIMEOUT' || error.cause instanceof TimeoutFailure);
}

/** The last try said so. Where nobody was there to make it, what an earlier one said is long ago. */
function foundNothing({ cause }: ActivityFailure): boolean {
  return cause instanceof ApplicationFailure && cause.type === 'NothingNew';
}

const MAX_HINTS = 20;
const MAX_DONE = 200;
const RETRY_AFTER_REFUSAL = '15m';
