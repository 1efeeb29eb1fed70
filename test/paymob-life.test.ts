import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Accounts, readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { createActivities } from '../activities/index.ts';
import { paymob } from '../activities/providers/paymob.ts';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { exceptionsOf } from '../workflows/exceptions.ts';
import { type Facts, join, sums } from '../workflows/facts.ts';
import { type Matter, statusOf, type Terms } from '../workflows/link.ts';
import type { CreateResult, Observation, Ports, Watch, WriteResult } from '../workflows/ports.ts';
import { TIMING } from '../workflows/state.ts';
import { AUTH, paymobMerchant, SALE } from './paymob-merchant.ts';
import { type Delivery, until, webhookListener } from './sandbox-merchant.ts';

/** The activities with the Paymob adapter against its sandbox. */
let sandbox: Sandbox;
let shop: ReturnType<typeof paymobMerchant>;
let listener: Awaited<ReturnType<typeof webhookListener>>;
let accounts: Accounts;
let ports: Ports;
let count = 0;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0, webhookRetryMs: [], paymob: { tokenMs: 60_000 } });
  shop = paymobMerchant(sandbox.url);
  listener = await webhookListener();
  const integrations = [
    { id: Number(SALE.EGP), currency: 'EGP' },
    { id: Number(AUTH.EGP), currency: 'EGP', holds: true },
    { id: Number(SALE.OMR), currency: 'OMR' },
    // Set up wrongly: this one settles in dirhams.
    { id: Number(SALE.AED), currency: 'SAR' },
  ];
  const { apiKey, secretKey, hmacSecret } = shop.merchant;
  const options = { baseUrl: `${sandbox.url}/paymob`, apiKey, secretKey, webhookSecrets: [hmacSecret], integrations };
  accounts = readAccounts({ paymob: { provider: 'paymob', options } });
  ports = createActivities(accounts, {
    http: createHttp({ timeoutMs: 2_000 }),
    callbacks: { base: new URL(listener.url).origin, keys: ['0123456789abcdef'] },
    random: () => 0,
  });
});
beforeEach(() => {
  listener.heard.length = 0;
});
afterEach(() => shop.control('DELETE', 'faults'));
afterAll(async () => {
  await sandbox.close();
  await listener.close();
});

function termsOf(changes: Partial<Terms> = {}): Terms {
  return { account: 'paymob', reference: `LIFE/${++count}`, amount: 10_050, currency: 'EGP', exponent: 2, ...changes };
}
const attemptAt = (terms: Terms) => ({ terms, key: `payment-link/${terms.reference}:create:abc`, since: Date.now() });

/** A link and what is known of it: reads and writes join what they learn. */
async function made(changes: Partial<Terms> = {}) {
  const terms = termsOf(changes);
  const { created, facts }: CreateResult = await ports.create(attemptAt(terms));
  let known: Facts = facts;
  const learn = <A extends { facts: Facts }>(answer: A): A => {
    known = join(known, answer.facts);
    return answer;
  };
  const matter = (): Matter => ({ terms, facts: known, operations: [], created });
  const write = (kind: 'capture' | 'cancel' | 'refund', amount?: number): Promise<WriteResult> =>
    ports[kind]({ terms, created, key: `${kind}-${++count}`, amount, known }).then(learn);
  return {
    terms,
    created,
    known: () => known,
    read: async (ids: string[] = []) => learn(await ports.inquire({ terms, created, known, ids })),
    write,
    status: () => statusOf(matter()),
    odd: () => exceptionsOf(matter()),
    totals: () => sums(known, terms.currency),
    pay: () => shop.pay(created.url),
    ledger: () => shop.ledger(created.providerLinkId),
    act: (action: string, body: object = { webhook: 'never' }) =>
      shop.control('POST', `links/${created.providerLinkId}/${action}`, body),
    fault: (operation: string, kind: string, more: object = {}) =>
      shop.fault({ operation, kind, link: created.providerLinkId, count: 1, ...more }),
  };
}

async function failureOf(doing: Promise<unknown>): Promise<[type: unknown, code: unknown, message: string]> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApplicationFailure)) throw new Error(`expected a failure, got ${String(error)}`);
  return [error.type, (error.details?.[0] as { code?: string })?.code, error.message];
}

