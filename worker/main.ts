/**
 * The worker as a process of its own. Environment: `PERDURE_ACCOUNTS` (path of the accounts file, required),
 * `TEMPORAL_*` as @temporalio/envconfig reads them, `PERDURE_WEBHOOK_URL` and `PERDURE_TOKEN_KEYS` for providers that
 * take a callback address per link, `PERDURE_MIN_RETENTION_DAYS`, `PERDURE_WORKFLOW_BUNDLE` (see bundle.ts). Stops on SIGTERM or SIGINT after
 * the provider calls under way were answered.
 */
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { pino } from 'pino';
import { readAccounts } from '../activities/accounts.ts';
import { readTokenKeys } from '../activities/tokens.ts';
import { connectClient } from '../client/index.ts';
import { checkNamespace } from '../client/namespace.ts';
import { createWorkers, runWorkers } from './workers.ts';

const log = pino({ name: 'perdure-worker' });

async function main(): Promise<void> {
  const path = process.env.PERDURE_ACCOUNTS;
  if (!path) throw new Error('PERDURE_ACCOUNTS is not set: it names the JSON file of the accounts this worker serves');
  const accounts = await readAccounts(path, process.env);
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  Runtime.install({
    shutdownSignals: [],
    logger: {
      log: (_level, message) => log.info(message),
      trace: () => {},
      debug: () => {},
      info: (message) => log.info(message),
      warn: (message, meta) => log.warn({ meta }, message),
      error: (message, meta) => log.error({ meta }, message),
    },
  });
  const stop = new Promise((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  const connection = await NativeConnection.connect(connectionOptions);
  await checkNamespace(connection, namespace);
  const client = await connectClient();
  const base = process.env.PERDURE_WEBHOOK_URL;
  const keys = readTokenKeys(process.env.PERDURE_TOKEN_KEYS);
  const callbacks = base && keys.length > 0 ? { base, keys } : undefined;
  const workers = await createWorkers({ connection, namespace, accounts, client, callbacks });
  log.info({ accounts: [...accounts.keys()], namespace }, 'worker ready');
  await runWorkers(workers, stop);
  await connection.close();
  await client.connection.close();
  log.info('worker stopped');
}

main().catch((error: unknown) => {
  log.fatal(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
