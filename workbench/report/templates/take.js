"use strict";
// Tables as CSV and LaTeX, and buttons that copy code and commands.
{
  const told = document.getElementById("told");
  const say = (text) => { told.textContent = ""; told.textContent = text; };

  const NUMBER = /^[+\-\u2212]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)\.?\d*|\.\d+)(?:e[+\-]?\d+)?$/i;
  const MEASURE = /^([-+.\d]+) \[([-+.\d]+), ([-+.\d]+)\]$/;
  const FORMULA = /^[=+\-@]./s;

  // An apostrophe before what a spreadsheet would compute.
  const safe = (text) => NUMBER.test(text) ? text : text.replace(FORMULA, "'$&");

  // A number without separators of thousands, as programs read it; other text as it is.
  const plain = (text) => NUMBER.test(text)
    ? text.replaceAll(",", "").replace("\u2212", "-").replace(/^\+/, "") : safe(text);

  // Head and body as rows of texts. A cell that spans columns stands in the first of them, one
  // that spans rows in each.
  function grid(table) {
    const lines = [...table.rows];
    const rows = lines.map(() => []);
    lines.forEach((line, down) => {
      let column = 0;
      for (const cell of line.cells) {
        while (rows[down][column] !== undefined) column += 1;
        const text = cell.textContent.trim().replace(/\s+/g, " ");
        const end = down + (cell.rowSpan || lines.length);
        for (let row = down; row < end && lines[row]?.parentNode === line.parentNode; row += 1) {
          for (let beside = 0; beside < cell.colSpan; beside += 1) {
            rows[row][column + beside] = beside ? "" : text;
          }
        }
        column += cell.colSpan;
      }
    });
    const heads = table.tHead?.rows.length ?? 0;
    return { heads: rows.slice(0, heads), body: rows.slice(heads) };
  }

  // A column of intervals becomes three: value, low and high.
  function csv(table) {
    const { heads, body } = grid(table);
    const width = Math.max(0, ...[...heads, ...body].map((row) => row.length));
    const lines = [...heads, ...body].map(() => []);
    for (let column = 0; column < width; column += 1) {
      const measured = body.some((row) => MEASURE.test(row[column] ?? ""));
      heads.forEach((row, index) => {
        const name = row[column] ?? "";
        const ends = measured ? [`${name} low`.trim(), `${name} high`.trim()] : [];
        lines[index].push(...[name, ...ends].map(safe));
      });
      body.forEach((row, index) => {
        const text = row[column] ?? "";
        const [, value, low, high] = MEASURE.exec(text) ?? [null, text, "", ""];
        lines[heads.length + index].push(...(measured ? [value, low, high] : [text]).map(plain));
      });
    }
    const quoted = (text) => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    return lines.map((line) => `${line.map(quoted).join(",")}\n`).join("");
  }

  const SPECIAL = {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", "\u2212": "$-$",
  };
  const escaped = (text) => text
    .replace(/[\\~^<>|\u2212&%$#_{}]/g, (letter) => SPECIAL[letter] ?? `\\${letter}`)
    .replace(/^\[/, "{[}");

  function latex(table) {
    const { heads, body } = grid(table);
    const width = Math.max(0, ...[...heads, ...body].map((row) => row.length));
    const numeric = (column) => body.every((row) => {
      const text = row[column] ?? "";
      return text === "" || MEASURE.test(text) || NUMBER.test(text);
    });
    const columns = Array.from({ length: width }, (_, column) => numeric(column) ? "r" : "l");
    const minus = (text) => MEASURE.test(text) || NUMBER.test(text)
      ? text.replaceAll("-", "\u2212") : text;
    const line = (row) => `${Array.from({ length: width }, (_, column) =>
      escaped(minus(row[column] ?? ""))).join(" & ")} \\\\`;
    const caption = escaped((table.caption?.textContent ?? "").replace(/^Table \d+\.\s*/, "").trim());
    return [
      "% \\usepackage{booktabs}", "\\begin{table}", "\\centering",
      ...caption ? [`\\caption{${caption}}`] : [],
      `\\label{tab:${told.dataset.name}-${table.id}}`,
      `\\begin{tabular}{${columns.join("")}}`, "\\toprule",
      ...heads.map(line), ...heads.length ? ["\\midrule"] : [], ...body.map(line),
      "\\bottomrule", "\\end{tabular}", "\\end{table}", "",
    ].join("\n");
  }

  function download(name, text, kind) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    say(`${name} saved`);
  }

  // A page that is a file may have no clipboard: then by selecting.
  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const before = document.activeElement;
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      try {
        return document.execCommand("copy");
      } catch {
        return false;
      } finally {
        area.remove();
        before?.focus({ preventScroll: true });
      }
    }
  }

  async function copy(made, text) {
    const done = await copied(text);
    const name = made.dataset.name ??= made.textContent;
    made.textContent = done ? "Copied" : "Not copied";
    say(done ? "copied" : "not copied: the browser does not allow it");
    setTimeout(() => { made.textContent = name; }, 2000);
  }

  function button(text, label, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", () => act(made));
    return made;
  }

  for (const table of document.querySelectorAll("main table[id]")) {
    const name = `${told.dataset.name}-${table.id}`;
    const said = table.id.replace("-", " ");
    const row = document.createElement("p");
    row.className = "take";
    row.append(
      button("CSV", `CSV of ${said}`, () => download(`${name}.csv`, csv(table), "text/csv")),
      button("LaTeX", `LaTeX of ${said}`,
        () => download(`${name}.tex`, latex(table), "application/x-tex")),
      button("Copy LaTeX", `Copy LaTeX of ${said}`, (made) => copy(made, latex(table))),
    );
    (table.closest(".scroll") ?? table).after(row);
  }

  const blocks = document.querySelectorAll(
    "details.code > .highlight, .prose pre, .again code, .takeaway pre");
  for (const block of blocks) {
    const box = document.createElement("div");
    box.className = "copied";
    block.replaceWith(box);
    const code = block.closest("details.code")?.querySelector("summary").textContent.toLowerCase();
    const what = code ?? (block.matches(".bibtex") ? "citation" : block.closest(".prose") ? "code" : "command");
    const made = button("Copy", `Copy ${what}`,
      () => copy(made, block.textContent.replace(/\n$/, "")));
    made.className = "copy";
    box.append(block, made);
  }
}
