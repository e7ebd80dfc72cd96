// The form for a new memory, for a new version of one, and for one that takes the place of several.

import { runQuery, runMutation } from "./api.js";
import { button, dialog, h, makeVisible, textElement } from "./dom.js";
import { KINDS, fromField, moment, ownerName, projectName, toField } from "./format.js";
import { complete } from "./memory.js";
import { tagField } from "./tag_field.js";
import { showError, toast } from "./toasts.js";

const MEANINGS = {
  semantic: "fact: true until something replaces it",
  episodic: "event: happened once",
  procedural: "how-to: a way to do something",
  working: "note: forgotten after a day",
};

const knownTags = (state) => (state.numbers?.tags ?? []).slice(0, 200).map(({ name }) => name);

async function whole(state, id) {
  const answer = await runQuery("memory", { id });
  const memory = answer.versions.find((version) => version.id === id);
  if (memory?.state !== "current") throw new Error("This is not the current version: open that one to change it.");
  return complete(memory, state.status.project);
}

/** The form in a dialog; `done` gets what it holds and answers with what became of it. */
function form(state, title, memory, { before = [], scope = null, button: label, done, fixed = [] }) {
  const text = h("textarea", { id: "content", rows: 6, maxlength: state.status.max_content, required: true, dir: "auto", value: memory.content ?? "" });
  const kind = h("select", { id: "kind" }, Object.keys(KINDS).map((name) => h("option", { value: name, selected: name === (memory.kind ?? "semantic") }, MEANINGS[name])));
  const tags = tagField(memory.tags ?? [], knownTags(state), state.status.max_tags);
  const importance = h("input", { type: "range", id: "importance", min: 0, max: 1, step: 0.05, value: memory.importance ?? 0.5 });
  const weight = h("output", { for: "importance" }, importance.value);
  importance.addEventListener("input", () => (weight.textContent = importance.value));
  const happened = h("input", { type: "datetime-local", id: "happened", value: toField(memory.occurred_at) });
  const ends = h("input", { type: "datetime-local", id: "ends", value: toField(memory.expires_at) });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const save = h("button", { type: "submit", class: "primary" }, label);
  const body = h("form", { class: "editor", submit: send, keydown: (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && body.requestSubmit() },
    before,
    h("label", { for: "content" }, "Text"), text,
    h("div", { class: "fields" },
      field("Kind", "kind", kind), field("Tags", "tags", tags.root), scope && field("Belongs to", "scope", scope),
      field("Importance", "importance", importance, weight), field("Happened", "happened", happened), field("Ends", "ends", ends)),
    fixed.length ? h("p", { class: "fixed" }, "Stays: ", fixed.join(" · ")) : null,
    problem,
    h("div", { class: "actions" }, save, button("Cancel", () => box.close(), { class: "quiet" }), h("span", { class: "soft" }, "Ctrl + Enter saves")),
  );
  const box = dialog(title, body);
  text.focus();

  /** Times that nobody has touched go back as they came, which to the server are the exact ones. */
  const time = (input, iso) => (input.value === toField(iso) ? iso : fromField(input.value)) ?? null;

  async function send(event) {
    event.preventDefault();
    save.disabled = true;
    try {
      const result = await done({
        content: text.value, kind: kind.value, tags: tags.value(), importance: Number(importance.value),
        occurred_at: time(happened, memory.occurred_at), expires_at: time(ends, memory.expires_at),
        ...(scope ? { scope: scope.value } : {}),
      });
      box.close();
      for (const warning of result.warnings ?? []) toast(warning);
    } catch (error) {
      problem.textContent = makeVisible(error.message);
      problem.hidden = false;
      save.disabled = false;
    }
  }
  return { text, tags };
}

function field(label, id, ...inputs) {
  return h("div", { class: `field for-${id}` }, h("label", { for: id }, label), h("div", { class: "input" }, inputs));
}

function stays(memory) {
  return [
    makeVisible(ownerName(memory)),
    memory.session ? `session ${makeVisible(memory.session)}` : null,
    Object.keys(memory.metadata).length ? "metadata" : null,
  ].filter(Boolean);
}

export const editor = {
  async add(state, given = {}) {
    const { project, team } = state.status;
    const scope = (project || team) && h("select", { id: "scope" },
      project ? h("option", { value: "project" }, projectName(project)) : null,
      h("option", { value: "global" }, "everything (global)"),
      team ? h("option", { value: "team" }, `the team (${team})`) : null);
    form(state, "A new memory", given, {
      scope, button: "Remember", done: async (filled) => {
        const result = await runMutation("add", filled);
        const words = { stored: "Remembered.", duplicate: "This was known already.", merged: "Remembered, in the place of nearly the same one." };
        toast(words[result.status], result.status === "stored" ? () => forget(state, result.id) : null);
        if (result.similar) toast("Something similar is there already: see Look-alikes.");
        state.changed?.(result.id);
        return result;
      },
    });
  },

  async edit(state, id, changed) {
    try {
      const memory = await whole(state, id);
      form(state, "Edit", memory, {
        button: "Save", fixed: stays(memory), done: async (filled) => {
          const result = await runMutation("edit", { id, ...filled });
          const isNew = result.id !== id;
          toast(isNew ? "Saved as a new version." : "Saved.", () => undoEdit(memory, isNew, changed));
          changed(result.id);
          return result;
        },
      });
    } catch (error) {
      showError(error);
    }
  },

  /** Keep a captured turn as a fact, in other words if need be. */
  async keep(state, id, changed) {
    try {
      const memory = await whole(state, id);
      const fact = { ...memory, kind: "semantic", importance: 0.5, expires_at: null, tags: memory.tags.filter((name) => name !== "captured") };
      form(state, "Keep as a fact", fact, {
        button: "Keep", fixed: stays(memory), done: async (filled) => {
          const result = await runMutation("edit", { id, ...filled });
          toast("Kept.");
          changed();
          return result;
        },
      });
    } catch (error) {
      showError(error);
    }
  },

  async merge(state, ids, changed) {
    try {
      const parts = await Promise.all(ids.map((id) => whole(state, id)));
      const [first] = parts;
      const shownParts = h("div", { class: "parts" }, parts.map((memory, place) =>
        h("div", { class: "part" }, h("p", { class: "soft" }, moment(memory.occurred_at)), textElement("p", memory.content, { class: "text" }),
          button("Use this text", () => (made.text.value = memory.content), { class: "small", "aria-label": `Use text ${place + 1}` }))));
      const together = {
        ...first, content: parts.map((memory) => memory.content).join("\n\n"),
        tags: [...new Set(parts.flatMap((memory) => memory.tags))].slice(0, state.status.max_tags),
        importance: Math.max(...parts.map((memory) => memory.importance)),
        occurred_at: parts.map((memory) => memory.occurred_at).sort().at(-1),
        expires_at: parts.every((memory) => memory.expires_at) ? parts.map((memory) => memory.expires_at).sort().at(-1) : null,
      };
      const made = form(state, `Merge ${parts.length} memories into one`, together, {
        before: [shownParts], button: "Merge", fixed: stays(first), done: async (filled) => {
          const result = await runMutation("merge", { ids, ...filled });
          toast("Merged. Both texts are kept as its history.");
          changed(result.id);
          return result;
        },
      });
    } catch (error) {
      showError(error);
    }
  },
};

async function forget(state, id) {
  await runMutation("delete", { ids: [id] });
  state.changed?.(null);
}

async function undoEdit(memory, isNew, changed) {
  const { id, content, kind, tags, importance, occurred_at, expires_at } = memory;
  const result = isNew ? await runMutation("revert", { id }) : await runMutation("edit", { id, content, kind, tags, importance, occurred_at, expires_at });
  toast("As it was before.");
  changed(result.id);
}
