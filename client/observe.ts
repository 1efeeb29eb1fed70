import { type Client, isGrpcServiceError } from '@temporalio/client';
import { encodeToPayloadsWithContext } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { Facts } from '../workflows/facts.ts';
import { type Hint, observed, workflowIdOf } from '../workflows/messages.ts';
import { reference as referenceSchema } from '../workflows/schema.ts';
import { findByProviderIds, isAskable } from './list.ts';
import { isOwner } from './owners.ts';
import { type Limits, within } from './reach.ts';
import { sha256 } from './requests.ts';

/** An authentic webhook, as the gateway understood it. */
export interface News {
  account: string;
  /** Our reference, if the webhook or its URL names it. */
  reference?: string;
  /** Our reference, if the body itself names it. */
  named?: string;
  /** Every id in the body, the link's first. */
  ids: string[];
  /** The bytes that were received, or the part that was signed: news with equal bytes is the same news. */
  body: Uint8Array;
  /** How often news about this object differed from the news before it; equal bytes of another turn are no repeat. */
  turn?: number;
  /** When they were received, epoch milliseconds. */
  at: number;
  /** The provider signed it. Unsigned news moves no money. */
  signed: boolean;
  /** What the body says, where the provider cannot be asked. */
  facts?: Facts;
}

/** Providers give up on a receiver after a few seconds; the lookup has to fit in as well. */
const DEADLINE_MS = 2_000;
const BUCKET_MS = 10 * 60_000;
const NOT_FOUND = 5;

/** Within one bucket the server knows repeats. */
export const bucketOf = (at: number): number => Math.floor(at / BUCKET_MS);

/**
 * Tells the link that a webhook named it. `unmatched`: no open link of the account is meant, and none that knows this
 * news.
 *
 * The raw service is used for its `requestId`: the server drops an equal one, even after the run closed, so repeats
 * within ten minutes cost nothing and a retry whose first try closed the run is still `accepted`.
 *
 * @throws Unavailable when Temporal does not take the news in time
 */
export async function observe(client: Client, news: News): Promise<'accepted' | 'unmatched'> {
  const { reference } = news;
  const limits: Limits = { deadline: Date.now() + DEADLINE_MS };
  return deliver(client, reference, hintOf(news), limits);
}

/** What a link is told, and the id by which the server knows a repeat of it. */
export function hintOf({ account, named, ids, body, turn = 0, at, signed, facts }: News): Delivery {
  const evidence = turn === 0 ? sha256(body) : `${sha256(body)} ${turn}`;
  return {
    // An id nobody could ask for names nothing, and would only break the calls it goes into.
    hint: { account, reference: named, ids: ids.filter(isAskable), evidence, at, signed, facts },
    requestId: requestIdOf(account, at, evidence),
  };
}

export interface Delivery {
  hint: Hint;
  requestId: string;
}

const requestIdOf = (account: string, at: number, evidence: string) =>
  sha256(`${account}\n${bucketOf(at)}\n${evidence}`);

/** Delivers a hint that was kept: equal to the first try for the server. */
export function redeliver(client: Client, hint: Hint, limits: Limits): Promise<'accepted' | 'unmatched'> {
  const requestId = requestIdOf(hint.account, hint.at, hint.evidence);
  return deliver(client, hint.reference, { hint, requestId }, limits);
}

async function deliver(
  client: Client,
  reference: string | undefined,
  { hint, requestId }: Delivery,
  limits: Limits,
): Promise<'accepted' | 'unmatched'> {
  const { account, ids } = hint;
  const { data: named } = referenceSchema.safeParse(reference);
  // The run would turn another account's news away, but only after it had entered its history.
  const own = named !== undefined && (await isOwner(client, named, account, limits));
  if (own && (await signal(client, named, hint, requestId, limits))) return 'accepted';
  const found = await findByProviderIds(client, account, ids, limits);
  const heard = await Promise.all(found.map((match) => signal(client, match, hint, requestId, limits)));
  return heard.includes(true) ? 'accepted' : 'unmatched';
}

/** False when there is no open run that could hear it. */
async function signal(
  client: Client,
  reference: string,
  hint: Hint,
  requestId: string,
  limits: Limits,
): Promise<boolean> {
  const { namespace, identity, loadedDataConverter } = client.options;
  const workflowId = workflowIdOf(reference);
  const context = { type: 'workflow', namespace, workflowId } as const;
  const payloads = await encodeToPayloadsWithContext(loadedDataConverter, context, [hint]);
  return within(client, limits, async () => {
    try {
      await client.workflowService.signalWorkflowExecution({
        namespace,
        identity,
        requestId,
        workflowExecution: { workflowId },
        signalName: observed.name,
        input: { payloads },
      });
      return true;
    } catch (error) {
      if (isGrpcServiceError(error) && error.code === NOT_FOUND) return false;
      throw error;
    }
  });
}
