// What people do: search, filter, fold, change the light, move by keys, print.
const fields = { text: byId("search"), resource: byId("resource"), outcome: byId("outcome"), status: byId("status") };

const fill = (select, counts, words) => {
  for (const [value, count] of counts) {
    const option = make("option", "", `${words(value)} (${number(count)})`);
    option.value = String(value);
    select.append(option);
  }
};

const countBy = (keys) => {
  const counts = new Map();
  for (const row of rows) for (const key of keys(row)) counts.set(key, (counts.get(key) || 0) + 1);
  return counts;
};

fill(fields.resource, [...countBy((row) => [resourceOf(index.whats[row[WHAT]])].filter(Boolean))].sort(), (name) => name);
fill(fields.status, [...countBy((row) => (row[STATUS] ? [row[STATUS]] : []))].sort((a, b) => a[0] - b[0]), (code) => code);
{
  const counts = countBy((row) => [String(row[OUTCOME]), ...(row[CHANGED] ? ["changed"] : [])]);
  const order = ["1", "2", "0", "changed", "3"].filter((key) => counts.has(key));
  fill(fields.outcome, order.map((key) => [key, counts.get(key)]), (key) => (key === "changed" ? key : OUTCOME_WORDS[Number(key)]));
}

const sayFound = () => {
  const count = matches ? matches.reduce((sum, one) => sum + one, 0) : rows.length;
  byId("found").textContent = matches ? `${number(count)} of ${plural(rows.length, "call")}` : plural(rows.length, "call");
};

const sayFold = () => {
  const all = groups.length && groups.every((_, which) => isOpen(which));
  byId("fold").textContent = all ? "Fold all" : "Unfold all";
};

const applyFilters = () => {
  const filters = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
  if (!Object.values(filters).some((value) => value.trim())) {
    searching += 1;
    matches = null;
    refresh();
    return;
  }
  byId("found").textContent = "Searching …";
  search(filters, (found) => {
    matches = found;
    closedInSearch.clear();
    refresh();
  });
};

const refresh = () => { sayFound(); sayFold(); rebuild(); };
const clearFilters = () => { byId("filters").reset(); searching += 1; matches = null; refresh(); };

let typing = 0;
fields.text.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(applyFilters, 120); });
for (const name of ["resource", "outcome", "status"]) fields[name].addEventListener("change", applyFilters);
byId("filters").addEventListener("submit", (event) => { event.preventDefault(); applyFilters(); });
byId("filters").addEventListener("reset", () => setTimeout(applyFilters, 0));
byId("clear-none").addEventListener("click", clearFilters);
byId("fold").hidden = !groups.length;
byId("fold").addEventListener("click", () => {
  const open = !groups.every((_, which) => isOpen(which));
  groups.forEach((_, which) => {
    const set = matches ? closedInSearch : openGroups;
    if (open === (set === openGroups)) set.add(which); else set.delete(which);
  });
  refresh();
});

// Light and dark: as the system has it, until the button is pressed.
const theme = byId("theme"), dark = window.matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
const showTheme = () => {
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-pressed", String(isDark()));
  theme.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  redraw();
};
const redraw = () => {
  for (const group of groups) group.canvas = null;
  drawChart();
  render();
};
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
dark.addEventListener("change", showTheme);

// Keys: / searches, arrows move from row to row, Escape leaves the search or closes a call.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = document.activeElement, typingNow = /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName);
  if (event.key === "/" && !typingNow) { event.preventDefault(); fields.text.focus(); return; }
  if (event.key === "Escape" && at === fields.text) { clearFilters(); return; }
  const item = at.closest && at.closest("#list > li");
  if (!item) return;
  if (event.key === "Escape") { item.firstChild.focus(); if (item.children.length > 1) item.firstChild.click(); return; }
  if (at !== item.firstChild || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  event.preventDefault();
  const next = event.key === "ArrowDown" ? item.nextElementSibling : item.previousElementSibling;
  if (next) { next.firstChild.focus({ preventScroll: true }); next.scrollIntoView({ block: "nearest" }); }
});

let waiting = false;
const soon = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; render(); });
};
window.addEventListener("scroll", soon, { passive: true });
window.addEventListener("resize", () => { drawChart(); measure(); });
window.addEventListener("beforeprint", () => { printing = true; render(); });
window.addEventListener("afterprint", () => { printing = false; render(); });

const tip = byId("tip");
chart.addEventListener("mousemove", (event) => {
  const at = callAt(event);
  tip.textContent = at < 0 ? "" : `${keyOf(rows[at])} ${index.whats[rows[at][WHAT]]}, ${OUTCOME_WORDS[rows[at][OUTCOME]]}, ${duration(rows[at][TOOK])}`;
  const box = chart.getBoundingClientRect();
  tip.style.left = `${Math.max(Math.min(event.clientX - box.left, box.width - tip.offsetWidth), 0)}px`;
});
chart.addEventListener("mouseleave", () => { tip.textContent = ""; });
chart.addEventListener("click", (event) => { const at = callAt(event); if (at >= 0) goTo(at); });

const firstTrouble = rows.findIndex((row) => row[OUTCOME] === FAILED || row[OUTCOME] === UNKNOWN);
const showFirst = byId("show-first");
if (showFirst && firstTrouble >= 0) {
  showFirst.hidden = false;
  showFirst.addEventListener("click", () => goTo(firstTrouble));
}

theme.hidden = false;
byId("calls").hidden = rows.length === 0;
byId("overview").hidden = rows.length === 0;
sayFound();
sayFold();
rebuild();
showTheme();
