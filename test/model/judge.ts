import { pause } from '../../stack/shop.ts';
import type { Link, LinkOperation, Status } from '../../workflows/link.ts';
import { AMOUNT, CURRENCY, isParked, type Life } from './life.ts';
import type { Truth } from './truth.ts';

/** What comes by itself has come by then; what a link learns only when it is asked is asked for. */
const BY_ITSELF_MS = 4_000;

/** How a link stood in the end, and what is wrong with it, if anything is. */
export interface End {
  wrong: string[];
  link?: Link;
  timeline: NonNullable<Awaited<ReturnType<Life['timeline']>>>;
}

/** Ends all trouble and waits until all is well, for a while, or until nobody wants to know any more. */
export async function settle(life: Life, how: { patienceMs: number; enough(): boolean }): Promise<End> {
  const { shelf, setting } = life;
  shelf.heal();
  await life.deliverLate();
  const start = Date.now();
  for (let asked = 1; ; asked++) {
    const link = await life.view();
    const timeline = (await life.timeline()) ?? [];
    const never = [...life.violations, ...shelf.violations];
    if (never.length > 0) return { wrong: never, link, timeline };
    const wrong = link && timeline.length > 0 ? differencesOf(life, link) : [`I10: no answer but ${life.lastNo}`];
    if (link && wrong.length === 0) wrong.push(...judge(life, link, timeline));
    if (!link && Date.now() - start > how.patienceMs) {
      wrong.push(`I10: ${await life.stack.pending(life.reference, setting.memory)}`);
    }
    if (wrong.length === 0 || Date.now() - start > how.patienceMs) return { wrong, link, timeline };
    if (how.enough()) return { wrong: [], link, timeline };
    if (!link) {
      // Who asks a worker that is behind puts it further behind.
      await pause(5_000);
      await life.create();
      continue;
    }
    if (await life.findOut()) continue;
    // A create that did not happen leaves the reference free.
    if (link.operations.some(({ kind, state }) => kind === 'create' && state === 'refused')) await life.create();
    else if (setting.kind === 'mute' && asked % 4 === 1) await life.tell();
    else if (Date.now() - start > BY_ITSELF_MS && asked % 4 === 1) {
      await life.command(link.exceptions.includes('provider_disagrees') ? 'accept' : 'resync');
    }
    await pause(800);
  }
}

const SETTLED: readonly LinkOperation['state'][] = ['succeeded', 'refused', 'failed'];

function differencesOf({ shelf, setting }: Life, link: Link): string[] {
  const { truth } = shelf;
  const differences = shelf.underway > 0 ? ['a call is still on its way'] : [];
  for (const { id, state, error } of link.operations) {
    // A create of a provider that cannot be asked, and whose webhooks never came, is for ever a person's matter.
    const parked = id === 'perdure create' && isParked({ state, error });
    if (!SETTLED.includes(state) && !parked) differences.push(`I10: ${id} is ${state}`);
  }
  const real = truth.sums(CURRENCY);
  for (const field of ['authorized', 'captured', 'refunded'] as const) {
    // Nobody can be asked whether a refund came back.
    if (setting.kind === 'mute' && field === 'refunded' && link.refunded > real.refunded) continue;
    if (link[field] !== real[field]) differences.push(`I2: ${field} ${link[field]}, really ${real[field]}`);
  }
  const expected = statusesOf(truth, link);
  if (differences.length === 0 && !expected.includes(link.status)) {
    differences.push(`I3: ${link.status}, really ${expected}`);
  }
  return differences;
}

