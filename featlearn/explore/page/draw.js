// Pictures: curves over steps, and maps of cells, as SVG.
import { node, short } from "./controls.js";

const NS = "http://www.w3.org/2000/svg";
const svg = (tag, attributes = {}, ...children) => {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
const text = (x, y, words, anchor = "middle") => svg("text", { x, y, "text-anchor": anchor, class: "axis" }, words);

// pale is small, dark is large: the colours of the package's figures
const COLOURS = ["def5e5", "c0e9cc", "99ddb6", "6ad2ad", "4cc3ad", "3cb2ad", "35a0ab", "348fa7", "357da3", "366b9f", "3b589a", "40478b", "3f3770", "382a54", "2e1e3b", "201322"]
  .map(hex => [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16)));
const colour = share => {
  const at = Math.min(1, Math.max(0, share)) * (COLOURS.length - 1), i = Math.min(Math.floor(at), COLOURS.length - 2);
  return COLOURS[i].map((c, k) => Math.round(c + (COLOURS[i + 1][k] - c) * (at - i)));
};

const ticks = (low, high, many = 4) => {
  if (!(high > low)) return [low];
  const raw = (high - low) / many, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(x => x * power).find(x => x >= raw);
  const found = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + 1e-9 * step; x += step) found.push(Number(x.toPrecision(12)));
  return found;
};
const decades = (low, high) => {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9), by = Math.max(1, Math.ceil((last - first) / 5));
  const found = [];
  for (let e = first; e <= last; e += by) found.push(10 ** e);
  return found.length > 1 ? found : [low, high];
};
const SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const written = (value, log) => {
  const e = Math.round(Math.log10(value));
  if (log && Math.abs(value / 10 ** e - 1) < 1e-9 && (e > 3 || e < -2)) return `10${e < 0 ? "⁻" : ""}${[...String(Math.abs(e))].map(d => SUPER[d]).join("")}`;
  return short(value);
};

const mean = (runs, name) => runs[0].steps.map((_, i) => {
  const found = runs.map(run => run[name][Math.min(i, run[name].length - 1)]).filter(x => x !== null);
  return found.length ? found.reduce((a, b) => a + b, 0) / found.length : null;
});
const longest = runs => runs.reduce((a, b) => (b.steps.length > a.steps.length ? b : a));

const meanOf = (runs, name) => { const one = longest(runs); return mean([one, ...runs.filter(r => r !== one)], name); };

// curves: [{runs, name, style, label}]; one thin line a seed, and their mean
function chart(title, curves, { low, high, windows }) {
  const width = 270, height = 190, box = { left: 36, right: 262, top: 8, bottom: 160 };
  const last = Math.max(...curves.flatMap(c => c.runs.map(run => run.steps.at(-1))), 1);
  const x = step => box.left + (box.right - box.left) * step / last;
  const y = value => box.bottom - (box.bottom - box.top) * (value - low) / (high - low || 1);
  const made = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  for (const value of ticks(low, high)) made.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }), text(box.left - 4, y(value) + 4, short(value), "end"));
  for (const step of ticks(0, last)) {
    const words = short(step), late = x(step) + 4 * words.length > width; // would leave the picture
    made.append(text(late ? width - 1 : x(step), box.bottom + 14, words, late ? "end" : "middle"));
  }
  made.append(text((box.left + box.right) / 2, height - 5, "step"));
  for (const step of windows.filter(step => step < last)) made.append(svg("line", { class: "window", x1: x(step), x2: x(step), y1: box.top, y2: box.bottom }));
  const line = (steps, values, style) => {
    let pen = "M";
    const path = steps.map((step, i) => { if (values[i] === null) { pen = "M"; return ""; } const at = `${pen}${x(step).toFixed(1)},${y(values[i]).toFixed(1)}`; pen = "L"; return at; }).join("");
    made.append(svg("path", { d: path, class: style }));
  };
  for (const { runs, name, style } of curves) for (const run of runs) if (runs.length > 1) line(run.steps, run[name], `seed ${style}`);
  for (const { runs, name, style } of curves) line(longest(runs).steps, meanOf(runs, name), `mean ${style}`);
  made.append(svg("rect", { class: "frame", x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top }));
  const ends = curves.map(c => `${c.label} ends at ${short(meanOf(c.runs, c.name).at(-1) ?? NaN) || "no number"}`);
  made.setAttribute("aria-label", `${title} over steps: ${ends.join(", ")}`);
  const keys = curves.map(c => { const key = svg("svg", { viewBox: "0 0 18 8", "aria-hidden": "true" }, svg("path", { d: "M0,4H18", class: `mean ${c.style}` })); return node("span", { class: "key" }, key, c.label); });
  return node("figure", {}, node("figcaption", {}, title, node("span", { class: "keys" }, ...keys)), made);
}

