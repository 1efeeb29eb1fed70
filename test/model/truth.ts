import type { ClosingWord, DisputeTurn, Facts, Opening, PaymentTotals, Reading } from '../../workflows/facts.ts';

/**
 * One payment as its provider has it: every minor unit is in one place. What was `taken` stays taken when a part of it
 * was `returned`.
 */
export interface Payment {
  key: string;
  currency: string;
  /** When the customer paid. */
  at: number;
  held: number;
  taken: number;
  released: number;
  returned: number;
  /** The most that was ever shown of it. */
  peak: PaymentTotals;
}

/** What is really so at the provider of one link, and what a look at it shows. Minor units; epoch milliseconds. */
export class Truth {
  readonly payments: Payment[] = [];
  readonly openings: Opening[] = [];
  readonly disputes: Record<string, DisputeTurn> = {};
  /** Counts the changes: a look that saw an older number is out of date. */
  version = 0;

  open(at: number): void {
    this.openings.push({ opened: at });
    this.version++;
  }

  close(word: ClosingWord, at: number): void {
    const opening = this.openings.at(-1);
    if (!opening || this.closed) return;
    opening[word] = at;
    this.version++;
  }

  /** The newest opening takes no money by itself any more; late money may still come. */
  get closed(): boolean {
    return Object.keys(this.openings.at(-1) ?? {}).some((word) => word !== 'opened');
  }

  pay(key: string, money: { minor: number; currency: string }, hold: boolean, at: number): Payment {
    const { minor, currency } = money;
    const payment: Payment = {
      ...{ key, currency, at, held: hold ? minor : 0, taken: hold ? 0 : minor, released: 0, returned: 0 },
      peak: { authorized: 0, captured: 0, refunded: 0, voided: 0, seenAt: at },
    };
    this.payments.push(payment);
    this.changed(payment);
    return payment;
  }

  /** Takes from what is held, the oldest first; what is left stays held. */
  capture(currency: string, minor: number): void {
    let left = minor;
    for (const payment of this.of(currency)) {
      const part = Math.min(left, payment.held);
      left -= part;
      this.change(payment, { held: payment.held - part, taken: payment.taken + part });
    }
  }

  /** Gives back from one payment, or from the oldest first. */
  refund(currency: string, minor: number, key?: string): void {
    let left = minor;
    for (const payment of this.of(currency).filter((each) => key === undefined || each.key === key)) {
      const part = Math.min(left, payment.taken - payment.returned);
      left -= part;
      this.change(payment, { returned: payment.returned + part });
    }
  }

  release(): void {
    for (const payment of this.payments) {
      this.change(payment, { held: 0, released: payment.released + payment.held });
    }
  }

  /** Undoes a sale: it was never captured. Only before any of it was given back. */
  undo(payment: Payment): void {
    if (payment.held > 0 || payment.returned > 0) return;
    this.change(payment, { taken: 0, released: payment.released + payment.taken });
  }

  /** A refund comes back days later. */
  refundFails(payment: Payment): void {
    this.change(payment, { returned: 0 });
  }

  dispute(id: string, turn: DisputeTurn): void {
    this.disputes[id] = turn;
    this.version++;
  }

  sums(currency: string) {
    const own = this.of(currency);
    const sum = (part: (payment: Payment) => number) => own.reduce((all, payment) => all + part(payment), 0);
    const [held, captured, voided] = [sum((p) => p.held), sum((p) => p.taken), sum((p) => p.released)];
    return { authorized: held + captured + voided, captured, refunded: sum((p) => p.returned), voided, held };
  }

  /** The most that anybody could ever have seen captured. */
  mostCaptured(currency: string): number {
    return this.of(currency).reduce((all, { peak }) => all + peak.captured, 0);
  }

  /** A read of everything, as facts. */
  observe(at: number): Facts {
    const totals: Reading['totals'] = {};
    for (const { currency } of this.payments) {
      const { captured, refunded, voided } = this.sums(currency);
      totals[currency] = { captured, refunded, voided };
    }
    return {
      ...(this.payments.length > 0 && { payments: this.shown(this.payments) }),
      openings: Object.fromEntries(this.openings.map((opening, number) => [number, { ...opening }])),
      ...(Object.keys(this.disputes).length > 0 && { disputes: { ...this.disputes } }),
      latest: { at, hash: `v${this.version}`, word: this.closed ? 'CLOSED' : 'OPEN', totals },
    };
  }

  /** What a webhook about one payment says. */
  tell(payment: Payment): Facts {
    return { payments: this.shown([payment]) };
  }

  private shown(payments: readonly Payment[]): Facts['payments'] {
    return Object.fromEntries(payments.map((each) => [each.key, { [each.currency]: totalsOf(each) }]));
  }

  private of(currency: string): Payment[] {
    return this.payments.filter((payment) => payment.currency === currency);
  }

  private change(payment: Payment, parts: Partial<Payment>): void {
    Object.assign(payment, parts);
    this.changed(payment);
  }

  private changed(payment: Payment): void {
    this.version++;
    const { peak } = payment;
    const now = totalsOf(payment);
    for (const field of ['authorized', 'captured', 'refunded', 'voided'] as const) {
      peak[field] = Math.max(peak[field], now[field]);
    }
  }
}

/** As providers tell it: an undone sale was captured once, and is released. */
function totalsOf({ held, taken, released, returned, at, peak }: Payment): PaymentTotals {
  return {
    ...{ authorized: held + taken + released, voided: released, refunded: returned, seenAt: at },
    captured: taken > 0 ? taken : peak.captured,
  };
}
