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
    const board = row.closest(".board")?.querySelector("h3").textContent ?? "";
    texts.set(row, [row.textContent, board, ...given, ...links].join(" ").toLowerCase());
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
  if (at("boards")) at("boards").hidden = !document.querySelector(".board:not([hidden])");
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

// --- Comparison: workbench/comparison/draws.py and measures.py once more -------------------------

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
function quantile(sorted, share) {
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const [a, b] = [sorted[below], sorted[Math.min(below + 1, sorted.length - 1)]];
  const part = place - below;
  return part >= 0.5 ? b - (b - a) * (1 - part) : a + (b - a) * part;
}

/** Shares of A, of B, and B minus A: value and interval of each, from the same draws. */
function shares(a, b, places, clusters, rules) {
  const sums = [0, 1, 2, 3].map(() => new Float64Array(clusters));
  for (let item = 0; item < places.length; item += 1) {
    sums[0][places[item]] += a[item];
    sums[1][places[item]] += b[item];
    sums[2][places[item]] += b[item] - a[item];
    sums[3][places[item]] += 1;
  }
  const whole = sums.map((column) => column.reduce((x, y) => x + y, 0));
  const found = [0, 1, 2].map((column) => ({ value: whole[column] / whole[3] }));
  if (clusters < rules.min_clusters) return found;
  const samples = found.map(() => new Float64Array(rules.resamples));
  for (let sample = 0, counter = 1; sample < rules.resamples; sample += 1) {
    let [x, y, z, n] = [0, 0, 0, 0];
    for (let draw = 0; draw < clusters; draw += 1, counter += 1) {
      const cluster = Math.floor(word(counter) * clusters / 4294967296);
      x += sums[0][cluster];
      y += sums[1][cluster];
      z += sums[2][cluster];
      n += sums[3][cluster];
    }
    samples[0][sample] = x / n;
    samples[1][sample] = y / n;
    samples[2][sample] = z / n;
  }
  const tail = (1 - rules.level) / 2;
  samples.forEach((values, column) => {
    values.sort();
    found[column].low = quantile(values, tail);
    found[column].high = quantile(values, 1 - tail);
  });
  return found;
}

function verdictOf({ low, high }) {
  if (low === undefined || (low <= 0 && high >= 0)) return "cannot tell";
  return low > 0 ? "better" : "worse";
}

/** Smallest true difference that 8 of 10 samples like this one would show. */
function detectable({ low, high }, rules) {
  if (low === undefined || low === high) return undefined;
  return (rules.normal_95 + rules.normal_80) * (high - low) / (2 * rules.normal_95);
}

/** All that the page says of two runs over the same items. */
function compare(first, second) {
  const { rules, groups } = pairData();
  const group = groups[first[0]];
  const [a, b] = [first, second].map((run) => bits(run[4], group.n));
  const [ours, theirs, difference] = shares(a, b, clustersOf(group), group.clusters, rules);
  const counts = { both: 0, only_a: 0, only_b: 0, neither: 0 };
  const examples = { only_a: [], only_b: [] };
  for (let item = 0; item < group.n; item += 1) {
    const which = a[item] ? (b[item] ? "both" : "only_a") : (b[item] ? "only_b" : "neither");
    counts[which] += 1;
    const shown = examples[which];
    if (shown && shown.length < rules.examples && item < group.examples.length) {
      shown.push(group.examples[item]);
    }
  }
  return { group, ours, theirs, difference, counts, examples, rules };
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

function showNumbers({ group, ours, theirs, difference, rules }) {
  const ends = [ours, theirs].flatMap(({ value, low = value, high = value }) => [low, high]);
  const [start, end] = [Math.min(...ends), Math.max(...ends)];
  const { value, low = value, high = value } = difference;
  const widest = Math.max(Math.abs(low), Math.abs(high));
  const cell = (part, text) => make("td", { class: "number", "data-part": part }, text);
  const least = detectable(difference, rules);
  const items = group.clusters === group.n ? "items" : "clusters of items";
  return make("div", {}, make("h3", {}, "Share of right items"), table(["", "value, interval", ""], [
    ["A", cell("a", interval(ours)), strip(ours, start, end)],
    ["B", cell("b", interval(theirs)), strip(theirs, start, end)],
    ["B - A", cell("difference", interval(difference, signed)),
      strip(difference, -widest, widest)],
  ]), make("p", { class: "note" }, least === undefined ? "" : make("span", { "data-part": "detectable" },
    `A true difference of ${round3(least)} would show in 8 of 10 samples. `),
  difference.low === undefined ? `No interval: only ${group.clusters} ${items}.`
    : `95 % intervals: percentile bootstrap over ${number(group.clusters)} ${items}, `
      + `${number(rules.resamples)} resamples, the same draws for A and B.`));
}

function showCounts({ group, counts }) {
  const names = { both: "both right", only_a: "only A", only_b: "only B", neither: "both wrong" };
  const rows = Object.entries(names).map(([part, name]) => {
    const share = counts[part] / group.n;
    const bar = make("svg", { class: "strip", viewBox: "0 0 150 18", "aria-hidden": "true" },
      make("path", { class: "bar", d: `M0 9H${(150 * share).toFixed(1)}` }));
    return [name, make("td", { class: "number", "data-part": part }, number(counts[part])),
      make("td", { class: "number" }, `${(100 * share).toFixed(1)} %`), bar];
  });
  return make("div", {}, make("h3", {}, `${number(group.n)} items of ${group.splits.join(", ")}`),
    table(["", "items", "share", ""], rows));
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
  const { runs, right } = pairData();
  const found = compare(runs[a], runs[b]);
  const said = verdictOf(found.difference);
  const apart = found.counts.only_a + found.counts.only_b > 0;
  const words = !apart ? "A and B have the same items right"
    : said === "cannot tell" ? "Cannot tell which has more items right"
      : `B is ${said}: ${said === "better" ? "more" : "fewer"} items right`;
  const counted = new Set([runs[a], runs[b]].map((run) => right[run[3]]));
  const unread = [["A", runs[a]], ["B", runs[b]]].filter(([, run]) => run[2]).map(([name, run]) =>
    `${number(run[2])} answers of ${name} name no label and count as wrong. `);
  return [make("p", { class: "verdict", "data-part": "verdict" }, words),
    make("p", { class: "note" }, `Methods: A ${runs[a][1]}, B ${runs[b][1]}. Right is `
      + `${[...counted].join("; or ")}. ${unread.join("")}`),
    make("div", { class: "sides" }, showNumbers(found), showCounts(found)), showExamples(found)];
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
  make("p", { class: "note" }, "Token by token, by loss, by other methods, and what was read as other text: "),
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
