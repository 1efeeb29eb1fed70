import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { classifyFailure, createHttp, type HttpOptions, type HttpRequest, retryAfterMs } from '../activities/http.ts';
import { ProviderError } from '../activities/provider.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serve = (listener: RequestListener) => listen(createServer(listener));

/** A server that speaks raw TCP, for answers no HTTP library would send. */
async function speak(onRequest: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.once('data', () => onRequest(socket));
  });
  const url = await listen(server);
  const last = closing.pop();
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    await last?.();
  });
  return url;
}

async function failure(url: string, request: Partial<HttpRequest> = {}, options: HttpOptions = {}) {
  const error = await createHttp(options)
    .request({ method: 'POST', url, ...request })
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  if (!(error instanceof ProviderError)) throw new Error(`expected a ProviderError, got ${String(error)}`);
  return error;
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): RequestListener => {
  return (_request, response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};

describe('a call', () => {
  it('sends method, query, headers and JSON, and reads the answer', async () => {
    let received = '';
    const url = await serve((request, response) => {
      request.setEncoding('utf8');
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        const { 'x-key': key, 'content-type': type, accept } = request.headers;
        received = [request.method, request.url, key, type, accept, body].join(' | ');
        json(201, { ok: true })(request, response);
      });
    });
    const answer = await createHttp().request({
      method: 'POST',
      url: `${url}/links`,
      query: { note: 'a b&c', again: 'ü' },
      headers: { 'X-Key': 'visible-key' },
      json: { amount: 10.5 },
    });
    expect(received).toBe(
      'POST | /links?note=a+b%26c&again=%C3%BC | visible-key | application/json | application/json | {"amount":10.5}',
    );
    expect(answer).toMatchObject({ status: 201, json: { ok: true }, text: '{"ok":true}' });
  });

  it('sends a form as multipart, repeated names and files included', async () => {
    const parts: string[] = [];
    const url = await serve(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const headers = { 'content-type': request.headers['content-type'] ?? '' };
      const form = await new Response(Buffer.concat(chunks), { headers }).formData();
      for (const [name, value] of form as unknown as Iterable<[string, string | File]>) {
        const file = value instanceof File ? `${value.name} ${value.type} ${await value.text()}` : value;
        parts.push(`${name}: ${file}`);
      }
      parts.push(String(Number(request.headers['content-length']) === Buffer.concat(chunks).length));
      json(200, {})(request, response);
    });
    await createHttp().request({
      method: 'POST',
      url,
      form: [
        { name: 'method', value: '11' },
        { name: 'method', value: '12' },
        { name: 'note', value: 'ü "&\r\n--' },
        { name: 'image', file: Buffer.from('bytes'), filename: 'a.png', type: 'image/png' },
      ],
    });
    expect(parts).toEqual(['method: 11', 'method: 12', 'note: ü "&\r\n--', 'image: a.png image/png bytes', 'true']);
  });

  it('leaves a plain 4xx to the adapter, JSON or not', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/json') return json(400, { error: 'no' })(request, response);
      response.writeHead(404, { 'content-type': 'text/html' }).end('<p>nothing here</p>');
    });
    const http = createHttp();
    expect(await http.request({ method: 'GET', url: `${url}/json` })).toMatchObject({
      status: 400,
      json: { error: 'no' },
    });
    const page = await http.request({ method: 'GET', url: `${url}/html` });
    expect([page.status, page.json, page.text]).toEqual([404, undefined, '<p>nothing here</p>']);
  });
});

