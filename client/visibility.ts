/** Asking Temporal's visibility store: pages of runs, and what stands in them. It may lag a second behind. */
import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { decodeMapFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { temporal } from '@temporalio/proto';
import { z } from 'zod';
import { InvalidRequest } from './errors.ts';
import { type Limits, within } from './reach.ts';

export type Info = temporal.api.workflow.v1.IWorkflowExecutionInfo;

/** What pages a list can be asked for. */
export const paging = {
  cursor: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/, 'must be the nextCursor of an earlier page')
    .optional(),
  limit: z.int().min(1).max(100).optional(),
};

const DEFAULT_LIMIT = 20;

/**
 * One page of the runs that `query` finds, in the server's own order.
 *
 * @throws InvalidRequest for a cursor that is not of this query, Unavailable
 */
export async function pageOf(
  client: Client,
  query: string,
  { cursor, limit = DEFAULT_LIMIT }: { cursor?: string; limit?: number },
  limits: Limits,
): Promise<{ infos: Info[]; nextCursor?: string }> {
  const nextPageToken = cursor === undefined ? undefined : tokenIn(cursor, query);
  const { namespace } = client.options;
  const page = await within(client, limits, () =>
    client.workflowService.listWorkflowExecutions({ namespace, query, pageSize: limit, nextPageToken }),
  );
  return {
    infos: page.executions,
    ...(page.nextPageToken?.length ? { nextCursor: cursorOf(page.nextPageToken, query) } : {}),
  };
}

/** The server's page token, bound to its query: the server answers a token it cannot read with a retryable fault. */
function cursorOf(token: Uint8Array, query: string): string {
  return Buffer.concat([checksum(token, query), token]).toString('base64url');
}

function tokenIn(cursor: string, query: string): Uint8Array {
  const bytes = Buffer.from(cursor, 'base64url');
  const token = bytes.subarray(CHECKSUM_BYTES);
  if (checksum(token, query).equals(bytes.subarray(0, CHECKSUM_BYTES))) return token;
  const message = 'must be the nextCursor of an earlier page of the same query';
  throw new InvalidRequest(422, [{ pointer: '/cursor', message }]);
}

const CHECKSUM_BYTES = 6;
const checksum = (token: Uint8Array, query: string): Buffer =>
  createHash('sha256').update(query).update(token).digest().subarray(0, CHECKSUM_BYTES);

export function attributeOf<T>(info: Info, name: string): T | undefined {
  const payload = info.searchAttributes?.indexedFields?.[name];
  // An attribute that was set to nothing decodes to null.
  return payload ? (defaultPayloadConverter.fromPayload<T | null>(payload) ?? undefined) : undefined;
}

export function memoOf(client: Client, { memo }: Info): Promise<Record<string, unknown> | undefined> {
  return decodeMapFromPayloads(client.options.loadedDataConverter, memo?.fields);
}

/** A string literal of the visibility query language, whatever is in it. */
export const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

export function epochMs(at: Info['startTime']): number | undefined {
  return at ? Number(String(at.seconds ?? 0)) * 1_000 + Math.floor((at.nanos ?? 0) / 1e6) : undefined;
}
