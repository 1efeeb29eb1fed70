/** The kit must notice: mistakes people make in adapters, put into working ones, each fails the question it should. */
import { describe, expect, it } from 'vitest';
import type { Http } from '../activities/http.ts';
import { type Answer, type Provider, ProviderError } from '../activities/provider.ts';
import type { Facts, PaymentTotals } from '../workflows/facts.ts';
import { paymenntKit } from './conformance/kits/paymennt.ts';
import { paymobKit } from './conformance/kits/paymob.ts';
import type { ProviderKit } from './conformance.ts';
import { openBench, questionsFor } from './conformance.ts';

// biome-ignore lint/suspicious/noExplicitAny: as in the kits
type AnyProvider = Provider<any>;

interface Fault {
  mistake: string;
  kit?: ProviderKit;
  /** Makes the mistake; everything else stays as it was. */
  make(provider: AnyProvider): Partial<AnyProvider>;
  /** The question that must fail, and how. */
  question: string;
  notices: RegExp;
}

type Change = (totals: PaymentTotals, key: string) => [key: string, totals: PaymentTotals];

/** The same answers with other payments. */
const changed = <A extends Answer>(answer: A, change: Change): A => {
  const payments: NonNullable<Facts['payments']> = {};
  for (const [key, currencies] of Object.entries(answer.facts.payments ?? {})) {
    for (const [currency, totals] of Object.entries(currencies)) {
      const [as, told] = change(totals, key);
      payments[as] = { ...payments[as], [currency]: told };
    }
  }
  return { ...answer, facts: { ...answer.facts, ...(answer.facts.payments && { payments }) } };
};

const readsAs = ({ inquire }: AnyProvider, change: Change): Partial<AnyProvider> => ({
  inquire: async (call, link, about) => changed(await inquire!(call, link, about), change),
});

const isUnknown = (error: unknown) => error instanceof ProviderError && error.kind === 'unknown';
const hundredfold = ({ authorized, captured, refunded, voided, seenAt }: PaymentTotals): PaymentTotals => ({
  authorized: authorized / 100,
  captured: captured / 100,
  refunded: refunded / 100,
  voided: voided / 100,
  seenAt,
});

