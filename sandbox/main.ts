import { startSandbox } from './server.ts';

/**
 * The sandbox as a process of its own: PERDURE_HOST, PERDURE_SANDBOX_PORT, PERDURE_STATE, PERDURE_SANDBOX_MINUTE_MS; SIGTERM
 * or Ctrl-C ends it.
 */
async function main(): Promise<void> {
  const { PERDURE_HOST = '127.0.0.1', PERDURE_SANDBOX_PORT = '8090', PERDURE_STATE = '.perdure' } = process.env;
  const { PERDURE_SANDBOX_MINUTE_MS = '60000' } = process.env;
  const port = Number(PERDURE_SANDBOX_PORT);
  if (!/^\d+$/.test(PERDURE_SANDBOX_PORT) || port > 65_535) {
    throw new Error(`PERDURE_SANDBOX_PORT: must be a port number, not ${JSON.stringify(PERDURE_SANDBOX_PORT)}`);
  }
  const minuteMs = Number(PERDURE_SANDBOX_MINUTE_MS);
  if (!(minuteMs > 0)) {
    throw new Error(
      `PERDURE_SANDBOX_MINUTE_MS: must be a number of milliseconds, not ${JSON.stringify(PERDURE_SANDBOX_MINUTE_MS)}`,
    );
  }
  const log = (message: string, fields?: Record<string, unknown>) => console.error(message, fields ?? '');
  const sandbox = await startSandbox({
    ...{ host: PERDURE_HOST, port, stateDir: PERDURE_STATE, log },
    ...{ paymennt: { minuteMs }, paymob: { minuteMs }, beqelal: { minuteMs }, katu9: { minuteMs } },
  });
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
