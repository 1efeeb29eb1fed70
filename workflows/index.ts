/** What the worker runs. */
export { paymentLink } from './payment-link.ts';
export { paymentOrder } from './payment-order.ts';
export { unmatchedWebhook } from './unmatched-webhook.ts';
