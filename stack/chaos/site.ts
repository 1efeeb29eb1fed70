/** The processes of a chaos run: each can be killed and comes back where it was. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readAccounts } from '../../activities/accounts.ts';
import { bundleWorkflows } from '../../worker/bundle.ts';
import type { Timing } from '../../workflows/state.ts';
import { freePort } from '../ports.ts';
import { type Child, type ChildOptions, spawnChild } from '../processes.ts';
import { sandboxAccounts, setPortalWebhooks } from '../sandbox-accounts.ts';
import { pause } from '../shop.ts';
import { onShutdown } from '../shutdown.ts';
import { startTemporal } from '../temporal.ts';
import { BLIND } from './script.ts';

export interface Site {
  apiUrl: string;
  webhookUrl: string;
  sandboxUrl: string;
  /** Workers that have died: killed by us, and by themselves. */
  readonly deaths: { killed: number; own: number };
  /** SIGKILLs the worker that has served longest, once another serves as well: all of them dead is no work at all. */
  killWorker(): Promise<void>;
  /** SIGKILLs it, and starts it again on the same ports and files after `awayMs`. */
  restart(what: 'temporal' | 'gateway', awayMs: number): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** One serves while the other comes up, which takes a second or more. */
const WORKERS = 2;
/** In the end nothing is left to be done well. */
const GRACE_MS = 500;
const MOST_STARTS = 5;
const STARTS_BETWEEN_KILLS = 2;
/** Shorter than anybody's life, so that links expire while the run lasts; no link without an expiry of its own does. */
const MINUTE_MS = 500;

/** `timing` are the waits of the engine for links made through its gateway. */
export async function openSite(timing: Partial<Timing>, log: (line: string) => void): Promise<Site> {
  const stateDir = await mkdtemp(join(tmpdir(), 'perdure-chaos-'));
  let stopping = false;
  const stops: (() => Promise<unknown>)[] = [() => rm(stateDir, { recursive: true, force: true })];
  onShutdown(async () => {
    stopping = true;
    for (let next = stops.pop(); next; next = stops.pop()) await next();
  });
  const dist = await compile(stateDir);

  type Options = Omit<ChildOptions, 'name' | 'command' | 'env'>;
  const node = (name: string, script: string, env: NodeJS.ProcessEnv, { args = [], ...options }: Options) =>
    spawnChild({
      name,
      command: process.execPath,
      args: [join(dist, script), ...args],
      env: { ...process.env, ...env },
      ...options,
    });

  // Should we be killed, it takes the folder along.
  const sandbox = await node(
    'sandbox',
    'sandbox/main.js',
    {
      PERDURE_HOST: '127.0.0.1',
      PERDURE_SANDBOX_PORT: '0',
      PERDURE_STATE: stateDir,
      PERDURE_SANDBOX_MINUTE_MS: String(MINUTE_MS),
    },
    { scratch: stateDir, ready: (child) => child.line(/^sandbox ready/) },
  );
  stops.push(() => sandbox.stop());
  const sandboxUrl = (await sandbox.line(/^sandbox ready/)).replace(/^.* on /, '');
  let temporal = await startTemporal({ stateDir });
  stops.push(() => temporal.stop());
  if (temporal.external) throw new Error('a chaos run restarts Temporal: unset TEMPORAL_ADDRESS, it starts its own');

  const [apiPort, webhookPort] = [await freePort(), await freePort()];
  const webhookUrl = `http://127.0.0.1:${webhookPort}`;
  const env: NodeJS.ProcessEnv = {
    ...temporal.env,
    PERDURE_HOST: '127.0.0.1',
    PERDURE_API_PORT: String(apiPort),
    PERDURE_API_KEYS: '',
    PERDURE_WEBHOOK_PORT: String(webhookPort),
    PERDURE_WEBHOOK_URL: webhookUrl,
    PERDURE_TOKEN_KEYS: randomBytes(32).toString('base64url'),
    PERDURE_ACCOUNTS: join(stateDir, 'accounts.json'),
    PERDURE_WORKFLOW_BUNDLE: process.env.PERDURE_WORKFLOW_BUNDLE || join(stateDir, 'workflow-bundle.js'),
  };
  const accounts = await accountsOf(sandboxUrl);
  await writeFile(env.PERDURE_ACCOUNTS!, JSON.stringify(accounts), { mode: 0o600 });
  if (!process.env.PERDURE_WORKFLOW_BUNDLE) {
    await writeFile(env.PERDURE_WORKFLOW_BUNDLE!, (await bundleWorkflows()).code);
  }

  const startGateway = () =>
    node('gateway', 'stack/chaos/gateway.js', env, {
      args: [JSON.stringify(timing)],
      ready: (child) => child.line(/^gateway ready/),
    });
  let gateway = await startGateway();
  stops.push(() => gateway.stop(GRACE_MS));
  await setPortalWebhooks(sandboxUrl, webhookUrl, readAccounts(accounts, process.env));

  const workers = keepWorkers(
    () => node('worker', 'worker/main.js', env, { ready: (child) => child.line(/worker ready/) }),
    () => stopping,
    log,
  );
  stops.push(workers.stop);
  await workers.serving();

  let restarting = Promise.resolve();
  // What is just coming up again is waited for, so that it can be stopped.
  stops.push(() => restarting.catch(() => {}));
  async function restart(what: 'temporal' | 'gateway', awayMs: number): Promise<void> {
    const child = what === 'temporal' ? temporal.child! : gateway;
    child.kill('SIGKILL');
    await child.exited;
    await pause(awayMs);
    if (stopping) return;
    const port = Number(temporal.address.split(':').at(-1));
    if (what === 'temporal') temporal = await patiently(() => startTemporal({ stateDir, port }));
    else gateway = await patiently(startGateway);
  }

  return {
    ...{ apiUrl: `http://127.0.0.1:${apiPort}`, webhookUrl, sandboxUrl },
    deaths: workers.deaths,
    killWorker: workers.kill,
    restart(what, awayMs) {
      restarting = restart(what, awayMs);
      return restarting;
    },
  };
}

