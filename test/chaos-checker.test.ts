import { describe, expect, it } from 'vitest';
import { openBackend } from '../stack/chaos/backend.ts';
import { type Case, differencesOf, moneyIn } from '../stack/chaos/checker.ts';
import { PLANTS } from '../stack/chaos/plants.ts';
import { scriptOf } from '../stack/chaos/script.ts';
import type { LedgerEntry, Shop } from '../stack/shop.ts';
import type { Link, LinkOperation } from '../workflows/link.ts';

const AT = '2026-01-01T00:00:00.000Z';
const LATER = '2026-01-01T00:00:01.000Z';

type Entry = Partial<LedgerEntry> & Pick<LedgerEntry, 'kind'>;

const ledger = (...entries: Entry[]): LedgerEntry[] =>
  entries.map((entry, index) => ({ seq: index + 1, at: AT, link: 'L1', reference: 'R', ...entry }));
const money = (kind: string, amount: number, more: Partial<LedgerEntry> = {}): Entry => ({
  ...{ kind, amount, currency: 'AED', payment: 'P1' },
  ...more,
});
const created: Entry = { kind: 'created', amount: 100, currency: 'AED' };

const operation = (kind: LinkOperation['kind'], more: Partial<LinkOperation> = {}): LinkOperation => ({
  ...{ id: `${kind}-1`, kind, state: 'succeeded', at: AT, actor: 'local' },
  ...more,
});

const link = (change: Partial<Link> = {}): Link => ({
  ...{
    reference: 'R',
    account: 'a',
    provider: 'p',
    amount: 100,
    currency: 'AED',
    url: 'http://x',
    providerLinkId: 'L1',
  },
  ...{ status: 'paid', exceptions: [], authorized: 100, captured: 100, refunded: 0 },
  ...{ createdAt: AT, expiresAt: null, operations: [operation('create', { id: 'perdure create' })], allowed: [] },
  ...change,
});

/** A link that was made, paid and refunded in part, without a flaw. */
const story = (change: Partial<Case> = {}): Case => ({
  reference: 'R',
  ends: { status: 'partially_refunded', exceptions: [], captured: 100, refunded: 30 },
  link: refunded(),
  entries: ledger(created, money('captured', 100), money('refunded', 30)),
  acks: [
    { verb: 'create', key: 'R', status: 201, providerLinkId: 'L1' },
    { verb: 'refund', key: 'refund-1', status: 200, state: 'succeeded' },
  ],
  orphans: [],
  ...change,
});
const refunded = (change: Partial<Link> = {}) =>
  link({ status: 'partially_refunded', refunded: 30, operations: [operation('refund', { amount: 30 })], ...change });

/** A link that ended without money. */
const over = (status: 'cancelled' | 'expired', change: Partial<Link> = {}): Partial<Case> => ({
  ends: { status, exceptions: change.exceptions ?? [], captured: 0, refunded: 0 },
  link: link({ status, authorized: 0, captured: 0, ...change }),
  acks: [],
});
/** A link of a provider that takes payment after payment, paid once. */
const paidAtBoomfi = (...operations: LinkOperation[]): Partial<Case> => ({
  ends: { status: 'paid', exceptions: [], captured: 100, refunded: 0 },
  link: link({ provider: 'boomfi', operations }),
  acks: [],
});

const told = (change: Partial<Case>) => differencesOf(story(change)).map(({ kind, says }) => `${kind}: ${says}`);

