/** Date-times without an offset are Egyptian [assumed: timestamps in public examples carry none]. */
const ZONE = 'Africa/Cairo';
/** Cairo in summer and in winter. In the hour that comes twice, the first. */
const OFFSETS = ['+03:00', '+02:00'];

const clock = new Intl.DateTimeFormat('sv-SE', { timeZone: ZONE, dateStyle: 'short', timeStyle: 'medium' });

/** `2026-01-17T20:12:52` */
export function toLocal(at: number): string {
  return clock.format(at).replace(' ', 'T');
}

/** `2026-01-17T20:12:52.282000`, as `created_at` is printed. */
export function toStamp(at: number): string {
  return `${toLocal(at)}.${String(at % 1000).padStart(3, '0')}000`;
}

/** The instant of `YYYY-MM-DDTHH:MM:SS`; undefined when that is no local time. */
export function fromLocal(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(text)) return undefined;
  return OFFSETS.map((offset) => Date.parse(`${text}${offset}`)).find(
    (at) => !Number.isNaN(at) && toLocal(at) === text,
  );
}
