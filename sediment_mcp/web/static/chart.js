// Two kinds of charts, drawn here: growth as hills over time, and bars with their numbers.

import { h, svg, makeVisible } from "./dom.js";
import { count, number } from "./format.js";

const HEIGHT = 270;
const LEFT = 44;
const BOTTOM = 26;
const TOP = 12;

/** Months from the first to the last, also those in which nothing was stored. */
export function everyMonth(months) {
  const names = Object.keys(months).sort();
  if (!names.length) return [];
  const all = [];
  let [year, month] = names[0].split("-").map(Number);
  for (let name = names[0]; name <= names.at(-1) && all.length < 600; ) {
    all.push({ name, added: months[name] ?? 0 });
    month += 1;
    if (month > 12) [year, month] = [year + 1, 1];
    name = `${year}-${String(month).padStart(2, "0")}`;
  }
  let total = 0;
  return all.map((entry) => ({ ...entry, total: (total += entry.added) }));
}

const monthName = new Intl.DateTimeFormat(undefined, { month: "short", year: "2-digit", timeZone: "UTC" });
const named = (name) => monthName.format(new Date(`${name}-01T00:00:00Z`));

/** A round number at or above the highest value, and how many lines divide it. */
function scale(highest) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, highest)));
  const step = [0.25, 0.5, 1, 2.5].map((part) => Math.max(1, part * power)).find((part) => highest / part <= 4) ?? power * 5;
  return { step, top: Math.ceil(Math.max(1, highest) / step) * step };
}

export function growth(months) {
  const WIDTH = matchMedia("(max-width: 620px)").matches ? 420 : 960; // so that the words stay readable
  const data = everyMonth(months);
  const { step, top } = scale(data.at(-1)?.total ?? 0);
  const x = (place) => LEFT + ((place + 0.5) * (WIDTH - LEFT)) / data.length;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const floor = HEIGHT - BOTTOM;
  const lines = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step);
  const points = data.map((entry, place) => `${x(place).toFixed(1)},${y(entry.total).toFixed(1)}`);
  const wide = Math.min(28, (0.5 * (WIDTH - LEFT)) / data.length);
  const every = Math.ceil(data.length / 8);
  const last = data.at(-1);
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "growth", role: "img", "aria-label": `From ${named(data[0].name)} to ${named(last.name)}: ${count(last.total, "memory", "memories")} in all.` },
    lines.map((value) => [
      svg("line", { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value), class: "grid" }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, number(value)),
    ]),
    svg("polygon", { class: "hill", points: [`${x(0)},${floor}`, ...points, `${x(data.length - 1)},${floor}`].join(" ") }),
    data.map((entry, place) => svg("rect", { class: "month", x: x(place) - wide / 2, width: wide, y: y(entry.added), height: Math.max(0, floor - y(entry.added)), rx: 2 },
      svg("title", {}, `${named(entry.name)}: ${number(entry.added)} new, ${number(entry.total)} in all`))),
    svg("polyline", { class: "ridge", points: points.join(" ") }),
    data.length < 30 ? data.map((entry, place) => svg("circle", { class: "peak", cx: x(place), cy: y(entry.total), r: 3 }, svg("title", {}, `${named(entry.name)}: ${number(entry.total)} in all`))) : null,
    data.map((entry, place) => ((data.length - 1 - place) % every === 0 ? svg("text", { x: x(place), y: HEIGHT - 6, "text-anchor": "middle" }, named(entry.name)) : null)),
  );
}

/** Rows of {name, value, href, label}: a list, of which each row is also a bar. */
export function bars(rows, className = "") {
  const most = Math.max(1, ...rows.map((row) => row.value));
  return h("ul", { class: `bars ${className}` }, rows.map(({ name, value, href, label, mark }) => {
    const bar = h("i", { class: `fill ${mark ?? ""}` });
    bar.style.width = `${(100 * value) / most}%`;
    const parts = [h("bdi", { class: "name", title: makeVisible(name) }, makeVisible(name)), h("span", { class: "bar", "aria-hidden": "true" }, bar), h("span", { class: "value" }, label ?? number(value))];
    return h("li", {}, href ? h("a", { href }, parts) : h("div", {}, parts));
  }));
}
