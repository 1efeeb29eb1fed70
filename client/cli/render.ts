/** What people read: aligned columns, amounts as decimals with their currency. Plain text, no colours. */
import { exponentOf } from '../../workflows/currencies.ts';
import type { Link, LinkOperation } from '../../workflows/link.ts';
import { decimal } from '../../workflows/money.ts';
import type { Created } from '../create.ts';
import type { LinkPage } from '../list.ts';
import type { TimelineEntry } from '../payment-links.ts';
import type { UnmatchedPage } from '../unmatched.ts';

/** Columns as wide as their widest cell, two spaces apart, no trailing spaces. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, width(cell));
  }
  const padded = (cell: string, column: number) => cell + ' '.repeat(widths[column]! - width(cell));
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n');
}

/** Code points, so that an accent or an arrow does not shift a column. */
const width = (text: string): number => [...text].length;

export const money = (minor: number, currency: string): string =>
  `${decimal(minor, exponentOf(currency) ?? 2)} ${currency}`;

export function link(shown: Link): string {
  const { currency, operations } = shown;
  const rows: [string, string | undefined][] = [
    ['reference', shown.reference],
    ['order', shown.orderReference],
    ['account', shown.provider ? `${shown.account} (${shown.provider})` : shown.account],
    ['status', [shown.status, ...shown.exceptions].join(', ')],
    ['amount', money(shown.amount, currency)],
    ['authorized', shown.authorized > 0 ? money(shown.authorized, currency) : undefined],
    ['captured', shown.captured > 0 ? money(shown.captured, currency) : undefined],
    ['refunded', shown.refunded > 0 ? money(shown.refunded, currency) : undefined],
    ['pay at', shown.url ?? 'not known yet: the provider has not answered'],
    ['created', instant(shown.createdAt)],
    ['expires', shown.expiresAt ? instant(shown.expiresAt) : undefined],
    ['capture before', shown.captureBefore && instant(shown.captureBefore)],
    ['allowed now', shown.allowed.join(', ') || 'nothing'],
  ];
  const facts = table(rows.filter((row): row is [string, string] => row[1] !== undefined));
  if (operations.length === 0) return facts;
  const heads = ['OPERATION', 'STATE', 'AMOUNT', 'BY', 'AT', 'KEY', 'NOTE'];
  return `${facts}\n\n${table([heads, ...operations.map((op) => operationRow(op, currency))])}`;
}

function operationRow(op: LinkOperation, currency: string): string[] {
  const amount = op.amount === undefined ? '' : money(op.amount, currency);
  const note = op.error ? `${op.error.code}: ${op.error.message}` : (op.reason ?? '');
  return [op.kind, op.state, amount, op.actor, instant(op.at), op.id, note];
}

export function created({ link: made, created: fresh }: Created): string {
  return `${fresh ? 'created' : 'this request made this link before'}\n\n${link(made)}`;
}

export function outcome({ link: after, operation }: { link: Link; operation: LinkOperation }): string {
  const amount = operation.amount === undefined ? '' : ` ${money(operation.amount, after.currency)}`;
  return `${operation.kind}${amount} ${operation.state}\n\n${link(after)}`;
}

export function page({ items, nextCursor }: LinkPage): string {
  if (items.length === 0) return 'no links';
  const rows = items.map((item) => [
    item.reference,
    item.account,
    item.status,
    item.exceptions.join(', '),
    item.deadline ? instant(item.deadline) : '',
    instant(item.createdAt),
    item.closedAt ? instant(item.closedAt) : '',
  ]);
  const heads = ['REFERENCE', 'ACCOUNT', 'STATUS', 'EXCEPTIONS', 'ACTS AT', 'CREATED', 'CLOSED'];
  return table([heads, ...rows]) + more(nextCursor);
}

export function unmatched({ items, nextCursor }: UnmatchedPage): string {
  if (items.length === 0) return 'no unmatched webhooks';
  const rows = items.map(({ account, about, ids, since, afterEnd }) => [
    `${account}/${about}`,
    instant(since),
    afterEnd?.reference ?? '',
    [...(afterEnd?.exceptions ?? []), ...(afterEnd?.money ?? []).map(came)].join(', '),
    ids.join(' '),
  ]);
  return table([['WEBHOOK', 'SINCE', 'LINK THAT IS OVER', 'WHAT CAME', 'NAMES'], ...rows]) + more(nextCursor);
}

const came = ({ minor, currency }: { minor: number; currency: string }) => `+${money(minor, currency)}`;

const more = (cursor: string | undefined): string => (cursor ? `\n\nmore: --cursor ${cursor}` : '');

export function timeline(items: readonly TimelineEntry[]): string {
  if (items.length === 0) return 'nothing happened yet';
  const rows = items.map(({ at, kind, source, actor, reason, summary }) => [
    instant(at),
    kind,
    actor && actor !== source ? `${source}, ${actor}` : source,
    reason ? `${summary} (${reason})` : summary,
  ]);
  return table([['AT', 'KIND', 'FROM', 'WHAT'], ...rows]);
}

/** One line for one state of a link. */
export function line(shown: Link): string {
  const { currency, captured, refunded, authorized } = shown;
  const parts = [
    new Date().toISOString().slice(11, 19),
    [shown.status, ...shown.exceptions].join(', '),
    `of ${money(shown.amount, currency)}`,
    authorized > 0 ? `authorized ${money(authorized, currency)}` : '',
    captured > 0 ? `captured ${money(captured, currency)}` : '',
    refunded > 0 ? `refunded ${money(refunded, currency)}` : '',
    ...shown.operations.filter((op) => !op.finishedAt).map((op) => `${op.kind} ${op.state}`),
  ];
  return parts.filter(Boolean).join('  ');
}

/** To the second, in UTC: `2026-03-01 10:00:00Z`. */
const instant = (at: string): string => `${at.slice(0, 10)} ${at.slice(11, 19)}Z`;
