/** docs/reliability.md names the test for each fault, rule and invariant: it has to be there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { hasTitle } from './titles.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const text = readFileSync(join(root, 'docs/reliability.md'), 'utf8');

const rows = [...text.matchAll(/^\| ([SI]?\d+) \| (.+?) \| (.+?) \| (.+) \|$/gm)].map(([, id, ...columns]) => ({
  id: id!,
  does: columns[1]!,
  shownBy: columns[2]!.split('<br>'),
}));
const named = rows.flatMap(({ id, shownBy }) =>
  shownBy.flatMap((proof) => {
    const [, file, title] = /^`(test\/[\w./-]+\.ts)` › (.+)$/.exec(proof) ?? [];
    return file && title ? [{ id, file, title }] : [];
  }),
);

describe('docs/reliability.md', () => {
  it('has a row for every fault, every rule and every invariant, once', () => {
    const ids = [
      ...Array.from({ length: 43 }, (_, index) => `${index + 1}`),
      ...Array.from({ length: 22 }, (_, index) => `S${index + 1}`),
      ...Array.from({ length: 17 }, (_, index) => `I${index + 1}`),
    ];
    expect(rows.map(({ id }) => id)).toEqual(ids);
  });

  it.each(rows)('$id names tests, or says that it is open and why', ({ does, shownBy }) => {
    for (const proof of shownBy) expect(proof).toMatch(/^(`test\/[\w./-]+\.ts` › .+|open: .{10,}|open)$/);
    if (shownBy.includes('open')) expect(does).toMatch(/^open: .{10,}/);
  });

  it.each(named)('$id: $file › $title', ({ file, title }) => {
    expect(existsSync(join(root, file)), file).toBe(true);
    expect(hasTitle(readFileSync(join(root, file), 'utf8'), title)).toBe(true);
  });

  it('would notice a title that is only a text, or is gone', () => {
    const source = `it('a test', () => {}); it.each([1])('of %s', () => {}); const text = 'a text'; { name: 'asked' }`;
    expect(['a test', 'of %s', 'asked'].map((title) => hasTitle(source, title))).toEqual([true, true, true]);
    expect(['a text', 'a tes', 'gone'].map((title) => hasTitle(source, title))).toEqual([false, false, false]);
  });
});
