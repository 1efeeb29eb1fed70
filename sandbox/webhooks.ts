import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Faults, WEBHOOK_OPERATION } from './faults.ts';

/** Someone who wants to hear of a link. */
export interface Subscriber {
  address: string;
  /** Headers of one attempt: asked anew each time, since some providers sign the time of sending. */
  headers(body: string): Record<string, string>;
  /** Whether it still wants to hear. */
  live(): boolean;
  /** Told after each attempt that settles a delivery: `true` delivered, `false` given up. */
  settled(delivered: boolean): void;
}

/** News about a link, as one body for all subscribers. */
export interface Notice {
  link: string;
  /** Ids and references a fault may name the link by. */
  names: readonly string[];
  body: string;
  subscribers: readonly Subscriber[];
}

/** How often and when: `webhook: 'never'` keeps the news for a later resend. */
export interface DeliveryOrder {
  webhook?: 'now' | 'never';
  times?: number;
  delayMs?: number;
}

/** The first attempt's HTTP status, `unreachable`, or `lost` to a fault. */
export type Attempt = number | 'unreachable' | 'lost';

/** What became of all attempts, and of whose news a listener has taken. */
export interface Tally {
  /** Answered 2xx, answered otherwise, not answered, lost to a fault. */
  attempts: Record<'accepted' | 'refused' | 'unreachable' | 'lost', number>;
  /** Link → the state it was in at this instant (RFC 3339) is the newest a listener has answered 2xx to. */
  accepted: Record<string, string>;
}

export interface Deliveries {
  /** Sends, and resolves to the first attempts; retries go on behind. With `delayMs` it resolves at once, to nothing. */
  send(notice: Notice, order?: DeliveryOrder): Promise<Attempt[]>;
  /** The newest notice of a link. */
  latest(link: string): Notice | undefined;
  /** Of one link's news, or of all; attempts are always all. */
  tally(link?: string): Tally;
  /** Resolves when no first attempt about the link is under way. */
  quiet(link: string): Promise<void>;
  close(): void;
}

export interface DeliveryOptions {
  faults: Faults;
  log(message: string, fields?: Record<string, unknown>): void;
  /** Waits before the second, third … attempt. No provider publishes its schedule; this one is short at first so that
   * a listener's restart is bridged, and ends soon because polling covers the rest. */
  retryMs?: readonly number[];
  timeoutMs?: number;
}

const RETRY_MS = [1_000, 5_000, 15_000, 60_000, 300_000];
const TIMEOUT_MS = 10_000;

/** Lower-case hex HMAC of the body's bytes, by the sandbox's own code: the engine's verifier must not check itself. */
export function hmacHex(algorithm: 'sha256' | 'sha512', key: string, body: string): string {
  return createHmac(algorithm, key).update(body, 'utf8').digest('hex');
}

/** Delivers webhooks. Nothing it waits for keeps the process alive, and `close` ends all of it. */
export function createDeliveries(options: DeliveryOptions): Deliveries {
  const { faults, log, retryMs = RETRY_MS, timeoutMs = TIMEOUT_MS } = options;
  const closing = new AbortController();
  const newest = new Map<string, Notice>();
  const madeAt = new WeakMap<Notice, number>();
  const attempts: Tally['attempts'] = { accepted: 0, refused: 0, unreachable: 0, lost: 0 };
  const accepted = new Map<string, number>();
  const underWay = new Map<string, Set<Promise<unknown>>>();

  const pause = (ms: number) => sleep(ms, undefined, { ref: false, signal: closing.signal });

  async function attempt(notice: Notice, to: Subscriber): Promise<Attempt> {
    const fault = faults.take(WEBHOOK_OPERATION, notice.names);
    if (fault?.kind === 'slow') await pause(fault.delayMs ?? TIMEOUT_MS);
    else if (fault?.kind === 'duplicate') for (let copy = 1; copy < (fault.times ?? 2); copy++) void post(notice, to);
    else if (fault) {
      attempts.lost++;
      return 'lost';
    }
    return post(notice, to);
  }

  async function post(notice: Notice, to: Subscriber): Promise<Attempt> {
    try {
      const response = await fetch(to.address, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...to.headers(notice.body) },
        body: notice.body,
        redirect: 'manual',
        signal: AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)]),
      });
      await response.body?.cancel();
      if (!response.ok) attempts.refused++;
      else {
        attempts.accepted++;
        accepted.set(notice.link, Math.max(accepted.get(notice.link) ?? 0, madeAt.get(notice) ?? 0));
      }
      return response.status;
    } catch {
      attempts.unreachable++;
      return 'unreachable';
    }
  }

  // A lost delivery is not retried: to the provider it looks delivered.
  const isSettled = (result: Attempt) =>
    result === 'lost' || (typeof result === 'number' && result >= 200 && result < 300);

  async function retry(notice: Notice, to: Subscriber, first: Attempt): Promise<void> {
    let result = first;
    for (const wait of retryMs) {
      if (isSettled(result)) break;
      await pause(wait);
      if (!to.live()) return;
      result = await attempt(notice, to);
    }
    if (!isSettled(result)) log('webhook given up', { address: to.address, link: notice.link, result });
    to.settled(isSettled(result));
  }

  async function deliver(notice: Notice, to: Subscriber): Promise<Attempt> {
    const result = await attempt(notice, to);
    // Only `close` can make it fail: then there is nobody left to deliver for.
    retry(notice, to, result).catch(() => {});
    return result;
  }

  function track<T>(link: string, work: Promise<T>): Promise<T> {
    const works = underWay.get(link) ?? new Set();
    underWay.set(link, works.add(work));
    const done = () => {
      works.delete(work);
      if (works.size === 0) underWay.delete(link);
    };
    work.then(done, done);
    return work;
  }

  return {
    async send(notice, { webhook = 'now', times = 1, delayMs = 0 } = {}) {
      const known = newest.get(notice.link);
      // What is sent again tells of what was then.
      madeAt.set(notice, (known?.body === notice.body && madeAt.get(known)) || Date.now());
      newest.set(notice.link, notice);
      if (webhook === 'never') return [];
      const copies = Array.from({ length: times }, () => notice.subscribers.filter((to) => to.live())).flat();
      const sendAll = () => track(notice.link, Promise.all(copies.map((to) => deliver(notice, to))));
      if (delayMs === 0) return sendAll().catch(() => []);
      pause(delayMs)
        .then(sendAll)
        .catch(() => {});
      return [];
    },
    latest: (link) => newest.get(link),
    tally: (of) => ({
      attempts: { ...attempts },
      accepted: Object.fromEntries(
        [...(of === undefined ? accepted.keys() : [of])].flatMap((link) => {
          const at = accepted.get(link);
          return at === undefined ? [] : [[link, new Date(at).toISOString()]];
        }),
      ),
    }),
    async quiet(link) {
      await Promise.allSettled(underWay.get(link) ?? []);
    },
    close: () => closing.abort(),
  };
}
