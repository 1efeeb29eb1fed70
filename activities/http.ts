import { ProviderError } from './provider.ts';

/**
 * One HTTP call to a provider over the built-in `fetch`, with the failures that mean the same at every provider
 * already told apart. What is left to the adapter is reading a 2xx and the other 4xx.
 */
export interface Http {
  /**
   * Returns 2xx answers (always JSON) and 4xx answers (JSON if they were).
   *
   * @throws ProviderError `not_sent`, `unknown`, `rate_limited` or `unauthorized`; `refused` when the request cannot be
   * built at all.
   */
  request(request: HttpRequest): Promise<HttpAnswer>;
}

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  url: string;
  /** Values are taken for secrets: they appear in no message, even if the provider sends them back. */
  headers?: Record<string, string>;
  query?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as `multipart/form-data`, in this order; a name may come more than once. */
  form?: readonly FormPart[];
  /** Further secrets, such as a token in the body, to keep out of messages. */
  secrets?: readonly string[];
}

export type FormPart =
  | { name: string; value: string }
  | { name: string; file: Uint8Array<ArrayBuffer>; filename: string; type: string };

export interface HttpAnswer {
  status: number;
  headers: Headers;
  /** Undefined only when a 4xx was not JSON. */
  json: unknown;
  text: string;
  /** A short piece of `text` that may be shown: one line, without secrets. */
  excerpt(text: string): string;
}

export interface HttpOptions {
  /** For the whole call: connect, send, answer. */
  timeoutMs?: number;
  /** Of the decoded answer. */
  maxBytes?: number;
  fetch?: typeof fetch;
}

/** @throws Error in a process that checks no certificates. */
export function createHttp({
  timeoutMs = 20_000,
  maxBytes = 1_000_000,
  fetch = globalThis.fetch,
}: HttpOptions = {}): Http {
  // Node's own switch: with it anybody on the way could answer in the provider's place, and read the credentials.
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    throw new Error('NODE_TLS_REJECT_UNAUTHORIZED=0 switches off the checking of certificates: unset it');
  }
  return {
    async request(request) {
      const show = redactor(request);
      const url = new URL(request.url);
      for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.append(name, value);
      // The query stays out of messages: it may carry a customer's words.
      const what = show(`${request.method} ${url.origin}${url.pathname}`);
      const failed = (kind: ProviderError['kind'], code: string, said: string, retryAfter?: number) =>
        new ProviderError(kind, code, `${what} ${said}`, retryAfter);

      let built: Request;
      const deadline = new AbortController();
      try {
        built = new Request(url, {
          method: request.method,
          headers: {
            accept: 'application/json',
            ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
            ...request.headers,
          },
          body: bodyFor(request),
          // Credentials follow no redirect.
          redirect: 'manual',
          signal: deadline.signal,
        });
      } catch {
        // The reason would quote the header value that could not be sent.
        throw failed('refused', 'invalid_request', 'could not be built: a header holds characters that cannot be sent');
      }

      const timer = setTimeout(() => deadline.abort(), timeoutMs);
      try {
        const response = await fetch(built);
        const text = await bodyOf(response, maxBytes);
        return read(response, text);
      } catch (error) {
        if (error instanceof ProviderError) throw error;
        if (error instanceof Oversized) {
          throw failed('unknown', 'answer_too_large', `answered more than ${maxBytes} bytes`);
        }
        if (deadline.signal.aborted) {
          throw failed('unknown', 'timeout', `gave no whole answer within ${timeoutMs} ms`);
        }
        const { kind, code } = classifyFailure(error);
        const said = kind === 'not_sent' ? 'could not be sent: no connection' : 'broke off before its answer was read';
        throw failed(kind, code, `${said} (${code})`);
      } finally {
        clearTimeout(timer);
      }

      function read(response: Response, text: string): HttpAnswer {
        const { status, headers } = response;
        const answered = () => `answered ${status}${text ? `: ${sample(show(text))}` : ' without a body'}`;
        const code = `http_${status}`;
        if (status === 429)
          throw failed('rate_limited', 'rate_limited', answered(), retryAfterMs(headers.get('retry-after')));
        // 479: caller address not on the provider's list (Beqelal).
        if (status === 401 || status === 403 || status === 479) throw failed('unauthorized', code, answered());
        if (status >= 500 || status === 408) {
          const wait = headers.get('retry-after');
          throw failed('unknown', code, answered(), wait === null ? undefined : retryAfterMs(wait));
        }
        if (status < 200 || (status >= 300 && status < 400)) throw failed('unknown', 'redirect', answered());
        const isJson = /^application\/([\w.-]+\+)?json\b/i.test(headers.get('content-type') ?? '');
        const json = isJson ? parse(text) : undefined;
        if (status < 300 && json === undefined) {
          const problem = isJson ? 'is not JSON' : 'has the wrong content type';
          throw failed(
            'unknown',
            isJson ? 'unreadable_answer' : 'wrong_content_type',
            `${answered()}, which ${problem}`,
          );
        }
        return { status, headers, json, text, excerpt: (piece) => sample(show(piece)) };
      }
    },
  };
}

