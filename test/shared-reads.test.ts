import { describe, expect, it } from 'vitest';
import { createSharedReads } from '../activities/shared-reads.ts';

/** Reads that are counted, and answered when the test says so. */
function library() {
  const begun: number[] = [];
  const waiting: ((error?: Error) => void)[] = [];
  return {
    begun,
    read: (since: number) => {
      begun.push(since);
      return new Promise<number>((resolve, reject) => {
        waiting.push((error) => (error ? reject(error) : resolve(begun.length)));
      });
    },
    answer: (error?: Error) => waiting.shift()?.(error),
    async untilBegun(count: number) {
      while (begun.length < count) await new Promise((resolve) => setTimeout(resolve, 1));
    },
  };
}

describe('a shared read', () => {
  it('is made once for all who asked before it began, as far back as any of them wants', async () => {
    const { ask } = createSharedReads();
    const { begun, read, answer, untilBegun } = library();
    const asked = [50, 30, 40].map((since) => ask('payments', 0, since, read));
    await untilBegun(1);
    answer();
    expect(await Promise.all(asked)).toEqual([1, 1, 1]);
    expect(begun).toEqual([30]);
  });

  it('does not serve whoever asks after it began: he gets what is read after he asked', async () => {
    const { ask } = createSharedReads();
    const { begun, read, answer, untilBegun } = library();
    const early = ask('payments', 0, 10, read);
    await untilBegun(1);
    const late = ask('payments', 0, 20, read);
    answer();
    expect(await early).toBe(1);
    await untilBegun(2);
    answer();
    expect(await late).toBe(2);
    expect(begun).toEqual([10, 20]);
  });

  it('waits until the one before it began long enough ago, and gathers all who ask meanwhile', async () => {
    const { ask } = createSharedReads();
    const { begun, read, answer, untilBegun } = library();
    const first = ask('payments', 150, 1, read);
    await untilBegun(1);
    const began = performance.now();
    answer();
    await first;
    const rest = [ask('payments', 150, 5, read)];
    await new Promise((resolve) => setTimeout(resolve, 20));
    rest.push(ask('payments', 150, 4, read), ask('payments', 150, 6, read));
    await untilBegun(2);
    expect(performance.now() - began).toBeGreaterThan(100);
    answer();
    expect(await Promise.all(rest)).toEqual([2, 2, 2]);
    expect(begun).toEqual([1, 4]);
  });

  it('fails for everybody, and the next one is not hurt by it', async () => {
    const { ask } = createSharedReads();
    const { read, answer, untilBegun } = library();
    const asked = Promise.allSettled([ask('payments', 0, 1, read), ask('payments', 0, 1, read)]);
    await untilBegun(1);
    answer(new Error('no connection'));
    expect((await asked).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const again = ask('payments', 0, 1, read);
    await untilBegun(2);
    answer();
    expect(await again).toBe(2);
  });

  it('of one name has nothing to do with that of another', async () => {
    const { ask } = createSharedReads();
    const { begun, read, answer, untilBegun } = library();
    const asked = [ask('payments of one key', 60_000, 1, read), ask('payments of another', 60_000, 2, read)];
    await untilBegun(2);
    answer();
    answer();
    await Promise.all(asked);
    expect(begun).toEqual([1, 2]);
  });
});
