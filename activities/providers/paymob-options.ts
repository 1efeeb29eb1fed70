/** `providerOptions` of a Paymob link: the picture on its page, under the provider's own name. */
import { z } from 'zod';
import type { Terms } from '../../workflows/link.ts';
import type { FormPart } from '../http.ts';
import { optionProblemsBy } from '../options.ts';
import type { Problem } from '../provider.ts';

/** Ours: the provider names no limit, and the request travels through Temporal, which has one. */
const MAX_IMAGE_BYTES = 128 * 1024;

/** PNG and JPG [seed], and how such a file begins. */
const FORMATS = {
  PNG: { mime: 'image/png', extension: 'png', begins: '89504e470d0a1a0a' },
  JPG: { mime: 'image/jpeg', extension: 'jpg', begins: 'ffd8ff' },
} as const;

const image = z
  .strictObject({
    type: z.enum(['PNG', 'JPG']),
    /** The file, base64. */
    data: z
      .base64()
      .min(1)
      .refine((text) => bytesOf(text).length <= MAX_IMAGE_BYTES, `must not be larger than ${MAX_IMAGE_BYTES} bytes`),
  })
  .refine(({ type, data }) => bytesOf(data).toString('hex', 0, 8).startsWith(FORMATS[type].begins), {
    path: ['data'],
    error: 'is no picture of that type',
  });

const options = z.strictObject({ payment_link_image: image.optional() });

/** What is wrong with a link's `providerOptions`, by field. */
export const optionProblems = (terms: Terms): Problem[] =>
  optionProblemsBy(options, terms, () => 'is no option of paymob');

/** The options as parts of the create form. */
export function optionParts({ providerOptions = {} }: Terms): FormPart[] {
  const { payment_link_image: picture } = options.parse(providerOptions);
  if (!picture) return [];
  const { mime, extension } = FORMATS[picture.type];
  const file = bytesOf(picture.data);
  return [{ name: 'payment_link_image', file, filename: `image.${extension}`, type: mime }];
}

const bytesOf = (base64: string) => Buffer.from(base64, 'base64');
