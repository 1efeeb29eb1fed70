import { beqelal as provider } from '../../../activities/providers/beqelal.ts';
import { beqelal as sandbox } from '../../../sandbox/beqelal/index.ts';
import type { ProviderKit } from '../kit.ts';

export const beqelalKit: ProviderKit = {
  provider,
  sandbox,
  options: (url) => ({
    baseUrl: `${url}/beqelal`,
    appId: 'sandbox-beqelal-app',
    apiKey: 'sandbox-beqelal-key',
    webhookSecrets: ['sandbox-beqelal-webhook-secret'],
    inquiry: true,
    cancel: true,
  }),
  wrongCredentials: { apiKey: 'not-the-right-key' },
  terms: { amount: 150_050, currency: 'ETB', customer: { phone: '251911000000' } },
  wire: [
    { currency: 'ETB', amount: 435, create: '"amount":4.35,' },
    { currency: 'ETB', amount: 100_000_000, create: '"amount":1000000,' },
  ],
  statusFields: ['status'],
};
