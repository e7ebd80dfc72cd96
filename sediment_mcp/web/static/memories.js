// Search and browse: the filters, the list, and what is open beside it.

import { runQuery } from "./api.js";
import { excerpt, facts, signals } from "./card.js";
import { createSelection } from "./selection.js";
import { detail } from "./detail.js";
import { button, fill, h } from "./dom.js";
import { editor } from "./editor.js";
import { filterChips, filterPanel, forTools, isFiltered, without } from "./filters.js";
import { count } from "./format.js";
import { complete } from "./memory.js";
import { routeUrl, navigate, currentRoute } from "./router.js";
import { showError } from "./toasts.js";

const PAGE_SIZE = 50;
const RESULTS = 30;
const MAX_RESULTS = 100;

export function memories(main, state) {
  const panel = h("aside", { class: "filters", "aria-label": "Filters", id: "filters" });
  const headline = h("div", { class: "headline" });
  const notes = h("div", { class: "notes" });
  const list = h("ol", { class: "list", "aria-label": "Memories" });
  const foot = h("div", { class: "list-foot" });
  const pane = h("section", { class: "pane", "aria-label": "Memory", tabindex: -1 });
  const column = h("section", { class: "column", "aria-label": "List" }, headline, notes, list, foot);
  const root = fill(main, h("div", { class: "browser" }, panel, column, pane)).firstChild;
  const own = { params: null, key: null, stop: null, numbers: state.numbers ?? null, counted: false, open: null, limit: RESULTS, left: false };
  const chosen = createSelection(root, () => marked(), {
    merge: (ids) => editor.merge(state, ids, changed),
    remove: (ids) => own.detail.remove(ids),
  });
  own.detail = detail(pane, state, { changed, closed: close });

  const rows = () => [...list.querySelectorAll("a.row")];
  const keyOf = (params) => JSON.stringify({ ...params, open: undefined });

  function show(params) {
    own.params = params;
    const key = keyOf(params);
    if (own.key !== key) {
      own.key = key;
      own.limit = RESULTS;
      const isFirst = !own.counted;
      own.counted = true;
      load().then(() => isFirst && refreshNumbers()); // the list first: to count all of 100,000 takes a while
      filterPanel(panel, params, own.numbers);
    }
    if (own.open !== (params.open ?? null)) {
      own.open = params.open ?? null;
      own.detail.show(own.open);
      if (own.open && matchMedia("(max-width: 899px)").matches) scrollTo(0, 0);
    }
    root.classList.toggle("reading", Boolean(own.open));
    marked();
  }

  async function load({ more = null } = {}) {
    own.stop?.abort();
    own.stop = new AbortController();
    const { query } = own.params;
    list.setAttribute("aria-busy", "true");
    try {
      const given = forTools(own.params);
      if (query) searched(await runQuery("search", { ...given, limit: own.limit }, own.stop.signal));
      else listed(await runQuery("browse", { ...given, limit: PAGE_SIZE, cursor: more }, own.stop.signal), more);
    } catch (error) {
      if (error.name === "AbortError") return;
      failed(error);
    }
    list.removeAttribute("aria-busy");
  }

  function searched({ results: found, notes: said = [], mode }) {
    const results = found.map(whole);
    const weak = results.length > 0 && results.every((result) => result.match === "weak");
    headed(results.length ? (weak ? "Nothing really fits. The nearest:" : `${results.length === own.limit ? "The best " : ""}${count(results.length, "result", "results")}`) : "Nothing found");
    const words = mode === "lexical" && state.status.meaning !== "none" ? ["Found by words for now."] : [];
    fill(notes, [...words, ...said].map((note) => h("p", { class: "note" }, note)));
    refill(results.map((result) => row(result, signals(result, state.status.signals))));
    fill(foot, results.length === own.limit && own.limit < MAX_RESULTS ? button("Show more", () => { own.limit = MAX_RESULTS; load(); }) : null);
    if (!results.length) fill(foot, emptySearch());
    marked();
  }

  const whole = (memory) => complete(memory, own.params.project || state.status.project);

  function listed({ memories: page, total, next_cursor: next }, more) {
    headed(count(total, "memory", "memories"));
    fill(notes);
    const items = page.map((memory) => row(whole(memory)));
    if (more) list.append(...items);
    else refill(items);
    fill(foot, next ? button(`Show more of ${count(total, "memory", "memories")}`, () => load({ more: next })) : null);
    if (!total) fill(foot, isFiltered(own.params) ? emptyFilter() : emptyStore());
    if (more) items[0]?.querySelector("a.row").focus();
    marked();
  }

  /** Draw the list anew; who was at a row stays there, or at the one that has taken its place. */
  function refill(items) {
    const before = rows();
    const at = before.indexOf(document.activeElement);
    const id = before[at]?.dataset.id;
    fill(list, items);
    const now = rows();
    if (at >= 0) (now.find((link) => link.dataset.id === id) ?? now[Math.min(at, now.length - 1)])?.focus({ preventScroll: true });
  }

  function headed(sentence) {
    const toggle = button("Filters", () => {
      const isOpen = root.classList.toggle("filtering");
      toggle.setAttribute("aria-expanded", isOpen);
    }, { class: "quiet filter-toggle", "aria-expanded": root.classList.contains("filtering"), "aria-controls": "filters" });
    const chips = filterChips(own.params);
    fill(headline, h("h1", { "aria-live": "polite" }, sentence), toggle, chips.length ? h("div", { class: "filter-chips" }, chips) : null);
  }

  function row(memory, extra = null) {
    const link = h("a", { class: "row", href: routeUrl("memories", { ...own.params, open: memory.id }), "data-id": memory.id },
      excerpt(memory), facts(memory), extra);
    const box = h("input", { type: "checkbox", class: "pick", "aria-label": "Choose this memory", change: () => chosen.toggle(memory.id) });
    return h("li", { class: memory.superseded_by ? "old" : "" }, box, link);
  }

  function marked() {
    for (const link of rows()) {
      const { id } = link.dataset;
      if (id === own.open) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      link.previousSibling.checked = chosen.has(id);
    }
  }

  const emptyStore = () => empty("Nothing is remembered yet", "Your agents store memories as they work with you. You can also write the first one yourself.", button("Add a memory", () => state.add(), { class: "primary" }));
  const emptyFilter = () => empty("No memory is like that", "Take away a filter, or look at all of them.", button("Show all", () => navigate("memories", without(own.params))));
  const emptySearch = () => empty("No memory answers this", isFiltered(own.params) ? "Try it without the filters, or in other words." : "Try it in other words. What is missing can be added.",
    button("Add a memory", () => state.add(), { class: "primary" }), isFiltered(own.params) ? button("Search in all", () => navigate("memories", without(own.params))) : null);

  function failed(error) {
    headed("This did not work");
    fill(list);
    fill(notes);
    fill(foot, empty("", error.message, button("Try again", () => load())));
  }

  async function refreshNumbers() {
    try {
      own.numbers = state.numbers = await runQuery("overview");
      if (!own.left) filterPanel(panel, own.params, own.numbers);
    } catch (error) {
      showError(error);
    }
  }

  /** Something is different now: draw everything anew, and read on at `id`, if there is one. */
  function changed(id) {
    chosen.clear();
    if (id !== undefined && (id ?? undefined) !== currentRoute().params.open) {
      navigate("memories", { ...own.params, open: id ?? undefined }, { replace: true });
    } else if (own.open) own.detail.show(own.open);
    load().then(refreshNumbers);
  }

  function close() {
    const before = own.open;
    navigate("memories", { ...own.params, open: undefined });
    requestAnimationFrame(() => rows().find((link) => link.dataset.id === before)?.focus());
  }

  function move(step) {
    const all = rows();
    const at = all.findIndex((link) => link === document.activeElement);
    const from = at >= 0 ? at : all.findIndex((link) => link.dataset.id === own.open);
    const next = all[Math.max(0, Math.min(all.length - 1, from + step))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
    if (own.open && next && matchMedia("(min-width: 900px)").matches) navigate("memories", { ...own.params, open: next.dataset.id }, { replace: true });
  }

  /** The memory that a key is meant for: the focused row's, else the open one. */
  const meant = () => document.activeElement?.closest?.("a.row, .pick")?.parentElement.querySelector("a.row").dataset.id ?? own.open;

  function key(name) {
    const id = meant();
    if (name === "m") chosen.merge();
    else if (name === "d" && chosen.size()) chosen.remove();
    else if (!id) return false;
    else if (name === "x") chosen.toggle(id);
    else if (name === "e") editor.edit(state, id, changed);
    else if (name === "d") own.detail.remove([id]);
    else return false;
    return true;
  }

  state.changed = changed;
  return {
    show, move, key,
    refresh: () => own.params.query && load(),
    focus: () => rows()[0]?.focus(),
    back: () => (chosen.size() ? chosen.clear() : own.open ? close() : own.params.query ? navigate("memories", { ...own.params, query: undefined }) : null),
    leave: () => { own.left = true; own.stop?.abort(); chosen.clear(); },
  };
}

export function empty(title, sentence, ...actions) {
  return h("div", { class: "empty" }, title ? h("h2", {}, title) : null, h("p", {}, sentence), h("div", { class: "actions" }, actions));
}
