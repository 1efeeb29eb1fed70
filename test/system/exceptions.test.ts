/** Late, wrong and double money: what the policies do about it, and what a person has to say. */
import { describe, expect, it } from 'vitest';
import type { CreateRequest } from '../../workflows/schema.ts';
import { AED, fresh, openSystem, UNWATCHED, until } from './shared.ts';

const { shop, linksWith } = await openSystem();
const links = linksWith({ ...UNWATCHED, closeMarginMs: 200, closePatienceMs: 1_000 });

/** A paymennt link over 100.50. */
async function open(about: string, more: Partial<CreateRequest> = {}) {
  const reference = fresh(about);
  const { link } = await links.create({ account: 'paymennt', reference, amount: AED(10_050), ...more });
  const at = (action: string, body: object = {}) =>
    shop.control('POST', `/paymennt/links/${link.providerLinkId}/${action}`, body);
  const seen = (holds: (link: Awaited<ReturnType<typeof links.get>>) => boolean) =>
    until(() => links.get(reference), holds);
  return { reference, url: link.url!, at, seen, ledger: () => shop.ledger('paymennt', reference) };
}

/** A link that was cancelled and paid all the same. */
async function paidLate(latePayment: 'accept' | 'refund' | 'hold') {
  const link = await open(`late-${latePayment}`, { policies: { latePayment } });
  await links.cancel(link.reference, {});
  await link.at('pay');
  return link;
}

describe.concurrent('money after the end', () => {
  it('stays, and waits for a person: hold', async () => {
    const { reference, seen } = await paidLate('hold');
    const link = await seen(({ status }) => status === 'paid');
    expect(link).toMatchObject({ status: 'paid', exceptions: ['late_payment'] });
    expect(link.allowed).toContain('acknowledge');
    await expect(links.acknowledge(reference, { exception: 'overpaid', reason: 'x' })).rejects.toThrow(
      /has no overpaid/,
    );
    const asked = await links.acknowledge(
      reference,
      { exception: 'late_payment', reason: 'the goods were still there' },
      { idempotencyKey: 'seen', actor: 'ana' },
    );
    expect(asked.operation).toMatchObject({ kind: 'acknowledge', state: 'succeeded', actor: 'ana' });
    expect(asked.link).toMatchObject({ status: 'paid', exceptions: [] });
    expect(asked.link.allowed).not.toContain('acknowledge');
    expect(await links.timeline(reference)).toContainEqual(
      expect.objectContaining({ summary: 'late_payment acknowledged', reason: 'the goods were still there' }),
    );
    await links.resync(reference);
    expect((await links.get(reference)).exceptions).toEqual([]);
  });

  it('is taken without a word: accept', async () => {
    const { reference, seen } = await paidLate('accept');
    expect(await seen(({ status }) => status === 'paid')).toMatchObject({ status: 'paid', exceptions: [] });
    expect((await links.timeline(reference)).map(({ summary }) => summary)).toContain(
      'late_payment accepted, as the policy says',
    );
  });

  it('goes back, once: refund', async () => {
    const { reference, seen, ledger } = await paidLate('refund');
    const link = await seen(({ status }) => status === 'refunded');
    expect(link).toMatchObject({ status: 'refunded', captured: 10_050, refunded: 10_050 });
    expect(link.exceptions).toEqual(['late_payment']);
    expect(link.operations.filter(({ kind }) => kind === 'refund')).toMatchObject([
      { state: 'succeeded', actor: 'perdure', amount: 10_050, reason: 'paid after the link was closed' },
    ]);
    await links.resync(reference);
    expect((await ledger()).filter(({ kind }) => kind === 'refunded')).toMatchObject([{ amount: 10_050 }]);
  });

  it('that is only held is let go instead: refund', async () => {
    const { seen, ledger, at, reference } = await open('late-hold', {
      account: 'paymennt-hold',
      policies: { latePayment: 'refund' },
    });
    await links.cancel(reference, {});
    await at('authorize');
    const link = await seen(
      ({ operations }) =>
        operations.some(({ kind, state }) => kind === 'cancel' && state === 'succeeded') && operations.length > 2,
    );
    expect(link).toMatchObject({ captured: 0 });
    await expect.poll(async () => (await ledger()).map(({ kind }) => kind)).toContain('voided');
    expect((await ledger()).map(({ kind }) => kind)).not.toContain('captured');
  });
});

