/** Lives of payment links, from request to verdict: what the demo shows and the tests run. */
import type { Exception, Link, OperationState, Status } from '../workflows/link.ts';
import type { Timing } from '../workflows/state.ts';
import { type Answer, FORMS, pause, type Shop } from './shop.ts';

export interface Walk {
  name: string;
  desk: Desk;
  /** What the link must read in the end. */
  ends: { status: Status; exceptions: Exception[]; captured: number; refunded: number };
  /** More of the create request. */
  request?(): object;
  /** Lived after the link was made. */
  live(scene: Scene): Promise<void>;
}

/** An account and what its links look like. */
interface Desk {
  account: string;
  provider: keyof typeof FORMS;
  currency: string;
  /** What every create request of this provider needs. */
  request?: object;
  /** The shortest life a link of it can have, in minutes. */
  shortest: number;
  /** How its links expire within the time of a demo, where the sandbox's short minutes do not do it. */
  timing?: Partial<Timing>;
}

/** One link on its way, with the verbs of those around it. */
interface Scene {
  shop: Shop;
  link: Link;
  /** Reports progress. */
  say(line: string): void;
  pays(how?: 'good' | 'declined', url?: string): Promise<unknown>;
  reaches(status: Status): Promise<Link>;
  /** Commands are expected to be accepted; what becomes of them is judged at the end. */
  orders(verb: string, body?: object): Promise<void>;
  /** The sandbox's control plane: what neither merchant nor customer can cause. */
  fault(fault: object): Promise<unknown>;
  happens(action: string): Promise<unknown>;
}

const AMOUNT = 10_050;
const NOTHING = { exceptions: [] as Exception[], captured: 0, refunded: 0 };
const ALL = { ...NOTHING, captured: AMOUNT };
const PART = { ...ALL, status: 'partially_refunded' as const, refunded: 3_000 };
const WHOLE = { ...ALL, status: 'refunded' as const, refunded: AMOUNT };
const inMinutes = (minutes: number) => ({ expiresAt: new Date(Date.now() + minutes * 60_000).toISOString() });

