/** The table of protections holds what it says. That their tests fail without them: protections-off.test.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { patched } from './model/patches.ts';
import { patternOf, ROOT } from './protections/off.ts';
import { PROTECTIONS, protectionsTable } from './protections.ts';
import { hasTitle } from './titles.ts';

const source = (file: string) => readFileSync(join(ROOT, file), 'utf8');

describe('every protection', () => {
  it('is listed once', () => {
    expect(PROTECTIONS.map(({ rule }) => rule)).toEqual([...new Set(PROTECTIONS.map(({ rule }) => rule))]);
  });

  it.each(PROTECTIONS)('$rule', async ({ off, test: { file, title, row } }) => {
    expect(off.length).toBeGreaterThan(0);
    for (const patch of off) expect(await patched(patch)).not.toBe(source(patch.file));
    expect(hasTitle(source(file), title), `${file} › ${title}`).toBe(true);
    // Names of providers and invariants come from elsewhere.
    const isWord = row === undefined || /^\w+$/.test(row);
    if (!isWord) expect(source(file), `${file} › ${title}`).toContain(row.replace(/^"(.*)"$/, '$1'));
  });

  it('stands in docs/reliability.md as npx tsx test/protections.ts prints it', () => {
    expect(source('docs/reliability.md')).toContain(`\n${protectionsTable()}\n`);
  });
});

describe('the name of a test', () => {
  const file = 'test/any.test.ts';
  it.each<[title: string, row: string | undefined, name: string, matches: boolean]>([
    ['is %s', undefined, 'group is commutative', true],
    ['is %s', 'idempotent', 'group is commutative', false],
    ['%s (%i)', 'a (b)', 'group a (b) (500)', true],
    ['ends $round here', undefined, 'ends 7 here', true],
    ['ends', undefined, 'ends not', false],
    ['whole', undefined, 'unwhole', false],
  ])('%s, %s: %s', (title, row, name, matches) => {
    expect(new RegExp(patternOf({ project: 'pure', file, title, row })).test(name)).toBe(matches);
  });
});
