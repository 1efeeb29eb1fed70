import { ActivityFailure, allHandlersFinished, CancellationScope, condition } from '@temporalio/workflow';
import { returnDue } from './allowed.ts';
import { cancelByTemporal, listen, refusedCreate } from './commands.ts';
import { decideAt, moneyIsHere, restsAt } from './deadlines.ts';
import { closingOf, newestHold, newestOpening } from './facts.ts';
import { capturesAtOnce, isSettled, type Link, releasesAtOnce } from './link.ts';
import { heedHints, watchProvider } from './listening.ts';
import type { LinkInput } from './messages.ts';
import { operate, remedy } from './operations.ts';
import { read } from './reads.ts';
import { CLOSE_AT_DEADLINE, CREATE, Run } from './run.ts';
import { heedOrder, leaveOrder } from './siblings.ts';

/**
 * A payment link, from the request to the instant at which no money can move on it any more.
 *
 * A stage returns at once when its condition does not hold, so a run resumed by continue-as-new walks the same page.
 */
export async function paymentLink(input: LinkInput): Promise<Link> {
  const run = new Run(input);
  listen(run);
  // The card does not travel with continue-as-new.
  run.reveal();
  CancellationScope.current().cancelRequested.catch(() => cancelByTemporal(run));
  return CancellationScope.nonCancellable(async () => {
    void operate(run);
    void remedy(run);
    void watchProvider(run);
    void heedHints(run);
    heedOrder(run);

    await open(run);
    do {
      await waitForPayment(run);
      await close(run);
      await decideOnHold(run);
      giveBack(run);
      await watchForLateMoney(run);
      await stayForRefunds(run);
      if (!moneyCanMove(run)) await takeLeave(run);
    } while (moneyCanMove(run));
    run.over = true;
    return run.view();
  });
}

/** Waits until the provider made the link. Refused and proven absent, the run fails: the reference is free again. */
async function open(run: Run): Promise<void> {
  const refused = () => run.operation(CREATE)?.state === 'refused';
  await run.stay(() => run.created !== undefined || refused());
  if (!refused()) return;
  await leaveOrder(run);
  await condition(allHandlersFinished);
  run.over = true;
  throw refusedCreate(run);
}

async function waitForPayment(run: Run): Promise<void> {
  const waits = () => run.status === 'pending' && newestOpening(run.state.facts)?.deadline === undefined;
  while (waits() && run.created) {
    const { expiresAt } = run.created;
    const extended = () => run.created?.expiresAt !== expiresAt;
    await run.stay(() => !waits() || extended(), expiresAt);
    if (waits() && !extended()) run.declare({ deadline: expiresAt }, 'the deadline passed');
  }
}

/** The deadline passed without money: read, let the provider close, close it ourselves, and only then declare. */
async function close(run: Run): Promise<void> {
  const { created, timing } = run;
  if (!created) return;
  const { expiresAt, expiresByItself, abilities } = created;
  // One that was extended meanwhile has another deadline to wait for.
  const overdue = () => run.status === 'pending' && run.created?.expiresAt === expiresAt;
  if (!overdue()) return;

  const reached = await confirm(run);
  if (overdue() && expiresByItself) await run.stay(() => !overdue(), expiresAt + timing.closeMarginMs);
  if (overdue() && run.state.facts.latest?.inFlight) await run.stay(() => !overdue(), expiresAt + timing.inFlightMs);
  if (!overdue()) return;

  // One that has no deadline of its own is told as soon as it can be reached, even if that is after we presumed.
  if (abilities.cancel && (reached || !expiresByItself)) {
    const closing = run.order('cancel', CLOSE_AT_DEADLINE, 'the deadline passed and the provider still took money');
    await run.stay(() => !overdue() || isSettled(closing) || closing.state === 'unknown');
    if (!overdue()) return;
  }
  if (await confirm(run)) {
    if (!overdue()) return;
  } else if (Date.now() < expiresAt + timing.closePatienceMs) {
    await run.stay(() => !overdue(), expiresAt + timing.closePatienceMs);
  }
  if (overdue()) run.declare({ presumed_expired: Date.now() }, 'the provider did not confirm that the link is closed');
}

