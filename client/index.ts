/** The public face of Perdure for TypeScript backends. */
export type { Exception, Link, LinkOperation, OperationState, Status } from '../workflows/link.ts';
export type { CommandOutcome } from '../workflows/messages.ts';
export type {
  CancelRequest,
  CreateRequest,
  DismissRequest,
  ExtendRequest,
  MarkRequest,
  MoneyRequest,
  ResolveRequest,
  ResyncRequest,
} from '../workflows/schema.ts';
export { connectClient } from './connect.ts';
export type { Created } from './create.ts';
export {
  AmountOutOfRange,
  type FieldError,
  IdempotencyConflict,
  InvalidRequest,
  NotAllowed,
  NotFound,
  NotSupported,
  OrderAlreadyPaid,
  PaymentLinkError,
  ProviderRefused,
  ReferenceConflict,
  Timeout,
  Unavailable,
} from './errors.ts';
export type { LinkPage, LinkSummary, ListQuery } from './list.ts';
export type { News } from './observe.ts';
export {
  type CommandOptions,
  type CreateOptions,
  PaymentLinks,
  type PaymentLinksOptions,
  type TimelineEntry,
} from './payment-links.ts';
export type { UnmatchedPage, UnmatchedQuery, UnmatchedWebhook } from './unmatched.ts';
