import { type Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { UpdateDefinition } from '@temporalio/common';
import { ApplicationFailure } from '@temporalio/common';
import { isSettled, type Link, type LinkOperation, type OperationKind } from '../workflows/link.ts';
import type { Command, CommandOutcome, Refusal } from '../workflows/messages.ts';
import { workflowIdOf } from '../workflows/messages.ts';
import {
  AmountOutOfRange,
  IdempotencyConflict,
  NotAllowed,
  NotSupported,
  OrderAlreadyPaid,
  type PaymentLinkError,
  ProviderRefused,
  refusedBy,
  Unavailable,
} from './errors.ts';
import { type Patience, patiently } from './reach.ts';
import { readLink } from './runs.ts';

export interface Order<C extends Command> {
  client: Client;
  patience: Patience;
  reference: string;
  kind: OperationKind;
  update: UpdateDefinition<CommandOutcome, [C]>;
  command: C;
}

const READ_MS = 5_000;
/** A run that continues as new drops the update it had accepted; so often is it asked again. */
const ASKS = 3;

/**
 * Gives a link a command and waits for what becomes of it. The same key again is answered with the operation's
 * present state, also after the run continued or closed. An operation that is queued, running or unknown is an
 * answer; one that was refused or failed is thrown.
 */
export async function command<C extends Command>(order: Order<C>): Promise<CommandOutcome> {
  const outcome = await answerTo(order);
  const refusal = refusalOf(outcome);
  if (refusal) throw refusal;
  return outcome;
}

async function answerTo<C extends Command>(order: Order<C>): Promise<CommandOutcome> {
  const { client, patience, reference, kind, update, command } = order;
  const updateId = `${kind}:${command.id}:${command.fingerprint}`;
  const handle = client.workflow.getHandle(workflowIdOf(reference));
  for (let asked = 1; ; asked++) {
    try {
      const result = await patiently(
        client,
        patience,
        Date.now(),
        () => handle.executeUpdate(update, { updateId, args: [command] }),
        (limits) => readLink(client, reference, limits),
      );
      if ('answer' in result && isSettled(result.answer.operation)) return result.answer;
      // The answer to a repeated key is the one it got first: what became of it meanwhile stands in the link.
      const link =
        'seen' in result ? result.seen : await readLink(client, reference, { deadline: Date.now() + READ_MS });
      const operation = operationIn(link, order) ?? ('answer' in result ? result.answer.operation : undefined);
      if (operation) return { link, operation };
      throw new Unavailable('the link did not accept the command in time; the same command with the same key is safe');
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return answerOfClosed(order);
      const failure = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
      if (!(failure instanceof ApplicationFailure)) throw error;
      if (failure.type === 'AcceptedUpdateCompletedWorkflow' && asked < ASKS) continue;
      const refusal = failure.details?.[0] as Refusal | undefined;
      if (refusal?.code === failure.type && refusal?.code) throw refusedBy(refusal);
      throw error;
    }
  }
}

/** The run is over (or never was): a known key is answered from the link, a new command is not allowed any more. */
async function answerOfClosed<C extends Command>(order: Order<C>): Promise<CommandOutcome> {
  const { client, reference, kind } = order;
  const link = await readLink(client, reference, { deadline: Date.now() + READ_MS });
  const operation = operationIn(link, order);
  if (operation) return { link, operation };
  throw new NotAllowed(`the link ${reference} is closed (${link.status}): ${kind} is not possible any more`, []);
}

function operationIn<C extends Command>(link: Link, { kind, command }: Order<C>): LinkOperation | undefined {
  const operation = link.operations.find((candidate) => candidate.id === command.id);
  if (!operation) return undefined;
  const { amount } = command as { amount?: number };
  const another = operation.kind !== kind || (amount !== undefined && operation.amount !== amount);
  if (another) {
    throw new IdempotencyConflict(`the idempotency key ${command.id} was already used for ${operation.kind}`);
  }
  return operation;
}

/** Refused when its turn came (by our own rules or by the provider), or given up: nothing happened. */
function refusalOf({ link, operation }: CommandOutcome): PaymentLinkError | undefined {
  if (operation.state !== 'refused' && operation.state !== 'failed') return undefined;
  const { code, message } = operation.error ?? { code: operation.state, message: `${operation.kind} did not happen` };
  switch (code) {
    case 'not_allowed':
      return new NotAllowed(message, link.allowed);
    case 'amount_out_of_range':
      return new AmountOutOfRange(message);
    case 'not_supported':
      return new NotSupported(message);
    case 'order_already_paid':
      return new OrderAlreadyPaid(message);
    // No attempt ever left us.
    case 'provider_unavailable':
      return new Unavailable(message);
    default:
      return new ProviderRefused(code, message);
  }
}
