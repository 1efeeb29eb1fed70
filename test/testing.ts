/**
 * `perdure/testing`: the conformance kit, and what a provider, its sandbox and its kit are written with outside this
 * repository. Needs vitest and fast-check beside it.
 */
export { evidenceOf, isSafeUrl, jsonNumber, minorOf, shaped, wordOf } from '../activities/answers.ts';
export { createHttp, type Http, type HttpAnswer, type HttpRequest } from '../activities/http.ts';
export { baseUrl, credential, headerName, optionPointer, optionProblemsBy, timeZone } from '../activities/options.ts';
export {
  type Answer,
  type Call,
  type DocumentedError,
  defineProvider,
  NotAuthentic,
  type Problem,
  type Provider,
  ProviderError,
  type ProviderErrorKind,
  type ProviderLink,
  type WebhookNews,
  type WebhookRequest,
  type WriteAnswer,
  type WriteCall,
} from '../activities/provider.ts';
export { verifyHexHmac, verifyRsaSha256 } from '../activities/signatures.ts';
export { answer, type SocketContext } from '../sandbox/broken-answers.ts';
export { createFaults, type Faults } from '../sandbox/faults.ts';
export type { LedgerDraft, LedgerEntry, LedgerKind } from '../sandbox/ledger.ts';
export { display, isCurrency, type Money, toDecimal, toMinor } from '../sandbox/money.ts';
export { type PageView, type PayForm, renderCheckout, renderMissing } from '../sandbox/pay-page.ts';
export {
  type Action,
  type ActionInput,
  type ActionResult,
  type OpenProvider,
  Refused,
  type SandboxProvider,
  type Surroundings,
} from '../sandbox/provider.ts';
export type { Shelf, Store } from '../sandbox/store.ts';
export { createDeliveries, type DeliveryOrder, hmacHex, type Notice, type Subscriber } from '../sandbox/webhooks.ts';
export type { ClosingWord, Facts, Opening, PaymentTotals, Reading } from '../workflows/facts.ts';
export type { Terms } from '../workflows/link.ts';
export { decimal, minorUnits } from '../workflows/money.ts';
export {
  type Bench,
  conformance,
  openBench,
  type ProviderKit,
  type Question,
  questionsFor,
  type WireRow,
} from './conformance.ts';
