/** Operations, one at a time, and what needs no write at the provider's payment. */
import { condition, workflowInfo } from '@temporalio/workflow';
import { allowedOf, ownsExpiry } from './allowed.ts';
import { show, when } from './card.ts';
import { unseenOf } from './exceptions.ts';
import {
  closingOf,
  type Facts,
  fallOf,
  join,
  newestNumber,
  newestOpening,
  type PaymentTotals,
  paymentsIn,
} from './facts.ts';
import type { Operation } from './link.ts';
import { look, read, readFailure } from './reads.ts';
import type { Run } from './run.ts';
import { mayGoOn } from './siblings.ts';
import { create, move, refuse } from './writes.ts';

/** Performs queued operations in order, for as long as the run lives; none while an outcome is unknown. */
export async function operate(run: Run): Promise<never> {
  return performEach(run, () => (hasUnknown(run) ? undefined : queued(run)[0]));
}

/** Meanwhile reading and resolving go on: a person need not wait for the engine to find out by itself. */
export async function remedy(run: Run): Promise<never> {
  return performEach(run, () => (hasUnknown(run) ? queued(run).find(isRemedy) : undefined));
}

export const isRemedy = ({ kind }: Operation): boolean =>
  kind === 'resync' || kind === 'acknowledge' || kind === 'resolve-unknown';

const hasUnknown = (run: Run) => run.state.operations.some((op) => op.state === 'unknown');
const queued = (run: Run) => run.state.operations.filter((op) => op.state === 'queued');

async function performEach(run: Run, next: () => Operation | undefined): Promise<never> {
  for (;;) {
    await condition(() => !run.leaving && next() !== undefined);
    const operation = next();
    // What the condition saw may have changed before its turn came.
    if (!operation || run.leaving) continue;
    run.busy += 1;
    await perform(run, operation);
    run.busy -= 1;
  }
}

async function perform(run: Run, operation: Operation): Promise<void> {
  if (run.terms.orderReference !== undefined && !(await mayGoOn(run, operation))) return;
  switch (operation.kind) {
    case 'create':
      return create(run, operation);
    case 'capture':
    case 'cancel':
    case 'refund':
      return move(run, operation, operation.kind);
    case 'extend':
      return extend(run, operation);
    case 'mark-paid':
    case 'mark-refunded':
      return mark(run, operation, operation.kind);
    case 'acknowledge':
      return acknowledge(run, operation);
    case 'resync':
      return resync(run, operation);
    case 'resolve-unknown':
      return resolve(run, operation);
  }
}

/** Later expiry: ours to move while the link is open and the provider has none, else a new opening there. */
async function extend(run: Run, operation: Operation): Promise<void> {
  const { expiresAt = 0, id } = operation;
  const { created } = run;
  if (!created || !allowedOf(run.matter).includes('extend')) {
    return refuse(run, operation, 'not_allowed', 'the expiry cannot be moved now');
  }
  if (ownsExpiry(run.matter)) {
    run.reopen({ ...created, expiresAt });
    return run.change(operation, { state: 'succeeded' });
  }
  run.change(operation, { state: 'running' });
  const opening = newestNumber(run.state.facts) + 1;
  try {
    const result = await run.world.acts.extend.executeWithOptions({ summary: `extend to ${when(expiresAt)}` }, [
      { ...run.handle(), key: `${workflowInfo().workflowId}:extend:${id}`, expiresAt, opening, known: run.state.facts },
    ]);
    run.reopen(result.created);
    run.learn('extend', result.facts);
    run.change(operation, { state: 'succeeded', providerId: result.created.providerLinkId });
  } catch (error) {
    // A lost answer is no lost money: the provider has one live link at most, and the next extend adopts it.
    const { type, code, message } = readFailure(error);
    run.change(operation, { state: type === 'refused' ? 'refused' : 'failed', error: { code, message } });
    run.hint([]);
  }
}

