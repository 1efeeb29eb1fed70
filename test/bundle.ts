import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflows } from '../worker/bundle.ts';

/** Bundles the workflows once for all tests and the processes they start, as `npm run build` does for an image. */
export default async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'perdure-bundle-'));
  const path = join(folder, 'workflow-bundle.js');
  await writeFile(path, (await bundleWorkflows()).code);
  process.env.PERDURE_WORKFLOW_BUNDLE = path;
  return () => rm(folder, { recursive: true });
}
