import { describe, expect, it, vi } from 'vitest';
import { allGone, type Main, npm, ownScratch } from './mains.ts';

// Two stacks at a time: what one waits for, the other uses.
vi.setConfig({ testTimeout: 240_000, maxConcurrency: 2 });

const env = ownScratch();
const chaos = (...args: string[]) => npm(['run', 'chaos', '--', ...args], env);

/** How often faults of each site acted, as the run printed it. */
const firedIn = (run: Main): Map<string, number> =>
  new Map(
    [...run.output().matchAll(/^ {2}(\w+\.\w+) +(\d+) {2}/gm)].map(([, site = '', fired]) => [site, Number(fired)]),
  );

describe('npm run chaos', () => {
  it.concurrent('faults fire, workers die, Temporal and the gateway restart, and every link agrees with the ledger', async () => {
    const run = chaos('--links', '21', '--seed', '5');
    await run.said(/links begun/);
    const family = run.family();
    expect(await run.exit, run.output()).toBe(0);
    expect(run.output()).toContain('Seed 5: 21 of 21 links agree with the ledger.');
    const fired = firedIn(run);
    expect(fired.size).toBeGreaterThan(30);
    expect(
      [...fired.values()].reduce((sum, times) => sum + times),
      run.output(),
    ).toBeGreaterThan(5);
    expect(Number(/^(\d+) workers killed/m.exec(run.output())?.[1]), run.output()).toBeGreaterThan(0);
    expect(run.output()).toMatch(
      /temporal is killed[\s\S]*temporal is back[\s\S]*gateway is killed[\s\S]*gateway is back/,
    );
    await allGone(family);
  });

  it.concurrent('--plant double-capture fails, and shows both sides of the one link', async () => {
    const run = chaos('--links', '5', '--seed', '6', '--plant', 'double-capture');
    expect(await run.exit, run.output()).toBe(1);
    expect(run.output().match(/^CHAOS\S+ differs:$/gm), run.output()).toHaveLength(1);
    expect(run.output()).toMatch(/^ {2}- double capture: captured 10050 \+ 10050, at most 10050 was paid$/m);
    expect(run.output()).toMatch(/^ {2}link: +\w+, \S+, authorized 10050, captured 10050/m);
    expect(run.output()).toMatch(/^ {2}ledger: authorized 20100, captured 20100/m);
    expect(run.output()).toContain('Seed 6: 4 of 5 links agree with the ledger.');
  });

  it.concurrent('ended by Ctrl-C is no success, and leaves nothing behind', async () => {
    const run = chaos('--links', '7');
    await run.said(/links begun/);
    const family = run.family();
    // npm, the run, and at least sandbox, Temporal, gateway and a worker, each with its watch.
    expect(family.length).toBeGreaterThan(8);
    run.interrupt();
    expect(await run.exit).not.toBe(0);
    expect(run.output()).not.toContain('agree with the ledger');
    await allGone(family);
  });

  it.concurrent.each([
    [['--plant', 'gold'], '--plant takes double-capture or lost-cancel, not "gold"'],
    [['--links', '0'], '--links takes a whole number from 1 to 100000, not "0"'],
    [['--seed', 'x'], '--seed takes a whole number from 0 to 2147483647, not "x"'],
  ])('%j is refused', async (args, told) => {
    const run = chaos(...args);
    expect(await run.exit).toBe(1);
    expect(run.output()).toContain(told);
  });
});
