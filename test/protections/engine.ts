import { heldBy, type Protection } from './off.ts';

const RUN = 'workflows/run.ts';
const WRITES = 'workflows/writes.ts';
const LISTENING = 'workflows/listening.ts';
const LINK = 'workflows/payment-link.ts';

const inEngine = (title: string) => heldBy('parts', 'engine', title);
const inSystem = (file: string, title: string, row?: string) => heldBy('system', `system/${file}`, title, row);

/** What a running link does, and what it leaves. */
export const ENGINE: readonly Protection[] = [
  {
    rule: 'what a webhook says is no money where the provider can be asked',
    off: [{ file: RUN, from: '    if (created.abilities.inquire) return;\n', to: '' }],
    test: inEngine('is no money where the provider can be asked: it is asked'),
  },
  {
    rule: 'an unsigned webhook moves no money',
    off: [{ file: RUN, from: 'if (signed || created.acceptUnsigned) {', to: 'if (signed || created) {' }],
    test: inEngine('is money where it cannot, if it was signed, for the account, about this link'),
  },
  {
    rule: 'a webhook about another link moves no money here',
    off: [
      {
        file: 'workflows/commands.ts',
        from: 'if (hint.facts && names(run, hint)) run.hear(',
        to: 'if (hint.facts) run.hear(',
      },
    ],
    test: inEngine('is money where it cannot, if it was signed, for the account, about this link'),
  },
  {
    rule: 'webhooks cost a read a second at most',
    off: [
      { file: LISTENING, from: 'const tooEarly = own ? 0 : readAt', to: 'const tooEarly = readAt > 0 ? 0 : readAt' },
    ],
    test: inEngine('hundreds of times in other words costs a read a second, of twenty ids at most, and the link lives'),
  },
  {
    rule: 'a run keeps so many ids to read, and no more',
    off: [{ file: RUN, from: '...ids])].slice(0, 20);', to: '...ids])];' }],
    test: inEngine('hundreds of times in other words costs a read a second, of twenty ids at most, and the link lives'),
  },
  {
    rule: 'one operation has one key for ever',
    off: [
      {
        file: 'workflows/reads.ts',
        from: '`${workflowInfo().workflowId}:${kind}:${id}`',
        to: '`${workflowInfo().workflowId}:${kind}:${id}:${Date.now()}`',
      },
    ],
    test: inSystem('unknown', 'is made once when the first call, long given up, gets through after the second'),
  },
  {
    rule: 'operations run one at a time',
    off: [
      {
        file: 'workflows/operations.ts',
        from: '    await perform(run, operation);\n    run.busy -= 1;\n',
        to: '    void perform(run, operation).finally(() => {\n      run.busy -= 1;\n    });\n',
      },
    ],
    test: inEngine('keeps what was accepted before it waiting, also when nobody looks any more'),
  },
  {
    rule: 'nothing is sent behind an unknown outcome',
    off: [
      {
        file: 'workflows/operations.ts',
        from: '(hasUnknown(run) ? undefined : queued(run)[0])',
        to: 'queued(run)[0]',
      },
    ],
    test: inEngine('keeps what was accepted before it waiting, also when nobody looks any more'),
  },
  {
    rule: 'an attempt that took too long is not made again by the server',
    off: [{ file: 'workflows/world.ts', from: "[...ANSWERS, 'TemporalTimeout:StartToClose']", to: '[...ANSWERS]' }],
    test: inSystem('unknown', 'that left no trace is never repeated, it parks: %s', 'timeout'),
  },
  {
    rule: 'after a lost answer the provider is asked',
    off: [
      {
        file: WRITES,
        from: 'const verdict = await probe(run, operation);',
        to: "const verdict = 'absent' as Awaited<ReturnType<typeof probe>>;",
      },
    ],
    test: inSystem('unknown', 'that happened is seen: %s', 'error_after_commit'),
  },
  {
    rule: 'that nothing happened is believed after three looks',
    off: [
      {
        file: WRITES,
        from: 'for (const wait of [0, attemptMs + probeAfterMs, probeAgainMs]) {',
        to: 'for (const wait of [0]) {',
      },
    ],
    test: inEngine('of a create is looked for three times before it is sent again'),
  },
  {
    rule: 'what could happen twice is not sent again',
    off: [{ file: WRITES, from: 'may() && repeatable(run, kind, verdict)) {', to: 'may()) {' }],
    test: inSystem('unknown', 'that left no trace is never repeated, it parks: %s', 'reset'),
  },
  {
    rule: 'what is not possible any more is not sent again',
    off: [{ file: WRITES, from: 'if (!again && may() && ', to: 'if (!again && ' }],
    test: inEngine('is sent no second time when that is not possible any more: a cancel, after the customer has paid'),
  },
  {
    rule: 'what changed before a repeat may be what the first try did',
    off: [
      {
        file: WRITES,
        from: "operation.state = again ? 'unknown' : 'queued';",
        to: "operation.state = again ? 'queued' : 'queued';",
      },
    ],
    test: inEngine('is what the first try did, if money moved before the second'),
  },
  {
    rule: 'that a link was made has to be shown by the provider',
    off: [
      {
        file: 'workflows/operations.ts',
        from: '} else if (!(await look(run, { attempts: 3 })) || !run.created) {',
        to: '} else if (outcome === undefined) {',
      },
    ],
    test: inSystem('unknown', 'parks when the repeat is lost as well; found absent, the reference is free again'),
  },
  {
    rule: 'a refund is held against what is left when its turn comes',
    off: [{ file: WRITES, from: 'if ((operation.amount ?? 0) > movable) {', to: 'if (movable < 0) {' }],
    test: inEngine('limits a refund when its turn comes, whatever was left when it was asked for'),
  },
  {
    rule: 'the engine by itself captures no more than is due',
    off: [{ file: WRITES, from: "const part = actor === 'perdure' &&", to: "const part = actor === '' &&" }],
    test: inEngine('is that more is held than is due: of what can be captured in parts the engine takes what is due'),
  },
  {
    rule: 'before a link expires the provider is read',
    off: [
      {
        file: LINK,
        from: '  const reached = await confirm(run);\n',
        to: "  run.declare({ expired: Date.now() }, 'it is over');\n  const reached = await confirm(run);\n",
      },
    ],
    test: inSystem('deadline', 'is paid after all, when the last look finds money of which nobody told'),
  },
  {
    rule: 'a link whose money is on its way is not closed',
    off: [
      {
        file: LINK,
        from: 'if (overdue() && run.state.facts.latest?.inFlight) await',
        to: 'if (overdue() && !run.created) await',
      },
    ],
    test: inEngine('keeps a link open whose money is on its way at the deadline'),
  },
  {
    rule: 'a link is closed at the provider before it is called expired',
    off: [
      {
        file: LINK,
        from: 'if (abilities.cancel && (reached || !expiresByItself)) {',
        to: 'if (!abilities && (reached || !expiresByItself)) {',
      },
    ],
    test: inSystem('deadline', 'is closed at the provider, which still took money, and then called expired'),
  },
  {
    rule: 'an expiry that nobody confirmed is presumed',
    off: [
      { file: LINK, from: 'run.declare({ presumed_expired: Date.now() }', to: 'run.declare({ expired: Date.now() }' },
    ],
    test: inSystem('deadline', 'is presumed expired when the provider will not close it, and a person may try again'),
  },
  {
    rule: 'a cancel that the provider was not told is presumed',
    off: [
      {
        file: WRITES,
        from: "run.declare({ presumed_cancelled: Date.now() }, 'closed;",
        to: "run.declare({ cancelled: Date.now() }, 'closed;",
      },
    ],
    test: inSystem(
      'deadline',
      'a cancel the provider cannot be told counts at once, and is told as soon as that is there again',
    ),
  },
  {
    rule: 'before a hold is let go the provider is read',
    off: [
      { file: LINK, from: '    if (gone()) continue;\n    await confirm(run);\n', to: '    if (gone()) continue;\n' },
    ],
    test: inEngine('is asked for once more before a hold is let go'),
  },
  {
    rule: 'a hold is decided on before it lapses',
    off: [
      {
        file: 'workflows/deadlines.ts',
        from: ': lapse - matter.created.policies.captureMarginSeconds * 1000;',
        to: ': lapse;',
      },
    ],
    test: inSystem('deadline', 'that nobody decided on is decided before it lapses: %s', 'release'),
  },
  {
    rule: 'no refund is sent beside a dispute',
    off: [
      {
        file: 'workflows/allowed.ts',
        from: 'captured - refunded > 0 && !disputed(facts),',
        to: 'captured - refunded > 0,',
      },
    ],
    test: inSystem('exceptions', 'beside a dispute no refund is sent, unless a person forces it'),
  },
  {
    rule: 'what a person has to see stays when its cause goes',
    off: [
      {
        file: 'workflows/exceptions.ts',
        from: 'causes[name] !== undefined || raised[name] !== acknowledged[name]);',
        to: 'causes[name] !== undefined);',
      },
    ],
    test: inSystem('exceptions', 'beside a dispute no refund is sent, unless a person forces it'),
  },
  {
    rule: 'to cancel the workflow does not abandon the link',
    off: [
      {
        file: LINK,
        from: 'return CancellationScope.nonCancellable(async () => {\n    void operate(run);',
        to: 'return CancellationScope.cancellable(async () => {\n    void operate(run);',
      },
    ],
    test: inSystem('deadline', 'is a cancel command: the link is closed at the provider and still hears of late money'),
  },
  {
    rule: 'a run that continues as new waits for the provider’s answers',
    off: [
      {
        file: RUN,
        from: 'await condition(() => this.busy === 0 && allHandlersFinished());',
        to: 'await condition(() => this.busy >= 0);',
      },
    ],
    test: inSystem('continue', 'waits for the provider, takes the queued ones along, and repeats none'),
  },
  {
    rule: 'a webhook is not lost as a run continues as new',
    off: [{ file: LISTENING, from: '    if (run.leaving) run.hint(ids);\n', to: '' }],
    test: inSystem('continue', 'are not lost: the last of %i finds the money'),
  },
  {
    rule: 'a link that is over hears of the rest',
    off: [
      {
        file: 'workflows/unmatched-webhook.ts',
        from: 'if (closed.created.abilities.inquire) {',
        to: 'if (!closed.created) {',
      },
    ],
    test: inSystem('after-end', 'a chargeback stays to be seen'),
  },
  {
    rule: 'events wait for their workflow task, whoever asks before',
    off: [{ file: 'workflows/interceptors.ts', from: 'now.events > last.events', to: 'now.events < 0' }],
    test: heldBy('parts', 'early-events', 'is refused, and the history replays'),
  },
  {
    rule: 'who asks too early is answered a moment later',
    off: [{ file: 'client/reach.ts', from: 'error.message.includes(AHEAD)', to: "error.message === ''" }],
    test: heldBy('parts', 'early-events', 'is asked again by our client, which does not hear of it'),
  },
  {
    rule: 'a link that is extended while it closes stays open',
    off: [{ file: LINK, from: ' && run.created?.expiresAt === expiresAt;', to: ';' }],
    test: inEngine('keeps a link open that is extended while it is being closed'),
  },
  {
    rule: 'a link is closed that a person saw closed',
    off: [
      {
        file: 'workflows/operations.ts',
        from: "unknown.kind === 'cancel' && !closingOf",
        to: "unknown.kind === 'capture' && !closingOf",
      },
    ],
    test: inEngine('is that a person saw a link closed whose cancel had no answer'),
  },
];
