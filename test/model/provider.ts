import { createHmac, randomUUID } from 'node:crypto';
import { z } from 'zod';
import type * as contract from '../../activities/provider.ts';
import { pause } from '../../stack/shop.ts';
import { closingOf, type Facts, newestOpening, sums } from '../../workflows/facts.ts';
import type { Terms, WriteKind } from '../../workflows/link.ts';
import type { Fault, Market, Shelf } from './merchant.ts';

interface Kind {
  repeatable: readonly WriteKind[];
  expiresByItself: boolean;
  reusable: boolean;
}

/** The kinds of providers there are. */
export const KINDS = {
  /** Dedupes by key, holds money, ends links by itself. */
  full: { repeatable: ['create', 'capture', 'cancel', 'refund'], expiresByItself: true, reusable: false },
  /** Nothing may be repeated; a link takes money until it is told not to, and can be opened again. */
  plain: { repeatable: [], expiresByItself: false, reusable: true },
  /** Cannot be asked: its signed webhooks are all there is. */
  mute: { repeatable: ['create', 'refund'], expiresByItself: true, reusable: false },
} satisfies Record<string, Kind>;
export type KindName = keyof typeof KINDS;

/** The classes of the code under test: a copy of it has its own. */
export type Errors = Pick<typeof contract, 'ProviderError' | 'NotAuthentic'>;

/** What a webhook says. `facts` are evidence where nobody can be asked, and gossip elsewhere. */
export interface Notice {
  id: string;
  reference?: string;
  ids: string[];
  facts?: Facts;
}

export const SECRET = 'a secret of the model provider';
export const SIGNATURE = 'x-model-signature';
export const sign = (body: string, secret: string): string => createHmac('sha256', secret).update(body).digest('hex');

type Move = 'capture' | 'cancel' | 'refund';
type Witnessed = Pick<contract.WriteCall, 'known' | 'terms' | 'amount'>;

/** A write takes the provider so long. */
const SERVICE_MS = 20;
/** What happened so short a time ago need not be known yet. */
const SLACK_MS = 400;

