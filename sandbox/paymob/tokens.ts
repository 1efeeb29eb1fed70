import { randomBytes } from 'node:crypto';
import { MERCHANTS, type Merchant } from './merchants.ts';

/** Auth tokens, in memory only: after a restart everybody needs a new one, as after an hour. */
export interface Tokens {
  /** Undefined for an API key nobody has. */
  issue(apiKey: string): { token: string; merchant: Merchant } | undefined;
  /** Whose token this is, for as long as it lives. */
  holder(token: string | undefined): Merchant | undefined;
}

export function createTokens(lifeMs: number): Tokens {
  const issued = new Map<string, { merchant: Merchant; until: number }>();
  return {
    issue(apiKey) {
      const merchant = MERCHANTS.find((known) => known.apiKey === apiKey);
      if (!merchant) return undefined;
      for (const [token, { until }] of issued) if (until <= Date.now()) issued.delete(token);
      const token = randomBytes(40).toString('base64url');
      issued.set(token, { merchant, until: Date.now() + lifeMs });
      return { token, merchant };
    },
    holder(token) {
      const known = token === undefined ? undefined : issued.get(token);
      return known && known.until > Date.now() ? known.merchant : undefined;
    },
  };
}
