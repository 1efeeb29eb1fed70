/** What a run of unmatched webhooks does not lose: what nobody has seen, or nobody has looked for. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { nothingNew } from '../activities/failures.ts';
import { PaymentLinks } from '../client/index.ts';
import type { KeepOptions } from '../client/unmatched.ts';
import { pause } from '../stack/shop.ts';
import { createMatch } from '../worker/match.ts';
import { workflowIdOf } from '../workflows/messages.ts';
import { dismiss } from '../workflows/unmatched.ts';
import { ACCOUNT, type LinkStack, startLinkStack } from './link-stack.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

let stack: LinkStack;
let links: PaymentLinks;
/** What comes before the next searches for an object. */
const hurdles = new Map<string, () => unknown>();
beforeAll(async () => {
  stack = await startLinkStack({
    match: (client) => {
      const { match } = createMatch(client);
      return {
        async match(asked) {
          await hurdles.get(asked.hint.ids[0]!)?.();
          return match(asked);
        },
      };
    },
  });
  links = new PaymentLinks(stack.client);
  await stack.startWorkers();
});
afterAll(() => stack?.stop());

const KEPT = { shared: false };
/** Long enough for a search on a busy machine, and soon over. */
const SHARED = { shared: true, patienceMs: 2_000 };
const aed = (minor: number) => ({ minor, currency: 'AED' });
let count = 0;
let told = 0;

/** A link whose run is over, and the run of what comes after. */
async function over() {
  const reference = `LATE:${++count}`;
  const request = { account: ACCOUNT, reference, amount: aed(1050), policies: { graceSeconds: 0 } };
  const { link } = await links.create(request);
  await links.cancel(reference);
  await stack.client.workflow.getHandle(workflowIdOf(reference)).result();
  const about = link.providerLinkId!;
  const run = stack.client.workflow.getHandle(`unmatched-webhook/${ACCOUNT}/${about}`);
  const listed = async () =>
    (await links.unmatched({ account: ACCOUNT, limit: 100 })).items.find((item) => item.about === about);
  return {
    ...{ reference, about, run, listed },
    pay: (minor: number) => stack.provider.pay(reference, minor),
    reads: () => stack.provider.readsOf(reference).length,
    beforeReads: (happens: () => unknown) => stack.provider.beforeReads(reference, happens),
    beforeSearches: (happens: () => unknown) => hurdles.set(about, happens),
    /** A webhook in words that nobody has used before, or in those that were. */
    async hint(options: KeepOptions = KEPT, text = `news ${++told}`) {
      const body = new TextEncoder().encode(text);
      const news = { account: ACCOUNT, named: reference, ids: [about], body, at: Date.now(), signed: true };
      expect(await links.keepUnmatched(news, options)).toBe('kept');
    },
    dismiss: () => run.executeUpdate(dismiss, { args: [{ actor: 'ana', reason: 'seen to' }] }),
    /** What is shown, by money alone. */
    shows: (money: object[] | undefined) =>
      vi.waitFor(async () => {
        const item = await listed();
        expect(item).toBeDefined();
        expect(item?.afterEnd?.money).toEqual(money);
        return item!;
      }, 20_000),
    async attributes() {
      const { typedSearchAttributes } = await run.describe();
      const pairs = typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]);
      return Object.fromEntries(pairs) as Record<string, unknown>;
    },
  };
}

type Kept = Awaited<ReturnType<typeof over>>;

/** Both events wait for a worker, so one workflow task brings them. */
async function inOneTask(work: () => Promise<unknown>): Promise<void> {
  await stack.stopWorkers();
  const done = work();
  done.catch(() => {});
  await pause(1_000);
  await stack.startWorkers();
  await done;
}

const moreReads = ({ reads }: Kept, than: number) => vi.waitFor(() => expect(reads()).toBeGreaterThan(than), 10_000);

describe('a dismissal', () => {
  it.each([
    ['under way', false],
    ['repeated', true],
  ])('settles what could be seen, not what a read that is %s then brings', async (_, fails) => {
    const late = await over();
    late.pay(50);
    await late.hint();
    await late.shows([aed(50)]);

    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let away = true;
    late.beforeReads(() => {
      if (!fails) return released;
      if (away) throw new Error('the provider is away');
    });
    late.pay(1050);
    const before = late.reads();
    await late.hint();
    await moreReads(late, before);
    await late.dismiss();
    await late.shows(undefined);
    expect(await late.attributes()).toMatchObject({ LinkStatus: 'dismissed', LinkAccount: ACCOUNT });
    expect((await late.attributes()).LinkExceptions ?? []).toEqual([]);
    away = false;
    release();
    await late.shows([aed(1000)]);
    expect(await late.attributes()).toMatchObject({ LinkStatus: 'unmatched', LinkExceptions: ['late_payment'] });
    await late.dismiss();
    expect(await late.run.result()).toBe('dismissed');
  });

  it('is remembered, also when nothing else came of the run', async () => {
    const late = await over();
    late.pay(1050);
    await late.hint();
    await late.shows([aed(1050)]);
    let away = true;
    late.beforeReads(() => {
      if (away) throw new Error('the provider is away');
    });
    const before = late.reads();
    await late.hint();
    await moreReads(late, before);
    await late.dismiss();
    await late.shows(undefined);
    away = false;
    expect(await late.run.result()).toBe('dismissed');
    await vi.waitFor(async () => expect(await late.listed()).toBeUndefined(), 10_000);
    await late.hint();
    expect(await late.run.result()).toBe('nothing_new');
  });

  it('of what nobody has seen yet takes nothing for seen', async () => {
    const late = await over();
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    late.beforeReads(() => released);
    late.pay(1050);
    await late.hint();
    await moreReads(late, 0);
    await late.dismiss();
    release();
    await vi.waitFor(async () => expect((await late.run.describe()).status.name).toBe('COMPLETED'), 10_000);
    await late.hint();
    await late.shows([aed(1050)]);
  });

  it('leaves a webhook of the same task unsettled', async () => {
    const late = await over();
    late.pay(50);
    await late.hint();
    await late.shows([aed(50)]);
    late.pay(1050);
    await inOneTask(async () => {
      await late.hint();
      await late.dismiss();
    });
    await late.shows([aed(1000)]);
  });

  it('leaves a webhook of the same task unsettled also where nothing was shown yet', async () => {
    const late = await over();
    let away = true;
    late.beforeReads(() => {
      if (away) throw new Error('the provider is away');
    });
    await late.hint();
    await moreReads(late, 0);
    late.pay(1050);
    await inOneTask(async () => {
      await late.hint();
      await late.dismiss();
    });
    away = false;
    await late.shows([aed(1050)]);
  });

  it('while a search is under way ends it', async () => {
    const late = await over();
    let searching = false;
    late.beforeSearches(async () => {
      searching = true;
      await pause(500);
      throw nothingNew('no open link yet', '1h');
    });
    await late.hint();
    await vi.waitFor(() => expect(searching).toBe(true), 10_000);
    await late.dismiss();
    expect(await late.run.result()).toBe('dismissed');
  });
});

