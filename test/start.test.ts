import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../stack/ports.ts';
import { openShop } from '../stack/shop.ts';
import { allGone, npm } from './mains.ts';

vi.setConfig({ testTimeout: 180_000 });

let root: string;
let taken: Server;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'perdure-test-'));
  taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  taken.close();
  await rm(root, { recursive: true });
});

const PORTS = ['API', 'WEBHOOK', 'SANDBOX', 'TEMPORAL', 'TEMPORAL_UI'].map((name) => `PERDURE_${name}_PORT`);

/** A state folder of its own, and ports nobody uses. */
async function settings(state: string): Promise<Record<string, string>> {
  const ports = await Promise.all(PORTS.map(async (variable) => [variable, `${await freePort()}`]));
  return { ...Object.fromEntries(ports), PERDURE_STATE: join(root, state) };
}

describe.concurrent('npm start', () => {
  it('continues its links after Ctrl-C: they are still there, open, and still complete', async () => {
    const env = await settings('continued');
    const local = (variable: string) => ({ port: Number(env[variable]), url: `http://127.0.0.1:${env[variable]}` });
    const [api, webhooks, sandbox] = [PORTS[0]!, PORTS[1]!, PORTS[2]!].map(local);
    const close = async () => {};
    const gateway = { apiUrl: api!.url, webhookUrl: webhooks!.url, close };
    const shop = openShop({ gateway, sandbox: { ...sandbox!, close } });
    const tokenKey = () => readFile(join(root, 'continued', 'token-key'), 'utf8');

    const first = npm(['start'], env);
    await first.said(/Ctrl-C stops/);
    for (const variable of PORTS.filter((name) => name !== 'PERDURE_TEMPORAL_PORT')) {
      expect(first.output()).toContain(local(variable).url);
    }
    const request = { account: 'paymennt', reference: 'INV/2026/001', amount: { minor: 1050, currency: 'AED' } };
    const { status, body: made } = await shop.create(request);
    expect({ status, link: made.status }).toEqual({ status: 201, link: 'pending' });
    const key = await tokenKey();
    const family = first.family();
    first.interrupt();
    expect(await first.exit, first.output()).toBe(0);
    await allGone(family);

    const second = npm(['start'], env);
    await second.said(/Ctrl-C stops/);
    expect((await shop.get(made.reference)).body).toEqual(made);
    expect(await shop.create(request)).toMatchObject({ status: 200, body: { url: made.url } });
    await shop.pay(made.url!);
    const paid = await shop.until(made.reference, (link) => link.status === 'paid');
    expect(paid).toMatchObject({ status: 'paid', captured: 1050, exceptions: [] });
    expect(await tokenKey()).toBe(key);
    second.interrupt();
    expect(await second.exit, second.output()).toBe(0);
  });

  // The first is asked for before anything runs, the other when Temporal and the sandbox already do.
  it.each(['PERDURE_TEMPORAL_PORT', 'PERDURE_WEBHOOK_PORT'])('says that the port of %s is in use', async (variable) => {
    const { port } = taken.address() as { port: number };
    const main = npm(['start'], { ...(await settings(variable)), [variable]: `${port}` });
    expect(await main.exit).toBe(1);
    const complaints = main.output().match(/^.* in use.*$/gm);
    expect(complaints).toHaveLength(1);
    expect(complaints![0]).toMatch(new RegExp(`^port ${port} on 127\\.0\\.0\\.1 is in use; .*set ${variable} to`));
    expect(main.output()).not.toMatch(/^ +at .*:\d+:\d+/m);
  });
});
