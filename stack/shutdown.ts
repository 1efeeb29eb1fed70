import { constants } from 'node:os';

type Stop = () => unknown;

/** Ctrl-C reaches the whole foreground group, and npm and tsx forward it: one key press arrives as several signals. */
const ONE_KEY_PRESS_MS = 1_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const stops: Stop[] = [];
let listening = false;
let interruptedAt: number | undefined;
let stopping: Promise<boolean> | undefined;

/**
 * Runs `stop` when the process is told to end (SIGINT, SIGTERM, SIGHUP) or `shutdown()` is called. The last registered
 * runs first, each after the one before has finished, so register in the order of starting.
 *
 * After a signal the process exits with `process.exitCode`, or 0 if a main has not set one (Ctrl-C is how `npm start`
 * ends), or 1 if a stop function failed. A second signal more than a second after the first exits at once with
 * 128 + its number; children then go by their own watch (`processes.ts`).
 * @returns a function that takes the registration back.
 */
export function onShutdown(stop: Stop): () => void {
  if (!listening) {
    listening = true;
    for (const signal of SIGNALS) process.on(signal, interrupted);
  }
  stops.push(stop);
  return () => {
    const index = stops.indexOf(stop);
    if (index >= 0) stops.splice(index, 1);
  };
}

/** Runs the stop functions as a signal would, but leaves the process alone. False if one of them failed. */
export function shutdown(): Promise<boolean> {
  stopping ??= runStops().finally(() => {
    stopping = undefined;
  });
  return stopping;
}

async function runStops(): Promise<boolean> {
  let clean = true;
  for (let stop = stops.pop(); stop; stop = stops.pop()) {
    try {
      await stop();
    } catch (error) {
      clean = false;
      console.error('while stopping:', error);
    }
  }
  return clean;
}

function interrupted(signal: NodeJS.Signals): void {
  const now = performance.now();
  if (interruptedAt === undefined) {
    interruptedAt = now;
    void shutdown().then((clean) => process.exit(clean ? (process.exitCode ?? 0) : 1));
  } else if (now - interruptedAt > ONE_KEY_PRESS_MS) {
    process.exit(128 + constants.signals[signal]);
  }
}
