// Short messages at the edge of the screen, some with a way back.

import { button, h, makeVisible } from "./dom.js";

const TOAST_SECONDS = 12;
let last = null;

export function toast(sentence, undo = null) {
  const box = h("div", { class: "toast" }, h("span", {}, makeVisible(sentence)));
  show(box, undo && [undo, "Undo"]);
}

/** What went wrong, as the server says it; stays until it is closed. */
export function showError(error) {
  if (error.name === "AbortError") return;
  show(h("div", { class: "toast bad", role: "alert" }, h("span", {}, makeVisible(error.message))), null, true);
}

function show(box, way, stays = false) {
  const entry = { box, undo: null };
  const close = () => {
    box.remove();
    if (last === entry) last = null;
  };
  if (way) {
    entry.undo = async () => {
      close();
      try {
        await way[0]();
      } catch (error) {
        showError(error);
      }
    };
    last = entry;
    box.append(button([way[1], h("kbd", {}, "u")], entry.undo));
  }
  box.append(button("✕", close, { class: "quiet icon", "aria-label": "Dismiss" }));
  const place = document.getElementById("toasts");
  while (place.children.length > 2) place.firstChild.remove();
  place.append(box);
  if (!stays) leaveAfter(box, close);
}

/** Waits longer while somebody is pointing at it or is on its button. */
function leaveAfter(box, close) {
  const timer = setInterval(() => {
    if (!box.isConnected) clearInterval(timer);
    else if (!box.matches(":hover, :focus-within")) {
      clearInterval(timer);
      close();
    }
  }, TOAST_SECONDS * 1000);
}

/** Undo what the newest message offers to. */
export function undoLast() {
  last?.undo?.();
}