describe('the checker of a chaos run', () => {
  it('says nothing where link and ledger agree', () => {
    expect(told({})).toEqual([]);
  });

  it.each<[string, Partial<Case>, string[]]>([
    [
      'a link that is gone',
      { link: undefined },
      ['lost link: there is no link, though 2 calls about it were answered 2xx'],
    ],
    [
      'a second object at the provider',
      { entries: [...story().entries, ...ledger({ ...created, link: 'L2' })] },
      ['double create: the provider made L1 and L2'],
    ],
    [
      'a second capture of one payment',
      { entries: [...story().entries, ...ledger(money('captured', 100))] },
      [
        'double capture: captured 100 + 100, at most 100 was paid',
        'ledger differs: authorized: ledger has 200, link says 100',
        'ledger differs: captured: ledger has 200, link says 100',
      ],
    ],
    [
      'a second refund, also one that both sides know',
      {
        entries: [...story().entries, ...ledger(money('refunded', 30))],
        link: refunded({ refunded: 60 }),
        ends: { ...story().ends, refunded: 60 },
      },
      ["double refund: refunded 30 + 30, of which nobody's order is 30"],
    ],
    [
      'a refund of another amount than was ordered',
      {
        entries: ledger(created, money('captured', 100), money('refunded', 40)),
        link: refunded({ refunded: 40 }),
        ends: { ...story().ends, refunded: 40 },
      },
      ["double refund: refunded 40, of which nobody's order is 40"],
    ],
    [
      'more given back than taken',
      { entries: ledger(created, money('captured', 20), money('refunded', 30)) },
      [
        'more out than in: ledger: authorized 20, captured 20, refunded 30',
        'ledger differs: authorized: ledger has 20, link says 100',
        'ledger differs: captured: ledger has 20, link says 100',
      ],
    ],
    [
      'more taken than held, as the link has it',
      { link: refunded({ authorized: 50 }) },
      [
        'more out than in: link: authorized 50, captured 100, refunded 30',
        'ledger differs: authorized: ledger has 100, link says 50',
      ],
    ],
    [
      'money the link does not know, before any webhook was taken',
      { accepted: undefined, entries: [...story().entries, ...ledger(money('captured', 5, { payment: 'P2' }))] },
      [
        'double capture: captured 100 + 5, at most 100 was paid',
        'ledger differs: authorized: ledger has 105, link says 100',
        'ledger differs: captured: ledger has 105, link says 100',
      ],
    ],
    [
      'money the link does not know although a webhook about it was taken',
      {
        accepted: LATER,
        entries: ledger(created, money('captured', 100)),
        link: link({ status: 'pending', authorized: 0, captured: 0 }),
        ends: { status: 'pending', exceptions: [], captured: 0, refunded: 0 },
        acks: [],
      },
      [
        'acked but lost: authorized: ledger has 100, link says 0, and a webhook about it was answered 2xx',
        'acked but lost: captured: ledger has 100, link says 0, and a webhook about it was answered 2xx',
      ],
    ],
    [
      'money the link does not know, of which the webhooks that were taken could not tell',
      {
        accepted: AT,
        entries: ledger(created, money('captured', 100), money('captured', 100, { payment: 'P2', at: LATER })),
        link: link(),
        ends: { status: 'paid', exceptions: [], captured: 100, refunded: 0 },
        acks: [],
      },
      [
        'double capture: captured 100 + 100, at most 100 was paid',
        'ledger differs: authorized: ledger has 200, link says 100',
        'ledger differs: captured: ledger has 200, link says 100',
      ],
    ],
    [
      'money in another currency',
      {
        entries: ledger(
          created,
          money('captured', 100),
          money('refunded', 30),
          money('captured', 7, { currency: 'USD' }),
        ),
      },
      [
        'double capture: captured 100 + 7, at most 100 was paid',
        'ledger differs: currency: ledger has true, link says false',
      ],
    ],
    [
      'another object than the one the ledger knows',
      { link: refunded({ providerLinkId: 'L9' }) },
      [
        'ledger differs: provider link: ledger has L1, link says L9',
        'acked but lost: create R was answered 201 with L1, the link has L9',
      ],
    ],
    [
      'a command that was accepted and is forgotten',
      { acks: [{ verb: 'cancel', key: 'cancel-1', status: 202, state: 'running' }] },
      ['acked but lost: cancel cancel-1 was answered 202, the link does not know it'],
    ],
    [
      'a command that was done and is not any more',
      {
        link: refunded({ operations: [operation('refund', { amount: 30 }), operation('cancel', { state: 'failed' })] }),
        acks: [{ verb: 'cancel', key: 'cancel-1', status: 200, state: 'succeeded' }],
      },
      ['acked but lost: cancel cancel-1 was answered 200 as succeeded, and is failed'],
    ],
    [
      'an operation nobody has settled',
      {
        link: refunded({
          operations: [operation('refund', { amount: 30 }), operation('cancel', { state: 'unknown' })],
        }),
      },
      ['not settled: cancel cancel-1 is unknown'],
    ],
    ['a walk that could not be gone', { trouble: 'paid had not come about' }, ['not settled: paid had not come about']],
    [
      'another status and exception than the walk ends in',
      { link: refunded({ status: 'paid', exceptions: ['underpaid'] }) },
      [
        'other end: status is "paid", must be "partially_refunded"',
        'other end: exceptions is ["underpaid"], must be []',
      ],
    ],
    [
      'a link that failed while its object can be paid',
      {
        link: link({ status: 'failed', providerLinkId: null, authorized: 0, captured: 0 }),
        entries: ledger(created),
        orphans: ['L1'],
        unmade: 'found absent',
        acks: [],
      },
      ['other end: failed, and L1 of it can still be paid'],
    ],
    [
      'a link that failed, though nobody but itself says why',
      { link: link({ status: 'failed', providerLinkId: null, authorized: 0, captured: 0 }), entries: [], acks: [] },
      ['other end: failed, though nobody found its create absent, nor was it refused for good'],
    ],
    [
      'a void that never came to the provider',
      {
        ...over('cancelled', { authorized: 100 }),
        entries: ledger(created, money('authorized', 100), { kind: 'cancelled' }),
      },
      ['ledger differs: held: ledger has 100, link says 0'],
    ],
    [
      'the same, though a webhook told of the hold',
      {
        ...over('cancelled', { authorized: 100 }),
        entries: ledger(created, money('authorized', 100), { kind: 'cancelled' }),
        accepted: LATER,
      },
      ['ledger differs: held: ledger has 100, link says 0'],
    ],
    [
      'a part that was captured, and the rest still held',
      {
        ends: { status: 'paid', exceptions: [], captured: 80, refunded: 0 },
        link: link({ captured: 80 }),
        entries: ledger(created, money('authorized', 100), money('captured', 80)),
        acks: [],
      },
      ['ledger differs: held: ledger has 20, link says 0'],
    ],
    [
      'a cancel that never came to the provider',
      { ...over('cancelled'), entries: ledger(created) },
      ['other end: cancelled, and L1 of it can still be paid'],
    ],
    [
      'an end that never came',
      { ...over('expired'), entries: ledger(created) },
      ['other end: expired, and L1 of it can still be paid'],
    ],
    [
      'a link that was opened again, ended again, and only the first end came to the provider',
      {
        ...over('expired', { operations: [operation('extend', { finishedAt: LATER })] }),
        entries: ledger(created, { kind: 'expired', at: LATER }),
      },
      ['other end: expired, and L1 of it can still be paid'],
    ],
    [
      'a paid link that takes another payment',
      { ...paidAtBoomfi(operation('cancel', { actor: 'perdure' })), entries: ledger(created, money('captured', 100)) },
      ['other end: paid, and L1 of it can still be paid'],
    ],
    [
      'the same, of a link that was closed and opened again before it was paid',
      {
        ...paidAtBoomfi(operation('extend', { at: LATER })),
        entries: ledger(created, { kind: 'cancelled', at: AT }, money('captured', 100, { at: LATER })),
      },
      ['other end: paid, and L1 of it can still be paid'],
    ],
    [
      'two creates of one link that were lost',
      {
        link: link({ status: 'failed', providerLinkId: null, authorized: 0, captured: 0 }),
        entries: ledger(
          ...['L1', 'L2'].flatMap((id): Entry[] => [
            { ...created, link: id },
            { kind: 'expired', link: id },
          ]),
        ),
        orphans: ['L1', 'L2'],
        unmade: 'found absent',
        acks: [],
      },
      ['double create: the provider made L1 and L2, and nobody has their address'],
    ],
    [
      'one create that two callers are told to have made',
      { acks: [1, 2].map(() => ({ verb: 'create', key: 'R', status: 201, providerLinkId: 'L1' })) },
      ['double create: 2 calls were answered 201, as the one that made the link'],
    ],
  ])('reports %s', (_, change, differences) => {
    expect(told(change)).toEqual(differences);
  });

  it.each<[string, Partial<Case>]>([
    [
      'a create that was lost, closed at the provider, and made again',
      {
        entries: [...ledger({ ...created, link: 'L0' }, { kind: 'expired', link: 'L0' }), ...story().entries],
        orphans: ['L0'],
      },
    ],
    [
      'a create that came to nothing',
      {
        link: link({ status: 'failed', providerLinkId: null, authorized: 0, captured: 0 }),
        entries: [],
        unmade: 'refused',
        acks: [],
      },
    ],
    [
      'a create that was lost and closed at the provider, and not made again',
      {
        link: link({ status: 'failed', providerLinkId: null, authorized: 0, captured: 0 }),
        entries: ledger(created, { kind: 'expired' }),
        orphans: ['L1'],
        unmade: 'found absent',
        acks: [],
      },
    ],
    [
      'a hold that was given back',
      {
        ...over('cancelled', { authorized: 100 }),
        entries: ledger(created, money('authorized', 100), money('voided', 100), { kind: 'cancelled' }),
      },
    ],
    [
      'a hold that nobody has decided about',
      {
        ends: { status: 'authorized', exceptions: [], captured: 0, refunded: 0 },
        link: link({ status: 'authorized', captured: 0 }),
        entries: ledger(created, money('authorized', 100)),
        acks: [],
      },
    ],
    [
      'an end that the link says nobody has confirmed',
      { ...over('cancelled', { exceptions: ['cancel_unconfirmed'] }), entries: ledger(created) },
    ],
    [
      'a paid link that was closed, opened again, paid, and closed again',
      {
        ...paidAtBoomfi(operation('extend')),
        entries: ledger(created, { kind: 'cancelled', at: AT }, money('captured', 100), {
          kind: 'cancelled',
          at: LATER,
        }),
      },
    ],
    [
      'money given back by hand where no ledger shows it',
      {
        ends: { status: 'refunded', exceptions: [], captured: 100, refunded: 100 },
        link: link({
          status: 'refunded',
          refunded: 100,
          operations: [operation('refund', { amount: 100 }), operation('mark-refunded', { amount: 100 })],
        }),
        entries: ledger(created, money('captured', 100)),
        acks: [],
      },
    ],
    [
      'a walk whose customer pays twice',
      {
        ends: { status: 'paid', exceptions: ['duplicate_payment'], captured: 200, refunded: 0 },
        link: link({ exceptions: ['duplicate_payment'], authorized: 200, captured: 200 }),
        entries: ledger(created, money('captured', 100), money('captured', 100, { payment: 'P2' })),
        acks: [],
      },
    ],
  ])('accepts %s', (_, change) => {
    expect(told(change)).toEqual([]);
  });

  it('sums what stayed: a voided hold was never captured, a failed refund is no refund', () => {
    const entries = ledger(
      money('authorized', 100),
      money('voided', 100),
      money('captured', 50, { payment: 'P2' }),
      money('refunded', 20, { payment: 'P2' }),
      money('refund_failed', 20, { payment: 'P2' }),
      money('captured', 9, { payment: 'P3', currency: 'USD' }),
    );
    expect(moneyIn(entries, 'AED')).toEqual({ authorized: 150, captured: 50, refunded: 0, held: 0 });
  });
});

