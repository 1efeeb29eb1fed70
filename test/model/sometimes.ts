import type { Lived } from './campaign.ts';
import { AMOUNT } from './life.ts';
import { inputsOf } from './records.ts';

type Sign = (lived: Lived) => boolean;

const told =
  (...words: string[]): Sign =>
  ({ end }) =>
    words.every((word) => end.timeline.some(({ summary }) => summary.includes(word)));

/** Operations whose outcome was unknown for a while, and what was said of them in the end. */
function unknownsOf({ end }: Lived) {
  const lost = new Set(end.timeline.flatMap(({ summary }) => / (.+) unknown: /.exec(summary)?.[1] ?? []));
  const names = [...lost];
  return (end.link?.operations ?? []).filter(({ id }) => names.some((name) => name.includes(id)));
}

const byAPerson = ({ end }: Lived, outcome: string) =>
  end.timeline.some(({ summary, source }) => source === 'perdure' && summary.includes(outcome));

/** What has to have come about in a campaign that says anything about the rest. */
export const SOMETIMES: Readonly<Record<string, Sign>> = {
  'paid late': told('late_payment'),
  'late money given back': told('perdure return of'),
  'paid twice': told('duplicate_payment'),
  'another currency': told('currency_mismatch'),
  'the provider showed less': told('provider_disagrees'),
  disputed: told('disputed'),
  'a webhook before the answer to create': ({ life }) => life.toldEarly,
  'twenty equal webhooks': ({ life }) => life.repeated >= 20,
  'an unknown outcome found out by looking': (lived) =>
    unknownsOf(lived).some(({ state }) => state === 'succeeded') && !told('resolve-unknown')(lived),
  'an unknown outcome tried again under its key': ({ life }) =>
    life.shelf.calls.some((call, at) => life.shelf.calls.findIndex(({ key }) => key === call.key) < at),
  'an unknown outcome that a person found to have happened': (lived) => lived.life.found.has('happened'),
  'an unknown outcome that a person found absent': (lived) =>
    lived.life.found.has('absent') && byAPerson(lived, 'did not happen'),
  'paid before it was cancelled': ({ life, end }) => life.raced && end.link?.captured === AMOUNT,
  'cancelled before it was paid': ({ life, end }) => life.raced && end.link?.status === 'cancelled',
  'closed by the provider': told('→ expired'),
  'closed by us': told('close at deadline'),
  'a hold captured at once': told('capture at once'),
  'a hold released by policy': told('release before lapse'),
  'continued as new': ({ runs }) => runs.length > 1,
  'continued as new with a webhook still to be heeded': (lived) =>
    inputsOf(lived).some(({ state }) => state?.hinted !== undefined),
  'continued as new with an operation under way': (lived) =>
    inputsOf(lived).some(({ state }) => state?.operations.some((op) => op.state === 'queued') ?? false),
};
