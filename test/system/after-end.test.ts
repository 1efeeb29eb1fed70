/** Webhooks of links whose runs are over: what was known ends quietly, what is new waits for a person. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AED, fresh, openSystem, UNWATCHED, until } from './shared.ts';

const { shop, stack, client, handle, linksWith, registrationOf } = await openSystem();
const links = linksWith(UNWATCHED);
const short = linksWith({ ...UNWATCHED, deadlineMs: 1_000, closeMarginMs: 100 });

const BRIEF = { graceSeconds: 0, refundWindowSeconds: 0 };

/** A link and its provider's side of it. */
async function open(about: string, by = links) {
  const reference = fresh(about);
  const { link } = await by.create({ account: 'paymennt', reference, amount: AED(10_050), policies: BRIEF });
  const providerLinkId = link.providerLinkId!;
  return {
    reference,
    providerLinkId,
    url: link.url!,
    kept: client.workflow.getHandle(`unmatched-webhook/paymennt/${providerLinkId}`),
    at: (action: string, body: object = {}) =>
      shop.control('POST', `/paymennt/links/${providerLinkId}/${action}`, body),
    async listed() {
      // Other files keep webhooks here as well.
      for (let cursor: string | undefined; ; ) {
        const { items, nextCursor } = await links.unmatched({ account: 'paymennt', limit: 100, cursor });
        const item = items.find(({ about: named }) => named === providerLinkId);
        if (item || !nextCursor) return item;
        cursor = nextCursor;
      }
    },
  };
}

async function expired(about: string) {
  const link = await open(about, short);
  expect(await handle(link.reference).result()).toMatchObject({ status: 'expired' });
  return link;
}

async function paid(about: string) {
  const link = await open(about);
  await shop.pay(link.url);
  expect(await handle(link.reference).result()).toMatchObject({ status: 'paid' });
  return link;
}

type Kept = Awaited<ReturnType<typeof open>>;

const heard = ({ listed }: Kept) => until(listed, (item) => item?.afterEnd !== undefined);

/** On a busy machine some are asked to come again, as the sandbox does. */
const onTime = (status: number) => status !== 503;

/** A webhook in words that nobody has used before. */
async function tell({ reference, providerLinkId }: Kept, status: string): Promise<number> {
  const { hmacKey } = await registrationOf('paymennt');
  const body = JSON.stringify({ id: providerLinkId, orderId: reference, status, said: fresh('once') });
  const signature = createHmac('sha256', hmacKey).update(body).digest('hex');
  const headers = { 'content-type': 'application/json', 'x-paymennt-signature': signature };
  const send = () => fetch(`${stack.webhookUrl}/webhooks/paymennt`, { method: 'POST', headers, body });
  return until(async () => (await send()).status, onTime);
}

describe.concurrent('after the end of a link’s run', () => {
  it('late money stays to be seen, by link and amount, until an operator has seen to it', async () => {
    const link = await expired('after/late');
    await link.at('pay');
    const tidings = { reference: link.reference, exceptions: ['late_payment'], money: [AED(10_050)] };
    expect(await heard(link)).toMatchObject({ account: 'paymennt', ids: [link.providerLinkId], afterEnd: tidings });
    const { body } = await shop.api<{ items: object[] }>('GET', '/v1/unmatched-webhooks?account=paymennt&limit=100');
    expect(body.items).toContainEqual(expect.objectContaining({ about: link.providerLinkId, afterEnd: tidings }));

    const { typedSearchAttributes } = await link.kept.describe();
    const attributes = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
    expect(attributes).toMatchObject({ LinkAccount: 'paymennt', LinkExceptions: ['late_payment'] });
    const { currentDetails } = await link.kept.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(currentDetails).toContain(link.reference);
    expect(currentDetails).toContain('told of 100.50 AED');

    // The link itself stays as it ended: nobody looks after it.
    expect(await links.get(link.reference)).toMatchObject({ status: 'expired', captured: 0 });
    const dismissal = `/v1/unmatched-webhooks/paymennt/${link.providerLinkId}/dismiss`;
    const because = { reason: 'refunded in the portal' };
    expect((await shop.api('POST', dismissal, because, { 'x-actor': 'ana' })).status).toBe(200);
    expect(await link.kept.result()).toBe('dismissed');
    expect((await shop.api('POST', dismissal, because)).status).toBe(404);
    expect(await until(link.listed, (item) => item === undefined)).toBeUndefined();

    // What has been seen to need not be seen again; what is newer does.
    expect(await tell(link, 'PAID')).toBe(202);
    expect(await link.kept.result()).toBe('nothing_new');
    await link.at('chargeback');
    expect((await heard(link))?.afterEnd).toMatchObject({ exceptions: ['disputed'], money: [] });
  });

  it('a chargeback stays to be seen', async () => {
    const link = await paid('after/dispute');
    await link.at('chargeback');
    expect((await heard(link))?.afterEnd).toMatchObject({ reference: link.reference, exceptions: ['disputed'] });
  });

  it('what was known, in whatever words, ends quietly', async () => {
    const link = await paid('after/known');
    const again = { link: link.providerLinkId, times: 3 };
    const { webhooks } = await shop.control<{ webhooks: number[] }>('POST', '/paymennt/webhooks/resend', again);
    expect(webhooks.filter(onTime)).toEqual(webhooks.filter(onTime).map(() => 200));
    await expect(link.kept.describe()).rejects.toThrow(/not found/);
    for (const status of ['PAID', 'FAILED', 'whatever']) {
      expect(await tell(link, status)).toBe(202);
      expect(await link.kept.result()).toBe('nothing_new');
    }
  });

  it('more of it is added to what waits, and read once', async () => {
    const link = await expired('after/more');
    await link.at('pay', { amount: 5_000 });
    expect((await heard(link))?.afterEnd?.exceptions).toEqual(['late_payment', 'underpaid']);
    await link.at('chargeback');
    const item = await until(link.listed, (seen) => seen?.afterEnd?.exceptions.includes('disputed') === true);
    expect(item?.afterEnd).toEqual({
      reference: link.reference,
      exceptions: ['late_payment', 'disputed', 'underpaid'],
      money: [AED(5_000)],
    });
  });

  it('a provider that cannot be read is asked again, and what waits can be dismissed meanwhile', async () => {
    const link = await expired('after/away');
    const fault = { operation: 'inquire', kind: 'status', status: 503, link: link.providerLinkId };
    await shop.control('POST', '/paymennt/faults', { ...fault, count: 2 });
    await link.at('pay');
    expect((await heard(link))?.afterEnd?.exceptions).toEqual(['late_payment']);

    const other = await expired('after/shut');
    await shop.control('POST', '/paymennt/faults', { ...fault, link: other.providerLinkId, count: 1_000 });
    await other.at('pay');
    const waiting = await until(other.listed, (item) => item !== undefined);
    expect(waiting?.afterEnd).toBeUndefined();
    await links.dismissUnmatched(
      { account: 'paymennt', about: other.providerLinkId },
      { reason: 'seen in the portal' },
    );
    expect(await other.kept.result()).toBe('dismissed');
  });
});
