import type { Client } from '@temporalio/client';
import { z } from 'zod';
import { linkAccount, linkDeadline, linkExceptions, linkProviderId, linkStatus } from '../workflows/attributes.ts';
import type { Exception, Status } from '../workflows/link.ts';
import { WORKFLOW_TYPE, workflowIdOf } from '../workflows/messages.ts';
import { accountName, EXCEPTIONS, STATUSES } from '../workflows/schema.ts';
import { type Limits, within } from './reach.ts';
import { parse } from './requests.ts';
import type { LinkMemo } from './runs.ts';
import { attributeOf, epochMs, type Info, memoOf, pageOf, paging, quote } from './visibility.ts';

/** What visibility knows of a link; it may lag behind by a second. Instants are RFC 3339 in UTC. */
export interface LinkSummary {
  reference: string;
  account: string;
  status: Status;
  exceptions: Exception[];
  /** The next instant at which the link acts by itself. */
  deadline?: string;
  createdAt: string;
  /** When the run ended: no money can move on this link any more. */
  closedAt?: string;
}

export interface LinkPage {
  items: LinkSummary[];
  /** Absent on the last page. */
  nextCursor?: string;
}

export const listQuery = z.strictObject({
  status: z.enum(STATUSES).optional(),
  account: accountName.optional(),
  /** Only links of these accounts: what an API key may see. */
  accounts: z.array(accountName).optional(),
  exception: z.enum(EXCEPTIONS).optional(),
  ...paging,
});
export type ListQuery = z.infer<typeof listQuery>;

/**
 * One page of links: the open ones first, the newest of them first, then the closed ones, the last closed first
 * (SQL visibility stores know no other order).
 *
 * @throws InvalidRequest for unknown words, a limit outside 1–100 and a cursor that is none of ours; Unavailable.
 */
export async function listLinks(client: Client, query: ListQuery, limits: Limits): Promise<LinkPage> {
  const { status, account, accounts, exception, cursor, limit } = parse(listQuery, query);
  if (accounts?.length === 0) return { items: [] };
  // A continued run is over as a run only: its link lives on in the next one.
  const conditions = [`WorkflowType = ${quote(WORKFLOW_TYPE)}`, `ExecutionStatus != 'ContinuedAsNew'`];
  if (status) conditions.push(`${linkStatus.name} = ${quote(status)}`);
  if (account) conditions.push(`${linkAccount.name} = ${quote(account)}`);
  if (accounts) conditions.push(`${linkAccount.name} IN (${accounts.map(quote).join(', ')})`);
  if (exception) conditions.push(`${linkExceptions.name} = ${quote(exception)}`);
  const { infos, ...next } = await pageOf(client, conditions.join(' AND '), { cursor, limit }, limits);
  const superseded = await supersededRuns(client, infos, limits);
  const current = infos.filter((info) => !superseded.has(info.execution?.runId ?? ''));
  return { items: await Promise.all(current.map((info) => summaryOf(client, info))), ...next };
}

/** A refused link that was started anew has two runs, and only the newer one is the link. Refusals are rare. */
async function supersededRuns(client: Client, infos: readonly Info[], limits: Limits): Promise<Set<string>> {
  const failed = infos.filter((info) => info.status === FAILED);
  if (failed.length === 0) return new Set();
  const ids = [...new Set(failed.map((info) => quote(info.execution?.workflowId ?? '')))];
  const newest = new Map<string, { runId: string; at: number }>();
  const query = `WorkflowType = ${quote(WORKFLOW_TYPE)} AND WorkflowId IN (${ids.join(', ')})`;
  await within(client, limits, async () => {
    for await (const run of client.workflow.list({ query })) {
      const at = run.startTime.getTime();
      if (at >= (newest.get(run.workflowId)?.at ?? 0)) newest.set(run.workflowId, { runId: run.runId, at });
    }
  });
  const isOld = ({ execution }: Info) => newest.get(execution?.workflowId ?? '')?.runId !== execution?.runId;
  return new Set(failed.filter(isOld).map((info) => info.execution?.runId ?? ''));
}

/** `WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED`. */
const FAILED = 3;

async function summaryOf(client: Client, info: Info): Promise<LinkSummary> {
  const memo = (await memoOf(client, info)) as Partial<LinkMemo> | undefined;
  const deadline = attributeOf<string>(info, linkDeadline.name);
  const createdAt = memo?.createdAt ?? epochMs(info.startTime) ?? 0;
  const closedAt = epochMs(info.closeTime);
  return {
    reference: referenceOf(info),
    account: attributeOf<string>(info, linkAccount.name) ?? '',
    status: attributeOf<Status>(info, linkStatus.name) ?? 'creating',
    exceptions: attributeOf<Exception[]>(info, linkExceptions.name) ?? [],
    ...(deadline === undefined ? {} : { deadline: new Date(deadline).toISOString() }),
    createdAt: new Date(createdAt).toISOString(),
    ...(closedAt === undefined ? {} : { closedAt: new Date(closedAt).toISOString() }),
  };
}

const referenceOf = ({ execution }: Info): string => (execution?.workflowId ?? '').slice(workflowIdOf('').length);

/** Open links per account. Two calls an account, however many links there are. */
export async function openLinks(client: Client, limits: Limits): Promise<Map<string, number>> {
  const open = `WorkflowType = ${quote(WORKFLOW_TYPE)} AND ExecutionStatus = 'Running'`;
  const found = new Map<string, number>();
  await within(client, limits, async () => {
    for (;;) {
      const known = [...found.keys()].map(quote).join(', ');
      const { executions } = await client.workflowService.listWorkflowExecutions({
        namespace: client.options.namespace,
        query: known ? `${open} AND ${linkAccount.name} NOT IN (${known})` : open,
        pageSize: 1,
      });
      const account = executions[0] && attributeOf<string>(executions[0], linkAccount.name);
      if (!account) return;
      const { count } = await client.workflow.count(`${open} AND ${linkAccount.name} = ${quote(account)}`);
      found.set(account, count);
    }
  });
  return found;
}

/** References of links of `account` that a webhook may name by one of `ids`; only askable ones are looked for. */
export async function findByProviderIds(
  client: Client,
  account: string,
  ids: readonly string[],
  limits: Limits,
  state: 'open' | 'over' = 'open',
): Promise<string[]> {
  const askable = ids.filter(isAskable);
  if (askable.length === 0) return [];
  const query = [
    `WorkflowType = ${quote(WORKFLOW_TYPE)}`,
    state === 'open' ? `ExecutionStatus = 'Running'` : `ExecutionStatus NOT IN ('Running', 'ContinuedAsNew')`,
    `${linkAccount.name} = ${quote(account)}`,
    `${linkProviderId.name} IN (${askable.map(quote).join(', ')})`,
  ].join(' AND ');
  const { executions } = await within(client, limits, () =>
    client.workflowService.listWorkflowExecutions({ namespace: client.options.namespace, query, pageSize: 10 }),
  );
  // SQL stores look for lists by full-text search, which may find more than was asked for.
  const meant = executions.filter((info) =>
    attributeOf<string[]>(info, linkProviderId.name)?.some((id) => askable.includes(id)),
  );
  return [...new Set(meant.map(referenceOf))];
}

/**
 * Whether an id can stand in a workflow id, an attribute and a query. Server 1.29 puts list values unescaped into
 * SQLite's full-text query, where a quote makes it fail; Postgres stores no NUL.
 */
export const isAskable = (id: string): boolean => /^[\w.:~@+/=-]{1,255}$/.test(id);
