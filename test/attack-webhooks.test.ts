/**
 * Attacks on the webhook listener, over sockets, with the real adapters behind it: what is not signed for an account by
 * its provider goes no further than the signature. Rows and rules are those of docs/reliability.md.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { WebhookRequest } from '../activities/provider.ts';
import type { ProviderName } from '../activities/registry.ts';
import { signToken } from '../activities/tokens.ts';
import { attackedListener, NAMES, TOKEN_KEY } from './attack-scene.ts';
import { accountEntry, bodyOf, CARRIERS, sendLines, sharedSecret, signedBy } from './attackers.ts';
import { type Bench, openBench, realWebhook } from './conformance.ts';
import { kits } from './kits.ts';
import { send } from './listeners.ts';

/** Their accounts may have no secret: the registration brings one, or polls do without. The others refuse to start. */
const BARE: ProviderName[] = ['boomfi', 'katu9', 'paymennt'];
const REFERENCE = 'INV/2026/0001';

const benches: Bench[] = [];
/** A webhook of each provider as its sandbox sent it about a paid link. */
const real = new Map<ProviderName, WebhookRequest>();

const scene = attackedListener(async () => {
  const file: Record<string, object> = {};
  for (const name of NAMES) {
    const bench = await openBench(kits[name]);
    benches.push(bench);
    const { request } = await realWebhook(bench);
    // Of the address the sandbox was given, which has a token of its own.
    request.query.delete('t');
    real.set(name, request);
    file[name] = accountEntry(name, bench.secrets);
    if (BARE.includes(name)) file[`${name}-bare`] = accountEntry(name, []);
    // BoomFi's key may be the provider's own: then only the organisation tells its merchants apart.
    if (name === 'boomfi') file['boomfi-three'] = accountEntry(name, bench.secrets, { orgId: 'another-organisation' });
  }
  return { ...file, 'beqelal-unsigned': accountEntry('beqelal', [], { requireSignature: false }) };
});
afterAll(async () => {
  for (const bench of benches) await bench.close();
});
const { accounts, heard, keys, news, url } = scene;

/** These belong to one connection. */
const HOP = ['host', 'connection', 'content-length', 'transfer-encoding', 'accept-encoding'];

/** Sends a captured webhook on, to whatever address. */
function replay({ body, headers, query }: WebhookRequest, path: string) {
  const kept = Object.entries(headers).filter((header): header is [string, string] => !HOP.includes(header[0]));
  return send(url(path, Object.fromEntries(query)), 'POST', { body, headers: Object.fromEntries(kept) });
}

const linkPath = (account: string, reference = REFERENCE) =>
  `${account}/${Buffer.from(reference).toString('base64url')}?t=${signToken([TOKEN_KEY], account, reference)}`;

const REFUSED = {
  type: 'about:blank',
  title: 'Unauthorized',
  status: 401,
  code: 'unauthorized',
  detail: 'The request is not authentic.',
};

describe('row 28, S3: who signed for whom', () => {
  it.each(NAMES)(
    'what %s signed for one account is believed on that account only, in the same words everywhere',
    async (name) => {
      const request = real.get(name)!;
      const others = [...accounts.keys()].filter((account) => account !== name && account !== 'beqelal-unsigned');
      expect(others.filter((account) => accounts.get(account)!.provider.name === name).length).toBeGreaterThan(0);
      for (const account of [...others, 'nobody', '__proto__', 'constructor']) {
        const { status, json, headers } = await replay(request, account);
        expect([account, status, json]).toEqual([account, 401, REFUSED]);
        expect(headers.get('www-authenticate')).toBeNull();
      }
      expect(heard()).toEqual([]);
      expect((await replay(request, name)).status).toBe(200);
      expect(heard()).toMatchObject([{ account: name, signed: true }]);
    },
  );
});

