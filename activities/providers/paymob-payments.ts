/** Reading and moving Paymob's payments: transactions, their children, and whose they are. */
import { z } from 'zod';
import { currenciesOf, type Facts, type PaymentTotals, paymentsIn } from '../../workflows/facts.ts';
import type { Terms } from '../../workflows/link.ts';
import { decimal } from '../../workflows/money.ts';
import { shaped } from '../answers.ts';
import { type Answer, type Call, ProviderError, type ProviderLink, type WriteAnswer } from '../provider.ts';
import { type Config, mismatch, withSecret, withToken } from './paymob-api.ts';
import { factsOf, hidesItsRefunds, knownTotals, parentOf, type Transaction, transactionShape } from './paymob-facts.ts';

// Links, orders and transactions are numbered apart, and the numbers overlap.
export const orderName = (id: string) => `order:${id}`;
export const transactionName = (id: string) => `transaction:${id}`;

/**
 * Reads the order's last transaction, every known payment and whatever `ids` name. A payment nobody tried to make is
 * nothing; a transaction of another order is nothing to us. A link that was made twice has two orders: that of the orphan
 * is asked for by its reference, and known once somebody has tried to pay it.
 */
export async function observe(call: Call<Config>, link: ProviderLink, known: Facts, ids: string[]): Promise<Answer> {
  // Before the call: what happens while it is answered belongs to a later read.
  const now = call.now();
  const { order, orphan } = link.handle ?? {};
  if (order === undefined) throw new RangeError('the link has no order');
  const raws: string[] = [];
  const payments = new Map<string, Transaction>();
  const own = await lastOf(call, { order_id: order }, raws);
  if (own && own.payment.order.id !== order) throw mismatch('read', 'a transaction of another order');
  const other = orphan === undefined ? undefined : await lastOf(call, { merchant_order_id: orphan }, raws);
  const lasts = [own, other].filter((last) => last !== undefined);
  const orders = new Set([order, ...lasts.map(({ payment }) => payment.order.id)]);
  for (const { payment } of lasts) payments.set(payment.id, payment);

  for (const key of Object.keys(known.payments ?? {})) {
    if (payments.has(key)) continue;
    const payment = await transactionOf(call, key, raws);
    if (!orders.has(payment.order.id)) throw mismatch('read', 'a transaction of another order');
    payments.set(key, payment);
  }
  for (const hinted of ids.flatMap((name) => /^transaction:(\d+)$/.exec(name)?.[1] ?? [])) {
    if (payments.has(hinted) || lasts.some((last) => last.id === hinted)) continue;
    const payment = await hintedPayment(call, hinted, raws);
    if (payment && orders.has(payment.order.id)) payments.set(payment.id, payment);
  }
  const newest = lasts[0]?.payment;
  return factsOf({ order, payments: [...payments.values()], newest, known, now, raw: raws.join('\n') });
}

type OrderName = { order_id: string } | { merchant_order_id: string };

interface Last {
  id: string;
  /** The transaction itself, or what it is a child of. */
  payment: Transaction;
}

/** The order's last transaction. */
async function lastOf(call: Call<Config>, name: OrderName, raws: string[]): Promise<Last | undefined> {
  const path = '/api/ecommerce/orders/transaction_inquiry';
  let found: { json: unknown; raw: string };
  try {
    const { json, raw } = await withToken(call, (token) => ({
      method: 'POST',
      path,
      json: { auth_token: token, ...name },
      secrets: [token],
    }));
    found = { json, raw };
  } catch (error) {
    if (!(error instanceof ProviderError) || error.code !== 'not_found') throw error;
    // Nobody has tried to pay [assumed: it answers with a transaction, and there is none].
    raws.push('no transaction');
    return undefined;
  }
  raws.push(found.raw);
  const transaction = shaped(transactionShape, found.json, 'inquiry');
  return { id: transaction.id, payment: await paymentOf(call, transaction, raws) };
}

async function transactionOf(call: Call<Config>, id: string, raws: string[]): Promise<Transaction> {
  const path = `/api/acceptance/transactions/${id}`;
  const { json, raw } = await withToken(call, () => ({ method: 'GET', path }));
  const transaction = shaped(transactionShape, json, 'read');
  if (transaction.id !== id) throw mismatch('read', 'another transaction');
  raws.push(raw);
  return transaction;
}

