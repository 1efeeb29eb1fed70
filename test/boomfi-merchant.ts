import { MERCHANTS } from '../sandbox/boomfi/merchants.ts';
import type { LedgerEntry } from '../sandbox/ledger.ts';

export const BOOMFI = MERCHANTS[0]!;

/** A wallet that can pay; one that ends in `dead` cannot. */
export const WALLET = {
  asset: 'USDC',
  network: '137',
  wallet: '0x00000000000000000000000000000000000000A1',
  terms: 'yes',
};

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects, and fails where it is not
  body: any;
  headers: Headers;
}

let links = 0;

/** A create body that is always valid and never the same. */
export function linkBody() {
  links += 1;
  return { name: 'Tea & cake', amount: '10.50', currency: 'USD', reference: `order-${links}` };
}

/** Talks to the BoomFi sandbox as a merchant, a customer and the control plane would. */
export function boomfiMerchant(url: string) {
  const send = async (
    address: string,
    method: string,
    sent?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const response = await fetch(address, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof sent === 'string' || sent === undefined ? sent : JSON.stringify(sent),
      signal: AbortSignal.timeout(10_000),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  };
  const call = (
    method: string,
    path: string,
    sent?: unknown,
    headers: Record<string, string> = { 'x-api-key': BOOMFI.apiKey },
  ) => send(`${url}/boomfi/v1${path}`, method, sent, headers);
  const control = (method: string, path: string, sent?: unknown) =>
    send(`${url}/__sandbox/boomfi/${path}`, method, sent);
  const pageOf = (id: string) => `${url}/boomfi/pay/${id}`;

  return {
    call,
    control,
    pageOf,
    async create(change: Record<string, unknown> = {}) {
      const { status, body } = await call('POST', '/paylinks', { ...linkBody(), ...change });
      if (status !== 200) throw new Error(`create: ${status} ${JSON.stringify(body)}`);
      return body.data;
    },
    /** What the list shows of one link. */
    async read(id: string) {
      const { body } = await call('GET', '/paylinks?sort=asc');
      return body.data.items.find((item: { id: string }) => item.id === id);
    },
    /** The payments of one link, oldest first. */
    async payments(id: string) {
      const { body } = await call('GET', '/payments?sort=asc');
      return body.data.items.filter((item: { payment_link: { id: string } }) => item.payment_link.id === id);
    },
    fault: async (fault: Record<string, unknown>) => {
      const answer = await control('POST', 'faults', fault);
      if (answer.status !== 201) throw new Error(answer.body.error);
      return answer.body;
    },
    /** Ledger entries about one link, as short texts: `captured 1050 USD`. */
    async ledger(link: string) {
      const { body } = await control('GET', 'ledger');
      const entries: LedgerEntry[] = body.entries;
      return entries
        .filter((entry) => entry.link === link)
        .map(({ kind, amount, currency }) => [kind, amount, currency].filter((part) => part !== undefined).join(' '));
    },
    pay: (id: string, change: Record<string, string> = {}) =>
      fetch(pageOf(id), { method: 'POST', redirect: 'manual', body: new URLSearchParams({ ...WALLET, ...change }) }),
    publicKey: async () => (await fetch(`${url}/boomfi/public-key.pem`)).text(),
  };
}
