/** What a chaos run does and suffers, drawn in advance: the same seed and number of links give the same script. */
import { OPERATIONS as BEQELAL_OPERATIONS } from '../../sandbox/beqelal/api.ts';
import { OPERATIONS as BOOMFI_OPERATIONS } from '../../sandbox/boomfi/api.ts';
import { OPERATIONS as KATU9_OPERATIONS } from '../../sandbox/katu9/api.ts';
import { OPERATIONS as PAYMENNT_OPERATIONS } from '../../sandbox/paymennt/api.ts';
import { OPERATIONS as PAYMOB_OPERATIONS } from '../../sandbox/paymob/api.ts';
import { random } from '../../sandbox/random.ts';
import type { Desk, Walk } from '../walk.ts';
import { BEQELAL, cancelled, paid, refundedByHand, WALKS } from '../walks.ts';

export interface Script {
  seed: number;
  /** Everything below happens within this time. */
  faultsMs: number;
  links: LinkScript[];
  /** Orders for the sandbox's control plane, by provider. */
  faults: { provider: string; fault: FaultOrder }[];
  /** Waits between one SIGKILL of a worker and the next. */
  killsMs: number[];
  /** When the process is killed, and how long it stays away. */
  restarts: Record<'temporal' | 'gateway', { atMs: number; awayMs: number }>;
}

/** One link's life: the walk says what is meant to happen, the rest how hastily and clumsily it does. */
export interface LinkScript {
  reference: string;
  walk: Walk;
  startsMs: number;
  /** The customer's and the merchant's pauses before each step. */
  pausesMs: number[];
  /** Whether the merchant's first, second … command is sent twice at once. */
  doubled: boolean[];
  /** How the webhook of a payment that comes by the control plane is sent. */
  webhook: { webhook: 'now' | 'never'; times: number; delayMs: number };
}

export interface FaultOrder {
  operation: string;
  kind: string;
  rate: number;
  seed: number;
  status?: number;
  retryAfter?: number;
  delayMs?: number;
  times?: number;
}

/** Of an account that cannot ask its provider: signed webhooks are all it has. */
export const BLIND: Desk = { ...BEQELAL, account: 'beqelal-blind' };

const BLIND_WALKS = [paid(BLIND, 'paid, told by webhook alone'), refundedByHand(BLIND), cancelled(BLIND, false)];

const SITES = {
  beqelal: BEQELAL_OPERATIONS,
  boomfi: BOOMFI_OPERATIONS,
  katu9: KATU9_OPERATIONS,
  paymennt: PAYMENNT_OPERATIONS,
  paymob: PAYMOB_OPERATIONS,
} satisfies Record<Desk['provider'], readonly string[]>;

type Draw = ReturnType<typeof dice>;

/** More of each kind, for its seed: how late, how often, with which status. */
const CALL_KINDS: Record<string, (draw: Draw) => Partial<FaultOrder>> = {
  // Longer than an attempt may take.
  timeout: () => ({ delayMs: 7_000 }),
  reset: () => ({}),
  drop_after_commit: () => ({}),
  error_after_commit: (draw) => ({ status: draw.of([500, 502, 504]) }),
  status: (draw) =>
    draw.of([{ status: 500 }, { status: 503 }, { status: 503, retryAfter: 1 }, { status: 429, retryAfter: 1 }]),
  html: () => ({}),
  truncated: () => ({}),
  slow: (draw) => ({ delayMs: draw.between(300, 6_000) }),
  webhook_before_answer: (draw) => ({ delayMs: draw.between(0, 500) }),
};
const WEBHOOK_KINDS: Record<string, (draw: Draw) => Partial<FaultOrder>> = {
  // Lost, late (and so out of order), and repeated.
  reset: () => ({}),
  slow: (draw) => ({ delayMs: draw.between(500, 4_000) }),
  duplicate: (draw) => ({ times: draw.between(2, 6) }),
};
const KINDS_PER_SITE = 3;

