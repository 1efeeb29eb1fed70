/** Paymob's links: made, made once more when the answer was lost, and cancelled. Sources: see paymob.ts. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { currenciesOf, type Facts, sums } from '../../workflows/facts.ts';
import type { Terms } from '../../workflows/link.ts';
import { isSafeUrl, shaped } from '../answers.ts';
import type { FormPart } from '../http.ts';
import { type Answer, type Call, type CreateCall, ProviderError, type ProviderLink } from '../provider.ts';
import { instantOf, localTime } from '../zoned-time.ts';
import { type Config, mismatch, withToken } from './paymob-api.ts';
import { cents, factsOfState, id } from './paymob-facts.ts';
import { optionParts } from './paymob-options.ts';
import { observe, orderName } from './paymob-payments.ts';

const linkShape = z.object({
  id,
  order: id,
  currency: z.string().nullish(),
  reference_id: z.string(),
  amount_cents: cents,
  client_url: z.string().nullish(),
  shorten_url: z.string().nullish(),
  state: z.string().min(1),
  expires_at: z.string().nullish(),
});
type Link = z.infer<typeof linkShape>;

type Made = Answer & { created: ProviderLink };

/**
 * "Reference ID already exists" is a plain no, unless an earlier create of this link got no answer: then the link that is
 * there may be ours, an orphan whose address nobody has and nothing reads. The account's `lostCreate` says what follows:
 * a person looks, or a second link is made under a reference of its own, and the orphan's order is read with it.
 */
export async function createLink(call: Call<Config>, attempt: CreateCall): Promise<Made> {
  const { reference } = attempt.terms;
  try {
    return await make(call, attempt, reference);
  } catch (error) {
    if (!attempt.again || !(error instanceof ProviderError) || error.code !== 'duplicate_reference') throw error;
    if (call.config.lostCreate === 'recreate') return recreate(call, attempt);
    const told = `Paymob has a link of reference ${reference}, perhaps from a create whose answer was lost`;
    throw new ProviderError('unknown', 'ambiguous_create', `${told}; ${LOST}`);
  }
}

/** For a person; the reference stays taken at Paymob whatever becomes of the link. */
export const LOST =
  'its address cannot be read back: cancel it in the dashboard, say absent, and make the next link under another reference';

async function recreate(call: Call<Config>, attempt: CreateCall): Promise<Made> {
  const { reference } = attempt.terms;
  const second = secondReference(attempt);
  try {
    const { created, ...answer } = await make(call, attempt, second);
    return { created: { ...created, handle: { ...created.handle, orphan: reference } }, ...answer };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    const { kind, message, retryAfterMs } = error;
    if (kind === 'not_sent' || kind === 'rate_limited') throw error;
    // The first link is there, whatever is said of the second.
    const told = `the link of reference ${reference} is an orphan, and one of ${second} was not made for certain: ${message}`;
    throw new ProviderError('unknown', 'ambiguous_create', told, retryAfterMs);
  }
}

/** The same for one link for ever, and nobody else's: a merchant's own INV-1-2 is another sale. */
export const secondReference = ({ terms, key }: Pick<CreateCall, 'terms' | 'key'>): string =>
  `${terms.reference}-2-${createHash('sha256').update(key).digest('hex').slice(0, 8)}`;

async function make(call: Call<Config>, { terms, callbackUrl }: CreateCall, reference: string): Promise<Made> {
  const now = call.now();
  const form: FormPart[] = [
    { name: 'amount_cents', value: String(terms.amount) },
    ...integrationsFor(terms, call.config).map((value) => ({ name: 'payment_methods', value })),
    { name: 'is_live', value: String(call.config.live) },
    { name: 'reference_id', value: reference },
    { name: 'expires_at', value: localTime(expiryOf(terms), call.config.zone) },
    ...Object.entries({
      full_name: terms.customer?.name,
      email: terms.customer?.email,
      phone_number: terms.customer?.phone,
      description: terms.description,
      notification_url: callbackUrl,
      redirection_url: terms.redirectUrl,
    }).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }])),
    ...optionParts(terms),
  ];
  const { json, raw } = await withToken(call, () => ({ method: 'POST', path: LINKS, form }));
  const link = shaped(linkShape, json, 'create');
  if (link.reference_id !== reference) throw mismatch('create', 'another reference');
  await checkMoney(call, link, terms);
  return { created: linkOf(link, terms, call.config, now), facts: factsOfState(link.state, now, raw), evidence: raw };
}

