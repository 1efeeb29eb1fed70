/** A link among the others that may pay the same debt: what it asks of their order, and what it does when one has won. */
import {
  ActivityCancellationType,
  ActivityFailure,
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow';
import { captureBefore, decideAt } from './deadlines.ts';
import { latePayments, paymentsIn } from './facts.ts';
import { isSettled, type Operation, releasesAtOnce } from './link.ts';
import { TASK_QUEUE } from './messages.ts';
import { left, type OrderPorts, orderDecided, orderIdOf, type Standing } from './payment-order.ts';
import { readFailure } from './reads.ts';
import type { Run } from './run.ts';

export const ORDER_PAID = 'order_already_paid';

/** Why an operation is refused. */
type No = NonNullable<Operation['error']>;

const orders = proxyActivities<OrderPorts>({
  taskQueue: TASK_QUEUE,
  // Many links that ask one order at once wait for each other.
  startToCloseTimeout: '30s',
  retry: { initialInterval: '1s', maximumInterval: '1m' },
  // What became of a claim that is given up has to be known.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

/** For as long as the run lives. A link without an order does nothing here. */
export function heedOrder(run: Run): void {
  if (run.terms.orderReference === undefined) return;
  setHandler(orderDecided, (standing) => hear(run, standing), { description: 'Another link of the order has won' });
  void tellOrder(run);
  void giveWay(run);
}

/** Asks the order before a link is made and before we capture; an operation it does not allow is refused. */
export async function mayGoOn(run: Run, operation: Operation): Promise<boolean> {
  const { kind } = operation;
  const no = kind === 'create' ? await join(run) : kind === 'capture' ? await claim(run) : undefined;
  if (no !== undefined && no !== 'later') run.change(operation, { state: 'refused', error: no });
  return no === undefined;
}

/** Undefined when the link may be made, else why not. */
async function join(run: Run): Promise<No | undefined> {
  const { orderReference = '', reference } = run.terms;
  try {
    const { winner } = await orders.joinOrder.executeWithOptions({ summary: `join order ${orderReference}` }, [
      { orderReference, reference },
    ]);
    return winner === undefined || winner === reference ? undefined : paidThrough(run, winner);
  } catch (error) {
    const { code, message } = readFailure(error);
    return { code, message };
  }
}

/**
 * No other link of the order may capture until it is known what came of this one. Waits for whoever is ahead, but not
 * beyond the hold, nor when the link is to be cancelled instead.
 *
 * @returns undefined when the capture may be sent, else why not; `later` when the run has to continue as new first
 */
async function claim(run: Run): Promise<No | 'later' | undefined> {
  const { orderReference = '', reference } = run.terms;
  if (run.state.lostTo !== undefined) return paidThrough(run, run.state.lostTo);
  const turn = (run.state.order?.turn ?? 0) + 1;
  run.state.order = { ...run.state.order, turn, claimed: true };
  const pointless = () =>
    run.leaving ||
    run.state.lostTo !== undefined ||
    run.state.operations.some(({ kind, state }) => kind === 'cancel' && state === 'queued');
  const scope = new CancellationScope();
  const standing = scope.run(() =>
    orders.claimOrder.executeWithOptions(
      { summary: `claim order ${orderReference}`, scheduleToCloseTimeout: patienceOf(run) },
      [{ orderReference, reference, turn }],
    ),
  );
  try {
    await Promise.race([standing, condition(pointless)]);
    scope.cancel();
    hear(run, await standing);
  } catch (error) {
    if (!isCancellation(error) && !(error instanceof ActivityFailure)) throw error;
    if (run.leaving) return 'later';
    const message = `order ${orderReference} may be won by another link, which is being captured`;
    if (run.state.lostTo === undefined) return { code: 'not_allowed', message };
  }
  return run.state.lostTo === undefined ? undefined : paidThrough(run, run.state.lostTo);
}

/** The run is over: the order waits for this link no longer. */
export async function leaveOrder(run: Run): Promise<void> {
  const { orderReference, reference } = run.terms;
  if (orderReference === undefined) return;
  await condition(() => untold(run) === undefined);
  try {
    await getExternalWorkflowHandle(orderIdOf(orderReference)).signal(left, { reference });
  } catch {
    // The order was stopped by an operator: nobody waits.
  }
}

/** Why no more money is to be taken through this link. */
export const paidThrough = ({ terms }: Pick<Run, 'terms'>, winner: string) => ({
  code: ORDER_PAID as typeof ORDER_PAID,
  message: `order ${terms.orderReference} is already paid through ${winner}`,
});

/** Tells of captured money, whoever captured it, and of claims that came to nothing. */
async function tellOrder(run: Run): Promise<never> {
  for (;;) {
    await condition(() => !run.leaving && untold(run) !== undefined);
    const captured = untold(run);
    // What the condition saw may have changed before its turn came.
    if (captured === undefined || run.leaving) continue;
    const { orderReference = '', reference } = run.terms;
    const { turn = 0 } = run.state.order ?? {};
    run.busy += 1;
    const summary = captured ? `tell order ${orderReference} of the money` : `give order ${orderReference} back`;
    const standing = await orders.settleOrder.executeWithOptions({ summary }, [
      { orderReference, reference, turn, captured },
    ]);
    run.busy -= 1;
    const claimed = run.state.order?.claimed && run.state.order.turn !== turn;
    run.state.order = { turn: run.state.order?.turn ?? 0, claimed, won: captured && standing.winner === reference };
    hear(run, standing);
  }
}

/** What the order has yet to hear: that our money is here, or that it will not come by the capture we claimed. */
function untold({ state, sums, matter, terms }: Run): boolean | undefined {
  if (state.lostTo !== undefined || state.order?.won) return undefined;
  const captures = state.operations.filter(({ kind }) => kind === 'capture');
  // What is given back for having come too late pays no debt.
  const late = releasesAtOnce(matter) ? latePayments(matter.facts) : [];
  const returned = paymentsIn(matter.facts, terms.currency)
    .filter(([key]) => late.includes(key))
    .reduce((sum, [, { captured }]) => sum + captured, 0);
  if (sums.captured > returned || captures.some((op) => op.state === 'succeeded')) return true;
  return state.order?.claimed && captures.every(isSettled) ? false : undefined;
}

/** Nothing more is to be taken once another link has won: closes this one, and gives back what is held. */
async function giveWay(run: Run): Promise<never> {
  const ordered = new Set<string>();
  const due = () => {
    const { status, state, unsettled } = run;
    const yields = state.lostTo !== undefined && (status === 'pending' || status === 'authorized');
    return yields && unsettled.length === 0 && !run.leaving && !ordered.has(status);
  };
  for (;;) {
    await condition(due);
    if (!due()) continue;
    const { status } = run;
    ordered.add(status);
    const name = status === 'pending' ? 'close, order paid' : 'release, order paid';
    run.order('cancel', name, paidThrough(run, run.state.lostTo!).message);
  }
}

function hear(run: Run, { winner }: Standing): void {
  if (winner !== undefined && winner !== run.terms.reference) run.lose(winner);
}

/** How long a claim may wait for whoever is ahead: until the hold has to be decided, or is decided for good. */
function patienceOf(run: Run): number | undefined {
  const [decide, lapse] = [decideAt(run.matter), captureBefore(run.matter)];
  const until = decide !== undefined && decide > Date.now() ? decide : lapse;
  return until === undefined ? undefined : Math.max(until - Date.now(), 5_000);
}
