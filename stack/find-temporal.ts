import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ChildFailed, describeExit, spawnChild } from './processes.ts';

/** The Temporal CLI that is downloaded or built where none is installed. It carries server 1.29.1. */
export const TEMPORAL_VERSION = '1.5.1';
/** The oldest server this project has been run on; a CLI with an older one is passed over. */
const OLDEST_SERVER = '1.29';
const PACKAGE = `github.com/temporalio/cli/cmd/temporal@v${TEMPORAL_VERSION}`;

const STEP_MS = 60_000;
const BUILD_MS = 15 * 60_000;
const PROGRESS_MS = 20_000;
const LOCK_BEAT_MS = 5_000;
const LOCK_STALE_MS = 30_000;

export type Place = 'TEMPORAL_CLI' | 'PATH' | 'cache' | 'download' | 'go install';

/** No Temporal server could be had. `tried` says why, in the order of trying. */
export class TemporalNotFound extends Error {
  override readonly name = 'TemporalNotFound';
  readonly tried: readonly { place: Place; reason: string }[];

  constructor(tried: readonly { place: Place; reason: string }[]) {
    super(
      [
        'no Temporal server found. Tried in this order:',
        ...tried.map(({ place, reason }, index) => `${index + 1}. ${place}: ${reason.replace(/\n/g, '\n     ')}`),
      ].join('\n  ') +
        '\nInstall the Temporal CLI (https://docs.temporal.io/cli), or set TEMPORAL_ADDRESS to a running server.',
    );
    this.tried = tried;
  }
}

/**
 * Finds a `temporal` executable that runs, or gets one: `TEMPORAL_CLI` (a path), `temporal` on PATH, our cache in the
 * user's cache folder, the Temporal SDK's own download, `go install`. The last two leave it in the cache.
 * @throws TemporalNotFound listing every place and why it did not do.
 */
export async function findTemporal({
  env = process.env,
  log = () => {},
}: {
  env?: NodeJS.ProcessEnv;
  log?: (line: string) => void;
} = {}): Promise<{ path: string; place: Place }> {
  const cached = cachedPath(env);
  const places: [Place, () => Promise<{ path: string; place?: Place }>][] = [
    ['TEMPORAL_CLI', async () => ({ path: env.TEMPORAL_CLI || fail('not set') })],
    ['PATH', async () => ({ path: (await which('temporal', env)) ?? fail('no `temporal` there') })],
    ['cache', async () => ({ path: (await isExecutable(cached)) ? cached : fail(`no ${cached}`) })],
    ['download', () => fillCache(cached, log, () => download(cached, env, log))],
    ['go install', () => fillCache(cached, log, () => build(cached, env, log))],
  ];
  const tried: { place: Place; reason: string }[] = [];
  for (const [place, get] of places) {
    try {
      const found = await get();
      await checkVersion(found.path, env);
      return { place, ...found };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      tried.push({ place, reason });
      if (place === 'TEMPORAL_CLI' && env.TEMPORAL_CLI) log(`TEMPORAL_CLI does not work: ${reason}`);
    }
  }
  throw new TemporalNotFound(tried);
}

/** Where our copy of the CLI lives: `$XDG_CACHE_HOME` (if absolute, as its specification says) or `~/.cache`. */
function cachedPath(env: NodeJS.ProcessEnv): string {
  const xdg = env.XDG_CACHE_HOME;
  const cache = xdg && isAbsolute(xdg) ? xdg : join(env.HOME || homedir(), '.cache');
  return join(cache, 'perdure', `temporal-${TEMPORAL_VERSION}`);
}

async function checkVersion(path: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { stdout } = await promisify(execFile)(path, ['--version'], { env, timeout: STEP_MS }).catch(
    (error: NodeJS.ErrnoException & { stderr?: string; killed?: boolean }) =>
      fail(`${path} --version ${error.killed ? 'did not answer' : 'failed'}: ${error.stderr?.trim() || error.message}`),
  );
  const server = /^temporal version .*\(Server (\d+)\.(\d+)/m.exec(stdout);
  if (!server)
    fail(`${path} --version does not name a Temporal server: ${stdout.trim().slice(0, 200) || '(no output)'}`);
  const [major, minor] = [Number(server[1]), Number(server[2])];
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_SERVER.split('.').map(Number);
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    fail(`${path} carries server ${major}.${minor}; ${OLDEST_SERVER} or newer is needed`);
  }
}

/**
 * The SDK can only download by starting a server, and cannot be interrupted while it does. So that happens in a process
 * of its own, which can be ended, and which keeps the SDK's native runtime out of ours.
 */
