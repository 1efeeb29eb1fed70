/** A merchant of the BoomFi sandbox: an organisation, told by its API key. */
export interface Merchant {
  /** The engine's account name for it. */
  name: string;
  /** What customers read on the pay page. */
  displayName: string;
  apiKey: string;
  orgId: string;
}

/** The sandbox's credentials. They open nothing but the sandbox and may be printed anywhere. */
export const MERCHANTS: readonly Merchant[] = [
  {
    name: 'boomfi',
    displayName: 'Lantern Audio',
    apiKey: 'sandbox-boomfi-key',
    orgId: '2SandboxBoomFiOrganisation1',
  },
];

/** The merchant this key belongs to. */
export function merchantByKey(apiKey: string | undefined): Merchant | undefined {
  return MERCHANTS.find((merchant) => merchant.apiKey === apiKey);
}

export function merchantNamed(name: string): Merchant {
  const merchant = MERCHANTS.find((candidate) => candidate.name === name);
  if (!merchant) throw new Error(`The state file names a merchant the sandbox does not have: ${name}`);
  return merchant;
}
