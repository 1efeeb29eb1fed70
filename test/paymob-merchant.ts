import type { LedgerEntry } from '../sandbox/ledger.ts';
import { MERCHANTS } from '../sandbox/paymob/merchants.ts';
import { type Answer, until } from './sandbox-merchant.ts';

/** The published test card; any other number is declined. */
export const CARD = {
  cardNumber: '5123 4567 8901 2346',
  cardName: 'Test Account',
  expiry: '01/39',
  cvv: '123',
  terms: 'yes',
};

/** Sale and auth integration of a currency, as the sandbox merchant has them. */
export const SALE = { EGP: '4097558', AED: '4097560', OMR: '4097562', JPY: '4097564' };
export const AUTH = { EGP: '4097559', AED: '4097561', OMR: '4097563' };

let links = 0;

/** A create form that is always valid and never the same. */
export function linkForm() {
  return { amount_cents: '1050', payment_methods: SALE.EGP, is_live: 'false', reference_id: `order-${++links}` };
}

/** Talks to the Paymob sandbox as a merchant, a customer and the control plane would. */
export function paymobMerchant(url: string, name: 'paymob' | 'paymob-gulf' = 'paymob') {
  const merchant = MERCHANTS.find((known) => known.name === name)!;
  let token = '';

  async function call(method: string, path: string, sent?: unknown, authorization?: string): Promise<Answer> {
    const isForm = sent instanceof FormData;
    const response = await fetch(`${url}/paymob/api${path}`, {
      method,
      headers: {
        ...(sent === undefined || isForm ? {} : { 'content-type': 'application/json' }),
        ...(authorization ? { authorization } : {}),
      },
      body: sent === undefined || isForm || typeof sent === 'string' ? (sent as string) : JSON.stringify(sent),
      signal: AbortSignal.timeout(10_000),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  }

  async function bearer(): Promise<string> {
    if (token === '') token = (await call('POST', '/auth/tokens', { api_key: merchant.apiKey })).body.token;
    return `Bearer ${token}`;
  }

  async function control(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${url}/__sandbox/paymob/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  }

  const secret = `Token ${merchant.secretKey}`;
  const withSecret = (path: string) => (id: number, amount?: number) =>
    call('POST', path, { transaction_id: id, ...(amount === undefined ? {} : { amount_cents: amount }) }, secret);

  return {
    merchant,
    call,
    bearer,
    control,
    secret,
    post: async (path: string, fields: Record<string, string | string[] | File | undefined>) =>
      call('POST', path, formOf(fields), await bearer()),
    async create(change: Record<string, string | string[] | File | undefined> = {}) {
      const { status, body } = await call(
        'POST',
        '/ecommerce/payment-links',
        formOf({ ...linkForm(), ...change }),
        await bearer(),
      );
      if (status !== 200) throw new Error(`create: ${status} ${JSON.stringify(body)}`);
      return body;
    },
    cancel: async (id: number) =>
      call('POST', '/ecommerce/payment-links/cancel', formOf({ payment_link_id: String(id) }), await bearer()),
    inquire: async (order: number) =>
      call('POST', '/ecommerce/orders/transaction_inquiry', { order_id: String(order) }, await bearer()),
    read: async (id: number) => (await call('GET', `/acceptance/transactions/${id}`, undefined, await bearer())).body,
    capture: withSecret('/acceptance/capture'),
    voids: withSecret('/acceptance/void_refund/void'),
    refund: withSecret('/acceptance/void_refund/refund'),
    async fault(fault: Record<string, unknown>) {
      const answer = await control('POST', 'faults', fault);
      if (answer.status !== 201) throw new Error(answer.body.error);
    },
    /** Ledger entries about one link, as short texts: `captured 1050 EGP`. */
    async ledger(link: number | string) {
      const { body } = await control('GET', 'ledger');
      const entries: LedgerEntry[] = body.entries;
      return entries
        .filter((entry) => entry.link === String(link))
        .map(({ kind, amount, currency }) => [kind, amount, currency].filter((part) => part !== undefined).join(' '));
    },
    pay: (address: string, change: Record<string, string> = {}) =>
      fetch(address, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ ...CARD, ...change }) }),
  };
}

export function formOf(fields: Record<string, string | string[] | File | undefined>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const part of [value ?? []].flat()) form.append(name, part);
  }
  return form;
}

export { until };
