/**
 * Writes docs/providers.md from the providers themselves: `npx tsx test/provider-docs.ts > docs/providers.md`. What a
 * provider can do is read off the functions it has, so the page cannot promise more than the code.
 */
import { pathToFileURL } from 'node:url';
import type { OptionalVerb, Provider, ProviderErrorKind } from '../activities/provider.ts';
import type { Abilities, WriteKind } from '../workflows/link.ts';
import { openBench } from './conformance/bench.ts';
import type { ProviderKit } from './conformance/kit.ts';
import { kits } from './kits.ts';

const COMMAND = 'npx tsx test/provider-docs.ts > docs/providers.md';

const KINDS: Readonly<Record<ProviderErrorKind, string>> = {
  refused: 'the provider understood and said no; nothing happened, and it is not tried again',
  unauthorized: 'credentials or caller address are not accepted; not tried again until an operator acts',
  not_found: 'the provider does not know the object',
  rate_limited: 'too many requests; nothing happened, and it is tried again when the provider says',
  not_sent: 'the provider never got the request; it is tried again',
  unknown: 'it may have happened; the engine looks before it does anything else',
};

/** A provider as its sandbox account has it, with all it can do switched on. */
interface Entry {
  // biome-ignore lint/suspicious/noExplicitAny: as in the kits
  provider: Provider<any>;
  abilities: Abilities;
  /** What only accounts have whose options say so. */
  optional: readonly OptionalVerb[];
}

async function entryOf(kit: ProviderKit): Promise<Entry> {
  const { provider } = kit;
  const { abilities, options, close } = await openBench(kit);
  await close();
  // An account whose options switch nothing on.
  const plain = Object.entries(options).filter(([, value]) => value !== true);
  const { without = [] } = provider.traits?.(provider.config.parse(Object.fromEntries(plain))) ?? {};
  return { provider, abilities, optional: without };
}

const no = '–';

function cell({ abilities, optional }: Entry, verb: OptionalVerb, has = 'yes'): string {
  const able = abilities[verb];
  if (!able) return no;
  const extent = able === 'full' ? 'the whole only' : able === 'partial' ? 'whole or parts' : has;
  return optional.includes(verb) ? `${extent}, by option` : extent;
}

const repeats = (kind: WriteKind) => (entry: Entry) => (entry.abilities.repeatable.includes(kind) ? 'yes' : no);

const ROWS: readonly [what: string, cell: (entry: Entry) => string][] = [
  ['says how a link stands (`inquire`)', (entry) => cell(entry, 'inquire')],
  [
    'finds a link whose create answer was lost',
    (entry) => (entry.provider.findByIds ? 'when a webhook named it' : cell(entry, 'findByReference')),
  ],
  ['makes one link however often a create is repeated', repeats('create')],
  ['holds money for a later `capture`', (entry) => cell(entry, 'capture')],
  ['closes a link (`cancel`)', (entry) => cell(entry, 'cancel')],
  ['gives money back (`refund`)', (entry) => cell(entry, 'refund')],
  ['makes a link payable for longer (`extend`)', (entry) => cell(entry, 'extend')],
  ['takes further payments of a paid link', ({ abilities }) => (abilities.reusable ? 'until it is disabled' : no)],
  ['sends signed webhooks', ({ provider }) => (provider.webhook ? 'yes' : no)],
  [
    'takes their address',
    ({ provider }) => (provider.webhook?.register ? 'by a call' : 'with each link or in its portal'),
  ],
];

const CANNOT = `Where a column says ${no}, the engine does without:

- *inquire*: a signed webhook is evidence by itself, and so are the entries of \`mark-paid\`. An unsigned one moves no money.
- *finding a lost create*: where a repeat makes no second link, it is sent once more, and is the question. Is the reference
  taken by then, or may it not be repeated, the operation stays \`unknown\` until \`resolve-unknown\`; a paymob account may say
  \`lostCreate: recreate\` instead: a second link is made under a reference of its own, and money on either counts.
- *capture*: payments are taken at once; \`capture: manual\` is 422 \`not_supported\`.
- *cancel*: the link is cancelled on our side alone, reads \`cancel_unconfirmed\`, and money that still comes is \`late_payment\`.
- *refund*: 202 and \`refund_manual\` until somebody gives the money back and says so by \`mark-refunded\`.
- *extend*: 409 \`not_allowed\`, unless the provider leaves the end of a link to us.`;

/** The whole page. */
export async function providerDocs(all: readonly ProviderKit[] = Object.values(kits)): Promise<string> {
  const entries: Entry[] = [];
  for (const kit of all) entries.push(await entryOf(kit));
  const parts = [
    '# Providers',
    `Generated from the adapters by \`${COMMAND}\`; \`npm test\` fails when this page is stale.`,
    '## What each of them can do',
    table(
      ['', ...entries.map(({ provider }) => provider.name)],
      ROWS.map(([what, tell]) => [what, ...entries.map(tell)]),
    ),
    '*By option*: the call is not documented by the provider, and off until the account says that it exists.',
    CANNOT,
    '## Kinds of errors',
    table(['kind', 'what it means'], Object.entries(KINDS)),
    'Timeouts, resets, 5xx and answers that cannot be read are `unknown` after a write at every provider; 401, 403 and 479 are `unauthorized`, 429 is `rate_limited`.',
    ...entries.flatMap(({ provider }) => sectionOf(provider)),
  ];
  return `${parts.join('\n\n')}\n`;
}

function sectionOf({ name, statuses, errors = [], assumed = [] }: Provider): string[] {
  return [
    `## ${name}`,
    '### Its words and ours',
    table(
      ['it says', 'we read'],
      Object.entries(statuses).map(([word, meaning]) => [`\`${word}\``, meaning]),
    ),
    'Any other word is recorded, shown as unknown, and moves nothing.',
    '### Its errors',
    errors.length > 0
      ? table(
          ['it says', 'kind', 'code'],
          errors.map(({ says, kind, code }) => [`\`${says}\``, kind, `\`${code}\``]),
        )
      : 'None has a code of its own.',
    '### What is assumed',
    assumed.length > 0
      ? `No document of the provider confirms that\n\n${assumed.map((sentence) => `- ${sentence}`).join('\n')}`
      : 'Nothing.',
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(await providerDocs());
