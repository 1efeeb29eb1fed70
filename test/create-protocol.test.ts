import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { InvalidRequest, NotFound, ProviderRefused, ReferenceConflict, Unavailable } from '../client/errors.ts';
import { PaymentLinks } from '../client/payment-links.ts';
import { workflowIdOf } from '../workflows/messages.ts';
import type { CreateRequest } from '../workflows/schema.ts';
import { ACCOUNT, type LinkStack, startLinkStack } from './link-stack.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

let stack: LinkStack;
let links: PaymentLinks;
beforeAll(async () => {
  stack = await startLinkStack();
  links = new PaymentLinks(stack.client);
  await stack.startWorkers();
});
afterAll(() => stack?.stop());

let count = 0;
const request = (change: Partial<CreateRequest> = {}): CreateRequest => ({
  account: ACCOUNT,
  reference: `INV/2026:${++count}`,
  amount: { minor: 1050, currency: 'AED' },
  ...change,
});
const runOf = (reference: string) => stack.client.workflow.getHandle(workflowIdOf(reference));
const createsOf = (reference: string) => stack.provider.creates.filter((called) => called === reference).length;
const closed = (reference: string) =>
  vi.waitFor(async () => expect((await runOf(reference).describe()).status.name).not.toBe('RUNNING'), 10_000);

describe('one request, one link', () => {
  it('makes a link, and gives the same one to the same request', async () => {
    const body = request({ metadata: { order: '7' } });
    const first = await links.create(body, { provider: 'scripted' });
    expect(first).toMatchObject({
      created: true,
      link: { reference: body.reference, account: ACCOUNT, status: 'pending', amount: 1050, metadata: { order: '7' } },
    });
    expect(first.link.url).toMatch(/^https:/);
    const again = await links.create(structuredClone(body));
    expect(again).toEqual({ created: false, link: first.link });
    expect(createsOf(body.reference)).toBe(1);
  });

  it('gives the current link to a later repeat', async () => {
    const body = request();
    await links.create(body);
    stack.provider.pay(body.reference, 1050);
    await links.resync(body.reference);
    expect(await links.create(body)).toMatchObject({ created: false, link: { status: 'paid', captured: 1050 } });
  });

  it('makes one link of twenty equal requests at once, and one caller is its creator', async () => {
    const body = request();
    const results = await Promise.all(Array.from({ length: 20 }, () => links.create(body)));
    expect(results.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(results.map(({ link }) => link.url)).size).toBe(1);
    expect(createsOf(body.reference)).toBe(1);
  });

  it('refuses other terms under the same reference, while the link is open and when it is closed', async () => {
    const body = request();
    const other = { ...body, amount: { minor: 1051, currency: 'AED' } };
    await links.create(body);
    await expect(links.create(other)).rejects.toThrow(ReferenceConflict);
    const { events } = await runOf(body.reference).fetchHistory();
    expect(events?.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes)).toHaveLength(1);
    await runOf(body.reference).terminate('by an operator');
    await expect(links.create(other)).rejects.toThrow(ReferenceConflict);
    expect(createsOf(body.reference)).toBe(1);
  });

  it('lets one of two requests with different terms at once have the reference', async () => {
    const body = request();
    const results = await Promise.allSettled(
      [1, 2, 3, 4, 5, 6].map((minor) => links.create({ ...body, amount: { minor, currency: 'AED' } })),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(5);
    for (const { reason } of refused) expect(reason).toBeInstanceOf(ReferenceConflict);
    expect(createsOf(body.reference)).toBe(1);
  });

  it('never starts a stopped link again', async () => {
    const body = request();
    await links.create(body);
    await runOf(body.reference).terminate('by an operator');
    await expect(links.create(body)).rejects.toThrow(/stopped by an operator/);
    expect(createsOf(body.reference)).toBe(1);
  });

  it('gives the link of a run that is over to the same request', async () => {
    const body = request({ policies: { graceSeconds: 0 } });
    await links.create(body);
    await links.cancel(body.reference);
    await closed(body.reference);
    expect(await links.create(body)).toMatchObject({ created: false, link: { status: 'cancelled' } });
    await expect(links.create({ ...body, description: 'another' })).rejects.toThrow(ReferenceConflict);
    expect(createsOf(body.reference)).toBe(1);
  });

  it('still knows the creator after the run continued as new', async () => {
    const body = request();
    const brief = new PaymentLinks(stack.client, { timing: { continueAfterEvents: 20 } });
    const first = await brief.create(body);
    expect(first.created).toBe(true);
    const { runId } = await runOf(body.reference).describe();
    await vi.waitFor(async () => {
      await brief.resync(body.reference);
      // The server knows the update of the first run only there.
      expect((await runOf(body.reference).describe()).runId).not.toBe(runId);
    }, 20_000);
    expect(await brief.create(body)).toMatchObject({ created: false, link: { url: first.link.url } });
    expect(createsOf(body.reference)).toBe(1);
  });
});

