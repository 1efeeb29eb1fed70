import { Client, Connection } from '@temporalio/client';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  AmountOutOfRange,
  IdempotencyConflict,
  NotAllowed,
  NotFound,
  NotSupported,
  OrderAlreadyPaid,
  PaymentLinks,
  ProviderRefused,
  ReferenceConflict,
  Unavailable,
} from '../client/index.ts';
import { createApi } from '../gateway/api.ts';
import { LIMITS } from '../gateway/limits.ts';
import { createLog } from '../gateway/log.ts';
import { rawExchange, send, start } from './listeners.ts';
import { accounts, good, linkOf, path, scriptedGateway } from './scripted-links.ts';

const scene = scriptedGateway();

describe('creating', () => {
  it('answers 201 with the link and its place, and 200 when the body comes again', async () => {
    const first = await scene.post('/v1/payment-links', good);
    expect([first.status, first.headers.get('location')]).toEqual([201, '/v1/payment-links/INV-1']);
    expect(first.json).toEqual(linkOf('INV-1'));
    expect((await scene.post('/v1/payment-links', good)).status).toBe(200);
    expect(scene.links.calls[0]).toEqual(['create', good, 'provider-of-shop']);
  });

  it('answers 202 while the provider has not answered', async () => {
    scene.links.next = { status: 'creating', url: null };
    const { status, json } = await scene.post('/v1/payment-links', good);
    expect([status, json.url, json.status]).toEqual([202, null, 'creating']);
  });

  it('serves a reference with slashes, percent-encoded', async () => {
    const made = await scene.post('/v1/payment-links', { ...good, reference: 'INV/2026/001' });
    expect(made.headers.get('location')).toBe('/v1/payment-links/INV%2F2026%2F001');
    const read = await send(scene.api + made.headers.get('location'));
    expect([read.status, read.json.reference]).toEqual([200, 'INV/2026/001']);
    const cancelled = await scene.post(path('INV/2026/001', 'cancel'), {}, { 'idempotency-key': 'k' });
    expect(cancelled.status).toBe(200);
    expect(scene.links.calls.at(-1)?.slice(0, 2)).toEqual(['cancel', 'INV/2026/001']);
    expect((await send(`${scene.api}/v1/payment-links/INV/2026/001`)).status).toBe(404);
  });

  it('takes every character a reference may have', async () => {
    const reference = 'aZ09._~:@+/-..';
    await scene.post('/v1/payment-links', { ...good, reference });
    expect((await send(scene.api + path(reference))).json.reference).toBe(reference);
  });

  it('says JSON to a charset of UTF-8 too', async () => {
    const headers = { 'content-type': 'Application/JSON; charset="UTF-8"' };
    expect((await scene.post('/v1/payment-links', good, headers)).status).toBe(201);
  });
});

