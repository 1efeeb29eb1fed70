import { randomUUID } from 'node:crypto';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { Link, OperationKind, Terms } from '../workflows/link.ts';
import {
  acknowledge,
  type Command,
  type CommandOutcome,
  cancel,
  capture,
  extend,
  markPaid,
  markRefunded,
  refund,
  resolveUnknown,
  resync,
  TASK_QUEUE,
  type TimelineItem,
  timeline,
  workflowIdOf,
} from '../workflows/messages.ts';
import {
  type AcknowledgeRequest,
  acknowledgeRequest,
  type CancelRequest,
  type CreateRequest,
  cancelRequest,
  createRequest,
  type DismissRequest,
  dismissRequest,
  type ExtendRequest,
  extendRequest,
  idempotencyKey,
  type MarkRequest,
  type MoneyRequest,
  markRequest,
  moneyRequest,
  type RefundRequest,
  type ResolveRequest,
  type ResyncRequest,
  reference as referenceSchema,
  refundRequest,
  resolveRequest,
  resyncRequest,
} from '../workflows/schema.ts';
import type { Timing } from '../workflows/state.ts';
import { command, commandBefore } from './commands.ts';
import { type Created, createLink } from './create.ts';
import { type FieldError, InvalidRequest, NotFound, Timeout, Unavailable } from './errors.ts';
import { type LinkPage, type ListQuery, listLinks, openLinks } from './list.ts';
import { type News, observe } from './observe.ts';
import { type Patience, pause, within } from './reach.ts';
import { fingerprint, parse, problemsOf, termsHash, termsOf } from './requests.ts';
import { describe, readLink } from './runs.ts';
import {
  dismissUnmatched,
  type KeepOptions,
  keepUnmatched,
  listUnmatched,
  type UnmatchedPage,
  type UnmatchedQuery,
  type UnmatchedWebhook,
} from './unmatched.ts';

export interface PaymentLinksOptions {
  /** Waits of the engine, for every link created through this client; meant for tests and demos. */
  timing?: Partial<Timing>;
  /** Task queue of the workers; `perdure` unless they were told otherwise. */
  taskQueue?: string;
  /** How long calls wait for their answers. */
  patience?: Partial<Patience>;
}

export interface CreateOptions {
  /** Name of the account's provider, where the caller knows it: shown before the provider answered. */
  provider?: string;
  /** The provider's own limits; asked only if the terms did not make a link before, which needs no second check. */
  check?: (terms: Terms) => FieldError[];
}

/** One thing that happened to a link; `at` is RFC 3339. */
export type TimelineEntry = Omit<TimelineItem, 'at'> & { at: string };

export interface CommandOptions {
  /** 1–255 visible ASCII characters; the same key again gives the same operation. Drawn at random when left out. */
  idempotencyKey?: string;
  /** Who asks, for the record; `local` when left out. */
  actor?: string;
}

const CREATE_PATIENCE: Patience = { lookAfterMs: 8_000, lookMs: 2_000, giveUpAfterMs: 15_000 };
/** The workflow answers a command within 15 s by itself; this leaves it time to say so. */
const COMMAND_GIVE_UP_MS = 17_000;
const READ_MS = 5_000;
/** `settled` reads at first after this long, and then at growing distance. */
const SETTLED_FIRST_MS = 200;
const SETTLED_LATER_MS = 5_000;

const UNSETTLED: readonly string[] = ['creating', 'pending', 'authorized'];

/**
 * Payment links for a TypeScript backend that reaches Temporal itself.
 *
 * Requests and answers are those of the REST API: amounts in requests are `{minor, currency}`, amounts of a link are
 * integers of minor units, instants are RFC 3339. Every failure is a {@link PaymentLinkError} with a stable `code`;
 * after `Unavailable` the same call again is safe.
 */
export class PaymentLinks {
  constructor(
    private readonly client: Client,
    private readonly options: PaymentLinksOptions = {},
  ) {}

  /**
   * Makes a link, or returns the one that the same request made before (`created: false`). After 15 s without an
   * answer of the provider the link comes back as `creating`, with `url` null.
   *
   * @throws InvalidRequest, ReferenceConflict (other terms), ProviderRefused (the reference is free again), Unavailable
   */
  async create(request: CreateRequest, { provider, check }: CreateOptions = {}): Promise<Created> {
    const terms = termsOf(parse(createRequest, request));
    const problems = [...problemsOf(terms, Date.now()), ...(check?.(terms) ?? [])];
    if (problems.length > 0) return { link: await this.madeBefore(terms, problems), created: false };
    const { timing, taskQueue = TASK_QUEUE } = this.options;
    const patience = { ...CREATE_PATIENCE, ...this.options.patience };
    return createLink({ client: this.client, taskQueue, patience, timing, terms, provider });
  }

