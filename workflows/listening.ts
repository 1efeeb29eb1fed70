/** How a link hears of what happens at the provider: polls that stay silent, and hints that cause one read each. */
import {
  ActivityFailure,
  CancellationScope,
  condition,
  isCancellation,
  patched,
  rootCause,
  sleep,
} from '@temporalio/workflow';
import { moneyIsHere, restsAt } from './deadlines.ts';
import { isNews } from './facts.ts';
import { look, read } from './reads.ts';
import type { Run } from './run.ts';

/** Credentials that were refused are an operator's matter: asking again soon would not help. */
const REST_AFTER_FAILURE = '15m';

/** A hint may be left to a poll that comes no later than this. */
const SOON_SECONDS = 10;

/**
 * Asks the provider for as long as the run lives: a paid link is looked at seldom, yet it may be paid again, disputed, or
 * refunded in the portal. One activity per change, none per poll.
 */
export async function watchProvider(run: Run): Promise<never> {
  const worthwhile = () => !run.leaving && run.created?.abilities.inquire === true;
  for (;;) {
    await condition(worthwhile);
    run.state.watches += 1;
    run.watched = { facts: run.state.facts, lastNewsAt: run.state.lastNewsAt };
    // Left alone when a webhook or command was faster: it finds that the run knows, and goes on looking.
    const failure = await untilLeaving(run, async () => {
      const { facts } = await run.world.polls.watch.executeWithOptions(
        // A fixed id rescheduled while its predecessor is in flight would wedge the workflow task.
        { activityId: `watch-${run.state.watches}`, summary: 'poll until something changes' },
        [
          {
            ...run.handle(),
            known: run.state.facts,
            lastNewsAt: run.state.lastNewsAt,
            cadence: run.timing.cadence,
          },
        ],
      );
      run.learn('poll', facts);
    });
    run.watched = undefined;
    if (failure) {
      run.note({ kind: 'problem', source: 'poll', summary: `polling rests: ${failure}` });
      await condition(() => !worthwhile(), REST_AFTER_FAILURE, { summary: 'polling rests after a failure' });
    }
  }
}

/** Runs from before this name left their last hint to the watch. */
const READS_BEFORE_REST = 'reads before rest';

/** Reads once per hint; hints that come while a read runs cause exactly one more. */
export async function heedHints(run: Run): Promise<never> {
  let readAt = Number.NEGATIVE_INFINITY;
  // Before the provider answered create there is nothing to read, unless that answer was lost.
  const due = () =>
    !run.leaving &&
    run.state.hinted !== undefined &&
    (run.created !== undefined || run.unsettled.some((op) => op.kind === 'create' && op.state === 'unknown'));
  for (;;) {
    await condition(due);
    // The webhook of our own write: the write's answer comes first, then one read for all that was heard meanwhile.
    const own = run.writing;
    if (own) await condition(() => !run.writing || run.leaving);
    if (run.leaving) continue;
    if (run.hasJustSettled && looksSoon(run) && !(restsSoon(run) && patched(READS_BEFORE_REST))) {
      // What the write told is news to the watch under way: its next look is the read.
      run.state.hinted = undefined;
      continue;
    }
    const tooEarly = own ? 0 : readAt + run.timing.hintSpacingMs - Date.now();
    if (tooEarly > 0) await sleep(tooEarly, { summary: 'hints come one second apart' });
    if (!due()) continue;
    run.weigh();
    const ids = run.state.hinted ?? [];
    run.state.hinted = undefined;
    run.busy += 1;
    const failure = await untilLeaving(run, async () => {
      if (!run.created) await look(run, { ids });
      else if (run.created.abilities.inquire) await read(run, 'webhook', ids);
    });
    // Cut short by continue-as-new: the next run reads.
    if (run.leaving) run.hint(ids);
    run.busy -= 1;
    if (failure) run.note({ kind: 'problem', source: 'webhook', summary: `no read: ${failure}` });
    readAt = Date.now();
  }
}

/** Whether a watch is under way that looks within seconds, and knows less than the run does. */
function looksSoon({ watched, matter, state, timing: { cadence } }: Run): boolean {
  if (!watched || moneyIsHere({ ...matter, facts: watched.facts }) || !isNews(watched.facts, state.facts)) return false;
  const age = (Date.now() - watched.lastNewsAt) / 1000;
  const row = cadence.rows.find(({ untilAgeSeconds }) => age < untilAgeSeconds);
  return (row?.everySeconds ?? cadence.thenEverySeconds) <= SOON_SECONDS;
}

/** Perhaps before the watch looks. */
function restsSoon({ matter }: Run): boolean {
  const rest = restsAt(matter);
  return rest !== undefined && rest < Date.now() + 2 * SOON_SECONDS * 1000;
}

/** Does `work`, and gives it up for continue-as-new. A provider's final no is returned, as its words. */
async function untilLeaving(run: Run, work: () => Promise<void>): Promise<string | undefined> {
  const scope = new CancellationScope();
  try {
    await scope.run(async () => {
      const worked = work();
      await Promise.race([worked, condition(() => run.leaving)]);
      scope.cancel();
      await worked;
    });
  } catch (error) {
    if (isCancellation(error)) return undefined;
    if (error instanceof ActivityFailure) return rootCause(error);
    throw error;
  }
  return undefined;
}
