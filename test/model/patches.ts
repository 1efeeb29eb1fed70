import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Code } from './stack.ts';
import type { TOLD_LIVES } from './told-lives.ts';

/** One place in the sources, and what a mistake would have made of it. */
export interface Patch {
  file: string;
  from: string;
  to: string;
}

export interface Bug {
  name: string;
  patches: readonly Patch[];
  /** A life that goes wrong by it. */
  life: keyof typeof TOLD_LIVES;
  /** What a life goes wrong by. */
  caughtBy: RegExp;
}

/** Mistakes somebody could make in code that only runs with a server: each is put back into a copy of the sources. */
export const BUGS: readonly Bug[] = [
  {
    name: 'a repeated webhook is news again',
    patches: [{ file: 'client/observe.ts', from: 'Math.floor(at / BUCKET_MS)', to: 'Math.random()' }],
    life: 'created twice',
    caughtBy: /I13/,
  },
  {
    name: 'a repeated command is done again',
    patches: [
      { file: 'workflows/run.ts', from: '    if (known) return known;\n', to: '' },
      { file: 'client/commands.ts', from: 'command.fingerprint}`', to: 'command.fingerprint + Math.random()}`' },
    ],
    life: 'asked for too much',
    caughtBy: /I6/,
  },
  {
    name: 'each attempt has a key of its own',
    patches: [
      {
        file: 'workflows/reads.ts',
        from: 'workflowInfo().workflowId}',
        to: 'workflowInfo().workflowId + Date.now()}',
      },
    ],
    life: 'made late',
    caughtBy: /I6/,
  },
  {
    name: 'an unknown outcome is tried again without a look',
    patches: [
      {
        file: 'workflows/writes.ts',
        from: 'const verdict = await probe(run, operation);',
        to: "const verdict = 'absent' as Awaited<ReturnType<typeof probe>>;",
      },
      {
        file: 'workflows/writes.ts',
        from: 'if (!again && may() && repeatable(run, kind, verdict)) {',
        to: 'if (!again) {',
      },
    ],
    life: 'made late',
    caughtBy: /I1|I6|I7/,
  },
  {
    name: 'a repeat is sent, whatever became known meanwhile',
    patches: [{ file: 'workflows/writes.ts', from: 'if (!again && may() && ', to: 'if (!again && ' }],
    life: 'paid while a cancel was lost',
    caughtBy: /I3/,
  },
  {
    name: 'money is given back without a look',
    patches: [
      {
        file: 'activities/index.ts',
        from: 'const before = canRead ? await',
        to: "const before = canRead && kind !== 'refund' ? await",
      },
    ],
    life: 'refunded elsewhere',
    caughtBy: /I2/,
  },
  {
    name: 'a link expires without a look',
    patches: [
      {
        file: 'workflows/payment-link.ts',
        from: '  const reached = await confirm(run);\n',
        to: "  run.declare({ expired: Date.now() }, 'it is over');\n  const reached = await confirm(run);\n",
      },
    ],
    life: 'read too late',
    caughtBy: /I2|I3|I8/,
  },
  {
    name: 'what a webhook says is money where the provider can be asked',
    patches: [{ file: 'workflows/run.ts', from: '    if (created.abilities.inquire) return;\n', to: '' }],
    life: 'lied to',
    caughtBy: /I2/,
  },
  {
    name: 'a token proves who sent it',
    patches: [
      {
        file: 'gateway/webhooks.ts',
        from: '      // A verifier that fails',
        to: "      if (request.query.has('t')) return { account, signed: true };\n      // A verifier that fails",
      },
    ],
    life: 'nobody can be asked',
    caughtBy: /I5/,
  },
  {
    name: 'what was refunded before proves that a refund happened',
    patches: [{ file: 'workflows/link.ts', from: 'refunded >= basis.refunded + amount', to: 'refunded >= amount' }],
    life: 'not refunded',
    caughtBy: /I7/,
  },
  {
    name: 'more is given back than was taken',
    patches: [
      { file: 'workflows/writes.ts', from: 'if ((operation.amount ?? 0) > movable) {', to: 'if (movable < 0) {' },
      {
        file: 'workflows/commands.ts',
        from: 'if ((amount ?? movable) > movable || movable === 0) {',
        to: 'if (movable < 0) {',
      },
    ],
    life: 'asked for too much',
    caughtBy: /I2/,
  },
  {
    name: 'a paid link is cancelled',
    patches: [
      {
        file: 'workflows/allowed.ts',
        from: 'cancel: !unknown && captured === 0 && (abilities?.cancel ? open || presumed : open && held === 0),',
        to: 'cancel: !unknown,',
      },
    ],
    life: 'asked for too much',
    caughtBy: /I3/,
  },
  {
    name: 'two operations at a time',
    patches: [
      {
        file: 'workflows/operations.ts',
        from: '    await perform(run, operation);\n    run.busy -= 1;\n',
        to: '    void perform(run, operation).finally(() => {\n      run.busy -= 1;\n    });\n',
      },
    ],
    life: 'asked for too much',
    caughtBy: /I6/,
  },
];

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ROOMS = ['workflows', 'activities', 'client', 'gateway', 'worker'];

/** What a source reads after the mistake. @throws Error where the place is not there, or there twice. */
export async function patched({ file, from, to }: Patch, root = ROOT): Promise<string> {
  const text = await readFile(join(root, file), 'utf8');
  const places = text.split(from).length - 1;
  if (places !== 1) throw new Error(`${file} has ${places} places that read ${JSON.stringify(from)}`);
  return text.replace(from, () => to);
}

/** The code with the bug in it, and how to be rid of it. */
export async function codeWith({ patches }: Bug): Promise<Code & { remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'perdure-bug-'));
  await Promise.all(ROOMS.map((room) => cp(join(ROOT, room), join(root, room), { recursive: true })));
  for (const file of ['package.json', 'tsconfig.json']) await cp(join(ROOT, file), join(root, file));
  await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  for (const patch of patches) await writeFile(join(root, patch.file), await patched(patch, root));
  const part = (file: string) => import(pathToFileURL(join(root, file)).href);
  const [{ bundleWorkflows }, { createActivities }, { createWebhooks }, { PaymentLinks }, errors] = await Promise.all(
    ['worker/bundle.ts', 'activities/index.ts', 'gateway/webhooks.ts', 'client/index.ts', 'activities/provider.ts'].map(
      part,
    ),
  );
  const { ProviderError, NotAuthentic } = errors;
  return {
    ...{ bundle: await bundleWorkflows(), createActivities, createWebhooks, PaymentLinks, ProviderError, NotAuthentic },
    remove: () => rm(root, { recursive: true }),
  };
}