const PAYMENNT: Desk = { account: 'paymennt', provider: 'paymennt', currency: 'AED', shortest: 16 };
const PAYMENNT_HOLD: Desk = { ...PAYMENNT, account: 'paymennt-hold' };
const BEQELAL: Desk = {
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

const paid = (desk: Desk, name: string): Walk => ({
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

const refundedByHand = (desk: Desk, happens?: string): Walk => ({
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

const cancelled = (desk: Desk, told: boolean): Walk => ({
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

export interface Ended {
  walk: Walk;
  reference: string;
  link?: Link;
  /** Why the walk did not end as it must; empty when it did. */
  differences: string[];
}

/** Lives one walk and judges it: link against expectation, against a fresh read of the provider, against the ledger. */
export async function take(shop: Shop, walk: Walk, reference: string, say: (line: string) => void): Promise<Ended> {
  const { account, provider, currency, request } = walk.desk;
  const more = walk.request?.() ?? {};
  const order = { account, reference, amount: { minor: AMOUNT, currency }, ...request, ...more };
  const early = 'expiresAt' in more ? walk.desk.timing : undefined;
  const { status, body } = early ? await shop.createWith(early, order) : await patiently(() => shop.create(order));
  if (status >= 300 || !body.url) {
    return { walk, reference, differences: [`create answered ${status}: ${JSON.stringify(body)}`] };
  }
  say(`backend: made the link, ${body.url}`);
  await walk.live({
    shop,
    link: body,
    say,
    pays: (how = 'good', url = body.url!) => {
      say(how === 'good' ? 'customer: pays on the page' : 'customer: is declined');
      return shop.pay(url, FORMS[provider][how]);
    },
    // What was refused will not be reached by waiting.
    reaches: (wanted) => shop.until(reference, (link) => link.status === wanted || link.operations.some(wasRefused)),
    async orders(verb, order = {}) {
      const answer = await shop.order(reference, verb, order);
      const detail = answer.status < 300 ? '' : `: ${(answer.body as unknown as { detail?: string }).detail ?? ''}`;
      say(`merchant: ${verb} → ${answer.status}${detail}`);
    },
    fault: (fault) => shop.control('POST', `/${provider}/faults`, fault),
    happens: (action) => shop.control('POST', `/${provider}/links/${body.providerLinkId}/${action}`, {}),
  });
  const { ends } = walk;
  const told = await shop.until(reference, (now) => differencesOf(now, ends).length === 0, 8_000);
  await shop.order(reference, 'resync');
  const link = await shop.until(reference, ({ operations }) => operations.every(isDone));
  const read = link.operations.findLast(({ kind }) => kind === 'resync');
  const differences = [
    ...differencesOf(told, ends),
    ...(read?.state === 'succeeded' ? [] : [`the provider could not be read: ${read?.error?.message ?? read?.state}`]),
    ...differencesOf(link, ends).map((difference) => `after a read of the provider ${difference}`),
    ...(await ledgerDifferences(shop, provider, link)),
  ];
  return { walk, reference, link, differences };
}

const wasRefused = ({ state }: { state: OperationState }) => state === 'refused';
const isDone = ({ state }: { state: OperationState }) => ['succeeded', 'refused', 'failed'].includes(state);

/** As a backend should: after 503 the same request again is safe. */
async function patiently<Body>(ask: () => Promise<Answer<Body>>): Promise<Answer<Body>> {
  for (let tries = 1; ; tries++) {
    const answer = await ask();
    if (answer.status !== 503 || tries === 5) return answer;
    await pause(1_000);
  }
}

function differencesOf(link: Link, ends: Walk['ends']): string[] {
  const seen = { status: link.status, exceptions: link.exceptions, captured: link.captured, refunded: link.refunded };
  return (Object.keys(ends) as (keyof typeof ends)[])
    .filter((key) => JSON.stringify(seen[key]) !== JSON.stringify(ends[key]))
    .map((key) => {
      const refused = link.operations
        .filter((op) => op.error)
        .map((op) => `${op.kind} ${op.state}: ${op.error?.message}`);
      return `${key} is ${JSON.stringify(seen[key])}, must be ${JSON.stringify(ends[key])}${refused.length ? ` (${refused.join('; ')})` : ''}`;
    });
}

/** The provider's ledger is the judge: every entry must be told by the link, and nothing told without an entry. */
async function ledgerDifferences(shop: Shop, provider: string, link: Link): Promise<string[]> {
  const entries = await shop.ledger(provider, link.reference);
  const total = (kind: string) =>
    entries.filter((entry) => entry.kind === kind).reduce((sum, entry) => sum + (entry.amount ?? 0), 0);
  const amounts = (kind: string) => entries.filter((entry) => entry.kind === kind).map((entry) => entry.amount);
  const done = link.operations.filter((op) => op.state === 'succeeded');
  const asked = (kind: string) => done.filter((op) => op.kind === kind).map((op) => op.amount);
  const byHand = asked('mark-refunded').reduce<number>((sum, amount) => sum + (amount ?? 0), 0);
  const compare: [string, unknown, unknown][] = [
    ['links made', entries.filter((entry) => entry.kind === 'created').length, 1],
    ['provider link id', entries[0]?.link, link.providerLinkId],
    ['captured', total('captured'), link.captured],
    // What was given back by hand is in the ledger only where the provider has a portal for it.
    ['refunded', total('refunded'), byHand > 0 && total('refunded') === 0 ? link.refunded - byHand : link.refunded],
    ['refunds one by one', amounts('refunded'), byHand > 0 ? undefined : asked('refund')],
    [
      'several payments',
      new Set(entries.filter((entry) => entry.kind === 'captured').map((entry) => entry.payment)).size > 1,
      link.exceptions.includes('duplicate_payment'),
    ],
    [
      'currency',
      [...new Set(entries.flatMap((entry) => entry.currency ?? []))],
      link.captured > 0 ? [link.currency] : undefined,
    ],
  ];
  return compare
    .filter(([, ledger, told]) => told !== undefined && JSON.stringify(ledger) !== JSON.stringify(told))
    .map(([what, ledger, told]) => `${what}: ledger has ${JSON.stringify(ledger)}, link tells ${JSON.stringify(told)}`);
}
