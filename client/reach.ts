/** Calls to Temporal that end in time, and whose failures a caller can tell apart. */
import {
  type Client,
  isGrpcDeadlineError,
  isGrpcServiceError,
  QueryNotRegisteredError,
  ServiceError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { NamespaceNotFoundError } from '@temporalio/common';
import { AHEAD } from '../workflows/interceptors.ts';
import type { Link } from '../workflows/link.ts';
import { NotFound, Unavailable } from './errors.ts';

/** How long callers wait for an update, in milliseconds. */
export interface Patience {
  /** Without an answer after this long, the link is looked at: does anybody work on it? */
  lookAfterMs: number;
  /** The look itself may take this long. */
  lookMs: number;
  /** The link as it was seen is the answer after this long. */
  giveUpAfterMs: number;
}

const TOO_EARLY_MS = 20;

/** `deadline` is an instant in epoch milliseconds; `signal` ends the calls earlier. */
export interface Limits {
  deadline: number;
  signal?: AbortSignal;
}

/**
 * Runs the Temporal calls of `fn` within `limits`.
 *
 * @throws Unavailable for everything that means "not now": unreachable, too slow, no worker, namespace missing.
 *   Answers (workflow not found, already started, update failed) pass as the SDK's own errors.
 */
export async function within<T>(client: Client, limits: Limits, fn: () => Promise<T>): Promise<T> {
  const { connection } = client;
  const timed = () => connection.withDeadline(limits.deadline, fn);
  for (;;) {
    try {
      return await (limits.signal ? connection.withAbortSignal(limits.signal, timed) : timed());
    } catch (error) {
      if (!cameTooEarly(error) || Date.now() >= limits.deadline) throw understood(error);
      await pause(TOO_EARLY_MS);
    }
  }
}

/** The run has a task waiting by now, so the same query again comes with it. */
const cameTooEarly = (error: unknown) => error instanceof QueryNotRegisteredError && error.message.includes(AHEAD);

/** The SDK's error as ours where it means that nobody answered, else as it is. */
function understood(error: unknown): unknown {
  if (error instanceof NamespaceNotFoundError) {
    return new Unavailable(`Temporal has no namespace "${error.namespace}"`, { cause: error });
  }
  if (error instanceof QueryNotRegisteredError) {
    return new Unavailable('the worker could not read the link', { cause: error });
  }
  if (isGrpcDeadlineError(error) || error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
    return new Unavailable('Temporal or the worker did not answer in time', { cause: error });
  }
  if (error instanceof ServiceError || isGrpcServiceError(error)) {
    return new Unavailable('Temporal did not take the call', { cause: error });
  }
  return error;
}

/**
 * Waits for an update. When that takes long, looks at the link: no answer to a look means that nobody works on it
 * (Unavailable, early enough to say so); an answer means that the work is under way, and is itself the answer when
 * the wait ends first. Instants count from `startedAt`, so that two updates can share one wait.
 */
export async function patiently<T>(
  client: Client,
  { lookAfterMs, lookMs, giveUpAfterMs }: Patience,
  startedAt: number,
  update: () => Promise<T>,
  look: (limits: Limits) => Promise<Link>,
): Promise<{ answer: T } | { seen: Link }> {
  const quit = new AbortController();
  const answered = within(client, { deadline: startedAt + giveUpAfterMs, signal: quit.signal }, update).then(
    (answer) => ({ answer }),
  );
  // Whoever waits hears of a failure below; a failure after that is nobody's.
  answered.catch(() => undefined);
  let seen: { seen: Link } | undefined;
  try {
    const early = await race(answered, startedAt + lookAfterMs);
    if (early) return early;
    const looked = look({ deadline: Date.now() + lookMs, signal: quit.signal }).then((link) => ({ seen: link }));
    looked.catch(() => undefined);
    const first = await Promise.race([answered, looked]);
    if ('answer' in first) return first;
    seen = first;
    return await answered;
  } catch (error) {
    if (seen && error instanceof Unavailable) return seen;
    if (error instanceof NotFound) {
      throw new Unavailable('Temporal did not accept the request in time; the same request again is safe');
    }
    throw error;
  } finally {
    quit.abort();
  }
}

/** `promise`, or undefined at `instant` if that comes first. */
async function race<T>(promise: Promise<T>, instant: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const due = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, instant - Date.now()), undefined);
  });
  try {
    return await Promise.race([promise, due]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after `ms`. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
