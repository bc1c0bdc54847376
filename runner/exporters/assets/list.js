// The list: only what can be seen is in the page; what is opened is measured.
const list = byId("list");
const narrow = window.matchMedia("(max-width: 720px)");
const openGroups = new Set();
const closedInSearch = new Set();
const openRows = new Set();
const heights = new Map();
const drawn = new Map();
let items = [], tops = [], matches = null, printing = false;

groups.forEach((group, i) => { if (!group.loop && group.end - group.begin <= 40) openGroups.add(i); });
const isOpen = (group) => (matches ? !closedInSearch.has(group) : openGroups.has(group));
const rowHeight = () => (narrow.matches ? 67 : 41);
const heightOf = (item) => rowHeight() + (item >= 0 && openRows.has(item) ? heights.get(item) || 0 : 0);

const countMatches = (group) => {
  let count = 0;
  for (let at = group.begin; at < group.end; at += 1) count += matches[at];
  return count;
};

// Items are rows by their number, and groups by theirs below zero.
const rebuild = () => {
  items = [];
  for (let at = 0; at < rows.length;) {
    const group = groupOf[at];
    if (group < 0) {
      if (!matches || matches[at]) items.push(at);
      at += 1;
      continue;
    }
    const { begin, end } = groups[group];
    groups[group].matching = matches ? countMatches(groups[group]) : end - begin;
    if (groups[group].matching) {
      items.push(-1 - group);
      if (isOpen(group)) for (let i = begin; i < end; i += 1) if (!matches || matches[i]) items.push(i);
    }
    at = end;
  }
  for (const [item, element] of drawn) { if (item < 0) { element.remove(); drawn.delete(item); } }
  byId("none").hidden = items.length > 0;
  list.hidden = items.length === 0;
  measure();
};

const measure = () => {
  tops = new Float64Array(items.length + 1);
  for (let i = 0; i < items.length; i += 1) tops[i + 1] = tops[i] + heightOf(items[i]);
  list.style.height = `${tops[items.length]}px`;
  render();
};

const firstBelow = (y) => {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tops[middle + 1] <= y) low = middle + 1; else high = middle;
  }
  return low;
};

const MOST_PRINTED = 500;
const render = () => {
  const above = -list.getBoundingClientRect().top;
  const from = printing ? 0 : Math.max(firstBelow(above) - 12, 0);
  const until = printing ? Math.min(items.length, MOST_PRINTED)
    : Math.min(firstBelow(above + window.innerHeight) + 13, items.length);
  const wanted = new Set(items.slice(from, until));
  for (const [item, element] of drawn) {
    if (wanted.has(item)) continue;
    watcher.unobserve(element);
    element.remove();
    drawn.delete(item);
  }
  let before = null;
  for (let i = from; i < until; i += 1) {
    const item = items[i];
    let element = drawn.get(item);
    if (!element) {
      element = item < 0 ? buildGroup(-1 - item) : buildRow(item);
      drawn.set(item, element);
    }
    // Moving an element costs it its focus: only what is out of place moves.
    const next = before ? before.nextSibling : list.firstChild;
    if (next !== element) list.insertBefore(element, next);
    before = element;
    element.style.top = `${tops[i]}px`;
    element.setAttribute("aria-posinset", String(i + 1));
    element.setAttribute("aria-setsize", String(items.length));
    if (item < 0) drawGroup(element, -1 - item);
  }
};

const shell = (className, mark) => {
  const element = make("li", className);
  const button = make("button", "row");
  button.type = "button";
  const sign = make("span", "mark", mark);
  sign.setAttribute("aria-hidden", "true");
  button.append(sign);
  element.append(button);
  return [element, button];
};

const buildRow = (at) => {
  const row = rows[at];
  const inside = groupOf[at] >= 0 ? " inside" : "";
  const [element, button] = shell(OUTCOMES[row[OUTCOME]] + inside, MARKS[row[OUTCOME]]);
  const key = make("span", "key", keyOf(row));
  const bar = make("span", "bar"), fill = make("i");
  const from = fraction(beginOf(row)), until = fraction(beginOf(row) + row[TOOK]);
  fill.style.left = `min(${from * 100}%, 100% - 3px)`;
  fill.style.width = `${(until - from) * 100}%`;
  if (row[OUTCOME] !== SKIPPED) bar.append(fill);
  const took = row[OUTCOME] === SKIPPED ? "" : duration(row[TOOK]);
  button.append(key, make("span", "what", index.whats[row[WHAT]]), make("span", "result", row[RESULT]),
    make("span", "status", row[STATUS] || ""), make("span", "took", took), bar);
  button.setAttribute("aria-label",
    [OUTCOME_WORDS[row[OUTCOME]], keyOf(row), index.whats[row[WHAT]], row[RESULT], row[STATUS] || "", took].filter(Boolean).join(", "));
  button.setAttribute("aria-expanded", String(openRows.has(at)));
  button.title = row[RESULT] ? `${keyOf(row)}: ${row[RESULT]}` : keyOf(row);
  button.addEventListener("click", () => toggleRow(at));
  if (openRows.has(at)) showDetail(element, at);
  return element;
};

