import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { answer, type SocketContext } from '../broken-answers.ts';
import type { Faults } from '../faults.ts';
import { Refused } from '../provider.ts';
import type { Deliveries } from '../webhooks.ts';
import { deactivated, type Link } from './link.ts';
import type { Links } from './links.ts';
import { type Merchant, merchantByKeys } from './merchants.ts';
import { Invalid, parseDeactivation, parseLinkRequest } from './requests.ts';
import { createdOnWire, failure, statusOnWire } from './wire.ts';

/** What faults may be ordered for. A fault `status` 479 is the caller's address not being on the merchant's list. */
export const OPERATIONS = ['create', 'inquire', 'cancel'] as const;

type Operation = (typeof OPERATIONS)[number];

export interface ApiParts {
  links: Links;
  deliveries: Deliveries;
  faults: Faults;
  publicUrl(): string;
  /** Tells the link's callback of its present state. */
  announce(link: Link): Promise<unknown>;
  log(message: string, fields?: Record<string, unknown>): void;
}

/** A call that got past the keys. */
interface Request {
  merchant: Merchant;
  /** Undefined when it is not JSON. */
  body: unknown;
  /** The trace number in the path. */
  trace: string;
}

interface Handler {
  operation: Operation;
  /** The link the call is about, found without doing any of the work. */
  subject(request: Request): Link | undefined;
  result(request: Request): Promise<unknown> | unknown;
}

/** Refusals that are not about one field, by message: HTTP status, the code inside, and the detail [assumed]. */
const REFUSALS: Readonly<Record<string, [status: number, detail: string]>> = {
  TRANSACTION_NOT_FOUND: [404, 'Transaction not found.'],
  LINK_NOT_FOUND: [404, 'Payment link not found.'],
  LINK_ALREADY_PAID: [400, 'Payment link is already paid.'],
};

/** Beqelal's merchant API: create a link [seed], and the status and deactivation calls nobody has published [assumed]. */
export function merchantApi(parts: ApiParts): Hono<{ Bindings: HttpBindings }> {
  const { links, deliveries, faults, announce, publicUrl, log } = parts;
  const app = new Hono<{ Bindings: HttpBindings }>();
  const tooLarge = failure(413, 'REQUEST_TOO_LARGE', 'Request body is too large.');
  // The rest of the body is not read: nothing can follow on this connection.
  const close = { connection: 'close' };
  app.use(bodyLimit({ maxSize: 1024 * 1024, onError: (c) => c.json(tooLarge, 413, close) }));

  const call = (handler: Handler) => async (c: SocketContext) => {
    const merchant = merchantByKeys(c.req.header('app-id'), c.req.header('api-key'));
    if (!merchant) return c.json(refused(401), 401);

    const request: Request = { merchant, body: parsed(await c.req.text()), trace: c.req.param('trace') ?? '' };
    const link = handler.subject(request);
    const names = [link?.id, link?.traceNumber, request.trace, traceIn(request.body)];
    return answer(c, faults, {
      operation: handler.operation,
      names: names.filter((name) => name !== undefined),
      async act() {
        try {
          return c.json(await handler.result(request));
        } catch (error) {
          if (error instanceof Invalid) return c.json(error.fields, 400);
          const [status, detail] = (error instanceof Refused && REFUSALS[error.message]) || [];
          if (status === undefined) log('beqelal call failed', { operation: handler.operation, error: String(error) });
          const body = detail === undefined ? refused(500) : failure(status!, (error as Refused).message, detail);
          return c.json(body, (status ?? 500) as ContentfulStatusCode);
        }
      },
      refuse: (status) => c.json(refused(status), status as ContentfulStatusCode),
      async announced() {
        const made = handler.subject(request);
        // A new link is no news by itself; its notice is what arrives before the create answer.
        if (handler.operation === 'create' && made) await announce(made);
        else if (made) await deliveries.quiet(made.id);
      },
    });
  };

  const own = (merchant: Merchant, link: Link | undefined, missing: string): Link => {
    if (link?.merchant !== merchant.name) throw new Refused(missing);
    return link;
  };

  app.post(
    '/create/payment-link',
    call({
      operation: 'create',
      subject: ({ body }) => links.byTrace(traceIn(body) ?? ''),
      async result({ merchant, body }) {
        const { link, durable } = links.create(merchant, parseLinkRequest(body));
        await durable;
        return createdOnWire(link, publicUrl());
      },
    }),
  );

  app.get(
    '/payment/status/:trace',
    call({
      operation: 'inquire',
      subject: ({ trace }) => links.byTrace(trace),
      result: ({ merchant, trace }) =>
        statusOnWire(own(merchant, links.byTrace(trace), 'TRANSACTION_NOT_FOUND'), publicUrl()),
    }),
  );

  app.post(
    '/deactivate/payment-link',
    call({
      operation: 'cancel',
      subject: ({ body }) => links.byId(idIn(body) ?? ''),
      async result({ merchant, body }) {
        const { id } = own(merchant, links.byId(parseDeactivation(body)), 'LINK_NOT_FOUND');
        const { link, durable } = links.change(id, deactivated);
        await durable;
        // Behind the answer's back, as at the provider: webhook and answer race.
        void announce(link);
        return { id: link.id, status: 'DEACTIVATED', status_code: 200 };
      },
    }),
  );

  app.all('*', (c) => c.json(failure(404, 'NOT_FOUND', `No such call: ${c.req.method} ${c.req.path}`), 404));

  return app;
}

/** Whole-call refusals: the first [seed], the second [assumed]; all others only a sandbox fault can cause. */
function refused(status: number) {
  if (status === 479) return failure(479, 'UNAUTHORIZED_IP_ACCESS', 'Unauthorized IP address access.');
  if (status === 401) return failure(401, 'INVALID_CREDENTIALS', 'Invalid app-id or api-key.');
  return failure(status, 'SERVICE_ERROR', 'Refused by a sandbox fault.');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const fieldIn = (body: unknown, name: string) => {
  const value = (body as Record<string, unknown> | null | undefined)?.[name];
  return typeof value === 'string' ? value : undefined;
};
const traceIn = (body: unknown) => fieldIn(body, 'trace_number');
const idIn = (body: unknown) => fieldIn(body, 'id');
