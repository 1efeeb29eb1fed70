import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ApiKeysError, checkApiKeys, readApiKeys } from '../gateway/auth.ts';
import { readSettings, SettingsError } from '../gateway/environment.ts';
import { CannotListen } from '../gateway/server.ts';
import { apiKey, type Gateway, rawExchange, send, start } from './listeners.ts';
import { accounts, good, linkOf, path, scriptedGateway } from './scripted-links.ts';

const scene = scriptedGateway();

describe('API keys', () => {
  const secrets = { reader: 'reader-key', clerk: 'clerk-key', boss: 'boss-key', rival: 'rival-key' };
  const keys = [
    apiKey('reader', 'read', ['shop'], secrets.reader),
    apiKey('clerk', 'operate', ['shop'], secrets.clerk),
    apiKey('boss', 'refund', '*', secrets.boss),
    apiKey('rival', 'refund', ['other'], secrets.rival),
  ];
  let locked: Gateway;
  beforeAll(async () => {
    // Bound wider than loopback, as only keys allow.
    locked = await start({ links: scene.current, accounts, keys, host: '0.0.0.0' });
  });
  afterAll(() => locked.close());
  beforeEach(() => scene.links.known.set('INV-1', linkOf('INV-1')));

  type Who = keyof typeof secrets;
  const call = (who: Who, method: string, route: string, body?: unknown) =>
    send(locked.apiUrl.replace('0.0.0.0', '127.0.0.1') + route, method, {
      body,
      headers: { authorization: `Bearer ${secrets[who]}`, 'idempotency-key': 'k', 'x-actor': 'somebody else' },
    });
  const routes: [method: string, route: string, body: object | undefined, needs: 'read' | 'operate' | 'refund'][] = [
    ['GET', path('INV-1'), undefined, 'read'],
    ['GET', path('INV-1', 'timeline'), undefined, 'read'],
    ['POST', path('INV-1', 'capture'), {}, 'operate'],
    ['POST', path('INV-1', 'cancel'), {}, 'operate'],
    ['POST', path('INV-1', 'resync'), {}, 'operate'],
    ['POST', path('INV-1', 'resolve-unknown'), { operation: 'create', outcome: 'absent' }, 'operate'],
    ['POST', path('INV-1', 'extend'), { expiresAt: '2031-01-01T00:00:00Z' }, 'operate'],
    ['POST', path('INV-1', 'acknowledge'), { exception: 'disputed', reason: 'seen' }, 'operate'],
    ['POST', path('INV-1', 'mark-paid'), { amount: good.amount }, 'operate'],
    ['POST', path('INV-1', 'mark-refunded'), { amount: good.amount }, 'refund'],
    ['POST', path('INV-1', 'refund'), {}, 'refund'],
  ];

  it.each(routes)('%s %s: roles', async (method, route, body, needs) => {
    const passed = async (who: Who) => (await call(who, method, route, body)).status !== 403;
    expect([await passed('reader'), await passed('clerk'), await passed('boss')]).toEqual([
      needs === 'read',
      needs !== 'refund',
      true,
    ]);
  });

  it.each(routes)("%s %s: another tenant's link is no link", async (method, route, body) => {
    const answer = await call('rival', method, route, body);
    const absent = await call('rival', method, route.replace('INV-1', 'INV-2'), body);
    expect([answer.status, absent.status]).toEqual([404, 404]);
    expect(answer.text).toBe(absent.text.replaceAll('INV-2', 'INV-1'));
    expect(scene.links.calls.every(([name]) => name === 'get')).toBe(true);
  });

  it('creating: role and account', async () => {
    expect((await call('reader', 'POST', '/v1/payment-links', good)).status).toBe(403);
    const foreign = await call('rival', 'POST', '/v1/payment-links', good);
    const unknown = await call('rival', 'POST', '/v1/payment-links', { ...good, account: 'nobody' });
    expect([foreign.status, foreign.text]).toEqual([422, unknown.text]);
    expect(scene.links.calls).toEqual([]);
    expect((await call('clerk', 'POST', '/v1/payment-links', { ...good, reference: 'INV-9' })).status).toBe(201);
  });

  it.each([
    ['list', '/v1/payment-links'],
    ['unmatched', '/v1/unmatched-webhooks'],
  ])('the %s shows the accounts of the key', async (list, route) => {
    await call('reader', 'GET', route);
    await call('boss', 'GET', `${route}?account=other`);
    const foreign = await call('rival', 'GET', `${route}?account=shop`);
    expect(foreign.json).toEqual({ items: [] });
    expect(scene.links.calls).toEqual([
      [list, { accounts: ['shop'] }],
      [list, { account: 'other' }],
    ]);
  });

  it('an unmatched webhook is closed by those who may operate its account, under their name', async () => {
    const dismiss = (who: Who) => call(who, 'POST', '/v1/unmatched-webhooks/shop/p%2F77/dismiss', { reason: 'a test' });
    expect([await dismiss('reader'), await dismiss('rival'), await dismiss('clerk')]).toMatchObject([
      { status: 403 },
      { status: 404, json: { code: 'not_found' } },
      { status: 200, json: { account: 'shop', about: 'p/77' } },
    ]);
    const webhook = { account: 'shop', about: 'p/77' };
    expect(scene.links.calls).toEqual([['dismissUnmatched', webhook, { reason: 'a test' }, { actor: 'clerk' }]]);
  });

  it('the actor is the name of the key, whatever X-Actor says', async () => {
    await call('boss', 'POST', path('INV-1', 'cancel'), {});
    expect(scene.links.calls).toEqual([['cancel', 'INV-1', {}, { idempotencyKey: 'k', actor: 'boss' }]]);
  });

  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer nobody-key',
    'Bearer boss-key ',
    'Bearer boss-key, Bearer boss-key',
    'Basic boss-key',
    'boss-key',
    `Bearer ${createHash('sha256').update('boss-key').digest('hex')}`,
  ])('Authorization %j: 401', async (authorization) => {
    const url = locked.apiUrl.replace('0.0.0.0', '127.0.0.1') + path('INV-1');
    // fetch trims values, so the odd ones are written by hand.
    const line = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
    const heard = await rawExchange(
      url,
      `GET ${path('INV-1')} HTTP/1.1\r\nHost: gateway.example\r\n${line}Connection: close\r\n\r\n`,
    );
    if (authorization === 'Bearer boss-key ') {
      // HTTP itself drops white space around a value.
      expect(heard).toContain('HTTP/1.1 200');
      return;
    }
    expect(heard).toContain('HTTP/1.1 401');
    expect(heard.toLowerCase()).toContain('www-authenticate: bearer');
    expect(scene.links.calls).toEqual([]);
  });

  it('only a key for all accounts learns their names from /readyz', async () => {
    const readiness = async () => ({ ready: false, checks: { worker: 'none' }, unknownAccounts: ['ghost'] });
    const other = await start({ links: scene.links, keys, readiness });
    const ask = (headers: Record<string, string>) => send(`${other.apiUrl}/readyz`, 'GET', { headers });
    const [anyone, reader, boss] = await Promise.all([
      ask({}),
      ask({ authorization: 'Bearer reader-key' }),
      ask({ authorization: 'Bearer boss-key' }),
    ]);
    expect([anyone.status, anyone.json]).toEqual([503, { ready: false, checks: { worker: 'none' } }]);
    expect([reader.json.unknownAccounts, boss.json.unknownAccounts]).toEqual([undefined, ['ghost']]);
    await other.close();
  });
});

