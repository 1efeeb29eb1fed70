import type { Client } from '@temporalio/client';
import { openLinks } from '../client/list.ts';
import { workersOn } from '../client/workers.ts';
import { TASK_QUEUE } from '../workflows/messages.ts';

/** What `/readyz` answers. */
export interface Readiness {
  ready: boolean;
  /** Check → `ok` or what is missing. */
  checks: Record<string, string>;
  /** Accounts of open links that are not in the accounts file: nobody can look after those links. */
  unknownAccounts: string[];
}

export interface ReadinessOptions {
  client: Client;
  accounts: Iterable<string>;
  /** Accounts whose webhooks are not registered yet. */
  unregistered(): string[];
}

const TIMEOUT_MS = 2_000;
/** However often it is asked, Temporal is asked once in this time. */
const FRESH_MS = 1_000;

/** Asks Temporal whether a link could be served now. */
export function createReadiness(options: ReadinessOptions): () => Promise<Readiness> {
  let latest: { at: number; answer: Promise<Readiness> } | undefined;
  // Read once: a map's keys are gone after they were gone through.
  const known = new Set(options.accounts);
  return () => {
    const now = performance.now();
    if (!latest || now - latest.at > FRESH_MS) latest = { at: now, answer: look(options, known) };
    return latest.answer;
  };
}

async function look({ client, unregistered }: ReadinessOptions, known: ReadonlySet<string>): Promise<Readiness> {
  const [workers, unknown] = await Promise.allSettled([
    workersOn(client, TASK_QUEUE, 'workflow', { deadline: Date.now() + TIMEOUT_MS }),
    unknownAccounts(client, known),
  ]);
  const waiting = unregistered();
  const checks = {
    temporal: workers.status === 'fulfilled' ? 'ok' : 'cannot be reached',
    worker:
      workers.status === 'fulfilled' && workers.value > 0 ? 'ok' : `none was seen on the task queue ${TASK_QUEUE}`,
    webhooks: waiting.length === 0 ? 'ok' : `not registered yet: ${waiting.join(', ')}`,
  };
  return {
    ready: Object.values(checks).every((check) => check === 'ok'),
    checks,
    unknownAccounts: unknown.status === 'fulfilled' ? unknown.value : [],
  };
}

async function unknownAccounts(client: Client, known: ReadonlySet<string>): Promise<string[]> {
  const open = await openLinks(client, { deadline: Date.now() + TIMEOUT_MS });
  return [...open.keys()].filter((account) => !known.has(account)).sort();
}
