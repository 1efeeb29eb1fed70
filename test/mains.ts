/** `npm start` and `npm run demo` as a terminal runs them: a process group of their own, ended by Ctrl-C. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, vi } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

export interface Main {
  /** Resolves with the exit code once it has ended and its output is read; null when a signal ended it. */
  readonly exit: Promise<number | null>;
  /** Standard output and error so far, as they came. */
  output(): string;
  /** Waits until the output matches; fails at once, with all of it, when the process ends without that. */
  said(pattern: RegExp): Promise<void>;
  /** What Ctrl-C does: the whole foreground group gets SIGINT. */
  interrupt(): void;
  /** Every process it has started by now, itself included, in whatever group. */
  family(): Process[];
}

/** A pid alone may be given away again; with the time of its start it names one process. */
type Process = `${number} ${string}`;

const mains: { pid: number; exit: Promise<unknown>; ended: boolean }[] = [];

// Killed like this, their children go by their own watch.
afterAll(async () => {
  for (const { pid, ended } of mains) if (!ended) process.kill(-pid, 'SIGKILL');
  await Promise.all(mains.map(({ exit }) => exit));
});

/** An environment whose temporary folder is the test file's own: whatever happens to its runs, it is empty in the end. */
export function ownScratch(): { TMPDIR?: string } {
  const env: { TMPDIR?: string } = {};
  beforeAll(async () => {
    env.TMPDIR = await mkdtemp(join(tmpdir(), 'perdure-test-'));
  });
  afterAll(async () => {
    expect((await readdir(env.TMPDIR!)).filter((name) => name.startsWith('perdure-'))).toEqual([]);
    await rm(env.TMPDIR!, { recursive: true });
  });
  return env;
}

/** Runs `npm` with these arguments; Temporal is its own, whatever the environment says. */
export function npm(args: string[], env: NodeJS.ProcessEnv = {}): Main {
  const child = spawn('npm', args, {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TEMPORAL_ADDRESS: undefined, ...env },
  });
  const pid = child.pid!;
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  const main = { pid, exit, ended: false };
  child.once('close', () => (main.ended = true));
  mains.push(main);
  return {
    exit,
    output: () => output,
    said: async (pattern) => {
      const heard = () => {
        if (pattern.test(output)) return true;
        if (main.ended) throw new Error(`npm ${args.join(' ')} ended without saying ${pattern}:\n${output}`);
        return false;
      };
      await vi.waitUntil(heard, { timeout: 120_000 });
    },
    interrupt: () => void process.kill(-pid, 'SIGINT'),
    family: () => familyOf(pid),
  };
}

function processes(): { pid: number; parent: number; zombie: boolean; name: Process }[] {
  return execFileSync('ps', ['-eo', 'pid=,ppid=,stat=,lstart='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((row) => {
      const [pid = '', parent = '', stat = '', ...started] = row.trim().split(/\s+/);
      const name: Process = `${Number(pid)} ${started.join(' ')}`;
      return { pid: Number(pid), parent: Number(parent), zombie: stat.startsWith('Z'), name };
    });
}

function familyOf(eldest: number): Process[] {
  const all = processes();
  const family = all.filter(({ pid }) => pid === eldest);
  for (const { pid } of family) family.push(...all.filter(({ parent }) => parent === pid));
  return family.map(({ name }) => name);
}

/** Waits until none of them lives; those only waiting to be reaped do not count. */
export async function allGone(family: Process[]): Promise<void> {
  const left = () => processes().filter(({ name, zombie }) => !zombie && family.includes(name));
  await vi.waitFor(() => expect(left()).toEqual([]), { timeout: 20_000 });
}
