import { z } from 'zod';
import { random } from './random.ts';

/**
 * Faults a test orders in advance. Kinds without `after_commit` act before anything is committed, except `slow`, `html`
 * and `webhook_before_answer`, whose point is that the provider did act.
 */
export const FAULT_KINDS = [
  'timeout',
  'reset',
  'drop_after_commit',
  'error_after_commit',
  'status',
  'html',
  'truncated',
  'slow',
  'webhook_before_answer',
  'hold_before_commit',
  'hold_after_commit',
  'duplicate',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** The operation name of outgoing webhooks: not a call, so other kinds apply. */
export const WEBHOOK_OPERATION = 'webhook';
const WEBHOOK_KINDS: readonly FaultKind[] = ['timeout', 'reset', 'slow', 'duplicate'];
const CALL_KINDS: readonly FaultKind[] = FAULT_KINDS.filter((kind) => kind !== 'duplicate');

const HOUR_MS = 3_600_000;

const fields = z.strictObject({
  operation: z.string(),
  kind: z.enum(FAULT_KINDS, { error: `must be one of ${FAULT_KINDS.join(', ')}` }),
  link: z.string().min(1).optional(),
  status: z.int().min(200).max(599).optional(),
  retryAfter: z.union([z.string(), z.number()], { error: 'must be a string or a number' }).optional(),
  delayMs: z.int().min(0).max(HOUR_MS).optional(),
  count: z.int().min(1).optional(),
  times: z.int().min(2).max(100).optional(),
  rate: z.number().min(0).max(1).optional(),
  seed: z.int().optional(),
});

/**
 * An ordered fault.
 * - `operation`: one of the provider's, `*` for all of them, or `webhook` for outgoing webhooks: `timeout` and `reset` lose
 *   a delivery for good (nothing is sent, nothing retried), `slow` delays it, `duplicate` sends it several times.
 * - `link`: only calls about this provider link id or merchant reference; without it, all.
 * - `status`: the answer of `status` (default 503) and `error_after_commit` (default 500).
 * - `retryAfter`: sent as `Retry-After` exactly as given, sense or nonsense.
 * - `delayMs`: how long `slow` waits (default 5 s), the pause after `webhook_before_answer` (default 0), and for
 *   `hold_*` and `timeout` an end to the wait (default: only `DELETE faults` or, for `timeout`, the caller's patience).
 * - `count`: how often it acts at most (default: until `DELETE faults`).
 * - `times`: how often `duplicate` sends (default 2).
 * - `rate`: the share of matching calls it acts on (default all), drawn from `seed`, so a run can be repeated.
 */
export type FaultRule = z.infer<typeof fields> & { id: number; seed: number };

/** A call that a fault keeps waiting. */
export interface Held {
  operation: string;
  kind: FaultKind;
  names: readonly string[];
  since: string;
}

export interface Faults {
  /** Checks and adds a fault. Throws a `z.ZodError` naming the field. */
  add(input: unknown, operations: readonly string[]): FaultRule;
  /** Forgets all faults and lets held calls go on; answers how many were held. */
  clear(): number;
  /** The fault, if any, that this call meets; `names` are the ids and references it is about. Counts as one use. */
  take(operation: string, names: readonly string[]): FaultRule | undefined;
  /** Waits as a held call. Resolves to `false` when the sandbox closes: then the call must not go on. */
  hold(rule: FaultRule, operation: string, names: readonly string[], gone?: AbortSignal): Promise<boolean>;
  list(): { faults: (FaultRule & { fired: number })[]; held: Held[] };
  close(): void;
}

export function createFaults(): Faults {
  const rules: (FaultRule & { fired: number; draw: () => number })[] = [];
  const held = new Map<(goOn: boolean) => void, Held>();
  let lastId = 0;

  const release = (goOn: boolean) => {
    const waiting = [...held.keys()];
    for (const settle of waiting) settle(goOn);
    return waiting.length;
  };

  return {
    add(input, operations) {
      const { seed = Math.floor(Math.random() * 2 ** 31), ...rest } = check(input, operations);
      const rule = { ...rest, seed, id: ++lastId };
      rules.push({ ...rule, fired: 0, draw: random(seed) });
      return rule;
    },
    clear() {
      rules.length = 0;
      return release(true);
    },
    take(operation, names) {
      return rules.find((rule) => {
        if (rule.operation !== operation && rule.operation !== '*') return false;
        // An outgoing webhook is no call; `*` means the provider's API.
        if (rule.operation === '*' && operation === WEBHOOK_OPERATION) return false;
        if (rule.link !== undefined && !names.includes(rule.link)) return false;
        if (rule.count !== undefined && rule.fired >= rule.count) return false;
        if (rule.rate !== undefined && rule.draw() >= rule.rate) return false;
        rule.fired++;
        return true;
      });
    },
    hold(rule, operation, names, gone) {
      return new Promise((resolve) => {
        let timer: NodeJS.Timeout | undefined;
        const settle = (goOn: boolean) => {
          clearTimeout(timer);
          held.delete(settle);
          resolve(goOn);
        };
        held.set(settle, { operation, kind: rule.kind, names, since: new Date().toISOString() });
        if (rule.delayMs !== undefined) timer = setTimeout(settle, rule.delayMs, true).unref();
        if (gone?.aborted) settle(true);
        else gone?.addEventListener('abort', () => settle(true), { once: true });
      });
    },
    list: () => ({ faults: rules.map(({ draw, ...rule }) => rule), held: [...held.values()] }),
    close() {
      rules.length = 0;
      release(false);
    },
  };
}

function check(input: unknown, operations: readonly string[]) {
  const known = ['*', WEBHOOK_OPERATION, ...operations];
  const order = fields
    .extend({ operation: z.enum(known, { error: `must be one of ${known.join(', ')}` }) })
    .refine(({ operation, kind }) => operation !== WEBHOOK_OPERATION || WEBHOOK_KINDS.includes(kind), {
      path: ['kind'],
      error: `must be one of ${WEBHOOK_KINDS.join(', ')} for the operation ${WEBHOOK_OPERATION}`,
    })
    .refine(({ operation, kind }) => operation === WEBHOOK_OPERATION || CALL_KINDS.includes(kind), {
      path: ['kind'],
      error: `must be one of ${CALL_KINDS.join(', ')} for an operation of the API`,
    });
  return order.parse(input);
}
