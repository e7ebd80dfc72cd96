// What is shown of all memories: kind, project, tags, session, time, history.

import { button, fill, h, shown } from "./dom.js";
import { KINDS, number, projectName } from "./format.js";
import { go } from "./place.js";

const TAGS_SHOWN = 14;
export const FILTERS = ["kind", "tags", "project", "scope", "session", "since", "until", "history", "order"];

/** The part of what is asked that the tools understand. */
export function forTools(asked) {
  const { open, history, since, until, order, ...rest } = asked;
  return {
    ...rest,
    include_superseded: history ? true : undefined,
    since: since ? startOf(since) : undefined,
    until: until ? endOf(until) : undefined,
    order: asked.query ? undefined : order,
  };
}

const startOf = (day) => new Date(`${day}T00:00:00`).toISOString();
const endOf = (day) => new Date(`${day}T23:59:59.999`).toISOString();

export const isFiltered = (asked) => FILTERS.some((name) => name !== "order" && asked[name]);

export function without(asked) {
  return Object.fromEntries(Object.entries(asked).filter(([name]) => !FILTERS.includes(name)));
}

export function filterPanel(place, asked, numbers) {
  const set = (change) => go("memories", { ...asked, open: undefined, ...change });
  fill(
    place,
    isFiltered(asked) ? button("Show all", () => go("memories", without(asked)), { class: "quiet clear" }) : null,
    group("Kind", kinds(asked, numbers, set)),
    numbers?.projects.length ? group("Belongs to", projects(asked, numbers, set)) : null,
    numbers?.tags.length ? group("Tags", tags(asked, numbers, set)) : null,
    group("Session", session(asked, numbers, set)),
    group("Time", times(asked, set)),
  );
}

/** What is filtered by, each with a way to take it off, for where the panel is not in view. */
export function filterChips(asked) {
  const off = (change) => () => go("memories", { ...asked, open: undefined, ...change });
  const chip = (words, change) => button([h("bdi", {}, shown(words)), " ✕"], off(change), { class: "small quiet chip", "aria-label": `Take off: ${shown(words)}` });
  return [
    asked.kind && chip(KINDS[asked.kind] ?? asked.kind, { kind: undefined }),
    asked.scope && chip(projectName(asked.scope === "global" ? null : asked.project), { scope: undefined, project: undefined }),
    ...(asked.tags ?? []).map((name) => chip(name, { tags: asked.tags.filter((other) => other !== name) })),
    asked.session && chip(asked.session, { session: undefined }),
    asked.since && chip(`from ${asked.since}`, { since: undefined }),
    asked.until && chip(`to ${asked.until}`, { until: undefined }),
    asked.history && chip("with history", { history: undefined }),
  ].filter(Boolean);
}

function group(title, ...children) {
  return h("fieldset", { class: "group" }, h("legend", {}, title), ...children);
}

function choice(label, count, isOn, act, extra = null) {
  const amount = count === undefined ? null : h("span", { class: "count" }, number(count));
  return button([extra, h("bdi", { class: "name" }, label), amount], act, { class: "choice", "aria-pressed": isOn });
}

function kinds(asked, numbers, set) {
  return Object.entries(KINDS).map(([kind, word]) =>
    choice(
      word,
      numbers?.kinds[kind] ?? 0,
      asked.kind === kind,
      () => set({ kind: asked.kind === kind ? undefined : kind }),
      h("i", { class: `swatch ${kind}`, "aria-hidden": "true" }),
    ),
  );
}

function projects(asked, numbers, set) {
  return (numbers?.projects ?? []).slice(0, 12).map(({ name, memories }) => {
    const isOn = name ? asked.project === name : asked.scope === "global";
    const chosen = name ? { scope: "project", project: name } : { scope: "global", project: undefined };
    return choice(shown(projectName(name)), memories, isOn, () =>
      set(isOn ? { scope: undefined, project: undefined } : chosen),
    );
  });
}

function tags(asked, numbers, set) {
  const chosen = asked.tags ?? [];
  const counts = new Map((numbers?.tags ?? []).map(({ name, memories }) => [name, memories]));
  const names = [...new Set([...chosen, ...counts.keys()])].slice(0, Math.max(TAGS_SHOWN, chosen.length));
  const list = h(
    "div",
    { class: "tag-choices" },
    names.map((name) => {
      const isOn = chosen.includes(name);
      return choice(shown(name), counts.get(name) ?? 0, isOn, () =>
        set({ tags: isOn ? chosen.filter((other) => other !== name) : [...chosen, name] }),
      );
    }),
  );
  return [list, counts.size > TAGS_SHOWN ? other("Another tag", [...counts.keys()], "all-tags", (name) => set({ tags: [...new Set([...chosen, name])] })) : null];
}

function session(asked, numbers, set) {
  if (asked.session) return choice(shown(asked.session), undefined, true, () => set({ session: undefined }));
  return other("Name of a session", numbers?.session_names ?? [], "all-sessions", (name) => set({ session: name }));
}

/** A field for one of many names, or for one that is not suggested. */
function other(label, names, id, act) {
  const field = h("input", {
    type: "text", list: id, placeholder: label, "aria-label": label, maxlength: 256,
    change: () => field.value && act(field.value),
  });
  return [field, h("datalist", { id }, names.slice(0, 200).map((name) => h("option", { value: name })))];
}

function times(asked, set) {
  const day = (name, label) =>
    h("label", { class: "day" }, h("span", {}, label), h("input", {
      type: "date", value: asked[name] ?? "", change: (event) => set({ [name]: event.target.value || undefined }),
    }));
  const box = (name, label, value) =>
    h("label", { class: "check" }, h("input", {
      type: "checkbox", checked: Boolean(asked[name]), change: (event) => set({ [name]: event.target.checked ? value : undefined }),
    }), label);
  return [
    day("since", "From"),
    day("until", "To"),
    asked.query ? null : box("order", "Oldest first", "oldest"),
    box("history", "Show history too", "1"),
  ];
}
