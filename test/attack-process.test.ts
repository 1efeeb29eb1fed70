/**
 * Rows 5, 6, 31 and 32 of docs/reliability.md, S8, S13, S14: floods, slow senders and a Temporal that is away, against the
 * gateway as a process. `ATTACK_BODIES=100000` sends more.
 */
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AttackedGateway, startAttackedGateway } from './attacked-gateway.ts';
import { send } from './listeners.ts';

const BODIES = Number(process.env.ATTACK_BODIES ?? 1_000);
const IDLE_SOCKETS = 5_000;
/** More than garbage that waits to be collected, less than what is kept of every request would come to. */
const GROWTH_MB = 50;

let attacked: AttackedGateway;
beforeAll(async () => {
  attacked = await startAttackedGateway();
}, 120_000);
afterAll(() => attacked?.stop(), 60_000);

/** Runs `count` tasks, so many at once. */
async function many<T>(count: number, atOnce: number, task: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const work = async () => {
    for (let index = next++; index < count; index = next++) results[index] = await task(index);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return results;
}

/** Numbers in [0, 1) that are the same in every run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('row 31, S8: bodies', () => {
  const PIECES = [
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    '\\',
    '\\u0000',
    '\\ud800',
    '\u0000',
    ' ',
    'null',
    'true',
    '-',
    '0',
    '1e400',
    '9007199254740993',
    '"__proto__"',
    '"constructor"',
    '"id"',
    '"amount"',
    '"minor"',
    '"account"',
    '"paymennt"',
    '"type":"TRANSACTION","obj":{',
    '{"reference":"INV-1"',
    '"event":"Payment.Updated"',
    '\r\n',
    '\u2028',
    'ü',
  ];

  function bodyOf(roll: () => number): Uint8Array {
    const kind = roll();
    if (kind < 0.2) return Buffer.from(Array.from({ length: Math.floor(roll() * 400) }, () => roll() * 256));
    if (kind < 0.25) return Buffer.from('['.repeat(roll() * 60_000));
    if (kind < 0.3) return Buffer.from(`{"a":${'{"a":'.repeat(roll() * 5_000)}1`);
    if (kind < 0.35) return Buffer.from('9'.repeat(roll() * 60_000));
    if (kind < 0.4) return Buffer.from('x'.repeat(60_000 + roll() * 20_000));
    return Buffer.from(Array.from({ length: roll() * 60 }, () => PIECES[Math.floor(roll() * PIECES.length)]!).join(''));
  }

  it(`${BODIES} of them are refused one by one, none is a 5xx, and memory stays`, async () => {
    const roll = dice(20_260_301);
    const requests = Array.from({ length: BODIES }, () => [bodyOf(roll), roll(), roll()] as const);
    const answers: Record<string, number> = {};
    const storm = ([body, where, how]: (typeof requests)[number]) => {
      if (where < 0.6) {
        const account = ['paymennt', 'paymob', 'boomfi', 'beqelal', 'katu9', 'nobody'][Math.floor(how * 6)];
        const headers = { 'x-paymennt-signature': 'a'.repeat(64), 'x-katu9-signature': '0'.repeat(64) };
        return send(`${attacked.webhookUrl}/webhooks/${account}?hmac=${'0'.repeat(128)}`, 'POST', { body, headers });
      }
      return attacked.call('POST', how < 0.5 ? '/v1/payment-links' : '/v1/payment-links/INV-1/refund', body);
    };
    const run = async (some: typeof requests) => {
      for (const { status } of await many(some.length, 20, (index) => storm(some[index]!))) {
        answers[status] = (answers[status] ?? 0) + 1;
      }
    };
    await run(requests.slice(0, BODIES / 4));
    const before = attacked.memory();
    await run(requests.slice(BODIES / 4));
    expect(Object.keys(answers).filter((status) => !['400', '401', '413', '422'].includes(status))).toEqual([]);
    expect(Object.keys(answers)).toEqual(expect.arrayContaining(['400', '401', '413']));
    expect(attacked.memory() - before).toBeLessThan(GROWTH_MB);
    expect(attacked.log()).not.toContain('"event":"fault"');
  }, 600_000);

  it('that never end are cut off, and packed ones are not unpacked', async () => {
    const before = attacked.memory();
    for (const url of [`${attacked.webhookUrl}/webhooks/paymennt`, `${attacked.apiUrl}/v1/payment-links`]) {
      const { closedByUs, heard } = await endless(url);
      expect(heard).toMatch(/^HTTP\/1\.1 (413|401)/);
      expect(closedByUs).toBe(false);
    }
    const bomb = Buffer.alloc(60_000, 0x1f);
    const headers = { 'content-encoding': 'gzip' };
    expect((await send(`${attacked.webhookUrl}/webhooks/paymennt`, 'POST', { body: bomb, headers })).status).toBe(415);
    expect((await attacked.call('POST', '/v1/payment-links', bomb, headers)).status).toBe(415);
    expect(attacked.memory() - before).toBeLessThan(GROWTH_MB);
  });

  /** A chunked body without an end, about 60 MB a second, until the other side closes or a minute is over. */
  function endless(url: string): Promise<{ closedByUs: boolean; heard: string }> {
    const { hostname, port, pathname } = new URL(url);
    const chunk = Buffer.from(`10000\r\n${'x'.repeat(0x10000)}\r\n`);
    return new Promise((resolve) => {
      const socket = connect(Number(port), hostname);
      let [sent, heard] = [0, ''];
      const pump = setInterval(() => {
        if (sent++ < 60_000) socket.write(chunk);
        else socket.destroy();
      }, 1);
      socket.on('data', (data) => (heard += data.toString('latin1')));
      socket.on('error', () => {});
      socket.on('close', () => {
        clearInterval(pump);
        resolve({ closedByUs: sent >= 60_000, heard });
      });
      const head = 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nHost: localhost';
      socket.write(`POST ${pathname} HTTP/1.1\r\n${head}\r\n\r\n`);
    });
  }
});

