import { execFileSync, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { checkNamespace, minRetentionDays, NamespaceNotReady, prepareNamespace } from '../client/namespace.ts';
import { findTemporal } from '../stack/find-temporal.ts';
import { freePort } from '../stack/ports.ts';
import { startTemporal, type TemporalServer } from '../stack/temporal.ts';
import { linkStatus, SEARCH_ATTRIBUTES } from '../workflows/attributes.ts';
import { gone, living } from './process-group.ts';

const { IndexedValueType } = proto.temporal.api.enums.v1;
const { NamespaceConfig } = proto.temporal.api.namespace.v1;
const DAY_SECONDS = 86_400;

vi.setConfig({ testTimeout: 60_000, hookTimeout: 20 * 60_000 });

/** The real CLI, found (on a new machine: built) once. */
let cli: string;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'perdure-test-'));
  ({ path: cli } = await findTemporal());
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Runs `use` with a connection to the server. */
async function connected<T>({ address }: { address: string }, use: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

/** A CLI that does what `instead` says rather than serve, unless that leaves it to the real one. */
async function cliThat(instead: string): Promise<NodeJS.ProcessEnv> {
  const path = join(await mkdtemp(join(root, 'cli-')), 'temporal');
  await writeFile(path, `#!/bin/sh\n[ "$1" = --version ] || { ${instead}\n}\nexec '${cli}' "$@"\n`, { mode: 0o755 });
  return { ...process.env, TEMPORAL_CLI: path, TEMPORAL_ADDRESS: undefined };
}

describe('a server of our own', () => {
  let first: TemporalServer;
  let second: TemporalServer;
  let scratch: string;
  const said: string[] = [];

  beforeAll(async () => {
    scratch = await mkdtemp(join(root, 'tmp-'));
    vi.stubEnv('TMPDIR', scratch);
    vi.stubEnv('TEMPORAL_ADDRESS', undefined);
    vi.stubEnv('TEMPORAL_NAMESPACE', undefined);
    [first, second] = await Promise.all([
      startTemporal({ uiPort: 0, log: (line) => said.push(line) }),
      startTemporal({
        env: { ...process.env, TEMPORAL_NAMESPACE: 'shop' },
        dynamicConfig: { 'limit.maxIDLength': 50 },
      }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([first?.stop(), second?.stop()]);
    vi.unstubAllEnvs();
  });

  it('runs beside another, each with ports and a namespace of its own', async () => {
    expect(first).toMatchObject({ namespace: 'default', external: false });
    expect(second).toMatchObject({ namespace: 'shop', external: false, uiUrl: undefined });
    expect(second.address).not.toBe(first.address);
    expect((await fetch(first.uiUrl!)).status).toBe(200);
    expect(said).toContainEqual(expect.stringContaining(cli));
  });

  it('keeps closed runs for 90 days and knows the search attributes', async () => {
    for (const server of [first, second]) {
      await connected(server, async (connection) => {
        const { namespace } = server;
        const { config } = await connection.workflowService.describeNamespace({ namespace });
        expect(Number(String(config?.workflowExecutionRetentionTtl?.seconds))).toBe(90 * DAY_SECONDS);
        const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
        expect(customAttributes).toEqual({
          LinkStatus: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
          LinkAccount: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
          LinkProviderId: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
          LinkExceptions: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
          LinkDeadline: IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
        });
        await checkNamespace(connection, namespace, { minRetentionDays: 90 });
      });
    }
  });

  it('is tuned for one machine, and takes more dynamic config', async () => {
    const args = execFileSync('ps', ['-ww', '-o', 'args=', '-p', `${second.child?.pid}`], { encoding: 'utf8' });
    expect(args).toContain('--sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=NORMAL');
    expect(args).toContain('--dynamic-config-value history.transferProcessorMaxPollRPS=2000');
    expect(args).toContain('--dynamic-config-value history.timerProcessorMaxPollRPS=2000');
    expect(args).toContain('--dynamic-config-value history.timerProcessorMaxTimeShift="10ms"');
    await connected(second, async (connection) => {
      const client = new Client({ connection, namespace: 'shop' });
      const start = (workflowId: string) => client.workflow.start('none', { taskQueue: 'none', workflowId });
      await start('x'.repeat(50));
      await expect(start('x'.repeat(51))).rejects.toThrow();
    });
  });

  it('is reached by a process that has its `env`, whatever the user has set for other servers', async () => {
    const home = await mkdtemp(join(root, 'home-'));
    await mkdir(join(home, 'temporalio'));
    await writeFile(
      join(home, 'temporalio', 'temporal.toml'),
      '[profile.default]\naddress = "cloud:7233"\napi_key = "key"\n[profile.default.tls]\nserver_name = "cloud"\n',
    );
    const user = { ...process.env, XDG_CONFIG_HOME: home, TEMPORAL_PROFILE: 'cloud', TEMPORAL_TLS: 'true' };
    const server = await startTemporal({ env: user });
    try {
      const again = await startTemporal({ env: { ...user, ...server.env } });
      expect(again).toMatchObject({ address: server.address, external: true });
    } finally {
      await server.stop();
    }
  });

  it('is used, not stopped, by one who finds it in TEMPORAL_ADDRESS', async () => {
    const env = { ...process.env, TEMPORAL_ADDRESS: second.address, TEMPORAL_NAMESPACE: 'shop', TEMPORAL_CLI: '/none' };
    const external = await startTemporal({ env });
    expect(external).toMatchObject({ address: second.address, namespace: 'shop', external: true });
    expect(external.child).toBeUndefined();
    await external.stop();
    await connected(second, (connection) => checkNamespace(connection, 'shop'));
  });

  it('leaves no process and no file behind when stopped', async () => {
    const pids = [first.child!.pid, second.child!.pid];
    expect((await readdir(scratch)).length).toBe(2);
    await Promise.all([first.stop(), second.stop(), first.stop()]);
    for (const pid of pids) await gone(pid);
    expect(await readdir(scratch)).toEqual([]);
  });
});

describe('the namespace of somebody else', () => {
  let server: TemporalServer;
  let connection: Connection;
  beforeAll(async () => {
    server = await startTemporal({ env: { ...process.env, TEMPORAL_ADDRESS: undefined } });
    connection = await Connection.connect({ address: server.address });
    for (const namespace of ['day', 'strange']) {
      const seconds = DAY_SECONDS;
      const workflowExecutionRetentionPeriod = NamespaceConfig.fromObject({
        workflowExecutionRetentionTtl: { seconds },
      }).workflowExecutionRetentionTtl;
      await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod });
    }
    await connection.operatorService.addSearchAttributes({
      namespace: 'strange',
      searchAttributes: { LinkStatus: IndexedValueType.INDEXED_VALUE_TYPE_INT },
    });
  });
  afterAll(async () => {
    await connection?.close();
    await server?.stop();
  });

  it('is refused with every problem at once', async () => {
    const refusal = await checkNamespace(connection, 'strange').catch((error: NamespaceNotReady) => error);
    expect(refusal).toBeInstanceOf(NamespaceNotReady);
    expect((refusal as NamespaceNotReady).problems).toEqual([
      expect.stringMatching(
        /kept 1 day, at least 30 days .*PERDURE_MIN_RETENTION_DAYS.*--namespace strange --retention/,
      ),
      expect.stringMatching(/not registered: LinkAccount, .*--name LinkProviderId --type KeywordList/),
      expect.stringMatching(/LinkStatus is Int, it must be Keyword/),
    ]);
    await expect(prepareNamespace(connection, 'strange')).rejects.toThrow(/LinkStatus is Int/);
    await expect(checkNamespace(connection, 'nowhere')).rejects.toThrow(/"nowhere" is not ready.*does not exist/s);
  });

  it('is given the attributes and, only if asked, the retention; again and again', async () => {
    await prepareNamespace(connection, 'day');
    await checkNamespace(connection, 'day', { minRetentionDays: 1 });
    await expect(checkNamespace(connection, 'day')).rejects.toThrow(/kept 1 day/);
    // At once, because what a query knows a start must know too: a link would otherwise be refused or stuck.
    const client = new Client({ connection, namespace: 'day' });
    const typedSearchAttributes = [{ key: linkStatus, value: 'creating' }];
    await client.workflow.start('none', { taskQueue: 'none', workflowId: 'one', typedSearchAttributes });

    await Promise.all([1, 2, 3].map(() => prepareNamespace(connection, 'day', { retentionDays: 40 })));
    await prepareNamespace(connection, 'day', { retentionDays: 35 });
    await checkNamespace(connection, 'day', { minRetentionDays: 40 });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'day' });
    expect(Object.keys(customAttributes ?? {}).sort()).toEqual(Object.keys(SEARCH_ATTRIBUTES).sort());
  });

  it.each([
    [undefined, 30],
    ['', 30],
    ['7', 7],
    ['0.5', 0.5],
    ['0', 0],
  ])('must keep closed runs for as long as PERDURE_MIN_RETENTION_DAYS says: %j is %d', (text, days) => {
    expect(minRetentionDays({ PERDURE_MIN_RETENTION_DAYS: text })).toBe(days);
  });

  it.each(['a month', '-1', '1e999'])('PERDURE_MIN_RETENTION_DAYS %j is refused by name', (text) => {
    expect(() => minRetentionDays({ PERDURE_MIN_RETENTION_DAYS: text })).toThrow(/^PERDURE_MIN_RETENTION_DAYS must/);
  });
});

