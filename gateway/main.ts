/** The gateway as a process of its own, told everything by its environment. */
import { connectClient, PaymentLinks } from '../client/index.ts';
import { readSettings } from './environment.ts';
import { createLog } from './log.ts';
import { startGateway } from './server.ts';

const log = createLog();

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const client = await connectClient();
  const gateway = await startGateway({ ...settings, client, links: new PaymentLinks(client), log });
  log.info({ event: 'listening', listener: 'api', address: gateway.apiUrl });
  log.info({ event: 'listening', listener: 'webhooks', address: gateway.webhookUrl });
  await stopSignal();
  log.info({ event: 'stopping' });
  await gateway.close();
}

/** Further signals while stopping change nothing: npm and a terminal send several. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGINT', () => resolve());
    process.on('SIGTERM', () => resolve());
  });
}

// The connection is left to the exit: retries of the SDK that are still pending would throw on a closed one.
main().then(
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
