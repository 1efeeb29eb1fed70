import { randomUUID } from 'node:crypto';
import type { Context, Hono } from 'hono';
import type { Entry, Log } from './log.ts';
import { INTERNAL, Problem, problemDocument, problemOf } from './problems.ts';

/** The access log's line, filled in on the way. */
export type AccessEntry = Entry & { requestId: string };

export interface AppEnv {
  Variables: { entry: AccessEntry };
}

/** What both listeners do with every request: an id, a log line, and problem documents for whatever goes wrong. */
export function setUp(app: Hono<AppEnv>, listener: 'api' | 'webhooks', log: Log): void {
  app.use(async (c, next) => {
    const startedAt = performance.now();
    const entry: AccessEntry = { event: 'request', requestId: randomUUID(), listener, method: c.req.method };
    c.set('entry', entry);
    c.header('x-request-id', entry.requestId);
    c.header('x-content-type-options', 'nosniff');
    c.header('cache-control', 'no-store');
    await next();
    const line = { ...c.get('entry'), status: c.res.status, ms: Math.round(performance.now() - startedAt) };
    if (c.res.status >= 500) log.warn(line);
    else log.info(line);
  });
  app.onError((error, c) => {
    const problem = problemOf(error);
    // The cause of an error of ours is for the log only.
    if (!problem) log.error({ event: 'fault', requestId: c.get('entry').requestId, error });
    else if (error.cause) log.warn({ event: 'cause', requestId: c.get('entry').requestId, error: error.cause });
    return answer(c, problem ?? INTERNAL);
  });
  app.notFound((c) => answer(c, new Problem(404, 'not_found', 'There is no such route.')));
}

/** Answers every other method of the paths that have routes; call it after the last route. */
export function refuseOtherMethods(app: Hono<AppEnv>, routes: Iterable<{ path: string; method: string }>): void {
  const methods = new Map<string, string[]>();
  for (const { path, method } of routes) {
    const own = method.toUpperCase() === 'GET' ? ['GET', 'HEAD'] : [method.toUpperCase()];
    methods.set(path, [...(methods.get(path) ?? []), ...own]);
  }
  for (const [path, allowed] of methods) {
    const allow = allowed.join(', ');
    app.all(path, () => {
      throw new Problem(405, 'method_not_allowed', `This route takes ${allow}.`, { headers: { allow } });
    });
  }
}

function answer(c: Context<AppEnv>, problem: Problem): Response {
  c.get('entry').code = problem.code;
  for (const [name, value] of Object.entries(problem.details.headers ?? {})) c.header(name, value);
  c.header('content-type', 'application/problem+json');
  return c.body(JSON.stringify(problemDocument(problem)), problem.status as 400);
}
