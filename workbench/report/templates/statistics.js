// The numbers of a comparison: record/draws.py, record/comparison and record/statistics.py again.
"use strict";

// --- Numbers as Python prints them --------------------------------------------------------------

const number = (value) => value.toLocaleString("en-US");

/** Three decimals; of two equally near the even one, as Python has it. These are odd 16ths. */
function round3(value) {
  if (Math.abs((value * 16) % 2) !== 1) return value.toFixed(3);
  const below = Math.floor(value * 1000);
  return ((below % 2 ? below + 1 : below) / 1000).toFixed(3);
}

const signed = (value) => (value >= 0 ? "+" : "") + round3(value);

// --- Draws and intervals --------------------------------------------------------------------------

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

/** Right items of each cluster, with the clusters' sizes. */
function rightSums(right, places, sizes) {
  const sums = new Float64Array(sizes.length);
  right.forEach((each, item) => { sums[places[item]] += each; });
  return [sums, sizes];
}

/** The two sums of a measure for each cluster, as the record's items gave them. */
function storedSums(run, clusters) {
  const sums = new Float64Array(bytes(run[6]).buffer);
  return [sums.subarray(0, clusters), sums.subarray(clusters)];
}

/** Ratios of the two sums of each run in each resample [runs][resamples], from the same draws. */
function resample(all, clusters, rules) {
  const samples = all.map(() => new Float64Array(rules.resamples));
  const times = new Float64Array(clusters);
  const summed = (sums) => {
    let found = 0;
    for (let cluster = 0; cluster < clusters; cluster += 1) found += times[cluster] * sums[cluster];
    return found;
  };
  for (let sample = 0, counter = 1; sample < rules.resamples; sample += 1) {
    times.fill(0);
    for (let draw = 0; draw < clusters; draw += 1, counter += 1) {
      times[Math.floor(word(counter) * clusters / 4294967296)] += 1;
    }
    let [sizes, size] = [null, 0]; // of accuracy all runs have the same
    all.forEach(([part, whole], run) => {
      if (whole !== sizes) [sizes, size] = [whole, summed(whole)];
      samples[run][sample] = summed(part) / size;
    });
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

/** Complementary error function for x >= 0: the series of erf, and for large x the continued
    fraction (Abramowitz and Stegun 7.1.5 and 7.1.14). */
function erfc(x) {
  const scale = 2 / Math.sqrt(Math.PI);
  if (x < 2.5) {
    let [term, sum] = [x, x];
    for (let n = 1; n < 60; n += 1) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return 1 - scale * sum;
  }
  let fraction = x;
  for (let k = 60; k > 0; k -= 1) fraction = x + k / 2 / fraction;
  return scale / 2 * Math.exp(-x * x) / fraction;
}

/** Two-sided p-value of a difference from its resamples, as `statistics.interval` has it. */
function pValue(samples, spread) {
  const below = samples.filter((each) => each <= 0).length;
  const above = samples.filter((each) => each >= 0).length;
  const p = Math.min(1, 2 * (1 + Math.min(below, above)) / (1 + samples.length));
  if (below && above) return p;
  return Math.min(p, erfc(Math.abs(total(samples) / samples.length) / Math.sqrt(spread * 2)));
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
    return { value, low, high, p: pValue(samples, spread), how: bootstrapped(defined, what, rules) };
  }
  if (unit !== "fraction") {
    return { value, how: `no interval: the two differ in ${apart} of ${number(defined)} ${what}` };
  }
  const more = defined + 2;
  const centre = value * defined / more;
  const added = 2 + 2 * value ** 2 * defined / more;
  const error = Math.sqrt(spread * defined ** 2 + added) / more;
  const half = rules.normal_95 * error;
  return { value, low: Math.max(-1, centre - half), high: Math.min(1, centre + half),
    p: erfc(Math.abs(centre) / error / Math.SQRT2),
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

/** Holm's adjusted p-values, in the order given. */
function holm(pValues) {
  const adjusted = [];
  let largest = 0;
  [...pValues.keys()].sort((i, j) => pValues[i] - pValues[j]).forEach((place, rank) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * pValues[place]));
    adjusted[place] = largest;
  });
  return adjusted;
}