describe('what --plant falsifies', () => {
  const stories = () => [
    story(),
    story({ ...over('cancelled', { exceptions: ['cancel_unconfirmed'] }), entries: ledger(created) }),
    story({
      ...over('cancelled', { authorized: 100 }),
      entries: ledger(created, money('authorized', 100), money('voided', 100), { kind: 'cancelled' }),
    }),
  ];

  it.each(Object.entries(PLANTS))('%s makes one link differ', (_, plant) => {
    const cases = stories();
    expect(cases.flatMap(differencesOf)).toEqual([]);
    plant(cases);
    expect(cases.filter((one) => differencesOf(one).length > 0)).toHaveLength(1);
  });

  it.each(Object.entries(PLANTS))('%s says so where no link is fit for it', (_, plant) => {
    expect(() => plant([])).toThrow('no link of this run is fit');
  });
});

describe('the backend of a chaos run', () => {
  const answer = (status: number, body: object = {}) => ({ status, body });
  const made = answer(201, link());
  const refusal = answer(422, { code: 'provider_refused' });
  const UNHEARD = Symbol('unheard');

  /** A backend whose calls are answered with these, one after the other; GET shows the link. */
  function backendOf(answers: (object | typeof UNHEARD)[], shown: Link = link()) {
    const next = async () => {
      const one = answers.shift();
      if (one === UNHEARD) throw new TypeError('fetch failed');
      return one;
    };
    const shop = { create: next, order: next, get: async () => answer(200, shown) } as unknown as Shop;
    return openBackend(shop, { at: Date.now() + 5_000 });
  }
  const create = (backend: ReturnType<typeof openBackend>) => backend.create('R', () => ({}), true);
  const cancel = (backend: ReturnType<typeof openBackend>) => backend.order('R', 'cancel', {}, 'cancel', true);

  it('remembers both answers of a create that was sent twice', async () => {
    const backend = backendOf([made, answer(200, link({ providerLinkId: 'L2' }))]);
    await create(backend);
    expect(backend.acksOf('R').map(({ status, providerLinkId }) => [status, providerLinkId])).toEqual([
      [201, 'L1'],
      [200, 'L2'],
    ]);
  });

  it('remembers both answers of a command that was sent twice', async () => {
    const done = operation('cancel', { id: 'cancel-1' });
    const backend = backendOf(
      [answer(200, { operation: done }), answer(202, { operation: { ...done, state: 'running' } })],
      link({ operations: [done] }),
    );
    await cancel(backend);
    expect(backend.acksOf('R').map(({ status, state }) => [status, state])).toEqual([
      [200, 'succeeded'],
      [202, 'running'],
    ]);
  });

  it.each([
    ['a fault of the gateway', answer(500, { code: 'internal' }), 'answered 500'],
    ['a request that was not understood', answer(400, { code: 'invalid_request' }), 'answered 400'],
    ['a conflict of keys', answer(409, { code: 'idempotency_conflict' }), 'idempotency_conflict'],
    ['a conflict of references', answer(409, { code: 'reference_conflict' }), 'reference_conflict'],
  ])('does not overlook %s because the other call was heard', async (_, wrong, words) => {
    const done = link({ operations: [operation('cancel', { id: 'cancel-1' })] });
    const good = answer(200, { operation: done.operations[0] });
    for (const answers of [
      [wrong, made],
      [made, wrong],
    ])
      await expect(create(backendOf(answers))).rejects.toThrow(words);
    for (const answers of [
      [wrong, good],
      [good, wrong],
    ])
      await expect(cancel(backendOf(answers, done))).rejects.toThrow(words);
  });

  it('remembers a wrong answer for the checker, whoever was told', async () => {
    const backend = backendOf([]);
    const fault = async () => answer(500, { code: 'internal' });
    await expect(backend.ask('R', 'an answer', fault)).rejects.toThrow('answered 500');
    expect(backend.wrongOf('R')).toBe('an answer answered 500: {"code":"internal"}');
    expect(backend.wrongOf('S')).toBeUndefined();
  });

  it('asks again where it was not heard, or told to come again', async () => {
    const backend = backendOf([UNHEARD, answer(503, { code: 'unavailable' }), made, answer(200, link())]);
    await create(backend);
    expect(backend.acksOf('R').map(({ status }) => status)).toEqual([201, 200]);
    expect(backend.wasRefused('R')).toBe(false);
  });

  it('gives a link up only when it was refused as often as it asks', async () => {
    const backend = backendOf([refusal, refusal, refusal, refusal]);
    expect(await create(backend)).toBeUndefined();
    expect(backend.wasRefused('R')).toBe(true);
    const once = backendOf([refusal, refusal, made, made]);
    expect(await create(once)).toMatchObject({ providerLinkId: 'L1' });
    expect(once.wasRefused('R')).toBe(false);
  });

  it('does not count as refused what an operator found absent', async () => {
    const error = { code: 'resolved_absent', message: '' };
    const absent = link({
      status: 'failed',
      url: null,
      operations: [operation('create', { state: 'refused', error })],
    });
    const backend = backendOf([answer(202, absent), answer(202, absent)], absent);
    expect(await create(backend)).toBeUndefined();
    expect(backend.wasRefused('R')).toBe(false);
  });
});

describe('the script of a chaos run', () => {
  /** Functions are the walks' own; what is drawn is data. */
  const drawn = (seed: number, links: number) => JSON.stringify(scriptOf(seed, links));

  it('is the same for the same seed, and another for another', () => {
    expect(drawn(7, 40)).toBe(drawn(7, 40));
    expect(drawn(7, 40)).not.toBe(drawn(8, 40));
  });

  it('lets every site fail in 5 to 25 % of its calls, and every account have its share of links', () => {
    const { faults, links } = scriptOf(7, 70);
    const rates = new Map<string, number>();
    for (const { provider, fault } of faults) {
      const site = `${provider}.${fault.operation}`;
      rates.set(site, (rates.get(site) ?? 0) + fault.rate);
    }
    expect(rates.size).toBeGreaterThan(30);
    expect([...rates].filter(([, rate]) => rate < 0.0499 || rate > 0.2501)).toEqual([]);
    const accounts = links.map(({ walk }) => walk.desk.account);
    const shares = [...new Set(accounts)].map((account) => accounts.filter((name) => name === account).length);
    expect(shares).toEqual(shares.map(() => 70 / shares.length));
    expect(new Set(links.map(({ reference }) => reference)).size).toBe(70);
  });
});