describe('an answer that is no answer', () => {
  it.each<[string, number, ProviderError['kind'], string]>([
    ['internal error', 500, 'unknown', 'http_500'],
    ['bad gateway', 502, 'unknown', 'http_502'],
    ['request timeout', 408, 'unknown', 'http_408'],
    ['rate limit', 429, 'rate_limited', 'rate_limited'],
    ['wrong credentials', 401, 'unauthorized', 'http_401'],
    ['forbidden', 403, 'unauthorized', 'http_403'],
    ['caller address not listed', 479, 'unauthorized', 'http_479'],
  ])('%s (%i)', async (_name, status, kind, code) => {
    const error = await failure(await serve(json(status, { error: 'told so' })));
    expect(error).toMatchObject({ kind, code });
    expect(error.message).toMatch(new RegExp(`^POST http://127\\.0\\.0\\.1:\\d+/ answered ${status}: .*told so`));
  });

  it('a redirect is not followed, so credentials stay here', async () => {
    let followed = false;
    const elsewhere = await serve((request, response) => {
      followed = true;
      json(200, {})(request, response);
    });
    for (const status of [301, 302, 303, 307, 308]) {
      const url = await serve((_request, response) => response.writeHead(status, { location: elsewhere }).end());
      expect(await failure(url, { headers: { 'x-key': 'do-not-forward' } })).toMatchObject({
        kind: 'unknown',
        code: 'redirect',
      });
    }
    expect(followed).toBe(false);
  });

  it.each<[string, string, string, string]>([
    ['HTML with 200', 'text/html', '<html>Welcome</html>', 'wrong_content_type'],
    ['JSON under another type', 'text/plain', '{}', 'wrong_content_type'],
    ['broken JSON', 'application/json', '{"a":', 'unreadable_answer'],
    ['nothing', 'application/json', '', 'unreadable_answer'],
  ])('%s', async (_name, type, body, code) => {
    const url = await serve((_request, response) => response.writeHead(200, { 'content-type': type }).end(body));
    expect(await failure(url)).toMatchObject({ kind: 'unknown', code });
  });

  it('of a long one only the beginning is searched, and no secret is cut in two', async () => {
    const secret = 'abcdefghijklmnopqrstuvwxyz'.repeat(20);
    const page = (text: string) =>
      serve((_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(text));
    // One word, as long as an answer may be: careless searching would take hours.
    const word = await failure(await page('x'.repeat(990_000)));
    expect(word.message).toContain(`answered 200: ${'x'.repeat(200)}…, which has the wrong content type`);
    for (const shift of [0, 100, 250, 400]) {
      const echo = await failure(await page(' '.repeat(shift) + secret.repeat(100)), { headers: { 'x-key': secret } });
      expect(echo.message).not.toMatch(/[a-z]*(abc|xyz|mno)/);
    }
  });

  it('an answer without end is cut at the limit', async () => {
    let written = 0;
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const chunk = Buffer.alloc(64 * 1024, '[');
      const more = () => {
        while (!response.destroyed && response.write(chunk)) written += chunk.length;
      };
      response.on('drain', more);
      more();
    });
    expect(await failure(url, {}, { maxBytes: 100_000 })).toMatchObject({ kind: 'unknown', code: 'answer_too_large' });
    expect(written).toBeLessThan(50_000_000);
  });

  it('silence ends at the timeout, before and within the answer', async () => {
    const silent = await serve(() => {});
    const stalled = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"half":');
    });
    for (const url of [silent, stalled]) {
      expect(await failure(url, {}, { timeoutMs: 150 })).toMatchObject({ kind: 'unknown', code: 'timeout' });
    }
  });

  it('a connection lost after the request may have done its work', async () => {
    const reset = await speak((socket) => socket.resetAndDestroy());
    const closed = await speak((socket) => socket.end());
    const short = await speak((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"cut":'),
    );
    const chunked = await speak((socket) =>
      socket.end(
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
      ),
    );
    const gibberish = await speak((socket) => socket.end('220 mail.example ESMTP\r\n'));
    for (const url of [reset, closed, short, chunked, gibberish]) {
      expect(await failure(url), url).toMatchObject({ kind: 'unknown' });
    }
  });
});

