import { describe, expect, it } from 'vitest';
import { providers } from '../activities/registry.ts';
import { conformance, openBench, realWebhook, verdictOf } from './conformance.ts';
import { kits } from './kits.ts';

for (const kit of Object.values(kits)) conformance(kit);

describe('all kits together', () => {
  it('are of the provider they are named after', () => {
    expect(Object.entries(kits).map(([name, kit]) => [name, kit.provider.name])).toEqual(
      providers.map(({ name }) => [name, name]),
    );
  });

  it('every provider refuses what another one signed', async () => {
    const benches = await Promise.all(Object.values(kits).map((kit) => openBench(kit)));
    try {
      for (const sender of benches) {
        const { request } = await realWebhook(sender);
        const verdicts = benches.map((bench) => `${bench.kit.provider.name}: ${verdictOf(bench, request)}`);
        const expected = benches.map((bench) => (bench === sender ? 'authentic' : 'refused'));
        expect(verdicts).toEqual(benches.map((bench, n) => `${bench.kit.provider.name}: ${expected[n]}`));
      }
    } finally {
      for (const bench of benches) await bench.close();
    }
  });
});
