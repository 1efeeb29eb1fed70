/** Sextant Pay as its document has it: API under `/v3`, pay page under `/pay`. Nothing of the engine's is used here. */
import { randomUUID } from 'node:crypto';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { answer, type SocketContext } from '../../sandbox/broken-answers.ts';
import { createFaults } from '../../sandbox/faults.ts';
import { display } from '../../sandbox/money.ts';
import { renderCheckout, renderMissing } from '../../sandbox/pay-page.ts';
import { type Action, type ActionInput, type OpenProvider, Refused } from '../../sandbox/provider.ts';
import { createDeliveries, type DeliveryOrder, type Notice } from '../../sandbox/webhooks.ts';
import * as happens from './sandbox-link.ts';
import { isLive, type Link, No, type Transition } from './sandbox-link.ts';
import {
  admit,
  giveBackRequest,
  linkRequest,
  onWire,
  parsed,
  problem,
  prolongRequest,
  read,
  refuse,
  sign,
  takeRequest,
} from './sandbox-wire.ts';

const OPERATIONS = ['create', 'find', 'inquire', 'capture', 'cancel', 'refund', 'extend'] as const;
type Operation = (typeof OPERATIONS)[number];

/** What a key was used for: the same again is answered, anything else refused. */
interface Used {
  body: string;
  link: string;
  giveBack?: string;
}

interface Request {
  id: string;
  body: unknown;
  query: Record<string, string>;
}

/** What a POST makes of its link. */
type Write = (request: Request, key: string) => { before: Link; transition: Transition; topic?: string };

