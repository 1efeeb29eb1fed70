/** Webhooks that name no open link: what waits, and how it is put away. */
import type { Command } from 'commander';
import { InvalidRequest } from '../errors.ts';
import * as render from './render.ts';
import { wholeNumber } from './requests.ts';
import { type Call, systemUser } from './session.ts';
import { verb } from './verb.ts';

export function addUnmatched(program: Command, { terminal, run }: Call): void {
  const unmatched = verb(program, 'unmatched', 'webhooks that name no open link: list them, or `dismiss` one')
    .option('--account <name>', 'webhooks of this account')
    .option('--limit <count>', 'per page, 1 to 100', wholeNumber)
    .option('--cursor <cursor>', 'of an earlier page')
    .action(async ({ json, ...query }) => {
      await run({ json }, async ({ links, print }) => print(await links.unmatched(query), render.unmatched));
    });

  unmatched
    .command('dismiss <webhook>')
    .description("close one as nobody's, or as seen to; <webhook> is account/id, as the list shows it")
    .requiredOption('--reason <text>', 'for the record')
    .option('--actor <name>', 'who asks', systemUser(terminal.env))
    .action(async (name: string, { reason, actor }: { reason: string; actor: string }) => {
      const webhook = webhookNamed(name);
      // Options that `unmatched` knows too are its own, wherever they stand.
      await run(unmatched.opts(), async ({ links, print }) => {
        await links.dismissUnmatched(webhook, { reason }, { actor });
        print({ ...webhook, dismissed: true }, () => `dismissed ${name}`);
      });
    });
}

function webhookNamed(name: string): { account: string; about: string } {
  const [, account, about] = /^([^/]+)\/(.+)$/.exec(name) ?? [];
  if (account !== undefined && about !== undefined) return { account, about };
  throw new InvalidRequest(422, [
    { pointer: '/webhook', message: 'must be account/id, as `perdure unmatched` shows it' },
  ]);
}
