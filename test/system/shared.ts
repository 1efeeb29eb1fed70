import { Client, Connection } from '@temporalio/client';
import { afterAll, inject } from 'vitest';
import { PaymentLinks } from '../../client/index.ts';
import { MERCHANTS } from '../../sandbox/paymennt/merchants.ts';
import { openShop, pause } from '../../stack/shop.ts';
import { workflowIdOf } from '../../workflows/messages.ts';
import type { Timing } from '../../workflows/state.ts';

/**
 * Nobody polls within the time of a test: only commands, probes and webhooks read. An attempt is over soon, and so is the
 * proof that it left no trace.
 */
export const UNWATCHED: Partial<Timing> = {
  cadence: { rows: [], thenEverySeconds: 3_600, jitter: 0 },
  hintSpacingMs: 100,
  attemptMs: 1_000,
  probeAfterMs: 100,
  probeAgainMs: 300,
};

/** The shared stack, as a test file uses it. */
export async function openSystem() {
  const stack = inject('stack');
  const connection = await Connection.connect({ address: stack.temporalAddress });
  afterAll(() => connection.close());
  const client = new Client({ connection });
  const shop = openShop({
    gateway: { ...stack, close: async () => {} },
    sandbox: { url: stack.sandboxUrl, port: 0, close: async () => {} },
    client,
  });
  const events = async (reference: string) =>
    (await client.workflow.getHandle(workflowIdOf(reference)).describe()).historyLength;
  return {
    stack,
    shop,
    client,
    /** Links with waits of their own, past the gateway. */
    linksWith: (timing: Partial<Timing>) => new PaymentLinks(client, { timing }),
    /** The webhook registration the gateway made at start: the same address again is the same registration. */
    async registrationOf(account: string): Promise<{ hmacKey: string }> {
      const merchant = MERCHANTS.find(({ name }) => name === account)!;
      const registered = await fetch(`${stack.sandboxUrl}/paymennt/mer/v2.0/webhooks`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-paymennt-api-key': merchant.apiKey,
          'x-paymennt-api-secret': merchant.apiSecret,
        },
        body: JSON.stringify({ address: `${stack.webhookUrl}/webhooks/${account}` }),
      });
      return ((await registered.json()) as { result: { hmacKey: string } }).result;
    },
    handle: (reference: string) => client.workflow.getHandle(workflowIdOf(reference)),
    /**
     * Orders a fault of the paymennt sandbox. Files share it: give every fault its `link` and `count`, and never delete
     * all of them, which would take those of other files away.
     */
    fault: (order: { operation: string; kind: string; link: string; count: number } & Record<string, unknown>) =>
      shop.control('POST', '/paymennt/faults', order),
    events,
    /** Events once the run has come to rest: on a busy machine what led to a state may still be on its way. */
    async eventsAtRest(reference: string): Promise<number> {
      for (let seen = await events(reference); ; ) {
        await pause(1_000);
        const now = await events(reference);
        if (now === seen) return now;
        seen = now;
      }
    },
  };
}

/** Looks until `holds`, or gives back what was seen last. For concurrent tests, where `expect.poll` does not work. */
export async function until<T>(look: () => Promise<T>, holds: (seen: T) => boolean, timeoutMs = 15_000): Promise<T> {
  for (const end = Date.now() + timeoutMs; ; await pause(50)) {
    const seen = await look();
    if (holds(seen) || Date.now() > end) return seen;
  }
}

let ordinal = 0;
/** A reference nobody used before. */
export const fresh = (name: string): string => `${name}/${process.pid}-${Date.now().toString(36)}-${++ordinal}`;

export const AED = (minor: number) => ({ minor, currency: 'AED' });