/** Long enough for links to meet the faults, however few they are. */
const SHORTEST_MS = 12_000;
const PER_LINK_MS = 500;

export function scriptOf(seed: number, count: number): Script {
  const draw = dice(seed);
  const faultsMs = Math.max(SHORTEST_MS, count * PER_LINK_MS);
  const restartsAt = (from: number, to: number) => ({
    atMs: draw.between(faultsMs * from, faultsMs * to),
    awayMs: draw.between(500, 2_000),
  });
  return {
    seed,
    faultsMs,
    links: linksOf(draw, seed, count, faultsMs),
    faults: faultsOf(draw),
    killsMs: Array.from({ length: Math.ceil(faultsMs / 700) }, () => draw.between(700, 1_300)),
    restarts: { temporal: restartsAt(0.3, 0.45), gateway: restartsAt(0.55, 0.7) },
  };
}

/** Every account gets as many links as the others, and goes through its walks in an order of its own. */
function linksOf(draw: Draw, seed: number, count: number, faultsMs: number): LinkScript[] {
  const walks = [...WALKS, ...BLIND_WALKS];
  const accounts = [...new Set(walks.map(({ desk }) => desk.account))];
  const decks = accounts.map((account) => draw.shuffled(walks.filter(({ desk }) => desk.account === account)));
  return Array.from({ length: count }, (_, index): LinkScript => {
    const deck = decks[index % decks.length]!;
    return {
      reference: `CHAOS/${seed}/${String(index + 1).padStart(4, '0')}`,
      walk: deck[Math.floor(index / decks.length) % deck.length]!,
      startsMs: Math.round((index / count) * faultsMs * 0.7),
      pausesMs: Array.from({ length: 8 }, () => draw.between(0, 1_500)),
      doubled: Array.from({ length: 8 }, () => draw.chance(0.3)),
      webhook: {
        webhook: draw.chance(0.3) ? 'never' : 'now',
        times: draw.between(1, 5),
        delayMs: draw.chance(0.3) ? draw.between(100, 3_000) : 0,
      },
    };
  });
}

/** Each site fails in 5 to 25 % of its calls, in three ways; over all sites every way is drawn about as often. */
function faultsOf(draw: Draw): Script['faults'] {
  const callKinds = draw.deck(Object.keys(CALL_KINDS));
  return Object.entries(SITES).flatMap(([provider, operations]) =>
    [...operations, 'webhook'].flatMap((operation) => {
      const rate = draw.between(50, 250) / 1_000 / KINDS_PER_SITE;
      const kinds = operation === 'webhook' ? WEBHOOK_KINDS : CALL_KINDS;
      const chosen =
        operation === 'webhook' ? Object.keys(kinds) : Array.from({ length: KINDS_PER_SITE }, () => callKinds());
      return chosen.map((kind) => ({
        provider,
        fault: { operation, kind, rate, seed: draw.between(1, 2 ** 31 - 1), ...kinds[kind]!(draw) },
      }));
    }),
  );
}

/** Draws of one seed, in the order they are asked for. */
function dice(seed: number) {
  const next = random(seed);
  const between = (from: number, to: number) => Math.floor(from + next() * (to - from + 1));
  const shuffled = <T>(items: readonly T[]): T[] => {
    const rest = [...items];
    return items.map(() => rest.splice(between(0, rest.length - 1), 1)[0]!);
  };
  return {
    /** A whole number, both ends included. */
    between,
    chance: (share: number) => next() < share,
    of: <T>(items: readonly T[]): T => items[between(0, items.length - 1)]!,
    shuffled,
    /** Gives all items before one comes again. */
    deck<T>(items: readonly T[]): () => T {
      let left: T[] = [];
      return () => {
        if (left.length === 0) left = shuffled(items);
        return left.pop()!;
      };
    },
  };
}
