import { heldBy, type Protection } from './off.ts';

const inEngine = (title: string, row?: string) => heldBy('parts', 'engine', title, row);
const inMoney = (title: string) => heldBy('parts', 'engine-money', title);

/** What a link decides by itself, and when it may end. */
export const DECISIONS: readonly Protection[] = [
  {
    rule: 'a link ends only when what it heard was looked at',
    off: [{ file: 'workflows/run.ts', from: ' || this.state.hinted !== undefined || this.busy > 0;', to: ';' }],
    test: inEngine('in the last second of a link is looked at before it ends, %s', 'where it cannot'),
  },
  {
    rule: 'a link that rests soon leaves no webhook to a poll',
    off: [{ file: 'workflows/listening.ts', from: ' && !(restsSoon(run) && patched(READS_BEFORE_REST))', to: '' }],
    test: inEngine('in the last second of a link is looked at before it ends, %s', 'where the provider can be asked'),
  },
  {
    rule: 'every webhook counts that came before the link was made',
    off: [{ file: 'workflows/run.ts', from: 'facts: join(before.facts, facts) } : before', to: 'facts } : before' }],
    test: inEngine('in many words before the link is made counts with every one of them'),
  },
  {
    rule: 'a hold is decided on, whatever became of the one before it',
    off: [{ file: 'workflows/link.ts', from: ' && (op.hold ?? hold) === hold', to: '' }],
    test: inMoney('is captured at once though the capture of the one before it was refused'),
  },
  {
    rule: 'a hold beside money is shown',
    off: [{ file: 'workflows/exceptions.ts', from: ' || beside.length > 0;', to: ';' }],
    test: inMoney('beside money that paid the link is a duplicate for a person to see'),
  },
  {
    rule: 'an expiry that has come is no longer ours to move',
    off: [{ file: 'workflows/allowed.ts', from: 'opening?.deadline === undefined && closingOf', to: 'closingOf' }],
    test: inMoney('that is moved while the link is being closed is a new one at the provider'),
  },
  {
    rule: 'a closing that waited behind an extension is not sent',
    off: [{ file: 'workflows/writes.ts', from: 'return !isOutdated(run, operation) && (', to: 'return (' }],
    test: inMoney('that is moved before the closing has its turn leaves the link open'),
  },
  {
    rule: 'money that a person vouches for is as old as the webhook about it',
    off: [{ file: 'workflows/operations.ts', from: 'seenAt: told.seenAt', to: 'seenAt: Number.MAX_SAFE_INTEGER' }],
    test: inMoney('money that a person vouches for came when the webhook said, though that could not be believed'),
  },
  {
    rule: 'late money that goes back pays no order',
    off: [{ file: 'workflows/siblings.ts', from: 'sums.captured > returned', to: 'sums.captured > 0' }],
    test: inMoney('late money that goes back does not pay the order'),
  },
  {
    rule: 'money after a closing we told of is late, though the provider confirms a later one',
    off: [
      {
        file: 'workflows/facts.ts',
        from: '[earliest(opening, CLOSING_WORDS), earliest(opening, PRESUMED_WORDS)]',
        to: '[earliest(opening, CLOSING_WORDS) ?? earliest(opening, PRESUMED_WORDS)]',
      },
    ],
    test: heldBy('pure', 'facts', 'money between a closing we presumed and its confirmation is late'),
  },
];
