/**
 * Every error body that stands in a provider's own document ([seed]): the sandbox answers exactly it, and the adapter
 * makes of it a typed error that says what to do. paymennt's document has none; its one published text stands for it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../activities/failures.ts';
import type { ProviderErrorKind } from '../activities/provider.ts';
import { type Bench, openBench } from './conformance/bench.ts';
import { typed } from './conformance/judge.ts';
import { type Answered, untouched } from './conformance/wire.ts';
import { kits } from './kits.ts';

interface Row {
  provider: keyof typeof kits;
  /** What goes wrong. */
  when: string;
  /** Makes ready, and gives back the calls that go wrong. */
  prepare(bench: Bench): Promise<() => Promise<unknown>>;
  status: number;
  body: unknown;
  kind: ProviderErrorKind;
  code: string;
  says: RegExp;
  /** Calls of the provider; more than one only where another is made about it. */
  calls?: number;
}

const HOUR = 3_600_000;
const REFUSED = { details: {}, message: expect.stringMatching(/\w/) };
const NO_INTEGRATION =
  'Integration ID/Name does not exist in our system . You can find the list of Integration ID’/Names from Merchant Dashboard under Developers → Payment Integrations Tab';

const create =
  (bench: Bench, { options = {}, terms = bench.terms() } = {}) =>
  () => {
    const config = bench.kit.provider.config.parse({ ...bench.options, ...options });
    return bench.kit.provider.create({ ...bench.call(), config }, bench.attempt(terms));
  };

const faulty = (status: number) => async (bench: Bench) => {
  const { faults, operations } = bench.sandbox;
  faults.add({ operation: operations[0], kind: 'status', status, count: 1 }, operations);
  return create(bench);
};

const locked = async (bench: Bench) => create(bench, { options: bench.kit.wrongCredentials });

/** Katu9's second step for a link that has expired, or for what the caller makes of it. */
const generate =
  (change: (link: { providerLinkId: string }) => object, redirectUrl?: string) => async (bench: Bench) => {
    const { terms, created, facts } = await bench.link();
    const expiresAt = terms.expiresAt + HOUR;
    const attempt = { terms: { ...terms, redirectUrl }, key: 'key', expiresAt, opening: 1, known: facts() };
    return () => bench.kit.provider.extend!(bench.call(), { ...created, ...change(created) }, attempt);
  };

