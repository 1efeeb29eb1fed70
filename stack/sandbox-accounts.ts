import type { Accounts } from '../activities/accounts.ts';
import * as beqelal from '../sandbox/beqelal/merchants.ts';
import * as boomfi from '../sandbox/boomfi/merchants.ts';
import * as katu9 from '../sandbox/katu9/merchants.ts';
import * as paymennt from '../sandbox/paymennt/merchants.ts';
import * as paymob from '../sandbox/paymob/merchants.ts';

/** The accounts of the sandbox's merchants, as they stand in an accounts file. paymennt's secrets come by registering. */
export async function sandboxAccounts(url: string): Promise<Record<string, unknown>> {
  const account = (provider: string, { name }: { name: string }, options: object) => [
    name,
    { provider, options: { baseUrl: `${url}/${provider}`, ...options } },
  ];
  // The sandbox makes its key pair when it first starts.
  const boomfiKey = await (await fetch(`${url}/boomfi/public-key.pem`)).text();
  return Object.fromEntries([
    ...paymennt.MERCHANTS.map((merchant) => {
      const { apiKey, apiSecret } = merchant;
      return account('paymennt', merchant, { baseUrl: `${url}/paymennt/mer/v2.0/`, apiKey, apiSecret });
    }),
    ...paymob.MERCHANTS.slice(0, 1).map((merchant) => {
      const { apiKey, secretKey, hmacSecret, integrations } = merchant;
      const tested = integrations
        .filter(({ live }) => !live)
        .map(({ id, currency, holds }) => ({ id, currency, holds }));
      return account('paymob', merchant, { apiKey, secretKey, webhookSecrets: [hmacSecret], integrations: tested });
    }),
    ...boomfi.MERCHANTS.map((merchant) => {
      const { apiKey, orgId } = merchant;
      const urls = { baseUrl: `${url}/boomfi/v1`, payHost: `${url}/boomfi/pay` };
      return account('boomfi', merchant, { ...urls, apiKey, orgId, webhookSecrets: [boomfiKey], listSpacingMs: 200 });
    }),
    ...beqelal.MERCHANTS.map((merchant) => {
      const { appId, apiKey, webhookSecret } = merchant;
      // Both calls are assumed to exist: off for real accounts, there in the sandbox.
      const assumed = { inquiry: true, cancel: true };
      return account('beqelal', merchant, { appId, apiKey, webhookSecrets: [webhookSecret], ...assumed });
    }),
    ...katu9.MERCHANTS.filter(({ active }) => active).map((merchant) => {
      const { id: merchantId, token, webhookSecret } = merchant;
      return account('katu9', merchant, { token, merchantId, environment: 'SANDBOX', webhookSecrets: [webhookSecret] });
    }),
  ]);
}

/**
 * Providers whose webhook address is set in their portal: the sandbox is told through its control plane, and answers 404
 * for those that have it by another way.
 */
export async function setPortalWebhooks(sandboxUrl: string, webhookUrl: string, accounts: Accounts): Promise<void> {
  for (const provider of new Set([...accounts.values()].map((account) => account.provider.name))) {
    const response = await fetch(`${sandboxUrl}/__sandbox/${provider}/webhook`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ url: `${webhookUrl}/webhooks/${provider}` }),
    });
    if (!response.ok && response.status !== 404)
      throw new Error(`the sandbox refused a webhook address: ${await response.text()}`);
  }
}
