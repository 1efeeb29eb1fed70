/** The webhook listener with the real adapters behind it, one account of each provider whose key the test holds. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { readAccounts } from '../activities/accounts.ts';
import type { ProviderName } from '../activities/registry.ts';
import type { News } from '../client/index.ts';
import { accountEntry, type Key, rsaKey, sharedSecret, signedBy, target } from './attackers.ts';
import { kits } from './kits.ts';
import { type Gateway, memoryLog, send, start } from './listeners.ts';

export const NAMES = Object.keys(kits) as ProviderName[];
export const TOKEN_KEY = 'token-key-of-the-listener';

/** All that the listener has of Temporal: what is not heard here was never asked for or told. */
class Ears {
  heard: News[] = [];
  async observe(news: News) {
    this.heard.push(news);
    return 'accepted' as const;
  }
  async keepUnmatched(news: News) {
    this.heard.push(news);
    return 'kept' as const;
  }
}

/**
 * One listener for a file of tests, with fresh ears for each of them. `{provider}-two` are the accounts whose keys are
 * in `keys`.
 * @param more further accounts, made when the listener starts
 */
export function attackedListener(more: () => Promise<Record<string, object>> = async () => ({})) {
  let ears = new Ears();
  let gateway: Gateway;
  const keys = Object.fromEntries(
    NAMES.map((name) => [name, name === 'boomfi' ? rsaKey() : sharedSecret(`second-secret-of-${name}`)]),
  ) as Record<ProviderName, Key>;
  const url = (path: string, query?: Record<string, string>) => target(`${gateway.webhookUrl}/webhooks/${path}`, query);
  const scene = {
    keys,
    journal: memoryLog(),
    accounts: readAccounts(
      Object.fromEntries(NAMES.map((name) => [`${name}-two`, accountEntry(name, [keys[name].verifies])])),
    ),
    /** What went on to Temporal in this test. */
    heard: () => ears.heard,
    url,
    /** Sends a body of the provider's second account, signed with that account's own key. */
    news(provider: ProviderName, body: string | Uint8Array) {
      const { headers, query } = signedBy(provider, keys[provider], body);
      return send(url(`${provider}-two`, query), 'POST', { body, headers });
    },
  };
  beforeAll(async () => {
    const others = await more();
    if (Object.keys(others).length > 0) for (const entry of readAccounts(others)) scene.accounts.set(...entry);
    const links = {
      observe: (news: News) => ears.observe(news),
      keepUnmatched: (news: News) => ears.keepUnmatched(news),
    };
    gateway = await start({ links, accounts: scene.accounts, tokenKeys: [TOKEN_KEY], log: scene.journal.log });
  });
  afterAll(() => gateway?.close());
  beforeEach(() => {
    ears = new Ears();
  });
  return scene;
}
