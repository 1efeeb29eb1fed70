/** Every route of the API: method, path, who may use it, what it takes and answers. The OpenAPI document is this list. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import * as requests from '../workflows/schema.ts';
import type { Role } from './auth.ts';
import * as answers from './schemas.ts';

/** `role` is what a caller's key must allow; undefined for what everybody may see. */
export type Route = RouteConfig & { role: Role | undefined };

export type CommandRoute<Body> = Route & { body: z.ZodType<Body>; keyRequired: boolean };

const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  description,
  content: { 'application/json': { schema } },
});

const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: answers.problem } },
});

const path = z.object({
  reference: requests.reference.describe('percent-encoded: `INV/2026/001` is `INV%2F2026%2F001`'),
});

const common = {
  400: problem('not JSON, or a field has the wrong type, is missing or unknown; a header is missing'),
  401: problem('no valid API key'),
  403: problem("the key's role is not enough; without keys: not a local caller"),
  413: problem('the body is larger than 256 KB'),
  415: problem('not application/json, or compressed'),
  422: problem('right type, refused value'),
  429: problem('more requests than the API key may send; `Retry-After` says when to come again'),
  503: problem('Temporal or a worker cannot be reached; the same request again is safe'),
};
const { 400: badQuery, 401: noKey, 403: noRole, 429: tooMany, 503: away } = common;
const reading = { 401: noKey, 403: noRole, 429: tooMany, 503: away };
const noLink = problem('no such link, or not one of your accounts');

export const create = route('operate', {
  method: 'post',
  path: '/v1/payment-links',
  summary: 'Create a link, or get the one this body has created before',
  request: { body: { required: true, ...json(requests.createRequest, 'what is to be paid') } },
  responses: {
    200: json(answers.link, 'this body again: the link as it is now'),
    201: json(answers.link, 'created'),
    202: json(answers.link, 'accepted; the provider has not answered yet: `url` is null'),
    409: problem('reference_conflict: the reference belongs to a link with another body; or order_already_paid'),
    ...common,
  },
});

export const list = route('read', {
  method: 'get',
  path: '/v1/payment-links',
  summary: 'Find links; may lag a second behind',
  request: { query: answers.listQuery },
  responses: { 200: json(answers.linkList, 'a page of links'), 400: badQuery, ...reading },
});

export const get = route('read', {
  method: 'get',
  path: '/v1/payment-links/{reference}',
  summary: 'The link as it is now',
  responses: { 200: json(answers.link, 'the link'), 404: noLink, ...reading },
});

export const timeline = route('read', {
  method: 'get',
  path: '/v1/payment-links/{reference}/timeline',
  summary: 'What happened, in order',
  responses: { 200: json(answers.timeline, 'the last 200 items'), 404: noLink, ...reading },
});

export const capture = command('capture', requests.moneyRequest, 'Take what is held', { key: true });
export const refund = command('refund', requests.refundRequest, 'Give money back', { key: true, role: 'refund' });
export const cancel = command('cancel', requests.cancelRequest, 'Close the link and release what is held', {
  key: true,
});
export const resync = command('resync', requests.resyncRequest, 'Read the provider now');
export const resolveUnknown = command(
  'resolve-unknown',
  requests.resolveRequest,
  'State whether an operation with an unknown outcome happened',
);
export const extend = command('extend', requests.extendRequest, 'Make a link payable for longer');
export const acknowledge = command('acknowledge', requests.acknowledgeRequest, 'Put an exception away');
export const markPaid = command('mark-paid', requests.markRequest, 'State a payment the provider cannot show');
export const markRefunded = command('mark-refunded', requests.markRequest, 'State a refund the provider cannot show', {
  role: 'refund',
});

export const unmatched = route('read', {
  method: 'get',
  path: '/v1/unmatched-webhooks',
  summary: 'Webhooks that name no open link: of no link, or news of one that is over',
  request: { query: answers.unmatchedQuery },
  responses: { 200: json(answers.unmatchedList, 'a page of them'), 400: badQuery, ...reading },
});

const kept = z.object({
  account: z.string(),
  about: z.string().describe('percent-encoded: `p/77` is `p%2F77`'),
});

export const dismissUnmatched = route('operate', {
  method: 'post',
  path: '/v1/unmatched-webhooks/{account}/{about}/dismiss',
  summary: "Close one as nobody's, or as seen to",
  request: { params: kept, body: { required: true, ...json(requests.dismissRequest, 'why') } },
  responses: { 200: json(kept, 'closed'), 404: problem('none is open, or not of your accounts'), ...common },
});

export const health = route(undefined, {
  method: 'get',
  path: '/healthz',
  summary: 'The process runs',
  responses: { 200: { description: 'it does' } },
});

export const ready = route(undefined, {
  method: 'get',
  path: '/readyz',
  summary: 'Temporal, a worker and the webhook registrations are there',
  responses: { 200: json(answers.readiness, 'ready'), 503: json(answers.readiness, 'not ready; `checks` says why') },
});

export const openapi = route(undefined, {
  method: 'get',
  path: '/openapi.json',
  summary: 'This document',
  responses: { 200: { description: 'OpenAPI 3.1' } },
});

export const docs = route(undefined, {
  method: 'get',
  path: '/docs',
  summary: 'This document for people',
  responses: { 200: { description: 'HTML' } },
});

/** A POST on one link. With `key` the header Idempotency-Key is required, else it may be left out. */
function command<Body>(
  verb: string,
  body: z.ZodType<Body>,
  summary: string,
  { key = false, role = 'operate' as Role } = {},
): CommandRoute<Body> {
  const idempotencyKey = key ? requests.idempotencyKey : requests.idempotencyKey.optional();
  const definition = route(role, {
    method: 'post',
    path: `/v1/payment-links/{reference}/${verb}`,
    summary,
    request: {
      headers: z.object({ 'idempotency-key': idempotencyKey }),
      body: { required: true, ...json(body, 'an empty object if there is nothing to say') },
    },
    responses: {
      200: json(answers.link, 'done; the link as it is now'),
      202: json(answers.link, 'queued, running, or its outcome is unknown: see `operations`'),
      404: noLink,
      409: problem('not_allowed now (`allowed` says what is), idempotency_conflict, or order_already_paid'),
      ...common,
    },
  });
  return { ...definition, body, keyRequired: key };
}

function route<const Config extends RouteConfig>(role: Role | undefined, config: Config): Route {
  const params = config.path.includes('{reference}') ? { params: path } : {};
  const security = role ? { security: [{ apiKey: [] }] } : {};
  return { role, ...createRoute({ ...config, ...security, request: { ...config.request, ...params } }) };
}
