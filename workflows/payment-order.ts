import { ApplicationFailureCategory } from '@temporalio/common';
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { workflowIdOf } from './messages.ts';

export const ORDER_TYPE = 'paymentOrder';
export const orderIdOf = (orderReference: string): string => `payment-order/${orderReference}`;

export interface OrderInput {
  orderReference: string;
  /** Continue as new after this many history events; the server's suggestion when left out. */
  continueAfterEvents?: number;
  /** Carried over by continue-as-new. */
  state?: OrderState;
}

/** All an order remembers. */
export interface OrderState {
  /** Links whose runs are open, in the order in which they joined. */
  links: OrderLink[];
  /** Links that ever joined. */
  joined: number;
  /** The link that may capture now; nobody else may until it tells what came of it. */
  reserved?: Turn;
  /** The link the debt is paid through. It stays the winner, whatever becomes of its money later. */
  winner?: string;
}

export interface OrderLink {
  reference: string;
  /** It knows the winner. */
  told?: true;
  /** The last turn that came to nothing: a claim of it that arrives late is void. */
  released?: number;
}

/** A link's claims are counted, so that what is said of an earlier one never touches a later one. */
export interface Turn {
  reference: string;
  turn: number;
}

/** What became of a turn, or of money that came without one. */
export interface Outcome extends Turn {
  captured: boolean;
}

/** How the order stands for whoever asks: nobody has won it while `winner` is absent. */
export interface Standing {
  winner?: string;
}

/** What a link asks of its order; every call may be repeated. */
export interface OrderPorts {
  /** Takes the link in, unless another has won: then the answer names it. Throws `Refused` when the order is full. */
  joinOrder(call: { orderReference: string; reference: string }): Promise<Standing>;
  /** Reserves the debt. Retried by the server for as long as another link holds it. */
  claimOrder(call: Turn & { orderReference: string }): Promise<Standing>;
  /** Captured money wins the order if nobody has won it; a turn that came to nothing is given back. */
  settleOrder(call: Outcome & { orderReference: string }): Promise<Standing>;
}

/** Failure types of this workflow's updates and, the last, of its run: the reference is free for other links then. */
export const ORDER_RESERVED = 'order_reserved';
export const ORDER_FULL = 'order_full';
export const ORDER_UNPAID = 'order_unpaid';

const MAX_OPEN_LINKS = 100;

export const join = defineUpdate<Standing, [{ reference: string }]>('join');
export const claim = defineUpdate<Standing, [Turn]>('claim');
export const settle = defineUpdate<Standing, [Outcome]>('settle');
/** A link's run is over. */
export const left = defineSignal<[{ reference: string }]>('left');
/** To the links: another one has won. */
export const orderDecided = defineSignal<[Required<Standing>]>('orderDecided');
export const order = defineQuery<OrderState>('order');

/**
 * One debt that may be paid through several links, also of several providers: the first that takes money wins. The run
 * lives as long as any of its links and ends with the winner's name; unpaid, it fails, and the next link starts anew.
 */
export async function paymentOrder(input: OrderInput): Promise<Required<Standing>> {
  const state: OrderState = input.state ?? { links: [], joined: 0 };
  let heard = false;
  listen(state, input.orderReference, () => {
    heard = true;
  });
  const untold = () => state.links.filter(({ reference, told }) => state.winner && reference !== state.winner && !told);
  const over = () => state.joined > 0 && state.links.length === 0;
  // To stop it would be to forget who has won.
  return CancellationScope.nonCancellable(async () => {
    for (;;) {
      heard = false;
      await Promise.all(untold().map((link) => tell(state, link)));
      setCurrentDetails(card(state, input.orderReference));
      if (over()) return ended(state, input.orderReference);
      // Asked only after what stands in the history: an update that was rejected leaves nothing a replay could see.
      if (historyIsLong(input)) return continueAsNew<typeof paymentOrder>({ ...input, state });
      await condition(() => heard);
    }
  });
}

