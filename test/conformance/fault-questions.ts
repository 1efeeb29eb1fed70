/**
 * Questions about a wire that fails. Each call an adapter makes fails in each way there is, before the provider got it and
 * after it acted; whatever the adapter then says must be true by the sandbox's ledger.
 */
import { createServer } from 'node:http';
import { expect } from 'vitest';
import { expectDiscreet, secretsIn } from './access-questions.ts';
import { type Attempt, attemptsOf, type Ready } from './attempts.ts';
import { type Bench, follow } from './bench.ts';
import { expectTruth, typed } from './judge.ts';
import type { Question } from './questions.ts';
import { troubles } from './troubles.ts';
import { listen, only, type Plan, untouched } from './wire.ts';

export const faultQuestions = (bench: Bench): Question[] => [
  ...attemptsOf(bench).map((attempt) => ({
    name: `${attempt.name}: whatever happens to a call, nothing is done twice and nothing false is told`,
    ask: (at: Bench) => staysTrue(at, attempt),
  })),
  { name: 'a provider that cannot be reached was sent nothing', ask: knowsWhatWasNotSent },
];

async function staysTrue(bench: Bench, attempt: Attempt): Promise<void> {
  const clean = await attempt.prepare(bench);
  const { outcome, calls } = await bench.wire.during(untouched, () => clean.make(bench.call()));
  if (outcome instanceof Error) throw outcome;
  expect(calls.length).toBeGreaterThan(0);
  // What one undisturbed call leaves in the ledger: no more than this may ever come of it.
  const whole = entriesOf(bench, clean);

  let ready = await attempt.prepare(bench);
  for (const [index, { method, path }] of calls.entries()) {
    // To look is to do nothing: before and after are the same.
    const kinds = troubles(bench.wire).filter(({ reaches }) => reaches || method !== 'GET');
    for (const trouble of kinds) {
      const before = entriesOf(bench, ready).length;
      await survives(bench, attempt, ready, only(index, trouble), whole).catch((error: Error) => {
        error.message = `call ${index + 1}, ${method} ${path.split('?')[0]}: ${trouble.name}: ${error.message}`;
        throw error;
      });
      // Where nothing happened the next try is of the same link, as it is in life.
      if (entriesOf(bench, ready).length > before) ready = await attempt.prepare(bench);
    }
  }
  expect(bench.wire.strays(), 'no redirect is followed').toBe(0);
}

const entriesOf = (bench: Bench, { terms }: Ready) =>
  bench.ledger(terms.reference).map(({ kind, amount }) => ({ kind, amount }));

async function survives(bench: Bench, attempt: Attempt, ready: Ready, plan: Plan, whole: object[]): Promise<void> {
  const before = entriesOf(bench, ready);
  const { outcome } = await bench.wire.during(plan, () => ready.make(bench.impatient()));
  const after = entriesOf(bench, ready);
  expect(after, 'done at most once').toEqual(whole.slice(0, after.length));

  if (outcome instanceof Error) {
    const { kind } = typed(outcome);
    // Nobody refused anything, and nobody asked for other credentials.
    expect(kind).toMatch(attempt.writes ? /^(unknown|not_sent)$/ : /^unknown$/);
    if (kind === 'not_sent') expect(after, 'not sent means that nothing happened').toEqual(before);
    expectDiscreet(typed(outcome), secretsIn(bench.options), ready.terms);
  } else {
    expect(after, 'success means that it happened').toEqual(whole);
  }
  if (attempt.writes) await tellsTheTruthLater(bench, ready);
}

/** The engine looks before it does anything else: what it then finds must be what there is. */
async function tellsTheTruthLater(bench: Bench, { terms, link }: Ready): Promise<void> {
  const { abilities, kit } = bench;
  if (link) {
    if (!abilities.inquire) return;
    await link.read();
    expectTruth(bench, link);
    return;
  }
  if (!abilities.findByReference) return;
  const found = await kit.provider.findByReference!(bench.call(), bench.attempt(terms));
  expect(found?.created.providerLinkId, 'found what was made').toBe(bench.ledger(terms.reference)[0]?.link);
  if (!found) return;
  const adopted = follow(bench, { ...terms, expiresAt: found.created.expiresAt }, found.created);
  adopted.hear('find', found);
  expect(adopted.status()).toBe('pending');
}

async function knowsWhatWasNotSent(bench: Bench): Promise<void> {
  const { kit, options, wire } = bench;
  const elsewhere = JSON.stringify(options).replaceAll(wire.url, await nobody());
  const unreachable = { ...bench.call(), config: kit.provider.config.parse(JSON.parse(elsewhere)) };
  for (const attempt of attemptsOf(bench)) {
    const { make } = await attempt.prepare(bench);
    const { outcome } = await wire.during(untouched, () => make(unreachable));
    expect(typed(outcome), attempt.name).toMatchObject({ kind: 'not_sent' });
  }
}

/** An address that nobody listens on any more. */
async function nobody(): Promise<string> {
  const server = createServer();
  const url = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return url;
}
