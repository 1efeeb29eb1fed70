import { heldBy, type Protection } from './off.ts';

/** What adapters make of what providers say. */
export const PROVIDERS: readonly Protection[] = [
  {
    rule: 'one key for one operation goes to the provider, however often it is sent',
    off: [
      {
        file: 'activities/providers/paymennt.ts',
        from: "createHash('sha256').update(key)",
        to: "createHash('sha256').update(`${key}${Math.random()}`)",
      },
    ],
    test: heldBy('pure', 'paymennt', 'names one attempt always by the same request id, another by another'),
  },
  {
    rule: 'what was found is adopted only if it is what was asked for: amount and currency',
    off: [
      {
        file: 'activities/providers/boomfi.ts',
        from: " && plan.currency === currency && minorOf(plan.price ?? '', currency) === amount;",
        to: ' && (currency !== undefined || amount > 0);',
      },
    ],
    test: heldBy('pure', 'boomfi', 'finds nothing when there is nothing of ours'),
  },
  {
    rule: 'what was found is adopted only if it bears our key',
    off: [
      {
        file: 'activities/providers/katu9.ts',
        from: 'if (found?.transaction.metadata?.key !== key) continue;',
        to: 'if (!found || !key) continue;',
      },
    ],
    test: heldBy('pure', 'katu9', 'is not taken for a transaction with %s'),
  },
  {
    rule: 'an answer about another object proves nothing',
    off: [
      {
        file: 'activities/providers/paymennt.ts',
        from: 'if (checkout.id !== link.providerLinkId || checkout.orderId !== terms.reference)',
        to: "if (checkout.id === '' || link.providerLinkId === '' || terms.reference === '')",
      },
    ],
    test: heldBy('pure', 'paymennt', 'an answer about another checkout proves nothing'),
  },
  {
    rule: 'a reference that is taken after a lost answer may be ours',
    off: [
      {
        file: 'activities/providers/paymob-links.ts',
        from: 'if (!attempt.again || !(error instanceof ProviderError)',
        to: 'if (attempt.again !== null || !(error instanceof ProviderError)',
      },
    ],
    test: heldBy(
      'pure',
      'paymob',
      'a reference that is taken after a lost answer may be ours, whichever process asks again: nobody can say',
    ),
  },
  {
    rule: 'a duplicate request that cannot be found stays unknown',
    off: [
      {
        file: 'activities/providers/paymennt.ts',
        from: "throw new ProviderError('unknown', 'duplicate_request',",
        to: "throw new ProviderError('refused', 'duplicate_request',",
      },
    ],
    test: heldBy('pure', 'paymennt', 'a duplicate request id that cannot be found stays unknown'),
  },
  {
    rule: 'a word nobody knows moves nothing',
    off: [
      {
        file: 'activities/providers/beqelal-answers.ts',
        from: 'if (said?.closes) facts.openings = onlyOpening({ [said.closes]: now });',
        to: "if (!said || said.closes) facts.openings = onlyOpening({ [said?.closes ?? 'cancelled']: now });",
      },
    ],
    test: heldBy('pure', 'beqelal', '%s %j reads %s'),
  },
  {
    rule: 'the word for paid is no money without a transaction',
    off: [
      {
        file: 'activities/providers/beqelal-answers.ts',
        from: 'if (said?.paid && transaction_id) {',
        to: 'if (said?.paid) {',
      },
    ],
    test: heldBy('pure', 'beqelal', '%s moves no money'),
  },
  {
    rule: 'customers are sent to https addresses only',
    off: [
      {
        file: 'activities/providers/beqelal.ts',
        from: 'if (!isSafeUrl(answer.payment_link)) throw',
        to: 'if (!answer.payment_link) throw',
      },
    ],
    test: heldBy('pure', 'beqelal', 'an answer with %s leaves the outcome unknown'),
  },
  {
    rule: 'a capture is of the payment that was read',
    off: [
      {
        file: 'activities/providers/paymennt.ts',
        from: "if (payment.id !== paymentId) throw mismatch('capture'",
        to: "if (payment.id === '') throw mismatch('capture'",
      },
    ],
    test: heldBy('pure', 'paymennt', 'an answer about another payment captures nothing'),
  },
  {
    rule: 'a refused cancel is no end while nobody knows how the link ended',
    off: [
      {
        file: 'activities/providers/paymob-links.ts',
        from: "throw new ProviderError('not_sent', 'unread', why, failure.retryAfterMs);",
        to: "throw new ProviderError('refused', 'unread', why, failure.retryAfterMs);",
      },
    ],
    test: heldBy(
      'pure',
      'paymob',
      'a link that cannot be cancelled any more is asked for again, when how it ended could not be read',
    ),
  },
];
