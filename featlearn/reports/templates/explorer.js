// One sweep: controls, phase diagrams or curves, a cursor with the values there, and the trajectories of a cell.

class Explorer {
  constructor(section, root) {
    this.section = section;
    this.root = root;
    this.find = name => root.querySelector(`.${name}`);
    this.sizes = section.axes.map(axis => axis.values.length);
    this.at = this.sizes.map(n => Math.floor(n / 2));
    this.cache = new Map();
    this.curves = new Map();
    this.form = this.find("controls");
    this.form.addEventListener("change", event => this.changed(event));
    this.form.addEventListener("submit", event => event.preventDefault());
    const plots = this.find("plots");
    plots.addEventListener("pointermove", event => this.pointed(event, false));
    plots.addEventListener("click", event => this.pointed(event, true));
    plots.addEventListener("keydown", event => this.pressed(event));
    this.find("numbers")?.addEventListener("toggle", () => this.tabulate());
    this.draw();
    this.open();
  }

  chosen(name) {
    return this.form.elements[`${this.section.id}-${name}`]?.value;
  }

  get quantity() {
    return this.section.quantities.find(q => q.key === this.chosen("quantity"));
  }

  get moment() {
    return this.section.moments.find(m => m.key === this.chosen("moment")) || this.section.moments[0];
  }

  get plane() {
    return [Number(this.chosen("x") ?? 0), this.section.axes.length > 1 ? Number(this.chosen("y") ?? 1) : -1];
  }

  changed(event) {
    const name = event.target.name.slice(this.section.id.length + 1), [x, y] = this.plane;
    if (name.startsWith("at")) this.at[Number(name.slice(2))] = Number(event.target.value);
    if (name === "x" && x === y) this.form.elements[`${this.section.id}-y`].value = String(x === 0 ? 1 : 0);
    if (name === "y" && x === y) this.form.elements[`${this.section.id}-x`].value = String(y === 0 ? 1 : 0);
    this.draw();
    if (name.startsWith("at")) this.open();
  }

  /** The numbers of a grid, read once; `key` is means or differences. */
  grid(key, i, quantity = this.quantity, moment = this.moment) {
    const name = [key, i, quantity.key, moment.key].join("\n");
    if (!this.cache.has(name)) {
      const raw = this.section.grids[moment.key][quantity.key][key][i];
      this.cache.set(name, raw.mean ? { ...raw, mean: raw.mean.map(number), half: raw.half.map(number) } : null);
    }
    return this.cache.get(name);
  }

  /** A cell of a grid, at places on all axes; null where no run is. */
  cell(grid, at) {
    if (!grid) return null;
    let index = 0;
    at.forEach((place, k) => { index = index * this.sizes[k] + place; });
    const count = list => typeof list === "number" ? list : (list || [])[index] || 0;
    const [n, diverged, failed, dropped] = [grid.n, grid.diverged, grid.failed, grid.dropped].map(count);
    if (n + diverged + failed + dropped === 0) return null;
    return { mean: grid.mean[index], half: grid.half[index], n, diverged, failed, dropped };
  }

  /** What is shown side by side: optimizers, one of them, or the difference of two. */
  panels() {
    const { optimizers, pairs } = this.section, view = this.chosen("view") || "all", i = Number(view.slice(1));
    const one = k => ({ name: optimizers[k], grid: this.grid("means", k), colour: DATA.colours.lines[k % DATA.colours.lines.length], optimizer: k });
    if (view[0] === "d") {
      const [a, b] = pairs[i];
      return [{ name: `${optimizers[a]} − ${optimizers[b]}`, grid: this.grid("differences", i), colour: DATA.colours.lines[0], difference: true }];
    }
    return (view === "all" ? optimizers.map((_, k) => k) : [i]).map(one);
  }

  there(i, j) {
    const at = [...this.at], [x, y] = this.plane;
    at[x] = i;
    if (y >= 0) at[y] = j;
    return at;
  }

