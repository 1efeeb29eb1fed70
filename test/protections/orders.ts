import { heldBy, type Protection } from './off.ts';

const ORDER = 'workflows/payment-order.ts';
const SIBLINGS = 'workflows/siblings.ts';

const inOrder = (title: string) => heldBy('system', 'system/order', title);

/** One debt, one winner. */
export const ORDERS: readonly Protection[] = [
  {
    rule: 'a paid order is not paid through another link',
    off: [
      {
        file: SIBLINGS,
        from: 'return winner === undefined || winner === reference ? undefined',
        to: 'return winner !== null ? undefined',
      },
    ],
    test: inOrder('that is paid refuses another link before its provider is asked'),
  },
  {
    rule: 'one link of an order is captured at a time',
    off: [
      {
        file: SIBLINGS,
        from: "kind === 'capture' ? await claim(run) : undefined;",
        to: 'run.leaving ? await claim(run) : undefined;',
      },
    ],
    test: inOrder('none is captured while it is not known whether another was'),
  },
  {
    rule: 'an order that is reserved is nobody else’s',
    off: [{ file: ORDER, from: '(taken || late)', to: 'late' }],
    test: inOrder('heeds what is said late of a turn only as far as that turn goes'),
  },
  {
    rule: 'a claim that was given back does not come late',
    off: [{ file: ORDER, from: '(taken || late)', to: 'taken' }],
    test: inOrder('heeds what is said late of a turn only as far as that turn goes'),
  },
  {
    rule: 'a late word about one claim does not free the next',
    off: [{ file: ORDER, from: ' && held.turn <= turn) state.reserved', to: ') state.reserved' }],
    test: inOrder('heeds what is said late of a turn only as far as that turn goes'),
  },
  {
    rule: 'the other links of a paid order are closed',
    off: [{ file: SIBLINGS, from: '  void giveWay(run);\n', to: '' }],
    test: inOrder('one that nobody paid is cancelled at its provider as soon as another is paid'),
  },
  {
    rule: 'money on a link that lost its order is excess',
    off: [
      { file: 'workflows/allowed.ts', from: 'matter.lostTo === undefined ? dueOf(matter) : 0;', to: 'dueOf(matter);' },
    ],
    test: inOrder('one that takes money after it lost keeps none of it, whoever looks first'),
  },
];
