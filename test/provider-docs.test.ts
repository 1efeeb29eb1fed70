import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { providers } from '../activities/registry.ts';
import { providerDocs } from './provider-docs.ts';

const page = readFileSync(new URL('../docs/providers.md', import.meta.url), 'utf8');

describe('docs/providers.md', () => {
  it('is what the providers say now', async () => {
    expect(page, 'stale: npx tsx test/provider-docs.ts > docs/providers.md').toBe(await providerDocs());
  });

  it.each(providers)(
    '$name tells its words, its errors and what it takes for granted',
    ({ statuses, errors, assumed }) => {
      expect(Object.keys(statuses).length).toBeGreaterThan(0);
      expect(errors?.length).toBeGreaterThan(0);
      expect(assumed?.length).toBeGreaterThan(0);
      for (const sentence of [...Object.values(statuses), ...(assumed ?? [])]) expect(sentence).toMatch(/\w/);
      for (const { says, code } of errors ?? []) {
        expect(says).toMatch(/\w/);
        expect(code).toMatch(/^[a-z][a-z0-9_]*$/);
      }
    },
  );
});
