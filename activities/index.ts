import { activityInfo } from '@temporalio/activity';
import type { ApplicationFailure } from '@temporalio/common';
import { type Facts, isNews, join } from '../workflows/facts.ts';
import type { Abilities, Terms, WriteKind } from '../workflows/link.ts';
import type {
  CreateAttempt,
  CreateResult,
  Extension,
  Lost,
  Observation,
  Ports,
  Read,
  Searched,
  Watch,
  Write,
  WriteResult,
} from '../workflows/ports.ts';
import type { Account, Accounts } from './accounts.ts';
import { evidenceOf } from './answers.ts';
import { delayUntilNextLook, readable } from './cadence.ts';
import { type Attempt, failureOf, nothingNew, refusal, type Use } from './failures.ts';
import { createHttp, type Http } from './http.ts';
import { coversPayments, isPaid, moved, reached, readAnew } from './moves.ts';
import {
  type Answer,
  type Call,
  type OptionalVerb,
  type Provider,
  ProviderError,
  type ProviderLink,
} from './provider.ts';
import { type Callbacks, callbackUrl } from './tokens.ts';

export interface Deps {
  http: Http;
  /** Where providers that take an address per link send its webhooks; none is given to them when left out. */
  callbacks?: Callbacks;
  /** What the link knows by now, which may be more than a watch was started with. */
  knownNow?(reference: string): Promise<Facts>;
  /** Epoch milliseconds. */
  now(): number;
  /** In [0, 1). */
  random(): number;
}

/** What the provider of one account can be asked, for one link. */
interface Desk {
  account: Account;
  provider: Provider;
  call: Call<unknown>;
  attempt: Attempt;
}

/**
 * The Temporal activities: every word with a provider. They keep no state and heed no cancellation: a call that moves
 * money is waited for, whatever becomes of its caller.
 */
