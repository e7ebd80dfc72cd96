// What there is, in numbers and pictures.

import { ask } from "./api.js";
import { bars, growth } from "./chart.js";
import { button, fill, h, shown } from "./dom.js";
import { KINDS, ago, bytes, count, number, projectName } from "./format.js";
import { empty } from "./memories.js";
import { address } from "./place.js";

const TAGS = 12;

export function overview(main, state) {
  const root = fill(main, h("div", { class: "sheet wide" })).firstChild;

  async function show() {
    try {
      state.numbers = await ask("overview");
      draw(state.numbers);
    } catch (error) {
      fill(root, empty("This did not work", error.message, button("Try again", show)));
    }
  }

  function draw(told) {
    const all = Object.values(told.memories).reduce((sum, value) => sum + value, 0);
    if (!all) return fill(root, h("h1", {}, "Overview"), empty("Nothing is remembered yet", "Here you will see how your memory grows.", button("Add a memory", () => state.add(), { class: "primary" })));
    return fill(
      root,
      h("h1", {}, "Overview"),
      tiles(told),
      Object.keys(told.months).length ? panel("Growth", h("p", { class: "soft legend" }, h("i", { class: "key ridge" }), "in all", h("i", { class: "key month" }), "new in the month"), growth(told.months)) : null,
      h("div", { class: "panels" },
        panel("Kinds", bars(Object.keys(KINDS).map((kind) => ({ name: KINDS[kind], value: told.kinds[kind] ?? 0, mark: kind, href: address("memories", { kind }) })))),
        panel("Belongs to", bars(told.projects.slice(0, TAGS).map(({ name, memories }) => ({ name: projectName(name), value: memories, href: address("memories", name ? { scope: "project", project: name } : { scope: "global" }) })))),
        panel("Tags", told.tags.length ? bars(told.tags.slice(0, TAGS).map(({ name, memories }) => ({ name, value: memories, href: address("memories", { tags: [name] }) }))) : h("p", { class: "soft" }, "No memory has a tag yet.")),
        panel("On disk", bars(Object.entries(told.sizes).map(([name, value]) => ({ name, value, told: bytes(value) })), "sizes"), indexes(told)),
      ),
      told.unanswered.length ? panel("Asked in vain", questions(told.unanswered)) : null,
    );
  }

  function tiles({ memories, sessions, stored_within: within }) {
    const tile = (value, words, href) => h(href ? "a" : "div", { class: "tile", href }, h("b", {}, number(value)), h("span", {}, words));
    return h("div", { class: "tiles" },
      tile(memories.live, "current", address("memories")),
      tile(within.week, "new this week"),
      tile(memories.superseded, "in history", address("memories", { history: "1" })),
      tile(memories.deleted, "in the trash", address("trash")),
      tile(sessions, "sessions"),
    );
  }

  function indexes({ indexes: all, passages }) {
    const line = ({ name, model, exists, behind }) => {
      const words = !exists ? "none yet, searched directly" : behind ? `${count(behind, "passage", "passages")} behind, searched directly` : "up to date";
      return h("li", {}, h("span", {}, name === "text" ? "Text index" : `Vector index (${shown(model)})`), h("span", { class: "soft" }, words));
    };
    return h("ul", { class: "lines" }, h("li", {}, h("span", {}, "Passages"), h("span", { class: "soft" }, number(passages))), all.map(line));
  }

  function questions(all) {
    return h("ul", { class: "lines" }, all.slice(0, 20).map(({ question, times, last }) =>
      h("li", {}, h("span", { dir: "auto" }, shown(question)), h("span", { class: "soft" }, `${count(times, "time", "times")}, last ${ago(last)}`),
        button("Add the answer", () => state.add(), { class: "small" }))));
  }

  const panel = (title, ...children) => h("section", { class: "panel" }, h("h2", {}, title), ...children);

  state.changed = show;
  return { show };
}
