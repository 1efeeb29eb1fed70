/** `npm start`: everything on this machine, kept up, with its state in files. Ctrl-C ends it; again continues every link. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { portFromEnv } from './ports.ts';
import { onShutdown } from './shutdown.ts';
import { startStack } from './stack.ts';

const { env } = process;

async function main(): Promise<void> {
  const stateDir = resolve(env.PERDURE_STATE ?? '.perdure');
  await mkdir(stateDir, { recursive: true });
  const stack = await startStack({
    stateDir,
    host: env.PERDURE_HOST,
    ports: {
      api: portFromEnv('PERDURE_API_PORT', 8080),
      webhooks: portFromEnv('PERDURE_WEBHOOK_PORT', 8081),
      sandbox: portFromEnv('PERDURE_SANDBOX_PORT', 8090),
      temporal: portFromEnv('PERDURE_TEMPORAL_PORT', 7233),
      ui: portFromEnv('PERDURE_TEMPORAL_UI_PORT', 8233),
    },
    tokenKeys: env.PERDURE_TOKEN_KEYS?.split(',') ?? [await ownTokenKey(stateDir)],
    log: (line) => console.log(`  ${line}`),
  });
  onShutdown(async () => {
    console.log('\nStopping; open links continue at the next start.');
    await stack.stop();
  });
  const { gateway, sandbox, temporal } = stack;
  console.log(`
Perdure is up. State: ${stateDir}

  API          ${gateway.apiUrl}/v1/payment-links     docs: ${gateway.apiUrl}/docs
  Webhooks     ${gateway.webhookUrl}/webhooks/{account}
  Sandbox      ${sandbox.url}
  Temporal UI  ${temporal.uiUrl ?? 'as configured for your Temporal server'}

Make a link, open its url, pay with 4242 4242 4242 4242, 12/30, 100:

  curl -s ${gateway.apiUrl}/v1/payment-links -H 'content-type: application/json' \\
    -d '{"account":"paymennt","reference":"INV-1","amount":{"minor":1050,"currency":"AED"}}'

Ctrl-C stops.`);
}

/** Tokens in callback URLs outlive a restart, so their key does too. */
async function ownTokenKey(stateDir: string): Promise<string> {
  const path = join(stateDir, 'token-key');
  const known = await readFile(path, 'utf8').catch(() => undefined);
  if (known) return known.trim();
  const key = randomBytes(32).toString('base64url');
  await writeFile(path, `${key}\n`, { mode: 0o600 });
  return key;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
