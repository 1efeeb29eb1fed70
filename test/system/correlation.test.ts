/** Which link a webhook is about: also when it comes before there is one, and never one of another account. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PaymentLinks } from '../../client/index.ts';
import { fresh, openSystem, until } from './shared.ts';

const { stack, shop, client, handle, linksWith, registrationOf } = await openSystem();

/** Nobody polls: what is not heard stays unknown. */
const NEVER = { rows: [], thenEverySeconds: 3_600, jitter: 0 };
const unwatched = linksWith({ cadence: NEVER, hintSpacingMs: 100 });

/** Accounts, and the call whose answer makes the link ours; katu9 tells of no payment, so it is polled. */
const EARLY: [account: string, operation: string, more: object, links: Pick<PaymentLinks, 'create'>][] = [
  ['paymennt', 'create', { amount: { minor: 10_050, currency: 'AED' } }, unwatched],
  ['paymob', 'create', { amount: { minor: 10_050, currency: 'EGP' } }, unwatched],
  ['boomfi', 'create', { amount: { minor: 10_050, currency: 'USD' } }, unwatched],
  ['beqelal', 'create', { amount: { minor: 10_050, currency: 'ETB' }, customer: { phone: '0911000001' } }, unwatched],
  ['katu9', 'generate', { amount: { minor: 10_050, currency: 'INR' } }, new PaymentLinks(client)],
];

interface Held {
  held: { names: string[] }[];
}

describe.concurrent('a payment that is told of before create has answered', () => {
  it.each(EARLY)('%s: is not lost', async (account, operation, more, links) => {
    const reference = fresh('early');
    const order = { operation, kind: 'hold_after_commit', link: reference, count: 1, delayMs: 4_000 };
    await shop.control('POST', `/${account}/faults`, order);
    const creating = links.create({ account, reference, ...more } as never);
    const isHeld = async () => {
      const { held } = await shop.control<Held>('GET', `/${account}/faults`);
      return held.some(({ names }) => names.includes(reference));
    };
    expect(await until(isHeld, (held) => held), 'create waits for its answer').toBe(true);
    const [made] = await shop.ledger(account, reference);
    const paying = `/${account}/links/${made!.link}/pay`;
    const { webhooks } = await shop.control<{ webhooks: unknown[] }>('POST', paying, {});
    expect(await isHeld(), 'create still waits').toBe(true);
    // Its sandbox tells of payments to nobody.
    expect(webhooks).toEqual(account === 'katu9' ? [] : [200]);

    await creating;
    const link = await shop.until(reference, ({ status }) => status === 'paid');
    expect(link).toMatchObject({ status: 'paid', captured: 10_050, exceptions: [] });
    // Katu9's names no reference, and is delivered once the link has an id.
    const waiting = async () =>
      (await unwatched.unmatched({ account })).items.filter(({ ids }) => ids.includes(made!.link));
    expect(await until(waiting, (items) => items.length === 0)).toEqual([]);
  });
});

describe('an authentic webhook of one account that names a link of another', () => {
  it('moves nothing there, and is kept for an operator', async () => {
    const reference = fresh('foreign');
    const { link } = await unwatched.create({
      account: 'paymennt',
      reference,
      amount: { minor: 10_050, currency: 'AED' },
    });
    const { hmacKey } = await registrationOf('paymennt-hold');
    const body = JSON.stringify({ id: link.providerLinkId, orderId: reference, status: 'PAID', grandtotal: 100.5 });
    const signature = createHmac('sha256', hmacKey).update(body).digest('hex');
    const send = (account: string) =>
      fetch(`${stack.webhookUrl}/webhooks/${account}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-paymennt-signature': signature },
        body,
      });
    expect((await send('paymennt')).status, 'another signature').toBe(401);
    expect((await send('paymennt-hold')).status).toBe(202);
    const kept = async () =>
      (await unwatched.unmatched({ account: 'paymennt-hold' })).items.filter(({ ids }) =>
        ids.includes(link.providerLinkId!),
      );
    expect(await until(kept, (items) => items.length > 0)).toMatchObject([{ account: 'paymennt-hold' }]);
    const { events } = await handle(reference).fetchHistory();
    expect(events?.filter((event) => event.workflowExecutionSignaledEventAttributes)).toEqual([]);
    expect((await shop.get(reference)).body).toMatchObject({ status: 'pending', exceptions: [] });
  });
});
