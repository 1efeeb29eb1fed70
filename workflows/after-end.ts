/** News of a link whose run is over: what of it somebody has to hear. */
import { show, when } from './card.ts';
import { exceptionsOf } from './exceptions.ts';
import { currenciesOf, type Facts, sums } from './facts.ts';
import type { Exception } from './link.ts';
import type { LinkHandle } from './ports.ts';

/** A link whose run is over, with all that was known of it: by the run, and by whoever looked after it since. */
export interface ClosedLink extends LinkHandle {
  known: Facts;
}

/** What came after the end; nothing to hear where `exceptions` is empty. */
export interface Tidings {
  reference: string;
  exceptions: Exception[];
  /** Captured or held since, in minor units of each currency. */
  money: { minor: number; currency: string }[];
}

/**
 * `now` is everything known by now, `unverified` what unsigned webhooks said where nobody can be asked. Money that came is
 * `late_payment`, whatever else it is: nobody waited for it any more.
 */
export function tidingsOf({ terms, created, known }: ClosedLink, now: Facts, unverified: Facts): Tidings {
  const matterOf = (facts: Facts) => ({ terms, facts, operations: [], created });
  const before = exceptionsOf(matterOf(known));
  const fresh = exceptionsOf({ ...matterOf(now), unverified }).filter((name) => !before.includes(name));
  const money = currenciesOf(now)
    .map((currency) => ({ minor: total(now, currency) - total(known, currency), currency }))
    .filter(({ minor }) => minor > 0);
  const disputed = Object.entries(now.disputes ?? {}).some(
    ([id, turn]) => turn !== 'won' && turn !== known.disputes?.[id],
  );
  const late: Exception[] = money.length > 0 ? ['late_payment'] : [];
  const exceptions = new Set<Exception>([...late, ...(disputed ? (['disputed'] as const) : []), ...fresh]);
  return { reference: terms.reference, exceptions: [...exceptions], money };
}

const total = (facts: Facts, currency: string) => {
  const { captured, held } = sums(facts, currency);
  return captured + held;
};

/** For the Temporal UI; Markdown, nothing personal. */
export function afterEndCard(closed: ClosedLink, { exceptions, money, reference }: Tidings, now: Facts): string {
  const { terms, created } = closed;
  const { authorized, captured, refunded, held } = sums(now, terms.currency);
  const amount = ({ minor, currency }: Tidings['money'][number]) =>
    currency === terms.currency ? show(minor, closed) : `${minor} minor units of ${currency}`;
  const came = money.length > 0 ? money.map(amount).join(' and ') : 'no money';
  return [
    `# AFTER THE END · \`${reference}\``,
    `**Look at:** ${exceptions.map((name) => `\`${name}\``).join(', ')}`,
    `Nobody looked after this link any more when its provider told of ${came}. Nothing is moved by itself.`,
    [
      '| | |',
      '|---|---|',
      `| Link | \`${reference}\` at \`${terms.account}\` (\`${created.providerLinkId}\`), ${show(terms.amount, closed)} |`,
      `| Money | authorized ${show(authorized, closed)} · held ${show(held, closed)} · captured ${show(captured, closed)} · refunded ${show(refunded, closed)} |`,
      ...(now.latest ? [`| Provider says | \`${now.latest.word}\` at ${when(now.latest.at)} |`] : []),
    ].join('\n'),
    'Refund it at the provider, or deliver; then `dismiss {actor, reason}`.',
  ].join('\n\n');
}

/** What a webhook adds where the provider cannot be asked: a signed one is evidence, an unsigned one is shown. */
export function heard(
  { created }: ClosedLink,
  hint: { signed: boolean; facts?: Facts },
): { facts: Facts; unverified: Facts } {
  const { facts = {} } = hint;
  return hint.signed || created.acceptUnsigned ? { facts, unverified: {} } : { facts: {}, unverified: facts };
}