  draw() {
    const [x, y] = this.plane, plots = this.find("plots"), { axes } = this.section;
    for (const label of this.form.querySelectorAll("[data-axis]")) label.hidden = [x, y].includes(Number(label.dataset.axis));
    this.shown = this.panels();
    this.drawn = [];
    if (axes.length === 0) this.results();
    else if (y >= 0) this.drawHeat(plots, axes[x], axes[y]);
    else this.drawCurves(plots, axes[x]);
    if (axes.length) this.point();
    this.tabulate();
    this.find("caption").replaceChildren(html("p", {}, this.caption()));
  }

  /** The scale and the colours of what is shown: those of all optimizers, or symmetric for a difference. */
  tone() {
    const difference = this.shown[0].difference, grids = difference ? this.section.pairs : this.section.optimizers;
    const all = grids.flatMap((_, i) => this.grid(difference ? "differences" : "means", i)?.mean || []);
    const [low, high] = range(all);
    if (difference) {
      const most = Math.max(Math.abs(low), Math.abs(high));
      return { tone: scale(Number.isFinite(most) && most > 0 ? -most : -1, most > 0 && Number.isFinite(most) ? most : 1, false), colours: gradient(DATA.colours.diverging) };
    }
    const colours = gradient(DATA.colours.sequential);
    if (!(high >= low)) return { tone: scale(0, 1, false), colours };
    if (/^(test|train)_error/.test(this.quantity.key)) return { tone: scale(0, Math.max(0.5, high), false), colours };
    const log = low > 0 && high / low > 100;
    return { tone: high > low ? scale(low, high, log) : scale(low - 0.5, low + 0.5, false), colours };
  }

  drawHeat(plots, x, y) {
    const [px, py] = [placed(x), placed(y)], { tone, colours } = this.tone();
    this.places = [px.at.length, py.at.length];
    plots.replaceChildren();
    for (const panel of this.shown) {
      const title = [panel.name], boundary = this.boundary(panel);
      const made = heatmap({
        x: px, y: py, tone, colours, title, boundary,
        value: (i, j) => this.cell(panel.grid, this.there(i, j)),
        label: `${panel.name}: ${this.quantity.label} over ${x.label} and ${y.label}`,
      });
      this.drawn.push(made);
      plots.append(made.root);
    }
    const words = this.shown[0].difference ? `${this.quantity.label}: difference` : this.quantity.label;
    this.find("scale").replaceChildren(colourBar(tone, colours, words));
  }

  /** The boundary of a panel, where its first two axes are those that are shown. */
  boundary({ optimizer }) {
    if (optimizer === undefined) return null;
    const [x, y] = this.plane, found = this.section.grids[this.moment.key][this.quantity.key].boundaries[optimizer];
    if (!found || !(x + y === 1 && x >= 0 && y >= 0)) return null;
    let slice = 0;
    for (let k = 2; k < this.sizes.length; k++) slice = slice * this.sizes[k] + this.at[k];
    const known = found[slice];
    if (!known || !known.x) return null;
    const turn = part => x === 0 ? { ...part } : { ...part, x: part.y, y: part.x };
    return { ...turn(known), level: known.level, law: known.law && turn(known.law) };
  }

  drawCurves(plots, x) {
    const px = placed(x), zero = this.shown[0].difference, spread = this.shown.length > 1 ? 1 : 0, share = this.quantity.share && !zero;
    this.places = [px.at.length, 1];
    const lines = this.shown.map(panel => {
      const cells = px.at.map((_, i) => this.cell(panel.grid, this.there(i, 0)));
      const [mean, half] = ["mean", "half"].map(key => cells.map(cell => cell ? cell[key] : NaN));
      return { ...panel, x: px.at, y: mean, low: mean.map((m, i) => within(m - half[i], share)), high: mean.map((m, i) => within(m + half[i], share)), bars: this.along(panel) };
    });
    const label = `${this.quantity.label} over ${x.label}`;
    const made = curves({ x: px, yLabel: this.quantity.label, lines, label, zero, title: zero ? [this.shown[0].name] : [], size: { width: 640, height: 340 } });
    this.drawn.push({ ...made, cursor: i => made.cursor(px.at[i]), place: event => nearest(made, px, event) });
    plots.replaceChildren(made.root);
    this.find("scale").replaceChildren(...(spread ? [legend(lines)] : []));
  }

