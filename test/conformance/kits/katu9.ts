import { katu9 as provider } from '../../../activities/providers/katu9.ts';
import { katu9 as sandbox } from '../../../sandbox/katu9/index.ts';
import type { ProviderKit } from '../kit.ts';

export const katu9Kit: ProviderKit = {
  provider,
  sandbox,
  options: (url) => ({
    baseUrl: `${url}/katu9`,
    token: 'sandbox-katu9-token',
    merchantId: 'sandbox-katu9-merchant',
    environment: 'SANDBOX',
    webhookSecrets: ['sandbox-katu9-webhook-secret'],
  }),
  wrongCredentials: { token: 'not-the-right-token' },
  terms: { amount: 150_050, currency: 'INR', redirectUrl: 'https://shop.example/thanks' },
  wire: [
    { currency: 'INR', amount: 435, create: '"amount":4.35,' },
    { currency: 'INR', amount: 150_000, create: '"amount":1500,' },
  ],
  statusFields: ['status'],
};
