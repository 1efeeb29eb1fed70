import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  setCurrentDetails,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Return } from './allowed.ts';
import { linkDeadline, linkExceptions, linkProviderId, linkStatus } from './attributes.ts';
import { card, show, when } from './card.ts';
import { waiting } from './deadlines.ts';
import { acknowledge, attend, exceptionsOf, type Staying, unseenOf } from './exceptions.ts';
import { canonical, corrected, type Facts, isNews, join, newestNumber, type Opening, sums } from './facts.ts';
import {
  type Created,
  capturesAtOnce,
  happened,
  isManual,
  isSettled,
  type Link,
  type Matter,
  type Operation,
  type OperationKind,
  type Status,
  statusOf,
} from './link.ts';
import type { Command, LinkInput, TimelineItem } from './messages.ts';
import { MAX_OPERATIONS, MAX_TIMELINE, type State, TIMING, type Timing, type Told } from './state.ts';
import { viewOfLink } from './view.ts';
import { type World, worldOf } from './world.ts';

/** The create operation; a space, so that no caller's idempotency key can be it. */
export const CREATE = 'perdure create';

/** The engine's cancel of a link whose expiry it owns. */
export const CLOSE_AT_DEADLINE = 'close at deadline';

/** One run of a link: what it remembers, and the one way anything in it changes. */
export class Run {
  readonly state: State;
  readonly timing: Timing;
  readonly world: World;
  /** Continue-as-new is being prepared: nothing new is begun. */
  leaving = false;
  /** Provider calls that must be over before the run may continue as new. */
  busy = 0;
  /** What the watch under way was started with: it ends as soon as the provider shows other than its facts. */
  watched?: { facts: Facts; lastNewsAt: number };

  /** The run is about to end: it can do nothing more. */
  over = false;

  private published = '';
  /** The history has grown: the next quiet moment continues as new. */
  private long = false;

  constructor(private readonly input: LinkInput) {
    this.timing = { ...TIMING, ...input.timing };
    this.world = worldOf(input.terms.account, this.timing.attemptMs);
    const now = Date.now();
    this.state = input.state ?? {
      createdAt: now,
      facts: {},
      operations: [
        { id: CREATE, kind: 'create', state: 'queued', at: now, actor: 'perdure', fingerprint: input.termsHash },
      ],
      timeline: [],
      lastNewsAt: now,
      watches: 0,
      runs: 0,
    };
    this.state.runs += 1;
    // What start or the previous run already published needs no upsert; a fresh link has said `creating`.
    if (input.state) this.published = canonical(this.attributes());
  }

  get terms() {
    return this.input.terms;
  }

  get termsHash() {
    return this.input.termsHash;
  }

  get created(): Created | undefined {
    return this.state.created;
  }

  get matter(): Matter {
    const { facts, operations, created, unverified, attention, lostTo } = this.state;
    return { terms: this.terms, facts, operations, created, unverified, attention, lostTo };
  }

  get status(): Status {
    return statusOf(this.matter);
  }

  get sums() {
    return sums(this.state.facts, this.terms.currency);
  }

  /** A write of ours is under way. */
  get writing(): boolean {
    return this.state.operations.some((op) => op.state === 'running' && !isManual(op));
  }

  /** A capture or cancel of ours succeeded a moment ago; the webhook it causes may come a little after its answer. */
  get hasJustSettled(): boolean {
    const since = Date.now() - this.timing.hintSpacingMs;
    return this.state.operations.some(
      ({ kind, finishedAt = 0 }) => (kind === 'capture' || kind === 'cancel') && finishedAt > since,
    );
  }

  operation(id: string): Operation | undefined {
    return this.state.operations.find((op) => op.id === id);
  }

  get unsettled(): Operation[] {
    return this.state.operations.filter((op) => !isSettled(op));
  }

  /** Something is not decided, or was heard and not yet looked at: whoever told us was answered that it would be. */
  get occupied(): boolean {
    return this.unsettled.length > 0 || this.state.hinted !== undefined || this.busy > 0;
  }

  /** The link as the provider knows it. Only stages after creation ask. */
  handle() {
    if (!this.created) throw new Error('the provider has not made this link yet');
    return { terms: this.terms, created: this.created };
  }

  /** The provider answered our create: from now on the link is payable. */
  adopt(created: Created): void {
    const { deadlineMs } = this.timing;
    const expiresAt = deadlineMs > 0 ? Date.now() + deadlineMs : created.expiresAt;
    this.state.created = { ...created, expiresAt };
    this.state.lastNewsAt = Date.now();
    this.note({ kind: 'created', source: 'provider', summary: `payable until ${when(expiresAt)}` });
  }