  /** Whether a panel's optimizer has the horizontal axis: if not, it is a level with a band. */
  along({ optimizer }) {
    return optimizer === undefined || this.section.along[optimizer][this.plane[0]];
  }

  pointed(event, open) {
    for (const made of this.drawn) {
      if (!made.root.contains(event.target)) continue;
      const place = made.place(event);
      if (!place) return;
      this.go(...place);
      if (open) this.open();
    }
  }

  pressed(event) {
    const [x, y] = this.plane, [i, j] = [this.at[x], y >= 0 ? this.at[y] : 0];
    const moves = { ArrowRight: [i + 1, j], ArrowLeft: [i - 1, j], ArrowUp: [i, j + 1], ArrowDown: [i, j - 1], Home: [0, j], End: [this.places?.[0] - 1, j] };
    if (this.section.axes.length && event.key in moves) this.go(...moves[event.key]);
    else if (this.section.axes.length && (event.key === "Enter" || event.key === " ")) this.open();
    else return;
    event.preventDefault();
  }

  go(i, j) {
    const [x, y] = this.plane, [nx, ny] = this.places;
    this.at[x] = Math.max(0, Math.min(nx - 1, i));
    if (y >= 0) this.at[y] = Math.max(0, Math.min(ny - 1, j));
    this.point();
  }

  /** Put the cursor at a cell, and say what is there. */
  point() {
    const [x, y] = this.plane;
    for (const made of this.drawn) made.cursor(this.at[x], y >= 0 ? this.at[y] : 0);
    this.find("readout").replaceChildren(
      html("p", { class: "where" }, `${this.where()}: ${this.quantity.label}, ${this.moment.label}`),
      ...this.lines().map(line => html("p", {}, line)),
    );
  }

  where() {
    return this.section.axes.map((axis, k) => `${axis.label} = ${shown(axis.values[this.at[k]], 6)}`).join(", ");
  }

  /** The values at the cursor: every optimizer that is shown, and the differences of those. */
  lines() {
    const { pairs, optimizers } = this.section;
    const lines = this.shown.map(panel => `${panel.name}: ${said(this.cell(panel.grid, this.at), panel.difference, this.quantity.share)}`);
    if (this.shown.length < 2) return lines;
    return [...lines, ...pairs.flatMap(([a, b], i) => {
      const cell = this.cell(this.grid("differences", i), this.at);
      return cell && cell.n ? [`${optimizers[a]} − ${optimizers[b]}: ${said(cell, true)}`] : [];
    })];
  }

  caption() {
    const { axes } = this.section, difference = this.shown[0].difference, parts = [];
    if (axes.length === 0) return "";
    parts.push(difference ? "Mean difference of pairs of runs of one seed" : "Means over seeds", `, ${this.moment.label}. `);
    const known = this.drawn.length && this.plane[1] >= 0 ? this.shown.map(panel => [panel.name, this.boundary(panel)]).filter(([, b]) => b && b.x.length) : [];
    if (known.length) parts.push(`Circles: the mean crosses ${known.map(([, b]) => shown(b.level)).find(Boolean)}. `);
    for (const [name, { law }] of known) if (law) parts.push(`Line${known.length > 1 ? ` at ${name}` : ""}: theory, ${law.of} = ${law.name} with C = ${shown(law.c)}${law.fitted ? ", fitted to the circles" : ""}. `);
    if (this.plane[1] < 0) {
      const level = this.shown.filter(panel => !this.along(panel)).map(panel => panel.name);
      parts.push("Bars: 95 % Student t intervals. ", level.length ? `${level.join(" and ")} has no ${axes[this.plane[0]].label}: a level, with its interval as a band. ` : "");
    }
    else parts.push(...this.marks());
    return parts.join("");
  }

