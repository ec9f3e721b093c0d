// What the index page's script makes of two runs, without a browser: node compare_in_node.js PAGE.JS DATA.JSON A B
"use strict";

const fs = require("fs");

const [script, data, a, b] = process.argv.slice(2);
const document = {
  getElementById: (id) => (id === "pair-data" ? { textContent: fs.readFileSync(data, "utf8") } : null),
};
// As a function of this context: in one of its own each name takes a microsecond to find.
const names = "compare, verdictOf, isBorderline, detectable, wordsFor";
const page = new Function("document", `${fs.readFileSync(script, "utf8")}\n return { ${names} };`);
const context = page(document);
const { runs } = JSON.parse(fs.readFileSync(data, "utf8"));
const found = context.compare(runs[a], runs[b]);
const said = context.verdictOf(found.difference, found.kind.less);
console.log(JSON.stringify({
  a: found.ours, b: found.theirs, difference: found.difference, counts: found.counts,
  measure: found.measure, n: found.n, verdict: said,
  borderline: context.isBorderline(found.difference, found.rules),
  detectable: context.detectable(found.difference, found.rules) ?? null,
  words: context.wordsFor(found, said),
}));
