import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Account, readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { type Answer, type Call, NotAuthentic, ProviderError, type ProviderLink } from '../activities/provider.ts';
import { boomfi } from '../activities/providers/boomfi.ts';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { exceptionsOf } from '../workflows/exceptions.ts';
import { type Facts, join, sums } from '../workflows/facts.ts';
import { statusOf, type Terms } from '../workflows/link.ts';
import { BOOMFI, boomfiMerchant } from './boomfi-merchant.ts';
import { type Delivery, until, webhookListener } from './sandbox-merchant.ts';

/** The adapter against the sandbox, over HTTP: two readings of one document that know nothing of each other. */
let sandbox: Sandbox;
let shop: ReturnType<typeof boomfiMerchant>;
let listener: Awaited<ReturnType<typeof webhookListener>>;
let account: Account;
let call: Call<never>;
let clock = 0;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0, webhookRetryMs: [20] });
  shop = boomfiMerchant(sandbox.url);
  listener = await webhookListener();
  await shop.control('PUT', 'webhook', { url: listener.url });
  const options = {
    baseUrl: `${sandbox.url}/boomfi/v1`,
    payHost: `${sandbox.url}/boomfi/pay`,
    apiKey: BOOMFI.apiKey,
    orgId: BOOMFI.orgId,
    webhookSecrets: [await shop.publicKey()],
    listSpacingMs: 0,
  };
  account = readAccounts({ boomfi: { provider: 'boomfi', options } }).get('boomfi')!;
  call = { config: account.config as never, http: createHttp({ timeoutMs: 1_000 }), now: () => Date.now() + clock };
});
afterAll(async () => {
  await listener.close();
  await sandbox.close();
});
beforeEach(() => {
  clock = 0;
  listener.heard.length = 0;
});
afterEach(async () => {
  await shop.control('DELETE', 'faults');
});

let links = 0;
function termsOf(changes: Partial<Terms> = {}): Terms {
  links += 1;
  const reference = `INV/2026/${links}`;
  const asked = { account: 'boomfi', reference, amount: 10_050, currency: 'USD', exponent: 2 };
  return { ...asked, expiresAt: Date.now() + 3_600_000, ...changes };
}
const key = 'payment-link/INV:create:0123456789abcdef';

/** A link and what is known of it, read by read. */
async function live(changes: Partial<Terms> = {}) {
  const terms = termsOf(changes);
  const made = await boomfi.create(call, { terms, key });
  let link: ProviderLink = made.created;
  let known: Facts = made.facts;
  const learn = ({ facts }: Answer) => {
    known = join(known, facts);
  };
  return {
    terms,
    id: link.providerLinkId,
    get url() {
      return link.url;
    },
    get facts() {
      return known;
    },
    status: () => statusOf({ terms, facts: known, operations: [] }),
    exceptions: () => exceptionsOf({ terms, facts: known, operations: [] }),
    async read(ids: string[] = []) {
      learn(await boomfi.inquire!(call, link, { terms, known, ids }));
      return statusOf({ terms, facts: known, operations: [] });
    },
    cancel: async () => learn(await boomfi.cancel!(call, link, { terms, key, known })),
    async extend(opening: number) {
      const answer = await boomfi.extend!(call, link, {
        terms,
        key,
        expiresAt: Date.now() + 7_200_000,
        opening,
        known,
      });
      link = answer.created;
      learn(answer);
    },
  };
}

async function errorOf(doing: Promise<unknown>): Promise<ProviderError> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ProviderError) return error;
  throw new Error(`expected a ProviderError, got ${String(error)}`);
}

function requestOf({ headers, raw }: Delivery, body = raw) {
  return { body: Buffer.from(body), headers: headers as Record<string, string>, query: new URLSearchParams() };
}

