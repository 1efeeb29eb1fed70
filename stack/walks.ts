/** The lives of payment links that the demo shows and the tests run. */
import type { Exception } from '../workflows/link.ts';
import { AMOUNT, type Desk, isDone, type Scene, type Walk } from './walk.ts';

const NOTHING = { exceptions: [] as Exception[], captured: 0, refunded: 0 };
const ALL = { ...NOTHING, captured: AMOUNT };
const PART = { ...ALL, status: 'partially_refunded' as const, refunded: 3_000 };
const WHOLE = { ...ALL, status: 'refunded' as const, refunded: AMOUNT };
const inMinutes = (minutes: number) => ({ expiresAt: new Date(Date.now() + minutes * 60_000).toISOString() });

const PAYMENNT: Desk = { account: 'paymennt', provider: 'paymennt', currency: 'AED', shortest: 16 };
const PAYMENNT_HOLD: Desk = { ...PAYMENNT, account: 'paymennt-hold' };
export const BEQELAL: Desk = {
  account: 'beqelal',
  provider: 'beqelal',
  currency: 'ETB',
  request: { customer: { phone: '0911000001' } },
  shortest: 10,
};
const KATU9: Desk = { account: 'katu9', provider: 'katu9', currency: 'INR', shortest: 10 };
/** Shows no link state, so that only the engine's own timer ends a link: its deadline is an input. */
const PAYMOB: Desk = {
  account: 'paymob',
  provider: 'paymob',
  currency: 'EGP',
  shortest: 2,
  timing: { deadlineMs: 5_000, closeMarginMs: 1_000 },
};
/** Has no expiry: closed by the engine's own timer. */
const BOOMFI: Desk = { account: 'boomfi', provider: 'boomfi', currency: 'USD', shortest: 0.1 };

export const paid = (desk: Desk, name: string): Walk => ({
  name,
  desk,
  ends: { ...ALL, status: 'paid' },
  async live({ pays, reaches }) {
    await pays();
    await reaches('paid');
  },
});

const paidUnheard = (desk: Desk): Walk => ({
  name: 'paid, every webhook lost',
  desk,
  ends: { ...ALL, status: 'paid' },
  async live({ link, fault, say, pays, reaches }) {
    await fault({ operation: 'webhook', kind: 'reset', link: link.providerLinkId });
    say('network: loses every webhook of this link');
    await pays();
    await reaches('paid');
  },
});

const declinedFirst = (desk: Desk): Walk => ({
  name: 'declined once, then paid',
  desk,
  ends: { ...ALL, status: 'paid' },
  async live({ pays, reaches }) {
    await pays('declined');
    await pays();
    await reaches('paid');
  },
});

const held = (desk: Desk, name: string, ends: Walk['ends'], then: (scene: Scene) => Promise<void>): Walk => ({
  name,
  desk,
  request: () => ({ capture: 'manual' }),
  ends,
  async live(scene) {
    await scene.pays();
    await scene.reaches('authorized');
    await then(scene);
  },
});

const refunded = (desk: Desk, name: string, ends: Walk['ends'], parts: (number | undefined)[]): Walk => ({
  name,
  desk,
  ends,
  async live({ pays, reaches, orders }) {
    await pays();
    await reaches('paid');
    for (const minor of parts) {
      await orders('refund', minor === undefined ? {} : { amount: { minor, currency: desk.currency } });
    }
  },
});

export const refundedByHand = (desk: Desk, happens?: string): Walk => ({
  name: 'refunded by hand: the provider has no refund',
  desk,
  ends: { ...ALL, status: 'refunded', refunded: AMOUNT },
  async live(scene) {
    await scene.pays();
    await scene.reaches('paid');
    await scene.orders('refund', { reason: 'sent back' });
    const { body } = await scene.shop.get(scene.link.reference);
    scene.say(`operator: sees ${body.exceptions.join(', ')}, gives the money back by hand`);
    if (happens) await scene.happens(happens);
    await scene.orders('mark-refunded', {
      amount: { minor: AMOUNT, currency: desk.currency },
      reason: 'bank transfer',
    });
  },
});

export const cancelled = (desk: Desk, told: boolean): Walk => ({
  name: told ? 'cancelled before payment' : 'cancelled here: the provider has no cancel',
  desk,
  ends: { ...NOTHING, status: 'cancelled', exceptions: told ? [] : ['cancel_unconfirmed'] },
  async live({ orders }) {
    await orders('cancel', { reason: 'ordered by mistake' });
  },
});

const expired = (desk: Desk): Walk => ({
  name: 'expired',
  desk,
  request: () => inMinutes(desk.shortest),
  ends: { ...NOTHING, status: 'expired' },
  async live({ reaches }) {
    await reaches('expired');
  },
});

const paidLate = (desk: Desk): Walk => ({
  name: 'paid after expiry',
  desk,
  request: () => inMinutes(desk.shortest),
  ends: { ...ALL, status: 'paid', exceptions: ['late_payment'] },
  async live({ say, reaches, happens }) {
    await reaches('expired');
    say('bank: a payment arrives after all');
    await happens('pay');
    await reaches('paid');
  },
});

