/** Credentials or an address the provider does not take: more calls would only bring the account closer to being locked. */
import { describe, expect, it } from 'vitest';
import { ProviderRefused } from '../../client/index.ts';
import { fresh, openSystem, UNWATCHED } from './shared.ts';

const { shop, linksWith } = await openSystem();
const links = linksWith(UNWATCHED);

const request = (reference: string) => ({
  account: 'beqelal',
  reference,
  amount: { minor: 10_050, currency: 'ETB' },
  customer: { phone: '0911000001' },
});

/** Beqelal turns away every call of this kind about this link. */
async function locked(operation: string, link: string, status: number) {
  const order = { operation, kind: 'status', link, status, count: 100 };
  const { id } = await shop.control<{ id: number }>('POST', '/beqelal/faults', order);
  return async () => {
    const { faults } = await shop.control<{ faults: { id: number; fired: number }[] }>('GET', '/beqelal/faults');
    return faults.find((fault) => fault.id === id)?.fired;
  };
}

describe.concurrent.each([
  [479, 'address_not_listed', /add the public address of this machine/],
  [401, 'invalid_credentials', /check appId and apiKey/],
])('a %i', (status, code, todo) => {
  it('is met once by create, which is refused and leaves nothing', async () => {
    const reference = fresh('locked');
    const fired = await locked('create', reference, status);
    const refused = links.create(request(reference));
    await expect(refused).rejects.toThrow(ProviderRefused);
    await expect(refused).rejects.toThrow(todo);
    expect(await fired()).toBe(1);
    expect((await shop.get(reference)).body).toMatchObject({
      status: 'failed',
      exceptions: [],
      operations: [{ state: 'refused', error: { code, message: expect.stringMatching(todo) } }],
    });
    expect(await shop.ledger('beqelal', reference)).toEqual([]);
  });

  it('is met once by a read somebody asked for, and moves nothing', async () => {
    const reference = fresh('locked');
    const { link } = await links.create(request(reference));
    const fired = await locked('inquire', reference, status);
    expect(await shop.order(reference, 'resync')).toMatchObject({
      status: 422,
      body: { code: 'provider_refused', provider: { code, message: expect.stringMatching(todo) } },
    });
    expect(await fired()).toBe(1);
    expect((await shop.get(reference)).body).toMatchObject({ status: 'pending', url: link.url });
  });
});
