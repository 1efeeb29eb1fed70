/** What nobody tells of is found by asking. */
import { expect, it } from 'vitest';
import { AED, fresh, openSystem } from './shared.ts';

const { shop, linksWith } = await openSystem();

it('a payment and then a dispute that no webhook tells of are both found by polls', async () => {
  const reference = fresh('unheard');
  const links = linksWith({ cadence: { rows: [], thenEverySeconds: 0.5, jitter: 0 } });
  const { link } = await links.create({ account: 'paymennt', reference, amount: AED(10_050) });
  const happens = (action: string) =>
    shop.control('POST', `/paymennt/links/${link.providerLinkId}/${action}`, { webhook: 'never' });
  await happens('pay');
  expect(await shop.until(reference, ({ status }) => status === 'paid')).toMatchObject({ status: 'paid' });
  await happens('chargeback');
  const disputed = await shop.until(reference, ({ exceptions }) => exceptions.includes('disputed'));
  expect(disputed).toMatchObject({ status: 'paid', exceptions: ['disputed'] });
});
