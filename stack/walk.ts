/** One life of a payment link, from request to verdict. */
import type { Exception, Link, OperationState, Status } from '../workflows/link.ts';
import type { Timing } from '../workflows/state.ts';
import { type Answer, FORMS, pause, type Shop } from './shop.ts';

/** What every walk's link is about, in minor units. */
export const AMOUNT = 10_050;

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
export interface Desk {
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
export interface Scene {
  shop: Pick<Shop, 'get' | 'until'>;
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

export interface Ended {
  walk: Walk;
  reference: string;
  link?: Link;
  /** Why the walk did not end as it must; empty when it did. */
  differences: string[];
}

/** The create request of a walk; an expiry in it counts from now. */
export function orderOf({ desk, request }: Walk, reference: string) {
  const { account, currency } = desk;
  return { account, reference, amount: { minor: AMOUNT, currency }, ...desk.request, ...request?.() };
}

/** Lives one walk and judges it: link against expectation, against a fresh read of the provider, against the ledger. */
export async function take(shop: Shop, walk: Walk, reference: string, say: (line: string) => void): Promise<Ended> {
  const { provider } = walk.desk;
  const order = orderOf(walk, reference);
  const early = 'expiresAt' in order ? walk.desk.timing : undefined;
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
export const isDone = ({ state }: { state: OperationState }) => ['succeeded', 'refused', 'failed'].includes(state);

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
