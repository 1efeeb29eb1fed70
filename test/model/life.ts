import { randomUUID } from 'node:crypto';
import type { PaymentLinks } from '../../client/index.ts';
import { pause } from '../../stack/shop.ts';
import type { Link, LinkOperation, Policies } from '../../workflows/link.ts';
import { workflowIdOf } from '../../workflows/messages.ts';
import { fresh } from '../system/shared.ts';
import type { Shelf } from './merchant.ts';
import { type KindName, type Notice, SECRET, SIGNATURE, sign } from './provider.ts';
import type { Memory, ModelStack } from './stack.ts';
import type { Payment } from './truth.ts';

export const AMOUNT = 10_000;
export const CURRENCY = 'AED';
/** Stands in the request, is repeated by the provider, and belongs nowhere else. */
export const CUSTOMER = { name: 'Canary Person', email: 'canary@person.example', phone: '+971500000017' };

/** Equal webhooks that are delivered at the same time. */
const AT_ONCE = 20;

/** What a link is made with. */
export interface Setting {
  kind: KindName;
  capture: 'automatic' | 'manual';
  /** When the link ends, if somebody may live to see it. */
  expiresInMs?: number;
  policies: Partial<Policies>;
  /** Whether its worker keeps the run between tasks. */
  memory: Memory;
  /** Continue as new after so many events; 0 leaves it to the server. */
  continueAfterEvents: number;
}

export type Verb = 'capture' | 'refund' | 'cancel' | 'resync' | 'accept' | 'acknowledge' | 'extend' | 'mark-paid';

/** Only a person can tell what became of it. */
export const isParked = ({ state, error }: Pick<LinkOperation, 'state' | 'error'>): boolean =>
  state === 'unknown' && error?.message.includes('resolve-unknown') === true;

/** A command as it was sent, so that it can be sent again. */
interface Sent {
  verb: Verb;
  minor: number;
  key: string;
  at: number;
}

/** One link's life: what the merchant, the customer, the provider and passers-by do to it. */
export class Life {
  readonly reference = fresh('model');
  readonly shelf: Shelf;
  readonly links: PaymentLinks;
  readonly sent: Sent[] = [];
  /** What was expected of an answer and did not come. */
  readonly violations: string[] = [];
  /** Commands so far, repeats included. */
  asked = 0;
  /** What came about, for those who count. */
  toldEarly = false;
  raced = false;
  /** Words of the last refusal. */
  lastNo = '';
  repeated = 0;
  readonly found = new Set<'happened' | 'absent'>();
  /** Different webhooks that reached us, told apart by what is signed. */
  readonly heard = new Set<string>();
  private readonly request: Parameters<PaymentLinks['create']>[0];
  private readonly undelivered: string[] = [];
  private last?: string;

  constructor(
    readonly stack: ModelStack,
    readonly setting: Setting,
  ) {
    const { kind, capture, policies, memory, continueAfterEvents, expiresInMs } = setting;
    const account = stack.accounts[kind];
    this.links = stack.links(memory, { continueAfterEvents });
    this.shelf = stack.market.open(this.reference, account);
    this.shelf.tellEarly = async () => {
      this.toldEarly = true;
      await this.tell();
    };
    const expiresAt = expiresInMs === undefined ? {} : { expiresAt: new Date(Date.now() + expiresInMs).toISOString() };
    this.request = {
      ...{ account, reference: this.reference, amount: { minor: AMOUNT, currency: CURRENCY }, policies },
      ...{ customer: CUSTOMER, ...expiresAt, ...(kind === 'full' && { capture }) },
    };
  }

  /** What callers are told; undefined while there is no link. */
  async view(): Promise<Link | undefined> {
    const link = await this.quietly(() => this.links.get(this.reference));
    const most = this.shelf.truth.mostCaptured(CURRENCY);
    this.expect(!link || link.captured <= most, `I2: ${link?.captured} shown, where never more than ${most} was paid`);
    return link;
  }

  async timeline() {
    return this.quietly(() => this.links.timeline(this.reference));
  }

  /** Asks for the link, as often as somebody wants: it is one. */
  async create(): Promise<void> {
    const before = this.shelf.objects.length > 0 ? await this.view() : undefined;
    const made = await this.quietly(() => this.links.create(this.request));
    if (!made || !before?.providerLinkId) return;
    this.expect(made.link.providerLinkId === before.providerLinkId, 'I11: the same request made another link');
    this.expect(!made.created, 'I11: the same request made the link twice');
  }