const faults: readonly Fault[] = [
  {
    mistake: 'amounts ×100 on the way out and ÷100 on the way in',
    make: (provider) => ({
      create: (call, attempt) =>
        provider.create(call, { ...attempt, terms: { ...attempt.terms, amount: attempt.terms.amount * 100 } }),
      ...readsAs(provider, (totals, key) => [key, hundredfold(totals)]),
    }),
    question: 'writes AED 435 on the wire as "amount":4.35,',
    notices: /"amount":435,/,
  },
  {
    mistake: 'the exponent of every currency taken for 2',
    make: (provider) => ({
      create: (call, attempt) => provider.create(call, { ...attempt, terms: { ...attempt.terms, exponent: 2 } }),
    }),
    question: 'writes KWD 1005 on the wire as "amount":1.005,',
    notices: /"amount":10\.05,/,
  },
  {
    mistake: 'an end a minute later than the provider keeps',
    make: ({ create }) => ({
      async create(call, attempt) {
        const { created, ...answer } = await create(call, attempt);
        return { ...answer, created: { ...created, expiresAt: created.expiresAt + 60_000 } };
      },
    }),
    question: 'tells an end that the provider keeps, and none later than asked',
    notices: /to be less than/,
  },
  {
    mistake: 'the pay address passed on as it came',
    make: ({ create }) => ({
      async create(call, attempt) {
        let told = '';
        const request: Http['request'] = async (sent) => {
          const answer = await call.http.request(sent);
          const { result, ...rest } = answer.json as { result: { redirectUrl: string } };
          told = result.redirectUrl;
          return { ...answer, json: { ...rest, result: { ...result, redirectUrl: 'https://pay.example/1' } } };
        };
        const { created, ...answer } = await create({ ...call, http: { request } }, attempt);
        return { ...answer, created: { ...created, url: told } };
      },
    }),
    question: 'hands on no address that runs code, is plain http or hides its host',
    notices: /javascript:/,
  },
  {
    mistake: 'a lost create sent again under another key',
    make: ({ create }) => ({
      create: (call, attempt) =>
        create(call, attempt).catch((error: unknown) => {
          if (!isUnknown(error)) throw error;
          return create(call, { ...attempt, key: `${attempt.key}#2` });
        }),
    }),
    question: 'create: whatever happens to a call, nothing is done twice and nothing false is told',
    notices: /found what was made|done at most once/,
  },
  {
    mistake: 'a 5xx taken for a refusal',
    make: ({ create }) => ({
      create: (call, attempt) =>
        create(call, attempt).catch((error: unknown) => {
          if (!isUnknown(error)) throw error;
          throw new ProviderError('refused', 'failed', 'the provider failed');
        }),
    }),
    question: 'create: whatever happens to a call, nothing is done twice and nothing false is told',
    notices: /expected 'refused' to match/,
  },
  {
    mistake: 'a lost capture reported as done',
    make: ({ capture }) => ({
      capture: (call, link, write) =>
        capture!(call, link, write).catch((error: unknown) => {
          if (!isUnknown(error)) throw error;
          return { facts: {}, evidence: '' };
        }),
    }),
    question: 'capture: whatever happens to a call, nothing is done twice and nothing false is told',
    notices: /success means that it happened/,
  },
  {
    mistake: 'a timeout of a refund reported as not sent',
    make: ({ refund }) => ({
      refund: (call, link, write) =>
        refund!(call, link, write).catch((error: unknown) => {
          if (!isUnknown(error)) throw error;
          throw new ProviderError('not_sent', 'timeout', 'the provider was too slow');
        }),
    }),
    question: 'refund: whatever happens to a call, nothing is done twice and nothing false is told',
    notices: /after the provider acted: not sent means that nothing happened/,
  },
  {
    mistake: 'a read that names the payment by another id than the search',
    make: (provider) => readsAs(provider, (totals, key) => [`payment-${key}`, totals]),
    question: 'paid: every source names one payment, and the ledger agrees',
    notices: /duplicate_payment|to be 1/,
  },
  {
    mistake: 'a refund total that is off by one',
    make: (provider) => {
      const short: Change = (totals, key) => [key, { ...totals, refunded: Math.max(0, totals.refunded - 1) }];
      return {
        ...readsAs(provider, short),
        findByReference: async (call, attempt) => {
          const found = await provider.findByReference!(call, attempt);
          return found && changed(found, short);
        },
        refund: async (call, link, write) => changed(await provider.refund!(call, link, write), short),
      };
    },
    question: 'paid and refunded: every source names one payment, and the ledger agrees',
    notices: /money as told/,
  },
  {
    mistake: 'money dated by the creation of the link',
    make: (provider) => ({
      inquire: async (call, link, about) =>
        changed(await provider.inquire!(call, link, about), (totals, key) => [
          key,
          { ...totals, seenAt: about.known.openings?.['0']?.opened ?? totals.seenAt },
        ]),
    }),
    question: 'money after expiry counts, and is late',
    notices: /late_payment/,
  },
  {
    mistake: 'every word that is not known taken for paid',
    make: ({ inquire }) => ({
      async inquire(call, link, about) {
        const answer = await inquire!(call, link, about);
        if (!answer.facts.unknownWords) return answer;
        const { amount, currency } = about.terms;
        const totals = { authorized: amount, captured: amount, refunded: 0, voided: 0, seenAt: call.now() };
        return { ...answer, facts: { ...answer.facts, payments: { [link.providerLinkId]: { [currency]: totals } } } };
      },
    }),
    question: 'a status word nobody knows is shown and moves nothing',
    notices: /expected 'paid' to be 'pending'/,
  },
  {
    mistake: 'what was known before counted again',
    make: ({ inquire }) => ({
      async inquire(call, link, about) {
        const before = about.known.payments?.[link.providerLinkId]?.[about.terms.currency]?.refunded ?? 0;
        return changed(await inquire!(call, link, about), (totals, key) => [
          key,
          { ...totals, refunded: Math.min(totals.captured, totals.refunded + before) },
        ]);
      },
    }),
    question: 'paid and refunded: every source names one payment, and the ledger agrees',
    notices: /money as told|refunded/,
  },
  {
    mistake: 'signatures not checked',
    make: ({ webhook }) => ({ webhook: { ...webhook!, verify: () => 'signed' } }),
    question: 'webhook: a changed byte is refused',
    notices: /byte 0 changed/,
  },
  {
    mistake: 'an empty secret taken for one',
    make: ({ webhook }) => ({
      webhook: {
        ...webhook!,
        verify: (request, config, secrets, now) =>
          secrets.includes('') ? 'signed' : webhook!.verify(request, config, secrets, now),
      },
    }),
    question: 'webhook: another secret, an empty one and none at all are refused',
    notices: /expected 'authentic' to be 'refused'/,
  },
  {
    mistake: 'two signed fields in the wrong order',
    kit: paymobKit,
    make: ({ webhook }) => ({
      webhook: {
        ...webhook!,
        verify(request, config, secrets, now) {
          const told = JSON.parse(Buffer.from(request.body).toString('utf8'));
          const { amount_cents, created_at } = told.obj;
          const swapped = { ...told, obj: { ...told.obj, amount_cents: created_at, created_at: amount_cents } };
          return webhook!.verify({ ...request, body: Buffer.from(JSON.stringify(swapped)) }, config, secrets, now);
        },
      },
    }),
    question: 'webhook: what the provider sent is authentic, and names the link',
    notices: /expected 'refused' to be 'authentic'/,
  },
  {
    mistake: 'a secret in an error',
    make: ({ create }) => ({
      create: (call, attempt) =>
        create(call, attempt).catch((error: ProviderError) => {
          throw new ProviderError(error.kind, error.code, `${error.message} (secret ${call.config.apiSecret})`);
        }),
    }),
    question: 'no error tells a secret or a customer, even if the provider repeats them',
    notices: /a secret/,
  },
  {
    mistake: 'wrong credentials tried again',
    make: ({ create }) => ({
      create: (call, attempt) => create(call, attempt).catch(() => create(call, attempt)),
    }),
    question: 'wrong credentials are told apart, and tried once',
    notices: /every call is made once/,
  },
];

describe('the conformance kit notices', () => {
  it.each(faults)('$mistake', async ({ kit = paymenntKit, make, question, notices }) => {
    const broken = { ...kit.provider, ...make(kit.provider) };
    const bench = await openBench({ ...kit, provider: broken });
    try {
      const asked = questionsFor(bench).find(({ name }) => name === question);
      expect(asked, question).toBeDefined();
      await expect(asked?.ask(bench)).rejects.toThrow(notices);
    } finally {
      await bench.close();
    }
  });
});
