/** A merchant of the paymennt sandbox, told apart by API key. */
export interface Merchant {
  /** The engine's account name for it. */
  name: string;
  /** What customers read on the pay page. */
  displayName: string;
  apiKey: string;
  apiSecret: string;
  /** `true`: a payment is only authorized and waits for capture. `false`: it is captured at once. */
  holds: boolean;
  branchId: string;
}

/** The sandbox's credentials. They open nothing but the sandbox and may be printed anywhere. */
export const MERCHANTS: readonly Merchant[] = [
  {
    name: 'paymennt',
    displayName: 'Tidewater Books',
    apiKey: 'sandbox-paymennt-key',
    apiSecret: 'sandbox-paymennt-secret',
    holds: false,
    branchId: '1600000000000000001',
  },
  {
    name: 'paymennt-hold',
    displayName: 'Tidewater Rooms',
    apiKey: 'sandbox-paymennt-hold-key',
    apiSecret: 'sandbox-paymennt-hold-secret',
    holds: true,
    branchId: '1600000000000000002',
  },
];

/** The merchant these credentials belong to. */
export function merchantByKey(apiKey: string | undefined, apiSecret: string | undefined): Merchant | undefined {
  return MERCHANTS.find((merchant) => merchant.apiKey === apiKey && merchant.apiSecret === apiSecret);
}

export function merchantNamed(name: string): Merchant {
  const merchant = MERCHANTS.find((candidate) => candidate.name === name);
  if (!merchant) throw new Error(`The state file names a merchant the sandbox does not have: ${name}`);
  return merchant;
}
