import type { z } from 'zod';
import type { Facts } from '../workflows/facts.ts';
import type { Created, Policies, Terms, WriteKind } from '../workflows/link.ts';
import type { Http } from './http.ts';

/**
 * What a provider is: one object, written in one file. An optional function that is there is the ability; nothing
 * else declares it. Providers know nothing of Temporal.
 */
export interface Provider<Config = unknown> {
  name: string;
  /** Credentials and options of one account, as they stand in the accounts file under `options`. */
  config: z.ZodType<Config>;
  /** The provider's own limits on a create request; asked before a run starts and again before the call. */
  accepts(terms: Terms, config: Config, now: number): Problem[];
  /** Every documented status word and what it means, for the generated docs; the adapter reads from the same table. */
  statuses: Readonly<Record<string, string>>;
  /** Errors that have a code of their own, for the generated docs; the adapter reads from the same table. */
  errors?: readonly DocumentedError[];
  /** What no document confirms and the adapter takes for granted, a sentence each, for the generated docs. */
  assumed?: readonly string[];
  /** Whether a capture or refund may be less than the whole. */
  partial: { capture: boolean; refund: boolean };
  /** Writes that cannot happen twice when repeated with the same key, with the fact it rests on in a comment. */
  repeatable: readonly WriteKind[];
  /** A paid link of this provider takes further payments until it is disabled. */
  reusable?: boolean;
  /** What the account's own options change about this provider; frozen with every link the account makes. */
  traits?(config: Config): Traits;
  create(call: Call<Config>, attempt: CreateCall): Promise<Answer & { created: ProviderLink }>;
  /** Finds what an earlier create with this key made; undefined when there is nothing. */
  findByReference?(
    call: Call<Config>,
    attempt: CreateCall & { since: number },
  ): Promise<(Answer & { created: ProviderLink }) | undefined>;
  /**
   * The same for providers that cannot be searched: finds it among the ids that webhooks named, and finishes what can be
   * finished without making anything twice. Undefined proves nothing.
   */
  findByIds?(
    call: Call<Config>,
    attempt: CreateCall & { ids: readonly string[] },
  ): Promise<(Answer & { created: ProviderLink }) | undefined>;
  /** What a person does who has to find out what became of a create; for providers that cannot be searched. */
  lostAdvice?: string;
  /** Reads the link, every payment of `known` and every id in `ids`. */
  inquire?(
    call: Call<Config>,
    link: ProviderLink,
    read: { terms: Terms; known: Facts; ids: string[] },
  ): Promise<Answer>;
  capture?(call: Call<Config>, link: ProviderLink, write: WriteCall): Promise<WriteAnswer>;
  cancel?(call: Call<Config>, link: ProviderLink, write: WriteCall): Promise<WriteAnswer>;
  refund?(call: Call<Config>, link: ProviderLink, write: WriteCall): Promise<WriteAnswer>;
  /**
   * Makes the link payable until `expiresAt`, also after it expired: returns the provider link that is payable now,
   * with facts of opening `opening` (a number no other opening has).
   */
  extend?(
    call: Call<Config>,
    link: ProviderLink,
    attempt: { terms: Terms; key: string; expiresAt: number; opening: number; known: Facts },
  ): Promise<Answer & { created: ProviderLink }>;
  webhook?: WebhookReader<Config>;
}

export interface DocumentedError {
  /** What the provider answers: its text, or the beginning of it. */
  says: string;
  kind: ProviderErrorKind;
  code: string;
}

export interface Traits {
  /** Verbs of the provider that this account cannot use: for it they are not there. */
  without?: readonly OptionalVerb[];
  /** Unsigned webhooks count as money where the provider cannot be asked. */
  acceptUnsigned?: boolean;
}

export type OptionalVerb = 'findByReference' | 'inquire' | 'capture' | 'cancel' | 'refund' | 'extend';

export interface CreateCall {
  terms: Terms;
  key: string;
  /** Our webhook listener's address for this very link, for providers that take one per link. */
  callbackUrl?: string;
  /** An earlier create with this key got no answer: what the provider has under our reference may be ours. */
  again?: boolean;
}

