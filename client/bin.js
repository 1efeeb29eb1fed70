#!/usr/bin/env node
// In a checkout the CLI runs from source: tsx strips the types, nothing has to be built first. The package has no source.
import { existsSync } from 'node:fs';
import { register } from 'tsx/esm/api';

const source = new URL('./cli.ts', import.meta.url);
if (existsSync(source)) {
  register();
  await import(source.href);
} else {
  await import('../dist/client/cli.js');
}
