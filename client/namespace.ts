import type { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../workflows/attributes.ts';

const { IndexedValueType } = proto.temporal.api.enums.v1;
const { NamespaceConfig } = proto.temporal.api.namespace.v1;
const DAY_SECONDS = 86_400;
const VISIBLE_WITHIN_MS = 60_000;

// gRPC status codes, https://grpc.io/docs/guides/status-codes/
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;

/** What a `Connection` (gateway, client) and a `NativeConnection` (worker) have in common for administration. */
export type NamespaceConnection = Pick<Connection, 'workflowService' | 'operatorService'>;

/** The namespace cannot hold payment links. `problems` lists everything found, one sentence each. */
export class NamespaceNotReady extends Error {
  override readonly name = 'NamespaceNotReady';
  readonly namespace: string;
  readonly problems: readonly string[];

  constructor(namespace: string, problems: readonly string[]) {
    super([`Temporal namespace "${namespace}" is not ready for payment links:`, ...problems].join('\n  - '));
    this.namespace = namespace;
    this.problems = problems;
  }
}

/**
 * The least retention a namespace must have, in days: `PERDURE_MIN_RETENTION_DAYS`, else 30. Fractions are allowed.
 * @throws Error naming the variable when it is not a number of at least 0.
 */
export function minRetentionDays(env: NodeJS.ProcessEnv = process.env): number {
  const text = env.PERDURE_MIN_RETENTION_DAYS?.trim();
  if (!text) return 30;
  const days = Number(text);
  if (!Number.isFinite(days) || days < 0) {
    throw new Error(`PERDURE_MIN_RETENTION_DAYS must be a number of days, 0 or more; it is "${text}"`);
  }
  return days;
}

/**
 * Refuses a namespace that would lose links: one that forgets closed runs too soon (their references could then be
 * used again) or does not know our search attributes (a workflow that sets an unknown one is stuck for ever).
 * Workers and gateways call it before they serve.
 * @throws NamespaceNotReady listing every problem; any other gRPC error (unreachable, not allowed) as it is.
 */
export async function checkNamespace(
  connection: NamespaceConnection,
  namespace: string,
  options: { minRetentionDays?: number } = {},
): Promise<void> {
  const wanted = options.minRetentionDays ?? minRetentionDays();
  const retention = await retentionDays(connection, namespace);
  const { missing, wrong } = await compareAttributes(connection, namespace);
  const problems: string[] = [];
  if (retention < wanted) {
    problems.push(
      `closed runs are kept ${days(retention)}, at least ${days(wanted)} are needed ` +
        `(PERDURE_MIN_RETENTION_DAYS); set it with: temporal operator namespace update ` +
        `--namespace ${namespace} --retention 90d`,
    );
  }
  if (missing.length > 0) {
    const flags = missing.map((name) => `--name ${name} --type ${attributeWord(SEARCH_ATTRIBUTES[name])}`);
    problems.push(
      `search attributes are not registered: ${missing.join(', ')}; add them with: temporal operator ` +
        `search-attribute create --namespace ${namespace} ${flags.join(' ')}`,
    );
  }
  problems.push(...wrong);
  if (problems.length > 0) throw new NamespaceNotReady(namespace, problems);
}

/** Makes the namespace unless it is there, and waits until the server serves it; whether it was made. */
export async function makeNamespace(
  connection: NamespaceConnection,
  namespace: string,
  retention: number,
): Promise<boolean> {
  const serves = async () => {
    try {
      await connection.workflowService.describeNamespace({ namespace });
      return true;
    } catch (error) {
      if (grpcCode(error) === NOT_FOUND) return false;
      throw error;
    }
  };
  if (await serves()) return false;
  const { workflowExecutionRetentionTtl } = retentionConfig(retention);
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: workflowExecutionRetentionTtl,
  });
  // Frontends refresh their list of namespaces every few seconds.
  for (const deadline = Date.now() + VISIBLE_WITHIN_MS; Date.now() < deadline; await pause(200)) {
    const listed = await connection.workflowService
      .countWorkflowExecutions({ namespace, query: '' })
      .catch(() => undefined);
    if (listed) return true;
  }
  throw new NamespaceNotReady(namespace, ['it was made, but the server does not serve it yet; run this again']);
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/**
 * Registers the search attributes that are missing and waits until queries know them. With `retentionDays` it also
 * raises the namespace's retention to that (never lowers it); give it only for a server that is ours. Safe to repeat.
 * @throws NamespaceNotReady when the namespace does not exist or an attribute is there with another type.
 */
