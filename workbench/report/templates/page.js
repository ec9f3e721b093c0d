"use strict";
// What the page of a run does: fold code, enlarge figures, sort tables, mark where a reader is.
{
  const main = document.querySelector("main");

  const all = document.querySelector("nav.contents button.all-code");
  const code = [...main.querySelectorAll("details.code")];
  all.hidden = code.length === 0;
  all.addEventListener("click", () => {
    const open = all.getAttribute("aria-pressed") !== "true";
    all.setAttribute("aria-pressed", open);
    for (const each of code) each.open = open;
  });

  const fold = document.querySelector("nav.contents button.fold");
  fold.addEventListener("click", () => {
    fold.setAttribute("aria-expanded", fold.getAttribute("aria-expanded") !== "true");
  });

  // The last section whose heading is in the upper part of the window, or above it.
  const links = [...document.querySelectorAll("nav.contents ol a")];
  const headings = links.map((link) => document.getElementById(link.hash.slice(1))
    ?? document.getElementById(decodeURIComponent(link.hash.slice(1))));
  const passed = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) passed.add(entry.target);
      else passed.delete(entry.target);
    }
    const current = headings.findLastIndex((heading) => passed.has(heading));
    links.forEach((link, index) => {
      if (index === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  }, { rootMargin: "1000000px 0px -70% 0px" });
  for (const heading of headings) if (heading) watch.observe(heading);

  // On a narrow screen a figure is shown whole and small; larger, it scrolls in its box.
  for (const figure of main.querySelectorAll("figure")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Larger";
    button.addEventListener("click", () => {
      button.textContent = figure.classList.toggle("large") ? "Smaller" : "Larger";
    });
    figure.append(document.createElement("br"), button);
  }

  // "1,234", "12.5%", "658 MiB", "0.500 [0.400, 0.610]", "3 min 35 s": value and unit, or nothing.
  const NUMBER = /^([+\-\u2212]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+\-]?\d+)?)\s*(%|[A-Za-z]+)?(?:\s*\[[^\]]*\])?$/i;
  const DURATION = /^(?:(\d+) h)?\s*(?:(\d+) min)?\s*(?:([\d.]+) s)?$/;
  function measure(text) {
    const time = DURATION.exec(text);
    if (time && text) {
      const [hours, minutes, seconds] = time.slice(1).map((part) => Number(part ?? 0));
      return { value: hours * 3600 + minutes * 60 + seconds, unit: "s" };
    }
    const found = NUMBER.exec(text);
    return found && {
      value: Number(found[1].replaceAll(",", "").replace("\u2212", "-")), unit: found[2] ?? "",
    };
  }
  const textOf = (row, column) => row.cells[column].textContent.trim();

  function sorted(rows, column, descending) {
    const full = rows.filter((row) => textOf(row, column) !== "");
    const empty = rows.filter((row) => textOf(row, column) === "");
    const found = new Map(full.map((row) => [row, measure(textOf(row, column))]));
    const units = new Set([...found.values()].map((each) => each?.unit));
    const compare = units.size === 1 && !units.has(undefined)
      ? (a, b) => found.get(a).value - found.get(b).value
      : (a, b) => textOf(a, column).localeCompare(textOf(b, column), "en", { numeric: true });
    full.sort(descending ? (a, b) => compare(b, a) : compare);
    return [...full, ...empty];
  }

  function makeSortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const rows = [...body.rows];
    // Totals and averages below a line stay where they are.
    const rule = rows.findIndex((row) => row.classList.contains("wb-rule"));
    const movable = rule < 0 ? rows : rows.slice(0, rule);
    if (movable.length <= 3) return;
    heads.forEach((head, column) => {
      if (head.textContent.trim() === "") return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const order = { none: "descending", descending: "ascending", ascending: "none" }[
          head.getAttribute("aria-sort") ?? "none"];
        for (const other of heads) other.removeAttribute("aria-sort");
        if (order !== "none") head.setAttribute("aria-sort", order);
        const now = order === "none" ? movable : sorted(movable, column, order === "descending");
        body.prepend(...now);
      });
    });
  }

  for (const table of main.querySelectorAll("table.wb-table, table.dataframe")) {
    const plain = table.tHead?.rows.length === 1 && table.tBodies.length === 1
      && table.querySelector("[colspan], [rowspan]") === null
      && [...table.rows].every((row) => row.cells.length === table.tHead.rows[0].cells.length);
    if (plain) makeSortable(table);
  }
}
