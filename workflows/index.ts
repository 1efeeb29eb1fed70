/** What the worker runs. */
export { paymentLink } from './payment-link.ts';
export { unmatchedWebhook } from './unmatched-webhook.ts';
