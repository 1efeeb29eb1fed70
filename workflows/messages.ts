/** Everything that can be said to a running link, and what it answers. Types only cross the wire as JSON. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Facts } from './facts.ts';
import type { Exception, Link, LinkOperation, Terms } from './link.ts';
import type { LinkHandle } from './ports.ts';
import type { State, Timing } from './state.ts';

export const WORKFLOW_TYPE = 'paymentLink';
export const TASK_QUEUE = 'perdure';
/** Queue for create, reads and money of one account; polls have their own, so that they never starve captures. */
export const accountQueue = (account: string): string => `perdure-${account}`;
export const watchQueue = (account: string): string => `perdure-${account}-watch`;
export const workflowIdOf = (reference: string): string => `payment-link/${reference}`;

/** Input of the workflow. */
export interface LinkInput {
  terms: Terms;
  /** Hash of the normalised request: what makes two create calls the same. */
  termsHash: string;
  /** Known to callers that know the accounts; otherwise the create activity tells. */
  provider?: string;
  /** Waits of the engine; tests shorten them. */
  timing?: Partial<Timing>;
  /** Carried over by continue-as-new. */
  state?: State;
}

/** Failure types of this engine's updates; `details[0]` is a {@link Refusal}. */
export type RefusalCode =
  | 'reference_conflict'
  | 'create_refused'
  | 'not_allowed'
  | 'idempotency_conflict'
  | 'amount_out_of_range'
  | 'order_already_paid'
  | 'not_supported';

export interface Refusal {
  code: RefusalCode;
  message: string;
  allowed?: string[];
  /** For create_refused: whose call was refused, and what the provider said. */
  callId?: string;
  /** For create_refused: the run that was refused; who starts anew names it, so that all who do share one new run. */
  runId?: string;
  cause?: { code: string; message: string };
}

export interface CreateCall {
  /** Unique per call: who gets his own back created the link. */
  callId: string;
  termsHash: string;
}

export interface CreateOutcome {
  callId: string;
  link: Link;
}

/** Who asks, and the key that makes repeats harmless. */
export interface Command {
  /** Idempotency key, 1–255 visible ASCII characters. */
  id: string;
  /** Hash of verb and body. */
  fingerprint: string;
  actor: string;
  reason?: string;
}

export interface MoneyCommand extends Command {
  /** Minor units of the link's currency; everything that can be moved when left out. */
  amount?: number;
  /** Checked against the link's currency when given. */
  currency?: string;
  /** For refund: although a dispute stands; needs a reason. */
  force?: boolean;
}

export interface ResyncCommand extends Command {
  /** What the provider shows is taken as true where it is less than was known. */
  accept?: boolean;
}

export interface AcknowledgeCommand extends Command {
  exception: Exception;
}

export interface ResolveCommand extends Command {
  operation: string;
  outcome: 'happened' | 'absent';
}

export interface ExtendCommand extends Command {
  /** Epoch milliseconds. */
  expiresAt: number;
}

/** What a person vouches for: money the provider cannot tell of, or cannot give back. */
export interface MarkCommand extends MoneyCommand {
  amount: number;
  currency: string;
  /** The payment at the provider; the link's own when left out. */
  providerRef?: string;
}

export interface CommandOutcome {
  link: Link;
  operation: LinkOperation;
}

/** An authentic webhook: a hint to read the provider. */
export interface Hint {
  account: string;
  /** Our reference, if the body itself names it. */
  reference?: string;
  /** Ids the webhook named, to be read along with the link. */
  ids: string[];
  /** Hash of the raw body. */
  evidence: string;
  at: number;
  /** What the body says; counts only where the provider cannot be asked, and as money only if `signed`. */
  facts?: Facts;
  signed: boolean;
}

export interface TimelineItem {
  at: number;
  kind: string;
  source: string;
  actor?: string;
  reason?: string;
  summary: string;
}

export const observed = defineSignal<[Hint]>('observed');
export const link = defineQuery<Link>('link');
/** What the run knows; the watch asks before it reports as news what a webhook has told meanwhile. */
export const facts = defineQuery<Facts>('facts');
/** What a read of the provider needs; without `created` the provider never made the link. */
export const handle = defineQuery<Pick<LinkHandle, 'terms'> & Partial<LinkHandle>>('handle');
export const timeline = defineQuery<TimelineItem[]>('timeline');
/** The hash an idempotency key was used with: of a run that is over it tells a repeat from another body. */
export const fingerprint = defineQuery<string | undefined, [id: string]>('fingerprint');

export const create = defineUpdate<CreateOutcome, [CreateCall]>('create');
export const capture = defineUpdate<CommandOutcome, [MoneyCommand]>('capture');
export const refund = defineUpdate<CommandOutcome, [MoneyCommand]>('refund');
export const cancel = defineUpdate<CommandOutcome, [Command]>('cancel');
export const resync = defineUpdate<CommandOutcome, [ResyncCommand]>('resync');
export const acknowledge = defineUpdate<CommandOutcome, [AcknowledgeCommand]>('acknowledge');
export const extend = defineUpdate<CommandOutcome, [ExtendCommand]>('extend');
export const markPaid = defineUpdate<CommandOutcome, [MarkCommand]>('markPaid');
export const markRefunded = defineUpdate<CommandOutcome, [MarkCommand]>('markRefunded');
export const resolveUnknown = defineUpdate<CommandOutcome, [ResolveCommand]>('resolveUnknown');
