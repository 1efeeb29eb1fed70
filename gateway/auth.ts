import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { accountName } from '../workflows/schema.ts';
import { Problem } from './problems.ts';

/** read: look. operate: read, create, and every command that gives no money back. refund: operate, refund, mark-refunded. */
export const ROLES = ['read', 'operate', 'refund'] as const;
export type Role = (typeof ROLES)[number];

/** A caller's key; only the SHA-256 of the secret is known here. */
export interface ApiKey {
  /** The actor of what is done with it. */
  name: string;
  role: Role;
  /** Accounts whose links it sees; `*` is all of them. */
  accounts: readonly string[] | '*';
  sha256: Buffer;
  /** What all keys of this name together may ask for each second; the gateway's own limit when left out. */
  requestsPerSecond?: number;
}

/** Who asks, and what for. */
export interface Principal {
  actor: string;
  role: Role;
  accounts: readonly string[] | '*';
  requestsPerSecond?: number;
}

export class ApiKeysError extends Error {
  override readonly name = 'ApiKeysError';
  constructor(readonly problems: readonly string[]) {
    super(`API keys:\n  - ${problems.join('\n  - ')}`);
  }
}

/** Actors only the engine itself may be. */
const RESERVED_ACTORS = ['perdure', 'temporal'];
const SHA256_OF_NOTHING = createHash('sha256').digest('hex');

const keySchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9._@-]{1,100}$/, 'must be 1–100 of A–Z a–z 0–9 . _ @ -')
    .refine((name) => !RESERVED_ACTORS.includes(name), 'is reserved for the engine'),
  role: z.enum(ROLES),
  accounts: z.union([z.literal('*'), z.array(accountName).min(1)], {
    error: 'must be "*" or a list of at least one account name',
  }),
  sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be the SHA-256 of the key, 64 hex digits')
    .refine((hex) => hex.toLowerCase() !== SHA256_OF_NOTHING, 'is the hash of an empty key'),
  requestsPerSecond: z.number().positive().optional(),
});

/**
 * Reads the keys file: a JSON list of `{name, role, accounts, sha256, requestsPerSecond?}`. Two live keys of one caller
 * are two entries.
 *
 * @throws ApiKeysError listing everything that is wrong, accounts nobody knows included.
 */
export function readApiKeys(path: string, knownAccounts: Iterable<string>): ApiKey[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ApiKeysError([code ? `the file cannot be read (${code})` : 'the file is not valid JSON']);
  }
  return checkApiKeys(content, knownAccounts);
}

/** @throws ApiKeysError as {@link readApiKeys}. */
export function checkApiKeys(content: unknown, knownAccounts: Iterable<string>): ApiKey[] {
  const parsed = z.array(keySchema).min(1, 'the file holds no key').safeParse(content);
  if (!parsed.success) {
    throw new ApiKeysError(parsed.error.issues.map(({ path, message }) => `${nameOf(path, content)}${message}`));
  }
  const known = new Set(knownAccounts);
  const problems: string[] = [];
  const hashes = new Set<string>();
  for (const [index, { accounts, sha256 }] of parsed.data.entries()) {
    const where = nameOf([index], content);
    for (const account of accounts === '*' ? [] : accounts) {
      if (!known.has(account)) problems.push(`${where}account "${account}" is not in the accounts file`);
    }
    if (hashes.has(sha256.toLowerCase())) problems.push(`${where}another entry has the same sha256`);
    hashes.add(sha256.toLowerCase());
  }
  if (problems.length > 0) throw new ApiKeysError(problems);
  return parsed.data.map((key) => ({ ...key, sha256: Buffer.from(key.sha256, 'hex') }));
}

function nameOf(path: readonly PropertyKey[], content: unknown): string {
  const [index, ...fields] = path;
  if (typeof index !== 'number') return '';
  const { name } = ((content as unknown[])[index] ?? {}) as { name?: unknown };
  return `${[typeof name === 'string' ? `key "${name}"` : `entry ${index}`, ...fields.map(String)].join(', ')}: `;
}

/**
 * Whose key is presented.
 * @throws Problem 401, the same for a missing, malformed or unknown key.
 */
export function authenticate(keys: readonly ApiKey[], authorization: string | undefined): Principal {
  const presented = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1] ?? '';
  const digest = createHash('sha256').update(presented).digest();
  let found: ApiKey | undefined;
  for (const key of keys) {
    // No early exit: the time must not tell how far down the list a key stands.
    if (timingSafeEqual(key.sha256, digest)) found = key;
  }
  if (!found) {
    const headers = { 'www-authenticate': 'Bearer' };
    throw new Problem(401, 'unauthorized', 'A valid API key is required: Authorization: Bearer <key>.', { headers });
  }
  const { name, role, accounts, requestsPerSecond } = found;
  return { actor: name, role, accounts, requestsPerSecond };
}

/** @throws Problem 403 `forbidden` when the caller's role is not enough. */
export function requireRole({ role }: Principal, needed: Role): void {
  if (ROLES.indexOf(role) >= ROLES.indexOf(needed)) return;
  throw new Problem(403, 'forbidden', `This needs an API key with the role ${needed}; yours has ${role}.`);
}

export function maySee({ accounts }: Principal, account: string): boolean {
  return accounts === '*' || accounts.includes(account);
}

const actorName = /^[\x20-\x7e]{1,100}$/;

/** Without keys a caller on this machine names itself. */
export function localPrincipal(xActor: string | undefined): Principal {
  const actor = xActor?.trim() ?? 'local';
  if (!actorName.test(actor) || RESERVED_ACTORS.includes(actor)) {
    const message = 'must be 1–100 printable ASCII characters and none of the engine’s own names';
    throw new Problem(400, 'invalid_request', `X-Actor ${message}.`, { errors: [{ pointer: '/X-Actor', message }] });
  }
  return { actor, role: 'refund', accounts: '*' };
}

/** `host` as a socket is bound to it: `127.0.0.1`, `::1`, `localhost`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/**
 * Without keys, whoever reaches the listener is trusted, so a web page must not reach it through a browser on this
 * machine: by a name it points at us (`Host`), or across origins.
 * @throws Problem 403.
 */
export function requireLocal(host: string | undefined, origin: string | undefined): void {
  const local = host !== undefined && URL.canParse(`http://${host}`) && isLoopback(hostnameOf(`http://${host}`));
  if (!local) throw new Problem(403, 'forbidden', 'Without API keys only a loopback Host is served.');
  if (origin !== undefined && origin !== `http://${host}`) {
    throw new Problem(403, 'forbidden', 'Without API keys requests of other origins are refused.');
  }
}

const hostnameOf = (url: string) => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
