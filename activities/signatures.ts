import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import { NotAuthentic } from './provider.ts';

/**
 * Checks a hex HMAC of the raw body against every secret, so that an old and a new one work side by side.
 *
 * @throws NotAuthentic when the signature is missing, not exactly one hex digest, or made with none of the secrets.
 */
export function verifyHexHmac(
  algorithm: 'sha256' | 'sha512',
  body: Uint8Array,
  signature: string | undefined,
  secrets: readonly string[],
): void {
  if (signature === undefined) throw new NotAuthentic('the signature header is missing');
  const digits = algorithm === 'sha256' ? 64 : 128;
  // Lists, prefixes and other alphabets are refused: Buffer.from would skip over what is not hex.
  if (signature.length !== digits || !/^[0-9a-f]+$/i.test(signature)) {
    throw new NotAuthentic(`the signature is not ${digits} hex digits`);
  }
  const given = Buffer.from(signature, 'hex');
  let matches = false;
  for (const secret of secrets) {
    // Anyone can sign with an empty secret.
    if (secret === '') continue;
    if (timingSafeEqual(createHmac(algorithm, secret).update(body).digest(), given)) matches = true;
  }
  if (!matches) throw new NotAuthentic('the signature was made with none of the account’s secrets');
}

/**
 * Checks a base64 RSA signature (PKCS#1 v1.5 over SHA-256) against every public key, so that a key can be rotated.
 *
 * @param publicKeys PEM texts that {@link publicKeyPem} has taken.
 * @throws NotAuthentic when the signature is missing, not exactly one base64 text, or made with none of the keys.
 */
export function verifyRsaSha256(
  message: Uint8Array,
  signature: string | undefined,
  publicKeys: readonly string[],
): void {
  if (signature === undefined) throw new NotAuthentic('the signature header is missing');
  const given = Buffer.from(signature, 'base64');
  // Buffer.from skips over what is not base64: only a text that comes out again is the signature itself.
  if (given.length === 0 || given.toString('base64') !== signature) {
    throw new NotAuthentic('the signature is not base64');
  }
  // Without a padding option this is PKCS#1 v1.5, which is what the key's type alone stands for.
  if (!publicKeys.some((pem) => pem !== '' && verify('sha256', message, createPublicKey(pem), given))) {
    throw new NotAuthentic('the signature was made with none of the account’s keys');
  }
}

const SMALLEST_RSA_BITS = 2_048;

/**
 * A PEM public key as dashboards and environment variables hold it, line breaks perhaps written as `\n`, in PEM's own
 * form; undefined unless it is an RSA public key of at least 2048 bits.
 */
export function publicKeyPem(text: string): string | undefined {
  const pem = text.replaceAll('\\r', '').replaceAll('\\n', '\n').trim();
  // From a private key Node would make the public one, and the secret would have come here for nothing.
  if (!/^-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem)) return undefined;
  try {
    const key = createPublicKey(pem);
    const bits = key.asymmetricKeyType === 'rsa' ? (key.asymmetricKeyDetails?.modulusLength ?? 0) : 0;
    return bits >= SMALLEST_RSA_BITS ? pem : undefined;
  } catch {
    return undefined;
  }
}