describe('on a shared account', () => {
  it('what nobody could look for is not foreign: it is looked for again', async () => {
    const late = await over();
    late.pay(1050);
    const until = Date.now() + 2 * SHARED.patienceMs;
    late.beforeSearches(() => {
      if (Date.now() < until) throw new Error('queries fail');
    });
    await late.hint(SHARED);
    await late.shows([aed(1050)]);
  });

  it('nor is what was last looked for long ago', async () => {
    const late = await over();
    late.pay(1050);
    let tries = 0;
    late.beforeSearches(() => {
      if (++tries === 1) throw nothingNew('no open link yet', '5s');
    });
    const patienceMs = 6_000;
    await late.hint({ ...SHARED, patienceMs });
    await vi.waitFor(() => expect(tries).toBe(1), 10_000);
    await stack.stopWorkers();
    await pause(patienceMs);
    expect(tries).toBe(1);
    await stack.startWorkers();
    await late.shows([aed(1050)]);
  });

  it('what was looked for in vain is foreign', async () => {
    const late = await over();
    let tries = 0;
    late.beforeSearches(() => {
      tries += 1;
      throw nothingNew('no open link yet', '500ms');
    });
    await late.hint(SHARED);
    expect(await late.run.result()).toBe('foreign');
    expect(tries).toBeGreaterThan(1);
    const { historyLength } = await late.run.describe();
    expect(historyLength).toBeLessThan(15);
  });

  it.each([
    ['could not be looked for', () => new Error('queries fail')],
    ['was looked for in vain', () => nothingNew('no open link yet', '1h')],
  ])('a webhook that %s is read all the same once the link is known', async (_, failure) => {
    const late = await over();
    late.pay(50);
    await late.hint(SHARED);
    await late.shows([aed(50)]);
    late.pay(1050);
    const until = Date.now() + 1.5 * SHARED.patienceMs;
    late.beforeSearches(() => {
      if (Date.now() < until) throw failure();
    });
    await late.hint(SHARED);
    await late.shows([aed(1050)]);
  });
});

describe('a run that grows', () => {
  const LONG = { ...KEPT, continueAfterEvents: 40 };

  it('continues as new with all that it knows and waits for', async () => {
    const late = await over();
    late.pay(1050);
    await late.hint(LONG, 'the first');
    const before = await late.shows([aed(1050)]);
    const { runId } = await late.run.describe();
    for (let hints = 0; (await late.run.describe()).runId === runId; hints++) {
      expect(hints, 'it does not continue as new').toBeLessThan(30);
      await late.hint(LONG);
      await pause(200);
    }
    expect(await late.shows([aed(1050)])).toEqual(before);
    expect(await late.attributes()).toMatchObject({
      ...{ LinkStatus: 'unmatched', LinkAccount: ACCOUNT, LinkExceptions: ['late_payment'] },
      LinkProviderId: [late.about, `payment/${late.about}`],
    });
    const { currentDetails } = await late.run.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(currentDetails).toContain('told of 10.50 AED');

    await late.dismiss();
    expect(await late.run.result()).toBe('dismissed');
    await late.hint();
    expect(await late.run.result()).toBe('nothing_new');
  });

  it('does so while the provider is away, and loses no webhook by it', async () => {
    const late = await over();
    let away = true;
    late.beforeReads(() => {
      if (away) throw new Error('the provider is away');
    });
    await late.hint(LONG, 'the first');
    await moreReads(late, 0);
    const { runId } = await late.run.describe();
    for (let hints = 0; (await late.run.describe()).runId === runId; hints++) {
      expect(hints, 'it does not continue as new').toBeLessThan(30);
      await late.hint(LONG);
      await pause(100);
    }
    late.pay(1050);
    away = false;
    await late.shows([aed(1050)]);
    await late.dismiss();
    expect(await late.run.result()).toBe('dismissed');
  });
});