const LINKS = '/api/ecommerce/payment-links';

/** All integrations of the link's currency that treat a payment as the link wants it. */
function integrationsFor({ currency, capture }: Terms, { integrations }: Config): string[] {
  const settling = integrations.filter((integration) => integration.currency === currency);
  const wanted = settling.filter(({ holds }) => holds === (capture === 'manual'));
  // Without one that takes money at once the engine captures what is held.
  return (wanted.length > 0 || capture === 'manual' ? wanted : settling).map((integration) => String(integration.id));
}

/** What `expires_at` can hold: whole seconds, rounded down. */
export function expiryOf({ expiresAt }: Terms): number {
  if (expiresAt === undefined) throw new RangeError('create wants terms whose expiry is filled in');
  return Math.floor(expiresAt / 1000) * 1000;
}

/** A link over other money than was asked for must not stay: it is cancelled, and then nothing of it is left. */
async function checkMoney(call: Call<Config>, link: Link, { amount, currency }: Terms): Promise<void> {
  if (link.amount_cents !== amount) throw mismatch('create', 'another amount');
  // Null in some answers [seed]: then the payment tells, and a wrong one is shown as such.
  if (!link.currency || link.currency.toUpperCase() === currency) return;
  await cancelLink(call, link.id);
  const told = `the integration made a link in ${link.currency}, not ${currency}: it was cancelled`;
  const advice = 'correct the account’s integrations; the reference is used up at Paymob';
  throw new ProviderError('refused', 'currency_mismatch', `${told}; ${advice}`);
}

function linkOf(link: Link, terms: Terms, { zone }: Config, now: number): ProviderLink {
  // The address goes to customers: a scheme that runs code or a plain one must not get through.
  const url = [link.client_url, link.shorten_url].find((address) => address && isSafeUrl(address));
  if (!url) throw mismatch('create', 'no https address for the customer');
  const asked = expiryOf(terms);
  const held = heldUntil(link.expires_at, zone);
  // An end that is not told, has passed, or comes too late is not relied upon: the engine closes the link itself.
  const expiresByItself = held !== undefined && held > now && held <= asked;
  return {
    providerLinkId: link.id,
    ids: [link.id, orderName(link.order)],
    url,
    expiresAt: expiresByItself ? held : asked,
    expiresByItself,
    handle: { order: link.order },
  };
}

function heldUntil(text: string | null | undefined, zone: string): number | undefined {
  if (!text) return undefined;
  try {
    const at = /(Z|[+-]\d\d:?\d\d)$/.test(text) ? Date.parse(text) : instantOf(text, zone);
    return Number.isNaN(at) ? undefined : Math.floor(at / 1000) * 1000;
  } catch {
    return undefined;
  }
}

async function cancelLink(call: Call<Config>, linkId: string): Promise<string> {
  const form = [{ name: 'payment_link_id', value: linkId }];
  const { json, raw } = await withToken(call, () => ({ method: 'POST', path: `${LINKS}/cancel`, form }));
  const { success } = shaped(z.object({ success: z.boolean() }), json, 'cancel');
  if (success) return raw;
  throw new ProviderError(
    'refused',
    'status_conflict',
    'the link was not cancelled, though the call was answered with 200',
  );
}

/** Paid and cancelled links are refused alike [assumed]: only a read tells one from the other. */
export async function closeLink(call: Call<Config>, link: ProviderLink, known: Facts): Promise<string> {
  try {
    return await cancelLink(call, link.providerLinkId);
  } catch (error) {
    if (!(error instanceof ProviderError) || error.code !== 'status_conflict') throw error;
    const { facts, evidence } = await observe(call, link, known, []).catch((failure: unknown) => {
      if (!(failure instanceof ProviderError) || failure.kind === 'unauthorized') throw failure;
      // The no changed nothing: the cancel may be sent again, to be told the same and read then.
      const why = `the link is not open, and how it ended could not be read: ${failure.message}`;
      throw new ProviderError('not_sent', 'unread', why, failure.retryAfterMs);
    });
    const other = currenciesOf(facts).some((currency) => {
      const [before, now] = [sums(known, currency), sums(facts, currency)];
      return now.captured > 0 || now.held > before.held;
    });
    if (other) throw error;
    return evidence;
  }
}
