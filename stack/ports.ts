import { connect, createServer, type Server, type Socket } from 'node:net';

/** A port we were told to use is taken. The message names the variable that moves it. */
export class PortInUse extends Error {
  override readonly name = 'PortInUse';
  readonly port: number;
  readonly variable: string;

  constructor(port: number, host: string, variable: string) {
    super(`port ${port} on ${host} is in use; stop what listens there or set ${variable} to another port`);
    this.port = port;
    this.variable = variable;
  }
}

/**
 * Reads a port from the environment: the variable's value if set, else `fallback`.
 * @throws Error naming the variable unless it is an integer from 1 to 65535.
 */
export function portFromEnv(variable: string, fallback: number, env: NodeJS.ProcessEnv = process.env): number {
  const text = env[variable]?.trim();
  if (!text) return fallback;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new Error(`${variable} must be a port from 1 to 65535; it is "${text}"`);
  return port;
}

/**
 * Makes sure that nothing listens on a port.
 * @throws PortInUse naming `variable`; Error naming the host when it is no address of this machine.
 */
export async function assertPortFree(port: number, host: string, variable: string): Promise<void> {
  try {
    await close(await listen(port, host));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') throw new PortInUse(port, host, variable);
    throw new Error(`cannot listen on ${host}:${port} (${variable}): ${code ?? String(error)}`, { cause: error });
  }
}

/** A TCP port on which nothing listens, and which the system will not give away again for about a minute. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = await listen(0, host);
  const { port } = server.address() as { port: number };
  // Closing a connection from the listening side leaves the port in TIME_WAIT: Linux then keeps it out of its choice
  // of free ports, while a server that names it may still bind it. Two runs side by side thus get different ports.
  await new Promise<void>((resolve, reject) => {
    server.once('connection', (accepted: Socket) => accepted.destroy());
    connect(port, host).once('close', resolve).once('error', reject).resume();
  });
  await close(server);
  return port;
}

function listen(port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
