import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccountsError, DEFAULT_POLICIES, readAccounts } from '../activities/accounts.ts';

const options = {
  baseUrl: 'https://api.test.paymennt.com/mer/v2.0/',
  apiKey: 'merchant-key',
  apiSecret: 'merchant-secret-1',
};
const account = (changes: object = {}) => ({ shop: { provider: 'paymennt', options: { ...options, ...changes } } });

function problems(source: string | object, env: Record<string, string> = {}): readonly string[] {
  try {
    readAccounts(source, env);
  } catch (error) {
    if (error instanceof AccountsError) return error.problems;
    throw error;
  }
  throw new Error('expected the accounts to be refused');
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'accounts-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

describe('readAccounts', () => {
  it('fills in defaults', () => {
    const shop = readAccounts(account()).get('shop');
    expect(shop).toMatchObject({
      name: 'shop',
      provider: { name: 'paymennt' },
      config: { baseUrl: 'https://api.test.paymennt.com/mer/v2.0', requireSignature: true },
      options: { expirySeconds: 86_400, policies: DEFAULT_POLICIES },
      webhookSecrets: [],
    });
  });

  it('keeps what the account says, and defaults for the rest', () => {
    const shop = readAccounts({
      shop: {
        ...account().shop,
        policies: { uncaptured: 'capture', graceSeconds: 60 },
        expirySeconds: 3_600,
        holdWindowSeconds: 604_800,
        shared: true,
        limits: { requestsPerSecond: 0.5 },
      },
    }).get('shop');
    expect(shop?.shared).toBe(true);
    expect(shop?.limits).toEqual({ requestsPerSecond: 0.5 });
    expect(shop?.options).toEqual({
      policies: { ...DEFAULT_POLICIES, uncaptured: 'capture', graceSeconds: 60 },
      expirySeconds: 3_600,
      holdWindowSeconds: 604_800,
    });
  });

  it('reads secrets from the environment and from files beside the accounts file', () => {
    file('secret', 'secret-from-a-file\n');
    const accounts = file(
      'accounts.json',
      JSON.stringify(
        account({
          apiKey: { env: 'SHOP_KEY' },
          apiSecret: { file: 'secret' },
          webhookSecrets: [{ env: 'SHOP_HOOK' }, 'an-old-webhook-secret'],
        }),
      ),
    );
    const shop = readAccounts(accounts, { SHOP_KEY: 'key-from-env', SHOP_HOOK: 'hook-secret-from-env' }).get('shop');
    expect(shop?.config).toMatchObject({ apiKey: 'key-from-env', apiSecret: 'secret-from-a-file' });
    expect(shop?.webhookSecrets).toEqual(['hook-secret-from-env', 'an-old-webhook-secret']);
  });

  it('lists everything that is missing or weak at once, without a value', () => {
    const found = problems(
      {
        first: {
          provider: 'paymennt',
          options: {
            baseUrl: 'http://api.paymennt.com',
            apiKey: { env: 'NOT_SET' },
            apiSecret: 'weak-secret',
            webhookSecrets: ['', 'short-hook'],
            colour: 'blue',
          },
        },
        'Second Shop': { provider: 'paymennt', options: { ...options, apiSecret: { file: 'no-such-file' } } },
        third: { provider: 'nobody', options: {} },
        fourth: { ...account().shop, expirySeconds: 60 },
        policy: { ...account().shop, policies: { latePayment: 'keep' } },
        patient: { ...account().shop, policies: { graceSeconds: 2 ** 53 - 1 }, holdWindowSeconds: 2 ** 53 - 1 },
        fifth: { options },
      },
      {},
    );
    expect(found).toEqual([
      'first.options.apiKey: environment variable NOT_SET is not set',
      'first.options.baseUrl: must be an https URL (http only on loopback), without user info',
      expect.stringMatching(/^first\.options\.apiSecret: Too small.*16/),
      expect.stringMatching(/^first\.options\.webhookSecrets\.0: Too small.*16/),
      expect.stringMatching(/^first\.options\.webhookSecrets\.1: Too small.*16/),
      expect.stringMatching(/^first\.options: Unrecognized key: "colour"/),
      'Second Shop: the name must be 1–40 of a–z 0–9 -',
      'Second Shop.options.apiSecret: file no-such-file cannot be read (ENOENT)',
      expect.stringMatching(/^third\.provider: must be one of .*\bpaymennt\b/),
      expect.stringMatching(/^fourth\.expirySeconds: must be 15 to 10080 minutes from now/),
      expect.stringMatching(/^policy\.policies\.latePayment: Invalid option/),
      expect.stringMatching(/^patient\.policies\.graceSeconds: Too big.*315360000/),
      expect.stringMatching(/^patient\.holdWindowSeconds: Too big.*315360000/),
      expect.stringMatching(/^fifth\.provider: /),
    ]);
    for (const value of ['weak-secret', 'short-hook', options.apiSecret]) expect(found.join('\n')).not.toContain(value);
  });

  it.each<[string, object]>([
    ['an empty environment variable', account({ apiSecret: { env: 'EMPTY' } })],
    ['an empty secret', account({ apiSecret: '' })],
    ['a secret that no header can carry', account({ apiSecret: 'secret with\na line break' })],
    ['user info in the base URL', account({ baseUrl: 'https://user:pass@api.paymennt.com' })],
    ['a base URL of another scheme', account({ baseUrl: 'file:///etc/passwd' })],
    ['no account at all', {}],
    ['an unknown field of an account', { shop: { ...account().shop, polices: {} } }],
    ['a limit of nothing', { shop: { ...account().shop, limits: { requestsPerSecond: 0 } } }],
    ['a limit below nothing', { shop: { ...account().shop, limits: { requestsPerSecond: -1 } } }],
    ['a limit without a number', { shop: { ...account().shop, limits: {} } }],
    ['a limit nobody knows', { shop: { ...account().shop, limits: { requestsPerSecond: 5, burst: 9 } } }],
    ['an unknown policy', { shop: { ...account().shop, policies: { capture: 'soon' } } }],
    ['a list', [account()]],
  ])('refuses %s', (_name, source) => {
    expect(problems(source, { EMPTY: '' })).toHaveLength(1);
  });

  it('does not quote a broken file', () => {
    const [problem] = problems(file('broken.json', '{"shop":{"apiSecret":"very-secret-value"'));
    expect(problem).toMatch(/broken\.json is not JSON$/);
    expect(problem).not.toContain('very-secret-value');
  });

  it('names a file that is not there', () => {
    expect(problems(join(folder, 'absent.json'))[0]).toMatch(/absent\.json cannot be read \(ENOENT\)$/);
  });
});
