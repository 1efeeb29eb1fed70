/** Attacks on the REST API, over sockets: whose key, how often, and bodies that say more than they may. */
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { readAccounts } from '../activities/accounts.ts';
import { createApi } from '../gateway/api.ts';
import { checkApiKeys } from '../gateway/auth.ts';
import { LIMITS } from '../gateway/limits.ts';
import { createRates } from '../gateway/rates.ts';
import { NAMES } from './attack-scene.ts';
import { accountEntry, sharedSecret } from './attackers.ts';
import { kits } from './kits.ts';
import { apiKey, type Gateway, memoryLog, rawExchange, send, start } from './listeners.ts';
import { good, Links, linkOf, path, accounts as scripted } from './scripted-links.ts';

/** Accounts of every real provider, and the scripted ones. */
const accounts = readAccounts(
  Object.fromEntries(
    NAMES.filter((name) => name !== 'boomfi').map((name) => [
      name,
      accountEntry(name, [sharedSecret(`secret-of-${name}-attacked`).verifies]),
    ]),
  ),
);
for (const [name, account] of [...readAccounts({ boomfi: accountEntry('boomfi', []) }), ...scripted])
  accounts.set(name, account);

let links = new Links();
const current = new Proxy({} as Links, { get: (_, name) => links[name as keyof Links] });
const keys = [
  apiKey('shop', 'refund', ['shop'], 'key-of-shop'),
  apiKey('shop', 'refund', ['shop'], 'new-key-of-shop'),
  apiKey('rival', 'refund', ['other'], 'key-of-rival'),
  apiKey('all', 'refund', '*', 'key-of-all'),
  { ...apiKey('slow', 'read', ['shop'], 'key-of-slow'), requestsPerSecond: 0.001 },
  { ...apiKey('slow', 'read', ['shop'], 'new-key-of-slow'), requestsPerSecond: 0.001 },
];
let gateway: Gateway;
beforeAll(async () => {
  // Hundreds of requests of one caller in a moment; the slow one has a rate of his own.
  gateway = await start({ links: current, accounts, keys, limits: { requestsPerSecond: 10_000 } });
});
afterAll(() => gateway.close());
beforeEach(() => {
  links = new Links();
  links.known.set('INV-1', linkOf('INV-1'));
});

const call = (key: string, method: string, route: string, body?: unknown) =>
  send(gateway.apiUrl + route, method, {
    body,
    headers: { authorization: `Bearer ${key}`, 'idempotency-key': 'k' },
  });
const lines = (...headers: string[]) =>
  rawExchange(
    gateway.apiUrl,
    `${[`GET ${path('INV-1')} HTTP/1.1`, 'Host: gateway.example', ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`,
  );

const at = '2031-01-01T00:00:00Z';
/** A body each command takes; the fields are all it may have, or optional ones that are checked elsewhere. */
const BODIES: Record<string, object> = {
  capture: {},
  refund: {},
  cancel: {},
  resync: {},
  'resolve-unknown': { operation: 'create', outcome: 'absent' },
  extend: { expiresAt: at },
  acknowledge: { exception: 'disputed', reason: 'seen' },
  'mark-paid': { amount: good.amount },
  'mark-refunded': { amount: good.amount },
};
const POSTS: [route: string, body: object][] = [
  ['/v1/payment-links', { ...good, reference: 'INV-9' }],
  ...Object.entries(BODIES).map(([verb, body]): [string, object] => [path('INV-1', verb), body]),
];

it('the commands of these tests are all there are', async () => {
  const { json } = await send(`${gateway.apiUrl}/openapi.json`);
  const verbs = Object.keys(json.paths).map((route) => /\{reference\}\/([a-z-]+)$/.exec(route)?.[1]);
  const told = verbs.filter((verb) => verb !== undefined && verb !== 'timeline');
  expect(told.sort()).toEqual(Object.keys(BODIES).sort());
});

