/**
 * Row 28 of docs/reliability.md and its neighbours, on the running system: what is signed for one account moves no link
 * of another, what is said twice has one effect, and what nobody signed moves no money.
 */
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Account, type Accounts, readAccounts } from '../../activities/accounts.ts';
import { createHttp } from '../../activities/http.ts';
import { createActivities } from '../../activities/index.ts';
import type { ProviderName } from '../../activities/registry.ts';
import { callbackUrl } from '../../activities/tokens.ts';
import * as beqelalSandbox from '../../sandbox/beqelal/merchants.ts';
import * as katu9Sandbox from '../../sandbox/katu9/merchants.ts';
import * as paymobSandbox from '../../sandbox/paymob/merchants.ts';
import { sandboxAccounts } from '../../stack/sandbox-accounts.ts';
import { exponentOf } from '../../workflows/currencies.ts';
import type { Link } from '../../workflows/link.ts';
import { accountQueue } from '../../workflows/messages.ts';
import { bodyOf, sharedSecret, signedBy, target } from '../attackers.ts';
import { kits } from '../kits.ts';
import { apiKey, type Gateway, send, start } from '../listeners.ts';
import { quietRuntime } from '../quiet-runtime.ts';
import { fresh, openSystem, UNWATCHED, until } from './shared.ts';

const { stack, shop, client, linksWith, handle, eventsAtRest, registrationOf } = await openSystem();
// Nothing here is about lost answers, so a busy machine may take its time.
const { attemptMs: _attemptMs, ...timing } = UNWATCHED;
const links = linksWith(timing);
const TOKEN_KEY = 'token-key-of-this-listener';

let accounts: Accounts;
/** A gateway of this file's own before the same Temporal: with accounts, keys and a clock of its own. */
let own: Gateway;
let stopWorker: () => Promise<void>;

beforeAll(async () => {
  const file = await sandboxAccounts(stack.sandboxUrl);
  const { options } = file.beqelal as { options: object };
  // Its provider cannot be asked, and may not sign.
  const unsigned = { ...options, inquiry: false, requireSignature: false, webhookSecrets: [] };
  accounts = readAccounts({ ...file, 'beqelal-unsigned': { provider: 'beqelal', options: unsigned } });
  const keys = [apiKey('rival', 'refund', ['paymennt-hold'], 'key-of-rival')];
  own = await start({ links, accounts, keys, tokenKeys: [TOKEN_KEY] });
  stopWorker = await startWorker('beqelal-unsigned');
}, 60_000);
afterAll(async () => {
  await own?.close();
  await stopWorker?.();
  const { items } = await links.unmatched({ limit: 100 });
  const mine = items.filter(({ ids }) => ids.some((id) => made.has(id)));
  for (const webhook of mine) await links.dismissUnmatched(webhook, { reason: 'an attack of a test' }).catch(() => {});
}, 60_000);
afterEach(() => {
  vi.useRealTimers();
});

/** Calls of one more account: the stack's worker knows only its own. */
async function startWorker(account: string): Promise<() => Promise<void>> {
  quietRuntime();
  const connection = await NativeConnection.connect({ address: stack.temporalAddress });
  const activities = createActivities(accounts, { callbacks: { base: own.webhookUrl, keys: [TOKEN_KEY] } });
  const worker = await Worker.create({ connection, taskQueue: accountQueue(account), activities: { ...activities } });
  const running = worker.run();
  return async () => {
    worker.shutdown();
    await running;
    await connection.close();
  };
}

const accountNamed = (name: string): Account => accounts.get(name)!;
const providerOf = (account: string) => accountNamed(account).provider.name as ProviderName;
const requestFor = (account: string, reference: string) => {
  const { amount, currency, customer } = kits[providerOf(account)].terms;
  return { account, reference, amount: { minor: amount, currency }, customer };
};
const linkAt = async (account: string) => (await links.create(requestFor(account, fresh('attacked')))).link;

/** Everything a link shows, and what its history has come to. */
const stateOf = async ({ reference }: Link) => ({
  link: (await shop.get(reference)).body,
  timeline: (await shop.timeline(reference)).body,
  events: await eventsAtRest(reference),
});

