// Sort, filter, and choose runs to compare.
"use strict";

// --- Sort ---------------------------------------------------------------------------------------

function key(row, column) {
  const cell = row.cells[column];
  return cell.dataset.v ?? cell.textContent.trim();
}

const collator = new Intl.Collator("en", { numeric: true });

/** Order of two cells: numbers as numbers, text as text with its numbers as numbers. */
function order(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? collator.compare(a, b) : x - y;
}

/** Sort by a column; a second time the other way round. Empty cells stay last.
 *
 * Numbers of different metrics have no order: each metric's rows stay together, by its name.
 */
function sort(head) {
  const table = head.closest("table");
  const first = head.dataset.sort === "down" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const direction = head.getAttribute("aria-sort") === first ? other : first;
  for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = [...table.tBodies[0].rows].map((row) =>
    [key(row, head.cellIndex), row.cells[head.cellIndex].dataset.metric ?? "", row]);
  keyed.sort(([a, one], [b, another]) => (a === "") - (b === "") || collator.compare(one, another)
    || sign * order(a, b));
  table.tBodies[0].append(...keyed.map(([, , row]) => row));
}

function makeSortable(within) {
  for (const head of within.querySelectorAll("th[data-sort]")) {
    const ends = head.querySelector(".ends");
    const button = make("button", { type: "button" });
    button.append(...[...head.childNodes].filter((node) => node !== ends));
    head.prepend(button);
    button.addEventListener("click", () => sort(head));
  }
}

// --- Filter -------------------------------------------------------------------------------------

const texts = new WeakMap();

/** A run's parameters and id, as the filter finds them. */
function words(id) {
  const run = runData().runs[id];
  return [id, ...run ? runData().names[run[0]].map((name, place) => `${name}=${run[1][place]}`) : []];
}

function textOf(row) {
  if (!texts.has(row)) {
    const leaderboard = row.closest(".leaderboard")?.querySelector("h3").textContent ?? "";
    const runs = (row.dataset.run ?? "").split(" ").flatMap(words);
    texts.set(row, [row.textContent, leaderboard, ...runs].join(" ").toLowerCase());
  }
  return texts.get(row);
}

/** The sentence of a part of the page that has no row left, made when first needed. */
function sayEmpty(section, empty) {
  let told = section.querySelector(":scope > .empty");
  if (empty && !told) {
    told = make("p", { class: "note empty" }, "Nothing here fits the filter.");
    section.querySelector("h2").after(told);
  }
  if (told) told.hidden = !empty;
}

