// Drawing: elements, colours, the frame of a plot. All text enters the page as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(key, value);
  const raise = element.namespaceURI === SVG ? raisedInSvg : raisedInHtml;
  for (const child of children) if (child !== null && child !== undefined) element.append(...(typeof child === "string" ? rich(child, raise) : [child]));
  return element;
}

/** Text in which ^{...} is raised and _{...} lowered. */
const rich = (text, raise) => text.split(/([\^_]\{[^{}]*\})/).filter(part => part).flatMap(part => /^[\^_]\{.*\}$/.test(part) ? raise(part[0] === "^", part.slice(2, -1)) : [part]);
const flat = text => text.replace(/[\^_]\{([^{}]*)\}/g, "$1");

function raisedInHtml(up, text) {
  const element = document.createElement(up ? "sup" : "sub");
  element.textContent = text;
  return [element];
}

function raisedInSvg(up, text) {
  const [moved, back] = [up ? -4 : 3, up ? 4 : -3].map(dy => {
    const span = document.createElementNS(SVG, "tspan");
    span.setAttribute("dy", dy);
    return span;
  });
  moved.setAttribute("font-size", "75%");
  moved.textContent = text;
  back.textContent = "\u200b"; // an empty span would not move the text back
  return [moved, back];
}

const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

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
  const longest = Math.max(...labelled(y, (height - 60) / 36).map(([, text]) => flat(text).length));
  const m = { left: (y.label ? 32 : 14) + 6.8 * Math.max(2, longest), right: 12, top: 14 + 17 * title.length, bottom: 44, ...margin };
  const box = { x: m.left, y: m.top, w: width - m.left - m.right, h: height - m.top - m.bottom };
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": flat(label) });
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
  const found = ticks(scale, Math.max(2, most)), powers = scale.log && scale.high >= 1e5;
  return found.map(v => [v, shown(v, 4, powers)]);
}

/** A table with a caption, a head, and rows whose first cell is a head. */
function table(caption, head, rows) {
  const cells = row => row.map((text, i) => i ? html("td", {}, text) : html("th", { scope: "row" }, text));
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": flat(caption) },
    html("table", {}, html("caption", {}, caption),
      html("thead", {}, html("tr", {}, ...head.map(text => html("th", { scope: "col" }, text)))),
      html("tbody", {}, ...rows.map(row => html("tr", {}, ...cells(row))))));
}
