import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { answer, type SocketContext } from '../broken-answers.ts';
import type { Faults } from '../faults.ts';
import type { Deliveries } from '../webhooks.ts';
import { type Merchant, merchantByKey } from './merchants.ts';
import type { Paylink } from './paylink.ts';
import type { Changed, Listing, News, Paylinks } from './paylinks.ts';
import { ApiError, parseLinkRequest, parsePage, parseSwitch } from './requests.ts';
import { switched } from './transitions.ts';
import { instant, paylinkOnWire, paymentOnWire } from './wire.ts';

/**
 * What faults may be ordered for. `find` is the list of paylinks, `inquire` the list of payments, `payment` the read of
 * one; `cancel` disables a link and `enable` enables it. A fault `status` 400 or 500 answers with the seed's own bodies.
 */
export const OPERATIONS = ['create', 'find', 'inquire', 'payment', 'cancel', 'enable', 'events'] as const;

type Operation = (typeof OPERATIONS)[number];

export interface ApiParts {
  paylinks: Paylinks;
  deliveries: Deliveries;
  faults: Faults;
  announce(paylink: Paylink, news: News): Promise<unknown>;
  log(message: string, fields?: Record<string, unknown>): void;
}

/** A call that got past the key. */
interface Request {
  merchant: Merchant;
  body: string;
  query: Record<string, string>;
  /** The id in the path. */
  id: string;
}

/** How one documented call works: whom it is about, and what it does. */
interface Handler {
  operation: Operation | ((request: Request) => Operation);
  /** Ids and references for matching faults, found without doing any of the work. */
  names?(request: Request): (string | undefined)[];
  result(request: Request): Promise<object> | object;
}

/** BoomFi's merchant API: the calls a payment link needs, with their errors. */
export function merchantApi({
  paylinks,
  deliveries,
  faults,
  announce,
  log,
}: ApiParts): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  const tooLarge = errorBody(400, 'requests', 'InvalidRequest', 'request body is too large');
  app.use(bodyLimit({ maxSize: 1024 * 1024, onError: (c) => c.json(tooLarge, 400) }));

  const call = (handler: Handler) => async (c: SocketContext) => {
    const merchant = merchantByKey(c.req.header('x-api-key'));
    if (!merchant) return c.json(errorBody(401, 'orgs', 'Unauthorized', 'Unauthorized'), 401);

    const request = { merchant, body: await c.req.text(), query: c.req.query(), id: c.req.param('id') ?? '' };
    const { operation } = handler;
    return answer(c, faults, {
      operation: typeof operation === 'string' ? operation : operation(request),
      names: (handler.names?.(request) ?? []).filter((name) => name !== undefined),
      async act() {
        try {
          return c.json(await handler.result(request));
        } catch (error) {
          if (error instanceof ApiError) {
            const { status, domain, reason, message } = error;
            return c.json(errorBody(status, domain, reason, message), status);
          }
          log('boomfi call failed', { path: c.req.path, error: String(error) });
          return c.json(refused(500), 500);
        }
      },
      refuse: (status) => c.json(refused(status), status as ContentfulStatusCode),
      async announced() {
        const { reference } = peek(request.body);
        const paylink = paylinks.byId(request.id) ?? paylinks.byReference(reference ?? '');
        if (paylink) await deliveries.quiet(paylink.id);
      },
    });
  };

  /** Behind the answer's back, as at the provider: webhook and answer race. */
  async function settled({ paylink, news, durable }: Changed): Promise<Paylink> {
    await durable;
    if (news) void announce(paylink, news);
    return paylink;
  }

  app.post(
    '/paylinks',
    call({
      operation: 'create',
      names: ({ body }) => [peek(body).reference],
      // `error: true` beside a link that was made stands in the seed's sample.
      result: async ({ merchant, body }) => ({
        data: paylinkOnWire(await settled(paylinks.create(merchant, parseLinkRequest(body)))),
        error: true,
      }),
    }),
  );

  app.get(
    '/paylinks',
    call({
      operation: 'find',
      result: ({ merchant, query }) =>
        listed(paylinks.links(merchant, parsePage(query, 'paylinks')), (paylink) => paylinkOnWire(paylink)),
    }),
  );

  app.patch(
    '/paylinks/:id',
    call({
      operation: ({ body }) => (peek(body).enabled === true ? 'enable' : 'cancel'),
      names: ({ id }) => [id, paylinks.byId(id)?.reference],
      async result({ merchant, body, id }) {
        if (paylinks.byId(id)?.merchant !== merchant.name) throw missing('paylinks', 'Paylink not found');
        return { data: paylinkOnWire(await settled(paylinks.change(id, switched(parseSwitch(body))))) };
      },
    }),
  );

  app.get(
    '/payments',
    call({
      operation: 'inquire',
      result: ({ merchant, query }) =>
        listed(
          paylinks.payments(merchant, parsePage(query, 'payments', ['customer_id', 'invoice_id'])),
          ({ paylink, payment }) => paymentOnWire(paylink, payment),
        ),
    }),
  );

  app.get(
    '/payments/:id',
    call({
      operation: 'payment',
      names({ id }) {
        const paylink = paylinks.byPayment(id)?.paylink;
        return [id, paylink?.id, paylink?.reference];
      },
      result({ merchant, id }) {
        const paid = paylinks.byPayment(id);
        if (paid?.paylink.merchant !== merchant.name) throw missing('payments', 'Payment not found');
        return { data: paymentOnWire(paid.paylink, paid.payment) };
      },
    }),
  );

  app.get(
    '/events',
    call({
      operation: 'events',
      result: ({ merchant, query }) =>
        listed(paylinks.events(merchant, parsePage(query, 'events')), ({ type, action, at, data }) => ({
          type,
          action,
          id: data.id,
          timestamp: instant(at),
          data,
        })),
    }),
  );

  app.all('*', (c) => c.json(errorBody(404, 'routes', 'NotFound', `No such call: ${c.req.method} ${c.req.path}`), 404));

  return app;
}

function listed<T>({ items, total, next, lastUpdate }: Listing<T>, onWire: (item: T) => unknown) {
  return { data: { items: items.map(onWire), total, next, last_update: instant(lastUpdate) } };
}

/** The texts of what is not there are [assumed]; the shape is the seed's. */
const missing = (domain: string, message: string) => new ApiError(404, domain, 'NotFound', message);

function errorBody(code: number, domain: string, reason: string, message: string) {
  return { error: { code, errors: [{ domain, reason }], message } };
}

/** Whole-call refusals, which only a fault can cause; those of 400 and 500 stand in the seed. */
function refused(status: number) {
  if (status === 400) return errorBody(400, 'orders', 'InsufficientQuantity', 'Insufficient quantity');
  if (status === 500) return errorBody(500, 'orders', 'Internal', 'Internal server error');
  if (status === 403) return errorBody(403, 'orgs', 'Forbidden', 'Forbidden');
  return errorBody(status, 'sandbox', 'Fault', 'Refused by a sandbox fault');
}

/** Parts of a body that nobody has checked yet. */
function peek(body: string): { reference?: string; enabled?: boolean } {
  try {
    const { reference, enabled } = JSON.parse(body);
    return {
      ...(typeof reference === 'string' && reference !== '' && { reference }),
      ...(typeof enabled === 'boolean' && { enabled }),
    };
  } catch {
    return {};
  }
}
