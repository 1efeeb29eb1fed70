/** Webhooks as the providers would sign them, written by the test: forged, replayed, about other people's links. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { connect } from 'node:net';
import type { ProviderName } from '../activities/registry.ts';

export interface Signed {
  headers: Record<string, string>;
  query: Record<string, string>;
}

/** What signs an account's webhooks; `verifies` is what stands in its `webhookSecrets`. */
export interface Key {
  signs: string;
  verifies: string;
}

export function rsaKey(): Key {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { signs: privateKey, verifies: publicKey };
}

export const sharedSecret = (text: string): Key => ({ signs: text, verifies: text });

/** An account as it stands in the accounts file; its provider is nowhere. */
export function accountEntry(provider: ProviderName, webhookSecrets: readonly string[], more: object = {}): object {
  const baseUrl = `http://127.0.0.1:1/${provider}`;
  const credentials: Record<ProviderName, object> = {
    beqelal: { appId: 'attacked-app', apiKey: 'attacked-beqelal-key' },
    boomfi: { apiKey: 'attacked-boomfi-key', orgId: ORG_ID },
    katu9: { token: 'attacked-katu9-token', merchantId: 'attacked-merchant', environment: 'SANDBOX' },
    paymennt: { apiKey: 'attacked-paymennt-key', apiSecret: 'attacked-paymennt-secret' },
    paymob: {
      apiKey: 'attacked-paymob-key',
      secretKey: 'attacked-paymob-secret',
      integrations: [{ id: 1, currency: 'EGP' }],
    },
  };
  return { provider, options: { baseUrl, ...credentials[provider], webhookSecrets, ...more } };
}

/** The sandbox's organisation at BoomFi. */
const ORG_ID = '2SandboxBoomFiOrganisation1';

/** Where each provider's signature stands. */
export const CARRIERS: Record<ProviderName, { header: string } | { query: string }> = {
  beqelal: { header: 'x-webhook-signature' },
  boomfi: { header: 'x-boomfi-signature' },
  katu9: { header: 'x-katu9-signature' },
  paymennt: { header: 'x-paymennt-signature' },
  paymob: { query: 'hmac' },
};

/** Values Paymob signs, in its order, of a body that may be anything. */
const PAYMOB =
  'amount_cents created_at currency error_occured has_parent_transaction id integration_id is_3d_secure is_auth is_capture is_refunded is_standalone_payment is_voided order.id owner pending source_data.pan source_data.sub_type source_data.type success'.split(
    ' ',
  );

/** Signs a body of the provider with the account's own key, now. */
export function signedBy(provider: ProviderName, { signs }: Key, body: string | Uint8Array): Signed {
  const hmac = (algorithm: string, text: string | Uint8Array) =>
    createHmac(algorithm, signs).update(text).digest('hex');
  if (provider === 'paymob') return { headers: {}, query: { hmac: hmac('sha512', paymobText(body)) } };
  if (provider === 'boomfi') {
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const signature = sign('sha256', Buffer.concat([Buffer.from(`${timestamp}.`), Buffer.from(body)]), signs);
    const headers = { 'x-boomfi-timestamp': timestamp, 'x-boomfi-signature': signature.toString('base64') };
    return { headers, query: {} };
  }
  const { header } = CARRIERS[provider] as { header: string };
  return { headers: { [header]: hmac('sha256', body) }, query: {} };
}

function paymobText(body: string | Uint8Array): string {
  let obj: Record<string, unknown> = {};
  try {
    obj = (JSON.parse(Buffer.from(body).toString('utf8')) as { obj?: typeof obj }).obj ?? {};
  } catch {
    // What is no JSON has no values to sign.
  }
  const value = (path: string) =>
    path.split('.').reduce<unknown>((outer, name) => (outer as Record<string, unknown> | undefined)?.[name], obj);
  return PAYMOB.map((path) => String(value(path) ?? '')).join('');
}

/** An id as the provider makes them. */
export const IDS: Record<ProviderName, string | number> = {
  beqelal: 'L7',
  boomfi: '2Payment7',
  katu9: '7c9a3f10-52d4-4f0e-9b61-2d8e5a40c917',
  paymennt: 7,
  paymob: 7,
};

/** A body of the provider about a payment of the sandbox's merchant. */
export function bodyOf(provider: ProviderName, reference: string): object {
  const id = IDS[provider];
  switch (provider) {
    case 'beqelal':
      return { id, trace_number: reference, status: 'PROCESSED', amount: 100.5, transaction_id: `T${id}` };
    case 'boomfi':
      return {
        event: 'Payment.Updated',
        id,
        org_id: ORG_ID,
        plan: { id: `plan-${id}`, reference },
      };
    case 'katu9':
      return { event: 'transaction.completed', data: { id, metadata: { reference } } };
    case 'paymennt':
      return { id, orderId: reference, status: 'PAID' };
    case 'paymob':
      return {
        type: 'TRANSACTION',
        obj: { id, order: { id, merchant_order_id: reference }, amount_cents: 10050, success: true },
      };
  }
}

export const target = (path: string, query: Record<string, string> = {}) => {
  const text = new URLSearchParams(query).toString();
  return text === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${text}`;
};

/** Sends header lines exactly as they are written, one request on a connection; the status, or 0 without an answer. */
export function sendLines(url: string, lines: readonly string[], body: Uint8Array): Promise<number> {
  const { hostname, port, pathname, search } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(heard)?.[1] ?? 0)));
    const length = `Content-Length: ${body.length}`;
    const head = [`POST ${pathname}${search} HTTP/1.1`, 'Host: localhost', 'Connection: close', length, ...lines];
    socket.write(Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'utf8'));
    socket.write(body);
  });
}