describe('a call that was never sent', () => {
  it('nobody listens', async () => {
    const url = await serve(() => {});
    await closing.pop()?.();
    expect(await failure(url)).toMatchObject({ kind: 'not_sent', code: 'ECONNREFUSED' });
  });

  it('the name does not exist', async () => {
    const error = await failure('http://no-such-host.invalid/');
    expect(error.kind).toBe('not_sent');
    expect(['ENOTFOUND', 'EAI_AGAIN']).toContain(error.code);
  });

  it('the other side speaks no TLS', async () => {
    const url = await serve(json(200, {}));
    const error = await failure(url.replace('http:', 'https:'));
    expect(error).toMatchObject({ kind: 'not_sent', code: 'ERR_SSL_WRONG_VERSION_NUMBER' });
  });

  it('a header that cannot be sent is refused without quoting it', async () => {
    const error = await failure('http://127.0.0.1:1/', { headers: { 'x-key': 'secret\nvalue' } });
    expect(error).toMatchObject({ kind: 'refused', code: 'invalid_request' });
    expect(error.message).not.toContain('secret');
  });

  const caused = (cause: object) => new TypeError('fetch failed', { cause: Object.assign(new Error('cause'), cause) });
  it.each<[string, object, 'not_sent' | 'unknown']>([
    ['refused', { code: 'ECONNREFUSED', syscall: 'connect' }, 'not_sent'],
    ['no route', { code: 'EHOSTUNREACH', syscall: 'connect' }, 'not_sent'],
    ['connect timed out in the system', { code: 'ETIMEDOUT', syscall: 'connect' }, 'not_sent'],
    ['connect timed out in the client', { code: 'UND_ERR_CONNECT_TIMEOUT' }, 'not_sent'],
    ['name server does not answer', { code: 'EAI_AGAIN', syscall: 'getaddrinfo' }, 'not_sent'],
    ['certificate expired', { code: 'CERT_HAS_EXPIRED' }, 'not_sent'],
    ['certificate of another host', { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'not_sent'],
    ['self-signed certificate', { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'not_sent'],
    ['unknown issuer', { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }, 'not_sent'],
    [
      'closed while greeting',
      {
        code: 'ECONNRESET',
        message: 'Client network socket disconnected before secure TLS connection was established',
      },
      'not_sent',
    ],
    ['reset while reading', { code: 'ECONNRESET', syscall: 'read' }, 'unknown'],
    ['broken pipe while writing', { code: 'EPIPE', syscall: 'write' }, 'unknown'],
    ['timed out while reading', { code: 'ETIMEDOUT', syscall: 'read' }, 'unknown'],
    ['kept-alive connection closed by the other side', { code: 'UND_ERR_SOCKET' }, 'unknown'],
    ['no headers in time', { code: 'UND_ERR_HEADERS_TIMEOUT' }, 'unknown'],
    ['TLS alert in the middle', { code: 'ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC' }, 'unknown'],
    ['no code at all', {}, 'unknown'],
  ])('%s', (_name, cause, kind) => {
    expect(classifyFailure(caused(cause)).kind).toBe(kind);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-03-01T12:00:00Z');
  it.each<[string, string | null, number]>([
    ['seconds', '30', 30_000],
    ['zero still waits a second', '0', 1_000],
    ['an HTTP date', 'Sun, 01 Mar 2026 12:02:00 GMT', 120_000],
    ['a date in the past', 'Sun, 01 Mar 2026 11:00:00 GMT', 10_000],
    ['absurdly long', '999999999999999999999', 3_600_000],
    ['a date next year', 'Mon, 01 Mar 2027 12:00:00 GMT', 3_600_000],
    ['negative', '-5', 10_000],
    ['a word', 'soon', 10_000],
    ['a fraction', '1.5', 10_000],
    ['empty', '', 10_000],
    ['absent', null, 10_000],
  ])('%s', (_name, header, wait) => {
    expect(retryAfterMs(header, now)).toBe(wait);
  });

  it('comes with the error, for 429 and for a busy server', async () => {
    expect((await failure(await serve(json(429, {}, { 'retry-after': '7' })))).retryAfterMs).toBe(7_000);
    expect((await failure(await serve(json(429, {})))).retryAfterMs).toBe(10_000);
    expect((await failure(await serve(json(503, {}, { 'retry-after': '9' })))).retryAfterMs).toBe(9_000);
    expect((await failure(await serve(json(503, {})))).retryAfterMs).toBeUndefined();
  });
});

describe('messages', () => {
  it('hold no secret, even if the provider sends it back', async () => {
    const secrets = ['key-1234567890', 'se"cret/with+signs', 'token-in-body', 'opaque-bearer'];
    const [key = '', odd = '', token = '', bearer = ''] = secrets;
    const url = await serve(
      json(500, { echo: secrets, quoted: `${encodeURIComponent(odd)} ${bearer}`, mail: 'ada@example.com' }),
    );
    const { message } = await failure(`${url}/pay/${token}`, {
      headers: { 'x-key': key, 'x-odd': odd, authorization: `Bearer ${bearer}` },
      query: { customer: 'named-in-query' },
      secrets: [token],
    });
    for (const secret of [...secrets, JSON.stringify(odd).slice(1, -1), encodeURIComponent(odd)]) {
      expect(message).not.toContain(secret);
    }
    expect(message).not.toContain('ada@example.com');
    expect(message).not.toContain('named-in-query');
    expect(message).toContain('/pay/[redacted] answered 500: {"echo":["[redacted]","[redacted]"');
  });

  it('S11: hold no card number, however it is written', async () => {
    const cards = ['4111111111111111', '4111 1111 1111 1111', '4111-1111-1111-1111', '378282246310005'];
    for (const card of cards) {
      const { message } = await failure(await serve(json(500, { said: `card ${card} of order 4111111111111112` })));
      expect(message).toContain('card [card] of order 4111111111111112');
    }
  });

  it('are one short line', async () => {
    const url = await serve((_request, response) =>
      response.writeHead(500).end(`a\nERROR forged\r\n\u001b[2K${'x'.repeat(900)}`),
    );
    const { message } = await failure(url);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those must not be there
    expect(message).not.toMatch(/[\u0000-\u001f]/);
    expect(message.length).toBeLessThan(300);
  });
});
