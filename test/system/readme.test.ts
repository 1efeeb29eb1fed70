import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSystem } from './shared.ts';

const { stack, shop } = await openSystem();

it('the backend example of the README runs as it stands', async () => {
  const readme = await readFile('README.md', 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  expect(example).toContain(`from 'perdure'`);
  const lines = example.split('\n').filter((line) => line.trim() !== '');
  expect(lines.length).toBeLessThanOrEqual(10);

  const folder = await mkdtemp(join(tmpdir(), 'perdure-readme-'));
  // The package's name stands for its public face, built or not.
  const face = new URL('../../client/index.ts', import.meta.url).href;
  await writeFile(join(folder, 'example.mts'), example.replace(`'perdure'`, `'${face}'`));
  const child = spawn(process.execPath, ['--import', 'tsx', join(folder, 'example.mts')], {
    env: { ...process.env, TEMPORAL_ADDRESS: stack.temporalAddress },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  try {
    const url = () => /^to be paid at (\S+)$/m.exec(said)?.[1];
    await expect.poll(() => url() ?? said, { timeout: 20_000 }).toMatch(/^http/);
    await shop.pay(url()!);
    expect(await code, said).toBe(0);
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true });
  }
  expect(said).toContain('paid, 1050 captured');
  const kinds = (await shop.ledger('paymennt', 'INV-2026-001')).map(({ kind, amount }) => [kind, amount]);
  expect(kinds).toEqual([
    ['created', 1050],
    ['captured', 1050],
    ['refunded', 1050],
  ]);
});
