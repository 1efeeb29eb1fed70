/** Asking the provider, and what a failed activity says about the world. */
import { ActivityFailure, ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { WriteKind } from './link.ts';
import type { CreateAttempt, Lost, ProviderRefusal } from './ports.ts';
import type { Run } from './run.ts';

interface Looking {
  ids?: string[];
  attempts?: number;
}

/**
 * Reads the provider until it answers; false when it cannot be asked. Evidence settles unknown operations by itself.
 * `ids` are what webhooks named: before there is a link, they may lead to it. After `attempts` it gives up, so that
 * whoever waits for it need not wait for an outage.
 */
export async function look(run: Run, { ids = [], attempts }: Looking = {}): Promise<boolean> {
  try {
    if (run.created) {
      if (!run.created.abilities.inquire) return false;
      await read(run, 'read', [], attempts);
      return true;
    }
    return await search(run, ids, attempts);
  } catch (error) {
    const { message } = readFailure(error);
    run.note({ kind: 'problem', source: 'perdure', summary: message });
    return false;
  }
}

/** Looks for the link a create made whose answer was lost; false when that nothing was found proves nothing. */
async function search(run: Run, ids: string[], attempts?: number): Promise<boolean> {
  const { state } = run;
  state.named = [...new Set([...(state.named ?? []), ...(state.hinted ?? []), ...ids])];
  if (state.lost?.search === 'none' || (state.lost?.search === 'ids' && state.named.length === 0)) return false;
  const options = { summary: 'look for the link', ...atMost(attempts) };
  const wanted = { ...creation(run), ids: state.named };
  const { found, ...lost } = await run.world.reads.find.executeWithOptions(options, [wanted]);
  state.lost = lost;
  // Another look may have been faster.
  if (found && !run.created) {
    run.adopt(found.created);
    run.learn('read', found.facts);
    const making = state.operations.find((op) => op.kind === 'create');
    if (making) run.change(making, { state: 'succeeded', error: undefined });
  }
  return run.created !== undefined || lost.search === 'reference';
}

/** One read of the link and of whatever `ids` name. */
export async function read(run: Run, source: string, ids: string[], attempts?: number): Promise<void> {
  const { facts } = await run.world.reads.inquire.executeWithOptions(
    { summary: `read for ${source}`, ...atMost(attempts) },
    [{ ...run.handle(), ids, known: run.state.facts }],
  );
  run.learn(source, facts);
}

const atMost = (attempts?: number) => (attempts === undefined ? {} : { retry: { maximumAttempts: attempts } });

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
  lost?: Lost;
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
  const [answer] = ((cause instanceof ApplicationFailure && cause.details) || []) as [ProviderRefusal?];
  return { type: 'unknown', code: 'unknown_outcome', message: cause?.message ?? error.message, lost: answer?.lost };
}
