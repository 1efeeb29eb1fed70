/** What holds before the first request: weak secrets are refused, and the source compares none of them carelessly. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { AccountsError, readAccounts } from '../activities/accounts.ts';
import { createHttp } from '../activities/http.ts';
import { providers } from '../activities/registry.ts';
import { NAMES } from './attack-scene.ts';
import { accountEntry, rsaKey, sharedSecret } from './attackers.ts';

const keys = Object.fromEntries(
  NAMES.map((name) => [name, name === 'boomfi' ? rsaKey() : sharedSecret(`secret-of-${name}-attacked`)]),
);

function problems(entry: object, env: Record<string, string> = {}): readonly string[] {
  try {
    readAccounts({ attacked: entry }, env);
    return [];
  } catch (error) {
    if (error instanceof AccountsError) return error.problems;
    throw error;
  }
}

const secretsOf = (entry: object) =>
  Object.keys((entry as { options: object }).options).filter((option) => /key|secret|token/i.test(option));

describe.each(NAMES)('S1: an account of %s', (name) => {
  const { verifies } = keys[name]!;
  const entry = (more: object = {}) => accountEntry(name, [verifies], more);

  it('is accepted as the other tests have it', () => {
    expect(problems(entry())).toEqual([]);
    expect(secretsOf(entry())).toContain('webhookSecrets');
  });

  it.each(secretsOf(entry()).filter((option) => option !== 'webhookSecrets'))('needs its %s', (option) => {
    const weak = [
      undefined,
      '',
      'x',
      ' '.repeat(40),
      'with a line\nbreak in it',
      { env: 'NOT_SET' },
      { env: 'EMPTY' },
      { file: 'none' },
    ];
    for (const value of weak) {
      const found = problems(entry({ [option]: value }), { EMPTY: '' });
      expect(
        found.some((problem) => problem.startsWith(`attacked.options.${option}`)),
        JSON.stringify(value),
      ).toBe(true);
      expect(found.join()).not.toContain('with a line');
    }
  });

  it('takes no weak secret for webhooks, not even beside a good one', () => {
    const weak = [
      '',
      'short',
      'fifteen-letters',
      ' '.repeat(40),
      `${verifies.slice(0, 5)} `,
      'a good secret but\n',
      { env: 'EMPTY' },
    ];
    for (const value of weak) {
      const found = problems(entry({ webhookSecrets: [verifies, value] }), { EMPTY: '' });
      expect(found, JSON.stringify(value)).not.toEqual([]);
      expect(found.every((problem) => problem.startsWith('attacked.options.webhookSecrets.1'))).toBe(true);
      expect(found.join()).not.toMatch(/fifteen|a good secret/);
    }
  });
});

describe('S1: providers', () => {
  it('are the real ones: none that believes anything is there by default', () => {
    expect(providers.map(({ name }) => name).sort()).toEqual([...NAMES].sort());
    for (const provider of ['mock', 'sandbox', 'test', 'scripted', 'sextant', '', '__proto__']) {
      expect(problems({ provider, options: {} })).toEqual([expect.stringMatching(/^attacked\.provider: /)]);
    }
  });

  it('without signatures are so by an option of one account, which moves no money by itself', () => {
    const unsigned = accountEntry('beqelal', [], { requireSignature: false });
    const { config, provider } = readAccounts({ attacked: unsigned }).get('attacked')!;
    expect(provider.traits?.(config)?.acceptUnsigned).toBe(false);
    // To believe them is a third option, and never beside a secret.
    const believing = accountEntry('beqelal', [keys.beqelal!.verifies], { acceptUnsigned: true });
    expect(problems(believing)).toEqual([expect.stringMatching(/acceptUnsigned/)]);
    expect(problems(accountEntry('beqelal', []))).toEqual([expect.stringMatching(/webhookSecrets/)]);
  });
});

describe('S2: the source', () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const sources = ['activities', 'client', 'gateway', 'worker'].flatMap((room) =>
    readdirSync(`${root}${room}`, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path): [string, string] => [`${room}/${path}`, readFileSync(`${root}${room}/${path}`, 'utf8')]),
  );
  const files = (pattern: RegExp) => sources.filter(([, text]) => pattern.test(text)).map(([path]) => path);

  it('makes digests of secrets in few places, as bytes, which === does not compare', () => {
    expect(files(/createHmac\(/).sort()).toEqual([
      'activities/signatures.ts',
      'activities/tokens.ts',
      // The decoy: its digest is thrown away.
      'gateway/webhooks.ts',
    ]);
    for (const [path, text] of sources.filter(([, source]) => source.includes('createHmac('))) {
      const digests = [...text.matchAll(/\.digest\(([^)]*)\)/g)].map(([, encoding]) => encoding);
      expect([path, digests.length > 0, [...new Set(digests)]]).toEqual([path, true, ['']]);
    }
  });

  it('compares them in constant time', () => {
    expect(files(/\btimingSafeEqual\(/).sort()).toEqual([
      'activities/signatures.ts',
      'activities/tokens.ts',
      'gateway/auth.ts',
    ]);
  });
});

it('S10: a process that checks no certificates calls no provider', () => {
  const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env;
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  try {
    expect(() => createHttp()).toThrow(/NODE_TLS_REJECT_UNAUTHORIZED/);
  } finally {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
  }
  expect(() => createHttp()).not.toThrow();
});
