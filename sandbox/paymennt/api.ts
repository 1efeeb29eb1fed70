import { performance } from 'node:perf_hooks';
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { answer, type SocketContext } from '../broken-answers.ts';
import type { Faults } from '../faults.ts';
import { Refused } from '../provider.ts';
import type { Deliveries } from '../webhooks.ts';
import { type Checkout, STATUSES, type Status } from './checkout.ts';
import type { Changed, Checkouts } from './checkouts.ts';
import { type Merchant, merchantByKey } from './merchants.ts';
import type { Registration, Registrations } from './registrations.ts';
import { parseLinkRequest, parsePage, parseRefund, parseSearch, parseWebhookRequest } from './requests.ts';
import { type Change, cancelled, captured, refunded, type Stamp } from './transitions.ts';
import { checkoutOnWire, paymentOnWire } from './wire.ts';

/** What faults may be ordered for. `payment` is the read of a payment, `webhooks` every call about registrations. */
export const OPERATIONS = ['create', 'inquire', 'find', 'capture', 'cancel', 'refund', 'payment', 'webhooks'] as const;

type Operation = (typeof OPERATIONS)[number];

export interface ApiParts {
  checkouts: Checkouts;
  registrations: Registrations;
  deliveries: Deliveries;
  faults: Faults;
  publicUrl(): string;
  /** Tells subscribers of a checkout's present state. */
  announce(checkout: Checkout, status?: Status): Promise<unknown>;
  log(message: string, fields?: Record<string, unknown>): void;
}

/** A call that got past the keys. */
interface Request {
  merchant: Merchant;
  body: string;
  query: Record<string, string>;
  /** The id in the path. */
  id: string;
}

/** How one documented call works: whom it is about, and what it does. */
interface Handler {
  operation: Operation;
  /** Ids and references for matching faults, found without doing any of the work. */
  names?(request: Request): (string | undefined)[];
  result(request: Request): Promise<unknown> | unknown;
}

