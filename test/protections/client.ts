import { heldBy, type Protection } from './off.ts';

const OBSERVE = 'client/observe.ts';
const CREATE = 'client/create.ts';
const LIST = 'client/list.ts';
const COMMANDS = 'workflows/commands.ts';

const inParts = (file: string, title: string, row?: string) => heldBy('parts', file, title, row);

/** One request, one effect; one link, one owner: between callers, gateway and Temporal. */
export const CLIENT: readonly Protection[] = [
  {
    rule: 'a webhook that comes again is no further event',
    off: [{ file: OBSERVE, from: 'Math.floor(at / BUCKET_MS)', to: 'Math.random()' }],
    test: inParts('webhook-listener', 'the same webhook 20 times, at once and in turn, is one event'),
  },
  {
    rule: 'news that is back after other news is no repeat',
    off: [{ file: 'gateway/turns.ts', from: 'Math.min(before.turn + 1, ', to: 'Math.min(before.turn, ' }],
    test: inParts('webhook-listener', 'what was said before something else, and is said again, is heard again'),
  },
  {
    rule: 'old news replayed in turns is news no more than twenty times in ten minutes',
    off: [{ file: 'gateway/turns.ts', from: 'Math.min(before.turn + 1, since + MOST_TURNS)', to: 'before.turn + 1' }],
    test: heldBy('pure', 'attack-news', 'old news replayed in turns is heard some twenty times in ten minutes'),
  },
  {
    rule: 'news of one account is not told to a link of another',
    off: [
      {
        file: OBSERVE,
        from: 'named !== undefined && (await isOwner(client, named, account, limits));',
        to: 'named !== undefined;',
      },
    ],
    test: heldBy('system', 'system/correlation', 'moves nothing there, and is kept for an operator'),
  },
  {
    rule: 'a link does not listen to another account',
    off: [{ file: COMMANDS, from: 'if (hint?.account !== run.terms.account || !Array', to: 'if (!hint || !Array' }],
    test: inParts('engine', 'is money where it cannot, if it was signed, for the account, about this link'),
  },
  {
    rule: 'ids lead to links of the account only',
    off: [
      {
        file: LIST,
        from: '    `${linkAccount.name} = ${quote(account)}`,\n    `${linkProviderId.name} IN',
        to: '    `${linkProviderId.name} IN',
      },
    ],
    test: inParts('webhook-listener', "a webhook that names only the provider's id finds its link, in its own account"),
  },
  {
    rule: 'a link that is over is told of by its own account only',
    off: [{ file: 'client/closed.ts', from: ' || run.account !== account) return', to: ') return' }],
    test: inParts('payment-links', 'does not speak for a link of another account, or one that was never made'),
  },
  {
    rule: 'so many unmatched webhooks of one account are kept, and no more',
    off: [
      {
        file: 'client/unmatched.ts',
        from: "if ((await openRuns(client, account, limits)) >= (options.cap ?? CAP)) return 'full';",
        to: '',
      },
    ],
    test: inParts(
      'webhook-listener',
      'a webhook of no link starts none: it is kept in the one run of its account and object',
    ),
  },
  {
    rule: 'a reference is never used for a second link',
    off: [
      { file: CREATE, from: "await ask('REJECT_DUPLICATE',", to: "await ask('ALLOW_DUPLICATE' as 'REJECT_DUPLICATE'," },
    ],
    test: inParts('create-protocol', 'gives the link of a run that is over to the same request'),
  },
  {
    rule: 'other terms under one reference are a conflict',
    off: [{ file: COMMANDS, from: 'if (termsHash === run.termsHash) return;', to: 'if (termsHash) return;' }],
    test: inParts(
      'create-protocol',
      'refuses other terms under the same reference, while the link is open and when it is closed',
    ),
  },
  {
    rule: 'other terms are a conflict also when the link is over',
    off: [{ file: CREATE, from: 'if (run.termsHash !== hash) {', to: "if (hash === '') {" }],
    test: inParts('create-protocol', 'gives the link of a run that is over to the same request'),
  },
  {
    rule: 'a link that was stopped is not started again',
    off: [{ file: CREATE, from: '  if (run.stopped) {', to: "  if (hash === '') {" }],
    test: inParts('create-protocol', 'never starts a stopped link again'),
  },
  {
    rule: 'one caller only is told that he made the link',
    off: [{ file: COMMANDS, from: 'run.state.creator ??= callId;', to: 'run.state.creator = callId;' }],
    test: inParts('create-protocol', 'still knows the creator after the run continued as new'),
  },
  {
    rule: 'a command that comes again is done once',
    off: [
      { file: 'workflows/run.ts', from: '    if (known) return known;\n', to: '' },
      { file: 'client/commands.ts', from: '${command.fingerprint}`', to: '${command.fingerprint}:${Math.random()}`' },
    ],
    test: inParts('payment-links', 'does once what is asked twice with one key, and tells the same'),
  },
  {
    rule: 'the key of a command is of that command only',
    off: [
      {
        file: COMMANDS,
        from: "if (known?.fingerprint === fingerprint) return 'known';",
        to: "if (known?.fingerprint === fingerprint || (known && fingerprint)) return 'known';",
      },
    ],
    test: inParts('payment-links', 'refuses a key that was used for something else'),
  },
  {
    rule: 'the key of a command is of that command only also when the link is over',
    off: [
      {
        file: 'client/commands.ts',
        from: 'if (used === command.fingerprint) return',
        to: 'if (used !== undefined) return',
      },
    ],
    test: inParts('payment-links', 'refuses a key that was used with another body, also when the link is over'),
  },
  {
    rule: 'an extension that comes again is known, whatever the clock says by then',
    off: [
      {
        file: 'client/payment-links.ts',
        from: 'const before = options?.idempotencyKey ?',
        to: 'const before = options?.idempotencyKey === reference ?',
      },
    ],
    test: inParts('payment-links', 'answers a known key of an extension although its instant has passed meanwhile'),
  },
  {
    rule: 'a refund is of no more than was captured',
    off: [{ file: COMMANDS, from: 'if ((amount ?? movable) > movable || movable === 0) {', to: 'if (movable < 0) {' }],
    test: inParts('payment-links', 'refuses a refund of %s and writes no history', 'more than was captured'),
  },
  {
    rule: 'a refund is in the currency of the link',
    off: [
      {
        file: COMMANDS,
        from: '  const movable = movableNow(run, kind);\n  if (currency !== undefined && currency !== run.terms.currency) {',
        to: "  const movable = movableNow(run, kind);\n  if (currency === '') {",
      },
    ],
    test: inParts('payment-links', 'refuses a refund of %s and writes no history', 'another currency'),
  },
  {
    rule: 'what is typed by hand has to be an amount',
    off: [
      {
        file: COMMANDS,
        from: 'if (amount !== undefined && !(Number.isSafeInteger(amount) && amount > 0)) {',
        to: "if (String(amount) === '') {",
      },
    ],
    test: heldBy('system', 'system/by-hand', 'an update with %s is refused and leaves no trace', 'a negative amount'),
  },
  {
    rule: 'a namespace that forgets links too soon is refused',
    off: [{ file: 'client/namespace.ts', from: 'if (retention < wanted) {', to: 'if (retention < 0) {' }],
    test: inParts('webhook-listener', 'refuses a namespace that forgets too soon'),
  },
];
