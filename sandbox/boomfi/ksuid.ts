import { randomBytes } from 'node:crypto';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** KSUIDs count seconds from May 2014. */
const EPOCH_SECONDS = 1_400_000_000;
const LENGTH = 27;

/** A new id as BoomFi writes them: 4 bytes of seconds and 16 of chance in 27 base-62 digits. */
export function ksuid(at: number = Date.now()): string {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32BE(Math.floor(at / 1000) - EPOCH_SECONDS);
  randomBytes(16).copy(bytes, 4);
  let rest = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (let digit = 0; digit < LENGTH; digit += 1) {
    text = DIGITS[Number(rest % 62n)] + text;
    rest /= 62n;
  }
  return text;
}
