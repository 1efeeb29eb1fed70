import type { Provider } from '../../activities/provider.ts';
import type { SandboxProvider, Surroundings } from '../../sandbox/provider.ts';
import type { Store } from '../../sandbox/store.ts';
import type { Terms } from '../../workflows/link.ts';

/** Ties a provider to its sandbox: all the conformance questions need to know about it. */
export interface ProviderKit {
  // biome-ignore lint/suspicious/noExplicitAny: a provider is asked with the config its own schema made
  provider: Provider<any>;
  /** The provider as documented; its customers pay, and its money is judged, through the control plane. */
  sandbox(store: Store, around: Surroundings, options: object): SandboxProvider;
  /** `options` of an accounts file for the sandbox's merchant; `url` is the sandbox's base, as in `${url}/paymennt`. */
  options(url: string): object | Promise<object>;
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
