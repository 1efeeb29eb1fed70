import { describe, expect, it, vi } from 'vitest';
import { WALKS } from '../stack/walks.ts';
import { allGone, type Main, npm, ownScratch } from './mains.ts';

// Two stacks at a time: what one waits for, the other uses.
vi.setConfig({ testTimeout: 180_000, maxConcurrency: 2 });

const env = ownScratch();
const demo = (...args: string[]) => npm(['run', 'demo', '--', ...args], env);

/** The rows of the final table, its head left out. */
function table(run: Main): { reference: string; walk: string; verdict: string }[] {
  const rows = run.output().split(/^link .* verdict\n/m)[1] ?? '';
  return [...rows.matchAll(/^(\S+) +(\S.*?) {2,}.* {2,}(\S.*)$/gm)].map(
    ([, reference = '', walk = '', verdict = '']) => ({ reference, walk, verdict }),
  );
}

describe('npm run demo', () => {
  it('two at once: every walk ends as named, or the break is named with its links and why', async () => {
    const [whole, broken] = [demo(), demo('--break', 'capture')];
    const families = await Promise.all(
      [whole, broken].map(async (run) => {
        await run.said(/backend: made the link/);
        return run.family();
      }),
    );
    expect(await whole.exit, whole.output()).toBe(0);
    expect(table(whole).map(({ walk }) => walk)).toEqual(WALKS.map(({ name }) => name));
    expect(table(whole).filter(({ verdict }) => verdict !== 'as named')).toEqual([]);

    expect(await broken.exit, broken.output()).toBe(1);
    const amiss = table(broken).filter(({ verdict }) => verdict !== 'as named');
    expect(amiss.map(({ walk }) => walk)).toContain('authorized, then captured');
    expect(amiss.map(({ walk }) => walk)).not.toContain('paid, told by webhook');
    for (const { reference } of amiss) {
      expect(broken.output()).toMatch(new RegExp(`^${reference} \\(.*\\) did not end as it must:\n  - .`, 'm'));
    }
    expect(broken.output()).toMatch(
      /^DEMO\/\d\d \(authorized, then captured\) did not end as it must:\n.*capture refused: Refused by a sandbox fault/m,
    );
    expect(broken.output()).toContain(`${WALKS.length - amiss.length} of ${WALKS.length} links ended as they must.`);
    // npm, the stack, Temporal and its watch, of each.
    for (const family of families) expect(family.length).toBeGreaterThanOrEqual(4);
    await allGone(families.flat());
  });

  it.concurrent.each([
    ['while it starts', /Server: /],
    ['while links live', /customer: pays on the page/],
  ])('ended by Ctrl-C %s is no success, and leaves nothing behind', async (_, moment) => {
    const run = demo();
    await run.said(moment);
    const family = run.family();
    run.interrupt();
    expect(await run.exit).not.toBe(0);
    expect(run.output()).not.toContain('ended as they must');
    await allGone(family);
  });

  it.concurrent('--break takes only operations of the provider', async () => {
    const run = demo('--break', 'everything');
    expect(await run.exit).toBe(1);
    expect(run.output()).toContain('--break takes one of create, capture, cancel, refund, not "everything"');
  });
});
