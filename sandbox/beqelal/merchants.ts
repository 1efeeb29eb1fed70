/** A merchant of the Beqelal sandbox, told apart by its two keys. */
export interface Merchant {
  /** The engine's account name for it. */
  name: string;
  /** What customers read on the pay page. */
  displayName: string;
  appId: string;
  apiKey: string;
  /** Set in the portal under Integration → Webhooks; signs everything sent to this merchant. */
  webhookSecret: string;
}

/** The sandbox's credentials. They open nothing but the sandbox and may be printed anywhere. */
export const MERCHANTS: readonly Merchant[] = [
  {
    name: 'beqelal',
    displayName: 'Highland Coffee',
    appId: 'sandbox-beqelal-app',
    apiKey: 'sandbox-beqelal-key',
    webhookSecret: 'sandbox-beqelal-webhook-secret',
  },
];

/** The merchant these credentials belong to. */
export function merchantByKeys(appId: string | undefined, apiKey: string | undefined): Merchant | undefined {
  return MERCHANTS.find((merchant) => merchant.appId === appId && merchant.apiKey === apiKey);
}

export function merchantNamed(name: string): Merchant {
  const merchant = MERCHANTS.find((candidate) => candidate.name === name);
  if (!merchant) throw new Error(`The state file names a merchant the sandbox does not have: ${name}`);
  return merchant;
}
