import { type DestinationStream, pino } from 'pino';

/**
 * All that a log line may hold. Bodies, headers, URLs (they carry tokens) and secrets have no place here; what is not
 * listed is not written.
 */
export interface Entry {
  event: string;
  requestId?: string;
  listener?: 'api' | 'webhooks';
  method?: string;
  /** The route's pattern, never the path that was asked for. */
  route?: string;
  status?: number;
  ms?: number;
  code?: string;
  account?: string;
  provider?: string;
  reference?: string;
  actor?: string;
  /** Why a request was turned away, in our words. */
  reason?: string;
  /** The webhook registration's id at the provider. */
  registration?: string;
  retryInMs?: number;
  address?: string;
  /** Name and message of an error of ours, and where it arose. */
  error?: unknown;
}

export interface Log {
  info(entry: Entry): void;
  warn(entry: Entry): void;
  error(entry: Entry): void;
}

const ALLOWED: readonly (keyof Entry)[] = [
  'event',
  'requestId',
  'listener',
  'method',
  'route',
  'status',
  'ms',
  'code',
  'account',
  'provider',
  'reference',
  'actor',
  'reason',
  'registration',
  'retryInMs',
  'address',
];

/** A log of JSON lines, to standard output unless told otherwise. */
export function createLog(options: { level?: string; destination?: DestinationStream } = {}): Log {
  const { level = 'info', destination } = options;
  const settings = { level, base: { service: 'gateway' }, timestamp: pino.stdTimeFunctions.isoTime };
  const logger = destination ? pino(settings, destination) : pino(settings);
  return {
    info: (entry) => logger.info(fields(entry)),
    warn: (entry) => logger.warn(fields(entry)),
    error: (entry) => logger.error(fields(entry)),
  };
}

function fields(entry: Entry): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const name of ALLOWED) {
    if (entry[name] !== undefined) kept[name] = entry[name];
  }
  if (entry.error !== undefined) kept.error = about(entry.error);
  return kept;
}

function about(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { name: typeof error };
  const frames = error.stack?.split('\n').filter((line) => line.trimStart().startsWith('at ')) ?? [];
  return { name: error.name, message: error.message.slice(0, 300), at: frames.slice(0, 8).map((line) => line.trim()) };
}
