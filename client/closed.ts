/** Links whose runs are over, for news that comes after the end. */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { ClosedLink } from '../workflows/after-end.ts';
import { linkAccount, linkExceptions, linkProviderId, linkStatus } from '../workflows/attributes.ts';
import { type Facts, join } from '../workflows/facts.ts';
import { facts, type Hint, handle as handleQuery, workflowIdOf } from '../workflows/messages.ts';
import { DISMISSED, UNMATCHED_TYPE } from '../workflows/unmatched.ts';
import { NotFound } from './errors.ts';
import { findByProviderIds, isAskable } from './list.ts';
import { type Limits, within } from './reach.ts';
import { describe } from './runs.ts';
import { quote } from './visibility.ts';

/** Earlier news of one link that is compared with: what came long before was seen to long ago. */
const EARLIER = 10;

/**
 * The link of the account that a hint names, if its run is over. `runId` is the run that asks: it is no witness of its own.
 * Needs a worker.
 *
 * @throws Unavailable
 */
export async function findClosed(
  client: Client,
  { account, reference, ids }: Hint,
  runId: string | undefined,
  limits: Limits,
): Promise<ClosedLink | undefined> {
  const named = reference === undefined ? undefined : await closedLink(client, account, reference, runId, limits);
  if (named) return named;
  for (const found of await findByProviderIds(client, account, ids, limits, 'over')) {
    const closed = await closedLink(client, account, found, runId, limits);
    if (closed) return closed;
  }
  return undefined;
}

async function closedLink(
  client: Client,
  account: string,
  reference: string,
  asking: string | undefined,
  limits: Limits,
): Promise<ClosedLink | undefined> {
  const run = await describe(client, reference, limits).catch((error: unknown) => {
    if (error instanceof NotFound) return undefined;
    throw error;
  });
  if (!run || run.open || run.account !== account) return undefined;
  const handle = client.workflow.getHandle(workflowIdOf(reference), run.runId);
  const { terms, created } = await within(client, limits, () => handle.query(handleQuery));
  // A create that was refused: the provider has no such link.
  if (!created) return undefined;
  const known = await within(client, limits, () => handle.query(facts));
  const heard = await heardSince(client, account, created.ids, asking, limits);
  return { terms, created, known: [known, ...heard].reduce(join) };
}

/** What other webhooks brought after the end: whoever dismissed it has seen it, and need not see it again. */
async function heardSince(
  client: Client,
  account: string,
  ids: readonly string[],
  asking: string | undefined,
  limits: Limits,
): Promise<Facts[]> {
  const askable = ids.filter(isAskable);
  if (askable.length === 0) return [];
  const query = [
    `WorkflowType = ${quote(UNMATCHED_TYPE)}`,
    `${linkAccount.name} = ${quote(account)}`,
    `${linkProviderId.name} IN (${askable.map(quote).join(', ')})`,
    `(${linkExceptions.name} IS NOT NULL OR ${linkStatus.name} = ${quote(DISMISSED)})`,
    // The run it continued as knows all that it knew.
    `ExecutionStatus != 'ContinuedAsNew'`,
  ].join(' AND ');
  const { executions } = await within(client, limits, () =>
    client.workflowService.listWorkflowExecutions({ namespace: client.options.namespace, query, pageSize: EARLIER }),
  );
  const others = executions.filter(({ execution }) => execution?.runId !== asking);
  return Promise.all(
    others.map(async ({ execution }) => {
      const run = client.workflow.getHandle(execution?.workflowId ?? '', execution?.runId ?? '');
      return within(client, limits, () => run.query(facts)).catch((error: unknown) => {
        // Forgotten between the two calls.
        if (error instanceof WorkflowNotFoundError) return {};
        throw error;
      });
    }),
  );
}
