import fc from 'fast-check';
import { type End, settle } from './judge.ts';
import { Life, type Setting } from './life.ts';
import { faultsIn, type WrittenRun, writtenOf } from './records.ts';
import { lives, type Plot, type Step } from './scripts.ts';
import type { ModelStack } from './stack.ts';

export interface Script {
  setting: Setting;
  begins: Step;
  goesOn: Iterable<fc.AsyncCommand<Plot, Life>>;
}

/** One life that was lived to its end. */
export interface Lived {
  life: Life;
  /** What was done, as fast-check tells it. */
  script: string;
  end: End;
  /** All runs of its workflow, the first one first. */
  runs: WrittenRun[];
  /** What is wrong with what the server wrote down of it. */
  faults: string[];
}

export interface Campaign {
  /** Lived first, whatever is drawn. */
  told: readonly Script[];
  /** Lives altogether. */
  runs: number;
  /** Lives at a time. */
  lanes: number;
  seed: number;
  /** How long a link may take to come to rest. */
  patienceMs: number;
}

async function live(
  stack: ModelStack,
  { setting, begins, goesOn }: Script,
  how: Parameters<typeof settle>[1],
): Promise<Lived> {
  const life = new Life(stack, setting);
  const plot = { kind: setting.kind, payments: 0 };
  await begins.run(plot, life);
  await fc.asyncModelRun(() => ({ model: plot, real: life }), goesOn);
  const end = await settle(life, how);
  const runs = await writtenOf(stack, life.reference);
  const script = `${JSON.stringify(setting)}: ${begins}, ${goesOn}`;
  return { life, script, end, runs, faults: faultsIn(life, runs) };
}

/**
 * Lives scripts, those that are told and then random ones, some at a time, until all are lived or one goes wrong. Each
 * lane draws from a seed of its own, so that a seed gives the same scripts again; what happens when is the machine's.
 */
export async function campaign(stack: ModelStack, how: Campaign): Promise<Lived[]> {
  const { told, runs, lanes, seed, patienceMs } = how;
  const all: Lived[] = [];
  const enough = () => wrongIn(all).length > 0;
  const next = async (script: Script) => {
    if (!enough()) all.push(await live(stack, script, { patienceMs, enough }));
  };
  const toTell = [...told];
  const toDraw = runs - told.length;
  const lane = async (number: number) => {
    for (let script = toTell.shift(); script; script = toTell.shift()) await next(script);
    const numRuns = Math.floor(toDraw / lanes) + (number < toDraw % lanes ? 1 : 0);
    if (numRuns > 0)
      await fc.assert(fc.asyncProperty(lives, next), { numRuns, seed: seed + number, endOnFailure: true });
  };
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  return all;
}

/** What is wrong, with the scripts that led to it. */
export const wrongIn = (all: readonly Lived[], of = ({ end, faults }: Lived) => [...end.wrong, ...faults]): string[] =>
  all.flatMap((lived) => of(lived).map((what) => `${what}\n  in ${lived.life.reference}: ${lived.script}`));