const givenBack = (desk: Desk): Walk => ({
  ...paidLate(desk),
  name: 'paid after expiry, given back by policy',
  request: () => ({ ...inMinutes(desk.shortest), policies: { latePayment: 'refund' } }),
  ends: { ...WHOLE, exceptions: ['late_payment'] },
});

const paidTwice = (desk: Desk): Walk => ({
  name: 'paid twice, the second given back by policy',
  desk,
  request: () => ({ policies: { excess: 'refund_excess' } }),
  ends: { status: 'paid', captured: 2 * AMOUNT, refunded: AMOUNT, exceptions: ['duplicate_payment'] },
  async live({ say, pays, reaches, happens }) {
    await pays();
    await reaches('paid');
    say('customer: pays again in another window');
    await happens('pay');
  },
});

/** The provider takes payments of a link until it is disabled, which the engine does once it is paid. */
const paidAgain = (desk: Desk): Walk => ({
  name: 'paid, closed by the engine, and paid again all the same',
  desk,
  ends: { ...ALL, status: 'paid', captured: 2 * AMOUNT, exceptions: ['late_payment', 'duplicate_payment'] },
  async live({ shop, link, say, pays, reaches, happens }) {
    await pays();
    await reaches('paid');
    await shop.until(link.reference, ({ operations }) => operations.some((op) => op.kind === 'cancel' && isDone(op)));
    say('customer: sends the transfer once more');
    await happens('pay');
  },
});

const extended = (desk: Desk): Walk => ({
  name: 'expired, extended, then paid',
  desk,
  request: () => inMinutes(desk.shortest),
  ends: { ...ALL, status: 'paid' },
  async live({ shop, link, reaches, orders, pays }) {
    await reaches('expired');
    await orders('extend', inMinutes(24 * 60));
    const { body } = await shop.get(link.reference);
    await pays('good', body.url ?? undefined);
    await reaches('paid');
  },
});

const answerLost = (desk: Desk): Walk =>
  held(desk, 'captured, the answer lost', { ...ALL, status: 'paid' }, async ({ link, say, fault, orders, reaches }) => {
    say('network: drops the answer to the next capture');
    await fault({ operation: 'capture', kind: 'drop_after_commit', link: link.providerLinkId, count: 1 });
    await orders('capture');
    await reaches('paid');
  });

const captures = (scene: Scene) => scene.orders('capture');
const cancels = (scene: Scene) => scene.orders('cancel', { reason: 'out of stock' });
export const WALKS: readonly Walk[] = [
  paid(PAYMENNT, 'paid, told by webhook'),
  paidUnheard(PAYMENNT),
  declinedFirst(PAYMENNT),
  held(PAYMENNT_HOLD, 'authorized, then captured', { ...ALL, status: 'paid' }, captures),
  paid(PAYMENNT_HOLD, 'authorized, captured at once by the engine'),
  held(PAYMENNT_HOLD, 'authorized, then cancelled', { ...NOTHING, status: 'cancelled' }, cancels),
  answerLost(PAYMENNT_HOLD),
  refunded(PAYMENNT, 'paid, then refunded in part', PART, [3_000]),
  refunded(PAYMENNT, 'paid, then refunded in two parts', WHOLE, [3_000, undefined]),
  cancelled(PAYMENNT, true),
  expired(PAYMENNT),
  paidLate(PAYMENNT),
  givenBack(PAYMENNT),

  paid(PAYMOB, 'paid, told by webhook'),
  paidUnheard(PAYMOB),
  declinedFirst(PAYMOB),
  held(PAYMOB, 'authorized, then captured', { ...ALL, status: 'paid' }, captures),
  held(PAYMOB, 'authorized, then cancelled', { ...NOTHING, status: 'cancelled' }, cancels),
  held(PAYMOB, 'authorized, then captured in part', { ...ALL, status: 'paid', captured: 8_000 }, (scene) =>
    scene.orders('capture', { amount: { minor: 8_000, currency: PAYMOB.currency } }),
  ),
  answerLost(PAYMOB),
  refunded(PAYMOB, 'paid, then refunded in part', PART, [3_000]),
  refunded(PAYMOB, 'paid, then refunded in two parts', WHOLE, [3_000, undefined]),
  cancelled(PAYMOB, true),
  expired(PAYMOB),
  paidLate(PAYMOB),
  paidTwice(PAYMOB),

  paid(BOOMFI, 'paid, told by webhook'),
  paidUnheard(BOOMFI),
  declinedFirst(BOOMFI),
  refundedByHand(BOOMFI),
  cancelled(BOOMFI, true),
  expired(BOOMFI),
  extended(BOOMFI),
  paidLate(BOOMFI),
  paidAgain(BOOMFI),

  paid(BEQELAL, 'paid, told by webhook'),
  paidUnheard(BEQELAL),
  declinedFirst(BEQELAL),
  refundedByHand(BEQELAL),
  cancelled(BEQELAL, true),
  expired(BEQELAL),
  paidLate(BEQELAL),

  paid(KATU9, 'paid, told by polling: the provider has no paid event'),
  declinedFirst(KATU9),
  refundedByHand(KATU9, 'refund'),
  cancelled(KATU9, false),
  expired(KATU9),
  extended(KATU9),
  paidLate(KATU9),
];
