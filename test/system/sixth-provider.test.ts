/** A provider that stands in no registry lives on the engine as it is: no file but its own knows of it. */
import { describe, expect, it } from 'vitest';
import { providers } from '../../activities/registry.ts';
import type { Link } from '../../workflows/link.ts';
import { sextantKit } from '../sixth-provider/kit.ts';
import { fresh, openSystem, UNWATCHED, until } from './shared.ts';

const { shop, linksWith } = await openSystem();

const EUR = (minor: number) => ({ minor, currency: 'EUR' });
const request = (more: object = {}) => ({
  account: 'sextant',
  reference: fresh('sixth'),
  amount: EUR(10_050),
  customer: { name: 'Ada Lovelace', email: 'ada@example.com' },
  ...more,
});
const told = async (reference: string) =>
  (await shop.ledger('sextant', reference)).map(({ kind, amount }) => (amount ? `${kind} ${amount}` : kind));
const happens = ({ providerLinkId }: Link, action: string) =>
  shop.control('POST', `/sextant/links/${providerLinkId}/${action}`, {});
const fault = (link: Link, order: object) =>
  shop.control('POST', '/sextant/faults', { link: link.reference, ...order });
const reaches = async ({ reference }: Link, status: Link['status']) => {
  const link = await shop.until(reference, (seen) => seen.status === status);
  expect(link.status).toBe(status);
  return link;
};

const unwatched = linksWith(UNWATCHED);

describe.concurrent('a provider on trial', () => {
  it('is not among the registered ones', () => {
    expect(providers.map(({ name }) => name)).not.toContain(sextantKit.provider.name);
  });

  it('is paid on its page, told of by a signed notice, and given back in parts', async () => {
    const { link } = await unwatched.create(request());
    expect(link).toMatchObject({ provider: 'sextant', status: 'pending', allowed: expect.arrayContaining(['extend']) });
    await shop.pay(link.url!, { cardNumber: '4000 0000 0000 0002' });
    expect(await told(link.reference)).toEqual(['created 10050', 'attempt_failed 10050']);
    await shop.pay(link.url!);
    expect(await reaches(link, 'paid')).toMatchObject({ captured: 10_050, exceptions: [] });

    expect((await shop.order(link.reference, 'refund', { amount: EUR(50) })).status).toBe(200);
    await reaches(link, 'partially_refunded');
    expect((await shop.order(link.reference, 'refund')).status).toBe(200);
    expect(await reaches(link, 'refunded')).toMatchObject({ refunded: 10_050, exceptions: [] });
    expect((await told(link.reference)).slice(2)).toEqual(['captured 10050', 'refunded 50', 'refunded 10000']);
  });

  it('is heard of by polling when every notice is lost', async () => {
    const { body: link } = await shop.create(request());
    await fault(link, { operation: 'webhook', kind: 'reset', count: 1_000 });
    await shop.pay(link.url!);
    expect(await reaches(link, 'paid')).toMatchObject({ captured: 10_050, exceptions: [] });
  });

  it('holds money, and gives back at once what is not taken of it', async () => {
    const { link } = await unwatched.create(request({ capture: 'manual' }));
    await shop.pay(link.url!);
    await reaches(link, 'authorized');
    expect((await shop.order(link.reference, 'capture', { amount: EUR(8_000) })).status).toBe(200);
    expect(await reaches(link, 'paid')).toMatchObject({ captured: 8_000, exceptions: [] });
    expect(await told(link.reference)).toEqual(['created 10050', 'authorized 10050', 'captured 8000', 'voided 2050']);
  });

  it('is cancelled with what it holds', async () => {
    const { link } = await unwatched.create(request({ capture: 'manual' }));
    await shop.pay(link.url!);
    await reaches(link, 'authorized');
    expect((await shop.order(link.reference, 'cancel')).status).toBe(200);
    expect(await reaches(link, 'cancelled')).toMatchObject({ captured: 0, exceptions: [] });
    expect((await told(link.reference)).slice(2)).toEqual(['voided 10050', 'cancelled']);
  });

  it('ends by itself, is prolonged, and paid in time', async () => {
    const { body: link } = await shop.create(request());
    await happens(link, 'expire');
    await reaches(link, 'expired');
    const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
    expect((await shop.order(link.reference, 'extend', { expiresAt })).status).toBe(200);
    await reaches(link, 'pending');
    await shop.pay(link.url!);
    expect(await reaches(link, 'paid')).toMatchObject({ exceptions: [] });
  });

  it.each([
    ['happened is found', 'drop_after_commit'],
    ['left no trace is sent once more under the same key', 'reset'],
  ])('a refund whose answer is lost and that %s', async (_name, kind) => {
    const { link } = await unwatched.create(request());
    await shop.pay(link.url!);
    await reaches(link, 'paid');
    await fault(link, { operation: 'webhook', kind: 'reset', count: 1_000 });
    await fault(link, { operation: 'refund', kind, count: 1 });
    expect([200, 202]).toContain((await shop.order(link.reference, 'refund', { amount: EUR(50) })).status);
    expect(await reaches(link, 'partially_refunded')).toMatchObject({ refunded: 50, exceptions: [] });
    const ledger = () => told(link.reference);
    expect(await until(ledger, (seen) => seen.length >= 3)).toEqual(['created 10050', 'captured 10050', 'refunded 50']);
  });

  it('acts once for one key of ours', async () => {
    const { link } = await unwatched.create(request());
    expect(await shop.order(link.reference, 'cancel', {}, 'same')).toMatchObject({ status: 200 });
    expect(await shop.order(link.reference, 'cancel', {}, 'same')).toMatchObject({ status: 200 });
    expect(await told(link.reference)).toEqual(['created 10050', 'cancelled']);
  });
});
