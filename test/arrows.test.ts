import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { bundleWorkflows } from '../worker/bundle.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Who may import whom, types included. `stack` holds mains, which start it all. */
const ARROWS: Record<string, string[]> = {
  workflows: [],
  activities: ['workflows'],
  client: ['workflows'],
  worker: ['activities', 'client', 'workflows'],
  gateway: ['activities', 'client', 'workflows'],
  sandbox: [],
  stack: ['activities', 'client', 'worker', 'gateway', 'sandbox', 'workflows'],
};

/** Schemas and currency tables are for those around the workflow; inside it they would cost memory in every run. */
const EDGE_ONLY: Record<string, string> = { 'workflows/schema.ts': 'zod', 'workflows/currencies.ts': 'dinero.js' };

const MAIN = /(^|\/)main\.ts$|^client\/(bin\.js|cli\.ts)$|^stack\/(start|demo|chaos)\.ts$/;

interface Import {
  from: string;
  /** Path from the root for a file of ours, else the package's name. */
  to: string;
  ours: boolean;
  /** Written `import type`: gone when the code runs. */
  type: boolean;
}

/** What a file imports or re-exports, statically or not. */
function importsIn(text: string, from: string): Import[] {
  const statement =
    /^(?:import|export) (type )?(?:[^;'"]*? from )?['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]/gm;
  return [...text.matchAll(statement)].map(([, type, named, called]) => {
    const target = (named ?? called)!;
    const ours = target.startsWith('.');
    const packageName = /^(@[^/]+\/)?[^/]+/.exec(target)![0];
    const to = ours ? posix.join(posix.dirname(from), target) : packageName;
    return { from, to, ours, type: type !== undefined };
  });
}

const room = (path: string) => path.split('/')[0]!;
const files = Object.keys(ARROWS).flatMap((name) =>
  readdirSync(join(root, name), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `${name}/${path}`),
);
const imports = files.flatMap((file) => importsIn(readFileSync(join(root, file), 'utf8'), file));
const told = ({ from, to }: Import) => `${from} → ${to}`;

/** Every file that runs when `entry` is imported. */
function reached(entry: string): Set<string> {
  const seen = new Set([entry]);
  for (const file of seen) {
    for (const { to } of imports.filter(({ from, ours, type }) => from === file && ours && !type)) seen.add(to);
  }
  return seen;
}

describe('rooms', () => {
  it.each(Object.entries(ARROWS))('%s imports of ours only %j', (name, allowed) => {
    const own = imports.filter(({ from, ours }) => room(from) === name && ours);
    expect(own).not.toEqual([]);
    expect(own.filter(({ to }) => room(to) !== name && !allowed.includes(room(to))).map(told)).toEqual([]);
  });

  it('import files that exist, by their whole name', () => {
    const missing = imports.filter(({ to, ours }) => ours && !files.includes(to));
    expect(missing.map(told)).toEqual([]);
  });

  it('leave mains alone', () => {
    expect(files.filter((file) => MAIN.test(file)).length).toBeGreaterThanOrEqual(5);
    expect(imports.filter(({ to, ours }) => ours && MAIN.test(to)).map(told)).toEqual([]);
  });

  it('keep Temporal out of the providers', () => {
    const provider = imports.filter(({ from }) => /^activities\/(providers\/|provider\.ts)/.test(from));
    expect(provider).not.toEqual([]);
    expect(provider.filter(({ to }) => to.startsWith('@temporalio/')).map(told)).toEqual([]);
  });
});

describe('workflow code', () => {
  it('needs only the workflow SDK; edge-only files one package more', () => {
    const foreign = imports.filter(({ from, ours }) => room(from) === 'workflows' && !ours);
    const allowed = ({ from, to }: Import) =>
      ['@temporalio/workflow', '@temporalio/common', EDGE_ONLY[from]].includes(to);
    expect(foreign.filter((each) => !allowed(each)).map(told)).toEqual([]);
    for (const file of Object.keys(EDGE_ONLY)) expect(foreign.map(told)).toContain(`${file} → ${EDGE_ONLY[file]}`);
  });

  it('reaches no edge-only file from its entry', () => {
    const running = reached('workflows/index.ts');
    expect(running).toContain('workflows/payment-link.ts');
    for (const file of Object.keys(EDGE_ONLY)) expect(running).not.toContain(file);
  });

  it('is bundled without them and their packages', async () => {
    const { code } = await bundleWorkflows();
    const modules = [...new Set(code.match(/"\.\/[^"\s]+\.[cm]?[jt]s"/g))];
    expect(modules).toContain('"./workflows/payment-link.ts"');
    expect(modules.some((path) => path.includes('/node_modules/@temporalio/workflow/'))).toBe(true);
    const unwanted = /\/node_modules\/(zod|dinero\.js|@?hono|@temporalio\/client)\/|\/workflows\/(schema|currencies)\./;
    expect(modules.filter((path) => unwanted.test(path))).toEqual([]);
  }, 60_000);
});

it('this test reads imports of every form', () => {
  const text = `import a from './a.ts';
import type { B } from '../client/b.ts';
import {
  c,
  type D,
} from "zod/mini";
import './effect.ts';
export { e } from '@scope/pkg/deep';
export type { F } from './f.ts';
export const text = 'not an import';
const later = await import('./later.ts');
`;
  expect(importsIn(text, 'gateway/x.ts').map(({ to, type }) => `${to}${type ? ' (type)' : ''}`)).toEqual([
    'gateway/a.ts',
    'client/b.ts (type)',
    'zod',
    'gateway/effect.ts',
    '@scope/pkg',
    'gateway/f.ts (type)',
    'gateway/later.ts',
  ]);
});
