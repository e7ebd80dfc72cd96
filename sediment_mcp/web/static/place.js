// Where we are: the page's name and its filters, kept in the address so that Back works.

const LISTS = new Set(["tags"]);

export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const asked = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (LISTS.has(name)) (asked[name] ??= []).push(value);
    else asked[name] = value;
  }
  return { page: path || "memories", asked };
}

export function address(page, asked = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "" && one !== false) query.append(name, one);
    }
  }
  const text = query.toString();
  return `#/${page === "memories" ? "" : page}${text ? `?${text}` : ""}`;
}

export function go(page, asked = {}, { replace = false } = {}) {
  const there = address(page, asked);
  if (replace) {
    history.replaceState(null, "", there);
    dispatchEvent(new Event("hashchange"));
  } else location.hash = there;
}
