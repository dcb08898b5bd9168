"use strict";
// Numbers: how they are read from the page's JSON, written for a reader, and placed on an axis.

const number = v => v === null ? NaN : v === "inf" ? Infinity : v === "-inf" ? -Infinity : v;

/** Curves of `steps` numbers each from packed text; the inverse of `packed` in featlearn/reports/numbers.py. */
async function unpacked(text, steps) {
  const deflated = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const n = bytes.length / 3, bits = new Uint32Array(n);
  for (let i = 0, value = 0; i < n; i++) {
    const zigzag = bytes[i] | bytes[n + i] << 8 | bytes[2 * n + i] << 16;
    value = (i % steps ? value : 0) + (zigzag >>> 1 ^ -(zigzag & 1));
    bits[i] = value << 9;
  }
  return new Float32Array(bits.buffer);
}

/** A number in a few digits: 20,000; 0.0312; 1.2 × 10^{−5}, which is drawn raised; a dash where there is none. */
function shown(v, digits = 3, powers = false) {
  if (typeof v === "string") return v;
  if (Number.isNaN(v)) return "–";
  if (!Number.isFinite(v)) return v > 0 ? "∞" : "−∞";
  const size = Math.abs(v), sign = v < 0 ? "−" : "";
  if (size === 0) return "0";
  if (size >= 1e7 || size < 1e-3 || (powers && size >= 10)) {
    const [factor, power] = size.toExponential(Math.min(digits - 1, 2)).split("e");
    const short = String(+factor);
    return sign + (short === "1" ? "" : short + " × ") + "10^{" + power.replace("+", "").replace("-", "−") + "}";
  }
  if (Number.isInteger(size) || size >= 1000) return sign + Math.round(size).toLocaleString("en");
  return sign + String(+size.toPrecision(digits));
}

/** A value with the ends of its interval, to two digits of half its width: 0.318 [0.306, 0.330]. */
const withInterval = (mean, half, share) => measured(mean, half, (text, v, h, unit) => `${text(v)} [${[v - h, v + h].map(end => text(within(end * unit, share) / unit)).join(", ")}]`);

/** An end of an interval; of a share it is between 0 and 1. */
const within = (end, share) => share ? Math.max(0, Math.min(1, end)) : end;

/** A value with half the width of its interval: 0.318 ± 0.012. */
const plusMinus = (mean, half) => measured(mean, half, (text, v, h) => `${text(v)} ± ${text(h)}`);

function measured(mean, half, write) {
  if (!(half > 0) || !Number.isFinite(mean)) return shown(mean);
  const size = Math.max(Math.abs(mean), half), power = size < 1e-3 || size >= 1e7 ? Math.floor(Math.log10(size)) : 0;
  const unit = 10 ** power, decimals = Math.max(0, Math.min(4, 1 - Math.floor(Math.log10(half / unit))));
  const text = v => v.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replace("-", "−");
  const written = write(text, mean / unit, half / unit, unit);
  return power ? `(${written}) × 10^{${String(power).replace("-", "−")}}` : written;
}

/** Edges of cells around centres: halfway between them, on a logarithm if `log`; as in featlearn/plots/mesh.py. */
function edges(centres, log) {
  if (log) return edges(centres.map(Math.log), false).map(Math.exp);
  const n = centres.length;
  if (n === 1) {
    const half = Math.abs(centres[0]) / 20 || 0.5;
    return [centres[0] - half, centres[0] + half];
  }
  const middle = centres.slice(1).map((c, i) => (c + centres[i]) / 2);
  const first = 2 * centres[0] - middle[0];
  return [centres[0] > 0 ? Math.max(first, 0) : first, ...middle, 2 * centres[n - 1] - middle[n - 2]];
}

/** A map from numbers between low and high to 0 ... 1. */
function scale(low, high, log) {
  const f = log ? Math.log : v => v, [a, b] = [f(low), f(high)];
  const to = v => b > a ? (f(v) - a) / (b - a) : 0.5;
  return Object.assign(to, { low, high, log });
}

/** Round numbers for the ticks of a scale, about `most` of them. */
function ticks({ low, high, log }, most = 6) {
  if (!(high > low)) return [low];
  if (log) {
    const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
    const every = Math.max(1, Math.ceil((to - from) / most));
    const factors = high / low < 8 ? [1, 2, 3, 4, 5, 6, 8] : high / low < 300 ? [1, 2, 5] : [1];
    const found = [];
    for (let p = from; p <= to; p += every) for (const k of factors) found.push(k * 10 ** p);
    return found.map(v => +v.toPrecision(12)).filter(v => v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9));
  }
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find(k => k * power >= raw) * power, found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(+(k * step).toPrecision(12));
  return found;
}

/** The least and the largest finite number. */
function range(values) {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  return [low, high];
}
