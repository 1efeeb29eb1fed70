/** Questions about webhooks: only what the provider signed for this account counts, and only as what was signed. */
import { generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { expect } from 'vitest';
import { NotAuthentic, type WebhookNews, type WebhookRequest } from '../../activities/provider.ts';
import { canonical } from '../../workflows/facts.ts';
import type { Bench, TestLink } from './bench.ts';
import type { Question } from './questions.ts';

export const webhookQuestions = ({ kit }: Bench): Question[] => {
  if (!kit.provider.webhook) return [];
  return [
    { name: 'webhook: what the provider sent is authentic, and names the link', ask: takesTheRealOne },
    { name: 'webhook: a changed byte is refused', ask: refusesChanges },
    { name: 'webhook: a changed, doubled or missing signature is refused', ask: refusesOtherSignatures },
    { name: 'webhook: another secret, an empty one and none at all are refused', ask: refusesOtherSecrets },
    { name: 'webhook: a body nobody expected is read or refused, never worse', ask: survivesPoison },
  ];
};

/** A webhook of a paid link, as it arrived over HTTP. */
export async function realWebhook(bench: Bench): Promise<{ link: TestLink; request: WebhookRequest }> {
  const link = await bench.link();
  await bench.happen(link, 'pay');
  const request = (await bench.webhooks(link)).at(-1);
  if (!request) throw new Error('there is no webhook');
  return { link, request };
}

export function verdictOf(bench: Bench, request: WebhookRequest, secrets = bench.secrets): 'authentic' | 'refused' {
  try {
    const signed = bench.kit.provider.webhook!.verify(request, bench.config, secrets, Date.now());
    expect(signed, 'the sandbox signs, and the account wants it').toBe('signed');
    return 'authentic';
  } catch (error) {
    expect(error, 'a refusal is typed').toBeInstanceOf(NotAuthentic);
    return 'refused';
  }
}

const newsOf = ({ kit, config }: Bench, request: WebhookRequest) =>
  kit.provider.webhook!.read(request, config, Date.now());

async function takesTheRealOne(bench: Bench): Promise<void> {
  const { link, request } = await realWebhook(bench);
  expect(verdictOf(bench, request)).toBe('authentic');
  const { reference, ids, ignore } = newsOf(bench, request);
  expect(ignore ?? false).toBe(false);
  const { created, terms } = link;
  const named = reference === terms.reference || ids.some((id) => created.ids.includes(id));
  expect(named, `reference ${reference}, ids ${ids.join()}`).toBe(true);
  // An old secret beside the new one, in either order.
  expect(verdictOf(bench, request, ['', ...otherSecrets(bench), ...bench.secrets])).toBe('authentic');
  expect(verdictOf(bench, request, [...bench.secrets, ...otherSecrets(bench)])).toBe('authentic');
}

/** Everything that counts in a body: what is not signed must not be in it. */
const counts = ({ facts, ids }: WebhookNews) => canonical({ facts, link: ids[0] });

async function refusesChanges(bench: Bench): Promise<void> {
  const { request } = await realWebhook(bench);
  const meant = counts(newsOf(bench, request));
  let refused = 0;
  // A long body is not tried whole: its fields are longer than the steps.
  const step = Math.ceil(request.body.length / 500);
  for (let at = 0; at < request.body.length; at += step) {
    const body = Uint8Array.from(request.body);
    body[at] = (body[at] ?? 0) ^ 1;
    const forged = { ...request, body };
    if (verdictOf(bench, forged) === 'refused') refused++;
    else {
      expect(bench.kit.signsFields ?? false, `byte ${at} changed`).toBe(true);
      expect(readable(bench, forged) ?? meant, `byte ${at} changed`).toBe(meant);
    }
  }
  expect(refused).toBeGreaterThan(0);
  for (const body of [Uint8Array.of(), Uint8Array.of(...request.body, 32, 48)]) {
    expect(verdictOf(bench, { ...request, body })).toBe('refused');
  }
}

/** Undefined when it cannot be read: then nothing in it counts. */
function readable(bench: Bench, request: WebhookRequest): string | undefined {
  try {
    return counts(newsOf(bench, request));
  } catch {
    return undefined;
  }
}

async function refusesOtherSignatures(bench: Bench): Promise<void> {
  const { request } = await realWebhook(bench);
  const { headers, query } = request;
  const bare = { ...request, headers: { 'content-type': headers['content-type'] }, query: new URLSearchParams() };
  expect(verdictOf(bench, bare), 'without any signature').toBe('refused');

  const places = [
    ...Object.keys(headers).map((name) => ({ name, with: (value: string) => inHeader(request, name, value) })),
    ...[...query.keys()].map((name) => ({ name, with: (value: string) => inQuery(request, name, value) })),
  ];
  const signatureIn = (name: string) => headers[name] ?? query.get(name) ?? '';
  // Where the signature stands shows by what happens without it.
  const carriers = places.filter((place) => verdictOf(bench, place.with('')) === 'refused');
  expect(carriers.length, 'something carries the signature').toBeGreaterThan(0);
  for (const carrier of carriers) {
    const value = signatureIn(carrier.name);
    const flipped = value.startsWith('0') ? `1${value.slice(1)}` : `0${value.slice(1)}`;
    for (const forged of [
      flipped,
      `${value}, ${value}`,
      `${value}${value}`,
      value.slice(0, -2),
      `${value}00`,
      'null',
    ]) {
      expect(verdictOf(bench, carrier.with(forged)), `${carrier.name}: ${forged}`).toBe('refused');
    }
  }
}

const inHeader = (request: WebhookRequest, name: string, value: string): WebhookRequest => ({
  ...request,
  headers: { ...request.headers, [name]: value },
});

function inQuery(request: WebhookRequest, name: string, value: string): WebhookRequest {
  const query = new URLSearchParams(request.query);
  query.set(name, value);
  return { ...request, query };
}

async function refusesOtherSecrets(bench: Bench): Promise<void> {
  const { request } = await realWebhook(bench);
  for (const secrets of [otherSecrets(bench), [''], ['', ''], []]) {
    expect(verdictOf(bench, request, secrets), JSON.stringify(secrets).slice(0, 80)).toBe('refused');
  }
}

/** Secrets of the same form that sign nothing here. */
function otherSecrets({ secrets }: Bench): string[] {
  const isKey = secrets.some((secret) => secret.includes('PUBLIC KEY'));
  return [isKey ? otherKey() : 'another-secret-0123456789'];
}

let otherKeys: { publicKey: string } | undefined;

/** Made once: it takes a while. */
function otherKey(): string {
  otherKeys ??= generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return otherKeys.publicKey;
}

async function survivesPoison(bench: Bench): Promise<void> {
  const { request } = await realWebhook(bench);
  const fields = JSON.parse(Buffer.from(request.body).toString('utf8')) as Record<string, unknown>;
  const read = (body: Uint8Array) => {
    let news: WebhookNews;
    try {
      news = newsOf(bench, { ...request, body });
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
      return;
    }
    expect(Array.isArray(news.ids) && news.ids.every((id) => typeof id === 'string')).toBe(true);
    expect(['string', 'undefined']).toContain(typeof news.reference);
    for (const currencies of Object.values(news.facts?.payments ?? {})) {
      for (const totals of Object.values(currencies)) {
        expect(Object.values(totals).every((value) => Number.isSafeInteger(value) && value >= 0)).toBe(true);
      }
    }
  };
  const text = (value: unknown) => Buffer.from(JSON.stringify(value));
  await fc.assert(
    fc.property(fc.json(), (json) => read(Buffer.from(json))),
    { numRuns: 100 },
  );
  await fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), read), { numRuns: 100 });
  const poison = fc.oneof(fc.jsonValue(), fc.constantFrom(-1, 1e21, '1e9', 'NaN', '__proto__', { $ne: 1 }));
  await fc.assert(
    fc.property(fc.constantFrom(...Object.keys(fields)), poison, (field, value) =>
      read(text({ ...fields, [field]: value })),
    ),
    { numRuns: 300 },
  );
}
