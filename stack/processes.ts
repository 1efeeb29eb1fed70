import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

const TAIL_LINES = 50;
const DRAIN_MS = 1_000;

/**
 * Starts the command ($2 …) in this process, next to a watch that ends it when we are gone. The watch reads file
 * descriptor 3, a pipe that only we hold open: however we end, SIGKILL included, it reads end-of-file, asks the command
 * to stop, and after ten seconds kills the group. As a member of the group it also keeps the group's number from being
 * given to another process, so that killing the group is safe even after the command has exited.
 */
const LAUNCH = `
scratch=$1; shift
(
  while read -r _; do :; done <&3
  PATH=$PATH:/usr/bin:/bin
  kill -TERM $$
  tries=0
  while kill -0 $$ && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  [ -n "$scratch" ] && rm -rf "$scratch"
  kill -KILL -$$
) >/dev/null 2>&1 &
exec "$@" 3<&-
`;

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A running child process, leader of its own process group. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly running: boolean;
  /** Resolves, never rejects, once the process and everything in its group is gone and its output is read. */
  readonly exited: Promise<Exit>;
  /** The last lines of its standard output and error together. */
  tail(lines?: number): string;
  /** Resolves with the first line of output that matches, among the last ones or to come. */
  line(pattern: RegExp): Promise<string>;
  /** Sends a signal to the process; nothing happens once it has exited. */
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL to the whole group if it is still there after `graceMs` (10 s). Safe to repeat. */
  stop(graceMs?: number): Promise<Exit>;
}

export interface ChildOptions {
  /** As messages call it. */
  name: string;
  command: string;
  args?: readonly string[];
  /** The whole environment of the child; ours by default. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Called with every line of output. */
  log?: (line: string) => void;
  /** Resolves when the child can be used, e.g. `(child) => child.line(/^ready/)`. Without it, started is ready. */
  ready?: (child: Child) => Promise<unknown>;
  /** Time for `ready`; 60 s by default. */
  readyTimeoutMs?: number;
  /** A folder that is removed with the child, however it ends. */
  scratch?: string;
}

/** A child did not become ready, or did not do its work. `output` is the end of what it wrote. */
export class ChildFailed extends Error {
  override readonly name = 'ChildFailed';
  readonly output: string;

  constructor(message: string, output: string) {
    super(output === '' ? message : `${message}; its last output:\n${output.replace(/^/gm, '  ')}`);
    this.output = output;
  }
}

/**
 * Starts a process that cannot outlive us. It is detached, so Ctrl-C does not reach it and its owner decides the order
 * of stopping; if we end without stopping it, it is ended for us. Linux and macOS (needs `sh`).
 * @throws ChildFailed when it exits before it is ready (also: command not found) or is not ready in time.
 */
export async function spawnChild(options: ChildOptions): Promise<Child> {
  const child = launch(options);
  const { ready, readyTimeoutMs = 60_000 } = options;
  if (!ready) return child;
  const timer = new AbortController();
  try {
    await Promise.race([
      ready(child),
      child.exited.then((exit) => {
        throw new ChildFailed(`${child.name} ${describeExit(exit)} before it was ready`, child.tail(15));
      }),
      delay(readyTimeoutMs, undefined, { signal: timer.signal }).then(() => {
        throw new ChildFailed(`${child.name} was not ready after ${readyTimeoutMs / 1000} s`, child.tail(15));
      }),
    ]);
    return child;
  } catch (error) {
    await child.stop();
    throw error;
  } finally {
    timer.abort();
  }
}

/** `exited with code 1`, `was ended by SIGKILL`. */
export function describeExit({ code, signal }: Exit): string {
  return signal ? `was ended by ${signal}` : `exited with code ${code}`;
}

function launch({ name, command, args = [], env, cwd, log, scratch }: ChildOptions): Child {
  const handle: ChildProcess = spawn('/bin/sh', ['-c', LAUNCH, 'sh', scratch ?? '', command, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env,
    cwd,
  });
  const lines: string[] = [];
  const waiting = new Set<(line: string) => void>();
  for (const stream of [handle.stdout, handle.stderr]) {
    createInterface({ input: stream! }).on('line', (line) => {
      lines.push(line);
      if (lines.length > TAIL_LINES) lines.shift();
      log?.(line);
      for (const offer of waiting) offer(line);
    });
  }
  // The watch never writes; the pipe ends with an error when its other end is killed.
  (handle.stdio[3] as Writable).on('error', () => {});

  let running = true;
  const exited = new Promise<Exit>((resolve) => {
    const gone = (exit: Exit) => {
      running = false;
      signalGroup(handle.pid, 'SIGKILL');
      // A process that left the group may still hold the output open; we do not wait for it.
      const closed = new Promise((done) => handle.once('close', done));
      void Promise.race([closed, delay(DRAIN_MS, undefined, { ref: false })])
        .then(() => (scratch ? rm(scratch, { recursive: true, force: true, maxRetries: 3 }) : undefined))
        .catch((error: unknown) => log?.(`cannot remove ${scratch}: ${String(error)}`))
        .then(() => resolve(exit));
    };
    handle.once('exit', (code, signal) => gone({ code, signal }));
    handle.once('error', (error) => {
      // Only a failed start lands here before the exit: no `sh`, no such `cwd`, no process left.
      lines.push(String(error));
      if (handle.pid === undefined) gone({ code: 127, signal: null });
    });
  });

  const kill = (signal: NodeJS.Signals) => {
    if (running) handle.kill(signal);
  };
  let stopped: Promise<Exit> | undefined;
  const stop = async (graceMs: number): Promise<Exit> => {
    kill('SIGTERM');
    const timer = setTimeout(() => running && signalGroup(handle.pid, 'SIGKILL'), graceMs);
    try {
      return await exited;
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    name,
    pid: handle.pid ?? 0,
    get running() {
      return running;
    },
    exited,
    tail: (count = TAIL_LINES) => lines.slice(-count).join('\n'),
    line: (pattern) =>
      new Promise((resolve) => {
        const seen = lines.find((line) => pattern.test(line));
        if (seen !== undefined) return resolve(seen);
        const offer = (line: string) => {
          if (!pattern.test(line)) return;
          waiting.delete(offer);
          resolve(line);
        };
        waiting.add(offer);
      }),
    kill,
    stop: (graceMs = 10_000) => {
      stopped ??= stop(graceMs);
      return stopped;
    },
  };
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (!pid) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // EPERM is how macOS says that only zombies are left.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