export async function prepareNamespace(
  connection: NamespaceConnection,
  namespace: string,
  options: { retentionDays?: number } = {},
): Promise<void> {
  const { retentionDays: wanted } = options;
  if (wanted !== undefined && (await retentionDays(connection, namespace)) < wanted) {
    await connection.workflowService.updateNamespace({ namespace, config: retentionConfig(wanted) });
  }
  const { missing, wrong } = await compareAttributes(connection, namespace);
  if (wrong.length > 0) throw new NamespaceNotReady(namespace, wrong);
  if (missing.length > 0) await register(connection, namespace, missing);
  await untilSearchable(connection, namespace);
}

async function retentionDays(connection: NamespaceConnection, namespace: string): Promise<number> {
  const { config } = await connection.workflowService.describeNamespace({ namespace }).catch((error: unknown) => {
    if (grpcCode(error) === NOT_FOUND) {
      throw new NamespaceNotReady(namespace, [
        `it does not exist; create it with: temporal operator namespace create --namespace ${namespace} --retention 90d`,
      ]);
    }
    throw error;
  });
  // protobufjs answers int64 as a Long, which only its text converts safely.
  return Number(String(config?.workflowExecutionRetentionTtl?.seconds ?? 0)) / DAY_SECONDS;
}

async function compareAttributes(
  connection: NamespaceConnection,
  namespace: string,
): Promise<{ missing: string[]; wrong: string[] }> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing: string[] = [];
  const wrong: string[] = [];
  for (const [name, type] of Object.entries(SEARCH_ATTRIBUTES)) {
    const found = customAttributes?.[name];
    if (found === undefined) missing.push(name);
    else if (found !== indexedValueType(type)) {
      const is = (IndexedValueType[found] ?? `type ${found}`).replace('INDEXED_VALUE_TYPE_', '');
      wrong.push(
        `search attribute ${name} is ${attributeWord(is)}, it must be ${attributeWord(type)}; remove it with: ` +
          `temporal operator search-attribute remove --namespace ${namespace} --name ${name}`,
      );
    }
  }
  return { missing, wrong };
}

async function register(connection: NamespaceConnection, namespace: string, names: string[]): Promise<void> {
  const searchAttributes = Object.fromEntries(names.map((name) => [name, indexedValueType(SEARCH_ATTRIBUTES[name])]));
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  } catch (error) {
    // Another process may have registered them between our look and our call.
    if (grpcCode(error) !== ALREADY_EXISTS) throw error;
  }
}

/** A server answers queries from a cache of attribute names, which lags behind their registration. */
async function untilSearchable(connection: NamespaceConnection, namespace: string): Promise<void> {
  const query = Object.keys(SEARCH_ATTRIBUTES)
    .map((name) => `${name} IS NULL`)
    .join(' AND ');
  const deadline = Date.now() + VISIBLE_WITHIN_MS;
  for (;;) {
    try {
      await connection.workflowService.countWorkflowExecutions({ namespace, query });
      return;
    } catch (error) {
      if (grpcCode(error) !== INVALID_ARGUMENT || Date.now() > deadline) throw error;
    }
    await pause(100);
  }
}

function indexedValueType(type: string | undefined) {
  return IndexedValueType[`INDEXED_VALUE_TYPE_${type}` as keyof typeof IndexedValueType];
}

/** `KEYWORD_LIST` as the CLI and the UI write it: `KeywordList`. */
export function attributeWord(type: string | undefined): string {
  return (type ?? '').toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The service takes int64 as a Long; `fromObject` makes one from a number. */
function retentionConfig(wantedDays: number) {
  const seconds = Math.round(wantedDays * DAY_SECONDS);
  return NamespaceConfig.fromObject({ workflowExecutionRetentionTtl: { seconds } });
}

function grpcCode(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function days(count: number): string {
  const rounded = Math.round(count * 100) / 100;
  return `${rounded} ${rounded === 1 ? 'day' : 'days'}`;
}
