// The page: the state in the address, one request for the dynamics at a time, and a phase diagram refined while idle.
import { Controls, node, short } from "./controls.js";
import * as draw from "./draw.js";

const $ = id => document.getElementById(id);
const PAGE = ["x", "x.low", "x.high", "y", "y.low", "y.high", "seeds", "quantity", "seed"];
const words = key => key.replace(/^\w+\.(?=\w)/, "").replaceAll("_", " ");
let controls, about, options = new Map(), seen = null, phaseOf = "", asking = null, refining = null, asked = 0;

async function get(path, signal) {
  const answer = await fetch(path, { signal });
  if (answer.status === 400 || answer.status === 403) throw Object.assign(new Error("refused"), (await answer.json()));
  if (!answer.ok) throw Object.assign(new Error("failed"), { problems: [{ key: "", message: `the server failed (${answer.status}); see its terminal` }] });
  return answer;
}

function query(extra = {}) {
  const all = controls.query();
  for (const [key, value] of options) all.set(key, value);
  for (const [key, value] of Object.entries(extra)) all.set(key, value);
  return all;
}

function address() { // a step of the history for what has settled; a drag is none
  const text = query().toString();
  if (location.search !== (text && `?${text}`)) history.pushState(null, "", text ? `?${text}` : location.pathname);
}

const option = key => options.get(key) ?? (about.page[key] === null ? "" : String(about.page[key] ?? ""));

function complain(error) {
  if (error.name === "AbortError") return;
  const problems = error.problems ?? [{ key: "", message: "the server does not answer: is `featlearn explore` still running?" }];
  const said = problems.slice(0, 3).map(({ key, message }) => node("p", {}, ...(key ? [node("code", {}, key), ` ${message}`] : [message])));
  $("problems").replaceChildren(...said, ...(problems.length > 3 ? [node("p", {}, `and ${problems.length - 3} more`)] : []));
  $("problems").hidden = false;
  controls.mark(problems);
  for (const part of ["dynamics", "phase"]) $(part).classList.add("stale");
  $("phase-note").textContent = "";
}

function content() { $("problems").hidden = true; controls.mark([]); $("dynamics").classList.remove("stale"); }

// Dynamics: one request at a time; of the inputs that come meanwhile only the last is asked for.
let waiting = null, shown = null;
async function dynamics(since) {
  if (asking) { waiting = since; shown = query().toString(); return; }
  asking = true;
  shown = query().toString();
  const slow = setTimeout(() => { content(); $("dynamics").classList.add("stale"); $("dynamics-note").textContent = "computing"; }, 500);
  try {
    const found = await (await get(`dynamics?${query()}`)).json();
    if (waiting === null || performance.now() - since > 40) {
      $("dynamics").replaceChildren(...draw.dynamics(found.panels, found.phase));
      content();
      const several = found.panels[0].runs.length, lost = found.panels.flatMap(p => p.runs).filter(run => run.status === "diverged").length;
      $("dynamics-note").textContent = `${several} seed${several > 1 ? "s" : ""}, thin; their mean, thick${lost ? `; ${lost} diverged` : ""}`;
      $("notes").replaceChildren(...[...new Set(found.panels.flatMap(p => p.notes))].map(note => node("li", {}, note)));
      requestAnimationFrame(() => { Object.assign($("dynamics").dataset, { ms: (performance.now() - since).toFixed(1), pictures: Number($("dynamics").dataset.pictures ?? 0) + 1 }); });
    }
  } catch (error) { shown = null; complain(error); }
  clearTimeout(slow);
  asking = null;
  if (waiting !== null) { const next = waiting; waiting = null; dynamics(next); }
}

// Phase diagram: asked for anew when something changes that it shows; finer until the page is used again.
const axes = () => [option("x"), option("y")];
function phaseQuery() {
  const all = query();
  for (const key of [...axes(), "quantity"]) all.delete(key);
  for (const key of controls.alternatives()) if (axes().some(axis => controls.alternatives().includes(axis))) all.delete(key);
  all.set("cells", 0);
  return all.toString();
}

