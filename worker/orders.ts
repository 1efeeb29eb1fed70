import { activityInfo } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { ApplicationFailure, type UpdateDefinition } from '@temporalio/common';
import { nothingNew } from '../activities/failures.ts';
import { askOrder, OrderRefusal } from '../client/orders.ts';
import {
  claim,
  join,
  ORDER_FULL,
  ORDER_RESERVED,
  type OrderPorts,
  type Standing,
  settle,
} from '../workflows/payment-order.ts';
import type { FailureType, ProviderRefusal } from '../workflows/ports.ts';

const DEADLINE_MS = 8_000;
/** So that two workers stay within what the server takes. */
const AT_ONCE = 5;
/** A capture usually takes less than a second; one whose answer was lost is looked for some minutes. */
const QUICK_TRIES = 60;

/** Passes a link's questions on to its order. */
export function createOrders(client: Client): OrderPorts {
  const inTurn = turns();
  const ask = <Args extends [unknown]>(
    orderReference: string,
    update: UpdateDefinition<Standing, Args>,
    args: Args,
  ): Promise<Standing> =>
    inTurn(orderReference, () =>
      askOrder(client, orderReference, update, args, { deadline: Date.now() + DEADLINE_MS }),
    );
  return {
    joinOrder({ orderReference, ...link }) {
      return ask(orderReference, join, [link]).catch((error: unknown) => {
        if (!(error instanceof OrderRefusal && error.type === ORDER_FULL)) throw error;
        const refusal: ProviderRefusal = { code: 'not_allowed', message: error.message };
        const type: FailureType = 'Refused';
        throw ApplicationFailure.nonRetryable(error.message, type, refusal);
      });
    },
    claimOrder({ orderReference, ...turn }) {
      return ask(orderReference, claim, [turn]).catch((error: unknown) => {
        if (!(error instanceof OrderRefusal && error.type === ORDER_RESERVED)) throw error;
        throw nothingNew(error.message, activityInfo().attempt <= QUICK_TRIES ? 1_000 : 15_000);
      });
    },
    settleOrder({ orderReference, ...outcome }) {
      return ask(orderReference, settle, [outcome]);
    },
  };
}

/**
 * A few calls at a time for each name. The server lets ten updates of a run be under way; an eleventh sets the others
 * back as well, so that many links at once would take seconds instead of milliseconds.
 */
function turns() {
  const desks = new Map<string, { busy: number; waiting: (() => void)[] }>();
  return async <T>(name: string, call: () => Promise<T>): Promise<T> => {
    const desk = desks.get(name) ?? { busy: 0, waiting: [] };
    desks.set(name, desk);
    if (desk.busy < AT_ONCE) desk.busy += 1;
    else await new Promise<void>((resolve) => desk.waiting.push(resolve));
    try {
      return await call();
    } finally {
      const next = desk.waiting.shift();
      if (next) next();
      else desk.busy -= 1;
      if (desk.busy === 0) desks.delete(name);
    }
  };
}
