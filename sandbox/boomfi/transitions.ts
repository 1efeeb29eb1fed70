import type { LedgerDraft, LedgerKind } from '../ledger.ts';
import type { Money } from '../money.ts';
import { type ActionInput, Refused } from '../provider.ts';
import type { Paylink, Payment, Status, Wallet } from './paylink.ts';
import { processing } from './paylink.ts';

/**
 * Everything that can happen to a paylink, as pure functions: from a paylink to the next one, its ledger entries, and the
 * payment that was made or changed.
 */
export interface Change {
  paylink: Paylink;
  entries: LedgerDraft[];
  payment?: Payment;
}

/** Where new payments get their ids and instant from. */
export interface Stamp {
  id: string;
  customerId: string;
  at: number;
}

export type Transition = (now: Paylink, stamp: Stamp) => Change;

/** How a customer goes about paying; the price and a wallet of the sandbox's own when left out. */
export interface Try {
  money?: Partial<Money>;
  wallet?: Wallet;
  attempt?: string;
}

// The control plane's refusals: these are no answers of BoomFi's.
const CONFLICT = 409;

const SANDBOX_WALLET: Wallet = {
  asset: 'USDC',
  chainId: 137,
  address: '0x5Aa0000000000000000000000000000000005Aa0',
};

export function created(paylink: Paylink): Change {
  return { paylink, entries: [entry(paylink, 'created', paylink.money)] };
}

/** Enabled or disabled by the merchant; what it is already changes nothing. Money never depends on it. */
export const switched =
  (enabled: boolean): Transition =>
  (before, { at }) => {
    if (before.enabled === enabled) return { paylink: before, entries: [] };
    const paylink = { ...before, enabled, updatedAt: at };
    // The ledger has no word for a link that opens again.
    return { paylink, entries: enabled ? [] : [entry(paylink, 'cancelled')] };
  };

/** The transfer was sent: money is in flight, and nothing is in the ledger before it arrives. */
export const sent =
  (how: Try): Transition =>
  (before, stamp) =>
    withPayment(before, newPayment(before, how, 'Processing', stamp), stamp.at);

/** Money arrived: for the transfer under way if there is one, else of a new payment. Paid again means another payment. */
export const arrived =
  (how: Try): Transition =>
  (before, stamp) => {
    const underWay = processing(before);
    const payment: Payment = underWay
      ? { ...underWay, ...moneyOf(how, underWay.price, underWay), status: 'Succeeded' }
      : newPayment(before, how, 'Succeeded', stamp);
    return withPayment(before, payment, stamp.at, 'captured');
  };

/** The try came to nothing; the link can be paid as before. */
export const ended =
  (status: 'Failed' | 'Canceled', how: Try = {}): Transition =>
  (before, stamp) => {
    const underWay = processing(before);
    const payment: Payment = underWay ? { ...underWay, status } : newPayment(before, how, status, stamp);
    return withPayment(before, payment, stamp.at, 'attempt_failed');
  };

/** BoomFi restates what was paid last: more is money that came in, less is `voided`, as the ledger says it. */
export const corrected =
  ({ amount, currency }: ActionInput): Transition =>
  (before, { at }) => {
    const earlier = before.payments.findLast(({ status }) => status === 'Succeeded');
    if (!earlier) throw new Refused('correct: the link has no payment', CONFLICT);
    const was = earlier.money;
    const is: Money = { minor: amount ?? was.minor, currency: currency ?? was.currency };
    const { paylink, payment } = withPayment(
      before,
      { ...earlier, ...moneyOf({ money: is }, earlier.price, earlier) },
      at,
    );
    const moved = (kind: LedgerKind, money: Money) => entry(paylink, kind, money, payment);
    if (is.currency !== was.currency)
      return { paylink, payment, entries: [moved('voided', was), moved('captured', is)] };
    const more = is.minor - was.minor;
    if (more === 0) return { paylink: before, entries: [] };
    const difference = { minor: Math.abs(more), currency: is.currency };
    return { paylink, payment, entries: [moved(more > 0 ? 'captured' : 'voided', difference)] };
  };

/** What BoomFi has no notion of. */
export function impossible(action: string): never {
  throw new Refused(`${action}: BoomFi's links do not expire, and what was paid stays paid`, CONFLICT);
}

/**
 * Another amount of the price's currency is a customer who paid more or less, by card. Another currency is a variant of
 * the link, which has a price of its own.
 */
function moneyOf({ money }: Try, price: Money, before?: Payment): Pick<Payment, 'price' | 'money' | 'wallet'> {
  if (money === undefined) return { price, money: before?.money ?? price, wallet: before?.wallet };
  const paid: Money = { minor: money.minor ?? price.minor, currency: money.currency ?? price.currency };
  if (paid.currency !== price.currency) return { price: paid, money: paid, wallet: before?.wallet ?? SANDBOX_WALLET };
  return { price, money: paid, wallet: paid.minor === price.minor ? before?.wallet : undefined };
}

function newPayment(paylink: Paylink, how: Try, status: Status, { id, customerId, at }: Stamp): Payment {
  const { wallet = SANDBOX_WALLET, attempt } = how;
  const payment = { id, customerId, status, createdAt: at, updatedAt: at, wallet, ...(attempt && { attempt }) };
  return { ...payment, ...moneyOf(how, paylink.money, { ...payment, price: paylink.money, money: paylink.money }) };
}

function withPayment(before: Paylink, changed: Payment, at: number, kind?: LedgerKind): Change & { payment: Payment } {
  const payment = { ...changed, updatedAt: at };
  const known = before.payments.some(({ id }) => id === payment.id);
  const payments = known
    ? before.payments.map((other) => (other.id === payment.id ? payment : other))
    : [...before.payments, payment];
  const paylink = { ...before, payments };
  return { paylink, payment, entries: kind ? [entry(paylink, kind, payment.money, payment)] : [] };
}

function entry(paylink: Paylink, kind: LedgerKind, money?: Money, payment?: Payment): LedgerDraft {
  return {
    kind,
    link: paylink.id,
    // A link needs no reference; the ledger calls it by its id then.
    reference: paylink.reference || paylink.id,
    ...(payment && { payment: payment.id }),
    ...(money && { amount: money.minor, currency: money.currency }),
  };
}
