import { defaultPayloadConverter } from '@temporalio/common';
import proto, { type temporal } from '@temporalio/proto';
import { Worker, type WorkflowBundleOption } from '@temporalio/worker';
import { type LinkInput, workflowIdOf } from '../../workflows/messages.ts';
import type { Lived } from './campaign.ts';
import { CUSTOMER, type Life } from './life.ts';
import type { ModelStack } from './stack.ts';

const { WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE } =
  proto.temporal.api.enums.v1.WorkflowTaskFailedCause;
/** Something came in just as a task ended, or its worker went: the server asks again. */
const HARMLESS: readonly unknown[] = [
  WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
  WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
];

export interface WrittenRun {
  runId: string;
  history: temporal.api.history.v1.IHistory;
  events: temporal.api.history.v1.IHistoryEvent[];
}

/** What the server wrote down of one link: all runs of its reference, the first one first. */
export async function writtenOf({ client }: ModelStack, reference: string): Promise<WrittenRun[]> {
  const runs: WrittenRun[] = [];
  const workflowId = workflowIdOf(reference);
  const { runId: latest } = await client.workflow.getHandle(workflowId).describe();
  for (let runId: string | undefined = latest; runId; ) {
    const history: WrittenRun['history'] = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const events: WrittenRun['events'] = history.events ?? [];
    runs.unshift({ runId, history, events });
    runId = events[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || undefined;
  }
  return runs;
}

/**
 * Workflow tasks that failed. One that follows a task whose answer came too late is `outrun`: its worker still held what
 * nobody had accepted, and begins anew. Would it fail again, the link would not come to rest.
 */
export function failedTasksOf({ events }: WrittenRun): { message: string; outrun: boolean }[] {
  const failed: { message: string; outrun: boolean }[] = [];
  let outrun = false;
  for (const event of events) {
    const { cause, failure } = event.workflowTaskFailedEventAttributes ?? {};
    if (cause && !HARMLESS.includes(cause)) failed.push({ message: `${failure?.message}`, outrun });
    if (event.workflowTaskTimedOutEventAttributes) outrun = true;
    if (event.workflowTaskFailedEventAttributes || event.workflowTaskCompletedEventAttributes) outrun = false;
  }
  return failed;
}

/**
 * Events that a link may cost: for each of its runs, and for each thing that happened to it. A poll, a repeated webhook
 * and a stale read are nothing that happened.
 */
const COSTS = { run: 30, webhook: 14, operation: 24, command: 8, change: 10, restart: 6 };

/** I13, I15 as far as the server saw it, I17. */
export function faultsIn(life: Life, runs: readonly WrittenRun[]): string[] {
  const found: string[] = [];
  const events = runs.flatMap((run) => run.events);
  for (const { message, outrun } of runs.flatMap(failedTasksOf)) {
    if (!outrun) found.push(`I15: a workflow task failed: ${message}`);
  }
  const operations = new Set(life.shelf.calls.map(({ key }) => key)).size;
  const happened =
    COSTS.run * runs.length +
    COSTS.webhook * life.heard.size +
    COSTS.operation * operations +
    COSTS.command * life.asked +
    COSTS.change * life.shelf.truth.version +
    COSTS.restart * life.stack.restarts;
  if (events.length > happened) found.push(`I13: ${events.length} events, ${happened} at most`);
  const [first] = events;
  const shown = JSON.stringify([
    ...events.map((event) => event.activityTaskFailedEventAttributes?.failure),
    ...events.map(
      (event) => event.userMetadata?.summary?.data && Buffer.from(event.userMetadata.summary.data).toString(),
    ),
    first?.workflowExecutionStartedEventAttributes?.memo?.fields,
    first?.workflowExecutionStartedEventAttributes?.searchAttributes,
  ]);
  for (const text of Object.values(CUSTOMER)) if (shown.includes(text)) found.push(`I17: ${text} is written down`);
  return found;
}

/** I15: what is written is what the code does. */
export async function replay(all: readonly Lived[], workflowBundle: WorkflowBundleOption): Promise<string[]> {
  const histories = all.flatMap(({ life, runs }) =>
    runs.map(({ history }) => ({ workflowId: workflowIdOf(life.reference), history })),
  );
  const found: string[] = [];
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
    if (error) found.push(`I15: ${workflowId} does not replay: ${error.message}`);
  }
  return found;
}

/** What the run after a continue-as-new was given. */
export function inputsOf({ runs }: Lived): LinkInput[] {
  return runs.flatMap(({ events: [started] }) => {
    const [payload] = started?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    return payload ? [defaultPayloadConverter.fromPayload<LinkInput>(payload)] : [];
  });
}