describe('refused by the provider', () => {
  it('tells the caller why, shows the link as failed, and frees the reference', async () => {
    const body = request();
    stack.provider.script(body.reference, 'refusal', 'link');
    await expect(links.create(body)).rejects.toMatchObject({
      code: 'provider_refused',
      providerCode: 'amount_too_low',
      providerMessage: 'the amount is below 1.00',
    });
    await closed(body.reference);
    expect(await links.get(body.reference)).toMatchObject({ status: 'failed', url: null });
    expect((await runOf(body.reference).describe()).status.name).toBe('FAILED');

    expect(await links.create(body)).toMatchObject({ created: true, link: { status: 'pending' } });
    expect(await links.create(body)).toMatchObject({ created: false, link: { status: 'pending' } });
    expect(createsOf(body.reference)).toBe(2);
  });

  it('frees the reference for other terms, too', async () => {
    const body = request();
    stack.provider.script(body.reference, 'refusal', 'link');
    await expect(links.create(body)).rejects.toThrow(ProviderRefused);
    await closed(body.reference);
    const other = { ...body, amount: { minor: 5000, currency: 'AED' } };
    expect(await links.create(other)).toMatchObject({ created: true, link: { amount: 5000 } });
    await expect(links.create(body)).rejects.toThrow(ReferenceConflict);
  });

  it('can be refused any number of times: each call asks the provider once', async () => {
    const body = request();
    stack.provider.script(body.reference, 'refusal', 'refusal', 'refusal');
    for (const calls of [1, 2, 3]) {
      await expect(links.create(body)).rejects.toThrow(ProviderRefused);
      expect(createsOf(body.reference)).toBe(calls);
      await closed(body.reference);
    }
    expect(await links.create(body)).toMatchObject({ created: true });
  });

  it('makes at most one more try for callers who met the refusal of another', async () => {
    const body = request();
    stack.provider.script(body.reference, 'refusal', 'refusal', 'refusal', 'refusal', 'refusal', 'refusal');
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => links.create(body)));
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'provider_refused' } });
    }
    expect(createsOf(body.reference)).toBeLessThanOrEqual(2);
  });

  it('makes one link of callers who met the refusal of another', async () => {
    const body = request();
    stack.provider.script(body.reference, 'refusal', 'link');
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => links.create(body)));
    const made = results.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
    expect(made).toHaveLength(11);
    expect(made.filter(({ created }) => created)).toHaveLength(1);
    expect(createsOf(body.reference)).toBe(2);
  });
});

describe('waiting', () => {
  const patience = { lookAfterMs: 300, lookMs: 3_000, giveUpAfterMs: 1_500 };

  it('shows a link in the making when the provider takes longer than the caller waits', async () => {
    const body = request();
    let answer = () => {};
    stack.provider.script(body.reference, new Promise<void>((resolve) => (answer = resolve)));
    const hurried = new PaymentLinks(stack.client, { patience });
    const { link, created } = await hurried.create(body, { provider: 'scripted' });
    expect(created).toBe(false);
    expect(link).toMatchObject({ status: 'creating', url: null, provider: 'scripted' });
    answer();
    expect(await links.create(body)).toMatchObject({ link: { status: 'pending' } });
    expect(createsOf(body.reference)).toBe(1);
  });

  it('is unavailable without a worker, and the same request again makes the one link', async () => {
    const body = request();
    const hurried = new PaymentLinks(stack.client, { patience: { ...patience, lookMs: 500 } });
    await stack.stopWorkers();
    try {
      await expect(hurried.create(body)).rejects.toThrow(Unavailable);
    } finally {
      await stack.startWorkers();
    }
    await links.create(body);
    expect(createsOf(body.reference)).toBe(1);
  });
});

describe('refused before anything starts', () => {
  it.each([
    ['a past expiry', { expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
    ['a wait beyond the calendar', { policies: { graceSeconds: 1e12 } }, '/policies/graceSeconds'],
  ])('%s', async (_, change, pointer) => {
    const body = request(change);
    await expect(links.create(body)).rejects.toMatchObject({ status: 422, errors: [{ pointer }] });
    await expect(links.get(body.reference)).rejects.toThrow(NotFound);
  });

  it("asks for the provider's own limits", async () => {
    const body = request();
    const check = () => [{ pointer: '/amount/minor', code: 'invalid_value', message: 'must be at least 2000' }];
    await expect(links.create(body, { check })).rejects.toThrow(InvalidRequest);
    expect(createsOf(body.reference)).toBe(0);
    // What was accepted once is not refused when it is asked for again.
    await links.create(body);
    expect(await links.create(body, { check })).toMatchObject({ created: false });
  });
});
