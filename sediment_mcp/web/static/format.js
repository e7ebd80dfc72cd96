// Times, counts and names as a person reads them.

const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const minute = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const plain = new Intl.NumberFormat("en");

export const number = (value) => plain.format(value);
export const date = (iso) => day.format(new Date(iso));
export const moment = (iso) => minute.format(new Date(iso));

export function count(value, one, many) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** "3 hours ago", "in 2 days"; the date itself from a month on. */
export function ago(iso) {
  const seconds = (new Date(iso) - Date.now()) / 1000;
  const size = Math.abs(seconds);
  if (size < 45) return "just now";
  if (size < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 86400) return relative.format(Math.round(seconds / 3600), "hour");
  if (size < 30 * 86400) return relative.format(Math.round(seconds / 86400), "day");
  return date(iso);
}

/** The name people use for a project's folder. */
export function projectName(path) {
  return path ? path.split(/[\\/]/).filter(Boolean).pop() || path : "global";
}

/** Whom a memory belongs to: the team, a project, or nobody in particular. */
export function ownerName(memory) {
  return memory.scope === "team" ? "the team" : projectName(memory.project);
}

export const KINDS = { semantic: "fact", episodic: "event", procedural: "how-to", working: "note" };

export function bytes(size) {
  const units = ["bytes", "kB", "MB", "GB"];
  let place = 0;
  while (size >= 1000 && place < units.length - 1) {
    size /= 1000;
    place += 1;
  }
  return `${place === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[place]}`;
}

/** What a date field holds ("2026-05-08T14:30", local time) for a moment, and back. */
export function toField(iso) {
  if (!iso) return "";
  const time = new Date(iso);
  return new Date(time - time.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

export const fromField = (value) => (value ? new Date(value).toISOString() : null);
