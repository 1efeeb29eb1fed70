/** What the documents say of the code, where it can be checked. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { perdure } from '../client/cli/program.ts';
import { EXCEPTIONS, STATUSES } from '../workflows/schema.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/exceptions.md'];
const readme = read('README.md');
const all = (text: string, pattern: RegExp) => [...new Set([...text.matchAll(pattern)].map(([, found]) => found!))];

describe.each(documents)('%s', (name) => {
  it('links to files that exist', () => {
    const targets = all(read(name), /\]\((?!https?:|#)([^)#]+)/g);
    expect(targets.filter((target) => !existsSync(join(root, dirname(name), target)))).toEqual([]);
  });
});

describe.each(['README.md', 'ARCHITECTURE.md'])('%s', (name) => {
  it('names files that exist', () => {
    const rooms = 'activities|client|gateway|sandbox|stack|test|worker|workflows';
    const paths = all(read(name), new RegExp(`\\b((?:${rooms})/[\\w./-]+\\.ts)\\b`, 'g'));
    expect(paths.length).toBeGreaterThan(0);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

describe('README.md', () => {
  it('explains every variable that is read, and no other', () => {
    const sources = ['activities', 'client', 'gateway', 'sandbox', 'stack', 'worker'].flatMap((room) =>
      readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.ts'))
        .map((path) => read(join(room, path))),
    );
    const variable = /\b(PERDURE_[A-Z_]*[A-Z])\b/g;
    expect(all(readme, variable).sort()).toEqual(all(sources.join('\n'), variable).sort());
  });

  it('explains a variable once', () => {
    const rows = readme.split('\n').filter((line) => line.startsWith('| `'));
    const named = rows.flatMap((row) => row.split('|')[1]?.match(/\b(?:PERDURE|TEMPORAL)_[A-Z_]*[A-Z]\b/g) ?? []);
    expect(named.length).toBeGreaterThan(0);
    expect(named).toEqual([...new Set(named)]);
  });

  it('lists every status and exception', () => {
    const words = all(readme, /`([a-z_ ]+)`/g).flatMap((text) => text.split(' '));
    expect([...STATUSES, ...EXCEPTIONS].filter((word) => !words.includes(word))).toEqual([]);
  });

  it('and docs/exceptions.md explains every exception: what it means, what clears it, what to do', () => {
    const sections = read('docs/exceptions.md').split(/^## /m).slice(1);
    expect(sections.map((section) => section.split('\n')[0]).sort()).toEqual([...EXCEPTIONS].sort());
    for (const section of sections) expect(section).toMatch(/\*\*Means\.\*\*.*\*\*Clears\.\*\*.*\*\*Do\.\*\*/s);
  });

  it('shows verbs that the CLI has', async () => {
    let help = '';
    await perdure(['--help'], { out: (text) => (help += text), err: () => {}, stdin: () => '', env: {} });
    const verbs = all(help, /^ {2}([a-z-]+) +(?:\[|<)/gm);
    const shown = all(readme, /npx perdure ([a-z][a-z-]*)/g);
    expect(shown.length).toBeGreaterThan(0);
    expect(shown.filter((verb) => !verbs.includes(verb))).toEqual([]);
  });
});
