import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { assertPortFree, freePort, PortInUse, portFromEnv } from '../stack/ports.ts';
import { type ChildFailed, spawnChild } from '../stack/processes.ts';
import { gone, living } from './process-group.ts';

vi.setConfig({ testTimeout: 30_000 });

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'perdure-test-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const sh = (name: string, script: string) => ({ name, command: 'sh', args: ['-c', script] });

describe('a child process', () => {
  it('is ready once it says so, and takes its whole group along when stopped', async () => {
    const lines: string[] = [];
    const child = await spawnChild({
      ...sh('server', 'sleep 60 & echo starting; echo ready on 7 >&2; wait'),
      log: (line) => lines.push(line),
      ready: (server) => server.line(/^ready/),
    });
    expect(await child.line(/^ready on/)).toBe('ready on 7');
    expect(lines).toContain('starting');
    expect(living(child.pid)).toBeGreaterThan(1);
    expect(await child.stop()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.running).toBe(false);
    await gone(child.pid);
  });

  it('is killed after the grace when it does not stop', async () => {
    const child = await spawnChild({
      ...sh('stubborn', 'trap "" TERM; echo up; while :; do sleep 1; done'),
      ready: (stubborn) => stubborn.line(/^up$/),
    });
    expect(await child.stop(200)).toEqual({ code: null, signal: 'SIGKILL' });
    await gone(child.pid);
  });

  it('can be killed as a crash would, which its exit then tells', async () => {
    const child = await spawnChild(sh('victim', 'sleep 60'));
    child.kill('SIGKILL');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await gone(child.pid);
  });

  it.each([
    ['exits too early', sh('gateway', 'echo no port left; exit 3'), /gateway exited with code 3 before.*no port left/s],
    ['is not ready in time', sh('gateway', 'echo thinking; sleep 60'), /gateway was not ready after 0.5 s.*thinking/s],
    ['does not exist', { name: 'gateway', command: '/no/such/command' }, /exited with code 12[67].*no\/such/s],
    ['has no folder to start in', { ...sh('gateway', 'true'), cwd: '/no/such/folder' }, /gateway.*ENOENT/s],
  ])('that %s fails with its last words', async (_, options, message) => {
    const failure = spawnChild({ ...options, ready: (child) => child.line(/never/), readyTimeoutMs: 500 });
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toMatchObject({ name: 'ChildFailed' } satisfies Partial<ChildFailed>);
  });

  it('needs nothing from PATH to be watched', async () => {
    const args = ['-e', 'setTimeout(() => process.exit(5), 300)'];
    const child = await spawnChild({ name: 'bare', command: process.execPath, args, env: { PATH: '' } });
    expect(await child.exited).toEqual({ code: 5, signal: null });
  });
});

describe.concurrent('when the process that started it', () => {
  /** A process of its own that starts `sleep` in a scratch folder, prints the child's pid, and then does `then`. */
  const start = async (scratch: string, then: string) => {
    const url = (file: string) => JSON.stringify(new URL(`../stack/${file}`, import.meta.url).href);
    const script = `
      import { spawnChild } from ${url('processes.ts')};
      import { onShutdown } from ${url('shutdown.ts')};
      const child = await spawnChild({ name: 'sleeper', command: 'sleep', args: ['60'], scratch: process.env.SCRATCH });
      console.log('child', child.pid);
      const alive = setInterval(() => {}, 1000);
      ${then}`;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, SCRATCH: scratch },
    });
    const exit = new Promise<number | null>((resolve) => parent.once('close', (code) => resolve(code)));
    let output = '';
    parent.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const said = (text: string | RegExp) => vi.waitFor(() => expect(output).toMatch(text), { timeout: 20_000 });
    await said(/child \d+\n/);
    const pid = Number(/child (\d+)/.exec(output)?.[1]);
    return { parent, pid, exit, said, output: () => output };
  };

  it.each<[string, string, (parent: ChildProcess) => void]>([
    ['is terminated', '', (parent) => parent.kill('SIGTERM')],
    ['is killed', '', (parent) => parent.kill('SIGKILL')],
    ['throws', 'setTimeout(() => { throw new Error("bug"); }, 300);', () => {}],
    ['exits', 'setTimeout(() => process.exit(4), 300);', () => {}],
  ])('%s, the child goes, and its scratch folder', async (_, then, end) => {
    const scratch = await mkdtemp(join(root, 'scratch-'));
    const { parent, pid, exit } = await start(scratch, then);
    expect(living(pid)).toBeGreaterThan(0);
    end(parent);
    await exit;
    await gone(pid);
    expect(existsSync(scratch)).toBe(false);
  });

  it('hears one Ctrl-C several times, it stops once, last started first, and exits 0', async () => {
    const { parent, pid, exit, said, output } = await start(
      join(root, 'unused'),
      `onShutdown(async () => { await child.stop(); console.log('first'); });
       onShutdown(async () => { await new Promise((done) => setTimeout(done, 300)); console.log('second'); });
       console.log('armed');`,
    );
    await said('armed');
    for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) parent.kill(signal);
    expect(await exit).toBe(0);
    expect(output()).toMatch(/armed\nsecond\nfirst\n$/);
    await gone(pid);
  });

  it.each([
    ['a stop function fails: 1', `onShutdown(child.stop); onShutdown(() => { throw new Error('stuck'); });`, 1],
    ['a main has set a code: that', `process.exitCode = 130; onShutdown(child.stop);`, 130],
  ])('is interrupted, its exit code is 0 unless %s', async (_, then, code) => {
    const { parent, pid, exit, said } = await start(join(root, 'unused'), `${then} console.log('armed');`);
    await said('armed');
    parent.kill('SIGINT');
    expect(await exit).toBe(code);
    await gone(pid);
  });

  it('is interrupted again while it hangs in stopping, it exits at once', async () => {
    const { parent, pid, exit, said } = await start(
      join(root, 'unused'),
      `onShutdown(() => { console.log('hanging'); return new Promise(() => {}); }); console.log('armed');`,
    );
    await said('armed');
    parent.kill('SIGINT');
    await said('hanging');
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    parent.kill('SIGINT');
    expect(await exit).toBe(130);
    await gone(pid);
  });
});

describe('ports', () => {
  it('are free, and not given twice', async () => {
    const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()));
    expect(new Set(ports).size).toBe(20);
    for (const port of ports) await assertPortFree(port, '127.0.0.1', 'ANY');
  });

  it('in use are refused, naming the variable that moves them', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    const refusal = assertPortFree(port, '127.0.0.1', 'PERDURE_API_PORT');
    await expect(refusal).rejects.toThrow(PortInUse);
    await expect(refusal).rejects.toThrow(
      `port ${port} on 127.0.0.1 is in use; stop what listens there or set PERDURE_API_PORT`,
    );
    server.close();
  });

  it.each([
    [undefined, 7233],
    ['', 7233],
    [' 9000 ', 9000],
  ])('read from the environment: %j is %i', (text, port) => {
    expect(portFromEnv('PERDURE_TEMPORAL_PORT', 7233, { PERDURE_TEMPORAL_PORT: text })).toBe(port);
  });

  it.each(['0', '65536', '-1', '80a', '1e3'])('read from the environment: %j is refused by name', (text) => {
    expect(() => portFromEnv('PERDURE_API_PORT', 1, { PERDURE_API_PORT: text })).toThrow(
      `PERDURE_API_PORT must be a port`,
    );
  });
});
