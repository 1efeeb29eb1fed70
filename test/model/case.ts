import { allowedOf, returnDue } from '../../workflows/allowed.ts';
import { card } from '../../workflows/card.ts';
import { restsAt, waiting } from '../../workflows/deadlines.ts';
import { type Attention, acknowledge, attend, exceptionsOf, unseenOf } from '../../workflows/exceptions.ts';
import { corrected, type Facts, isNews, join, type Opening, sums } from '../../workflows/facts.ts';
import { type Created, happened, isSettled, type Matter, type Operation, statusOf } from '../../workflows/link.ts';
import type { Payment, Truth } from './truth.ts';

/** The pure functions a link is made of, in one object, so that a known bug can be put back into one of them. */
export const CORE = {
  ...{ join, isNews, corrected, sums, statusOf, exceptionsOf, unseenOf, attend, acknowledge },
  ...{ allowedOf, returnDue, happened, restsAt, waiting, card },
};
export type Core = typeof CORE;

export const OWN = 'AED';
/** Whoever finds one of these outside the workflow's input has found personal data. */
export const PERSONAL = ['Canary Person', 'canary@person.example', '+971500000017', 'canary-metadata'];
const [name, email, phone, note] = PERSONAL as [string, string, string, string];

const TERMS: Matter['terms'] = {
  ...{ account: 'model', reference: 'MODEL-1', amount: 100, currency: OWN, exponent: 2 },
  ...{ customer: { name, email, phone }, metadata: { note }, description: note },
};

export type Kind = 'capture' | 'refund' | 'cancel';
/** What becomes of a write: `lost after` happened and `lost before` did not, and neither was answered. */
export type Fate = 'answered' | 'lost after' | 'lost before';

interface Write extends Operation {
  kind: Kind;
  /** What the provider had shown of it, at most, when it was sent. */
  shownBefore: number;
  /** It really happened. */
  done: boolean;
}

export interface Policy {
  /** The provider can be asked; else signed webhooks and people are all there is. */
  askable: boolean;
  latePayment: 'hold' | 'refund';
  excess: 'hold' | 'refund_excess';
}

/** A link as the workflow keeps it, without the workflow: what it knows, what was asked of it, and the pure functions. */
export class Case {
  facts: Facts = {};
  operations: Write[] = [];
  attention?: Attention;
  readonly created: Created;
  /** Everything learned so far. */
  readonly news: Facts[] = [];
  /** A person took a lower figure as true: from then on the order of news matters. */
  wasCorrected = false;
  /** Keys of late payments a person has seen. */
  readonly seen = new Set<string>();
  /** Operations of unknown outcome that the last step settled by what it brought. */
  settledByEvidence: Write[] = [];

  constructor(
    readonly core: Core,
    readonly truth: Truth,
    { askable, latePayment, excess }: Policy,
    /** What a person has to see is kept: it costs as much as all the rest. */
    private readonly attentive: boolean,
  ) {
    this.created = {
      ...{ provider: 'model', providerLinkId: 'L1', ids: ['L1'], url: 'https://pay.example/L1' },
      ...{ expiresAt: 1_000, expiresByItself: true },
      abilities: {
        ...{ inquire: askable, findByReference: askable, capture: 'partial', cancel: true, refund: 'partial' },
        ...{ reusable: false, extend: false, repeatable: [] },
      },
      policies: {
        ...{ latePayment, excess, uncaptured: 'release', captureMarginSeconds: 1 },
        ...{ graceSeconds: 10, refundWindowSeconds: 100 },
      },
    };
  }

  get matter(): Matter {
    const { facts, operations, created, attention } = this;
    return { terms: TERMS, facts, operations, created, attention };
  }

  get sums() {
    return this.core.sums(this.facts, OWN);
  }

  get unknown(): Write | undefined {
    return this.operations.find((op) => op.state === 'unknown');
  }

  learn(facts: Facts): void {
    this.news.push(facts);
    this.facts = this.core.join(this.facts, facts);
    this.attend();
    for (const op of this.operations) {
      if (op.state !== 'unknown' || !this.core.happened(op, this.matter)) continue;
      op.state = 'succeeded';
      this.settledByEvidence.push(op);
    }
  }

  declare(words: Opening): void {
    this.learn({ openings: { [this.truth.openings.length - 1]: words } });
  }

  private attend(): void {
    if (this.attentive) this.attention = this.core.attend(this.matter);
  }

