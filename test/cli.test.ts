import { spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { perdure as call } from '../client/cli/program.ts';
import { PaymentLinks } from '../client/payment-links.ts';
import { ACCOUNT, type LinkStack, startLinkStack } from './link-stack.ts';

// Most of a test is waiting, for processes and for Temporal: all wait together.
// (The option is known to the runner and missing from the type of `setConfig`.)
const together: object = { sequence: { concurrent: true } };
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000, maxConcurrency: 8, ...together });

let stack: LinkStack;
let links: PaymentLinks;
beforeAll(async () => {
  stack = await startLinkStack();
  links = new PaymentLinks(stack.client);
  await stack.startWorkers();
});
afterAll(() => stack?.stop());

interface Result {
  code: number | null;
  out: string;
  err: string;
}
interface Surroundings {
  stdin?: string;
  env?: NodeJS.ProcessEnv;
  /** Called with each answer as it is printed. */
  heard?: (text: string) => void;
}

/** Runs one command line in this process: the start of another is most of what a run costs. */
async function perdure(args: string[], { stdin = '', env = {}, heard }: Surroundings = {}): Promise<Result> {
  let [out, err] = ['', ''];
  const code = await call(args, {
    out(text) {
      out += `${text}\n`;
      heard?.(text);
    },
    err: (text) => (err += `${text}\n`),
    stdin: () => stdin,
    env: { ...process.env, ...stack.env, ...env },
  });
  return { code, out, err };
}

/** The one JSON document of a run with `--json`: anything else on stdout makes this fail. */
async function json<T = Record<string, unknown>>(args: string[], surroundings?: Surroundings): Promise<T> {
  const { out } = await perdure([...args, '--json'], surroundings);
  return JSON.parse(out) as T;
}

let count = 0;
const fresh = () => `CLI/${++count}`;
async function open(reference = fresh(), minor = 1050): Promise<string> {
  await links.create({ account: ACCOUNT, reference, amount: { minor, currency: 'AED' } });
  return reference;
}
async function paid(): Promise<string> {
  const reference = await open();
  stack.provider.pay(reference, 1050);
  await links.resync(reference);
  return reference;
}

const flags = ['--account', ACCOUNT, '--amount', '10.50', '--currency', 'AED'];

describe('as a process', () => {
  const bin = fileURLToPath(new URL('../client/bin.js', import.meta.url));
  function spawned(args: string[], { stdin = '', env = {} }: Surroundings = {}): Promise<Result> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [bin, ...args], { env: { ...process.env, ...stack.env, ...env } });
      let [out, err] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
      child.on('error', reject).on('close', (code) => resolve({ code, out, err }));
      child.stdin.on('error', () => {}).end(stdin);
    });
  }

  it('takes a body from standard input, flags win, and prints one document', async () => {
    const body = { account: ACCOUNT, reference: 'CLI-file', amount: { minor: 1, currency: 'AED' }, description: 'tea' };
    const args = ['create', '--file', '-', '--amount', '2', '--currency', 'JPY', '--json'];
    const { code, out, err } = await spawned(args, { stdin: JSON.stringify(body) });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toMatchObject({ created: true, link: { amount: 2, currency: 'JPY' } });
  });

  it('ends with 1 without Temporal, and says where it was looked for', async () => {
    const { code, out, err } = await spawned(['doctor'], { env: { TEMPORAL_ADDRESS: '127.0.0.1:1' } });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('127.0.0.1:1');
  });

  it('ends with 2 for wrong usage', async () => {
    const { code, out, err } = await spawned(['get', 'x', '--jsno']);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain("unknown option '--jsno'");
  });
});

