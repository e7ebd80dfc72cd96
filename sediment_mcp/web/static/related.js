// What is related to the memory that is open, each with the reason.

import { runQuery } from "./api.js";
import { excerpt, facts } from "./card.js";
import { fill, h, makeVisible } from "./dom.js";
import { complete } from "./memory.js";
import { routeUrl } from "./router.js";
import { showError } from "./toasts.js";

const SHOWN = 8;

/** A section that stays empty until something related is found. */
export function relatedMemories(memory, project) {
  const section = h("section", { class: "related" });
  runQuery("browse", { related_to: memory.id, limit: SHOWN })
    .then(({ memories }) => memories.length && fill(section, h("h2", {}, "Related"), h("ol", {}, memories.map((one) => entry(one, project)))))
    .catch(showError);
  return section;
}

function entry(found, project) {
  const memory = complete(found, project);
  return h(
    "li",
    {},
    h("a", { href: routeUrl("memories", { open: memory.id }) }, excerpt(memory)),
    h("p", { class: "reason" }, h("bdi", {}, makeVisible(memory.related))),
    facts(memory),
  );
}
