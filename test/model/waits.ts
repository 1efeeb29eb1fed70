/** What a step waits for, within limits: what does not come is not the step's matter. */
import { pause } from '../../stack/shop.ts';
import type { LinkOperation } from '../../workflows/link.ts';
import { CURRENCY, isParked, type Life } from './life.ts';

/** Seldom enough for a worker that replays the run for each answer. */
async function until<T>(look: () => Promise<T>, holds: (seen: T) => boolean, timeoutMs: number): Promise<void> {
  for (const end = Date.now() + timeoutMs; !holds(await look()) && Date.now() < end; ) await pause(250);
}

/** The link is there, or will not come by itself. */
export async function made(life: Life): Promise<void> {
  const isMade = () => life.shelf.truth.openings.length > 0;
  if (isMade()) return;
  const waits = (operation: LinkOperation) =>
    isUnderWay(operation) || (operation.state === 'unknown' && !isParked(operation));
  await until(
    () => life.view(),
    (link) => isMade() || !link?.operations.some(waits),
    4_000,
  );
}

/** The link shows the money that is there, and nothing is under way. */
export async function seen(life: Life): Promise<void> {
  await until(
    () => life.view(),
    (link) => {
      const { captured, refunded, held } = life.shelf.truth.sums(CURRENCY);
      const same = link?.captured === captured && link.refunded === refunded;
      return same && (link.status === 'authorized') === held > 0 && !link.operations.some(isUnderWay);
    },
    6_000,
  );
}

/** Nothing is held any more. */
export async function lapsed({ shelf }: Life): Promise<void> {
  const held = async () => shelf.truth.sums(CURRENCY).held;
  await until(held, (sum) => sum === 0, 12_000);
}

const isUnderWay = ({ state }: LinkOperation) => state === 'queued' || state === 'running';
