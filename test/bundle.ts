import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { bundleWorkflows } from '../worker/bundle.ts';

/**
 * Bundles the workflows once for all tests and the processes they start, as `npm run build` does for an image. Pure tests
 * alone, and those that run others in a copy, need none.
 */
export default async function setup({ vitest }: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (vitest.projects.every(({ name }) => /pure$|^long-off$/.test(name))) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'perdure-bundle-'));
  const path = join(folder, 'workflow-bundle.js');
  await writeFile(path, (await bundleWorkflows()).code);
  process.env.PERDURE_WORKFLOW_BUNDLE = path;
  return () => rm(folder, { recursive: true });
}
