import { startSandbox } from './server.ts';

/** The sandbox as a process of its own: PERDURE_HOST, PERDURE_SANDBOX_PORT, PERDURE_STATE; SIGTERM or Ctrl-C ends it. */
async function main(): Promise<void> {
  const { PERDURE_HOST = '127.0.0.1', PERDURE_SANDBOX_PORT = '8090', PERDURE_STATE = '.perdure' } = process.env;
  const port = Number(PERDURE_SANDBOX_PORT);
  if (!/^\d+$/.test(PERDURE_SANDBOX_PORT) || port > 65_535) {
    throw new Error(`PERDURE_SANDBOX_PORT: must be a port number, not ${JSON.stringify(PERDURE_SANDBOX_PORT)}`);
  }
  const log = (message: string, fields?: Record<string, unknown>) => console.error(message, fields ?? '');
  const sandbox = await startSandbox({ host: PERDURE_HOST, port, stateDir: PERDURE_STATE, log });
  console.log(`sandbox ready on ${sandbox.url}`);

  // A group signal and a forwarded one arrive together: the second must not kill the process half closed.
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    sandbox.close().catch(fail);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function fail(error: unknown): void {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

main().catch(fail);
