// The page: its data, the first picture, the theme.

const DATA = JSON.parse(document.getElementById("data").textContent);
const explorers = DATA.sections.map(section => new Explorer(section, document.getElementById(section.id)));

/** The first picture of a report of several sweeps: what each shows first, side by side. */
async function glance() {
  const figure = document.getElementById("glance");
  if (!figure || explorers.length < 2) return;
  const panels = [], captions = [];
  for (const explorer of explorers) {
    const roots = await leading(explorer);
    const letters = roots.map((root, i) => String.fromCharCode(97 + panels.length + i));
    roots.forEach((root, i) => { root.querySelector(".title").prepend(svg("tspan", { class: "letter" }, `(${letters[i]}) `)); });
    panels.push(...roots);
    if (letters.length) captions.push(html("p", {}, html("b", {}, `(${letters.join(", ")}) `), html("a", { href: `#${explorer.section.id}` }, explorer.section.name), `: ${described(explorer)}`));
  }
  figure.querySelector(".plots").replaceChildren(...panels);
  const first = explorers.find(explorer => explorer.section.trajectories && !explorer.section.axes.length);
  if (first) {
    const lines = first.section.optimizers.map((name, i) => ({ name, colour: DATA.colours.lines[i] }));
    figure.querySelector(".scale").replaceChildren(legend(lines));
  }
  figure.querySelector("figcaption").replaceChildren(...captions);
  figure.hidden = panels.length === 0;
}

const MOST = 2; // panels of one sweep

/** The pictures of a sweep that come first. */
async function leading(explorer) {
  const { section } = explorer, { axes, trajectories, optimizers } = section, size = { width: 430, height: 330 };
  if (axes.length === 0 && trajectories) {
    const wanted = [/^noise_coef/, /^test_error/, /./], panels = [];
    for (const pattern of wanted) {
      const found = trajectories.panels.find(({ value }) => pattern.test(value) && !panels.some(p => p.value === value));
      if (found && panels.length < MOST) panels.push(found);
    }
    const made = [];
    for (const panel of panels) {
      const of = {};
      for (const value of [panel.value, ...panel.edges]) of[value] = await explorer.unpack(value);
      made.push(trajectory(explorer, panel, of, [], { size }).root);
    }
    return made;
  }
  if (axes.length < 2) return [];
  const [x, y] = [placed(axes[0]), placed(axes[1])], { tone, colours } = explorer.tone();
  return optimizers.slice(0, MOST).map((name, optimizer) => heatmap({
    x, y, tone, colours, size, title: [`${explorer.quantity.label}, ${name}`], label: `${name}: ${explorer.quantity.label}`,
    value: (i, j) => explorer.cell(explorer.grid("means", optimizer), explorer.there(i, j)), boundary: explorer.boundary({ optimizer }),
  }).root);
}

/** What the first pictures of a sweep show, with the numbers of one without axes. */
function described(explorer) {
  const { section } = explorer, { moments, quantities, optimizers } = section;
  if (section.axes.length) {
    const { tone } = explorer.tone();
    return `${explorer.quantity.label}, pale ${shown(tone.low)} to dark ${shown(tone.high)}, ${explorer.moment.label}. ${explorer.caption().map(part => part.textContent ?? part).slice(2).join("")}`;
  }
  const asked = [/^noise_coef_pos/, /^test_error$/].map(pattern => quantities.find(q => pattern.test(q.key))).filter(Boolean);
  const at = [...moments.filter(m => m.key.startsWith("step")), moments[0]];
  const sentences = at.map(moment => asked.map(q => {
    const values = optimizers.map((name, i) => `${name} ${withInterval(...["mean", "half"].map(k => explorer.cell(explorer.grid("means", i, q, moment), [])?.[k] ?? NaN))}`);
    return `${q.label} ${moment.label}: ${values.join("; ")}. `;
  }).join("")).join("");
  return `median and 10 to 90 % band over seeds. ${sentences}`;
}

glance();

document.getElementById("theme").addEventListener("click", event => {
  const dark = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark === "dark" ? "light" : "dark";
  event.currentTarget.setAttribute("aria-pressed", String(dark !== "dark"));
});
document.getElementById("print").addEventListener("click", () => window.print());
