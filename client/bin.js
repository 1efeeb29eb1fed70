#!/usr/bin/env node
// The CLI runs from source: tsx strips the types, nothing has to be built first.
import { register } from 'tsx/esm/api';

register();
await import('./cli.ts');
