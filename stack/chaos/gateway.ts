/**
 * The gateway of a chaos run, as `gateway/main.ts` starts it, but for the waits of the engine: its argument, a
 * JSON object.
 */
import type { CreateOptions } from '../../client/index.ts';
import { connectClient, PaymentLinks } from '../../client/index.ts';
import { readSettings } from '../../gateway/environment.ts';
import { createLog } from '../../gateway/log.ts';
import { startGateway } from '../../gateway/server.ts';
import type { CreateRequest } from '../../workflows/schema.ts';
import type { Timing } from '../../workflows/state.ts';
import { WALKS } from '../walks.ts';

const TIMING = JSON.parse(process.argv[2]!) as Partial<Timing>;

/** A link with an expiry of its own ends soon, also where only the engine's timer can end it. */
class HastyLinks extends PaymentLinks {
  private readonly temporal: ConstructorParameters<typeof PaymentLinks>[0];

  constructor(temporal: ConstructorParameters<typeof PaymentLinks>[0]) {
    super(temporal, { timing: TIMING });
    this.temporal = temporal;
  }

  override create(request: CreateRequest, options?: CreateOptions) {
    const desk = WALKS.map((walk) => walk.desk).find(({ account }) => account === request.account);
    if (!request.expiresAt || !desk?.timing) return super.create(request, options);
    return new PaymentLinks(this.temporal, { timing: { ...TIMING, ...desk.timing } }).create(request, options);
  }
}

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const client = await connectClient();
  await startGateway({ ...settings, client, links: new HastyLinks(client), log: createLog({ level: 'error' }) });
  console.log('gateway ready');
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
