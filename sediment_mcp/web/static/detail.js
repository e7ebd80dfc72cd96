// One memory whole: its text, everything that is known of it, its versions, and what is related to it.

import { runQuery, runMutation } from "./api.js";
import { kindMark, tag } from "./card.js";
import { button, fill, h, makeVisible, textElement } from "./dom.js";
import { editor } from "./editor.js";
import { ago, count, moment } from "./format.js";
import { complete } from "./memory.js";
import { relatedMemories } from "./related.js";
import { routeUrl } from "./router.js";
import { showError, toast } from "./toasts.js";
import { versions } from "./versions.js";

const IS_THERE = new Set(["current", "superseded"]); // states of a memory that others are related to

export function detail(pane, state, { changed, closed }) {
  let wanted = null;

  async function show(id) {
    wanted = id;
    if (!id) return fill(pane, hint());
    try {
      const answer = await runQuery("memory", { id });
      if (wanted === id) draw(answer, id);
    } catch (error) {
      if (wanted === id) fill(pane, top([]), h("p", { class: "note" }, makeVisible(error.message)));
    }
    return pane;
  }

  const hint = () => h("div", { class: "hint" }, h("img", { src: "sediment.svg", alt: "", width: 56, height: 56 }), h("p", {}, "Choose a memory to read it whole."));

  const top = (actions) => h("div", { class: "pane-top" }, button("← Back", closed, { class: "quiet back" }), h("div", { class: "actions" }, actions),
    button("✕", closed, { class: "quiet icon close", "aria-label": "Close" }));

  function draw({ versions: found, current }, id) {
    const answer = { current, versions: found.map((version) => complete(version, state.status.project)) };
    const memory = answer.versions.find((version) => version.id === id);
    if (!memory) return fill(pane, top([]), h("p", { class: "note" }, "This version has been erased. What is left of its history:"), versions(answer, null, revert));
    const others = answer.versions.length - 1;
    fill(
      pane,
      top(actionsFor(memory)),
      standing(memory, answer),
      textElement("div", memory.content, { class: memory.content.length > 400 ? "whole long" : "whole" }),
      known(memory),
      others ? h("section", { class: "history" }, h("h2", {}, count(answer.versions.length, "version", "versions")), versions(answer, id, revert)) : null,
      IS_THERE.has(memory.state) ? relatedMemories(memory, state.status.project) : null,
    );
    pane.scrollTop = 0;
    return pane;
  }

  function actionsFor(memory) {
    if (memory.state === "deleted") return [button("Restore", () => restore([memory.id]), { class: "primary" })];
    if (memory.state !== "current") return [];
    return [
      button(["Edit", h("kbd", {}, "e")], () => editor.edit(state, memory.id, changed)),
      button(["Delete", h("kbd", {}, "d")], () => remove([memory.id])),
    ];
  }

  /** A line above the text of what is no longer found. */
  function standing(memory, answer) {
    if (memory.state === "deleted") return h("p", { class: "banner" }, `In the trash since ${moment(memory.deleted_at)}.`);
    if (memory.state === "expired") return h("p", { class: "banner" }, `Ended on ${moment(memory.expires_at)}: it is found no more.`);
    if (memory.state !== "superseded") return null;
    const newer = answer.current && answer.current !== memory.id ? h("a", { href: routeUrl("memories", { open: answer.current }) }, "Read the current version") : null;
    return h("p", { class: "banner" }, "This is history: a newer version has taken its place. ", newer);
  }

  function known(memory) {
    const metadata = Object.keys(memory.metadata).length ? textElement("pre", JSON.stringify(memory.metadata, null, 2)) : null;
    const weight = h("meter", { min: 0, max: 1, "aria-label": "importance" });
    weight.value = memory.importance;
    const rows = [
      ["Kind", kindMark(memory.kind)],
      ["Tags", memory.tags.length ? memory.tags.map(tag) : h("span", { class: "none" }, "none")],
      ["Belongs to", memory.project ? h("a", { href: routeUrl("memories", { scope: "project", project: memory.project }) }, h("bdi", {}, makeVisible(memory.project))) : memory.scope === "team" ? h("a", { href: routeUrl("memories", { scope: "team" }) }, "the team") : "everything (global)"],
      ["Session", memory.session ? h("a", { href: routeUrl("memories", { session: memory.session }) }, h("bdi", {}, makeVisible(memory.session))) : null],
      ["Happened", time(memory.occurred_at)],
      ["Stored", time(memory.created_at)],
      ["Ends", memory.expires_at ? time(memory.expires_at) : null],
      ["Importance", [weight, h("span", {}, memory.importance.toFixed(2).replace(/0$/, ""), memory.importance === 1 ? " · pinned" : "")]],
      ["Metadata", metadata],
      ["Id", h("code", {}, memory.id)],
    ];
    return h("dl", { class: "known" }, rows.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  const time = (iso) => [h("time", { datetime: iso }, moment(iso)), h("span", { class: "soft" }, ago(iso))];

  async function remove(ids) {
    try {
      const { deleted, not_found: missing = [] } = await runMutation("delete", { ids });
      if (deleted.length) toast(`${count(deleted.length, "memory is", "memories are")} in the trash.`, () => restore(deleted));
      if (missing.length) showError(new Error(`${missing.join(", ")} had gone already.`));
      changed(deleted.includes(wanted) ? null : undefined);
    } catch (error) {
      showError(error);
    }
  }

  async function restore(ids) {
    const { restored } = await runMutation("restore", { ids });
    toast(`${count(restored.length, "memory is", "memories are")} back.`);
    changed(ids.length === 1 ? ids[0] : undefined);
  }

  async function revert(id) {
    try {
      const result = await runMutation("revert", { id });
      toast("The old text is current again, as a new version.");
      changed(result.id);
    } catch (error) {
      showError(error);
    }
  }

  show(null);
  return { show, remove };
}
