// A field for tags: each becomes a chip; Enter or a comma ends one, Backspace takes the last away.

import { button, fill, h, makeVisible } from "./dom.js";

export function tagField(given, known, limit) {
  let tags = [...given];
  const chips = h("span", { class: "chips" });
  const field = h("input", {
    type: "text", id: "tags", list: "known-tags", maxlength: 64, autocomplete: "off",
    keydown: onKey, change: take, blur: take,
  });
  const root = h("div", { class: "tag-field" }, chips, field, h("datalist", { id: "known-tags" }, known.map((name) => h("option", { value: name }))));

  function draw() {
    fill(chips, tags.map((name) => h("span", { class: "tag" }, h("bdi", {}, makeVisible(name)),
      button("✕", () => set(tags.filter((other) => other !== name)), { "aria-label": `Remove the tag ${makeVisible(name)}` }))));
    field.disabled = tags.length >= limit;
    field.placeholder = tags.length ? "" : "none yet";
  }

  function set(next) {
    tags = [...new Set(next)].slice(0, limit);
    draw();
    field.focus();
  }

  function take() {
    const name = field.value.trim();
    field.value = "";
    if (name) set([...tags, name]);
  }

  function onKey(event) {
    if (event.key === "Enter" || event.key === ",") take();
    else if (event.key === "Backspace" && !field.value && tags.length) set(tags.slice(0, -1));
    else return;
    event.preventDefault();
  }

  draw();
  return { root, value: () => (take(), tags) };
}
