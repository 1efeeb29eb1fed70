/** Writes at the provider, and what is done when an answer is lost. */
import { condition } from '@temporalio/workflow';
import { allowedOf } from './allowed.ts';
import { show } from './card.ts';
import { closingOf, newestOpening } from './facts.ts';
import { isManual, isSettled, type Operation, type WriteKind } from './link.ts';
import type { Observation, WriteResult } from './ports.ts';
import { creation, keyOf, look, readFailure } from './reads.ts';
import { CLOSE_AT_DEADLINE, type Run } from './run.ts';

/** A capture, cancel or refund, checked again: much may have happened since it was accepted. */
export async function move(run: Run, operation: Operation, kind: Exclude<WriteKind, 'create'>): Promise<void> {
  const before = run.sums;
  const byHand = givenByHand(run);
  const movable = movableBy(run, kind);
  if (!isAllowed(run, operation, kind)) {
    return refuse(run, operation, 'not_allowed', `${kind} is not possible now`);
  }
  if (kind !== 'cancel') operation.amount ??= kind === 'capture' ? toCapture(run, operation) : movable;
  if ((operation.amount ?? 0) > movable) {
    const most = show(movable, run);
    return refuse(run, operation, 'amount_out_of_range', `at most ${most} can be moved by ${kind} now`);
  }
  operation.basis = { captured: before.captured, refunded: before.refunded + byHand, voided: before.voided };
  if (!run.created?.abilities[kind]) return withoutProvider(run, operation, kind);
  let changed = false;
  const send = async () => {
    const result = await act(run, operation, kind);
    changed = result.outcome === 'changed';
    return changed ? { ...result, undone: true } : result;
  };
  const may = () => isAllowed(run, operation, kind) && (operation.amount ?? 0) <= movableBy(run, kind);
  await attempt(run, operation, send, may);
  // The totals moved under us and nothing was sent: decide anew from what is known now.
  if (changed && operation.state === 'queued') return move(run, operation, kind);
}

/** Whether it is possible now, its own outcome left aside. */
function isAllowed(run: Run, operation: Operation, kind: Exclude<WriteKind, 'create'>): boolean {
  const operations = run.state.operations.filter((other) => other !== operation);
  const allowed = allowedOf({ ...run.matter, operations }).includes(kind);
  return !isOutdated(run, operation) && (allowed || forces(operation) || disablesPaidLink(run, operation));
}

/** A closing that waited behind an extension: the link has time again. */
function isOutdated(run: Run, { id, actor }: Operation): boolean {
  const closes = actor === 'perdure' && id.startsWith(`perdure ${CLOSE_AT_DEADLINE}`);
  return closes && newestOpening(run.state.facts)?.deadline === undefined;
}

/** The most that one write can move now. Minor units. */
function movableBy(run: Run, kind: Exclude<WriteKind, 'create'>): number {
  const { held, captured, refunded } = run.sums;
  return { capture: held, refund: captured - refunded - givenByHand(run), cancel: 0 }[kind];
}

const givenByHand = (run: Run) => run.unsettled.filter(isManual).reduce((sum, { amount = 0 }) => sum + amount, 0);

/** What the provider offers no call for is done here, or by a person. */
function withoutProvider(run: Run, operation: Operation, kind: Exclude<WriteKind, 'create'>): void {
  const name = run.created?.provider;
  if (kind === 'refund') {
    const message = `${name} has no refund: give the money back by hand, then say mark-refunded`;
    run.change(operation, { state: 'running', error: { code: 'refund_manual', message } });
  } else {
    run.declare({ presumed_cancelled: Date.now() }, `cancelled here; ${name} cannot be told`);
    run.change(operation, { state: 'succeeded' });
  }
}

/** What is held; the engine by itself takes no more than is due, where it can take a part. */
function toCapture(run: Run, { actor }: Operation): number {
  const { held, captured } = run.sums;
  const part = actor === 'perdure' && run.created?.abilities.capture === 'partial';
  return part ? Math.min(held, Math.max(0, run.terms.amount - captured)) : held;
}

/** A refund although a dispute stands: a person's word. */
export const forces = ({ kind, forced }: Operation): boolean => kind === 'refund' && forced === true;

/** A paid link that would take a second payment is closed by the engine, and by nobody else. */
function disablesPaidLink(run: Run, { kind, actor }: Operation): boolean {
  const closing = closingOf(newestOpening(run.state.facts));
  return kind === 'cancel' && actor === 'perdure' && run.created?.abilities.reusable === true && !closing?.confirmed;
}

async function act(run: Run, operation: Operation, kind: Exclude<WriteKind, 'create'>): Promise<WriteResult> {
  const { amount, payment, reason, id } = operation;
  const money = amount === undefined ? '' : ` ${show(amount, run)}`;
  const write = run.world.acts[kind].executeWithOptions({ summary: `${kind}${money}` }, [
    { ...run.handle(), key: keyOf(kind, id), amount, payment, reason, known: run.state.facts },
  ]);
  if (kind !== 'cancel' || !newestOpening(run.state.facts)) return write;
  // A cancel the provider cannot be told still counts for the merchant; the provider is told as soon as it answers.
  let told = false;
  const settled = write.finally(() => {
    told = true;
  });
  settled.catch(() => {});
  if (!(await condition(() => told, run.timing.closePatienceMs, { summary: 'patience with the provider' }))) {
    run.declare({ presumed_cancelled: Date.now() }, 'closed; the provider could not be told yet');
  }
  return write;
}

