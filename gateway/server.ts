import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Client } from '@temporalio/client';
import type { Accounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import type { PaymentLinks } from '../client/index.ts';
import { checkNamespace } from '../client/namespace.ts';
import { createApi, type Links } from './api.ts';
import { type ApiKey, isLoopback } from './auth.ts';
import { LIMITS, type Limits, serverOptions } from './limits.ts';
import { createLog, type Log } from './log.ts';
import { Problem, problemDocument, problemResponse } from './problems.ts';
import { createReadiness, type Readiness } from './readiness.ts';
import { registerWebhooks } from './registrations.ts';
import { createWebhooks } from './webhooks.ts';

export interface GatewayOptions {
  links: PaymentLinks;
  /** For the check of the namespace, and for what `/readyz` asks. */
  client: Client;
  accounts: Accounts;
  /** Undefined: no keys; then `host` must be a loopback address. */
  keys?: readonly ApiKey[];
  host: string;
  /** 0 picks a free port. */
  apiPort: number;
  webhookPort: number;
  /** Base URL under which providers reach the webhook listener; its own address when left out. */
  publicWebhookUrl?: string;
  /** Keys of the callback tokens: the first signs, all verify. */
  tokenKeys?: readonly string[];
  log?: Log;
  minRetentionDays?: number;
  limits?: Partial<Limits>;
}

export interface Gateway {
  apiUrl: string;
  webhookUrl: string;
  /** Takes no new connections, lets requests in flight finish, then resolves. */
  close(): Promise<void>;
}

/** The gateway cannot listen as it was told; the message names the variable to change. */
export class CannotListen extends Error {
  override readonly name = 'CannotListen';
}

/**
 * Starts both listeners.
 * @throws NamespaceNotReady when Temporal's namespace would lose links; CannotListen when a port is taken, or when the
 *   API would be open to other machines without keys.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { links, client, accounts, keys, host, tokenKeys = [], minRetentionDays, log = createLog() } = options;
  await checkNamespace(client.connection, client.options.namespace, { minRetentionDays });
  const http = createHttp();
  let unregistered = () => [...accounts.keys()];
  const readiness = createReadiness({ client, accounts: accounts.keys(), unregistered: () => unregistered() });
  const secrets = { of: (_account: string): readonly string[] => [] };
  const listeners = await listen({
    ...{ links, accounts, keys, host, tokenKeys, log, readiness },
    ...{ apiPort: options.apiPort, webhookPort: options.webhookPort, limits: { ...LIMITS, ...options.limits } },
    secretsOf: (account) => secrets.of(account),
  });
  // Only now: a provider may test the address while it is being registered.
  const publicUrl = (options.publicWebhookUrl ?? listeners.webhookUrl).replace(/\/+$/, '');
  const registrations = registerWebhooks({ accounts, publicUrl, http, log });
  unregistered = registrations.unregistered;
  secrets.of = registrations.secretsOf;
  const { unknownAccounts } = await readiness();
  for (const account of unknownAccounts)
    log.warn({ event: 'open links of an account that is not in the file', account });
  return {
    ...listeners,
    async close() {
      registrations.stop();
      await listeners.close();
    },
  };
}

export interface ListenOptions {
  links: Links & Pick<PaymentLinks, 'observe' | 'keepUnmatched'>;
  accounts: Accounts;
  keys: readonly ApiKey[] | undefined;
  host: string;
  apiPort: number;
  webhookPort: number;
  tokenKeys: readonly string[];
  secretsOf(account: string): readonly string[];
  readiness(): Promise<Readiness>;
  log: Log;
  limits: Limits;
}

/** The two listeners alone: nothing is checked or registered. @throws CannotListen */
export async function listen(options: ListenOptions): Promise<Gateway> {
  const { keys, host, apiPort, webhookPort, limits, log } = options;
  if (!keys && !isLoopback(host)) {
    throw new CannotListen(
      `PERDURE_HOST is ${host}, which other machines can reach: set PERDURE_API_KEYS, or listen on 127.0.0.1`,
    );
  }
  const api = await serve(createApi(options), { host, port: apiPort, variable: 'PERDURE_API_PORT', limits, log });
  try {
    const to = { host, port: webhookPort, variable: 'PERDURE_WEBHOOK_PORT', limits, log };
    const webhooks = await serve(createWebhooks(options), to);
    return {
      apiUrl: api.url,
      webhookUrl: webhooks.url,
      async close() {
        await Promise.all([api.close(), webhooks.close()]);
      },
    };
  } catch (error) {
    await api.close();
    throw error;
  }
}

interface Place {
  host: string;
  port: number;
  variable: string;
  limits: Limits;
  log: Log;
}

/** A Fetch handler on a socket, within limits. */
async function serve(
  app: { fetch(request: Request): Response | Promise<Response> },
  { host, port, variable, limits, log }: Place,
): Promise<{ url: string; close(): Promise<void> }> {
  const listener = getRequestListener((request) => app.fetch(request), {
    // What no Request can be made of: a Host or a target that is none.
    errorHandler: () => problemResponse(BAD_REQUEST),
  });
  const server = createServer(serverOptions(limits), listener);
  server.maxConnections = limits.connections;
  server.timeout = limits.silentMs;
  server.on('clientError', refuse);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(error, host, port, variable)));
    server.listen(port, host, resolve);
  });
  server.on('error', (error) => log.error({ event: 'listener failed', error }));
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}`,
    close: () => stop(server, limits.closeMs),
  };
}

function cannotListen({ code }: NodeJS.ErrnoException, host: string, port: number, variable: string): CannotListen {
  if (code === 'EADDRINUSE')
    return new CannotListen(`port ${port} on ${host} is in use; set ${variable} to another port`);
  if (code === 'EACCES')
    return new CannotListen(`port ${port} may not be used by this user; set ${variable} to another port`);
  return new CannotListen(`cannot listen on ${host} (${code}); set PERDURE_HOST to an address of this machine`);
}

const BAD_REQUEST = new Problem(400, 'bad_request', 'The request is not valid HTTP.');

/** What Node's parser turns away never becomes a Request; it gets a problem document all the same. */
const PARSER_PROBLEMS: Readonly<Record<string, Problem>> = {
  HPE_HEADER_OVERFLOW: new Problem(431, 'headers_too_large', 'The headers are larger than 16 KB.'),
  ERR_HTTP_REQUEST_TIMEOUT: new Problem(408, 'request_timeout', 'The request took too long to arrive.'),
};

function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const problem = PARSER_PROBLEMS[error.code ?? ''] ?? BAD_REQUEST;
  const document = problemDocument(problem);
  const body = JSON.stringify(document);
  socket.end(
    `HTTP/1.1 ${problem.status} ${document.title}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** Connections that became idle after `close` would be kept alive: they are closed as they do. */
async function stop(server: Server, graceMs: number): Promise<void> {
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const grace = setTimeout(() => server.closeAllConnections(), graceMs);
  try {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  } finally {
    clearInterval(idle);
    clearTimeout(grace);
  }
}
