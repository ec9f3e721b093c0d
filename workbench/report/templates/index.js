// Filter, sort, and two runs side by side. Text of the data is only ever set as text.
"use strict";

const at = (id) => document.getElementById(id);
const stored = (id) => JSON.parse(at(id).textContent);
const once = (make) => { let made; return () => (made ??= make()); };
const runData = once(() => stored("run-data"));
const pairData = once(() => stored("pair-data"));

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const svg = tag === "svg" || tag === "path";
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// --- Sort ---------------------------------------------------------------------------------------

function key(row, column) {
  const cell = row.cells[column];
  return cell.dataset.v ?? cell.textContent.trim();
}

/** Order of two cells: numbers as numbers, text as text with its numbers as numbers. */
function order(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
}

/** Sort by a column; a second time the other way round. Empty cells stay last. */
function sort(head) {
  const table = head.closest("table");
  const first = head.dataset.sort === "down" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const direction = head.getAttribute("aria-sort") === first ? other : first;
  for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = [...table.tBodies[0].rows].map((row) => [key(row, head.cellIndex), row]);
  keyed.sort(([a], [b]) => (a === "") - (b === "") || sign * order(a, b));
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

function makeSortable() {
  for (const head of document.querySelectorAll("th[data-sort]")) {
    const ends = head.querySelector(".ends");
    const button = make("button", { type: "button" });
    button.append(...[...head.childNodes].filter((node) => node !== ends));
    head.prepend(button);
    button.addEventListener("click", () => sort(head));
  }
}

// --- Filter -------------------------------------------------------------------------------------

const texts = new WeakMap();

function textOf(row) {
  if (!texts.has(row)) {
    const run = runData().runs[row.dataset.run];
    const given = run ? runData().names[run[0]].map((name, place) => `${name}=${run[1][place]}`) : [];
    const links = [...row.querySelectorAll("a")].map((link) => link.getAttribute("href"));
    const leaderboard = row.closest(".leaderboard")?.querySelector("h3").textContent ?? "";
    texts.set(row, [row.textContent, leaderboard, ...given, ...links].join(" ").toLowerCase());
  }
  return texts.get(row);
}

function filter() {
  const words = at("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [task, status] = [at("task").value, at("status").value];
  const fits = (row) => (!task || row.dataset.task === task)
    && (!status || row.dataset.status.split(" ").includes(status))
    && words.every((word) => textOf(row).includes(word));
  for (const list of document.querySelectorAll(".list")) {
    let shown = 0;
    for (const row of list.querySelectorAll("tbody tr")) {
      row.hidden = !fits(row);
      shown += !row.hidden;
    }
    list.hidden = shown === 0 && list.id !== "runs";
  }
  const shown = [...allRows()].filter((row) => !row.hidden).length;
  at("shown").value = `${number(shown)} of ${number(allRows().length)} runs`;
  if (at("leaderboards")) at("leaderboards").hidden = !document.querySelector(".leaderboard:not([hidden])");
}

/** The rows of all runs, each once: those that began, and those ahead. */
const allRows = once(() => document.querySelectorAll("#runs tbody tr, tr.ahead"));

// --- Numbers as Python prints them --------------------------------------------------------------

const number = (value) => value.toLocaleString("en-US");

/** Three decimals; of two equally near the even one, as Python has it. These are odd 16ths. */
function round3(value) {
  if (Math.abs((value * 16) % 2) !== 1) return value.toFixed(3);
  const below = Math.floor(value * 1000);
  return ((below % 2 ? below + 1 : below) / 1000).toFixed(3);
}

const signed = (value) => (value >= 0 ? "+" : "") + round3(value);

// --- Comparison: record/draws.py, record/comparison/measures.py and record/statistics.py again ---

/** The 32-bit word of a counter. */
function word(counter) {
  let h = Math.imul(counter, 0x9e3779b9);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

function bits(base64, n) {
  const packed = bytes(base64);
  return Uint8Array.from({ length: n }, (_, place) => (packed[place >> 3] >> (7 - place % 8)) & 1);
}

function clustersOf(group) {
  const raw = bytes(group.places);
  const Kind = raw.length === 2 * group.n ? Uint16Array : Uint32Array;
  return new Kind(raw.buffer);
}

/** Quantile of sorted values by linear interpolation, as numpy computes it. */
function quantile(sorted, fraction) {
  const place = (sorted.length - 1) * fraction;
  const below = Math.floor(place);
  const [a, b] = [sorted[below], sorted[Math.min(below + 1, sorted.length - 1)]];
  const part = place - below;
  return part >= 0.5 ? b - (b - a) * (1 - part) : a + (b - a) * part;
}

/** The two sums of a run's measure for each cluster; of accuracy, right items and all. */
function sumsOf(run, right, group, places) {
  if (right === undefined) {
    const sums = new Float64Array(bytes(run[6]).buffer);
    return [sums.subarray(0, group.clusters), sums.subarray(group.clusters)];
  }
  const sums = [new Float64Array(group.clusters), new Float64Array(group.clusters)];
  for (let item = 0; item < group.n; item += 1) {
    sums[0][places[item]] += right[item];
    sums[1][places[item]] += 1;
  }
  return sums;
}

/** Ratios of both sums in each resample [2][resamples], from the same draws of clusters. */
function resample(a, b, clusters, rules) {
  const samples = [0, 1].map(() => new Float64Array(rules.resamples));
  for (let sample = 0, counter = 1; sample < rules.resamples; sample += 1) {
    let [x, y, z, n] = [0, 0, 0, 0];
    for (let draw = 0; draw < clusters; draw += 1, counter += 1) {
      const cluster = Math.floor(word(counter) * clusters / 4294967296);
      x += a[0][cluster];
      y += a[1][cluster];
      z += b[0][cluster];
      n += b[1][cluster];
    }
    samples[0][sample] = x / y;
    samples[1][sample] = z / n;
  }
  return samples;
}

const total = (values) => values.reduce((x, y) => x + y, 0);

function variance(values) {
  const mean = total(values) / values.length;
  const [low, high] = values.reduce(([least, most], value) =>
    [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
  if (high - low <= 1e-12 * Math.max(1, Math.abs(high))) return 0; // but for rounding
  return total(values.map((value) => (value - mean) ** 2)) / values.length;
}

/** The middle 95 % of samples. */
function middle(samples, rules) {
  const sorted = samples.slice().sort();
  const tail = (1 - rules.level) / 2;
  return [quantile(sorted, tail), quantile(sorted, 1 - tail)];
}

const tooFew = (defined, clusters, what) => (defined < clusters
  ? `no interval: only ${defined} of ${number(clusters)} ${what} count`
  : `no interval: only ${defined} ${what}`);

const bootstrapped = (defined, what, rules) => `percentile bootstrap over ${number(defined)} ${what}, `
  + `${number(rules.resamples)} resamples; Monte Carlo error of an end `
  + `${(100 * rules.monte_carlo).toFixed(1)}% of the width`;

/** Value and interval of a ratio, as `statistics.measure` gives them. */
function measured(sums, drawn, unit, what, rules) {
  const value = total(sums[0]) / total(sums[1]);
  const defined = sums[1].filter((each) => each !== 0).length;
  if (defined < rules.min_clusters) return { value, how: tooFew(defined, sums[1].length, what) };
  const samples = drawn.filter((each) => !Number.isNaN(each));
  const spread = variance(samples);
  const effective = spread > 0 ? value * (1 - value) / spread : defined;
  if (unit === "fraction" && effective * Math.min(value, 1 - value) < rules.few) {
    const size = Math.min(effective, defined);
    const squared = rules.normal_95 ** 2 / size;
    const centre = (value + squared / 2) / (1 + squared);
    const half = rules.normal_95 * Math.sqrt(value * (1 - value) / size + squared / (4 * size))
      / (1 + squared);
    return { value, low: Math.max(0, centre - half), high: Math.min(1, centre + half),
      how: `Wilson interval, as of ${number(Number(size.toFixed(0)))} independent ${what}` };
  }
  if (spread === 0) {
    return { value, how: `no interval: the same in every resample of ${number(defined)} ${what}` };
  }
  let [low, high] = middle(samples, rules);
  if (unit === "fraction") [low, high] = [Math.max(0, low), Math.min(1, high)];
  return { value, low, high, how: bootstrapped(defined, what, rules) };
}

/** B minus A, as `statistics.difference` gives it. */
function minus(b, a, drawn, unit, what, rules) {
  const value = total(b[0]) / total(b[1]) - total(a[0]) / total(a[1]);
  const clusters = [...a[1].keys()];
  const defined = clusters.filter((place) => a[1][place] !== 0 || b[1][place] !== 0).length;
  if (defined < rules.min_clusters) return { value, how: tooFew(defined, clusters.length, what) };
  const apart = clusters.filter((place) => a[0][place] !== b[0][place]
    || a[1][place] !== b[1][place]).length;
  const samples = drawn[1].map((each, place) => each - drawn[0][place])
    .filter((each) => !Number.isNaN(each));
  const spread = variance(samples);
  if (apart >= rules.min_clusters && spread > 0) {
    const [low, high] = middle(samples, rules);
    return { value, low, high, how: bootstrapped(defined, what, rules) };
  }
  if (unit !== "fraction") {
    return { value, how: `no interval: the two differ in ${apart} of ${number(defined)} ${what}` };
  }
  const more = defined + 2;
  const centre = value * defined / more;
  const added = 2 + 2 * value ** 2 * defined / more;
  const half = rules.normal_95 * Math.sqrt(spread * defined ** 2 + added) / more;
  return { value, low: Math.max(-1, centre - half), high: Math.min(1, centre + half),
    how: `Agresti-Min interval: the two differ in ${apart} of ${number(defined)} ${what}` };
}

function verdictOf({ low, high }, less) {
  if (low === undefined || (low <= 0 && high >= 0)) return "cannot tell";
  return (low > 0) !== less ? "better" : "worse";
}

/** Whether other draws may turn the verdict. */
function isBorderline({ low, high }, rules) {
  return low !== undefined
    && Math.min(Math.abs(low), Math.abs(high)) <= 2 * rules.monte_carlo * (high - low);
}

/** Smallest true difference that 8 of 10 samples like this one would show. */
function detectable({ low, high }, rules) {
  if (low === undefined) return undefined;
  return (rules.normal_95 + rules.normal_80) * (high - low) / (2 * rules.normal_95);
}

/** All that the page says of two runs over the same items. */
function compare(first, second) {
  const { rules, kinds, groups } = pairData();
  const group = groups[first[0]];
  const measure = first[5] === second[5] ? first[5] : "accuracy";
  const kind = kinds[measure];
  const [a, b] = [first, second].map((run) => bits(run[3], group.n));
  const places = clustersOf(group);
  const sums = [[first, a], [second, b]].map(([run, right]) =>
    sumsOf(run, measure === "accuracy" ? right : undefined, group, places));
  const what = group.clusters === group.n ? "items" : "clusters of items";
  const drawn = resample(...sums, group.clusters, rules);
  const [ours, theirs] = [0, 1].map((side) =>
    measured(sums[side], drawn[side], kind.unit, what, rules));
  const difference = minus(sums[1], sums[0], drawn, kind.unit, what, rules);
  const n = measure === "accuracy" ? group.n : first[7];
  const found = { group, measure, kind, n, ours, theirs, difference, rules };
  const counts = { both: 0, only_a: 0, only_b: 0, neither: 0 };
  const examples = { only_a: [], only_b: [] };
  for (let item = 0; item < group.n && kind.right; item += 1) {
    const which = a[item] ? (b[item] ? "both" : "only_a") : (b[item] ? "only_b" : "neither");
    counts[which] += 1;
    const shown = examples[which];
    if (shown && shown.length < rules.examples && item < group.examples.length) {
      shown.push(group.examples[item]);
    }
  }
  return { ...found, counts, examples };
}

// --- What is shown of two runs ------------------------------------------------------------------

const interval = ({ value, low, high }, form = round3) =>
  form(value) + (low === undefined ? "" : ` [${form(low)}, ${form(high)}]`);

/** A dot with its interval on an axis from `start` to `end`, and 0 where it is within. */
function strip({ value, low, high }, start, end) {
  const place = (x) => (7 + 136 * (x - start) / (end - start || 1)).toFixed(1);
  const drawn = make("svg", { class: "strip", viewBox: "0 0 150 18", "aria-hidden": "true" });
  drawn.append(make("path", { class: "axis", d: "M7 9H143" }));
  if (start < 0 && end > 0) drawn.append(make("path", { class: "zero", d: `M${place(0)} 1V17` }));
  if (low !== undefined) {
    drawn.append(make("path", { class: "range", d: `M${place(low)} 9H${place(high)}` }));
  }
  drawn.append(make("path", { class: "dots", d: `M${place(value)} 9h.01` }));
  return drawn;
}

function table(heads, rows) {
  const line = (kind, cells) => make("tr", {}, ...cells.map((cell) => {
    const shown = cell instanceof Node && cell.matches("td, th");
    return shown ? cell : make(kind, {}, cell);
  }));
  return make("div", { class: "box" }, make("table", {},
    make("thead", {}, line("th", heads)), make("tbody", {}, ...rows.map((row) => line("td", row)))));
}

const HEADS = { accuracy: "Fraction of right items", entity_f1: "Entity F1",
  bits_per_byte: "Bits per byte, less is better" };

function showNumbers({ measure, n, ours, theirs, difference, rules }) {
  const ends = [ours, theirs].flatMap(({ value, low = value, high = value }) => [low, high]);
  const [start, end] = [Math.min(...ends), Math.max(...ends)];
  const { value, low = value, high = value } = difference;
  const widest = Math.max(Math.abs(low), Math.abs(high));
  const cell = (part, text) => make("td", { class: "number", "data-part": part }, text);
  const least = detectable(difference, rules);
  const sides = { A: ours, B: theirs, "B - A": difference };
  const hows = [...new Set(Object.values(sides).map(({ how }) => how))].map((how) => {
    const names = Object.keys(sides).filter((name) => sides[name].how === how);
    const shown = names.length === 3 ? how[0].toUpperCase() + how.slice(1) : `${names.join(", ")}: ${how}`;
    return `${shown}. `;
  });
  return make("div", {}, make("h3", {}, `${HEADS[measure]}, n = ${number(n)}`),
    table(["", "value, interval", ""], [
      ["A", cell("a", interval(ours)), strip(ours, start, end)],
      ["B", cell("b", interval(theirs)), strip(theirs, start, end)],
      ["B - A", cell("difference", interval(difference, signed)),
        strip(difference, -widest, widest)],
    ]), make("p", { class: "note" }, least === undefined ? "" : make("span", { "data-part": "detectable" },
      `A true difference of ${round3(least)} would show in 8 of 10 samples. `),
    low === high ? "" : "In brackets 95 % intervals, from the same draws for A and B. ",
    make("span", { "data-part": "how" }, hows.join(""))));
}

function showCounts({ group, counts }) {
  const names = { both: "both right", only_a: "only A", only_b: "only B", neither: "both wrong" };
  const rows = Object.entries(names).map(([part, name]) => {
    const fraction = counts[part] / group.n;
    const bar = make("svg", { class: "strip", viewBox: "0 0 150 18", "aria-hidden": "true" },
      make("path", { class: "bar", d: `M0 9H${(150 * fraction).toFixed(1)}` }));
    return [name, make("td", { class: "number", "data-part": part }, number(counts[part])),
      make("td", { class: "number" }, `${(100 * fraction).toFixed(1)} %`), bar];
  });
  return make("div", {}, make("h3", {}, `${number(group.n)} items of ${group.splits.join(", ")}`),
    table(["", "items", "fraction", ""], rows));
}

function showExamples({ group, counts, examples }) {
  const shown = make("div", { class: "sides" });
  for (const [part, name] of [["only_a", "A"], ["only_b", "B"]]) {
    const found = examples[part];
    if (!counts[part]) continue;
    const few = found.length < Math.min(counts[part], pairData().rules.examples);
    shown.append(make("div", {}, make("h3", {}, `Right in ${name} only`),
      make("ul", { class: "examples", "data-part": `examples_${part}` }, ...found.map(
        ([item, text, gold]) => make("li", {}, text, make("small", {}, `gold: ${gold} · ${item}`)))),
      few ? make("p", { class: "note" }, `${number(counts[part])} in all; this page has the texts `
        + `of the first ${number(group.examples.length)} items only.`) : ""));
  }
  return shown;
}

/** Why the page can't compare two runs, or "" where it can. */
function obstacle(a, b) {
  const { runs, left_out: leftOut } = pairData();
  for (const [name, id] of [["A", a], ["B", b]]) {
    if (!runs[id]) return `No comparison of items here: of ${name}, ${leftOut[id]}.`;
  }
  return runs[a][0] === runs[b][0] ? ""
    : "No comparison of items here: not all items, groups and labels of A and B are the same.";
}

function showItems(a, b) {
  const { runs } = pairData();
  const found = compare(runs[a], runs[b]);
  const said = verdictOf(found.difference, found.kind.less);
  const near = isBorderline(found.difference, found.rules)
    ? "; borderline, other draws may turn this" : "";
  const told = make("p", { class: "verdict", "data-part": "verdict" }, wordsFor(found, said) + near);
  if (!found.kind.right) {
    return [told, make("p", { class: "note" }, `Methods: A ${runs[a][1]}, B ${runs[b][1]}.`),
      showNumbers(found)];
  }
  const counted = new Set([runs[a], runs[b]].map((run) => run[4]));
  const unread = [["A", runs[a]], ["B", runs[b]]].filter(([, run]) => run[2]).map(([name, run]) =>
    `${number(run[2])} answers of ${name} name no label and count as wrong. `);
  return [told,
    make("p", { class: "note" }, `Methods: A ${runs[a][1]}, B ${runs[b][1]}. Right is `
      + `${[...counted].join("; or ")}. ${unread.join("")}`),
    make("div", { class: "sides" }, showNumbers(found), showCounts(found)), showExamples(found)];
}

/** What the difference of the main measure says in words. */
function wordsFor({ measure, counts, kind, difference }, said) {
  const name = { entity_f1: "entity F1", bits_per_byte: "bits per byte" }[measure];
  const more = difference.value > 0;
  if (name && said === "cannot tell") return `Cannot tell which has ${kind.less ? "fewer" : "the higher"} ${name}`;
  if (name) return `B is ${said}: ${kind.less ? (more ? "more" : "fewer") : (more ? "higher" : "lower")} ${name}`;
  if (counts.only_a + counts.only_b === 0) return "A and B have the same items right";
  if (said === "cannot tell") return "Cannot tell which has more items right";
  return `B is ${said}: ${more ? "more" : "fewer"} items right`;
}

/** Parameters and origin of two runs, as far as they differ. */
function differing(a, b) {
  const { names, runs } = runData();
  const facts = [a, b].map((id) => {
    const [schema, values, madeBy] = runs[id];
    const parameters = names[schema].map((name, place) => [name, JSON.stringify(values[place])]);
    return new Map([...parameters, ...Object.entries(madeBy)]);
  });
  const all = [...new Set([...facts[0].keys(), ...facts[1].keys()])];
  return all.map((name) => [name, ...facts.map((each) => each.get(name) ?? "has none")])
    .filter(([, x, y]) => x !== y);
}

function showDifference(a, b) {
  const rows = differing(a, b).map(([name, ...values]) => [name,
    ...values.map((value) => make("td", { class: "value" }, value))]);
  const head = make("h3", {}, "What differs");
  if (!rows.length) return [head, make("p", { class: "note" }, "No parameter, code or data.")];
  const shown = table(["", "A", "B"], rows);
  shown.dataset.part = "parameters";
  return [head, shown];
}

function show() {
  const [a, b] = [at("a").value.trim(), at("b").value.trim()];
  const known = runData().runs;
  for (const row of document.querySelectorAll("#runs tbody tr")) mark(row, a, b);
  const found = at("found");
  if (!Object.hasOwn(known, a) || !Object.hasOwn(known, b)) {
    const wrong = [a, b].filter((id) => id && !Object.hasOwn(known, id));
    found.replaceChildren(make("p", { class: "note" }, wrong.length
      ? `No run on this page is called ${wrong.join(" or ")}.`
      : "Name two runs here, or take them from the list of every run below."));
    return;
  }
  const why = obstacle(a, b);
  found.replaceChildren(...(why ? [make("p", { class: "note", "data-part": "obstacle" }, why)]
    : showItems(a, b)), ...showDifference(a, b),
  make("p", { class: "note" }, "By other measures and methods, and what was read as other text: "),
  make("pre", {}, `workbench compare ${a} ${b}`));
  history.replaceState(null, "", `#compare=${encodeURIComponent(a)},${encodeURIComponent(b)}`);
}

// --- Choose two runs ----------------------------------------------------------------------------

function mark(row, a, b) {
  const taken = [a, b].includes(row.dataset.run);
  if (!taken && !row.classList.contains("taken")) return;
  row.classList.toggle("taken", taken);
  const button = row.querySelector(".take");
  button.setAttribute("aria-pressed", taken);
  button.textContent = taken ? (row.dataset.run === a ? "is A" : "is B") : "take";
}

/** The first run taken is A, the next B; a third one takes B's place. */
function take(id) {
  const free = at("a").value.trim() ? at("b") : at("a");
  if (at("a").value === id) at("a").value = "";
  else if (at("b").value === id) at("b").value = "";
  else free.value = id;
  show();
}

function makeTakeable() {
  const heads = document.querySelector("#runs thead tr");
  if (heads) heads.append(make("th", {}, "compare"));
  for (const row of document.querySelectorAll("#runs tbody tr")) {
    const button = make("button", { type: "button", class: "take", "aria-pressed": "false",
      "aria-label": `compare ${row.dataset.run}` }, "take");
    button.addEventListener("click", () => take(row.dataset.run));
    row.append(make("td", {}, button));
  }
}

/** All ids with what they are, for the two fields: made when first needed. */
const suggest = once(() => {
  at("known").append(...[...document.querySelectorAll("#runs tbody tr")].map((row) =>
    make("option", { value: row.dataset.run },
      [...row.cells[1].childNodes].slice(0, 2).map((node) => node.textContent).join("").trim())));
  return true;
});

function fromAddress() {
  const asked = /^#compare=([^,]+),([^,]+)$/.exec(location.hash);
  if (!asked) return;
  try {
    [at("a").value, at("b").value] = asked.slice(1).map(decodeURIComponent);
  } catch {
    return; // an address that is no text
  }
  show();
  at("compare").scrollIntoView();
}

function begin() {
  if (!at("filter")) return;
  at("filter").hidden = at("pick").hidden = false;
  for (const form of [at("filter"), at("pick")]) {
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  makeSortable();
  makeTakeable();
  at("filter").addEventListener("input", filter);
  for (const field of [at("a"), at("b")]) {
    field.addEventListener("focus", suggest);
    field.addEventListener("change", show);
  }
  at("swap").addEventListener("click", () => {
    [at("a").value, at("b").value] = [at("b").value, at("a").value];
    show();
  });
  window.addEventListener("hashchange", fromAddress);
  filter();
  show();
  fromAddress();
}

begin();
