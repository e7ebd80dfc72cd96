// How one memory looks: in a list, and its facts.

import { h, makeVisible, textElement } from "./dom.js";
import { KINDS, ago, moment, ownerName } from "./format.js";
import { routeUrl } from "./router.js";

export function kindMark(kind) {
  return h("span", { class: `kind ${kind}` }, KINDS[kind] ?? kind);
}

export function tag(name) {
  return h("a", { class: "tag", href: routeUrl("memories", { tags: [name] }) }, h("bdi", {}, makeVisible(name)));
}

/** When, whose and which tags, in one line. */
export function facts(memory) {
  return h(
    "div",
    { class: "facts" },
    kindMark(memory.kind),
    h("time", { datetime: memory.occurred_at, title: moment(memory.occurred_at) }, ago(memory.occurred_at)),
    h("span", { class: "project", title: memory.project ?? "belongs to no project" }, makeVisible(ownerName(memory))),
    memory.superseded_by ? h("span", { class: "mark" }, "history") : null,
    memory.tags.slice(0, 4).map((name) => h("span", { class: "tag" }, h("bdi", {}, makeVisible(name)))),
    memory.tags.length > 4 ? h("span", { class: "more" }, `+${memory.tags.length - 4}`) : null,
  );
}

export function excerpt(memory) {
  return textElement("p", memory.content + (memory.truncated ? " …" : ""), { class: "text" });
}

const IN_BRIEF = ["semantic", "tokens", "lexical", "date", "recency"];

/** Why a result stands where it does: a small bar for each signal. */
export function signals(result, meanings) {
  const bars = IN_BRIEF.filter((name) => result.signals[name] >= 0.005).map((name) => {
    const value = result.signals[name];
    const [word, meaning] = meanings[name] ?? [name, ""];
    const bar = h("i", { class: "fill" });
    bar.style.width = `${Math.round(100 * Math.min(1, value))}%`;
    return h(
      "span",
      { class: "signal", title: meaning },
      h("span", { class: "word" }, word),
      h("span", { class: "bar", "aria-hidden": "true" }, bar),
      h("span", { class: "value" }, value.toFixed(2)),
    );
  });
  const fit = h("span", { class: `match ${result.match}`, title: `score ${result.score.toFixed(2)}` }, result.match);
  return h("div", { class: "signals" }, fit, bars);
}
