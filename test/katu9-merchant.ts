import { MERCHANTS } from '../sandbox/katu9/merchants.ts';
import type { LedgerEntry } from '../sandbox/ledger.ts';
import type { Answer } from './sandbox-merchant.ts';

const [shop, stall] = MERCHANTS;

/** What a customer fills in to pay. */
export const PAYER = { vpa: 'success@upi', terms: 'yes' };

let transactions = 0;

/** A transaction body that is always valid and never the same. */
export const transactionBody = () => ({
  amount: 10.5,
  type: 'DEPOSIT',
  metadata: { reference: `order-${++transactions}` },
});

/** Talks to the Katu9 sandbox as a merchant, a customer and the control plane would. */
export function katu9Merchant(url: string, name: 'katu9' | 'katu9-new' = 'katu9', environment = 'SANDBOX') {
  const { token, id } = (name === 'katu9' ? shop : stall)!;
  const keys = { authorization: `Bearer ${token}`, 'x-katu9-merchant-id': id, 'x-katu9-environment': environment };

  async function call(
    method: string,
    path: string,
    sent?: unknown,
    headers: Record<string, string> = keys,
  ): Promise<Answer> {
    const response = await fetch(`${url}/katu9${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof sent === 'string' || sent === undefined ? sent : JSON.stringify(sent),
      signal: AbortSignal.timeout(10_000),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  }

  async function control(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${url}/__sandbox/katu9/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  }

  async function done(what: string, answer: Promise<Answer>, status: number): Promise<Answer['body']> {
    const { status: got, body } = await answer;
    if (got !== status) throw new Error(`${what}: ${got} ${JSON.stringify(body)}`);
    return body;
  }

  const deposit = async (change: Record<string, unknown> = {}) =>
    (await done('transaction', call('POST', '/transaction', { ...transactionBody(), ...change }), 201)).data;
  const generate = async (transactionId: string, change: Record<string, unknown> = {}) =>
    (await done('link', call('POST', '/payment-link/generate', { transactionId, ...change }), 200)).data.paymentLink;

  return {
    keys,
    call,
    control,
    deposit,
    generate,
    /** Both steps: the transaction's id and reference, and its payment link. */
    async create(change: Record<string, unknown> = {}, link: Record<string, unknown> = {}) {
      const { id, metadata } = await deposit(change);
      return { id, reference: metadata.reference, link: await generate(id, link) };
    },
    read: async (transaction: string) => (await done('read', call('GET', `/transaction?id=${transaction}`), 200)).data,
    act: (transaction: string, action: string, input?: object) =>
      control('POST', `links/${transaction}/${action}`, input),
    fault: (fault: Record<string, unknown>) => done('fault', control('POST', 'faults', fault), 201),
    /** Ledger entries about one link, as short texts: `captured 1050 INR`. */
    async ledger(link: string) {
      const entries: LedgerEntry[] = (await control('GET', 'ledger')).body.entries;
      return entries
        .filter((entry) => entry.link === link)
        .map(({ kind, amount, currency }) => [kind, amount, currency].filter((part) => part !== undefined).join(' '));
    },
    pay: (page: string, change: Record<string, string> = {}) =>
      fetch(page, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ ...PAYER, ...change }) }),
  };
}