const made = new Set<string>();
/** An order under the same reference that another system of this merchant makes at its provider; not a link of ours. */
async function orderAt(account: string, reference: string): Promise<string> {
  const { provider, config } = accountNamed(account);
  const { terms } = kits[providerOf(account)];
  const exponent = exponentOf(terms.currency)!;
  const asked = { account, reference, exponent, ...terms, expiresAt: Date.now() + 86_000_000 };
  const call = { config, http: createHttp(), now: Date.now };
  const { created } = await provider.create(call, {
    terms: asked,
    key: `order/${account}/${reference}`,
    callbackUrl: `${stack.webhookUrl}/webhooks/${account}`,
  });
  for (const id of created.ids) made.add(id);
  return created.providerLinkId;
}

/** The customer pays; what the gateway answered to each webhook of it. */
async function paid(account: string, providerLinkId: string, reference: string): Promise<(number | string)[]> {
  const control = `/${providerOf(account)}/links/${providerLinkId}/pay`;
  const { webhooks } = await shop.control<{ webhooks: (number | string)[] }>('POST', control, {});
  if (account !== 'katu9') return webhooks;
  // The sandbox's Katu9 tells of links only, not of payments: here it does.
  const data = { id: providerLinkId, metadata: { reference } };
  const body = JSON.stringify({ event: 'transaction.completed', data });
  const { headers } = signedBy('katu9', sharedSecret(katu9Sandbox.MERCHANTS[0]!.webhookSecret), body);
  return [(await send(`${stack.webhookUrl}/webhooks/katu9`, 'POST', { body, headers })).status];
}

const ACCOUNTS = ['beqelal', 'boomfi', 'katu9', 'paymennt', 'paymennt-hold', 'paymob'];

describe.concurrent('row 28: an event of one account never moves a link of another', () => {
  it.each(ACCOUNTS)('%s: what the others sign about its reference leaves the link as it was', async (account) => {
    const victim = await linkAt(account);
    const before = await stateOf(victim);
    expect(before.link.status).toBe('pending');
    for (const attacker of ACCOUNTS.filter((name) => name !== account)) {
      const told = await paid(attacker, await orderAt(attacker, victim.reference), victim.reference);
      // Kept for a person to look at: it is that account's own news, and of nobody's link.
      expect([attacker, new Set(told)]).toEqual([attacker, new Set([202])]);
    }
    expect(await stateOf(victim)).toEqual(before);

    expect(await paid(account, victim.providerLinkId!, victim.reference)).toContain(200);
    const status = account === 'paymennt-hold' ? ['authorized', 'paid'] : ['paid'];
    const after = await shop.until(victim.reference, (link) => status.includes(link.status));
    expect(status).toContain(after.status);
  });
});

describe('rows 16 and 29, S15: the same news again', () => {
  it('is one effect within the memory for repeats, and when that is over', async () => {
    const secret = sharedSecret(paymobSandbox.MERCHANTS[0]!.hmacSecret);
    const link = await linkAt('paymob');
    await paid('paymob', link.providerLinkId!, link.reference);
    await shop.until(link.reference, ({ status }) => status === 'paid');
    await shop.order(link.reference, 'refund');
    const refunded = await shop.until(link.reference, ({ status }) => status === 'refunded');
    const ledger = await shop.ledger('paymob', link.reference);
    const before = await signals(link);

    // "Paid", recorded by whoever held the signature, with ever new words around what is signed.
    const address = callbackUrl({ base: own.webhookUrl, keys: [TOKEN_KEY] }, 'paymob', link.reference);
    const news = (note: string) => {
      const body = bodyOf('paymob', link.reference) as { obj: object };
      const text = JSON.stringify({ ...body, obj: { ...body.obj, note } });
      const { query } = signedBy('paymob', secret, text);
      return send(target(address, query), 'POST', { body: text });
    };
    for (const minutes of [0, 11, 1_500]) {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + minutes * 60_000 });
      const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => news(`${minutes}-${index}`)));
      vi.useRealTimers();
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
    // One for each ten minutes in which it came.
    expect((await signals(link)) - before).toBe(3);
    await eventsAtRest(link.reference);
    expect((await shop.get(link.reference)).body).toEqual(refunded);
    expect(await shop.ledger('paymob', link.reference)).toEqual(ledger);
  });

  it('of two accounts is two pieces of news', async () => {
    const id = `shared-${fresh('id')}`.replaceAll('/', '-');
    made.add(id);
    for (const account of ['paymennt', 'paymennt-hold']) {
      const { hmacKey } = await registrationOf(account);
      const body = JSON.stringify({ id, status: 'PAID' });
      const { headers } = signedBy('paymennt', sharedSecret(hmacKey), body);
      const at = `${stack.webhookUrl}/webhooks/${account}`;
      expect((await send(at, 'POST', { body, headers })).status).toBe(202);
      const other = account === 'paymennt' ? 'paymennt-hold' : 'paymennt';
      expect((await send(`${stack.webhookUrl}/webhooks/${other}`, 'POST', { body, headers })).status).toBe(401);
    }
    const kept = async () => (await links.unmatched({ limit: 100 })).items.filter(({ about }) => about === id);
    const both = await until(kept, (items) => items.length === 2);
    expect(both.map(({ account }) => account).sort()).toEqual(['paymennt', 'paymennt-hold']);
  });
});