describe('the keys file', () => {
  const sha256 = 'a'.repeat(64);
  const problemsOfFile = (content: unknown) => {
    try {
      checkApiKeys(content, ['shop']);
      return [];
    } catch (error) {
      if (error instanceof ApiKeysError) return [...error.problems];
      throw error;
    }
  };
  const fine = { name: 'a', role: 'read', accounts: ['shop'], sha256 };

  it.each([
    ['no list', {}, /list|array/i],
    ['an empty list', [], /no key/],
    ['an unknown role', [{ ...fine, role: 'admin' }], /key "a", role/],
    ['no accounts', [{ ...fine, accounts: [] }], /key "a", accounts/],
    ['an account nobody knows', [{ ...fine, accounts: ['shp'] }], /key "a": account "shp"/],
    ['a key instead of its hash', [{ ...fine, sha256: 'boss-key' }], /key "a", sha256: .*64 hex/],
    ['the hash of nothing', [{ ...fine, sha256: createHash('sha256').digest('hex') }], /empty/],
    ['a hash given twice', [fine, { ...fine, name: 'b', sha256: sha256.toUpperCase() }], /key "b": .*same sha256/],
    ["the engine's name", [{ ...fine, name: 'perdure' }], /reserved/],
    ['an unknown field', [{ ...fine, key: 'x' }], /key "a"/],
  ])('%s', (_name, content, expected) => {
    expect(problemsOfFile(content).join('\n')).toMatch(expected);
  });

  it('lists everything at once', () => {
    expect(
      problemsOfFile([
        { ...fine, role: 'x' },
        { ...fine, accounts: 5 },
      ]),
    ).toHaveLength(2);
  });

  it('is read from a path; what is wrong with it is said without its content', () => {
    const folder = mkdtempSync(join(tmpdir(), 'perdure-keys-'));
    const file = join(folder, 'keys.json');
    writeFileSync(file, JSON.stringify([fine]));
    expect(readApiKeys(file, ['shop'])[0]).toMatchObject({ name: 'a', role: 'read', accounts: ['shop'] });
    writeFileSync(file, '[{"sha256": secret');
    expect(() => readApiKeys(file, ['shop'])).toThrow(/not valid JSON/);
    expect(() => readApiKeys(file, ['shop'])).not.toThrow(/secret/);
    expect(() => readApiKeys(join(folder, 'none.json'), [])).toThrow(/ENOENT/);
    rmSync(folder, { recursive: true });
  });
});

