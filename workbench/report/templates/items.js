"use strict";
// The items of a run: filter, sort, and more of them. Text of the data is only ever set as text.
{
  const STEP = 20;
  const section = document.querySelector("section.items");
  const { rows, labelled } = JSON.parse(document.getElementById("items-data").textContent);
  const [body, status, more] = ["tbody", "output", "button.more"].map((s) => section.querySelector(s));
  const field = (name) => section.querySelector(`[name=${name}]`);
  let shown = STEP;

  const NONE = "(none)";
  const labelsOf = (pairs) => (pairs.length ? [...new Set(pairs.map(([label]) => label))] : [NONE]);
  for (const [name, column] of [["gold", 2], ["predicted", 3]]) {
    const counts = new Map();
    for (const row of rows) {
      for (const label of labelsOf(row[column])) counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    const sorted = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 200);
    field(name).append(...sorted.map(([label, n]) => new Option(`${label} (${n})`, label)));
  }
  const hasLoss = rows.some((row) => row[4] !== null);
  for (const each of section.querySelectorAll(".of-loss")) each.hidden = !hasLoss;
  if (!labelled) field("outcome").value = "";
  for (const each of section.querySelectorAll(".of-label")) each.hidden = !labelled;

  /** A label with the words it marks; what the other side lacks stands out. */
  function cell(pairs, others) {
    const made = document.createElement("td");
    const known = new Set(others.map((pair) => pair.join("\n")));
    pairs.forEach((pair, place) => {
      const [label, words] = pair;
      const text = words ? `${words} (${label})` : label;
      const element = document.createElement(known.has(pair.join("\n")) ? "span" : "mark");
      element.textContent = text;
      made.append(place ? ", " : "", element);
    });
    if (!pairs.length) made.append(NONE);
    return made;
  }

  function line([name, text, gold, predicted, loss, right]) {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = !labelled ? name : right ? "right" : "wrong";
    head.title = name;
    const words = document.createElement("td");
    words.textContent = text;
    words.className = "wb-text";
    row.append(head, words);
    if (labelled) row.append(cell(gold, predicted), cell(predicted, gold));
    if (hasLoss) row.insertCell().textContent = loss === null ? "" : loss.toFixed(3);
    return row;
  }

  function draw() {
    const [text, outcome, gold, predicted, order] = [
      "text", "outcome", "gold", "predicted", "order"].map((name) => field(name).value);
    const least = Number(field("loss").value || 0);
    const wanted = text.toLowerCase();
    const found = rows.filter((row) =>
      (outcome === "" || String(row[5]) === outcome)
      && (gold === "" || labelsOf(row[2]).includes(gold))
      && (predicted === "" || labelsOf(row[3]).includes(predicted))
      && (least <= 0 || (row[4] ?? -1) >= least)
      && (wanted === "" || row[1].toLowerCase().includes(wanted)));
    if (order !== "") found.sort((a, b) => Number(order) * ((a[4] ?? 0) - (b[4] ?? 0)));
    body.replaceChildren(...found.slice(0, shown).map(line));
    status.textContent = found.length
      ? `${Math.min(shown, found.length).toLocaleString("en")} of ${found.length.toLocaleString("en")} shown`
      : "No item is like this; choose others above.";
    more.hidden = found.length <= shown;
  }

  section.querySelector("form, .filter").addEventListener("input", () => { shown = STEP; draw(); });
  more.addEventListener("click", () => { shown += 5 * STEP; draw(); });
  draw();
}
