import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LedgerEntry } from '../sandbox/ledger.ts';
import { MERCHANTS } from '../sandbox/paymennt/merchants.ts';

/** An answer without the one field that is never the same twice. */
export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects, and fails where it is not
  body: any;
  headers: Headers;
}

const [seller, holder] = MERCHANTS;

/** Talks to the paymennt sandbox as a merchant, a customer and the control plane would. */
export function sandboxMerchant(url: string, name: 'paymennt' | 'paymennt-hold' = 'paymennt') {
  const { apiKey, apiSecret } = (name === 'paymennt' ? seller : holder)!;
  const keys = { 'x-paymennt-api-key': apiKey, 'x-paymennt-api-secret': apiSecret };

  async function call(method: string, path: string, sent?: unknown, headers: Record<string, string> = keys) {
    const response = await fetch(`${url}/paymennt/mer/v2.0${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof sent === 'string' || sent === undefined ? sent : JSON.stringify(sent),
      signal: AbortSignal.timeout(10_000),
    });
    const { elapsed, ...body }: Answer['body'] = await response.json();
    if (!Number.isInteger(elapsed)) throw new Error(`elapsed is not an integer: ${elapsed}`);
    return { status: response.status, body, headers: response.headers } satisfies Answer;
  }

  async function control(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${url}/__sandbox/paymennt/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  }

  return {
    call,
    control,
    async create(change: Record<string, unknown> = {}) {
      const { status, body } = await call('POST', '/checkout/link', { ...linkBody(), ...change });
      if (status !== 200) throw new Error(`create: ${status} ${JSON.stringify(body)}`);
      return body.result;
    },
    read: async (id: string) => (await call('GET', `/checkout/${id}`)).body.result,
    payment: async (id: string) => (await call('GET', `/payment/${id}`)).body.result,
    fault: async (fault: Record<string, unknown>) => {
      const answer = await control('POST', 'faults', fault);
      if (answer.status !== 201) throw new Error(answer.body.error);
      return answer.body;
    },
    /** Ledger entries about one link, as short texts: `captured 1050 AED`. */
    async ledger(link: string) {
      const { body } = await control('GET', 'ledger');
      const entries: LedgerEntry[] = body.entries;
      return entries
        .filter((entry) => entry.link === link)
        .map(({ kind, amount, currency }) => [kind, amount, currency].filter((part) => part !== undefined).join(' '));
    },
    pay: (redirectUrl: string, change: Record<string, string> = {}) =>
      fetch(redirectUrl, {
        method: 'POST',
        redirect: 'manual',
        body: new URLSearchParams({ ...CARD, ...change }),
      }),
  };
}

export const CARD = {
  cardNumber: '4242 4242 4242 4242',
  cardName: 'TEST USER',
  expiry: '12/25',
  cvv: '100',
  terms: 'yes',
};

let links = 0;

/** A create body that is always valid and never the same. */
export function linkBody() {
  const orderId = `order-${++links}`;
  return { requestId: `${orderId}-r1`, orderId, description: 'Tea & cake', currency: 'AED', amount: 10.5 };
}

export interface Delivery {
  /** Path and query. */
  url: string;
  headers: IncomingHttpHeaders;
  raw: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects, and fails where it is not
  body: any;
}

/** A listener that keeps what it hears and answers as told. */
export async function webhookListener() {
  const heard: Delivery[] = [];
  const answers: number[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks).toString();
    heard.push({ url: request.url ?? '', headers: request.headers, raw, body: JSON.parse(raw) });
    response.writeHead(answers.shift() ?? 200).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    heard,
    /** Statuses of the next answers; then 200 again. */
    answers,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Resolves once the condition holds; rejects, naming it, when it does not within `patienceMs`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, patienceMs = 10_000) {
  const end = Date.now() + patienceMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`Waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
