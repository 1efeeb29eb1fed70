import { OpenAPIHono, type z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Accounts } from '../activities/accounts.ts';
import { InvalidRequest, NotFound } from '../client/errors.ts';
import type { PaymentLinks } from '../client/index.ts';
import { parse } from '../client/requests.ts';
import type { Terms } from '../workflows/link.ts';
import type { CommandOutcome } from '../workflows/messages.ts';
import { createRequest, dismissRequest, idempotencyKey, reference as referenceSchema } from '../workflows/schema.ts';
import { type AppEnv, refuseOtherMethods, setUp } from './app.ts';
import {
  type ApiKey,
  authenticate,
  localPrincipal,
  maySee,
  type Principal,
  requireLocal,
  requireRole,
} from './auth.ts';
import { docsPage } from './docs.ts';
import { parseJson } from './json.ts';
import { type Limits, readBody } from './limits.ts';
import type { Log } from './log.ts';
import { Problem } from './problems.ts';
import { createRates } from './rates.ts';
import type { Readiness } from './readiness.ts';
import * as routes from './routes.ts';
import { listQuery, unmatchedQuery } from './schemas.ts';

/** What the API needs of the client. */
export type Links = Pick<
  PaymentLinks,
  | 'create'
  | 'get'
  | 'list'
  | 'timeline'
  | 'capture'
  | 'refund'
  | 'cancel'
  | 'extend'
  | 'markPaid'
  | 'markRefunded'
  | 'acknowledge'
  | 'resync'
  | 'resolveUnknown'
  | 'unmatched'
  | 'dismissUnmatched'
>;

export interface ApiOptions {
  links: Links;
  accounts: Accounts;
  /** Undefined: whoever reaches the listener is trusted, and only a loopback Host is served. */
  keys: readonly ApiKey[] | undefined;
  limits: Limits;
  log: Log;
  readiness(): Promise<Readiness>;
}

/** A request that came through: who asks, and what for. */
interface Call {
  c: Context<AppEnv>;
  principal: Principal;
}

