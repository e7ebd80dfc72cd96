// Elements and text. Everything becomes a text node or an attribute set here; nothing is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";
let replacements = new Map();

/** What stands on the screen in place of characters that cannot be seen, or that turn the text around. */
export function setReplacements(table) {
  replacements = new Map(Object.entries(table));
}

/** The text with characters that could disguise it made visible. */
export function makeVisible(text) {
  let out = "";
  for (const sign of String(text).replaceAll("\r\n", "\n")) out += replacements.get(sign) ?? sign;
  return out;
}

export function h(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("aria-")) element.setAttribute(name, String(value)); // where "false" says something
    else if (value === false) continue;
    else if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "value" || name === "checked" || name === "hidden") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A memory's text, or a piece of it: in its own direction, as it was written. */
export function textElement(tag, text, attributes = {}) {
  return h(tag, { dir: "auto", ...attributes }, makeVisible(text));
}

export function button(label, act, attributes = {}) {
  return h("button", { type: "button", click: act, ...attributes }, label);
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(3).filter(Boolean));
  return element;
}

/** A native dialog: modal, closed by Escape, gone when closed; focus returns to where it was. */
export function dialog(title, ...children) {
  const before = document.activeElement;
  const heading = h("h2", { id: "dialog-title" }, title);
  const close = button("✕", () => box.close(), { class: "quiet icon", "aria-label": "Close" });
  const box = h("dialog", { "aria-labelledby": "dialog-title" }, h("div", { class: "dialog-top" }, heading, close), ...children);
  box.addEventListener("close", () => {
    box.remove();
    if (before?.isConnected) before.focus();
  });
  document.body.append(box);
  box.showModal();
  return box;
}
