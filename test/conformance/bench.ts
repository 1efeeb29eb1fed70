/** A running sandbox, the wire to it, and links as the questions meet them. */
import { createServer } from 'node:http';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { createHttp, type HttpOptions } from '../../activities/http.ts';
import { abilitiesOf } from '../../activities/index.ts';
import type { Answer, Call, CreateCall, ProviderLink, WebhookRequest } from '../../activities/provider.ts';
import { controlPlane } from '../../sandbox/control.ts';
import type { LedgerEntry } from '../../sandbox/ledger.ts';
import { type Action, type ActionInput, Refused, type SandboxProvider } from '../../sandbox/provider.ts';
import { openStore } from '../../sandbox/store.ts';
import { exponentOf } from '../../workflows/currencies.ts';
import { exceptionsOf } from '../../workflows/exceptions.ts';
import { type Facts, join } from '../../workflows/facts.ts';
import { type Abilities, type Matter, statusOf, type Terms } from '../../workflows/link.ts';
import type { ProviderKit } from './kit.ts';
import { listen, openWire, type Wire } from './wire.ts';

const HOUR_MS = 3_600_000;
/** Long enough for a loaded machine to answer, short enough to wait for it. */
const IMPATIENT_MS = 100;

export interface Bench {
  kit: ProviderKit;
  abilities: Abilities;
  // biome-ignore lint/suspicious/noExplicitAny: what the provider's own schema made
  config: any;
  /** The account's options, as they would stand in the accounts file. */
  options: object;
  wire: Wire;
  sandbox: SandboxProvider;
  /** Signing secrets, configured and issued. */
  secrets: readonly string[];
  call(http?: HttpOptions): Call<unknown>;
  /** Gives up on a silent provider at once. */
  impatient(): Call<unknown>;
  /** Terms nobody used before. */
  terms(changes?: Partial<Terms>): Terms & { expiresAt: number };
  /** A create call for these terms, always the same one. */
  attempt(terms: Terms): CreateCall & { since: number };
  /** A link that was created, and nothing else. */
  link(changes?: Partial<Terms>): Promise<TestLink>;
  ledger(reference: string): LedgerEntry[];
  /** Webhooks the sandbox sent for a link, oldest first; waits for the first. */
  webhooks(link: TestLink): Promise<WebhookRequest[]>;
  /** Makes something happen at the provider; false where the provider has no such thing. */
  happen(link: TestLink, action: Action, input?: ActionInput): Promise<boolean>;
  close(): Promise<void>;
}

/** One link, and everything any source has said about it. */
export interface TestLink {
  terms: Terms & { expiresAt: number };
  created: ProviderLink;
  /** Observations in the order in which they came. */
  seen: { source: string; facts: Facts }[];
  facts(): Facts;
  matter(): Matter;
  status(): string;
  exceptions(): string[];
  /** Keeps what an answer says. */
  hear<A extends Answer>(source: string, answer: A): A;
  read(call?: Call<unknown>): Promise<Answer>;
  write(kind: 'capture' | 'cancel' | 'refund', amount?: number, call?: Call<unknown>): Promise<Answer>;
}

