import type { Client } from '@temporalio/client';
import { accountQueue, TASK_QUEUE, watchQueue } from '../../workflows/messages.ts';
import { openLinks } from '../list.ts';
import { checkNamespace, minRetentionDays, NamespaceNotReady } from '../namespace.ts';
import { within } from '../reach.ts';
import { workersOn } from '../workers.ts';
import { table } from './render.ts';

export interface Check {
  name: string;
  ok: boolean;
  detail: string;
}

export interface Diagnosis {
  ok: boolean;
  checks: Check[];
}

const CALL_MS = 5_000;

/** Whether links can live here: the server, its namespace, and a worker for everything that has open links. */
export async function diagnose(client: Client, env: NodeJS.ProcessEnv): Promise<Diagnosis> {
  const limits = { deadline: Date.now() + CALL_MS };
  const { namespace } = client.options;
  const { serverVersion } = await within(client, limits, () => client.workflowService.getSystemInfo({}));
  const checks: Check[] = [{ name: 'Temporal', ok: true, detail: `server ${serverVersion}` }];
  const problems = await namespaceProblems(client, env);
  const ready = problems.length === 0;
  checks.push({ name: `namespace ${namespace}`, ok: ready, detail: ready ? 'ready' : problems.join('\n') });
  checks.push(await queueCheck(client, TASK_QUEUE, 'workflow'));
  // Accounts are counted by a search attribute: without it there is nothing to count by.
  const open = ready ? await openLinks(client, limits) : new Map<string, number>();
  for (const [account, count] of open) {
    const detail = `${count} open ${count === 1 ? 'link' : 'links'}`;
    checks.push({ name: `account ${account}`, ok: true, detail });
    checks.push(await queueCheck(client, accountQueue(account), 'activity'));
    checks.push(await queueCheck(client, watchQueue(account), 'activity'));
  }
  return { ok: checks.every((check) => check.ok), checks };
}

async function namespaceProblems(client: Client, env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const { connection, options } = client;
  const limits = { deadline: Date.now() + CALL_MS };
  try {
    await within(client, limits, () =>
      checkNamespace(connection as Parameters<typeof checkNamespace>[0], options.namespace, {
        minRetentionDays: minRetentionDays(env),
      }),
    );
    return [];
  } catch (error) {
    if (error instanceof NamespaceNotReady) return error.problems;
    throw error;
  }
}

async function queueCheck(client: Client, queue: string, kind: 'workflow' | 'activity'): Promise<Check> {
  const count = await workersOn(client, queue, kind, { deadline: Date.now() + CALL_MS });
  const detail = count === 0 ? 'no worker asks for work' : count === 1 ? '1 worker' : `${count} workers`;
  return { name: `queue ${queue}`, ok: count > 0, detail };
}

export function report({ ok, checks }: Diagnosis): string {
  const rows = checks.flatMap(({ ok: fine, name, detail }) =>
    detail.split('\n').map((part, at) => (at === 0 ? [fine ? 'ok' : 'PROBLEM', name, part] : ['', '', part])),
  );
  return `${table(rows)}\n\n${ok ? 'links can live here' : 'something is missing, see above'}`;
}
