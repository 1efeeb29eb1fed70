/** Verbs that go on after the first answer: `watch` and `open`. */
import { spawn } from 'node:child_process';
import { canonical } from '../../workflows/facts.ts';
import type { Link } from '../../workflows/link.ts';
import { PaymentLinkError, Timeout, Unavailable } from '../errors.ts';
import { pause } from '../reach.ts';
import { line } from './render.ts';
import type { Session } from './session.ts';

const EVERY_MS = 1_000;
const UNSETTLED: readonly string[] = ['creating', 'pending', 'authorized'];

/** Prints the link whenever it changed, until it is settled: with `--json` one object a line. */
export async function watch(
  { links, print, note }: Session,
  reference: string,
  { timeoutSeconds }: { timeoutSeconds?: number },
): Promise<void> {
  const until = timeoutSeconds === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutSeconds * 1_000;
  let shown: Link | undefined;
  let away = false;
  for (;;) {
    try {
      const now = await links.get(reference);
      if (canonical(now) !== canonical(shown)) print(now, line);
      shown = now;
      away = false;
      if (!UNSETTLED.includes(now.status)) return;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      if (!away) note(`perdure: ${error.message}; still watching`);
      away = true;
    }
    if (Date.now() >= until) {
      throw new Timeout(`the link ${reference} is not settled after ${timeoutSeconds} s`, shown);
    }
    await pause(Math.max(0, Math.min(EVERY_MS, until - Date.now())));
  }
}

/** The page could not be shown: nobody to show it to, or nothing to show. */
class NoPage extends PaymentLinkError {
  readonly code = 'no_page';
}

/** Prints the address of the pay page and shows it in the browser, where there is one. */
export async function open({ links, print }: Session, reference: string, { browser }: { browser: boolean }) {
  const { url, status } = await links.get(reference);
  if (url === null) throw new NoPage(`the link ${reference} has no page to pay at (${status})`);
  print({ reference, url, status }, () => url);
  // Only what a browser would open: an address of another kind could start a program.
  if (browser && /^https?:\/\//.test(url)) openInBrowser(url);
}

function openInBrowser(url: string): void {
  const [command, ...args] =
    process.platform === 'darwin'
      ? ['open']
      : process.platform === 'win32'
        ? ['rundll32', 'url.dll,FileProtocolHandler']
        : ['xdg-open'];
  const child = spawn(command!, [...args, url], { stdio: 'ignore', detached: true });
  // Without a browser the printed address has to do.
  child.on('error', () => {});
  child.unref();
}