describe('the environment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-gateway-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (name: string, content: unknown) => {
    writeFileSync(join(folder, name), JSON.stringify(content));
    return join(folder, name);
  };
  const options = { baseUrl: 'https://api.example', apiKey: 'k'.repeat(16), apiSecret: 's'.repeat(32) };
  const withSecret = { provider: 'paymennt', options: { ...options, webhookSecrets: ['w'.repeat(32)] } };
  const problemsOfEnvironment = (env: Record<string, string>) => {
    try {
      readSettings(env);
      return [];
    } catch (error) {
      if (error instanceof SettingsError) return [...error.problems];
      throw error;
    }
  };

  it('needs no more than accounts', () => {
    const settings = readSettings({ PERDURE_ACCOUNTS: file('a.json', { shop: withSecret }), PERDURE_API_PORT: ' ' });
    expect(settings).toMatchObject({
      host: '127.0.0.1',
      apiPort: 8080,
      webhookPort: 8081,
      keys: undefined,
      tokenKeys: [],
    });
    expect(settings.accounts.get('shop')?.webhookSecrets).toEqual(['w'.repeat(32)]);
  });

  it('lists everything that is wrong at once', () => {
    const found = problemsOfEnvironment({
      PERDURE_HOST: '0.0.0.0',
      PERDURE_API_PORT: '80800',
      PERDURE_WEBHOOK_PORT: 'x',
      PERDURE_WEBHOOK_URL: 'http://hooks.example',
      PERDURE_TOKEN_KEYS: 'short',
      PERDURE_MIN_RETENTION_DAYS: 'many',
    });
    for (const name of [
      'ACCOUNTS',
      'HOST',
      'API_PORT',
      'WEBHOOK_PORT',
      'WEBHOOK_URL',
      'TOKEN_KEYS',
      'MIN_RETENTION_DAYS',
    ]) {
      expect(found.filter((problem) => problem.startsWith(`PERDURE_${name}`))).toHaveLength(1);
    }
    expect(found).toHaveLength(7);
  });

  it('names what is wrong inside the files, without the values', () => {
    const PERDURE_ACCOUNTS = file('b.json', {
      shop: { provider: 'paymennt', options: { ...options, apiSecret: 'weak' } },
    });
    const PERDURE_API_KEYS = file('k.json', [{ name: 'a', role: 'boss', accounts: '*', sha256: 'not-a-hash' }]);
    const found = problemsOfEnvironment({ PERDURE_ACCOUNTS, PERDURE_API_KEYS });
    expect(found.map((problem) => problem.split(/(?<=apiSecret|role|sha256)/)[0])).toEqual([
      'PERDURE_ACCOUNTS: shop.options.apiSecret',
      'PERDURE_API_KEYS: key "a", role',
      'PERDURE_API_KEYS: key "a", sha256',
    ]);
    expect(found.join()).not.toMatch(/weak|not-a-hash/);
  });

  it('wants to know where providers reach us when an account must register its webhook', () => {
    const PERDURE_ACCOUNTS = file('c.json', { shop: { provider: 'paymennt', options }, set: withSecret });
    expect(problemsOfEnvironment({ PERDURE_ACCOUNTS }).join()).toMatch(/PERDURE_WEBHOOK_URL.*account shop /);
    const told = readSettings({ PERDURE_ACCOUNTS, PERDURE_WEBHOOK_URL: 'https://hooks.example/base/' });
    expect(told.publicWebhookUrl).toBe('https://hooks.example/base');
  });

  it.each(['http://127.0.0.1:8081', 'http://[::1]:8081', 'http://localhost'])('%s is a webhook URL', (url) => {
    const PERDURE_ACCOUNTS = file('d.json', { shop: withSecret });
    expect(problemsOfEnvironment({ PERDURE_ACCOUNTS, PERDURE_WEBHOOK_URL: url })).toEqual([]);
  });

  it.each(['hooks.example', 'ftp://hooks.example', 'https://a:b@hooks.example', 'https://hooks.example/?a=1'])(
    '%s is not',
    (url) => {
      const PERDURE_ACCOUNTS = file('e.json', { shop: withSecret });
      expect(problemsOfEnvironment({ PERDURE_ACCOUNTS, PERDURE_WEBHOOK_URL: url })).toHaveLength(1);
    },
  );
});

