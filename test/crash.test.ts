/**
 * The worker is killed while providers hold their answers, before and after they acted, at every provider and every
 * write. What they did in the end is in their ledgers; a link must say exactly that.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PaymentLinks } from '../client/index.ts';
import { type Child, spawnChild } from '../stack/processes.ts';
import { FORMS, type LedgerEntry, openShop, pause, type Shop } from '../stack/shop.ts';
import { type Stack, startStack } from '../stack/stack.ts';
import type { Link } from '../workflows/link.ts';
import {
  AMOUNT,
  type Course,
  courseOf,
  DESKS,
  PART,
  type Situation,
  situationsOf,
  wholeOf,
} from './crash/situations.ts';

const ROUNDS = Array.from({ length: 5 }, (_, index) => ({ round: index + 1, late: index % 2 === 1 }));
const ALL = ROUNDS.flatMap(situationsOf);
const PROVIDERS = [...new Set(Object.values(DESKS).map(({ provider }) => provider))];
const SETTLED_MS = 40_000;

interface Victim {
  caught: Situation;
  course: Course;
  /** What the client heard; not to be relied on, the worker that knew is dead. */
  answer: Promise<unknown>;
}

let stack: Stack;
let shop: Shop;
let links: PaymentLinks;
let worker: Child;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'perdure-crash-'));
  stack = await startStack({ worker: false });
  shop = openShop(stack);
  links = new PaymentLinks(stack.client, {
    // An attempt whose worker died is over soon, and so is the proof that it left no trace.
    timing: { attemptMs: 2_000, probeAfterMs: 200, probeAgainMs: 300 },
  });
  worker = await startWorker(ALL);
  // Links that wait for their round live through the kills before it.
  await atMostAtOnce(
    8,
    ALL.map((situation) => () => prepare(situation)),
  );
}, 120_000);

afterAll(async () => {
  await worker?.stop();
  await stack?.stop();
  await rm(scratch, { recursive: true, force: true });
}, 60_000);

