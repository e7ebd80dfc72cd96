// What was deleted and can still come back.

import { runQuery, runMutation } from "./api.js";
import { excerpt, facts } from "./card.js";
import { button, dialog, fill, h, textElement } from "./dom.js";
import { count, date } from "./format.js";
import { complete } from "./memory.js";
import { empty } from "./memories.js";
import { showError, toast } from "./toasts.js";

const PAGE_SIZE = 50;
const MAX_SHOWN = 1000;

export function trash(main, state) {
  const root = fill(main, h("div", { class: "sheet" })).firstChild;
  let limit = PAGE_SIZE;

  async function load() {
    try {
      draw(await runQuery("trash", { limit }));
    } catch (error) {
      fill(root, empty("This did not work", error.message, button("Try again", load)));
    }
  }

  function draw({ memories, total }) {
    const days = state.status.trash_days;
    fill(
      root,
      h("h1", {}, total ? `${count(total, "memory", "memories")} in the trash` : "The trash is empty"),
      h("p", { class: "lead" }, total ? `Nobody finds these. They can be restored for ${days} days after they were deleted; then they are erased.` : `What you delete waits here for ${days} days, so that it can come back.`),
      h("ol", { class: "list cards" }, memories.map(row)),
      total > memories.length && limit < MAX_SHOWN ? button("Show more", () => { limit = Math.min(MAX_SHOWN, limit * 2); load(); }) : null,
    );
  }

  function row(shown) {
    const memory = complete(shown, state.status.project);
    return h("li", {}, h("div", { class: "card" }, excerpt(memory), facts(memory),
      h("div", { class: "actions" }, button("Restore", () => restore(memory.id)), button("Erase for good", () => confirm(memory), { class: "quiet danger" }),
        h("span", { class: "soft" }, `deleted ${date(memory.deleted_at)}, erased on ${date(memory.recoverable_until)}`))));
  }

  async function restore(id) {
    try {
      await runMutation("restore", { ids: [id] });
      toast("The memory is back.", () => again(id));
      load();
    } catch (error) {
      showError(error);
    }
  }

  async function again(id) {
    await runMutation("delete", { ids: [id] });
    load();
  }

  function confirm(memory) {
    const box = dialog("Erase this for good?", textElement("p", memory.content, { class: "text" }), h("p", {}, "Its text leaves the database and the indexes. There is no way back."),
      h("div", { class: "actions" }, button("Erase for good", () => { box.close(); erase(memory.id); }, { class: "danger" }), button("Keep it in the trash", () => box.close(), { class: "quiet" })));
  }

  async function erase(id) {
    try {
      await runMutation("delete", { ids: [id], permanent: true });
      toast("Erased.");
      load();
    } catch (error) {
      showError(error);
    }
  }

  state.changed = load;
  return { show: load };
}
