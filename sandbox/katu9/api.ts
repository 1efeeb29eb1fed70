import { performance } from 'node:perf_hooks';
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { answer, type SocketContext } from '../broken-answers.ts';
import type { Faults } from '../faults.ts';
import type { Deliveries } from '../webhooks.ts';
import { ENVIRONMENTS, type Environment, type Merchant, merchantByToken } from './merchants.ts';
import { ApiError, INVALID, parseLinkRequest, parseTransaction } from './requests.ts';
import { liveLink, referenceOf, type Transaction } from './transaction.ts';
import type { Transactions } from './transactions.ts';
import { type Event, linkOnWire, transactionOnWire } from './wire.ts';

/** What faults may be ordered for: `create` is the first step, the transaction; `generate` the second, its link. */
export const OPERATIONS = ['create', 'generate', 'inquire'] as const;

type Operation = (typeof OPERATIONS)[number];

/** The seed's text, and the one error without `details`. */
const LIVE_LINK = 'A non-expired payment link already exists for this transaction in this environment.';

export interface ApiParts {
  transactions: Transactions;
  deliveries: Deliveries;
  faults: Faults;
  /** Every webhook is delivered before the answer to the call that caused it. */
  webhookFirst: boolean;
  publicUrl(): string;
  announce(event: Event, transaction: Transaction): Promise<unknown>;
  log(message: string, fields?: Record<string, unknown>): void;
}

/** A call that got past the headers. */
interface Request {
  merchant: Merchant;
  environment: Environment;
  body: string;
  query: Record<string, string>;
}

interface Outcome {
  status: 200 | 201;
  data: unknown;
  news?: { event: Event; transaction: Transaction };
}

/** How one documented call works: whom it is about, and what it does. */
interface Handler {
  operation: Operation;
  /** Ids and references for matching faults, found without doing any of the work. */
  names(request: Request): (string | undefined)[];
  act(request: Request): Promise<Outcome> | Outcome;
}

