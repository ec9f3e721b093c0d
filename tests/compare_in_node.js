// What the index page's script makes of runs, without a browser: node compare_in_node.js STATISTICS.JS DATA.JSON A B ...
"use strict";

const fs = require("fs");

const [script, file, ...ids] = process.argv.slice(2);
// As a function of this context: in one of its own each name takes a microsecond to find.
const names = "compare, several, detectable, wordsFor";
const page = new Function(`${fs.readFileSync(script, "utf8")}\n return { ${names} };`)();
const data = JSON.parse(fs.readFileSync(file, "utf8"));
const runs = ids.map((id) => data.runs[id]);
if (runs.length > 2) {
  const { measure, numbers, differences, said, correction } = page.several(runs, data);
  console.log(JSON.stringify({ measure, numbers, differences, said, correction }));
} else {
  const found = page.compare(...runs, data);
  const [{ verdict, borderline }] = found.said;
  console.log(JSON.stringify({
    a: found.ours, b: found.theirs, difference: found.difference, counts: found.counts,
    measure: found.measure, n: found.n, verdict, borderline,
    detectable: page.detectable(found.difference, found.rules) ?? null,
    words: page.wordsFor(found, verdict),
  }));
}
