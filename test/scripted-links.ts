import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { Problem } from '../activities/provider.ts';
import { type FieldError, InvalidRequest, NotFound } from '../client/index.ts';
import { parse, problemsOf, termsOf } from '../client/requests.ts';
import type { Link, LinkOperation, Terms } from '../workflows/link.ts';
import { type CreateRequest, createRequest } from '../workflows/schema.ts';
import { account, accountsOf, type Gateway, memoryLog, send, start } from './listeners.ts';

/**
 * Links without Temporal: what the API does with each answer is asked here, where every answer can be provoked. The
 * real client and the real workflow stand behind the same routes in the end-to-end tests.
 */
export class Links {
  known = new Map<string, Link>();
  /** Every call that would have reached Temporal. */
  calls: unknown[][] = [];
  fails: Error | undefined;
  next: Partial<Link> = {};
  operation: Partial<LinkOperation> = {};

  private note(...call: unknown[]) {
    if (this.fails) throw this.fails;
    this.calls.push(call);
  }
  async create(
    request: CreateRequest,
    { provider, check }: { provider?: string; check?: (terms: Terms) => FieldError[] },
  ) {
    const terms = termsOf(parse(createRequest, request));
    const problems = [...problemsOf(terms, Date.now()), ...(check?.(terms) ?? [])];
    if (problems.length > 0) throw new InvalidRequest(422, problems);
    this.note('create', request, provider);
    const { reference } = request;
    const created = !this.known.has(reference);
    const link = this.known.get(reference) ?? linkOf(reference, { account: request.account, ...this.next });
    this.known.set(reference, link);
    return { link, created };
  }
  async get(reference: string) {
    this.note('get', reference);
    const link = this.known.get(reference);
    if (!link) throw new NotFound(reference);
    return link;
  }
  async list(query: object) {
    this.note('list', query);
    return { items: [] };
  }
  async unmatched(query: object) {
    this.note('unmatched', query);
    return { items: [] };
  }
  async dismissUnmatched(webhook: { account: string; about: string }, request: object, how: object) {
    this.note('dismissUnmatched', webhook, request, how);
    if (webhook.about === 'nobody') throw new NotFound(webhook.about);
  }
  async timeline(reference: string) {
    await this.get(reference);
    return [{ at: '1970-01-01T00:00:00.000Z', kind: 'created', source: 'provider', summary: 'payable' }];
  }
  private command = (verb: string) => async (reference: string, body: object, how: object) => {
    this.note(verb, reference, body, how);
    const link = this.known.get(reference);
    if (!link) throw new NotFound(reference);
    return { link, operation: { state: 'succeeded', ...this.operation } };
  };
  capture = this.command('capture');
  refund = this.command('refund');
  cancel = this.command('cancel');
  resync = this.command('resync');
  resolveUnknown = this.command('resolve-unknown');
  extend = this.command('extend');
  acknowledge = this.command('acknowledge');
  markPaid = this.command('mark-paid');
  markRefunded = this.command('mark-refunded');
}

export function linkOf(reference: string, more: Partial<Link> = {}): Link {
  return {
    reference,
    account: 'shop',
    provider: 'provider-of-shop',
    status: 'pending',
    exceptions: [],
    amount: 1050,
    authorized: 0,
    captured: 0,
    refunded: 0,
    currency: 'AED',
    url: 'https://pay.example/1',
    providerLinkId: '1',
    createdAt: '2030-01-01T00:00:00.000Z',
    expiresAt: '2030-01-02T00:00:00.000Z',
    operations: [],
    allowed: ['cancel', 'resync'],
    ...more,
  };
}

const limited = ({ amount, redirectUrl }: Terms): Problem[] => [
  ...(amount > 1_000_000 ? [{ pointer: '/amount/minor', code: 'invalid_value' as const, message: 'is too much' }] : []),
  ...(redirectUrl ? [{ pointer: '/redirectUrl', code: 'not_supported' as const, message: 'is not supported' }] : []),
];
/** `shop` has a provider with limits, `other` takes everything. */
export const accounts = accountsOf(account('shop', { accepts: limited }), account('other'));
export const good = { account: 'shop', reference: 'INV-1', amount: { minor: 1050, currency: 'AED' } };
export const path = (reference: string, verb = '') =>
  `/v1/payment-links/${encodeURIComponent(reference)}${verb && `/${verb}`}`;

/** One gateway for a file of tests, with fresh links for each of them. */
export function scriptedGateway() {
  const scene = {
    links: new Links(),
    journal: memoryLog(),
    api: '',
    post: (route: string, body: unknown, headers: Record<string, string> = {}) =>
      send(scene.api + route, 'POST', { body, headers }),
    /** The links of whichever test is running. */
    current: new Proxy({} as Links, { get: (_, name) => scene.links[name as keyof Links] }),
  };
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await start({ links: scene.current, accounts, log: scene.journal.log });
    scene.api = gateway.apiUrl;
  });
  afterAll(() => gateway.close());
  beforeEach(() => {
    scene.links = new Links();
  });
  return scene;
}
