import { heldBy, type Protection } from './off.ts';

const FACTS = 'workflows/facts.ts';
const LINK = 'workflows/link.ts';
const ALLOWED = 'workflows/allowed.ts';
const EXCEPTIONS = 'workflows/exceptions.ts';

const inFacts = (title: string, row?: string) => heldBy('pure', 'facts', title, row);
/** Any history keeps the invariant of this name. */
const inAnyHistory = (invariant: string) => heldBy('long-pure', 'model', '%s: %s', invariant);

/** What is known, what it means, and what may be done then: code without a server. */
export const MONEY: readonly Protection[] = [
  {
    rule: 'money that was seen is not forgotten: totals are joined by their maximum',
    off: [{ file: FACTS, from: 'captured: Math.max(a.captured, b.captured),', to: 'captured: b.captured,' }],
    test: inFacts('is %s', 'commutative'),
  },
  {
    rule: 'a refund told twice is one refund',
    off: [
      { file: FACTS, from: 'refunded: Math.max(a.refunded, b.refunded),', to: 'refunded: a.refunded + b.refunded,' },
    ],
    test: inFacts('is %s', 'idempotent'),
  },
  {
    rule: 'of two reads the later one is the latest, in whatever order they come',
    off: [{ file: FACTS, from: 'if (a.at !== b.at) return a.at > b.at ? a : b;', to: 'if (a.at !== b.at) return b;' }],
    test: inFacts('is %s', 'commutative'),
  },
  {
    rule: 'what a dispute came to is not undone by an older word',
    off: [{ file: FACTS, from: 'TURNS.indexOf(x) >= TURNS.indexOf(y) ? x : y', to: 'TURNS.indexOf(x) < 0 ? x : y' }],
    test: inFacts('is %s', 'commutative'),
  },
  {
    rule: 'money told again later is no late money: it came when it was first seen',
    off: [{ file: FACTS, from: 'seenAt: Math.min(a.seenAt, b.seenAt)', to: 'seenAt: Math.max(a.seenAt, b.seenAt)' }],
    test: inFacts('money told again after the link was closed is not late'),
  },
  {
    rule: 'no more than was captured is refunded, whatever is said',
    off: [{ file: FACTS, from: 'const refunded = Math.min(captured, ', to: 'const refunded = Math.max(0, ' }],
    test: inFacts('keep refunded ≤ captured ≤ authorized − voided, whatever was said'),
  },
  {
    rule: 'what a person vouches for is not counted beside what the provider shows of it',
    off: [
      {
        file: FACTS,
        from: 'return Math.max(raw?.[field] ?? 0, vouched);',
        to: 'return (raw?.[field] ?? 0) + vouched;',
      },
    ],
    test: inAnyHistory('I2'),
  },
  {
    rule: 'another currency does not count',
    off: [
      {
        file: LINK,
        from: 'const { captured, refunded, held } = sums(facts, terms.currency);',
        to: 'const [money = terms.currency] = Object.values(facts.payments ?? {}).flatMap(Object.keys);\n  const { captured, refunded, held } = sums(facts, money);',
      },
    ],
    test: inFacts('%s', 'another currency does not count'),
  },
  {
    rule: 'the word of a closed link never hides money',
    off: [
      {
        file: LINK,
        from: "if (captured > 0 && net >= dueOf(matter)) return 'paid';",
        to: "const closed = closingOf(newestOpening(facts));\n  if (closed) return closed.status;\n  if (captured > 0 && net >= dueOf(matter)) return 'paid';",
      },
    ],
    test: inFacts('the word of a closed link never hides money'),
  },
  {
    rule: 'what was refunded before does not prove that a refund happened',
    off: [{ file: LINK, from: 'refunded >= basis.refunded + amount', to: 'refunded >= amount' }],
    test: inAnyHistory('I7'),
  },
  {
    rule: 'what was captured before does not prove that a capture happened',
    off: [{ file: LINK, from: 'captured >= basis.captured + amount', to: 'captured >= amount' }],
    test: inAnyHistory('I7'),
  },
  {
    rule: 'a cancel has not happened while the hold lives',
    off: [{ file: LINK, from: 'return held === 0 && (closing', to: 'return held >= 0 && (closing' }],
    test: inAnyHistory('I7'),
  },
  {
    rule: 'nothing is given back while an outcome is unknown',
    off: [{ file: ALLOWED, from: 'refund: !unknown && ', to: 'refund: ' }],
    test: inAnyHistory('I6'),
  },
  {
    rule: 'nothing is captured while an outcome is unknown',
    off: [{ file: ALLOWED, from: 'capture: !unknown && ', to: 'capture: ' }],
    test: inAnyHistory('I6'),
  },
  {
    rule: 'what policy gives back does not go back beside a dispute',
    off: [
      {
        file: ALLOWED,
        from: 'if (!created || disputed(facts)) return undefined;',
        to: 'if (!created) return undefined;',
      },
    ],
    test: heldBy('pure', 'returns', 'is %s', 'nothing beside a dispute'),
  },
  {
    rule: 'a refund on its way is not ordered again',
    off: [
      {
        file: ALLOWED,
        from: "operations.filter((op) => op.kind === 'refund' && !isSettled(op)",
        to: "operations.filter((op) => op.kind === 'refund' && op.id === ''",
      },
    ],
    test: heldBy('pure', 'returns', 'is %s', 'nothing of what is going back already'),
  },
  {
    rule: 'a return that was tried is not tried for ever',
    off: [
      {
        file: ALLOWED,
        from: 'if (amount <= 0 || operations.some((op) => op.id === id)) continue;',
        to: 'if (amount <= 0) continue;',
      },
    ],
    test: inAnyHistory('I10'),
  },
  {
    rule: 'a paid link is not cancelled',
    off: [
      {
        file: ALLOWED,
        from: 'cancel: !unknown && captured === 0 && (abilities?.cancel ? open || presumed : open && held === 0),',
        to: 'cancel: !unknown,',
      },
    ],
    test: heldBy('parts', 'payment-links', 'says what would be allowed instead'),
  },
  {
    rule: 'late money is shown until a person has seen it, and the next again',
    off: [
      {
        file: EXCEPTIONS,
        from: 'return cause !== undefined && cause !== matter.attention?.acknowledged[name];',
        to: 'return cause !== undefined && matter.attention?.acknowledged[name] === undefined;',
      },
    ],
    test: inAnyHistory('I9'),
  },
  {
    rule: 'a closing that nobody confirmed says so',
    off: [
      {
        file: EXCEPTIONS,
        from: 'expired_unconfirmed: closing?.confirmed === false && ',
        to: 'expired_unconfirmed: closing?.at === 0 && ',
      },
    ],
    test: inAnyHistory('I8'),
  },
  {
    rule: 'a second payment is shown',
    off: [
      { file: EXCEPTIONS, from: 'const beyond = (paying.length > 1 &&', to: 'const beyond = (paying.length > 9 &&' },
    ],
    test: inFacts('%s', 'two payments'),
  },
  {
    rule: 'money in another currency is shown',
    off: [
      {
        file: EXCEPTIONS,
        from: 'currenciesOf(facts).some((c) => c !== terms.currency &&',
        to: "currenciesOf(facts).some((c) => c === '' &&",
      },
    ],
    test: inFacts('%s', 'money in another currency'),
  },
  {
    rule: 'that a provider shows less than it did is shown, and moves nothing',
    off: [
      { file: EXCEPTIONS, from: 'fallOf(facts, currency) !== undefined),', to: 'fallOf(facts, currency) === null),' },
    ],
    test: inFacts('%s', 'the provider shows less than before'),
  },
  {
    rule: 'a refund of ours that came back is shown',
    off: [
      {
        file: EXCEPTIONS,
        from: 'return fall > 0 && reachable.has(fall);',
        to: 'return fall < 0 && reachable.has(fall);',
      },
    ],
    test: inFacts('%s', 'a refund of ours came back'),
  },
  {
    rule: 'a total that no payment explains is shown',
    off: [{ file: EXCEPTIONS, from: 'total > sums(facts, c).captured),', to: 'total < sums(facts, c).captured),' }],
    test: inFacts('%s', 'a total no payment explains'),
  },
  {
    rule: 'money that comes after the end of a run is told',
    off: [
      {
        file: 'workflows/after-end.ts',
        from: "money.length > 0 ? ['late_payment'] : []",
        to: "money.length < 0 ? ['late_payment'] : []",
      },
    ],
    test: heldBy('pure', 'after-end', '%s', 'a second payment'),
  },
  {
    rule: 'after the end, too, an unsigned webhook moves no money',
    off: [
      {
        file: 'workflows/after-end.ts',
        from: 'return hint.signed || created.acceptUnsigned ? ',
        to: 'return created.acceptUnsigned !== null ? ',
      },
    ],
    test: heldBy('pure', 'after-end', 'by an unsigned webhook is shown and not counted, unless the account says so'),
  },
  {
    rule: 'an amount finer than its currency is refused',
    off: [
      { file: 'workflows/money.ts', from: 'if (/[1-9]/.test(fraction.slice(exponent))) {', to: 'if (exponent < 0) {' },
    ],
    test: heldBy('pure', 'money', 'one more digit than the currency holds is refused unless it is a zero'),
  },
  {
    rule: 'an amount that cannot be exact is refused',
    off: [
      {
        file: 'workflows/money.ts',
        from: 'if (!Number.isSafeInteger(minor)) throw new RangeError(`${value} is',
        to: 'if (Number.isNaN(minor)) throw new RangeError(`${value} is',
      },
    ],
    test: heldBy('pure', 'money', 'refuses %s'),
  },
];