describe('S5, S6: keys', () => {
  it('two live keys are one caller, and one that was taken out opens nothing', async () => {
    for (const key of ['key-of-shop', 'new-key-of-shop']) {
      expect((await call(key, 'POST', path('INV-1', 'cancel'), {})).status).toBe(200);
      expect(links.calls.at(-1)).toEqual(['cancel', 'INV-1', {}, { idempotencyKey: 'k', actor: 'shop' }]);
    }
    const rotated = await start({ links: current, accounts, keys: keys.filter((_key, index) => index !== 0) });
    const ask = (key: string) =>
      send(rotated.apiUrl + path('INV-1'), 'GET', { headers: { authorization: `Bearer ${key}` } });
    expect([(await ask('key-of-shop')).status, (await ask('new-key-of-shop')).status]).toEqual([401, 200]);
    await rotated.close();
  });

  it.each([
    ['the same key twice', ['Authorization: Bearer key-of-all', 'Authorization: Bearer key-of-all']],
    ['a good key, then a bad one', ['Authorization: Bearer key-of-all', 'Authorization: Bearer x']],
    ['a bad key, then a good one', ['Authorization: Bearer x', 'Authorization: Bearer key-of-all']],
    [
      'a key in another place',
      ['X-Api-Key: key-of-all', 'Cookie: authorization=key-of-all', 'Proxy-Authorization: Bearer key-of-all'],
    ],
    [
      'what a proxy would say',
      ['X-Forwarded-For: 127.0.0.1', 'X-Real-IP: 127.0.0.1', 'Forwarded: for=127.0.0.1;host=localhost'],
    ],
    ['digits of another alphabet', ['Authorization: Bearer key-of-all\uff11']],
  ])('%s: 401', async (_name, headers) => {
    expect(await lines(...headers)).toContain('HTTP/1.1 401');
    expect(links.calls).toEqual([]);
  });

  it('S21: a name that a header forwards is not the name that was called', async () => {
    const open = await start({ links: current, accounts });
    const heard = await rawExchange(
      open.apiUrl,
      `GET /healthz HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\nX-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n`,
    );
    expect(heard).toContain('HTTP/1.1 403');
    await open.close();
  });

  it.each(['GET', 'HEAD'])("%s: another tenant's link is no link, whatever is said about it", async (method) => {
    for (const route of [path('INV-1'), path('INV-1', 'timeline')]) {
      expect((await call('key-of-rival', method, route)).status).toBe(404);
      expect((await call('key-of-shop', method, route)).status).toBe(200);
    }
  });

  it('a key is asked for before anything else is looked at', async () => {
    for (const [route] of POSTS) {
      for (const body of ['', 'nonsense', '{"__proto__":1}', 'x'.repeat(300_000)]) {
        expect((await call('nobody', 'POST', route, body)).status).toBe(401);
      }
    }
    expect(links.calls).toEqual([]);
  });
});

describe('S7: fields that are not the caller’s to set', () => {
  const FOREIGN = [
    'status',
    'state',
    'url',
    'provider',
    'providerLinkId',
    'captured',
    'refunded',
    'authorized',
    'exceptions',
  ];
  const OURS = [
    'operations',
    'facts',
    'createdAt',
    'actor',
    'role',
    'accounts',
    'tenant',
    'timing',
    'taskQueue',
    'termsHash',
  ];
  const NAMES_OF_OBJECTS = ['constructor', 'prototype', 'toString', 'hasOwnProperty'];

  it.each(POSTS)('%s refuses each by name, and goes no further', async (route, body) => {
    for (const field of [...FOREIGN, ...OURS, ...NAMES_OF_OBJECTS]) {
      const { status, json } = await call('key-of-all', 'POST', route, { ...body, [field]: 'paid' });
      expect([field, status, json.errors?.[0]?.pointer]).toEqual([field, 400, `/${field}`]);
    }
    expect(links.calls).toEqual([]);
  });

  it.each([
    ['amount', { ...good.amount, exponent: 3 }, '/amount/exponent'],
    ['customer', { email: 'ada@example.com', vip: true }, '/customer/vip'],
    ['policies', { account: 'other' }, '/policies/account'],
  ])('%s has no further fields either', async (field, value, pointer) => {
    const { status, json } = await call('key-of-all', 'POST', '/v1/payment-links', { ...good, [field]: value });
    expect([status, json.errors[0].pointer]).toEqual([400, pointer]);
    expect(links.calls).toEqual([]);
  });

  /** How providers call what we send, and what nobody but the engine may say to them. */
  const WIRE =
    'amount amount_cents currency status state id reference reference_id orderId merchant_order_id trace_number requestId apiKey api_key token merchantId merchant_id callback_url callbackUrl notification_url webhook returnUrl redirect_url is_live expires_at expiresIn plan integration_id constructor toString'.split(
      ' ',
    );
  it.each(NAMES)('%s lets none of its own fields be set by an option', async (name) => {
    const { amount, currency, customer } = kits[name].terms;
    const request = { account: name, reference: 'INV-9', amount: { minor: amount, currency }, customer };
    expect((await call('key-of-all', 'POST', '/v1/payment-links', request)).status).toBe(201);
    links.calls = [];
    for (const option of WIRE) {
      const body = { ...request, reference: 'INV-8', providerOptions: { [option]: '1' } };
      const { status, json } = await call('key-of-all', 'POST', '/v1/payment-links', body);
      expect([option, status, json.errors?.[0]?.pointer]).toEqual([option, 422, `/providerOptions/${option}`]);
    }
    expect(links.calls).toEqual([]);
  });
});

