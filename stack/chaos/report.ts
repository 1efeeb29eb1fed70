/** What a chaos run prints in the end. */

import type { TimelineEntry } from '../../client/index.ts';
import { type Case, type Difference, differencesOf, KINDS, moneyIn } from './checker.ts';
import type { Script } from './script.ts';
import type { Site } from './site.ts';

/** How often each ordered fault acted. */
export interface Fired {
  provider: string;
  operation: string;
  kind: string;
  fired: number;
}

export interface Outcome {
  script: Script;
  cases: readonly Case[];
  fired: readonly Fired[];
  /** How long there were any. */
  faultsMs: number;
  deaths: Site['deaths'];
  deeds: ReadonlyMap<string, number>;
  webhooks: Record<string, number>;
  settledMs: number;
  /** What happened to a link, for those that differ. */
  timelineOf(reference: string): Promise<TimelineEntry[]>;
}

/** Prints it; the number of links that differ. */
export async function report({
  script,
  cases,
  fired,
  faultsMs,
  deaths,
  deeds,
  webhooks,
  settledMs,
  timelineOf,
}: Outcome): Promise<number> {
  const seconds = (ms: number) => (ms / 1_000).toFixed(1);
  console.log(`\nFaults that fired, in ${seconds(faultsMs)} s:`);
  table(
    [...groups(fired, ({ provider, operation }) => `${provider}.${operation}`)].map(([site, rules]) => [
      site,
      String(total(rules.map((rule) => rule.fired))),
      rules.map((rule) => `${rule.kind} ${rule.fired}`).join(', '),
    ]),
  );
  const killed = `${deaths.killed} workers killed, one every ${seconds(faultsMs / Math.max(1, deaths.killed))} s`;
  console.log(`${killed}; ${deaths.own} died by themselves; Temporal and the gateway killed and restarted once each`);
  console.log(`Webhooks: ${counts(Object.entries(webhooks))}`);
  console.log(`Operator: ${counts([...deeds]) || 'nothing to do'}`);

  console.log('\nLinks by account and end:');
  const ends = cases.map(({ link }) => ({
    account: link?.account ?? 'none',
    end: [link?.status ?? 'lost', ...(link?.exceptions ?? [])].join(' + '),
  }));
  table(
    [...groups(ends, ({ account }) => account)]
      .sort()
      .map(([account, some]) => [
        account,
        String(some.length),
        counts([...groups(some, ({ end }) => end)].map(([end, same]) => [end, same.length] as const)),
      ]),
  );

  const unmade = cases.flatMap((story) => story.unmade ?? []);
  if (unmade.length > 0) {
    const reasons = [...groups(unmade, (why) => why)].map(([why, same]) => [why, same.length] as const);
    console.log(`Not made: ${counts(reasons)}`);
  }

  const judged = cases.map((story) => ({ story, differences: differencesOf(story) }));
  const differing = judged.filter(({ differences }) => differences.length > 0);
  for (const { story, differences } of differing) show(story, differences, await timelineOf(story.reference));
  const all = differing.flatMap(({ differences }) => differences);
  console.log(
    `\n${KINDS.map((kind) => `${all.filter((difference) => difference.kind === kind).length} ${kind}`).join(', ')}`,
  );
  console.log(`Settled ${seconds(settledMs)} s after the last fault.`);
  console.log(
    `Seed ${script.seed}: ${cases.length - differing.length} of ${cases.length} links agree with the ledger.`,
  );
  return differing.length;
}

function show(
  { reference, link, entries, acks }: Case,
  differences: readonly Difference[],
  timeline: readonly TimelineEntry[],
): void {
  console.log(`\n${reference} differs:`);
  for (const { kind, says } of differences) console.log(`  - ${kind}: ${says}`);
  if (link) {
    const { status, exceptions, authorized, captured, refunded, currency, providerLinkId, operations } = link;
    const odd = exceptions.length > 0 ? ` (${exceptions.join(', ')})` : '';
    const sums = `authorized ${authorized}, captured ${captured}, refunded ${refunded} ${currency}`;
    console.log(`  link:   ${status}${odd}, ${providerLinkId}, ${sums}`);
    for (const { kind, id, amount, state, actor, error } of operations) {
      console.log(`          ${[kind, id, amount, state, `by ${actor}`, error?.message].filter(Boolean).join(' ')}`);
    }
  }
  const { authorized, captured, refunded } = moneyIn(entries, link?.currency ?? entries[0]?.currency ?? '');
  console.log(`  ledger: authorized ${authorized}, captured ${captured}, refunded ${refunded}`);
  for (const { at, kind, link: id, payment, amount, currency } of entries) {
    console.log(`          ${[at, kind, id, payment, amount, currency].filter(Boolean).join(' ')}`);
  }
  for (const { at, source, summary } of timeline) {
    console.log(`          ${at} ${source}: ${summary}`);
  }
  const told = acks.map(({ verb, key, status, state }) => `${verb} ${key} ${status} ${state ?? ''}`.trim());
  console.log(`  answered: ${told.join('; ') || 'nothing'}`);
}

function groups<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) found.set(keyOf(item), [...(found.get(keyOf(item)) ?? []), item]);
  return found;
}

const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);
const counts = (pairs: readonly (readonly [string, number])[]) =>
  pairs.map(([what, count]) => `${count} ${what}`).join(', ');

function table(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows)
    console.log(
      `  ${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}`,
    );
}
