import { randomUUID } from 'node:crypto';
import { type Client, WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { linkAccount, linkStatus } from '../workflows/attributes.ts';
import type { Link, Terms } from '../workflows/link.ts';
import {
  type CreateOutcome,
  create,
  type LinkInput,
  type Refusal,
  WORKFLOW_TYPE,
  workflowIdOf,
} from '../workflows/messages.ts';
import { decimal } from '../workflows/money.ts';
import type { Timing } from '../workflows/state.ts';
import { ReferenceConflict, refusedBy } from './errors.ts';
import { rememberOwner } from './owners.ts';
import { type Limits, type Patience, patiently, pause } from './reach.ts';
import { termsHash } from './requests.ts';
import { describe, failureOf, type LinkMemo, type RunInfo, readLink } from './runs.ts';

export interface Creation {
  client: Client;
  taskQueue: string;
  patience: Patience;
  timing?: Partial<Timing>;
  terms: Terms;
  provider?: string;
}

/** `created` is true for the one caller whose call made the link; everybody else gets the current one. */
export interface Created {
  link: Link;
  created: boolean;
}

/** What a create call came to. */
type Outcome =
  | { kind: 'made'; outcome: CreateOutcome }
  /** Somebody works on it, and it takes longer than we wait. */
  | { kind: 'waiting'; link: Link }
  | { kind: 'refused'; refusal: Refusal }
  /** The reference's run is over, and did not know this call. */
  | { kind: 'closed' };

/** A refused run fails its update and then itself; usually both at once. */
const REFUSED_RUN_CLOSES_MS = 2_000;
/** Describing and reading a link that is known to exist. */
const SETTLE_MS = 5_000;
/** A run that continues as new drops the update it had accepted; so often is it asked again. */
const ASKS = 3;

/**
 * Makes a link, or finds the one that the same terms made before.
 *
 * The workflow creates on its first task and the update only waits for it: all calls with the same terms share one
 * update id, so any number at once make one link, and a call whose answer was lost is answered when it is repeated.
 *
 * @throws ReferenceConflict, ProviderRefused, Unavailable (then the run may exist: the same call again is safe)
 */
export async function createLink(creation: Creation): Promise<Created> {
  const made = await makeOrFind(creation);
  rememberOwner(creation.client, creation.terms.reference, creation.terms.account);
  return made;
}

async function makeOrFind(creation: Creation): Promise<Created> {
  const { terms } = creation;
  const call = { callId: randomUUID(), termsHash: termsHash(terms) };
  const startedAt = Date.now();
  const ask = asking(creation, call, startedAt);

  const first = await ask('REJECT_DUPLICATE', `create:${call.termsHash}`);
  const settled = conclude(first, call.callId);
  if (settled) return settled;

  // A stored answer, another caller's refusal or a closed run: the reference is free if its run ended refused.
  const run = await runBehind(creation, first);
  const refused = run.failed && (await endedRefused(creation, run));
  if (!refused) {
    if (first.kind === 'refused') throw refusedBy(first.refusal);
    return { link: await linkOf(creation, call.termsHash, run), created: false };
  }
  // Its own update id: the server would answer a completed update of the same id from the closed run.
  const second = await ask('ALLOW_DUPLICATE_FAILED_ONLY', `create:${call.termsHash}:${run.runId}`);
  if (second.kind === 'refused') throw refusedBy(second.refusal);
  const settledAnew = conclude(second, call.callId);
  if (settledAnew) return settledAnew;
  const latest = await describe(creation.client, creation.terms.reference, settleLimits());
  return { link: await linkOf(creation, call.termsHash, latest), created: false };
}

/** The result, if the answer is about this very call, or is all that will be said in time. */
function conclude(outcome: Outcome, callId: string): Created | undefined {
  if (outcome.kind === 'waiting') return { link: outcome.link, created: false };
  if (outcome.kind === 'refused' && outcome.refusal.callId === callId) throw refusedBy(outcome.refusal);
  if (outcome.kind === 'made' && outcome.outcome.callId === callId)
    return { link: outcome.outcome.link, created: true };
  return undefined;
}

/** Sends one call, as often as it takes to be heard by a run that does not leave meanwhile. */
function asking(creation: Creation, call: { callId: string; termsHash: string }, startedAt: number) {
  const { client, patience } = creation;
  type Reuse = 'REJECT_DUPLICATE' | 'ALLOW_DUPLICATE_FAILED_ONLY';
  return async (reuse: Reuse, updateId: string): Promise<Outcome> => {
    for (let asked = 1; ; asked++) {
      const startWorkflowOperation = startOperation(creation, call.termsHash, reuse, startedAt);
      try {
        const result = await patiently(
          client,
          patience,
          startedAt,
          () => client.workflow.executeUpdateWithStart(create, { startWorkflowOperation, updateId, args: [call] }),
          async (limits) => {
            const run = await describe(client, creation.terms.reference, limits);
            return linkOf(creation, call.termsHash, run, limits);
          },
        );
        return 'answer' in result ? { kind: 'made', outcome: result.answer } : { kind: 'waiting', link: result.seen };
      } catch (error) {
        if (error instanceof WorkflowExecutionAlreadyStartedError) return { kind: 'closed' };
        const failure = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
        if (!(failure instanceof ApplicationFailure)) throw error;
        if (failure.type === 'AcceptedUpdateCompletedWorkflow' && asked < ASKS) continue;
        const refusal = failure.details?.[0] as Refusal | undefined;
        if (failure.type === 'create_refused' && refusal) return { kind: 'refused', refusal };
        if (failure.type === 'reference_conflict') throw new ReferenceConflict(failure.message);
        throw error;
      }
    }
  };
}

function startOperation(
  { taskQueue, terms, provider, timing }: Creation,
  hash: string,
  workflowIdReusePolicy: 'REJECT_DUPLICATE' | 'ALLOW_DUPLICATE_FAILED_ONLY',
  createdAt: number,
) {
  const input: LinkInput = { terms, termsHash: hash, provider, timing };
  const memo: LinkMemo = { termsHash: hash, createdAt };
  return new WithStartWorkflowOperation(WORKFLOW_TYPE, {
    workflowId: workflowIdOf(terms.reference),
    taskQueue,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING',
    workflowIdReusePolicy,
    memo: { ...memo },
    // Set at the start, so that the first task needs no upsert.
    typedSearchAttributes: [
      { key: linkStatus, value: 'creating' },
      { key: linkAccount, value: terms.account },
    ],
    staticSummary: `${decimal(terms.amount, terms.exponent)} ${terms.currency} · ${terms.account} · ${terms.reference}`,
  });
}

/** The run that gave this answer; a refused one is waited for, it fails its update just before itself. */
async function runBehind({ client, terms }: Creation, first: Outcome): Promise<RunInfo> {
  const limits = settleLimits();
  const refusedRun = first.kind === 'refused' ? first.refusal.runId : undefined;
  const closesBy = Date.now() + REFUSED_RUN_CLOSES_MS;
  for (;;) {
    const run = await describe(client, terms.reference, limits, refusedRun);
    if (first.kind !== 'refused' || !run.open || Date.now() > closesBy) return run;
    await pause(50);
  }
}

async function endedRefused({ client, terms }: Creation, run: RunInfo): Promise<boolean> {
  return (await failureOf(client, terms.reference, run.runId, settleLimits())) === 'create_refused';
}

/** The link of `run`, if the same terms made it and it was not stopped from outside. */
async function linkOf({ client, terms }: Creation, hash: string, run: RunInfo, limits?: Limits): Promise<Link> {
  const { reference } = terms;
  if (run.termsHash !== hash) {
    throw new ReferenceConflict(`reference ${reference} already belongs to a link with other terms`);
  }
  if (run.stopped) {
    throw new ReferenceConflict(
      `the link ${reference} was stopped by an operator (terminated or cancelled in Temporal) and is never started again; use another reference`,
    );
  }
  return readLink(client, reference, limits ?? settleLimits());
}

const settleLimits = (): Limits => ({ deadline: Date.now() + SETTLE_MS });
