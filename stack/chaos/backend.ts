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
  const refused = new Set<string>();
  const wrong = new Map<string, string>();
  const acksOf = (reference: string): Ack[] => {
    const known = acks.get(reference) ?? [];
    acks.set(reference, known);
    return known;
  };

  function inTime(what: string): void {
    if (Date.now() > deadline.at) throw new Error(`${what} had not come about when the time was up`);
  }

  /** Not heard, or told to come again: the same request again is safe. @throws for what no caller may be told */
  async function ask<Body>(reference: string, what: string, call: () => Promise<Answer<Body>>): Promise<Answer<Body>> {
    for (;;) {
      const answer = await call().catch(() => undefined);
      if (answer && isWrong(answer)) {
        wrong.set(reference, told(what, answer));
        throw new Error(told(what, answer));
      }
      if (answer && answer.status !== 503) return answer;
      inTime(what);
      await pause(AGAIN_MS);
    }
  }

  /** Each is an answer of its own: none is taken for the other. */
  function askTwice<Body>(doubled: boolean, ...asked: Parameters<typeof ask<Body>>): Promise<Answer<Body>[]> {
    return Promise.all(Array.from({ length: doubled ? 2 : 1 }, () => ask(...asked)));
  }

  async function get(reference: string): Promise<Answer<Link>> {
    return ask(reference, `an answer to GET ${reference}`, () => shop.get(reference));
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
    for (let noes = 0; noes < MOST_CREATES; ) {
      const answers = await askTwice(doubled, reference, 'a create', () => shop.create(order));
      const heard = answers.filter(isOk);
      for (const { status, body } of heard) {
        acksOf(reference).push({ verb: 'create', key: reference, status, providerLinkId: body.providerLinkId });
      }
      const odd = answers.find((answer) => !isOk(answer) && answer.status !== 422);
      if (odd) throw new Error(told('a create', odd));
      if (heard.length > 0) {
        const made = await until(reference, 'the link', (link) => link.url !== null || link.status === 'failed');
        if (made.status !== 'failed') return made;
        // A link was made, and closed by hand: a merchant takes another reference then.
        if (made.operations.some(({ error }) => error?.code === 'resolved_absent')) return undefined;
        noes++;
      } else if (answers.some((answer) => codeOf(answer) === 'provider_refused')) {
        noes++;
      } else {
        // Nothing was made, or it would be the answer: by the time we were heard the expiry we asked for had passed.
        inTime(`a create, answered ${answers.map(codeOf).join(' and ')},`);
        order = orderNow();
      }
    }
    refused.add(reference);
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
      const answers = await askTwice(doubled, reference, what, () => shop.order(reference, verb, request, key));
      for (const { status, body } of answers.filter(isOk)) {
        const { state } = body.operation ?? operationIn(body) ?? {};
        acksOf(reference).push({ verb, key, status, state });
      }
      const odd = answers.find(({ status }) => status === 400 || status === 404);
      if (odd) throw new Error(told(what, odd));
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
      inTime(`${what}, answered ${answers.map((answer) => `${answer.status} ${codeOf(answer)}`).join(' and ')},`);
      await pause(AGAIN_MS * 2);
    }
  }

  /** Whether its create was refused as often as we ask. */
  const wasRefused = (reference: string): boolean => refused.has(reference);

  /** What was answered and must not have been, also to an operator who went on all the same. */
  const wrongOf = (reference: string): string | undefined => wrong.get(reference);

  return { acksOf, wasRefused, wrongOf, ask, get, until, create, order };
}

/** Requests that come again under a key or a reference are equal to the first. */
const CONFLICTS = ['idempotency_conflict', 'reference_conflict'];

/** A fault of the gateway's, or a conflict that is none. */
const isWrong = (answer: Answer<unknown>) =>
  (answer.status >= 500 && answer.status !== 503) || CONFLICTS.includes(codeOf(answer) ?? '');
const isOk = ({ status }: Answer<unknown>) => status <= 202;
const codeOf = ({ body }: Answer<unknown>) => (body as { code?: string }).code;
const told = (what: string, { status, body }: Answer<unknown>) => `${what} answered ${status}: ${JSON.stringify(body)}`;

/** Nobody needs to wait for it; what is left is done by hand. */
const isOver = (operation: LinkOperation) => isSettled(operation) || operation.error?.code === 'refund_manual';
