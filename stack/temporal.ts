import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import { attributeWord, prepareNamespace } from '../client/namespace.ts';
import { SEARCH_ATTRIBUTES } from '../workflows/attributes.ts';
import { findTemporal } from './find-temporal.ts';
import { assertPortFree, freePort } from './ports.ts';
import { type Child, ChildFailed, spawnChild } from './processes.ts';

/** The variables that move the ports `npm start` uses; named here so that messages and mains agree. */
export const PORT_VARIABLE = 'PERDURE_TEMPORAL_PORT';
export const UI_PORT_VARIABLE = 'PERDURE_TEMPORAL_UI_PORT';

/** A dev server keeps closed runs for a day; their payment references would be free again the next day. */
const RETENTION_DAYS = 90;
const STOP_GRACE_MS = 15_000;
const ATTEMPTS = 5;

/** Durable across restarts, without an fsync for every transaction. https://sqlite.org/pragma.html#pragma_synchronous */
const SQLITE_PRAGMAS = ['journal_mode=WAL', 'synchronous=NORMAL'];

/**
 * A dev server has one history shard, which by default reads its queues at most 20 times a second: busy runs wait for
 * the next read. And timers, retries included, are up to a second late.
 */
const DYNAMIC_CONFIG = {
  'history.transferProcessorMaxPollRPS': 2000,
  'history.timerProcessorMaxPollRPS': 2000,
  'history.timerProcessorMaxTimeShift': '10ms',
};

export interface TemporalOptions {
  /** Folder for `temporal.db`, made if missing. Without it the state is thrown away at stop. */
  stateDir?: string;
  /** IP address to listen on; 127.0.0.1 by default. A dev server asks nobody for a password. */
  host?: string;
  /** gRPC port; 0 or none picks a free one. */
  port?: number;
  /** Port of the Web UI; 0 picks a free one, none leaves the UI out. */
  uiPort?: number;
  /** More dynamic config, key → JSON value; wins over ours. */
  dynamicConfig?: Readonly<Record<string, unknown>>;
  /** What the server writes; `error` by default, it warns about its own orderly end. */
  logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'never';
  /** Called with progress and with what the server writes, a line at a time. */
  log?: (line: string) => void;
  /** Where `TEMPORAL_*`, PATH and the cache folder are read; the process's by default. */
  env?: NodeJS.ProcessEnv;
}

export interface TemporalServer {
  /** `host:port` of the gRPC service. */
  readonly address: string;
  /** Where the Web UI is, if this server has one that we know of. */
  readonly uiUrl?: string;
  readonly namespace: string;
  /** For `Connection.connect` and `NativeConnection.connect`: the address, and what TLS or API key it needs. */
  readonly connectionOptions: ClientConnectConfig['connectionOptions'];
  /** True for a server that was there before us (`TEMPORAL_ADDRESS`); it is never stopped by us. */
  readonly external: boolean;
  /**
   * Lay this over the environment of a process that should connect to this server through `@temporalio/envconfig`:
   * for a server of ours it also undoes whatever the user's own Temporal profile says.
   */
  readonly env: NodeJS.ProcessEnv;
  /** The server's process, if it is ours. */
  readonly child?: Child;
  /** Stops the server if it is ours, and removes its state if that is to be thrown away. Safe to repeat. */
  stop(): Promise<void>;
}

/**
 * Gives a Temporal server that is healthy and knows our search attributes: the one at `TEMPORAL_ADDRESS`, or a
 * dev server of our own. Ours keeps closed runs for 90 days and cannot outlive this process.
 * @throws TemporalNotFound when there is no server to start; PortInUse naming the variable when a given port is taken;
 * ChildFailed with the server's last words when it does not come up; NamespaceNotReady when the namespace of an external
 * server does not exist or has one of our search attributes with another type.
 */
export async function startTemporal(options: TemporalOptions = {}): Promise<TemporalServer> {
  const { env = process.env, log = () => {} } = options;
  if (env.TEMPORAL_ADDRESS) return await useExternal(env, log);
  const { path, place } = await findTemporal({ env, log });
  log(`Temporal: ${path} (${place})`);
  for (let attempt = 1; ; attempt++) {
    try {
      return await startDevServer(path, options);
    } catch (error) {
      // Someone took a port between our choice and the server's bind; the next round picks others, or names ours.
      const clash = error instanceof ChildFailed && /address already in use|free port/.test(error.output);
      if (!clash || attempt === ATTEMPTS) throw error;
    }
  }
}

