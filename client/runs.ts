/** What Temporal knows about the runs behind a reference, without asking a worker. */
import { type Client, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { linkAccount } from '../workflows/attributes.ts';
import type { Link } from '../workflows/link.ts';
import { link as linkQuery, workflowIdOf } from '../workflows/messages.ts';
import { NotFound } from './errors.ts';
import { type Limits, within } from './reach.ts';

/** Kept with every run from its start, readable when no worker runs. */
export interface LinkMemo {
  termsHash: string;
  /** Epoch milliseconds; a continued run has a start of its own. */
  createdAt: number;
}

export interface RunInfo {
  runId: string;
  open: boolean;
  /** Terminated, cancelled or timed out: nobody finished this link, and nobody will. */
  stopped: boolean;
  failed: boolean;
  account?: string;
  termsHash?: string;
}

/** @throws NotFound when no run has this reference (or none with this run id). */
export async function describe(client: Client, reference: string, limits: Limits, runId?: string): Promise<RunInfo> {
  const handle = client.workflow.getHandle(workflowIdOf(reference), runId);
  const found = await within(client, limits, () => handle.describe()).catch((error: unknown) => {
    throw error instanceof WorkflowNotFoundError ? new NotFound(reference) : error;
  });
  const { name } = found.status;
  return {
    runId: found.runId,
    open: name === 'RUNNING' || name === 'PAUSED',
    stopped: name === 'TERMINATED' || name === 'CANCELLED' || name === 'TIMED_OUT',
    failed: name === 'FAILED',
    account: found.typedSearchAttributes.get(linkAccount),
    termsHash: (found.memo as Partial<LinkMemo> | undefined)?.termsHash,
  };
}

/** Why a failed run failed, as its failure type. */
export async function failureOf(
  client: Client,
  reference: string,
  runId: string,
  limits: Limits,
): Promise<string | undefined> {
  const handle = client.workflow.getHandle(workflowIdOf(reference), runId, { followRuns: false });
  try {
    await within(client, limits, () => handle.result());
    return undefined;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    return error.cause instanceof ApplicationFailure ? (error.cause.type ?? undefined) : undefined;
  }
}

/** The link as its workflow sees it; works on closed runs too, but needs a worker. */
export async function readLink(client: Client, reference: string, limits: Limits): Promise<Link> {
  const handle = client.workflow.getHandle(workflowIdOf(reference));
  return within(client, limits, () => handle.query(linkQuery)).catch((error: unknown) => {
    throw error instanceof WorkflowNotFoundError ? new NotFound(reference) : error;
  });
}
