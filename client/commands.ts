import { type Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { UpdateDefinition } from '@temporalio/common';
import { ApplicationFailure } from '@temporalio/common';
import { isSettled, type Link, type OperationKind } from '../workflows/link.ts';
import type { Command, CommandOutcome, Refusal } from '../workflows/messages.ts';
import { fingerprint, workflowIdOf } from '../workflows/messages.ts';
import {
  AmountOutOfRange,
  IdempotencyConflict,
  NotAllowed,
  NotFound,
  NotSupported,
  OrderAlreadyPaid,
  type PaymentLinkError,
  ProviderRefused,
  refusedBy,
  Unavailable,
} from './errors.ts';
import { type Patience, patiently, within } from './reach.ts';
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
  return unlessRefused(await answerTo(order));
}

/** What became of a command that was given before; undefined when no link knows it. Failures as of {@link command}. */
export async function commandBefore<C extends Command>(order: Order<C>): Promise<CommandOutcome | undefined> {
  const limits = { deadline: Date.now() + READ_MS };
  const link = await readLink(order.client, order.reference, limits).catch((error: unknown) => {
    if (error instanceof NotFound) return undefined;
    throw error;
  });
  const outcome = link && (await knownBy(link, order));
  return outcome && unlessRefused(outcome);
}

function unlessRefused(outcome: CommandOutcome): CommandOutcome {
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
      if ('answer' in result) {
        const link = await readLink(client, reference, { deadline: Date.now() + READ_MS });
        return { link, operation: operationIn(link, command.id) ?? result.answer.operation };
      }
      const known = await knownBy(result.seen, order);
      if (known) return known;
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
  const known = await knownBy(link, order);
  if (known) return known;
  throw new NotAllowed(`the link ${reference} is closed (${link.status}): ${kind} is not possible any more`, []);
}

/** @throws IdempotencyConflict when the link knows the key of another command or body */
async function knownBy<C extends Command>(link: Link, order: Order<C>): Promise<CommandOutcome | undefined> {
  const { client, reference, command } = order;
  const operation = operationIn(link, command.id);
  if (!operation) return undefined;
  const handle = client.workflow.getHandle(workflowIdOf(reference));
  const limits = { deadline: Date.now() + READ_MS };
  const used = await within(client, limits, () => handle.query(fingerprint, command.id));
  if (used === command.fingerprint) return { link, operation };
  throw new IdempotencyConflict(`${command.id} was used before for another ${operation.kind} request`);
}

const operationIn = (link: Link, id: string) => link.operations.find((operation) => operation.id === id);

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
