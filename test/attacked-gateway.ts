/** The gateway as the process it is in production, with a Temporal that can be stopped, and links nobody works on. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { freePort } from '../stack/ports.ts';
import { type Child, spawnChild } from '../stack/processes.ts';
import { startTemporal, type TemporalServer } from '../stack/temporal.ts';
import { linkAccount } from '../workflows/attributes.ts';
import { type Hint, TASK_QUEUE, WORKFLOW_TYPE, workflowIdOf } from '../workflows/messages.ts';
import { NAMES } from './attack-scene.ts';
import { accountEntry, rsaKey, sharedSecret, signedBy, target } from './attackers.ts';
import { send } from './listeners.ts';

export type AttackedGateway = Awaited<ReturnType<typeof startAttackedGateway>>;

export async function startAttackedGateway() {
  const folder = await mkdtemp(join(tmpdir(), 'perdure-attacked-'));
  const stateDir = join(folder, 'temporal');
  const temporalPort = await freePort();
  const env = { ...process.env, TEMPORAL_ADDRESS: undefined };
  let temporal: TemporalServer = await startTemporal({ stateDir, port: temporalPort, env });
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace: temporal.namespace });

  const keys = Object.fromEntries(
    NAMES.map((name) => [name, name === 'boomfi' ? rsaKey() : sharedSecret(`canary-webhook-secret-of-${name}`)]),
  );
  const entries = NAMES.map((name) => [name, accountEntry(name, [keys[name]!.verifies])]);
  const apiKey = 'canary-api-key-of-the-boss';
  const sha256 = createHash('sha256').update(apiKey).digest('hex');
  const files = {
    PERDURE_ACCOUNTS: Object.fromEntries(entries) as object,
    PERDURE_API_KEYS: [{ name: 'boss', role: 'refund', accounts: '*', sha256, requestsPerSecond: 100_000 }],
  };
  await mkdir(folder, { recursive: true });
  const paths = Object.fromEntries(Object.keys(files).map((name) => [name, join(folder, `${name}.json`)]));
  for (const [name, content] of Object.entries(files))
    await writeFile(paths[name]!, JSON.stringify(content), { mode: 0o600 });

  const [apiPort, webhookPort] = [await freePort(), await freePort()];
  const log: string[] = [];
  const gateway: Child = await spawnChild({
    name: 'gateway',
    command: process.execPath,
    args: ['--import', 'tsx', fileURLToPath(new URL('../gateway/main.ts', import.meta.url))],
    env: {
      ...{ ...process.env, ...temporal.env, ...paths },
      ...{ PERDURE_API_PORT: `${apiPort}`, PERDURE_WEBHOOK_PORT: `${webhookPort}` },
      PERDURE_TOKEN_KEYS: 'canary-token-key-of-the-gateway',
    },
    log: (line) => log.push(line),
    ready: (child) => child.line(/"listener":"webhooks","address"/),
  });
  const apiUrl = `http://127.0.0.1:${apiPort}`;
  const webhookUrl = `http://127.0.0.1:${webhookPort}`;

  return {
    apiUrl,
    webhookUrl,
    gateway,
    /** All it wrote. */
    log: () => log.join('\n'),
    /** What must stand nowhere but in its files. */
    secrets: [...Object.values(keys).map(({ signs }) => signs), apiKey, 'canary-token-key-of-the-gateway'],

    /** Memory of the gateway's process in MB. */
    memory: () => Number(execFileSync('ps', ['-o', 'rss=', '-p', `${gateway.pid}`], { encoding: 'utf8' })) / 1024,
    arguments: () => execFileSync('ps', ['-o', 'args=', '-p', `${gateway.pid}`], { encoding: 'utf8' }),

    call: (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
      send(apiUrl + path, method, {
        body,
        headers: { authorization: `Bearer ${apiKey}`, 'idempotency-key': 'k', ...headers },
      }),

    /** An authentic webhook of paymennt about a link. */
    news(reference: string, content: object = {}) {
      const body = JSON.stringify({ id: 1, orderId: reference, status: 'PAID', ...content });
      const { headers, query } = signedBy('paymennt', keys.paymennt!, body);
      return send(target(`${webhookUrl}/webhooks/paymennt`, query), 'POST', { body, headers });
    },

    /** A link nobody works on: its history shows what the gateway alone has caused. */
    link: (reference: string) =>
      client.workflow.start(WORKFLOW_TYPE, {
        workflowId: workflowIdOf(reference),
        taskQueue: TASK_QUEUE,
        args: [],
        typedSearchAttributes: [{ key: linkAccount, value: 'paymennt' }],
      }),
    /** Hashes of all that the link was told, in order; the turns of what came back are left out. */
    async told(reference: string): Promise<string[]> {
      const { events } = await client.workflow.getHandle(workflowIdOf(reference)).fetchHistory();
      const inputs = (events ?? []).flatMap(
        ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.input ?? [],
      );
      return inputs.map(({ payloads }) => {
        const text = Buffer.from(payloads?.[0]?.data ?? []).toString('utf8');
        return (JSON.parse(text) as Hint).evidence.split(' ')[0]!;
      });
    },

    /** Stops Temporal in the middle of whatever it does; it goes on after `thaw`. */
    freeze: () => temporal.child!.kill('SIGSTOP'),
    thaw: () => temporal.child!.kill('SIGCONT'),
    async killTemporal() {
      temporal.child!.kill('SIGKILL');
      await temporal.child!.exited;
    },
    async restartTemporal() {
      temporal = await startTemporal({ stateDir, port: temporalPort, env });
    },

    async stop() {
      await gateway.stop();
      await connection.close();
      temporal.child!.kill('SIGCONT');
      await temporal.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
