import { ApplicationFailure, ApplicationFailureCategory, type Duration } from '@temporalio/common';
import type { Terms } from '../workflows/link.ts';
import type { FailureType, Lost, ProviderRefusal } from '../workflows/ports.ts';
import { readable } from './cadence.ts';
import { ProviderError, type ProviderErrorKind } from './provider.ts';

/**
 * What a provider call was for.
 * - `read`: somebody waits for it; repeating it is free
 * - `watch`: nobody waits for it, and it outlives every outage
 * - `before_write`: the read a write is based on; whatever happens to it, nothing was sent
 * - `write`: money or links move; repeating it blindly may move them twice
 */
export type Use = 'read' | 'watch' | 'before_write' | 'write';

export interface Verdict {
  type: FailureType;
  /** Whether the server repeats the activity. */
  retry: boolean;
  /** End of the message: what happens next. */
  next: string;
}

const tryAgain = (type: FailureType, next: string): Verdict => ({ type, retry: true, next });
const giveUp = (type: FailureType, next: string): Verdict => ({ type, retry: false, next });

const credentials = giveUp('Refused', 'credentials or caller address need an operator, not tried again');
const notWritten = tryAgain('NotSent', 'nothing was sent, tried again');
const unread = tryAgain('Unreachable', 'read again');
const unwatched = tryAgain('Unreachable', 'looked at again');

/** The one place that decides what Temporal retries. */
export const VERDICTS: Readonly<Record<Use, Readonly<Record<ProviderErrorKind, Verdict>>>> = {
  read: {
    // A read that is refused today (an object not replicated yet, a WAF page) may be answered tomorrow.
    refused: unread,
    not_found: unread,
    rate_limited: unread,
    not_sent: unread,
    unknown: unread,
    // More calls with the same credentials only bring the account closer to being locked.
    unauthorized: credentials,
  },
  watch: {
    refused: unwatched,
    not_found: unwatched,
    rate_limited: unwatched,
    not_sent: unwatched,
    unknown: unwatched,
    // A watch that ended for wrong credentials would stay ended when they are put right.
    unauthorized: unwatched,
  },
  before_write: {
    refused: notWritten,
    not_found: notWritten,
    rate_limited: notWritten,
    not_sent: notWritten,
    unknown: notWritten,
    unauthorized: credentials,
  },
  write: {
    // A definite no stays a no.
    refused: giveUp('Refused', 'nothing happened, not tried again'),
    not_found: giveUp('Refused', 'nothing happened, not tried again'),
    unauthorized: credentials,
    // Proven not to have reached the provider, or turned away at its door: safe to repeat.
    rate_limited: notWritten,
    not_sent: notWritten,
    // A blind repeat could move the money twice; the engine looks first.
    unknown: giveUp('OutcomeUnknown', 'it may have happened, the engine looks before anything else is sent'),
  },
};

/** Where it happened: verb, our reference, provider name. */
export interface Attempt {
  verb: string;
  reference: string;
  provider: string;
  /** Kept out of every message: failures stay in the history, and providers repeat what they were sent. */
  customer?: Terms['customer'];
  /** For create: what can be done when its outcome is unknown. */
  lost?: Lost;
}

/**
 * Translates what a provider call threw for Temporal; failures already meant for Temporal pass unchanged. `wait` (ms) is
 * when a retry comes, where that is not left to the retry policy.
 */
export function failureOf(error: unknown, use: Use, attempt: Attempt, wait?: number): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const { kind, code, message: said } = error instanceof ProviderError ? error : unexpected(error);
  const message = withoutCustomer(said, attempt.customer);
  const { type, retry, next } = VERDICTS[use][kind];
  const lost = type === 'OutcomeUnknown' && attempt.lost ? { lost: attempt.lost } : {};
  const when = retry && wait !== undefined ? ` in ${readable(wait)}` : '';
  return ApplicationFailure.create({
    type,
    nonRetryable: !retry,
    message: `${attempt.verb} ${attempt.reference} at ${attempt.provider}: ${message}; ${next}${when}`,
    details: [{ code, message, ...lost } satisfies ProviderRefusal],
    nextRetryDelay: retry ? wait : undefined,
    category: kind === 'rate_limited' ? ApplicationFailureCategory.BENIGN : undefined,
  });
}

/** A bug may strike after the request left: for a write that is as open as a timeout. */
function unexpected(error: unknown): ProviderError {
  const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new ProviderError('unknown', 'unexpected_error', `an unexpected error (${said})`);
}

/** Our own no, before anything was sent. */
export function refusal(attempt: Attempt, code: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'Refused' satisfies FailureType,
    nonRetryable: true,
    message: `${attempt.verb} ${attempt.reference} at ${attempt.provider}: ${message}; nothing was sent`,
    details: [{ code, message } satisfies ProviderRefusal],
  });
}

/** A quiet poll: no fault, so neither logged nor counted as one; the message is what operators see as pending. */
export function nothingNew(message: string, nextRetryDelay: Duration): ApplicationFailure {
  const type: FailureType = 'NothingNew';
  return ApplicationFailure.create({ type, message, nextRetryDelay, category: ApplicationFailureCategory.BENIGN });
}

/** Takes a customer's name, whole and word by word, e-mail and phone number out of a text. */
function withoutCustomer(text: string, { name = '', email = '', phone = '' }: Terms['customer'] = {}): string {
  const words = name.split(/\s+/).filter((word) => word.length > 2);
  const digits = phone.replace(/^\+/, '');
  return [name, email, phone, digits, ...words]
    .filter((personal) => personal !== '')
    .flatMap((personal) => [personal, encodeURIComponent(personal)])
    .reduce((shown, personal) => shown.replace(wholeWord(personal), '[customer]'), text);
}

/** Inside another word it is that word: a customer called Pay would leave no payment readable. */
function wholeWord(text: string): RegExp {
  const literal = text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(`(?<![\\p{L}\\p{N}])${literal}(?![\\p{L}\\p{N}])`, 'giu');
}
