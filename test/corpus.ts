/**
 * The saved histories: what running links look like to the code that has to take them over. `npm test` replays them;
 * one that does not replay is a link in production whose workflow task would fail.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Walk } from '../stack/walk.ts';

/** A history as Temporal's own tools write it. */
export interface SavedHistory {
  events: Record<string, unknown>[];
}

const FOLDER = fileURLToPath(new URL('./histories/', import.meta.url));

export const nameOf = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]+/g, '-');
export const walkName = ({ name, desk }: Walk): string => nameOf(`${desk.account} ${name}`);

/** All saved histories, by name. */
export async function savedHistories(): Promise<Map<string, SavedHistory>> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.json')).sort();
  const read = async (file: string): Promise<[string, SavedHistory]> => [
    file.slice(0, -'.json'.length),
    JSON.parse(await readFile(`${FOLDER}${file}`, 'utf8')) as SavedHistory,
  ];
  return new Map(await Promise.all(files.map(read)));
}

export async function forgetHistories(): Promise<void> {
  await rm(FOLDER, { recursive: true, force: true });
}

/**
 * Saves the history of every run of a workflow that is still kept: `name`, or `name-run-1`, `name-run-2` … when it
 * continued as new. One event a line; without what only tells where it was recorded.
 * @returns the names of the saved histories
 */
export async function saveHistory(client: Client, workflowId: string, name: string): Promise<string[]> {
  const runs: SavedHistory[] = [];
  for (let runId: string | undefined; ; ) {
    const handle = client.workflow.getHandle(workflowId, runId);
    const history = JSON.parse(historyToJSON(await handle.fetchHistory()), neutral) as SavedHistory;
    runs.unshift(history);
    runId = earlierRun(history);
    if (runId === undefined) break;
  }
  await mkdir(FOLDER, { recursive: true });
  const names = runs.map((_, index) => (runs.length === 1 ? name : `${name}-run-${index + 1}`));
  for (const [index, { events }] of runs.entries()) {
    const lines = events.map((event) => JSON.stringify(event)).join(',\n');
    await writeFile(`${FOLDER}${names[index]}.json`, `{"events":[\n${lines}\n]}\n`);
  }
  return names;
}

function earlierRun({ events }: SavedHistory): string | undefined {
  const started = events[0]?.workflowExecutionStartedEventAttributes as
    | { continuedExecutionRunId?: string }
    | undefined;
  return started?.continuedExecutionRunId || undefined;
}

/** Process and host names, and stack traces, are of no interest to a replay, nor to anybody else. */
function neutral(key: string, value: unknown): unknown {
  if (key === 'identity') return 'worker';
  if (key === 'stackTrace') return undefined;
  const { kind, normalName } = (value ?? {}) as { kind?: unknown; normalName?: unknown };
  if (kind === 'TASK_QUEUE_KIND_STICKY') return { name: 'sticky', kind, normalName };
  return value;
}