  /** The same reference with another amount. Free it is only while no link was made. */
  async createAnother(): Promise<void> {
    const { length } = this.shelf.calls;
    if (this.shelf.objects.length === 0) return;
    const other = { ...this.request, amount: { minor: AMOUNT + 1, currency: CURRENCY } };
    const answer = await this.quietly(() => this.links.create(other));
    this.expect(answer === undefined, 'I11: other terms made a link');
    const again = this.shelf.calls.slice(length).some(({ verb }) => verb === 'create');
    this.expect(!again || this.shelf.objects.length <= 1, 'I11: other terms reached the provider');
  }

  pay(minor: number, { hold = false, currency = CURRENCY } = {}): Payment | undefined {
    const { shelf } = this;
    if (shelf.truth.openings.length === 0) return undefined;
    const key = `${shelf.objects[0]}/${shelf.truth.payments.length}`;
    return shelf.happens((truth, now) =>
      truth.pay(key, { minor, currency }, hold && this.setting.kind === 'full', now),
    );
  }

  /** The provider tells what is so now, as often as it likes; `later` keeps the webhook for `deliver`. */
  async tell({ times = 1, later = false, named = true, lies = false } = {}): Promise<void> {
    const { shelf } = this;
    const [id] = shelf.objects;
    if (id === undefined) return;
    const { latest: _, ...facts } = shelf.truth.observe(Date.now());
    // Where the provider can be asked, what a webhook says is not believed, however well it is signed.
    const gossip = { payments: { [`${id}/rumour`]: { [CURRENCY]: { ...RUMOUR, seenAt: Date.now() } } } };
    const notice: Notice = {
      id: randomUUID(),
      ids: [id],
      facts: lies && this.setting.kind !== 'mute' ? gossip : facts,
    };
    this.last = JSON.stringify({ ...notice, ...(named && { reference: this.reference }) });
    if (later) this.undelivered.push(this.last);
    else await this.deliver(this.last, times);
  }

  /** What was kept back, in another order; or the last again. */
  async deliverLate(): Promise<void> {
    for (const body of this.undelivered.splice(0).reverse()) await this.deliver(body, 1);
  }

  async tellAgain(times: number): Promise<void> {
    if (this.last && !this.undelivered.includes(this.last)) await this.deliver(this.last, times);
  }

  private async deliver(body: string, times: number): Promise<void> {
    this.heard.add(body);
    this.repeated = Math.max(this.repeated, times);
    const { shelf, stack } = this;
    const url = shelf.callbackUrl ?? stack.webhookUrl(shelf.account);
    const headers = { [SIGNATURE]: sign(body, SECRET) };
    for (let left = times; left > 0; left -= AT_ONCE) {
      const some = Array.from({ length: Math.min(left, AT_ONCE) }, () => stack.post(url, body, headers));
      const odd = (await Promise.all(some)).find((status) => ![200, 202, 503].includes(status));
      this.expect(odd === undefined, `a signed webhook was answered ${odd}`);
    }
  }

  /** Somebody who is not the provider says that the link is paid; the address with its token may have leaked. */
  async forge(how: 'unsigned' | 'wrong key' | 'other account'): Promise<void> {
    const { shelf, stack, reference } = this;
    const money = { authorized: AMOUNT, captured: AMOUNT, refunded: 0, voided: 0, seenAt: Date.now() };
    const [id = 'nothing'] = shelf.objects;
    const facts = { payments: { [`${id}/forged`]: { [CURRENCY]: money } } };
    const body = JSON.stringify({ id: randomUUID(), reference, ids: [id], facts } satisfies Notice);
    if (how === 'other account') {
      const other = Object.values(stack.accounts).find((account) => account !== shelf.account)!;
      await stack.post(stack.webhookUrl(other), body, { [SIGNATURE]: sign(body, SECRET) });
      return;
    }
    const headers: Record<string, string> =
      how === 'unsigned' ? {} : { [SIGNATURE]: sign(body, 'a secret of somebody else') };
    const status = await stack.post(shelf.callbackUrl ?? stack.webhookUrl(shelf.account), body, headers);
    this.expect(status === 401, `I5: a forged webhook was answered ${status}`);
  }