/** A hold is captured at once, by command, or by policy shortly before it lapses; after it there may be another. */
async function decideOnHold(run: Run): Promise<void> {
  for (let hold = holdOf(run); hold !== undefined; hold = holdOf(run)) {
    const gone = () => holdOf(run) !== hold;
    const order = (kind: 'capture' | 'cancel', name: string, reason: string) => run.order(kind, name, reason, hold);
    if (releasesAtOnce(run.matter)) {
      const release = order('cancel', 'release late money', 'it came after the link was closed');
      await run.stay(() => gone() || isSettled(release) || release.state === 'unknown');
    } else if (capturesAtOnce(run.matter)) {
      const capture = order('capture', 'capture at once', 'the link asks for automatic capture');
      await run.stay(() => gone() || isSettled(capture) || capture.state === 'unknown');
    }
    do await run.stay(gone, decideAt(run.matter));
    while (!gone() && Date.now() < (decideAt(run.matter) ?? 0));
    if (gone()) continue;
    await confirm(run);
    if (gone()) continue;
    if (run.created?.policies.uncaptured === 'capture' && run.state.lostTo === undefined)
      order('capture', 'capture before lapse', 'the hold is about to lapse');
    else order('cancel', 'release before lapse', 'the hold is about to lapse and nobody captured it');
    await run.stay(gone);
  }
}

/** The payment that waits for a decision. */
function holdOf(run: Run): string | undefined {
  return run.status === 'authorized' ? newestHold(run.state.facts, run.terms.currency) : undefined;
}

/** What must not be kept, late money or more than was due, goes back where the merchant said so. */
function giveBack(run: Run): void {
  for (let due = returnDue(run.matter); due; due = returnDue(run.matter)) run.giveBack(due);
}

/** The link is closed, yet customers have paid closed links: keep looking for as long as the merchant's grace. */
async function watchForLateMoney(run: Run): Promise<void> {
  const closed = () => ['failed', 'cancelled', 'expired'].includes(run.status) && !moneyIsHere(run.matter);
  await restWhile(run, closed);
}

/** Money is here: it can be refunded until the window ends. */
async function stayForRefunds(run: Run): Promise<void> {
  const refundable = () => moneyIsHere(run.matter) && run.status !== 'pending' && run.status !== 'authorized';
  const closed = closingOf(newestOpening(run.state.facts))?.confirmed === true;
  if (refundable() && run.created?.abilities.reusable && !closed) {
    run.order('cancel', 'close once paid', 'a paid link would take a second payment');
  }
  await restWhile(run, refundable);
}

/** Nothing is left to do but wait, until the link comes to rest or something moves it elsewhere. */
async function restWhile(run: Run, at: () => boolean): Promise<void> {
  const resting = () => at() && returnDue(run.matter) === undefined;
  if (!resting()) return;
  await run.stay(() => !resting(), restsAt(run.matter));
  await run.stay(() => !resting() || !run.occupied);
}

function moneyCanMove(run: Run): boolean {
  const rest = restsAt(run.matter);
  return rest === undefined || Date.now() < rest || run.occupied;
}

/** Answers whoever still waits. What is heard meanwhile may show money: then the link stays. */
async function takeLeave(run: Run): Promise<void> {
  await leaveOrder(run);
  await condition(() => allHandlersFinished() || run.occupied);
}

/** One last look before something is declared or decided; false when the provider could not be reached. */
async function confirm(run: Run): Promise<boolean> {
  if (!run.created?.abilities.inquire) return true;
  try {
    await read(run, 'deadline', [], 3);
    return true;
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    run.note({ kind: 'problem', source: 'deadline', summary: `no read: ${error.cause?.message}` });
    return false;
  }
}
