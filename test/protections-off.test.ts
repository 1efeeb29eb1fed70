/** Each protection switched off in a copy of the sources: the test that is named for it fails there. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Patch } from './model/patches.ts';
import { copyWith, ROOT, withoutIt } from './protections/off.ts';
import { PROTECTIONS } from './protections.ts';

/** All patches in as few copies as have room for them: two of one place need a copy each. */
function shared(): Patch[][] {
  const copies: { patches: Patch[]; texts: Map<string, string> }[] = [];
  for (const { off } of PROTECTIONS) {
    const fits = ({ texts }: (typeof copies)[number]) =>
      off.every(({ file, from }) => (texts.get(file) ?? source(file)).split(from).length === 2);
    const copy = copies.find(fits) ?? copies[copies.push({ patches: [], texts: new Map() }) - 1]!;
    for (const patch of off) {
      const { file, from, to } = patch;
      copy.texts.set(
        file,
        (copy.texts.get(file) ?? source(file)).replace(from, () => to),
      );
      copy.patches.push(patch);
    }
  }
  return copies.map(({ patches }) => patches);
}

const source = (file: string) => readFileSync(join(ROOT, file), 'utf8');

// A protection whose loss shows only sometimes is not held: one more try is for the machine.
describe('without it', { retry: 1, timeout: 300_000 }, () => {
  it('the sources still compile, so that nothing fails for that', async () => {
    for (const patches of shared()) {
      const root = await copyWith(patches);
      const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
      const told = await promisify(execFile)(process.execPath, [tsc, '--noEmit', '-p', '.'], { cwd: root }).then(
        () => '',
        ({ stdout }: { stdout: string }) => stdout,
      );
      await rm(root, { recursive: true });
      expect(told).toBe('');
    }
  });

  it.concurrent.each(PROTECTIONS)('$rule: its test fails', async (protection) => {
    expect(await withoutIt(protection)).toBe('failed');
  });
});
