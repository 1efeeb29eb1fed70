import { createHash } from 'node:crypto';

/** Objects whose last news is remembered; the oldest go first. */
const REMEMBERED = 10_000;

/**
 * Tells news that is back from news that is repeated. Some providers' webhooks say no more than a status, so that a
 * second refund, or a dispute that was won, looks like what was said before something else came: A A is one piece of
 * news, A B A is three. Kept in memory, for this process only: what it forgets, the next slow look finds.
 *
 * @returns the number of times that news about `about` differed from the news before it
 */
export function createTurns(): (about: string, body: Uint8Array) => number {
  const last = new Map<string, { digest: string; turn: number }>();
  return (about, body) => {
    const digest = createHash('sha256').update(body).digest('base64');
    const before = last.get(about);
    const turn = before === undefined ? 0 : before.digest === digest ? before.turn : before.turn + 1;
    last.delete(about);
    last.set(about, { digest, turn });
    if (last.size > REMEMBERED) last.delete(last.keys().next().value!);
    return turn;
  };
}