export function createActivities(accounts: Accounts, deps: Partial<Deps> = {}): Ports {
  const { http = createHttp(), now = Date.now, random = Math.random, callbacks, knownNow } = deps;

  function deskOf(verb: string, { account: name, reference, customer }: Terms): Desk {
    const account = accounts.get(name);
    if (!account) {
      const attempt = { verb, reference, provider: `account ${name}` };
      throw refusal(attempt, 'unknown_account', `the account ${name} is not in the accounts file`);
    }
    const { provider, config } = account;
    return {
      account,
      provider,
      call: { config, http, now },
      attempt: { verb, reference, provider: provider.name, customer },
    };
  }

  async function ask<T>(desk: Desk, use: Use, question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      throw failureOf(error, use, desk.attempt, waitOf(error));
    }
  }

  /** The provider's own wait, a little spread: links that were turned away together should not come back together. */
  function waitOf(error: unknown): number | undefined {
    const wait = error instanceof ProviderError ? error.retryAfterMs : undefined;
    return wait === undefined ? undefined : Math.round(wait * (1 + random() * 0.2));
  }

  const callbackFor = ({ account, reference }: Terms) => callbacks && callbackUrl(callbacks, account, reference);

  async function make({ terms, key, since, again }: CreateAttempt): Promise<CreateResult> {
    const desk = deskOf('create', terms);
    const { account, provider, call, attempt } = desk;
    attempt.lost = lostAt(desk);
    const asked = withExpiry(terms, since, account);
    const [problem, ...others] = provider.accepts(asked, account.config, now());
    if (problem) {
      const told = [problem, ...others].map(({ pointer, message }) => `${pointer} ${message}`).join('; ');
      throw refusal(attempt, problem.code, told);
    }
    const answer = await ask(desk, 'write', () =>
      provider.create(call, { terms: asked, key, callbackUrl: callbackFor(terms), again }),
    );
    return createdBy(desk, terms, answer);
  }

  async function find({ terms, key, since, ids = [] }: CreateAttempt): Promise<Searched> {
    const desk = deskOf('find', terms);
    const { account, provider, call } = desk;
    const lost = lostAt(desk);
    const attempt = { terms: withExpiry(terms, since, account), key, since, ids, callbackUrl: callbackFor(terms) };
    const answer = await ask(desk, 'read', async () => {
      if (lost.search === 'reference') return provider.findByReference?.(call, attempt);
      return lost.search === 'ids' ? provider.findByIds?.(call, attempt) : undefined;
    });
    return { ...lost, ...(answer && { found: createdBy(desk, terms, answer) }) };
  }

  async function inquire({ terms, created, known, ids }: Read): Promise<Observation> {
    const desk = deskOf('read', terms);
    return observation(await ask(desk, 'read', () => read(desk, created, { terms, known, ids })));
  }

  async function watch({ terms, created, known, lastNewsAt, cadence }: Watch): Promise<Observation> {
    const desk = deskOf('watch', terms);
    const { provider, attempt } = desk;
    const seldom = { lastNewsAt: 0, deadline: Number.POSITIVE_INFINITY };
    const pace = isPaid(known) ? seldom : { lastNewsAt, deadline: created.expiresAt };
    const delay = (at = pace) => delayUntilNextLook(cadence, { ...at, now: now() }, random());
    // The first look comes one delay after the last news, not at once: the workflow has only just heard it.
    if (activityInfo().attempt === 1) {
      const first = delay();
      throw nothingNew(
        `${known.latest?.word ?? 'waiting'} at ${provider.name}, first look in ${readable(first)}`,
        first,
      );
    }
    let answer: Answer;
    let told: Facts | undefined;
    try {
      answer = await read(desk, created, { terms, known, ids: [] });
      told = isNews(known, answer.facts) ? await toldMeanwhile(terms.reference) : undefined;
      // Where a read shows the payments it is asked for, one without those would look like a provider that disagrees.
      if (told && !coversPayments(answer.facts, told))
        answer = await read(desk, created, { terms, known: told, ids: [] });
    } catch (error) {
      throw failureOf(error, 'watch', attempt, Math.max(delay(), waitOf(error) ?? 0));
    }
    const news = isNews(known, answer.facts);
    // A webhook or command was faster, and the money is here: all that is left is to look again now and then.
    const rests = news && isPaid(answer.facts) && told !== undefined && !isNews(told, answer.facts);
    if (news && !rests) return observation(answer);
    const next = rests ? delay(seldom) : delay();
    throw nothingNew(
      `${answer.facts.latest?.word ?? 'no news'} at ${provider.name}, next look in ${readable(next)}`,
      next,
    );
  }

  async function extend({ terms, created, key, expiresAt, opening, known }: Extension): Promise<CreateResult> {
    const desk = deskOf('extend', terms);
    const { provider, call } = desk;
    if (!provider.extend) throw cannot(desk);
    const attempt = { terms, key, expiresAt, opening, known };
    const answer = await ask(desk, 'write', async () => provider.extend!(call, created, attempt));
    // What was frozen when the link was made stays: only the provider's link is new.
    return { ...observation(answer), created: { ...created, ...answer.created } };
  }

  /** What the link knows by now; undefined when nobody can say: reporting twice is harmless. */
  async function toldMeanwhile(reference: string): Promise<Facts | undefined> {
    return knownNow && quietly(knownNow(reference));
  }

  async function move(kind: Exclude<WriteKind, 'create'>, write: Write): Promise<WriteResult> {
    const { terms, created, known, key, amount, payment, reason } = write;
    const desk = deskOf(kind, terms);
    const { provider, call } = desk;
    const verb = provider[kind]?.bind(provider);
    if (!verb || !created.abilities[kind]) throw cannot(desk);

    const look = (seen: Facts) => read(desk, created, { terms, known: seen, ids: [] });
    // Frozen with the link: what the account's options say today is for new links.
    const { inquire: canRead } = created.abilities;
    const before = canRead ? await ask(desk, 'before_write', () => look(known)) : undefined;
    const basis = join(known, before?.facts ?? {});
    if (before && moved(known, basis)) return { outcome: 'changed', ...observation(before) };

    try {
      const answer = await verb(call, created, { terms, key, amount, payment, reason, known: basis });
      // What the answer itself does not show is read; the write is done whether or not that works.
      const now = join(basis, answer.facts);
      const after = answer.facts.latest || !canRead ? undefined : await quietly(look(now));
      const shown = after?.facts ?? (answer.facts.latest ? {} : readAnew(basis, now, call.now()));
      const facts = [before?.facts ?? {}, answer.facts, shown].reduce(join, {});
      const evidence = evidenceOf(`${answer.evidence}${after?.evidence ?? ''}`);
      return { outcome: 'done', facts, evidence, providerId: answer.providerId };
    } catch (error) {
      // "Already captured" is no failure when it is: somebody else was faster, the goal is reached.
      if (
        kind !== 'refund' &&
        error instanceof ProviderError &&
        (error.kind === 'refused' || error.kind === 'not_found')
      ) {
        const after = canRead && (await quietly(look(basis)));
        if (after && reached(kind, terms, basis, join(basis, after.facts), amount)) {
          return { outcome: 'done', ...observation(after) };
        }
      }
      throw failureOf(error, 'write', desk.attempt, waitOf(error));
    }
  }

  return {
    create: make,
    find,
    inquire,
    watch,
    extend,
    capture: (write) => move('capture', write),
    cancel: (write) => move('cancel', write),
    refund: (write) => move('refund', write),
  };
}

