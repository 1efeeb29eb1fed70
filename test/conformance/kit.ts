import type { Trial } from '../../stack/stack.ts';
import type { Terms } from '../../workflows/link.ts';

/** Ties a provider to its sandbox: all the conformance questions need to know about it. */
export interface ProviderKit extends Trial {
  /** Laid over the options: credentials the provider turns away. */
  wrongCredentials: object;
  /** A request the provider takes, besides account, reference and expiry; with all the customer data it can carry. */
  terms: Partial<Terms> & Pick<Terms, 'amount' | 'currency'>;
  /** How amounts stand on the wire. One row at least for each of JPY, USD and KWD that the provider takes. */
  wire: readonly WireRow[];
  /** Names of the fields in which the provider's answers carry status words. */
  statusFields: readonly string[];
  /** The webhook's signature covers some fields only; what it leaves out must not count as money. */
  signsFields?: boolean;
}

export interface WireRow {
  currency: string;
  /** Minor units. */
  amount: number;
  /** Text of the request (path, query and body) that creates a link of this amount. */
  create: string;
  /** Text of the request that gives all of it back; where the provider refunds. */
  refund?: string;
  /** Text of the request that captures all of it; where the amount is sent. */
  capture?: string;
}