/** One call's surroundings. */
export interface Call<Config> {
  config: Config;
  http: Http;
  /** Epoch milliseconds; every observation carries the instant it was made. */
  now(): number;
}

/** The link as the provider knows it; what stands here is frozen when the link is created. */
export type ProviderLink = Omit<
  Created,
  'provider' | 'abilities' | 'policies' | 'holdWindowSeconds' | 'acceptUnsigned'
>;

export interface WriteCall {
  terms: Terms;
  key: string;
  /** Minor units; always given for capture and refund. */
  amount?: number;
  /** The payment a refund is about, where the caller named one. */
  payment?: string;
  reason?: string;
  known: Facts;
}

/** What the provider said, as facts, and its raw text for the evidence hash. */
export interface Answer {
  facts: Facts;
  evidence: string;
}

export interface WriteAnswer extends Answer {
  /** The provider's id of the capture, void or refund. */
  providerId?: string;
}

export interface Problem {
  /** JSON pointer into the create request. */
  pointer: string;
  code: 'not_supported' | 'invalid_value';
  message: string;
}

/** Checks and reads one account's webhooks. */
export interface WebhookReader<Config> {
  /**
   * Throws {@link NotAuthentic} unless the request was signed by the provider for this account. `unsigned` only where
   * the account has no secret because its provider may not sign: such news moves no money by itself.
   */
  verify(request: WebhookRequest, config: Config, secrets: readonly string[], now: number): 'signed' | 'unsigned';
  /** What an authentic body names; called after `verify` only. Throws a plain Error on an unreadable body. */
  read(request: WebhookRequest, config: Config, now: number): WebhookNews;
  /** Registers `url` at the provider if it wants that, and returns the signing secret it issued. */
  register?(call: Call<Config>, url: string): Promise<{ id: string; secret: string }>;
}

export interface WebhookRequest {
  /** Exactly the bytes that were received. */
  body: Uint8Array;
  /** Lower-case names. */
  headers: Readonly<Record<string, string | undefined>>;
  query: URLSearchParams;
}

export interface WebhookNews {
  /** Our reference, if the body names it. */
  reference?: string;
  /** The provider's ids in the body, the link's first. */
  ids: string[];
  /** What the body says, for accounts whose provider cannot be asked: there it is evidence, elsewhere ignored. */
  facts?: Facts;
  /** What was signed, where that is less than the body: the rest may be changed by whoever holds the signature. */
  signed?: Uint8Array;
  /** Authentic but no concern of any link, such as an event type we do not follow: answered 2xx and dropped. */
  ignore?: boolean;
}

/** The request was not signed by the provider. Its message is for our log, never for the sender. */
export class NotAuthentic extends Error {
  override name = 'NotAuthentic';
  constructor(
    message: string,
    /** The provider did sign it, but not now: it is a recording, or a clock is wrong. */
    readonly stale = false,
  ) {
    super(message);
  }
}

/**
 * Why a provider call did not succeed.
 * - `refused`: the provider understood and said no; nothing happened
 * - `unauthorized`: credentials or caller address are not accepted; an operator must act
 * - `not_found`: the provider does not know the object
 * - `rate_limited`: try again after `retryAfterMs`; nothing happened
 * - `not_sent`: no connection came about; nothing happened
 * - `unknown`: timeout, reset, 5xx or an unreadable 2xx; it may have happened
 */
export type ProviderErrorKind = 'refused' | 'unauthorized' | 'not_found' | 'rate_limited' | 'not_sent' | 'unknown';

export class ProviderError extends Error {
  override name = 'ProviderError';
  constructor(
    readonly kind: ProviderErrorKind,
    /** Stable word for API and logs, such as `amount_too_low` or `timeout`. */
    readonly code: string,
    /** What was tried, what the provider answered; no secrets. */
    message: string,
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }
}

export interface AccountOptions {
  policies: Policies;
  /** Lifetime of a link whose request names none. */
  expirySeconds: number;
  /** Longest age of a hold, where the account knows it. */
  holdWindowSeconds?: number;
}

/** Keeps the config type between the schema and the verbs of one provider file. */
export function defineProvider<Config>(provider: Provider<Config>): Provider<Config> {
  return provider;
}
