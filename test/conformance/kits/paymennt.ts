import { paymennt as provider } from '../../../activities/providers/paymennt.ts';
import { paymennt as sandbox } from '../../../sandbox/paymennt/index.ts';
import type { ProviderKit } from '../kit.ts';

export const paymenntKit: ProviderKit = {
  provider,
  sandbox,
  options: (url) => ({
    baseUrl: `${url}/paymennt/mer/v2.0`,
    apiKey: 'sandbox-paymennt-key',
    apiSecret: 'sandbox-paymennt-secret',
  }),
  wrongCredentials: { apiSecret: 'not-the-right-secret' },
  terms: {
    amount: 10_050,
    currency: 'AED',
    customer: { name: 'Ada Lovelace', email: 'ada@example.com', phone: '+971501234567' },
  },
  wire: [
    { currency: 'AED', amount: 435, create: '"amount":4.35,', refund: '?amount=4.35&currency=AED&' },
    { currency: 'USD', amount: 10_050, create: '"amount":100.5,', refund: '?amount=100.50&currency=USD&' },
    { currency: 'JPY', amount: 500, create: '"amount":500,', refund: '?amount=500&currency=JPY&' },
    { currency: 'KWD', amount: 1_005, create: '"amount":1.005,', refund: '?amount=1.005&currency=KWD&' },
  ],
  statusFields: ['status'],
};
