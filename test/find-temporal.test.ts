import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findTemporal, type Place, type TemporalNotFound } from '../stack/find-temporal.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 20 * 60_000 });

/** The real CLI, found (on a new machine: built) once; the tests use stand-ins for it where it need not serve. */
let cli: string;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'perdure-test-'));
  ({ path: cli } = await findTemporal());
});
afterAll(() => rm(root, { recursive: true, force: true }));

const VERSION = 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)';
const works = `#!/bin/sh\necho '${VERSION}'\n`;
const broken = '#!/bin/sh\necho cannot open shared object >&2\nexit 1\n';
const old = `#!/bin/sh\necho 'temporal version 0.10.0 (Server 1.20.1) (UI 2.9.1)'\n`;
const other = '#!/bin/sh\necho hello\n';
const script = (path: string, text: string) => writeFile(path, text, { mode: 0o755 });
/** `go install` that needs a second, notes how it was called and leaves a working CLI. */
const go = '#!/bin/sh\necho "$@" >> "$HOME/go-calls"\nsleep 1\ncp "$HOME/built" "$GOBIN/temporal"\n';

/** A machine of its own: what TEMPORAL_CLI, PATH, the cache, the SDK's download and `go` are there. */
async function machine(has: { cli?: string; path?: string; cache?: string; sdk?: string; go?: string }) {
  const home = await mkdtemp(join(root, 'home-'));
  const [bin, tools, cache] = [join(home, 'bin'), join(home, 'tools'), join(home, '.cache', 'perdure')];
  for (const folder of [bin, tools, cache]) await mkdir(folder, { recursive: true });
  for (const tool of ['sleep', 'cp'])
    await script(join(tools, tool), `#!/bin/sh\nPATH=/usr/bin:/bin exec ${tool} "$@"\n`);
  if (has.cli) await script(join(home, 'my-temporal'), has.cli);
  if (has.path) await script(join(bin, 'temporal'), has.path);
  if (has.cache) await script(join(cache, 'temporal-1.5.1'), has.cache);
  if (has.sdk) await script(join(cache, 'temporal-v1.5.1'), has.sdk);
  if (has.go) await script(join(bin, 'go'), has.go);
  await script(join(home, 'built'), works);
  const env: NodeJS.ProcessEnv = {
    HOME: home,
    PATH: `${bin}:${tools}`,
    // The network is not to be part of this: whatever the SDK downloads from, it does not get there.
    HTTPS_PROXY: 'http://127.0.0.1:1',
    ...(has.cli && { TEMPORAL_CLI: join(home, 'my-temporal') }),
  };
  return { home, cache, env };
}

describe('finding the Temporal CLI', () => {
  const all = { cli: works, path: works, cache: works };
  it.each<[string, Parameters<typeof machine>[0], Place, string]>([
    ['TEMPORAL_CLI before all else', all, 'TEMPORAL_CLI', 'my-temporal'],
    ['PATH when TEMPORAL_CLI is not set', { ...all, cli: undefined }, 'PATH', 'bin/temporal'],
    ['PATH when TEMPORAL_CLI does not run', { ...all, cli: broken }, 'PATH', 'bin/temporal'],
    ['PATH when TEMPORAL_CLI is something else', { ...all, cli: other }, 'PATH', 'bin/temporal'],
    ['the cache when PATH has none', { cache: works }, 'cache', '.cache/perdure/temporal-1.5.1'],
    [
      'the cache when the one on PATH is too old',
      { path: old, cache: works },
      'cache',
      '.cache/perdure/temporal-1.5.1',
    ],
  ])('takes %s', async (_, has, place, path) => {
    const { home, env } = await machine(has);
    expect(await findTemporal({ env })).toEqual({ place, path: join(home, path) });
  });

  it('looks for the cache in XDG_CACHE_HOME, if that is absolute', async () => {
    const { home, cache, env } = await machine({ cache: works });
    await mkdir(join(home, 'xdg', 'perdure'), { recursive: true });
    await copyFile(join(cache, 'temporal-1.5.1'), join(home, 'xdg', 'perdure', 'temporal-1.5.1'));
    const path = async (xdg: string) => (await findTemporal({ env: { ...env, XDG_CACHE_HOME: xdg } })).path;
    expect(await path(join(home, 'xdg'))).toBe(join(home, 'xdg', 'perdure', 'temporal-1.5.1'));
    expect(await path('xdg')).toBe(join(cache, 'temporal-1.5.1'));
  });

  it.concurrent('takes what the SDK downloads into the cache', async () => {
    const { cache, env } = await machine({ sdk: `#!/bin/sh\nexec '${cli}' "$@"\n`, go: 'exit 1' });
    expect(await findTemporal({ env })).toEqual({ place: 'download', path: join(cache, 'temporal-1.5.1') });
    expect(await findTemporal({ env })).toMatchObject({ place: 'cache' });
    expect(await readdir(cache)).toEqual(['temporal-1.5.1']);
  });

  it.concurrent('builds it once, saying so, however many ask', async () => {
    const { home, cache, env } = await machine({ go });
    const said: string[] = [];
    const ask = () => findTemporal({ env, log: (line) => said.push(line) });
    const found = await Promise.all([ask(), ask()]);
    expect(found.map(({ path }) => path)).toEqual(Array(2).fill(join(cache, 'temporal-1.5.1')));
    expect(found.map(({ place }) => place).sort()).toEqual(['cache', 'go install']);
    expect(said).toContainEqual(expect.stringMatching(/building Temporal 1\.5\.1 with Go.*2–3 minutes/));
    expect(await readFile(join(home, 'go-calls'), 'utf8')).toBe(
      'install github.com/temporalio/cli/cmd/temporal@v1.5.1\n',
    );
    expect(await readdir(cache)).toEqual(['temporal-1.5.1']);
  });

  it.concurrent('takes over from a builder that was killed', async () => {
    const { cache, env } = await machine({ go });
    await mkdir(join(cache, 'build-left'));
    const lock = join(cache, 'temporal-1.5.1.lock');
    await mkdir(lock);
    execFileSync('touch', ['-t', '202001010000', lock]);
    expect(await findTemporal({ env })).toMatchObject({ place: 'go install' });
    expect(await readdir(cache)).toEqual(['temporal-1.5.1']);
  });

  it.concurrent('lists every place and its reason when none works', async () => {
    const noModules = '#!/bin/sh\necho "go: no route to the module proxy" >&2\nexit 1\n';
    const { cache, env } = await machine({ cli: broken, path: old, cache: other, go: noModules });
    await rm(join(cache, 'temporal-1.5.1'));
    const failure = await findTemporal({ env }).catch((error: TemporalNotFound) => error);
    expect(failure).toMatchObject({
      name: 'TemporalNotFound',
      tried: [
        { place: 'TEMPORAL_CLI', reason: expect.stringContaining('cannot open shared object') },
        { place: 'PATH', reason: expect.stringContaining('carries server 1.20; 1.29 or newer is needed') },
        { place: 'cache', reason: `no ${join(cache, 'temporal-1.5.1')}` },
        { place: 'download', reason: expect.stringContaining('failed to download') },
        { place: 'go install', reason: expect.stringContaining('no route to the module proxy') },
      ],
    });
    for (const { place, reason } of (failure as TemporalNotFound).tried) {
      expect((failure as TemporalNotFound).message).toContain(`${place}: ${reason.split('\n')[0]}`);
    }
    expect(await readdir(cache)).toEqual([]);
  });
});
