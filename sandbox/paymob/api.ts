import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { answer, type SocketContext } from '../broken-answers.ts';
import type { Faults } from '../faults.ts';
import type { Deliveries } from '../webhooks.ts';
import {
  ApiError,
  duplicateReference,
  incorrectCredentials,
  invalid,
  notCapturable,
  notFound,
  unknownTransaction,
  wrongMediaType,
} from './errors.ts';
import type { Link } from './link.ts';
import type { Links } from './links.ts';
import { MERCHANTS, type Merchant } from './merchants.ts';
import { parseInquiry, parseLinkRequest, parseMove, parseTokenRequest, parseVoid, peek } from './requests.ts';
import type { Tokens } from './tokens.ts';
import { cancelled, captured, refunded, type Transition, voided } from './transitions.ts';
import { linkOnWire, transactionOnWire } from './wire.ts';

/**
 * What faults may be ordered for. `inquire` is the order's last transaction, `transaction` the read of one, `cancel` of a
 * link; a fault `status` 401 is a token that has expired.
 */
export const OPERATIONS = ['token', 'create', 'cancel', 'inquire', 'transaction', 'capture', 'void', 'refund'] as const;

type Operation = (typeof OPERATIONS)[number];

export interface ApiParts {
  links: Links;
  tokens: Tokens;
  deliveries: Deliveries;
  faults: Faults;
  publicUrl(): string;
  /** Calls back about these transactions. */
  announce(link: Link, transactions: readonly number[]): Promise<unknown>;
  log(message: string, fields?: Record<string, unknown>): void;
}

type Form = Record<string, string | File | (string | File)[]>;

/** A call before and after anything of it was checked. */
interface Request {
  body: string;
  form: Form;
  /** The number in the path. */
  id: number;
  /** Without credentials the first one, for whom nothing is done: only faults look for a link of his. */
  merchant: Merchant;
}

/** How one documented call works. */
interface Handler {
  operation: Operation;
  /** Bearer auth token, `Token` secret key, or one of them. */
  scheme: 'token' | 'secret' | 'either' | 'none';
  multipart?: boolean;
  /** The link it is about, found without doing any of the work. */
  subject(request: Request): Link | undefined;
  result(request: Request): Promise<unknown> | unknown;
}