async function phase(since) {
  const now = phaseQuery();
  if (now === phaseOf) return paint();
  phaseOf = now;
  refining?.abort();
  const mine = refining = new AbortController();
  $("phase").classList.add("stale");
  try {
    for (const cells of about.grids) {
      const many = `${cells} × ${cells}`;
      $("phase-note").textContent = seen && cells > about.grids[0] ? `${seen.cells} × ${seen.cells} cells, refining to ${many}` : `computing ${many} cells`;
      const found = await (await get(`phase?${query({ cells })}`, mine.signal)).json();
      if (mine.signal.aborted) return;
      seen = found;
      $("phase").classList.remove("stale");
      const lost = found.panels.reduce((sum, p) => sum + p.diverged, 0);
      $("phase-note").textContent = `${many} cells, ${found.seeds} seeds each${lost ? `; ${lost} runs diverged (grey where all)` : ""}`;
      paint();
      if (cells === about.grids[0]) requestAnimationFrame(() => { $("phase").dataset.ms = (performance.now() - since).toFixed(1); });
      $("phase").dataset.cells = cells;
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    if (seen && mine === refining && $("phase").dataset.cells !== undefined && !$("phase").classList.contains("stale")) { $("phase-note").textContent = `${seen.cells} × ${seen.cells} cells; finer ones: ${error.problems?.[0]?.message ?? error.message}`; return; }
    phaseOf = "";
    complain(error);
  }
}

function paint() {
  if (!seen) return;
  const quantity = option("quantity"), ends = draw.span(seen.panels, quantity), number = key => { const v = Number(controls.value(key)); return Number.isFinite(v) && controls.value(key) !== "null" ? v : null; };
  const focus = [...$("phase").querySelectorAll(".map")].indexOf(document.activeElement);
  const say = (i, j, panel) => {
    const value = panel.means[quantity]?.[j]?.[i];
    $("cell").textContent = `${panel.title}: ${words(seen.x.key)} ${panel.x[i] === null ? "(any)" : short(panel.x[i])}, ${words(seen.y.key)} ${panel.y[j] === null ? "(any)" : short(panel.y[j])}: ${words(quantity)} ${value === null || value === undefined ? "none" : short(value)}, mean of ${seen.seeds} seeds. A click shows its dynamics.`;
  };
  const pick = (x, y) => {
    if (x !== null) controls.set(seen.x.key, String(x), false);
    if (y !== null) controls.set(seen.y.key, String(y), false);
    changed(null, true);
  };
  const here = { x: number(seen.x.key), y: number(seen.y.key) };
  $("phase").replaceChildren(...seen.panels.map(panel => draw.map(panel, { x: seen.x, y: seen.y, quantity, ends, here, over: say, pick, words })));
  $("phase").append(draw.scale(ends, words(quantity)));
  if (focus >= 0) $("phase").querySelectorAll(".map")[focus]?.focus();
}

let idle = null;
function changed(key, settled) {
  const since = performance.now();
  if (settled) address();
  if (query().toString() !== shown) dynamics(since); // the end of a drag changes nothing
  if (phaseQuery() === phaseOf) paint();
  else { refining?.abort(); clearTimeout(idle); idle = setTimeout(() => phase(since), settled ? 0 : 60); }
}

function axisBar() {
  const numbers = controls.numbers().map(one => one.key), set = (key, value) => { if (value === "") options.delete(key); else options.set(key, value); axisBar(); changed(key, true); };
  const select = (key, label, choices) => {
    const made = node("select", { id: `o-${key}` }, ...choices.map(choice => node("option", { value: choice, selected: choice === option(key) }, words(choice))));
    made.addEventListener("change", () => { if (key === "x" || key === "y") for (const end of ["low", "high"]) options.delete(`${key}.${end}`); set(key, made.value); });
    return node("label", {}, label, made);
  };
  const field = (key, label, few) => {
    const made = node("input", { type: "text", inputmode: "decimal", id: `o-${key}`, value: option(key), placeholder: "auto", class: few ? "few" : null, "aria-label": few ? null : label });
    made.addEventListener("change", () => set(key, made.value.trim()));
    return few ? node("label", {}, label, made) : made;
  };
  const focus = document.activeElement?.id;
  $("axes").replaceChildren(...["x", "y"].map(name => node("span", { class: "ends" }, select(name, name, numbers), field(`${name}.low`, `${name} from`), "to", field(`${name}.high`, `${name} to`))),
    select("quantity", "colour", ["test_error", "train_loss", "signal_coef_mean", "noise_coef_pos_mean"]), field("seeds", "seeds", true), field("seed", "first seed", true));
  if (focus?.startsWith("o-")) $(focus)?.focus();
}

async function save(kind, format, button) {
  button.disabled = true;
  try { download(await (await get(`figure?${query({ kind, format, cells: kind === "phase" && seen ? seen.cells : about.grids[0] })}`)).blob(), `${about.name}-${kind}.${format}`); } catch (error) { complain(error); }
  button.disabled = false;
}

function download(blob, name) {
  const link = node("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function yaml(kind) {
  try {
    const text = await (await get(`yaml?${query({ kind, cells: kind === "phase" && seen ? seen.cells : about.grids[0] })}`)).text(), dialog = $("yaml");
    dialog.querySelector("pre").textContent = text;
    dialog.dataset.kind = kind;
    dialog.showModal();
  } catch (error) { complain(error); }
}

function buttons() {
  for (const place of document.querySelectorAll(".save")) {
    const { kind } = place.dataset, make = (label, title, act) => { const made = node("button", { type: "button", title, "aria-label": `${kind}: ${title}` }, label); made.addEventListener("click", () => act(made)); return made; };
    place.append(make("YAML", "the config of what is seen, for featlearn sweep", () => yaml(kind)), ...["png", "pdf", "svg", "csv"].map(format => make(format.toUpperCase(), format === "csv" ? "the table of the figure" : `the figure as ${format.toUpperCase()}`, button => save(kind, format, button))));
  }
  $("yaml").addEventListener("click", async event => {
    const text = $("yaml").querySelector("pre").textContent, act = event.target.dataset.do;
    if (act === "close") $("yaml").close();
    if (act === "download") download(new Blob([text], { type: "text/yaml" }), `${about.name}-${$("yaml").dataset.kind}.yaml`);
    if (act === "copy") {
      try { await navigator.clipboard.writeText(text); event.target.textContent = "Copied"; } catch { getSelection().selectAllChildren($("yaml").querySelector("pre")); event.target.textContent = "Selected: press Ctrl-C"; }
      setTimeout(() => { event.target.textContent = "Copy"; }, 1500);
    }
  });
}

function restore() {
  const given = [...new URLSearchParams(location.search)];
  options = new Map(given.filter(([key]) => PAGE.includes(key)));
  controls.load(given.filter(([key]) => !PAGE.includes(key)));
  axisBar();
  const since = performance.now();
  dynamics(since);
  phase(since);
}

async function begin() {
  about = await (await get("controls")).json();
  document.title = `${about.name} · featlearn explore`;
  controls = new Controls($("controls"), about, (key, settled) => { if (key && /\.(model|name|base)$/.test(key)) axisBar(); changed(key, settled); });
  buttons();
  $("state").textContent = "loading the loops, which are compiled the first time";
  await get("ready");
  $("state").textContent = `${about.name}: drag a slider; a click on a cell shows its dynamics`;
  restore();
  addEventListener("popstate", restore);
}
begin().catch(error => { $("state").textContent = "the server does not answer"; if (controls) complain(error); if (!error.problems) throw error; });
