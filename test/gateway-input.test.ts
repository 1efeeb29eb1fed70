import { describe, expect, it } from 'vitest';
import type { FieldError } from '../client/index.ts';
import { parseJson } from '../gateway/json.ts';
import { good, scriptedGateway } from './scripted-links.ts';

const scene = scriptedGateway();

describe('bad input gets a 4xx that names the field, and goes no further', () => {
  const yesterday = new Date(Date.now() - 86_400_000).toISOString();
  const rows: [name: string, body: unknown, status: number, pointer: string, code?: string][] = [
    ['unknown account', { ...good, account: 'nobody' }, 422, '/account'],
    ['an account name that is none', { ...good, account: 'No Body' }, 422, '/account'],
    ['zero', { ...good, amount: { minor: 0, currency: 'AED' } }, 422, '/amount/minor'],
    ['negative', { ...good, amount: { minor: -1, currency: 'AED' } }, 422, '/amount/minor'],
    ['fractional', { ...good, amount: { minor: 10.5, currency: 'AED' } }, 400, '/amount/minor'],
    ['an amount as text', { ...good, amount: { minor: '1050', currency: 'AED' } }, 400, '/amount/minor'],
    ['beyond the safe integers', '{"amount":{"minor":9007199254740993}}', 400, '/amount/minor'],
    ['beyond all numbers', '{"amount":{"minor":1e400}}', 400, '/amount/minor'],
    ['unknown currency', { ...good, amount: { minor: 1, currency: 'XYZ' } }, 422, '/amount/currency'],
    ['lower-case currency', { ...good, amount: { minor: 1, currency: 'aed' } }, 422, '/amount/currency'],
    ['a field more in the amount', { ...good, amount: { ...good.amount, exponent: 2 } }, 400, '/amount/exponent'],
    ['no amount', { account: 'shop', reference: 'INV-1' }, 400, '/amount'],
    ['past expiry', { ...good, expiresAt: yesterday }, 422, '/expiresAt'],
    ['zone-less expiry', { ...good, expiresAt: '2031-01-01T00:00:00' }, 422, '/expiresAt'],
    ['expiry as a number', { ...good, expiresAt: 1_900_000_000 }, 400, '/expiresAt'],
    ['a reference of 101 characters', { ...good, reference: 'x'.repeat(101) }, 422, '/reference'],
    ['an empty reference', { ...good, reference: '' }, 422, '/reference'],
    ['a reference with a space', { ...good, reference: 'INV 1' }, 422, '/reference'],
    ['a reference of two dots', { ...good, reference: '..' }, 422, '/reference'],
    ['an unknown field', { ...good, staus: 'paid' }, 400, '/staus'],
    ['a field only the engine writes', { ...good, status: 'paid' }, 400, '/status'],
    ['a javascript: redirect', { ...good, redirectUrl: 'javascript:alert(1)' }, 422, '/redirectUrl'],
    ['a redirect by http', { ...good, redirectUrl: 'http://shop.example/' }, 422, '/redirectUrl'],
    ['a redirect with a password', { ...good, redirectUrl: 'https://a:b@shop.example/' }, 422, '/redirectUrl'],
    ['a broken e-mail address', { ...good, customer: { email: 'nobody' } }, 422, '/customer/email'],
    ['a phone number with letters', { ...good, customer: { phone: '+97150call' } }, 422, '/customer/phone'],
    ['an unknown policy', { ...good, policies: { later: 'hold' } }, 400, '/policies/later'],
    ['an unknown word of a policy', { ...good, policies: { latePayment: 'keep' } }, 422, '/policies/latePayment'],
    ['an unknown policy', { ...good, policies: { overpaid: 'hold' } }, 400, '/policies/overpaid'],
    ['more than the provider takes', { ...good, amount: { minor: 1_000_001, currency: 'AED' } }, 422, '/amount/minor'],
    [
      'what the provider has not',
      { ...good, redirectUrl: 'https://shop.example/' },
      422,
      '/redirectUrl',
      'not_supported',
    ],
    [
      'a polluting key',
      '{"account":"shop","providerOptions":{"__proto__":{"a":1}}}',
      400,
      '/providerOptions/__proto__',
      'invalid_json',
    ],
    ['a key given twice', '{"account":"shop","amount":{"minor":1,"minor":2}}', 400, '/amount/minor', 'invalid_json'],
    ['a list', '[]', 400, ''],
    ['null', 'null', 400, ''],
  ];
  it.each(rows)('%s', async (_name, body, status, pointer, code = 'invalid_request') => {
    const answer = await scene.post('/v1/payment-links', body);
    expect([answer.status, answer.json.code]).toEqual([status, code]);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const pointers = answer.json.errors.map((error: FieldError) => error.pointer);
    expect(pointers).toContain(pointer);
    for (const { message } of answer.json.errors) expect(message).toMatch(/\w/);
    expect(scene.links.calls).toEqual([]);
  });

  it.each([
    ['broken', '{"account":'],
    ['empty', ''],
    ['text after it', '{} {}'],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['deeper than 32 levels', `${'['.repeat(33)}${']'.repeat(33)}`],
    ['as deep as the body allows', '['.repeat(200_000) + ']'.repeat(1000)],
  ])('JSON that is %s: 400 invalid_json', async (_name, body) => {
    const answer = await scene.post('/v1/payment-links', body);
    expect([answer.status, answer.json.code]).toEqual([400, 'invalid_json']);
    expect(scene.links.calls).toEqual([]);
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=latin1',
    'application/jsonx',
    '',
  ])('Content-Type %j: 415', async (type) => {
    const answer = await scene.post('/v1/payment-links', JSON.stringify(good), { 'content-type': type });
    expect([answer.status, answer.json.code]).toEqual([415, 'unsupported_media_type']);
    expect(scene.links.calls).toEqual([]);
  });

  it('a compressed body: 415', async () => {
    const answer = await scene.post('/v1/payment-links', good, { 'content-encoding': 'gzip' });
    expect([answer.status, answer.json.code]).toEqual([415, 'unsupported_encoding']);
  });
});

describe('JSON', () => {
  it.each([
    '{"a":{"b":1},"c":{"b":2}}',
    '[{"a":1},{"a":2}]',
    '{"a":["a","a"],"b":"a"}',
    '{"\\u0061":1,"b\\"":2,"b":"\\\\"}',
    '{"constructor":1,"":2," ":3}',
    `${'['.repeat(32)}${']'.repeat(32)}`,
  ])('reads %s as JSON.parse does', (text) => {
    expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
  });

  it.each([
    ['{"a":1,"\\u0061":2}', '/a'],
    ['[0,{"x":{"a/b":1,"a/b":1}}]', '/1/x/a~1b'],
    ['{"a":{"__proto__":1}}', '/a/__proto__'],
    ['{"\\u005f_proto__":1}', '/__proto__'],
  ])('refuses %s, naming %s', (text, pointer) => {
    let refused: unknown;
    try {
      parseJson(Buffer.from(text));
    } catch (error) {
      refused = error;
    }
    expect(refused).toMatchObject({ status: 400, code: 'invalid_json', details: { errors: [{ pointer }] } });
  });
});
