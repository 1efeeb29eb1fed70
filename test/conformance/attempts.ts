/** Every call an adapter can make, each ready to be made once on a link of its own. */
import type { Call } from '../../activities/provider.ts';
import type { Terms } from '../../workflows/link.ts';
import { type Bench, follow, type TestLink } from './bench.ts';

export interface Attempt {
  name: string;
  /** Moves money or links; the others only look. */
  writes: boolean;
  prepare(bench: Bench): Promise<Ready>;
}

export interface Ready {
  terms: Terms;
  /** Missing before create. */
  link?: TestLink;
  make(call: Call<unknown>): Promise<unknown>;
}

export function attemptsOf({ abilities, kit }: Bench): Attempt[] {
  const { provider } = kit;
  const { inquire, findByReference, capture, cancel, refund, extend } = abilities;
  const onLink = (
    name: string,
    happens: (bench: Bench, link: TestLink) => Promise<void>,
    make: MakeOnLink,
  ): Attempt => ({
    name,
    writes: name !== 'inquire' && name !== 'findByReference',
    async prepare(bench) {
      const link = await bench.link();
      await happens(bench, link);
      return { terms: link.terms, link, make: (call) => make(bench, link, call) };
    },
  });
  return [
    { name: 'create', writes: true, prepare: prepareCreate },
    ...(findByReference
      ? [
          onLink('findByReference', paid, (bench, { terms }, call) =>
            provider.findByReference!(call, bench.attempt(terms)),
          ),
        ]
      : []),
    ...(inquire ? [onLink('inquire', paid, (_bench, link, call) => link.read(call))] : []),
    ...(capture
      ? [onLink('capture', held, (_bench, link, call) => link.write('capture', link.terms.amount, call))]
      : []),
    ...(cancel ? [onLink('cancel', nothing, (_bench, link, call) => link.write('cancel', undefined, call))] : []),
    ...(cancel && capture
      ? [onLink('cancel of a hold', held, (_bench, link, call) => link.write('cancel', undefined, call))]
      : []),
    ...(refund ? [onLink('refund', paid, (_bench, link, call) => link.write('refund', link.terms.amount, call))] : []),
    ...(extend ? [onLink('extend', expired, extendLink)] : []),
  ];
}

type MakeOnLink = (bench: Bench, link: TestLink, call: Call<unknown>) => Promise<unknown>;

async function prepareCreate(bench: Bench): Promise<Ready> {
  const terms = bench.terms();
  return {
    terms,
    async make(call) {
      const { created, ...answer } = await bench.kit.provider.create(call, bench.attempt(terms));
      follow(bench, terms, created).hear('create', answer);
    },
  };
}

async function nothing(): Promise<void> {}

async function paid(bench: Bench, link: TestLink): Promise<void> {
  await bench.happen(link, 'pay');
  if (bench.abilities.inquire) await link.read();
}

async function held(bench: Bench, link: TestLink): Promise<void> {
  await bench.happen(link, 'authorize');
  if (bench.abilities.inquire) await link.read();
}

async function expired(bench: Bench, link: TestLink): Promise<void> {
  await bench.happen(link, 'expire');
  if (bench.abilities.inquire) await link.read();
}

function extendLink({ kit }: Bench, { terms, created, facts }: TestLink, call: Call<unknown>): Promise<unknown> {
  const key = `payment-link/${terms.reference}:extend:1`;
  const expiresAt = terms.expiresAt + 3_600_000;
  return kit.provider.extend!(call, created, { terms, key, expiresAt, opening: 1, known: facts() });
}
