import type { LedgerEntry } from '../sandbox/ledger.ts';
import type { Answer } from './sandbox-merchant.ts';

export const KEYS = { 'app-id': 'sandbox-beqelal-app', 'api-key': 'sandbox-beqelal-key' };
export const WEBHOOK_SECRET = 'sandbox-beqelal-webhook-secret';

/** What a customer fills in to pay. */
export const PAYER = { bank: 'Kacha DFS', phone: '0911000001', pin: '1234' };

/** Addis Ababa's time of an instant, as the test itself reckons it: three hours ahead of UTC, all year. */
export const addis = (at: number) => new Date(at + 3 * 3_600_000).toISOString().slice(0, 19);

let links = 0;

/** A create body that is always valid and never the same. */
export function linkBody() {
  return {
    phone: '+251911000000',
    amount: 1000,
    expires_at: addis(Date.now() + 3_600_000),
    callback_url: 'http://127.0.0.1:9/nobody',
    trace_number: `trace-${++links}`,
  };
}

/** Talks to the Beqelal sandbox as a merchant, a customer and the control plane would. */
export function beqelalMerchant(url: string) {
  async function call(
    method: string,
    path: string,
    sent?: unknown,
    headers: Record<string, string> = KEYS,
  ): Promise<Answer> {
    const response = await fetch(`${url}/beqelal/api/v1${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof sent === 'string' || sent === undefined ? sent : JSON.stringify(sent),
      signal: AbortSignal.timeout(10_000),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  }

  async function control(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${url}/__sandbox/beqelal/${path}`, {
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
      const { status, body } = await call('POST', '/create/payment-link', { ...linkBody(), ...change });
      if (status !== 200) throw new Error(`create: ${status} ${JSON.stringify(body)}`);
      return body;
    },
    read: async (trace: string) => (await call('GET', `/payment/status/${encodeURIComponent(trace)}`)).body,
    fault: async (fault: Record<string, unknown>) => {
      const answer = await control('POST', 'faults', fault);
      if (answer.status !== 201) throw new Error(answer.body.error);
      return answer.body;
    },
    /** Ledger entries about one link, as short texts: `captured 100000 ETB`. */
    async ledger(link: string) {
      const { body } = await control('GET', 'ledger');
      const entries: LedgerEntry[] = body.entries;
      return entries
        .filter((entry) => entry.link === link)
        .map(({ kind, amount, currency }) => [kind, amount, currency].filter((part) => part !== undefined).join(' '));
    },
    pay: (page: string, change: Record<string, string> = {}) =>
      fetch(page, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ ...PAYER, ...change }) }),
  };
}