export const sandbox: OpenProvider = (store, { publicUrl, log, webhookRetryMs }) => {
  const shelf = store.shelf('sextant');
  const all = shelf.objects<Link>('link');
  const keys = shelf.objects<Used>('key');
  const faults = createFaults();
  const deliveries = createDeliveries({ faults, log, retryMs: webhookRetryMs });
  const app = new Hono<{ Bindings: HttpBindings }>();

  const notice = (link: Link, topic: string): Notice => ({
    link: link.id,
    names: [link.id, link.reference],
    body: JSON.stringify({ id: `ev_${randomUUID()}`, topic, link: link.id, reference: link.reference }),
    subscribers: [{ address: link.notifyUrl, headers: sign, live: () => true, settled() {} }],
  });
  const tell = (link: Link, topic: string, order?: DeliveryOrder) => deliveries.send(notice(link, topic), order);

  function apply(before: Link, transition: Transition, used?: { key: string; how: Used }) {
    const { link, entries: drafts } = transition(before);
    const puts = [{ kind: 'link', id: link.id, value: link }];
    const { entries, durable } = shelf.commit(
      used ? [...puts, { kind: 'key', id: used.key, value: used.how }] : puts,
      drafts,
    );
    return { link, entries, durable };
  }

  /** The link as it is at this instant: time is looked at when somebody looks. */
  function current(id: string): Link | undefined {
    const link = all.get(id);
    return link && isLive(link) && Date.now() >= link.expiresAt ? apply(link, happens.expired).link : link;
  }
  const newest = (reference: string) => [...all.values()].findLast((link) => link.reference === reference)?.id;

  const own = ({ id }: Request): Link => {
    const link = current(id);
    if (!link) throw new No(404, 'no_such_link', 'no link has this id');
    return link;
  };

  const call = (operation: Operation, act: (c: SocketContext, request: Request) => Promise<Response> | Response) =>
    async function handle(c: SocketContext): Promise<Response> {
      const request = { id: c.req.param('id') ?? '', body: parsed(await c.req.text()), query: c.req.query() };
      const link = all.get(request.id);
      const asked = (request.body as { reference?: string } | undefined)?.reference;
      try {
        admit(c.req.header('authorization'));
      } catch (error) {
        return refuse(c, error as No);
      }
      return answer(c, faults, {
        operation,
        names: [request.id, link?.reference, asked].filter((name) => typeof name === 'string'),
        async act() {
          try {
            return await act(c, request);
          } catch (error) {
            if (error instanceof No) return refuse(c, error);
            log('sextant call failed', { operation, error: String(error) });
            return problem(c, 500, 'our_fault', 'something broke');
          }
        },
        refuse: (status) =>
          problem(c, status, status === 429 ? 'slow_down' : 'our_fault', 'refused by a sandbox fault'),
        announced: () => deliveries.quiet(request.id || (newest(asked ?? '') ?? '')),
      });
    };

  /** A POST: done once for each key, and told of behind the answer's back. */
  const write = (operation: Operation, act: Write, status: 200 | 201 = 200) =>
    call(operation, async (c, request) => {
      const key = c.req.header('idempotency-key') ?? '';
      if (!/^[0-9a-f]{64}$/.test(key)) throw new No(400, 'malformed', 'Idempotency-Key must be 64 hexadecimal digits');
      const body = `${c.req.path}\n${JSON.stringify(request.body)}`;
      const used = keys.get(key);
      if (used && used.body !== body) throw new No(422, 'key_reused', 'this key was used for something else');
      if (used) return c.json(answered(current(used.link)!, used), status);
      const { before, transition, topic } = act(request, key);
      const how: Used = { body, link: before.id, ...(operation === 'refund' && { giveBack: `gb_${randomUUID()}` }) };
      const { link, durable } = apply(before, transition, { key, how });
      await durable;
      if (topic) void tell(link, topic);
      return c.json(answered(link, how), status);
    });

  const answered = (link: Link, { giveBack }: Used) =>
    giveBack ? { id: giveBack, link: onWire(link, publicUrl()) } : onWire(link, publicUrl());

  app.post(
    '/v3/links',
    write(
      'create',
      ({ body }, requestKey) => {
        const asked = read(linkRequest, body);
        const { reference, currency, expires_at, hold, notify_url: notifyUrl, title = reference } = asked;
        const link: Link = {
          ...{ id: `sx_${randomUUID()}`, reference, requestKey, hold, title, notifyUrl },
          money: { minor: asked.amount, currency },
          ...{ state: 'open', payments: [], createdAt: Date.now(), expiresAt: expires_at * 1_000 },
        };
        return { before: link, transition: happens.created };
      },
      201,
    ),
  );
  app.get(
    '/v3/links',
    call('find', (c, { query }) => {
      const link = current(keys.get(query.request_key ?? '')?.link ?? '');
      return c.json({ links: link && link.requestKey === query.request_key ? [onWire(link, publicUrl())] : [] });
    }),
  );
  app.get(
    '/v3/links/:id',
    call('inquire', (c, request) => c.json(onWire(own(request), publicUrl()))),
  );
  app.post(
    '/v3/links/:id/take',
    write('capture', (request) => {
      const asked = read(takeRequest, request.body);
      return { before: own(request), transition: happens.take(asked.amount), topic: 'link.paid' };
    }),
  );
  app.post(
    '/v3/links/:id/close',
    write('cancel', (request) => ({ before: own(request), transition: happens.close, topic: 'link.closed' })),
  );
  app.post(
    '/v3/links/:id/give_back',
    write(
      'refund',
      (request) => {
        const asked = read(giveBackRequest, request.body);
        return { before: own(request), transition: happens.giveBack(asked), topic: 'link.given_back' };
      },
      201,
    ),
  );
  app.post(
    '/v3/links/:id/prolong',
    write('extend', (request) => {
      const { expires_at } = read(prolongRequest, request.body);
      return { before: own(request), transition: happens.prolong(expires_at * 1_000), topic: 'link.prolonged' };
    }),
  );

  app.get('/pay/:id', (c) => show(c, current(c.req.param('id'))));
  app.post('/pay/:id', async (c) => {
    const { cardNumber } = (await c.req.parseBody()) as Record<string, string>;
    const link = current(c.req.param('id'));
    if (link?.state !== 'open') return show(c, link, 409);
    const good = cardNumber?.replaceAll(' ', '') === '4242424242424242';
    const transition = good ? happens.paid(payId(), link.money, link.hold) : happens.declined(payId());
    const { link: after, durable } = apply(link, transition);
    await durable;
    if (!good) return show(c, after, 402, 'Your card was declined. No money was taken; try another card.');
    void tell(after, `link.${after.state}`);
    return c.redirect(after.id, 303);
  });

  return {
    name: 'sextant',
    app,
    operations: OPERATIONS,
    faults,
    deliveries,
    ledger: shelf.ledger,
    find: (linkOrReference) => (all.has(linkOrReference) ? linkOrReference : newest(linkOrReference)),
    async act(id, action, input) {
      const { link, entries, durable } = apply(current(id)!, actions(action, input));
      await durable;
      const webhooks = action === 'expire' ? [] : await tell(link, `link.${link.state}`, input);
      return { link: id, status: link.state, entries, webhooks };
    },
    resend: (id, times) => deliveries.send(deliveries.latest(id) ?? notice(all.get(id)!, 'link.changed'), { times }),
    start() {},
    close() {
      faults.close();
      deliveries.close();
    },
  };
};

const payId = () => `py_${randomUUID()}`;

const actions = (action: Action, { amount: minor, currency }: ActionInput): Transition => {
  const money = ({ money: asked }: Link) => ({ minor: minor ?? asked.minor, currency: currency ?? asked.currency });
  if (action === 'pay') return (link) => happens.paid(payId(), money(link), false)(link);
  if (action === 'authorize') return (link) => happens.paid(payId(), money(link), true)(link);
  if (action === 'fail') return happens.declined(payId());
  if (action === 'expire') return happens.expired;
  if (action === 'refund_fails') return happens.giveBackReturned;
  throw new Refused(`${action}: Sextant has no such thing`, 409);
};

function show(c: Context, link: Link | undefined, status: 200 | 402 | 409 = 200, message?: string) {
  const states = { open: 'open', held: 'authorized', paid: 'paid', closed: 'cancelled', expired: 'expired' } as const;
  const page = link
    ? renderCheckout({
        ...{ provider: 'Sextant', merchant: 'Sextant Outfitters', description: link.title, reference: link.reference },
        ...{ amount: display(link.money), state: states[link.state], expiresAt: link.expiresAt, message },
      })
    : renderMissing('Sextant');
  c.header('content-security-policy', page.policy);
  return c.html(page.body, link ? status : 404);
}
