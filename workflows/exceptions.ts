/** What is odd about a link: derived from facts and operations, so that an exception goes when its cause goes. */
import {
  canonical,
  closingOf,
  currenciesOf,
  fallOf,
  heldOf,
  latePayments,
  newestOpening,
  paymentsIn,
  sums,
} from './facts.ts';
import { dueOf, type Exception, isManual, type Matter, type Operation, statusOf } from './link.ts';

/** What a person must have seen: these stay until acknowledged, whatever becomes of their cause. */
export const STAYING = ['late_payment', 'duplicate_payment', 'refund_failed', 'disputed'] as const;
export type Staying = (typeof STAYING)[number];

/** Name → cause, as text. What was acknowledged is one cause: the next of its kind shows again. */
export interface Attention {
  raised: Partial<Record<Staying, string>>;
  acknowledged: Partial<Record<Staying, string>>;
}

export const isStaying = (exception: Exception): exception is Staying =>
  (STAYING as readonly Exception[]).includes(exception);

export function exceptionsOf(matter: Matter): Exception[] {
  const { terms, facts, operations } = matter;
  const { captured, refunded } = sums(facts, terms.currency);
  const net = captured - refunded;
  const paying = paymentsIn(facts, terms.currency).filter(([, payment]) => payment.captured > 0);
  const closing = closingOf(newestOpening(facts));
  const moneyIsHere = statusOf(matter) !== closing?.status;
  const found: Record<Exception, boolean> = {
    late_payment: shows(matter, 'late_payment'),
    underpaid: captured > 0 && net > 0 && captured < dueOf(matter) && matter.lostTo === undefined,
    overpaid: paying.length === 1 && net > dueOf(matter),
    duplicate_payment: shows(matter, 'duplicate_payment'),
    currency_mismatch: currenciesOf(facts).some((c) => c !== terms.currency && paymentsIn(facts, c).length > 0),
    unknown_outcome: operations.some((op) => op.state === 'unknown'),
    unexplained_money: Object.entries(facts.stated ?? {}).some(([c, total]) => total > sums(facts, c).captured),
    unverified_payment: sums(matter.unverified ?? {}, terms.currency).captured > captured,
    provider_disagrees: currenciesOf(facts).some((currency) => fallOf(facts, currency) !== undefined),
    expired_unconfirmed: closing?.confirmed === false && closing.status === 'expired' && !moneyIsHere,
    cancel_unconfirmed: closing?.confirmed === false && closing.status === 'cancelled' && !moneyIsHere,
    refund_manual: operations.some(isManual),
    refund_failed: shows(matter, 'refund_failed'),
    disputed: shows(matter, 'disputed'),
  };
  return (Object.keys(found) as Exception[]).filter((name) => found[name]);
}

/** Those of the present exceptions that wait for a person to have seen them. */
export const unseenOf = (matter: Matter): Staying[] => STAYING.filter((name) => shows(matter, name));

/** What there is to be seen now, added to what there was. A cause that was seen and went is forgotten with it. */
export function attend(matter: Matter): Attention {
  const { raised = {}, acknowledged = {} } = matter.attention ?? {};
  const causes = causesOf(matter);
  const kept = STAYING.filter((name) => causes[name] !== undefined || raised[name] !== acknowledged[name]);
  return {
    raised: only(kept, (name) => causes[name] ?? raised[name]),
    acknowledged: only(kept, (name) => acknowledged[name]),
  };
}

/** A person has seen it. */
export function acknowledge({ raised, acknowledged }: Attention, name: Staying): Attention {
  return { raised, acknowledged: { ...acknowledged, [name]: raised[name] } };
}

function shows(matter: Matter, name: Staying): boolean {
  const cause = causesOf(matter)[name] ?? matter.attention?.raised[name];
  return cause !== undefined && cause !== matter.attention?.acknowledged[name];
}

function causesOf(matter: Matter): Partial<Record<Staying, string>> {
  const { terms, facts, operations } = matter;
  const late = latePayments(facts);
  const paying = paymentsIn(facts, terms.currency).filter(([, payment]) => payment.captured > 0);
  const { captured } = sums(facts, terms.currency);
  const due = dueOf(matter);
  // Nobody decides about a hold once another payment has paid.
  const holding = paymentsIn(facts, terms.currency).filter(([, p]) => p.captured === 0 && heldOf(p) > 0);
  const beside = paying.length > 0 && captured >= due ? holding : [];
  const beyond = (paying.length > 1 && captured > due) || beside.length > 0;
  const twice = beyond || (matter.lostTo !== undefined && paying.length > 0);
  const refunds = operations.filter((op) => op.kind === 'refund' && op.state === 'succeeded');
  const failed = currenciesOf(facts)
    .map((currency) => fallOf(facts, currency)?.refunded ?? 0)
    .filter((fall) => fitsRefunds(fall, refunds));
  const disputes = Object.entries(facts.disputes ?? {}).filter(([, turn]) => turn !== 'won');
  return {
    ...(late.length > 0 && { late_payment: canonical(late) }),
    ...(twice && { duplicate_payment: canonical([...paying, ...beside].map(([key]) => key)) }),
    ...(failed.length > 0 && { refund_failed: canonical(failed) }),
    ...(disputes.length > 0 && { disputed: canonical(Object.fromEntries(disputes)) }),
  };
}

/** Whether some of our refunds add up to exactly what the provider no longer shows. */
function fitsRefunds(fall: number, refunds: readonly Operation[]): boolean {
  let reachable = new Set([0]);
  for (const refund of refunds) {
    reachable = new Set([...reachable, ...[...reachable].map((sum) => sum + (refund.amount ?? 0))]);
  }
  return fall > 0 && reachable.has(fall);
}

function only(names: Staying[], of: (name: Staying) => string | undefined): Partial<Record<Staying, string>> {
  return Object.fromEntries(names.map((name) => [name, of(name)]).filter(([, cause]) => cause !== undefined));
}