  /** What the marks of the cells mean, of those that there are. */
  marks() {
    const [x, y] = this.plane, cells = [];
    for (const { grid } of this.shown) for (let i = 0; i < this.sizes[x]; i++) for (let j = 0; j < this.sizes[y]; j++) cells.push(this.cell(grid, this.there(i, j)));
    const there = cells.filter(cell => cell);
    return [
      there.some(cell => cell.diverged + cell.failed) ? "Crosses: runs that diverged or failed, left out of the means. " : "",
      there.length < cells.length ? "White: no run. " : "",
      there.some(cell => !Number.isFinite(cell.mean)) ? "Grey: runs without such a value. " : "",
    ];
  }

  /** The table of all quantities of a sweep without axes. */
  results() {
    const { quantities, optimizers, pairs } = this.section;
    const head = ["", ...optimizers, ...pairs.map(([a, b]) => `${optimizers[a]} − ${optimizers[b]}`)];
    const text = cell => cell && cell.n ? plusMinus(cell.mean, cell.half) : "–";
    const rows = quantities.map(q => [q.label,
      ...optimizers.map((_, i) => text(this.cell(this.grid("means", i, q), []))),
      ...pairs.map((_, i) => text(this.cell(this.grid("differences", i, q), [])))]);
    const n = optimizers.map((_, i) => this.cell(this.grid("means", i), [])?.n ?? 0);
    const seeds = range(n)[0] === range(n)[1] ? n[0] : n.join(", ");
    this.find("plots").replaceChildren(table(`Means over ${seeds} seeds ${this.moment.label}, ± half of the 95 % interval; differences are paired by seed`, head, rows));
  }

  /** The numbers of the diagrams as tables, once they are asked for. */
  tabulate() {
    const details = this.find("numbers"), { axes } = this.section;
    if (!details || !details.open || !axes.length) return;
    const [x, y] = this.plane, columns = axes[x].values, rows = y >= 0 ? axes[y].values : [""];
    const tables = this.shown.map(panel => table(
      `${panel.name}: ${this.quantity.label}, ${this.moment.label}; columns: ${axes[x].label}${y >= 0 ? `, rows: ${axes[y].label}` : ""}; mean ± half of the 95 % interval (number of seeds)`,
      ["", ...columns.map(v => shown(v, 6))],
      rows.map((v, j) => [shown(v, 6), ...columns.map((_, i) => brief(this.cell(panel.grid, this.there(i, j))))]),
    ));
    details.querySelector("div").replaceChildren(...tables);
  }

  /** Draw the trajectories of the cell at the cursor. */
  async open() {
    const known = this.section.trajectories, body = this.find("trajectories");
    if (!known || !body) return;
    const at = [...this.at], asked = (this.asked = {});
    const all = await Promise.all(known.panels.flatMap(({ value, edges }) => [value, ...edges]).map(value => this.unpack(value)));
    if (asked !== this.asked) return;
    const values = known.panels.flatMap(({ value, edges }) => [value, ...edges]);
    const of = Object.fromEntries(values.map((value, i) => [value, all[i]]));
    this.find("cell-name").textContent = this.section.axes.length ? `Trajectories at ${this.where()}` : "Trajectories";
    const size = known.panels.length % 3 ? { width: 430, height: 270 } : { width: 300, height: 215 };
    const drawn = known.panels.map(panel => trajectory(this, panel, of, at, { size }));
    body.dataset.n = drawn.length;
    body.replaceChildren(...drawn.map(made => made.root));
    const lines = this.section.optimizers.map((name, i) => ({ name, colour: DATA.colours.lines[i % DATA.colours.lines.length] }));
    this.find("cell-legend").replaceChildren(legend(lines));
    follow(this, drawn, of, at);
  }

  unpack(value) {
    const known = this.section.trajectories;
    if (!this.curves.has(value)) this.curves.set(value, unpacked(known.curves[value], known.steps.length));
    return this.curves.get(value);
  }
}