  /** The same link with a later expiry, perhaps through a new provider link; every id it ever had still names it. */
  reopen(created: Created): void {
    const ids = [...new Set([...(this.created?.ids ?? []), ...created.ids])];
    this.state.created = { ...created, ids };
    this.state.lastNewsAt = Date.now();
    this.note({ kind: 'extended', source: 'perdure', summary: `payable until ${when(created.expiresAt)}` });
    this.reveal();
  }

  /** Joins what was learned; tells the timeline and the Temporal UI if it was news. */
  learn(source: string, facts: Facts, summary?: string): void {
    const before = this.state.facts;
    const told = this.take(join(before, facts));
    if (isNews(before, facts)) told(source, summary ?? this.describe(facts));
    for (const op of this.state.operations) {
      const open = op.state === 'unknown' || isManual(op);
      if (open && happened(op, this.matter)) this.change(op, { state: 'succeeded', error: undefined });
    }
    this.reveal();
  }

  /** A person takes as true that the provider shows less than it did; false when it does not. */
  correct(summary: string): boolean {
    const facts = corrected(this.state.facts);
    if (canonical(facts) === canonical(this.state.facts)) return false;
    this.take(facts)('operator', summary);
    this.reveal();
    return true;
  }

  /** These are the facts from now on; returns what writes down how they changed the link. */
  private take(facts: Facts): (source: string, summary: string) => void {
    const [statusBefore, oddBefore] = [this.status, exceptionsOf(this.matter).join(', ')];
    this.state.facts = facts;
    this.attend();
    return (source, summary) => {
      this.state.lastNewsAt = Date.now();
      this.note({ kind: 'observation', source, summary });
      if (this.status !== statusBefore) {
        this.note({ kind: 'status', source: 'perdure', summary: `${statusBefore} → ${this.status}` });
      }
      const odd = exceptionsOf(this.matter).join(', ');
      if (odd !== oddBefore) this.note({ kind: 'exceptions', source: 'perdure', summary: odd || 'none any more' });
    };
  }

  /** Remembers what a person has to see. Late money the merchant accepts beforehand needs nobody. */
  private attend(): void {
    this.state.attention = attend(this.matter);
    const accepts = this.created?.policies.latePayment === 'accept';
    if (!accepts || !unseenOf(this.matter).includes('late_payment')) return;
    this.state.attention = acknowledge(this.state.attention, 'late_payment');
    this.note({ kind: 'exceptions', source: 'perdure', summary: 'late_payment accepted, as the policy says' });
  }

  /** A person has seen it: it stays away until there is another of its kind. */
  acknowledge(exception: Staying): void {
    this.state.attention = acknowledge(attend(this.matter), exception);
    this.reveal();
  }

  /** Another link of the order has won: what comes here is too much. */
  lose(winner: string): void {
    if (this.state.lostTo !== undefined) return;
    this.state.lostTo = winner;
    const summary = `order ${this.terms.orderReference} is paid through ${winner}`;
    this.note({ kind: 'order', source: 'perdure', summary });
    this.learn('perdure', {});
  }

  /** A closing or deadline of the newest opening, stated by the engine. */
  declare(words: Opening, summary: string): void {
    this.learn('perdure', { openings: { [newestNumber(this.state.facts)]: words } }, summary);
  }

  /** Adds an operation to the queue; the same id again gives the one that is there. */
  enqueue(kind: OperationKind, command: Command, more: Partial<Operation> = {}): Operation {
    this.measure();
    const known = this.operation(command.id);
    if (known) return known;
    const { id, fingerprint, actor, reason } = command;
    const operation: Operation = { id, kind, state: 'queued', at: Date.now(), actor, reason, fingerprint, ...more };
    this.state.operations.push(operation);
    this.note({ kind: 'operation', source: 'command', actor, reason, summary: `${kind} ${id} queued` });
    this.reveal();
    return operation;
  }

  /**
   * The engine's own operations take the same road. Each has a name within its opening, so that a stage entered again orders nothing
   * twice; its id contains a space, which no caller's can. What was decided about a hold says nothing about the next one.
   */
  order(kind: 'capture' | 'cancel', name: string, reason: string, hold?: string): Operation {
    const opening = newestNumber(this.state.facts);
    const plain = opening === 0 ? `perdure ${name}` : `perdure ${name}, opening ${opening}`;
    const before = this.operation(plain)?.hold ?? hold;
    const id = before === hold ? plain : `${plain}, hold ${hold}`;
    return this.enqueue(kind, { id, fingerprint: '', actor: 'perdure', reason }, hold === undefined ? {} : { hold });
  }

  /** Gives back what policy says must not be kept. */
  giveBack({ id, payment, amount, reason }: Return): Operation {
    return this.enqueue('refund', { id, fingerprint: '', actor: 'perdure', reason }, { payment, amount });
  }

  get roomForOperations(): boolean {
    return this.state.operations.length < MAX_OPERATIONS;
  }

