"use strict";
// Tables as CSV and LaTeX, and buttons that copy code and commands.
{
  const told = document.getElementById("told");
  const say = (text) => { told.textContent = ""; told.textContent = text; };

  const NUMBER = /^[+\-\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)?\.?\d*(?:e[+\-]?\d+)?$/i;
  const MEASURE = /^([-+.\d]+) \[([-+.\d]+), ([-+.\d]+)\]$/;

  // A number without separators of thousands, as programs read it; other text as it is.
  const plain = (text) => /\d/.test(text) && NUMBER.test(text)
    ? text.replaceAll(",", "").replace("\u2212", "-").replace(/^\+/, "") : text;

  // Head and body as rows of texts; a cell that spans several columns stands in the first.
  function grid(table) {
    const rows = [...table.rows].map((row) => [...row.cells].flatMap((cell) =>
      [cell.textContent.trim().replace(/\s+/g, " "), ...Array(cell.colSpan - 1).fill("")]));
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
        lines[index].push(name, ...measured ? [`${name} low`.trim(), `${name} high`.trim()] : []);
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
      return text === "" || MEASURE.test(text) || plain(text) !== text || NUMBER.test(text);
    });
    const columns = Array.from({ length: width }, (_, column) => numeric(column) ? "r" : "l");
    const line = (row) => `${Array.from({ length: width }, (_, column) =>
      escaped(row[column] ?? "")).join(" & ")} \\\\`;
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
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    say("copied");
  }

  function button(text, label, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
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
      button("Copy LaTeX", `Copy LaTeX of ${said}`, () => copy(latex(table))),
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
    const made = button("Copy", `Copy ${what}`, async () => {
      await copy(block.textContent.replace(/\n$/, ""));
      made.textContent = "Copied";
      setTimeout(() => { made.textContent = "Copy"; }, 2000);
    });
    made.className = "copy";
    box.append(block, made);
  }
}
