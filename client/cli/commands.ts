/** The verbs that change a link: idempotent by key, recorded with actor and reason. */
import type { Command } from 'commander';
import type { Exception } from '../../workflows/link.ts';
import type { CommandOutcome } from '../../workflows/messages.ts';
import type { CommandOptions } from '../payment-links.ts';
import * as render from './render.ts';
import { moneyOf } from './requests.ts';
import { type Call, type Session, systemUser } from './session.ts';
import { verb } from './verb.ts';

interface Flags {
  json?: boolean;
  key?: string;
  actor: string;
  reason?: string;
}

interface MoneyFlags extends Flags {
  amount?: string;
  currency?: string;
}

/** What a verb asks of the client, once it is connected. */
type Order<F> = (links: Session['links'], reference: string, flags: F, how: CommandOptions) => Promise<CommandOutcome>;

export function addCommands(program: Command, { terminal, run }: Call): void {
  function command<F extends Flags>(name: string, description: string, order: Order<F>): Command {
    return verb(program, `${name} <reference>`, description)
      .option('--reason <text>', 'for the record')
      .option('--key <key>', 'idempotency key: the same key again does nothing twice')
      .option('--actor <name>', 'who asks', systemUser(terminal.env))
      .action(async (reference: string, flags: F) => {
        await run(flags, async ({ links, print }) => {
          const how = { idempotencyKey: flags.key, actor: flags.actor };
          print(await order(links, reference, flags, how), render.outcome);
        });
      });
  }
  const withMoney = (verbs: Command, what: string, required = false) =>
    (required ? verbs.requiredOption('--amount <decimal>', what) : verbs.option('--amount <decimal>', what)).option(
      '--currency <code>',
      "the link's currency, to be sure",
    );

  for (const [kind, description] of [
    ['capture', 'capture what is held, all of it without --amount'],
    ['refund', 'give captured money back, all of it without --amount'],
  ] as const) {
    const order: Order<MoneyFlags & { force?: boolean }> = async (links, reference, flags, how) => {
      const { reason, force } = flags;
      const request = { amount: await amountFor(links, reference, flags), reason };
      return kind === 'capture'
        ? links.capture(reference, request, how)
        : links.refund(reference, { ...request, force }, how);
    };
    const verbs = withMoney(command(kind, description, order), "in the link's currency, such as 2.50");
    if (kind === 'refund') verbs.option('--force', 'although a dispute stands; needs --reason');
  }

  command('cancel', 'close a link, or release what is held', (links, reference, { reason }, how) =>
    links.cancel(reference, { reason }, how),
  );

  command<Flags & { expiresAt: string }>(
    'extend',
    'make a link payable for longer, where its expiry can be moved',
    (links, reference, { expiresAt, reason }, how) => links.extend(reference, { expiresAt, reason }, how),
  ).requiredOption('--expires-at <instant>', 'RFC 3339 with an offset');

  command<Flags & { accept?: boolean }>(
    'resync',
    'read the provider now',
    (links, reference, { accept, reason }, how) => links.resync(reference, { accept, reason }, how),
  ).option('--accept', 'take what the provider shows as true where it is less than was known');

  command<Flags & { exception: Exception }>(
    'acknowledge',
    'say that somebody has seen an exception that stays until then',
    (links, reference, { exception, reason = '' }, how) => links.acknowledge(reference, { exception, reason }, how),
  ).requiredOption('--exception <word>', 'as `get` shows it');

  for (const [kind, method, description] of [
    ['mark-paid', 'markPaid', 'vouch for a payment that the provider cannot be asked about'],
    ['mark-refunded', 'markRefunded', 'state that money was given back by hand, where the provider has no refund'],
  ] as const) {
    const order: Order<MoneyFlags & { providerRef?: string }> = async (links, reference, flags, how) => {
      const { providerRef, reason } = flags;
      // Required by the option: there is an amount.
      const amount = (await amountFor(links, reference, flags))!;
      return links[method](reference, { amount, providerRef, reason }, how);
    };
    withMoney(command(kind, description, order), "in the link's currency, such as 10.50", true).option(
      '--provider-ref <id>',
      'the payment at the provider',
    );
  }

  command<Flags & { operation: string; outcome: 'happened' | 'absent' }>(
    'resolve-unknown',
    'state what became of an operation whose outcome is unknown',
    (links, reference, { operation, outcome, reason }, how) =>
      links.resolveUnknown(reference, { operation, outcome, reason }, how),
  )
    .requiredOption('--operation <key>', 'its key or kind, as `get` shows it')
    .requiredOption('--outcome <word>', 'happened or absent');
}

/** A decimal means something only in a currency: without `--currency` the link's own. */
async function amountFor(links: Session['links'], reference: string, { amount, currency }: MoneyFlags) {
  if (amount === undefined && currency === undefined) return undefined;
  return moneyOf(amount, currency ?? (await links.get(reference)).currency);
}