async function startDevServer(path: string, options: TemporalOptions): Promise<TemporalServer> {
  const { stateDir, host = '127.0.0.1', dynamicConfig, logLevel = 'error', log, env = process.env } = options;
  if (options.port) await assertPortFree(options.port, host, PORT_VARIABLE);
  if (options.uiPort) await assertPortFree(options.uiPort, host, UI_PORT_VARIABLE);
  const port = options.port || (await freePort(host));
  const uiPort = options.uiPort === 0 ? await freePort(host) : options.uiPort;
  const namespace = env.TEMPORAL_NAMESPACE || 'default';
  const address = hostPort(host, port);

  if (stateDir !== undefined) await mkdir(stateDir, { recursive: true });
  const scratch = stateDir === undefined ? await mkdtemp(join(tmpdir(), 'perdure-temporal-')) : undefined;
  const child = await spawnChild({
    name: 'Temporal server',
    command: path,
    args: [
      ...['server', 'start-dev', '--ip', host, '--port', `${port}`],
      ...(uiPort === undefined ? ['--headless'] : ['--ui-port', `${uiPort}`]),
      ...(namespace === 'default' ? [] : ['--namespace', namespace]),
      ...['--db-filename', join(stateDir ?? scratch!, 'temporal.db')],
      ...SQLITE_PRAGMAS.flatMap((pragma) => ['--sqlite-pragma', pragma]),
      ...flags('--dynamic-config-value', { ...DYNAMIC_CONFIG, ...dynamicConfig }, JSON.stringify),
      // A namespace that is made with its attributes knows them from its first request on.
      ...flags('--search-attribute', SEARCH_ATTRIBUTES, attributeWord),
      ...['--log-level', logLevel, '--color', 'never'],
    ],
    env: withoutTemporal(env),
    log,
    scratch,
    ready: (server) => untilHealthy(server, address, namespace),
  });
  try {
    const connection = await Connection.connect({ address });
    try {
      await prepareNamespace(connection, namespace, { retentionDays: RETENTION_DAYS });
    } finally {
      await connection.close();
    }
  } catch (error) {
    await child.stop(STOP_GRACE_MS);
    throw error;
  }
  return {
    address,
    uiUrl: uiPort === undefined ? undefined : `http://${hostPort(host, uiPort)}`,
    namespace,
    connectionOptions: { address },
    external: false,
    env: {
      ...undefinedTemporal(env),
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      TEMPORAL_TLS: 'false',
      TEMPORAL_API_KEY: '',
    },
    child,
    stop: async () => {
      await child.stop(STOP_GRACE_MS);
    },
  };
}

async function useExternal(env: NodeJS.ProcessEnv, log: (line: string) => void): Promise<TemporalServer> {
  const overrideEnvVars = Object.fromEntries(Object.entries(env).filter((entry) => entry[1] !== undefined));
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({
    overrideEnvVars: overrideEnvVars as Record<string, string>,
  });
  const address = connectionOptions.address!;
  const connection = await Connection.connect(connectionOptions).catch((error: unknown) => {
    throw new Error(`cannot reach Temporal at ${address} (TEMPORAL_ADDRESS): ${String(error)}`, { cause: error });
  });
  try {
    log(`Temporal: ${address}, namespace ${namespace} (TEMPORAL_ADDRESS)`);
    // Attributes are only added; how long somebody else's server keeps closed runs is theirs to say.
    await prepareNamespace(connection, namespace);
  } finally {
    await connection.close();
  }
  return { address, namespace, connectionOptions, external: true, env: {}, stop: async () => {} };
}

/**
 * Waits until the server answers for its namespace. Its first words come first: when another server has won our port,
 * it would be that one that answers, while ours is about to exit. The words may change in another version of the CLI,
 * so three seconds without an exit will do as well.
 */
async function untilHealthy(server: Child, address: string, namespace: string): Promise<void> {
  await Promise.race([server.line(/^Server:/), delay(3_000)]);
  while (server.running) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 2_000 });
      try {
        await connection.workflowService.describeNamespace({ namespace });
        return;
      } finally {
        await connection.close();
      }
    } catch {
      await delay(100);
    }
  }
}

function flags<Value>(
  name: string,
  values: Readonly<Record<string, Value>>,
  text: (value: Value) => string | undefined,
): string[] {
  return Object.entries(values).flatMap(([key, value]) => [name, `${key}=${text(value)}`]);
}

/** `TEMPORAL_*` tell clients where to connect; our dev server is not one. */
function withoutTemporal(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, ...undefinedTemporal(env) };
}

function undefinedTemporal(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const names = Object.keys(env).filter((name) => name.startsWith('TEMPORAL_'));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

/** Where a client finds what listens on `host`: every address includes loopback, IPv6 goes into brackets. */
function hostPort(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