const range = (curves, least, most) => {
  const all = curves.flatMap(c => c.runs.flatMap(run => run[c.name])).filter(x => x !== null);
  const low = Math.min(least ?? Infinity, ...all), high = Math.max(most ?? -Infinity, ...all);
  return { low: Number.isFinite(low) ? low : 0, high: Number.isFinite(high) && high > low ? high + .03 * (high - low) : low + 1 };
};
const columns = (runs, name) => Object.keys(runs[0]).filter(key => key === name || key.startsWith(`${name}.`));

// of several signals each has its own line, in place of the mean over all
const signals = runs => {
  const found = columns(runs, "signal_coef_mean"), own = found.filter(name => name.includes("."));
  return own.length ? own : found;
};

export function dynamics(panels, windows) {
  const coefficients = panels.map(({ runs, title }) => ({ title, curves: [
    ...signals(runs).map((name, i) => ({ runs, name, style: `signal hue${i % 3} dash${Math.floor(i / 3) % 3}`, label: name.slice(17).replaceAll("_", " ") || "signal" })),
    ...columns(runs, "noise_coef_pos_mean").map(name => ({ runs, name, style: "noise", label: "noise" })),
  ] }));
  const ends = range(coefficients.flatMap(c => c.curves), 0);
  const rules = name => panels.filter(p => name in p.runs[0]).map((p, i) => ({ runs: p.runs, name, style: i === panels.length - 1 && panels.length > 1 ? "rule" : "sgd", label: p.title }));
  const made = coefficients.filter(c => c.curves.length).map((c, i) => chart(`${c.title}: coefficients`, c.curves, { ...ends, windows: i === panels.length - 1 ? windows : [] }));
  for (const [name, title, most] of [["train_loss", "train loss", undefined], ["test_error", "test error", .5]]) {
    const curves = rules(name);
    if (curves.length) made.push(chart(title, curves, { ...range(curves, 0, most), windows }));
  }
  return made;
}

const BOX = { left: 46, right: 330, top: 6, bottom: 246, width: 340, height: 284 };
const along = (axis, value) => (axis.scale === "log" ? Math.log(value / axis.ends[0]) / Math.log(axis.ends[1] / axis.ends[0]) : (value - axis.ends[0]) / (axis.ends[1] - axis.ends[0]));

export const span = (panels, quantity) => {
  const all = panels.flatMap(p => (p.means[quantity] ?? []).flat()).filter(x => x !== null);
  const low = Math.min(...all), high = Math.max(...all);
  if (/error/.test(quantity) || !all.length) return [0, Math.max(.5, all.length ? high : 0)];
  return high > low ? [low, high] : [low - .5, high + .5];
};