/** What differences shown together say, and the sentence on their number, as `statistics` has it. */
function verdicts(differences, less, rules) {
  const compared = differences.filter(({ low }) => low !== undefined);
  const several = compared.length > 1;
  if (!several || compared.some(({ p }) => p === undefined)) {
    return { correction: several ? `Verdicts are not corrected for ${compared.length} comparisons.` : "",
      said: differences.map((each) =>
        ({ verdict: verdictOf(each, less), borderline: isBorderline(each, rules) })) };
  }
  const pValues = compared.map(({ p }) => Math.max(p, 1e-300));
  const adjusted = holm(pValues);
  const said = differences.map((each) => {
    const place = compared.indexOf(each);
    if (place < 0) return { verdict: "cannot tell", borderline: false };
    const limit = (1 - rules.level) * pValues[place] / adjusted[place];
    const error = 2 * Math.sqrt(2 * Math.min(pValues[place], limit) / rules.resamples);
    const better = (each.low + each.high > 0) !== less;
    return { borderline: Math.abs(pValues[place] - limit) <= error,
      verdict: adjusted[place] > 1 - rules.level ? "cannot tell" : better ? "better" : "worse" };
  });
  return { said, correction: `Verdicts are corrected for ${compared.length} comparisons by Holm's method.` };
}

/** Smallest true difference that 8 of 10 samples like this one would show. */
function detectable({ low, high }, rules) {
  if (low === undefined) return undefined;
  return (rules.normal_95 + rules.normal_80) * (high - low) / (2 * rules.normal_95);
}

// --- Runs over the same items ---------------------------------------------------------------------

/** Each run's number and its difference from the first one's; of the first the number alone. */
function several(runs, { rules, kinds, groups }) {
  const group = groups[runs[0][0]];
  const measure = runs.every((run) => run[5] === runs[0][5]) ? runs[0][5] : "accuracy";
  const [kind, n] = [kinds[measure], measure === "accuracy" ? group.n : runs[0][7]];
  const what = group.clusters === group.n ? "items" : "clusters of items";
  const [places, sizes] = [clustersOf(group), new Float64Array(group.clusters)];
  places.forEach((cluster) => { sizes[cluster] += 1; });
  const right = runs.map((run) => bits(run[3], group.n));
  const sums = runs.map((run, place) => (measure === "accuracy"
    ? rightSums(right[place], places, sizes) : storedSums(run, group.clusters)));
  const drawn = resample(sums, group.clusters, rules);
  const numbers = sums.map((each, place) => measured(each, drawn[place], kind.unit, what, rules));
  const differences = sums.slice(1).map((each, place) =>
    minus(each, sums[0], [drawn[0], drawn[place + 1]], kind.unit, what, rules));
  return { group, measure, kind, n, rules, right, numbers, differences,
    ...verdicts(differences, kind.less, rules) };
}

/** All that the page says of two runs over the same items. */
function compare(first, second, data) {
  const { right: [a, b], numbers, differences, ...found } = several([first, second], data);
  const counts = { both: 0, only_a: 0, only_b: 0, neither: 0 };
  const examples = { only_a: [], only_b: [] };
  for (let item = 0; item < found.group.n && found.kind.right; item += 1) {
    const which = a[item] ? (b[item] ? "both" : "only_a") : (b[item] ? "only_b" : "neither");
    counts[which] += 1;
    if (item < found.group.examples.length) examples[which]?.push(found.group.examples[item]);
  }
  return { ...found, ours: numbers[0], theirs: numbers[1], difference: differences[0], counts, examples };
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
