import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exceptionsOf } from '../workflows/exceptions.ts';
import {
  canonical,
  closingOf,
  corrected,
  type Facts,
  fallOf,
  isNews,
  join,
  latePayments,
  type Opening,
  paymentsIn,
  sums,
} from '../workflows/facts.ts';
import { type Matter, statusOf } from '../workflows/link.ts';

const RUNS = 1_000;

const key = fc.constantFrom('p1', 'p2', 'p3');
const currency = fc.constantFrom('AED', 'USD');
const minor = fc.integer({ min: 0, max: 300 });
const at = fc.integer({ min: 1, max: 50 });
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const perCurrency = <T>(value: fc.Arbitrary<T>) => fc.dictionary(currency, value, { minKeys: 1, maxKeys: 2 });

const totals = fc.record({ authorized: minor, captured: minor, refunded: minor, voided: minor, seenAt: at });
const opening: fc.Arbitrary<Opening> = fc.record(
  {
    opened: at,
    deadline: at,
    failed: at,
    cancelled: at,
    expired: at,
    disabled: at,
    presumed_expired: at,
    presumed_cancelled: at,
  },
  { requiredKeys: [] },
);
const entry = fc.record({
  payment: key,
  currency,
  field: fc.constantFrom('captured' as const, 'refunded' as const),
  minor: fc.integer({ min: 1, max: 200 }),
});
const reading = fc.record({
  at,
  hash: fc.constantFrom('h1', 'h2', 'h3'),
  word: fc.constantFrom('PENDING', 'PAID'),
  totals: perCurrency(fc.record({ captured: minor, refunded: minor }, { requiredKeys: [] })),
});

/** Everything a source can say: two payments, two currencies, refunds, voids, disputes, openings, entries, odd words. */
const facts: fc.Arbitrary<Facts> = fc
  .record({
    payments: optional(fc.dictionary(key, perCurrency(totals), { minKeys: 1, maxKeys: 3 })),
    stated: optional(perCurrency(minor)),
    openings: optional(fc.dictionary(fc.constantFrom('0', '1', '10'), opening, { minKeys: 1, maxKeys: 3 })),
    disputes: optional(
      fc.dictionary(fc.constantFrom('d1', 'd2'), fc.constantFrom('open' as const, 'won' as const, 'lost' as const), {
        minKeys: 1,
      }),
    ),
    entries: optional(fc.dictionary(fc.constantFrom('op1', 'op2'), entry, { minKeys: 1 })),
    unknownWords: optional(fc.dictionary(fc.constantFrom('MYSTERY', 'constructor', '__proto__'), at, { minKeys: 1 })),
    latest: optional(reading),
  })
  .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));

type Join = (a: Facts, b: Facts) => Facts;

const laws = (joined: Join) => ({
  commutative: fc.property(facts, facts, (a, b) => canonical(joined(a, b)) === canonical(joined(b, a))),
  associative: fc.property(
    facts,
    facts,
    facts,
    (a, b, c) => canonical(joined(joined(a, b), c)) === canonical(joined(a, joined(b, c))),
  ),
  idempotent: fc.property(facts, facts, (a, b) => {
    const once = joined(a, b);
    return canonical(joined(once, b)) === canonical(once) && canonical(joined(once, a)) === canonical(once);
  }),
});

describe('join', () => {
  it.each(['commutative', 'associative', 'idempotent'] as const)('is %s', (law) => {
    fc.assert(laws(join)[law] as fc.IProperty<unknown>, { numRuns: RUNS });
  });

  it('gives one state for every order and repetition of the same news', () => {
    fc.assert(
      fc.property(
        fc
          .array(facts, { minLength: 1, maxLength: 6 })
          .chain((news) =>
            fc.tuple(
              fc.constant(news),
              fc.shuffledSubarray(news, { minLength: news.length }),
              fc.array(fc.constantFrom(...news)),
            ),
          ),
        ([news, shuffled, repeats]) =>
          canonical(news.reduce(join, {})) === canonical([...repeats, ...shuffled, ...repeats].reduce(join, {})),
      ),
      { numRuns: RUNS },
    );
  });

  it('never forgets: what is joined again is no news', () => {
    fc.assert(
      fc.property(facts, facts, (a, b) => !isNews(join(a, b), b)),
      { numRuns: RUNS },
    );
  });

  // The proof that the laws above can fail: each of these is a mistake somebody could make.
  const wrong: Record<string, Join> = {
    'the last one wins': (a, b) => ({ ...a, ...b }),
    'refunds add up': (a, b) => {
      const result = structuredClone(join(a, b));
      for (const [id, currencies] of Object.entries(result.payments ?? {})) {
        for (const [code, payment] of Object.entries(currencies)) {
          const [x, y] = [a.payments?.[id]?.[code], b.payments?.[id]?.[code]];
          payment.refunded = (x?.refunded ?? 0) + (y?.refunded ?? 0);
        }
      }
      return result;
    },
    'the last read wins': (a, b) => ({
      ...join(a, b),
      ...((b.latest ?? a.latest) && { latest: b.latest ?? a.latest }),
    }),
    'the last dispute turn wins': (a, b) => ({
      ...join(a, b),
      ...((a.disputes || b.disputes) && { disputes: { ...a.disputes, ...b.disputes } }),
    }),
    'the last closing wins': (a, b) => ({
      ...join(a, b),
      ...((a.openings || b.openings) && { openings: { ...a.openings, ...b.openings } }),
    }),
  };
  it.each(Object.keys(wrong))('a wrong join is found out: %s', (name) => {
    const broken = Object.values(laws(wrong[name]!)).filter(
      (law) => fc.check(law as fc.IProperty<unknown>, { numRuns: RUNS }).failed,
    );
    expect(broken.length).toBeGreaterThan(0);
  });
});

