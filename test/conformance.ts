/**
 * The conformance kit: the same questions to every provider, asked of the adapter against its sandbox over a real wire.
 * What a provider is asked depends on its abilities alone; `ProviderKit` is all it has to say about itself.
 */
import { afterAll, describe, it } from 'vitest';
import { openBench } from './conformance/bench.ts';
import type { ProviderKit } from './conformance/kit.ts';
import { questionsFor } from './conformance/questions.ts';

export { type Bench, openBench } from './conformance/bench.ts';
export type { ProviderKit, WireRow } from './conformance/kit.ts';
export { type Question, questionsFor } from './conformance/questions.ts';
export { realWebhook, verdictOf } from './conformance/webhook-questions.ts';

/** Registers a test for each question. */
export function conformance(kit: ProviderKit): void {
  describe(`${kit.provider.name} conforms`, async () => {
    // Open before the questions are known: which abilities an account has depends on its options.
    const bench = await openBench(kit);
    afterAll(() => bench.close());
    for (const { name, ask } of questionsFor(bench)) it(name, () => ask(bench));
  });
}
