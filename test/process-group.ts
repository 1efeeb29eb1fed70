import { execFileSync } from 'node:child_process';
import { expect, vi } from 'vitest';

/** Living processes of a process group; those only waiting to be reaped do not count. */
export const living = (group: number) =>
  execFileSync('ps', ['-eo', 'pgid=,stat='], { encoding: 'utf8' })
    .split('\n')
    .filter((row) => Number(row.trim().split(/\s+/)[0]) === group && !/\sZ/.test(row)).length;

/** Waits until nothing of a process group is left. */
export const gone = (group: number) => vi.waitFor(() => expect(living(group)).toBe(0), { timeout: 20_000 });
