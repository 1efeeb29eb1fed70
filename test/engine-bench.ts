/** Running links at a provider whose answers the test dictates. */
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { type News, PaymentLinks } from '../client/index.ts';
import type { Facts } from '../workflows/facts.ts';
import type { LinkOperation } from '../workflows/link.ts';
import type { CreateRequest } from '../workflows/schema.ts';
import type { Timing } from '../workflows/state.ts';
import { ACCOUNT, type LinkStack, startLinkStack } from './link-stack.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

/** Call it once, at the top of a file; `stack` and `links` are there when its tests run. */
export function openEngine() {
  let stack: LinkStack;
  let links: PaymentLinks;
  beforeAll(async () => {
    stack = await startLinkStack();
    links = linksWith({ hintSpacingMs: 50 });
    await stack.startWorkers();
  });
  afterAll(() => stack?.stop());

  const linksWith = (timing: Partial<Timing>) => new PaymentLinks(stack.client, { timing });
  let count = 0;
  const fresh = () => `ENG:${++count}`;
  async function open(more: Partial<CreateRequest> = {}, by = links): Promise<string> {
    const reference = more.reference ?? fresh();
    await by.create({ account: ACCOUNT, reference, amount: aed(1050), ...more });
    return reference;
  }
  async function paid(by = links): Promise<string> {
    const reference = await open({}, by);
    stack.provider.pay(reference, 1050);
    await by.resync(reference);
    return reference;
  }
  const operation = async (reference: string, id: string): Promise<LinkOperation | undefined> =>
    (await links.get(reference)).operations.find((op) => op.id === id);
  const writesOf = (reference: string) => stack.provider.writes.filter((write) => write.endsWith(` ${reference}`));
  return {
    get client() {
      return stack.client;
    },
    get provider() {
      return stack.provider;
    },
    get links() {
      return links;
    },
    ...{ linksWith, fresh, open, paid, operation, writesOf },
  };
}

export const aed = (minor: number) => ({ minor, currency: 'AED' });

export const seen = <T>(look: () => T | Promise<T>, holds: (value: Awaited<T>) => boolean) =>
  vi.waitFor(async () => {
    const value = await look();
    expect(holds(value), JSON.stringify(value)).toBe(true);
    return value;
  }, 20_000);

export const key = (idempotencyKey: string) => ({ idempotencyKey });

let told = 0;
/** News as the gateway passes it on; no two are alike. */
export const news = (reference: string, more: Partial<News> = {}): News => ({
  ...{ account: ACCOUNT, reference, named: reference, ids: [], at: Date.now(), signed: true },
  body: new TextEncoder().encode(`news ${++told}`),
  ...more,
});

export const saying = (payment: string, captured: number): Facts => ({
  payments: { [payment]: { AED: { authorized: captured, captured, refunded: 0, voided: 0, seenAt: Date.now() } } },
});
