/** What may be done with a link now, and what must be done with its money. */

import { unseenOf } from './exceptions.ts';
import { closingOf, type Facts, latePayments, newestOpening, paymentsIn, sums } from './facts.ts';
import { type Action, dueOf, isSettled, type Matter, statusOf } from './link.ts';

/** Actions that would be accepted now. Validators and the main loop ask the same question. */
export function allowedOf(matter: Matter): Action[] {
  const { terms, facts, operations, created } = matter;
  const status = statusOf(matter);
  const { captured, refunded, held } = sums(facts, terms.currency);
  const unknown = operations.some((op) => op.state === 'unknown');
  const abilities = created?.abilities;
  const lost = matter.lostTo !== undefined;
  const open = status === 'pending' || status === 'authorized';
  // A closing we only presumed still has to be told to the provider.
  const presumed = closingOf(newestOpening(facts))?.confirmed === false;
  const can: Record<Action, boolean> = {
    capture: !unknown && !lost && !!abilities?.capture && held > 0,
    cancel: !unknown && captured === 0 && (abilities?.cancel ? open || presumed : open && held === 0),
    // Where the provider has no refund it is given back by hand, and marked.
    refund: !unknown && captured - refunded > 0 && !disputed(facts),
    extend: !unknown && !lost && captured === 0 && held === 0 && extendable(matter),
    'mark-paid': !unknown && abilities?.inquire === false,
    'mark-refunded': !unknown && abilities?.refund === false && captured - refunded > 0,
    resync: abilities?.inquire === true || (created === undefined && unknown),
    acknowledge: unseenOf(matter).length > 0,
    'resolve-unknown': unknown,
  };
  return (Object.keys(can) as Action[]).filter((name) => can[name]);
}

/**
 * The expiry is ours to move while the provider has none, the link is open and not being closed; otherwise the provider
 * must offer it.
 */
export function extendable(matter: Matter): boolean {
  return matter.created?.abilities.extend === true || ownsExpiry(matter);
}

/** The expiry is a deadline of ours alone, and has not come. */
export function ownsExpiry({ facts, created }: Matter): boolean {
  const opening = newestOpening(facts);
  return created?.expiresByItself === false && opening?.deadline === undefined && closingOf(opening) === undefined;
}

/** A dispute that is open, or was lost, moves the money by itself: a refund beside it would give it back twice. */
export function disputed({ disputes = {} }: Facts): boolean {
  return Object.values(disputes).some((turn) => turn !== 'won');
}

/** Money that must not be kept: late, or more than was due, where the merchant said so. */
export interface Return {
  /** Name of the refund that gives it back: one for each payment and state of its refunds. */
  id: string;
  payment: string;
  /** Minor units of the link's currency. */
  amount: number;
  reason: string;
}

/** The next refund that policy asks for; undefined when there is none, it was tried, or a dispute stands. */
export function returnDue(matter: Matter): Return | undefined {
  const { terms, facts, created, operations } = matter;
  if (!created || disputed(facts)) return undefined;
  const { latePayment, excess } = created.policies;
  const onTheWay = (key: string) =>
    operations.filter((op) => op.kind === 'refund' && !isSettled(op) && (op.payment ?? key) === key);
  // The newest payment goes back first: the first one is what the customer meant.
  const payments = paymentsIn(facts, terms.currency)
    .map(([key, { captured, refunded, seenAt }]) => {
      const returning = onTheWay(key).reduce((sum, op) => sum + (op.amount ?? captured - refunded), 0);
      // A refund that names no payment may be more than one of them is.
      return { key, refunded, seenAt, kept: Math.max(0, captured - refunded - returning) };
    })
    .sort((a, b) => b.seenAt - a.seenAt || (a.key < b.key ? 1 : -1));
  const kept = payments.reduce((sum, payment) => sum + payment.kept, 0);
  const late = latePayment === 'refund' ? latePayments(facts) : [];
  const due = matter.lostTo === undefined ? dueOf(matter) : 0;
  let beyond = excess === 'refund_excess' ? kept - due : 0;
  for (const { key, refunded, kept: mine } of payments) {
    const isLate = late.includes(key);
    const amount = isLate ? mine : Math.min(mine, Math.max(0, beyond));
    beyond -= amount;
    const id = `perdure return of ${key} from ${refunded}`;
    if (amount <= 0 || operations.some((op) => op.id === id)) continue;
    const reason = isLate ? 'paid after the link was closed' : 'more than was due';
    return { id, payment: key, amount, reason };
  }
  return undefined;
}
