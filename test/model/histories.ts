import fc from 'fast-check';
import type { ClosingWord, Facts } from '../../workflows/facts.ts';
import { dueOf, type Status } from '../../workflows/link.ts';
import { Case, type Core, type Fate, type Kind, OWN, type Policy } from './case.ts';
import { INVARIANTS, type Invariant, type Name } from './invariants.ts';
import { Truth } from './truth.ts';

/** How a history begins, and what the merchant said should become of odd money. */
interface Setting extends Policy {
  begins: 'open' | 'held' | 'paid' | 'closed' | 'paid late';
}

/** The provider's side of a history: what is true, and what was ever shown of it. */
export class World {
  readonly truth = new Truth();
  /** Every look and webhook so far: any of them may be delivered again, or only now. */
  readonly told: Facts[] = [];
  now = 1;
  /** What the provider once showed it shows no longer. */
  fell = false;

  constructor(readonly setting: Setting) {
    const { truth, now } = this;
    truth.open(now);
    const { begins } = setting;
    if (begins === 'closed' || begins === 'paid late') truth.close('expired', ++this.now);
    this.now += 1;
    if (begins !== 'open' && begins !== 'closed') this.pay('p1', 100, begins === 'held');
  }

  look(): Facts {
    const facts = this.truth.observe(this.now);
    this.told.push(facts);
    return facts;
  }

  /** A customer pays; the webhook is on its way. */
  pay(key: string, minor: number, hold: boolean): Facts {
    const facts = this.truth.tell(this.truth.pay(key, { minor, currency: OWN }, hold, this.now));
    this.told.push(facts);
    return facts;
  }
}

/** How the link stood before a step. */
export interface Before {
  status: Status;
  sums: Case['sums'];
  due: number;
  /** The step brings only what is no concern of the link: another currency, a word nobody knows. */
  foreign: boolean;
}

type Step = fc.Command<World, Case>;

const minor = fc.constantFrom(1, 40, 60, 100, 150);
const fate = fc.constantFrom<Fate>('answered', 'answered', 'lost after', 'lost before');
const which = fc.nat(7);
const pick = <T>(from: readonly T[], index: number): T => from[index % from.length]!;

const always = () => true;
const askable = ({ setting }: World) => setting.askable;
const paid = ({ truth }: World) => truth.payments.length > 0;

