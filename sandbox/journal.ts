import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** An append-only file of JSON lines. */
export interface Journal {
  /** What the file held when it was opened, in order. */
  records: readonly unknown[];
  /** Resolves once the record is on disk. After a failed write every later append fails too. */
  append(record: unknown): Promise<void>;
  close(): Promise<void>;
}

/** Opens or creates the file. Throws when a line other than the last cannot be read: that is damage, not a torn write. */
export async function openJournal(path: string): Promise<Journal> {
  await mkdir(dirname(path), { recursive: true });
  const { records, intact } = parse(path, await contentOf(path));
  const file = await open(path, 'a');

  let waiting = '';
  let next: Promise<void> | undefined;
  let last: Promise<void> = Promise.resolve();
  // Cut at the first write, not at open: a second process that opens the file and then finds its port taken must leave
  // a line alone which the first is just writing.
  let torn = true;

  async function flush() {
    const text = waiting;
    waiting = '';
    next = undefined;
    if (torn) await file.truncate(intact);
    torn = false;
    await file.appendFile(text);
    await file.datasync();
  }

  return {
    records,
    append(record) {
      waiting += `${JSON.stringify(record)}\n`;
      // Whatever arrives while one flush runs shares the next one: one sync for many requests.
      next ??= last = last.then(flush);
      return next;
    },
    async close() {
      await last.catch(() => {});
      await file.close();
    },
  };
}

/** A journal without a file, for a sandbox that may forget. */
export function memoryJournal(): Journal {
  return { records: [], append: async () => {}, close: async () => {} };
}

async function contentOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

/** Records of all whole lines, and how many bytes they take. Only the last line may be torn. */
function parse(path: string, content: Buffer): { records: unknown[]; intact: number } {
  const records: unknown[] = [];
  let start = 0;
  for (let end = content.indexOf(10); end !== -1; end = content.indexOf(10, start)) {
    try {
      records.push(JSON.parse(content.toString('utf8', start, end)));
    } catch {
      if (end === content.length - 1) break;
      throw new Error(`${path}: line ${records.length + 1} is damaged; remove the file to start the sandbox empty`);
    }
    start = end + 1;
  }
  return { records, intact: start };
}
