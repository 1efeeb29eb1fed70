import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from 'zod';
import { isLoopback, loopbackOnly } from './loopback.ts';
import { isCurrency } from './money.ts';
import { ACTIONS, type ActionInput, type ActionResult, Refused, type SandboxProvider } from './provider.ts';

const HOUR_MS = 3_600_000;

const times = z.int().min(1).max(1_000).optional();

const action = z.strictObject({
  amount: z.int().min(1).optional(),
  currency: z.string().refine(isCurrency, 'must be an ISO 4217 code').optional(),
  webhook: z.enum(['now', 'never']).optional(),
  times,
  delayMs: z.int().min(0).max(HOUR_MS).optional(),
});

const resend = z.strictObject({ link: z.string().min(1), times });

const webhookTarget = z.strictObject({
  url: z.string().refine(isListener, 'must be an https URL, or http on this machine'),
  secret: z.string().min(1).optional(),
  merchant: z.string().min(1).optional(),
});

/**
 * The control plane, `/__sandbox/{provider}/…`: makes happen what neither merchant nor customer can do, orders faults,
 * and shows the ledger (`?reference=` narrows it) and what became of webhooks (`?link=`). Errors are `{error}`: 400 bad input, 404 unknown link or provider, 409 makes no sense now.
 */
export function controlPlane(providers: readonly SandboxProvider[]): Hono {
  const app = new Hono();
  app.use(loopbackOnly);
  app.use(bodyLimit({ maxSize: 64 * 1024, onError: (c) => c.json({ error: 'Body is larger than 64 KB' }, 413) }));
  app.onError((error, c) => {
    if (error instanceof z.ZodError) return c.json({ error: explain(error) }, 400);
    if (error instanceof Refused) return c.json({ error: error.message }, error.status as ContentfulStatusCode);
    throw error;
  });

  const providerOf = (c: Context): SandboxProvider => {
    const name = c.req.param('provider');
    const provider = providers.find((candidate) => candidate.name === name);
    if (!provider) throw new Refused(`No such provider: ${name}`, 404);
    return provider;
  };

  app.get('/:provider/ledger', (c) => {
    const { entries } = providerOf(c).ledger;
    const reference = c.req.query('reference');
    return c.json({ entries: reference === undefined ? entries : entries.filter((e) => e.reference === reference) });
  });
  app.get('/:provider/deliveries', (c) => c.json(providerOf(c).deliveries.tally(c.req.query('link'))));
  app.get('/:provider/faults', (c) => c.json(providerOf(c).faults.list()));
  app.delete('/:provider/faults', (c) => c.json({ released: providerOf(c).faults.clear() }));

  app.post('/:provider/faults', async (c) => {
    const provider = providerOf(c);
    return c.json(provider.faults.add(await body(c), provider.operations), 201);
  });

  app.post('/:provider/links/:link/:action', async (c) => {
    const provider = providerOf(c);
    const perform = actionsOf(provider);
    const asked = perform.get(c.req.param('action'));
    if (!asked) throw new Refused(`action: must be one of ${[...perform.keys()].join(', ')}`);
    return c.json(await asked(linkOf(provider, c.req.param('link')), action.parse(await body(c))));
  });

  app.put('/:provider/webhook', async (c) => {
    const provider = providerOf(c);
    if (!provider.setWebhook) throw new Refused(`${provider.name} has no webhook to set here`, 404);
    return c.json(await provider.setWebhook(webhookTarget.parse(await body(c))));
  });

  app.post('/:provider/webhooks/resend', async (c) => {
    const provider = providerOf(c);
    const order = resend.parse(await body(c));
    const link = linkOf(provider, order.link);
    return c.json({ link, webhooks: await provider.resend(link, order.times ?? 1) });
  });

  app.all('*', (c) => c.json({ error: `No such call: ${c.req.method} ${c.req.path}` }, 404));

  return app;
}

function isListener(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname));
}

type Perform = (link: string, input: ActionInput) => Promise<ActionResult>;

/** What can be made happen at every provider, and what is this one's own. */
function actionsOf(provider: SandboxProvider): ReadonlyMap<string, Perform> {
  const common = ACTIONS.map((name): [string, Perform] => [name, (link, input) => provider.act(link, name, input)]);
  return new Map([...common, ...Object.entries(provider.portal ?? {})]);
}

function linkOf(provider: SandboxProvider, name: string): string {
  const link = provider.find(name);
  if (!link) throw new Refused(`No such link: ${name}`, 404);
  return link;
}

/** An absent body is an empty object: most actions need no input. */
async function body(c: Context): Promise<unknown> {
  const text = await c.req.text();
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused('Body is not JSON');
  }
}

function explain(error: z.ZodError): string {
  return error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': ')).join('; ');
}
