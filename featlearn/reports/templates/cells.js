// A cell: its values in words, and its trajectories.

const nearest = (made, px, event) => {
  const at = made.place(event);
  return at === null ? null : [px.at.reduce((best, v, i) => Math.abs(made.toX(v) - at) < Math.abs(made.toX(px.at[best]) - at) ? i : best, 0), 0];
};

/** What a cell holds, in words. */
function said(cell, difference, share) {
  if (!cell) return "no run";
  const of = difference ? "pair" : "seed", several = n => `${n} ${of}${n === 1 ? "" : "s"}`;
  const lost = [[cell.diverged, "diverged"], [cell.failed, "failed"], [cell.dropped, "without a pair"]].filter(([n]) => n).map(([n, word]) => `, ${n} ${word}`).join("");
  if (!cell.n) return `no value${lost}`;
  return `${withInterval(cell.mean, cell.half, share && !difference)}, ${several(cell.n)}${lost}`;
}

const brief = cell => !cell ? "" : !cell.n ? "–" : `${plusMinus(cell.mean, cell.half)} (${cell.n})`;

/** One quantile of a value over the steps, of an optimizer in a cell. */
function seriesOf(explorer, numbers, optimizer, at, quantile) {
  const { sizes, section } = explorer, n = section.trajectories.steps.length;
  let index = optimizer;
  at.forEach((place, k) => { index = index * sizes[k] + place; });
  return numbers.subarray((index * 3 + quantile) * n, (index * 3 + quantile + 1) * n);
}

/** A panel of trajectories: medians and bands of every optimizer, and edges dashed. */
function trajectory(explorer, panel, of, at, options = {}) {
  const { section } = explorer, { steps, log, ends } = section.trajectories;
  const some = log ? steps.map((s, i) => [s, i]).filter(([s]) => s > 0).map(([, i]) => i) : [...steps.keys()];
  const take = list => some.map(i => list[i]);
  const lines = section.optimizers.flatMap((name, i) => {
    const colour = DATA.colours.lines[i % DATA.colours.lines.length];
    const [low, y, high] = [0, 1, 2].map(q => take(seriesOf(explorer, of[panel.value], i, at, q)));
    const dashed = panel.edges.map(edge => ({ name, colour, dashed: true, x: take(steps), y: take(seriesOf(explorer, of[edge], i, at, 1)) }));
    return [{ name, colour, x: take(steps), y, low, high }, ...dashed];
  });
  const [a, b] = range(lines.flatMap(line => line.y)), logY = /loss/.test(panel.value) && a > 0 && b / a > 30;
  const x = { scale: scale(steps[some[0]], steps[some.at(-1)], log), label: "step" };
  const named = panel.label + (panel.edges.length ? " (dashed: edge)" : "");
  const made = curves({ x, yLabel: "", lines, logY, title: [named], label: `${panel.label} over steps`,
    ends: ends.map(({ step }) => ({ at: step })), size: { width: 330, height: 230 }, ...options });
  return { ...made, panel };
}

/** Read the trajectories at the step under the pointer. */
function follow(explorer, drawn, of, at) {
  const { optimizers, trajectories: known } = explorer.section;
  const body = explorer.find("trajectories"), readout = explorer.find("cell-readout");
  readout.replaceChildren(html("p", { class: "note" }, "Point at a panel to read the values at a step."));
  body.onpointermove = event => {
    const made = drawn.find(one => one.root.contains(event.target)), place = made?.place(event);
    if (place === undefined || place === null) return;
    const steps = known.steps, k = steps.reduce((best, s, i) => Math.abs(made.toX(s) - place) < Math.abs(made.toX(steps[best]) - place) ? i : best, 0);
    for (const one of drawn) one.cursor(steps[k]);
    const { value, label } = made.panel;
    const texts = optimizers.map((name, i) => {
      const [low, middle, high] = [0, 1, 2].map(q => seriesOf(explorer, of[value], i, at, q)[k]);
      return `${name} ${shown(middle)} [${shown(low)}, ${shown(high)}]`;
    });
    readout.replaceChildren(html("p", {}, `Step ${shown(steps[k])}, ${label}: ${texts.join("; ")}`));
  };
}
