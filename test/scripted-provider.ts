/** A provider whose answers the test dictates, for tests of the protocol between client and workflow. */
import { ApplicationFailure } from '@temporalio/common';
import type {
  CreateAttempt,
  CreateResult,
  Observation,
  Ports,
  ProviderRefusal,
  Write,
  WriteResult,
} from '../workflows/ports.ts';

/** A promise is waited for before the link is made. */
type Answer = 'link' | 'refusal' | Promise<unknown>;

export interface ScriptedProvider {
  ports: Ports;
  /** References for which create was called, in order. */
  creates: string[];
  /** `refund INV-1`: every write besides create, in order. */
  writes: string[];
  /** What the next create calls of a reference get; a link when the list is empty. */
  script(reference: string, ...answers: Answer[]): void;
  /** Money that the next read shows: taken, or only held. Minor units. */
  pay(reference: string, minor: number): void;
  hold(reference: string, minor: number): void;
  /** The link of a reference is made at a provider that offers nothing: no read, no refund, no expiry of its own. */
  offerNothing(reference: string): void;
}

const refusal: ProviderRefusal = { code: 'amount_too_low', message: 'the amount is below 1.00' };

export function scriptedProvider(): ScriptedProvider {
  const creates: string[] = [];
  const writes: string[] = [];
  const scripts = new Map<string, Answer[]>();
  const bare = new Set<string>();
  const money = new Map<string, { authorized: number; captured: number; refunded: number; voided: number }>();

  function observe(reference: string, currency: string): Observation {
    const at = Date.now();
    const totals = money.get(reference);
    return {
      facts: {
        openings: { 0: { opened: 1 } },
        ...(totals && { payments: { [reference]: { [currency]: { ...totals, seenAt: at } } } }),
        latest: { at, hash: String(at), word: totals ? 'PAID' : 'OPEN', totals: { [currency]: { ...totals } } },
      },
      evidence: String(at),
    };
  }

  function make({ terms }: CreateAttempt): CreateResult {
    const providerLinkId = `scripted-${creates.length}`;
    return {
      ...observe(terms.reference, terms.currency),
      created: {
        provider: 'scripted',
        providerLinkId,
        ids: [providerLinkId, `payment/${providerLinkId}`],
        url: `https://pay.example/${providerLinkId}`,
        expiresAt: terms.expiresAt ?? Date.now() + 3_600_000,
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
    const totals = money.get(reference);
    if (kind === 'capture' && totals) totals.captured += amount;
    if (kind === 'refund' && totals) totals.refunded += amount;
    if (kind === 'cancel' && totals) totals.voided = totals.authorized;
    const { facts, evidence } = observe(reference, currency);
    const closed = kind === 'cancel' ? { openings: { 0: { opened: 1, cancelled: Date.now() } } } : {};
    return { outcome: 'done', facts: { ...facts, ...closed }, evidence, providerId: `${kind}-${writes.length}` };
  }

  return {
    creates,
    writes,
    script: (reference, ...answers) => scripts.set(reference, answers),
    pay: (reference, minor) => money.set(reference, { authorized: minor, captured: minor, refunded: 0, voided: 0 }),
    hold: (reference, minor) => money.set(reference, { authorized: minor, captured: 0, refunded: 0, voided: 0 }),
    offerNothing: (reference) => void bare.add(reference),
    ports: {
      async create(attempt) {
        const { reference } = attempt.terms;
        creates.push(reference);
        const answer = scripts.get(reference)?.shift() ?? 'link';
        if (answer === 'refusal') throw ApplicationFailure.nonRetryable(refusal.message, 'Refused', refusal);
        await answer;
        return make(attempt);
      },
      find: async () => ({ search: 'reference', repeatable: true }),
      inquire: async ({ terms }) => observe(terms.reference, terms.currency),
      watch: async () => {
        throw ApplicationFailure.create({ message: 'nothing new', type: 'NothingNew', nextRetryDelay: '1h' });
      },
      extend: async () => {
        throw ApplicationFailure.nonRetryable(refusal.message, 'Refused', refusal);
      },
      capture: (call) => write('capture', call),
      cancel: (call) => write('cancel', call),
      refund: (call) => write('refund', call),
    },
  };
}
