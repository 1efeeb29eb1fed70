import type { Account, Accounts } from '../activities/accounts.ts';
import type { Http } from '../activities/http.ts';
import type { Log } from './log.ts';

/** Webhooks that had to be registered at their provider, and the secrets those will be signed with. */
export interface Registrations {
  /** Empty until the account's registration came about. */
  secretsOf(account: string): readonly string[];
  /** Accounts still waiting for theirs. */
  unregistered(): string[];
  /** Ends all further tries. */
  stop(): void;
}

export interface RegistrationOptions {
  accounts: Accounts;
  /** Where providers reach the webhook listener; no slash at the end. */
  publicUrl: string;
  http: Http;
  log: Log;
  /** The wait after a first failure; it doubles up to a minute. */
  retryMs?: number;
}

const LONGEST_WAIT_MS = 60_000;

/** Accounts that hear webhooks only if they are registered: the provider wants it, and no secret was configured. */
export function registrable(accounts: Accounts): Account[] {
  return [...accounts.values()].filter(
    ({ provider, webhookSecrets }) => provider.webhook?.register !== undefined && webhookSecrets.length === 0,
  );
}

/**
 * Registers the webhooks of all accounts that need it, and keeps trying: a provider that is away must not keep the
 * gateway from serving the others.
 */
export function registerWebhooks(options: RegistrationOptions): Registrations {
  const { accounts, publicUrl, http, log, retryMs = 1_000 } = options;
  const secrets = new Map<string, string[]>();
  const waiting = new Set<string>();
  const timers = new Set<NodeJS.Timeout>();
  let stopped = false;

  async function register(account: Account, waitMs: number): Promise<void> {
    const { name, provider, config } = account;
    const call = { config, http, now: Date.now };
    try {
      const made = await provider.webhook!.register!(call, `${publicUrl}/webhooks/${name}`);
      secrets.set(name, [made.secret]);
      waiting.delete(name);
      log.info({ event: 'webhook registered', account: name, provider: provider.name, registration: made.id });
    } catch (error) {
      if (stopped) return;
      log.warn({ event: 'webhook not registered', account: name, provider: provider.name, retryInMs: waitMs, error });
      const timer = setTimeout(() => {
        timers.delete(timer);
        void register(account, Math.min(waitMs * 2, LONGEST_WAIT_MS));
      }, waitMs);
      timers.add(timer);
    }
  }

  for (const account of registrable(accounts)) {
    waiting.add(account.name);
    void register(account, retryMs);
  }
  return {
    secretsOf: (account) => secrets.get(account) ?? [],
    unregistered: () => [...waiting].sort(),
    stop() {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
