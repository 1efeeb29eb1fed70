import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Account } from '../activities/accounts.ts';
import type { WebhookReader } from '../activities/provider.ts';
import { readTokenKeys, signToken, tokenMatches } from '../activities/tokens.ts';
import type { News } from '../client/index.ts';
import { PaymentLinks } from '../client/index.ts';
import { LIMITS } from '../gateway/limits.ts';
import { createReadiness } from '../gateway/readiness.ts';
import { registerWebhooks } from '../gateway/registrations.ts';
import { startGateway } from '../gateway/server.ts';
import { freePort } from '../stack/ports.ts';
import { startTemporal, type TemporalServer } from '../stack/temporal.ts';
import { linkAccount, linkProviderId } from '../workflows/attributes.ts';
import { TASK_QUEUE, WORKFLOW_TYPE, workflowIdOf } from '../workflows/messages.ts';
import {
  account,
  accountsOf,
  type Gateway,
  memoryLog,
  rawExchange,
  SIGNATURE,
  send,
  sign,
  start,
} from './listeners.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 20 * 60_000 });

const OLD = 'old-secret-of-shop';
const NEW = 'new-secret-of-shop';
const OTHER = 'secret-of-other-one';
const [FIRST_KEY, SECOND_KEY] = ['token-key-number-one', 'token-key-number-two'];
const base64url = (text: string) => Buffer.from(text).toString('base64url');

/** Correlates nothing: notes what it is told, as Temporal would be. */
class Ears {
  heard: News[] = [];
  outcome: 'accepted' | 'unmatched' | Error | Promise<'accepted'> = 'accepted';
  /** What was kept, and whether its account is shared. */
  kept: [News, boolean][] = [];
  room: 'kept' | 'full' | Promise<'kept'> = 'kept';
  async observe(news: News) {
    this.heard.push(news);
    if (this.outcome instanceof Error) throw this.outcome;
    return this.outcome;
  }
  async keepUnmatched(news: News, { shared }: { shared: boolean }) {
    this.kept.push([news, shared]);
    return this.room;
  }
}

let ears = new Ears();
const journal = memoryLog();
const throwing: WebhookReader<unknown> = {
  verify: () => {
    throw new RangeError('Input buffers must have the same byte length');
  },
  read: () => ({ ids: [] }),
};
const accounts = accountsOf(
  account('shop', { secrets: [OLD, NEW] }),
  account('other', { secrets: [OTHER] }),
  account('unset', { secrets: [] }),
  account('mute', { mute: true }),
  account('buggy', { secrets: [OLD], webhook: throwing }),
  { ...account('market', { secrets: [OLD] }), shared: true },
);
let gateway: Gateway;
let hooks: string;
beforeAll(async () => {
  const links: Pick<PaymentLinks, 'observe' | 'keepUnmatched'> = {
    observe: (news) => ears.observe(news),
    keepUnmatched: (news, options) => ears.keepUnmatched(news, options),
  };
  const limits = { observeMs: 300 };
  gateway = await start({ links, accounts, tokenKeys: [FIRST_KEY, SECOND_KEY], limits, log: journal.log });
  hooks = gateway.webhookUrl;
});
afterAll(() => gateway.close());
beforeEach(() => {
  ears = new Ears();
});

const body = JSON.stringify({ reference: 'INV-1', ids: ['id-canary', 'abc'] });
const deliver = (path: string, content: string | Uint8Array, signature: string, headers: Record<string, string> = {}) =>
  send(`${hooks}/webhooks/${path}`, 'POST', { body: content, headers: { [SIGNATURE]: signature, ...headers } });

