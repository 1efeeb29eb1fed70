import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../gateway/limits.ts';
import { memoryLog, rawExchange, send, start } from './listeners.ts';
import { accounts, good, linkOf, path, scriptedGateway } from './scripted-links.ts';

const scene = scriptedGateway();

describe('limits', () => {
  const big = (bytes: number) => JSON.stringify({ ...good, description: 'x'.repeat(bytes) });

  it('takes 256 KB and not a byte more, however the length is told', async () => {
    const exact = `${JSON.stringify(good)}${' '.repeat(LIMITS.apiBody - JSON.stringify(good).length)}`;
    expect((await scene.post('/v1/payment-links', exact)).status).toBe(201);
    const tooLarge = await scene.post('/v1/payment-links', `${exact} `);
    expect([tooLarge.status, tooLarge.json.code]).toEqual([413, 'too_large']);
    const chunk = `40000\r\n${'x'.repeat(0x40000)}\r\n`;
    const heard = await rawExchange(
      scene.api,
      'POST /v1/payment-links HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n',
      ...[chunk, '1\r\nx\r\n', '0\r\n\r\n'],
    );
    expect(heard).toContain('HTTP/1.1 413');
    expect(heard).toContain('too_large');
  });

  it('reads a large body to the end, so that its sender reads the 413', async () => {
    const answer = await scene.post('/v1/payment-links', big(6 * 1024 * 1024));
    expect([answer.status, answer.json.code]).toEqual([413, 'too_large']);
  });

  it('does not read an endless one: the connection is closed under it', async () => {
    const small = await start({ links: scene.links, accounts, limits: { drain: 512 * 1024 } });
    const head = 'POST /v1/payment-links HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
    const chunk = `40000\r\n${'x'.repeat(0x40000)}\r\n`;
    const heard = await rawExchange(small.apiUrl, head, chunk, chunk, chunk);
    expect(heard).toContain('HTTP/1.1 413');
    await small.close();
  });

  it('headers above 16 KB: 431 as a problem', async () => {
    const heard = await rawExchange(
      scene.api,
      `GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`,
    );
    expect(heard).toContain('HTTP/1.1 431');
    expect(heard).toContain('"code":"headers_too_large"');
  });

  it.each([
    'nonsense\r\n\r\n',
    'GET /healthz HTTP/1.1\r\n\r\n',
    'GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n',
    'GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n',
    'GET /healthz HTTP/1.1\r\nHost: localhost\r\nHea der: x\r\n\r\n',
    'POST /v1/payment-links HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /v1/payment-links HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n\r\n',
  ])('%j: 400, and the listener goes on', async (bytes) => {
    const heard = await rawExchange(scene.api, bytes.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    expect(heard).toMatch(/^HTTP\/1\.1 400 Bad Request/);
    expect((await send(`${scene.api}/healthz`)).status).toBe(200);
  });

  it('random bytes are never a 5xx', async () => {
    for (let round = 0; round < 30; round++) {
      const bytes = randomBytes(200 + round);
      const heard = await rawExchange(
        scene.api,
        'POST /v1/payment-links HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n' +
          `Content-Length: ${bytes.length}\r\n\r\n`,
        bytes,
      );
      expect(heard).toMatch(/^HTTP\/1\.1 4\d\d/);
    }
    expect(scene.links.calls).toEqual([]);
  });

  it('headers and bodies that trickle are cut off with 408 while others are served', async () => {
    const strict = await start({ links: scene.links, accounts, limits: { headersMs: 300, requestMs: 600 } });
    const slow = [
      rawExchange(strict.apiUrl, 'GET /healthz HTTP/1.1\r\nHost: loc'),
      rawExchange(
        strict.apiUrl,
        'POST /v1/payment-links HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"a"',
      ),
      rawExchange(strict.apiUrl, ''),
    ];
    expect((await send(`${strict.apiUrl}/healthz`)).status).toBe(200);
    const [headers, body] = await Promise.all(slow);
    expect(headers).toContain('HTTP/1.1 408');
    expect(headers).toContain('request_timeout');
    expect(body).toContain('HTTP/1.1 408');
    await strict.close();
  });

  it('connections beyond the cap are closed', async () => {
    const narrow = await start({ links: scene.links, limits: { connections: 2, headersMs: 800, requestMs: 800 } });
    const idle = [rawExchange(narrow.apiUrl, 'G'), rawExchange(narrow.apiUrl, 'G')];
    const third = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    expect(await rawExchange(narrow.apiUrl, third)).toBe('');
    await Promise.all(idle);
    expect((await send(`${narrow.apiUrl}/healthz`)).status).toBe(200);
    await narrow.close();
  });
});

describe('starting and stopping', () => {
  it('a port in use is one error that names its variable, and nothing is left listening', async () => {
    const port = Number(new URL(scene.api).port);
    const { listen } = await import('../gateway/server.ts');
    const options = {
      ...{ links: scene.links as never, accounts, keys: undefined, tokenKeys: [], host: '127.0.0.1', limits: LIMITS },
      ...{
        log: memoryLog().log,
        secretsOf: () => [],
        readiness: async () => ({ ready: true, checks: {}, unknownAccounts: [] }),
      },
    };
    await expect(listen({ ...options, apiPort: port, webhookPort: 0 })).rejects.toThrow(
      `port ${port} on 127.0.0.1 is in use; set PERDURE_API_PORT to another port`,
    );
    await expect(listen({ ...options, apiPort: 0, webhookPort: port })).rejects.toThrow(/PERDURE_WEBHOOK_PORT/);
  });

  it('requests in flight are answered, then the socket is gone', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let reached = () => {};
    const underWay = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const slow = {
      async get() {
        reached();
        await held;
        return linkOf('INV-1');
      },
    };
    const stopping = await start({ links: slow });
    const answer = send(stopping.apiUrl + path('INV-1'));
    await underWay;
    const closed = stopping.close();
    await expect(fetch(`${stopping.apiUrl}/healthz`)).rejects.toThrow();
    release();
    expect((await answer).status).toBe(200);
    await closed;
  });
});
