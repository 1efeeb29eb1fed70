/** Instants at which a link acts by itself. All follow from state, so a resumed run and a first run agree. */
import { closingOf, heldOf, newestOpening, type PaymentTotals, paymentsIn, sums } from './facts.ts';
import { type Matter, statusOf } from './link.ts';

/** The last instant at which a hold can be captured; undefined without a hold or where nobody knows. */
export function captureBefore({ terms, facts, created }: Matter): number | undefined {
  const holds = paymentsIn(facts, terms.currency).filter(([, payment]) => heldOf(payment) > 0);
  if (!created || holds.length === 0) return undefined;
  const { holdWindowSeconds, holdEndsAt } = created;
  const authorizedAt = Math.min(...holds.map(([, payment]) => payment.seenAt));
  const lapses = [
    ...(holdWindowSeconds === undefined ? [] : [authorizedAt + holdWindowSeconds * 1000]),
    ...(holdEndsAt === undefined ? [] : [holdEndsAt]),
  ];
  return lapses.length ? Math.min(...lapses) : undefined;
}

/** When a hold nobody decided on is captured or released: early enough for the provider still to do it. */
export function decideAt(matter: Matter): number | undefined {
  const lapse = captureBefore(matter);
  return lapse === undefined || !matter.created
    ? undefined
    : lapse - matter.created.policies.captureMarginSeconds * 1000;
}

/** When no money can move any more: the end of the refund window, or of the watch for late money. */
export function restsAt(matter: Matter): number | undefined {
  const { terms, facts, created } = matter;
  if (!created) return undefined;
  if (moneyIsHere(matter)) {
    const captured = paymentsIn(facts, terms.currency).filter(([, payment]) => payment.captured > 0);
    // Money a person vouches for was seen by nobody: it counts from the expiry.
    const seen = ({ seenAt }: PaymentTotals) => (seenAt < Number.MAX_SAFE_INTEGER ? seenAt : created.expiresAt);
    const since = Math.max(...captured.map(([, payment]) => seen(payment)));
    return since + created.policies.refundWindowSeconds * 1000;
  }
  const closing = closingOf(newestOpening(facts));
  return closing && closing.at + created.policies.graceSeconds * 1000;
}

/** Money was captured: it can be refunded or disputed, whatever the link itself says. */
export function moneyIsHere({ terms, facts }: Matter): boolean {
  return sums(facts, terms.currency).captured > 0;
}

/** What the link waits for now and until when: shown on the card and as `LinkDeadline`. */
export function waiting(matter: Matter): { for: string; until?: number } {
  switch (statusOf(matter)) {
    case 'creating':
      return { for: 'the provider to make the link', until: matter.terms.expiresAt };
    case 'pending':
      return { for: 'the customer to pay', until: matter.created?.expiresAt };
    case 'authorized':
      return { for: 'capture or cancel', until: decideAt(matter) };
    case 'paid':
    case 'partially_refunded':
    case 'refunded':
      return { for: 'refunds, until the refund window ends', until: restsAt(matter) };
    default:
      return moneyIsHere(matter)
        ? { for: 'a person to decide about the money', until: restsAt(matter) }
        : { for: 'late money, until the watch ends', until: restsAt(matter) };
  }
}