function filter() {
  const asked = at("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [task, status] = [at("task").value, at("status").value];
  const fits = (row) => (!task || row.dataset.task === task)
    && (!status || row.dataset.status.split(" ").includes(status))
    && asked.every((word) => textOf(row).includes(word));
  for (const list of document.querySelectorAll(".list")) {
    let shown = 0;
    for (const row of list.querySelectorAll("tbody tr")) {
      row.hidden = !fits(row);
      shown += !row.hidden;
    }
    if (list.matches(".leaderboard")) list.hidden = shown === 0;
    else sayEmpty(list, shown === 0);
    for (const part of list.querySelectorAll(":scope > .scroll, :scope > .more")) part.hidden = shown === 0;
  }
  if (at("leaderboards")) {
    sayEmpty(at("leaderboards"), !document.querySelector(".leaderboard:not([hidden])"));
  }
  const shown = [...allRows()].filter((row) => !row.hidden).length;
  at("shown").value = `${number(shown)} of ${number(allRows().length)} runs`
    + (shown ? "" : ": none fits the filter");
  at("all").hidden = !asked.length && !task && !status;
}

/** The rows of all runs, each once: those that began, and those ahead. */
const allRows = once(() => document.querySelectorAll("#runs tbody tr, tr.ahead"));

// --- Choose runs --------------------------------------------------------------------------------

let chosen = [];

/** The run of an id or of its beginning; else why there is none. */
function resolve(asked) {
  const known = runData().runs;
  if (Object.hasOwn(known, asked)) return { id: asked };
  const begun = Object.keys(known).filter((id) => id.startsWith(asked));
  if (begun.length === 1) return { id: begun[0] };
  const more = begun.length > 5 ? ", ..." : "";
  return { why: begun.length ? `${number(begun.length)} runs begin with ${asked}: `
    + `${begun.slice(0, 5).join(", ")}${more}. Give more of the id.`
    : `No run on this page is called ${asked} or begins so.` };
}

function mark(row) {
  const place = chosen.indexOf(row.dataset.run);
  if (place < 0 && !row.classList.contains("taken")) return;
  row.classList.toggle("taken", place >= 0);
  const button = row.querySelector(".take");
  button.setAttribute("aria-pressed", place >= 0);
  button.textContent = place < 0 ? "take" : `is ${letters(place)}`;
}

function chip(id, place) {
  const button = make("button", { type: "button", class: "take", "aria-label": `leave out ${id}` }, "\u00d7");
  button.addEventListener("click", () => choose(chosen.filter((each) => each !== id)));
  return make("li", {}, make("b", {}, letters(place)), ` ${id} `, button);
}

/** Show what is chosen; where two runs or more are, the result comes into view. */
function show(said = "") {
  for (const row of document.querySelectorAll("#runs tbody tr")) mark(row);
  at("chosen").replaceChildren(...chosen.map(chip));
  at("swap").hidden = chosen.length !== 2;
  at("none").hidden = !chosen.length;
  const hint = ["Name two runs or more, or take them from the list of every run below.",
    "One run is taken; take another to compare it with."][chosen.length] ?? "";
  at("told").textContent = said || hint;
  at("tray").hidden = !chosen.length;
  const [words, button] = at("tray").children;
  button.hidden = chosen.length < 2;
  words.textContent = chosen.length > 1
    ? `${number(chosen.length)} runs are compared.` : hint;
  at("found").replaceChildren(...chosen.length > 1 ? shownOf(chosen) : []);
  makeSortable(at("found"));
  for (const button of at("found").querySelectorAll("[data-first]")) {
    const id = button.dataset.first;
    button.addEventListener("click", () => choose([id, ...chosen.filter((each) => each !== id)]));
  }
  watchBoxes(at("found"));
}

function choose(ids, said = "", stay = false) {
  const most = pairData().rules.runs;
  const too = ids.length > most ? `${number(ids.length)} runs; the first ${most} are compared.` : "";
  chosen = [...new Set(ids)].slice(0, most);
  show(said || too);
  const asked = chosen.length > 1 ? `#compare=${chosen.map(encodeURIComponent).join(",")}` : "#compare";
  history.replaceState(null, "", asked);
  if (stay || (chosen.length < 2 && !said)) return;
  at("compare").scrollIntoView();
  at("found").focus({ preventScroll: true });
}

/** Take what is typed: ids or their beginnings, with spaces or commas between. */
function add() {
  const found = at("add").value.split(/[\s,]+/).filter(Boolean).map(resolve);
  const wrong = found.filter(({ why }) => why).map(({ why }) => why).join(" ");
  if (!wrong) at("add").value = "";
  choose([...chosen, ...found.filter(({ id }) => id).map(({ id }) => id)], wrong);
  if (wrong || chosen.length < 2) at("add").focus();
}

function take(id) {
  // The second run brings the comparison into view; who goes on taking stays in the list.
  const out = chosen.includes(id);
  const now = out ? chosen.filter((each) => each !== id) : [...chosen, id];
  choose(now, "", out || now.length !== 2);
}

function makeTakeable() {
  const heads = document.querySelector("#runs thead tr");
  if (!heads) return;
  heads.append(make("th", { scope: "col" }, "compare"));
  for (const row of document.querySelectorAll("#runs tbody tr")) {
    const button = make("button", { type: "button", class: "take", "aria-pressed": "false",
      "aria-label": `compare ${row.dataset.run}` }, "take");
    button.addEventListener("click", () => take(row.dataset.run));
    row.append(make("td", {}, button));
  }
  const all = make("button", { type: "button", class: "take", id: "every" },
    "compare all here that have the items of the first");
  all.addEventListener("click", () => {
    const { runs } = pairData();
    const ids = [...document.querySelectorAll("#runs tbody tr:not([hidden])")]
      .map((row) => row.dataset.run).filter((id) => runs[id]);
    choose(ids.filter((id) => runs[id][0] === runs[ids[0]][0]),
      ids.length > 1 ? "" : "The filter leaves no two runs that this page can compare.");
  });
  document.querySelector("#runs > .scroll").before(all);
  document.querySelector("#runs").append(make("p", { id: "tray", class: "tray", hidden: "" },
    make("span"), " ", make("button", { type: "button", class: "take" }, "show the comparison")));
  at("tray").lastElementChild.addEventListener("click", () => at("compare").scrollIntoView());
}

/** All ids with what they are, for the field: made when first needed. */
const suggest = once(() => {
  at("known").append(...[...document.querySelectorAll("#runs tbody tr")].map((row) =>
    make("option", { value: row.dataset.run },
      [...row.cells[1].childNodes].slice(0, 2).map((node) => node.textContent).join("").trim())));
  return true;
});

function fromAddress() {
  const asked = /^#compare=(.+)$/.exec(location.hash);
  if (!asked) return;
  let found;
  try {
    found = asked[1].split(",").map((id) => resolve(decodeURIComponent(id)));
  } catch {
    return; // an address that is no text
  }
  choose(found.filter(({ id }) => id).map(({ id }) => id),
    found.filter(({ why }) => why).map(({ why }) => why).join(" "));
}

// --- Wide tables --------------------------------------------------------------------------------

/** A table that is wider than its place can be moved by keys, and is named for who can't see it. */
const boxes = new ResizeObserver((changed) => {
  for (const { target } of changed) {
    const wide = target.scrollWidth > target.clientWidth;
    const name = target.querySelector("caption")?.textContent ?? "table";
    const wanted = { tabindex: "0", role: "region", "aria-label": name };
    for (const [attribute, value] of Object.entries(wanted)) {
      if (wide) target.setAttribute(attribute, value);
      else target.removeAttribute(attribute);
    }
  }
});

function watchBoxes(within) {
  for (const box of within.querySelectorAll(".scroll")) boxes.observe(box);
}

function begin() {
  if (!at("filter")) return;
  const forms = [at("filter"), ...at("pick") ? [at("pick")] : []];
  for (const form of forms) {
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  makeSortable(document);
  at("filter").addEventListener("input", filter);
  at("all").addEventListener("click", () => {
    at("filter").reset();
    filter();
    at("words").focus();
  });
  if (at("pick")) {
    makeTakeable();
    at("add").addEventListener("focus", suggest);
    at("pick").addEventListener("submit", add);
    at("swap").addEventListener("click", () => choose([...chosen].reverse()));
    at("none").addEventListener("click", () => choose([]));
    window.addEventListener("hashchange", fromAddress);
  }
  filter();
  watchBoxes(document);
  if (at("pick")) {
    show();
    fromAddress();
  }
}

begin();
