// Numbers, times and sizes as people read them.

const NUMBER = new Intl.NumberFormat("en-GB");
const pad = (number, width = 2) => String(number).padStart(width, "0");

export const count = (number) => NUMBER.format(number ?? 0);

/** "1 event", "2 events". */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** The time of day on this machine, with milliseconds. */
export function clock(ms) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "–";
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

export function moment(ms) {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "no time that could be read" : date.toISOString().replace("T", " ").replace("Z", " UTC");
}

const SPANS = [[86_400_000, "day"], [3_600_000, "hour"], [60_000, "minute"], [1_000, "second"]];

/** "3 minutes before it was received"; nothing below a second. */
export function apart(happened, received) {
  const distance = received - happened;
  const span = SPANS.find(([size]) => Math.abs(distance) >= size);
  if (!span) return "";
  const told = counted(Math.floor(Math.abs(distance) / span[0]), span[1]);
  return distance > 0 ? `${told} before it was received` : `${told} after it was received`;
}

export function bytes(number) {
  if (number < 1_024) return counted(number, "byte");
  const [size, unit] = number < 1_048_576 ? [1_024, "KiB"] : [1_048_576, "MiB"];
  return `${(number / size).toFixed(1)} ${unit}`;
}

export const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** An amount in the smallest unit of a currency that nobody names. */
export const money = (cents) => (cents / 100).toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const decimal = (number) => number.toLocaleString("en-GB", { maximumFractionDigits: 3 });
