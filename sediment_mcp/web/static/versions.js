// The history of a memory: what was believed when, what changed, and the way back.

import { runQuery } from "./api.js";
import { button, fill, h, makeVisible, textElement } from "./dom.js";
import { moment } from "./format.js";
import { routeUrl } from "./router.js";
import { showError } from "./toasts.js";

export function versions({ versions: all, current }, open, revert) {
  const newestFirst = [...all].reverse();
  return h("ol", { class: "versions" }, newestFirst.map((version) => entry(version, all, current, open, revert)));
}

function entry(version, all, current, open, revert) {
  const replaced = all.filter((other) => other.superseded_by === version.id);
  const body = h("div", { class: "version-text" });
  const text = () => fill(body, textElement("p", version.content));
  text();
  const isOld = version.state === "superseded";
  return h(
    "li",
    { class: version.state },
    h("div", { class: "version-top" },
      h("a", { href: routeUrl("memories", { open: version.id }), "aria-current": version.id === open ? "true" : null }, moment(version.created_at)),
      h("span", { class: "state" }, version.state),
      replaced.map((old) => compare(old, version, body, text)),
      isOld ? button("Make current again", () => revert(version.id), { class: "small" }) : null,
    ),
    body,
  );
}

/** A button that shows how a version differs from one that it replaced. */
function compare(old, version, body, text) {
  const toggle = button("What changed", async () => {
    const isOn = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", isOn);
    if (!isOn) return text();
    try {
      const { difference } = await runQuery("changed", { id: version.id, from: old.id });
      fill(body, h("p", { class: "difference", dir: "auto" }, difference.map(part)));
    } catch (error) {
      showError(error);
    }
    return body;
  }, { class: "small quiet", "aria-pressed": "false", title: `since ${moment(old.created_at)}` });
  return toggle;
}

const TAGS = { same: "span", out: "del", in: "ins" };

const part = ([kind, text]) => h(TAGS[kind], {}, makeVisible(text));
