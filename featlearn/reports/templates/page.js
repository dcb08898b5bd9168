// The page: its data, the first picture, the theme.

const DATA = JSON.parse(document.getElementById("data").textContent);
const explorers = DATA.sections.map(section => new Explorer(section, document.getElementById(section.id)));

const MOST = { of: 2, all: 4 }; // panels of one sweep, and of all

/** The first picture of a report of several sweeps: what each shows first, side by side. */
async function glance() {
  const figure = document.getElementById("glance");
  if (!figure || explorers.length < 2) return;
  const panels = [], captions = [], tables = [];
  for (const explorer of explorers) {
    const roots = panels.length < MOST.all ? await leading(explorer) : [], { section } = explorer;
    if (!roots.length) continue;
    const letters = roots.map((_, i) => String.fromCharCode(97 + panels.length + i));
    roots.forEach((root, i) => { root.querySelector(".title").prepend(svg("tspan", { class: "letter" }, `(${letters[i]}) `)); });
    panels.push(...roots);
    captions.push(html("p", {}, html("b", {}, `(${letters.join(", ")}) `), html("a", { href: `#${section.id}` }, section.name), `: ${described(explorer)}`));
    if (!section.axes.length) tables.push(claim(explorer));
  }
  figure.querySelector(".plots").replaceChildren(...panels);
  const first = explorers.find(explorer => explorer.section.trajectories && !explorer.section.axes.length);
  if (first) figure.querySelector(".scale").replaceChildren(legend(first.section.optimizers.map((name, i) => ({ name, colour: DATA.colours.lines[i % DATA.colours.lines.length] }))));
  figure.querySelector("figcaption").replaceChildren(...captions, ...tables);
  figure.hidden = panels.length === 0;
}

/** The pictures of a sweep that come first. */
async function leading(explorer) {
  const { section } = explorer, { axes, trajectories, optimizers } = section, size = { width: 430, height: 320 };
  if (axes.length === 0 && trajectories) {
    const of = {}, made = [];
    for (const pattern of [/^noise_coef/, /^test_error/, /./, /./]) {
      const panel = trajectories.panels.find(({ value }) => pattern.test(value) && !(value in of));
      if (!panel || made.length === MOST.of) continue;
      for (const value of [panel.value, ...panel.edges]) of[value] = await explorer.unpack(value);
      made.push(trajectory(explorer, panel, of, [], { size }).root);
    }
    return made;
  }
  if (axes.length < 2) return [];
  const [x, y] = [placed(axes[0]), placed(axes[1])], { tone, colours } = explorer.tone();
  return optimizers.slice(0, MOST.of).map((name, optimizer) => heatmap({
    x, y, tone, colours, size, title: [`${explorer.quantity.label}, ${name}`], label: `${name}: ${explorer.quantity.label}`,
    value: (i, j) => explorer.cell(explorer.grid("means", optimizer), explorer.there(i, j)), boundary: explorer.boundary({ optimizer }),
  }).root);
}

/** What the first pictures of a sweep show. */
function described(explorer) {
  const { section } = explorer;
  if (section.axes.length) {
    const { tone } = explorer.tone();
    return `${explorer.quantity.label}, from pale, ${shown(tone.low)}, to dark, ${shown(tone.high)}. ${explorer.caption()}`;
  }
  return `Medians and bands of 10 to 90 % over seeds. ${section.trajectories.ends.map(({ step, of }) => `Dotted: step ${step}, where ${of.join(" and ")} ends. `).join("")}`;
}

/** The numbers of a sweep without axes that its first pictures show, at every moment. */
function claim(explorer) {
  const { moments, quantities, optimizers } = explorer.section;
  const wanted = [/^noise_coef_pos/, /^test_error$/].map(pattern => quantities.find(q => pattern.test(q.key))).filter(Boolean);
  const asked = wanted.length ? wanted : quantities.slice(0, 2), at = [...moments.filter(m => m.key.startsWith("step")), moments[0]];
  const text = (i, q, moment) => {
    const cell = explorer.cell(explorer.grid("means", i, q, moment), []);
    return cell && cell.n ? withInterval(cell.mean, cell.half, q.share) : "–";
  };
  const rows = asked.flatMap(q => at.map(moment => [`${q.label}, ${moment.short}`, ...optimizers.map((_, i) => text(i, q, moment))]));
  return table("Means over seeds with 95 % intervals", ["", ...optimizers], rows);
}

glance();

document.getElementById("theme").addEventListener("click", event => {
  const dark = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark === "dark" ? "light" : "dark";
  event.currentTarget.setAttribute("aria-pressed", String(dark !== "dark"));
});

// On paper the details are open, but for the tables of numbers.
const folded = [...document.querySelectorAll("details:not(.numbers)")];
let opened = [];
addEventListener("beforeprint", () => { opened = folded.filter(part => !part.open); opened.forEach(part => { part.open = true; }); });
addEventListener("afterprint", () => opened.forEach(part => { part.open = false; }));
document.getElementById("print").addEventListener("click", () => window.print());