describe('a link', () => {
  it('is made, paid on its page, heard of by webhook, read, and disabled', async () => {
    const link = await live({ customer: { name: 'Ada Lovelace', email: 'ada@example.com' } });
    expect(link.url).toBe(`${sandbox.url}/boomfi/pay/${link.id}?name=Ada+Lovelace&email=ada%40example.com`);
    expect((await fetch(link.url)).status).toBe(200);
    expect([link.status(), await link.read()]).toEqual(['pending', 'pending']);

    await shop.pay(link.id);
    await until('three events were told', () => listener.heard.length === 3);
    const news = listener.heard.map((heard) => {
      expect(
        boomfi.webhook!.verify(requestOf(heard), account.config as never, account.webhookSecrets, Date.now()),
      ).toBe('signed');
      return boomfi.webhook!.read(requestOf(heard), account.config as never, Date.now());
    });
    const [payment] = await shop.payments(link.id);
    const { plan } = await shop.read(link.id);
    const told = { reference: link.terms.reference, ids: [plan.id, payment.id] };
    expect(news.filter(({ ignore }) => ignore)).toHaveLength(1);
    expect(news.filter(({ ignore }) => !ignore)).toEqual([told, told]);

    expect(await link.read(told.ids)).toBe('paid');
    expect(sums(link.facts, 'USD')).toMatchObject({ authorized: 10_050, captured: 10_050 });
    await link.cancel();
    expect(await link.read()).toBe('paid');
    expect(link.exceptions()).toEqual([]);
    expect((await shop.pay(link.id)).status).toBe(409);
    expect(await shop.ledger(link.id)).toEqual(['created 10050 USD', 'captured 10050 USD', 'cancelled']);
  });

  it.each<[string, number, number]>([
    ['JPY', 0, 500],
    ['USD', 2, 5],
    ['AED', 2, 10_050],
    ['KWD', 3, 1_234],
  ])('in %s (%i decimals) of %i is paid to the last unit', async (currency, exponent, amount) => {
    const link = await live({ currency, exponent, amount });
    await shop.pay(link.id);
    expect(await link.read()).toBe('paid');
    expect(sums(link.facts, currency).captured).toBe(amount);
    expect(await shop.ledger(link.id)).toEqual([`created ${amount} ${currency}`, `captured ${amount} ${currency}`]);
  });

  it('paid twice has two payments, however they are learned of', async () => {
    const link = await live();
    await shop.pay(link.id);
    await link.read();
    await shop.pay(link.id);
    const ids = (await shop.payments(link.id)).map(({ id }: { id: string }) => id);
    await link.read(ids);
    await link.read();
    expect(Object.keys(link.facts.payments ?? {}).sort()).toEqual(ids.toSorted());
    expect(link.exceptions()).toEqual(['duplicate_payment']);
  });

  it('with money in flight says so until it arrives', async () => {
    const link = await live();
    await shop.control('POST', `links/${link.id}/authorize`);
    expect([await link.read(), link.facts.latest?.inFlight, link.facts.latest?.word]).toEqual([
      'pending',
      true,
      'PROCESSING',
    ]);
    await shop.control('POST', `links/${link.id}/pay`);
    expect([await link.read(), link.facts.latest?.inFlight]).toEqual(['paid', undefined]);
  });

  it('stays payable after tries that came to nothing', async () => {
    const link = await live();
    await shop.pay(link.id, { wallet: `0x${'0'.repeat(36)}dead` });
    expect([await link.read(), link.facts.latest?.word]).toEqual(['pending', 'FAILED']);
    await fetch(`${shop.pageOf(link.id)}/cancel`, { method: 'POST' });
    expect(await link.read()).toBe('pending');
    await shop.pay(link.id);
    expect(await link.read()).toBe('paid');
  });

  it.each<[object, string[]]>([
    [{ amount: 10_000 }, ['underpaid']],
    [{ amount: 10_100 }, ['overpaid']],
    [{ amount: 9_000, currency: 'EUR' }, ['currency_mismatch']],
  ])('paid by %j is %j', async (input, exceptions) => {
    const link = await live();
    await shop.control('POST', `links/${link.id}/pay`, input);
    await link.read();
    expect(link.exceptions()).toEqual(exceptions);
  });

  it('whose payment is restated shows the difference', async () => {
    const link = await live();
    await shop.pay(link.id);
    await link.read();
    await shop.control('POST', `links/${link.id}/correct`, { amount: 9_000 });
    expect(await link.read()).toBe('paid');
    expect(link.exceptions()).toEqual(['provider_disagrees']);
  });

  it('disabled and enabled again is payable through another opening', async () => {
    const link = await live();
    await link.cancel();
    expect([link.status(), await link.read()]).toEqual(['cancelled', 'cancelled']);
    await link.extend(1);
    expect([link.status(), await link.read()]).toEqual(['pending', 'pending']);
    await shop.pay(link.id);
    expect(await link.read()).toBe('paid');
    expect(link.exceptions()).toEqual([]);
  });

  it('enabled in the dashboard is noticed, and so is money that came too late', async () => {
    const [reopened, late] = [await live(), await live()];
    for (const link of [reopened, late]) await link.cancel();
    clock = 120_000;
    await shop.control('POST', `links/${reopened.id}/enable`);
    expect(await reopened.read()).toBe('pending');
    await shop.control('POST', `links/${late.id}/pay`);
    expect(await late.read()).toBe('paid');
    expect(late.exceptions()).toEqual(['late_payment']);
  });
});

