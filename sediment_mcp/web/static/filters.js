// What is shown of all memories: kind, project, tags, session, time, history.

import { button, fill, h, makeVisible } from "./dom.js";
import { KINDS, number, ownerName, projectName } from "./format.js";
import { navigate } from "./router.js";

const TAGS_SHOWN = 14;
export const FILTERS = ["kind", "tags", "project", "scope", "session", "since", "until", "history", "order"];

/** The route's parameters, as the tools understand them. */
export function forTools(params) {
  const { open, history, since, until, order, ...rest } = params;
  return {
    ...rest,
    include_superseded: history ? true : undefined,
    since: since ? startOf(since) : undefined,
    until: until ? endOf(until) : undefined,
    order: params.query ? undefined : order,
  };
}

const startOf = (day) => new Date(`${day}T00:00:00`).toISOString();
const endOf = (day) => new Date(`${day}T23:59:59.999`).toISOString();

export const isFiltered = (params) => FILTERS.some((name) => name !== "order" && params[name]);

export function without(params) {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !FILTERS.includes(name)));
}

export function filterPanel(place, params, numbers) {
  const set = (change) => navigate("memories", { ...params, open: undefined, ...change });
  fill(
    place,
    isFiltered(params) ? button("Show all", () => navigate("memories", without(params)), { class: "quiet clear" }) : null,
    group("Kind", kinds(params, numbers, set)),
    numbers?.projects.length || numbers?.team ? group("Belongs to", projects(params, numbers, set), team(params, numbers, set)) : null,
    numbers?.tags.length ? group("Tags", tags(params, numbers, set)) : null,
    group("Session", session(params, numbers, set)),
    group("Time", times(params, set)),
  );
}

/** What is filtered by, each with a way to take it off, for where the panel is not in view. */
export function filterChips(params) {
  const off = (change) => () => navigate("memories", { ...params, open: undefined, ...change });
  const chip = (words, change) => button([h("bdi", {}, makeVisible(words)), " ✕"], off(change), { class: "small quiet chip", "aria-label": `Take off: ${makeVisible(words)}` });
  return [
    params.kind && chip(KINDS[params.kind] ?? params.kind, { kind: undefined }),
    params.scope && chip(ownerName({ scope: params.scope, project: params.scope === "global" ? null : params.project }), { scope: undefined, project: undefined }),
    ...(params.tags ?? []).map((name) => chip(name, { tags: params.tags.filter((other) => other !== name) })),
    params.session && chip(params.session, { session: undefined }),
    params.since && chip(`from ${params.since}`, { since: undefined }),
    params.until && chip(`to ${params.until}`, { until: undefined }),
    params.history && chip("with history", { history: undefined }),
  ].filter(Boolean);
}

function group(title, ...children) {
  return h("fieldset", { class: "group" }, h("legend", {}, title), ...children);
}

function choice(label, count, isOn, act, extra = null) {
  const amount = count === undefined ? null : h("span", { class: "count" }, number(count));
  return button([extra, h("bdi", { class: "name" }, label), amount], act, { class: "choice", "aria-pressed": isOn });
}

function kinds(params, numbers, set) {
  return Object.entries(KINDS).map(([kind, word]) =>
    choice(
      word,
      numbers?.kinds[kind] ?? 0,
      params.kind === kind,
      () => set({ kind: params.kind === kind ? undefined : kind }),
      h("i", { class: `swatch ${kind}`, "aria-hidden": "true" }),
    ),
  );
}

function projects(params, numbers, set) {
  return (numbers?.projects ?? []).slice(0, 12).map(({ name, memories }) => {
    const isOn = name ? params.project === name : params.scope === "global";
    const chosen = name ? { scope: "project", project: name } : { scope: "global", project: undefined };
    return choice(makeVisible(projectName(name)), memories, isOn, () =>
      set(isOn ? { scope: undefined, project: undefined } : chosen),
    );
  });
}

function team(params, numbers, set) {
  if (!numbers?.team) return null;
  const isOn = params.scope === "team";
  return choice(`the team (${numbers.team.name})`, numbers.team.memories.live, isOn, () =>
    set({ scope: isOn ? undefined : "team", project: undefined }),
  );
}

function tags(params, numbers, set) {
  const chosen = params.tags ?? [];
  const counts = new Map((numbers?.tags ?? []).map(({ name, memories }) => [name, memories]));
  const names = [...new Set([...chosen, ...counts.keys()])].slice(0, Math.max(TAGS_SHOWN, chosen.length));
  const list = h(
    "div",
    { class: "tag-choices" },
    names.map((name) => {
      const isOn = chosen.includes(name);
      return choice(makeVisible(name), counts.get(name) ?? 0, isOn, () =>
        set({ tags: isOn ? chosen.filter((other) => other !== name) : [...chosen, name] }),
      );
    }),
  );
  return [list, counts.size > TAGS_SHOWN ? other("Another tag", [...counts.keys()], "all-tags", (name) => set({ tags: [...new Set([...chosen, name])] })) : null];
}

function session(params, numbers, set) {
  if (params.session) return choice(makeVisible(params.session), undefined, true, () => set({ session: undefined }));
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

function times(params, set) {
  const day = (name, label) =>
    h("label", { class: "day" }, h("span", {}, label), h("input", {
      type: "date", value: params[name] ?? "", change: (event) => set({ [name]: event.target.value || undefined }),
    }));
  const box = (name, label, value) =>
    h("label", { class: "check" }, h("input", {
      type: "checkbox", checked: Boolean(params[name]), change: (event) => set({ [name]: event.target.checked ? value : undefined }),
    }), label);
  return [
    day("since", "From"),
    day("until", "To"),
    params.query ? null : box("order", "Oldest first", "oldest"),
    box("history", "Show history too", "1"),
  ];
}
