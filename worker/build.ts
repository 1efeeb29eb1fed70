/** The last step of `npm run build`: writes the workflow bundle beside the code, so that workers start without one. */
import { writeFile } from 'node:fs/promises';
import { bundleWorkflows } from './bundle.ts';

const { code } = await bundleWorkflows();
await writeFile(new URL('../workflow-bundle.js', import.meta.url), code);
