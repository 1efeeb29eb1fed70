import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MERCHANTS } from '../../sandbox/paymennt/merchants.ts';
import { pause } from '../../stack/shop.ts';
import { AED, fresh, openSystem } from './shared.ts';

const { stack, shop, client, events, eventsAtRest, handle, linksWith, registrationOf } = await openSystem();

const request = (reference: string, more: object = {}) => ({
  account: 'paymennt',
  reference,
  amount: AED(10_050),
  ...more,
});

async function paidLink(name: string, more: object = {}) {
  const reference = fresh(name);
  const { body } = await shop.create(request(reference, more));
  await shop.pay(body.url!);
  return shop.until(reference, ({ status }) => status === 'paid');
}

describe('create', () => {
  it('makes a link once: the same body again is the same link, another amount a conflict', async () => {
    const reference = fresh('INV/2026/001');
    const first = await shop.create(request(reference));
    expect(first).toMatchObject({
      status: 201,
      body: { status: 'pending', reference, amount: 10_050, currency: 'AED' },
    });
    const again = await shop.create(request(reference));
    expect(again).toMatchObject({ status: 200, body: { url: first.body.url } });
    const other = await shop.create(request(reference, { amount: AED(10_051) }));
    expect(other).toMatchObject({ status: 409, body: { code: 'reference_conflict' } });
    expect(await shop.ledger('paymennt', reference)).toHaveLength(1);
  });

  it('makes one link of twenty requests at once', async () => {
    const reference = fresh('twenty');
    const answers = await Promise.all(Array.from({ length: 20 }, () => shop.create(request(reference))));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(19).fill(200), 201]);
    expect(new Set(answers.map(({ body }) => body.url)).size).toBe(1);
    expect(await shop.ledger('paymennt', reference)).toHaveLength(1);
  });

  it('frees the reference when the provider refuses', async () => {
    const reference = fresh('refused');
    const fault = { operation: 'create', kind: 'status', status: 400, link: reference, count: 1 };
    await shop.control('POST', '/paymennt/faults', fault);
    const refused = await shop.create(request(reference));
    expect(refused).toMatchObject({ status: 422, body: { code: 'provider_refused' } });
    expect(await shop.get(reference)).toMatchObject({ status: 200, body: { status: 'failed', url: null } });
    expect(await shop.create(request(reference))).toMatchObject({ status: 201, body: { status: 'pending' } });
  });

  it('adopts the link when the answer to create is lost', async () => {
    const reference = fresh('lost');
    await shop.control('POST', '/paymennt/faults', {
      operation: 'create',
      kind: 'drop_after_commit',
      link: reference,
      count: 1,
    });
    const first = await shop.create(request(reference));
    expect([201, 202]).toContain(first.status);
    const link = await shop.until(reference, ({ url }) => url !== null);
    expect(link).toMatchObject({ status: 'pending', exceptions: [] });
    expect(await shop.ledger('paymennt', reference)).toHaveLength(1);
    expect(await shop.create(request(reference))).toMatchObject({ status: 200, body: { url: link.url } });
  });

  const soon = () => new Date(Date.now() + 3_600_000).toISOString();
  it.each<[string, () => unknown, number, string]>([
    ['an unknown account', () => ({ account: 'nobody' }), 422, '/account'],
    ['a zero amount', () => ({ amount: AED(0) }), 422, '/amount/minor'],
    ['a negative amount', () => ({ amount: AED(-5) }), 422, '/amount/minor'],
    ['a fractional amount', () => ({ amount: AED(10.5) }), 400, '/amount/minor'],
    ['an unknown currency', () => ({ amount: { minor: 5, currency: 'XXY' } }), 422, '/amount/currency'],
    ['a past expiry', () => ({ expiresAt: '2020-01-01T00:00:00Z' }), 422, '/expiresAt'],
    ['an expiry without a zone', () => ({ expiresAt: soon().slice(0, -1) }), 422, '/expiresAt'],
    [
      'an expiry sooner than the provider can',
      () => ({ expiresAt: new Date(Date.now() + 60_000).toISOString() }),
      422,
      '/expiresAt',
    ],
    ['a reference of 101 characters', () => ({ reference: 'x'.repeat(101) }), 422, '/reference'],
    ['an unknown field', () => ({ amuont: 5 }), 400, '/amuont'],
    ['a redirect that runs code', () => ({ redirectUrl: 'javascript:alert(1)' }), 422, '/redirectUrl'],
    [
      'a redirect where the provider has none',
      () => ({ redirectUrl: 'https://shop.example/thanks' }),
      422,
      '/redirectUrl',
    ],
    ['an unknown word of a policy', () => ({ policies: { latePayment: 'keep' } }), 422, '/policies/latePayment'],
    ['an unknown policy', () => ({ policies: { lateness: 1 } }), 400, '/policies/lateness'],
  ])('refuses %s and asks the provider nothing', async (_name, wrong, status, pointer) => {
    const reference = fresh('bad');
    const body = { ...request(reference), ...(wrong() as object) };
    const answer = await shop.api<{ errors?: { pointer: string }[] }>('POST', '/v1/payment-links', body);
    expect(answer.status).toBe(status);
    expect(answer.body.errors?.map((error) => error.pointer)).toContain(pointer);
    expect(await shop.ledger('paymennt', reference)).toEqual([]);
    await expect(handle(reference).describe()).rejects.toThrow(/not found/);
  });

  it('refuses broken JSON', async () => {
    const answer = await shop.api<{ code: string }>('POST', '/v1/payment-links', '{"account":');
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_json' } });
  });
});

describe('commands', () => {
  it('captures once for one key, and refuses the key for anything else', async () => {
    const reference = fresh('capture');
    const { body } = await shop.create(request(reference, { account: 'paymennt-hold', capture: 'manual' }));
    await shop.pay(body.url!);
    await shop.until(reference, ({ status }) => status === 'authorized');
    const answers = await Promise.all([1, 2].map(() => shop.order(reference, 'capture', {}, 'key-1')));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await shop.order(reference, 'capture', {}, 'key-1')).toMatchObject({
      status: 200,
      body: { status: 'paid' },
    });
    const other = await shop.order(reference, 'capture', { amount: AED(5) }, 'key-1');
    expect(other).toMatchObject({ status: 409, body: { code: 'idempotency_conflict' } });
    const captured = (await shop.ledger('paymennt', reference)).filter((entry) => entry.kind === 'captured');
    expect(captured).toHaveLength(1);
  });

  it('refuses a refund above what was captured without a trace in the history', async () => {
    const link = await paidLink('over');
    const before = await eventsAtRest(link.reference);
    const answer = await shop.order(link.reference, 'refund', { amount: AED(10_051) });
    const errors = [{ pointer: '/amount' }];
    expect(answer).toMatchObject({ status: 422, body: { code: 'amount_out_of_range', errors } });
    expect(await events(link.reference)).toBe(before);
  });

  it('tells what is allowed when it refuses', async () => {
    const link = await paidLink('allowed');
    const answer = await shop.order(link.reference, 'cancel');
    expect(answer).toMatchObject({ status: 409, body: { code: 'not_allowed', allowed: ['refund', 'resync'] } });
  });

  it('keeps refunds within what was captured when many come at once', async () => {
    const link = await paidLink('many');
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => shop.order(link.reference, 'refund', { amount: AED(2_500) })),
    );
    const refunded = answers.filter(({ status }) => status === 200);
    expect(refunded).toHaveLength(4);
    const { body } = await shop.get(link.reference);
    expect(body).toMatchObject({ refunded: 10_000, status: 'partially_refunded' });
  });

  it.each(['extend', 'acknowledge', 'mark-paid', 'mark-refunded'])(
    '%s is not for this link and says so',
    async (verb) => {
      const link = await paidLink('later');
      const bodies: Record<string, object> = {
        extend: { expiresAt: new Date(Date.now() + 7_200_000).toISOString() },
        acknowledge: { exception: 'late_payment', reason: 'seen' },
        'mark-paid': { amount: AED(5) },
        'mark-refunded': { amount: AED(5) },
      };
      const answer = await shop.order(link.reference, verb, bodies[verb]);
      expect(answer).toMatchObject({ status: 409, body: { code: 'not_allowed' } });
    },
  );
});

describe('webhooks', () => {
  it('cost nothing when repeated: twenty equal ones change and add nothing', async () => {
    const link = await paidLink('repeat');
    // The first of these is the one that told us.
    const before = { events: await eventsAtRest(link.reference), link: (await shop.get(link.reference)).body };
    const { webhooks } = await shop.control<{ webhooks: unknown[] }>('POST', '/paymennt/webhooks/resend', {
      link: link.providerLinkId,
      times: 20,
    });
    expect(webhooks).toHaveLength(20);
    await pause(1_500);
    expect(await events(link.reference)).toBe(before.events);
    expect((await shop.get(link.reference)).body).toEqual(before.link);
  });

  it('with a flipped byte is refused and starts nothing', async () => {
    const { hmacKey } = await registrationOf('paymennt');
    const link = await paidLink('forged');
    const before = await eventsAtRest(link.reference);
    const body = JSON.stringify({ id: link.providerLinkId, orderId: link.reference, status: 'REFUNDED' });
    const signature = createHmac('sha256', hmacKey).update(body).digest('hex');
    const post = (text: string) =>
      fetch(`${stack.webhookUrl}/webhooks/paymennt`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-paymennt-signature': signature },
        body: text,
      });
    expect((await post(body.replace('REFUNDED', 'REFUNDEC'))).status).toBe(401);
    expect(await events(link.reference)).toBe(before);
    // The same bytes unflipped are authentic: a hint, which the read at the provider does not confirm.
    expect((await post(body)).status).toBe(200);
    await pause(1_000);
    expect((await shop.get(link.reference)).body).toMatchObject({ status: 'paid', refunded: 0 });
  });

  it('that find no link are kept in a run of their own, and delivered when the link appears', async () => {
    const reference = fresh('early');
    const merchant = {
      'content-type': 'application/json',
      'x-paymennt-api-key': MERCHANTS[0]!.apiKey,
      'x-paymennt-api-secret': MERCHANTS[0]!.apiSecret,
    };
    const response = await fetch(`${stack.sandboxUrl}/paymennt/mer/v2.0/checkout/link`, {
      method: 'POST',
      headers: merchant,
      body: JSON.stringify({ requestId: reference, orderId: reference, description: 'x', currency: 'AED', amount: 1 }),
    });
    const { result } = (await response.json()) as { result: { id: string } };
    const paid = await shop.control<{ webhooks: unknown[] }>('POST', `/paymennt/links/${result.id}/pay`, {});
    expect(JSON.stringify(paid.webhooks)).toContain('202');
    const kept = client.workflow.getHandle(`unmatched-webhook/paymennt/${result.id}`);
    expect((await kept.describe()).status.name).toBe('RUNNING');
    await expect(handle(reference).describe()).rejects.toThrow(/not found/);
    expect((await shop.create(request(reference))).status).toBe(201);
    expect(await kept.result()).toBe('adopted');
    const { items } = (await shop.timeline(reference)).body;
    await expect
      .poll(async () =>
        (await handle(reference).fetchHistory()).events?.some((e) => e.workflowExecutionSignaledEventAttributes),
      )
      .toBe(true);
    expect(items.length).toBeGreaterThan(0);
  });

  it('that find no link can be dismissed by an operator', async () => {
    const about = fresh('nobody');
    const { hmacKey } = await registrationOf('paymennt');
    const body = JSON.stringify({ id: about, orderId: about, status: 'PAID' });
    const signature = createHmac('sha256', hmacKey).update(body).digest('hex');
    const answer = await fetch(`${stack.webhookUrl}/webhooks/paymennt`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-paymennt-signature': signature },
      body,
    });
    expect(answer.status).toBe(202);
    const kept = client.workflow.getHandle(`unmatched-webhook/paymennt/${about}`);
    await kept.executeUpdate('dismiss', { args: [{ actor: 'night shift', reason: 'a test payment' }] });
    expect(await kept.result()).toBe('dismissed');
  });
});

describe('history', () => {
  it.each([
    ['at most 30 events when `paid` first reads', 'paymennt', 30],
    ['at most 38 with a capture of ours', 'paymennt-hold', 38],
  ])('has %s', async (_name, account, most) => {
    const reference = fresh('short');
    // Told by webhook: on a busy machine the first poll could be as early, and two reports cost more than one.
    const links = linksWith({ cadence: { rows: [], thenEverySeconds: 9, jitter: 0 } });
    const { link } = await links.create(request(reference, { account }));
    await shop.pay(link.url!);
    await shop.until(reference, ({ status }) => status === 'paid');
    expect(await events(reference)).toBeLessThanOrEqual(most);
  });

  it('does not grow by the watch that finds what a webhook has told', async () => {
    const reference = fresh('watched');
    const links = linksWith({ cadence: { rows: [], thenEverySeconds: 1, jitter: 0 } });
    const { link } = await links.create(request(reference));
    await shop.pay(link.url!);
    await shop.until(reference, ({ status }) => status === 'paid');
    const watch = async () => (await handle(reference).describe()).raw.pendingActivities?.[0];
    const [before, looks] = [await eventsAtRest(reference), (await watch())?.attempt ?? 0];
    await expect.poll(async () => (await watch())?.attempt, { timeout: 15_000 }).toBeGreaterThan(looks + 2);
    expect(await events(reference)).toBe(before);
  });

  it('does not grow by polls: a hundred add no event', async () => {
    const reference = fresh('polls');
    const links = linksWith({ cadence: { rows: [], thenEverySeconds: 0.02, jitter: 0 } });
    await links.create(request(reference));
    const attempts = async () => (await handle(reference).describe()).raw.pendingActivities?.[0]?.attempt ?? 0;
    await expect.poll(attempts, { timeout: 10_000 }).toBeGreaterThan(1);
    const before = await events(reference);
    const from = await attempts();
    await expect.poll(attempts, { timeout: 50_000, interval: 200 }).toBeGreaterThan(from + 100);
    expect(await events(reference)).toBe(before);
  });
});

it('shows the card in the run’s details, without anything personal', async () => {
  const link = await paidLink('card', { customer: { name: 'Test User', email: 'test.user@shop.example' } });
  const metadata = await handle(link.reference).query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  expect(metadata.currentDetails).toMatch(/PAID · 100\.50 AED/);
  expect(metadata.currentDetails).toMatch(/Allowed \| refund, resync/);
  expect(JSON.stringify(metadata)).not.toMatch(/test\.user|Test User/i);
  const description = await client.workflow.getHandle(`payment-link/${link.reference}`).describe();
  expect(
    description.typedSearchAttributes
      .getAll()
      .map(({ key }) => key.name)
      .sort(),
  ).toContain('LinkStatus');
});