describe('create', () => {
  it('makes a link from flags, and shows the same to the same request', async () => {
    const metadata = ['--metadata', 'order=7', '--metadata', 'a=b=c'];
    const more = ['--reference', 'CLI-flags', '--order', 'CLI/debt', '--email', 'a@example.com', ...metadata];
    const first = await perdure(['create', ...flags, ...more]);
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toMatch(/^created\n/);
    expect(first.out).toMatch(/^amount +10\.50 AED$/m);
    expect(first.out).toMatch(/^status +pending$/m);
    expect(first.out).toMatch(/^order +CLI\/debt$/m);
    expect(await json(['create', ...flags, ...more])).toMatchObject({
      created: false,
      link: { reference: 'CLI-flags', orderReference: 'CLI/debt', amount: 1050, metadata: { order: '7', a: 'b=c' } },
    });
  });

  it('ends with 1 when the provider refuses, and says why on stderr', async () => {
    stack.provider.script('CLI-refused', 'refusal', 'refusal');
    const args = ['create', ...flags, '--reference', 'CLI-refused'];
    expect(await perdure(args)).toEqual({
      code: 1,
      out: '',
      err: 'perdure: the provider refused (amount_too_low): the amount is below 1.00\n',
    });
    expect(await json(args)).toMatchObject({
      error: { code: 'provider_refused', providerCode: 'amount_too_low', providerMessage: 'the amount is below 1.00' },
    });
  });
});

describe('reading', () => {
  it('shows a link, its operations and its timeline', async () => {
    const reference = await paid();
    await links.refund(reference, { amount: { minor: 250, currency: 'AED' }, reason: 'one item missing' });
    const get = await perdure(['get', reference]);
    expect(get).toMatchObject({ code: 0, err: '' });
    expect(get.out).toMatch(/^captured +10\.50 AED$/m);
    expect(get.out).toMatch(/^refunded +2\.50 AED$/m);
    expect(get.out).toMatch(/^refund +succeeded +2\.50 AED +local .*one item missing$/m);
    expect((await perdure(['timeline', reference])).out).toContain('pending → paid');
    expect(await json(['get', reference])).toEqual(await links.get(reference));
    expect(await json(['timeline', reference])).toEqual({ items: await links.timeline(reference) });
  });

  it('lists links in columns', async () => {
    const reference = await open();
    await vi.waitFor(async () => {
      const { items } = await links.list({ limit: 100 });
      expect(items.map((item) => item.reference)).toContain(reference);
    }, 10_000);
    const { code, out } = await perdure(['list', '--status', 'pending', '--limit', '100']);
    expect(code).toBe(0);
    const [head, ...rows] = out.split('\n');
    expect(head).toMatch(/^REFERENCE +ACCOUNT +STATUS/);
    const row = rows.find((line) => line.split(' ')[0] === reference);
    // Columns are aligned: a cell begins where its heading does.
    expect(row?.indexOf('pending')).toBe(head?.indexOf('STATUS'));
    const page = await json<{ items: unknown[]; nextCursor: string }>(['list', '--limit', '1']);
    expect(page.items).toHaveLength(1);
    expect(await json(['list', '--limit', '1', '--cursor', page.nextCursor])).toHaveProperty('items');
  });

  it('ends with 1 for a link that is not there', async () => {
    expect(await perdure(['get', 'nobody'])).toEqual({
      code: 1,
      out: '',
      err: 'perdure: there is no payment link with the reference "nobody"\n',
    });
    expect(await json(['get', 'nobody'])).toMatchObject({ error: { code: 'not_found' } });
  });

  it('watches a link until it is settled, and shows only changes', async () => {
    const reference = await open();
    const states: string[] = [];
    const seen = (text: string) => states.push(JSON.parse(text).status);
    const watching = perdure(['watch', reference, '--json', '--timeout', '40'], { heard: seen });
    await vi.waitFor(() => expect(states).toEqual(['pending']), 10_000);
    stack.provider.pay(reference, 1050);
    await links.resync(reference);
    expect(await watching).toMatchObject({ code: 0, err: '' });
    expect(states.at(-1)).toBe('paid');
  });

  it('gives up watching after the timeout', async () => {
    const reference = await open();
    expect(await perdure(['watch', reference, '--timeout', '1'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/is not settled/),
    });
  });

  it('prints the address of the pay page', async () => {
    const reference = await open();
    const { url } = await links.get(reference);
    expect(await perdure(['open', reference, '--no-browser'])).toEqual({ code: 0, out: `${url}\n`, err: '' });
  });
});

