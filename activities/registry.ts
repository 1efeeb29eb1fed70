import type { Provider } from './provider.ts';
import { beqelal } from './providers/beqelal.ts';
import { boomfi } from './providers/boomfi.ts';
import { katu9 } from './providers/katu9.ts';
import { paymennt } from './providers/paymennt.ts';
import { paymob } from './providers/paymob.ts';

/** Every provider an account may name, by its name. */
const registry = { beqelal, boomfi, katu9, paymennt, paymob } as const satisfies Record<string, Provider>;

export type ProviderName = keyof typeof registry;

export const providers: readonly Provider[] = Object.values(registry);
