/** One way of paying that Paymob set up for a merchant: what it settles in, and whether it takes or only holds. */
export interface Integration {
  id: number;
  currency: string;
  /** Type Auth: a payment waits for capture. */
  holds: boolean;
  live: boolean;
}

/** A merchant of the Paymob sandbox. Three secrets: for tokens, for moving money, and what callbacks are signed with. */
export interface Merchant {
  /** The engine's account name for it. */
  name: string;
  /** What customers read on the pay page. */
  displayName: string;
  /** `profile.id`, and `owner` of transactions. */
  profile: number;
  apiKey: string;
  secretKey: string;
  hmacSecret: string;
  integrations: readonly Integration[];
}

const test = (id: number, currency: string, holds = false): Integration => ({ id, currency, holds, live: false });

/** The sandbox's credentials. They open nothing but the sandbox and may be printed anywhere. */
export const MERCHANTS: readonly Merchant[] = [
  {
    name: 'paymob',
    displayName: 'Nile Lanterns',
    profile: 302852,
    apiKey: 'sandbox-paymob-api-key',
    secretKey: 'sandbox_sk_test_paymob_secret',
    hmacSecret: 'sandbox-paymob-hmac-secret',
    integrations: [
      test(4097558, 'EGP'),
      test(4097559, 'EGP', true),
      test(4097560, 'AED'),
      test(4097561, 'AED', true),
      test(4097562, 'OMR'),
      test(4097563, 'OMR', true),
      // None of Paymob's home currencies is without decimals; one shows that amounts are minor units, not hundredths.
      test(4097564, 'JPY'),
      { id: 5097558, currency: 'EGP', holds: false, live: true },
    ],
  },
  {
    name: 'paymob-gulf',
    displayName: 'Creek Lanterns',
    profile: 302853,
    apiKey: 'sandbox-paymob-gulf-api-key',
    secretKey: 'sandbox_sk_test_paymob_gulf_secret',
    hmacSecret: 'sandbox-paymob-gulf-hmac-secret',
    integrations: [test(4197558, 'AED')],
  },
];

export function merchantNamed(name: string): Merchant {
  const merchant = MERCHANTS.find((candidate) => candidate.name === name);
  if (!merchant) throw new Error(`The state file names a merchant the sandbox does not have: ${name}`);
  return merchant;
}
