import { defineSearchAttributeKey } from '@temporalio/common';

/**
 * Search attributes of a payment link, as operators filter by them in the Temporal UI. Values stay in clear text on
 * the server, so nothing personal goes here.
 */
export const linkStatus = defineSearchAttributeKey('LinkStatus', 'KEYWORD');
export const linkAccount = defineSearchAttributeKey('LinkAccount', 'KEYWORD');
/** Every id a provider's webhook may name the link by. */
export const linkProviderId = defineSearchAttributeKey('LinkProviderId', 'KEYWORD_LIST');
export const linkExceptions = defineSearchAttributeKey('LinkExceptions', 'KEYWORD_LIST');
/** The next instant at which the link acts by itself. */
export const linkDeadline = defineSearchAttributeKey('LinkDeadline', 'DATETIME');

/** Name → type, for registration at setup and for the check at boot. */
export const SEARCH_ATTRIBUTES: Readonly<Record<string, 'KEYWORD' | 'KEYWORD_LIST' | 'DATETIME'>> = Object.fromEntries(
  [linkStatus, linkAccount, linkProviderId, linkExceptions, linkDeadline].map((key) => [key.name, key.type]),
);
