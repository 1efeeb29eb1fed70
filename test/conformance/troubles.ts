/** Everything that can happen to a call on its way, by a name for the report. */
import type { Trouble, Wire } from './wire.ts';

type Answer = Trouble['answer'];

const json = { 'content-type': 'application/json' };
/** An adapter reads at most a megabyte. */
const TOO_LARGE = JSON.stringify({ id: 'x'.repeat(1_200_000) });
/** Allowed, and slow to search for whoever is not careful. */
const LONG_WORD = 'x'.repeat(900_000);

const answers = (elsewhere: string): Record<string, Answer> => ({
  'a reset': (response) => response.socket?.resetAndDestroy(),
  'an orderly end without an answer': (response) => response.socket?.end(),
  'silence until the timeout': () => {},
  'a 500': (response) => response.writeHead(500, json).end('{"error":"Internal server error"}'),
  'a 502 page of a proxy': (response) =>
    response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>'),
  'a 504 without a body': (response) => response.writeHead(504).end(),
  'an HTML page with 200': (response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><h1>Just a moment</h1>'),
  'an empty 200': (response) => response.writeHead(200, json).end(),
  'an empty 204': (response) => response.writeHead(204).end(),
  'an empty object': (response) => response.writeHead(200, json).end('{}'),
  'a list': (response) => response.writeHead(200, json).end('[]'),
  null: (response) => response.writeHead(200, json).end('null'),
  'a 200 that is no JSON': (response) => response.writeHead(200, json).end('{"id":'),
  'a truncated answer': (response, real) => {
    const text = real?.text ?? '{"success":true,"data":{"id":"1"}}';
    response.writeHead(200, { ...json, 'content-length': String(Buffer.byteLength(text)) });
    response.write(text.slice(0, text.length / 2), () => response.destroy());
  },
  'JSON under another content type': (response, real) =>
    response.writeHead(200, { 'content-type': 'text/plain' }).end(real?.text ?? '{}'),
  'more than a megabyte': (response) => response.writeHead(200, json).end(TOO_LARGE),
  'a page of one long word': (response) => response.writeHead(200, { 'content-type': 'text/html' }).end(LONG_WORD),
  'a redirect': (response) => response.writeHead(302, { location: elsewhere }).end(),
  'a redirect that keeps the method': (response) => response.writeHead(307, { location: elsewhere }).end(),
});

export interface NamedTrouble extends Trouble {
  name: string;
}

/** Before the provider got the request an answer is only noise, and these stand for all of it. */
const NOISE = /^(a reset|silence|a 500|an HTML page|an empty 200|a truncated|a redirect that)/;

/** Each of them after the provider acted, and those that differ before it got the request. */
export function troubles({ elsewhere }: Wire): NamedTrouble[] {
  return Object.entries(answers(elsewhere)).flatMap(([name, answer]) => [
    ...(NOISE.test(name) ? [{ name: `${name}, nothing sent on`, reaches: false, answer }] : []),
    { name: `${name}, after the provider acted`, reaches: true, answer },
  ]);
}

/** Every form of `Retry-After` that servers send, sense and nonsense. */
export const RETRY_AFTER: readonly (string | undefined)[] = [
  undefined,
  '7',
  '0',
  '-5',
  '999999999999',
  '1.5',
  'soon',
  '',
  new Date(Date.now() + 60_000).toUTCString(),
  new Date(Date.now() - 60_000).toUTCString(),
  'Fri, 31 Dec 9999 23:59:59 GMT',
];
