import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import { accountQueue, watchQueue } from './messages.ts';
import type { Ports } from './ports.ts';

/** `Refused` and `OutcomeUnknown` are answers, not faults: the workflow decides what follows. */
const ANSWERS = ['Refused', 'OutcomeUnknown'];

/**
 * Acts that must not happen twice. The server retries only what is proven not sent; an attempt that timed out may
 * have happened. A half-done write is never cancelled, its answer has to be recorded.
 */
const acts = (account: string, attemptMs: number): ActivityOptions => ({
  taskQueue: accountQueue(account),
  startToCloseTimeout: attemptMs,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: {
    initialInterval: '1s',
    backoffCoefficient: 2,
    maximumInterval: '1m',
    nonRetryableErrorTypes: [...ANSWERS, 'TemporalTimeout:StartToClose'],
  },
});

/** Reads are harmless: repeated until the provider answers. */
const reads = (account: string, attemptMs: number): ActivityOptions => ({
  taskQueue: accountQueue(account),
  startToCloseTimeout: attemptMs,
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '5m', nonRetryableErrorTypes: ANSWERS },
});

/**
 * One retried activity per change: a poll adds nothing to the history and holds no slot between attempts. No
 * schedule-to-close: it would end the watch early, deadlines are the workflow's timers.
 */
const polls = (account: string, attemptMs: number): ActivityOptions => ({
  taskQueue: watchQueue(account),
  startToCloseTimeout: attemptMs,
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  // Only attempts lost to a crash or timeout follow this policy; all others name their own delay. Quiet polls count as
  // attempts, so with a coefficient the poll after a crash would come the later, the longer the link has waited.
  retry: { initialInterval: '5s', backoffCoefficient: 1 },
});

/** Every port with its queue, timeout and retries. `attemptMs` is the limit of one attempt. */
export function worldOf(account: string, attemptMs: number) {
  return {
    acts: proxyActivities<Pick<Ports, 'create' | 'extend' | 'capture' | 'cancel' | 'refund'>>(acts(account, attemptMs)),
    reads: proxyActivities<Pick<Ports, 'find' | 'inquire'>>(reads(account, attemptMs)),
    polls: proxyActivities<Pick<Ports, 'watch'>>(polls(account, attemptMs)),
  };
}

export type World = ReturnType<typeof worldOf>;
