import { describe, expect, it } from 'vitest';
import { instantOf, localTime } from '../activities/zoned-time.ts';

describe('local time', () => {
  it.each([
    ['2026-03-01T12:00:00Z', 'Africa/Cairo', '2026-03-01T14:00:00'],
    ['2026-07-01T21:59:59.999Z', 'Africa/Cairo', '2026-07-02T00:59:59'],
    ['2026-01-01T22:00:00Z', 'Africa/Cairo', '2026-01-02T00:00:00'],
    ['2026-12-31T20:30:00Z', 'Asia/Kolkata', '2027-01-01T02:00:00'],
    ['2026-02-28T21:00:00Z', 'Africa/Addis_Ababa', '2026-03-01T00:00:00'],
    ['2026-06-01T12:00:00Z', 'UTC', '2026-06-01T12:00:00'],
    ['1969-12-31T23:59:59Z', 'UTC', '1969-12-31T23:59:59'],
  ])('%s is, in %s, %s', (instant, zone, local) => {
    expect(localTime(Date.parse(instant), zone)).toBe(local);
    expect(instantOf(local, zone)).toBe(Math.floor(Date.parse(instant) / 1000) * 1000);
  });

  it('keeps the fraction of a second it reads', () => {
    expect(instantOf('2026-01-17T20:12:52.282814', 'Africa/Cairo')).toBe(Date.parse('2026-01-17T18:12:52.282Z'));
    expect(instantOf('2026-01-17T20:12:52.5', 'Africa/Cairo')).toBe(Date.parse('2026-01-17T18:12:52.500Z'));
  });

  it('takes the first of an hour that comes twice, and moves on one that is left out', () => {
    // Egypt, 2026: clocks go forward on 24 April at 00:00 and back on 29 October at 24:00.
    const [first, second] = ['2026-10-29T20:30:00Z', '2026-10-29T21:30:00Z'].map(Date.parse);
    expect([first, second].map((at) => localTime(at!, 'Africa/Cairo'))).toEqual(Array(2).fill('2026-10-29T23:30:00'));
    expect(instantOf('2026-10-29T23:30:00', 'Africa/Cairo')).toBe(first);
    expect(localTime(instantOf('2026-04-24T00:30:00', 'Africa/Cairo'), 'Africa/Cairo')).toBe('2026-04-24T01:30:00');
  });

  it('agrees with itself at every hour of the months of change, apart from the one that comes twice', () => {
    const hoursFrom = (day: string) => Array.from({ length: 720 }, (_, hour) => Date.parse(day) + hour * 3_600_000);
    const hours = [...hoursFrom('2026-04-01T00:00:00Z'), ...hoursFrom('2026-10-02T00:00:00Z')];
    const off = hours.filter((at) => instantOf(localTime(at, 'Africa/Cairo'), 'Africa/Cairo') !== at);
    expect(off.map((at) => new Date(at).toISOString())).toEqual(['2026-10-29T21:00:00.000Z']);
  });

  it.each(['', 'soon', '2026-04-31T00:00:00', '2026-01-01T25:00:00', '2026-01-01T00:00:00Z', '2026-01-01 00:00:00'])(
    'cannot read %j',
    (text) => {
      expect(() => instantOf(text, 'Africa/Cairo')).toThrow(RangeError);
    },
  );
});
