/** A link and its operations as callers see them. */

import { allowedOf } from './allowed.ts';
import { captureBefore } from './deadlines.ts';
import { exceptionsOf } from './exceptions.ts';
import { sums } from './facts.ts';
import { type Link, type LinkOperation, type Matter, type Operation, statusOf } from './link.ts';

/** `provider` is shown until the create activity has told it. */
export function viewOfLink(matter: Matter, since: { createdAt: number; provider?: string; over: boolean }): Link {
  const { terms, facts, operations, created } = matter;
  const { authorized, captured, refunded } = sums(facts, terms.currency);
  const lapse = captureBefore(matter);
  return {
    reference: terms.reference,
    account: terms.account,
    provider: created?.provider ?? since.provider ?? null,
    status: statusOf(matter),
    exceptions: exceptionsOf(matter),
    amount: terms.amount,
    authorized,
    captured,
    refunded,
    currency: terms.currency,
    url: created?.url ?? null,
    providerLinkId: created?.providerLinkId ?? null,
    createdAt: iso(since.createdAt),
    expiresAt: created ? iso(created.expiresAt) : terms.expiresAt ? iso(terms.expiresAt) : null,
    ...(lapse === undefined ? {} : { captureBefore: iso(lapse) }),
    operations: operations.map(viewOf),
    // Of a run that is over nothing can be asked any more.
    allowed: since.over ? [] : allowedOf(matter),
    ...(terms.metadata ? { metadata: terms.metadata } : {}),
    ...(terms.orderReference ? { orderReference: terms.orderReference } : {}),
  };
}

const iso = (at: number) => new Date(at).toISOString();

export function viewOf(operation: Operation): LinkOperation {
  const { id, kind, amount, state, at, finishedAt, actor, reason, providerId, error } = operation;
  return {
    id,
    kind,
    amount,
    state,
    at: iso(at),
    ...(finishedAt === undefined ? {} : { finishedAt: iso(finishedAt) }),
    actor,
    reason,
    providerId,
    error,
  };
}
