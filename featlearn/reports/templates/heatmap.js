// A heat map: cells at their numbers, crossings and law over them, and a cursor.

/** Places, edges and scale of an axis; words stand at whole numbers. */
function placed(axis) {
  const at = axis.numeric ? axis.values : axis.values.map((_, i) => i);
  const cut = edges(at, axis.log);
  return { at, cut, label: axis.label, words: axis.numeric ? null : axis.values, scale: scale(cut[0], cut.at(-1), axis.log) };
}

/** `value(i, j)` gives a cell's {mean, diverged, failed, n}, or null where no run is; `colours` and `tone` its colour. */
function heatmap({ x, y, value, tone, colours, title, label, boundary, size = {} }) {
  const { width = 430, height = 350 } = size;
  const made = plot(width, height, x, y, { label, title });
  const { inside, box, toX, toY } = made;
  const paths = new Map(), crosses = [], signs = [];
  for (let i = 0; i < x.at.length; i++) for (let j = 0; j < y.at.length; j++) {
    const cell = value(i, j);
    if (!cell) continue;
    const colour = Number.isFinite(cell.mean) ? colours[level(tone(cell.mean))] : "lost";
    const [l, r, t, b] = [toX(x.cut[i]), toX(x.cut[i + 1]), toY(y.cut[j + 1]), toY(y.cut[j])];
    paths.set(colour, (paths.get(colour) || "") + `M${l.toFixed(2)} ${t.toFixed(2)}H${r.toFixed(2)}V${b.toFixed(2)}H${l.toFixed(2)}Z`);
    if (cell.diverged + cell.failed > 0) crosses.push([(l + r) / 2, (t + b) / 2]);
    if (Math.abs(cell.mean) === Infinity) signs.push([(l + r) / 2, (t + b) / 2, cell.mean]);
  }
  inside.append(svg("rect", { x: box.x, y: box.y, width: box.w, height: box.h, class: "empty" }));
  for (const [colour, d] of paths) inside.append(svg("path", colour === "lost" ? { d, class: "lost" } : { d, fill: colour, stroke: colour, class: "cells" }));
  for (const [a, b] of crosses) inside.append(svg("path", { d: `M${a - 2.5} ${b - 2.5}l5 5m0-5l-5 5`, class: "cross" }));
  for (const [a, b, v] of signs) inside.append(svg("text", { x: a, y: b + 4, "text-anchor": "middle" }, v > 0 ? "∞" : "−∞"));
  if (boundary) drawBoundary(inside, boundary, toX, toY);
  return withCursor(made, x, y);
}

function drawBoundary(inside, { x, y, law }, toX, toY) {
  if (law) {
    const d = law.x.map((v, i) => `${i ? "L" : "M"}${toX(v).toFixed(1)} ${toY(law.y[i]).toFixed(1)}`).join("");
    inside.append(svg("path", { d, class: "law edge" }), svg("path", { d, class: "law" }));
  }
  x.forEach((v, i) => inside.append(svg("circle", { cx: toX(v), cy: toY(y[i]), r: 2.6, class: "crossing" })));
}

/** Add a cursor, and the search for the cell at a place of the screen. */
function withCursor(made, x, y) {
  const { inside, root, box, toX, toY } = made;
  const outer = svg("rect", { class: "cursor outer" }), inner = svg("rect", { class: "cursor" });
  inside.append(outer, inner);
  const cursor = (i, j) => {
    const [l, r, t, b] = [toX(x.cut[i]), toX(x.cut[i + 1]), toY(y.cut[j + 1]), toY(y.cut[j])];
    for (const mark of [outer, inner]) fill(mark, { x: l, y: t, width: r - l, height: b - t }, []);
  };
  const place = event => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(root.getScreenCTM().inverse());
    if (at.x < box.x || at.x > box.x + box.w || at.y < box.y || at.y > box.y + box.h) return null;
    const i = x.cut.findLastIndex(v => toX(v) <= at.x), j = y.cut.findLastIndex(v => toY(v) >= at.y);
    return [Math.max(0, Math.min(i, x.at.length - 1)), Math.max(0, Math.min(j, y.at.length - 1))];
  };
  return { ...made, cursor, place };
}

/** The legend of a colour map: a bar with values. */
function colourBar(tone, colours, label) {
  const width = 430, left = 54, w = width - 66, h = 12;
  const root = svg("svg", { viewBox: `0 0 ${width} 52`, class: "plot bar", role: "img", "aria-label": flat(`Colours: ${label}, from ${shown(tone.low)} to ${shown(tone.high)}`) });
  const id = `colours${colourBar.count = (colourBar.count || 0) + 1}`;
  root.append(svg("linearGradient", { id }, ...colours.map((colour, i) => svg("stop", { offset: i / (LEVELS - 1), "stop-color": colour }))));
  root.append(svg("rect", { x: left, y: 2, width: w, height: h, fill: `url(#${id})` }));
  const group = svg("g", { class: "frame" }, svg("rect", { x: left, y: 2, width: w, height: h, class: "box" }));
  for (const v of ticks(tone, 6)) {
    const at = left + w * tone(v);
    group.append(svg("line", { x1: at, x2: at, y1: 2 + h, y2: 6 + h }), svg("text", { x: at, y: 30, "text-anchor": "middle" }, shown(v, 4)));
  }
  group.append(svg("text", { x: left + w / 2, y: 47, "text-anchor": "middle", class: "label" }, label));
  root.append(group);
  return root;
}