describe('commands', () => {
  it('refunds once for one key, as the user of this system', async () => {
    const reference = await paid();
    const args = ['refund', reference, '--amount', '2.50', '--key', 'r-1', '--reason', 'broken'];
    const first = await perdure(args);
    expect(first.out).toMatch(/^refund 2\.50 AED succeeded\n/);
    expect(await json(args)).toMatchObject({
      operation: { id: 'r-1', amount: 250, state: 'succeeded', actor: userInfo().username, reason: 'broken' },
      link: { refunded: 250 },
    });
    const other = await perdure(['refund', reference, '--amount', '2.51', '--key', 'r-1']);
    expect(other).toMatchObject({ code: 1, out: '' });
    expect(other.err).toContain('r-1');
  });

  it('captures, cancels and resyncs', async () => {
    const [held, closing] = await Promise.all([fresh(), fresh()].map((reference) => manual(reference)));
    stack.provider.hold(held!, 1050);
    expect(await json(['resync', held!, '--actor', 'ann'])).toMatchObject({
      operation: { kind: 'resync', actor: 'ann' },
      link: { status: 'authorized' },
    });
    expect((await perdure(['capture', held!])).out).toMatch(/^capture 10\.50 AED succeeded\n[\s\S]*^status +paid$/m);
    expect((await perdure(['cancel', closing!])).out).toMatch(/^cancel succeeded\n[\s\S]*^status +cancelled$/m);
  });

  it('moves an expiry and takes the word of a person where the provider offers neither', async () => {
    const reference = fresh();
    stack.provider.offerNothing(reference);
    await open(reference);
    const expiresAt = new Date(Date.now() + 7_200_000).toISOString();
    expect(await json(['extend', reference, '--expires-at', expiresAt])).toMatchObject({
      operation: { kind: 'extend', state: 'succeeded' },
      link: { expiresAt },
    });
    const vouching = ['mark-paid', reference, '--amount', '10.50', '--provider-ref', 'tx-9', '--reason', 'on the slip'];
    expect((await perdure(vouching)).out).toMatch(/^mark-paid 10\.50 AED succeeded\n[\s\S]*^status +paid$/m);
    expect(await json(['mark-refunded', reference, '--amount', '4', '--currency', 'AED'])).toMatchObject({
      operation: { kind: 'mark-refunded', amount: 400, state: 'succeeded' },
      link: { status: 'partially_refunded', captured: 1050, refunded: 400 },
    });
    const timeline = await perdure(['timeline', reference]);
    expect(timeline.out).toContain('vouches for 10.50 AED captured: on the slip');
  });

  it('says what is allowed instead', async () => {
    const reference = await open();
    const notAllowed = { error: { code: 'not_allowed', allowed: ['cancel', 'resync'] } };
    const soon = new Date(Date.now() + 7_200_000).toISOString();
    for (const args of [
      ['refund', reference],
      ['resolve-unknown', reference, '--operation', 'create', '--outcome', 'absent'],
      ['extend', reference, '--expires-at', soon],
      ['mark-paid', reference, '--amount', '10.50'],
      ['mark-refunded', reference, '--amount', '10.50'],
    ]) {
      expect(await json(args), args[0]).toMatchObject(notAllowed);
    }
  });
});