  /** A person has seen every late payment there is. */
  acknowledge(): void {
    if (!this.core.unseenOf(this.matter).includes('late_payment')) return;
    this.attention = this.core.acknowledge(this.core.attend(this.matter), 'late_payment');
    for (const { key } of this.late()) this.seen.add(key);
  }

  /** A person finds out what became of an operation. */
  findOut(): void {
    const op = this.unknown;
    if (op) op.state = op.done ? 'succeeded' : 'failed';
  }

  /** A person vouches, once, for money that came where nobody can be asked. */
  vouch(minor: number, now: number): void {
    const payment = this.truth.payments.find(({ currency, taken }) => currency === OWN && taken >= minor);
    if (!payment || this.created.abilities.inquire || this.facts.entries) return;
    this.learn({ entries: { [`mark-${now}`]: { payment: payment.key, currency: OWN, field: 'captured', minor } } });
  }

  /** A person takes what the provider shows as true. */
  accept(now: number): void {
    this.learn(this.truth.observe(now));
    this.facts = this.core.corrected(this.facts);
    this.wasCorrected = true;
    this.attend();
  }

  /** Payments that came after the provider had closed the only opening, as far as both are known. */
  late(): Payment[] {
    const [opening, ...others] = this.truth.openings;
    const words = Object.entries(this.facts.openings?.[0] ?? {});
    const closings = words.filter(([word]) => word !== 'opened' && word !== 'deadline' && word in opening!);
    if (!opening || others.length > 0 || closings.length === 0) return [];
    const closedAt = Math.min(...closings.map(([, at]) => at));
    return this.truth.payments.filter(
      ({ key, currency, at }) => at > closedAt && this.facts.payments?.[key]?.[currency] !== undefined,
    );
  }

  order(kind: Kind, more: Partial<Write>): Write {
    const id = more.id ?? `${kind}-${this.operations.length}`;
    const op: Write = {
      ...{ id, kind, state: 'queued', at: 0, actor: 'someone', fingerprint: '', shownBefore: 0, done: false },
      ...more,
    };
    this.operations.push(op);
    return op;
  }

  /** The operation's turn: look, check again, send. As in the workflow, none is sent while an outcome is unknown. */
  perform(op: Write, fate: Fate, now: number): void {
    const { truth, core } = this;
    if (this.created.abilities.inquire) this.learn(truth.observe(now));
    const { captured, refunded, voided, held } = this.sums;
    const movable = op.kind === 'capture' ? held : op.kind === 'refund' ? captured - refunded : 0;
    const amount = op.kind === 'cancel' ? undefined : (op.amount ?? movable);
    const possible = amount === undefined || (amount > 0 && amount <= movable && amount <= this.atProvider(op));
    if (!core.allowedOf(this.matter).includes(op.kind) || !possible) {
      op.state = 'refused';
      return;
    }
    op.amount = amount;
    op.basis = { captured, refunded, voided };
    op.shownBefore = this.shown(op.kind);
    op.done = fate !== 'lost before';
    if (op.done) this.act(op, now);
    op.state = fate === 'answered' ? 'running' : 'unknown';
    if (fate !== 'answered') return;
    this.learn(truth.observe(now));
    op.state = 'succeeded';
  }

  /** The provider's own limit. */
  private atProvider({ kind, payment }: Write): number {
    const own = this.truth.payments.filter((p) => p.currency === OWN && (payment === undefined || p.key === payment));
    return own.reduce((sum, { held, taken, returned }) => sum + (kind === 'capture' ? held : taken - returned), 0);
  }

  private act({ kind, amount = 0, payment }: Write, now: number): void {
    if (kind === 'capture') this.truth.capture(OWN, amount);
    else if (kind === 'refund') this.truth.refund(OWN, amount, payment);
    else {
      this.truth.release();
      this.truth.close('cancelled', now);
    }
  }

  /** The most the provider ever showed of what such an operation moves. */
  shown(kind: Kind): number {
    const field = kind === 'capture' ? 'captured' : kind === 'refund' ? 'refunded' : 'voided';
    return this.truth.payments.filter((p) => p.currency === OWN).reduce((sum, { peak }) => sum + peak[field], 0);
  }

  /** The next refund that policy asks for, queued. */
  giveBack(): Write | undefined {
    const due = this.core.returnDue(this.matter);
    if (!due) return undefined;
    const { id, payment, amount } = due;
    return this.order('refund', { id, payment, amount, actor: 'perdure' });
  }

  get queued(): Write | undefined {
    return this.unknown ? undefined : this.operations.find((op) => !isSettled(op));
  }
}