  change(operation: Operation, change: Partial<Operation>): void {
    Object.assign(operation, change);
    if (isSettled(operation)) operation.finishedAt = Date.now();
    const money = operation.amount === undefined ? '' : ` ${show(operation.amount, this)}`;
    const why = change.error ? `: ${change.error.message}` : '';
    const { kind, id, actor, reason, state } = operation;
    this.note({ kind: 'operation', source: 'perdure', actor, reason, summary: `${kind} ${id}${money} ${state}${why}` });
    this.reveal();
  }

  /** A read is due; ids say what to read besides the link. */
  hint(ids: string[]): void {
    this.measure();
    this.state.hinted = [...new Set([...(this.state.hinted ?? []), ...ids])].slice(0, 20);
  }

  /** A webhook's own words, kept until the link is made: only then is it known whether they are evidence. */
  hear({ signed, facts }: Told): void {
    const told = this.state.told ?? [];
    const alike = told.find((before) => before.signed === signed);
    this.state.told = alike
      ? told.map((before) => (before === alike ? { signed, facts: join(before.facts, facts) } : before))
      : [...told, { signed, facts }];
  }

  /** Where the provider cannot be asked a signed webhook is evidence; elsewhere only what is read counts. */
  weigh(): void {
    const { created } = this;
    if (!created) return;
    const told = this.state.told ?? [];
    this.state.told = undefined;
    if (created.abilities.inquire) return;
    for (const { signed, facts } of told) {
      if (signed || created.acceptUnsigned) {
        this.learn('webhook', facts);
      } else {
        const shown = join(this.state.unverified ?? {}, facts);
        if (canonical(shown) === canonical(this.state.unverified)) continue;
        this.state.unverified = shown;
        this.note({
          kind: 'observation',
          source: 'webhook',
          summary: `unsigned, so not counted: ${this.describe(facts)}`,
        });
        this.reveal();
      }
    }
  }

  note(item: Omit<TimelineItem, 'at'>): void {
    this.measure();
    this.state.timeline.push({ at: Date.now(), ...item });
    if (this.state.timeline.length > MAX_TIMELINE) this.state.timeline.shift();
  }

  /**
   * Waits until `until` holds or the deadline passes. Continues as new from here when the history has grown: every
   * stage can be entered again.
   */
  async stay(until: () => boolean, deadline?: number): Promise<void> {
    if (until() || (deadline !== undefined && deadline <= Date.now())) return;
    const timer = new CancellationScope();
    let due = false;
    if (deadline !== undefined) {
      timer
        .run(() => sleep(deadline - Date.now(), { summary: `waiting for ${waiting(this.matter).for}` }))
        .then(
          () => {
            due = true;
          },
          (stopped) => {
            if (!isCancellation(stopped)) throw stopped;
          },
        );
    }
    this.measure();
    await condition(() => until() || due || this.long);
    timer.cancel();
    if (!until() && !due) await this.continueAsNew();
  }

  /**
   * Asked only together with what the history shows: of an update that its validator refused nothing remains, and a
   * replay could not know that the run left just then.
   */
  measure(): void {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    const limit = this.timing.continueAfterEvents;
    this.long ||= continueAsNewSuggested || (limit > 0 && historyLength >= limit);
  }

  private async continueAsNew(): Promise<never> {
    this.leaving = true;
    await condition(() => this.busy === 0 && allHandlersFinished());
    return continueAsNew<(input: LinkInput) => Promise<Link>>({ ...this.input, state: this.state });
  }

  /** Tells the Temporal UI and visibility: one upsert per visible change, the card costs nothing. */
  reveal(): void {
    setCurrentDetails(card(this.matter));
    // A fresh link was started with these attributes.
    if (this.status === 'creating' && exceptionsOf(this.matter).length === 0) return;
    // A hold that is captured at once is not worth an upsert of its own.
    if (this.status === 'authorized' && capturesAtOnce(this.matter)) return;
    const attributes = this.attributes();
    if (canonical(attributes) === this.published) return;
    this.published = canonical(attributes);
    upsertSearchAttributes(attributes);
  }

  private attributes() {
    const { until } = waiting(this.matter);
    return [
      { key: linkStatus, value: this.status },
      { key: linkExceptions, value: exceptionsOf(this.matter) },
      { key: linkProviderId, value: this.created?.ids ?? [] },
      { key: linkDeadline, value: until === undefined ? null : new Date(until) },
    ];
  }

  view(): Link {
    const { createdAt } = this.state;
    return viewOfLink(this.matter, { createdAt, provider: this.input.provider, over: this.over });
  }

  private describe({ latest, payments }: Facts): string {
    const { authorized, captured, refunded } = this.sums;
    const word = latest ? `provider says ${latest.word}` : 'facts';
    if (!payments) return word;
    return `${word}: authorized ${show(authorized, this)}, captured ${show(captured, this)}, refunded ${show(refunded, this)}`;
  }
}
