/** Whose link a reference is. */
import type { Client } from '@temporalio/client';
import { NotFound } from './errors.ts';
import type { Limits } from './reach.ts';
import { describe } from './runs.ts';

/** References a process remembers per client; the ones heard of least recently go first. */
const REMEMBERED = 10_000;
const remembered = new WeakMap<Client, Map<string, string>>();

export function rememberOwner(client: Client, reference: string, account: string): void {
  const owners = remembered.get(client) ?? new Map<string, string>();
  remembered.set(client, owners);
  owners.delete(reference);
  owners.set(reference, account);
  const [oldest] = owners.keys();
  if (owners.size > REMEMBERED && oldest !== undefined) owners.delete(oldest);
}

/**
 * Whether the link of this reference is the account's. Costs no call for links this process made or was told of before.
 *
 * @throws Unavailable
 */
export async function isOwner(client: Client, reference: string, account: string, limits: Limits): Promise<boolean> {
  // A no is always asked for: a reference whose create was refused may have gone to another account since.
  if (remembered.get(client)?.get(reference) !== account) {
    const owner = await ownerOf(client, reference, limits);
    if (owner !== account) return false;
  }
  rememberOwner(client, reference, account);
  return true;
}

async function ownerOf(client: Client, reference: string, limits: Limits): Promise<string | undefined> {
  try {
    return (await describe(client, reference, limits)).account;
  } catch (error) {
    if (error instanceof NotFound) return undefined;
    throw error;
  }
}