/** Plain JavaScript comes up in half the CPU time, and a killed worker is to be back within a second or two. */
async function compile(folder: string): Promise<string> {
  const dist = join(folder, 'dist');
  const options = ['--noCheck', '--declaration', 'false', '--sourceMap', 'false', '--outDir', dist];
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json'), ...options]);
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return dist;
}

/** A port that was free may be lent to an outgoing connection for a moment. */
async function patiently<T>(start: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (error) {
      if (tries === MOST_STARTS) throw error;
      await pause(1_000);
    }
  }
}

async function accountsOf(sandboxUrl: string): Promise<Record<string, unknown>> {
  const accounts = await sandboxAccounts(sandboxUrl);
  const { options, ...account } = accounts.beqelal as { options: object };
  return { ...accounts, [BLIND.account]: { ...account, options: { ...options, inquiry: false, cancel: false } } };
}

/** So many workers, each replaced when it dies. */
function keepWorkers(start: () => Promise<Child>, stopping: () => boolean, log: (line: string) => void) {
  const serving: Child[] = [];
  const waiting = new Set<() => void>();
  const deaths = { killed: 0, own: 0 };
  const killed = new WeakSet<Child>();
  let startedInMs = 0;

  async function slot(): Promise<void> {
    while (!stopping()) {
      const began = Date.now();
      // It cannot start while Temporal is away.
      const worker = await start().catch(() => undefined);
      if (!worker) {
        await pause(300);
        continue;
      }
      if (stopping()) {
        await worker.stop();
        return;
      }
      startedInMs = Date.now() - began;
      serving.push(worker);
      for (const wake of waiting) wake();
      await worker.exited;
      serving.splice(serving.indexOf(worker), 1);
      if (killed.has(worker)) deaths.killed++;
      else if (!stopping()) {
        deaths.own++;
        log(`a worker died by itself: ${worker.tail(3)}`);
      }
    }
  }
  const slots = Array.from({ length: WORKERS }, slot);

  const alive = () => serving.filter((worker) => !killed.has(worker));

  async function serves(count: number): Promise<void> {
    while (alive().length < count && !stopping()) await new Promise<void>((resolve) => waiting.add(resolve));
  }

  return {
    deaths,
    serving: () => serves(1),
    async kill() {
      await serves(WORKERS);
      // Starts are most of what a kill costs: a slow machine is to do something else, too.
      await pause(startedInMs * STARTS_BETWEEN_KILLS);
      const [victim] = alive();
      if (!victim || stopping()) return;
      killed.add(victim);
      victim.kill('SIGKILL');
    },
    async stop() {
      await Promise.all(serving.map((worker) => worker.stop(GRACE_MS)));
      for (const wake of waiting) wake();
      await Promise.all(slots);
    },
  };
}
