/** Authentic webhooks that name no open link: kept, listed, and closed when a person says that they are nobody's. */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { z } from 'zod';
import type { Tidings } from '../workflows/after-end.ts';
import { linkAccount, linkProviderId, linkStatus } from '../workflows/attributes.ts';
import { observed, TASK_QUEUE } from '../workflows/messages.ts';
import { accountName } from '../workflows/schema.ts';
import {
  type Dismissal,
  dismiss,
  UNMATCHED_TYPE,
  type UnmatchedInput,
  type UnmatchedMemo,
} from '../workflows/unmatched.ts';
import { NotFound } from './errors.ts';
import { isAskable } from './list.ts';
import { hintOf, type News } from './observe.ts';
import { type Limits, within } from './reach.ts';
import { parse } from './requests.ts';
import { attributeOf, epochMs, type Info, memoOf, pageOf, paging, quote } from './visibility.ts';

export interface KeepOptions {
  /** The account's provider serves other systems as well. */
  shared: boolean;
  /** How long a link may still appear, in milliseconds. */
  patienceMs?: number;
  /** Tests let the run continue as new after so many events. */
  continueAfterEvents?: number;
  /** Open runs of one account at most: forged-looking floods are sent back instead of kept. */
  cap?: number;
}

const DEADLINE_MS = 2_000;
const PATIENCE_MS = 10 * 60_000;
const CAP = 1_000;
const COUNT_KNOWN_MS = 5_000;
const counts = new WeakMap<Client, Map<string, { at: number; open: number }>>();

/**
 * Keeps an authentic webhook that names no open link, in a run of its own: one per account and provider object.
 * `full`: the account has too many of them already.
 *
 * @throws Unavailable when Temporal does not take it in time
 */
export async function keepUnmatched(client: Client, news: News, options: KeepOptions): Promise<'kept' | 'full'> {
  const { account } = news;
  const limits: Limits = { deadline: Date.now() + DEADLINE_MS };
  if ((await openRuns(client, account, limits)) >= (options.cap ?? CAP)) return 'full';
  const { hint, requestId } = hintOf(news);
  const { ids } = hint;
  const about = ids[0] ?? news.reference ?? hint.evidence.slice(0, 16);
  const input: UnmatchedInput = {
    account,
    about,
    shared: options.shared,
    patienceMs: options.patienceMs ?? PATIENCE_MS,
    continueAfterEvents: options.continueAfterEvents,
  };
  await within(client, limits, () =>
    client.workflow.signalWithStart(UNMATCHED_TYPE, {
      workflowId: unmatchedIdOf({ account, about }),
      taskQueue: TASK_QUEUE,
      args: [input],
      signal: observed,
      signalArgs: [hint],
      // A later webhook about the same object, after this one was settled, is looked at again.
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      memo: { requestId },
      staticSummary: `webhook of ${account} about ${about} names no open link`,
      typedSearchAttributes: new TypedSearchAttributes([
        { key: linkStatus, value: 'unmatched' },
        { key: linkAccount, value: account },
        { key: linkProviderId, value: ids },
      ]),
    }),
  );
  return 'kept';
}

/** From visibility, at most once in five seconds per account. */
async function openRuns(client: Client, account: string, limits: Limits): Promise<number> {
  const known = counts.get(client) ?? new Map<string, { at: number; open: number }>();
  counts.set(client, known);
  const last = known.get(account);
  if (last && performance.now() - last.at < COUNT_KNOWN_MS) return last.open;
  const { count } = await within(client, limits, () => client.workflow.count(openRunsOf(account)));
  known.set(account, { at: performance.now(), open: count });
  return count;
}

/** One object of an account that webhooks told of and no open link is about: nobody's, or a link's that is over. */
export interface UnmatchedWebhook {
  account: string;
  /** The provider's id of the object, or our reference where the webhook names no id. */
  about: string;
  /** Every id the first of its webhooks named. */
  ids: string[];
  /** When the first of them came; RFC 3339 in UTC. */
  since: string;
  /** What its provider told of a link that is over: it waits for somebody who sees to it. */
  afterEnd?: Tidings;
}

export interface UnmatchedPage {
  items: UnmatchedWebhook[];
  /** Absent on the last page. */
  nextCursor?: string;
}

export const unmatchedQuery = z.strictObject({
  account: accountName.optional(),
  /** Only those of these accounts: what an API key may see. */
  accounts: z.array(accountName).optional(),
  ...paging,
});
export type UnmatchedQuery = z.infer<typeof unmatchedQuery>;

/**
 * One page of what still waits, the newest first.
 *
 * @throws InvalidRequest for an unknown field, a limit outside 1–100 and a cursor that is none of ours; Unavailable
 */
export async function listUnmatched(client: Client, query: UnmatchedQuery, limits: Limits): Promise<UnmatchedPage> {
  const { account, accounts, ...page } = parse(unmatchedQuery, query);
  if (accounts?.length === 0) return { items: [] };
  const among = accounts ? ` AND ${linkAccount.name} IN (${accounts.map(quote).join(', ')})` : '';
  const { infos, ...next } = await pageOf(client, `${openRunsOf(account)}${among}`, page, limits);
  return { items: await Promise.all(infos.map((info) => unmatchedIn(client, info))), ...next };
}

/**
 * Closes one as nobody's, or as seen to; who did so and why stay in its history.
 *
 * @throws NotFound when none is open under this name, Unavailable
 */
export async function dismissUnmatched(
  client: Client,
  { account, about }: Pick<UnmatchedWebhook, 'account' | 'about'>,
  dismissal: Dismissal,
  limits: Limits,
): Promise<void> {
  const none = new NotFound(about, `no unmatched webhook of ${account} about ${JSON.stringify(about)} is open`);
  if (!accountName.safeParse(account).success || !isAskable(about)) throw none;
  const handle = client.workflow.getHandle(unmatchedIdOf({ account, about }));
  await within(client, limits, () => handle.executeUpdate(dismiss, { args: [dismissal] })).catch((error: unknown) => {
    throw error instanceof WorkflowNotFoundError ? none : error;
  });
}

const PREFIX = 'unmatched-webhook/';
const unmatchedIdOf = ({ account, about }: { account: string; about: string }) => `${PREFIX}${account}/${about}`;

function openRunsOf(account: string | undefined): string {
  const open = `WorkflowType = ${quote(UNMATCHED_TYPE)} AND ExecutionStatus = 'Running'`;
  return account === undefined ? open : `${open} AND ${linkAccount.name} = ${quote(account)}`;
}

async function unmatchedIn(client: Client, info: Info): Promise<UnmatchedWebhook> {
  const { tidings, since } = ((await memoOf(client, info)) ?? {}) as UnmatchedMemo;
  const account = attributeOf<string>(info, linkAccount.name) ?? '';
  return {
    account,
    // An account's name has no `/`, the provider's id may.
    about: (info.execution?.workflowId ?? '').slice(`${PREFIX}${account}/`.length),
    ids: attributeOf<string[]>(info, linkProviderId.name) ?? [],
    since: new Date(since ?? epochMs(info.startTime) ?? 0).toISOString(),
    ...(tidings && { afterEnd: tidings }),
  };
}
