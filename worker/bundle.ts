import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundleOption, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

/**
 * The workflow code as a worker runs it: the file `PERDURE_WORKFLOW_BUNDLE` names, as `npm run build` writes it, else
 * bundled now, which takes a process some seconds of CPU.
 */
export async function workflowBundle(env = process.env): Promise<WorkflowBundleOption> {
  const { PERDURE_WORKFLOW_BUNDLE: codePath } = env;
  return codePath ? { codePath } : bundleWorkflows();
}

/** Bundled anew, from the sources or from what was built of them. */
export async function bundleWorkflows(): Promise<WorkflowBundleWithSourceMap> {
  const own = fileURLToPath(import.meta.url);
  const part = (name: string) => fileURLToPath(new URL(`../workflows/${name}${extname(own)}`, import.meta.url));
  return bundleWorkflowCode({
    workflowsPath: part('index'),
    workflowInterceptorModules: [part('interceptors')],
    logger: quiet,
  });
}

const ignore = () => {};
/** Webpack's progress is of no interest; its errors are thrown. */
const quiet = { log: ignore, trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };
