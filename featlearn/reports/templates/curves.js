// Curves with bands or bars, and a vertical cursor.

/** Lines {name, colour, x, y, low, high, dashed, bars}; `ends` are vertical lines {at, text}; y from `limits`. */
function curves({ x, yLabel, lines, title, label, ends = [], zero = false, logY = false, limits = null, size = {} }) {
  const { width = 430, height = 300 } = size;
  const all = lines.flatMap(line => [...line.y, ...(line.low || []), ...(line.high || [])]);
  const [low, high] = limits || padded(range(zero ? [...all, 0] : logY ? all.filter(v => v > 0) : all), logY);
  const made = plot(width, height, x, { scale: scale(low, high, logY), label: yLabel }, { label, title });
  const { inside, box, toX, toY } = made;
  if (zero) inside.append(svg("line", { x1: box.x, x2: box.x + box.w, y1: toY(0), y2: toY(0), class: "zero" }));
  for (const { at, text } of ends) {
    inside.append(svg("line", { x1: toX(at), x2: toX(at), y1: box.y, y2: box.y + box.h, class: "end" }));
    if (text) inside.append(svg("text", { x: toX(at) + 4, y: box.y + 12, class: "note" }, text));
  }
  for (const line of lines) if (line.low && !line.bars) inside.append(svg("path", { d: bandPath(line, toX, toY), fill: line.colour, class: "band" }));
  const barred = lines.filter(line => line.bars); // side by side, so that their bars do not overlap
  for (const line of lines) {
    inside.append(svg("path", { d: linePath(line.x, line.y, toX, toY), stroke: line.colour, class: line.dashed ? "line dashed" : "line" }));
    if (line.bars) drawBars(inside, line, toX, toY, 3 * (barred.indexOf(line) - (barred.length - 1) / 2));
  }
  const mark = svg("line", { y1: box.y, y2: box.y + box.h, x1: -9, x2: -9, class: "end" });
  inside.append(mark);
  const cursor = v => fill(mark, { x1: toX(v), x2: toX(v) }, []);
  const place = event => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(made.root.getScreenCTM().inverse());
    return at.x < box.x || at.x > box.x + box.w ? null : at.x;
  };
  return { ...made, cursor, place };
}

function padded([low, high], log) {
  if (!(high >= low)) return [0, 1];
  if (high === low) return log ? [low / 2, high * 2] : [low - (Math.abs(low) / 2 || 0.5), high + (Math.abs(high) / 2 || 0.5)];
  if (log) return [low / (high / low) ** 0.04, high * (high / low) ** 0.04];
  const room = 0.05 * (high - low);
  return [low >= 0 && low < room ? 0 : low - room, high + room];
}

function linePath(x, y, toX, toY) {
  let d = "", pen = false;
  for (let i = 0; i < x.length; i++) {
    const at = toY(y[i]), known = Number.isFinite(at);
    if (known) d += `${pen ? "L" : "M"}${toX(x[i]).toFixed(1)} ${at.toFixed(1)}`;
    pen = known;
  }
  return d;
}

function bandPath({ x, low, high }, toX, toY) {
  const known = [...x.keys()].filter(i => Number.isFinite(toY(low[i])) && Number.isFinite(toY(high[i])));
  const points = [...known.map(i => [x[i], high[i]]), ...known.reverse().map(i => [x[i], low[i]])];
  return points.length ? "M" + points.map(([a, b]) => `${toX(a).toFixed(1)} ${toY(b).toFixed(1)}`).join("L") + "Z" : "";
}

function drawBars(inside, { x, y, low, high, colour }, toX, toY, aside) {
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(y[i])) continue;
    const [a, b, c] = [toX(x[i]) + aside, toY(low[i]), toY(high[i])];
    if (Number.isFinite(b)) inside.append(svg("path", { d: `M${a} ${b}V${c}M${a - 3} ${b}h6M${a - 3} ${c}h6`, stroke: colour, class: "bar" }));
    inside.append(svg("circle", { cx: a, cy: toY(y[i]), r: 2.8, fill: colour }));
  }
}

/** A legend of lines: their colours and names. */
function legend(lines) {
  const swatch = line => svg("svg", { viewBox: "0 0 26 10", width: 26, height: 10, "aria-hidden": "true" },
    svg("path", { d: "M1 5H25", stroke: line.colour, class: line.dashed ? "line dashed" : "line" }));
  return html("p", { class: "legend" }, ...lines.map(line => html("span", {}, swatch(line), " ", line.name)));
}
