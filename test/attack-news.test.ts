/** Replays, wrong clocks and odd bodies, all of them signed, at the webhook listener; and what its log tells of them. */
import { createHmac } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { hintOf } from '../client/observe.ts';
import { attackedListener, NAMES, TOKEN_KEY } from './attack-scene.ts';
import { bodyOf, IDS, rsaKey, signedBy } from './attackers.ts';
import { memoryLog, send, start } from './listeners.ts';

const REFERENCE = 'INV/2026/0001';
const { accounts, heard, journal, keys, news, url } = attackedListener();
afterEach(() => {
  vi.useRealTimers();
});

describe('row 29, row 30: time', () => {
  const setClock = (offsetMs: number) => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + offsetMs });
  const warnings = () =>
    journal.lines().filter(({ event }) => event === 'a signed webhook is out of time: check the clock');

  it.each([
    ['four minutes fast', 240_000, 200],
    ['four minutes slow', -240_000, 200],
    ['six minutes fast', 360_000, 401],
    ['six minutes slow', -360_000, 401],
    ['ten minutes fast', 600_000, 401],
    ['ten minutes slow', -600_000, 401],
  ])('a clock that is %s', async (_skew, offsetMs, status) => {
    const body = JSON.stringify(bodyOf('boomfi', REFERENCE));
    const { headers } = signedBy('boomfi', keys.boomfi, body);
    const before = warnings().length;
    setClock(offsetMs);
    const answer = await send(url('boomfi-two'), 'POST', { body, headers });
    expect(answer.status).toBe(status);
    // Whoever looks after the gateway is told: it is the clock, or somebody's recording.
    expect(warnings().slice(before)).toMatchObject(status === 401 ? [{ account: 'boomfi-two', level: 40 }] : []);
    expect(heard()).toHaveLength(status === 401 ? 0 : 1);
    vi.useRealTimers();
    expect((await send(url('boomfi-two'), 'POST', { body, headers })).status).toBe(200);
  });

  it.each(NAMES.filter((name) => name !== 'boomfi'))('%s signs no time: any clock believes it', async (name) => {
    for (const offsetMs of [-600_000, 600_000]) {
      setClock(offsetMs);
      expect((await news(name, JSON.stringify(bodyOf(name, REFERENCE)))).status).toBe(200);
      vi.useRealTimers();
    }
    expect(heard()).toHaveLength(2);
  });

  it('a forged one with a good time is refused without a warning', async () => {
    const before = warnings().length;
    const body = JSON.stringify(bodyOf('boomfi', REFERENCE));
    const { headers } = signedBy('boomfi', rsaKey(), body);
    setClock(600_000);
    expect((await send(url('boomfi-two'), 'POST', { body, headers })).status).toBe(401);
    expect(warnings()).toHaveLength(before);
  });

  it('Paymob signs some fields: with the others changed it is the news it was', async () => {
    const about = bodyOf('paymob', REFERENCE) as { obj: object };
    for (const more of [{}, { note: 'x' }, { merchant_order_id: 'INV-2' }]) {
      const body = JSON.stringify({ ...about, obj: { ...about.obj, ...more }, ...more });
      expect((await news('paymob', body)).status).toBe(200);
    }
    expect(new Set(heard().map(({ body }) => Buffer.from(body).toString('hex'))).size).toBe(1);
  });

  it('old news replayed in turns is heard some twenty times in ten minutes', async () => {
    const tenMinutes = 600_000;
    vi.useFakeTimers({ toFake: ['Date'], now: Math.floor(Date.now() / tenMinutes) * tenMinutes });
    const say = async (note: string) => {
      const body = JSON.stringify({ ...bodyOf('katu9', 'INV/2026/0029'), note });
      expect((await news('katu9', body)).status).toBe(200);
    };
    // The server drops what it knows by its request id.
    const events = () => new Set(heard().map((one) => hintOf(one).requestId)).size;
    for (let time = 0; time < 30; time++) for (const note of ['A', 'B']) await say(note);
    expect(events()).toBe(22);
    for (const note of ['C', 'A', 'C']) await say(note);
    expect(events(), 'what was not said yet is news all the same').toBe(23);
    vi.setSystemTime(Date.now() + tenMinutes);
    for (const note of ['A', 'B', 'A']) await say(note);
    expect(events()).toBe(26);
  });
});

