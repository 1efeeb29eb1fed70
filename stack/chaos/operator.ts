/**
 * The person who looks after what the engine cannot find out: sees what is parked, looks at the provider (the ledger),
 * and answers. Everything is done through the API and the provider's portal (the control plane).
 */
import type { Tally } from '../../sandbox/webhooks.ts';
import type { Link, LinkOperation } from '../../workflows/link.ts';
import { pause, type Shop } from '../shop.ts';
import type { Backend } from './backend.ts';
import { moneyIn, payable } from './checker.ts';
import { BLIND } from './script.ts';

export interface Operator {
  /** What was done, and how often. */
  deeds: ReadonlyMap<string, number>;
  /**
   * By the reference of every create that was found absent: the provider links it had made all the same. Nobody has
   * their address, and they are closed.
   */
  orphans: ReadonlyMap<string, readonly string[]>;
  /** Resolves when what is under way is done. */
  stop(): Promise<void>;
}

interface Summary {
  reference: string;
}

/** Long enough for whatever was sent to have arrived, and for the engine to find out by itself. */
const PATIENCE_MS = 15_000;
const ROUND_MS = 1_500;
/** Where a provider's portal has no button of its own, time is made to run out. */
const PORTAL: Record<string, string> = { boomfi: 'disable', beqelal: 'deactivate' };

