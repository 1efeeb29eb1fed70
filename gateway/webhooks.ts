import { createHmac, randomBytes } from 'node:crypto';
import { type Context, Hono } from 'hono';
import type { Account, Accounts } from '../activities/accounts.ts';
import { NotAuthentic, type WebhookNews, type WebhookRequest } from '../activities/provider.ts';
import { tokenMatches } from '../activities/tokens.ts';
import type { News, PaymentLinks } from '../client/index.ts';
import { reference as referenceSchema } from '../workflows/schema.ts';
import { type AccessEntry, type AppEnv, refuseOtherMethods, setUp } from './app.ts';
import { type Limits, readBody } from './limits.ts';
import type { Log } from './log.ts';
import { Problem, unavailable } from './problems.ts';
import { createTurns } from './turns.ts';

export interface WebhookOptions {
  links: Pick<PaymentLinks, 'observe' | 'keepUnmatched'>;
  accounts: Accounts;
  /** Secrets that came from registering at the provider, beside the configured ones. */
  secretsOf(account: string): readonly string[];
  tokenKeys: readonly string[];
  limits: Limits;
  log: Log;
}

/** One answer for whatever is not authentic: it tells nothing about which accounts and links there are. */
const NOT_AUTHENTIC = new Problem(401, 'unauthorized', 'The request is not authentic.');
/** Seconds. Temporal is usually back soon; a link that nobody knows is not going to appear in a moment. */
const RETRY_SOON = '5';
const RETRY_LATER = '60';

/**
 * Where providers send their news, from Request to Response. Verified over the raw bytes before anything is looked up;
 * 2xx only once Temporal holds it.
 */
export function createWebhooks(options: WebhookOptions): Hono<AppEnv> {
  const { links, accounts, secretsOf, tokenKeys, limits, log } = options;
  const app = new Hono<AppEnv>();
  const turnOf = createTurns();
  setUp(app, 'webhooks', log);

  async function receive(c: Context<AppEnv>): Promise<Response> {
    const at = Date.now();
    const name = c.req.param('account') ?? '';
    const body = await readBody(c.req.raw, limits.webhookBody, limits.drain);
    const request: WebhookRequest = { body, headers: c.req.header(), query: new URL(c.req.url).searchParams };
    const { account, signed } = authenticAccount(name, request, at, c.var.entry);
    c.var.entry.account = account.name;
    const addressed = addressedReference(c.req.param('reference'), account.name, request.query);
    const news = read(account, request, at, c.var.entry);
    if (news.ignore) return c.body(null, 200);
    const reference = addressed ?? validReference(news.reference);
    c.var.entry.reference = reference;
    const { ids, facts } = news;
    const named = validReference(news.reference) ?? addressed;
    const bytes = news.signed ?? body;
    const turn = turnOf(`${account.name} ${reference ?? ids[0]}`, bytes, at);
    const told = { account: account.name, reference, named, ids, body: bytes, turn, at, signed, facts };
    const outcome = await inTime(handOver(told, account.shared ?? false));
    if (outcome === 'accepted') return c.body(null, 200);
    c.var.entry.reason = 'unmatched';
    if (outcome === 'kept') return c.body(null, 202);
    throw unavailable('Too many webhooks of this account name no open link; send it again later.', RETRY_LATER);
  }

  /** To the link it names, or to those who keep it for one. */
  async function handOver(news: News, shared: boolean): Promise<'accepted' | 'kept' | 'full'> {
    if ((await links.observe(news)) === 'accepted') return 'accepted';
    return links.keepUnmatched(news, { shared });
  }

  /** @throws Problem 401 unless the provider of the account signed the request for it. */
  function authenticAccount(name: string, request: WebhookRequest, at: number, entry: AccessEntry) {
    const account = accounts.get(name);
    const webhook = account?.provider.webhook;
    if (!account || !webhook) {
      // As much work as a signature, so that the time does not tell which accounts there are.
      createHmac('sha256', DECOY).update(request.body).digest();
      entry.reason = 'no account of this name hears webhooks';
      throw NOT_AUTHENTIC;
    }
    try {
      if (hasRepeats(request.query)) throw new NotAuthentic('a query parameter is given twice');
      const secrets = [...account.webhookSecrets, ...secretsOf(name)];
      return { account, signed: webhook.verify(request, account.config, secrets, at) === 'signed' };
    } catch (error) {
      // A verifier that fails in an unforeseen way has not verified.
      entry.account = name;
      const { requestId } = entry;
      entry.reason = error instanceof NotAuthentic ? error.message : 'the verifier failed';
      if (!(error instanceof NotAuthentic)) log.error({ event: 'fault', requestId, error });
      else if (error.stale)
        log.warn({ event: 'a signed webhook is out of time: check the clock', requestId, account: name });
      throw NOT_AUTHENTIC;
    }
  }

  /** The link a callback URL was made for; undefined on the account's own URL. */
  function addressedReference(
    segment: string | undefined,
    account: string,
    query: URLSearchParams,
  ): string | undefined {
    if (segment === undefined) return undefined;
    const reference = validReference(Buffer.from(segment, 'base64url').toString('utf8'));
    if (reference === undefined || !tokenMatches(tokenKeys, account, reference, query.get('t') ?? '')) {
      throw NOT_AUTHENTIC;
    }
    return reference;
  }

  function read({ provider, config }: Account, request: WebhookRequest, at: number, entry: AccessEntry): WebhookNews {
    try {
      return provider.webhook!.read(request, config, at);
    } catch (error) {
      // The kind of error only: a parser's message quotes the body.
      entry.reason = `authentic but unreadable (${(error as Error).name})`;
      // Not lost: the link polls. 2xx would say that we keep what we cannot read.
      throw unavailable('The body cannot be read.', RETRY_LATER);
    }
  }

  /** A provider waits a few seconds for its answer; ours is "later" before that, whatever is being waited for. */
  async function inTime<T>(accepted: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable('Not accepted in time.', RETRY_SOON)), limits.observeMs);
    });
    try {
      return await Promise.race([accepted, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  const routes = ['/webhooks/:account', '/webhooks/:account/:reference'];
  for (const path of routes) {
    app.post(path, (c) => {
      c.var.entry.route = path;
      return receive(c);
    });
  }
  refuseOtherMethods(
    app,
    routes.map((path) => ({ path, method: 'POST' })),
  );
  return app;
}

const DECOY = randomBytes(32);

const validReference = (text: string | undefined) => referenceSchema.safeParse(text).data;

function hasRepeats(query: URLSearchParams): boolean {
  const names = [...query.keys()];
  return new Set(names).size < names.length;
}
