import { createHmac, timingSafeEqual } from 'node:crypto';

/** Shorter keys could be guessed. */
const MIN_KEY_BYTES = 16;

/**
 * Reads `PERDURE_TOKEN_KEYS`: keys separated by commas, the first signs, all verify.
 * @throws Error when a key is shorter than 16 bytes.
 */
export function readTokenKeys(text: string | undefined): string[] {
  const keys = (text ?? '').split(',').map((key) => key.trim());
  const given = text?.trim() ? keys : [];
  if (given.some((key) => Buffer.byteLength(key) < MIN_KEY_BYTES)) {
    throw new Error(`PERDURE_TOKEN_KEYS: every key must have at least ${MIN_KEY_BYTES} bytes`);
  }
  return given;
}

/**
 * The `t` of a callback URL that is made for one link. It tells which link a callback is about; that the provider sent
 * it is for the provider's signature to say.
 * @throws Error without keys.
 */
export function signToken(keys: readonly string[], account: string, reference: string): string {
  const [key] = keys;
  if (key === undefined) throw new Error('PERDURE_TOKEN_KEYS has no key to sign callback URLs with');
  return mac(key, account, reference).toString('base64url');
}

export function tokenMatches(keys: readonly string[], account: string, reference: string, token: string): boolean {
  const given = Buffer.from(token, 'base64url');
  let matches = false;
  for (const key of keys) {
    const expected = mac(key, account, reference);
    // No early exit: how long it takes must not tell which key is in use.
    if (given.length === expected.length && timingSafeEqual(given, expected)) matches = true;
  }
  // Node's decoder skips what is not base64url; a second spelling of a token is not the token.
  return matches && given.toString('base64url') === token;
}

/** An account's name has no `/`, so no two pairs make the same text. */
function mac(key: string, account: string, reference: string): Buffer {
  return createHmac('sha256', key).update(`${account}/${reference}`).digest();
}

/** Where providers reach our webhook listener, and the keys of the tokens in callback URLs. */
export interface Callbacks {
  /** Public base URL of the listener. */
  base: string;
  keys: readonly string[];
}

/** The address a provider is given for one link's webhooks. */
export function callbackUrl({ base, keys }: Callbacks, account: string, reference: string): string {
  const segment = Buffer.from(reference).toString('base64url');
  const url = new URL(`${base.replace(/\/+$/, '')}/webhooks/${account}/${segment}`);
  url.searchParams.set('t', signToken(keys, account, reference));
  return url.href;
}
