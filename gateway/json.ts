import { type FieldProblem, Problem } from './problems.ts';

const MAX_DEPTH = 32;

/**
 * Reads a JSON body as strictly as it is written: UTF-8 only, no duplicate keys (two readers would see two values), no
 * `__proto__`, at most 32 levels.
 * @throws Problem 400 `invalid_json`, naming the place.
 */
export function parseJson(body: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw invalid('The body is not UTF-8 text.');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser's own message quotes the body.
    const place = /at position \d+/.exec((error as Error).message)?.[0];
    throw invalid(`The body is not valid JSON${place ? ` (${place})` : ''}.`);
  }
  const oddity = findOddity(text);
  if (oddity) throw invalid(`${oddity.pointer || 'The body'} ${oddity.message}.`, [oddity]);
  return value;
}

function invalid(message: string, errors?: FieldProblem[]): Problem {
  return new Problem(400, 'invalid_json', message, errors ? { errors } : {});
}

/** A container of the text being walked: keys seen so far, or an element count. */
interface Level {
  keys?: Set<string>;
  step: string | number;
}

/** What `JSON.parse` accepts in silence. Walks text that is known to be JSON, so its grammar is not checked again. */
function findOddity(text: string): FieldProblem | undefined {
  const levels: Level[] = [];
  const pointer = () =>
    levels.map(({ step }) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    const level = levels.at(-1);
    switch (text[at]) {
      case '{':
      case '[': {
        if (levels.length === MAX_DEPTH)
          return { pointer: pointer(), message: `is nested deeper than ${MAX_DEPTH} levels` };
        expectsKey = text[at] === '{';
        levels.push(expectsKey ? { keys: new Set(), step: '' } : { step: 0 });
        break;
      }
      case '}':
      case ']':
        levels.pop();
        expectsKey = false;
        break;
      case ',':
        expectsKey = level?.keys !== undefined;
        if (level && typeof level.step === 'number') level.step++;
        break;
      case '"': {
        const end = endOfString(text, at);
        if (expectsKey && level?.keys) {
          const key = JSON.parse(text.slice(at, end + 1)) as string;
          level.step = key;
          if (key === '__proto__') return { pointer: pointer(), message: 'is not an allowed key' };
          if (level.keys.has(key)) return { pointer: pointer(), message: 'appears twice' };
          level.keys.add(key);
          expectsKey = false;
        }
        at = end;
      }
    }
  }
  return undefined;
}

/** Index of the quote that ends the string begun at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}
