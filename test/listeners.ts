/** Both listeners on real sockets, with what stands behind them made for the test. */
import { createHash, createHmac } from 'node:crypto';
import { connect } from 'node:net';
import { z } from 'zod';
import type { Account } from '../activities/accounts.ts';
import { defineProvider, NotAuthentic, type Problem, type WebhookReader } from '../activities/provider.ts';
import type { PaymentLinks } from '../client/index.ts';
import type { ApiKey, Role } from '../gateway/auth.ts';
import { LIMITS, type Limits } from '../gateway/limits.ts';
import { createLog, type Log } from '../gateway/log.ts';
import type { Readiness } from '../gateway/readiness.ts';
import { type Gateway, listen } from '../gateway/server.ts';
import type { Terms } from '../workflows/link.ts';

/** Lines a gateway wrote. */
export function memoryLog(): { log: Log; text(): string; lines(): Record<string, unknown>[] } {
  const written: string[] = [];
  const log = createLog({ destination: { write: (line: string) => void written.push(line) } });
  const text = () => written.join('');
  return { log, text, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

export const SIGNATURE = 'x-test-signature';
export const sign = (secret: string, body: string | Uint8Array) =>
  createHmac('sha256', secret).update(body).digest('hex');

/** Signs as several real providers do: hex HMAC of the raw body in a header. */
const signed: WebhookReader<unknown> = {
  verify({ body, headers }, _config, secrets) {
    const given = headers[SIGNATURE];
    if (!secrets.some((secret) => sign(secret, body) === given)) throw new NotAuthentic('wrong signature');
    return 'signed';
  },
  read({ body }) {
    const { reference, ids } = JSON.parse(Buffer.from(body).toString('utf8')) as { reference?: string; ids?: string[] };
    return { reference, ids: ids ?? [] };
  },
};

export interface AccountSketch {
  secrets?: string[];
  accepts?: (terms: Terms) => Problem[];
  webhook?: WebhookReader<unknown>;
  register?: WebhookReader<unknown>['register'];
  /** A provider that has no webhooks. */
  mute?: boolean;
}

export function account(
  name: string,
  { secrets = [], accepts = () => [], webhook = signed, register, mute }: AccountSketch = {},
) {
  const provider = defineProvider<unknown>({
    name: `provider-of-${name}`,
    config: z.unknown(),
    accepts,
    statuses: {},
    partial: { capture: false, refund: true },
    repeatable: [],
    create: () => Promise.reject(new Error('the gateway never calls create')),
    ...(mute ? {} : { webhook: { ...webhook, ...(register && { register }) } }),
  });
  return { name, provider, config: {}, webhookSecrets: secrets } as unknown as Account;
}

export const accountsOf = (...accounts: Account[]) => new Map(accounts.map((each) => [each.name, each]));

export function apiKey(name: string, role: Role, accounts: string[] | '*', secret: string): ApiKey {
  return { name, role, accounts, sha256: createHash('sha256').update(secret).digest() };
}

export interface Setup {
  links: unknown;
  accounts?: Map<string, Account>;
  keys?: ApiKey[];
  tokenKeys?: string[];
  limits?: Partial<Limits>;
  log?: Log;
  host?: string;
  readiness?: () => Promise<Readiness>;
}

export function start({ links, accounts = new Map(), keys, tokenKeys = [], limits, log, host, readiness }: Setup) {
  return listen({
    links: links as PaymentLinks,
    accounts,
    keys,
    tokenKeys,
    secretsOf: () => [],
    host: host ?? '127.0.0.1',
    apiPort: 0,
    webhookPort: 0,
    log: log ?? memoryLog().log,
    limits: { ...LIMITS, ...limits },
    readiness: readiness ?? (async () => ({ ready: true, checks: {}, unknownAccounts: [] })),
  });
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  json: any;
}

/** One request with exactly these headers; a body that is no text or bytes is sent as JSON. */
export async function send(
  url: string,
  method = 'GET',
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: raw ? (body as string | undefined) : JSON.stringify(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text.startsWith('{') ? JSON.parse(text) : {},
  };
}

/** Writes bytes to a listener and returns all it says until it closes. */
export function rawExchange(url: string, ...parts: (string | Uint8Array)[]): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    socket.on('error', () => resolve(heard));
    socket.on('close', () => resolve(heard));
    for (const part of parts) socket.write(part);
  });
}

export type { Gateway };
