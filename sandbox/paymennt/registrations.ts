import { randomBytes } from 'node:crypto';
import type { Ids } from '../ids.ts';
import { Refused } from '../provider.ts';
import type { Shelf } from '../store.ts';
import { hmacHex, type Subscriber } from '../webhooks.ts';
import type { Merchant } from './merchants.ts';
import { SIGNATURE_HEADER } from './wire.ts';

/** A merchant's webhook registration. */
export interface Registration {
  id: string;
  merchant: string;
  /** Signs every body sent to this address. */
  hmacKey: string;
  address: string;
  /** Whether the last delivery was given up. */
  failed: boolean;
  enabled: boolean;
}

/** Who wants to hear of a merchant's checkouts. Changes resolve once they are stored. */
export interface Registrations {
  /**
   * Registers an address, or enables and answers the registration it already has [assumed]: a listener that starts again
   * keeps its key, and nobody gets every webhook twice.
   */
  register(merchant: Merchant, address: string): Promise<Registration>;
  list(merchant: Merchant): Registration[];
  /** Throws `Refused` for an id that is not this merchant's. */
  get(merchant: Merchant, id: string): Registration;
  update(registration: Registration, change: Partial<Registration>): Promise<Registration>;
  remove(registration: Registration): Promise<Registration>;
  subscribers(merchantName: string): Subscriber[];
  subscriber(registration: Registration): Subscriber;
}

const KIND = 'webhook';

export function createRegistrations(shelf: Shelf, ids: Ids, onWriteFailed: (error: unknown) => void): Registrations {
  const all = shelf.objects<Registration>(KIND);
  for (const { id } of all.values()) ids.seen(id);

  const list = (merchantName: string) => [...all.values()].filter(({ merchant }) => merchant === merchantName);

  async function put(registration: Registration): Promise<Registration> {
    await shelf.commit([{ kind: KIND, id: registration.id, value: registration }]).durable;
    return registration;
  }

  async function update({ id }: Registration, change: Partial<Registration>): Promise<Registration> {
    const stored = all.get(id);
    if (!stored) throw new Refused('Webhook not found for API merchant');
    return put({ ...stored, ...change });
  }

  function subscriber({ id, address, hmacKey }: Registration): Subscriber {
    return {
      address,
      headers: (body) => ({ [SIGNATURE_HEADER]: hmacHex('sha256', hmacKey, body) }),
      live: () => all.get(id)?.enabled === true,
      settled(delivered) {
        const stored = all.get(id);
        if (stored && stored.failed === delivered) update(stored, { failed: !delivered }).catch(onWriteFailed);
      },
    };
  }

  return {
    async register(merchant, address) {
      const known = list(merchant.name).find((registration) => registration.address === address);
      if (known) return known.enabled ? known : update(known, { enabled: true });
      return put({
        id: ids.next(),
        merchant: merchant.name,
        hmacKey: randomBytes(32).toString('hex'),
        address,
        failed: false,
        enabled: true,
      });
    },
    list: (merchant) => list(merchant.name),
    get(merchant, id) {
      const registration = all.get(id);
      if (registration?.merchant !== merchant.name) throw new Refused('Webhook not found for API merchant');
      return registration;
    },
    update,
    async remove(registration) {
      await shelf.commit([{ kind: KIND, id: registration.id, value: null }]).durable;
      return registration;
    },
    subscribers: (merchantName) => list(merchantName).map(subscriber),
    subscriber,
  };
}