/** Paymob's API: the calls a QuickLink needs, with its two ways of signing in and the errors of each. */
export function merchantApi(parts: ApiParts): Hono<{ Bindings: HttpBindings }> {
  const { links, tokens, deliveries, faults, announce, publicUrl, log } = parts;
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.use(bodyLimit({ maxSize: 1024 * 1024, onError: (c) => c.json({ detail: 'Request body is too large.' }, 413) }));

  function merchantOf(header: string | undefined, scheme: Handler['scheme'], body: string): Merchant | undefined {
    const [, word, credential] = /^(Bearer|Token) (\S+)$/.exec(header ?? '') ?? [];
    const named = peek(body).auth_token;
    const byToken = tokens.holder(word === 'Bearer' ? credential : typeof named === 'string' ? named : undefined);
    const bySecret = word === 'Token' ? MERCHANTS.find(({ secretKey }) => secretKey === credential) : undefined;
    if (scheme === 'token') return byToken;
    return scheme === 'secret' ? bySecret : (byToken ?? bySecret);
  }

  const call = (handler: Handler) => async (c: SocketContext) => {
    const type = c.req.header('content-type')?.split(';')[0]?.trim() ?? '';
    const isForm = type === 'multipart/form-data';
    const form: Form = isForm ? await c.req.parseBody({ all: true }).catch(() => ({})) : {};
    const body = isForm ? '' : await c.req.text();
    const found = merchantOf(c.req.header('authorization'), handler.scheme, body);
    const request: Request = { body, form, id: Number(c.req.param('id')), merchant: found ?? MERCHANTS[0]! };
    const link = handler.subject(request);
    return answer(c, faults, {
      operation: handler.operation,
      names: link ? namesOf(link) : [form.reference_id].filter((name) => typeof name === 'string'),
      async act() {
        try {
          if (!found && handler.scheme !== 'none') throw incorrectCredentials();
          if (handler.multipart && !isForm) throw wrongMediaType(type);
          return c.json(await handler.result(request));
        } catch (error) {
          if (error instanceof ApiError) return c.json(error.body, error.status as ContentfulStatusCode);
          log('paymob call failed', { operation: handler.operation, error: String(error) });
          return c.json({ detail: 'Internal server error' }, 500);
        }
      },
      refuse: (status) => {
        const body = status === 401 ? incorrectCredentials().body : { detail: 'Refused by a sandbox fault' };
        return c.json(body, status as ContentfulStatusCode);
      },
      async announced() {
        const made = handler.subject(request);
        if (made) await deliveries.quiet(String(made.id));
      },
    });
  };

  const own = (merchant: Merchant, link: Link | undefined, missing: () => ApiError): Link => {
    if (link?.merchant !== merchant.name) throw missing();
    return link;
  };

  const transactionIn = ({ body }: Request) => links.byTransaction(Number(peek(body).transaction_id));

  /** A capture, void or refund: answers the child it made. */
  async function move({ merchant }: Request, id: number, missing: () => ApiError, transition: Transition) {
    const { id: link } = own(merchant, links.byTransaction(id), missing);
    const changed = links.change(link, transition);
    await changed.durable;
    // Behind the answer's back, as at the provider: callback and answer race.
    void announce(changed.link, changed.news);
    return shown(changed.link, changed.news[0]!);
  }

  const shown = (link: Link, id: number) =>
    transactionOnWire(link, link.transactions.find((transaction) => transaction.id === id)!);

  app.post(
    '/auth/tokens',
    call({
      operation: 'token',
      scheme: 'none',
      subject: () => undefined,
      result({ body }) {
        const issued = tokens.issue(parseTokenRequest(body).api_key);
        if (!issued) throw incorrectCredentials();
        return { token: issued.token, profile: { id: issued.merchant.profile } };
      },
    }),
  );

  app.post(
    '/ecommerce/payment-links',
    call({
      operation: 'create',
      // The guide shows the secret key in a table and the token in its prose [assumed: both work].
      scheme: 'either',
      multipart: true,
      subject: ({ form, merchant }) => links.byReference(String(form.reference_id), merchant),
      async result({ form, merchant }) {
        const request = await parseLinkRequest(form, merchant);
        // Nothing waits between this look and the link that is made.
        if (request.reference !== undefined && links.byReference(request.reference, merchant)) {
          throw duplicateReference();
        }
        const { link, durable } = links.create(merchant, request);
        await durable;
        return linkOnWire(link, publicUrl());
      },
    }),
  );

  app.post(
    '/ecommerce/payment-links/cancel',
    call({
      operation: 'cancel',
      scheme: 'token',
      multipart: true,
      subject: ({ form }) => links.byId(Number(form.payment_link_id)),
      async result({ form, merchant }) {
        if (form.payment_link_id === undefined) throw invalid({ payment_link_id: ['This field is required.'] });
        const { id } = own(merchant, links.byId(Number(form.payment_link_id)), notFound);
        const { durable } = links.change(id, cancelled);
        await durable;
        return { success: true, message: 'Canceled by merchant', payment_link_id: id };
      },
    }),
  );

  const ordered = ({ body, merchant }: Request) => {
    const { order_id, merchant_order_id } = peek(body);
    return links.byOrder(Number(order_id)) ?? links.byReference(String(merchant_order_id), merchant);
  };

  app.post(
    '/ecommerce/orders/transaction_inquiry',
    call({
      operation: 'inquire',
      scheme: 'token',
      subject: ordered,
      result(request) {
        parseInquiry(request.body);
        const link = own(request.merchant, ordered(request), notFound);
        const last = link.transactions.at(-1);
        if (!last) throw notFound();
        return shown(link, last.id);
      },
    }),
  );

  app.get(
    '/acceptance/transactions/:id',
    call({
      operation: 'transaction',
      scheme: 'token',
      subject: ({ id }) => links.byTransaction(id),
      result: ({ id, merchant }) => shown(own(merchant, links.byTransaction(id), notFound), id),
    }),
  );

  app.post(
    '/acceptance/capture',
    call({
      operation: 'capture',
      scheme: 'secret',
      subject: transactionIn,
      result(request) {
        const { transaction_id, amount_cents } = parseMove(request.body);
        return move(request, transaction_id, notCapturable, captured(transaction_id, amount_cents));
      },
    }),
  );

  app.post(
    '/acceptance/void_refund/void',
    call({
      operation: 'void',
      scheme: 'secret',
      subject: transactionIn,
      result(request) {
        const { transaction_id } = parseVoid(request.body);
        return move(request, transaction_id, unknownTransaction, voided(transaction_id));
      },
    }),
  );

  app.post(
    '/acceptance/void_refund/refund',
    call({
      operation: 'refund',
      scheme: 'secret',
      subject: transactionIn,
      result(request) {
        const { transaction_id, amount_cents } = parseMove(request.body);
        return move(request, transaction_id, unknownTransaction, refunded(transaction_id, amount_cents));
      },
    }),
  );

  return app;
}

/** Everything a fault may name a link by. */
export function namesOf({ id, order, reference, transactions }: Link): string[] {
  return [id, order, reference ?? '', ...transactions.map((transaction) => transaction.id)].map(String);
}