// here: the point of the controls. over(i, j, panel), pick(i, j): a cell under the pointer, a cell chosen
export function map(panel, { x, y, quantity, ends, here, over, pick, words }) {
  const cells = panel.means[quantity] ?? [[null]], rows = cells.length, many = cells[0].length;
  const canvas = Object.assign(document.createElement("canvas"), { width: many, height: rows }), pen = canvas.getContext("2d"), image = pen.createImageData(many, rows);
  cells.forEach((line, j) => line.forEach((value, i) => {
    const rgb = value === null ? [150, 150, 150] : colour((value - ends[0]) / (ends[1] - ends[0]));
    image.data.set([...rgb, 255], 4 * ((rows - 1 - j) * many + i));
  }));
  pen.putImageData(image, 0, 0);
  const wide = BOX.right - BOX.left, tall = BOX.bottom - BOX.top, half = { x: many > 1 ? wide / many / 2 : 0, y: rows > 1 ? tall / rows / 2 : 0 };
  const px = value => BOX.left + half.x + (wide - 2 * half.x) * along(x, value), py = value => BOX.bottom - half.y - (tall - 2 * half.y) * along(y, value);
  const made = svg("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, class: "map", tabindex: 0, role: "img", "aria-label": `${panel.title}: ${words(quantity)} over ${words(x.key)} and ${words(y.key)}; arrow keys move the point` });
  made.append(svg("image", { href: canvas.toDataURL(), x: BOX.left, y: BOX.top, width: wide, height: tall, preserveAspectRatio: "none" }));
  made.append(svg("rect", { class: "frame", x: BOX.left, y: BOX.top, width: wide, height: tall }));
  for (const value of x.scale === "log" ? decades(...x.ends) : ticks(...x.ends, 5)) made.append(text(px(value), BOX.bottom + 14, written(value, x.scale === "log")));
  for (const value of y.scale === "log" ? decades(...y.ends) : ticks(...y.ends, 5)) made.append(text(BOX.left - 5, py(value) + 4, written(value, y.scale === "log"), "end"));
  made.append(text((BOX.left + BOX.right) / 2, BOX.height - 8, words(x.key)));
  const name = text(0, 0, words(y.key));
  name.setAttribute("transform", `translate(11 ${(BOX.top + BOX.bottom) / 2}) rotate(-90)`);
  made.append(name);
  const inside = here.x !== null && here.y !== null && [along(x, here.x), along(y, here.y)].every(s => s >= -1e-9 && s <= 1 + 1e-9);
  if (inside) for (const style of ["here edge", "here"]) made.append(svg("circle", { class: style, cx: px(here.x), cy: py(here.y), r: 5 }));
  const cell = event => {
    const box = made.getBoundingClientRect(), u = (event.clientX - box.left) * BOX.width / box.width, v = (event.clientY - box.top) * BOX.height / box.height;
    const i = Math.floor(many * (u - BOX.left) / wide), j = Math.floor(rows * (BOX.bottom - v) / tall);
    return i >= 0 && j >= 0 && i < many && j < rows ? [i, j] : null;
  };
  made.addEventListener("pointermove", event => { const at = cell(event); if (at) over(...at, panel); });
  made.addEventListener("click", event => { const at = cell(event); if (at) pick(panel.x[at[0]] ?? null, panel.y[at[1]] ?? null); });
  made.addEventListener("keydown", event => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const next = (values, value, by) => Math.min(values.length - 1, Math.max(0, nearest(values, value) + by));
    const i = next(panel.x, here.x, move[0]), j = next(panel.y, here.y, move[1]);
    over(i, j, panel);
    pick(panel.x[i] ?? null, panel.y[j] ?? null);
  });
  return node("figure", {}, node("figcaption", {}, panel.title), made);
}
export const nearest = (values, value) => values.reduce((best, v, i) => (Math.abs(v - value) < Math.abs(values[best] - value) ? i : best), 0);

export function scale(ends, label) {
  const made = svg("svg", { viewBox: "0 0 340 34", role: "img", "aria-label": `${label} from ${short(ends[0])}, pale, to ${short(ends[1])}, dark` }), stops = svg("linearGradient", { id: "colours" });
  COLOURS.forEach((c, i) => stops.append(svg("stop", { offset: i / (COLOURS.length - 1), "stop-color": `rgb(${c})` })));
  made.append(svg("defs", {}, stops), svg("rect", { x: BOX.left, y: 2, width: BOX.right - BOX.left, height: 9, fill: "url(#colours)" }));
  for (const value of ticks(...ends, 5)) made.append(text(BOX.left + (BOX.right - BOX.left) * (value - ends[0]) / (ends[1] - ends[0]), 25, short(value)));
  return node("figure", { class: "scale" }, node("figcaption", {}, label), made);
}