const showDetail = (element, at) => {
  element.append(buildDetail(at));
  watcher.observe(element);
};

const toggleRow = (at) => {
  const element = drawn.get(at);
  const open = !openRows.has(at);
  if (open) openRows.add(at); else openRows.delete(at);
  if (element) {
    element.firstChild.setAttribute("aria-expanded", String(open));
    if (open) showDetail(element, at);
    else { watcher.unobserve(element); element.lastChild.remove(); }
    heights.set(at, open ? element.lastChild.offsetHeight : 0);
  }
  measure();
};

const watcher = new ResizeObserver(() => {
  let changed = false;
  for (const [item, element] of drawn) {
    if (item < 0 || !openRows.has(item)) continue;
    const height = element.lastChild.offsetHeight;
    if (Math.abs((heights.get(item) || 0) - height) >= 1) { heights.set(item, height); changed = true; }
  }
  if (changed) measure();
});

const buildGroup = (which) => {
  const group = groups[which];
  const [element, button] = shell("group", isOpen(which) ? "▾" : "▸");
  const size = group.end - group.begin;
  const key = make("span", "key");
  const shown = group.matching < size ? `${number(group.matching)} of ${number(size)}` : `× ${number(size)}`;
  key.append(make("b", "", group.name), " ", make("span", "many", shown));
  const what = new Set();
  for (let at = group.begin; at < group.end && what.size < 4; at += 1) what.add(index.whats[rows[at][WHAT]]);
  const result = make("span", "result");
  const tell = (outcome, className) => {
    if (!group.counts[outcome]) return;
    if (result.childNodes.length) result.append(", ");
    result.append(make("span", className, `${number(group.counts[outcome])} ${OUTCOME_WORDS[outcome]}`));
  };
  tell(FAILED, "bad"); tell(UNKNOWN, "doubt"); tell(DONE, ""); tell(SKIPPED, "");
  group.span = group.span || spanOf(group);
  button.append(key, make("span", "what", [...what].join(", ")), result, make("span", "status", ""),
    make("span", "took", duration(group.span)), make("span", "bar"));
  button.setAttribute("aria-expanded", String(isOpen(which)));
  button.setAttribute("aria-label", `${group.name}, ${shown} calls, ${result.textContent}`);
  button.title = `${group.name}: ${result.textContent}`;
  button.addEventListener("click", () => toggleGroup(which));
  return element;
};

const spanOf = (group) => {
  let from = Infinity, until = -Infinity;
  for (let at = group.begin; at < group.end; at += 1) {
    from = Math.min(from, beginOf(rows[at]));
    until = Math.max(until, beginOf(rows[at]) + rows[at][TOOK]);
  }
  return until - from;
};

// All calls of a group in little, side by side where they ran so; drawn once for each width.
const drawGroup = (element, which) => {
  const group = groups[which], bar = element.querySelector(".bar");
  const width = bar.clientWidth, height = bar.clientHeight;
  if (!width || (group.canvas && group.canvas.width0 === width && bar.contains(group.canvas))) return;
  const room = Math.max(height - 4, 4);
  group.lanes = group.lanes || lanesOf(group.begin, group.end, 16);
  const lane = Math.min(Math.max(room / group.lanes.count, 1), 10);
  const canvas = group.canvas && group.canvas.width0 === width ? group.canvas : make("canvas");
  if (canvas !== group.canvas) {
    const top = (height - lane * group.lanes.count) / 2;
    drawCalls(canvas, group.begin, group.end, group.lanes, { width, height, top, lane });
    canvas.width0 = width;
    group.canvas = canvas;
  }
  bar.replaceChildren(canvas);
};

const toggleGroup = (which) => {
  const set = matches ? closedInSearch : openGroups;
  if (set.has(which)) set.delete(which); else set.add(which);
  rebuild();
  const element = drawn.get(-1 - which);
  if (element) element.firstChild.focus({ preventScroll: true });
};

// Unfolds what is around a call, opens it, and brings it into view.
const goTo = (at) => {
  if (matches && !matches[at]) clearFilters();
  const group = groupOf[at];
  if (group >= 0) { if (matches) closedInSearch.delete(group); else openGroups.add(group); }
  rebuild();
  const place = items.indexOf(at);
  if (place < 0) return;
  window.scrollTo({ top: list.getBoundingClientRect().top + window.scrollY + tops[place] - 80 });
  render();
  if (!openRows.has(at)) toggleRow(at);
  const element = drawn.get(at);
  if (element) element.firstChild.focus({ preventScroll: true });
};