async function read(
  desk: Desk,
  link: ProviderLink,
  about: { terms: Terms; known: Facts; ids: string[] },
): Promise<Answer> {
  const { provider, call } = desk;
  if (!provider.inquire) throw cannot(desk);
  return provider.inquire(call, link, about);
}

/** The account's default, counted from the link's first try, so that every attempt asks for the same instant. */
function withExpiry(terms: Terms, since: number, { options }: Account): Terms {
  return { ...terms, expiresAt: terms.expiresAt ?? since + options.expirySeconds * 1000 };
}

function createdBy(
  { account, provider }: Desk,
  terms: Terms,
  answer: Answer & { created: ProviderLink },
): CreateResult {
  const { policies, holdWindowSeconds } = account.options;
  const { acceptUnsigned } = provider.traits?.(account.config) ?? {};
  return {
    ...observation(answer),
    created: {
      ...answer.created,
      provider: provider.name,
      abilities: abilitiesOf(provider, account.config),
      policies: { ...policies, ...terms.policies },
      ...(holdWindowSeconds === undefined ? {} : { holdWindowSeconds }),
      ...(acceptUnsigned ? { acceptUnsigned } : {}),
    },
  };
}

/** A verb that is there is the ability, unless the account's options rule it out. */
export function abilitiesOf(provider: Provider, config: unknown): Abilities {
  const { without = [] } = provider.traits?.(config) ?? {};
  const has = (verb: OptionalVerb) => provider[verb] !== undefined && !without.includes(verb);
  const extent = (verb: 'capture' | 'refund') => (has(verb) ? (provider.partial[verb] ? 'partial' : 'full') : false);
  return {
    inquire: has('inquire'),
    findByReference: has('findByReference'),
    capture: extent('capture'),
    cancel: has('cancel'),
    refund: extent('refund'),
    reusable: provider.reusable ?? false,
    extend: has('extend'),
    repeatable: provider.repeatable,
  };
}

/** What can be found out about a create of this account whose answer was lost. */
function lostAt({ account, provider }: Desk): Lost {
  const { findByReference, repeatable } = abilitiesOf(provider, account.config);
  return {
    search: findByReference ? 'reference' : provider.findByIds ? 'ids' : 'none',
    repeatable: repeatable.includes('create'),
    ...(findByReference || provider.lostAdvice === undefined ? {} : { advice: provider.lostAdvice }),
  };
}

function observation({ facts, evidence }: Answer): Observation {
  return { facts, evidence: evidenceOf(evidence) };
}

async function quietly<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch {
    return undefined;
  }
}

function cannot({ attempt }: Desk): ApplicationFailure {
  return refusal(attempt, 'not_supported', `${attempt.provider} cannot ${attempt.verb}`);
}
