// What was captured of sessions: to keep as a fact, or to drop.

import { runQuery, runMutation } from "./api.js";
import { excerpt, facts } from "./card.js";
import { button, dialog, fill, h, makeVisible } from "./dom.js";
import { editor } from "./editor.js";
import { count, date } from "./format.js";
import { complete } from "./memory.js";
import { empty } from "./memories.js";
import { showError, toast } from "./toasts.js";

const PAGE_SIZE = 30;
const WHO = { user: "you", assistant: "the assistant" };

export function captured(main, state) {
  const root = fill(main, h("div", { class: "sheet" })).firstChild;
  const list = h("ol", { class: "list cards", "aria-label": "Captured turns" });
  let cursor = null;

  async function load({ more = false } = {}) {
    try {
      draw(await runQuery("captured", { limit: PAGE_SIZE, ...(more ? { cursor } : {}) }), more);
    } catch (error) {
      fill(root, empty("This did not work", error.message, button("Try again", () => load())));
    }
  }

  function draw({ memories, total, next_cursor: next, on }, more) {
    cursor = next;
    const items = memories.map(row);
    if (more) list.append(...items);
    else fill(list, items);
    fill(
      root,
      h("h1", { "aria-live": "polite" }, total ? count(total, "captured turn", "captured turns") : "Nothing is captured"),
      h("p", { class: "lead" }, total ? "This was said in your sessions, and is here for 30 days. Searches find it; nothing is told to an agent unasked." : "What is said in your sessions can be kept here for 30 days, to find it again.",
        on ? null : " Capture is off: sediment-mcp captured on begins."),
      list,
      next ? button("Show more", () => load({ more: true })) : null,
    );
  }

  function row(shown) {
    const memory = complete(shown, state.status.project);
    const who = WHO[memory.metadata.role] ?? "";
    return h("li", {}, h("div", { class: "card" }, excerpt(memory), facts({ ...memory, tags: memory.tags.filter((name) => name !== "captured") }),
      h("div", { class: "actions" },
        button("Keep as a fact", () => keep(memory.id)),
        button("Keep in other words", () => editor.keep(state, memory.id, load), { class: "quiet" }),
        button("Drop", () => drop([memory.id]), { class: "quiet danger" }),
        memory.session ? button("Drop the session", () => confirmSession(memory.session), { class: "quiet danger" }) : null,
        h("span", { class: "soft" }, `${who ? `said by ${who}, ` : ""}ends ${date(memory.expires_at)}`))));
  }

  async function keep(id) {
    try {
      await runMutation("keep_captured", { ids: [id] });
      toast("Kept as a fact.");
      load();
    } catch (error) {
      showError(error);
    }
  }

  async function drop(ids) {
    try {
      await runMutation("drop_captured", { ids });
      toast("Dropped. The trash has it for 30 days.", () => again(ids));
      load();
    } catch (error) {
      showError(error);
    }
  }

  async function again(ids) {
    await runMutation("restore", { ids });
    load();
  }

  async function confirmSession(session) {
    try {
      const { memories, total } = await runQuery("captured", { session, limit: 100 });
      const box = dialog("Drop this session?", h("p", {}, `${count(Math.min(total, 100), "turn", "turns")} of ${makeVisible(session)} would go to the trash.`),
        h("div", { class: "actions" }, button("Drop them", () => { box.close(); drop(memories.map((memory) => memory.id)); }, { class: "danger" }), button("Cancel", () => box.close(), { class: "quiet" })));
    } catch (error) {
      showError(error);
    }
  }

  state.changed = load;
  return { show: load };
}
