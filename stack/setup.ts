/**
 * One shot before worker and gateway start, safe to repeat. Environment: `TEMPORAL_*`, `PERDURE_RETENTION_DAYS` (90).
 * - makes the namespace if it is missing, raises its retention, registers the search attributes
 * - `PERDURE_API_KEYS` names a file that is not there: makes one key for everything and prints it, this once
 * - `PERDURE_SANDBOX_URL` is set and `PERDURE_ACCOUNTS` is not there: writes the accounts of the sandbox
 */
import { createHash, randomBytes } from 'node:crypto';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { connectClient } from '../client/index.ts';
import { makeNamespace, prepareNamespace } from '../client/namespace.ts';
import { sandboxAccounts } from './sandbox-accounts.ts';

const { PERDURE_RETENTION_DAYS = '90', PERDURE_API_KEYS, PERDURE_ACCOUNTS, PERDURE_SANDBOX_URL } = process.env;

async function main(): Promise<void> {
  const retentionDays = Number(PERDURE_RETENTION_DAYS);
  if (!(retentionDays >= 1)) {
    throw new Error(`PERDURE_RETENTION_DAYS must be a number of days, at least 1; it is "${PERDURE_RETENTION_DAYS}"`);
  }
  const client = await connectClient();
  const { namespace } = client.options;
  const made = await makeNamespace(client.connection, namespace, retentionDays);
  await prepareNamespace(client.connection, namespace, { retentionDays });
  await client.connection.close();
  console.log(`namespace ${namespace}: ${made ? 'made' : 'there'}, retention and search attributes are as needed`);

  if (PERDURE_API_KEYS && !(await exists(PERDURE_API_KEYS))) {
    const key = randomBytes(32).toString('base64url');
    const sha256 = createHash('sha256').update(key).digest('hex');
    await write(PERDURE_API_KEYS, [{ name: 'first', role: 'refund', accounts: '*', sha256 }]);
    console.log(`API key, shown only now: ${key}`);
  }
  if (PERDURE_SANDBOX_URL && PERDURE_ACCOUNTS && !(await exists(PERDURE_ACCOUNTS))) {
    await write(PERDURE_ACCOUNTS, await sandboxAccounts(PERDURE_SANDBOX_URL));
    console.log(`accounts of the sandbox: ${PERDURE_ACCOUNTS}`);
  }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

async function write(path: string, content: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
