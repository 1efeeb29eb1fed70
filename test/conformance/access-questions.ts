/** Questions about credentials, secrets, personal data and rate limits. */
import { expect } from 'vitest';
import { failureOf } from '../../activities/failures.ts';
import type { ProviderError } from '../../activities/provider.ts';
import type { Terms } from '../../workflows/link.ts';
import { attemptsOf } from './attempts.ts';
import type { Bench } from './bench.ts';
import { typed } from './judge.ts';
import type { Question } from './questions.ts';
import { RETRY_AFTER } from './troubles.ts';
import { instead, type Sent, type Trouble, untouched } from './wire.ts';

const HOUR_MS = 3_600_000;

export const accessQuestions = (_bench: Bench): Question[] => [
  { name: 'wrong credentials are told apart, and tried once', ask: turnsWrongCredentialsAway },
  ...[401, 403, 479].map((status) => ({
    name: `a ${status} is "unauthorized" for every call, and nothing moves`,
    ask: (bench: Bench) => isUnauthorized(bench, status),
  })),
  { name: 'a rate limit is heeded in whatever words', ask: heedsRateLimits },
  { name: 'no error tells a secret or a customer, even if the provider repeats them', ask: keepsSecrets },
];

async function turnsWrongCredentialsAway(bench: Bench): Promise<void> {
  const { kit, wire } = bench;
  const options = { ...bench.options, ...kit.wrongCredentials };
  const locked = { ...bench.call(), config: kit.provider.config.parse(options) };
  const link = await bench.link();
  const terms = bench.terms();
  const tries = {
    create: () => kit.provider.create(locked, bench.attempt(terms)),
    ...(bench.abilities.inquire && { inquire: () => link.read(locked) }),
  };
  for (const [what, doing] of Object.entries(tries)) {
    const { outcome, calls } = await wire.during<unknown>(untouched, doing);
    expect(typed(outcome).kind, what).toBe('unauthorized');
    expectNoRepeats(calls);
    expectDiscreet(typed(outcome), secretsIn(options), terms);
  }
  expect(bench.ledger(terms.reference)).toEqual([]);
}

/** The next try is not the adapter's to make. */
function expectNoRepeats(calls: readonly Sent[]): void {
  const made = calls.map(({ method, path }) => `${method} ${path}`);
  expect([...new Set(made)], 'every call is made once').toEqual(made);
}

async function isUnauthorized(bench: Bench, status: number): Promise<void> {
  for (const attempt of attemptsOf(bench)) {
    const { terms, make } = await attempt.prepare(bench);
    const before = bench.ledger(terms.reference);
    const { outcome, calls } = await bench.wire.during<unknown>(
      () => instead(status, '{"detail":"no"}'),
      () => make(bench.call()),
    );
    expect(typed(outcome).kind, attempt.name).toBe('unauthorized');
    // A token kept from before may have run out, and one more is asked for; nothing else is tried again.
    expectNoRepeats(calls);
    expect(bench.ledger(terms.reference)).toEqual(before);
  }
}

async function heedsRateLimits(bench: Bench): Promise<void> {
  for (const attempt of attemptsOf(bench)) {
    const { terms, make } = await attempt.prepare(bench);
    const before = bench.ledger(terms.reference);
    for (const retryAfter of RETRY_AFTER) {
      const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
      const { outcome, calls } = await bench.wire.during<unknown>(
        () => instead(429, '{"error":"slow down"}', headers),
        () => make(bench.call()),
      );
      const { kind, retryAfterMs = 0 } = typed(outcome);
      expect(kind, `${attempt.name}, Retry-After: ${retryAfter}`).toMatch(/^(rate_limited|not_sent)$/);
      expectNoRepeats(calls);
      expect(retryAfterMs).toBeGreaterThanOrEqual(retryAfter === '7' ? 7_000 : 1_000);
      expect(retryAfterMs).toBeLessThanOrEqual(retryAfter === '7' ? 7_000 : HOUR_MS);
      expect(bench.ledger(terms.reference)).toEqual(before);
    }
  }
}

/** Providers repeat what they were sent, in errors above all: as texts, as objects, by field, and as pages. */
const json = (value: object) => ({ type: 'application/json', text: JSON.stringify(value) });
const ECHOES: readonly ((said: string) => { text: string; type: string })[] = [
  (said) => json({ success: false, error: said, message: said, detail: said }),
  (said) => json({ error: { code: 400, status: 'FAILED', message: said, detail: said, errors: [{ reason: said }] } }),
  (said) => json({ phone: [said] }),
];

/** A message has room for the beginning only. */
const PIECES: readonly ((sent: Sent) => string)[] = [
  ({ headers }) => [headers.authorization, ...Object.values(headers)].join(' ').slice(0, 190),
  ({ headers }) => Object.values(headers).reverse().join(' ').slice(0, 190),
  ({ path, body }) => `${body.slice(0, 150)} ${path}`.slice(0, 190),
  ({ body }) => body.slice(-190),
];

async function keepsSecrets(bench: Bench): Promise<void> {
  const texts = ECHOES.flatMap((echo) => PIECES.map((piece) => (sent: Sent) => echo(piece(sent))));
  const pages = PIECES.map((piece) => (sent: Sent) => ({ type: 'text/html', text: `<h1>${piece(sent)}</h1>` }));
  const answers = [
    ...[400, 404].flatMap((status) => texts.map((say) => echoed(status, say))),
    ...[200, 500].flatMap((status) => pages.map((say) => echoed(status, say))),
  ];
  for (const attempt of attemptsOf(bench)) {
    // No call reaches the provider: one link does for all of them.
    const { terms, make } = await attempt.prepare(bench);
    for (const answer of answers) {
      const { outcome } = await bench.wire.during<unknown>(
        () => answer,
        () => make(bench.call()),
      );
      if (outcome instanceof Error) expectDiscreet(typed(outcome), secretsIn(bench.options), terms);
    }
  }
}

function echoed(status: number, say: (sent: Sent) => { text: string; type: string }): Trouble {
  return {
    reaches: false,
    answer(response, _real, sent) {
      const { text, type } = say(sent);
      response.writeHead(status, { 'content-type': type }).end(text);
    },
  };
}

/** Credentials among the account's options, told by the names people give them; a public key is none. */
export function secretsIn(options: object): string[] {
  const named = Object.entries(options).filter(([option]) => /key|secret|token|password/i.test(option));
  return named
    .flatMap(([, value]) => value as string | string[])
    .filter((text) => typeof text === 'string' && !text.includes('PUBLIC KEY'));
}

/** No secret stands in an error; nor does the customer, once it is in Temporal's hands and so in the history. */
export function expectDiscreet(error: ProviderError, secrets: readonly string[], { customer, reference }: Terms): void {
  const told = `${error.code} ${error.message} ${JSON.stringify(error)} ${String(error.cause ?? '')}`;
  for (const secret of secrets) expect(told, 'a secret').not.toContain(secret);
  const { message, details } = failureOf(error, 'write', { verb: 'call', reference, provider: 'kit', customer });
  const kept = `${message} ${JSON.stringify(details)}`;
  const { name = '', email = '', phone = '' } = customer ?? {};
  for (const personal of [name, ...name.split(' '), email, phone, phone.replace('+', '')]) {
    if (personal !== '') expect(kept, 'customer data').not.toContain(personal);
  }
}