describe('row 32, S8: senders that hold the line', () => {
  it(`${IDLE_SOCKETS} idle ones and slow ones keep nobody waiting, and are cut off`, async () => {
    await attacked.link('SLOW-1');
    const before = attacked.memory();
    const { port } = new URL(attacked.webhookUrl);
    const open = (first: string) =>
      new Promise<{ socket: Socket; closed: Promise<string> }>((resolve, reject) => {
        const socket = connect(Number(port), '127.0.0.1');
        let heard = '';
        socket.on('data', (data) => (heard += data.toString('latin1')));
        socket.once('error', reject);
        const closed = new Promise<string>((done) => socket.on('close', () => done(heard)));
        socket.once('connect', () => {
          socket.off('error', reject).on('error', () => {});
          if (first) socket.write(first);
          resolve({ socket, closed });
        });
      });
    const idle = await many(IDLE_SOCKETS, 200, () => open(''));
    const trickle = [
      'POST /webhooks/paymennt HTTP/1.1\r\nHost: loc',
      'POST /webhooks/paymennt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"a',
    ];
    const slow = await many(200, 50, (index) => open(trickle[index % 2]!));
    const drip = setInterval(() => {
      for (const { socket } of slow) if (socket.writable) socket.write('a');
    }, 2_000);

    const answers = await many(100, 10, (index) => attacked.news('SLOW-1', { index }));
    expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(200));

    const cut = await Promise.all(slow.map(({ closed }) => closed));
    clearInterval(drip);
    expect(cut.filter((heard) => !heard.startsWith('HTTP/1.1 408'))).toEqual([]);
    await Promise.all(idle.map(({ closed }) => closed));
    expect((await attacked.news('SLOW-1', { index: 'last' })).status).toBe(200);
    // What five thousand connections cost is given back, or kept for the next.
    expect(attacked.memory() - before).toBeLessThan(4 * GROWTH_MB);
  }, 120_000);
});

describe('rows 19 and 35: news of no link', () => {
  it.each([
    ['longer than any name', '7'.repeat(2_000)],
    ['with a NUL', '7\u0000'],
    ['with half a character', '7\ud800'],
    ['with a quote', `7" OR "1`],
    ['with a line break', '7\r\n8'],
    ['that climbs up', '../../7'],
  ])('is kept although its id is one %s', async (_name, id) => {
    const { status } = await attacked.news('NOBODY-2', { id });
    expect(status).toBe(202);
    expect((await attacked.news('NOBODY-3', { id: 'an ordinary one' })).status).toBe(202);
  });
});

