/** Lives of several links that pay one debt, for the saved histories. */
import { openShop } from '../stack/shop.ts';
import type { Stack } from '../stack/stack.ts';
import type { Link } from '../workflows/link.ts';
import { TASK_QUEUE, workflowIdOf } from '../workflows/messages.ts';
import { ORDER_TYPE, orderIdOf, type paymentOrder } from '../workflows/payment-order.ts';
import type { CreateRequest } from '../workflows/schema.ts';

/** One life: its link has this reference; `also` names other workflows of it whose histories are worth keeping. */
export type Life = (
  stack: Stack,
  reference: string,
  also: (role: string, workflowId: string) => void,
) => Promise<unknown>;

const AMOUNT = { minor: 10_050, currency: 'AED' };
const TAKEN = { account: 'paymennt', amount: AMOUNT };
const HELD = { account: 'paymennt-hold', amount: AMOUNT, capture: 'manual' as const };
/** The runs are over soon after their links. */
const BRIEF = { graceSeconds: 1, refundWindowSeconds: 5 };

/** The links of a life's order, as its backend makes them. */
function debtOf(stack: Stack, reference: string, also: Parameters<Life>[2]) {
  const orderReference = `${reference}/debt`;
  const order = stack.client.workflow.getHandle<typeof paymentOrder>(orderIdOf(orderReference));
  return {
    order,
    async link(request: Omit<CreateRequest, 'reference'>, role?: string): Promise<Link> {
      const own = role === undefined ? reference : `${reference}/${role}`;
      if (role !== undefined) also(role, workflowIdOf(own));
      const body = { policies: BRIEF, ...request, reference: own, orderReference };
      return (await openShop(stack).create(body)).body;
    },
  };
}

export const ORDER_LIVES: Record<string, Life> = {
  async 'order paid elsewhere, hold released'(stack, reference, also) {
    const shop = openShop(stack);
    const debt = debtOf(stack, reference, also);
    also('order', debt.order.workflowId);
    const winner = await debt.link(TAKEN, 'winner');
    await debt.link(TAKEN, 'unpaid');
    const held = await debt.link(HELD);
    await shop.pay(held.url!);
    await shop.until(reference, ({ status }) => status === 'authorized');
    await shop.pay(winner.url!);
    await shop.until(reference, ({ status }) => status === 'cancelled');
    await debt.link(TAKEN, 'refused');
    await debt.order.result();
  },

  async 'order paid twice, the second given back'(stack, reference, also) {
    const shop = openShop(stack);
    const debt = debtOf(stack, reference, also);
    const request = { ...TAKEN, policies: { ...BRIEF, excess: 'refund_excess' as const } };
    const both = [await debt.link(request, 'other'), await debt.link(request)];
    await Promise.all(both.map(({ url }) => shop.pay(url!)));
    await debt.order.result();
  },

  async 'order claimed by two, continued as new'(stack, reference, also) {
    const shop = openShop(stack);
    const debt = debtOf(stack, reference, also);
    const { workflowId } = debt.order;
    also('order', workflowId);
    const input = { orderReference: `${reference}/debt`, continueAfterEvents: 20 };
    await stack.client.workflow.start(ORDER_TYPE, { workflowId, taskQueue: TASK_QUEUE, args: [input] });
    const first = await debt.link(HELD, 'first');
    const second = await debt.link(HELD);
    for (const { url, reference: held } of [first, second]) {
      await shop.pay(url!);
      await shop.until(held, ({ status }) => status === 'authorized');
    }
    const fault = { kind: 'hold_before_commit', link: first.reference, count: 1, delayMs: 3_000 };
    await shop.control('POST', '/paymennt/faults', { operation: 'capture', ...fault });
    const captured = shop.order(first.reference, 'capture');
    await shop.until(first.reference, ({ operations }) => operations.at(-1)?.state === 'running');
    await Promise.all([captured, shop.order(reference, 'capture')]);
    await debt.order.result();
  },

  async 'order whose claimed capture was refused'(stack, reference, also) {
    const shop = openShop(stack);
    const debt = debtOf(stack, reference, also);
    also('order', debt.order.workflowId);
    const held = await debt.link({ ...HELD, policies: BRIEF });
    await shop.pay(held.url!);
    await shop.until(reference, ({ status }) => status === 'authorized');
    const fault = { operation: 'capture', kind: 'status', status: 400, link: reference, count: 1 };
    await shop.control('POST', '/paymennt/faults', fault);
    await shop.order(reference, 'capture');
    await shop.order(reference, 'cancel');
    await debt.order.result().catch(() => {});
  },
};
