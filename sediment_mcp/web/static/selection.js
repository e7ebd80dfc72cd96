// Several memories chosen at once, and the bar that says what can be done with them.

import { button, fill, h } from "./dom.js";
import { count } from "./format.js";
import { showError } from "./toasts.js";

export function createSelection(root, changed, { merge, remove }) {
  const ids = new Set();
  const bar = h("div", { class: "chosen", role: "region", "aria-label": "Chosen memories", hidden: true });
  root.append(bar);

  function draw() {
    bar.hidden = !ids.size;
    fill(
      bar,
      h("span", {}, `${count(ids.size, "memory", "memories")} chosen`),
      button("Merge", own.merge, { class: "primary", disabled: ids.size < 2 }),
      button("Delete", own.remove),
      button("Clear", own.clear, { class: "quiet" }),
    );
    changed();
  }

  const own = {
    has: (id) => ids.has(id),
    size: () => ids.size,
    toggle(id) {
      if (!ids.delete(id)) ids.add(id);
      draw();
    },
    clear() {
      ids.clear();
      draw();
    },
    merge() {
      if (ids.size < 2) showError(new Error("Choose two memories to merge: x chooses the one you are at."));
      else merge([...ids]);
    },
    remove: () => remove([...ids]),
  };
  return own;
}
