/**
 * The world as the workflow sees it: activities by type only.
 *
 * A write that is proven not sent throws `NotSent` (retried by the server), a refusal throws `Refused`, anything that
 * may or may not have happened throws `OutcomeUnknown`; neither of the two is retried by the server.
 */
import type { Facts } from './facts.ts';
import type { Created, Terms } from './link.ts';

export type FailureType = 'NotSent' | 'Refused' | 'OutcomeUnknown' | 'Unreachable' | 'NothingNew';

/** `details[0]` of a `Refused` or `OutcomeUnknown` failure. */
export interface ProviderRefusal {
  code: string;
  message: string;
  /** Of a create whose outcome is unknown. */
  lost?: Lost;
}

/** A created link, as every activity but create needs it. */
export interface LinkHandle {
  terms: Terms;
  created: Created;
}

export interface CreateAttempt {
  terms: Terms;
  /** Idempotency key, stable over attempts, restarts and continue-as-new. */
  key: string;
  /** The first try of this link began then (epoch ms): bounds searches by reference. */
  since: number;
  /** For create: an earlier one with this key got no answer, and what the provider has of it may be ours. */
  again?: boolean;
  /** For find: what webhooks named that are about our reference. */
  ids?: readonly string[];
}

/** What can be found out about a create whose answer was lost; its failure says so, or else the search for it. */
export interface Lost {
  /** What shows whether it happened: our reference, ids that webhooks named, or nothing. */
  search: 'reference' | 'ids' | 'none';
  /** A second create with the same key makes no second link. */
  repeatable: boolean;
  /** What a person does who has to find out. */
  advice?: string;
}

export interface Searched extends Lost {
  /** Nothing, where a search by reference is possible, means that there is nothing. */
  found?: CreateResult;
}

export interface Observation {
  facts: Facts;
  /** Hash of what the provider said. */
  evidence: string;
}

export interface CreateResult extends Observation {
  created: Created;
}

export interface Read extends LinkHandle {
  /** Ids a webhook named, read along with the link and its known payments. */
  ids: string[];
  known: Facts;
}

export interface Watch extends LinkHandle {
  known: Facts;
  /** When news last came (epoch ms): young links are asked more often. */
  lastNewsAt: number;
  cadence: Cadence;
}

/** How often to ask: the first row whose age has not passed counts. */
export interface Cadence {
  rows: { untilAgeSeconds: number; everySeconds: number }[];
  thenEverySeconds: number;
  /** 0.2 spreads each wait by ±20 %. */
  jitter: number;
}

export interface Write extends LinkHandle {
  /** Idempotency key, stable over attempts, restarts and continue-as-new. */
  key: string;
  amount?: number;
  /** For refund: the payment it is about; the provider's adapter chooses where none is named. */
  payment?: string;
  reason?: string;
  known: Facts;
}

export interface Extension extends LinkHandle {
  key: string;
  expiresAt: number;
  opening: number;
  known: Facts;
}

/** `changed`: the totals the write was based on no longer hold, nothing was sent. */
export interface WriteResult extends Observation {
  outcome: 'done' | 'changed';
  providerId?: string;
}

export interface Ports {
  create(attempt: CreateAttempt): Promise<CreateResult>;
  /** Looks for what an earlier create made. */
  find(attempt: CreateAttempt): Promise<Searched>;
  inquire(read: Read): Promise<Observation>;
  /** Returns only when the provider says something new; throws `NothingNew` with the next delay otherwise. */
  watch(watch: Watch): Promise<Observation>;
  /** Makes the link payable until then, through a new opening. */
  extend(extension: Extension): Promise<CreateResult>;
  capture(write: Write): Promise<WriteResult>;
  cancel(write: Write): Promise<WriteResult>;
  refund(write: Write): Promise<WriteResult>;
}
