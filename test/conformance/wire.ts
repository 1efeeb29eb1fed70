/** The wire between an adapter and its sandbox: a real proxy that writes down what passes and breaks it to order. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Sent {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Answered {
  status: number;
  type: string;
  text: string;
}

/** What becomes of one call. */
export interface Trouble {
  /** Whether the provider gets the request; `rewrite` changes its path and body on the way. */
  reaches: boolean;
  rewrite?(text: string): string;
  /** Answers instead of the provider, whose own answer is `real` when it got the request. */
  answer(response: ServerResponse, real: Answered | undefined, sent: Sent): void;
}

/** Asked for each call; `index` counts the calls since it was set. */
export type Plan = (sent: Sent, index: number) => Trouble | undefined;

export interface Wire {
  url: string;
  /** Carries out `doing` under a plan, and gives back what passed meanwhile; every call has reached its end then. */
  during<T>(plan: Plan, doing: () => Promise<T>): Promise<{ outcome: T | Error; calls: Sent[]; answers: Answered[] }>;
  /** An address redirects may point to: whoever calls it was led astray. */
  elsewhere: string;
  strays(): number;
  close(): Promise<void>;
}

/** These belong to one connection, or are made anew by the next one. */
const HOP = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'keep-alive', 'accept-encoding']);
const ELSEWHERE = '/elsewhere';
const PATIENCE_MS = 10_000;

export const untouched: Plan = () => undefined;

export async function openWire(target: string): Promise<Wire> {
  let plan = untouched;
  let calls: Sent[] = [];
  let answers: Answered[] = [];
  let strays = 0;
  const underWay = new Set<Promise<unknown>>();

  /** A connection of its own for each call: what is broken on one must not be felt by the next. */
  function forward({ method, path, headers }: Omit<Sent, 'body'>, body: Buffer): Promise<Answered> {
    const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP.has(name)));
    const length = body.length > 0 ? { 'content-length': body.length } : {};
    return new Promise((resolve, reject) => {
      const onward = request(`${target}${path}`, {
        method,
        headers: { ...kept, ...length },
        agent: false,
        timeout: PATIENCE_MS,
      });
      onward.on('timeout', () => onward.destroy(new Error(`${method} ${path} is not answered by the sandbox`)));
      onward.on('error', reject);
      onward.on('response', (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const type = answer.headers['content-type'] ?? '';
          resolve({ status: answer.statusCode ?? 0, type, text: Buffer.concat(chunks).toString('utf8') });
        });
      });
      onward.end(body);
    });
  }

  const server = createServer((incoming, response) => {
    // A caller that left while it was still sending has sent nothing.
    pass(incoming, response).catch(() => response.destroy());
  });

  async function pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const { method = 'GET', url: path = '/', headers } = incoming;
    if (path === ELSEWHERE) strays++;
    const sent: Sent = { method, path, headers, body: raw.toString('utf8') };
    const trouble = plan(sent, calls.push(sent) - 1);
    const rewrite = trouble?.rewrite;
    const onward = { method, headers, path: rewrite ? rewrite(path) : path };
    const body = rewrite ? Buffer.from(rewrite(sent.body)) : raw;
    const reaching = !trouble || trouble.reaches ? forward(onward, body) : Promise.resolve(undefined);
    underWay.add(reaching);
    const real = await reaching.finally(() => underWay.delete(reaching));
    if (real) answers.push(real);
    if (trouble) trouble.answer(response, real, sent);
    else if (real) response.writeHead(real.status, { 'content-type': real.type }).end(real.text);
  }
  const url = await listen(server);

  return {
    url,
    elsewhere: `${url}${ELSEWHERE}`,
    strays: () => strays,
    async during(next, doing) {
      [plan, calls, answers] = [next, [], []];
      const outcome = await doing().catch((error: unknown) => (error instanceof Error ? error : new Error(`${error}`)));
      // A caller that gave up early must not hide what the provider still does.
      while (underWay.size > 0) await Promise.allSettled(underWay);
      const passed = { outcome, calls, answers };
      [plan, calls, answers] = [untouched, [], []];
      return passed;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A plan for one call only, the first after `index` others. */
export const only =
  (index: number, trouble: Trouble): Plan =>
  (_sent, at) =>
    at === index ? trouble : undefined;

/** Answers by itself; the provider never hears of the call. */
export const instead = (status: number, text: string, headers: Record<string, string> = {}): Trouble => ({
  reaches: false,
  answer: (response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text),
});

/** The provider acts, and its JSON answer is changed on the way back. */
export const edited = (edit: (json: unknown) => unknown): Trouble => ({
  reaches: true,
  answer(response, real) {
    if (!real) throw new Error('an answer that never came cannot be edited');
    const text = /json/.test(real.type) ? JSON.stringify(edit(JSON.parse(real.text))) : real.text;
    response.writeHead(real.status, { 'content-type': real.type }).end(text);
  },
});

/** Every value inside a JSON document, given to `change` with the name of its field. */
export function everywhere(json: unknown, change: (value: unknown, field: string) => unknown, field = ''): unknown {
  if (Array.isArray(json)) return json.map((item) => everywhere(item, change, field));
  if (json !== null && typeof json === 'object') {
    return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, everywhere(value, change, name)]));
  }
  return change(json, field);
}
