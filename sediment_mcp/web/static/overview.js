// What there is, in numbers and pictures.

import { runQuery } from "./api.js";
import { bars, growth } from "./chart.js";
import { button, fill, h, makeVisible } from "./dom.js";
import { KINDS, ago, bytes, count, number, projectName } from "./format.js";
import { empty } from "./memories.js";
import { routeUrl } from "./router.js";

const MAX_ROWS = 12;

export function overview(main, state) {
  const root = fill(main, h("div", { class: "sheet wide" })).firstChild;

  async function show() {
    try {
      state.numbers = await runQuery("overview");
      draw(state.numbers);
    } catch (error) {
      fill(root, empty("This did not work", error.message, button("Try again", show)));
    }
  }

  function draw(stats) {
    const all = Object.values(stats.memories).reduce((sum, value) => sum + value, 0);
    if (!all && !stats.team?.memories.live) return fill(root, h("h1", {}, "Overview"), empty("Nothing is remembered yet", "Here you will see how your memory grows.", button("Add a memory", () => state.add(), { class: "primary" })));
    return fill(
      root,
      h("h1", {}, "Overview"),
      stats.language_hint ? hint(stats.language_hint) : null,
      tiles(stats),
      Object.keys(stats.months).length ? panel("Growth", h("p", { class: "soft legend" }, h("i", { class: "key ridge" }), "in all", h("i", { class: "key month" }), "new in the month"), growth(stats.months)) : null,
      h("div", { class: "panels" },
        panel("Kinds", bars(Object.keys(KINDS).map((kind) => ({ name: KINDS[kind], value: stats.kinds[kind] ?? 0, mark: kind, href: routeUrl("memories", { kind }) })))),
        panel("Belongs to", bars(stats.projects.slice(0, MAX_ROWS).map(({ name, memories }) => ({ name: projectName(name), value: memories, href: routeUrl("memories", name ? { scope: "project", project: name } : { scope: "global" }) })))),
        panel("Tags", stats.tags.length ? bars(stats.tags.slice(0, MAX_ROWS).map(({ name, memories }) => ({ name, value: memories, href: routeUrl("memories", { tags: [name] }) }))) : h("p", { class: "soft" }, "No memory has a tag yet.")),
        panel("On disk", bars(Object.entries(stats.sizes).map(([name, value]) => ({ name, value, label: bytes(value) })), "sizes"), indexes(stats)),
      ),
      stats.unanswered.length ? panel("Asked in vain", questions(stats.unanswered)) : null,
    );
  }

  function hint({ sentence, commands }) {
    return panel("Other languages", h("p", {}, sentence, " A model for a hundred languages takes its place by either command:"),
      commands.map((command) => h("pre", {}, command)));
  }

  function tiles({ memories, sessions, stored_within: within, team }) {
    const tile = (value, words, href) => h(href ? "a" : "div", { class: "tile", href }, h("b", {}, number(value)), h("span", {}, words));
    return h("div", { class: "tiles" },
      tile(memories.live, "current", routeUrl("memories")),
      tile(within.week, "new this week"),
      tile(memories.superseded, "in history", routeUrl("memories", { history: "1" })),
      tile(memories.deleted, "in the trash", routeUrl("trash")),
      tile(sessions, "sessions"),
      team ? tile(team.memories.live, `of the team (${team.name})`, routeUrl("memories", { scope: "team" })) : null,
    );
  }

  function indexes({ indexes: all, passages }) {
    const line = ({ name, model, exists, behind }) => {
      const words = !exists ? "none yet, searched directly" : behind ? `${count(behind, "passage", "passages")} behind, searched directly` : "up to date";
      return h("li", {}, h("span", {}, name === "text" ? "Text index" : `Vector index (${makeVisible(model)})`), h("span", { class: "soft" }, words));
    };
    return h("ul", { class: "lines" }, h("li", {}, h("span", {}, "Passages"), h("span", { class: "soft" }, number(passages))), all.map(line));
  }

  function questions(all) {
    return h("ul", { class: "lines" }, all.slice(0, 20).map(({ question, times, last }) =>
      h("li", {}, h("span", { dir: "auto" }, makeVisible(question)), h("span", { class: "soft" }, `${count(times, "time", "times")}, last ${ago(last)}`),
        button("Add the answer", () => state.add(), { class: "small" }))));
  }

  const panel = (title, ...children) => h("section", { class: "panel" }, h("h2", {}, title), ...children);

  state.changed = show;
  return { show };
}
