export const ENVIRONMENTS = ['PRODUCTION', 'SANDBOX'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

/** A merchant of the Katu9 sandbox, told apart by bearer token. */
export interface Merchant {
  /** The engine's account name for it. */
  name: string;
  /** What customers read on the pay page. */
  displayName: string;
  /** Goes with every call as `x-katu9-merchant-id`. */
  id: string;
  token: string;
  /** Without it `PRODUCTION` is closed to the merchant; `SANDBOX` is open to everyone. */
  active: boolean;
  /** Signs the merchant's webhooks until the dashboard sets another. */
  webhookSecret: string;
  /** The one payment method the merchant has: `paymentMethodId` of a transaction. */
  paymentMethodId: string;
}

/** The sandbox's credentials. They open nothing but the sandbox and may be printed anywhere. */
export const MERCHANTS: readonly Merchant[] = [
  {
    name: 'katu9',
    displayName: 'Monsoon Tea House',
    id: 'sandbox-katu9-merchant',
    token: 'sandbox-katu9-token',
    active: true,
    webhookSecret: 'sandbox-katu9-webhook-secret',
    paymentMethodId: '7c9a3f10-52d4-4f0e-9b61-2d8e5a40c917',
  },
  {
    name: 'katu9-new',
    displayName: 'Monsoon Spice Stall',
    id: 'sandbox-katu9-new-merchant',
    token: 'sandbox-katu9-new-token',
    active: false,
    webhookSecret: 'sandbox-katu9-new-webhook-secret',
    paymentMethodId: 'b1e64d27-08fa-4c3b-a5d2-91f7c36e8b05',
  },
];

export function merchantByToken(token: string | undefined): Merchant | undefined {
  return token === undefined ? undefined : MERCHANTS.find((merchant) => merchant.token === token);
}

export function merchantNamed(name: string): Merchant {
  const merchant = MERCHANTS.find((candidate) => candidate.name === name);
  if (!merchant) throw new Error(`The state file names a merchant the sandbox does not have: ${name}`);
  return merchant;
}
