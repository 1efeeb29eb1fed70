/** Switches a protection off in a copy of the sources, and runs the test that has to notice. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Patch, patched } from '../model/patches.ts';

/** Against losing or doubling money, or against believing somebody who should not be believed. */
export interface Protection {
  /** What holds as long as it is there. */
  rule: string;
  off: readonly Patch[];
  /** What fails without it. `title` is as the source has it; `row` says which one of a table of tests is meant. */
  test: { project: 'pure' | 'parts' | 'system' | 'long-pure'; file: string; title: string; row?: string };
}

/** A test by its file, `system/order` for one of the running system, and its title. */
export const heldBy = (
  project: Protection['test']['project'],
  file: string,
  title: string,
  row?: string,
): Protection['test'] => ({ project, file: `test/${file}.test.ts`, title, ...(row === undefined ? {} : { row }) });

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A copy of everything that git keeps, with the patches in it; to be removed. */
export async function copyWith(patches: readonly Patch[]): Promise<string> {
  const { stdout } = await promisify(execFile)('git', ['ls-files', '-z'], { cwd: ROOT, maxBuffer: 1e8 });
  const root = await mkdtemp(join(tmpdir(), 'perdure-off-'));
  for (const file of stdout.split('\0').filter(Boolean)) await cp(join(ROOT, file), join(root, file));
  await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  for (const patch of patches) await writeFile(join(root, patch.file), await patched(patch, root));
  return root;
}

interface Report {
  testResults: {
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

/** A test that breaks instead of answering no proves nothing: the patch is at fault, or the machine. */
const BROKEN = /^(Syntax|Reference)Error|is not a function|Cannot find (module|package)|(Test|Hook) timed out in/;

/**
 * How the named test ends without the protection: `failed` is what must come out, anything else says why it did not.
 */
export async function withoutIt({ off, test }: Protection): Promise<string> {
  const root = await copyWith(off);
  try {
    const pattern = patternOf(test);
    const report = await runTest(root, test.project, test.file, pattern);
    const asked = report.testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ fullName, status }) => new RegExp(pattern).test(fullName) && status !== 'skipped');
    const failed = asked.filter(({ status }) => status === 'failed');
    const messages = failed.map(({ failureMessages }) => failureMessages[0] ?? '');
    if (messages.some((message) => !BROKEN.test(message))) return 'failed';
    if (failed.length > 0) return `broke: ${messages[0]}`;
    const what = report.testResults.map(({ message }) => message).join('\n');
    return asked.length > 0 ? 'passed' : `did not run: ${what || `no test is called ${pattern}`}`;
  } finally {
    await rm(root, { recursive: true });
  }
}

/** A test's whole name ends like this; `%s` and `$name` stand for whatever the table's rows have there. */
export function patternOf({ title, row }: Protection['test']): string {
  const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const placed = title.split(/%[a-z]|\$\{[^}]+\}|\$[\w.]+/).map(literal);
  if (row === undefined) return `(^| )${placed.join('.*')}$`;
  return `(^| )${placed[0]}${literal(row)}${placed.slice(1).join('.*')}$`;
}

async function runTest(root: string, project: string, file: string, pattern: string): Promise<Report> {
  const output = join(root, 'report.json');
  const bin = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const args = ['run', `--project=${project}`, file, '-t', pattern, '--retry=0', '--reporter=json'];
  // What this run of tests was told must not reach that one.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|PERDURE_WORKFLOW_BUNDLE$)/.test(name)),
  );
  const child = spawn(process.execPath, [bin, ...args, `--outputFile=${output}`], { cwd: root, env });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  await once(child, 'exit');
  const text = await readFile(output, 'utf8').catch(() => {
    throw new Error(`vitest wrote no report: ${said.slice(-2_000)}`);
  });
  return JSON.parse(text) as Report;
}
