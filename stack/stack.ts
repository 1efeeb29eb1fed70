/** Temporal, sandbox, worker and gateway together: what `npm start`, the demo and the tests run on. */
import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { type Accounts, readAccounts } from '../activities/accounts.ts';
import type { Provider } from '../activities/provider.ts';
import { providers } from '../activities/registry.ts';
import type { Callbacks } from '../activities/tokens.ts';
import { connectClient, PaymentLinks } from '../client/index.ts';
import type { Log } from '../gateway/log.ts';
import { type Gateway, startGateway } from '../gateway/server.ts';
import type { OpenProvider } from '../sandbox/provider.ts';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { createWorkers, runWorkers, type WorkerSettings } from '../worker/workers.ts';
import type { Timing } from '../workflows/state.ts';
import { sandboxAccounts, setPortalWebhooks } from './sandbox-accounts.ts';
import { startTemporal, type TemporalServer } from './temporal.ts';

/** A provider and who plays it: what a stack needs to run one that stands in no registry yet. */
export interface Trial {
  // biome-ignore lint/suspicious/noExplicitAny: a provider is asked with the config its own schema made
  provider: Provider<any>;
  /** The provider as documented; its customers pay, and its money is judged, through the control plane. */
  sandbox: OpenProvider;
  /** `options` of an accounts file for the sandbox's merchant; `url` is the sandbox's base, as in `${url}/paymennt`. */
  options(url: string): object | Promise<object>;
}

export interface StackOptions {
  /** Folder of Temporal's and the sandbox's files; without one everything is forgotten at the end. */
  stateDir?: string;
  /** Address of the gateway's listeners, default 127.0.0.1; Temporal and sandbox stay on loopback. */
  host?: string;
  /** Ports; 0 or none takes free ones. The UI is left out unless a port (or 0) is given. */
  ports?: { api?: number; webhooks?: number; sandbox?: number; temporal?: number; ui?: number };
  /** Waits of the engine, for links created through this stack's gateway. */
  timing?: Partial<Timing>;
  /** How long a minute of a sandbox link's lifetime lasts. */
  minuteMs?: number;
  /** Providers beside the registered ones, each with an account of its own name. */
  trials?: readonly Trial[];
  /** Keys of the callback tokens; drawn at random when left out. */
  tokenKeys?: string[];
  /** False leaves the worker to the caller, who starts it as a process of its own. */
  worker?: boolean;
  /** Log of the gateway's requests; nothing is logged when left out. */
  requests?: Log;
  /** Progress, a line at a time. */
  log?: (line: string) => void;
}

export interface Stack {
  temporal: TemporalServer;
  sandbox: Sandbox;
  gateway: Gateway;
  client: Client;
  links: PaymentLinks;
  accounts: Accounts;
  /** The accounts as they would stand in a file, for processes of their own. */
  accountsFile: Record<string, unknown>;
  callbacks: Callbacks;
  stop(): Promise<void>;
}

/** Starts all of it in order; what was started is stopped again in reverse order, Temporal last. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { stateDir, host = '127.0.0.1', ports = {}, timing, trials = [], log = () => {} } = options;
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (let next = stops.pop(); next; next = stops.pop()) await next();
  };
  try {
    const temporal = await startTemporal({ stateDir, port: ports.temporal, uiPort: ports.ui, log });
    stops.push(() => temporal.stop());

    const sandbox = await startSandbox({
      port: ports.sandbox ?? 0,
      stateDir,
      paymennt: { minuteMs: options.minuteMs },
      beqelal: { minuteMs: options.minuteMs },
      katu9: { minuteMs: options.minuteMs },
      also: trials.map((trial) => trial.sandbox),
    });
    stops.push(() => sandbox.close());
    log(`Sandbox: ${sandbox.url}`);
    const accountsFile = await sandboxAccounts(sandbox.url);
    for (const { provider, options: optionsAt } of trials) {
      accountsFile[provider.name] = { provider: provider.name, options: await optionsAt(sandbox.url) };
    }
    const tried = trials.map((trial) => trial.provider);
    const accounts = readAccounts(accountsFile, process.env, [...providers, ...tried]);

    const client = await connectClient({ env: { ...process.env, ...temporal.env } });
    stops.push(() => client.connection.close());
    const links = new PaymentLinks(client, { timing });
    const tokenKeys = options.tokenKeys ?? [randomBytes(32).toString('base64url')];
    const gateway = await startGateway({
      links,
      client,
      accounts,
      host,
      apiPort: ports.api ?? 0,
      webhookPort: ports.webhooks ?? 0,
      tokenKeys,
      log: options.requests ?? SILENT,
    });
    stops.push(() => gateway.close());
    log(`Gateway: ${gateway.apiUrl}`);
    await setPortalWebhooks(sandbox.url, gateway.webhookUrl, accounts);

    const callbacks = { base: gateway.webhookUrl, keys: tokenKeys };
    if (options.worker !== false) {
      // Stopped after the gateway: what it accepted last is still answered.
      stops.splice(-1, 0, await startWorker(temporal, { accounts, client, callbacks }));
      log(`Worker: ${accounts.size} accounts`);
    }
    return { temporal, sandbox, gateway, client, links, accounts, accountsFile, callbacks, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startWorker(
  temporal: TemporalServer,
  settings: Pick<WorkerSettings, 'accounts' | 'client' | 'callbacks'>,
): Promise<() => Promise<void>> {
  quietRuntime();
  const { connectionOptions, namespace } = temporal;
  const connection = await NativeConnection.connect(connectionOptions);
  const workers = await createWorkers({ ...settings, connection, namespace });
  let stopWorkers = () => {};
  const running = runWorkers(workers, new Promise<void>((resolve) => (stopWorkers = resolve)));
  // A worker that dies is a fault worth ending the process for, not a rejection to be lost.
  running.catch((error: unknown) => {
    console.error('the worker died:', error);
    process.exit(1);
  });
  return async () => {
    stopWorkers();
    await running;
    await connection.close();
  };
}

const SILENT: Log = { info() {}, warn() {}, error: (entry) => console.error(entry) };

let installed = false;

/** Errors only, and no signal handlers: the stack decides in which order things end. */
function quietRuntime(): void {
  if (installed) return;
  installed = true;
  const nothing = () => {};
  Runtime.install({
    shutdownSignals: [],
    logger: {
      log: nothing,
      trace: nothing,
      debug: nothing,
      info: nothing,
      warn: nothing,
      error: (message, meta) => console.error(message, meta ?? ''),
    },
  });
}