/** `say` is told of every deed. */
export function startOperator(shop: Shop, backend: Backend, say: (line: string) => void): Operator {
  const deeds = new Map<string, number>();
  const orphans = new Map<string, string[]>();
  const since = new Map<string, number>();
  const busy = new Map<string, Promise<unknown>>();
  const ordered = new Set<Promise<unknown>>();
  let orders = 0;
  let stopped = false;

  function did(what: string, reference: string): void {
    deeds.set(what, (deeds.get(what) ?? 0) + 1);
    say(`${reference}  operator: ${what}`);
  }

  async function found(query: string): Promise<string[]> {
    const { body } = await shop.api<{ items?: Summary[] }>('GET', `/v1/payment-links?limit=100&${query}`);
    return (body.items ?? []).map(({ reference }) => reference);
  }

  /** Whether it has been like this for long enough. */
  function waited(what: string): boolean {
    const first = since.get(what) ?? Date.now();
    since.set(what, first);
    return Date.now() - first >= PATIENCE_MS;
  }

  async function resolve(link: Link): Promise<void> {
    const { reference } = link;
    for (const operation of link.operations.filter(({ state }) => state === 'unknown')) {
      if (!waited(`${reference} ${operation.id} ${operation.at}`)) continue;
      const outcome = (await happened(link, operation)) ? 'happened' : 'absent';
      if (outcome === 'absent' && operation.kind === 'cancel' && PORTAL[link.provider!]) {
        // What is closed by hand is seen by the engine, and is what it wanted.
        await closeInPortal(link, link.providerLinkId!);
        await shop.order(reference, 'resync');
        continue;
      }
      if (outcome === 'absent' && operation.kind === 'create') await closeOrphans(link);
      await answer(reference, operation.id, outcome);
      did(`resolve-unknown ${operation.kind} ${outcome}`, reference);
      // The engine orders a thing once; who finds that it did not happen orders it again.
      if (outcome === 'absent' && operation.actor === 'perdure') await again(link, operation);
    }
  }

  /** What the ledger shows beyond what the link's settled operations explain. */
  async function happened(link: Link, { kind }: LinkOperation): Promise<boolean> {
    const entries = await shop.ledger(link.provider!, link.reference);
    const money = moneyIn(entries, link.currency);
    switch (kind) {
      case 'refund':
        return money.refunded > refundedBy(link);
      case 'capture':
        return money.captured > 0;
      case 'create':
        return payable(entries).length > 0 && (await adoptable(link));
      default:
        // A link may be closed, and its hold not given back.
        return payable(entries, link).length === 0 && money.held === 0;
    }
  }

  /** Where the link can be found by its reference, saying so is enough to have it adopted, if it was not by itself. */
  async function adoptable({ reference }: Link): Promise<boolean> {
    const found = { operation: 'create', outcome: 'happened' };
    const key = `operator-${++orders}`;
    const { status } = await backend.ask(reference, `an adoption by ${key}`, () =>
      shop.order(reference, 'resolve-unknown', found, key),
    );
    return status === 200 || (await backend.get(reference)).body.providerLinkId !== null;
  }

  async function closeOrphans({ reference, provider }: Link): Promise<void> {
    const entries = await shop.ledger(provider!, reference);
    for (const id of payable(entries)) await closeInPortal({ reference, provider }, id);
    orphans.set(reference, [...new Set(entries.map(({ link }) => link))]);
  }

  async function closeInPortal(
    { reference, provider }: Pick<Link, 'reference' | 'provider'>,
    id: string,
  ): Promise<void> {
    await shop.control('POST', `/${provider}/links/${id}/${PORTAL[provider!] ?? 'expire'}`, { webhook: 'never' });
    did('closed in the portal', reference);
  }

  async function answer(reference: string, operation: string, outcome: string): Promise<void> {
    const request = { operation, outcome, reason: 'looked at the provider' };
    const key = `operator-${++orders}`;
    await backend.ask(reference, `an answer to ${key}`, () => shop.order(reference, 'resolve-unknown', request, key));
  }

  async function again({ reference, currency }: Link, { kind, amount }: LinkOperation): Promise<void> {
    const { body } = await backend.get(reference);
    if (!(body.allowed as string[]).includes(kind)) return;
    const money = kind === 'refund' && amount !== undefined ? { amount: { minor: amount, currency } } : {};
    const request = { ...money, reason: 'did not happen before' };
    // Not waited for: what becomes of it may be the operator's turn again.
    const done = backend.order(reference, kind, request, `operator-${++orders}`, false).catch(() => undefined);
    ordered.add(done);
    did(`ordered a ${kind} again`, reference);
  }

  /** Money that no webhook told of, where nobody but a person can look. */
  async function vouch(link: Link): Promise<void> {
    const { reference, currency, provider, providerLinkId } = link;
    const entries = await shop.ledger(provider!, reference);
    const paid = entries.find(({ kind }) => kind === 'captured');
    if (!paid || link.captured > 0 || !waited(`${reference} paid`)) return;
    const { accepted } = await shop.control<Tally>('GET', `/${provider}/deliveries?link=${providerLinkId}`);
    if ((accepted[providerLinkId!] ?? '') >= paid.at) return;
    const request = { amount: { minor: paid.amount, currency }, reason: 'seen in the portal' };
    await backend.order(reference, 'mark-paid', request, `operator-${++orders}`, false);
    did('mark-paid', reference);
  }

  async function look(query: string, act: (link: Link) => Promise<void>): Promise<void> {
    for (const reference of await found(query)) {
      if (busy.has(reference)) continue;
      const work = backend
        .get(reference)
        .then(({ status, body }) => (status === 200 ? act(body) : undefined))
        // Not heard, or overtaken: the next round looks again.
        .catch(() => undefined)
        .finally(() => busy.delete(reference));
      busy.set(reference, work);
    }
  }

  async function rounds(): Promise<void> {
    while (!stopped) {
      await look('exception=unknown_outcome', resolve).catch(() => undefined);
      await look(`account=${BLIND.account}&status=pending`, vouch).catch(() => undefined);
      await pause(ROUND_MS);
    }
    await Promise.all([...busy.values(), ...ordered]);
  }
  const running = rounds();

  return {
    deeds,
    orphans,
    async stop() {
      stopped = true;
      await running;
    },
  };
}

function refundedBy({ operations }: Link): number {
  return operations
    .filter(({ kind, state }) => kind === 'refund' && state === 'succeeded')
    .reduce((sum, { amount }) => sum + (amount ?? 0), 0);
}
