import { canonical } from '../../workflows/facts.ts';
import { dueOf, type Status } from '../../workflows/link.ts';
import { type Case, OWN, PERSONAL } from './case.ts';
import type { Before, World } from './histories.ts';

export interface Invariant {
  says: string;
  /** Asking costs several times what the history does. */
  dear?: true;
  /** It is about what a person has to see. */
  attentive?: true;
  /** After each command. What the link was before is there for those who ask for it. */
  step?(link: Case, before: Before): void;
  /** After the last command, and a last look where the provider can be asked. */
  end?(link: Case, world: World): void;
}

const MONEY: readonly Status[] = ['paid', 'partially_refunded', 'refunded'];
const CLOSED: readonly Status[] = ['failed', 'cancelled', 'expired'];
const CLOSING_WORDS = ['failed', 'cancelled', 'expired', 'disabled'] as const;

/** Those of the engine's invariants that pure code can keep or break. I1, I11, I13 and I15 need a workflow. */
export const INVARIANTS: Record<Name, Invariant> = {
  I2: {
    says: 'refunded ≤ captured ≤ authorized − released, and no more is known than the provider ever showed',
    step({ sums, truth }) {
      const { authorized, captured, refunded, voided, held } = sums;
      const whole = [authorized, captured, refunded, voided, held].every((minor) => Number.isInteger(minor));
      must(whole && 0 <= refunded && refunded <= captured && captured + voided <= authorized, () => show(sums));
      const peak = (field: 'authorized' | 'captured' | 'refunded') =>
        truth.payments.filter((p) => p.currency === OWN).reduce((sum, p) => sum + p.peak[field], 0);
      const bounded = authorized <= peak('authorized') && captured <= peak('captured') && refunded <= peak('refunded');
      must(bounded, () => `${show(sums)} is more than ${show(truth.payments)}`);
    },
  },
  I3: {
    says: 'a status about money falls only when money moved',
    step(link, before) {
      const { sums } = link;
      // What is due may follow from what became of a capture.
      const due = dueOf(link.matter);
      const [was, is] = [before.status, link.core.statusOf(link.matter)];
      if (was === is || !MONEY.includes(was) || sums.voided !== before.sums.voided || due !== before.due) return;
      const told = () => `${was} → ${is} from ${show(before.sums)} to ${show(sums)}`;
      must(MONEY.includes(is), told);
      if (is === 'paid' || was === 'refunded') must(sums.captured > before.sums.captured, told);
      else must(sums.refunded > before.sums.refunded, told);
    },
  },
  I4: {
    says: 'every order and repetition of the same news gives the same facts',
    end({ news, core, facts, wasCorrected }) {
      if (wasCorrected) return;
      const other = [...news]
        .reverse()
        .concat(news.filter((_, i) => i % 2 === 0))
        .reduce(core.join, {});
      must(canonical(other) === canonical(facts), () => `${show(facts)} or ${show(other)}`);
    },
  },
  I5: {
    says: 'another currency and a word nobody knows move nothing',
    step(link, { foreign, status, sums }) {
      if (!foreign) return;
      const now = [link.core.statusOf(link.matter), link.sums];
      must(canonical(now) === canonical([status, sums]), () => `${show([status, sums])} became ${show(now)}`);
    },
  },
  I6: {
    says: 'no money is moved while an outcome is unknown',
    step({ core, matter, operations, unknown }) {
      if (!unknown) return;
      const allowed = core.allowedOf(matter);
      const moving = allowed.filter((verb) => ['capture', 'cancel', 'refund', 'extend', 'mark-paid'].includes(verb));
      must(moving.length === 0, () => `${moving} beside ${unknown.id}`);
      const open = operations.filter(({ state }) => state === 'unknown' || state === 'running');
      must(open.length === 1, () => `${open.map(({ id }) => id)} at once`);
    },
  },
  I7: {
    says: 'an unknown outcome is settled by what the provider shows more than before, and then it is',
    step(link) {
      const { settledByEvidence, wasCorrected, created, sums, truth } = link;
      link.settledByEvidence = [];
      // A late look may bring back what a person took as untrue.
      if (wasCorrected || !created.abilities.inquire) return;
      for (const { kind, id, amount = 0, shownBefore } of settledByEvidence) {
        const more = link.shown(kind) - shownBefore;
        const shown = kind === 'cancel' ? sums.held === 0 && (truth.closed || more > 0) : more >= amount;
        must(shown, () => `${id} of ${amount} was found in ${show(truth.payments)}, ${shownBefore} before`);
      }
    },
    end({ unknown, truth }, { setting }) {
      if (!unknown || !setting.askable) return;
      const { kind, amount = 0, basis, id } = unknown;
      const now = truth.sums(OWN);
      if (kind === 'refund') must(now.refunded < basis!.refunded + amount, () => `${id} is there, unseen`);
      if (kind === 'capture') must(now.captured < basis!.captured + amount, () => `${id} is there, unseen`);
    },
  },
  I8: {
    says: 'closed is what the provider closed, or it says that nobody confirmed it',
    step(link) {
      const { core, matter, facts, truth } = link;
      const status = core.statusOf(matter);
      const number = Math.max(...Object.keys(facts.openings ?? {}).map(Number));
      const known = facts.openings?.[number] ?? {};
      const word = CLOSING_WORDS.find((each) => known[each] !== undefined);
      must(word === undefined || truth.openings[number]?.[word] !== undefined, () => `${word} is not true`);
      const unconfirmed = core.exceptionsOf(matter).filter((name) => name.endsWith('_unconfirmed'));
      if (word !== undefined) must(unconfirmed.length === 0, () => `${unconfirmed} after ${word}`);
      if (!CLOSED.includes(status)) return;
      if (word === undefined) must(unconfirmed.length === 1, () => `${status} after ${show(known)}`);
      else must(status === meaning(word, known), () => `${status} for ${show(known)}`);
    },
  },
  I9: {
    says: 'late money is shown until it was seen, and goes back once where policy says so',
    attentive: true,
    step(link) {
      const unseen = link.late().filter(({ key }) => !link.seen.has(key));
      if (unseen.length === 0) return;
      const shown = link.core.unseenOf(link.matter).includes('late_payment');
      must(shown, () => `${show(unseen)} is not shown`);
    },
    end(link, { now, fell }) {
      const before = net(link);
      const { policies } = link.created;
      const disputed = Object.values(link.facts.disputes ?? {}).some((turn) => turn !== 'won');
      must(!disputed || link.giveBack() === undefined, () => 'given back beside a dispute');
      link.findOut();
      settle(link, now);
      // Where nobody can be asked, more may be true than is known.
      if (link.wasCorrected || fell || !link.created.abilities.inquire) return;
      const returns = link.operations.filter(({ actor, done }) => actor === 'perdure' && done);
      const names = new Set(returns.map(({ id }) => id));
      must(names.size === returns.length, () => `${returns.map(({ id }) => id)}`);
      const due = dueOf(link.matter);
      const late = link.late().filter(({ currency }) => currency === OWN);
      const lateNet = late.reduce((sum, { taken, returned }) => sum + taken - returned, 0);
      // What did not happen the first time is for a person to do again.
      const tried = link.operations.some(({ actor, done }) => actor === 'perdure' && !done);
      if (policies.latePayment === 'refund' && !disputed && !tried) {
        must(lateNet === 0, () => `${show(late)} was to go back`);
      }
      if (policies.latePayment === 'hold' && policies.excess === 'hold') must(returns.length === 0, () => 'sent');
      const least = Math.min(due, before - (policies.latePayment === 'refund' ? before : 0));
      must(net(link) >= least, () => `${before} became ${net(link)}, due ${due}`);
    },
  },
  I10: {
    says: 'it is always told what is waited for, and giving back comes to an end',
    end(link, { now }) {
      settle(link, now);
      const { core, matter } = link;
      must(core.waiting(matter).for !== '', () => 'waits for nothing');
      const status = core.statusOf(matter);
      const over = CLOSED.includes(status) || MONEY.includes(status);
      const rest = core.restsAt(matter);
      must(!over || (rest !== undefined && rest < 1_000_000), () => `${status} rests at ${rest}`);
    },
  },
  I12: {
    says: 'what continues as new is what was there',
    attentive: true,
    dear: true,
    end(link) {
      const { core, matter } = link;
      const picture = (of: typeof matter) =>
        canonical([
          ...[core.statusOf(of), core.unseenOf(of), core.waiting(of)],
          ...[core.returnDue(of), core.restsAt(of)],
        ]);
      const continued = JSON.parse(JSON.stringify(matter)) as typeof matter;
      must(picture(continued) === picture(matter), () => show(matter));
    },
  },
  I14: {
    says: 'whatever is learned gives an answer, never an error',
    attentive: true,
    dear: true,
    end({ core, matter, facts }) {
      const status = core.statusOf(matter);
      const lists = [core.exceptionsOf(matter), core.allowedOf(matter), core.unseenOf(matter)];
      must(typeof status === 'string' && lists.every(Array.isArray), () => `${status}, ${show(lists)}`);
      const minor = core.returnDue(matter)?.amount ?? 1;
      must(Number.isSafeInteger(minor) && minor > 0, () => `${minor} to be given back`);
      must(core.isNews(facts, facts) === false, () => 'known is new');
    },
  },
  I17: {
    says: 'the card shows nothing personal',
    dear: true,
    end({ core, matter }) {
      const card = core.card(matter);
      must(!PERSONAL.some((text) => card.includes(text)), () => card);
    },
  },
};

export type Name = 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'I8' | 'I9' | 'I10' | 'I12' | 'I14' | 'I17';

function must(holds: boolean, what: () => string): void {
  if (!holds) throw new Error(what());
}

const show = (value: unknown) => JSON.stringify(value);

const net = ({ truth }: Case): number => {
  const { captured, refunded } = truth.sums(OWN);
  return captured - refunded;
};

function meaning(word: (typeof CLOSING_WORDS)[number], known: Record<string, number>): Status {
  if (word === 'failed' || word === 'expired') return word;
  return known.deadline !== undefined && known.deadline <= known[word]! ? 'expired' : 'cancelled';
}

/** What the workflow does when nothing new comes: every operation has its turn, and policy gives back what is left. */
function settle(link: Case, now: number): void {
  for (let turn = 0; turn < 20; turn++) {
    const op = link.queued ?? link.giveBack();
    if (!op) return;
    link.perform(op, 'answered', now);
  }
  throw new Error(`still giving back: ${link.operations.map(({ id }) => id)}`);
}