/** The REST API, from Request to Response. */
export function createApi(options: ApiOptions): OpenAPIHono<AppEnv> {
  const { links, accounts, keys, limits, log, readiness } = options;
  const rates = createRates();
  const app = new OpenAPIHono<AppEnv>();
  setUp(app, 'api', log);
  app.use(async (c, next) => {
    // Nothing of ours is to run or be framed in a browser.
    c.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
    if (!keys) requireLocal(c.req.header('host'), c.req.header('origin'));
    await next();
  });

  /**
   * Serves a route and puts it into the document. The validators that come with `app.openapi` are not used: they
   * read bodies of any size and answer before our rule for 400 and 422.
   */
  function serve(route: routes.Route, handle: (call: Call) => Promise<Response>): void {
    app.openAPIRegistry.registerPath(route);
    app.on(route.method, pattern(route), async (c) => {
      const { entry } = c.var;
      entry.route = route.path;
      if (!route.role) return handle({ c, principal: NOBODY });
      const principal = keys
        ? authenticate(keys, c.req.header('authorization'))
        : localPrincipal(c.req.header('x-actor'));
      entry.actor = principal.actor;
      if (keys) requireRate(principal);
      requireRole(principal, route.role);
      return handle({ c, principal });
    });
  }

  /** @throws Problem 429 with the seconds to wait. */
  function requireRate({ actor, requestsPerSecond = limits.requestsPerSecond }: Principal): void {
    const waitMs = rates.take(actor, requestsPerSecond);
    if (waitMs === 0) return;
    const headers = { 'retry-after': String(Math.ceil(waitMs / 1_000)) };
    throw new Problem(429, 'rate_limited', `This caller may ask ${requestsPerSecond} times a second.`, { headers });
  }

  async function bodyOf<T>(c: Context<AppEnv>, schema: z.ZodType<T>): Promise<T> {
    const body = await readBody(c.req.raw, limits.apiBody, limits.drain);
    const contentType = c.req.header('content-type') ?? '';
    if (!/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(contentType)) {
      throw new Problem(415, 'unsupported_media_type', 'The body must be application/json.');
    }
    return parse(schema, parseJson(body));
  }

  /** The path's reference. A key that may not see its link is told what it would be told of no link. */
  async function referenceOf({ c, principal }: Call): Promise<string> {
    const reference = c.req.param('reference') ?? '';
    if (!referenceSchema.safeParse(reference).success) throw new NotFound(reference.slice(0, 100));
    c.var.entry.reference = reference;
    if (principal.accounts !== '*' && !maySee(principal, (await links.get(reference)).account)) {
      throw new NotFound(reference);
    }
    return reference;
  }

  serve(routes.create, async ({ c, principal }) => {
    const request = await bodyOf(c, createRequest);
    c.var.entry.reference = request.reference;
    const account = accounts.get(request.account);
    // An account the key may not use is one that is not there.
    if (!account || !maySee(principal, request.account)) {
      throw new InvalidRequest(422, [
        { pointer: '/account', code: 'unknown_account', message: 'is not a known account' },
      ]);
    }
    const { provider, config } = account;
    const check = (terms: Terms) => provider.accepts(terms, config, Date.now());
    const { link, created } = await links.create(request, { provider: provider.name, check });
    c.header('location', `/v1/payment-links/${encodeURIComponent(link.reference)}`);
    return c.json(link, link.url === null ? 202 : created ? 201 : 200);
  });

  /** A list, of which a key sees what is of its accounts. */
  function serveList<Query extends { account?: string }>(
    route: routes.Route,
    schema: z.ZodType<Query>,
    list: (query: Query & { accounts?: string[] }) => Promise<object>,
  ): void {
    serve(route, async ({ c, principal }) => {
      const given = c.req.queries();
      const twice = Object.entries(given).find(([, values]) => values.length > 1);
      if (twice) throw new InvalidRequest(400, [{ pointer: `/${twice[0]}`, message: 'is given more than once' }]);
      const query = parse(schema, c.req.query());
      if (query.account && !maySee(principal, query.account)) return c.json({ items: [] });
      const { accounts: seen } = principal;
      return c.json(await list({ ...query, ...(seen === '*' ? {} : { accounts: [...seen] }) }));
    });
  }

  serveList(routes.list, listQuery, (query) => links.list(query));
  serveList(routes.unmatched, unmatchedQuery, (query) => links.unmatched(query));

  serve(routes.dismissUnmatched, async ({ c, principal }) => {
    const request = await bodyOf(c, dismissRequest);
    const { account = '', about = '' } = c.req.param() as { account?: string; about?: string };
    if (!maySee(principal, account)) throw new NotFound(about.slice(0, 100));
    await links.dismissUnmatched({ account, about }, request, { actor: principal.actor });
    return c.json({ account, about });
  });

  serve(routes.get, async (call) => {
    const reference = await referenceOf(call);
    return call.c.json(await links.get(reference));
  });

  serve(routes.timeline, async (call) => {
    return call.c.json({ items: await links.timeline(await referenceOf(call)) });
  });

  /** Serves a command: body, key, link, in this order. */
  function serveCommand<Body>(
    route: routes.CommandRoute<Body>,
    send: (
      reference: string,
      body: Body,
      options: { idempotencyKey?: string; actor: string },
    ) => Promise<CommandOutcome>,
  ): void {
    serve(route, async (call) => {
      const { c, principal } = call;
      const body = await bodyOf(c, route.body);
      const key = keyOf(c.req.header('idempotency-key'), route.keyRequired);
      const reference = await referenceOf(call);
      const { link, operation } = await send(reference, body, { idempotencyKey: key, actor: principal.actor });
      return c.json(link, operation.state === 'succeeded' ? 200 : 202);
    });
  }

  serveCommand(routes.capture, (reference, body, how) => links.capture(reference, body, how));
  serveCommand(routes.refund, (reference, body, how) => links.refund(reference, body, how));
  serveCommand(routes.cancel, (reference, body, how) => links.cancel(reference, body, how));
  serveCommand(routes.resync, (reference, body, how) => links.resync(reference, body, how));
  serveCommand(routes.resolveUnknown, (reference, body, how) => links.resolveUnknown(reference, body, how));
  serveCommand(routes.extend, (reference, body, how) => links.extend(reference, body, how));
  serveCommand(routes.acknowledge, (reference, body, how) => links.acknowledge(reference, body, how));
  serveCommand(routes.markPaid, (reference, body, how) => links.markPaid(reference, body, how));
  serveCommand(routes.markRefunded, (reference, body, how) => links.markRefunded(reference, body, how));

  serve(routes.health, async ({ c }) => c.json({ status: 'ok' }));

  serve(routes.ready, async ({ c }) => {
    const { unknownAccounts, ...state } = await readiness();
    // Names of accounts are not for everybody.
    const trusted = !keys || authenticated(keys, c.req.header('authorization'));
    return c.json(trusted ? { ...state, unknownAccounts } : state, state.ready ? 200 : 503);
  });

  let document: object | undefined;
  // Made once, when every route is there.
  const documentOf = () => {
    document ??= app.getOpenAPI31Document({
      openapi: '3.1.0',
      info: {
        title: 'Perdure',
        version: '1',
        description: 'Payment links that are looked after until no money can move on them any more.',
      },
    });
    return document;
  };
  app.openAPIRegistry.registerComponent('securitySchemes', 'apiKey', { type: 'http', scheme: 'bearer' });
  serve(routes.openapi, async ({ c }) => c.json(documentOf()));
  const page = docsPage(documentOf);
  serve(routes.docs, async ({ c }) => page(c));

  refuseOtherMethods(
    app,
    app.openAPIRegistry.definitions.flatMap((found) =>
      found.type === 'route' ? [{ path: pattern(found.route), method: found.route.method }] : [],
    ),
  );
  return app;
}

const NOBODY: Principal = { actor: '', role: 'read', accounts: [] };

/** `/a/{b}` as the router writes it. */
const pattern = ({ path }: { path: string }) => path.replaceAll(/\{(\w+)\}/g, ':$1');

function authenticated(keys: readonly ApiKey[], authorization: string | undefined): boolean {
  try {
    return authenticate(keys, authorization).accounts === '*';
  } catch {
    return false;
  }
}

/** @throws Problem 400 naming the header. */
function keyOf(header: string | undefined, required: boolean): string | undefined {
  if (header === undefined && !required) return undefined;
  const checked = idempotencyKey.safeParse(header);
  if (checked.success) return checked.data;
  const message = header === undefined ? 'is required' : 'must be 1–255 visible ASCII characters';
  const details = { errors: [{ pointer: '/Idempotency-Key', message }] };
  throw new Problem(400, 'invalid_request', `The header Idempotency-Key ${message}.`, details);
}
