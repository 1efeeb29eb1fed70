/** Date-times without an offset, as some providers take and send them: they mean something in the account's zone only. */

/** `2026-03-01T14:00:00` for an instant (epoch ms) in an IANA zone; what is finer than a second is cut off. */
export function localTime(at: number, zone: string): string {
  const parts = Object.fromEntries(
    formatOf(zone)
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  );
  const { year, month, day, hour, minute, second } = parts;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}`;
}

/**
 * The instant (epoch ms) of a local date-time in an IANA zone. Of the two instants of an hour that a change of clocks
 * repeats the earlier one; an hour that it leaves out is read as if the clocks had not changed yet.
 *
 * @throws RangeError when the text is no date-time `YYYY-MM-DDTHH:MM:SS`, with or without a fraction.
 */
export function instantOf(local: string, zone: string): number {
  const [, seconds, fraction = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?$/.exec(local) ?? [];
  const asUtc = Date.parse(`${seconds}Z`);
  // The parser takes the 31st of a month of 30 days for the next day.
  if (Number.isNaN(asUtc) || new Date(asUtc).toISOString().slice(0, 19) !== seconds) {
    throw new RangeError(`not a local date-time: ${JSON.stringify(local)}`);
  }
  const offsets = [asUtc - DAY, asUtc + DAY].map((near) => Date.parse(`${localTime(near, zone)}Z`) - near);
  const [before = 0] = offsets;
  const readings = offsets.map((offset) => asUtc - offset).sort((a, b) => a - b);
  const at = readings.find((reading) => localTime(reading, zone) === seconds) ?? asUtc - before;
  return at + Number(fraction.padEnd(3, '0').slice(0, 3));
}

const DAY = 86_400_000;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  const numeric = { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' } as const;
  // `iso8601` and `h23`: the defaults of a locale write other years, and midnight as 24.
  const fresh = new Intl.DateTimeFormat('en', {
    timeZone,
    calendar: 'iso8601',
    hourCycle: 'h23',
    year: 'numeric',
    ...numeric,
  });
  formats.set(timeZone, fresh);
  return fresh;
}