async function download(cached: string, env: NodeJS.ProcessEnv, log: (line: string) => void): Promise<void> {
  log(`looking for Temporal ${TEMPORAL_VERSION} through the SDK's download`);
  const folder = dirname(cached);
  const scratch = await mkdtemp(join(folder, 'download-'));
  const script = `
    const { TestWorkflowEnvironment } = require(process.argv[1]);
    const executable = { type: 'cached-download', version: process.argv[2], downloadDir: process.argv[3] };
    const dbFilename = process.argv[4];
    TestWorkflowEnvironment.createLocal({ server: { executable, dbFilename } })
      .then((server) => server.teardown())
      .catch((error) => { console.error(error.message); process.exitCode = 1; });
  `;
  const sdk = createRequire(import.meta.url).resolve('@temporalio/testing');
  const child = await spawnChild({
    name: 'the download',
    command: process.execPath,
    args: ['-e', script, sdk, `v${TEMPORAL_VERSION}`, folder, join(scratch, 'temporal.db')],
    env,
    cwd: folder,
    scratch,
  });
  const exit = await within(STEP_MS, child.exited, child.stop);
  // The name under which the SDK keeps a download of a given version. It may be whole even if the server it started was
  // too slow for the SDK, so the file decides, not the exit.
  const downloaded = join(folder, `temporal-v${TEMPORAL_VERSION}`);
  if (!(await isExecutable(downloaded))) {
    fail(exit ? child.tail(3) || `it ${describeExit(exit)}` : `nothing after ${STEP_MS / 1000} s`);
  }
  await rename(downloaded, cached);
}

async function build(cached: string, env: NodeJS.ProcessEnv, log: (line: string) => void): Promise<void> {
  if (!(await which('go', env))) fail('no `go` on PATH');
  const folder = dirname(cached);
  const target = await mkdtemp(join(folder, 'build-'));
  const since = performance.now();
  log(`building Temporal ${TEMPORAL_VERSION} with Go; this happens once and takes 2–3 minutes`);
  const progress = setInterval(() => {
    log(`still building Temporal (${Math.round((performance.now() - since) / 1000)} s)`);
  }, PROGRESS_MS);
  try {
    const child = await spawnChild({
      name: 'go install',
      command: 'go',
      args: ['install', PACKAGE],
      env: { ...env, GOBIN: target },
      cwd: target,
    });
    const exit = await within(BUILD_MS, child.exited, child.stop);
    if (!exit) fail(`not built after ${BUILD_MS / 60_000} minutes`);
    if (exit.code !== 0) throw new ChildFailed(`go install ${describeExit(exit)}`, child.tail(5));
    await rename(join(target, 'temporal'), cached);
    log(`built Temporal ${TEMPORAL_VERSION} in ${Math.round((performance.now() - since) / 1000)} s`);
  } finally {
    clearInterval(progress);
    await rm(target, { recursive: true, force: true });
  }
}

/**
 * Runs `fill` while no other process does, unless the cache has been filled meanwhile. The lock is a folder its holder
 * keeps touching; one left behind by a killed holder is taken over after 30 s. `fill` puts the file in place by a
 * rename, so even two at once would leave a whole one.
 */
async function fillCache(
  cached: string,
  log: (line: string) => void,
  fill: () => Promise<void>,
): Promise<{ path: string; place?: Place }> {
  const folder = dirname(cached);
  const lock = `${cached}.lock`;
  await mkdir(folder, { recursive: true });
  let told = false;
  while (!(await acquire(lock))) {
    if (!told) log('waiting for another process that is getting Temporal');
    told = true;
    await delay(500);
  }
  const beat = setInterval(() => void touch(lock), LOCK_BEAT_MS);
  try {
    if (await isExecutable(cached)) return { path: cached, place: 'cache' };
    // What a killed holder left behind.
    for (const name of await readdir(folder)) {
      if (/^(build|download)-/.test(name)) await rm(join(folder, name), { recursive: true, force: true });
    }
    await fill();
    return { path: cached };
  } finally {
    clearInterval(beat);
    await rm(lock, { recursive: true, force: true });
  }
}

async function acquire(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const touched = await stat(lock).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
  if (touched !== undefined && Date.now() - touched > LOCK_STALE_MS) await rm(lock, { recursive: true, force: true });
  return false;
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

/** What `work` resolves with, or undefined after `ms`, when `cancel` has finished. */
async function within<T>(ms: number, work: Promise<T>, cancel: () => Promise<unknown>): Promise<T | undefined> {
  const timer = new AbortController();
  const late = delay(ms, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const);
  try {
    const first = await Promise.race([work, late]);
    if (first !== 'late') return first as T;
    await cancel();
    return undefined;
  } finally {
    timer.abort();
  }
}

async function which(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    if (folder && (await isExecutable(join(folder, name)))) return join(folder, name);
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK)
    .then(() => stat(path))
    .then(
      (file) => file.isFile(),
      () => false,
    );
}

function fail(reason: string): never {
  throw new Error(reason);
}
