import fc from 'fast-check';
import { pause } from '../../stack/shop.ts';
import { AMOUNT, type Life, type Setting, type Verb } from './life.ts';
import { FAULTS, type Fault, type Verb as ProviderVerb } from './merchant.ts';
import type { KindName } from './provider.ts';
import * as waits from './waits.ts';

/** What a script knows of the link it is about. */
export interface Plot {
  kind: KindName;
  payments: number;
}

/** One thing that somebody does. A plain async command: fast-check draws, repeats and shrinks it. */
export class Step implements fc.AsyncCommand<Plot, Life> {
  constructor(
    private readonly name: string,
    private readonly act: (life: Life, plot: Plot) => unknown,
    private readonly may: (plot: Readonly<Plot>) => boolean = () => true,
  ) {}

  check(plot: Readonly<Plot>): boolean {
    return this.may(plot);
  }

  async run(plot: Plot, life: Life): Promise<void> {
    await this.act(life, plot);
  }

  toString(): string {
    return this.name;
  }
}

type Telling = 'at once' | 'twenty times' | 'later' | 'never' | 'by id';

async function tell(life: Life, how: Telling): Promise<void> {
  if (how === 'never') return;
  await life.tell({ times: how === 'twenty times' ? 20 : 1, later: how === 'later', named: how !== 'by id' });
}

export const meet = (verb: ProviderVerb, ...faults: Fault[]) =>
  new Step(`${verb} will meet ${faults}`, ({ shelf }) => shelf.plan(verb, ...faults));

export const make = (...faults: Fault[]) =>
  new Step(`create (${faults})`, async (life) => {
    life.shelf.plan('create', ...faults);
    await life.create();
  });

export const pay = (minor: number, telling: Telling, how: { hold?: boolean; currency?: string } = {}) =>
  new Step(`pay ${minor} ${JSON.stringify(how)}, told ${telling}`, async (life, plot) => {
    await waits.made(life);
    if (life.pay(minor, how)) plot.payments += 1;
    await tell(life, telling);
  });

export const command = (verb: Verb, minor?: number, ...faults: Fault[]) =>
  new Step(`${verb} ${minor ?? 'all'} (${faults})`, async (life) => {
    if (verb === 'capture' || verb === 'refund' || verb === 'cancel') life.shelf.plan(verb, ...faults);
    await life.command(verb, minor);
  });

export const together = (...steps: Step[]) =>
  new Step(`at once: ${steps.join(' and ')}`, (life, plot) => Promise.all(steps.map((step) => step.run(plot, life))));

export const seen = () => new Step('the link knows', waits.seen);
export const lapsed = () => new Step('the hold lapses', waits.lapsed);
export const wait = (ms: number) => new Step(`wait ${ms} ms`, () => pause(ms));
export const deadline = () => new Step('the deadline passes', (life) => life.pastDeadline());
export const hear = () => new Step('what was late is told', (life) => life.deliverLate());
export const again = (times: number) => new Step(`told again ${times} times`, (life) => life.tellAgain(times));

type Elsewhere = 'refund' | 'capture' | 'release' | 'close' | 'refund fails' | 'dispute' | 'dispute won';
export const dashboard = (what: Elsewhere, minor: number, telling: Telling) =>
  new Step(
    `at the provider: ${what} ${minor}, told ${telling}`,
    async (life) => {
      life.shelf.meddled = true;
      life.shelf.happens((truth, now) => {
        const [first] = truth.payments;
        if (what === 'refund') truth.refund('AED', minor);
        else if (what === 'capture') truth.capture('AED', minor);
        else if (what === 'release') truth.release();
        else if (what === 'close') truth.close('cancelled', now);
        else if (what === 'refund fails' && first) truth.refundFails(first);
        else if (first) truth.dispute('d1', what === 'dispute' ? 'open' : 'won');
      });
      await tell(life, telling);
    },
    ({ kind, payments }) => payments > 0 && (what !== 'capture' || kind === 'full'),
  );

type Order = 'paid first' | 'both at once' | 'cancel first';
export const race = (order: Order) =>
  new Step(`paid and cancelled, ${order}`, async (life, plot) => {
    await waits.made(life);
    life.raced = true;
    const cancel = () => life.command('cancel');
    const customer = async () => {
      // The provider's page takes nothing for a closed link.
      if (life.shelf.truth.closed) return;
      if (life.pay(AMOUNT)) plot.payments += 1;
      await life.tell();
    };
    if (order === 'cancel first') {
      await cancel();
      await customer();
    } else {
      const later = order === 'paid first' ? cancel : customer;
      await Promise.all([later === cancel ? customer() : cancel(), pause(order === 'paid first' ? 5 : 60).then(later)]);
    }
  });

