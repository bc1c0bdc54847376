// One call, opened: what went wrong, what was sent, what came back, where it is written.
const facts = (pairs) => {
  const list = make("dl", "facts");
  for (const [name, text] of pairs) {
    if (text === null || text === undefined || text === "") continue;
    const pair = make("div");
    pair.append(make("dt", "", name), make("dd", "", String(text)));
    list.append(pair);
  }
  return list;
};

const sourceBlock = (excerpt) => {
  const pre = make("pre", "source");
  pre.tabIndex = 0;
  excerpt.lines.forEach((text, i) => {
    const at = excerpt.start + i;
    const line = make("span", at === excerpt.line ? "line here" : "line");
    line.append(make("i", "", String(at)), `${text}\n`);
    pre.append(line);
    if (at !== excerpt.line) return;
    const caret = make("span", "line caret");
    caret.append(make("i", ""), `${" ".repeat(excerpt.column - 1)}^\n`);
    pre.append(caret);
  });
  return pre;
};

const part = (title, ...children) => {
  const box = make("div");
  box.append(make("h3", "", title), ...children);
  return box;
};

const KNOWN = new Set(["request", "data", "error", "count", "attempts", "settled", "cut"]);

const troubleBox = (row, detail) => {
  const box = make("div", "trouble");
  const error = detail.error || {};
  const words = [error.type, error.status && error.status !== row[STATUS] ? `status ${error.status}` : ""];
  box.append(make("p", "type", words.filter(Boolean).join(" · ")));
  box.append(make("p", "said", error.message || row[RESULT]));
  if (row[OUTCOME] === UNKNOWN) box.append(make("p", "", "It is not known whether the tracker has carried this out."));
  if (error.hint) box.append(make("p", "", error.hint));
  return box;
};

const requestPart = (request, cut) => {
  const url = make("p", "url");
  url.append(make("b", "", `${request.method || ""} `), request.url || "");
  const box = part("Request", url);
  const headers = index.headers[request.headers];
  if (headers) {
    const lines = Object.entries(JSON.parse(headers)).map(([name, text]) => `${name}: ${text}`);
    box.append(make("p", "cut", lines.join(" · ")));
  }
  if (request.body !== undefined) box.append(jsonBlock(request.body, cut["request.body"]));
  return box;
};

const buildDetail = (at) => {
  const row = rows[at], box = make("div", "detail");
  const detail = detailOf(at);
  if (!detail) {
    box.append(make("p", "cut", "The page is full: of this call only the report has the details."));
    return box;
  }
  const cut = detail.cut || {};
  if (row[OUTCOME] === FAILED || row[OUTCOME] === UNKNOWN) box.append(troubleBox(row, detail));
  if (row[OUTCOME] === SKIPPED) box.append(make("p", "", `Skipped: ${row[RESULT]}`));
  box.append(facts([
    ["Status", row[STATUS] || null],
    ["Began", row[SINCE] === null ? null : new Date(index.base + row[SINCE]).toISOString()],
    ["Took", duration(row[TOOK])],
    ["Attempts", detail.attempts > 1 ? detail.attempts : null],
    ["Tracker", index.trackers[row[TRACKER]]],
    ["Settled", detail.settled],
    ["Line of the report", row[SEQ]],
  ]));
  const columns = make("div", "columns");
  if (detail.request) columns.append(requestPart(detail.request, cut));
  const error = detail.error || {};
  const answer = detail.data !== undefined ? ["data", detail.data] : ["error.response", error.response];
  if (answer[1] !== undefined) {
    const rowsWord = typeof detail.count === "number" ? ` · ${plural(detail.count, "row")}` : "";
    columns.append(part(`Response${rowsWord}`, jsonBlock(answer[1], cut[answer[0]])));
  }
  box.append(columns);
  if (error.stack) box.append(part("Stack", jsonBlock(error.stack)));
  const excerpt = index.excerpts[row[SOURCE]];
  if (index.sources[row[SOURCE]]) {
    box.append(part("In the playbook", make("p", "place", index.sources[row[SOURCE]]), ...(excerpt ? [sourceBlock(excerpt)] : [])));
  }
  const others = Object.entries(detail).filter(([name]) => !KNOWN.has(name));
  for (const [name, value] of others) box.append(part(name, jsonBlock(value, cut[name])));
  return box;
};
