/**
 * `npm test`: format, lint, types, tests. Ends with one line, `N passed, N failed` (`, N skipped` where some were);
 * the two checks before the tests count as one each. What takes minutes is left to `npm run long`; with arguments, which
 * go to vitest, only tests are run.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** Runs a package's own command with this Node, without a shell between us and its signals. */
function run(name: string, bin: string, args: string[]): Promise<boolean> {
  console.log(`\n── ${name}`);
  const manifest = require.resolve(`${bin.split(':')[0]}/package.json`);
  const script = join(dirname(manifest), bin.split(':')[1]!);
  const child = spawn(process.execPath, [script, ...args], { stdio: 'inherit' });
  return new Promise((resolve) => child.on('exit', (code) => resolve(code === 0)));
}

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: unknown[] }[];
}

const scratch = await mkdtemp(join(tmpdir(), 'perdure-test-'));
const reportFile = join(scratch, 'report.json');
const args = process.argv.slice(2);
const checks =
  args.length > 0
    ? []
    : [
        await run('format and lint', '@biomejs/biome:bin/biome', ['check', '--error-on-warnings']),
        await run('types', 'typescript:bin/tsc', ['--noEmit', '-p', '.']),
      ];
const tested = await run('tests', 'vitest:vitest.mjs', [
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile=${reportFile}`,
  ...(args.length > 0 ? args : ['--project=!long*']),
]);

const report = await readFile(reportFile, 'utf8')
  .then((text) => JSON.parse(text) as Report)
  .catch(() => undefined);
await rm(scratch, { recursive: true });
const passed = checks.filter(Boolean).length + (report?.numPassedTests ?? 0);
let failed = checks.filter((ok) => !ok).length + (report?.numFailedTests ?? 0);
// A file that could not run at all, or a fault outside the tests, is a failure too.
failed +=
  report?.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length ?? 0;
if (!tested && failed === 0) failed = 1;
const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exit(failed > 0 ? 1 : 0);
