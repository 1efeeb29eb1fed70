import { heldBy, type Protection } from './off.ts';

const UNMATCHED_WEBHOOK = 'workflows/unmatched-webhook.ts';
const inUnmatched = (title: string, row?: string) => heldBy('parts', 'unmatched', title, row);

/** Webhooks that were answered 202: nothing of them goes unseen. */
export const UNMATCHED: readonly Protection[] = [
  {
    rule: 'a dismissal leaves what nobody has read yet',
    off: [
      {
        file: UNMATCHED_WEBHOOK,
        from: 'if (state.waiting.length > 0) hide();',
        to: 'state.waiting = [];',
      },
    ],
    test: inUnmatched('settles what could be seen, not what a read that is %s then brings', 'under way'),
  },
  {
    rule: 'a dismissal leaves what comes in the same moment',
    off: [
      {
        file: UNMATCHED_WEBHOOK,
        from: 'if (state.waiting.length > 0 || state.published)',
        to: 'if ((state.waiting.length > 0 && !state.dismissed) || state.published)',
      },
    ],
    test: inUnmatched('leaves a webhook of the same task unsettled'),
  },
  {
    rule: 'what was dismissed is known to the runs that follow',
    off: [{ file: 'client/closed.ts', from: ' OR ${linkStatus.name} = ${quote(DISMISSED)}', to: '' }],
    test: inUnmatched('is remembered, also when nothing else came of the run'),
  },
  {
    rule: 'what nobody looked for is not foreign',
    off: [{ file: UNMATCHED_WEBHOOK, from: 'if (!foundNothing(error)) {', to: "if (error.message === '') {" }],
    test: inUnmatched('what nobody could look for is not foreign: it is looked for again'),
  },
  {
    rule: 'that nobody came to look in time is not taken for a look',
    off: [
      {
        file: UNMATCHED_WEBHOOK,
        from: 'return cause instanceof ApplicationFailure',
        to: 'return cause instanceof TimeoutFailure || cause instanceof ApplicationFailure',
      },
    ],
    test: inUnmatched('nor is what was last looked for long ago'),
  },
  {
    rule: 'webhooks about a link that is over are read, whether or not it is found again',
    off: [{ file: UNMATCHED_WEBHOOK, from: 'return state.closed;\n      }', to: 'return undefined;\n      }' }],
    test: inUnmatched('a webhook that %s is read all the same once the link is known', 'was looked for in vain'),
  },
  {
    rule: 'a run of unmatched webhooks does not grow until the server stops it',
    off: [
      { file: UNMATCHED_WEBHOOK, from: 'continueAsNewSuggested || historyLength >= limit', to: 'historyLength < 0' },
    ],
    test: inUnmatched('continues as new with all that it knows and waits for'),
  },
];