/** paymennt's merchant API 2.0: the calls a payment link needs, with envelope, errors and both families of key headers. */
export function merchantApi(parts: ApiParts): Hono<{ Bindings: HttpBindings }> {
  const { checkouts, registrations, deliveries, faults, announce, publicUrl, log } = parts;
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.use(bodyLimit({ maxSize: 1024 * 1024, onError: (c) => c.json(failure('Request body is too large'), 400) }));

  const call = (handler: Handler) => async (c: SocketContext) => {
    const started = performance.now();
    const elapsed = () => Math.round(performance.now() - started);
    const merchant = merchantByKey(...keys(c));
    if (!merchant) return c.json(failure('Invalid API credentials', elapsed()), 401);

    const request = { merchant, body: await c.req.text(), query: c.req.query(), id: c.req.param('id') ?? '' };
    const names = (handler.names?.(request) ?? []).filter((name) => name !== undefined);
    return answer(c, faults, {
      operation: handler.operation,
      names,
      async act() {
        try {
          return c.json({ success: true, elapsed: elapsed(), result: await handler.result(request) });
        } catch (error) {
          if (error instanceof Refused) return c.json(failure(error.message, elapsed()), 400);
          log('paymennt call failed', { operation: handler.operation, error: String(error) });
          return c.json(failure('Internal server error', elapsed()), 500);
        }
      },
      refuse: (status) => c.json(failure(`Refused by a sandbox fault`, elapsed()), status as ContentfulStatusCode),
      async announced() {
        const checkout = checkouts.byId(request.id) ?? checkoutOfRequest(request);
        // A new checkout is no news by itself; its notice is what arrives before the create answer.
        if (handler.operation === 'create' && checkout) await announce(checkout);
        else if (checkout) await deliveries.quiet(checkout.id);
      },
    });
  };

  const own = ({ merchant, id }: Request): Checkout => {
    const checkout = checkouts.byId(id);
    if (checkout?.merchant !== merchant.name) throw new Refused('Checkout not found for API merchant');
    return checkout;
  };

  const ownByPayment = ({ merchant, id }: Request): Checkout => {
    const checkout = checkouts.byPayment(id);
    if (checkout?.merchant !== merchant.name) throw new Refused('Payment not found for API merchant');
    return checkout;
  };

  function checkoutOfRequest({ merchant, body, id }: Request): Checkout | undefined {
    const { requestId } = peek(body);
    if (requestId === undefined) return checkouts.byPayment(id);
    return checkouts.search(merchant, { requestId, page: 0, size: 1 })[0];
  }

  async function change(checkout: Checkout, transition: (now: Checkout, stamp: Stamp) => Change): Promise<Changed> {
    const changed = checkouts.change(checkout.id, transition);
    await changed.durable;
    // Behind the answer's back, as at the provider: webhook and answer race.
    void announce(changed.checkout);
    return changed;
  }

  const onWire = (checkout: Checkout) => checkoutOnWire(checkout, publicUrl());
  const paymentWire = (checkout: Checkout, id: string) => {
    const payment = checkout.payments.find((candidate) => candidate.id === id);
    if (!payment) throw new Refused('Payment not found for API merchant');
    return paymentOnWire(checkout, payment, publicUrl());
  };
  const named = ({ id }: Request) => {
    const checkout = checkouts.byId(id) ?? checkouts.byPayment(id);
    return [id, checkout?.id, checkout?.orderId, checkout?.requestId];
  };

  app.post(
    '/checkout/link',
    call({
      operation: 'create',
      names: ({ body }) => Object.values(peek(body)),
      async result({ merchant, body }) {
        const { checkout, durable } = checkouts.create(merchant, parseLinkRequest(body));
        await durable;
        return onWire(checkout);
      },
    }),
  );

  app.get(
    '/checkout',
    call({
      operation: 'find',
      names: ({ query }) => [query.requestId, query.orderId],
      result({ merchant, query }) {
        const search = parseSearch(query, STATUSES);
        return pageOf(checkouts.search(merchant, search), search, onWire);
      },
    }),
  );

  app.get('/checkout/:id', call({ operation: 'inquire', names: named, result: (request) => onWire(own(request)) }));

  app.post(
    '/checkout/:id/cancel',
    call({
      operation: 'cancel',
      names: named,
      result: async (request) => onWire((await change(own(request), cancelled)).checkout),
    }),
  );

  app.post(
    '/checkout/:id/refund',
    call({
      operation: 'refund',
      names: named,
      async result(request) {
        const refund = parseRefund(request.query);
        return onWire((await change(own(request), (now, { at }) => refunded(now, refund, at))).checkout);
      },
    }),
  );

  // Takes no amount, neither in query nor in body: a capture is always of the whole.
  app.post(
    '/payment/:id/capture',
    call({
      operation: 'capture',
      names: named,
      async result(request) {
        const { id } = request;
        const { checkout } = await change(ownByPayment(request), (now, { at }) => captured(now, id, at));
        return paymentWire(checkout, id);
      },
    }),
  );

  app.get(
    '/payment/:id',
    call({
      operation: 'payment',
      names: named,
      result: (request) => paymentWire(ownByPayment(request), request.id),
    }),
  );

  const webhooks = (result: (request: Request) => Promise<unknown> | unknown) =>
    call({ operation: 'webhooks', result });
  const ownWebhook = ({ merchant, id }: Request) => registrations.get(merchant, id);

  app.post(
    '/webhooks',
    webhooks(async ({ merchant, body }) =>
      webhookOnWire(await registrations.register(merchant, parseWebhookRequest(body))),
    ),
  );
  app.get(
    '/webhooks',
    webhooks(({ merchant, query }) => {
      const { page, size } = parsePage(query);
      return registrations
        .list(merchant)
        .slice(page * size, (page + 1) * size)
        .map(webhookOnWire);
    }),
  );
  app.get(
    '/webhooks/:id',
    webhooks((request) => webhookOnWire(ownWebhook(request))),
  );
  app.post(
    '/webhooks/:id/test',
    webhooks(async (request) => {
      const registration = ownWebhook(request);
      await deliveries.send({
        link: registration.id,
        names: [registration.id],
        body: JSON.stringify({ id: registration.id, status: 'TEST' }),
        subscribers: [{ ...registrations.subscriber(registration), live: () => true }],
      });
      return webhookOnWire(ownWebhook(request));
    }),
  );
  app.post(
    '/webhooks/:id/enable',
    webhooks(async (request) => webhookOnWire(await registrations.update(ownWebhook(request), { enabled: true }))),
  );
  app.post(
    '/webhooks/:id/disable',
    webhooks(async (request) => webhookOnWire(await registrations.update(ownWebhook(request), { enabled: false }))),
  );
  app.post(
    '/webhooks/:id/delete',
    webhooks(async (request) => webhookOnWire(await registrations.remove(ownWebhook(request)))),
  );
  app.all('*', (c) => c.json(failure(`No such call: ${c.req.method} ${c.req.path}`), 404));

  return app;
}

/** The document names `X-Paymennt-*`; the official PHP SDK still sends the older names. */
function keys(c: SocketContext): [string | undefined, string | undefined] {
  const header = (name: string) =>
    c.req.header(`X-Paymennt-Api-${name}`) ?? c.req.header(`X-PointCheckout-Api-${name}`);
  return [header('Key'), header('Secret')];
}

function failure(error: string, elapsed = 0) {
  return { success: false, elapsed, error };
}

/** Ids of a create body that nobody has checked yet. */
function peek(body: string): { requestId?: string; orderId?: string } {
  try {
    const { requestId, orderId } = JSON.parse(body);
    const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
    return { requestId: text(requestId), orderId: text(orderId) };
  } catch {
    return {};
  }
}

/** `totalElements` counts all pages, though the document says "in the current page" [assumed: `totalPages` would not fit]. */
function pageOf(
  all: Checkout[],
  { page, size }: { page: number; size: number },
  onWire: (checkout: Checkout) => unknown,
) {
  return {
    page,
    size,
    totalPages: Math.ceil(all.length / size),
    totalElements: all.length,
    content: all.slice(page * size, (page + 1) * size).map(onWire),
  };
}

function webhookOnWire({ id, hmacKey, address, failed, enabled }: Registration) {
  return { id, hmacKey, address, failed, enabled };
}
