// Puts the parts together: which page is shown, what the keys do, what the footer says.

import { runQuery } from "./api.js";
import { captured } from "./captured.js";
import { button, dialog, fill, h, setReplacements, makeVisible } from "./dom.js";
import { editor } from "./editor.js";
import { onKey, HELP } from "./keyboard.js";
import { count } from "./format.js";
import { memories } from "./memories.js";
import { overview } from "./overview.js";
import { similarPairs } from "./similar_pairs.js";
import { navigate, currentRoute } from "./router.js";
import { showError } from "./toasts.js";
import { startTheme } from "./theme.js";
import { trash } from "./trash.js";

const PAGES = { memories, captured, pairs: similarPairs, overview, trash };
const TITLES = { memories: "Memories", captured: "Captured", pairs: "Look-alikes", overview: "Overview", trash: "Trash" };
const POLL_MS = 1500; // milliseconds between two looks whether the model is there
const TYPING_PAUSE_MS = 220; // milliseconds of rest before what is typed is searched

const state = { status: null, page: null, name: "" };
const main = document.getElementById("main");
const query = document.getElementById("query");

function route() {
  const { page, params } = currentRoute();
  const name = PAGES[page] ? page : "memories";
  if (document.activeElement !== query) query.value = params.query ?? "";
  for (const link of document.querySelectorAll("#pages a")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[name]} · sediment`;
  if (state.name !== name) {
    state.page?.leave?.();
    state.name = name;
    state.page = PAGES[name](main, state);
  }
  state.page.show(params);
}

function search() {
  const { page, params } = currentRoute();
  const filters = page === "memories" ? { ...params, open: undefined } : {};
  navigate("memories", { ...filters, query: query.value.trim() ? query.value : undefined }, { replace: page === "memories" });
}

function startSearch() {
  let timer = 0;
  query.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, TYPING_PAUSE_MS);
  });
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    search();
    state.page.focus?.();
  });
}

const MEANING = {
  ready: "by meaning and by words",
  loading: "by words for now, the model is loading",
  failed: "by words, the model could not be loaded",
  none: "by words, as configured",
};

function footer({ meaning, problem, backlog, model, directory, version }) {
  const dot = h("span", { class: `dot ${meaning}`, "aria-hidden": "true" });
  const waiting = backlog ? ` · ${count(backlog, "passage", "passages")} still to be embedded` : "";
  fill(
    document.getElementById("footer"),
    h("span", { title: problem }, dot, `Search goes ${MEANING[meaning]}${waiting}`),
    meaning === "ready" ? h("span", {}, makeVisible(model)) : null,
    h("span", { class: "path", title: directory }, makeVisible(directory)),
    h("span", {}, `sediment-mcp ${version}`),
  );
}

async function watchStatus() {
  try {
    const before = state.status?.meaning;
    state.status = await runQuery("status");
    footer(state.status);
    if (before === "loading" && state.status.meaning === "ready") state.page?.refresh?.();
    if (state.status.meaning === "loading" || state.status.backlog) setTimeout(watchStatus, POLL_MS);
  } catch (error) {
    showError(error);
  }
}

function help() {
  const rows = HELP.map(([keys, meaning]) =>
    h("div", {}, h("dt", {}, keys.map((key) => h("kbd", {}, key))), h("dd", {}, meaning)),
  );
  dialog("Keys", h("dl", { class: "keys" }, rows));
}

async function start() {
  startTheme(document.getElementById("theme"));
  try {
    state.status = await runQuery("status");
  } catch (error) {
    fill(main, h("div", { class: "empty" }, h("h1", {}, "Nothing can be shown"), h("p", {}, error.message)));
    return;
  }
  setReplacements(state.status.shown_as);
  footer(state.status);
  if (state.status.meaning === "loading" || state.status.backlog) setTimeout(watchStatus, POLL_MS);
  startSearch();
  state.add = (given = {}) => editor.add(state, given);
  document.getElementById("add").addEventListener("click", () => state.add());
  document.getElementById("help").addEventListener("click", help);
  addEventListener("hashchange", route);
  addEventListener("keydown", (event) => onKey(event, state, { help, query }));
  route();
}

start();
