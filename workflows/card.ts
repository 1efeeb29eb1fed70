import { allowedOf } from './allowed.ts';
import { captureBefore, waiting } from './deadlines.ts';
import { exceptionsOf } from './exceptions.ts';
import { sums } from './facts.ts';
import { type Matter, statusOf } from './link.ts';
import { decimal } from './money.ts';

/** Money of the link's own currency as people read it: `10.50 AED`. */
export const show = (minor: number, { terms }: Pick<Matter, 'terms'>): string =>
  `${decimal(minor, terms.exponent)} ${terms.currency}`;

export const when = (at: number): string => new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');

/**
 * What an operator sees first in the Temporal UI: where the money is, what the link waits for, what may be done.
 * Nothing personal stands here. Markdown.
 */
export function card(matter: Matter): string {
  const wait = waiting(matter);
  const lapse = captureBefore(matter);
  const { terms, facts, operations, created } = matter;
  const { authorized, captured, refunded, held } = sums(facts, terms.currency);
  const exceptions = exceptionsOf(matter);
  const unsettled = operations.filter((op) => ['queued', 'running', 'unknown'].includes(op.state));
  const amount = (minor: number) => decimal(minor, terms.exponent);
  const money = [
    `authorized ${amount(authorized)}`,
    ...(held > 0 ? [`held ${amount(held)}`] : []),
    `captured ${amount(captured)}`,
    `refunded ${amount(refunded)} ${terms.currency}`,
  ].join(' · ');
  // Short names: in the UI's narrow column a name of two words would push the last rows out of sight.
  const rows = [
    `# ${statusOf(matter).toUpperCase()} · ${show(terms.amount, matter)}`,
    exceptions.length ? `**Look at:** ${exceptions.map((name) => `\`${name}\``).join(', ')}` : '',
    '| | |',
    '|---|---|',
    `| Link | \`${terms.reference}\` at \`${terms.account}\`${created ? ` (\`${created.providerLinkId}\`)` : ''} |`,
    `| Money | ${money} |`,
    `| Waits for | ${wait.for}${wait.until === undefined ? '' : ` · ${when(wait.until)}`} |`,
    lapse === undefined ? '' : `| Hold lapses | ${when(lapse)} |`,
    `| Allowed | ${allowedOf(matter).join(', ') || 'nothing'} |`,
    ...unsettled.map(
      (op) =>
        `| ${op.kind} \`${op.id}\` | ${op.state}${op.amount ? `, ${show(op.amount, matter)}` : ''}${op.error ? `: ${op.error.message.replaceAll('|', '\\|')}` : ''} |`,
    ),
    ...Object.keys(facts.unknownWords ?? {}).map(
      (word) => `| Unrecognised word | \`${word}\`, recorded, moves nothing |`,
    ),
    facts.latest ? `| Provider | \`${facts.latest.word}\` at ${when(facts.latest.at)} |` : '',
  ];
  // The UI measures the card a line too low: what it cuts off is this one.
  return `${rows.filter(Boolean).join('\n').replace('\n| | |', '\n\n| | |')}\n\n\u00a0`;
}
