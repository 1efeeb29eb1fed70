/** Every protection, how it is switched off, and the test that notices. */
import { pathToFileURL } from 'node:url';
import { EDGE } from './protections/api.ts';
import { CALLS } from './protections/calls.ts';
import { CLIENT } from './protections/client.ts';
import { DECISIONS } from './protections/decisions.ts';
import { ENGINE } from './protections/engine.ts';
import { MONEY } from './protections/money.ts';
import type { Protection } from './protections/off.ts';
import { ORDERS } from './protections/orders.ts';
import { PROVIDERS } from './protections/providers.ts';
import { UNMATCHED } from './protections/unmatched.ts';
import { WEBHOOKS } from './protections/webhooks.ts';

export const PROTECTIONS: readonly Protection[] = [
  ...[...WEBHOOKS, ...EDGE, ...CLIENT, ...CALLS],
  ...[...PROVIDERS, ...MONEY, ...ENGINE, ...DECISIONS, ...ORDERS, ...UNMATCHED],
];

/** The table of docs/reliability.md. A row that is meant of a table of tests stands behind its title. */
export function protectionsTable(): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const rows = PROTECTIONS.map(({ rule, off, test: { file, title, row } }) => {
    const places = [...new Set(off.map((patch) => `\`${patch.file}\``))].join('<br>');
    const meant = row === undefined ? title : `${title} (${row})`;
    return `| ${cell(rule)} | ${places} | \`${file}\` › ${cell(meant)} |`;
  });
  return ['| protection | place | caught by |', '|---|---|---|', ...rows].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) console.log(protectionsTable());
