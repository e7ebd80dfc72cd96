// Router: the page's name and its parameters, kept in the address so that Back works.

const LISTS = new Set(["tags"]);

export function currentRoute() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const params = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (LISTS.has(name)) (params[name] ??= []).push(value);
    else params[name] = value;
  }
  return { page: path || "memories", params };
}

export function routeUrl(page, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "" && one !== false) query.append(name, one);
    }
  }
  const text = query.toString();
  return `#/${page === "memories" ? "" : page}${text ? `?${text}` : ""}`;
}

export function navigate(page, params = {}, { replace = false } = {}) {
  const there = routeUrl(page, params);
  if (replace) {
    history.replaceState(null, "", there);
    dispatchEvent(new Event("hashchange"));
  } else location.hash = there;
}