/** Commands of one history, each followed by the question whether the invariant still holds. */
function steps({ step: check }: Invariant): fc.Arbitrary<Step>[] {
  const step = (
    name: string,
    run: (world: World, link: Case) => void,
    may: (world: World) => boolean = always,
  ): Step => ({
    check: may,
    run(world, link) {
      const before = check && check.length > 1 ? stand(link, name.startsWith('foreign')) : undefined;
      world.now += 1;
      run(world, link);
      check?.(link, before!);
    },
    toString: () => name,
  });

  const customer = fc.tuple(fc.constantFrom('p1', 'p2', 'p3'), minor, fc.boolean(), fc.boolean()).map((chosen) => {
    const [key, amount, hold, told] = chosen;
    return step(`pay ${key} ${amount}${hold ? ' held' : ''}${told ? ', told' : ''}`, (world, link) => {
      if (world.truth.payments.some((payment) => payment.key === key)) return;
      const facts = world.pay(key, amount, hold);
      if (told) link.learn(facts);
    });
  });

  const foreign = fc.constantFrom('MYSTERY', 'constructor', 'USD').map((word) =>
    step(`foreign: ${word}`, ({ truth, now }, link) => {
      if (word !== 'USD') return link.learn({ unknownWords: { [word]: now } });
      link.learn(truth.tell(truth.pay(`f${now}`, { minor: 100, currency: word }, false, now)));
    }),
  );

  const others = fc.constantFrom('capture', 'refund', 'release', 'undo', 'refund fails', 'open', 'won', 'lost');
  const dashboard = fc.tuple(others, minor, which).map(([what, amount, index]) => {
    const act = (world: World) => {
      const { truth } = world;
      world.fell ||= what === 'refund fails';
      if (what === 'capture') truth.capture(OWN, amount);
      else if (what === 'refund') truth.refund(OWN, amount);
      else if (what === 'release') truth.release();
      else if (what === 'undo') truth.undo(pick(truth.payments, index));
      else if (what === 'refund fails') truth.refundFails(pick(truth.payments, index));
      else truth.dispute('d1', what as 'open' | 'won' | 'lost');
    };
    return step(`at the provider: ${what} ${amount} (${index})`, act, paid);
  });

  const closing = fc
    .constantFrom<ClosingWord | 'opened'>('failed', 'cancelled', 'expired', 'disabled', 'opened')
    .map((word) =>
      step(`provider says ${word}`, (world, link) => {
        const { truth, now } = world;
        if (word !== 'opened') return truth.close(word, now);
        if (!truth.closed || truth.openings.length > 2) return;
        truth.open(now);
        link.learn(world.look());
      }),
    );

  const declared = fc
    .constantFrom('deadline' as const, 'presumed_expired' as const, 'presumed_cancelled' as const)
    .map((word) => step(`we declare ${word}`, ({ now }, link) => link.declare({ [word]: now })));

  const news = fc.oneof(
    fc.constant(step('look', (world, link) => link.learn(world.look()), askable)),
    fc.constant(step('a look that comes later', (world) => void world.look(), askable)),
    which.map((index) =>
      step(
        `told (${index})`,
        ({ told }, link) => link.learn(pick(told, index)),
        ({ told }) => told.length > 0,
      ),
    ),
  );

  const kinds = fc.constantFrom<Kind>('capture', 'capture', 'refund', 'refund', 'cancel');
  const command = fc.tuple(kinds, fc.option(minor), fate).map(([kind, amount, end]) =>
    step(`${kind} ${amount ?? 'all'}: ${end}`, ({ now }, link) => {
      if (link.queued || link.unknown) return;
      link.perform(link.order(kind, { amount: amount ?? undefined }), end, now);
    }),
  );

  const policy = fate.map((end) =>
    step(`give back: ${end}`, ({ now }, link) => {
      link.giveBack();
      if (link.queued) link.perform(link.queued, end, now);
    }),
  );

  const person = fc.oneof(
    fc.constant(step('a person finds out', (_world, link) => link.findOut())),
    fc.constant(step('a person has seen it', (_world, link) => link.acknowledge())),
    fc.constant(step('a person accepts', ({ now }, link) => link.accept(now), askable)),
    minor.map((amount) => step(`a person vouches for ${amount}`, ({ now }, link) => link.vouch(amount, now))),
  );

  // What stands twice comes twice as often.
  return [
    customer,
    customer,
    foreign,
    dashboard,
    dashboard,
    closing,
    declared,
    news,
    news,
    command,
    command,
    policy,
    person,
  ];
}

const stand = ({ core, matter, sums }: Case, foreign: boolean): Before => ({
  ...{ status: core.statusOf(matter), sums, due: dueOf(matter), foreign },
});

const settings: fc.Arbitrary<Setting> = fc.record({
  begins: fc.constantFrom('open', 'held', 'paid', 'closed', 'paid late'),
  askable: fc.constantFrom(true, true, true, false),
  latePayment: fc.constantFrom('hold', 'refund'),
  excess: fc.constantFrom('hold', 'refund_excess'),
});

/**
 * Runs random histories through `core` for as long as the invariant holds.
 * @returns how many, and the shortest history found that breaks it
 */
export function campaign(core: Core, name: Name, params: { runs: number; seed: number }) {
  const invariant = INVARIANTS[name];
  const property = fc.property(settings, fc.commands(steps(invariant), { maxCommands: 7 }), (setting, commands) => {
    const world = new World(setting);
    const link = new Case(core, world.truth, setting, invariant.attentive === true);
    link.learn(world.look());
    fc.modelRun(() => ({ model: world, real: link }), commands);
    if (setting.askable) link.learn(world.look());
    invariant.end?.(link, world);
  });
  const { numRuns, counterexample, errorInstance } = fc.check(property, { numRuns: params.runs, seed: params.seed });
  if (!counterexample) return { runs: numRuns };
  const [setting, commands] = counterexample;
  return { runs: numRuns, broken: `${errorInstance}\n  of ${JSON.stringify(setting)}\n  by ${commands}` };
}