it('the time a provider waits is one, however many things are asked for in it', async () => {
  const takes = <T>(ms: number, answer: T) => new Promise<T>((resolve) => setTimeout(resolve, ms, answer));
  let kept = 0;
  const links = {
    observe: () => takes(700, 'unmatched'),
    keepUnmatched: () => takes(700, 'kept').finally(() => kept++),
  };
  const patient = await start({ links, accounts, limits: { observeMs: 1_000 } });
  const body = JSON.stringify(bodyOf('katu9', REFERENCE));
  const { headers } = signedBy('katu9', keys.katu9, body);
  const answer = await send(`${patient.webhookUrl}/webhooks/katu9-two`, 'POST', { body, headers });
  // It is kept all the same: the repeat finds it.
  expect([answer.status, kept]).toEqual([503, 0]);
  await vi.waitFor(() => expect(kept).toBe(1));
  await patient.close();
});

describe('S22: bodies that are signed, and odd', () => {
  /** The body with every id in it written otherwise. */
  const odd: [name: string, change: (text: string, withId: (id: string) => string) => string | Uint8Array][] = [
    ['__proto__', (text) => `{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},${text.slice(1)}`],
    ['a key twice', (text) => `{"id":"other",${text.slice(1)}`],
    ['an id beyond the safe integers', (_text, withId) => withId('9007199254740993')],
    ['a number beyond all', (_text, withId) => withId('1e400')],
    ['an id with a NUL', (_text, withId) => withId('"7\\u0000"')],
    ['half a character', (_text, withId) => withId('"7\\ud800"')],
    ['an id of 30,000 characters', (_text, withId) => withId(`"${'7'.repeat(30_000)}"`)],
    ['10,000 levels', (text) => `{"x":${'['.repeat(10_000)}${']'.repeat(10_000)},${text.slice(1)}`],
    ['only levels', () => '['.repeat(60_000)],
    ['a NUL at the end', (text) => `${text}\u0000`],
    ['bad UTF-8', (text) => Buffer.concat([Buffer.from(text), Buffer.from([0xff, 0xfe])])],
    ['nothing', () => ''],
  ];
  it.each(NAMES)('%s: each is taken or sent back for later, and none is a fault', async (name) => {
    const text = JSON.stringify(bodyOf(name, REFERENCE));
    for (const [oddity, change] of odd) {
      const withId = (id: string) => text.replaceAll(`"id":${JSON.stringify(IDS[name])}`, `"id":${id}`);
      const { status } = await news(name, change(text, withId));
      // Paymob signs values, so a body without any is not even authentic.
      expect([200, 202, 503, ...(name === 'paymob' ? [401] : [])], oddity).toContain(status);
    }
    expect({}).not.toHaveProperty('polluted');
    // Rounded it would be another's.
    expect(
      heard()
        .flatMap(({ ids }) => ids)
        .filter((id) => /9007199254740992/.test(id)),
    ).toEqual([]);
    expect(journal.lines().filter(({ event }) => event === 'fault')).toEqual([]);
  });
});

describe('S13: the log', () => {
  it('has a line for every request, and no secret, signature, token, body or line break of a sender', async () => {
    const canary = 'canary-4111111111111111\n{"level":60,"event":"forged"}';
    const body = JSON.stringify({ ...bodyOf('katu9', canary), note: canary });
    expect((await news('katu9', body)).status).toBe(200);
    expect(
      (await send(url(`${encodeURIComponent(canary)}?t=${encodeURIComponent(canary)}`), 'POST', { body })).status,
    ).toBe(401);
    const text = journal.text();
    const secrets = [
      ...Object.values(keys).flatMap(({ signs }) => [signs, JSON.stringify(signs).slice(1, -1)]),
      TOKEN_KEY,
    ];
    const sent = [
      ...secrets,
      createHmac('sha256', keys.katu9.signs).update(body).digest('hex'),
      'canary',
      '4111111111111111',
    ];
    expect(sent.filter((word) => text.includes(word))).toEqual([]);
    expect(journal.lines().some(({ event }) => event === 'forged')).toBe(false);
    expect(text).toContain('"route":"/webhooks/:account"');
  });

  it('writes only what it knows by name, whatever it is given', () => {
    const { log, lines } = memoryLog();
    log.warn({ event: 'something', body: 'canary', headers: { authorization: 'canary' } } as never);
    expect(lines()).toEqual([expect.objectContaining({ event: 'something', level: 40 })]);
    expect(JSON.stringify(lines())).not.toContain('canary');
  });
});