/** A person vouches for money: joined like any other fact, under the operation's id. */
function mark(run: Run, operation: Operation, kind: 'mark-paid' | 'mark-refunded'): void {
  const { terms } = run;
  const { amount = 0, providerId, actor, reason, id } = operation;
  const field = kind === 'mark-paid' ? ('captured' as const) : ('refunded' as const);
  // The number of a bank transfer names no payment of ours: what was given back is of one that is here.
  const known = paymentsIn(run.state.facts, terms.currency).some(([key]) => key === providerId);
  const payment = providerId !== undefined && (known || kind === 'mark-paid') ? providerId : likelyPayment(run);
  const entry = { payment, currency: terms.currency, field, minor: amount };
  const why = reason ? `: ${reason}` : '';
  // A webhook that could not be believed may still say when.
  const told = run.state.unverified?.payments?.[payment]?.[terms.currency];
  const timely = told && { ...NOTHING, seenAt: told.seenAt };
  const facts: Facts = {
    entries: { [id]: entry },
    ...(timely && { payments: { [payment]: { [terms.currency]: timely } } }),
  };
  run.learn('operator', facts, `${actor} vouches for ${show(amount, run)} ${field}${why}`);
  run.change(operation, { state: 'succeeded' });
}

const NOTHING = { authorized: 0, captured: 0, refunded: 0, voided: 0 };

/** The payment a person means who names none: the one with the most money, else the one that is expected. */
function likelyPayment({ matter, created }: Run): string {
  const { terms, facts, unverified = {} } = matter;
  const payments = paymentsIn(join(facts, unverified), terms.currency).sort(([, a], [, b]) => net(b) - net(a));
  return payments[0]?.[0] ?? created!.paymentKey ?? created!.providerLinkId;
}

const net = ({ captured, refunded }: PaymentTotals) => captured - refunded;

async function resync(run: Run, operation: Operation): Promise<void> {
  const fail = (code: string, message: string) => run.change(operation, { state: 'failed', error: { code, message } });
  run.change(operation, { state: 'running' });
  try {
    if (run.created) await read(run, 'resync', [], 3);
    else if (!(await look(run, { attempts: 3 }))) return fail('provider_unavailable', 'the provider cannot be asked');
    if (operation.accept) accept(run, operation);
    run.change(operation, { state: 'succeeded' });
  } catch (error) {
    const { code, message } = readFailure(error);
    fail(code, message);
  }
}

/** The provider shows less than it did, and a person takes that as true. A refund it took back has failed. */
function accept(run: Run, { actor, reason }: Operation): void {
  const { facts, operations } = run.state;
  const taken = fallOf(facts, run.terms.currency)?.refunded;
  const failed = operations.findLast(
    (op) => op.kind === 'refund' && op.state === 'succeeded' && taken !== undefined && op.amount === taken,
  );
  if (!run.correct(`${actor} accepts what the provider shows${reason ? `: ${reason}` : ''}`)) return;
  if (!failed) return;
  const message = 'the provider shows it no longer: the money was not given back';
  run.change(failed, { state: 'failed', error: { code: 'refund_failed', message } });
}

function acknowledge(run: Run, operation: Operation): void {
  const { acknowledges, actor, reason } = operation;
  const unseen = unseenOf(run.matter).find((name) => name === acknowledges);
  if (unseen === undefined) {
    refuse(run, operation, 'not_allowed', `there is no ${acknowledges} to acknowledge any more`);
  } else {
    run.acknowledge(unseen);
    run.note({ kind: 'exceptions', source: 'operator', actor, reason, summary: `${unseen} acknowledged` });
    run.change(operation, { state: 'succeeded' });
  }
}

/** A person found out what became of an operation. */
async function resolve(run: Run, operation: Operation): Promise<void> {
  const { operation: id = '', outcome } = operation.resolves ?? {};
  const unknown = unknownOperation(run, id);
  if (!unknown) return refuse(run, operation, 'not_allowed', `no operation ${id} has an unknown outcome`);
  run.change(operation, { state: 'running' });
  const finding = { code: 'resolved_absent', message: `${operation.actor} found that it did not happen` };
  if (outcome === 'absent') {
    run.change(unknown, { state: unknown.kind === 'create' ? 'refused' : 'failed', error: finding });
  } else if (unknown.kind !== 'create') {
    run.change(unknown, { state: 'succeeded', error: undefined });
    if (unknown.kind === 'cancel' && !closingOf(newestOpening(run.state.facts))?.confirmed) {
      run.declare({ cancelled: Date.now() }, `${operation.actor} found the link closed`);
    }
  } else if (!(await look(run, { attempts: 3 })) || !run.created) {
    return refuse(run, operation, 'not_allowed', 'the provider shows no link under this reference');
  }
  run.change(operation, { state: 'succeeded' });
  if (run.created) run.hint([]);
}

/** By id, or by kind: `create` is the create operation. */
export function unknownOperation(run: Run, name: string): Operation | undefined {
  return run.state.operations.find((op) => op.state === 'unknown' && (op.id === name || op.kind === name));
}
