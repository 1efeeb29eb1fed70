/** The `perdure` command as a process: its arguments, streams and exit code. */
import { readFileSync } from 'node:fs';
import { perdure } from './cli/program.ts';

process.exitCode = await perdure(process.argv.slice(2), {
  out: (text) => console.log(text),
  err: (text) => console.error(text),
  stdin: () => readFileSync(0, 'utf8'),
  env: process.env,
});
