import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { Policies } from '../workflows/link.ts';
import { accountName, LONGEST_WAIT_SECONDS, policies } from '../workflows/schema.ts';
import type { AccountOptions, Provider } from './provider.ts';
import { providers } from './registry.ts';

/** One merchant account at one provider. */
export interface Account {
  name: string;
  provider: Provider;
  /** Checked by the provider's schema, secrets filled in. */
  config: unknown;
  options: AccountOptions;
  /** All are accepted; the secret issued when the webhook is registered is added to them. */
  webhookSecrets: string[];
  /** Others sell through the same merchant account: webhooks of unknown links are expected. */
  shared?: boolean;
  limits?: AccountLimits;
}

export interface AccountLimits {
  /** Calls for money and reads that all workers together start for this account each second. */
  requestsPerSecond: number;
}

export type Accounts = Map<string, Account>;

/** Everything that is missing or weak in the accounts, at once. Names fields, never values. */
export class AccountsError extends Error {
  override name = 'AccountsError';
  constructor(readonly problems: readonly string[]) {
    super(`the accounts cannot be used:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
  }
}

export const DEFAULT_POLICIES: Policies = {
  latePayment: 'hold',
  excess: 'hold',
  uncaptured: 'release',
  // Time for retries through a short outage, and less than half of the shortest link.
  captureMarginSeconds: 300,
  graceSeconds: 7 * 86_400,
  refundWindowSeconds: 180 * 86_400,
};
export const DEFAULT_EXPIRY_SECONDS = 86_400;

const accountShape = z.strictObject({
  provider: z.string(),
  options: z.record(z.string(), z.unknown()).default({}),
  policies: policies.partial().default({}),
  expirySeconds: z.int().positive().max(LONGEST_WAIT_SECONDS).default(DEFAULT_EXPIRY_SECONDS),
  holdWindowSeconds: z.int().positive().max(LONGEST_WAIT_SECONDS).optional(),
  shared: z.boolean().optional(),
  limits: z.strictObject({ requestsPerSecond: z.number().positive() }).optional(),
});

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads accounts from a JSON file or an object of the same shape. Inside `options`, `{"env": name}` and
 * `{"file": path}` stand for secrets; a path is relative to the accounts file. `known` are the providers an account may
 * name: the registry, unless one that is not in it yet is tried.
 *
 * @throws AccountsError listing every problem.
 */
export function readAccounts(
  source: string | object,
  env: Environment = process.env,
  known: readonly Provider[] = providers,
): Accounts {
  const folder = typeof source === 'string' ? dirname(resolve(source)) : process.cwd();
  const entries = z.record(z.string(), z.unknown()).safeParse(typeof source === 'string' ? readJson(source) : source);
  if (!entries.success) throw new AccountsError(['must be an object from account name to account']);
  const accounts: Accounts = new Map();
  const problems: string[] = [];
  for (const [name, entry] of Object.entries(entries.data)) {
    const report = (problem: string) => problems.push(`${name}${problem}`);
    const account = readAccount(name, entry, { known, secrets: secretReader(env, folder), report });
    if (account) accounts.set(name, account);
  }
  if (Object.keys(entries.data).length === 0) problems.push('there is no account');
  if (problems.length > 0) throw new AccountsError(problems);
  return accounts;
}

type Report = (problem: string) => void;
type Secrets = (value: unknown, path: string, report: (path: string, problem: string) => void) => unknown;

interface Reading {
  known: readonly Provider[];
  secrets: Secrets;
  report: Report;
}

function readAccount(name: string, entry: unknown, { known, secrets, report }: Reading): Account | undefined {
  if (!accountName.safeParse(name).success) report(': the name must be 1–40 of a–z 0–9 -');
  const shape = accountShape.safeParse(entry);
  if (!shape.success) return reportAll(shape.error, '', report);
  const { options, policies: chosen, expirySeconds, holdWindowSeconds, shared, limits } = shape.data;
  const provider = known.find((candidate) => candidate.name === shape.data.provider);
  if (!provider) {
    report(`.provider: must be one of ${known.map((candidate) => candidate.name).join(', ')}`);
    return undefined;
  }

  const unread = new Set<string>();
  const filled = secrets(options, '.options', (path, problem) => {
    unread.add(path);
    report(`${path}: ${problem}`);
  });
  const config = provider.config.safeParse(filled);
  // A secret that could not be read is one problem, not two.
  if (!config.success) return reportAll(config.error, '.options', report, unread);
  if (unread.size > 0) return undefined;

  const now = Date.now();
  const probe = { account: name, reference: 'probe', amount: 1_00, currency: 'USD', exponent: 2 };
  for (const { pointer, message } of provider.accepts(
    { ...probe, expiresAt: now + expirySeconds * 1000 },
    config.data,
    now,
  )) {
    if (pointer === '/expiresAt') report(`.expirySeconds: ${message}`);
  }
  const { webhookSecrets = [] } = config.data as { webhookSecrets?: string[] };
  return {
    name,
    provider,
    config: config.data,
    options: { policies: { ...DEFAULT_POLICIES, ...chosen }, expirySeconds, holdWindowSeconds },
    webhookSecrets: [...webhookSecrets],
    shared,
    limits,
  };
}

function reportAll(
  error: z.ZodError,
  prefix: string,
  report: Report,
  told: ReadonlySet<string> = new Set(),
): undefined {
  for (const issue of error.issues) {
    const path = `${prefix}${issue.path.map((step) => `.${String(step)}`).join('')}`;
    if (!told.has(path)) report(`${path}: ${issue.message}`);
  }
}

/** Replaces `{"env"}` and `{"file"}` anywhere in the options by what they name; undefined where that is missing. */
function secretReader(env: Environment, folder: string): Secrets {
  return function fill(value, path, report): unknown {
    if (Array.isArray(value)) return value.map((item, index) => fill(item, `${path}.${index}`, report));
    if (value === null || typeof value !== 'object') return value;
    const [[key, name] = [], ...others] = Object.entries(value);
    if (others.length === 0 && typeof name === 'string' && key === 'env') {
      if (!env[name]) report(path, `environment variable ${name} is not set`);
      return env[name] || undefined;
    }
    if (others.length === 0 && typeof name === 'string' && key === 'file') {
      try {
        // Editors end files with a line break; no secret does.
        return readFileSync(resolve(folder, name), 'utf8').replace(/\r?\n$/, '');
      } catch (error) {
        report(path, `file ${name} cannot be read (${(error as NodeJS.ErrnoException).code})`);
        return undefined;
      }
    }
    return Object.fromEntries(Object.entries(value).map(([k, item]) => [k, fill(item, `${path}.${k}`, report)]));
  };
}

function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new AccountsError([`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`]);
  }
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message would quote the text, secrets included.
    throw new AccountsError([`${path} is not JSON`]);
  }
}
