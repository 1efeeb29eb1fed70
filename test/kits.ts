/** How each provider is tied to its sandbox. A provider in the registry without a kit does not compile. */
import type { ProviderName } from '../activities/registry.ts';
import type { ProviderKit } from './conformance/kit.ts';
import { beqelalKit } from './conformance/kits/beqelal.ts';
import { boomfiKit } from './conformance/kits/boomfi.ts';
import { katu9Kit } from './conformance/kits/katu9.ts';
import { paymenntKit } from './conformance/kits/paymennt.ts';
import { paymobKit } from './conformance/kits/paymob.ts';

export const kits = {
  beqelal: beqelalKit,
  boomfi: boomfiKit,
  katu9: katu9Kit,
  paymennt: paymenntKit,
  paymob: paymobKit,
} satisfies Record<ProviderName, ProviderKit>;
