import { Client, type ClientOptions, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { Unavailable } from './errors.ts';

/** Longer than a server needs that answers at all. */
const CONNECT_TIMEOUT_MS = 5_000;

/** After a long outage gRPC would try again only every two minutes, and news would be turned away for so long. */
const RECONNECTING = { 'grpc.max_reconnect_backoff_ms': 2_000 };

/**
 * A Temporal client as the environment describes it: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`,
 * `TEMPORAL_TLS…`, or a profile of Temporal's own configuration file. A local server, a self-hosted one and Cloud
 * differ by nothing else. Whoever connects closes `client.connection`.
 *
 * @throws Unavailable when no server answers there
 */
export async function connectClient({
  env = process.env,
  ...options
}: Pick<ClientOptions, 'dataConverter'> & { env?: NodeJS.ProcessEnv } = {}): Promise<Client> {
  const overrideEnvVars = Object.fromEntries(
    Object.entries(env).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])),
  );
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({ overrideEnvVars });
  const { address = '127.0.0.1:7233' } = connectionOptions;
  try {
    const connection = await Connection.connect({
      ...connectionOptions,
      address,
      connectTimeout: CONNECT_TIMEOUT_MS,
      channelArgs: RECONNECTING,
    });
    return new Client({ ...options, connection, namespace });
  } catch (error) {
    throw new Unavailable(`Temporal cannot be reached at ${address} (TEMPORAL_ADDRESS)`, { cause: error });
  }
}
