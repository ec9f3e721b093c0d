// Runs side by side, as they are shown. Text of the data is only ever set as text.
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

const note = (...children) => make("p", { class: "note" }, ...children);

/** The name of a run in a comparison: A to Z, then AA. */
function letters(place) {
  const more = Math.floor(place / 26);
  return (more ? letters(more - 1) : "") + String.fromCharCode(65 + place % 26);
}

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

/** A table with a caption; the first cell of a row names it. */
function table(caption, heads, rows, kind = "") {
  const cells = (row) => row.map((cell, place) => {
    if (cell instanceof Node && cell.matches("td, th")) return cell;
    return place ? make("td", {}, cell) : make("th", { scope: "row" }, cell);
  });
  const top = heads.map((head) => (head instanceof Node ? head : make("th", { scope: "col" }, head)));
  return make("div", { class: "scroll" }, make("table", kind ? { class: kind } : {},
    make("caption", { class: "unseen" }, caption), make("thead", {}, make("tr", {}, ...top)),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row))))));
}

const HEADS = { accuracy: "Fraction of right items", entity_f1: "Entity F1",
  bits_per_byte: "Bits per byte, less is better" };

/** The ends of an axis that holds all numbers with their intervals. */
function ends(metrics) {
  const all = metrics.flatMap(({ value, low = value, high = value }) => [low, high]);
  return [Math.min(...all), Math.max(...all)];
}

/** The ends of an axis for differences, 0 in its middle. */
function around(differences) {
  const widest = Math.max(...ends(differences).map(Math.abs));
  return [-widest, widest];
}

// --- Two runs -----------------------------------------------------------------------------------

