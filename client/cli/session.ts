/** One call of the CLI: connects when it has to, prints one answer, ends with one exit code. */
import { userInfo } from 'node:os';
import type { Client } from '@temporalio/client';
import { InvalidRequest, PaymentLinkError } from '../errors.ts';
import type { PaymentLinks } from '../payment-links.ts';

export const EXIT = { ok: 0, refused: 1, usage: 2 } as const;

/** What a call is surrounded by: a process has one, a test may have many. */
export interface Terminal {
  /** Write one answer or message each; they end with a line break that is not part of the text. */
  out(text: string): void;
  err(text: string): void;
  /** All of standard input. */
  stdin(): string;
  env: NodeJS.ProcessEnv;
}

/** What a verb needs of the call it is part of. */
export interface Call {
  terminal: Terminal;
  exitCode: number;
  /**
   * Runs `work` with a connection and closes it afterwards. Failures that a caller can understand become one message
   * on stderr, with `--json` also `{"error": …}` on stdout, and the exit code; anything else is a fault and is thrown.
   */
  run(flags: { json?: boolean }, work: (session: Session) => Promise<void>): Promise<void>;
}

export interface Session {
  links: PaymentLinks;
  client: Client;
  env: NodeJS.ProcessEnv;
  /** Prints a result: as one line of JSON, or as people read it. */
  print<T>(result: T, human: (result: T) => string): void;
  /** Prints for people only, beside the result. */
  note(text: string): void;
}

export function openCall(terminal: Terminal): Call {
  const { env, out, err } = terminal;
  const call: Call = {
    terminal,
    exitCode: EXIT.ok,
    async run({ json = false }, work) {
      let client: Client | undefined;
      try {
        // Temporal takes most of a second to load: `--help` and usage errors do without.
        const [{ connectClient }, { PaymentLinks }] = await Promise.all([
          import('../connect.ts'),
          import('../payment-links.ts'),
        ]);
        client = await connectClient({ env });
        await work({
          links: new PaymentLinks(client),
          client,
          env,
          print: (result, human) => out(json ? JSON.stringify(result) : human(result)),
          note: err,
        });
      } catch (error) {
        report(call, error, json);
      } finally {
        await client?.connection.close();
      }
    },
  };
  return call;
}

/** Says what failed and sets the exit code. @throws what is no failure of the request but a fault of ours */
export function report(call: Call, error: unknown, json: boolean): void {
  if (!(error instanceof PaymentLinkError)) throw error;
  call.exitCode = error instanceof InvalidRequest ? EXIT.usage : EXIT.refused;
  const {
    name: _,
    cause: __,
    stack: ___,
    message,
    code,
    ...details
  } = error as PaymentLinkError & Record<string, unknown>;
  if (json) call.terminal.out(JSON.stringify({ error: { code, message, ...details } }));
  call.terminal.err(`perdure: ${error.message}${reason(error.cause)}`);
}

/** The innermost cause says most: `connect ECONNREFUSED …` rather than that a call failed. */
function reason(cause: unknown): string {
  let innermost = cause;
  while (innermost instanceof Error && innermost.cause) innermost = innermost.cause;
  return innermost instanceof Error ? `\n  because: ${innermost.message}` : '';
}

/** Who asks, for the record. */
export function systemUser(env: NodeJS.ProcessEnv): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a user id that has no name.
    return env.USER ?? 'unknown';
  }
}
