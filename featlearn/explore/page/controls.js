// The controls: built from what the server says of the config's keys. State: the keys whose value was changed.

export const node = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, ""); else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};

export const short = number => {
  if (!Number.isFinite(number)) return "";
  if (Number.isInteger(number) && Math.abs(number) < 1e6) return String(number);
  return String(Number(number.toPrecision(3))).replace("e+", "e");
};

const PLACES = 1000; // of a slider

export const toPlace = (one, value) => {
  const { low, high, scale } = one;
  let share = (value - low) / (high - low);
  if (scale === "log") share = Math.log(value / low) / Math.log(high / low);
  if (scale === "power") share = Math.cbrt(Math.max(value, 0) / high);
  return Math.round(PLACES * Math.min(1, Math.max(0, share || 0)));
};

export const fromPlace = (one, place) => {
  const share = place / PLACES, { low, high, scale } = one;
  let value = low + (high - low) * share;
  if (scale === "log") value = low * (high / low) ** share;
  if (scale === "power") value = high * share ** 3;
  if (one.integer) return String(Math.round(value < 1e4 ? value : Number(value.toPrecision(3))));
  return String(Number(value.toPrecision(3)));
};

export class Controls {
  // form: the element. about: of the server. changed(key, settled): called when the state has changed.
  constructor(form, about, changed) {
    Object.assign(this, { form, about, changed, state: new Map(), rows: new Map() });
    form.addEventListener("submit", event => event.preventDefault());
  }

  word(key) { return this.state.get(key) ?? this.about.start[key]; }

  value(key) {
    const others = this.alternatives().filter(other => other !== key);
    if (this.alternatives().includes(key) && !this.state.has(key)) {
      if (others.some(other => (this.state.get(other) ?? "null") !== "null")) return "null";
    }
    return this.state.get(key) ?? this.about.start[key] ?? this.first(key) ?? this.known.get(key)?.value ?? "null";
  }

  first(key) { const section = this.section(key.split(".")[0]); return section && this.kind(section).first[key]; }

  section(name) { return this.about.sections.find(section => section.name === name); }
  kind(section) { return section.kinds[section.word ? this.word(`${section.name}.${section.word}`) : ""] ?? Object.values(section.kinds)[0]; }
  alternatives() { return this.known ? this.kind(this.section("data")).alternatives : []; }
  numbers() { return [...this.known.values()].filter(one => one.number); }

  of(section) {
    const kind = this.kind(section), base = kind.base ? section.bases[this.base(section)] ?? [] : [];
    return [...kind.controls, ...base, ...section.settings];
  }
  base(section) { return this.state.get(`${section.name}.base`) ?? this.about.start[`${section.name}.base`] ?? Object.keys(section.bases)[0]; }

  set(key, text, settled) {
    for (const other of this.alternatives()) if (other !== key && this.alternatives().includes(key) && text !== "null") this.state.delete(other);
    this.state.set(key, text);
    if (text === this.about.start[key] && !this.alternatives().includes(key)) this.state.delete(key);
    if (/\.(model|name|base)$/.test(key)) this.build(); else this.refresh();
    this.changed(key, settled);
  }

  load(state) { this.state = new Map(state); this.build(); }

  build() {
    const focus = document.activeElement?.id, open = new Set([...this.form.querySelectorAll("details[open]")].map(d => d.dataset.of));
    this.known = new Map();
    for (const section of this.about.sections) for (const one of this.of(section)) this.known.set(one.key, one);
    for (const key of [...this.state.keys()]) {
      const name = key.split(".")[0], naming = this.about.sections.some(s => key === `${s.name}.${s.word}` || (key === `${s.name}.base` && this.kind(s).base));
      if (this.about.sections.some(s => s.name === name) && !this.known.has(key) && !naming && this.built) this.state.delete(key);
    }
    this.built = true;
    this.rows.clear();
    this.form.replaceChildren(...this.about.sections.map(section => this.fieldset(section, open)));
    this.refresh();
    if (focus && this.form.contains(document.getElementById(focus))) document.getElementById(focus).focus();
  }

  fieldset(section, open) {
    const made = node("fieldset", {}, node("legend", {}, section.name)), name = `${section.name}.${section.word}`;
    if (section.word && Object.keys(section.kinds).length > 1) made.append(this.choice(name, section.word === "name" ? "rule" : section.word, Object.keys(section.kinds), this.kind(section).doc));
    if (this.kind(section).base) made.append(this.choice(`${section.name}.base`, "base", Object.keys(section.bases), "the rule that takes the step"));
    const all = this.of(section), more = all.filter(one => one.aside);
    made.append(...all.filter(one => !one.aside).map(one => this.control(one)));
    if (more.length) made.append(node("details", { "data-of": section.name, open: open.has(section.name) }, node("summary", {}, "more"), ...more.map(one => this.control(one))));
    return made;
  }

  control(one) {
    return one.number ? this.number(one) : this.choice(one.key, one.name.replaceAll("_", " "), one.words, one.doc);
  }

  choice(key, label, words, doc) {
    const id = `c-${key}`, select = node("select", { id, title: doc }, ...words.map(word => node("option", { value: word }, word)));
    select.addEventListener("change", () => this.set(key, select.value, true));
    const row = node("div", { class: "control", "data-key": key }, node("label", { for: id, title: doc }, label), select);
    this.rows.set(key, { row, show: () => { select.value = key.endsWith(".base") ? this.base(this.section("optimizer")) : this.value(key); } });
    return row;
  }

  number(one) {
    const id = `c-${one.key}`, label = one.name.replaceAll("_", " "), hint = `${one.doc} (${one.expected})`;
    const field = node("input", { type: "text", inputmode: "decimal", id, title: hint, placeholder: one.empty === "null" ? "none" : one.empty ?? "" });
    const slider = node("input", { type: "range", min: 0, max: PLACES, step: 1, "aria-label": `${label}, slider`, title: hint });
    const place = () => this.ranged(one);
    slider.addEventListener("input", () => this.set(one.key, fromPlace(place(), slider.value), false));
    slider.addEventListener("change", () => this.set(one.key, fromPlace(place(), slider.value), true));
    field.addEventListener("change", () => this.set(one.key, field.value.trim() || one.empty || "null", true));
    const row = node("div", { class: "control", "data-key": one.key }, node("label", { for: id, title: hint }, label), field, slider);
    const show = () => {
      const text = this.value(one.key), number = Number(text);
      if (document.activeElement !== field || field.value.trim() !== text) field.value = text === one.empty ? "" : text;
      slider.value = Number.isFinite(number) && text !== "null" ? toPlace(place(), number) : one.empty === "null" && one.key.endsWith("stop") ? PLACES : 0;
      slider.setAttribute("aria-valuetext", text === one.empty ? field.placeholder : text);
    };
    this.rows.set(one.key, { row, show });
    return row;
  }

  ranged(one) { // a window of steps ends with the run
    if (!/^optimizer\.(start|stop)$/.test(one.key)) return one;
    const last = Number(this.value("train.n_steps")) || one.high;
    return { ...one, low: one.name === "stop" ? 1 : 0, high: one.name === "stop" ? last : last - 1 };
  }

  refresh() { for (const { show } of this.rows.values()) show(); }

  mark(problems) {
    for (const { row } of this.rows.values()) row.classList.remove("wrong");
    for (const { key } of problems) {
      const row = this.rows.get(key)?.row;
      row?.classList.add("wrong");
      row?.closest("details")?.setAttribute("open", "");
    }
  }

  query() { return new URLSearchParams([...this.state]); }
}