describe('authentic news', () => {
  it('is passed on as it came, and only then answered 200', async () => {
    const spaced = ` ${body.replace(':', ' :\t')}\r\n`;
    const before = Date.now();
    const { status, text } = await deliver('shop', spaced, sign(OLD, spaced));
    expect([status, text]).toEqual([200, '']);
    const [news] = ears.heard;
    expect(news).toMatchObject({ account: 'shop', reference: 'INV-1', ids: ['id-canary', 'abc'] });
    expect(Buffer.from(news!.body).toString()).toBe(spaced);
    expect(news!.at).toBeGreaterThanOrEqual(before);
  });

  it('may be signed with the old secret or the new one, in any content type', async () => {
    for (const secret of [OLD, NEW]) {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      expect((await deliver('shop', body, sign(secret, body), headers)).status).toBe(200);
    }
  });

  it('that names no reference we could have goes by its ids', async () => {
    for (const reference of ['no reference', 'x'.repeat(101), '']) {
      const odd = JSON.stringify({ reference, ids: ['id-canary'] });
      await deliver('shop', odd, sign(NEW, odd));
      expect(ears.heard.at(-1)).toMatchObject({ reference: undefined, ids: ['id-canary'] });
    }
  });

  it('that no open link is known by is kept, and only then answered 202', async () => {
    ears.outcome = 'unmatched';
    for (const [name, shared] of [
      ['shop', false],
      ['market', true],
    ] as const) {
      const { status, text } = await deliver(name, body, sign(OLD, body));
      expect([status, text]).toEqual([202, '']);
      expect(ears.kept.at(-1)).toEqual([ears.heard.at(-1), shared]);
    }
    expect(journal.lines().at(-1)).toMatchObject({ event: 'request', account: 'market', reason: 'unmatched' });
  });

  it.each([
    ['has too much of it already', 'full' as const],
    ['cannot keep it in time', new Promise<'kept'>(() => {})],
  ])('that no open link is known by is sent back when the account %s', async (_, room) => {
    ears.outcome = 'unmatched';
    ears.room = room;
    const { status, headers, json } = await deliver('shop', body, sign(OLD, body));
    expect([status, json.code]).toEqual([503, 'unavailable']);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('that cannot be read is not acknowledged either, and the log says so without its words', async () => {
    const poison = 'canary-4242';
    const { status, headers } = await deliver('shop', poison, sign(OLD, poison));
    expect(status).toBe(503);
    expect(headers.get('retry-after')).toBeTruthy();
    expect(ears.heard).toEqual([]);
    const reason = 'authentic but unreadable (SyntaxError)';
    expect(journal.lines().at(-1)).toMatchObject({ event: 'request', account: 'shop', status: 503, reason });
    expect((await deliver('shop', body, sign(OLD, body))).status).toBe(200);
  });

  it('that Temporal does not take in time is 503, with when to come again', async () => {
    ears.outcome = new Promise(() => {});
    const { status, headers } = await deliver('shop', body, sign(OLD, body));
    expect([status, Number(headers.get('retry-after')) > 0]).toEqual([503, true]);
  });
});

describe('whatever is not authentic gets one and the same 401, before anything is looked up', () => {
  const flipped = Buffer.from(body);
  flipped[5]! ^= 1;
  const good = sign(OLD, body);
  const path = (reference: string, token: string) => `shop/${base64url(reference)}?t=${token}`;
  const token = signToken([FIRST_KEY], 'shop', 'INV-1');
  const rows: [name: string, path: string, body: string | Uint8Array, signature: string][] = [
    ['a flipped byte', 'shop', flipped, good],
    ['a space more', 'shop', `${body} `, good],
    ['keys in another order', 'shop', '{"ids":["777","abc"],"reference":"INV-1"}', good],
    ['an empty body', 'shop', '', good],
    ['an empty signature', 'shop', body, ''],
    ['half a signature', 'shop', body, good.slice(0, 32)],
    ['a signature and more', 'shop', body, `${good}00`],
    ['two signatures', 'shop', body, `${good}, ${good}`],
    ['an upper-case signature', 'shop', body, good.toUpperCase()],
    ['signed with nothing', 'shop', body, sign('', body)],
    ["signed with another account's secret", 'shop', body, sign(OTHER, body)],
    ['sent to another account', 'other', body, good],
    ['an account without secrets, signed with nothing', 'unset', body, sign('', body)],
    ['an account whose provider has no webhooks', 'mute', body, good],
    ['a verifier that breaks', 'buggy', body, good],
    ['an unknown account', 'nobody', body, good],
    ['an account that is none', '__proto__', body, good],
    ['no token', `shop/${base64url('INV-1')}`, body, good],
    ['an empty token', path('INV-1', ''), body, good],
    ["another link's token", path('INV-2', token), body, good],
    ["another account's token", path('INV-1', signToken([FIRST_KEY], 'other', 'INV-1')), body, good],
    ['a token of an unknown key', path('INV-1', signToken(['token-key-number-six'], 'shop', 'INV-1')), body, good],
    ['a token with padding', path('INV-1', `${token}%3D`), body, good],
    ['a token twice', `${path('INV-1', token)}&t=${token}`, body, good],
    ['a token and a wrong signature', path('INV-1', token), body, sign('wrong', body)],
    ['a reference that is none', path('no reference', signToken([FIRST_KEY], 'shop', 'no reference')), body, good],
    ['a query parameter twice', 'shop?a=1&a=1', body, good],
  ];
  it.each(rows)('%s', async (_name, to, content, signature) => {
    const answer = await deliver(to, content, signature);
    expect([answer.status, answer.json]).toEqual([
      401,
      {
        type: 'about:blank',
        title: 'Unauthorized',
        status: 401,
        code: 'unauthorized',
        detail: 'The request is not authentic.',
      },
    ]);
    expect(ears.heard).toEqual([]);
  });

  it('a signature header given twice', async () => {
    const heard = await rawExchange(
      hooks,
      `POST /webhooks/shop HTTP/1.1\r\nHost: x\r\n${SIGNATURE}: ${good}\r\n${SIGNATURE}: ${good}\r\n` +
        `Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect(heard).toContain('HTTP/1.1 401');
    expect(ears.heard).toEqual([]);
  });

  it('random signatures and bodies', async () => {
    for (let round = 0; round < 50; round++) {
      const signature = randomBytes(round).toString('base64');
      expect((await deliver('shop', randomBytes(round * 7), signature)).status).toBe(401);
    }
    expect(ears.heard).toEqual([]);
  });
});

describe('a callback URL made for one link', () => {
  it('names the link, whatever the body says', async () => {
    const reference = 'INV/2026/001';
    const url = (key: string) => `shop/${base64url(reference)}?t=${signToken([key], 'shop', reference)}`;
    for (const key of [FIRST_KEY, SECOND_KEY]) {
      expect((await deliver(url(key), body, sign(OLD, body))).status).toBe(200);
      expect(ears.heard.at(-1)?.reference).toBe(reference);
    }
  });

  it('tokens: the first key signs, all verify, one spelling counts', () => {
    const keys = readTokenKeys(` ${FIRST_KEY} , ${SECOND_KEY}`);
    const token = signToken(keys, 'shop', 'INV-1');
    expect(token).toBe(signToken([FIRST_KEY], 'shop', 'INV-1'));
    expect(tokenMatches([SECOND_KEY, FIRST_KEY], 'shop', 'INV-1', token)).toBe(true);
    expect(tokenMatches([SECOND_KEY], 'shop', 'INV-1', token)).toBe(false);
    expect(tokenMatches([], 'shop', 'INV-1', '')).toBe(false);
    expect(tokenMatches(keys, 'shop', 'INV-1', ` ${token}`)).toBe(false);
    expect(() => signToken([], 'shop', 'INV-1')).toThrow(/PERDURE_TOKEN_KEYS/);
    expect(readTokenKeys(undefined)).toEqual([]);
    for (const weak of ['short', `${FIRST_KEY},`, `${FIRST_KEY},short`]) {
      expect(() => readTokenKeys(weak)).toThrow(/PERDURE_TOKEN_KEYS.*16 bytes/);
    }
  });
});

describe('limits', () => {
  it('64 KB and not a byte more, before any signature is looked at', async () => {
    const exact = body.padEnd(LIMITS.webhookBody);
    expect((await deliver('shop', exact, sign(OLD, exact))).status).toBe(200);
    const more = `${exact} `;
    expect((await deliver('shop', more, sign(OLD, more))).status).toBe(413);
    expect((await deliver('nobody', more, '')).status).toBe(413);
    expect(ears.heard).toHaveLength(1);
  });

  it('compressed bodies are refused', async () => {
    expect((await deliver('shop', body, sign(OLD, body), { 'content-encoding': 'gzip' })).status).toBe(415);
  });

  it.each([
    ['GET', '/webhooks/shop', 405],
    ['PUT', '/webhooks/shop/x', 405],
    ['POST', '/webhooks', 404],
    ['POST', '/webhooks/shop/x/y', 404],
    ['GET', '/v1/payment-links', 404],
    ['GET', '/healthz', 404],
  ])('%s %s: %d', async (method, path, status) => {
    const answer = await send(hooks + path, method);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/problem+json']);
  });

  it('the log holds no token, no signature and no body', () => {
    const text = journal.text();
    expect(text).toContain('"route":"/webhooks/:account/:reference"');
    expect(text).toContain('"reason":"wrong signature"');
    const sent = [sign(OLD, body), signToken([FIRST_KEY], 'shop', 'INV-1'), OLD, FIRST_KEY, 'canary'];
    expect(sent.filter((word) => text.includes(word))).toEqual([]);
  });
});

describe('registering at the provider', () => {
  it('keeps trying, and signs with what the provider issued', async () => {
    let attempts = 0;
    const asked: string[] = [];
    const late = account('late', {
      register: async (_call, url) => {
        asked.push(url);
        if (++attempts < 3) throw new Error('the provider is away');
        return { id: 'hook-1', secret: 'issued-secret' };
      },
    });
    const configured = account('set', {
      secrets: ['a-secret'],
      register: () => Promise.reject(new Error('not asked')),
    });
    const registrations = registerWebhooks({
      accounts: accountsOf(late, configured, account('plain')),
      publicUrl: 'https://hooks.example/base',
      http: { request: () => Promise.reject(new Error('not used')) },
      log: journal.log,
      retryMs: 5,
    });
    expect(registrations.unregistered()).toEqual(['late']);
    expect(registrations.secretsOf('late')).toEqual([]);
    await vi.waitFor(() => expect(registrations.unregistered()).toEqual([]));
    expect(registrations.secretsOf('late')).toEqual(['issued-secret']);
    expect(asked).toEqual(Array(3).fill('https://hooks.example/base/webhooks/late'));
    expect(journal.text()).not.toContain('issued-secret');
    registrations.stop();
  });

  it('stops trying when told to', async () => {
    let attempts = 0;
    const away = account('away', {
      register: async () => {
        attempts++;
        throw new Error('away');
      },
    });
    const http = { request: () => Promise.reject(new Error('not used')) };
    const options = { accounts: accountsOf(away), publicUrl: 'https://hooks.example', http, retryMs: 20 };
    const registrations = registerWebhooks({ ...options, log: memoryLog().log });
    await vi.waitFor(() => expect(attempts).toBe(1));
    registrations.stop();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(attempts).toBe(1);
  });
});

describe('with Temporal', () => {
  let temporal: TemporalServer;
  let connection: Connection;
  let client: Client;
  let links: PaymentLinks;
  let real: Gateway;
  const registered: Account = account('shop', { secrets: [OLD] });
  beforeAll(async () => {
    temporal = await startTemporal();
    connection = await Connection.connect({ address: temporal.address });
    client = new Client({ connection, namespace: temporal.namespace });
    links = new PaymentLinks(client);
    const options = { links, client, accounts: accountsOf(registered), host: '127.0.0.1', log: memoryLog().log };
    real = await startGateway({ ...options, apiPort: await freePort(), webhookPort: 0 });
  });
  afterAll(async () => {
    await real?.close();
    await connection?.close();
    await temporal?.stop();
  });

  /** A link nobody works on: its history shows what the listener alone has caused. */
  const open = (reference: string, name = 'shop', ids: string[] = []) =>
    client.workflow.start(WORKFLOW_TYPE, {
      workflowId: workflowIdOf(reference),
      taskQueue: TASK_QUEUE,
      args: [],
      typedSearchAttributes: [
        { key: linkAccount, value: name },
        { key: linkProviderId, value: ids },
      ],
    });
  const signals = async (reference: string) => {
    const { events } = await client.workflow.getHandle(workflowIdOf(reference)).fetchHistory();
    return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes);
  };
  const news = (content: object) => {
    const text = JSON.stringify(content);
    return send(`${real.webhookUrl}/webhooks/shop`, 'POST', { body: text, headers: { [SIGNATURE]: sign(OLD, text) } });
  };

  it('the same webhook 20 times, at once and in turn, is one event', async () => {
    await open('W/1');
    const same = { reference: 'W/1', ids: ['1'], status: 'PAID' };
    const answers = await Promise.all(Array.from({ length: 10 }, () => news(same)));
    for (let time = 0; time < 10; time++) answers.push(await news(same));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(await signals('W/1')).toHaveLength(1);
    expect((await news({ ...same, status: 'REFUNDED' })).status).toBe(200);
    expect(await signals('W/1')).toHaveLength(2);
  });

  it('what was said before something else, and is said again, is heard again', async () => {
    await open('W/5');
    for (const status of ['PAID', 'REFUNDED', 'PAID']) {
      expect((await news({ reference: 'W/5', ids: ['5'], status })).status).toBe(200);
    }
    expect(await signals('W/5')).toHaveLength(3);
  });

  it("a webhook that names only the provider's id finds its link, in its own account", async () => {
    await open('W-2', 'shop', ['p-2', 'q-2']);
    await open('W-3', 'other', ['p-3']);
    await vi.waitFor(async () => expect((await news({ ids: ['q-2'] })).status).toBe(200), { timeout: 10_000 });
    expect(await signals('W-2')).toHaveLength(1);
    expect((await news({ ids: ['p-3'] })).status).toBe(202);
    expect(await signals('W-3')).toHaveLength(0);
  });

  it('a webhook of no link starts none: it is kept in the one run of its account and object', async () => {
    const runs: string[] = [];
    for (const status of ['PENDING', 'PAID']) {
      expect((await news({ reference: 'W-9', ids: ['9', 'ref-9'], status })).status).toBe(202);
      const run = await client.workflow.getHandle('unmatched-webhook/shop/9').describe();
      expect(run.status.name).toBe('RUNNING');
      runs.push(run.runId);
    }
    expect(new Set(runs).size).toBe(1);
    await expect(client.workflow.getHandle(workflowIdOf('W-9')).describe()).rejects.toThrow(/not found/);
    await vi.waitFor(async () => {
      const { items } = await links.unmatched({ account: 'shop' });
      expect(items).toContainEqual(expect.objectContaining({ about: '9', ids: ['9', 'ref-9'] }));
    }, 10_000);
    const known = { account: 'shop', ids: ['10'], body: Buffer.from('{}'), at: Date.now(), signed: true };
    // How many there are is asked once in five seconds: another client asks anew.
    const other = new PaymentLinks(new Client({ connection, namespace: temporal.namespace }));
    expect(await other.keepUnmatched(known, { shared: false, cap: 1 })).toBe('full');
    expect(await other.keepUnmatched({ ...known, account: 'quiet' }, { shared: false, cap: 1 })).toBe('kept');
  });

  it('/readyz wants a worker, and names accounts of open links that are not in the file', async () => {
    await open('W-4', 'gone');
    const ask = () => send(`${real.apiUrl}/readyz`);
    await vi.waitFor(async () => expect((await ask()).json.unknownAccounts).toContain('gone'), { timeout: 10_000 });
    const before = await ask();
    expect(before.json.unknownAccounts).not.toContain('shop');
    expect([before.status, before.json.checks.temporal, before.json.checks.webhooks]).toEqual([503, 'ok', 'ok']);
    expect(before.json.checks.worker).toContain(TASK_QUEUE);
    // A poller is all that the server knows of a worker. One may be handed a task and be gone; a worker keeps several.
    const polls = Array.from({ length: 10 }, () =>
      connection.withDeadline(Date.now() + 3_000, () =>
        client.workflowService.pollWorkflowTaskQueue({
          namespace: temporal.namespace,
          taskQueue: { name: TASK_QUEUE },
          identity: 'test',
        }),
      ),
    );
    const polled = Promise.allSettled(polls);
    await vi.waitFor(async () => expect((await ask()).status).toBe(200), { timeout: 10_000 });
    await polled;
  });

  it('/readyz says so while a webhook is not registered, or Temporal is away', async () => {
    const waiting = createReadiness({ client, accounts: ['shop'], unregistered: () => ['shop'] });
    expect((await waiting()).checks.webhooks).toBe('not registered yet: shop');
    const nowhere = new Client({ connection: Connection.lazy({ address: '127.0.0.1:1' }) });
    const away = await createReadiness({ client: nowhere, accounts: ['shop'], unregistered: () => [] })();
    expect([away.ready, away.checks.temporal]).toEqual([false, 'cannot be reached']);
  });

  it('runs as a process, told everything by its environment, until it is told to stop', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'perdure-gateway-'));
    const options = {
      ...{ baseUrl: 'http://127.0.0.1:1', apiKey: 'k'.repeat(16), apiSecret: { env: 'SECRET' } },
      webhookSecrets: [OLD],
    };
    await writeFile(join(folder, 'accounts.json'), JSON.stringify({ shop: { provider: 'paymennt', options } }));
    const [apiPort, webhookPort] = [await freePort(), await freePort()];
    const run = (env: NodeJS.ProcessEnv) => {
      const child = spawn(process.execPath, ['--import', 'tsx', 'gateway/main.ts'], {
        env: { ...process.env, ...temporal.env, ...env, SECRET: 's'.repeat(32) },
      });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
      return { child, said: () => said, exit: once(child, 'exit').then(([code]) => code as number) };
    };
    const ports = { PERDURE_API_PORT: `${apiPort}`, PERDURE_WEBHOOK_PORT: `${webhookPort}` };
    const refused = run(ports);
    expect(await refused.exit).toBe(1);
    expect(refused.said()).toContain('PERDURE_ACCOUNTS is not set');

    const settings = { ...ports, PERDURE_ACCOUNTS: join(folder, 'accounts.json') };
    const running = run(settings);
    await vi.waitFor(() => expect(running.said()).toContain(`"listener":"webhooks","address"`), { timeout: 20_000 });
    expect((await send(`http://127.0.0.1:${apiPort}/healthz`)).status).toBe(200);
    expect((await send(`http://127.0.0.1:${webhookPort}/webhooks/shop`, 'POST', { body })).status).toBe(401);
    const second = run(settings);
    expect(await second.exit).toBe(1);
    expect(second.said()).toContain(`port ${apiPort} on 127.0.0.1 is in use; set PERDURE_API_PORT`);
    running.child.kill('SIGTERM');
    running.child.kill('SIGINT');
    expect(await running.exit).toBe(0);
    expect(running.said()).not.toContain('s'.repeat(32));
    await rm(folder, { recursive: true });
  });

  it('refuses a namespace that forgets too soon', async () => {
    const options = { links, client, accounts: accountsOf(registered), host: '127.0.0.1', apiPort: 0, webhookPort: 0 };
    await expect(startGateway({ ...options, minRetentionDays: 10_000 })).rejects.toThrow(/retention/);
  });

  it('Temporal gone: 503 with Retry-After', async () => {
    const nowhere = new PaymentLinks(new Client({ connection: Connection.lazy({ address: '127.0.0.1:1' }) }));
    const away = await start({ links: nowhere, accounts: accountsOf(registered) });
    const answer = await send(`${away.webhookUrl}/webhooks/shop`, 'POST', {
      body,
      headers: { [SIGNATURE]: sign(OLD, body) },
    });
    expect([answer.status, Number(answer.headers.get('retry-after')) > 0]).toEqual([503, true]);
    await away.close();
  });
});
