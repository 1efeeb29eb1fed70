import { type Accounts, AccountsError, readAccounts } from '../activities/accounts.ts';
import { readTokenKeys } from '../activities/tokens.ts';
import { minRetentionDays } from '../client/namespace.ts';
import { type ApiKey, ApiKeysError, isLoopback, readApiKeys } from './auth.ts';
import { registrable } from './registrations.ts';

/** What the gateway's environment says. */
export interface Settings {
  host: string;
  apiPort: number;
  webhookPort: number;
  publicWebhookUrl: string | undefined;
  tokenKeys: string[];
  accounts: Accounts;
  keys: ApiKey[] | undefined;
  minRetentionDays: number;
}

/** The environment does not let the gateway start; `problems` is everything that is wrong with it. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  constructor(readonly problems: readonly string[]) {
    super(['The gateway cannot start:', ...problems].join('\n  - '));
  }
}

/**
 * Reads `PERDURE_*`. Empty variables count as unset.
 * @throws SettingsError listing every problem at once.
 */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const problems: string[] = [];
  /** Runs a reader; what it refuses is noted, and `otherwise` stands in so that the rest is read as well. */
  function attempt<T>(read: () => T, otherwise: T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof AccountsError)
        problems.push(...error.problems.map((problem) => `PERDURE_ACCOUNTS: ${problem}`));
      else if (error instanceof ApiKeysError)
        problems.push(...error.problems.map((problem) => `PERDURE_API_KEYS: ${problem}`));
      else problems.push((error as Error).message);
      return otherwise;
    }
  }
  const accountsFile = given(env, 'PERDURE_ACCOUNTS');
  if (!accountsFile) problems.push('PERDURE_ACCOUNTS is not set: the path of the accounts file');
  const accounts: Accounts = accountsFile ? attempt(() => readAccounts(accountsFile, env), new Map()) : new Map();
  const keysFile = given(env, 'PERDURE_API_KEYS');
  const keys = keysFile ? attempt(() => readApiKeys(keysFile, accounts.keys()), undefined) : undefined;
  const host = given(env, 'PERDURE_HOST') ?? '127.0.0.1';
  if (!keysFile && !isLoopback(host)) {
    problems.push(
      `PERDURE_HOST is ${host}, which other machines can reach: set PERDURE_API_KEYS, or listen on 127.0.0.1`,
    );
  }
  const publicWebhookUrl = attempt(() => webhookUrl(given(env, 'PERDURE_WEBHOOK_URL')), undefined);
  const wanting = registrable(accounts).map(({ name }) => name);
  if (wanting.length > 0 && !given(env, 'PERDURE_WEBHOOK_URL')) {
    const whose = `${wanting.length === 1 ? 'account' : 'accounts'} ${wanting.join(', ')}`;
    problems.push(
      `PERDURE_WEBHOOK_URL is not set: ${whose} must tell the provider where to send webhooks (or have webhookSecrets)`,
    );
  }
  const settings = {
    host,
    apiPort: attempt(() => port(env, 'PERDURE_API_PORT', 8080), 0),
    webhookPort: attempt(() => port(env, 'PERDURE_WEBHOOK_PORT', 8081), 0),
    publicWebhookUrl,
    tokenKeys: attempt(() => readTokenKeys(given(env, 'PERDURE_TOKEN_KEYS')), []),
    accounts,
    keys,
    minRetentionDays: attempt(() => minRetentionDays(env), 0),
  };
  if (problems.length > 0) throw new SettingsError(problems);
  return settings;
}

const given = (env: NodeJS.ProcessEnv, name: string) => env[name]?.trim() || undefined;

function port(env: NodeJS.ProcessEnv, name: string, otherwise: number): number {
  const text = given(env, name);
  if (text === undefined) return otherwise;
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > 65_535) throw new Error(`${name} must be a port from 1 to 65535; it is "${text}"`);
  return number;
}

/** https, so that nobody on the way reads or changes the news; http only where there is no way. */
function webhookUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const hostname = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  const secure = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(hostname));
  if (!url || !secure || url.username || url.password || url.search || url.hash) {
    throw new Error(
      'PERDURE_WEBHOOK_URL must be an https URL (http only on loopback), without user info, query or fragment',
    );
  }
  return text.replace(/\/+$/, '');
}
