// Drawing: elements, colours, the frame of a plot. All text enters the page as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(key, value);
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}
const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

/** Text in which ^{...} is raised. */
const rich = text => text.split(/\^\{(.*?)\}/).map((part, i) => i % 2 ? html("sup", {}, part) : part);

const LEVELS = 64;
const parts = colour => [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));

/** Colours at LEVELS places of a list of colours, between which they are linear. */
function gradient(stops) {
  return Array.from({ length: LEVELS }, (_, i) => {
    const at = i / (LEVELS - 1) * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
    const [a, b] = [parts(stops[k]), parts(stops[k + 1])];
    return `rgb(${a.map((v, c) => Math.round(v + (at - k) * (b[c] - v))).join(",")})`;
  });
}
const level = t => Math.max(0, Math.min(LEVELS - 1, Math.round(t * (LEVELS - 1))));

/** An empty plot: its box, its scales to pixels, and the groups for what lies below and above the frame. */
function plot(width, height, x, y, { label, title = [], margin = {} }) {
  const m = { left: 54, right: 12, top: 14 + 17 * title.length, bottom: 44, ...margin };
  const box = { x: m.left, y: m.top, w: width - m.left - m.right, h: height - m.top - m.bottom };
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": label });
  const toX = v => box.x + box.w * x.scale(v), toY = v => box.y + box.h * (1 - y.scale(v));
  title.forEach((line, i) => root.append(svg("text", { x: box.x, y: 15 + 17 * i, class: i ? "note" : "title" }, line)));
  const inside = svg("svg", { x: box.x, y: box.y, width: box.w, height: box.h, viewBox: `${box.x} ${box.y} ${box.w} ${box.h}` });
  root.append(inside, frame(box, x, y, toX, toY));
  return { root, inside, box, toX, toY };
}

function frame(box, x, y, toX, toY) {
  const group = svg("g", { class: "frame" }), bottom = box.y + box.h;
  group.append(svg("rect", { x: box.x, y: box.y, width: box.w, height: box.h, class: "box" }));
  for (const [v, text] of labelled(x, box.w / 55)) {
    group.append(svg("line", { x1: toX(v), x2: toX(v), y1: bottom, y2: bottom + 4 }));
    group.append(svg("text", { x: toX(v), y: bottom + 16, "text-anchor": "middle" }, text));
  }
  for (const [v, text] of labelled(y, box.h / 36)) {
    group.append(svg("line", { x1: box.x - 4, x2: box.x, y1: toY(v), y2: toY(v) }));
    group.append(svg("text", { x: box.x - 7, y: toY(v) + 3.8, "text-anchor": "end" }, text));
  }
  group.append(svg("text", { x: box.x + box.w / 2, y: bottom + 35, "text-anchor": "middle", class: "label" }, x.label));
  if (y.label) {
    const turned = `translate(13 ${box.y + box.h / 2}) rotate(-90)`;
    group.append(svg("text", { transform: turned, "text-anchor": "middle", class: "label" }, y.label));
  }
  return group;
}

/** The ticks of an axis with their texts: its words, or round numbers. */
function labelled({ scale, words }, most) {
  if (words) return words.map((word, i) => [i, word.length > 12 ? word.slice(0, 11) + "…" : word]);
  return ticks(scale, Math.max(2, most)).map(v => [v, shown(v, 4)]);
}

/** A table with a caption, a head, and rows whose first cell is a head. */
function table(caption, head, rows) {
  const cells = row => row.map((text, i) => i ? html("td", {}, text) : html("th", { scope: "row" }, text));
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    html("table", {}, html("caption", {}, caption),
      html("thead", {}, html("tr", {}, ...head.map(text => html("th", { scope: "col" }, text)))),
      html("tbody", {}, ...rows.map(row => html("tr", {}, ...cells(row))))));
}
