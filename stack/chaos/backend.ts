/** A merchant's backend: it asks by HTTP, asks again when it was not heard, and remembers what it was told. */
import { isSettled, type Link, type LinkOperation } from '../../workflows/link.ts';
import { type Answer, pause, type Shop } from '../shop.ts';
import type { Ack } from './checker.ts';

/** The instant by which everything must have come about; not known before the faults are over. */
export interface Deadline {
  at: number;
}

export type Backend = ReturnType<typeof openBackend>;

/** How often a command that was given up is ordered anew, under another key. */
const MOST_ORDERS = 5;
/** How often a create that was refused is tried again: the reference is free then. */
const MOST_CREATES = 2;
const AGAIN_MS = 400;
const LOOK_MS = 300;
const LOOK_SELDOM_MS = 3_000;

export function openBackend(shop: Shop, deadline: Deadline) {
  const acks = new Map<string, Ack[]>();
  const acksOf = (reference: string): Ack[] => {
    const known = acks.get(reference) ?? [];
    acks.set(reference, known);
    return known;
  };

  function inTime(what: string): void {
    if (Date.now() > deadline.at) throw new Error(`${what} had not come about when the time was up`);
  }

  /** Not heard, or told to come again: the same request again is safe. */
  async function ask<Body>(what: string, call: () => Promise<Answer<Body>>): Promise<Answer<Body>> {
    for (;;) {
      const answer = await call().catch(() => undefined);
      if (answer && answer.status !== 503) return answer;
      inTime(what);
      await pause(AGAIN_MS);
    }
  }

  async function get(reference: string): Promise<Answer<Link>> {
    return ask(`an answer to GET ${reference}`, () => shop.get(reference));
  }

  /** Reads at growing distance. @throws when the time is up */
  async function until(reference: string, what: string, holds: (link: Link) => boolean): Promise<Link> {
    for (let wait = LOOK_MS; ; wait = Math.min(wait * 1.4, LOOK_SELDOM_MS)) {
      const { status, body } = await get(reference);
      if (status === 200 && holds(body)) return body;
      inTime(`${what} of ${reference}, which reads ${status === 200 ? body.status : status},`);
      await pause(wait);
    }
  }

  /** Undefined when the provider, or an operator for it, has said no as often as we ask. */
  async function create(reference: string, orderNow: () => object, doubled: boolean): Promise<Link | undefined> {
    let order = orderNow();
    for (let refused = 0; refused < MOST_CREATES; ) {
      const sent = Array.from({ length: doubled ? 2 : 1 }, () => ask('a create', () => shop.create(order)));
      const { status, body } = (await Promise.all(sent)).at(-1)!;
      const { code } = body as unknown as { code?: string };
      if (status <= 202) {
        acksOf(reference).push({ verb: 'create', key: reference, status, providerLinkId: body.providerLinkId });
        const made = await until(reference, 'the link', (link) => link.url !== null || link.status === 'failed');
        if (made.status !== 'failed') return made;
        // A link was made, and closed by hand: a merchant takes another reference then.
        if (made.operations.some(({ error }) => error?.code === 'resolved_absent')) return undefined;
        refused++;
      } else if (code === 'provider_refused') {
        refused++;
      } else if (status === 422) {
        // Nothing was made, or it would be the answer: by the time we were heard the expiry we asked for had passed.
        inTime(`a create, answered ${code},`);
        order = orderNow();
      } else {
        throw new Error(`create answered ${status}: ${JSON.stringify(body)}`);
      }
    }
    return undefined;
  }

  /** Gives a command until it is done or a person's turn; one that came to nothing is ordered anew. */
  async function order(reference: string, verb: string, body: object, name: string, doubled: boolean) {
    for (let tries = 1; ; tries++) {
      const done = await once(reference, verb, body, `${name}-${tries}`, doubled);
      if (done) return done;
      if (tries === MOST_ORDERS) throw new Error(`${verb} came to nothing ${tries} times`);
    }
  }

  /** Undefined when the operation came to nothing. */
  async function once(
    reference: string,
    verb: string,
    request: object,
    key: string,
    doubled: boolean,
  ): Promise<LinkOperation | undefined> {
    const what = `${verb} ${key}`;
    const operationIn = (link: Link) => link.operations.find(({ id }) => id === key);
    for (;;) {
      const sent = Array.from({ length: doubled ? 2 : 1 }, () =>
        ask(what, () => shop.order(reference, verb, request, key)),
      );
      const { status, body } = (await Promise.all(sent)).at(-1)!;
      if (status <= 202) {
        const { state } = body.operation ?? operationIn(body) ?? {};
        acksOf(reference).push({ verb, key, status, state });
      }
      if (status === 400 || status === 404) throw new Error(`${what} answered ${status}: ${JSON.stringify(body)}`);
      const { body: link } = await get(reference);
      const known = operationIn(link);
      if (known) {
        const over = await until(reference, what, (link) => isOver(operationIn(link)!));
        const operation = operationIn(over)!;
        return operation.state === 'refused' || operation.state === 'failed' ? undefined : operation;
      }
      const refund = link.operations.find(({ kind, state }) => kind === 'refund' && state === 'succeeded');
      if (verb === 'mark-refunded' && refund) return refund; // The provider told of it before we did.
      // Not allowed now, perhaps because something else is still unknown.
      inTime(`${what}, answered ${status} ${(body as unknown as { code?: string }).code},`);
      await pause(AGAIN_MS * 2);
    }
  }

  return { acksOf, ask, get, until, create, order };
}

/** Nobody needs to wait for it; what is left is done by hand. */
const isOver = (operation: LinkOperation) => isSettled(operation) || operation.error?.code === 'refund_manual';
