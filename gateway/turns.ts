import { createHash } from 'node:crypto';
import { bucketOf } from '../client/observe.ts';

/** Objects whose last news is remembered; the oldest go first. */
const REMEMBERED = 10_000;
/** So often the news of one object may turn while the server remembers repeats. */
const MOST_TURNS = 20;

interface Last {
  digest: string;
  turn: number;
  bucket: number;
  /** The turn with which the bucket began. */
  since: number;
}

/**
 * Tells news that is back from news that is repeated. Some providers' webhooks say no more than a status, so that a
 * second refund, or a dispute that was won, looks like what was said before something else came: A A is one piece of
 * news, A B A is three. Recorded webhooks can be replayed in turns for ever, so after {@link MOST_TURNS} in ten minutes
 * the number stands still: what was said with it is a repeat, other news is still news by its bytes. Kept in memory, for
 * this process only: what it forgets, the next slow look finds.
 *
 * @returns the number of times that news about `about` differed from the news before it
 */
export function createTurns(): (about: string, body: Uint8Array, at: number) => number {
  const last = new Map<string, Last>();
  return (about, body, at) => {
    const digest = createHash('sha256').update(body).digest('base64');
    const before = last.get(about) ?? { digest, turn: 0, bucket: bucketOf(at), since: 0 };
    const later = bucketOf(at) > before.bucket;
    const { bucket, since } = later ? { bucket: bucketOf(at), since: before.turn } : before;
    const turn = before.digest === digest ? before.turn : Math.min(before.turn + 1, since + MOST_TURNS);
    last.delete(about);
    last.set(about, { digest, turn, bucket, since });
    if (last.size > REMEMBERED) last.delete(last.keys().next().value!);
    return turn;
  };
}