const requestOf = ({ url, raw, headers }: Delivery) => ({
  body: Buffer.from(raw),
  headers: headers as Record<string, string>,
  query: new URL(url, listener.url).searchParams,
});

describe('a link’s life', () => {
  it('is made as asked, with an end of whole seconds in the zone of the account', async () => {
    const expiresAt = Date.now() + 3_600_000;
    const link = await made({ expiresAt, description: 'Lanterns', redirectUrl: 'https://shop.example/thanks' });
    expect(link.created).toMatchObject({
      provider: 'paymob',
      expiresAt: Math.floor(expiresAt / 1000) * 1000,
      expiresByItself: true,
      abilities: { inquire: true, findByReference: false, capture: 'partial', cancel: true, refund: 'partial' },
    });
    expect(link.created.ids).toEqual([link.created.providerLinkId, `order:${link.created.handle?.order}`]);
    expect(link.status()).toBe('pending');
    const before = link.known();
    await link.read();
    // Nobody tried to pay: what is read is no news.
    expect({ ...link.known(), latest: { ...link.known().latest, at: 0, hash: '' } }).toEqual({
      ...before,
      latest: { ...before.latest, at: 0, hash: '' },
    });
  });

  it('is paid twice while a watch of before looks: it reads both payments, and then rests', async () => {
    const link = await made();
    const before = link.known();
    await link.act('pay');
    await link.read();
    await link.act('pay');
    const { watch } = createActivities(accounts, { random: () => 0, knownNow: async () => link.known() });
    const looks = () => {
      const env = new MockActivityEnvironment({ attempt: 2 }, { logger: new DefaultLogger('ERROR') });
      const { cadence } = TIMING;
      return env.run<[Watch], Observation, Ports['watch']>(watch, {
        terms: link.terms,
        created: link.created,
        known: before,
        lastNewsAt: Date.now(),
        cadence,
      });
    };
    const { facts } = await looks();
    expect(facts.latest?.totals).toMatchObject({ EGP: { captured: 20_100 } });
    await link.read();
    expect([link.totals().captured, link.odd()]).toEqual([20_100, ['duplicate_payment']]);
    expect(await failureOf(looks())).toMatchObject([
      'NothingNew',
      undefined,
      expect.stringMatching(/next look in [345] h/),
    ]);
  });

  it('declined, then paid, then refunded in parts', async () => {
    const link = await made();
    await shop.pay(link.created.url, { cardNumber: '1' });
    await link.read();
    expect([link.status(), link.known().latest?.word]).toEqual(['pending', 'DECLINED']);
    await link.pay();
    await link.read();
    expect(link.status()).toBe('paid');
    expect((await link.write('refund', 3_000)).providerId).toMatch(/^\d+$/);
    expect(link.status()).toBe('partially_refunded');
    await link.write('refund', 7_050);
    expect([link.status(), link.odd()]).toEqual(['refunded', []]);
    expect(await link.ledger()).toEqual([
      'created 10050 EGP',
      'attempt_failed 10050 EGP',
      'captured 10050 EGP',
      'refunded 3000 EGP',
      'refunded 7050 EGP',
    ]);
  });

  it('held, captured in part, refunded', async () => {
    const link = await made({ capture: 'manual' });
    await link.pay();
    await link.read();
    expect(link.status()).toBe('authorized');
    await link.write('capture', 4_000);
    expect(link.totals()).toMatchObject({ authorized: 10_050, captured: 4_000, voided: 6_050, held: 0 });
    await link.write('refund', 4_000);
    expect(link.status()).toBe('refunded');
    const entries = ['created 10050 EGP', 'authorized 10050 EGP', 'captured 4000 EGP', 'voided 6050 EGP'];
    expect(await link.ledger()).toEqual([...entries, 'refunded 4000 EGP']);
  });

  it('held, then cancelled: link first, then hold', async () => {
    const link = await made({ capture: 'manual' });
    await link.pay();
    await link.read();
    await link.write('cancel');
    expect([link.status(), link.odd()]).toEqual(['cancelled', []]);
    expect(await link.ledger()).toEqual(['created 10050 EGP', 'authorized 10050 EGP', 'cancelled', 'voided 10050 EGP']);
  });

  it('held, and too late for a void', async () => {
    const link = await made({ capture: 'manual' });
    await link.pay();
    await link.read();
    await link.act('settle');
    expect((await failureOf(link.write('cancel'))).slice(0, 2)).toEqual(['Refused', 'void_refused']);
    await link.read();
    expect(link.status()).toBe('authorized');
    await link.write('capture', 10_050);
    expect(link.status()).toBe('paid');
  });

  it('cancelled before payment, expired, and money after either', async () => {
    for (const end of ['cancel', 'expire']) {
      const link = await made();
      if (end === 'expire') await link.act('expire');
      // Nothing reads a link: the engine cancels at the deadline, and an expired link is closed as well.
      await link.write('cancel');
      expect(link.status()).toBe('cancelled');
      await new Promise((resolve) => setTimeout(resolve, 2));
      await link.act('pay');
      await link.read();
      expect([link.status(), link.odd()]).toEqual(['paid', ['late_payment']]);
    }
  });

  it('paid while it is being cancelled', async () => {
    const link = await made();
    // Unseen: the read before the write shows it, and nothing is sent.
    await link.pay();
    expect(await link.write('cancel')).toMatchObject({ outcome: 'changed' });
    expect(link.status()).toBe('paid');
    expect(await link.ledger()).toEqual(['created 10050 EGP', 'captured 10050 EGP']);
  });

  it('paid twice, in another currency, and restated', async () => {
    const link = await made();
    await link.act('pay');
    await link.read();
    await link.act('pay');
    await link.read();
    expect(link.odd()).toEqual(['duplicate_payment']);
    await link.act('pay', { amount: 500, currency: 'USD', webhook: 'never' });
    await link.read();
    expect(link.odd()).toEqual(['duplicate_payment', 'currency_mismatch']);
    expect(link.totals().captured).toBe(20_100);
  });

  it('a payment the last transaction hides is found by its callback', async () => {
    const link = await made();
    await link.act('pay', {});
    await link.act('fail');
    await link.read();
    expect([link.status(), link.odd()]).toEqual(['pending', ['unexplained_money']]);
    const { config } = accounts.get('paymob')!;
    const news = paymob.webhook?.read(requestOf(listener.heard[0]!), config as never, Date.now());
    await link.read(news?.ids);
    expect([link.status(), link.odd()]).toEqual(['paid', []]);
  });

  it('a refund that fails later is shown', async () => {
    const link = await made();
    await link.pay();
    await link.read();
    await link.write('refund', 1_000);
    await link.act('refund_fails');
    await link.read();
    expect(link.odd()).toContain('provider_disagrees');
  });

  it('an integration of another currency leaves no link behind', async () => {
    const terms = termsOf({ currency: 'SAR' });
    expect((await failureOf(ports.create(attemptAt(terms)))).slice(0, 2)).toEqual(['Refused', 'currency_mismatch']);
    const { body } = await shop.control('GET', 'ledger');
    const kinds = body.entries.filter((entry: { reference: string }) => entry.reference === terms.reference);
    expect(kinds.map(({ kind }: { kind: string }) => kind)).toEqual(['created', 'cancelled']);
  });

  it('three decimals stay three decimals', async () => {
    const link = await made({ currency: 'OMR', exponent: 3, amount: 1_005 });
    await link.pay();
    await link.read();
    await link.write('refund', 4);
    expect(await link.ledger()).toEqual(['created 1005 OMR', 'captured 1005 OMR', 'refunded 4 OMR']);
  });
});