function showNumbers({ measure, n, ours, theirs, difference, rules }) {
  const axis = ends([ours, theirs]);
  const { value, low = value, high = value } = difference;
  const cell = (part, text) => make("td", { class: "number", "data-part": part }, text);
  const least = detectable(difference, rules);
  const sides = { A: ours, B: theirs, "B - A": difference };
  const hows = [...new Set(Object.values(sides).map(({ how }) => how))].map((how) => {
    const names = Object.keys(sides).filter((name) => sides[name].how === how);
    const shown = names.length === 3 ? how[0].toUpperCase() + how.slice(1) : `${names.join(", ")}: ${how}`;
    return `${shown}. `;
  });
  const head = `${HEADS[measure]}, n = ${number(n)}`;
  return make("div", {}, make("h3", {}, head),
    table(head, ["run", "value, interval", "on an axis"], [
      ["A", cell("a", interval(ours)), strip(ours, ...axis)],
      ["B", cell("b", interval(theirs)), strip(theirs, ...axis)],
      ["B - A", cell("difference", interval(difference, signed)),
        strip(difference, ...around([difference]))],
    ]), note(least === undefined ? "" : make("span", { "data-part": "detectable" },
      `A true difference of ${round3(least)} would show in 8 of 10 samples. `),
    low === high ? "" : "In brackets 95 % intervals; A and B are resampled together. ",
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
  const head = `${number(group.n)} items of ${group.splits.join(", ")}`;
  return make("div", {}, make("h3", {}, head),
    table(head, ["right", "items", "fraction", "as a bar"], rows));
}

const MORE = 20;

/** The first items that one run alone has right, and a button for more of them. */
function exampleList(part, name, { group, counts, examples }) {
  const found = examples[part];
  const list = make("ul", { class: "examples", "data-part": `examples_${part}` });
  const button = make("button", { type: "button", class: "take" });
  const told = note();
  const grow = (by) => {
    const shown = found.slice(list.children.length, list.children.length + by);
    list.append(...shown.map(([item, text, gold]) =>
      make("li", {}, text, make("small", {}, `gold: ${gold} · ${item}`))));
    const left = found.length - list.children.length;
    button.hidden = !left;
    button.textContent = `show ${Math.min(MORE, left)} more`;
    told.textContent = `${number(list.children.length)} of ${number(counts[part])}. `
      + (left || found.length === counts[part] ? "" : "This page has the texts of the first "
        + `${number(group.examples.length)} items only; the command below shows all with --examples.`);
  };
  button.addEventListener("click", () => grow(MORE));
  grow(pairData().rules.examples);
  return make("div", {}, make("h3", {}, `Right in ${name} only`), list, button, told);
}

function showExamples(found) {
  return make("div", { class: "sides" }, ...[["only_a", "A"], ["only_b", "B"]]
    .filter(([part]) => found.counts[part]).map(([part, name]) => exampleList(part, name, found)));
}

function showItems(a, b) {
  const { runs } = pairData();
  const found = compare(runs[a], runs[b], pairData());
  const [{ verdict, borderline }] = found.said;
  const near = borderline ? "; borderline, other draws may turn this" : "";
  const told = make("p", { class: "verdict", "data-part": "verdict" }, wordsFor(found, verdict) + near);
  const methods = `Methods: A ${runs[a][1]}, B ${runs[b][1]}. `;
  if (!found.kind.right) return [told, note(methods), showNumbers(found)];
  const counted = new Set([runs[a], runs[b]].map((run) => run[4]));
  const unread = [["A", runs[a]], ["B", runs[b]]].filter(([, run]) => run[2]).map(([name, run]) =>
    `${number(run[2])} answers of ${name} name no label and count as wrong. `);
  return [told, note(`${methods}Right is ${[...counted].join("; or ")}. ${unread.join("")}`),
    make("div", { class: "sides" }, showNumbers(found), showCounts(found)), showExamples(found)];
}

/** Why a run can't be compared with the first, or "" where it can. */
function obstacle(first, id) {
  const { runs, left_out: leftOut } = pairData();
  const missing = [first, id].find((each) => !runs[each]);
  if (missing) return `of ${missing}, ${leftOut[missing]}`;
  return runs[first][0] === runs[id][0] ? ""
    : "not all items, groups and labels of both are the same";
}

// --- What differs, and what it cost -------------------------------------------------------------

/** Names of a run's parameters with their values, and the names and values of its origin. */
function factsOf(id) {
  const [schema, values, madeBy] = runData().runs[id];
  return [new Map(runData().names[schema].map((name, place) => [name, JSON.stringify(values[place])])),
    new Map(Object.entries(madeBy))];
}

/** Names and values of what is not the same in all runs: of parameters or, for 1, of origins. */
function differing(ids, kind) {
  const facts = ids.map((id) => factsOf(id)[kind]);
  return [...new Set(facts.flatMap((each) => [...each.keys()]))]
    .map((name) => [name, ...facts.map((each) => each.get(name) ?? "has none")])
    .filter(([, first, ...rest]) => rest.some((value) => value !== first));
}

function showDifference(a, b) {
  const rows = [0, 1].flatMap((kind) => differing([a, b], kind)).map(([name, ...values]) => [name,
    ...values.map((value) => make("td", { class: "value" }, value))]);
  const head = make("h3", {}, "What differs");
  if (!rows.length) return [head, note("No parameter, code or data.")];
  const shown = table("What differs", ["parameter or origin", "A", "B"], rows);
  shown.dataset.part = "parameters";
  return [head, shown];
}

const costOf = (id) => {
  const [, , , schema, values] = runData().runs[id];
  return new Map(runData().costs[schema].map((name, place) => [name, values[place]]));
};

/** A number of a run's cost, and how many times the first run's it is. */
function amount(cost, first, name) {
  const [value, of] = [cost.get(name), first.get(name)];
  if (value === undefined) return "";
  const shown = value < 100 ? value.toFixed(1).replace(/\.0$/, "") : number(Math.round(value));
  return cost === first || !of ? shown : `${shown} (${(value / of).toFixed(2)})`;
}

const COST = "Cost of the whole run, all its methods together; in brackets, times A's";

function showCosts(ids) {
  const costs = ids.map(costOf);
  const names = [...new Set(costs.flatMap((cost) => [...cost.keys()]))];
  if (!names.length) return [];
  const rows = names.map((name) => [name, ...costs.map((cost) =>
    make("td", { class: "number" }, amount(cost, costs[0], name)))]);
  const shown = table(COST, ["", ...ids.map((_, place) => letters(place))], rows);
  shown.dataset.part = "cost";
  return [make("h3", {}, COST), shown];
}

// --- Several runs -------------------------------------------------------------------------------

const sortable = (name, kind) => make("th", { scope: "col", "data-sort": kind }, name);

/** A run's cells: its name, what differs, its number, its difference from A, and the verdict. */
function severalRow(id, place, compared, found, axes) {
  const name = make("th", { scope: "row", "data-v": place }, make("b", {}, letters(place)), " ",
    make("span", { class: "id" }, id), make("small", {}, pairData().runs[id]?.[1] ?? ""));
  const label = compared.parameters.map(([parameter, ...values]) => `${parameter}=${values[place]}`);
  const differs = make("td", { class: "value" }, label.join(" "));
  const own = compared.same.indexOf(id);
  if (own < 0) return [name, "", "", make("td", { class: "value" }, `not compared: ${compared.why[place]}`), differs];
  const numbered = (metric, form, axis, part) => make("td", { class: "number", "data-part": part,
    "data-v": metric.value }, interval(metric, form), strip(metric, ...axis));
  const value = numbered(found.numbers[own], round3, axes[0], "value");
  if (own === 0) return [name, value, "", "", differs];
  const { verdict, borderline } = found.said[own - 1];
  return [name, value, numbered(found.differences[own - 1], signed, axes[1], "difference"),
    make("td", { "data-part": "verdict" }, borderline ? `${verdict}, borderline` : verdict), differs];
}

/** A row for each run next to the first, by their main measure where all have the same. */
function showSeveral(ids) {
  const why = ids.map((id) => obstacle(ids[0], id));
  const same = ids.filter((_, place) => !why[place]);
  const compared = { ids, why, same, parameters: differing(ids, 0) };
  const found = same.length > 1 ? several(same.map((id) => pairData().runs[id]), pairData()) : null;
  if (!found) {
    return [make("p", { class: "note", "data-part": "obstacle" }, `No comparison of items here: ${why[1]}.`)];
  }
  const axes = [ends(found.numbers), around(found.differences)];
  const costs = ids.map(costOf);
  const names = [...new Set(costs.flatMap((cost) => [...cost.keys()]))];
  const head = `${HEADS[found.measure]}, n = ${number(found.n)}: ${number(ids.length)} runs, each next to A`;
  const heads = [sortable("run", "up"), sortable("value", "down"), sortable("difference from A", "down"),
    sortable("verdict", "text"), sortable("what differs", "text"),
    ...names.map((name) => sortable(name, "up")), make("th", { scope: "col" }, "compare")];
  const rows = ids.map((id, place) => {
    const cost = names.map((name) => make("td", { class: "number", "data-v": costs[place].get(name) ?? "" },
      amount(costs[place], costs[0], name)));
    const first = make("button", { type: "button", class: "take", "data-first": id,
      "aria-label": `compare all with ${id}` }, "as A");
    return [...severalRow(id, place, compared, found, axes), ...cost, make("td", {}, place ? first : "")];
  });
  const shown = table(head, heads, rows, "runs several");
  shown.dataset.part = "several";
  const origins = differing(ids, 1).map(([name]) => name);
  return [make("p", { class: "verdict" }, head), note("In brackets 95 % intervals, all resampled "
    + `together. ${found.correction} Costs are of the whole run, all its methods together; in brackets, `
    + `times A's. ${origins.length ? `Not the same in all: ${origins.join(", ")}.` : ""}`), shown];
}

/** All that the page says of runs, the first of which is A. */
function shownOf(ids) {
  const command = [note("By other measures and methods, and what was read as other text: "),
    make("pre", {}, `workbench compare ${ids.join(" ")}`)];
  if (ids.length > 2) return [...showSeveral(ids), ...command];
  const why = obstacle(...ids);
  return [...(why ? [make("p", { class: "note", "data-part": "obstacle" },
    `No comparison of items here: ${why}.`)] : showItems(...ids)),
  ...showDifference(...ids), ...showCosts(ids), ...command];
}
