/**
 * `npm run chaos -- --links N --seed S`: links of every account live the demo's walks while providers fail in every way
 * they can, webhooks are lost, repeated and late, workers are killed, and Temporal and the gateway are restarted. When
 * the faults are over everything must come to rest within a minute (`settlesWithinMs`: longer with more than a thousand
 * links), and agree with the providers' ledgers.
 *
 * The same seed gives the same script. Exits 0 only if no link differs. `--plant double-capture` and
 * `--plant lost-cancel` falsify the ledger the checker is given, so that the run must fail.
 */
import { parseArgs } from 'node:util';
import type { Tally } from '../sandbox/webhooks.ts';
import { type Deadline, openBackend } from './chaos/backend.ts';
import { type Case, differencesOf } from './chaos/checker.ts';
import { live } from './chaos/life.ts';
import { type Operator, startOperator } from './chaos/operator.ts';
import { PLANTS } from './chaos/plants.ts';
import { type Fired, report } from './chaos/report.ts';
import { type LinkScript, type Script, scriptOf } from './chaos/script.ts';
import { openSite, type Site } from './chaos/site.ts';
import { settlesWithinMs, timingFor } from './chaos/timing.ts';
import { openShop, pause, type Shop } from './shop.ts';
import { shutdown } from './shutdown.ts';

/** An answer to GET may take its time; one that never comes ends the run. */
const JUDGING_MS = 60_000;
/** Time to do some work between two restarts. */
const BREATH_MS = 2_000;
const PROGRESS_MS = 3_000;
/** Links on their way at the same time: as many as two cores carry with all that goes wrong. */
const LIVES_AT_ONCE = 60;
/** Links looked at side by side when all are judged. */
const LOOKS_AT_ONCE = 16;
/** How many times as long as planned faults may last. */
const LONGER = 4;

async function main(): Promise<void> {
  const options = { links: { type: 'string' }, seed: { type: 'string' }, plant: { type: 'string' } } as const;
  const { values } = parseArgs({ options });
  const count = wholeNumber('--links', values.links ?? '60', 1, 100_000);
  const seed = wholeNumber('--seed', values.seed ?? String(Math.floor(Math.random() * 2 ** 31)), 0, 2 ** 31 - 1);
  if (values.plant !== undefined && !Object.hasOwn(PLANTS, values.plant)) {
    throw new Error(`--plant takes ${Object.keys(PLANTS).join(' or ')}, not "${values.plant}"`);
  }
  // Interrupted before the verdict is no success.
  process.exitCode = 130;
  const script = scriptOf(seed, count);
  console.log(`Chaos: ${count} links, seed ${seed}, faults for ${script.faultsMs / 1_000} s`);
  const site = await openSite(timingFor(count), (line) => console.log(`  ${line}`));
  const differing = await run(site, script, values.plant);
  await shutdown();
  process.exit(differing === 0 ? 0 : 1);
}

async function run(site: Site, script: Script, plant: string | undefined): Promise<number> {
  const shop = openShop({
    gateway: { apiUrl: site.apiUrl, webhookUrl: site.webhookUrl, close: async () => {} },
    sandbox: { url: site.sandboxUrl, port: Number(new URL(site.sandboxUrl).port), close: async () => {} },
  });
  const providers = [...new Set(script.links.map(({ walk }) => walk.desk.provider))];
  const began = Date.now();
  const say = (line: string) => console.log(`${((Date.now() - began) / 1_000).toFixed(1).padStart(6)} s  ${line}`);
  const deadline: Deadline = { at: Number.POSITIVE_INFINITY };
  const backend = openBackend(shop, deadline);
  const troubles = new Map<string, string>();
  const count = script.links.length;
  let [begun, ended] = [0, 0];

  for (const { provider, fault } of script.faults) await shop.control('POST', `/${provider}/faults`, fault);
  const operator = startOperator(shop, backend, say);
  const storyOf = (script: LinkScript) => story(script, { shop, backend, operator, troubles });

  const lives = inTurns(script.links, LIVES_AT_ONCE, async (link) => {
    await pause(began + link.startsMs - Date.now());
    if (deadline.at < Number.POSITIVE_INFINITY) {
      troubles.set(link.reference, 'its turn had not come when the faults were over');
      return;
    }
    begun++;
    try {
      await live(link, shop, backend);
      while (differencesOf(await storyOf(link)).length > 0 && Date.now() < deadline.at) await pause(1_000);
    } catch (error) {
      troubles.set(link.reference, error instanceof Error ? error.message : String(error));
      say(`${link.reference}  ${link.walk.name}: ${troubles.get(link.reference)}`);
    }
    ended++;
  });

  const progress = setInterval(() => {
    say(`${begun} links begun, ${ended} at their end; ${site.deaths.killed} workers killed`);
  }, PROGRESS_MS);
  let faulty = true;
  const killing = killWorkers(site, script, () => faulty);
  try {
    await Promise.all([
      restarts(site, script, say),
      faultsLast(script, began, () => begun === count && ended >= count / 2),
    ]);
    faulty = false;
    await killing;
    const fired = await clearFaults(shop, providers);
    const lastFault = Date.now();
    deadline.at = lastFault + settlesWithinMs(count);
    say('the faults are over');
    await lives;
    const settledMs = Date.now() - lastFault;
    await operator.stop();
    say('all links are at their end; judging');
    deadline.at = Date.now() + JUDGING_MS;

    const cases = await inTurns(script.links, LOOKS_AT_ONCE, storyOf);
    if (plant) PLANTS[plant]!(cases);
    const webhooks: Record<string, number> = {};
    for (const provider of providers) {
      const { attempts } = await shop.control<Tally>('GET', `/${provider}/deliveries`);
      for (const [end, times] of Object.entries(attempts)) webhooks[end] = (webhooks[end] ?? 0) + times;
    }
    const { deaths } = site;
    const timelineOf = async (reference: string) => (await shop.timeline(reference)).body.items ?? [];
    const faultsMs = lastFault - began;
    return report({ script, cases, fired, faultsMs, deaths, deeds: operator.deeds, webhooks, settledMs, timelineOf });
  } finally {
    clearInterval(progress);
  }
}

