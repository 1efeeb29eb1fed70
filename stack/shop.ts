/**
 * The people and systems around a link, over HTTP as they would act: a backend that calls the API, a customer who
 * fills in the pay page's form, and the sandbox's control plane for what neither of them can cause.
 */
import { PaymentLinks, type TimelineEntry } from '../client/index.ts';
import type { Link, LinkOperation } from '../workflows/link.ts';
import type { CreateRequest } from '../workflows/schema.ts';
import type { Timing } from '../workflows/state.ts';
import type { Stack } from './stack.ts';

/** What customers type into the pay pages: a means of payment that is good, and one that is declined. */
export const FORMS = {
  paymennt: {
    good: { cardNumber: '4242 4242 4242 4242', cardName: 'TEST USER', expiry: '12/30', cvv: '100', terms: 'yes' },
    declined: { cardNumber: '4000 0000 0000 0002', cardName: 'TEST USER', expiry: '12/30', cvv: '100', terms: 'yes' },
  },
  beqelal: {
    good: { bank: 'Kacha DFS', phone: '0911000001', pin: '1234' },
    declined: { bank: 'Kacha DFS', phone: '0911000001', pin: '9999' },
  },
  paymob: {
    good: { cardNumber: '5123456789012346', cardName: 'Test Account', expiry: '01/39', cvv: '123', terms: 'yes' },
    declined: { cardNumber: '4000000000000002', cardName: 'Test Account', expiry: '01/39', cvv: '123', terms: 'yes' },
  },
  boomfi: {
    good: { asset: 'USDC', network: '137', wallet: `0x${'1a'.repeat(20)}`, terms: 'yes' },
    declined: { asset: 'USDC', network: '137', wallet: `0x${'dead'.repeat(10)}`, terms: 'yes' },
  },
  katu9: { good: { vpa: 'success@upi', terms: 'yes' }, declined: { vpa: 'empty@upi', terms: 'yes' } },
} satisfies Record<string, { good: Record<string, string>; declined: Record<string, string> }>;

/** One entry of the sandbox's ledger, as its control plane gives it. */
export interface LedgerEntry {
  seq: number;
  /** RFC 3339 instant in UTC. */
  at: string;
  kind: string;
  link: string;
  reference: string;
  payment?: string;
  amount?: number;
  currency?: string;
}

export interface Answer<Body> {
  status: number;
  body: Body;
}

export type Shop = ReturnType<typeof openShop>;

export function openShop({
  gateway,
  sandbox,
  client,
}: Pick<Stack, 'gateway' | 'sandbox'> & Partial<Pick<Stack, 'client'>>) {
  const api = async <Body>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${gateway.apiUrl}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Body } satisfies Answer<Body>;
  };

  const control = async <Body>(method: string, path: string, body?: unknown): Promise<Body> => {
    const response = await fetch(`${sandbox.url}/__sandbox${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`control plane ${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Body;
  };

  const linkPath = (reference: string) => `/v1/payment-links/${encodeURIComponent(reference)}`;

  return {
    api,
    control,

    create: (request: object) => api<Link>('POST', '/v1/payment-links', request),
    /** Past the gateway, with waits of its own: how a link can be over before the provider's shortest life. */
    async createWith(timing: Partial<Timing>, request: CreateRequest): Promise<Answer<Link>> {
      if (!client) throw new Error('this shop has no Temporal client');
      const { link, created } = await new PaymentLinks(client, { timing }).create(request);
      return { status: created ? 201 : 200, body: link };
    },
    get: (reference: string) => api<Link>('GET', linkPath(reference)),
    timeline: (reference: string) => api<{ items: TimelineEntry[] }>('GET', `${linkPath(reference)}/timeline`),
    /** A command; without a key it is one of its own. */
    order: (
      reference: string,
      verb: string,
      body: object = {},
      key = `${verb}-${Math.random().toString(36).slice(2)}`,
    ) =>
      api<Link & { operation?: LinkOperation }>('POST', `${linkPath(reference)}/${verb}`, body, {
        'idempotency-key': key,
      }),

    /** Opens the pay page and submits its form, as a browser without scripts would; the page it ends on. */
    async pay(url: string, form: Record<string, string> = FORMS.paymennt.good): Promise<string> {
      const page = await fetch(url);
      const html = await page.text();
      if (!html.includes('id="pay-form"')) throw new Error(`there is nothing to pay at ${url}`);
      const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form) });
      return answer.text();
    },

    /** Reads until `holds`, or gives back the last link seen when the time is over. */
    async until(reference: string, holds: (link: Link) => boolean, timeoutMs = 20_000): Promise<Link> {
      for (const end = Date.now() + timeoutMs; ; await pause(100)) {
        const { body } = await this.get(reference);
        if (holds(body) || Date.now() > end) return body;
      }
    },

    async ledger(provider: string, reference: string): Promise<LedgerEntry[]> {
      const path = `/${provider}/ledger?reference=${encodeURIComponent(reference)}`;
      return (await control<{ entries: LedgerEntry[] }>('GET', path)).entries;
    },
  };
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