describe.concurrent('starting a server', () => {
  it('again on its state folder finds the workflows', async () => {
    const env = { ...process.env, TEMPORAL_ADDRESS: undefined };
    const options = { stateDir: join(root, 'state', 'deep'), port: await freePort(), env };
    const start = (server: TemporalServer) =>
      connected(server, async (connection) => {
        const client = new Client({ connection });
        const typedSearchAttributes = [{ key: linkStatus, value: 'pending' }];
        await client.workflow.start('none', { taskQueue: 'none', workflowId: 'kept', typedSearchAttributes });
      });
    const before = await startTemporal(options);
    await start(before);
    await before.stop();

    const after = await startTemporal(options);
    try {
      expect(after.address).toBe(`127.0.0.1:${options.port}`);
      await connected(after, async (connection) => {
        const kept = await new Client({ connection }).workflow.getHandle('kept').describe();
        expect(kept.typedSearchAttributes.get(linkStatus)).toBe('pending');
        await checkNamespace(connection, 'default', { minRetentionDays: 90 });
      });
    } finally {
      await after.stop();
    }
    expect(await readdir(options.stateDir)).toContain('temporal.db');
  });

  it.each([
    ['PERDURE_TEMPORAL_PORT', 'port'],
    ['PERDURE_TEMPORAL_UI_PORT', 'uiPort'],
  ])('on a port in use fails naming %s', async (variable, option) => {
    const taken = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
    const env = { ...process.env, TEMPORAL_ADDRESS: undefined };
    await expect(startTemporal({ [option]: port, env })).rejects.toThrow(
      `port ${port} on 127.0.0.1 is in use; stop what listens there or set ${variable}`,
    );
    taken.close();
  });

  it('tries other ports when one it chose is taken before the server has it', async () => {
    const env = await cliThat(
      `[ -e "$0.clashed" ] || { touch "$0.clashed"; echo 'listen tcp: bind: address already in use' >&2; exit 1; }`,
    );
    const server = await startTemporal({ env });
    await server.stop();
    expect(await readdir(dirname(env.TEMPORAL_CLI!))).toContain('temporal.clashed');
  });

  it('that dies fails with its last words, and leaves nothing', async () => {
    const env = await cliThat('echo "unable to open database file" >&2; echo $$ > "$0.pid"; exit 7');
    await expect(startTemporal({ env })).rejects.toThrow(
      /Temporal server exited with code 7.*unable to open database/s,
    );
    await gone(Number(await readFile(`${env.TEMPORAL_CLI}.pid`, 'utf8')));
  });

  it.each<[string, NodeJS.Signals]>([
    ['is terminated', 'SIGTERM'],
    ['is killed', 'SIGKILL'],
  ])('in a process that %s leaves no server behind', async (_, signal) => {
    const temp = await mkdtemp(join(root, 'tmp-'));
    const source = `
      import { startTemporal } from ${JSON.stringify(new URL('../stack/temporal.ts', import.meta.url).href)};
      const server = await startTemporal();
      console.log('server', server.child.pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: temp, TEMPORAL_ADDRESS: undefined },
    });
    let output = '';
    parent.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await vi.waitFor(() => expect(output).toMatch(/server \d+\n/), { timeout: 30_000 });
    const pid = Number(/server (\d+)/.exec(output)?.[1]);
    expect(living(pid)).toBeGreaterThan(0);
    parent.kill(signal);
    await gone(pid);
    expect((await readdir(temp)).filter((name) => name.startsWith('perdure-'))).toEqual([]);
  });
});
