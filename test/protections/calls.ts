import { heldBy, type Protection } from './off.ts';

const HTTP = 'activities/http.ts';
const FAILURES = 'activities/failures.ts';
const ACTIVITIES = 'activities/index.ts';

/** Words with providers: what an answer proves, and what is never sent twice. */
export const CALLS: readonly Protection[] = [
  {
    rule: 'a 5xx is no failure',
    off: [
      {
        file: HTTP,
        from: "throw failed('unknown', code, answered(), wait",
        to: "throw failed('refused', code, answered(), wait",
      },
    ],
    test: heldBy('pure', 'http', '%s (%i)', 'internal error'),
  },
  {
    rule: 'not sent is only what surely was not',
    off: [
      {
        file: HTTP,
        from: "kind: notSent ? 'not_sent' : 'unknown'",
        to: "kind: notSent || code !== '' ? 'not_sent' : 'unknown'",
      },
    ],
    test: heldBy('pure', 'http', 'a connection lost after the request may have done its work'),
  },
  {
    rule: 'an answer that is no JSON is no answer',
    off: [
      {
        file: HTTP,
        from: 'if (status < 300 && json === undefined) {',
        to: 'if (status < 100 && json === undefined) {',
      },
    ],
    test: heldBy('pure', 'http', '%s', 'HTML with 200'),
  },
  {
    rule: 'an answer in another shape than documented is not believed',
    off: [
      {
        file: 'activities/answers.ts',
        from: 'if (result.success) return result.data;',
        to: 'if (result.success || value) return (result.data ?? value) as T;',
      },
    ],
    test: heldBy('pure', 'attack-provider', 'answers %s: nobody knows what happened, and nothing of it is believed'),
  },
  {
    rule: 'of an answer beyond 1 MB nothing is believed',
    off: [{ file: HTTP, from: 'if (size > maxBytes) throw new Oversized();', to: 'if (size > maxBytes) break;' }],
    test: heldBy('pure', 'http', 'an answer without end is cut at the limit'),
  },
  {
    rule: 'credentials follow no redirect',
    off: [{ file: HTTP, from: "redirect: 'manual'", to: "redirect: 'follow'" }],
    test: heldBy('pure', 'http', 'a redirect is not followed, so credentials stay here'),
  },
  {
    rule: 'providers are called over https',
    off: [{ file: 'activities/options.ts', from: '.refine(isSafeUrl,', to: '.refine((url) => URL.canParse(url),' }],
    test: heldBy('pure', 'accounts', 'lists everything that is missing or weak at once, without a value'),
  },
  {
    rule: 'certificates are checked',
    off: [
      { file: HTTP, from: "NODE_TLS_REJECT_UNAUTHORIZED === '0') {", to: "NODE_TLS_REJECT_UNAUTHORIZED === 'no') {" },
    ],
    test: heldBy('pure', 'attack-startup', 'S10: a process that checks no certificates calls no provider'),
  },
  {
    rule: 'no message holds a secret',
    off: [{ file: HTTP, from: 'const show = redactor(request);', to: 'const show = (text: string) => text;' }],
    test: heldBy('pure', 'http', 'hold no secret, even if the provider sends it back'),
  },
  {
    rule: 'no message holds a card number',
    off: [{ file: HTTP, from: "(isCardNumber(number) ? '[card]' : number)", to: 'number' }],
    test: heldBy('pure', 'http', 'S11: hold no card number, however it is written'),
  },
  {
    rule: 'no failure names a customer',
    off: [{ file: FAILURES, from: 'withoutCustomer(said, attempt.customer)', to: 'said' }],
    test: heldBy('pure', 'activities', 'tells nothing of the customer, whom providers repeat'),
  },
  {
    rule: 'a write whose outcome is unknown is not sent again by the server',
    off: [{ file: FAILURES, from: "unknown: giveUp('OutcomeUnknown',", to: "unknown: tryAgain('NotSent'," }],
    test: heldBy('pure', 'activities', '%s after %s is unknown, and a read tells'),
  },
  {
    rule: 'a fault of ours within a write leaves its outcome open',
    off: [
      {
        file: FAILURES,
        from: "new ProviderError('unknown', 'unexpected_error'",
        to: "new ProviderError('refused', 'unexpected_error'",
      },
    ],
    test: heldBy('pure', 'activities', 'a bug within a write leaves its outcome open, within a read it does not'),
  },
  {
    rule: 'wrong credentials are tried once',
    off: [
      {
        file: FAILURES,
        from: "const credentials = giveUp('Refused',",
        to: "const credentials = tryAgain('Unreachable',",
      },
    ],
    test: heldBy('pure', 'activities', 'wrong credentials are refused once, without naming them'),
  },
  {
    rule: 'a rate limit is heeded for as long as it says',
    off: [{ file: FAILURES, from: 'nextRetryDelay: retry ? wait : undefined,', to: 'nextRetryDelay: undefined,' }],
    test: heldBy('pure', 'activities', 'a rate limit waits as long as the provider asks'),
  },
  {
    rule: 'no answer makes us wait for more than an hour',
    off: [{ file: HTTP, from: 'Math.min(Math.max(wait, 1_000), LONGEST_WAIT_MS)', to: 'Math.max(wait, 1_000)' }],
    test: heldBy('pure', 'http', '%s', 'absurdly long'),
  },
  {
    rule: 'polls never spin',
    off: [{ file: 'activities/cadence.ts', from: 'Math.max(SHORTEST_MS, ', to: 'Math.max(0, ' }],
    test: heldBy('pure', 'activities', 'never spins, whatever the cadence says'),
  },
  {
    rule: 'what a provider cannot do is refused before it is called',
    off: [{ file: ACTIVITIES, from: '    if (problem) {\n', to: '    if (problem && !asked) {\n' }],
    test: heldBy('pure', 'activities', 'refuses what the provider cannot do before any call'),
  },
  {
    rule: 'before a write the provider is read, and nothing is sent if money moved',
    off: [{ file: ACTIVITIES, from: 'if (before && moved(known, basis)) return', to: 'if (before && !basis) return' }],
    test: heldBy('pure', 'activities', 'a capture or refund that happened already is not sent again'),
  },
  {
    rule: 'without a look before it no write is sent',
    off: [
      {
        file: ACTIVITIES,
        from: "await ask(desk, 'before_write', () => look(known)) : undefined;",
        to: 'await quietly(look(known)) : undefined;',
      },
    ],
    test: heldBy('pure', 'activities', 'a failed look before a write means that nothing was sent'),
  },
  {
    rule: 'a link keeps the abilities it was made with',
    off: [
      {
        file: ACTIVITIES,
        from: 'if (!verb || !created.abilities[kind]) throw',
        to: 'if (!verb || !abilitiesOf(provider, desk.account.config)[kind]) throw',
      },
    ],
    test: heldBy('pure', 'beqelal-life', 'keeps a link’s abilities when the account’s options change'),
  },
];
