/** Questions about making a link: what is asked for, what stands on the wire, what comes back. */
import { expect } from 'vitest';
import { type Facts, newestOpening } from '../../workflows/facts.ts';
import type { Bench, TestLink } from './bench.ts';
import { moneyTold, typed } from './judge.ts';
import type { Question } from './questions.ts';
import { edited, everywhere, type Sent, untouched } from './wire.ts';

const MINUTE_MS = 60_000;
const PROBES = { JPY: 500, USD: 1_050, KWD: 1_234 };
const NOTHING = { captured: 0, refunded: 0, held: 0 };

export const linkQuestions = ({ abilities, kit }: Bench): Question[] => [
  { name: 'creates one open link of exactly what was asked', ask: createsWhatWasAsked },
  { name: 'tells an end that the provider keeps, and none later than asked', ask: endsInTime },
  { name: 'takes the sample request, and refuses the past and options nobody documented', ask: acceptsAndRefuses },
  { name: 'has a row of wire text for every exponent the provider takes', ask: coversExponents },
  ...kit.wire.map((row) => ({
    name: `writes ${row.currency} ${row.amount} on the wire as ${row.create}`,
    ask: (bench: Bench) => writesAmounts(bench, row),
  })),
  { name: 'hands on no address that runs code, is plain http or hides its host', ask: refusesUnsafeUrls },
  ...(abilities.findByReference ? [{ name: 'finds what a key made, and nothing else', ask: findsItsOwn }] : []),
  ...(abilities.repeatable.includes('create')
    ? [{ name: 'makes one link of one key, however often it is asked', ask: createsOnce }]
    : []),
  ...(abilities.inquire ? [{ name: 'takes no answer about another link for its own', ask: ignoresOtherLinks }] : []),
];

async function createsWhatWasAsked(bench: Bench): Promise<void> {
  const link = await bench.link();
  const { terms, created } = link;
  const { amount, currency, reference } = terms;
  expect(bench.ledger(reference)).toMatchObject([
    { kind: 'created', link: created.providerLinkId, reference, amount, currency },
  ]);
  expect(created.ids).toContain(created.providerLinkId);
  expect(new Set(created.ids).size, 'ids are told once').toBe(created.ids.length);
  expect(isSafe(created.url), created.url).toBe(true);
  if (bench.abilities.inquire) await link.read();
  expect(link.status()).toBe('pending');
  expect(link.exceptions()).toEqual([]);
  expect(moneyTold(link.facts(), currency)).toEqual(NOTHING);
  expectOpenSince(link.facts());
}

function expectOpenSince(facts: Facts): void {
  const { opened, ...closed } = newestOpening(facts) ?? {};
  expect(opened, 'an opening').toBeGreaterThan(0);
  expect(closed).toEqual({});
}

async function endsInTime(bench: Bench): Promise<void> {
  const { terms, created } = await bench.link();
  expect(created.expiresAt).toBeLessThanOrEqual(terms.expiresAt);
  expect(created.expiresAt, 'rounded down, not cut short').toBeGreaterThan(terms.expiresAt - 2 * MINUTE_MS);
  if (!created.expiresByItself) return;
  // The pay page counts down to the provider's own end, in no zone at all.
  const page = await (await fetch(created.url)).text();
  const ends = Number(/data-ends="(\d+)"/.exec(page)?.[1]);
  expect(ends, 'the page tells when it ends').toBeGreaterThan(0);
  expect(ends, 'the provider keeps it open no longer than asked').toBeLessThanOrEqual(terms.expiresAt);
  // A moment earlier: the engine looks before it declares, and a provider counts in seconds at best.
  expect(created.expiresAt, 'no later than the provider ends it').toBeLessThan(ends + 1_000);
}

async function acceptsAndRefuses(bench: Bench): Promise<void> {
  const problems = (changes: object) => {
    const terms = bench.terms(changes);
    return bench.kit.provider.accepts(terms, bench.config, Date.now());
  };
  expect(problems({})).toEqual([]);
  expect(problems({ expiresAt: Date.now() - 1 })).toEqual([
    { pointer: '/expiresAt', code: 'invalid_value', message: expect.stringMatching(/\w/) },
  ]);
  expect(problems({ providerOptions: { ...bench.kit.terms.providerOptions, 'no/such~option': 1 } })).toEqual([
    { pointer: '/providerOptions/no~1such~0option', code: 'not_supported', message: expect.stringMatching(/\w/) },
  ]);
}

async function coversExponents(bench: Bench): Promise<void> {
  expect(bench.kit.wire.length).toBeGreaterThan(0);
  for (const [currency, amount] of Object.entries(PROBES)) {
    const terms = bench.terms({ currency, amount });
    const refused = bench.kit.provider.accepts(terms, bench.config, Date.now());
    if (refused.length > 0) expect(refused.map(({ pointer }) => pointer)).toContain('/amount/currency');
    else expect(bench.kit.wire.map((row) => row.currency)).toContain(currency);
  }
}