  /** @throws NotFound, Unavailable when no worker answers within 5 s */
  async get(reference: string): Promise<Link> {
    return readLink(this.client, known(reference), { deadline: Date.now() + READ_MS });
  }

  /** One page of summaries; see {@link listLinks} for the order. */
  async list(query: ListQuery = {}): Promise<LinkPage> {
    return listLinks(this.client, query, { deadline: Date.now() + READ_MS });
  }

  /** What happened to a link, oldest first; the last 200 things. @throws NotFound, Unavailable */
  async timeline(reference: string): Promise<TimelineEntry[]> {
    const handle = this.client.workflow.getHandle(workflowIdOf(known(reference)));
    const read = within(this.client, { deadline: Date.now() + READ_MS }, () => handle.query(timeline));
    const items = await read.catch((error: unknown) => {
      throw error instanceof WorkflowNotFoundError ? new NotFound(reference) : error;
    });
    return items.map((item) => ({ ...item, at: new Date(item.at).toISOString() }));
  }

  /** Captures what is held, all of it when no amount is given. Failures: see {@link PaymentLinks.cancel}. */
  async capture(reference: string, request: MoneyRequest = {}, options?: CommandOptions): Promise<CommandOutcome> {
    const body = parse(moneyRequest, request);
    const order = { ...this.order(reference, 'capture', body, options), update: capture };
    return command({ ...order, command: { ...order.command, ...moneyOf(body) } });
  }

  /**
   * Gives captured money back, all of it when no amount is given; `force` does so although a dispute stands, and takes
   * a reason. Failures: see {@link PaymentLinks.cancel}.
   */
  async refund(reference: string, request: RefundRequest = {}, options?: CommandOptions): Promise<CommandOutcome> {
    const body = parse(refundRequest, request);
    const order = { ...this.order(reference, 'refund', body, options), update: refund };
    return command({ ...order, command: { ...order.command, ...moneyOf(body), force: body.force } });
  }

  /**
   * Closes the link at the provider, or releases what is held. Like every command it resolves with the link and the
   * operation: succeeded, or still queued, running or unknown after 15 s.
   *
   * @throws InvalidRequest, NotFound, NotAllowed, IdempotencyConflict, AmountOutOfRange, NotSupported,
   *   ProviderRefused, Unavailable
   */
  async cancel(reference: string, request: CancelRequest = {}, options?: CommandOptions): Promise<CommandOutcome> {
    const body = parse(cancelRequest, request);
    return command({ ...this.order(reference, 'cancel', body, options), update: cancel });
  }

  /**
   * Reads the provider now. With `accept` a figure lower than what was known is taken as true: `provider_disagrees`
   * goes. Failures: see {@link PaymentLinks.cancel}.
   */
  async resync(reference: string, request: ResyncRequest = {}, options?: CommandOptions): Promise<CommandOutcome> {
    const body = parse(resyncRequest, request);
    const order = { ...this.order(reference, 'resync', body, options), update: resync };
    return command({ ...order, command: { ...order.command, accept: body.accept } });
  }

  /** Says that a person has seen an exception that stays until then. Failures: see {@link PaymentLinks.cancel}. */
  async acknowledge(reference: string, request: AcknowledgeRequest, options?: CommandOptions): Promise<CommandOutcome> {
    const body = parse(acknowledgeRequest, request);
    const order = { ...this.order(reference, 'acknowledge', body, options), update: acknowledge };
    return command({ ...order, command: { ...order.command, exception: body.exception } });
  }

  /** Makes the link payable until a later instant. NotAllowed where the provider fixes the expiry. */
  async extend(reference: string, request: ExtendRequest, options?: CommandOptions): Promise<CommandOutcome> {
    const body = parse(extendRequest, request);
    const expiresAt = Date.parse(body.expiresAt);
    const order = { ...this.order(reference, 'extend', body, options), update: extend };
    const wanted = { ...order, command: { ...order.command, expiresAt } };
    const problems = problemsOf({ expiresAt }, Date.now());
    if (problems.length === 0) return command(wanted);
    // Asked again with its key it has the answer it had before its own instant passed.
    const before = options?.idempotencyKey ? await commandBefore(wanted) : undefined;
    if (!before) throw new InvalidRequest(422, problems);
    return before;
  }

  /** Vouches for a payment the provider cannot tell of. NotAllowed where it can be asked. */
  async markPaid(reference: string, request: MarkRequest, options?: CommandOptions): Promise<CommandOutcome> {
    const body = parse(markRequest, request);
    const order = { ...this.order(reference, 'mark-paid', body, options), update: markPaid };
    return command({ ...order, command: { ...order.command, ...markOf(body) } });
  }

  /** States that money was given back by hand. NotAllowed where the provider refunds. */
  async markRefunded(reference: string, request: MarkRequest, options?: CommandOptions): Promise<CommandOutcome> {
    const body = parse(markRequest, request);
    const order = { ...this.order(reference, 'mark-refunded', body, options), update: markRefunded };
    return command({ ...order, command: { ...order.command, ...markOf(body) } });
  }