describe('rows 27 and 28: a token in a callback URL proves nothing by itself', () => {
  it.each(NAMES)(
    '%s: without the signature of the account it opens nothing, with it it names the link',
    async (name) => {
      const request = real.get(name)!;
      const bare = { ...request, headers: { 'content-type': 'application/json' }, query: new URLSearchParams() };
      expect((await replay(bare, linkPath(name))).json).toEqual(REFUSED);
      const other = NAMES[(NAMES.indexOf(name) + 1) % NAMES.length]!;
      expect((await replay(real.get(other)!, linkPath(name))).json).toEqual(REFUSED);
      // Signed for this account, with a token of another account's link.
      const [segment] = linkPath(name).slice(`${name}/`.length).split('?');
      const foreign = `${name}/${segment}?t=${signToken([TOKEN_KEY], `${name}-two`, REFERENCE)}`;
      expect((await replay(request, foreign)).json).toEqual(REFUSED);
      expect(heard()).toEqual([]);
      expect((await replay(request, linkPath(name))).status).toBe(200);
      expect(heard()).toMatchObject([{ account: name, reference: REFERENCE }]);
    },
  );

  it('an account that hears unsigned webhooks passes them on as unsigned, token or not', async () => {
    const body = JSON.stringify(bodyOf('beqelal', REFERENCE));
    for (const path of ['beqelal-unsigned', linkPath('beqelal-unsigned')]) {
      expect((await send(url(path), 'POST', { body })).status).toBe(200);
    }
    expect(heard().map(({ signed }) => signed)).toEqual([false, false]);
  });
});

describe('row 27, S2, S5: forged signatures', () => {
  /** Header lines and query of a request whose signature was written in another way. */
  const forgeries: [name: string, forge: (good: string) => string[]][] = [
    ['none', () => []],
    ['an empty one', () => ['']],
    ['the same twice', (good) => [good, good]],
    ['a wrong one before it', (good) => [good.replace(/./, (digit) => (digit === '0' ? '1' : '0')), good]],
    ['a wrong one after it', (good) => [good, good.replace(/./, (digit) => (digit === '0' ? '1' : '0'))]],
    ['a list', (good) => [`${good},${good}`]],
    ['a list with a space', (good) => [`${good}, ${good}`]],
    ['a scheme before it', (good) => [`v1=${good}`]],
    ['quotes around it', (good) => [`"${good}"`]],
    ['half of it', (good) => [good.slice(0, good.length / 2)]],
    ['one character more', (good) => [`${good}0`]],
    ['one character less', (good) => [good.slice(0, -1)]],
    [
      'digits of another alphabet',
      (good) => [good.replace(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit)))],
    ],
    ['a thousand times as long', (good) => [good.repeat(1_000).slice(0, 12_000)]],
    ['another encoding', (good) => [Buffer.from(good).toString('base64')]],
    ['the word null', () => ['null']],
  ];
  describe.each(NAMES)('%s', (name) => {
    it.each(forgeries)('%s: 401, and nothing is asked', async (_forgery, forge) => {
      const body = Buffer.from(JSON.stringify(bodyOf(name, REFERENCE)));
      const signed = signedBy(name, keys[name], body);
      const carrier = CARRIERS[name];
      const [place, good] =
        'header' in carrier
          ? [carrier.header, signed.headers[carrier.header]!]
          : [carrier.query, signed.query[carrier.query]!];
      const forged = forge(good);
      const lines = Object.entries(signed.headers).filter(([header]) => header !== place);
      if ('header' in carrier) lines.push(...forged.map((value): [string, string] => [place, value]));
      const query =
        'query' in carrier ? `?${forged.map((value) => `${place}=${encodeURIComponent(value)}`).join('&')}` : '';
      const at = `${url(`${name}-two`)}${query}`;
      expect(
        await sendLines(
          at,
          lines.map(([header, value]) => `${header}: ${value}`),
          body,
        ),
      ).toBe(401);
      expect(heard()).toEqual([]);
    });

    it('the signature as it is: 200', async () => {
      expect((await news(name, JSON.stringify(bodyOf(name, REFERENCE)))).status).toBe(200);
      expect(heard()).toHaveLength(1);
    });
  });

  it.each(BARE)('%s without a secret believes nobody', async (name) => {
    const body = Buffer.from(JSON.stringify(bodyOf(name, REFERENCE)));
    const empty = name === 'boomfi' ? keys[name] : sharedSecret('');
    const { headers, query } = signedBy(name, empty, body);
    expect((await send(url(`${name}-bare`, query), 'POST', { body, headers })).json).toEqual(REFUSED);
    expect(heard()).toEqual([]);
  });

  it('a parameter that is spelled in two ways is given twice', async () => {
    const body = JSON.stringify(bodyOf('paymob', REFERENCE));
    const { hmac } = signedBy('paymob', keys.paymob, body).query;
    for (const query of [`hmac=${hmac}&%68mac=${hmac}`, `t=a&hmac=${hmac}&t=b`, `hmac=${hmac}&hmac=`]) {
      expect((await send(`${url('paymob-two')}?${query}`, 'POST', { body })).json).toEqual(REFUSED);
    }
    expect(heard()).toEqual([]);
  });
});