describe('one payment, one key', () => {
  it('by inquiry, by its own callback, by a child’s, by capture and by refund', async () => {
    const link = await made({ capture: 'manual' });
    const keys = new Set<string>();
    const note = () => {
      for (const key of Object.keys(link.known().payments ?? {})) keys.add(key);
    };
    await link.pay();
    await link.read();
    note();
    await link.write('capture', 10_050);
    await link.write('refund', 50);
    note();
    await until('all of it is told', () => listener.heard.length === 5);
    for (const heard of listener.heard) {
      const request = requestOf(heard);
      const { config, webhookSecrets } = accounts.get('paymob')!;
      expect(paymob.webhook?.verify(request, config as never, webhookSecrets, Date.now())).toBe('signed');
      const news = paymob.webhook?.read(request, config as never, Date.now());
      expect(news?.ids[0]).toBe(link.created.ids[1]);
      // As a link that has not seen anything yet would read it.
      const { terms, created } = link;
      const { facts } = await ports.inquire({ terms, created, known: {}, ids: news?.ids ?? [] });
      for (const key of Object.keys(facts.payments ?? {})) keys.add(key);
    }
    expect([...keys]).toHaveLength(1);
    const { entries } = (await shop.control('GET', 'ledger')).body;
    const own = entries.filter((entry: { link: string }) => entry.link === link.created.providerLinkId);
    expect(new Set(own.flatMap(({ payment }: { payment?: string }) => payment ?? []))).toEqual(keys);
  });

  it('the callback comes to the link’s own address', async () => {
    const link = await made();
    await link.pay();
    await until('it is told', () => listener.heard.length === 1);
    const segment = Buffer.from(link.terms.reference).toString('base64url');
    expect(listener.heard[0]?.url).toMatch(new RegExp(`^/webhooks/paymob/${segment}\\?t=[\\w-]+&hmac=[0-9a-f]{128}$`));
  });
});