describe('S8: how often', () => {
  it('a caller who asks too often is told when to come again; others are served', async () => {
    const read = (key: string) => call(key, 'GET', path('INV-1'));
    expect((await read('key-of-slow')).status).toBe(200);
    // Both keys are of one caller.
    for (const key of ['key-of-slow', 'new-key-of-slow']) {
      const { status, json, headers } = await read(key);
      expect([status, json.code]).toEqual([429, 'rate_limited']);
      expect(headers.get('content-type')).toBe('application/problem+json');
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(900);
    }
    expect((await read('key-of-shop')).status).toBe(200);
    expect((await read('nobody')).status).toBe(401);
  });

  it.each<[perSecond: number, instants: number[], expected: number[]]>([
    [1, [0, 0, 0, 500, 1_000, 1_000], [0, 0, 1_000, 500, 0, 1_000]],
    [0.5, [0, 0, 1_000, 2_000], [0, 2_000, 1_000, 0]],
    [10, [0, 10_000, ...Array<number>(20).fill(10_000)], [...Array<number>(21).fill(0), 100]],
    // Two clocks never meet here, but one that stood still must not divide by nothing.
    [2, [5, 5, 5, 5, 5], [0, 0, 0, 0, 500]],
  ])('%d a second', (perSecond, instants, expected) => {
    let now = 0;
    const rates = createRates(() => now);
    const waits = instants.map((instant) => {
      now = instant;
      return Math.round(rates.take('caller', perSecond));
    });
    expect(waits).toEqual(expected);
    expect(rates.take('another caller', perSecond)).toBe(0);
  });

  it('who asks and does not read keeps no place', async () => {
    const narrow = await start({ links: current, accounts, keys, limits: { connections: 1, silentMs: 300 } });
    const { port } = new URL(narrow.apiUrl);
    const deaf = connect({ port: Number(port), host: '127.0.0.1' });
    deaf.on('error', () => {}).pause();
    // More than the buffers on the way take.
    deaf.write('GET /docs HTTP/1.1\r\nHost: gateway.example\r\n\r\n'.repeat(500));
    await vi.waitFor(async () => expect((await send(`${narrow.apiUrl}/healthz`)).status).toBe(200), 20_000);
    deaf.destroy();
    await narrow.close();
  });

  it('what anybody may ask for without a key is made once', async () => {
    const readiness = async () => ({ ready: true, checks: {}, unknownAccounts: [] });
    const app = createApi({ links: current as never, accounts, keys, limits: LIMITS, log: memoryLog().log, readiness });
    const making = vi.spyOn(app, 'getOpenAPI31Document');
    for (const route of ['/docs', '/openapi.json', '/docs', '/openapi.json']) {
      expect((await app.request(route)).status).toBe(200);
    }
    expect(making).toHaveBeenCalledTimes(1);
  });

  it('is part of the keys file, and nothing it could not mean is taken', () => {
    const key = { name: 'a', role: 'read', accounts: '*', sha256: 'a'.repeat(64) };
    expect(checkApiKeys([{ ...key, requestsPerSecond: 5 }], [])[0]).toMatchObject({ requestsPerSecond: 5 });
    for (const requestsPerSecond of [0, -1, '5', null]) {
      expect(() => checkApiKeys([{ ...key, requestsPerSecond }], [])).toThrow(/key "a", requestsPerSecond/);
    }
  });
});

describe('S22: JSON that means two things', () => {
  const oddities: [name: string, change: (text: string) => string][] = [
    ['__proto__', (text) => text.replace('{', '{"__proto__":{"amount":1},')],
    ['__proto__ further in', (text) => text.replace('{', '{"metadata":{"__proto__":"x"},')],
    ['__proto__ in escapes', (text) => text.replace('{', '{"\\u005f\\u005fproto\\u005f\\u005f":1,')],
    ['a key twice', (text) => text.replace('{', '{"reason":"a","reason":"b",')],
    [
      'an amount beyond the safe integers',
      (text) => text.replace('{', '{"amount":{"minor":9007199254740993,"currency":"AED"},'),
    ],
    ['an amount beyond all numbers', (text) => text.replace('{', '{"amount":{"minor":1e400,"currency":"AED"},')],
    ['an amount below all numbers', (text) => text.replace('{', '{"amount":{"minor":1e-400,"currency":"AED"},')],
    ['minus nothing', (text) => text.replace('{', '{"amount":{"minor":-0,"currency":"AED"},')],
    ['a NUL', (text) => `${text}\u0000`],
  ];
  it.each(POSTS)('%s: 400 or 422, and goes no further', async (route, body) => {
    const { amount: _amount, ...rest } = body as { amount?: unknown };
    for (const [oddity, change] of oddities) {
      const text = change(JSON.stringify(rest)).replace(',}', '}');
      const { status, json } = await call('key-of-all', 'POST', route, text);
      expect([400, 422], `${oddity}: ${text}`).toContain(status);
      expect(json.code).toMatch(/^invalid_(json|request)$/);
    }
    expect(links.calls).toEqual([]);
    expect({}).not.toHaveProperty('amount');
  });
});