describe('a webhook', () => {
  it('that was changed, or comes late, is not authentic', async () => {
    await live();
    await until('the plan was told of', () => listener.heard.length > 0);
    const [heard] = listener.heard;
    const verify = (body?: string, now = Date.now()) =>
      boomfi.webhook!.verify(requestOf(heard!, body), account.config as never, account.webhookSecrets, now);
    expect(verify()).toBe('signed');
    expect(() => verify(heard!.raw.replace('USD', 'EUR'))).toThrow(NotAuthentic);
    expect(() => verify(heard!.raw, Date.now() + 302_000)).toThrow(NotAuthentic);
  });
});

describe('a create whose answer is lost', () => {
  it.each<[string, object]>([
    ['dropped', { kind: 'drop_after_commit' }],
    ['an error', { kind: 'error_after_commit', status: 502 }],
    ['a web page', { kind: 'html' }],
    ['too slow', { kind: 'slow', delayMs: 3_000 }],
  ])('(%s) is unknown, and found by its reference', async (_name, fault) => {
    const terms = termsOf();
    const since = Date.now();
    await shop.fault({ operation: 'create', link: terms.reference, count: 1, ...fault });
    expect(await errorOf(boomfi.create(call, { terms, key }))).toMatchObject({ kind: 'unknown' });
    const found = await boomfi.findByReference!(call, { terms, key, since });
    expect(await shop.ledger(found!.created.providerLinkId)).toEqual(['created 10050 USD']);
    expect(statusOf({ terms, facts: found!.facts, operations: [] })).toBe('pending');
  });

  it.each<[string, object, object]>([
    ['turned away', { kind: 'status', status: 429, retryAfter: 7 }, { kind: 'rate_limited', retryAfterMs: 7_000 }],
    ['refused', { kind: 'status', status: 400 }, { kind: 'refused', code: 'insufficient_quantity' }],
    ['not authorized', { kind: 'status', status: 401 }, { kind: 'unauthorized', code: 'invalid_credentials' }],
    ['reset', { kind: 'reset' }, { kind: 'unknown' }],
    ['truncated', { kind: 'truncated' }, { kind: 'unknown' }],
  ])('before it was made (%s) leaves nothing to find', async (_name, fault, expected) => {
    const terms = termsOf();
    await shop.fault({ operation: 'create', link: terms.reference, count: 1, ...fault });
    expect(await errorOf(boomfi.create(call, { terms, key }))).toMatchObject(expected);
    expect(await boomfi.findByReference!(call, { terms, key, since: Date.now() })).toBeUndefined();
  });
});

describe('a cancel whose answer is lost', () => {
  it('is unknown, seen by the next read, and may be sent again', async () => {
    const link = await live();
    await shop.fault({ operation: 'cancel', kind: 'drop_after_commit', link: link.id, count: 1 });
    expect(await errorOf(link.cancel())).toMatchObject({ kind: 'unknown' });
    expect(await link.read()).toBe('cancelled');
    await link.cancel();
    expect(await shop.ledger(link.id)).toEqual(['created 10050 USD', 'cancelled']);
  });
});

describe('a read', () => {
  it.each(['find', 'inquire'])('without the list behind `%s` is none', async (operation) => {
    const link = await live();
    await shop.fault({ operation, kind: 'status', status: 500, count: 1 });
    expect(await errorOf(link.read())).toMatchObject({ kind: 'unknown', code: 'http_500' });
    expect(await link.read()).toBe('pending');
  });

  it('of many links costs as much as that of one', async () => {
    const many = await Promise.all(Array.from({ length: 12 }, () => live()));
    await Promise.all(many.slice(0, 6).map(({ id }) => shop.pay(id)));
    let reads = 0;
    const counting: Call<never> = {
      ...call,
      http: {
        request(request) {
          reads += 1;
          return call.http.request(request);
        },
      },
    };
    const answers = await Promise.all(
      many.map(({ id, terms, facts }) => {
        const handle = { since: String(Date.now() - 60_000) };
        const created = { providerLinkId: id, ids: [id], url: '', expiresAt: 0, expiresByItself: false, handle };
        return boomfi.inquire!(counting, created, { terms, known: facts, ids: [] });
      }),
    );
    expect(reads).toBe(2);
    expect(answers.map(({ facts }) => sums(facts, 'USD').captured)).toEqual([
      ...Array(6).fill(10_050),
      ...Array(6).fill(0),
    ]);
  });

  it('with a wrong key says what to do', async () => {
    const link = await live();
    const config = { ...(call.config as object), apiKey: 'somebody-elses' } as never;
    const created = { providerLinkId: link.id, ids: [link.id], url: '', expiresAt: 0, expiresByItself: false };
    const reading = boomfi.inquire!({ ...call, config }, created, { terms: link.terms, known: {}, ids: [] });
    const error = await errorOf(reading);
    expect(error).toMatchObject({ kind: 'unauthorized', code: 'invalid_credentials' });
    expect(error.message).toContain('check apiKey');
    expect(error.message).not.toContain('somebody-elses');
  });
});