describe('lost answers', () => {
  it.each([
    ['reset', 0],
    ['drop_after_commit', 1],
    ['error_after_commit', 1],
    ['html', 1],
  ])('create, %s: unknown, and after that a duplicate may be ours', async (kind, links) => {
    const terms = termsOf();
    await shop.fault({ operation: 'create', kind, link: terms.reference, count: 1 });
    expect((await failureOf(ports.create(attemptAt(terms))))[0]).toBe('OutcomeUnknown');
    const again = ports.create({ ...attemptAt(terms), again: true });
    if (links === 0) await again;
    else expect((await failureOf(again)).slice(0, 2)).toEqual(['OutcomeUnknown', 'ambiguous_create']);
  });

  it('a reference somebody else used is a plain no', async () => {
    const terms = termsOf();
    await shop.create({ reference_id: terms.reference });
    const [type, code, message] = await failureOf(ports.create(attemptAt(terms)));
    expect([type, code]).toEqual(['Refused', 'duplicate_reference']);
    expect(message).toContain('use another reference');
  });

  it.each(['capture', 'refund'] as const)('%s: unknown, and a read tells what became of it', async (verb) => {
    for (const [kind, happened] of [
      ['reset', false],
      ['drop_after_commit', true],
      ['error_after_commit', true],
    ] as const) {
      const link = await made({ capture: verb === 'capture' ? 'manual' : 'automatic' });
      await link.pay();
      await link.read();
      await link.fault(verb, kind);
      expect((await failureOf(link.write(verb, 5_000)))[0]).toBe('OutcomeUnknown');
      await link.read();
      expect(link.totals()[verb === 'capture' ? 'captured' : 'refunded']).toBe(happened ? 5_000 : 0);
    }
  });

  it.each([
    ['cancel', 'drop_after_commit'],
    ['void', 'drop_after_commit'],
    ['cancel', 'reset'],
    ['void', 'reset'],
  ])('cancel of a hold, %s lost by %s: done by the second try, once', async (operation, kind) => {
    const link = await made({ capture: 'manual' });
    await link.pay();
    await link.read();
    await link.fault(operation, kind);
    expect((await failureOf(link.write('cancel')))[0]).toBe('OutcomeUnknown');
    await link.read();
    // A hold that is still there is not yet cancelled, whatever became of the link.
    const voided = operation === 'void' && kind === 'drop_after_commit';
    expect(link.status()).toBe(voided ? 'cancelled' : 'authorized');
    if (!voided) await link.write('cancel');
    expect(link.status()).toBe('cancelled');
    const entries = ['created 10050 EGP', 'authorized 10050 EGP', 'cancelled', 'voided 10050 EGP'];
    expect(await link.ledger()).toEqual(entries);
  });

  it('a token that died is replaced in the middle of a write, which is made once', async () => {
    const link = await made();
    await link.fault('cancel', 'status', { status: 401 });
    await link.write('cancel');
    expect(await link.ledger()).toEqual(['created 10050 EGP', 'cancelled']);
  });

  it('no token, no write', async () => {
    const options = { ...(accounts.get('paymob')!.config as object), apiKey: 'another-key-of-nobody' };
    const locked = createActivities(readAccounts({ paymob: { provider: 'paymob', options } }));
    expect((await failureOf(locked.create(attemptAt(termsOf())))).slice(0, 2)).toEqual([
      'Refused',
      'incorrect_credentials',
    ]);
  });
});