interface Witnesses {
  shop: Shop;
  backend: ReturnType<typeof openBackend>;
  operator: Operator;
  troubles: ReadonlyMap<string, string>;
}

/** What is known of one link now. */
async function story({ reference, walk }: LinkScript, { shop, backend, operator, troubles }: Witnesses): Promise<Case> {
  const { provider } = walk.desk;
  const { status, body: link } = await backend.get(reference);
  const entries = await shop.ledger(provider, reference);
  const told = link?.providerLinkId ?? '';
  const { accepted } = await shop.control<Tally>('GET', `/${provider}/deliveries?link=${encodeURIComponent(told)}`);
  return {
    ...{ reference, ends: walk.ends, entries },
    ...(status === 200 ? { link } : {}),
    acks: backend.acksOf(reference),
    orphans: operator.orphans.get(reference) ?? [],
    ...unmade(reference, { backend, operator }),
    accepted: accepted[told],
    trouble: troubles.get(reference) ?? backend.wrongOf(reference),
  };
}

function unmade(
  reference: string,
  { backend, operator }: Pick<Witnesses, 'backend' | 'operator'>,
): Pick<Case, 'unmade'> {
  if (operator.orphans.has(reference)) return { unmade: 'found absent' };
  return backend.wasRefused(reference) ? { unmade: 'refused' } : {};
}

/** One after the other: without both there is nothing left to go wrong. */
async function restarts(site: Site, { restarts }: Script, say: (line: string) => void): Promise<void> {
  const began = Date.now();
  for (const what of ['temporal', 'gateway'] as const) {
    const { atMs, awayMs } = restarts[what];
    await pause(atMs - (Date.now() - began));
    say(`${what} is killed`);
    await site.restart(what, awayMs);
    say(`${what} is back`);
    await pause(BREATH_MS);
  }
}

/** On a busy machine longer than planned: until all links have met them, and half of them from beginning to end. */
async function faultsLast({ faultsMs }: Script, began: number, met: () => boolean): Promise<void> {
  await pause(faultsMs);
  while (!met() && Date.now() - began < LONGER * faultsMs) await pause(100);
}

async function killWorkers(site: Site, { killsMs }: Script, faulty: () => boolean): Promise<void> {
  for (let kill = 0; faulty(); kill++) {
    await pause(killsMs[kill % killsMs.length]!);
    if (faulty()) await site.killWorker();
  }
}

async function clearFaults(shop: Shop, providers: readonly string[]): Promise<Fired[]> {
  const fired: Fired[] = [];
  for (const provider of providers) {
    const { faults } = await shop.control<{ faults: Omit<Fired, 'provider'>[] }>('GET', `/${provider}/faults`);
    fired.push(...faults.map(({ operation, kind, fired }) => ({ provider, operation, kind, fired })));
    await shop.control('DELETE', `/${provider}/faults`);
  }
  return fired;
}

async function inTurns<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  const waiting = [...items.entries()];
  const some = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) done[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: atOnce }, some));
  return done;
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new Error(`${option} takes a whole number from ${least} to ${most}, not "${text}"`);
}

main().catch(async (error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  await shutdown();
  process.exit(1);
});
