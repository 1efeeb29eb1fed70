/**
 * One provider's trouble stays its own, and polls never keep money waiting. The stack is this file's alone: what it does
 * to an account would be felt by every other test.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FORMS, openShop, type Shop } from '../../stack/shop.ts';
import { type Stack, startStack } from '../../stack/stack.ts';
import { fresh, until } from './shared.ts';

/** What one worker does at once: with so many calls that hang, a worker shared by accounts would have no hand free. */
const HANDS = 100;
/** Polls of one account that run at once. */
const POLLS = 20;

const OTHERS = [
  { account: 'katu9', provider: 'katu9', currency: 'INR', request: {} },
  { account: 'beqelal', provider: 'beqelal', currency: 'ETB', request: { customer: { phone: '0911000001' } } },
  { account: 'boomfi', provider: 'boomfi', currency: 'USD', request: {} },
] as const;

let stack: Stack;
let shop: Shop;

beforeAll(async () => {
  const cadence = { rows: [], thenEverySeconds: 0.2, jitter: 0 };
  stack = await startStack({ timing: { cadence } });
  shop = openShop(stack);
});
afterAll(() => stack?.stop());
afterEach(() => shop.control('DELETE', '/paymennt/faults'));

const fault = (order: object) => shop.control('POST', '/paymennt/faults', order);

const request = (account: string, currency = 'AED', more: object = {}) => ({
  account,
  reference: fresh(account),
  amount: { minor: 10_050, currency },
  ...more,
});

interface Faults {
  faults: { fired: number }[];
  held: unknown[];
}

const faults = () => shop.control<Faults>('GET', '/paymennt/faults');

describe('polls that hang', () => {
  it('keep no money of their own account waiting', async () => {
    const account = 'paymennt-hold';
    const links = await Promise.all(
      Array.from({ length: POLLS + 2 }, () => shop.create(request(account, 'AED', { capture: 'manual' }))),
    );
    const [first, second, ...polled] = links.map(({ body }) => body);
    for (const link of [first!, second!]) {
      await shop.pay(link.url!);
      const held = await shop.until(link.reference, ({ status }) => status === 'authorized');
      expect(held.status).toBe('authorized');
    }
    for (const { reference } of polled) await fault({ operation: 'inquire', kind: 'timeout', link: reference });
    const allHang = () => until(faults, ({ held }) => held.length >= POLLS, 40_000);
    expect((await allHang()).held).toHaveLength(POLLS);

    for (const [link, verb] of [
      [first!, 'capture'],
      [first!, 'refund'],
      [second!, 'cancel'],
    ] as const) {
      const { status, body } = await shop.order(link.reference, verb);
      expect(body.operations.at(-1)).toMatchObject({ kind: verb, state: 'succeeded' });
      expect(status).toBe(200);
    }
    const kinds = async ({ reference }: { reference: string }) =>
      (await shop.ledger('paymennt', reference)).map(({ kind }) => kind);
    expect(await kinds(first!)).toEqual(['created', 'authorized', 'captured', 'refunded']);
    expect(await kinds(second!)).toEqual(['created', 'authorized', 'voided', 'cancelled']);
    expect((await allHang()).held, 'the polls hang as before').toHaveLength(POLLS);
  });
});

describe('an account whose provider is in trouble', () => {
  it.each<[trouble: string, fault: object, links: number]>([
    ['turns everybody away', { operation: '*', kind: 'status', status: 429, retryAfter: 3_600 }, 30],
    ['answers nothing', { operation: '*', kind: 'timeout' }, HANDS],
  ])('that %s holds up no other', async (_trouble, trouble, links) => {
    await fault(trouble);
    const stuck = Array.from({ length: links }, () => request('paymennt'));
    // Nobody waits for the answers: they come when the trouble is over.
    for (const one of stuck) void shop.create(one).catch(() => {});
    const met = await until(faults, ({ faults: [ordered] }) => (ordered?.fired ?? 0) >= links, 40_000);
    expect(met.faults[0]?.fired).toBeGreaterThanOrEqual(links);

    const lives = OTHERS.map(async ({ account, provider, currency, request: more }) => {
      const { status, body } = await shop.create(request(account, currency, more));
      expect(status, account).toBe(201);
      await shop.pay(body.url!, FORMS[provider].good);
      return shop.until(body.reference, (link) => link.status === 'paid');
    });
    expect((await Promise.all(lives)).map(({ account, status }) => `${account} ${status}`)).toEqual(
      OTHERS.map(({ account }) => `${account} paid`),
    );
    // They did not wait for it to pass: nothing has moved there.
    for (const { reference } of stuck) expect(await shop.ledger('paymennt', reference)).toEqual([]);
    expect((await shop.get(stuck[0]!.reference)).body).toMatchObject({ status: 'creating', url: null });
  });
});
