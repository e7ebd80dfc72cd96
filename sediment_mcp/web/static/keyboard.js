// One key each for what is done often. Nothing happens while somebody writes.

import { navigate } from "./router.js";
import { undoLast } from "./toasts.js";

export const HELP = [
  [["/"], "search"],
  [["j", "k"], "next, previous (the arrows do too)"],
  [["Enter"], "read"],
  [["e"], "edit"],
  [["d"], "delete"],
  [["x"], "choose, for a merge or to delete several"],
  [["m"], "merge the two chosen"],
  [["u"], "undo"],
  [["a"], "add a memory"],
  [["1", "2", "3", "4"], "memories, look-alikes, overview, trash"],
  [["Esc"], "close, or back to the list"],
  [["?"], "this help"],
];

const PAGES = { 1: "memories", 2: "pairs", 3: "overview", 4: "trash" };
const MOVES = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

export function onKey(event, state, { help, query }) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const { key, target } = event;
  if (target === query) return inSearch(event, state, query);
  if (target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  const act = {
    "/": () => query.select() ?? query.focus(),
    "?": help,
    u: undoLast,
    a: () => state.add(),
    Escape: () => state.page.back?.(),
  }[key];
  if (act) act();
  else if (MOVES[key] && state.page.move) state.page.move(MOVES[key]);
  else if (PAGES[key]) navigate(PAGES[key]);
  else if (!state.page.key?.(key)) return;
  event.preventDefault();
}

function inSearch(event, state, query) {
  if (event.key === "ArrowDown") state.page.move?.(1);
  else if (event.key === "Escape") query.blur();
  else return;
  event.preventDefault();
}
