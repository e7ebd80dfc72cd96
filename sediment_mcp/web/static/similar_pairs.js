// Two memories that are alike, side by side: which of them is true?

import { runQuery, runMutation } from "./api.js";
import { facts } from "./card.js";
import { button, fill, h, makeVisible } from "./dom.js";
import { editor } from "./editor.js";
import { count, number } from "./format.js";
import { complete } from "./memory.js";
import { empty } from "./memories.js";
import { routeUrl } from "./router.js";
import { showError, toast } from "./toasts.js";

export function similarPairs(main, state) {
  const lead = h("p", { class: "lead" });
  const list = h("ol", { class: "pairs" });
  const foot = h("div", { class: "list-foot" });
  const root = fill(main, h("div", { class: "sheet wide" }, h("h1", {}, "Look-alikes"), lead, list, foot)).firstChild;
  const own = { looked: 0, next: null, stop: null };

  function show() {
    own.looked = 0;
    fill(list);
    load(null);
  }

  async function load(cursor) {
    own.stop?.abort();
    own.stop = new AbortController();
    fill(foot, h("p", { class: "soft", role: "status" }, "Comparing …"));
    try {
      draw(await runQuery("pairs", { cursor }, own.stop.signal));
    } catch (error) {
      if (error.name !== "AbortError") fill(foot, empty("This did not work", error.message, button("Try again", () => load(cursor))));
    }
  }

  function draw({ meaning, pairs: found, looked_at: looked, next_cursor: next }) {
    if (!meaning) return fill(foot, empty("Not yet", state.status.meaning === "loading" ? "The model that compares memories is still loading. This page goes on by itself." : state.status.problem));
    own.looked += looked;
    own.next = next;
    list.append(...found.map(pair));
    return drawFoot();
  }

  function drawFoot() {
    const left = list.children.length;
    lead.textContent = left ? "These may repeat or contradict each other. Keep what is true: nothing is lost, and what you decide is remembered." : "";
    const more = own.next ? button("Look further back", () => load(own.next)) : null;
    const said = `${count(own.looked, "memory", "memories")} compared${own.next ? ", newest first" : ""}.`;
    fill(foot, left ? [h("p", { class: "soft" }, said), more] : empty("Nothing to sort out", `${said} None is like another one that you have not decided about.`, more));
  }

  function pair({ similarity, newer, older, difference }) {
    const item = h("li", { class: "pair", tabindex: -1 });
    const done = () => {
      const next = item.nextSibling ?? item.previousSibling;
      item.remove();
      drawFoot();
      next?.querySelector("button")?.focus();
    };
    const side = (memory, other, label, own) =>
      h("div", { class: "side" }, h("p", { class: "soft" }, label), h("p", { class: "text", dir: "auto" }, marked(difference, own)), facts(complete(memory, state.status.project)),
        h("div", { class: "actions" }, button("Keep only this", () => keep(memory, other, done, item)),
          h("a", { class: "quiet", href: routeUrl("memories", { open: memory.id }) }, "Read")));
    const bar = h("i", { class: "fill" });
    bar.style.width = `${Math.round(100 * similarity)}%`;
    return fill(item,
      h("div", { class: "pair-top" }, h("span", { class: "bar", "aria-hidden": "true" }, bar), h("span", { class: "soft" }, `${number(Math.round(100 * similarity))} % alike`)),
      h("div", { class: "sides" }, side(newer, older, "Newer", "in"), side(older, newer, "Older", "out")),
      h("div", { class: "actions" }, button("Keep both", () => both([newer.id, older.id], done)), button("Merge", () => editor.merge(state, [newer.id, older.id], show))),
    );
  }

  async function keep(kept, other, done, item) {
    try {
      await runMutation("delete", { ids: [other.id] });
      toast("Kept one; the other is in the trash.", async () => {
        await runMutation("restore", { ids: [other.id] });
        list.prepend(item);
        drawFoot();
      });
      for (const one of list.querySelectorAll(".pair")) if (one !== item && one.querySelector(`a[href$="open=${other.id}"]`)) one.remove();
      done();
    } catch (error) {
      showError(error);
    }
  }

  async function both(ids, done) {
    try {
      await runMutation("keep", { ids });
      toast("Both stay. You will not be asked again.");
      done();
    } catch (error) {
      showError(error);
    }
  }

  function move(step) {
    const all = [...list.children];
    const at = all.findIndex((item) => item.contains(document.activeElement));
    const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }

  state.changed = show;
  return { show, move, refresh: show, leave: () => own.stop?.abort() };
}

/** One of two texts, with what only it has marked; nothing is where almost all would be. */
function marked(difference, own) {
  const parts = difference.filter(([kind]) => kind === "same" || kind === own);
  const length = (kind) => parts.reduce((sum, [other, text]) => sum + (other === kind ? text.length : 0), 0);
  const isTelling = length("same") > length(own);
  return parts.map(([kind, text]) => h(kind === own && isTelling ? "mark" : "span", {}, makeVisible(text)));
}
