/**
 * The whole engine on a real server, worked on by a provider whose truth is known, by operators, by passers-by and by
 * accidents: many links at a time, each of which must end as its provider's truth has it. `npm run model` lives more.
 */
import { afterAll, describe, expect, inject, it } from 'vitest';
import { createActivities } from '../../activities/index.ts';
import { NotAuthentic, ProviderError } from '../../activities/provider.ts';
import { PaymentLinks } from '../../client/index.ts';
import { createWebhooks } from '../../gateway/webhooks.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { type Campaign, campaign, type Lived, wrongIn } from '../model/campaign.ts';
import { BUGS, codeWith, patched } from '../model/patches.ts';
import { failedTasksOf, replay } from '../model/records.ts';
import { SOMETIMES } from '../model/sometimes.ts';
import { type Code, type ModelStack, startModel } from '../model/stack.ts';
import { TOLD_LIVES } from '../model/told-lives.ts';

const { temporalAddress } = inject('stack');
const LONG = process.env.PERDURE_MODEL_RUNS !== undefined;
const RUNS = Number(process.env.PERDURE_MODEL_RUNS ?? 40);
const SEED = Number(process.env.PERDURE_MODEL_SEED ?? 7);
const told = Object.values(TOLD_LIVES);
/** A link comes to rest within so long after its last trouble. */
const WHOLE: Campaign = { told, runs: RUNS, lanes: 10, seed: SEED, patienceMs: 180_000 };
/** A bug that so many lives do not find is not found. Of the life that meets it there are three: much is chance. */
const OF_A_BUG = { runs: 72, lanes: 3, seed: SEED, patienceMs: 15_000 };

const code: Code = {
  ...{ bundle: await workflowBundle(), createActivities, createWebhooks, PaymentLinks, ProviderError, NotAuthentic },
};

// One failure in many tries is a failure.
describe('every life', { retry: 0, timeout: 120_000 + RUNS * 10_000 }, () => {
  let stack: ModelStack;
  let lived: Lived[] = [];
  afterAll(() => stack.stop());

  it(`ends as the provider has it, ${RUNS} times`, async () => {
    stack = await startModel(temporalAddress, code);
    lived = await campaign(stack, WHOLE);
    expect(wrongIn(lived, ({ end }) => end.wrong)).toEqual([]);
    expect(lived.length).toBe(RUNS);
  });

  it('costs no more events than things happened to it, fails no task, and tells nothing personal', () => {
    expect(wrongIn(lived, ({ faults }) => faults)).toEqual([]);
  });

  it('replays from what was written', async () => {
    expect(await replay(lived, code.bundle)).toEqual([]);
  });

  it('had in it what makes the rest worth something', () => {
    const times = Object.entries(SOMETIMES).map(([what, came]) => [what, lived.filter(came).length] as const);
    if (LONG) console.log(figuresOf(lived), ...times.map(([what, count]) => `\n${count} ${what}`));
    expect(times.filter(([, count]) => count === 0)).toEqual([]);
  });
});

function figuresOf(lived: readonly Lived[]): string {
  const runs = lived.flatMap((each) => each.runs);
  const events = runs.reduce((sum, run) => sum + run.events.length, 0);
  const writes = lived.reduce((sum, { life }) => sum + life.shelf.calls.length, 0);
  const late = runs.flatMap(failedTasksOf).length;
  const restarts = lived[0]?.life.stack.restarts ?? 0;
  return [
    `${lived.length} lives: ${runs.length} runs, ${events} events, ${writes} writes, ${restarts} times other workers,`,
    `${late} tasks failed after one that came too late; of them`,
  ].join(' ');
}

describe('a bug put back is found out', { retry: 0, timeout: 600_000 }, () => {
  it('each has its place in the sources', async () => {
    const places = BUGS.flatMap(({ patches }) => patches);
    expect(await Promise.allSettled(places.map((patch) => patched(patch)))).toEqual(
      places.map(() => ({ status: 'fulfilled', value: expect.any(String) })),
    );
    expect(BUGS.length).toBeGreaterThanOrEqual(10);
  });

  it.each(LONG ? BUGS.map((bug) => [bug.name, bug] as const) : [])('%s', async (_name, bug) => {
    const { remove, ...broken } = await codeWith(bug);
    const stack = await startModel(temporalAddress, broken);
    try {
      const met = TOLD_LIVES[bug.life];
      const lived = await campaign(stack, { ...OF_A_BUG, told: [met, met, met] });
      expect(wrongIn(lived)).toContainEqual(expect.stringMatching(bug.caughtBy));
    } finally {
      await stack.stop();
      await remove();
    }
  });
});
