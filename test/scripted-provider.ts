/** A provider whose answers the test dictates, for tests of the protocol between client and workflow. */
import { ApplicationFailure } from '@temporalio/common';
import type { Abilities } from '../workflows/link.ts';
import type {
  CreateAttempt,
  CreateResult,
  Lost,
  Observation,
  Ports,
  ProviderRefusal,
  Write,
  WriteResult,
} from '../workflows/ports.ts';

/** A promise is waited for before the link is made. */
type Answer = 'link' | 'refusal' | 'lost' | Promise<unknown>;

export interface ScriptedProvider {
  ports: Ports;
  /** References for which create was called, in order. */
  creates: string[];
  /** `refund INV-1`: every write besides create, in order. */
  writes: string[];
  /** Ids that reads of a reference asked for, in order. */
  readsOf(reference: string): (readonly string[])[];
  /** Tries to make the link of a reference, and to find it: `create`, `find`, in order. */
  makingOf(reference: string): ('create' | 'find')[];
  /** What the next create calls of a reference get; a link when the list is empty. Nothing was made where it is lost. */
  script(reference: string, ...answers: Answer[]): void;
  /** The next write of a reference does not happen before the promise is kept, and its answer is lost if it is not. */
  delay(reference: string, until: Promise<unknown>): void;
  /** Comes before every read of a reference: reads wait for it, and fail if it does. */
  beforeReads(reference: string, happens: () => unknown): void;
  /** The next write of a reference is refused. */
  refuse(reference: string): void;
  /** Money that the next read shows: taken, or only held. Minor units. Each payment has a name of its own. */
  pay(reference: string, minor: number, payment?: string): void;
  hold(reference: string, minor: number, payment?: string): void;
  /** A hold that the provider let go. */
  release(reference: string, payment?: string): void;
  /** Money given back at the provider, by nobody of ours. */
  giveBack(reference: string, minor: number): void;
  /** The next reads say that money is on its way, until it is here. */
  move(reference: string): void;
  /** A write of a reference whose answer is not lost finds so much captured by somebody else, and sends nothing. */
  overtake(reference: string, minor: number): void;
  /** The link of a reference is made at a provider that can do this as well. */
  offer(reference: string, abilities: Partial<Abilities>): void;
  /** The link of a reference is made at a provider that offers nothing: no read, no refund, no expiry of its own. */
  offerNothing(reference: string): void;
}

interface Money {
  authorized: number;
  captured: number;
  refunded: number;
  voided: number;
}

const summed = (payments: readonly Money[]): Money => {
  const sum = (field: keyof Money) => payments.reduce((total, each) => total + each[field], 0);
  return {
    authorized: sum('authorized'),
    captured: sum('captured'),
    refunded: sum('refunded'),
    voided: sum('voided'),
  };
};

const refusal: ProviderRefusal = { code: 'amount_too_low', message: 'the amount is below 1.00' };

const FINDABLE: Lost = { search: 'reference', repeatable: true };
const lost = (reference: string, found?: Lost) => {
  const told: ProviderRefusal = { code: 'timeout', message: `no answer about ${reference}`, lost: found };
  return ApplicationFailure.nonRetryable(told.message, 'OutcomeUnknown', told);
};

