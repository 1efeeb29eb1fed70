/** What a link asks of its order, for the worker that asks in its place. */
import { type Client, WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, type UpdateDefinition, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { TASK_QUEUE } from '../workflows/messages.ts';
import {
  ORDER_TYPE,
  type OrderInput,
  orderIdOf,
  type paymentOrder,
  type Standing,
} from '../workflows/payment-order.ts';
import { type Limits, within } from './reach.ts';

/**
 * Sends an update to the order's run, which starts with it if there is none. An order that ended with a winner answers
 * with its result and is never started again; one that ended unpaid is: the server decides between the two.
 *
 * @throws OrderRefusal when the order says no for now, Unavailable
 */
export async function askOrder<Args extends [unknown]>(
  client: Client,
  orderReference: string,
  update: UpdateDefinition<Standing, Args>,
  args: Args,
  limits: Limits,
): Promise<Standing> {
  const workflowId = orderIdOf(orderReference);
  const input: OrderInput = { orderReference };
  const startWorkflowOperation = new WithStartWorkflowOperation<typeof paymentOrder>(ORDER_TYPE, {
    workflowId,
    taskQueue: TASK_QUEUE,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING',
    workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
    staticSummary: `order ${orderReference}`,
  });
  try {
    return await within(client, limits, () =>
      client.workflow.executeUpdateWithStart(update, { startWorkflowOperation, args }),
    );
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      return within(client, limits, () => client.workflow.getHandle<typeof paymentOrder>(workflowId).result());
    }
    const { cause } = error instanceof WorkflowUpdateFailedError ? error : {};
    if (!(cause instanceof ApplicationFailure) || !cause.type) throw error;
    throw new OrderRefusal(cause.type, cause.message);
  }
}

/** `type` is one of the failure types of the order's updates. */
export class OrderRefusal extends Error {
  override readonly name = 'OrderRefusal';
  constructor(
    readonly type: string,
    message: string,
  ) {
    super(message);
  }
}
