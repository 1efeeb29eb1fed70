import type { ProviderKit } from '../conformance/kit.ts';
import { sandbox } from './sandbox.ts';
import { MERCHANT } from './sandbox-wire.ts';
import { sextant as provider } from './sextant.ts';

export const sextantKit: ProviderKit = {
  provider,
  sandbox,
  options: (url) => ({
    baseUrl: `${url}/sextant/v3`,
    keyId: MERCHANT.keyId,
    secret: MERCHANT.secret,
    webhookSecrets: [MERCHANT.noticeSecret],
  }),
  wrongCredentials: { secret: 'not-the-right-secret' },
  terms: {
    amount: 150_050,
    currency: 'EUR',
    customer: { name: 'Ada Lovelace', email: 'ada@example.com', phone: '+441632960001' },
    redirectUrl: 'https://shop.example/thanks',
  },
  wire: [
    { currency: 'EUR', amount: 435, create: '"amount":435,', capture: '{"amount":435}', refund: '{"amount":435,' },
    { currency: 'USD', amount: 100_000, create: '"amount":100000,', refund: '{"amount":100000,' },
    { currency: 'JPY', amount: 500, create: '"amount":500,', capture: '{"amount":500}', refund: '{"amount":500,' },
    { currency: 'KWD', amount: 1_005, create: '"amount":1005,', capture: '{"amount":1005}', refund: '{"amount":1005,' },
  ],
  statusFields: ['state'],
};
