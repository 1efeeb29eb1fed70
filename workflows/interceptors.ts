/** Loaded by every workflow worker beside the workflows: see worker/bundle.ts. */
import type { WorkflowInternalsInterceptor } from '@temporalio/workflow';

type Activation = Parameters<NonNullable<WorkflowInternalsInterceptor['activate']>>[0]['activation'];

/** Stands in the failure of a query that came too early; who asks again is answered. */
export const AHEAD = 'the run was asked between an event and its workflow task';

/**
 * Refuses events that have no workflow task yet. A query makes a worker that does not hold the run fetch its history;
 * has an event come in since the server handed the query out, SDK 1.24 would let the workflow act on it at once, in the
 * name of a task that only starts later. What else that task then brings is one activation in a replay and two here,
 * so commands may change places, and the run would fail every task from then on.
 *
 * Such an activation shows the time of the task before, yet more of the history. Refused, the worker forgets the run,
 * and the task finds it as the history has it.
 */
export function refuseEarlyEvents(): WorkflowInternalsInterceptor {
  let last: { time: string; events: number } | undefined;
  return {
    activate(input, next) {
      const { isReplaying, historyLength, jobs } = input.activation;
      if (!jobs?.every(({ queryWorkflow }) => queryWorkflow)) {
        const now = { time: timeOf(input.activation), events: historyLength ?? 0 };
        if (!isReplaying && last?.time === now.time && now.events > last.events) throw new Error(AHEAD);
        last = now;
      }
      next(input);
    },
  };
}

/** To the nanosecond. */
const timeOf = ({ timestamp }: Activation): string => `${timestamp?.seconds}.${timestamp?.nanos}`;

export const interceptors = () => ({ internals: [refuseEarlyEvents()] });
