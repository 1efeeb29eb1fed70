/** What callers may say to a running link. Validators refuse before anything enters history. */
import { ApplicationFailure, CancellationScope, condition, setHandler, workflowInfo } from '@temporalio/workflow';
import { allowedOf, disputed, extendable } from './allowed.ts';
import { show } from './card.ts';
import { exceptionsOf, isStaying } from './exceptions.ts';
import { type Action, isManual, isSettled, type Operation, statusOf } from './link.ts';
import type {
  AcknowledgeCommand,
  Command,
  CommandOutcome,
  ExtendCommand,
  Hint,
  MarkCommand,
  MoneyCommand,
  Refusal,
} from './messages.ts';
import * as messages from './messages.ts';
import { isRemedy, unknownOperation } from './operations.ts';
import { CREATE, type Run } from './run.ts';
import { ORDER_PAID, paidThrough } from './siblings.ts';
import { viewOf } from './view.ts';

/** Registered before the first await, so that nothing said to a young run is lost. */
export function listen(run: Run): void {
  setHandler(messages.link, () => run.view(), { description: 'The link as callers see it' });
  setHandler(messages.facts, () => run.state.facts, { description: 'What is known about the money' });
  setHandler(messages.handle, () => ({ terms: run.terms, created: run.created }), {
    description: 'What a read of the provider needs',
  });
  setHandler(messages.timeline, () => run.state.timeline, { description: 'What happened, oldest first' });
  setHandler(messages.fingerprint, (id) => run.operation(id)?.fingerprint, {
    description: 'What an idempotency key was used with',
  });
  setHandler(
    messages.observed,
    (hint) => {
      // An account speaks for its own links only. What is no hint at all, signalled by hand, must not stop the run.
      if (hint?.account !== run.terms.account || !Array.isArray(hint.ids)) return;
      run.hint(hint.ids.filter((id) => typeof id === 'string'));
      if (hint.facts && names(run, hint)) run.hear({ signed: hint.signed, facts: hint.facts });
    },
    { description: 'A verified webhook named this link: read the provider' },
  );

  setHandler(
    messages.create,
    async ({ callId }) => {
      run.measure();
      const making = run.operation(CREATE)!;
      await patiently(
        () => run.created !== undefined || isSettled(making) || making.state === 'unknown' || run.leaving,
      );
      if (making.state === 'refused') throw refusedCreate(run, callId);
      run.state.creator ??= callId;
      return { callId: run.state.creator, link: run.view() };
    },
    {
      description: 'Wait for the link this run makes',
      validator: ({ termsHash }) => {
        if (termsHash === run.termsHash) return;
        throw refusal({
          code: 'reference_conflict',
          message: `reference ${run.terms.reference} already belongs to a link with other terms`,
        });
      },
    },
  );

  setHandler(messages.capture, money(run, 'capture'), {
    description: 'Capture what is held: {id, fingerprint, actor, amount?, currency?, reason?}',
    validator: (command) => checkMoney(run, 'capture', command),
  });
  setHandler(messages.refund, money(run, 'refund'), {
    description: 'Give captured money back: {id, fingerprint, actor, amount?, currency?, reason?}',
    validator: (command) => checkMoney(run, 'refund', command),
  });
  setHandler(messages.cancel, (command) => settle(run, run.enqueue('cancel', command)), {
    description: 'Close the link, or release a hold: {id, fingerprint, actor, reason?}',
    validator: (command) => check(run, 'cancel', command),
  });
  setHandler(
    messages.extend,
    (command) => settle(run, run.enqueue('extend', command, { expiresAt: command.expiresAt })),
    {
      description: 'Make the link payable until then: {id, fingerprint, actor, expiresAt, reason?}',
      validator: (command) => checkExtend(run, command),
    },
  );
  setHandler(messages.markPaid, mark(run, 'mark-paid'), {
    description:
      'Vouch for money the provider cannot tell of: {id, fingerprint, actor, amount, currency, providerRef?}',
    validator: (command) => checkMark(run, 'mark-paid', command),
  });
  setHandler(messages.markRefunded, mark(run, 'mark-refunded'), {
    description: 'Say that money was given back by hand: {id, fingerprint, actor, amount, currency, providerRef?}',
    validator: (command) => checkMark(run, 'mark-refunded', command),
  });
  setHandler(messages.resync, (command) => settle(run, run.enqueue('resync', command, { accept: command.accept })), {
    description:
      'Read the provider now; accept takes a lower figure as true: {id, fingerprint, actor, accept?, reason?}',
    validator: (command) => check(run, 'resync', command),
  });
  setHandler(
    messages.acknowledge,
    (command) => settle(run, run.enqueue('acknowledge', command, { acknowledges: command.exception })),
    {
      description: 'Say that a person has seen an exception: {id, fingerprint, actor, exception, reason}',
      validator: (command) => checkAcknowledge(run, command),
    },
  );
  setHandler(
    messages.resolveUnknown,
    (command) => {
      const { operation, outcome } = command;
      return settle(run, run.enqueue('resolve-unknown', command, { resolves: { operation, outcome } }));
    },
    {
      description: 'Say what became of an operation whose outcome is unknown: {…, operation, outcome: happened|absent}',
      validator: (command) => {
        if (check(run, 'resolve-unknown', command) === 'known' || unknownOperation(run, command.operation)) return;
        throw notAllowed(run, `no operation ${command.operation} has an unknown outcome`);
      },
    },
  );
}