const rows: readonly Row[] = [
  {
    provider: 'paymob',
    when: 'the reference is taken',
    async prepare(bench) {
      const { terms } = await bench.link();
      return create(bench, { terms });
    },
    status: 400,
    body: { message: 'Reference ID already exists.' },
    kind: 'refused',
    code: 'duplicate_reference',
    says: /use another reference/,
  },
  {
    provider: 'paymob',
    when: 'the expiry is past',
    prepare: async (bench) => create(bench, { terms: { ...bench.terms(), expiresAt: Date.now() - HOUR } }),
    status: 400,
    body: {
      message: "expires_at - expires_at can't be in the past.",
      errors: { expires_at: ["expires_at can't be in the past."] },
    },
    kind: 'refused',
    code: 'expiry_in_past',
    says: /check the account’s zone and this machine’s clock/,
  },
  {
    provider: 'paymob',
    when: 'the API key is wrong',
    prepare: locked,
    status: 401,
    body: { detail: 'incorrect credentials' },
    kind: 'unauthorized',
    code: 'incorrect_credentials',
    says: /check the account’s apiKey/,
  },
  {
    provider: 'paymob',
    when: 'the secret key is wrong',
    async prepare(bench) {
      const link = await bench.link();
      await bench.happen(link, 'pay');
      await link.read();
      const config = bench.kit.provider.config.parse({ ...bench.options, secretKey: 'sandbox_sk_test_of_nobody' });
      return () => link.write('refund', link.terms.amount, { ...bench.call(), config });
    },
    status: 401,
    body: { detail: 'incorrect credentials' },
    kind: 'unauthorized',
    code: 'incorrect_credentials',
    says: /check the account’s secretKey/,
  },
  ...(
    [
      ['the integration is unknown', { integrations: [{ id: 1, currency: 'EGP' }] }],
      ['the integration is of the other mode', { live: true, secretKey: 'sandbox_sk_live_paymob_secret' }],
    ] as const
  ).map(([when, options]) => ({
    provider: 'paymob' as const,
    when,
    prepare: async (bench: Bench) => create(bench, { options }),
    status: 404,
    body: { detail: NO_INTEGRATION },
    kind: 'refused' as const,
    code: 'integration_not_found',
    says: /check the account’s integrations, and that live is what they are/,
  })),
  {
    provider: 'beqelal',
    when: 'our address is not on its list',
    prepare: faulty(479),
    status: 479,
    body: {
      error: {
        status: 'FAILED',
        status_code: '479',
        message: 'UNAUTHORIZED_IP_ACCESS',
        detail: 'Unauthorized IP address access.',
      },
    },
    kind: 'unauthorized',
    code: 'address_not_listed',
    says: /add the public address of this machine to the list in its portal/,
  },
  {
    provider: 'boomfi',
    when: 'there is nothing left to sell',
    prepare: faulty(400),
    status: 400,
    body: {
      error: {
        code: 400,
        errors: [{ domain: 'orders', reason: 'InsufficientQuantity' }],
        message: 'Insufficient quantity',
      },
    },
    kind: 'refused',
    code: 'insufficient_quantity',
    says: /raise its quantity in the dashboard/,
  },
  {
    provider: 'boomfi',
    when: 'it breaks',
    prepare: faulty(500),
    status: 500,
    body: {
      error: { code: 500, errors: [{ domain: 'orders', reason: 'Internal' }], message: 'Internal server error' },
    },
    kind: 'unknown',
    code: 'http_500',
    says: /Internal server error.*the engine looks before anything else is sent/,
  },
  {
    provider: 'paymennt',
    when: 'it does not know the checkout',
    async prepare(bench) {
      const link = await bench.link();
      link.created = { ...link.created, providerLinkId: '1000000000000000000' };
      return () => link.read();
    },
    status: 400,
    body: { success: false, elapsed: expect.any(Number), error: 'Checkout not found for API merchant' },
    kind: 'not_found',
    code: 'not_found',
    says: /Checkout not found/,
  },
  {
    provider: 'katu9',
    when: 'a parameter is invalid',
    prepare: generate(() => ({}), 'no address'),
    status: 400,
    body: { error: { ...REFUSED, details: { redirectUrl: 'must be a URI' } } },
    kind: 'refused',
    code: 'invalid_parameters',
    says: /redirectUrl.*must be a URI.*have to change/,
  },
  {
    provider: 'katu9',
    when: 'the token is wrong',
    prepare: locked,
    status: 401,
    body: { error: REFUSED },
    kind: 'unauthorized',
    code: 'invalid_token',
    says: /check token/,
  },
  {
    provider: 'katu9',
    when: 'the transaction is not ours',
    prepare: generate(() => ({ providerLinkId: '00000000-0000-4000-8000-000000000000' })),
    status: 404,
    body: { error: REFUSED },
    kind: 'not_found',
    code: 'transaction_not_found',
    says: /check merchantId and environment/,
  },
  {
    provider: 'katu9',
    when: 'the link is live',
    prepare: generate(() => ({})),
    status: 409,
    body: {
      error: { message: 'A non-expired payment link already exists for this transaction in this environment.' },
    },
    kind: 'refused',
    code: 'live_link_exists',
    says: /the link is live until .*; katu9 makes another only after that/,
    // The live link is read.
    calls: 2,
  },
];

const benches = new Map<string, Bench>();
beforeAll(async () => {
  for (const [name, kit] of Object.entries(kits)) benches.set(name, await openBench(kit));
});
afterAll(async () => {
  for (const bench of benches.values()) await bench.close();
});

const told = ({ status, text }: Answered) => [status, JSON.parse(text)];

describe('an error of the provider’s own document', () => {
  it.each(rows)('$provider, when $when: $status is $code, and asked for once', async (row) => {
    const bench = benches.get(row.provider)!;
    const makes = await row.prepare(bench);
    const { outcome, calls, answers } = await bench.wire.during(untouched, makes);
    expect(calls).toHaveLength(row.calls ?? 1);
    expect(told(answers[0]!)).toEqual([row.status, row.body]);
    expect(typed(outcome)).toMatchObject({ kind: row.kind, code: row.code });

    const attempt = { verb: 'create', reference: 'INV-1', provider: row.provider };
    const { message, nonRetryable, details } = failureOf(outcome, 'write', attempt);
    expect(message).toMatch(row.says);
    expect(details).toMatchObject([{ code: row.code }]);
    // The server does not try it again either, whatever it was.
    expect(nonRetryable).toBe(true);
  });

  it('boomfi, when it answers a link with "error": true: a link', async () => {
    const bench = benches.get('boomfi')!;
    const { outcome, answers } = await bench.wire.during(untouched, create(bench));
    expect(told(answers[0]!)).toMatchObject([200, { error: true, data: { enabled: true } }]);
    expect(outcome).toMatchObject({ created: { url: expect.stringMatching(/^http/) } });
  });
});
