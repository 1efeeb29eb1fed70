/** What the API answers, for its OpenAPI document. The types come from the workflow; here the two are held together. */
import { z } from '@hono/zod-openapi';
import { listQuery as clientListQuery } from '../client/list.ts';
import { unmatchedQuery as clientUnmatchedQuery, type UnmatchedPage } from '../client/unmatched.ts';
import type { Action, Link, LinkOperation, OperationKind, OperationState } from '../workflows/link.ts';
import { EXCEPTIONS, STATUSES } from '../workflows/schema.ts';

const status = z.enum(STATUSES);
const exception = z.enum(EXCEPTIONS);
const action = z.enum([
  'capture',
  'cancel',
  'refund',
  'extend',
  'mark-paid',
  'mark-refunded',
  'resync',
  'acknowledge',
  'resolve-unknown',
] satisfies Action[]);
const kind = z.enum(['create', ...action.options] satisfies OperationKind[]);
const state = z.enum(['queued', 'running', 'succeeded', 'refused', 'failed', 'unknown'] satisfies OperationState[]);

const minor = z.int().describe('minor units of the currency');
const at = z.iso.datetime();

const operation = z.object({
  id: z.string().describe("the caller's Idempotency-Key; one with a space is the engine's own"),
  kind,
  amount: minor.optional(),
  state,
  at,
  finishedAt: at.optional(),
  actor: z.string(),
  reason: z.string().optional(),
  providerId: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
}) satisfies z.ZodType<LinkOperation>;

export const link = z
  .object({
    reference: z.string(),
    account: z.string(),
    provider: z.string().nullable(),
    status,
    exceptions: z.array(exception),
    amount: minor,
    authorized: minor,
    captured: minor,
    refunded: minor,
    currency: z.string(),
    url: z.url().nullable().describe('where the customer pays; null while the provider has not answered'),
    providerLinkId: z.string().nullable(),
    createdAt: at,
    expiresAt: at.nullable(),
    captureBefore: at.optional().describe('a hold lapses then'),
    operations: z.array(operation.openapi('Operation')),
    allowed: z.array(action).describe('commands that would be accepted now'),
    metadata: z.record(z.string(), z.string()).optional(),
    orderReference: z.string().optional(),
  })
  .openapi('Link') satisfies z.ZodType<Link>;

export const linkList = z
  .object({
    items: z.array(
      z
        .object({
          reference: z.string(),
          account: z.string(),
          status,
          exceptions: z.array(exception),
          deadline: at.optional().describe('when the link next acts by itself'),
          createdAt: at,
          closedAt: at.optional(),
        })
        .openapi('LinkSummary'),
    ),
    nextCursor: z.string().optional(),
  })
  .openapi('LinkList');

export const timeline = z
  .object({
    items: z.array(
      z.object({
        at,
        kind: z.string(),
        source: z.string(),
        actor: z.string().optional(),
        reason: z.string().optional(),
        summary: z.string(),
      }),
    ),
  })
  .openapi('Timeline');

export const unmatchedList = z
  .object({
    items: z.array(
      z
        .object({
          account: z.string(),
          about: z.string(),
          ids: z.array(z.string()),
          since: at,
          afterEnd: z
            .object({
              reference: z.string(),
              exceptions: z.array(exception),
              money: z.array(z.object({ minor, currency: z.string() })),
            })
            .optional()
            .describe('what came after the end of this link'),
        })
        .openapi('UnmatchedWebhook'),
    ),
    nextCursor: z.string().optional(),
  })
  .openapi('UnmatchedList') satisfies z.ZodType<UnmatchedPage>;

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('stable; for programs'),
    detail: z.string(),
    errors: z.array(z.object({ pointer: z.string(), message: z.string(), code: z.string().optional() })).optional(),
    allowed: z.array(action).optional(),
    provider: z.object({ code: z.string(), message: z.string() }).optional(),
  })
  .openapi('Problem');

export const readiness = z
  .object({
    ready: z.boolean(),
    checks: z.record(z.string(), z.string()).describe('"ok", or what is missing'),
    unknownAccounts: z.array(z.string()).optional().describe('accounts of open links that are not in the file'),
  })
  .openapi('Readiness');

/** Queries of the lists: what the client takes, but for what only a key decides; a number comes as text. */
const limit = { limit: z.coerce.number().pipe(z.int().min(1).max(100)).optional() };
export const listQuery = clientListQuery.omit({ accounts: true }).extend(limit);
export const unmatchedQuery = clientUnmatchedQuery.omit({ accounts: true }).extend(limit);