const signals = async ({ reference }: Link) => {
  const { events } = await handle(reference).fetchHistory();
  return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes).length;
};

describe('row 27: what nobody signed', () => {
  it('moves no money where the provider cannot be asked: a token proves nothing by itself', async () => {
    const link = await linkAt('beqelal-unsigned');
    const body = JSON.stringify({ ...bodyOf('beqelal', link.reference), amount: 1500.5 });
    const byToken = callbackUrl({ base: own.webhookUrl, keys: [TOKEN_KEY] }, 'beqelal-unsigned', link.reference);
    for (const url of [`${own.webhookUrl}/webhooks/beqelal-unsigned`, byToken]) {
      expect((await send(url, 'POST', { body })).status).toBe(200);
    }
    const told = await shop.until(link.reference, ({ exceptions }) => exceptions.length > 0);
    expect(told).toMatchObject({ status: 'pending', captured: 0, exceptions: ['unverified_payment'] });
    const vouched = { amount: { minor: 150_050, currency: 'ETB' }, reason: 'seen in the portal' };
    expect((await shop.order(link.reference, 'mark-paid', vouched)).status).toBe(200);
    expect(await shop.get(link.reference)).toMatchObject({ body: { status: 'paid', captured: 150_050 } });
  });
});

describe('S6: a reference of another tenant', () => {
  it('can neither be read nor taken, and a conflict tells nothing of the link', async () => {
    const link = await linkAt('paymennt');
    const headers = { authorization: 'Bearer key-of-rival' };
    const path = `${own.apiUrl}/v1/payment-links`;
    expect((await send(`${path}/${encodeURIComponent(link.reference)}`, 'GET', { headers })).status).toBe(404);
    const body = requestFor('paymennt-hold', link.reference);
    const { status, json, text } = await send(path, 'POST', { body, headers });
    expect([status, json.code]).toEqual([409, 'reference_conflict']);
    expect(text).not.toContain(link.url);
    expect(text).not.toContain(link.providerLinkId);
    expect(text).not.toContain('"paymennt"');
    expect((await send(path, 'GET', { headers })).json.items.map(({ account }: Link) => account)).not.toContain(
      'paymennt',
    );
  });
});

describe('S14: secrets', () => {
  it('stand in no history: neither in inputs nor in results nor in failures', async () => {
    const { link } = await links.create(requestFor('katu9', fresh('secrets')));
    const secrets = [...accounts.values()].flatMap(({ config }) =>
      Object.entries(config as Record<string, unknown>)
        .filter(([option]) => /key|secret|token/i.test(option))
        .flatMap(([, value]) => value as string | string[])
        .filter((text) => typeof text === 'string' && !text.includes('PUBLIC KEY')),
    );
    secrets.push((await registrationOf('paymennt')).hmacKey, beqelalSandbox.MERCHANTS[0]!.webhookSecret);
    expect(secrets.length).toBeGreaterThan(10);
    let read = 0;
    for await (const { workflowId, runId } of client.workflow.list({ pageSize: 20 })) {
      const texts = textsIn((await client.workflow.getHandle(workflowId, runId).fetchHistory()).events);
      // What a link is asked for stands there in clear: this finds what it looks for.
      if (workflowId === `payment-link/${link.reference}`) expect(texts).toContain(`"reference":"${link.reference}"`);
      expect([workflowId, ...secrets.filter((secret) => texts.includes(secret))]).toEqual([workflowId]);
      if (++read === 20) break;
    }
    expect(read).toBeGreaterThan(0);
  });
});

/** Every text inside, payloads decoded. */
function textsIn(value: unknown): string {
  if (typeof value === 'string') return `${value}\n`;
  if (value instanceof Uint8Array) return `${Buffer.from(value).toString('utf8')}\n`;
  if (value === null || typeof value !== 'object') return '';
  return Object.values(value).map(textsIn).join('');
}
