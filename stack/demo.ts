/**
 * `npm run demo`: links live and die on a real Temporal server, paid through the pay page's form, and are judged by
 * the provider's ledger. `npm run demo -- --break capture` (or create, cancel, refund) makes the provider refuse that
 * operation, so that the run must fail. Exits 0 only if every walk ended as named.
 */
import { parseArgs } from 'node:util';
import type { Accounts } from '../activities/accounts.ts';
import { openShop, type Shop } from './shop.ts';
import { onShutdown, shutdown } from './shutdown.ts';
import { startStack } from './stack.ts';
import { type Ended, take } from './walk.ts';
import { WALKS } from './walks.ts';

const OPERATIONS = ['create', 'capture', 'cancel', 'refund'];

/** A sandbox minute: links with the shortest lifetime expire within seconds, ordinary ones outlive the demo. */
const MINUTE_MS = 300;

/** Links on their way at the same time: what two cores carry, also with another demo beside it. */
const AT_ONCE = 12;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { break: { type: 'string' } } });
  if (values.break !== undefined && !OPERATIONS.includes(values.break)) {
    throw new Error(`--break takes one of ${OPERATIONS.join(', ')}, not "${values.break}"`);
  }
  // Interrupted before the verdict is no success.
  process.exitCode = 130;
  console.log('Starting Temporal, the sandbox, a worker and the gateway');
  const stack = await startStack({ minuteMs: MINUTE_MS, log: (line) => console.log(`  ${line}`) });
  onShutdown(() => stack.stop());
  const shop = openShop(stack);
  if (values.break) {
    console.log(`\nThe provider is told to refuse every ${values.break}: this run must fail.`);
    for (const provider of new Set(WALKS.map(({ desk }) => desk.provider))) {
      // A provider that has no such operation has nothing to refuse.
      await shop
        .control('POST', `/${provider}/faults`, { operation: values.break, kind: 'status', status: 400 })
        .catch(() => {});
    }
  }

  console.log(`\n${WALKS.length} links`);
  const began = Date.now();
  const ended: Ended[] = [];
  const waiting = [...WALKS.entries()];
  const walkSome = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [index, walk] = next;
      ended[index] = await walkOne(shop, walk, index, began);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, walkSome));
  await shutdown();
  print(ended);
  console.log();
  for (const [name, missing] of Object.entries(lacking(stack.accounts))) console.log(`${name} has no ${missing}`);
  const broken = ended.filter(({ differences }) => differences.length > 0);
  for (const { walk, reference, differences } of broken) {
    console.error(`\n${reference} (${walk.name}) did not end as it must:`);
    for (const difference of differences) console.error(`  - ${difference}`);
  }
  console.log(`\n${ended.length - broken.length} of ${ended.length} links ended as they must.`);
  process.exit(broken.length === 0 ? 0 : 1);
}

/** What a provider does not offer: done by the engine, by hand, or not at all. */
function lacking(accounts: Accounts): Record<string, string> {
  const verbs = {
    inquire: 'inquiry',
    capture: 'capture',
    cancel: 'cancel',
    refund: 'refund',
    extend: 'extension',
  } as const;
  const found: Record<string, string> = {};
  for (const { provider } of accounts.values()) {
    const missing = (Object.keys(verbs) as (keyof typeof verbs)[]).filter((verb) => !provider[verb]);
    if (missing.length > 0) found[provider.name] = missing.map((verb) => verbs[verb]).join(', ');
  }
  return found;
}

async function walkOne(shop: Shop, walk: (typeof WALKS)[number], index: number, began: number): Promise<Ended> {
  const reference = `DEMO/${String(index + 1).padStart(2, '0')}`;
  const say = (line: string) => {
    const seconds = ((Date.now() - began) / 1000).toFixed(1).padStart(5);
    console.log(`${seconds} s  ${reference}  ${line}`);
  };
  try {
    const result = await take(shop, walk, reference, say);
    say(`${result.differences.length === 0 ? 'ended' : 'FAILED'}: ${walk.name}`);
    return result;
  } catch (error) {
    say(`FAILED: ${walk.name}`);
    return { walk, reference, differences: [error instanceof Error ? error.message : String(error)] };
  }
}

function print(ended: readonly Ended[]): void {
  const money = (minor: number | undefined) => (minor === undefined ? '' : (minor / 100).toFixed(2));
  const rows = [
    ['link', 'walk', 'account', 'status', 'captured', 'refunded', 'exceptions', 'verdict'],
    ...ended.map(({ walk, reference, link, differences }) => [
      reference,
      walk.name,
      walk.desk.account,
      link?.status ?? 'not made',
      money(link?.captured),
      money(link?.refunded),
      link?.exceptions.join(' ') ?? '',
      differences.length === 0 ? 'as named' : 'FAILED',
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  console.log();
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
}

main().catch(async (error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  await shutdown();
  process.exit(1);
});