/** A provider without a network: the contract of the adapters, over a truth that can be looked at. */
export function modelProvider(
  name: string,
  kind: KindName,
  { ProviderError, NotAuthentic }: Errors,
  { market, attemptMs }: { market: Market; attemptMs: number },
): contract.Provider<{ webhookSecrets: string[] }> {
  const { repeatable, expiresByItself, reusable }: Kind = KINDS[kind];
  const askable = kind !== 'mute';
  const no = (what: contract.ProviderErrorKind, code: string, { customer }: Terms) =>
    // Providers repeat what they were sent.
    new ProviderError(what, code, `${code}, dear ${customer?.name} (${customer?.email})`, 50);

  /** Does `act` the way the fault has it. */
  async function serve<T>(fault: Fault | undefined, shelf: Shelf, terms: Terms, act: () => T): Promise<T> {
    const lost = no('unknown', `answer_${fault?.replace(' ', '_')}`, terms);
    endOverdue(shelf);
    switch (fault) {
      case 'refused':
        throw no('refused', 'not_today', terms);
      case 'busy':
        throw no('rate_limited', 'too_many_requests', terms);
      case 'not sent':
        throw no('not_sent', 'connection_refused', terms);
      case 'lost before':
        throw lost;
      case 'lost after':
        act();
        throw lost;
      case 'late':
        void late(shelf, act);
        throw lost;
      case 'hang after':
        act();
        await pause(attemptMs * 1.2);
        throw lost;
      case 'hang':
        await pause(attemptMs * 1.2);
        throw lost;
      default: {
        const answer = act();
        if (fault === 'early') await shelf.tellEarly?.();
        shelf.told();
        return answer;
      }
    }
  }

  /** Nobody hears any more what came of it. */
  async function late(shelf: Shelf, act: () => unknown): Promise<void> {
    shelf.underway += 1;
    await pause(attemptMs / 3);
    shelf.underway -= 1;
    try {
      act();
    } catch {}
  }

  function endOverdue(shelf: Shelf): void {
    const money = shelf.truth.payments.some(({ held, taken }) => held + taken > 0);
    if (!expiresByItself || Date.now() < shelf.expiresAt || money) return;
    shelf.happens((truth) => truth.close('expired', shelf.expiresAt));
  }

  function answered(shelf: Shelf, id: string) {
    const { expiresAt } = shelf;
    const created = { providerLinkId: id, ids: [id, `${id}/order`], url: `https://pay.example/${id}` };
    return { ...shelf.look(), created: { ...created, paymentKey: `${id}/0`, expiresAt, expiresByItself } };
  }

  async function move(verb: Move, { terms, key, amount, payment, known }: contract.WriteCall) {
    const shelf = market.at(terms.reference);
    witness(shelf, verb, { known, terms, amount });
    await shelf.served(SERVICE_MS);
    return serve(shelf.next(verb), shelf, terms, () => {
      const before = shelf.calls.find((call) => call.verb === verb && call.key === key);
      if (before && before.amount !== amount) shelf.violations.push(`I6: ${key} for ${before.amount}, then ${amount}`);
      const done = repeatable.includes(verb) && shelf.effective(verb, key).length > 0;
      const call = { verb, key, amount, effective: false };
      shelf.calls.push(call);
      if (!done) {
        const why = refusal(shelf, verb, terms.currency, amount, payment);
        if (why) throw no('refused', why, terms);
        shelf.happens((truth, now) => {
          if (verb === 'capture') truth.capture(terms.currency, amount!);
          if (verb === 'refund') truth.refund(terms.currency, amount!, payment);
          if (verb !== 'cancel') return;
          truth.release();
          truth.close('cancelled', now);
        });
        call.effective = true;
      }
      return { ...shelf.look(), providerId: `${verb}-${shelf.calls.length}` };
    });
  }

  /** Why the provider says no. */
  function refusal({ truth }: Shelf, verb: Move, currency: string, amount = 0, payment?: string): string | undefined {
    const { held, captured } = truth.sums(currency);
    if (verb === 'cancel') {
      if (truth.closed && held === 0) return 'already_closed';
      return captured > 0 && !reusable ? 'already_paid' : undefined;
    }
    if (verb === 'capture') return amount > 0 && amount <= held ? undefined : 'nothing_held';
    const own = truth.payments.filter((p) => p.currency === currency && (payment === undefined || p.key === payment));
    const left = own.reduce((sum, { taken, returned }) => sum + taken - returned, 0);
    return amount > 0 && amount <= left ? undefined : 'more_than_was_paid';
  }

  /** What must be so whenever a write comes in. */
  function witness(shelf: Shelf, verb: Move, { known, terms, amount = 0 }: Witnessed): void {
    const old = Date.now() - shelf.changedAt > SLACK_MS;
    const blind = askable && old && shelf.toldVersion !== shelf.truth.version;
    if (blind) shelf.violations.push(`I2: ${verb} without a look at what stands`);
    const { captured, refunded, held } = sums(known, terms.currency);
    const movable = { capture: held, refund: captured - refunded, cancel: 0 }[verb];
    if (amount > movable) shelf.violations.push(`I2: a ${verb} of ${amount}, where ${movable} is known to be there`);
    if (verb !== 'cancel' || reusable) return;
    if (captured > 0) shelf.violations.push('I3: a cancel of what is known to be paid');
    const over = closingOf(newestOpening(known))?.confirmed && held === 0;
    if (over) shelf.violations.push('I3: a cancel of what is known to be closed');
  }

  return {
    ...{ name, repeatable, reusable, statuses: {}, partial: { capture: true, refund: true }, accepts: () => [] },
    config: z.object({ webhookSecrets: z.array(z.string()) }),

    async create(_call, { terms, key, callbackUrl }) {
      const shelf = market.at(terms.reference);
      await shelf.served(SERVICE_MS);
      return serve(shelf.next('create'), shelf, terms, () => {
        const done = repeatable.includes('create') && shelf.effective('create', key).length > 0;
        shelf.calls.push({ verb: 'create', key, effective: !done });
        if (!done) {
          shelf.objects.push(`${kind}-${randomUUID().slice(0, 8)}`);
          shelf.callbackUrl = callbackUrl;
          shelf.expiresAt = terms.expiresAt!;
          if (shelf.objects.length === 1) shelf.happens((truth, now) => truth.open(now));
        }
        return answered(shelf, done ? shelf.objects[0]! : shelf.objects.at(-1)!);
      });
    },

    refund: (_call, _link, write) => move('refund', write),
    cancel: (_call, _link, write) => move('cancel', write),
    ...(kind === 'full' && {
      capture: (_call: unknown, _link: unknown, write: contract.WriteCall) => move('capture', write),
    }),

    ...(askable && {
      async inquire(_call: unknown, _link: unknown, { terms }: { terms: Terms }) {
        const shelf = market.at(terms.reference);
        const fault = shelf.next('inquire');
        return serve(fault, shelf, terms, () => (fault === 'stale' ? shelf.staleLook() : shelf.look()));
      },
      async findByReference(_call: unknown, { terms }: { terms: Terms }) {
        const shelf = market.at(terms.reference);
        const [id] = shelf.objects;
        return serve(shelf.next('find'), shelf, terms, () => (id === undefined ? undefined : answered(shelf, id)));
      },
    }),
    ...(kind === 'mute' && {
      async findByIds(_call: unknown, { terms, ids }: { terms: Terms; ids: readonly string[] }) {
        const shelf = market.at(terms.reference);
        const id = shelf.objects.find((each) => ids.includes(each));
        return serve(shelf.next('find'), shelf, terms, () => (id === undefined ? undefined : answered(shelf, id)));
      },
    }),
    ...(kind === 'plain' && {
      async extend(_call: unknown, _link: unknown, attempt: { terms: Terms; expiresAt: number; opening: number }) {
        const { terms, expiresAt, opening } = attempt;
        const shelf = market.at(terms.reference);
        return serve(shelf.next('extend'), shelf, terms, () => {
          shelf.expiresAt = expiresAt;
          shelf.happens((truth, now) => {
            if (truth.openings.length <= opening) truth.open(now);
          });
          return answered(shelf, shelf.objects[0]!);
        });
      },
    }),

    webhook: {
      verify(request, { webhookSecrets }) {
        const body = Buffer.from(request.body).toString();
        const given = request.headers[SIGNATURE];
        if (!webhookSecrets.some((secret) => sign(body, secret) === given)) throw new NotAuthentic('not signed');
        return 'signed';
      },
      read({ body }) {
        const { reference, ids, facts } = JSON.parse(Buffer.from(body).toString()) as Notice;
        return { reference, ids, facts };
      },
    },
  };
}