export const restart = () => new Step('another worker', ({ stack }) => stack.restart());
export const forge = (how: 'unsigned' | 'wrong key' | 'other account') =>
  new Step(`forged: ${how}`, (life) => life.forge(how));
export const lie = () => new Step('a webhook says too much', (life) => life.tell({ lies: true }));
export const repeat = (other: boolean) =>
  new Step(`the same key again, ${other ? 'another' : 'same'} request`, (life) => life.repeat(other));
export const createAgain = (other: boolean) =>
  new Step(`created again, ${other ? 'other' : 'same'} terms`, (life) =>
    other ? life.createAnother() : life.create(),
  );
export const findOut = () => new Step('a person finds out', (life) => life.findOut());
export const temporalCancel = () => new Step('request-cancellation', (life) => life.requestCancellation());

const minor = fc.constantFrom(AMOUNT, AMOUNT, AMOUNT, AMOUNT / 2, AMOUNT + 500, 1);
const part = fc.constantFrom(undefined, undefined, AMOUNT / 2, AMOUNT / 4, 1);
const telling = fc.constantFrom<Telling>('at once', 'at once', 'twenty times', 'later', 'never', 'by id');
const unlucky = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Fault[]>([]) },
  { weight: 3, arbitrary: fc.constantFrom(...FAULTS).map((fault): Fault[] => [fault]) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Fault[]>(['lost before', 'lost after'], ['lost after', 'lost after'], ['refused']),
  },
);
const reading = fc.array(fc.constantFrom<Fault>('stale', 'stale', 'lost before', 'busy', 'not sent'), {
  minLength: 1,
  maxLength: 3,
});

const customer = fc.tuple(minor, telling, fc.boolean()).map(([sum, how, hold]) => pay(sum, how, { hold }));
const moving = fc.constantFrom<Verb>('capture', 'refund', 'refund', 'cancel');
const operator = fc.tuple(moving, part, unlucky).map(([verb, sum, faults]) => command(verb, sum, ...faults));
const others = fc.constantFrom<Elsewhere>(
  'refund',
  'refund',
  'capture',
  'release',
  'close',
  'refund fails',
  'dispute',
  'dispute won',
);

/** What may happen in a life. What stands twice comes twice as often. */
const steps: fc.Arbitrary<Step>[] = [
  ...[customer, customer, operator, operator, operator],
  fc.tuple(others, fc.constantFrom(AMOUNT / 4, 1), telling).map(([what, sum, how]) => dashboard(what, sum, how)),
  reading.map((faults) => meet('inquire', ...faults)),
  fc.constantFrom('accept' as const, 'resync', 'acknowledge', 'extend', 'mark-paid').map((verb) => command(verb)),
  fc.constantFrom(hear(), hear(), again(1), again(20), lie(), pay(AMOUNT, 'at once', { currency: 'USD' })),
  fc.constantFrom(repeat(false), repeat(false), repeat(true), createAgain(false), createAgain(true)),
  fc.constantFrom(forge('unsigned'), forge('wrong key'), forge('other account'), temporalCancel()),
  fc.constantFrom(wait(100), wait(400), seen(), deadline(), deadline(), findOut()),
  fc.tuple(operator, operator).map((both) => together(...both)),
  fc.constantFrom(race('paid first'), race('both at once'), race('cancel first'), restart()),
];

/** A whole life: what the link is made with, how the first create fares, and what follows. */
export const lives = fc.record({
  setting: fc.record<Setting>({
    kind: fc.constantFrom('full', 'full', 'plain', 'mute'),
    capture: fc.constantFrom('automatic', 'manual'),
    expiresInMs: fc.option(fc.constantFrom(1_500, 2_500), { nil: undefined }),
    policies: fc.record({
      latePayment: fc.constantFrom('hold', 'refund', 'accept'),
      excess: fc.constantFrom('hold', 'refund_excess'),
      uncaptured: fc.constantFrom('release', 'capture'),
    }),
    memory: fc.constantFrom('keeping', 'keeping', 'keeping', 'forgetting'),
    continueAfterEvents: fc.constantFrom(0, 0, 25, 40),
  }),
  begins: fc.oneof(unlucky, unlucky, fc.constant<Fault[]>(['early'])).map((faults) => make(...faults)),
  goesOn: fc.commands(steps, { maxCommands: 8 }),
});