export function create(run: Run, operation: Operation): Promise<void> {
  return attempt(
    run,
    operation,
    (again) => make(run, again),
    () => true,
  );
}

async function make(run: Run, again: boolean): Promise<Observation> {
  const { terms } = run;
  const untilExpiry = (terms.expiresAt ?? Number.POSITIVE_INFINITY) - Date.now();
  const result = await run.world.acts.create.executeWithOptions(
    {
      summary: `create ${show(terms.amount, run)}`,
      // Proven not sent until the link would be over: given up as refused, never as unknown.
      ...(Number.isFinite(untilExpiry) ? { scheduleToCloseTimeout: Math.max(untilExpiry, 60_000) } : {}),
    },
    [{ ...creation(run), ...(again ? { again } : {}) }],
  );
  run.adopt(result.created);
  return result;
}

type Answer = Observation & { providerId?: string; undone?: boolean };

/**
 * Sends a write and records its outcome. A lost answer is a state: look; prove absence by two reads; try once more
 * where a second try cannot happen twice and `may` still be sent; otherwise park until evidence or a person settles it.
 */
async function attempt(
  run: Run,
  operation: Operation,
  send: (again: boolean) => Promise<Answer>,
  may: () => boolean,
): Promise<void> {
  const kind = operation.kind as WriteKind;
  let proven = true;
  for (const again of [false, true]) {
    run.change(operation, { state: 'running', error: undefined });
    try {
      const { facts, providerId, undone } = await send(again);
      // Nothing was sent now; before a repeat, what changed may be what the first try did.
      if (undone) operation.state = again ? 'unknown' : 'queued';
      run.learn(kind, facts);
      if (!undone) run.change(operation, { state: 'succeeded', providerId });
      else if (operation.state === 'unknown') operation.state = 'queued';
      return;
    } catch (error) {
      const failure = readFailure(error);
      run.state.lost = failure.lost ?? run.state.lost;
      // Without proof that nothing happened before, the no to a repeat is about the repeat alone.
      if (failure.type === 'refused' && proven) {
        const { code, message } = failure;
        if (again && (await happenedBefore(run, operation))) return;
        run.change(operation, { state: 'refused', error: { code, message } });
        // The provider knows something we do not.
        if (run.created) run.hint([]);
        return;
      }
      run.change(operation, { state: 'unknown', error: { code: 'unknown_outcome', message: failure.message } });
    }
    const verdict = await probe(run, operation);
    if (verdict === 'settled') return;
    // While it was looked for, the customer may have paid, or somebody given money back.
    if (!again && may() && repeatable(run, kind, verdict)) {
      proven = verdict === 'absent';
      continue;
    }
    const found = verdict === 'absent' ? 'the provider shows no trace of it' : 'the provider cannot be asked';
    const advice = kind === 'create' && run.state.lost?.advice ? `: ${run.state.lost.advice}` : '';
    const message = `whether ${kind} happened is not known (${found})${advice}; see resolve-unknown`;
    run.change(operation, { error: { code: 'unknown_outcome', message } });
    return;
  }
}

/** A repeat may be refused because the first try had been heard after all. */
async function happenedBefore(run: Run, operation: Operation): Promise<boolean> {
  operation.state = 'unknown';
  await look(run);
  return isSettled(operation);
}

/**
 * Whether a second try cannot happen twice: after the first is proven absent, or where nobody can be asked, so that the
 * second is the question.
 */
function repeatable({ created, state: { lost } }: Run, kind: WriteKind, verdict: 'absent' | 'unprovable'): boolean {
  const can = created ? created.abilities.repeatable.includes(kind) : lost?.repeatable === true;
  const askable = created ? created.abilities.inquire : lost?.search === 'reference';
  return can && (verdict === 'absent' || !askable);
}

/** Looks at once, then twice more, far enough apart that the provider had time to show what it did. */
async function probe(run: Run, operation: Operation): Promise<'settled' | 'absent' | 'unprovable'> {
  const settled = () => operation.state !== 'unknown';
  const { attemptMs, probeAfterMs, probeAgainMs } = run.timing;
  // A call that broke off early may still be on its way for as long as an attempt may last.
  for (const wait of [0, attemptMs + probeAfterMs, probeAgainMs]) {
    if (wait > 0) await condition(settled, wait, { summary: `next look for ${operation.kind}` });
    if (settled()) return 'settled';
    // A read may take as long as the provider is away; whoever settles the operation meanwhile ends the wait.
    const asked = await Promise.race([look(run), condition(settled).then(() => true)]);
    if (settled()) return 'settled';
    if (!asked) return 'unprovable';
  }
  return 'absent';
}

export function refuse(run: Run, operation: Operation, code: string, message: string): void {
  run.change(operation, { state: 'refused', error: { code, message } });
}
