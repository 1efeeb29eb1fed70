/** Lives of links whose create was never answered, and of news after the end, for the saved histories. */
import { PaymentLinks } from '../client/index.ts';
import { openShop, pause } from '../stack/shop.ts';
import type { Stack } from '../stack/stack.ts';
import type { Link } from '../workflows/link.ts';
import { workflowIdOf } from '../workflows/messages.ts';
import type { Life } from './order-lives.ts';

const REQUESTS = {
  paymennt: { amount: { minor: 10_050, currency: 'AED' } },
  paymob: { amount: { minor: 10_050, currency: 'EGP' } },
  boomfi: { amount: { minor: 10_050, currency: 'USD' } },
  katu9: { amount: { minor: 10_050, currency: 'INR' } },
};

/** A link whose first create call meets the fault; ends when the link is as it should be. */
async function lost(
  stack: Stack,
  reference: string,
  { account, kind }: { account: keyof typeof REQUESTS; kind: 'reset' | 'drop_after_commit' },
  ends: (link: Link) => boolean,
): Promise<PaymentLinks> {
  const shop = openShop(stack);
  const timing = { attemptMs: 1_000, probeAfterMs: 100, probeAgainMs: 100 };
  const links = new PaymentLinks(stack.client, { timing });
  await shop.control('POST', `/${account}/faults`, { operation: 'create', kind, link: reference, count: 1 });
  await links.create({ account, reference, ...REQUESTS[account] });
  await shop.until(reference, ends);
  return links;
}

const isMade = ({ status }: Link) => status === 'pending';
const isParked = ({ operations }: Link) => operations[0]?.error?.message.includes('see resolve-unknown') === true;

export const LOST_LIVES: Record<string, Life> = {
  'create answer lost, searched for and repeated': (stack, reference) =>
    lost(stack, reference, { account: 'paymennt', kind: 'reset' }, isMade),

  'create answer lost, asked for by a repeat': (stack, reference) =>
    lost(stack, reference, { account: 'paymob', kind: 'reset' }, isMade),

  'create answer lost, found by its webhook': (stack, reference) =>
    lost(stack, reference, { account: 'katu9', kind: 'drop_after_commit' }, isMade),

  async 'create answer lost, an orphan, resolved by a person'(stack, reference) {
    const links = await lost(stack, reference, { account: 'paymob', kind: 'drop_after_commit' }, isParked);
    await links.resolveUnknown(reference, { operation: 'create', outcome: 'absent', reason: 'cancelled by hand' });
    await openShop(stack).until(reference, ({ status }) => status === 'failed');
  },

  async 'create answer lost, absent and never repeated'(stack, reference) {
    const links = await lost(stack, reference, { account: 'boomfi', kind: 'reset' }, isParked);
    await links.resolveUnknown(reference, { operation: 'create', outcome: 'absent' });
    await openShop(stack).until(reference, ({ status }) => status === 'failed');
  },

  async 'paid after the run was over'(stack, reference, also) {
    const shop = openShop(stack);
    const { link } = await stack.links.create({
      account: 'paymennt',
      reference,
      ...REQUESTS.paymennt,
      policies: { graceSeconds: 1 },
    });
    const news = `unmatched-webhook/paymennt/${link.providerLinkId}`;
    also('news', news);
    await stack.links.cancel(reference);
    await stack.client.workflow.getHandle(workflowIdOf(reference)).result();
    await shop.control('POST', `/paymennt/links/${link.providerLinkId}/pay`);
    const webhook = { account: 'paymennt', about: link.providerLinkId! };
    for (let waits = true; waits; await pause(200)) {
      const { items } = await stack.links.unmatched({ account: 'paymennt' });
      waits = !items.some(({ about, afterEnd }) => about === webhook.about && afterEnd);
    }
    await stack.links.dismissUnmatched(webhook, { reason: 'refunded in the portal' });
  },
};
