/** Asking the provider, and what a failed activity says about the world. */
import { ActivityFailure, ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { WriteKind } from './link.ts';
import type { CreateAttempt, ProviderRefusal } from './ports.ts';
import type { Run } from './run.ts';

/** Reads the provider until it answers; false when it cannot be asked. Evidence settles unknown operations by itself. */
export async function look(run: Run): Promise<boolean> {
  try {
    if (run.created) {
      if (!run.created.abilities.inquire) return false;
      await read(run, 'read', []);
      return true;
    }
    const found = await run.world.reads.find.executeWithOptions({ summary: 'look by reference' }, [creation(run)]);
    if (found) {
      run.adopt(found.created);
      run.learn('read', found.facts);
      const making = run.state.operations.find((op) => op.kind === 'create');
      if (making) run.change(making, { state: 'succeeded', error: undefined });
    }
    return true;
  } catch (error) {
    const { message } = readFailure(error);
    run.note({ kind: 'problem', source: 'perdure', summary: message });
    return false;
  }
}

/** One read of the link and of whatever `ids` name. */
export async function read(run: Run, source: string, ids: string[], attempts?: number): Promise<void> {
  const { facts } = await run.world.reads.inquire.executeWithOptions(
    { summary: `read for ${source}`, ...(attempts === undefined ? {} : { retry: { maximumAttempts: attempts } }) },
    [{ ...run.handle(), ids, known: run.state.facts }],
  );
  run.learn(source, facts);
}

export const creation = (run: Run): CreateAttempt => ({
  terms: run.terms,
  key: keyOf('create', run.termsHash.slice(0, 16)),
  since: run.state.createdAt,
});

/** The same text for one operation for ever: over attempts, restarts, resets and continue-as-new. */
export const keyOf = (kind: WriteKind, id: string) => `${workflowInfo().workflowId}:${kind}:${id}`;

export interface Failure {
  type: 'refused' | 'unknown';
  code: string;
  message: string;
}

/** What a failed activity says about the world: no, or nobody knows. Anything else is a fault of ours. */
export function readFailure(error: unknown): Failure {
  if (!(error instanceof ActivityFailure)) throw error;
  const { cause } = error;
  if (cause instanceof ApplicationFailure && cause.type === 'Refused') {
    const [refusal] = (cause.details ?? []) as [ProviderRefusal?];
    return { type: 'refused', code: refusal?.code ?? 'refused', message: refusal?.message ?? cause.message };
  }
  if (cause instanceof ApplicationFailure && (cause.type === 'NotSent' || cause.type === 'Unreachable')) {
    return { type: 'refused', code: 'provider_unavailable', message: cause.message };
  }
  return { type: 'unknown', code: 'unknown_outcome', message: cause?.message ?? error.message };
}
