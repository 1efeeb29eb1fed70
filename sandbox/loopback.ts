import type { HttpBindings } from '@hono/node-server';
import type { MiddlewareHandler } from 'hono';

/** Whether a host name, without a port, can only mean this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Keeps web pages out of a surface that has no keys: the `Host` must be loopback (a name rebound to 127.0.0.1 is not),
 * a browser's `Origin` must be the surface itself, and a body must be declared `application/json`, which no HTML form
 * can do.
 */
export const loopbackOnly: MiddlewareHandler<{ Bindings: HttpBindings }> = async (c, next) => {
  // In a container the API listens wider; whoever steers it still has to be inside.
  const peer = c.env.incoming.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
  if (!isLoopback(peer)) return c.json({ error: 'The control plane serves this machine only' }, 403);
  const host = c.req.header('host') ?? '';
  if (!isLoopback(host.replace(/:\d+$/, ''))) return c.json({ error: 'Host must be a loopback address' }, 403);

  const origin = c.req.header('origin');
  if (origin !== undefined && origin !== `http://${host}`) return c.json({ error: 'Origin is not allowed' }, 403);

  const type = c.req.header('content-type');
  const hasBody = c.req.raw.body !== null && c.req.header('content-length') !== '0';
  const bad = type === undefined ? hasBody : type.split(';')[0]?.trim().toLowerCase() !== 'application/json';
  if (bad && c.req.method !== 'GET') return c.json({ error: 'Content-Type must be application/json' }, 415);
  return next();
};
