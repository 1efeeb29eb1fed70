import { activityInfo } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { nothingNew } from '../activities/failures.ts';
import { findClosed } from '../client/closed.ts';
import { redeliver } from '../client/observe.ts';
import type { MatchPorts } from '../workflows/unmatched.ts';

const QUICK_MS = 60_000;
const DEADLINE_MS = 8_000;

/** Delivers webhooks that named no open link when they came, or finds the link that is over; soon asked again while young, then ever more seldom. */
export function createMatch(client: Client): MatchPorts {
  return {
    async match({ hint, since }) {
      const limits = { deadline: Date.now() + DEADLINE_MS };
      if ((await redeliver(client, hint, limits)) === 'accepted') return undefined;
      const closed = await findClosed(client, hint, activityInfo().workflowExecution?.runId, limits);
      if (closed) return closed;
      const age = Date.now() - since;
      const wait = age < QUICK_MS ? '1s' : age < 10 * QUICK_MS ? '15s' : '1h';
      throw nothingNew(`no open link yet (try ${activityInfo().attempt})`, wait);
    },
  };
}