/** A request-cancellation in the Temporal UI is a cancel command; it stays without effect where cancel would. */
export function cancelByTemporal(run: Run): void {
  run.enqueue('cancel', { id: 'temporal cancel', fingerprint: '', actor: 'temporal', reason: 'workflow cancellation' });
}

const money =
  (run: Run, kind: 'capture' | 'refund') =>
  (command: MoneyCommand): Promise<CommandOutcome> =>
    settle(run, run.enqueue(kind, command, { amount: command.amount, forced: command.force }));

const mark =
  (run: Run, kind: 'mark-paid' | 'mark-refunded') =>
  (command: MarkCommand): Promise<CommandOutcome> =>
    settle(run, run.enqueue(kind, command, { amount: command.amount, providerId: command.providerRef }));

/** Whether a webhook is about this link: by our reference, or by an id of the provider's. */
function names(run: Run, { reference, ids }: Hint): boolean {
  if (reference !== undefined) return reference === run.terms.reference;
  return run.created === undefined || ids.some((id) => run.created?.ids.includes(id));
}

/** What the loop refuses by itself, when the turn of an operation comes. */
const OWN_REFUSALS = ['not_allowed', 'amount_out_of_range', ORDER_PAID] as const;

/** Answers as soon as nothing more can be said soon: settled, unknown, behind an unknown one, or out of patience. */
async function settle(run: Run, operation: Operation): Promise<CommandOutcome> {
  const blocked = () => !isRemedy(operation) && run.state.operations.some((op) => op.state === 'unknown');
  const answerable = () => isSettled(operation) || isManual(operation) || blocked() || run.leaving;
  await patiently(answerable, run.timing.commandWaitMs);
  const { state, error } = operation;
  const code = OWN_REFUSALS.find((own) => own === error?.code);
  if (state === 'refused' && error && code) {
    throw refusal({ code, message: error.message, allowed: allowedOf(run.matter) });
  }
  return { link: run.view(), operation: viewOf(operation) };
}

/** A request-cancellation of the workflow must not cut off those who wait for an answer. */
function patiently(holds: () => boolean, ms?: number): Promise<unknown> {
  return CancellationScope.nonCancellable(async () => {
    if (ms === undefined) await condition(holds);
    else await condition(holds, ms, { summary: 'patience of a caller' });
  });
}

/** `known` means that this very command was accepted before: its answer is given again. */
function check(run: Run, action: Action, command: Command, force = false): 'known' | 'new' {
  checkForm(run, command);
  const { id, fingerprint } = command;
  const known = run.operation(id);
  if (known?.fingerprint === fingerprint) return 'known';
  if (known) {
    throw refusal({ code: 'idempotency_conflict', message: `${id} was used before for another ${known.kind} request` });
  }
  if (!run.roomForOperations) throw notAllowed(run, 'this link has had as many operations as it can hold');
  if (!allowedOf(run.matter).includes(action) && !(force && !run.unsettled.some((op) => op.state === 'unknown'))) {
    if (run.state.lostTo !== undefined && (action === 'capture' || action === 'extend')) {
      throw refusal(paidThrough(run, run.state.lostTo));
    }
    if (action === 'refund' && disputed(run.state.facts)) {
      throw notAllowed(run, 'a dispute stands and may move the money by itself: a refund needs force and a reason');
    }
    throw notAllowed(run, `${action} is not possible while the link is ${statusOf(run.matter)}`);
  }
  return 'new';
}

/** The client checks all this; in the Temporal UI a command is typed by hand. */
function checkForm(run: Run, command: Partial<MoneyCommand> | undefined): void {
  const { id, actor, amount } = command ?? {};
  const isText = (value: unknown) => typeof value === 'string' && value !== '';
  if (!isText(id) || !isText(actor)) throw notAllowed(run, 'a command needs the texts id and actor');
  if (amount !== undefined && !(Number.isSafeInteger(amount) && amount > 0)) {
    throw refusal({ code: 'amount_out_of_range', message: 'amount must be an integer of minor units, above 0' });
  }
}

