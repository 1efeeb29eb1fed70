import type { Script } from './campaign.ts';
import { AMOUNT, type Setting } from './life.ts';
import {
  again,
  command,
  dashboard,
  deadline,
  findOut,
  forge,
  hear,
  lapsed,
  lie,
  make,
  meet,
  pay,
  race,
  repeat,
  restart,
  type Step,
  seen,
  together,
  wait,
} from './scripts.ts';

const life = (setting: Partial<Setting>, begins: Step, ...goesOn: Step[]): Script => ({
  setting: { kind: 'full', capture: 'automatic', policies: {}, memory: 'keeping', continueAfterEvents: 0, ...setting },
  begins,
  goesOn,
});

const SHORTLY = 1_500;
const quarter = AMOUNT / 4;
const paid = pay(AMOUNT, 'at once');
const held = pay(AMOUNT, 'at once', { hold: true });

/** Lives in which something comes about that chance might leave out of a small campaign. */
export const TOLD_LIVES = {
  'told early': life({}, make('early'), race('paid first'), seen(), command('refund', quarter, 'lost after')),
  'cancelled first': life({}, make(), race('cancel first')),
  'cancelled and paid at once': life({}, make('hang after'), race('both at once'), pay(AMOUNT, 'later'), hear()),
  'created twice': life({}, make('lost before'), pay(AMOUNT, 'twenty times'), seen(), again(60), again(60), restart()),
  'made late': life({ kind: 'plain' }, make('late'), pay(AMOUNT, 'by id'), seen(), command('refund', quarter, 'late')),
  'not refunded': life(
    { kind: 'plain' },
    make(),
    ...[paid, seen(), command('refund', quarter), seen(), command('refund', quarter, 'lost before')],
    ...[wait(2_500), findOut()],
  ),
  'nobody can be asked': life(
    { kind: 'mute' },
    ...[make(), paid, seen(), forge('unsigned'), command('refund', quarter, 'lost after', 'lost after')],
    ...[wait(2_500), findOut()],
  ),
  'paid while a cancel was lost': life(
    { capture: 'manual' },
    ...[make(), command('cancel', undefined, 'lost before'), paid, seen(), wait(1_500), findOut()],
  ),
  'paid late': life(
    { expiresInMs: SHORTLY, memory: 'forgetting', policies: { latePayment: 'refund' } },
    ...[make(), deadline(), wait(1_500), paid],
  ),
  'read too late': life({ expiresInMs: SHORTLY }, make(), meet('inquire', 'busy', 'busy', 'busy', 'busy'), deadline()),
  'closed by us': life(
    { kind: 'plain', expiresInMs: SHORTLY },
    ...[make(), meet('inquire', 'stale', 'busy'), deadline(), wait(800)],
  ),
  'paid twice': life({ policies: { excess: 'refund_excess' } }, make(), held, seen(), pay(AMOUNT, 'never')),
  'lied to': life({}, make(), lie(), wait(400)),
  'held too long': life(
    { capture: 'manual' },
    ...[make(), held, pay(AMOUNT, 'at once', { currency: 'USD' }), seen(), lapsed()],
  ),
  'continued as new': life(
    { continueAfterEvents: 25 },
    ...[make(), paid, seen(), together(command('refund', quarter, 'hang'), command('refund', 1), command('refund', 2))],
    ...[pay(1, 'at once'), wait(400)],
  ),
  disputed: life(
    {},
    ...[make(), paid, seen(), command('refund', quarter), seen()],
    ...[dashboard('refund fails', 0, 'at once'), dashboard('dispute', 0, 'at once')],
  ),
  'refunded elsewhere': life(
    {},
    ...[make(), paid, seen(), dashboard('refund', quarter, 'never'), wait(600), command('refund', quarter)],
  ),
  'asked for too much': life(
    {},
    ...[make(), paid, seen(), together(command('refund', quarter), command('refund', 1)), repeat(false)],
    ...[command('cancel'), command('refund', 2 * AMOUNT)],
  ),
} as const satisfies Record<string, Script>;
