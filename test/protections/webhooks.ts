import { heldBy, type Protection } from './off.ts';

const LISTENER = 'gateway/webhooks.ts';

/** Who is believed, and when news counts as taken. */
export const WEBHOOKS: readonly Protection[] = [
  {
    rule: 'a token in a callback URL proves nothing: the signature is needed',
    off: [
      {
        file: LISTENER,
        from: '      // A verifier that fails',
        to: "      if (request.query.has('t')) return { account, signed: true };\n      // A verifier that fails",
      },
    ],
    test: heldBy(
      'pure',
      'attack-webhooks',
      '%s: without the signature of the account it opens nothing, with it it names the link',
    ),
  },
  {
    rule: 'a callback URL names a link only with the token made for it',
    off: [
      {
        file: LISTENER,
        from: " || !tokenMatches(tokenKeys, account, reference, query.get('t') ?? '')) {",
        to: ') {',
      },
    ],
    test: heldBy(
      'pure',
      'attack-webhooks',
      '%s: without the signature of the account it opens nothing, with it it names the link',
    ),
  },
  {
    rule: 'a token is of one account',
    off: [{ file: 'activities/tokens.ts', from: 'update(`${account}/${reference}`)', to: 'update(reference)' }],
    test: heldBy(
      'pure',
      'attack-webhooks',
      '%s: without the signature of the account it opens nothing, with it it names the link',
    ),
  },
  {
    rule: 'a token has one spelling',
    off: [{ file: 'activities/tokens.ts', from: " && given.toString('base64url') === token;", to: ';' }],
    test: heldBy('parts', 'webhook-listener', 'tokens: the first key signs, all verify, one spelling counts'),
  },
  {
    rule: 'keys of tokens cannot be guessed',
    off: [{ file: 'activities/tokens.ts', from: 'Buffer.byteLength(key) < MIN_KEY_BYTES', to: 'key.length < 1' }],
    test: heldBy('pure', 'gateway-access', 'lists everything that is wrong at once'),
  },
  {
    rule: 'a signature is one hex digest and nothing else',
    off: [
      {
        file: 'activities/signatures.ts',
        from: 'if (signature.length !== digits || !/^[0-9a-f]+$/i.test(signature)) {',
        to: 'if (signature.length < digits) {',
      },
    ],
    test: heldBy('pure', 'attack-webhooks', '%s: 401, and nothing is asked', 'a list'),
  },
  {
    rule: 'a signature is one base64 text and nothing else',
    off: [
      {
        file: 'activities/signatures.ts',
        from: " || given.toString('base64') !== signature) {",
        to: ') {',
      },
    ],
    test: heldBy('pure', 'attack-webhooks', '%s: 401, and nothing is asked', 'one character more'),
  },
  {
    rule: 'a signature is made with a secret of the account',
    off: [{ file: 'activities/signatures.ts', from: 'if (!matches) throw', to: 'if (secrets.length === 0) throw' }],
    test: heldBy(
      'pure',
      'attack-webhooks',
      'what %s signed for one account is believed on that account only, in the same words everywhere',
    ),
  },
  {
    rule: 'an empty secret signs for nobody',
    off: [{ file: 'activities/signatures.ts', from: "    if (secret === '') continue;\n", to: '' }],
    test: heldBy('pure', 'paymennt', 'refuses %s', 'an empty secret on both sides'),
  },
  {
    rule: 'digests are compared in constant time',
    off: [
      {
        file: 'activities/signatures.ts',
        from: 'if (timingSafeEqual(createHmac(algorithm, secret).update(body).digest(), given)) matches = true;',
        to: 'if (createHmac(algorithm, secret).update(body).digest().equals(given)) matches = true;',
      },
    ],
    test: heldBy('pure', 'attack-startup', 'compares them in constant time'),
  },
  {
    rule: 'a secret for webhooks has 16 characters or more',
    off: [{ file: 'activities/options.ts', from: '.min(16)', to: '.min(1)' }],
    test: heldBy('pure', 'attack-startup', 'takes no weak secret for webhooks, not even beside a good one'),
  },
  {
    rule: 'what is signed with time is heard within five minutes of it',
    off: [
      {
        file: 'activities/providers/boomfi.ts',
        from: ' || Math.abs(now / 1000 - Number(timestamp)) > SIGNATURE_WINDOW_SECONDS) {',
        to: ') {',
      },
    ],
    test: heldBy('pure', 'attack-news', 'a clock that is %s', 'six minutes slow'),
  },
  {
    rule: 'where a provider signs for all its merchants, the organisation tells them apart',
    off: [
      {
        file: 'activities/providers/boomfi.ts',
        from: 'if (orgId !== undefined && news && isPayment(news.event)',
        to: 'if (orgId === null && news && isPayment(news.event)',
      },
    ],
    test: heldBy(
      'pure',
      'attack-webhooks',
      'what %s signed for one account is believed on that account only, in the same words everywhere',
      'boomfi',
    ),
  },
  {
    rule: 'no query parameter is given twice',
    off: [{ file: LISTENER, from: 'if (hasRepeats(request.query)) throw', to: 'if (!request.query) throw' }],
    test: heldBy('pure', 'attack-webhooks', 'a parameter that is spelled in two ways is given twice'),
  },
  {
    rule: 'whatever is not authentic is told the same, an unknown account too',
    off: [
      {
        file: LISTENER,
        from: "hears webhooks';\n      throw NOT_AUTHENTIC;",
        to: "hears webhooks';\n      throw new Problem(404, 'not_found', 'There is no such account.');",
      },
    ],
    test: heldBy(
      'pure',
      'attack-webhooks',
      'what %s signed for one account is believed on that account only, in the same words everywhere',
    ),
  },
  {
    rule: 'a verifier that fails has not verified',
    off: [
      {
        file: LISTENER,
        from: 'if (!(error instanceof NotAuthentic)) log.error(',
        to: 'if (!(error instanceof NotAuthentic)) return { account, signed: true };\n      if (!error) log.error(',
      },
    ],
    test: heldBy('parts', 'webhook-listener', '%s', 'a verifier that breaks'),
  },
  {
    rule: 'what some fields only are signed of is the same news whatever the others say',
    off: [
      {
        file: 'activities/providers/paymob.ts',
        from: 'transactionName(named.id)], signed };',
        to: 'transactionName(named.id)] };',
      },
    ],
    test: heldBy('pure', 'attack-news', 'Paymob signs some fields: with the others changed it is the news it was'),
  },
  {
    rule: '2xx is said only once Temporal has the news',
    off: [
      {
        file: LISTENER,
        from: 'const outcome = await inTime(handOver(told, account.shared ?? false));',
        to: "const outcome = 'accepted' as Awaited<ReturnType<typeof handOver>>;\n    void handOver(told, false).catch(() => {});",
      },
    ],
    test: heldBy('parts', 'webhook-listener', 'that Temporal does not take in time is 503, with when to come again'),
  },
  {
    rule: 'news that Temporal has not taken within the time a provider waits is sent back',
    off: [
      {
        file: LISTENER,
        from: 'return await Promise.race([accepted, late]);',
        to: 'late.catch(() => {});\n      return await accepted;',
      },
    ],
    test: heldBy('pure', 'attack-news', 'the time a provider waits is one, however many things are asked for in it'),
  },
  {
    rule: 'signed news that cannot be read is not acknowledged',
    off: [
      {
        file: LISTENER,
        from: "throw unavailable('The body cannot be read.', RETRY_LATER);",
        to: 'return { ids: [], ignore: true };',
      },
    ],
    test: heldBy(
      'parts',
      'webhook-listener',
      'that cannot be read is not acknowledged either, and the log says so without its words',
    ),
  },
  {
    rule: 'news of no open link is kept',
    off: [
      {
        file: LISTENER,
        from: 'return links.keepUnmatched(news, { shared });',
        to: "return shared ? 'accepted' : 'accepted';",
      },
    ],
    test: heldBy('parts', 'webhook-listener', 'that no open link is known by is kept, and only then answered 202'),
  },
  {
    rule: 'news that cannot be kept is sent back',
    off: [
      {
        file: LISTENER,
        from: "throw unavailable('Too many webhooks of this account name no open link; send it again later.', RETRY_LATER);",
        to: 'return c.body(null, 202);',
      },
    ],
    test: heldBy(
      'parts',
      'webhook-listener',
      'that no open link is known by is sent back when the account %s',
      'has too much of it already',
    ),
  },
];
