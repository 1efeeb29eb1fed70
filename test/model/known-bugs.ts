import { currenciesOf, type Facts, join, latePayments, newestOpening, sums } from '../../workflows/facts.ts';
import { dueOf, type Matter, type Status } from '../../workflows/link.ts';
import { CORE, type Core } from './case.ts';
import type { Name } from './invariants.ts';

interface KnownBug {
  name: string;
  core: Partial<Core>;
  caughtBy: Name;
}

/** Joins payments by a rule of its own, everything else as it should be. */
const joining =
  (field: 'captured' | 'refunded', rule: (known: number, told: number) => number): Core['join'] =>
  (a, b) => {
    const joined: Facts = structuredClone(join(a, b));
    for (const [key, currencies] of Object.entries(joined.payments ?? {})) {
      for (const [currency, payment] of Object.entries(currencies)) {
        const [known, told] = [a.payments?.[key]?.[currency], b.payments?.[key]?.[currency]];
        if (known && told) payment[field] = rule(known[field], told[field]);
      }
    }
    return joined;
  };

const unsettled = (matter: Matter): Matter => ({
  ...matter,
  operations: matter.operations.filter(({ state }) => state !== 'unknown'),
});
const undisputed = (matter: Matter): Matter => ({ ...matter, facts: { ...matter.facts, disputes: undefined } });
const own = ({ facts, terms }: Matter) => sums(facts, terms.currency);

/** Each is a mistake somebody could make, in one of the functions a link is made of. */
export const KNOWN_BUGS: readonly KnownBug[] = [
  { name: 'the last read wins', core: { join: joining('captured', (_, told) => told) }, caughtBy: 'I4' },
  { name: 'a repeated webhook counts again', core: { join: joining('captured', (a, b) => a + b) }, caughtBy: 'I2' },
  { name: 'refunds add up', core: { join: joining('refunded', (a, b) => a + b) }, caughtBy: 'I2' },
  { name: 'a stale read undoes a refund', core: { join: joining('refunded', (_, told) => told) }, caughtBy: 'I3' },
  {
    name: 'the word of the link hides its money',
    core: { statusOf: (matter) => closedStatus(matter) ?? CORE.statusOf(matter) },
    caughtBy: 'I3',
  },
  {
    name: 'money is added up whatever its currency',
    core: {
      statusOf: (matter) => {
        const { facts } = matter;
        const captured = currenciesOf(facts).reduce((sum, currency) => sum + sums(facts, currency).captured, 0);
        return captured >= dueOf(matter) ? 'paid' : CORE.statusOf(matter);
      },
    },
    caughtBy: 'I5',
  },
  {
    name: 'a word nobody knows closes the link',
    core: { statusOf: (matter) => (matter.facts.unknownWords ? 'failed' : CORE.statusOf(matter)) },
    caughtBy: 'I5',
  },
  {
    name: 'money is moved beside an unknown outcome',
    core: { allowedOf: (matter) => CORE.allowedOf(unsettled(matter)) },
    caughtBy: 'I6',
  },
  {
    name: 'what was refunded before proves that a refund happened',
    core: { happened: (op, matter) => op.kind === 'refund' && own(matter).refunded >= (op.amount ?? 0) },
    caughtBy: 'I7',
  },
  { name: 'an unknown outcome counts as done', core: { happened: () => true }, caughtBy: 'I7' },
  { name: 'an unknown outcome stays so for ever', core: { happened: () => false }, caughtBy: 'I7' },
  {
    name: 'our own deadline closes the link',
    core: {
      statusOf: (matter) => {
        const overdue = newestOpening(matter.facts)?.deadline !== undefined && own(matter).authorized === 0;
        return overdue ? 'expired' : CORE.statusOf(matter);
      },
    },
    caughtBy: 'I8',
  },
  {
    name: 'what was only presumed reads as confirmed',
    core: { exceptionsOf: (matter) => CORE.exceptionsOf(matter).filter((name) => !name.endsWith('_unconfirmed')) },
    caughtBy: 'I8',
  },
  {
    name: 'late money is not shown',
    core: { unseenOf: (matter) => CORE.unseenOf(matter).filter((name) => name !== 'late_payment') },
    caughtBy: 'I9',
  },
  {
    name: 'seen once is seen for ever',
    core: {
      unseenOf: (matter) => CORE.unseenOf(matter).filter((name) => !matter.attention?.acknowledged[name]),
    },
    caughtBy: 'I9',
  },
  {
    name: 'a refund on its way is not counted',
    core: { returnDue: (matter) => CORE.returnDue({ ...matter, operations: [] }) },
    caughtBy: 'I10',
  },
  {
    name: 'late money goes back and what was in time with it',
    core: {
      returnDue: (matter) => {
        const due = CORE.returnDue(matter);
        const [first] = Object.keys(matter.facts.payments ?? {});
        return due && first ? { ...due, payment: first } : due;
      },
    },
    caughtBy: 'I9',
  },
  {
    name: 'disputed money is given back beside the dispute',
    core: { returnDue: (matter) => CORE.returnDue(undisputed(matter)) },
    caughtBy: 'I9',
  },
  {
    name: 'a state that JSON cannot carry',
    core: { join: (a, b) => ({ ...join(a, b), openings: withDates(join(a, b).openings) }) },
    caughtBy: 'I12',
  },
  {
    name: 'a word nobody knows is an error',
    core: {
      statusOf: (matter) => {
        if (matter.facts.unknownWords) throw new RangeError('unknown word');
        return CORE.statusOf(matter);
      },
    },
    caughtBy: 'I14',
  },
  {
    name: 'the customer stands on the card',
    core: { card: (matter) => `${CORE.card(matter)}\n${matter.terms.customer?.name}` },
    caughtBy: 'I17',
  },
];

function closedStatus({ facts }: Matter): Status | undefined {
  const opening = newestOpening(facts);
  if (opening?.expired !== undefined) return 'expired';
  return opening?.cancelled !== undefined && latePayments(facts).length === 0 ? 'cancelled' : undefined;
}

/** As somebody would who likes dates better than numbers. */
function withDates(openings: Facts['openings'] = {}): Facts['openings'] {
  return JSON.parse(JSON.stringify(openings), (_, value) => (typeof value === 'number' ? new Date(value) : value));
}