describe('rows 5 and 6: Temporal away', () => {
  const evidence = (reference: string, content: object) =>
    createHash('sha256')
      .update(JSON.stringify({ id: 1, orderId: reference, status: 'PAID', ...content }))
      .digest('hex');
  const numbered = (count: number) => Array.from({ length: count }, (_, index) => ({ index }));

  it('stopped: webhooks and calls are 503 with Retry-After, memory stays, and the same webhooks are taken when it goes on', async () => {
    await attacked.link('FROZEN-1');
    expect((await attacked.news('FROZEN-1', { first: true })).status).toBe(200);
    const before = attacked.memory();
    const contents = numbered(300);
    attacked.freeze();
    try {
      const calls = [
        attacked.call('GET', '/v1/payment-links/FROZEN-1'),
        attacked.call('GET', '/v1/payment-links'),
        attacked.call('POST', '/v1/payment-links/FROZEN-1/cancel', {}),
        attacked.call('POST', '/v1/payment-links', {
          account: 'paymennt',
          reference: 'FROZEN-2',
          amount: { minor: 1_050, currency: 'AED' },
        }),
        // Nobody's, and too slow to be kept.
        attacked.news('NOBODY-1'),
      ];
      const answers = await many(contents.length, 100, (index) => attacked.news('FROZEN-1', contents[index]));
      for (const { status, headers, json } of [...answers, ...(await Promise.all(calls))]) {
        expect([status, json.code]).toEqual([503, 'unavailable']);
        expect(headers.get('content-type')).toBe('application/problem+json');
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
      expect((await send(`${attacked.apiUrl}/healthz`)).status).toBe(200);
      expect((await send(`${attacked.apiUrl}/readyz`)).status).toBe(503);
      expect(attacked.memory() - before).toBeLessThan(GROWTH_MB);
    } finally {
      attacked.thaw();
    }
    await expect.poll(async () => (await attacked.news('FROZEN-1', contents[0])).status, { timeout: 30_000 }).toBe(200);
    const again = await many(contents.length, 10, (index) => attacked.news('FROZEN-1', contents[index]));
    expect(again.map(({ status }) => status)).toEqual(Array(contents.length).fill(200));
    const told = new Set(await attacked.told('FROZEN-1'));
    expect(contents.filter((content) => !told.has(evidence('FROZEN-1', content)))).toEqual([]);
  }, 120_000);

  it('killed under load and started again: nothing that was acknowledged is lost, and the rest is taken when it comes again', async () => {
    await attacked.link('KILLED-1');
    const contents = numbered(100);
    const acknowledged: object[] = [];
    let killed: Promise<void> | undefined;
    const first = await many(contents.length, 25, async (index) => {
      if (index === contents.length / 4) killed = attacked.killTemporal();
      const content = contents[index]!;
      const { status, headers } = await attacked.news('KILLED-1', content);
      if (status < 300) acknowledged.push(content);
      else expect([status, Number(headers.get('retry-after')) > 0]).toEqual([503, true]);
      return status;
    });
    await killed;
    expect(first).toContain(200);
    expect(first).toContain(503);
    await attacked.restartTemporal();
    const missing = async (some: object[]) => {
      const told = new Set(await attacked.told('KILLED-1'));
      return some.filter((content) => !told.has(evidence('KILLED-1', content)));
    };
    expect(await missing(acknowledged)).toEqual([]);
    // As a sender would: again, until it is taken.
    await many(contents.length, 10, (index) =>
      expect.poll(async () => (await attacked.news('KILLED-1', contents[index])).status, { timeout: 30_000 }).toBe(200),
    );
    expect(await missing(contents)).toEqual([]);
    expect(attacked.gateway.running).toBe(true);
  }, 120_000);
});

describe('S13, S14: after all of it', () => {
  it('no secret stands in the log or in the arguments of the process', () => {
    const log = attacked.log();
    expect(log).toContain('"event":"request"');
    expect(attacked.secrets.filter((secret) => log.includes(secret))).toEqual([]);
    expect(log).not.toContain('canary');
    expect(attacked.arguments()).toContain('gateway/main.ts');
    expect(attacked.arguments()).not.toContain('canary');
  });
});
