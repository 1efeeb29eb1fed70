import { createSign, generateKeyPairSync } from 'node:crypto';
import type { Shelf } from '../store.ts';

interface KeyPair {
  privateKey: string;
  publicKey: string;
}

/** Signs webhooks with a key of the sandbox's own, made when it is first wanted and kept with the rest of the state. */
export interface Signer {
  /** PEM, as the dashboard shows it; resolves once the key is stored. */
  publicKey(): Promise<string>;
  /** Headers of one attempt: each is signed with the second at which it is made. */
  headers(body: string): Record<string, string>;
}

const KIND = 'key';
const ID = 'webhooks';

export function createSigner(shelf: Shelf, onWriteFailed: (error: unknown) => void): Signer {
  const keys = shelf.objects<KeyPair>(KIND);
  let stored: Promise<void> = Promise.resolve();

  function pair(): KeyPair {
    const known = keys.get(ID);
    if (known) return known;
    const value: KeyPair = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    stored = shelf.commit([{ kind: KIND, id: ID, value }]).durable;
    stored.catch(onWriteFailed);
    return value;
  }

  return {
    async publicKey() {
      const { publicKey } = pair();
      await stored;
      return publicKey;
    },
    headers(body) {
      const timestamp = String(Math.floor(Date.now() / 1000));
      // RSA PKCS#1 v1.5 with SHA-256 over timestamp, full stop and body.
      const signature = createSign('RSA-SHA256').update(`${timestamp}.${body}`).sign(pair().privateKey, 'base64');
      return { 'X-BoomFi-Timestamp': timestamp, 'X-BoomFi-Signature': signature };
    },
  };
}