describe('commands', () => {
  beforeEach(() => scene.links.known.set('INV-1', linkOf('INV-1')));
  const key = { 'idempotency-key': 'k-1' };

  it.each(['capture', 'refund', 'cancel'])('%s wants an Idempotency-Key and says so', async (verb) => {
    for (const given of [undefined, 'with space', 'x'.repeat(256)]) {
      const headers = given === undefined ? undefined : { 'idempotency-key': given };
      const answer = await scene.post(path('INV-1', verb), {}, headers);
      expect([answer.status, answer.json.errors[0].pointer]).toEqual([400, '/Idempotency-Key']);
      expect(answer.json.detail).toContain('Idempotency-Key');
    }
    expect(scene.links.calls).toEqual([]);
    expect((await scene.post(path('INV-1', verb), {}, key)).status).toBe(200);
  });

  it('two Idempotency-Key headers are none', async () => {
    const body = '{}';
    const heard = await rawExchange(
      scene.api,
      `POST ${path('INV-1', 'cancel')} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
        `Idempotency-Key: a\r\nIdempotency-Key: b\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect(heard).toContain('HTTP/1.1 400');
    expect(scene.links.calls).toEqual([]);
  });

  it.each(['resync', 'resolve-unknown'])('%s does without', async (verb) => {
    const body = verb === 'resync' ? {} : { operation: 'refund', outcome: 'absent' };
    expect((await scene.post(path('INV-1', verb), body)).status).toBe(200);
    expect(scene.links.calls).toEqual([[verb, 'INV-1', body, { idempotencyKey: undefined, actor: 'local' }]]);
  });

  it('passes amount, reason, key and actor on', async () => {
    const body = { amount: { minor: 5, currency: 'AED' }, reason: 'asked for' };
    await scene.post(path('INV-1', 'refund'), body, { ...key, 'x-actor': 'ana' });
    expect(scene.links.calls).toEqual([['refund', 'INV-1', body, { idempotencyKey: 'k-1', actor: 'ana' }]]);
  });

  it.each(['perdure', 'temporal', ' ', 'x'.repeat(101)])('nobody is called %j', async (actor) => {
    const answer = await scene.post(path('INV-1', 'cancel'), {}, { ...key, 'x-actor': actor });
    expect([answer.status, answer.json.errors[0].pointer]).toEqual([400, '/X-Actor']);
  });

  it.each([
    ['succeeded', 200],
    ['queued', 202],
    ['running', 202],
    ['unknown', 202],
  ] as const)('an operation that is %s: %d with the link', async (state, status) => {
    scene.links.operation = { state };
    const answer = await scene.post(path('INV-1', 'capture'), {}, key);
    expect([answer.status, answer.json.reference]).toEqual([status, 'INV-1']);
  });

  const refusals: [Error, number, string, object][] = [
    [new NotAllowed('not now', ['cancel']), 409, 'not_allowed', { allowed: ['cancel'] }],
    [new IdempotencyConflict('used'), 409, 'idempotency_conflict', {}],
    [
      new AmountOutOfRange('at most 5'),
      422,
      'amount_out_of_range',
      { detail: 'at most 5', errors: [{ pointer: '/amount', message: 'at most 5' }] },
    ],
    [new NotSupported('only the whole'), 422, 'not_supported', {}],
    [new ProviderRefused('too_late', 'no'), 422, 'provider_refused', { provider: { code: 'too_late', message: 'no' } }],
    [new ProviderRefused('provider_unavailable', 'no connection'), 503, 'unavailable', { detail: 'no connection' }],
    [new ReferenceConflict('other terms'), 409, 'reference_conflict', {}],
    [new OrderAlreadyPaid('paid through INV-0'), 409, 'order_already_paid', { detail: 'paid through INV-0' }],
    [new NotFound('INV-1'), 404, 'not_found', {}],
    [new Unavailable('Temporal is away'), 503, 'unavailable', {}],
  ];
  it.each(refusals)('%s', async (error, status, code, more) => {
    scene.links.fails = error;
    const answer = await scene.post(path('INV-1', 'capture'), {}, key);
    expect(answer.status).toBe(status);
    expect(answer.json).toMatchObject({ status, code, type: 'about:blank', ...more });
    if (error instanceof Unavailable) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  const bodies: [verb: string, body: object, bad: object, pointer: string][] = [
    ['extend', { expiresAt: '2031-01-01T00:00:00Z' }, {}, '/expiresAt'],
    ['mark-paid', { amount: good.amount }, { amount: { minor: 1 } }, '/amount/currency'],
    ['acknowledge', { exception: 'late_payment', reason: 'kept' }, { exception: 'late_payment' }, '/reason'],
    ['mark-refunded', { amount: good.amount, providerRef: 'R1' }, { amount: good.amount, ref: 1 }, '/ref'],
  ];
  it.each(bodies)('%s checks its body and passes it on', async (verb, body, bad, pointer) => {
    const refused = await scene.post(path('INV-1', verb), bad);
    expect([refused.status, refused.json.errors[0].pointer]).toEqual([400, pointer]);
    expect(scene.links.calls).toEqual([]);
    expect((await scene.post(path('INV-1', verb), body, key)).status).toBe(200);
    expect(scene.links.calls).toEqual([[verb, 'INV-1', body, { idempotencyKey: 'k-1', actor: 'local' }]]);
    expect((await scene.post(path('INV-2', verb), body)).status).toBe(404);
  });

  it('a refund beside a dispute takes a reason', async () => {
    const refused = await scene.post(path('INV-1', 'refund'), { force: true }, key);
    expect([refused.status, refused.json.errors]).toEqual([
      422,
      [{ pointer: '/reason', message: 'is required with force' }],
    ]);
    expect(scene.links.calls).toEqual([]);
  });

  it('shows the timeline with readable instants', async () => {
    const { json } = await send(scene.api + path('INV-1', 'timeline'));
    expect(json.items).toEqual([
      { at: '1970-01-01T00:00:00.000Z', kind: 'created', source: 'provider', summary: 'payable' },
    ]);
  });
});

describe('unmatched webhooks', () => {
  const dismiss = (about: string, body: object) => scene.post(`/v1/unmatched-webhooks/shop/${about}/dismiss`, body);

  it('are listed page by page', async () => {
    const { status, json } = await send(`${scene.api}/v1/unmatched-webhooks?account=shop&cursor=abc&limit=5`);
    expect([status, json]).toEqual([200, { items: [] }]);
    expect(scene.links.calls).toEqual([['unmatched', { account: 'shop', cursor: 'abc', limit: 5 }]]);
    expect((await send(`${scene.api}/v1/unmatched-webhooks?status=paid`)).status).toBe(400);
  });

  it('are closed with a reason, if there are any', async () => {
    expect(await dismiss('p-1', {})).toMatchObject({ status: 400, json: { errors: [{ pointer: '/reason' }] } });
    expect(await dismiss('p-1', { reason: 'sold by the old shop' })).toMatchObject({ status: 200 });
    expect(await dismiss('nobody', { reason: 'x' })).toMatchObject({ status: 404, json: { code: 'not_found' } });
  });
});

describe('the list', () => {
  it('passes its filters on', async () => {
    const query = '?status=paid&account=shop&exception=underpaid&cursor=abc&limit=5';
    expect((await send(`${scene.api}/v1/payment-links${query}`)).json).toEqual({ items: [] });
    const filters = { status: 'paid', account: 'shop', exception: 'underpaid', cursor: 'abc', limit: 5 };
    expect(scene.links.calls).toEqual([['list', filters]]);
  });

  it.each([
    ['?limit=0', 422, '/limit'],
    ['?limit=101', 422, '/limit'],
    ['?limit=ten', 400, '/limit'],
    ['?limit=1.5', 400, '/limit'],
    ['?status=payed', 422, '/status'],
    ['?exception=odd', 422, '/exception'],
    ['?state=paid', 400, '/state'],
    ['?accounts=shop', 400, '/accounts'],
    ['?status=paid&status=failed', 400, '/status'],
  ])('%s: %d at %s', async (query, status, pointer) => {
    const answer = await send(`${scene.api}/v1/payment-links${query}`);
    expect([answer.status, answer.json.errors[0].pointer]).toEqual([status, pointer]);
    expect(scene.links.calls).toEqual([]);
  });
});

describe('what is not there', () => {
  it.each(['/', '/v1', '/v1/payment-links/', '/v1/payment-links/INV-1/steal', '/webhooks/shop', '/%E0%A4%A'])(
    '%s: 404',
    async (route) => {
      const answer = await send(scene.api + route);
      expect([answer.status, answer.json.code]).toEqual([404, 'not_found']);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
    },
  );

  it.each(['x'.repeat(101), '%00', '%E0%A4%A', 'a%20b', '%252e%252e'])(
    'a reference %s is one nobody has',
    async (segment) => {
      const answer = await send(`${scene.api}/v1/payment-links/${segment}`);
      expect([answer.status, answer.json.code]).toEqual([404, 'not_found']);
      expect(scene.links.calls).toEqual([]);
    },
  );

  it.each([
    ['DELETE', '/v1/payment-links/INV-1', 'GET, HEAD'],
    ['PUT', '/v1/payment-links', 'POST, GET, HEAD'],
    ['GET', '/v1/payment-links/INV-1/capture', 'POST'],
    ['OPTIONS', '/v1/payment-links', 'POST, GET, HEAD'],
  ])('%s %s: 405', async (method, route, allow) => {
    const answer = await send(scene.api + route, method);
    expect([answer.status, answer.json.code, answer.headers.get('allow')]).toEqual([405, 'method_not_allowed', allow]);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('faults of ours', () => {
  it('are a 500 without a word of their cause; the log has it under the same id', async () => {
    scene.links.fails = new TypeError('secret detail of the inside');
    const answer = await send(scene.api + path('INV-1'));
    expect([answer.status, answer.json.code]).toEqual([500, 'internal']);
    expect(answer.text).not.toMatch(/secret detail|TypeError|at .*\.ts/);
    const id = answer.headers.get('x-request-id');
    const fault = scene.journal.lines().find((line) => line.event === 'fault' && line.requestId === id);
    expect(fault?.error).toMatchObject({ name: 'TypeError', message: 'secret detail of the inside' });
  });
});

describe('with the real client and no Temporal', () => {
  it('every call is 503 with Retry-After', async () => {
    const connection = Connection.lazy({ address: '127.0.0.1:1' });
    const patience = { lookAfterMs: 300, lookMs: 300, giveUpAfterMs: 2_000 };
    const client = new PaymentLinks(new Client({ connection }), { patience });
    const away = await start({ links: client, accounts });
    const calls: [string, string, unknown?][] = [
      ['POST', '/v1/payment-links', good],
      ['GET', path('INV-1')],
      ['GET', '/v1/payment-links'],
      ['POST', path('INV-1', 'cancel'), {}],
      ['POST', path('INV-1', 'extend'), { expiresAt: '2031-01-01T00:00:00Z' }],
    ];
    const answers = calls.map(([method, route, body]) =>
      send(away.apiUrl + route, method, { body, headers: { 'idempotency-key': 'k' } }),
    );
    for (const answer of await Promise.all(answers)) {
      expect([answer.status, answer.json.code]).toEqual([503, 'unavailable']);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    // The connection stays: the SDK's pending retries would throw on a closed one.
    await away.close();
  }, 60_000);
});

describe('the document', () => {
  it('lists exactly the routes that are served', async () => {
    const { json } = await send(`${scene.api}/openapi.json`);
    expect(json.openapi).toBe('3.1.0');
    const documented = Object.entries(json.paths as Record<string, object>).flatMap(([route, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${route}`),
    );
    const options = {
      links: scene.links as never,
      accounts,
      keys: undefined,
      limits: LIMITS,
      log: createLog({ level: 'silent' }),
    };
    const app = createApi({ ...options, readiness: async () => ({ ready: true, checks: {}, unknownAccounts: [] }) });
    const served = app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path: route }) => `${method} ${route.replaceAll(/:(\w+)/g, '{$1}')}`);
    expect(documented.sort()).toEqual([...new Set(served)].sort());
    expect(served).toHaveLength(19);
  });

  it('shows bodies, parameters, roles and problems', async () => {
    const { json } = await send(`${scene.api}/openapi.json`);
    const capture = json.paths['/v1/payment-links/{reference}/capture'].post;
    const named = capture.parameters.map(({ name, in: place, required }: Record<string, unknown>) => [
      name,
      place,
      required,
    ]);
    expect(named).toEqual([
      ['reference', 'path', true],
      ['idempotency-key', 'header', true],
    ]);
    expect(capture.security).toEqual([{ apiKey: [] }]);
    expect(json.components.securitySchemes.apiKey).toEqual({ type: 'http', scheme: 'bearer' });
    expect(Object.keys(capture.responses['409'].content)).toEqual(['application/problem+json']);
    const body = json.paths['/v1/payment-links'].post.requestBody.content['application/json'].schema;
    expect(body.required.sort()).toEqual(['account', 'amount', 'reference']);
    expect(json.components.schemas.Link.required).toContain('allowed');
  });

  it('/docs shows it to people, without the internet too, and can call nothing', async () => {
    const { status, text, headers } = await send(`${scene.api}/docs`);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/html/);
    expect(text).toContain('<code>POST /v1/payment-links/{reference}/resolve-unknown</code>');
    expect(headers.get('content-security-policy')).toContain("connect-src 'none'");
  });

  it('health and readiness', async () => {
    expect((await send(`${scene.api}/healthz`)).json).toEqual({ status: 'ok' });
    const head = await fetch(`${scene.api}/healthz`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect((await send(`${scene.api}/readyz`)).json).toEqual({ ready: true, checks: {}, unknownAccounts: [] });
  });
});

describe('the log', () => {
  it('tells who did what to which link, and nothing that was sent', async () => {
    const canary = 'canary-4242424242424242';
    const body = {
      ...good,
      reference: 'LOG-1',
      description: canary,
      customer: { name: canary, email: `${canary}@a.example` },
    };
    const before = scene.journal.lines().length;
    await scene.post('/v1/payment-links', body, {
      'x-actor': 'ana',
      'x-other': canary,
      authorization: `Bearer ${canary}`,
    });
    await scene.post(`/v1/payment-links?${canary}`, { ...body, unknown: canary });
    await scene.post('/v1/payment-links', `{"${canary}`);
    await send(`${scene.api}/${canary}?${canary}`);
    const lines = scene.journal.lines().slice(before);
    expect(lines[0]).toMatchObject({
      ...{ event: 'request', listener: 'api', method: 'POST', route: '/v1/payment-links', status: 201 },
      ...{ reference: 'LOG-1', actor: 'ana', service: 'gateway' },
    });
    expect(lines.map(({ status }) => status)).toEqual([201, 400, 400, 404]);
    expect(JSON.stringify(lines)).not.toContain(canary);
  });
});
