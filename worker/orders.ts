import { activityInfo } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { nothingNew } from '../activities/failures.ts';
import { askOrder, OrderRefusal } from '../client/orders.ts';
import { claim, join, ORDER_FULL, ORDER_RESERVED, type OrderPorts, settle } from '../workflows/payment-order.ts';
import type { FailureType, ProviderRefusal } from '../workflows/ports.ts';

const DEADLINE_MS = 8_000;
/** A capture usually takes less than a second; one whose answer was lost is looked for some minutes. */
const QUICK_TRIES = 60;

/** Passes a link's questions on to its order. */
export function createOrders(client: Client): OrderPorts {
  const limits = () => ({ deadline: Date.now() + DEADLINE_MS });
  return {
    async joinOrder({ orderReference, ...link }) {
      return askOrder(client, orderReference, join, [link], limits()).catch((error: unknown) => {
        if (!(error instanceof OrderRefusal && error.type === ORDER_FULL)) throw error;
        const refusal: ProviderRefusal = { code: 'not_allowed', message: error.message };
        const type: FailureType = 'Refused';
        throw ApplicationFailure.nonRetryable(error.message, type, refusal);
      });
    },
    async claimOrder({ orderReference, ...turn }) {
      return askOrder(client, orderReference, claim, [turn], limits()).catch((error: unknown) => {
        if (!(error instanceof OrderRefusal && error.type === ORDER_RESERVED)) throw error;
        throw nothingNew(error.message, activityInfo().attempt <= QUICK_TRIES ? 1_000 : 15_000);
      });
    },
    settleOrder({ orderReference, ...outcome }) {
      return askOrder(client, orderReference, settle, [outcome], limits());
    },
  };
}