async function writesAmounts(bench: Bench, row: Bench['kit']['wire'][number]): Promise<void> {
  const { wire, kit } = bench;
  const { amount, currency } = row;
  const terms = bench.terms({ amount, currency });
  expect(kit.provider.accepts(terms, bench.config, Date.now())).toEqual([]);
  const { outcome, calls } = await wire.during(untouched, () => bench.link({ ...terms }));
  expectOnWire(calls, row.create);
  if (outcome instanceof Error) throw outcome;
  const link = outcome;
  if (row.capture !== undefined) {
    expect(await bench.happen(link, 'authorize')).toBe(true);
    await link.read();
    const written = await wire.during(untouched, () => link.write('capture', amount));
    expectOnWire(written.calls, row.capture);
  } else {
    expect(await bench.happen(link, 'pay')).toBe(true);
  }
  if (row.refund === undefined) return;
  await link.read();
  const written = await wire.during(untouched, () => link.write('refund', amount));
  expectOnWire(written.calls, row.refund);
  expect(bench.ledger(link.terms.reference).filter(({ kind }) => kind === 'refunded')).toMatchObject([
    { amount, currency },
  ]);
}

function expectOnWire(calls: readonly Sent[], text: string): void {
  const passed = calls.map(({ method, path, body }) => `${method} ${path}\n${body}`).join('\n');
  expect(passed.includes(text), `${text} must be in ${passed}`).toBe(true);
}

const UNSAFE = [
  'javascript:alert(1)',
  'data:text/html,pay',
  'http://pay.example/1',
  'https://user:word@pay.example/1',
  '//pay.example/1',
  '',
];

async function refusesUnsafeUrls(bench: Bench): Promise<void> {
  for (const unsafe of UNSAFE) {
    const inPlace = edited((json) => everywhere(json, (value) => (isAddress(value) ? unsafe : value)));
    const { outcome } = await bench.wire.during(
      () => inPlace,
      () => bench.link(),
    );
    // A provider whose answer has no address, or another one, leaves nothing to hand on wrongly.
    if (!(outcome instanceof Error)) expect(isSafe(outcome.created.url), outcome.created.url).toBe(true);
    else expect(typed(outcome).kind).toBe('unknown');
  }
}

const isAddress = (value: unknown) => typeof value === 'string' && /^https?:\/\//.test(value);

function isSafe(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && hostname === '127.0.0.1');
}

async function findsItsOwn(bench: Bench): Promise<void> {
  const find = (terms: TestLink['terms']) => bench.kit.provider.findByReference!(bench.call(), bench.attempt(terms));
  expect(await find(bench.terms())).toBeUndefined();
  const { terms, created } = await bench.link();
  await bench.link();
  const found = await find(terms);
  expect(found?.created).toMatchObject({ providerLinkId: created.providerLinkId, url: created.url, ids: created.ids });
  expect(found?.created.expiresAt).toBeLessThanOrEqual(terms.expiresAt);
  expect(await find(bench.terms())).toBeUndefined();
}

async function createsOnce(bench: Bench): Promise<void> {
  const { terms, created } = await bench.link();
  for (const _again of [1, 2]) {
    // Where the link cannot be read back the answer is a no; never another link.
    const repeat = () => bench.kit.provider.create(bench.call(), bench.attempt(terms));
    const { outcome } = await bench.wire.during(untouched, repeat);
    if (outcome instanceof Error) expect(typed(outcome).kind).toMatch(/^(refused|unknown)$/);
    else expect(outcome.created.providerLinkId).toBe(created.providerLinkId);
  }
  expect(bench.ledger(terms.reference).map(({ kind }) => kind)).toEqual(['created']);
}

/** A cache or a proxy mixes up two links: the one that is open must not read as the one that is paid. */
async function ignoresOtherLinks(bench: Bench): Promise<void> {
  const [open, paid] = [await bench.link(), await bench.link()];
  expect(await bench.happen(paid, 'pay')).toBe(true);
  const swap = (text: string) =>
    open.created.ids.reduce((swapped, id, n) => swapped.replaceAll(id, paid.created.ids[n] ?? id), text);
  const { outcome } = await bench.wire.during(
    () => ({ ...edited((json) => json), rewrite: swap }),
    () => open.read(),
  );
  if (outcome instanceof Error) expect(typed(outcome).kind).toBe('unknown');
  expect(moneyTold(open.facts(), open.terms.currency)).toEqual(NOTHING);
  expect(Object.keys(open.facts().payments ?? {})).toEqual([]);
}
