import { STATUS_CODES } from 'node:http';
import {
  AmountOutOfRange,
  IdempotencyConflict,
  InvalidRequest,
  NotAllowed,
  NotFound,
  OrderAlreadyPaid,
  PaymentLinkError,
  ProviderRefused,
  ReferenceConflict,
  Unavailable,
} from '../client/errors.ts';

/** One refused field: a JSON pointer into the body (or the name of a header or query parameter after `/`). */
export interface FieldProblem {
  pointer: string;
  message: string;
  code?: string;
}

export interface ProblemDetails {
  errors?: readonly FieldProblem[];
  /** For 409 `not_allowed`: the actions that would be accepted now. */
  allowed?: readonly string[];
  /** For 422 `provider_refused`: the provider's own words. */
  provider?: { code: string; message: string };
  headers?: Readonly<Record<string, string>>;
}

/** An HTTP answer that says no, as RFC 9457 writes it. `code` is stable, `message` is for people. */
export class Problem extends Error {
  override readonly name = 'Problem';
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: ProblemDetails = {},
  ) {
    super(message);
  }
}

/** Seconds a caller should wait before the same request is worth another try. */
const RETRY_AFTER_SECONDS = '2';

export function unavailable(message: string, retryAfterSeconds = RETRY_AFTER_SECONDS): Problem {
  return new Problem(503, 'unavailable', message, { headers: { 'retry-after': retryAfterSeconds } });
}

/** The body of a problem document. */
export function problemDocument({ status, code, message, details }: Problem): Record<string, unknown> {
  const { errors, allowed, provider } = details;
  const title = STATUS_CODES[status] ?? 'Error';
  return {
    type: 'about:blank',
    title,
    status,
    code,
    detail: message,
    ...(errors ? { errors } : {}),
    ...(allowed ? { allowed } : {}),
    ...(provider ? { provider } : {}),
  };
}

export function problemResponse(problem: Problem): Response {
  return new Response(JSON.stringify(problemDocument(problem)), {
    status: problem.status,
    headers: { 'content-type': 'application/problem+json', ...problem.details.headers },
  });
}

const CONFLICTS = [ReferenceConflict, IdempotencyConflict, OrderAlreadyPaid];

/** The answer to an error we know; undefined for a fault of ours, whose words are not for callers. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (!(error instanceof PaymentLinkError)) return undefined;
  const { code, message } = error;
  if (error instanceof InvalidRequest) return new Problem(error.status, code, message, { errors: error.errors });
  if (error instanceof NotFound) return new Problem(404, code, message);
  if (error instanceof NotAllowed) return new Problem(409, code, message, { allowed: error.allowed });
  if (CONFLICTS.some((conflict) => error instanceof conflict)) return new Problem(409, code, message);
  if (error instanceof ProviderRefused) {
    // Nothing was sent, so the provider did not say no.
    if (error.providerCode === 'provider_unavailable') return new Problem(503, 'unavailable', error.providerMessage);
    return new Problem(422, code, message, { provider: { code: error.providerCode, message: error.providerMessage } });
  }
  if (error instanceof Unavailable) return unavailable(message);
  if (error instanceof AmountOutOfRange) return new Problem(422, code, message, { errors: error.errors });
  // not_supported: what the provider cannot do with this link, whatever the body says.
  return new Problem(422, code, message);
}

export const INTERNAL = new Problem(500, 'internal', 'The gateway failed; its log names the cause by x-request-id.');
