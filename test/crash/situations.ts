/** Every provider's every write, caught on either side of its commit, and what must become of it. */
import type { Status } from '../../workflows/link.ts';

export type Verb = 'create' | 'capture' | 'cancel' | 'refund';
export type Kind = (typeof KINDS)[number];

/** The held calls go on as soon as the worker is dead, or late: after the next one has done without them. */
export interface Round {
  round: number;
  late: boolean;
}

/** One write of one link, held at the provider while the worker is killed. */
export interface Situation {
  account: Account;
  verb: Verb;
  /** The provider's call that is held, by its name in the sandbox. */
  call: string;
  kind: Kind;
  reference: string;
}

/**
 * - `done`: found out, or made sure by a second call.
 * - `parks`: nobody can say, and nobody pretends to; it is settled as soon as the provider shows it.
 * - `parks, happened` and `parks, absent`: so it is, until a person says so.
 * - `anew`: a second link is made beside the first, whose address nobody has.
 */
export type Course = 'done' | 'parks' | 'parks, happened' | 'parks, absent' | 'anew';

export type Account = keyof typeof DESKS;

export const AMOUNT = 10_050;
export const PART = 3_000;

export const DESKS = {
  paymennt: { provider: 'paymennt', currency: 'AED' },
  'paymennt-hold': { provider: 'paymennt', currency: 'AED' },
  paymob: { provider: 'paymob', currency: 'EGP' },
  /** Says `lostCreate: recreate`. */
  'paymob-anew': { provider: 'paymob', currency: 'EGP' },
  beqelal: { provider: 'beqelal', currency: 'ETB', customer: { phone: '0911000001' } },
  /** May not ask what became of a link. */
  'beqelal-blind': { provider: 'beqelal', currency: 'ETB', customer: { phone: '0911000001' } },
  boomfi: { provider: 'boomfi', currency: 'USD' },
  katu9: { provider: 'katu9', currency: 'INR' },
  /** The merchant's webhooks go to the account `katu9`. */
  'katu9-deaf': { provider: 'katu9', currency: 'INR' },
} as const;

type Row = [account: Account, verb: Verb, call?: string];

const OFTEN: readonly Row[] = [
  ['paymennt', 'create'],
  ['paymennt-hold', 'capture'],
  ['paymennt', 'refund'],
];

const TWICE: readonly Row[] = [
  ['paymennt', 'cancel'],
  ['paymob', 'create'],
  ['paymob-anew', 'create'],
  ['paymob', 'capture'],
  ['paymob', 'cancel'],
  ['paymob', 'cancel', 'void'],
  ['paymob', 'refund'],
  ['beqelal', 'create'],
  ['beqelal-blind', 'create'],
  ['beqelal', 'cancel'],
  ['beqelal-blind', 'cancel'],
  ['boomfi', 'create'],
  ['boomfi', 'cancel'],
  ['katu9', 'create'],
  ['katu9', 'create', 'generate'],
  ['katu9-deaf', 'create'],
];

/**
 * The situations of one round. What is held before its commit and goes on at once is as good as held after it, so those
 * that come twice are caught before theirs in the round whose calls go on late.
 */
export function situationsOf({ round, late }: Round): Situation[] {
  const often = OFTEN.flatMap((row) => KINDS.map((kind) => situation(round, row, kind)));
  const [before, after] = KINDS;
  return round > 2 ? often : [...often, ...TWICE.map((row) => situation(round, row, late ? before : after))];
}

const KINDS = ['hold_before_commit', 'hold_after_commit'] as const;

function situation(round: number, [account, verb, call = verb]: Row, kind: Kind): Situation {
  return { account, verb, call, kind, reference: `crash/${round}/${account}/${verb}/${call}/${kind}` };
}

/** What must become of a write that did not get through before anybody asked, or that did and was not answered. */
export function courseOf({ account, verb, call, kind }: Situation, late: boolean): Course {
  const unheard = late && kind === 'hold_before_commit';
  // Only amounts would tell two refunds apart: one without a trace is never sent again.
  if (verb === 'refund') return unheard ? 'parks' : 'done';
  if (verb !== 'create') return 'done';
  switch (account) {
    case 'paymob':
    case 'beqelal-blind':
      // A reference that is taken says that it happened, and nothing reads the link's address.
      return unheard ? 'done' : 'parks, absent';
    case 'paymob-anew':
      return unheard ? 'done' : 'anew';
    case 'boomfi':
      // Nothing would refuse a second link.
      return unheard ? 'parks, happened' : 'done';
    case 'katu9':
      if (call === 'generate') return 'done';
      // Nothing finds the first step but its webhook.
      return unheard ? 'parks' : 'done';
    case 'katu9-deaf':
      return 'parks, absent';
    default:
      return 'done';
  }
}

export interface Whole {
  status: Status;
  captured: number;
  refunded: number;
  /** Kinds of entries in the provider's ledger. */
  ledger: string[];
}

const NOTHING = { captured: 0, refunded: 0 };
const HELD = ['created', 'authorized'];

/** What the link and the ledger must show in the end: made once, captured once, closed once, refunded once. */
export function wholeOf({ verb, call }: Situation, course: Course): Whole {
  switch (verb) {
    case 'create':
      return { ...NOTHING, status: course === 'parks, absent' ? 'failed' : 'pending', ledger: ['created'] };
    case 'capture':
      return { ...NOTHING, status: 'paid', captured: AMOUNT, ledger: [...HELD, 'captured'] };
    case 'cancel':
      return {
        ...NOTHING,
        status: 'cancelled',
        ledger: call === 'void' ? [...HELD, 'cancelled', 'voided'] : ['created', 'cancelled'],
      };
    case 'refund':
      return {
        status: 'partially_refunded',
        captured: AMOUNT,
        refunded: PART,
        ledger: ['created', 'captured', 'refunded'],
      };
  }
}
