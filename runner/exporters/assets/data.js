// The report's data: rows, the groups they fold into, their details, and searching.
const byId = (id) => document.getElementById(id);
const index = JSON.parse(byId("index").textContent);
const rows = index.rows;
const STEP = 0, INDEX = 1, WHAT = 2, OUTCOME = 3, STATUS = 4, SINCE = 5, TOOK = 6, CHANGED = 7,
  RESULT = 8, SOURCE = 9, SEQ = 10, TRACKER = 11;
const DONE = 0, FAILED = 1, UNKNOWN = 2, SKIPPED = 3;
const OUTCOMES = ["done", "failed", "unknown", "skipped"];
const OUTCOME_WORDS = ["succeeded", "failed", "unknown", "skipped"];
const MARKS = ["✓", "✕", "?", "–"];

const keyOf = (row) => {
  const place = row[INDEX];
  const parts = Array.isArray(place) ? place : [place];
  let at = 0;
  return index.steps[row[STEP]].replace(/\[\]/g, () => `[${parts[at++]}]`);
};
const resourceOf = (what) => what.split(".")[0];

const number = (n) => n.toLocaleString("en-US");
const duration = (ms) => {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor((seconds % 3600) / 60);
  return `${number(Math.floor(seconds / 3600))} h${minutes ? ` ${minutes} min` : ""}`;
};
const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;

// Calls of one step of the playbook lie side by side: with more than one, they fold.
const groups = [];
const groupOf = new Int32Array(rows.length).fill(-1);
{
  const tops = index.steps.map((step) => step.split(".")[0].replace("[]", ""));
  let begin = 0;
  for (let at = 1; at <= rows.length; at += 1) {
    if (at < rows.length && tops[rows[at][STEP]] === tops[rows[begin][STEP]]) continue;
    if (at - begin > 1) {
      const group = { name: tops[rows[begin][STEP]], begin, end: at, loop: false, counts: [0, 0, 0, 0] };
      for (let i = begin; i < at; i += 1) {
        groupOf[i] = groups.length;
        group.counts[rows[i][OUTCOME]] += 1;
        if (rows[i][INDEX] !== null && rows[i][INDEX] !== undefined) group.loop = true;
      }
      groups.push(group);
    }
    begin = at;
  }
}

// Details lie in blocks, one call a line, and are parsed when a call is opened.
const blocks = [...document.querySelectorAll("script.details")];
const linesOf = (block) => blocks[block].textContent.split("\n");
const detailOf = (at) => {
  const block = Math.floor(at / index.block);
  if (!blocks[block]) return null;
  const line = linesOf(block)[1 + (at % index.block)] || "null";
  return JSON.parse(line.replace(/(,|\]\s*)$/, ""));
};

// What is typed, in the spelling that it has in the data.
const spelt = (text) => JSON.stringify(text).slice(1, -1).replaceAll("<", "\\u003c")
  .replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029").toLowerCase();

const rowText = (row) =>
  `${keyOf(row)} ${index.whats[row[WHAT]]} ${row[RESULT]} ${index.sources[row[SOURCE]]} ${index.trackers[row[TRACKER]]} ${row[STATUS] || ""}`;

// Finds rows that pass the filters and hold the text; works in slices, so that typing stays smooth.
let searching = 0;
const search = (filters, done) => {
  const mine = searching += 1;
  const found = new Uint8Array(rows.length);
  const plain = filters.text.toLowerCase().trim();
  const needle = spelt(plain);
  const fits = (row) =>
    (filters.outcome === "" || (filters.outcome === "changed" ? row[CHANGED] : row[OUTCOME] === Number(filters.outcome))) &&
    (filters.status === "" || row[STATUS] === Number(filters.status)) &&
    (filters.resource === "" || resourceOf(index.whats[row[WHAT]]) === filters.resource);
  let block = 0;
  const slice = () => {
    if (mine !== searching) return;
    const until = performance.now() + 24;
    const last = Math.ceil(rows.length / index.block);
    while (block < last && performance.now() < until) {
      const begin = block * index.block;
      const end = Math.min(begin + index.block, rows.length);
      let lines = null;
      for (let at = begin; at < end; at += 1) {
        if (!fits(rows[at])) continue;
        if (!plain || rowText(rows[at]).toLowerCase().includes(plain)) {
          found[at] = 1;
        } else if (blocks[block]) {
          lines = lines || blocks[block].textContent.toLowerCase().split("\n");
          found[at] = (lines[1 + at - begin] || "").includes(needle) ? 1 : 0;
        }
      }
      block += 1;
    }
    if (block < last) setTimeout(slice, 0);
    else done(found);
  };
  slice();
};
