import type { ServerOptions } from 'node:http';
import { Problem } from './problems.ts';

/** What one caller may cost us. Sizes in bytes, times in milliseconds; tests pass shorter ones. */
export interface Limits {
  apiBody: number;
  webhookBody: number;
  /** A larger body is read up to here before the 413, so that its sender gets to read the answer. */
  drain: number;
  /** A connection without complete request headers after this long is closed with 408. */
  headersMs: number;
  /** A request whose body is not complete after this long is closed with 408. */
  requestMs: number;
  keepAliveMs: number;
  /** A connection on which nothing moves for so long while an answer is due or unread is closed. */
  silentMs: number;
  /** Connections of one listener; further ones are closed at once. */
  connections: number;
  /** How long `close` waits for requests in flight: longer than a command's 15 s. */
  closeMs: number;
  /** A webhook that Temporal has not accepted by then is answered 503: within 2 s also on a machine that is busy. */
  observeMs: number;
  /** What an API key may ask for each second if it says nothing else; twice that at once. */
  requestsPerSecond: number;
}

export const LIMITS: Limits = {
  apiBody: 256 * 1024,
  webhookBody: 64 * 1024,
  drain: 8 * 1024 * 1024,
  headersMs: 10_000,
  requestMs: 15_000,
  keepAliveMs: 65_000,
  // Longer than the longest command.
  silentMs: 60_000,
  connections: 10_000,
  closeMs: 20_000,
  observeMs: 1_500,
  requestsPerSecond: 100,
};

export function serverOptions({ headersMs, requestMs, keepAliveMs }: Limits): ServerOptions {
  return {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    // Node looks for overdue requests every 30 s unless told otherwise.
    connectionsCheckingInterval: Math.min(1_000, headersMs, requestMs),
    maxHeaderSize: 16 * 1024,
    // Without it Node answers a missing Host itself, with an empty body.
    requireHostHeader: false,
  };
}

/**
 * Reads a request's body, exactly as it came.
 * @throws Problem 413 `too_large` above `limit`, 415 for a compressed body, 400 when it breaks off.
 */
export async function readBody(request: Request, limit: number, drain: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? Number.NaN);
  const encoding = request.headers.get('content-encoding');
  const compressed = encoding !== null && encoding.trim().toLowerCase() !== 'identity';
  // A length that fits is enforced by Node's parser: no need to count.
  if (!compressed && declared <= limit) return readWhole(request);
  const body = await readUpTo(request, compressed ? 0 : limit, drain);
  if (compressed) {
    throw new Problem(415, 'unsupported_encoding', `Content-Encoding ${JSON.stringify(encoding)} is not accepted.`);
  }
  if (body) return body;
  const details = { headers: { connection: 'close' } };
  throw new Problem(413, 'too_large', `The body is larger than ${limit} bytes.`, details);
}

async function readWhole(request: Request): Promise<Uint8Array> {
  try {
    return new Uint8Array(await request.arrayBuffer());
  } catch {
    throw brokenOff();
  }
}

/** Undefined when there is more than `limit`; then the rest is thrown away, up to `drain`. */
async function readUpTo(request: Request, limit: number, drain: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  while (reader && size <= drain) {
    const { done, value } = await reader.read().catch(() => Promise.reject(brokenOff()));
    if (done) break;
    size += value.byteLength;
    if (size <= limit) chunks.push(value);
    else chunks.length = 0;
  }
  return size <= limit ? Buffer.concat(chunks) : undefined;
}

const brokenOff = () => new Problem(400, 'incomplete_body', 'The body ended before it was complete.');