/** Handlers answer at once: nothing is under way when the run ends or continues as new. */
function listen(state: OrderState, orderReference: string, heard: () => void): void {
  const say = (reference: string): Standing => {
    heard();
    if (state.winner === undefined) return {};
    const link = linkIn(state, reference);
    if (link) link.told = true;
    return { winner: state.winner };
  };

  setHandler(order, () => state, { description: 'Who may pay, who may capture now, who has won' });
  setHandler(
    join,
    ({ reference }) => {
      if (state.winner === undefined || state.winner === reference) enter(state, reference);
      return say(reference);
    },
    {
      description: 'A link that may pay this debt: {reference}',
      validator: ({ reference }) => {
        if (linkIn(state, reference) || state.links.length < MAX_OPEN_LINKS) return;
        throw refusal(
          ORDER_FULL,
          `the order ${orderReference} has ${MAX_OPEN_LINKS} open links, as many as it can hold`,
        );
      },
    },
  );
  setHandler(
    claim,
    ({ reference, turn }) => {
      if (state.winner === undefined) {
        enter(state, reference);
        state.reserved = { reference, turn };
      }
      return say(reference);
    },
    {
      description: 'May this link capture? {reference, turn}',
      validator: ({ reference, turn }) => {
        const { winner, reserved } = state;
        const taken = reserved !== undefined && reserved.reference !== reference;
        const late = (linkIn(state, reference)?.released ?? 0) >= turn;
        if (winner === undefined && (taken || late)) {
          throw refusal(ORDER_RESERVED, `another link of order ${orderReference} is being captured and may win`);
        }
      },
    },
  );
  setHandler(
    settle,
    ({ reference, turn, captured }) => {
      if (state.winner === undefined) {
        if (captured) win(state, reference);
        else giveBack(state, { reference, turn });
      }
      return say(reference);
    },
    { description: 'What came of it: {reference, turn, captured}; captured money wins what nobody has won' },
  );
  setHandler(
    left,
    ({ reference }) => {
      leave(state, reference);
      say(reference);
    },
    { description: 'The run of a link is over, or was terminated: it holds up nobody any more: {reference}' },
  );
}

const linkIn = ({ links }: OrderState, reference: string) => links.find((link) => link.reference === reference);

function enter(state: OrderState, reference: string): OrderLink {
  const known = linkIn(state, reference);
  if (known) return known;
  const link: OrderLink = { reference };
  state.links.push(link);
  state.joined += 1;
  return link;
}

function leave(state: OrderState, reference: string): void {
  state.links = state.links.filter((link) => link.reference !== reference);
  if (state.reserved?.reference === reference) state.reserved = undefined;
}

/** Whoever holds the debt only meant to capture: money that is here comes first. */
function win(state: OrderState, reference: string): void {
  enter(state, reference);
  state.winner = reference;
  state.reserved = undefined;
}

function giveBack(state: OrderState, { reference, turn }: Turn): void {
  const link = linkIn(state, reference);
  if (link) link.released = Math.max(link.released ?? 0, turn);
  const held = state.reserved;
  if (held?.reference === reference && held.turn <= turn) state.reserved = undefined;
}

/** A link that cannot be told has no open run: somebody terminated it. */
async function tell(state: OrderState, link: OrderLink): Promise<void> {
  link.told = true;
  try {
    await getExternalWorkflowHandle(workflowIdOf(link.reference)).signal(orderDecided, { winner: state.winner! });
  } catch {
    leave(state, link.reference);
  }
}

function ended({ winner, joined }: OrderState, orderReference: string): Required<Standing> {
  if (winner !== undefined) return { winner };
  throw ApplicationFailure.create({
    type: ORDER_UNPAID,
    message: `none of the ${joined} links of order ${orderReference} took money`,
    nonRetryable: true,
    category: ApplicationFailureCategory.BENIGN,
  });
}

function historyIsLong({ continueAfterEvents = Number.POSITIVE_INFINITY }: OrderInput): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength >= continueAfterEvents;
}

const refusal = (type: string, message: string) => ApplicationFailure.nonRetryable(message, type);

function card({ links, joined, reserved, winner }: OrderState, orderReference: string): string {
  const status = winner ? 'PAID' : reserved ? 'BEING CAPTURED' : 'OPEN';
  const part = (reference: string) =>
    reference === winner
      ? 'won'
      : reference === reserved?.reference
        ? 'is being captured'
        : winner
          ? 'lost'
          : 'may pay';
  const gone = winner !== undefined && !links.some(({ reference }) => reference === winner);
  return [
    `# ${status} · \`${orderReference}\``,
    winner ? `Paid through \`${winner}\`${gone ? ', whose run is over' : ''}.` : 'Nobody has paid it yet.',
    `${links.length} of ${joined} links are open.`,
    ['| Link | |', '|---|---|', ...links.map(({ reference }) => `| \`${reference}\` | ${part(reference)} |`)].join(
      '\n',
    ),
    'When a link was terminated: signal `left {reference}`',
  ].join('\n\n');
}