  /**
   * States what a person found out about an operation whose outcome is unknown; `operation` is its id or kind.
   * Failures: see {@link PaymentLinks.cancel}.
   */
  async resolveUnknown(reference: string, request: ResolveRequest, options?: CommandOptions): Promise<CommandOutcome> {
    const body = parse(resolveRequest, request);
    const order = { ...this.order(reference, 'resolve-unknown', body, options), update: resolveUnknown };
    const { operation, outcome } = body;
    return command({ ...order, command: { ...order.command, operation, outcome } });
  }

  /**
   * Resolves when the link is none of creating, pending and authorized any more, by reads at growing distance.
   *
   * @throws NotFound; Timeout after `timeoutMs`, with the link as it was seen last
   */
  async settled(reference: string, { timeoutMs }: { timeoutMs: number }): Promise<Link> {
    const until = Date.now() + timeoutMs;
    let seen: Link | undefined;
    let cause: unknown;
    for (let wait = SETTLED_FIRST_MS; ; wait = Math.min(wait * 1.5, SETTLED_LATER_MS)) {
      try {
        seen = await this.get(reference);
        if (!UNSETTLED.includes(seen.status)) return seen;
      } catch (error) {
        // A worker that restarts is no reason to stop waiting.
        if (!(error instanceof Unavailable)) throw error;
        cause = error;
      }
      const left = until - Date.now();
      if (left <= 0) {
        const state = seen ? `is still ${seen.status}` : 'could not be read';
        throw new Timeout(`the link ${reference} ${state} after ${timeoutMs} ms`, seen, { cause });
      }
      await pause(Math.min(wait, left));
    }
  }

  /** Passes an authentic webhook on to its link; see {@link observe}. */
  async observe(news: News): Promise<'accepted' | 'unmatched'> {
    return observe(this.client, news);
  }

  /** Keeps an authentic webhook that names no open link; see {@link keepUnmatched}. */
  async keepUnmatched(news: News, options: KeepOptions): Promise<'kept' | 'full'> {
    return keepUnmatched(this.client, news, options);
  }

  /** Webhooks that name no open link and wait for somebody to look, one page; see {@link listUnmatched}. */
  async unmatched(query: UnmatchedQuery = {}): Promise<UnmatchedPage> {
    return listUnmatched(this.client, query, { deadline: Date.now() + READ_MS });
  }

  /** Closes one of them as nobody's. @throws InvalidRequest, NotFound, Unavailable */
  async dismissUnmatched(
    webhook: Pick<UnmatchedWebhook, 'account' | 'about'>,
    request: DismissRequest,
    { actor = 'local' }: Pick<CommandOptions, 'actor'> = {},
  ): Promise<void> {
    const { reason } = parse(dismissRequest, request);
    return dismissUnmatched(this.client, webhook, { actor, reason }, { deadline: Date.now() + READ_MS });
  }

  /** Number of open links per account, from visibility. */
  async openLinks(): Promise<Map<string, number>> {
    return openLinks(this.client, { deadline: Date.now() + READ_MS });
  }

  /** A request that could not make a link today may have made one when it could: then it still names that one. */
  private async madeBefore(terms: Terms, problems: FieldError[]): Promise<Link> {
    const limits = { deadline: Date.now() + READ_MS };
    const run = await describe(this.client, terms.reference, limits).catch((error: unknown) => {
      if (error instanceof NotFound) return undefined;
      throw error;
    });
    if (run?.termsHash !== termsHash(terms) || run.stopped || run.failed) throw new InvalidRequest(422, problems);
    return readLink(this.client, terms.reference, limits);
  }

  private order<K extends Exclude<OperationKind, 'create'>>(
    reference: string,
    kind: K,
    body: { reason?: string },
    { idempotencyKey: key = randomUUID(), actor = 'local' }: CommandOptions = {},
  ) {
    const problem = idempotencyKey.safeParse(key).error?.issues[0];
    if (problem) throw new InvalidRequest(400, [{ pointer: '/idempotencyKey', message: problem.message }]);
    const { client } = this;
    const patience = { ...CREATE_PATIENCE, giveUpAfterMs: COMMAND_GIVE_UP_MS, ...this.options.patience };
    const command: Command = { id: key, fingerprint: fingerprint(kind, body), actor, reason: body.reason };
    return { client, patience, reference: known(reference), kind, command };
  }
}

/** A reference that no link can have is one that no link has. */
function known(reference: string): string {
  if (!referenceSchema.safeParse(reference).success) throw new NotFound(reference);
  return reference;
}

const markOf = ({ amount: { minor, currency }, providerRef }: MarkRequest) => ({
  amount: minor,
  currency,
  providerRef,
});
const moneyOf = ({ amount }: MoneyRequest) => ({ amount: amount?.minor, currency: amount?.currency });