/** Katu9's API: the calls a payment link needs, with their errors. */
export function katu9Api(parts: ApiParts): Hono<{ Bindings: HttpBindings }> {
  const { transactions, deliveries, faults, webhookFirst, publicUrl, announce, log } = parts;
  const app = new Hono<{ Bindings: HttpBindings }>();
  const refuse = (c: SocketContext, { status, message, details }: ApiError) =>
    c.json({ error: { message, ...(details && { details }) } }, status);
  const tooLarge = new ApiError(400, INVALID, { body: 'is too large' });
  app.use(bodyLimit({ maxSize: 1024 * 1024, onError: (c) => refuse(c as SocketContext, tooLarge) }));

  const call = (handler: Handler) => async (c: SocketContext) => {
    let request: Request;
    try {
      request = { ...admitted(c), body: await c.req.text(), query: c.req.query() };
    } catch (error) {
      if (error instanceof ApiError) return refuse(c, error);
      throw error;
    }
    let about: string | undefined;
    return answer(c, faults, {
      operation: handler.operation,
      names: handler.names(request).filter((name) => name !== undefined),
      async act() {
        try {
          const { status, data, news } = await handler.act(request);
          about = news?.transaction.id;
          // Otherwise behind the answer's back, as at the provider: webhook and answer race.
          const told = news && announce(news.event, news.transaction);
          if (webhookFirst) await told;
          return c.json({ data }, status);
        } catch (error) {
          if (error instanceof ApiError) return refuse(c, error);
          log('katu9 call failed', { operation: handler.operation, error: String(error) });
          return c.json({ error: { message: 'Internal server error', details: {} } }, 500);
        }
      },
      refuse: (status) =>
        c.json({ error: { message: 'Refused by a sandbox fault', details: {} } }, status as ContentfulStatusCode),
      async announced() {
        if (about) await deliveries.quiet(about);
      },
    });
  };

  const namesOf = (transaction: Transaction | undefined, id: string | undefined) => [
    id,
    ...(transaction ? [referenceOf(transaction), ...transaction.links.map((link) => link.id)] : []),
  ];

  app.post(
    '/transaction',
    call({
      operation: 'create',
      names: ({ body }) => Object.values(peek(body).metadata),
      async act({ merchant, environment, body }) {
        const request = parseTransaction(body);
        if (request.paymentMethodId !== undefined && request.paymentMethodId !== merchant.paymentMethodId) {
          throw new ApiError(404, 'Payment method not found');
        }
        const { transaction, durable } = transactions.create(merchant, environment, request);
        await durable;
        const data = transactionOnWire(transaction, publicUrl());
        return { status: 201, data, news: { event: 'transaction.created', transaction } };
      },
    }),
  );

  app.post(
    '/payment-link/generate',
    call({
      operation: 'generate',
      names({ body }) {
        const { transactionId } = peek(body);
        return namesOf(transactions.byId(transactionId), transactionId);
      },
      async act({ merchant, environment, body }) {
        const [before, request] = parseLinkRequest(body, (id) => {
          const found = transactions.byId(id);
          const ours = found?.merchant === merchant.name && found.environment === environment;
          if (!found || !ours) throw new ApiError(404, 'Transaction not found');
          return found;
        });
        if (liveLink(before)) throw new ApiError(409, LIVE_LINK, null);
        // [assumed] The document only says that an expired link can be replaced.
        if (before.type !== 'DEPOSIT') throw new ApiError(400, 'Only a DEPOSIT can have a payment link');
        if (before.status !== 'PENDING' && before.status !== 'EXPIRED') {
          throw new ApiError(400, `A ${before.status} transaction cannot have a new payment link`);
        }
        const { transaction, link, durable } = transactions.generate(before, request);
        await durable;
        const data = { paymentLink: linkOnWire(link, publicUrl()) };
        return { status: 200, data, news: { event: 'payment_link.created', transaction } };
      },
    }),
  );

  app.get(
    '/transaction',
    call({
      operation: 'inquire',
      names: ({ query: { id } }) => namesOf(transactions.byId(id), id),
      act({ merchant, environment, query: { id } }) {
        if (!id) throw new ApiError(400, INVALID, { id: 'is required' });
        const transaction = transactions.byId(id);
        if (transaction?.environment !== environment) throw new ApiError(404, 'Transaction not found');
        if (transaction.merchant !== merchant.name) {
          throw new ApiError(403, 'Transaction belongs to another merchant');
        }
        return { status: 200, data: transactionOnWire(transaction, publicUrl()) };
      },
    }),
  );

  app.get('/health', (c) => {
    const began = performance.now();
    transactions.byId('');
    const responseTime = Math.round(performance.now() - began);
    return c.json({ status: 'ok', database: { status: 'ok', responseTime }, timestamp: new Date().toISOString() });
  });
  app.all('*', (c) => refuse(c, new ApiError(404, `No such call: ${c.req.method} ${c.req.path}`)));

  return app;
}

/** Bearer token, merchant and environment; texts are [assumed], as is that every call wants all three headers. */
function admitted(c: SocketContext): Pick<Request, 'merchant' | 'environment'> {
  const [, token] = /^Bearer (\S+)$/i.exec(c.req.header('authorization') ?? '') ?? [];
  const merchant = merchantByToken(token);
  if (!merchant) throw new ApiError(401, 'Unauthorized');
  const id = c.req.header('x-katu9-merchant-id');
  const environment = ENVIRONMENTS.find((known) => known === c.req.header('x-katu9-environment'));
  if (id === undefined) throw new ApiError(400, INVALID, { 'x-katu9-merchant-id': 'is required' });
  if (!environment) throw new ApiError(400, INVALID, { 'x-katu9-environment': 'must be PRODUCTION or SANDBOX' });
  if (id !== merchant.id) throw new ApiError(403, 'The token belongs to another merchant');
  if (environment === 'PRODUCTION' && !merchant.active) throw new ApiError(403, 'Merchant is not active');
  return { merchant, environment };
}

/** Ids of a body that nobody has checked yet. */
function peek(body: string): { transactionId?: string; metadata: Record<string, string> } {
  const text = (value: unknown) => typeof value === 'string';
  try {
    const { transactionId, metadata } = JSON.parse(body);
    const texts = Object.entries(metadata ?? {}).filter(([, value]) => text(value));
    return {
      ...(text(transactionId) && { transactionId }),
      metadata: Object.fromEntries(texts) as Record<string, string>,
    };
  } catch {
    return { metadata: {} };
  }
}
