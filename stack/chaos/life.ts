/** One link's life under chaos: the same walks as the demo's, taken by a backend that does not give up. */
import { FORMS, pause, type Shop } from '../shop.ts';
import { orderOf, type Scene } from '../walk.ts';
import type { Backend } from './backend.ts';
import type { LinkScript } from './script.ts';

/** Resolves to whether there was a link to live with. @throws Error naming what did not come about in time */
export async function live(script: LinkScript, shop: Shop, backend: Backend): Promise<boolean> {
  const { reference, walk } = script;
  const { provider } = walk.desk;
  const pauses = script.pausesMs.values();
  const doubled = script.doubled.values();
  const breath = () => pause(pauses.next().value ?? 0);
  let orders = 0;

  const link = await backend.create(reference, () => orderOf(walk, reference), doubled.next().value ?? false);
  if (!link) return false;
  const scene: Scene = {
    shop: { get: backend.get, until: (of, holds) => backend.until(of, 'the next step', holds) },
    link,
    say() {},
    async pays(how = 'good', url = link.url!) {
      await breath();
      return shop.pay(url, FORMS[provider][how]);
    },
    // What passes quickly may have passed before anybody looked.
    reaches: (wanted) =>
      backend.until(reference, wanted, ({ status }) => status === wanted || status === walk.ends.status),
    async orders(verb, body = {}) {
      await breath();
      await backend.order(reference, verb, body, `${verb}-${++orders}`, doubled.next().value ?? false);
    },
    fault: (fault) => shop.control('POST', `/${provider}/faults`, fault),
    async happens(action) {
      await breath();
      return shop.control('POST', `/${provider}/links/${link.providerLinkId}/${action}`, script.webhook);
    },
  };
  await walk.live(scene);
  return true;
}