describe.concurrent('more than was due', () => {
  it('is shown and kept: hold', async () => {
    const { at, seen } = await open('over');
    await at('pay', { amount: 12_000 });
    const link = await seen(({ status }) => status === 'paid');
    expect(link).toMatchObject({ captured: 12_000, refunded: 0, exceptions: ['overpaid'] });
  });

  it('goes back, the rest stays: refund_excess', async () => {
    const { at, seen, ledger } = await open('over-back', { policies: { excess: 'refund_excess' } });
    await at('pay', { amount: 12_000 });
    const link = await seen(({ refunded }) => refunded > 0);
    expect(link).toMatchObject({ status: 'paid', captured: 12_000, refunded: 1_950, exceptions: [] });
    expect((await ledger()).filter(({ kind }) => kind === 'refunded')).toMatchObject([{ amount: 1_950 }]);
  });

  it('paid twice at a provider that has payments of their own: the second goes back', async () => {
    const reference = fresh('twice');
    const amount = { minor: 10_050, currency: 'EGP' };
    const { link } = await links.create({
      account: 'paymob',
      reference,
      amount,
      policies: { excess: 'refund_excess' },
    });
    const pay = () => shop.control('POST', `/paymob/links/${link.providerLinkId}/pay`, {});
    await pay();
    await until(
      () => links.get(reference),
      ({ status }) => status === 'paid',
    );
    await pay();
    const seen = await until(
      () => links.get(reference),
      ({ refunded }) => refunded > 0,
    );
    expect(seen).toMatchObject({ status: 'paid', captured: 20_100, refunded: 10_050 });
    expect(seen.exceptions).toEqual(['duplicate_payment']);
    const entries = await shop.ledger('paymob', reference);
    const [, second] = entries.filter(({ kind }) => kind === 'captured');
    expect(entries.filter(({ kind }) => kind === 'refunded')).toMatchObject([
      { amount: 10_050, payment: second?.payment },
    ]);
    const told = await links.acknowledge(reference, { exception: 'duplicate_payment', reason: 'the second went back' });
    expect(told.link.exceptions).toEqual([]);
  });
});

describe.concurrent('what the provider takes back', () => {
  it('a refund that fails later is shown; accepted, it can be tried again', async () => {
    const { reference, at, seen, ledger } = await open('refund-fails');
    await at('pay');
    await seen(({ status }) => status === 'paid');
    await links.refund(reference, { amount: AED(3_000) }, { idempotencyKey: 'first' });
    // Its webhook says what the one of the payment said; between the two was the refund's.
    await at('refund_fails');
    const odd = await seen(({ exceptions }) => exceptions.includes('refund_failed'));
    expect(odd).toMatchObject({ refunded: 3_000, exceptions: ['provider_disagrees', 'refund_failed'] });
    const { link } = await links.resync(reference, { accept: true, reason: 'the bank sent it back' });
    expect(link).toMatchObject({ status: 'paid', refunded: 0, exceptions: ['refund_failed'] });
    expect(link.operations.find(({ id }) => id === 'first')).toMatchObject({
      state: 'failed',
      error: { code: 'refund_failed' },
    });
    await links.acknowledge(reference, { exception: 'refund_failed', reason: 'sent again' });
    const again = await links.refund(reference, { amount: AED(3_000) }, { idempotencyKey: 'second' });
    expect(again.link).toMatchObject({ status: 'partially_refunded', refunded: 3_000, exceptions: [] });
    expect((await ledger()).filter(({ kind }) => kind === 'refunded')).toHaveLength(2);
  });

  it('a payment shown smaller moves nothing until a person accepts it, and counts again when it is back', async () => {
    const { reference, at, seen } = await open('smaller');
    await at('pay');
    await seen(({ status }) => status === 'paid');
    await at('correct', { amount: 9_000 });
    await links.resync(reference);
    const odd = await seen(({ exceptions }) => exceptions.length > 0);
    expect(odd).toMatchObject({ status: 'paid', captured: 10_050, exceptions: ['provider_disagrees'] });
    const { link } = await links.resync(reference, { accept: true });
    expect(link).toMatchObject({ captured: 9_000, exceptions: ['underpaid'] });
    await at('correct', { amount: 10_050 });
    const back = await links.resync(reference);
    expect(back.link).toMatchObject({ status: 'paid', captured: 10_050, exceptions: [] });
  });

  it('beside a dispute no refund is sent, unless a person forces it', async () => {
    const { reference, at, seen, ledger } = await open('disputed', { policies: { excess: 'refund_excess' } });
    await at('pay');
    await seen(({ status }) => status === 'paid');
    await at('chargeback');
    const disputed = await seen(({ exceptions }) => exceptions.includes('disputed'));
    expect(disputed.allowed).not.toContain('refund');
    await expect(links.refund(reference, { amount: AED(1_000) })).rejects.toThrow(/dispute stands/);
    const forced = { amount: AED(1_000), force: true, reason: 'agreed with the bank' };
    await links.refund(reference, forced).catch((error: Error) => expect(error.message).not.toMatch(/dispute stands/));
    await at('dispute_won');
    const won = await seen(({ allowed }) => allowed.includes('refund'));
    expect(won.exceptions).toContain('disputed');
    const { link } = await links.acknowledge(reference, { exception: 'disputed', reason: 'won' });
    expect(link.exceptions).not.toContain('disputed');
    expect((await ledger()).map(({ kind }) => kind)).toEqual(expect.arrayContaining(['charged_back', 'dispute_won']));
  });
});