const asked = { account: 'shop', reference: 'R', amount: 100, currency: 'AED', exponent: 2 };
const matter = (known: Facts, operations: Matter['operations'] = []): Matter => ({
  terms: asked,
  facts: known,
  operations,
});

describe('sums', () => {
  it('keep refunded ≤ captured ≤ authorized − voided, whatever was said', () => {
    fc.assert(
      fc.property(facts, currency, (known, code) => {
        for (const [, p] of paymentsIn(known, code)) {
          expect(p.refunded).toBeGreaterThanOrEqual(0);
          expect(p.refunded).toBeLessThanOrEqual(p.captured);
          expect(p.captured).toBeLessThanOrEqual(p.authorized - p.voided);
        }
        expect(sums(known, code).held).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: RUNS },
    );
  });

  it('status and exceptions are total: any facts give a status', () => {
    fc.assert(
      fc.property(facts, (known) => {
        expect(typeof statusOf(matter(known))).toBe('string');
        expect(Array.isArray(exceptionsOf(matter(known)))).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  it('the word of a closed link never hides money', () => {
    fc.assert(
      fc.property(facts, opening, (known, closed) => {
        const { captured, refunded } = sums(known, 'AED');
        const status = statusOf(matter(join(known, { openings: { 99: closed } })));
        if (captured - refunded >= 100) expect(status).toBe('paid');
      }),
      { numRuns: RUNS },
    );
  });
});

const pay = (
  over: Partial<{ authorized: number; captured: number; refunded: number; voided: number; seenAt: number }>,
) => ({
  authorized: 0,
  captured: 0,
  refunded: 0,
  voided: 0,
  seenAt: 10,
  ...over,
});
const opened: Facts = { openings: { 0: { opened: 1 } } };
const paid = (over: Parameters<typeof pay>[0], code = 'AED'): Facts => ({ payments: { p1: { [code]: pay(over) } } });
const known = (...parts: Facts[]) => parts.reduce(join, opened);

describe('status', () => {
  it.each<[string, Facts, string]>([
    ['nothing known yet', {}, 'creating'],
    ['the provider made the link', opened, 'pending'],
    ['our timer fired, nobody confirmed', known({ openings: { 0: { deadline: 5 } } }), 'pending'],
    ['a hold', known(paid({ authorized: 100 })), 'authorized'],
    ['a sale', known(paid({ captured: 100 })), 'paid'],
    ['a captured hold', known(paid({ authorized: 100, captured: 100 })), 'paid'],
    ['a released hold on an open link', known(paid({ authorized: 100, voided: 100 })), 'pending'],
    ['a voided sale was never captured', known(paid({ captured: 100, voided: 100 })), 'pending'],
    ['part given back', known(paid({ captured: 100, refunded: 30 })), 'partially_refunded'],
    ['all given back', known(paid({ captured: 100, refunded: 100 })), 'refunded'],
    ['overpaid, the excess given back', known(paid({ captured: 150, refunded: 50 })), 'paid'],
    ['underpaid leaves the link open', known(paid({ captured: 60 })), 'pending'],
    ['another currency does not count', known(paid({ captured: 100 }, 'USD')), 'pending'],
    ['expired', known({ openings: { 0: { expired: 5 } } }), 'expired'],
    ['expired before, paid late', known({ openings: { 0: { expired: 5 } } }, paid({ captured: 100 })), 'paid'],
    ['a newer opening counts', known({ openings: { 0: { expired: 5 }, 1: { opened: 7 } } }), 'pending'],
    ['opening 10 is newer than 9', known({ openings: { 9: { opened: 2 }, 10: { failed: 3 } } }), 'failed'],
    ['disabled before the deadline', known({ openings: { 0: { disabled: 5, deadline: 9 } } }), 'cancelled'],
    ['disabled after the deadline', known({ openings: { 0: { disabled: 9, deadline: 5 } } }), 'expired'],
    ['cancelled before the deadline', known({ openings: { 0: { cancelled: 5, deadline: 9 } } }), 'cancelled'],
    ['cancelled after the deadline', known({ openings: { 0: { cancelled: 9, deadline: 5 } } }), 'expired'],
    ['a presumed closing', known({ openings: { 0: { presumed_cancelled: 5 } } }), 'cancelled'],
    [
      'what is confirmed beats what was presumed',
      known({ openings: { 0: { presumed_cancelled: 5, expired: 9 } } }),
      'expired',
    ],
    ['a word nobody knows moves nothing', known({ unknownWords: { MYSTERY: 4 } }), 'pending'],
  ])('%s', (_name, facts, status) => {
    expect(statusOf(matter(facts))).toBe(status);
  });
});

const refunded = (amount: number): Matter['operations'] => [
  { id: 'r', kind: 'refund', amount, state: 'succeeded', at: 1, actor: 'a', fingerprint: '' },
];
const shows = (captured: number, back: number): Facts => ({
  latest: { at: 20, hash: 'h', word: 'PAID', totals: { AED: { captured, refunded: back } } },
});

describe('exceptions', () => {
  it.each<[string, Facts, Matter['operations'], string[]]>([
    ['none while all is well', known(paid({ captured: 100 })), [], []],
    ['too little', known(paid({ captured: 60 })), [], ['underpaid']],
    ['too much in one payment', known(paid({ captured: 150 })), [], ['overpaid']],
    ['too much, given back', known(paid({ captured: 150, refunded: 50 })), [], []],
    [
      'two payments',
      known(paid({ captured: 100 }), { payments: { p2: { AED: pay({ captured: 100 }) } } }),
      [],
      ['duplicate_payment'],
    ],
    ['money in another currency', known(paid({ captured: 100 }, 'USD')), [], ['currency_mismatch']],
    [
      'money after the link had closed',
      known({ openings: { 0: { expired: 5 } } }, paid({ captured: 100 })),
      [],
      ['late_payment'],
    ],
    ['a total no payment explains', known({ stated: { AED: 100 } }), [], ['unexplained_money']],
    ['an open dispute', known(paid({ captured: 100 }), { disputes: { d: 'open' } }), [], ['disputed']],
    ['a dispute won', known(paid({ captured: 100 }), { disputes: { d: 'won' } }), [], []],
    ['the provider shows less than before', known(paid({ captured: 100 }), shows(40, 0)), [], ['provider_disagrees']],
    [
      'a refund of ours came back',
      known(paid({ captured: 100, refunded: 30 }), shows(100, 0)),
      refunded(30),
      ['provider_disagrees', 'refund_failed'],
    ],
    ['nobody confirmed the expiry', known({ openings: { 0: { presumed_expired: 5 } } }), [], ['expired_unconfirmed']],
    ['nobody confirmed the cancel', known({ openings: { 0: { presumed_cancelled: 5 } } }), [], ['cancel_unconfirmed']],
  ])('%s', (_name, facts, operations, exceptions) => {
    expect(exceptionsOf(matter(facts, operations))).toEqual(exceptions);
  });

  it('money through a newer opening is not late', () => {
    const reopened = known({ openings: { 0: { expired: 5 }, 1: { opened: 8 } } }, paid({ captured: 100, seenAt: 9 }));
    expect(latePayments(reopened)).toEqual([]);
  });

  it('money between a closing we presumed and its confirmation is late', () => {
    const closed = known({ openings: { 0: { presumed_expired: 5, disabled: 12 } } });
    expect(latePayments(join(closed, paid({ captured: 100, seenAt: 9 })))).toEqual(['p1']);
  });

  it('money told again after the link was closed is not late', () => {
    const closed = known(paid({ captured: 100, seenAt: 3 }), { openings: { 0: { expired: 5 } } });
    expect(latePayments(join(closed, paid({ captured: 100, seenAt: 9 })))).toEqual([]);
  });

  it('a fall that a person accepts is gone, and what comes next grows from there', () => {
    const before = known(paid({ captured: 100, refunded: 30 }), {
      latest: { at: 20, hash: 'h', word: 'PAID', totals: { AED: { captured: 90, refunded: 0 } } },
    });
    const after = corrected(before);
    expect(sums(after, 'AED')).toMatchObject({ captured: 90, refunded: 0, held: 0 });
    expect(fallOf(after, 'AED')).toBeUndefined();
    const again = join(after, paid({ captured: 90, refunded: 30 }));
    expect(sums(again, 'AED')).toMatchObject({ captured: 90, refunded: 30 });
  });

  it('whatever is known, accepting leaves no fall and raises nothing', () => {
    fc.assert(
      fc.property(facts, currency, (seen, code) => {
        const after = corrected(seen);
        const [was, is] = [sums(seen, code), sums(after, code)];
        expect(fallOf(after, code)).toBeUndefined();
        expect([is.captured <= was.captured, is.refunded <= was.refunded, is.voided <= was.voided]).toEqual([
          true,
          true,
          true,
        ]);
      }),
      { numRuns: RUNS },
    );
  });

  it('a field the provider cannot show is no fall', () => {
    const reading: Facts = { latest: { at: 20, hash: 'h', word: 'PAID', totals: { AED: { captured: 100 } } } };
    expect(fallOf(known(paid({ captured: 100, refunded: 30 }), reading), 'AED')).toBeUndefined();
  });

  it('the earliest of several closings counts', () => {
    expect(closingOf({ cancelled: 7, expired: 4 })).toEqual({ status: 'expired', at: 4, confirmed: true });
  });
});