/** A child leads to the payment it belongs to; a payment whose refunds are not told is read once more. */
async function paymentOf(call: Call<Config>, transaction: Transaction, raws: string[]): Promise<Transaction> {
  const parent = parentOf(transaction);
  if (parent === undefined) {
    return hidesItsRefunds(transaction) ? transactionOf(call, transaction.id, raws) : transaction;
  }
  const found = await transactionOf(call, parent, raws);
  const further = parentOf(found);
  // A refund of a capture has the capture for a parent in some samples: one step more, and no further.
  return further === undefined ? found : transactionOf(call, further, raws);
}

/** A hint is followed as far as it leads. */
async function hintedPayment(call: Call<Config>, id: string, raws: string[]): Promise<Transaction | undefined> {
  try {
    return await paymentOf(call, await transactionOf(call, id, raws), raws);
  } catch (error) {
    if (error instanceof ProviderError && error.code === 'not_found') return undefined;
    throw error;
  }
}

/** The payment a capture or refund is made of: one that has exactly as much, else the latest with enough. */
export function paymentFor(kind: 'capture' | 'refund', amount: number, known: Facts, terms: Terms): string {
  const room = (payment: PaymentTotals) =>
    kind === 'capture' ? payment.authorized - payment.captured - payment.voided : payment.captured - payment.refunded;
  const fitting = paymentsIn(known, terms.currency)
    .filter(([, payment]) => room(payment) >= amount)
    .sort(([, a], [, b]) => b.seenAt - a.seenAt);
  const [chosen] = fitting.find(([, payment]) => room(payment) === amount) ?? fitting[0] ?? [];
  if (chosen !== undefined) return chosen;
  const most = Math.max(0, ...paymentsIn(known, terms.currency).map(([, payment]) => room(payment)));
  const told = `no single payment has that much; at most ${decimal(most, terms.exponent)} ${terms.currency} at a time`;
  throw new ProviderError('refused', 'not_supported', told);
}

/** A capture, void or refund as its call answers it. */
const childShape = transactionShape
  .pick({ id: true, success: true, pending: true, amount_cents: true, parent_transaction: true })
  .extend({ data: z.object({ message: z.string().nullish() }).nullish().catch(undefined) });

interface Child {
  id: string;
  raw: string;
}

/** Makes a child of a payment; it is done when the answer says so of the very transaction that was asked for. */
export async function move(
  call: Call<Config>,
  path: string,
  asked: { transaction_id: number; amount_cents?: number },
): Promise<Child> {
  const { json, raw, excerpt } = await withSecret(call, { method: 'POST', path, json: asked });
  const child = shaped(childShape, json, path);
  if (child.parent_transaction !== String(asked.transaction_id)) throw mismatch(path, 'a child of another transaction');
  if (child.success) {
    if (asked.amount_cents !== undefined && child.amount_cents !== asked.amount_cents) {
      throw mismatch(path, 'another amount');
    }
    return { id: child.id, raw };
  }
  if (child.pending) throw new ProviderError('unknown', 'in_flight', `${path} is still under way at the bank`);
  throw new ProviderError(
    'refused',
    'declined',
    `${path} was declined: ${excerpt(child.data?.message ?? 'no reason')}`,
  );
}

/** What is certain after a move: at least so much of that payment. The whole is for the next read to tell. */
export function moved(
  child: Child,
  payment: string,
  currency: string,
  known: Facts,
  change: Partial<PaymentTotals>,
): WriteAnswer {
  const totals = { ...knownTotals(known, payment, currency), ...change };
  return { facts: { payments: { [payment]: { [currency]: totals } } }, evidence: child.raw, providerId: child.id };
}

/** Voids every live hold. */
export async function release(call: Call<Config>, known: Facts): Promise<WriteAnswer> {
  const path = '/api/acceptance/void_refund/void';
  const done: WriteAnswer = { facts: {}, evidence: '' };
  for (const currency of currenciesOf(known)) {
    for (const [payment, { authorized, captured, voided }] of paymentsIn(known, currency)) {
      if (authorized - captured - voided === 0) continue;
      const child = await move(call, path, { transaction_id: Number(payment) }).catch(tooLate);
      const { facts, evidence, providerId } = moved(child, payment, currency, known, { voided: authorized });
      done.facts = { payments: { ...done.facts.payments, ...facts.payments } };
      done.evidence += evidence;
      done.providerId = providerId;
    }
  }
  return done;
}

/** The link is cancelled by then, so what is left to say is about the hold. */
function tooLate(error: unknown): never {
  if (!(error instanceof ProviderError) || error.kind !== 'refused') throw error;
  const advice = 'the link is closed and the hold stays: capture and refund it, or let it lapse';
  throw new ProviderError('refused', 'void_refused', `${error.message}; ${advice}`);
}
