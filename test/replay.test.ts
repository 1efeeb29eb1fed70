import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, it } from 'vitest';
import { WALKS } from '../stack/walks.ts';
import { workflowBundle } from '../worker/bundle.ts';
import { type SavedHistory, savedHistories, walkName } from './corpus.ts';
import { quietRuntime } from './quiet-runtime.ts';

const saved = await savedHistories();
let replay: (histories: Map<string, SavedHistory>) => Promise<Map<string, unknown>>;

beforeAll(async () => {
  quietRuntime();
  const options = { workflowBundle: await workflowBundle() };
  replay = async (histories) => {
    const given = [...histories].map(([workflowId, history]) => ({ workflowId, history }));
    const errors = new Map<string, unknown>();
    for await (const { workflowId, error } of Worker.runReplayHistories(options, given)) {
      errors.set(workflowId, error);
    }
    return errors;
  };
});

/** `history` with the first of our `from` activities made one called `to`. */
function withActivity({ events }: SavedHistory, from: string, to: string): SavedHistory {
  const key = 'activityTaskScheduledEventAttributes';
  const altered = structuredClone(events);
  const event = altered.find((candidate) => (candidate[key] as Scheduled | undefined)?.activityType.name === from);
  expect(event, `a history with ${from} in it`).toBeDefined();
  (event![key] as Scheduled).activityType.name = to;
  return { events: altered };
}

interface Scheduled {
  activityType: { name: string };
}

describe('saved histories', () => {
  it('are there for every walk of the demo', () => {
    const missing = WALKS.map(walkName).filter((name) => !saved.has(name));
    expect(missing, 'save them with: npx tsx test/save-history.ts --all').toEqual([]);
  });

  it('are replayed by the workflow code as it is now', async () => {
    const errors = await replay(saved);
    expect([...errors.keys()].sort()).toEqual([...saved.keys()].sort());
    expect([...errors].filter(([, error]) => error !== undefined)).toEqual([]);
  });

  it('would show a change that breaks running links: an altered copy fails', async () => {
    const name = walkName(WALKS.find((walk) => walk.name === 'authorized, then captured')!);
    const original = saved.get(name)!;
    const errors = await replay(
      new Map([
        ['altered', withActivity(original, 'capture', 'refund')],
        ['original', original],
      ]),
    );
    expect(errors.get('altered')).toBeInstanceOf(DeterminismViolationError);
    expect(errors.get('original')).toBeUndefined();
  });
});