/**
 * Whether a failed `fetch` proves that the provider never got the request. Only a list of sure signs says so; anything
 * else, a reset on a kept-alive connection included, may have been read by the provider.
 */
export function classifyFailure(error: unknown): { kind: 'not_sent' | 'unknown'; code: string } {
  const causes = causesOf(error);
  const code = causes.map((cause) => cause.code).find((found) => typeof found === 'string') ?? 'network_error';
  const notSent = causes.some(
    (cause) =>
      // No connection came about, or no name was resolved.
      cause.syscall === 'connect' ||
      cause.syscall === 'getaddrinfo' ||
      NOT_CONNECTED.has(String(cause.code)) ||
      // Certificates are checked, and versions agreed, before the first byte of the request.
      TLS_REFUSED.test(String(cause.code)) ||
      /^bad port$|before secure TLS connection was established/.test(String(cause.message)),
  );
  return { kind: notSent ? 'not_sent' : 'unknown', code };
}

const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);
const TLS_REFUSED =
  /^(CERT_|ERR_TLS_CERT_|DEPTH_ZERO_SELF_SIGNED_CERT$|SELF_SIGNED_CERT_|UNABLE_TO_(GET|VERIFY)_|ERR_SSL_WRONG_VERSION_NUMBER$|ERR_SSL_UNSUPPORTED_PROTOCOL$|ERR_SSL_PACKET_LENGTH_TOO_LONG$|ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE$|ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION$|ERR_SSL_(SSL\/)?TLS_ALERT_HANDSHAKE_FAILURE$)/;

interface Cause {
  code?: unknown;
  syscall?: unknown;
  message?: unknown;
  cause?: unknown;
}

/** The error and its chain of causes. An aggregate (several addresses tried) speaks for itself: Node gives it a code. */
function causesOf(error: unknown): Cause[] {
  const chain: Cause[] = [];
  for (let next = error; next instanceof Error && chain.length < 8; next = (next as Cause).cause) chain.push(next);
  return chain;
}

/** A form brings its own content type: only whoever writes it knows the boundary. */
function bodyFor({ json, form }: HttpRequest): string | FormData | undefined {
  if (!form) return json === undefined ? undefined : JSON.stringify(json);
  const data = new FormData();
  for (const part of form) {
    if ('file' in part) data.append(part.name, new Blob([part.file], { type: part.type }), part.filename);
    else data.append(part.name, part.value);
  }
  return data;
}

const LONGEST_WAIT_MS = 3_600_000;
const DEFAULT_WAIT_MS = 10_000;

/** Milliseconds to wait by a `Retry-After` header: seconds or an HTTP date, at least 1 s and at most 1 h; 10 s when it makes no sense. */
export function retryAfterMs(header: string | null, now: number = Date.now()): number {
  const text = header?.trim() ?? '';
  const wait = /^\d+$/.test(text) ? Number(text) * 1_000 : /[a-z]/i.test(text) ? Date.parse(text) - now : Number.NaN;
  if (Number.isNaN(wait) || wait < 0) return DEFAULT_WAIT_MS;
  return Math.min(Math.max(wait, 1_000), LONGEST_WAIT_MS);
}

class Oversized extends Error {}

async function bodyOf(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop by throwing cancels the stream, and with it the connection.
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > maxBytes) throw new Oversized();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Messages show the beginning of an answer: this much of it is enough to take the secrets out of. */
const SHOWN_FROM = 4_000;
/** Bounded, or one word of some ten thousand letters would keep the process busy for seconds. */
const E_MAIL = /[^\s"'<>:,;=@]{1,64}@[^\s"'<>:,;=@]{1,255}\.[a-z]+/gi;

const CARD = /(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)/g;

/** Whether digits end in the check digit that card numbers have (ISO/IEC 7812-1, Luhn). */
function isCardNumber(text: string): boolean {
  const digits = [...text.replace(/\D/g, '')].reverse().map(Number);
  const sum = digits.reduce(
    (total, digit, at) => total + (at % 2 ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit),
    0,
  );
  return sum % 10 === 0;
}

/**
 * Takes the request's secrets, as they are and as JSON or a URL would write them, e-mail addresses and card numbers out
 * of a text; of a long one only the beginning is given back.
 */
function redactor({ headers = {}, secrets = [] }: HttpRequest): (text: string) => string {
  const hidden = [...Object.values(headers).flatMap((value) => [value, ...value.split(' ')]), ...secrets]
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
    .filter((secret) => secret.length >= 4)
    // A secret that contains another goes first, or its rest would stay.
    .sort((a, b) => b.length - a.length);
  const redact = (text: string) =>
    hidden
      .reduce((shown, secret) => shown.replaceAll(secret, '[redacted]'), text)
      .replace(E_MAIL, '[e-mail]')
      .replace(CARD, (number) => (isCardNumber(number) ? '[card]' : number));
  return (text) => {
    if (text.length <= SHOWN_FROM) return redact(text);
    // What the cut goes through is not known for a secret any more, so it goes with the rest.
    const longest = hidden[0]?.length ?? 0;
    return redact(text.slice(0, SHOWN_FROM + longest)).slice(0, -(longest + 1));
  };
}

/** One short line for a message; control characters would forge log lines. */
function sample(text: string, length = 200): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those are meant
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}
