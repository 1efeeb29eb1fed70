import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../sandbox/server.ts';
import { sandboxMerchant } from './sandbox-merchant.ts';

let sandbox: Sandbox;
let shop: ReturnType<typeof sandboxMerchant>;

beforeAll(async () => {
  sandbox = await startSandbox({ port: 0 });
  shop = sandboxMerchant(sandbox.url);
});

afterAll(() => sandbox.close());

const stateOf = (page: string) => /data-state="(\w+)"/.exec(page)?.[1];
const open = async (url: string) => {
  const response = await fetch(url);
  return { status: response.status, page: await response.text(), headers: response.headers };
};

describe('the pay page', () => {
  it('shows what is to be paid, escaped, with a form that needs no script', async () => {
    const { redirectUrl } = await shop.create({
      description: '<script>alert(1)</script> & "tea"',
      currency: 'KWD',
      amount: 1.5,
    });
    const { status, page, headers } = await open(redirectUrl);
    expect([status, stateOf(page)]).toEqual([200, 'open']);
    expect(page).toContain('Tidewater Books');
    expect(page).toContain('KWD 1.500');
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;tea&quot;');
    expect(page).not.toContain('<script>alert');
    for (const name of ['cardNumber', 'cardName', 'expiry', 'cvv', 'terms']) expect(page).toContain(`name="${name}"`);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it.each(['12/25', '1/26', '01 / 2031', '12/99'])('takes the test card with expiry %s', async (expiry) => {
    const { id, redirectUrl } = await shop.create();
    const response = await shop.pay(redirectUrl, { expiry });
    expect(response.status).toBe(303);
    const receipt = await open(new URL(response.headers.get('location') ?? '', redirectUrl).href);
    expect(stateOf(receipt.page)).toBe('paid');
    expect(receipt.page).toContain((await shop.read(id)).paymentId);
  });

  it.each<Record<string, string>>([
    { cardNumber: '4000 0000 0000 0002' },
    { cardNumber: '4242' },
    { expiry: '11/25' },
    { expiry: '13/30' },
    { expiry: 'soon' },
    { cvv: '101' },
  ])('declines %j and lets the customer try again', async (change) => {
    const { id, redirectUrl } = await shop.create();
    const declined = await shop.pay(redirectUrl, { cardName: '"><b>x', ...change });
    const page = await declined.text();
    expect([declined.status, stateOf(page)]).toEqual([402, 'open']);
    expect(page).toContain('Your card was declined');
    expect(page).toContain('&quot;&gt;&lt;b&gt;x');
    expect(await shop.read(id)).toMatchObject({ status: 'PENDING' });
    expect((await shop.pay(redirectUrl)).status).toBe(303);
    expect(await shop.ledger(id)).toEqual(['created 1050 AED', 'attempt_failed 1050 AED', 'captured 1050 AED']);
  });

  it.each([
    [{ cardNumber: ' ' }, 'Enter the card number.'],
    [{ cardName: '' }, 'Enter the name on the card.'],
    [{ expiry: '' }, 'Enter the expiry date as MM/YY.'],
    [{ cvv: '' }, 'Enter the security code.'],
    [{ terms: '' }, 'Accept the terms to pay.'],
  ])('asks for what is missing: %j', async (change, message) => {
    const { id, redirectUrl } = await shop.create();
    const response = await shop.pay(redirectUrl, change);
    expect(response.status).toBe(422);
    expect(await response.text()).toContain(message);
    expect(await shop.ledger(id)).toEqual(['created 1050 AED']);
  });

  it('charges once, however often the form arrives', async () => {
    const { id, redirectUrl } = await shop.create();
    const answers = await Promise.all(Array.from({ length: 10 }, () => shop.pay(redirectUrl)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(303));
    expect((await shop.pay(redirectUrl, { cardNumber: '4000000000000002' })).status).toBe(303);
    expect(await shop.ledger(id)).toEqual(['created 1050 AED', 'captured 1050 AED']);
  });

  it('cancels, and then says so and takes no money', async () => {
    const { id, redirectUrl } = await shop.create();
    const response = await fetch(`${redirectUrl}/cancel`, { method: 'POST' });
    expect([response.url, stateOf(await response.text())]).toEqual([redirectUrl, 'cancelled']);
    expect((await shop.pay(redirectUrl)).status).toBe(409);
    expect((await shop.read(id)).status).toBe('CANCELLED');
    expect(await shop.ledger(id)).toEqual(['created 1050 AED', 'cancelled']);
  });

  it('does not cancel what was paid', async () => {
    const { id, redirectUrl } = await shop.create();
    await shop.pay(redirectUrl);
    const response = await fetch(`${redirectUrl}/cancel`, { method: 'POST' });
    expect(stateOf(await response.text())).toBe('paid');
    expect((await shop.read(id)).status).toBe('PAID');
  });

  it.each([
    ['expire', 'expired'],
    ['fail', 'failed'],
    ['authorize', 'authorized'],
    ['pay', 'paid'],
  ])('shows what became of a link: %s', async (action, state) => {
    const { id, redirectUrl } = await shop.create();
    await shop.control('POST', `links/${id}/${action}`);
    expect(stateOf((await open(redirectUrl)).page)).toBe(state);
  });

  it('has a page for links that do not exist', async () => {
    const { status, page } = await open(`${sandbox.url}/paymennt/checkout/none`);
    expect([status, stateOf(page)]).toEqual([404, 'missing']);
    expect((await fetch(`${sandbox.url}/paymennt/checkout/none`, { method: 'POST' })).status).toBe(404);
  });
});