  async command(verb: Verb, minor = 0): Promise<void> {
    if (verb === 'mark-paid' && (!this.unheard || this.sent.some((sent) => sent.verb === verb))) return;
    const command = { verb, minor, key: `${verb}-${this.sent.length + 1}`, at: Date.now() };
    this.sent.push(command);
    await this.quietly(() => this.send(command));
  }

  /** The same command again, or another under its key. */
  async repeat(other: boolean): Promise<void> {
    const command = this.sent.at(-1);
    if (!command) return;
    if (!other) return void (await this.quietly(() => this.send(command)));
    const known = (await this.view())?.operations.some(({ id }) => id === command.key) ?? false;
    const reason = 'another request';
    const answer = await this.quietly(() => this.send(command, reason));
    this.expect(!known || answer === undefined, `I11: ${command.key} was taken for two requests`);
  }

  private send({ verb, minor, key, at }: Sent, reason = 'model'): Promise<unknown> {
    this.asked += 1;
    const { links, reference } = this;
    const options = { idempotencyKey: key, actor: 'model' };
    const money = { reason, ...(minor > 0 && { amount: { minor, currency: CURRENCY } }) };
    switch (verb) {
      case 'capture':
        return links.capture(reference, money, options);
      case 'refund':
        return links.refund(reference, money, options);
      case 'cancel':
        return links.cancel(reference, { reason }, options);
      case 'resync':
        return links.resync(reference, { reason }, options);
      case 'accept':
        return links.resync(reference, { accept: true, reason }, options);
      case 'acknowledge':
        return links.acknowledge(reference, { exception: 'late_payment', reason }, options);
      case 'extend':
        return links.extend(reference, { expiresAt: new Date(at + 60_000).toISOString(), reason }, options);
      case 'mark-paid': {
        const { key: providerRef, taken } = this.unheard!;
        return links.markPaid(
          reference,
          { amount: { minor: taken, currency: CURRENCY }, providerRef, reason },
          options,
        );
      }
    }
  }

  /** What a person may truthfully vouch for. */
  private get unheard(): Payment | undefined {
    const [first] = this.shelf.truth.payments;
    return first?.currency === CURRENCY && first.taken > 0 ? first : undefined;
  }

  /** A person looks at the provider and says what became of every operation that nobody could find out. */
  async findOut(): Promise<boolean> {
    if (this.shelf.underway > 0) return false;
    const link = await this.view();
    const parked = link?.operations.find(isParked);
    if (!parked) return false;
    const done = parked.kind === 'create' ? this.shelf.objects.length > 0 : this.didHappen(parked.id);
    // Where nothing can be searched for, a webhook has to name it first.
    if (parked.kind === 'create' && done) await this.tell();
    const outcome = done ? 'happened' : 'absent';
    this.found.add(outcome);
    const options = { idempotencyKey: `found-${this.sent.length}-${parked.id.replaceAll(' ', '_')}` };
    await this.quietly(() =>
      this.links.resolveUnknown(this.reference, { operation: parked.id, outcome, reason: 'looked' }, options),
    );
    return true;
  }

  private didHappen(id: string): boolean {
    return this.shelf.calls.some(({ key, effective }) => effective && key.endsWith(`:${id}`));
  }

  /** The button in the Temporal UI. */
  async requestCancellation(): Promise<void> {
    await this.stack.client.workflow
      .getHandle(workflowIdOf(this.reference))
      .cancel()
      .catch(() => {});
  }

  async pastDeadline(): Promise<void> {
    const left = this.shelf.expiresAt - Date.now();
    if (left < 4_000) await pause(Math.max(0, left) + 100);
  }

  expect(holds: boolean, what: string): void {
    if (!holds) this.violations.push(what);
  }

  /** A refusal is an answer. Anything else that is thrown is not. */
  private async quietly<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      this.lastNo = String(error);
      if (!(error instanceof Error && typeof (error as { code?: unknown }).code === 'string')) {
        this.violations.push(`I14: ${error instanceof Error ? error.stack : String(error)}`);
      }
      return undefined;
    }
  }
}

const RUMOUR = { authorized: 7 * AMOUNT, captured: 7 * AMOUNT, refunded: 0, voided: 0 };