export function scriptedProvider(): ScriptedProvider {
  const creates: string[] = [];
  const writes: string[] = [];
  const scripts = new Map<string, Answer[]>();
  const bare = new Set<string>();
  const offers = new Map<string, Partial<Abilities>>();
  const overtaking = new Map<string, number>();
  const moving = new Set<string>();
  const reads: { reference: string; ids: readonly string[] }[] = [];
  const hurdles = new Map<string, () => unknown>();
  const making: { reference: string; call: 'create' | 'find' }[] = [];
  const delays = new Map<string, Promise<unknown>>();
  const refusing = new Set<string>();
  const money = new Map<string, Map<string, Money>>();
  const takes = (reference: string, payment: string, totals: Money) => {
    if (!money.has(reference)) money.set(reference, new Map());
    money.get(reference)!.set(payment, totals);
  };
  const paymentsOf = (reference: string) => [...(money.get(reference)?.values() ?? [])];

  function observe(reference: string, currency: string): Observation {
    const at = Date.now();
    const payments = money.get(reference);
    const totals = payments && summed([...payments.values()]);
    const shown = [...(payments ?? [])].map(([key, each]) => [key, { [currency]: { ...each, seenAt: at } }]);
    return {
      facts: {
        openings: { 0: { opened: 1 } },
        ...(payments && { payments: Object.fromEntries(shown) }),
        latest: {
          ...{ at, hash: String(at), word: totals ? 'PAID' : 'OPEN', totals: { [currency]: { ...totals } } },
          ...(moving.has(reference) && !totals ? { inFlight: true } : {}),
        },
      },
      evidence: String(at),
    };
  }

  function make({ terms }: CreateAttempt): CreateResult {
    const providerLinkId = `scripted-${creates.length}`;
    const expiresAt = terms.expiresAt ?? Date.now() + 3_600_000;
    return {
      ...observe(terms.reference, terms.currency),
      created: {
        provider: 'scripted',
        providerLinkId,
        ids: [providerLinkId, `payment/${providerLinkId}`],
        url: `https://pay.example/${providerLinkId}`,
        expiresAt,
        holdEndsAt: expiresAt,
        expiresByItself: !bare.has(terms.reference),
        abilities: {
          inquire: !bare.has(terms.reference),
          findByReference: true,
          capture: 'full',
          cancel: true,
          refund: bare.has(terms.reference) ? false : 'partial',
          repeatable: [],
          reusable: false,
          extend: false,
          ...offers.get(terms.reference),
        },
        policies: {
          latePayment: 'hold',
          excess: 'hold',
          uncaptured: 'release',
          captureMarginSeconds: 60,
          graceSeconds: 3_600,
          refundWindowSeconds: 3_600,
          ...terms.policies,
        },
      },
    };
  }

  async function write(kind: 'capture' | 'cancel' | 'refund', { terms, amount = 0 }: Write): Promise<WriteResult> {
    const { reference, currency } = terms;
    writes.push(`${kind} ${reference}`);
    const payments = paymentsOf(reference);
    const totals = payments.find(({ authorized, captured, voided }) => authorized > captured + voided) ?? payments[0];
    const delay = delays.get(reference);
    delays.delete(reference);
    await delay?.catch(() => {
      throw lost(reference);
    });
    if (refusing.delete(reference)) throw ApplicationFailure.nonRetryable(refusal.message, 'Refused', refusal);
    if (totals && overtaking.has(reference)) {
      totals.captured = overtaking.get(reference)!;
      return { outcome: 'changed', ...observe(reference, currency) };
    }
    if (kind === 'capture' && totals) totals.captured += amount;
    if (kind === 'refund' && totals) totals.refunded += amount;
    if (kind === 'cancel') for (const each of payments) each.voided = each.authorized - each.captured;
    const { facts, evidence } = observe(reference, currency);
    const closed = kind === 'cancel' ? { openings: { 0: { opened: 1, cancelled: Date.now() } } } : {};
    return { outcome: 'done', facts: { ...facts, ...closed }, evidence, providerId: `${kind}-${writes.length}` };
  }

  return {
    creates,
    writes,
    readsOf: (wanted) => reads.filter(({ reference }) => reference === wanted).map(({ ids }) => ids),
    makingOf: (wanted) => making.filter(({ reference }) => reference === wanted).map(({ call }) => call),
    delay(reference, until) {
      // Whoever writes hears of it, if anybody does.
      until.catch(() => {});
      delays.set(reference, until);
    },
    beforeReads: (reference, happens) => void hurdles.set(reference, happens),
    giveBack: (reference, minor) => {
      paymentsOf(reference)[0]!.refunded += minor;
    },
    move: (reference) => void moving.add(reference),
    overtake: (reference, minor) => void overtaking.set(reference, minor),
    offer: (reference, abilities) => void offers.set(reference, abilities),
    script: (reference, ...answers) => scripts.set(reference, answers),
    refuse: (reference) => void refusing.add(reference),
    pay: (reference, minor, payment = reference) =>
      takes(reference, payment, { authorized: minor, captured: minor, refunded: 0, voided: 0 }),
    hold: (reference, minor, payment = reference) =>
      takes(reference, payment, { authorized: minor, captured: 0, refunded: 0, voided: 0 }),
    release: (reference, payment = reference) => {
      const hold = money.get(reference)!.get(payment)!;
      hold.voided = hold.authorized;
    },
    offerNothing: (reference) => void bare.add(reference),
    ports: {
      async create(attempt) {
        const { reference } = attempt.terms;
        creates.push(reference);
        making.push({ reference, call: 'create' });
        const answer = scripts.get(reference)?.shift() ?? 'link';
        if (answer === 'refusal') throw ApplicationFailure.nonRetryable(refusal.message, 'Refused', refusal);
        if (answer === 'lost') throw lost(reference, FINDABLE);
        await answer;
        return make(attempt);
      },
      find: async ({ terms }) => {
        making.push({ reference: terms.reference, call: 'find' });
        return FINDABLE;
      },
      inquire: async ({ terms, ids }) => {
        reads.push({ reference: terms.reference, ids });
        await hurdles.get(terms.reference)?.();
        return observe(terms.reference, terms.currency);
      },
      watch: async () => {
        throw ApplicationFailure.create({ message: 'nothing new', type: 'NothingNew', nextRetryDelay: '1h' });
      },
      async extend({ terms, created, expiresAt, opening }) {
        const { facts, evidence } = observe(terms.reference, terms.currency);
        const openings = { [opening]: { opened: Date.now() } };
        return { created: { ...created, expiresAt }, facts: { ...facts, openings }, evidence };
      },
      capture: (call) => write('capture', call),
      cancel: (call) => write('cancel', call),
      refund: (call) => write('refund', call),
    },
  };
}
