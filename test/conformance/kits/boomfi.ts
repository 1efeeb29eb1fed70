import { boomfi as provider } from '../../../activities/providers/boomfi.ts';
import { boomfi as sandbox } from '../../../sandbox/boomfi/index.ts';
import type { ProviderKit } from '../kit.ts';

export const boomfiKit: ProviderKit = {
  provider,
  sandbox,
  async options(url) {
    // Made by the sandbox when it first starts, as the dashboard shows it.
    const key = await fetch(`${url}/boomfi/public-key.pem`);
    return {
      baseUrl: `${url}/boomfi/v1`,
      payHost: `${url}/boomfi/pay`,
      apiKey: 'sandbox-boomfi-key',
      orgId: '2SandboxBoomFiOrganisation1',
      webhookSecrets: [await key.text()],
      listSpacingMs: 0,
    };
  },
  wrongCredentials: { apiKey: 'not-the-right-key' },
  terms: { amount: 150_050, currency: 'USD', customer: { name: 'Ada Lovelace', email: 'ada@example.com' } },
  wire: [
    { currency: 'USD', amount: 435, create: '"amount":"4.35",' },
    { currency: 'USD', amount: 150_000, create: '"amount":"1500.00",' },
    { currency: 'JPY', amount: 500, create: '"amount":"500",' },
    { currency: 'KWD', amount: 1_005, create: '"amount":"1.005",' },
  ],
  statusFields: ['status'],
};
