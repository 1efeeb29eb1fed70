/** A provider written by the guide alone, in a folder of its own: the same questions as to those in the registry. */
import { conformance } from './conformance.ts';
import { sextantKit } from './sixth-provider/kit.ts';

conformance(sextantKit);
