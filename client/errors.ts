import type { Link } from '../workflows/link.ts';
import type { Refusal } from '../workflows/messages.ts';

/** Anything a caller of this client can be told; `code` is stable and equals the `code` of the REST API. */
export abstract class PaymentLinkError extends Error {
  abstract readonly code: string;
  override get name(): string {
    return this.constructor.name;
  }
}

/** One thing wrong with a request. */
export interface FieldError {
  /** JSON pointer into the body, such as `/amount/minor`; empty for the body itself. */
  pointer: string;
  message: string;
  code?: string;
}

/**
 * The request was not understood (400: wrong type, missing or unknown field, fractional minor units) or asks for
 * something that cannot be (422). Every problem is listed; nothing was sent anywhere.
 */
export class InvalidRequest extends PaymentLinkError {
  readonly code: 'invalid_request' | 'not_supported';
  constructor(
    readonly status: 400 | 422,
    readonly errors: FieldError[],
  ) {
    super(errors.map(({ pointer, message }) => `${pointer || 'the body'}: ${message}`).join('; '));
    const unsupported = status === 422 && errors.every((error) => error.code === 'not_supported');
    this.code = unsupported ? 'not_supported' : 'invalid_request';
  }
}

/** Nothing has this name: no link this reference, unless the message speaks of something else. */
export class NotFound extends PaymentLinkError {
  readonly code = 'not_found';
  constructor(
    readonly reference: string,
    message = `there is no payment link with the reference ${JSON.stringify(reference)}`,
  ) {
    super(message);
  }
}

/** The reference belongs to a link with other terms, or to one that was stopped by an operator. */
export class ReferenceConflict extends PaymentLinkError {
  readonly code = 'reference_conflict';
}

/** The provider understood and said no; nothing happened there. */
export class ProviderRefused extends PaymentLinkError {
  readonly code = 'provider_refused';
  constructor(
    /** The adapter's word, such as `amount_too_low`. */
    readonly providerCode: string,
    readonly providerMessage: string,
  ) {
    super(`the provider refused (${providerCode}): ${providerMessage}`);
  }
}

/** The link is not in a state for this; `allowed` are the commands that would be accepted now. */
export class NotAllowed extends PaymentLinkError {
  readonly code = 'not_allowed';
  constructor(
    message: string,
    readonly allowed: readonly string[],
  ) {
    super(message);
  }
}

/** The idempotency key was used before, with another command or body. */
export class IdempotencyConflict extends PaymentLinkError {
  readonly code = 'idempotency_conflict';
}

/** More than can be captured or refunded, or in another currency than the link's. */
export class AmountOutOfRange extends PaymentLinkError {
  readonly code = 'amount_out_of_range';
  readonly errors: FieldError[] = [{ pointer: '/amount', message: this.message }];
}

/** The link's provider cannot do this, such as a partial capture where only the whole can be captured. */
export class NotSupported extends PaymentLinkError {
  readonly code = 'not_supported';
}

/** Another link of the order has won: no more money is taken for it. */
export class OrderAlreadyPaid extends PaymentLinkError {
  readonly code = 'order_already_paid';
}

/** Temporal or a worker did not answer in time. The same call again is safe. `cause` has the technical reason. */
export class Unavailable extends PaymentLinkError {
  readonly code = 'unavailable';
}

/** {@link PaymentLinks.settled} waited as long as it was asked to; `link` is what it saw last. */
export class Timeout extends PaymentLinkError {
  readonly code = 'timeout';
  constructor(
    message: string,
    readonly link?: Link,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The typed error for what the workflow refused. */
export function refusedBy(refusal: Refusal): PaymentLinkError {
  const { code, message } = refusal;
  switch (code) {
    case 'reference_conflict':
      return new ReferenceConflict(message);
    case 'order_already_paid':
      return new OrderAlreadyPaid(message);
    case 'create_refused':
      // Refused before the provider was asked.
      if (refusal.cause?.code === 'order_already_paid') return new OrderAlreadyPaid(refusal.cause.message);
      if (refusal.cause?.code === 'not_allowed') return new NotAllowed(refusal.cause.message, []);
      return new ProviderRefused(refusal.cause?.code ?? 'refused', refusal.cause?.message ?? message);
    case 'not_allowed':
      return new NotAllowed(message, refusal.allowed ?? []);
    case 'idempotency_conflict':
      return new IdempotencyConflict(message);
    case 'amount_out_of_range':
      return new AmountOutOfRange(message);
    case 'not_supported':
      return new NotSupported(message);
  }
}