function checkMoney(run: Run, kind: 'capture' | 'refund', command: MoneyCommand): void {
  const ability = run.created?.abilities[kind];
  if (ability === false && kind === 'capture') {
    throw refusal({ code: 'not_supported', message: `${run.created?.provider} offers no ${kind}` });
  }
  if (check(run, kind, command, command?.force === true) === 'known') return;
  const { amount, currency } = command;
  const movable = movableNow(run, kind);
  if (currency !== undefined && currency !== run.terms.currency) {
    throw refusal({ code: 'amount_out_of_range', message: `the link is in ${run.terms.currency}, not ${currency}` });
  }
  if ((amount ?? movable) > movable || movable === 0) {
    throw refusal({
      code: 'amount_out_of_range',
      message: `at most ${show(movable, run)} can be moved by ${kind} now`,
    });
  }
  if (ability === 'full' && amount !== undefined && amount !== movable) {
    throw refusal({
      code: 'not_supported',
      message: `${run.created?.provider} can only ${kind} all ${show(movable, run)}`,
    });
  }
}

function checkExtend(run: Run, command: ExtendCommand): void {
  checkForm(run, command);
  // Asked again after its own instant has passed, it is still what was done.
  if (run.operation(command.id) && check(run, 'extend', command) === 'known') return;
  const { expiresAt } = command;
  if (!Number.isSafeInteger(expiresAt) || expiresAt <= Date.now()) {
    throw notAllowed(run, 'expiresAt must be a later instant in epoch milliseconds');
  }
  if (run.created && !extendable(run.matter)) {
    throw notAllowed(run, `${run.created.provider} fixes the expiry when the link is made; make a new link instead`);
  }
  check(run, 'extend', command);
}

function checkAcknowledge(run: Run, command: AcknowledgeCommand): void {
  checkForm(run, command);
  const { exception, reason } = command;
  if (run.operation(command.id) && check(run, 'acknowledge', command) === 'known') return;
  if (!exceptionsOf(run.matter).includes(exception)) throw notAllowed(run, `the link has no ${exception}`);
  if (!isStaying(exception)) throw notAllowed(run, `${exception} goes with its cause, it cannot be acknowledged`);
  if (!reason) throw notAllowed(run, 'a reason is needed');
  check(run, 'acknowledge', command);
}

function checkMark(run: Run, kind: 'mark-paid' | 'mark-refunded', command: MarkCommand): void {
  const { created } = run;
  if (created && kind === 'mark-paid' && created.abilities.inquire) {
    throw notAllowed(run, `${created.provider} can be asked what was paid: use resync`);
  }
  if (created && kind === 'mark-refunded' && created.abilities.refund) {
    throw notAllowed(run, `${created.provider} refunds and shows it: use refund`);
  }
  if (check(run, kind, command) === 'known') return;
  const { currency, amount } = command;
  if (currency !== run.terms.currency) {
    throw refusal({ code: 'amount_out_of_range', message: `the link is in ${run.terms.currency}, not ${currency}` });
  }
  const { captured, refunded } = run.sums;
  if (kind === 'mark-refunded' && amount > captured - refunded) {
    throw refusal({
      code: 'amount_out_of_range',
      message: `at most ${show(captured - refunded, run)} can be given back`,
    });
  }
}

/** What may still be asked for: operations on their way count as done. */
function movableNow(run: Run, kind: 'capture' | 'refund'): number {
  const { held, captured, refunded } = run.sums;
  const whole = kind === 'capture' ? held : captured - refunded;
  const onTheWay = run.unsettled.filter((op) => op.kind === kind).reduce((sum, op) => sum + (op.amount ?? whole), 0);
  return Math.max(0, whole - onTheWay);
}

/** The update and the run end with the same failure: it tells whose call was refused, and why. */
export function refusedCreate(run: Run, callId?: string): ApplicationFailure {
  const { error } = run.operation(CREATE)!;
  const cause = error ?? { code: 'refused', message: 'the provider refused' };
  return refusal({ code: 'create_refused', message: cause.message, callId, runId: workflowInfo().runId, cause });
}

const notAllowed = (run: Run, message: string) =>
  refusal({ code: 'not_allowed', message, allowed: allowedOf(run.matter) });

const refusal = (details: Refusal): ApplicationFailure =>
  ApplicationFailure.nonRetryable(details.message, details.code, details);