async function atMostAtOnce(lanes: number, works: (() => Promise<unknown>)[]): Promise<void> {
  const lane = async () => {
    for (let work = works.pop(); work; work = works.pop()) await work();
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Those of the stack, and more of the same merchants with options of their own. */
function accounts(): Record<string, unknown> {
  const { paymob, beqelal, katu9, ...others } = stack.accountsFile as Record<string, { options: object }>;
  return {
    ...others,
    paymob,
    beqelal,
    katu9,
    'katu9-deaf': katu9,
    'paymob-anew': { ...paymob, options: { ...paymob?.options, lostCreate: 'recreate' } },
    'beqelal-blind': { ...beqelal, options: { ...beqelal?.options, inquiry: false } },
  };
}

/** For the accounts whose writes are still to come: every one costs the worker two queues. */
async function startWorker(toCome: readonly Situation[]): Promise<Child> {
  const { base, keys } = stack.callbacks;
  const served = Object.entries(accounts()).filter(([name]) => toCome.some(({ account }) => account === name));
  await writeFile(join(scratch, 'accounts.json'), JSON.stringify(Object.fromEntries(served)), { mode: 0o600 });
  return spawnChild({
    name: 'worker',
    command: process.execPath,
    args: ['--import', 'tsx', fileURLToPath(new URL('../worker/main.ts', import.meta.url))],
    env: {
      ...process.env,
      ...stack.temporal.env,
      PERDURE_ACCOUNTS: join(scratch, 'accounts.json'),
      PERDURE_WEBHOOK_URL: base,
      PERDURE_TOKEN_KEYS: keys.join(','),
    },
    ready: (child) => child.line(/worker ready/),
  });
}

const isHeldFirst = ({ verb, call }: Situation) => verb === 'capture' || call === 'void';

function requestOf(caught: Situation) {
  const { account, reference } = caught;
  const { currency, ...more } = DESKS[account];
  const customer = 'customer' in more ? { customer: more.customer } : {};
  const capture = isHeldFirst(caught) ? { capture: 'manual' as const } : {};
  return { account, reference, amount: { minor: AMOUNT, currency }, ...customer, ...capture };
}

/** A link with money held or taken, when that is what the write is about. */
async function prepare(caught: Situation): Promise<void> {
  const { account, verb, reference } = caught;
  const { provider } = DESKS[account];
  if (verb === 'create') return;
  await links.create(requestOf(caught));
  // On a busy machine create may be answered before the provider was.
  const { url } = await until(reference, ({ status }) => status === 'pending');
  if (verb === 'cancel' && !isHeldFirst(caught)) return;
  await shop.pay(url!, FORMS[provider].good);
  const ready = isHeldFirst(caught) ? 'authorized' : 'paid';
  expect(await until(reference, ({ status }) => status === ready)).toMatchObject({ status: ready });
}

/** Sends the call that the provider is going to hold. */
function send(caught: Situation, late: boolean): Victim {
  const { verb, reference, account } = caught;
  const once = { idempotencyKey: 'once' };
  const calls = {
    create: () => links.create(requestOf(caught)),
    capture: () => links.capture(reference, {}, once),
    cancel: () => links.cancel(reference, {}, once),
    refund: () => links.refund(reference, { amount: { minor: PART, currency: DESKS[account].currency } }, once),
  };
  return { caught, course: courseOf(caught, late), answer: calls[verb]().catch((error: unknown) => error) };
}

/** Looks seldom, so that those who wait leave the machine to what they wait for. A worker that is away answers nothing. */
async function until(reference: string, holds: (link: Link) => boolean): Promise<Link> {
  for (const end = Date.now() + SETTLED_MS; ; await pause(400)) {
    const { status, body } = await shop.get(reference);
    if ((status === 200 && holds(body)) || Date.now() > end) return body;
  }
}

async function heldCalls(): Promise<{ operation: string; names: string[] }[]> {
  const all = await Promise.all(
    PROVIDERS.map((name) => shop.control<{ held: { operation: string; names: string[] }[] }>('GET', `/${name}/faults`)),
  );
  return all.flatMap(({ held }) => held);
}

/** Held calls go on. */
async function release(): Promise<number> {
  const all = await Promise.all(
    PROVIDERS.map((name) => shop.control<{ released: number }>('DELETE', `/${name}/faults`)),
  );
  return all.reduce((sum, { released }) => sum + released, 0);
}

async function ledgerOf({ account, reference }: Situation, isOurs = (name: string) => name === reference) {
  const path = `/${DESKS[account].provider}/ledger`;
  const { entries } = await shop.control<{ entries: LedgerEntry[] }>('GET', path);
  return entries.filter((entry) => isOurs(entry.reference));
}

/** The ledger is the judge: everything was done once, and the link says so. */
async function judge({ caught, course }: Victim): Promise<Link> {
  const { verb, reference } = caught;
  const { ledger, ...told } = wholeOf(caught, course);
  const made = course !== 'parks, absent';
  const whole = (link: Link) =>
    link.status === told.status &&
    link.exceptions.length === 0 &&
    link.operations.every((op) => op.state === (made ? 'succeeded' : op.kind === 'create' ? 'refused' : 'succeeded'));
  const link = await until(reference, whole);
  expect(link).toMatchObject({ reference, ...told, exceptions: [] });
  const own = link.operations.filter(({ kind }) => kind !== 'resolve-unknown');
  expect(own.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
    `create ${made ? 'succeeded' : 'refused'}`,
    ...(verb === 'create' ? [] : [`${verb} succeeded`]),
  ]);
  const entries = await ledgerOf(caught);
  expect(entries.map(({ kind }) => kind)).toEqual(ledger);
  if (course === 'anew') {
    const second = await ledgerOf(caught, (name) => name.startsWith(`${reference}-2-`));
    expect(second.map((entry) => entry.link)).toEqual([link.providerLinkId]);
    expect(entries[0]?.link).not.toBe(link.providerLinkId);
  } else if (made) {
    expect(new Set(entries.map((entry) => entry.link))).toEqual(new Set([link.providerLinkId]));
  }
  return link;
}

/** Nobody can say yet whether it happened, and nobody pretends to. */
async function isParked({ caught }: Victim): Promise<void> {
  const said = ({ operations }: Link) => operations.at(-1)?.error?.message ?? '';
  const link = await until(caught.reference, (seen) => said(seen).includes('see resolve-unknown'));
  const status = caught.verb === 'create' ? 'creating' : 'paid';
  expect(link).toMatchObject({ status, refunded: 0, exceptions: ['unknown_outcome'] });
  expect(said(link)).toContain('see resolve-unknown');
}

/** A person looked at the provider, and says what became of it. */
async function resolve(victim: Victim): Promise<void> {
  const { caught, course } = victim;
  await isParked(victim);
  const outcome = course === 'parks, absent' ? 'absent' : 'happened';
  await links.resolveUnknown(caught.reference, { operation: caught.verb, outcome });
}

const parks = ({ course }: Victim) => course.startsWith('parks');
const waitsForPerson = ({ course }: Victim) => course.startsWith('parks, ');

// A round cannot be lived twice: its links are there already.
describe('a worker killed while providers hold their answers', { retry: 0 }, () => {
  const victims: Victim[] = [];
  const made: string[] = [];

  // The held calls go on at once, and the next worker finds what they did; or only after it has done without them.
  it.each(ROUNDS)(
    'round $round: nothing is lost and nothing happens twice (held calls go on late: $late)',
    async ({ round, late }) => {
      const caught = situationsOf({ round, late });
      for (const { account, call: operation, kind, reference } of caught) {
        await shop.control('POST', `/${DESKS[account].provider}/faults`, {
          operation,
          kind,
          link: reference,
          count: 1,
        });
      }
      const sent = caught.map((situation) => send(situation, late));
      await expect
        .poll(async () => (await heldCalls()).flatMap(({ names }) => names), { timeout: 15_000, interval: 200 })
        .toEqual(expect.arrayContaining(caught.map(({ reference }) => reference)));
      expect(await heldCalls()).toHaveLength(caught.length);

      worker.kill('SIGKILL');
      expect(await worker.exited).toMatchObject({ signal: 'SIGKILL' });
      expect(await heldCalls()).toHaveLength(caught.length);
      if (!late) expect(await release()).toBe(caught.length);

      worker = await startWorker(ROUNDS.slice(round - 1).flatMap(situationsOf));
      if (late) {
        await Promise.all(sent.map((victim) => (parks(victim) ? isParked(victim) : judge(victim))));
        expect(await release()).toBe(caught.length);
      }
      await Promise.all(sent.filter(waitsForPerson).map(resolve));
      const judged = await Promise.all(sent.map(judge));
      await Promise.all(sent.map(({ answer }) => answer));
      victims.push(...sent);
      made.push(...judged.flatMap(({ providerLinkId }) => providerLinkId ?? []));
    },
    90_000,
  );

  it('and the calls that were held last have done nothing since, and no two links are one', async () => {
    expect(victims).toHaveLength(ALL.length);
    await pause(500);
    for (const { caught, course } of victims) {
      const entries = await ledgerOf(caught);
      expect(entries.map(({ kind }) => kind)).toEqual(wholeOf(caught, course).ledger);
    }
    const absent = victims.filter(({ course }) => course === 'parks, absent').length;
    expect(new Set(made).size).toBe(victims.length - absent);
  });
});

describe('a worker killed while it polls', { retry: 0 }, () => {
  it('is no reason to poll late, however many quiet polls there were before', async () => {
    const reference = 'crash/poll';
    const often = { rows: [], thenEverySeconds: 0.05, jitter: 0 };
    const hasty = new PaymentLinks(stack.client, { timing: { attemptMs: 2_000, cadence: often } });
    const { link } = await hasty.create({ account: 'paymennt', reference, amount: { minor: AMOUNT, currency: 'AED' } });
    // Ten are only counted, the next is held: by then an exponential wait would be of an hour and more.
    const polls = { operation: 'inquire', link: link.providerLinkId };
    await shop.control('POST', '/paymennt/faults', { ...polls, kind: 'slow', delayMs: 0, count: 10 });
    await shop.control('POST', '/paymennt/faults', { ...polls, kind: 'hold_before_commit', count: 1 });
    await expect.poll(heldCalls, { timeout: 20_000 }).toHaveLength(1);

    worker.kill('SIGKILL');
    await worker.exited;
    expect(await shop.control('DELETE', '/paymennt/faults')).toEqual({ released: 1 });
    await shop.control('POST', `/paymennt/links/${link.providerLinkId}/pay`, { webhook: 'never' });
    worker = await startWorker(ROUNDS.slice(-1).flatMap(situationsOf));
    expect(await shop.until(reference, ({ status }) => status === 'paid', 30_000)).toMatchObject({ status: 'paid' });
  }, 90_000);
});