describe('webhooks that name no open link', () => {
  it('are listed per account and dismissed with a reason', async () => {
    const body = new TextEncoder().encode('{"id":"p/77"}');
    const news = { account: ACCOUNT, ids: ['p/77', 'q-77'], body, at: Date.now(), signed: true };
    expect(await links.keepUnmatched(news, { shared: false })).toBe('kept');
    const listed = await vi.waitFor(async () => {
      const { items } = await json<{ items: unknown[] }>(['unmatched', '--account', ACCOUNT]);
      expect(items).toMatchObject([{ account: ACCOUNT, about: 'p/77', ids: ['p/77', 'q-77'] }]);
      return perdure(['unmatched']);
    }, 10_000);
    expect(listed.out).toMatch(
      /^WEBHOOK +SINCE +LINK THAT IS OVER +WHAT CAME +NAMES\nscripted\/p\/77 +\d{4}-.*Z {20,}p\/77 q-77\n$/,
    );
    expect((await perdure(['unmatched', '--account', 'other'])).out).toBe('no unmatched webhooks\n');

    const dismissing = ['unmatched', 'dismiss', `${ACCOUNT}/p/77`];
    expect(await perdure(dismissing)).toMatchObject({ code: 2, err: expect.stringMatching(/--reason/) });
    expect(await perdure([...dismissing, '--reason', ''])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/reason: must not be empty/),
    });
    expect(await perdure(['unmatched', 'dismiss', 'p-77', '--reason', 'x'])).toMatchObject({ code: 2, out: '' });
    expect(await perdure([...dismissing, '--reason', 'a test payment', '--actor', 'ann'])).toEqual({
      code: 0,
      out: 'dismissed scripted/p/77\n',
      err: '',
    });
    const run = stack.client.workflow.getHandle(`unmatched-webhook/${ACCOUNT}/p/77`);
    expect(await run.result()).toBe('dismissed');
    expect(await json([...dismissing, '--reason', 'again'])).toMatchObject({ error: { code: 'not_found' } });
    await vi.waitFor(async () => expect((await links.unmatched()).items).toEqual([]), 10_000);
  });
});

describe('doctor', () => {
  it('finds nothing wrong with this stack, and counts its links', async () => {
    await open();
    await vi.waitFor(async () => expect((await links.openLinks()).get(ACCOUNT)).toBeGreaterThan(0), 10_000);
    const { code, out } = await perdure(['doctor']);
    expect(out).toMatch(/^ok +queue perdure +1 worker$/m);
    expect(out).toMatch(/^ok +account scripted +\d+ open links?$/m);
    expect(code).toBe(0);
  });

  it('names what is wrong', async () => {
    const { code, out } = await perdure(['doctor'], { env: { PERDURE_MIN_RETENTION_DAYS: '10000' } });
    expect(out).toMatch(/^PROBLEM +namespace default +.*retention/ms);
    expect(code).toBe(1);
  });
});

describe('usage', () => {
  it.each([
    ['no verb', []],
    ['an amount finer than its currency', ['create', '--amount', '1.005', '--currency', 'AED']],
    ['a missing field', ['create', '--account', 'a']],
    ['an unknown account name', ['list', '--account', 'A B']],
    ['a limit that is no number', ['list', '--limit', 'many']],
    ['a file that is no JSON', ['create', '--file', fileURLToPath(import.meta.url)]],
    ['a mark without an amount', ['mark-paid', 'x']],
    ['an expiry that is past', ['extend', 'x', '--expires-at', '2020-01-01T00:00:00Z']],
    ['an unknown verb of webhooks', ['unmatched', 'forget']],
  ])('ends with 2 for %s', async (_, args) => {
    const { code, out, err } = await perdure(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).not.toBe('');
  });

  it('names the field that is wrong', async () => {
    expect(await json(['create', '--account', ACCOUNT, '--reference', 'a b'])).toMatchObject({
      error: {
        code: 'invalid_request',
        errors: [{ pointer: '/reference' }, { pointer: '/amount', message: 'is required' }],
      },
    });
  });

  it('explains itself', async () => {
    const { code, out, err } = await perdure(['--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const word of ['create', 'resolve-unknown', 'unmatched', 'doctor', 'TEMPORAL_ADDRESS', 'Exit codes']) {
      expect(out).toContain(word);
    }
  });
});

/** A link whose hold waits for a command. */
async function manual(reference: string): Promise<string> {
  const amount = { minor: 1050, currency: 'AED' };
  await links.create({ account: ACCOUNT, reference, amount, capture: 'manual' });
  return reference;
}