/** What a link may read whose provider has this. */
function statusesOf(truth: Truth, link: Link): Status[] {
  const captures = link.operations.filter(({ kind, state }) => kind === 'capture' && state === 'succeeded');
  const taken = captures.reduce((sum, { amount = AMOUNT }) => sum + amount, 0);
  const due = captures.length > 0 ? Math.min(AMOUNT, taken) : AMOUNT;
  const { held } = truth.sums(CURRENCY);
  const net = link.captured - link.refunded;
  if (link.captured > 0 && net >= due) return ['paid'];
  if (link.refunded > 0 && net > 0) return ['partially_refunded'];
  if (link.captured > 0 && net === 0) return ['refunded'];
  if (held > 0) return ['authorized'];
  if (truth.openings.length === 0) return ['creating', 'failed'];
  if (truth.openings.at(-1)?.expired !== undefined) return ['expired'];
  if (truth.closed) return ['cancelled', 'expired'];
  // Presumed, and shown as such.
  return link.exceptions.some((name) => name.endsWith('_unconfirmed')) ? ['cancelled', 'expired'] : ['pending'];
}

/** What must be true of a link whose money is the provider's. */
function judge(life: Life, link: Link, timeline: End['timeline']): string[] {
  const { shelf, setting, reference } = life;
  const { truth, calls } = shelf;
  const found: string[] = [];
  const must = (holds: boolean, what: string) => {
    if (!holds) found.push(what);
  };
  must(shelf.objects.length <= 1, `I1: ${shelf.objects.length} links at the provider`);
  for (const { key, currency, held, taken, released, returned } of truth.payments) {
    const sound = Math.min(held, taken, released, returned) >= 0 && returned <= taken && held + taken + released > 0;
    must(sound, `I2: ${key} in ${currency} has ${returned} of ${taken} returned`);
  }
  must(shelf.crowd <= 1, `I6: ${shelf.crowd} operations at once`);
  const ids = link.operations.map(({ id }) => id);
  must(new Set(ids).size === ids.length, `I6: ${ids} are not different`);
  for (const { verb, key, effective } of calls) {
    const op = link.operations.find(({ kind, id }) => kind === verb && key === keyOf(reference, kind, id));
    if (verb !== 'create') must(op !== undefined, `I6: ${key} is the key of no operation`);
    must(shelf.effective(verb, key).length <= 1, `I6: ${key} happened twice`);
    // A refund the provider took back days later has failed.
    const nothing = op?.state === 'refused' || (op?.state === 'failed' && op.error?.code !== 'refund_failed');
    must(!(effective && nothing), `I7: ${op?.id} happened, and reads ${op?.state}`);
  }
  // Where somebody else moved money, what he did may be what was asked for.
  const doubtful = shelf.meddled || setting.kind === 'mute';
  for (const { id, kind, state } of link.operations) {
    if (kind !== 'refund' || state !== 'succeeded' || doubtful) continue;
    const done = shelf.effective(kind, keyOf(reference, kind, id)).length === 1;
    must(done, `I7: ${id} reads succeeded, and never happened`);
  }
  if (setting.kind !== 'mute') {
    must(
      link.exceptions.includes('currency_mismatch') === truth.payments.some((p) => p.currency !== CURRENCY),
      'I5: currency',
    );
  }
  const told = timeline.map(({ summary }) => summary).join('\n');
  const late = truth.openings.length === 1 ? truth.payments.filter(({ at }) => at > closedAt(life)) : [];
  must(late.length === 0 || told.includes('late_payment'), 'I9: late money is not told of');

  const expired = timeline.find(({ kind, summary }) => kind === 'status' && summary.endsWith('→ expired'));
  const looked = shelf.looks.some((at) => at >= shelf.expiresAt && at <= Date.parse(expired?.at ?? ''));
  const honest = setting.kind === 'mute' || looked || told.includes('_unconfirmed');
  must(!expired || truth.openings.length > 1 || honest, 'I8: expired without a look');
  must(!/canary/i.test(told + JSON.stringify(link.operations)), 'I17: personal data in what is told');
  return found;
}

const keyOf = (reference: string, kind: string, id: string) => `payment-link/${reference}:${kind}:${id}`;

function closedAt({ shelf }: Life): number {
  const words = Object.entries(shelf.truth.openings[0] ?? {}).filter(([word]) => word !== 'opened');
  return Math.min(Number.POSITIVE_INFINITY, ...words.map(([, at]) => at));
}
