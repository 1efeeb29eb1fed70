import { defineQuery, defineSignal, setHandler, sleep, upsertSearchAttributes } from '@temporalio/workflow';
import { linkStatus } from '../../workflows/attributes.ts';

export const steps = defineQuery<string[]>('steps');
export const word = defineSignal('word');

/** Of a timer and a signal in one task it handles the signal first; in two tasks, each in its turn. */
export async function ordered(): Promise<void> {
  const done: string[] = [];
  let heard: () => void;
  const signalled = new Promise<void>((resolve) => {
    heard = resolve;
  });
  setHandler(steps, () => done);
  setHandler(word, () => {
    done.push('signal');
    upsertSearchAttributes([{ key: linkStatus, value: 'paid' }]);
    heard();
  });
  await sleep(2_000);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  done.push('timer');
  await sleep('1 minute');
  await signalled;
}
