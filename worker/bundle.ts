import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

/** The workflow code as the worker runs it: bundled once per process, from the sources or from what was built. */
export async function bundleWorkflows(): Promise<WorkflowBundleWithSourceMap> {
  const own = fileURLToPath(import.meta.url);
  const workflowsPath = fileURLToPath(new URL(`../workflows/index${extname(own)}`, import.meta.url));
  return bundleWorkflowCode({ workflowsPath, logger: quiet });
}

const ignore = () => {};
/** Webpack's progress is of no interest; its errors are thrown. */
const quiet = { log: ignore, trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };
