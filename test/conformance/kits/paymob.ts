import { paymob as provider } from '../../../activities/providers/paymob.ts';
import { paymob as sandbox } from '../../../sandbox/paymob/index.ts';
import type { ProviderKit } from '../kit.ts';

export const paymobKit: ProviderKit = {
  provider,
  sandbox,
  options: (url) => ({
    baseUrl: `${url}/paymob`,
    apiKey: 'sandbox-paymob-api-key',
    secretKey: 'sandbox_sk_test_paymob_secret',
    webhookSecrets: ['sandbox-paymob-hmac-secret'],
    integrations: [
      { id: 4097558, currency: 'EGP' },
      { id: 4097559, currency: 'EGP', holds: true },
      { id: 4097562, currency: 'OMR' },
      { id: 4097563, currency: 'OMR', holds: true },
      { id: 4097564, currency: 'JPY' },
    ],
  }),
  wrongCredentials: { apiKey: 'not-the-right-api-key' },
  terms: {
    amount: 150_050,
    currency: 'EGP',
    customer: { name: 'Ada Lovelace', email: 'ada@example.com', phone: '+201001234567' },
    redirectUrl: 'https://shop.example/thanks',
  },
  wire: [
    {
      currency: 'EGP',
      amount: 435,
      create: 'name="amount_cents"\r\n\r\n435\r\n',
      capture: '"amount_cents":435}',
      refund: '"amount_cents":435}',
    },
    { currency: 'JPY', amount: 500, create: 'name="amount_cents"\r\n\r\n500\r\n', refund: '"amount_cents":500}' },
    {
      currency: 'OMR',
      amount: 1_005,
      create: 'name="amount_cents"\r\n\r\n1005\r\n',
      capture: '"amount_cents":1005}',
      refund: '"amount_cents":1005}',
    },
  ],
  // Its transactions have flags instead of words.
  statusFields: [],
  signsFields: true,
};
