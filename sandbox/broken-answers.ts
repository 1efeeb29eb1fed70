import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import type { FaultRule, Faults } from './faults.ts';

/** A Hono context that knows its socket: faults below HTTP need it. */
export type SocketContext = Context<{ Bindings: HttpBindings }>;

/** A provider call about to be made. */
export interface Call {
  operation: string;
  /** Ids and references the call is about. */
  names: readonly string[];
  /** Does the work and answers; nothing of it may happen before this is called. */
  act(): Promise<Response>;
  /** The provider's error answer with this status. */
  refuse(status: number): Response;
  /** Resolves when the webhooks about what the call did have been delivered once. */
  announced(): Promise<void>;
}

const SLOW_MS = 5_000;

/** Makes the call as the fault wants it: refused, held, lost, broken or late; without a fault, simply makes it. */
export async function answer(c: SocketContext, faults: Faults, call: Call): Promise<Response> {
  const rule = faults.take(call.operation, call.names);
  if (!rule) return call.act();

  switch (rule.kind) {
    case 'timeout':
      await faults.hold(rule, call.operation, call.names, callerGone(c));
      return reset(c);
    case 'reset':
      return reset(c);
    case 'status':
      return refusal(call, rule, 503);
    case 'truncated':
      return truncated(c);
    case 'hold_before_commit':
      return (await faults.hold(rule, call.operation, call.names)) ? call.act() : reset(c);
    default:
      return afterCommit(c, faults, call, rule);
  }
}

async function afterCommit(c: SocketContext, faults: Faults, call: Call, rule: FaultRule): Promise<Response> {
  const response = await call.act();
  switch (rule.kind) {
    case 'drop_after_commit':
      return reset(c);
    case 'error_after_commit':
      return refusal(call, rule, 500);
    case 'html':
      return c.html('<!doctype html><title>Just a moment</title><h1>Checking your browser</h1>');
    case 'slow':
      await sleep(rule.delayMs ?? SLOW_MS, undefined, { ref: false });
      return response;
    case 'webhook_before_answer':
      await call.announced();
      await sleep(rule.delayMs ?? 0);
      return response;
    case 'hold_after_commit':
      return (await faults.hold(rule, call.operation, call.names)) ? response : reset(c);
    default:
      throw new Error(`No such fault after a commit: ${rule.kind}`);
  }
}

function refusal(call: Call, rule: FaultRule, fallback: number): Response {
  const response = call.refuse(rule.status ?? fallback);
  if (rule.retryAfter !== undefined) response.headers.set('retry-after', String(rule.retryAfter));
  return response;
}

/** Ends the connection with RST: the caller sees a reset, never an orderly end. */
function reset(c: SocketContext): Response {
  c.env.incoming.socket.resetAndDestroy();
  return RESPONSE_ALREADY_SENT;
}

/** A 200 that promises more bytes than it sends. */
function truncated(c: SocketContext): Response {
  const { outgoing } = c.env;
  outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': '900' });
  outgoing.write('{"success":true,"elapsed":4,"result":{"id":"17', () => outgoing.destroy());
  return RESPONSE_ALREADY_SENT;
}

function callerGone(c: SocketContext): AbortSignal {
  const gone = new AbortController();
  c.env.outgoing.once('close', () => gone.abort());
  return gone.signal;
}
