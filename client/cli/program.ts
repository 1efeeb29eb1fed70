/** The `perdure` command: the verbs of {@link PaymentLinks}, for people and scripts. */
import { Command, CommanderError } from 'commander';
import { InvalidRequest } from '../errors.ts';
import { addCommands } from './commands.ts';
import * as render from './render.ts';
import { type CreateFlags, createBody, keyValue, wholeNumber } from './requests.ts';
import { type Call, EXIT, openCall, report, type Terminal } from './session.ts';
import { addUnmatched } from './unmatched.ts';
import { verb } from './verb.ts';

const HELP = `
Examples:
  perdure create --account paymennt --reference INV-1 --amount 10.50 --currency AED
  perdure watch INV-1
  perdure refund INV-1 --amount 2.50 --reason "one item missing"
  perdure list --status paid --json

Temporal is found as its own tools find it: TEMPORAL_ADDRESS (127.0.0.1:7233), TEMPORAL_NAMESPACE (default),
TEMPORAL_API_KEY, TEMPORAL_TLS…

Exit codes: 0 done, 1 refused, not found or unavailable, 2 wrong usage.`;

/** Runs one command line, without the program's name; resolves with the exit code. */
export async function perdure(args: readonly string[], terminal: Terminal): Promise<number> {
  const call = openCall(terminal);
  try {
    await programFor(call).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof InvalidRequest) report(call, error, args.includes('--json'));
    // Commander has printed what is wrong, or the help that was asked for.
    else if (error instanceof CommanderError) call.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    else throw error;
  }
  return call.exitCode;
}

function programFor(call: Call): Command {
  const { out, err } = call.terminal;
  const withoutBreak = (text: string) => text.replace(/\n$/, '');
  // Settings are handed down to the verbs, so they come first.
  const program = new Command('perdure')
    .description('Payment links that live until no money can move on them any more.')
    .usage('<verb> [reference] [options]')
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .configureOutput({ writeOut: (text) => out(withoutBreak(text)), writeErr: (text) => err(withoutBreak(text)) })
    .showHelpAfterError('(perdure --help lists the verbs)')
    .addHelpText('after', HELP)
    .exitOverride();
  addLinks(program.commandsGroup('Links:'), call);
  addCommands(program.commandsGroup('Commands on a link:'), call);
  addUnmatched(program.commandsGroup('Operations:'), call);
  addDoctor(program, call);
  return program;
}

function addLinks(program: Command, { terminal, run }: Call): void {
  verb(program, 'create', 'make a link, or show the one that the same request made before')
    .option('--file <path>', 'request body as JSON, - for standard input; flags win over it')
    .option('--account <name>', 'the account to be paid')
    .option('--reference <text>', 'your reference, such as an invoice number')
    .option('--amount <decimal>', 'what is to be paid, such as 10.50')
    .option('--currency <code>', 'ISO 4217, such as AED')
    .option('--expires-at <instant>', 'RFC 3339 with an offset')
    .option('--capture <how>', 'automatic or manual')
    .option('--description <text>', 'what it is for')
    .option('--name <text>', "the customer's name")
    .option('--email <address>', "the customer's e-mail address")
    .option('--phone <digits>', "the customer's phone number")
    .option('--metadata <key=value>', 'kept with the link; may be given several times', keyValue)
    .option('--redirect-url <url>', 'where the customer goes after paying')
    .option('--order <text>', 'the debt, where several links may pay it: the first that is paid wins')
    .action(async ({ json, ...flags }: CreateFlags & { json?: boolean }) => {
      const [{ parse }, { createRequest }] = await Promise.all([
        import('../requests.ts'),
        import('../../workflows/schema.ts'),
      ]);
      // Before anything is connected: what is wrong with the request is wrong without Temporal, too.
      const body = parse(createRequest, createBody(flags, terminal));
      await run({ json }, async ({ links, print }) => print(await links.create(body), render.created));
    });

  verb(program, 'get <reference>', 'show a link').action(async (reference: string, flags) => {
    await run(flags, async ({ links, print }) => print(await links.get(reference), render.link));
  });

  verb(program, 'list', 'find links')
    .option('--status <word>', 'such as pending or paid')
    .option('--account <name>', 'links of this account')
    .option('--exception <word>', 'such as late_payment')
    .option('--limit <count>', 'per page, 1 to 100', wholeNumber)
    .option('--cursor <cursor>', 'of an earlier page')
    .action(async ({ json, ...query }) => {
      await run({ json }, async ({ links, print }) => print(await links.list(query), render.page));
    });

  verb(program, 'timeline <reference>', 'show what happened to a link').action(async (reference: string, flags) => {
    await run(flags, async ({ links, print }) =>
      print({ items: await links.timeline(reference) }, ({ items }) => render.timeline(items)),
    );
  });

  verb(program, 'watch <reference>', 'show a link whenever it changes, until it is settled')
    .option('--timeout <seconds>', 'give up after this long', wholeNumber)
    .action(async (reference: string, flags: { json?: boolean; timeout?: number }) => {
      await run(flags, async (session) => {
        const { watch } = await import('./follow.ts');
        await watch(session, reference, { timeoutSeconds: flags.timeout });
      });
    });

  verb(program, 'open <reference>', 'print the address of the pay page and show it in the browser')
    .option('--no-browser', 'only print it')
    .action(async (reference: string, flags: { json?: boolean; browser: boolean }) => {
      await run(flags, async (session) => {
        const { open } = await import('./follow.ts');
        await open(session, reference, { browser: flags.browser && !flags.json });
      });
    });
}

function addDoctor(program: Command, call: Call): void {
  verb(program, 'doctor', 'check the Temporal server, its namespace, and that workers are there').action(
    async (flags) => {
      await call.run(flags, async ({ client, env, print }) => {
        const doctor = await import('./doctor.ts');
        const diagnosis = await doctor.diagnose(client, env);
        print(diagnosis, doctor.report);
        if (!diagnosis.ok) call.exitCode = EXIT.refused;
      });
    },
  );
}
