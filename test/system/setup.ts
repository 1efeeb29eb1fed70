import type { TestProject } from 'vitest/node';
import { startStack } from '../../stack/stack.ts';
import { sextantKit } from '../sixth-provider/kit.ts';

/** What the files of this project need to reach the stack from their own processes. */
export interface SharedStack {
  apiUrl: string;
  webhookUrl: string;
  sandboxUrl: string;
  temporalAddress: string;
  uiUrl: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    stack: SharedStack;
  }
}

/** A sandbox minute: the shortest link lives about four seconds, a day's link longer than any test. */
export const MINUTE_MS = 300;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = await startStack({ minuteMs: MINUTE_MS, ports: { ui: 0 }, trials: [sextantKit] });
  const { gateway, sandbox, temporal } = stack;
  project.provide('stack', {
    apiUrl: gateway.apiUrl,
    webhookUrl: gateway.webhookUrl,
    sandboxUrl: sandbox.url,
    temporalAddress: temporal.address,
    uiUrl: temporal.uiUrl!,
  });
  return () => stack.stop();
}