describe('without keys', () => {
  it('refuses to listen where other machines reach it', async () => {
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.com', '127.0.0.1.example.com']) {
      await expect(start({ links: scene.links, host })).rejects.toThrow(CannotListen);
      await expect(start({ links: scene.links, host })).rejects.toThrow(/PERDURE_API_KEYS/);
    }
  });

  const ask = (host: string, more = '') =>
    rawExchange(scene.api, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`);

  it.each(['localhost', 'localhost:1', '127.0.0.1', '127.9.9.9:80', '[::1]:8080'])(
    'Host %s is served',
    async (host) => {
      expect(await ask(host)).toContain('HTTP/1.1 200');
    },
  );

  it.each(['shop.example', 'localhost.shop.example', '127.0.0.1.nip.io', '0.0.0.0', '169.254.169.254', '[::]'])(
    'Host %s is not',
    async (host) => {
      expect(await ask(host)).toContain('HTTP/1.1 403');
    },
  );

  it('an Origin that is not this listener is refused', async () => {
    expect(await ask('localhost:1', 'Origin: http://localhost:1\r\n')).toContain('HTTP/1.1 200');
    for (const origin of ['http://localhost:2', 'https://localhost:1', 'https://shop.example', 'null']) {
      expect(await ask('localhost:1', `Origin: ${origin}\r\n`)).toContain('HTTP/1.1 403');
    }
  });
});