export async function openBench(kit: ProviderKit): Promise<Bench> {
  const { provider } = kit;
  const heard: { path: string; request: WebhookRequest }[] = [];
  const listener = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://listener');
    const headers = request.headers as WebhookRequest['headers'];
    heard.push({ path: pathname, request: { body: Buffer.concat(chunks), headers, query: searchParams } });
    response.writeHead(200).end();
  });
  const listenerUrl = await listen(listener);

  const store = await openStore(undefined);
  let sandboxUrl = '';
  const sandbox = kit.sandbox(store, { publicUrl: () => sandboxUrl, log() {}, webhookRetryMs: [] }, {});
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.route(`/${sandbox.name}`, sandbox.app);
  app.route('/__sandbox', controlPlane([sandbox]));
  const server = createAdaptorServer({ fetch: app.fetch }) as ReturnType<typeof createServer>;
  sandboxUrl = await listen(server);
  sandbox.start();
  const wire = await openWire(sandboxUrl);

  const options = await kit.options(wire.url);
  const config = provider.config.parse(options);
  // Never the same instant twice: "later" must be later.
  let last = 0;
  const now = () => {
    last = Math.max(Date.now(), last + 1);
    return last;
  };
  const call = (http?: HttpOptions): Call<unknown> => ({ config, http: createHttp(http), now });

  const account = `${listenerUrl}/webhooks/${provider.name}`;
  await sandbox.setWebhook?.({ url: account });
  const registered = await provider.webhook?.register?.(call(), account);
  const secrets = [...(config.webhookSecrets ?? []), ...(registered ? [registered.secret] : [])];

  let ordinal = 0;
  const bench: Bench = {
    kit,
    abilities: abilitiesOf(provider, config),
    config,
    options,
    wire,
    sandbox,
    secrets,
    call,
    impatient: () => call({ timeoutMs: IMPATIENT_MS }),
    terms(changes = {}) {
      const { currency = kit.terms.currency } = changes;
      return {
        account: provider.name,
        // A slash and no round number: neither must get lost.
        reference: `INV/2026/${String(++ordinal).padStart(4, '0')}`,
        exponent: exponentOf(currency) ?? 2,
        ...kit.terms,
        expiresAt: now() + HOUR_MS + 30_777,
        ...changes,
      };
    },
    attempt(terms) {
      const callbackUrl = `${account}/${segmentOf(terms)}?t=token`;
      return { terms, key: `payment-link/${terms.reference}:create`, callbackUrl, since: now() - HOUR_MS };
    },
    async link(changes) {
      const terms = bench.terms(changes);
      const { created, ...answer } = await provider.create(call(), bench.attempt(terms));
      const link = follow(bench, terms, created);
      link.hear('create', answer);
      return link;
    },
    ledger: (reference) => sandbox.ledger.entries.filter((entry) => entry.reference === reference),
    async webhooks({ terms, created }) {
      const about = ({ path, request }: (typeof heard)[number]) => {
        const text = Buffer.from(request.body).toString('utf8');
        return path.endsWith(segmentOf(terms)) || [terms.reference, ...created.ids].some((name) => text.includes(name));
      };
      for (let tries = 0; tries < 500; tries++) {
        const found = heard.filter(about);
        if (found.length > 0) return found.map(({ request }) => request);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      throw new Error(`the sandbox sent no webhook about ${terms.reference}`);
    },
    async happen({ created }, action, input = {}) {
      try {
        await sandbox.act(created.providerLinkId, action, input);
        return true;
      } catch (error) {
        if (error instanceof Refused) return false;
        throw error;
      }
    },
    async close() {
      await wire.close();
      sandbox.close();
      await store.close();
      for (const open of [server, listener]) {
        open.closeAllConnections();
        await new Promise((resolve) => open.close(resolve));
      }
    },
  };
  return bench;
}

const segmentOf = ({ reference }: Terms) => Buffer.from(reference).toString('base64url');

/** A link whose observations are kept; also for one that was found instead of made. */
export function follow(bench: Bench, terms: TestLink['terms'], created: ProviderLink): TestLink {
  const { provider } = bench.kit;
  let writes = 0;
  const link: TestLink = {
    terms,
    created,
    seen: [],
    facts: () => link.seen.reduce<Facts>((known, { facts }) => join(known, facts), {}),
    matter: () => ({ terms, facts: link.facts(), operations: [] }),
    status: () => statusOf(link.matter()),
    exceptions: () => exceptionsOf(link.matter()),
    hear(source, answer) {
      link.seen.push({ source, facts: answer.facts });
      return answer;
    },
    async read(call = bench.call()) {
      if (!provider.inquire) throw new Error(`${provider.name} cannot be asked`);
      return link.hear('read', await provider.inquire(call, link.created, { terms, known: link.facts(), ids: [] }));
    },
    async write(kind, amount, call = bench.call()) {
      const verb = provider[kind]?.bind(provider);
      if (!verb) throw new Error(`${provider.name} has no ${kind}`);
      const key = `payment-link/${terms.reference}:${kind}:${++writes}`;
      return link.hear(kind, await verb(call, link.created, { terms, key, amount, known: link.facts() }));
    },
  };
  return link;
}
