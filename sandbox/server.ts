import type { Server } from 'node:http';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { type BeqelalOptions, beqelal } from './beqelal/index.ts';
import { boomfi } from './boomfi/index.ts';
import { controlPlane } from './control.ts';
import { type Katu9Options, katu9 } from './katu9/index.ts';
import { type PaymenntOptions, paymennt } from './paymennt/index.ts';
import { type PaymobOptions, paymob } from './paymob/index.ts';
import type { OpenProvider, SandboxProvider, Surroundings } from './provider.ts';
import { openStore } from './store.ts';

export interface SandboxOptions {
  /** Default 127.0.0.1. Listening wider, as in a container, opens API and pay pages; the control plane stays local. */
  host?: string;
  /** 0 takes a free one; default 8090. */
  port?: number;
  /** Folder of `sandbox.jsonl`; without one the sandbox forgets when it closes. */
  stateDir?: string;
  /** Base of the pay page URLs when customers reach the sandbox by another address; default `url`. */
  publicUrl?: string;
  beqelal?: BeqelalOptions;
  katu9?: Katu9Options;
  paymennt?: PaymenntOptions;
  paymob?: PaymobOptions;
  /** Providers beside these, such as one that is still being added. */
  also?: readonly OpenProvider[];
  /** Waits between delivery attempts of one webhook, in milliseconds. */
  webhookRetryMs?: readonly number[];
  log?(message: string, fields?: Record<string, unknown>): void;
}

export interface Sandbox {
  /** `http://host:port` */
  url: string;
  port: number;
  /** Ends held requests without committing them, closes connections, and resolves once the state is on disk. */
  close(): Promise<void>;
}

/**
 * Starts the sandbox: every provider under `/{name}`, the control plane under `/__sandbox/{name}`.
 * Throws when the port is taken or the state file is damaged.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { host = '127.0.0.1', port = 8090, stateDir, log = () => {} } = options;
  const store = await openStore(stateDir);
  let url = '';
  const around: Surroundings = {
    publicUrl: () => options.publicUrl?.replace(/\/+$/, '') ?? url,
    log,
    webhookRetryMs: options.webhookRetryMs,
  };
  const providers: SandboxProvider[] = [
    paymennt(store, around, options.paymennt ?? {}),
    katu9(store, around, options.katu9 ?? {}),
    beqelal(store, around, options.beqelal ?? {}),
    boomfi(store, around),
    paymob(store, around, options.paymob ?? {}),
    ...(options.also ?? []).map((open) => open(store, around, {})),
  ];

  const app = new Hono<{ Bindings: HttpBindings }>();
  for (const provider of providers) app.route(`/${provider.name}`, provider.app);
  app.route('/__sandbox', controlPlane(providers));

  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  const shut = async () => {
    for (const provider of providers) provider.close();
    await store.close();
  };
  try {
    url = await listen(server, host, port);
  } catch (error) {
    await shut();
    throw error;
  }
  for (const provider of providers) provider.start();

  return {
    url,
    port: Number(new URL(url).port),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const provider of providers) provider.close();
      // Answers already under way get a moment; an idle or stubborn connection does not hold up the end.
      server.closeIdleConnections();
      const patience = setTimeout(() => server.closeAllConnections(), 500);
      await closed;
      clearTimeout(patience);
      await store.close();
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      reject(new Error(`PERDURE_SANDBOX_PORT: port ${port} on ${host} is already in use`));
    });
    server.listen(port, host, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') return reject(new Error('The sandbox has no TCP address'));
      const everywhere = host === '0.0.0.0' || host === '::';
      const name = everywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
      resolve(`http://${name}:${address.port}`);
    });
  });
}
