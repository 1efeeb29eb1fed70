import type { HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import type { Faults } from './faults.ts';
import type { LedgerEntry } from './ledger.ts';
import type { Store } from './store.ts';
import type { Attempt, Deliveries, DeliveryOrder } from './webhooks.ts';

/** What the control plane can make happen to a link without the merchant or the customer doing anything. */
export const ACTIONS = [
  'pay',
  'authorize',
  'fail',
  'expire',
  'chargeback',
  'dispute_won',
  'refund_fails',
  'correct',
] as const;

export type Action = (typeof ACTIONS)[number];

/** Amounts in minor units; without one, the action takes what the link itself suggests. */
export interface ActionInput extends DeliveryOrder {
  amount?: number;
  currency?: string;
}

/** What an action led to. */
export interface ActionResult {
  link: string;
  /** The provider's own word for the link's state afterwards. */
  status: string;
  entries: LedgerEntry[];
  /** First attempts of the webhooks it caused. */
  webhooks: Attempt[];
}

/** A dashboard's webhook setting: one address per merchant. */
export interface WebhookTarget {
  url: string;
  /** Signs what is sent, where the provider signs with a shared secret; without one the sandbox's own stays. */
  secret?: string;
  /** The merchant it is for; without one the provider's first. */
  merchant?: string;
}

/** A request the sandbox understands and turns down; `status` is the HTTP status. */
export class Refused extends Error {
  readonly status: number;

  constructor(message: string, status = 400) {
    super(message);
    this.status = status;
  }
}

/** One provider: its documented surface, and the handles the shared control plane needs. */
export interface SandboxProvider {
  /** Its path prefix and ledger name. */
  name: string;
  /** API and pay pages, mounted under `/{name}`. */
  app: Hono<{ Bindings: HttpBindings }>;
  /** Names that faults may use. */
  operations: readonly string[];
  faults: Faults;
  deliveries: Pick<Deliveries, 'tally'>;
  ledger: { entries: readonly LedgerEntry[] };
  /** Provider link id of an id or merchant reference (the newest link of that reference). */
  find(linkOrReference: string): string | undefined;
  /** Throws `Refused` where the action makes no sense, such as a chargeback of a link nobody paid. */
  act(link: string, action: Action, input: ActionInput): Promise<ActionResult>;
  /** What the merchant does in the portal of this provider alone, by the action's name in the control plane. */
  portal?: Readonly<Record<string, (link: string, input: ActionInput) => Promise<ActionResult>>>;
  /** Sends a link's newest notice again, byte by byte. */
  resend(link: string, times: number): Promise<Attempt[]>;
  /** Where a merchant's webhooks go, for providers that have it set in their dashboard instead of by a call. */
  setWebhook?(target: WebhookTarget): Promise<WebhookTarget>;
  /** Begins what happens by itself, such as expiry. */
  start(): void;
  close(): void;
}

/** Opens a provider on its shelf of the store; `options` are its own. */
export type OpenProvider = (store: Store, around: Surroundings, options: object) => SandboxProvider;

/** What every provider is given. */
export interface Surroundings {
  /** Base of the URLs customers open, without a trailing slash; known once the server listens. */
  publicUrl(): string;
  log(message: string, fields?: Record<string, unknown>): void;
  /** See `DeliveryOptions`. */
  webhookRetryMs?: readonly number[];
}
