/** S10, S22: what comes from a provider's address is no more trusted than what comes from anywhere else. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { type Provider, ProviderError } from '../activities/provider.ts';
import { exponentOf } from '../workflows/currencies.ts';
import { NAMES } from './attack-scene.ts';
import { accountEntry, rsaKey, sharedSecret } from './attackers.ts';
import { listen } from './conformance/wire.ts';
import { openBench } from './conformance.ts';
import { kits } from './kits.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const json = (text: string) => (response: ServerResponse) => response.writeHead(200, JSON_TYPE).end(text);

/** A gigabyte of nothing in a megabyte: members of a gzip file may follow one another. */
const MEMBER = gzipSync(Buffer.alloc(1024 * 1024, ' '));

const ANSWERS: [name: string, answer: (response: ServerResponse) => unknown, code?: string][] = [
  [
    'a gigabyte packed into a megabyte',
    (response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' });
      for (let member = 0; member < 1_024; member++) response.write(MEMBER);
      response.end();
    },
    'answer_too_large',
  ],
  [
    'what says it is packed and is not',
    (response) => response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end('{}'),
  ],
  [
    'headers without end',
    (response) => response.writeHead(200, { ...JSON_TYPE, 'x-long': 'x'.repeat(100_000) }).end('{}'),
  ],
  ['a hundred thousand levels', json('['.repeat(100_000) + ']'.repeat(100_000))],
  ['levels under names that are read', json(`{"result":${'{"result":'.repeat(20_000)}1${'}'.repeat(20_000)}}`)],
  ['__proto__', json('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"id":"1"}')],
  ['a list that pretends to be an object', json('[{"id":"1","url":"https://pay.example/1"}]')],
  ['only a number beyond all', json('1e400')],
  [
    'a redirect to the cloud’s own address',
    (response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
  ],
];

const CARD = { pan: '4111111111111111', card_number: '4111 1111 1111 1111', cvv: 'cvv-canary' };
const CARD_TEXT = /4111[ -]?1111|cvv-canary/;
/** The same with a card in every object of it. */
function withCards(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withCards);
  if (value === null || typeof value !== 'object') return value;
  return { ...Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withCards(inner)])), ...CARD };
}

let answer = ANSWERS[0]![1];
let server: Server;
let url = '';
beforeAll(async () => {
  server = createServer((request, response) => {
    response.on('error', () => {});
    request.resume().on('end', () => answer(response));
  });
  url = await listen(server);
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe.each(NAMES)('%s', (name) => {
  const key = name === 'boomfi' ? rsaKey() : sharedSecret(`secret-of-${name}-attacked`);

  it.each(ANSWERS)(
    'answers %s: nobody knows what happened, and nothing of it is believed',
    async (_name, hostile, code) => {
      answer = hostile;
      const entry = accountEntry(name, [key.verifies], { baseUrl: url });
      const { config, provider } = readAccounts({ [name]: entry }).get(name) as { config: unknown; provider: Provider };
      const { terms } = kits[name];
      const exponent = exponentOf(terms.currency)!;
      const asked = { account: name, reference: 'INV-1', exponent, expiresAt: Date.now() + 3_600_000, ...terms };
      const call = { config, http: createHttp({ timeoutMs: 10_000 }), now: Date.now };
      const made = provider.create(call, { terms: asked, key: 'key', callbackUrl: 'https://hooks.example/' });
      const error = await made.then(
        () => undefined,
        (failure: unknown) => failure,
      );
      expect(error).toBeInstanceOf(ProviderError);
      // Paymob asks for a token first: when that fails nothing was sent.
      expect((error as ProviderError).kind).toMatch(name === 'paymob' ? /^(unknown|not_sent)$/ : /^unknown$/);
      if (code) expect((error as ProviderError).code).toBe(code);
      expect((error as ProviderError).message.length).toBeLessThan(1_000);
      expect({}).not.toHaveProperty('polluted');
    },
  );

  it('S11: hands on no card, wherever one stands in an answer or a webhook', async () => {
    const bench = await openBench(kits[name]);
    const { provider } = kits[name];
    const { http, ...call } = bench.call();
    const carded = {
      ...call,
      http: {
        async request(request: Parameters<typeof http.request>[0]) {
          const told = await http.request(request);
          const json = withCards(told.json);
          return { ...told, json, text: JSON.stringify(json) };
        },
      },
    };
    const terms = bench.terms();
    const { created, ...made } = await provider.create(carded, bench.attempt(terms));
    const link = { ...(await bench.link()), terms, created };
    await bench.happen(link, 'pay');
    const read = await provider.inquire?.(carded, created, { terms, known: made.facts, ids: [] });
    expect(read?.facts.payments).toBeDefined();
    const [webhook] = await bench.webhooks(link);
    const body = Buffer.from(JSON.stringify(withCards(JSON.parse(Buffer.from(webhook!.body).toString('utf8')))));
    const news = provider.webhook?.read({ ...webhook!, body }, bench.config, Date.now());
    // The evidence is the answer itself: only its hash leaves the activity.
    expect(made.evidence).toMatch(CARD_TEXT);
    expect(JSON.stringify([created, made.facts, read?.facts, { ...news, signed: undefined }])).not.toMatch(CARD_TEXT);
    await bench.close();
  });
});
