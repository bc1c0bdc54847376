// Time to scale: where a moment lies between 0 and 1, lanes for what ran side by side, drawing.
const beginOf = (row) => (row[SINCE] === null ? lastEnd : row[SINCE]);
let lastEnd = 0;
for (const row of rows) if (row[SINCE] !== null) lastEnd = Math.max(lastEnd, row[SINCE] + row[TOOK]);

// Long stretches in which nothing ran (a run that was resumed) shrink to a mark.
const scale = (() => {
  const order = [...rows.keys()].filter((at) => rows[at][SINCE] !== null)
    .sort((a, b) => rows[a][SINCE] - rows[b][SINCE]);
  const busy = [];
  for (const at of order) {
    const begin = rows[at][SINCE], end = begin + Math.max(rows[at][TOOK], 0.01);
    const last = busy[busy.length - 1];
    if (last && begin <= last[1]) last[1] = Math.max(last[1], end);
    else busy.push([begin, end]);
  }
  if (!busy.length) busy.push([0, 1]);
  const worked = busy.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const longest = Math.max(30000, worked / 2);
  const points = [[busy[0][0], 0]], breaks = [];
  let at = 0;
  busy.forEach(([begin, end], i) => {
    if (i) {
      const idle = begin - busy[i - 1][1];
      if (idle > longest) breaks.push({ at, idle });
      at += idle > longest ? worked / 25 : idle;
      points.push([begin, at]);
    }
    at += end - begin;
    points.push([end, at]);
  });
  return { points, total: at || 1, breaks, began: points[0][0] };
})();

const fraction = (moment) => {
  const { points, total } = scale;
  let low = 0, high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= moment) low = middle; else high = middle;
  }
  const [from, place] = points[low], [to, next] = points[high];
  const part = to > from ? (moment - from) / (to - from) : 0;
  return Math.min(Math.max((place + part * (next - place)) / total, 0), 1);
};

// The first free lane for each call, in the order in which they began; at most so many lanes.
const lanesOf = (begin, end, most) => {
  const order = [];
  for (let at = begin; at < end; at += 1) order.push(at);
  order.sort((a, b) => beginOf(rows[a]) - beginOf(rows[b]));
  const free = [], lane = new Uint8Array(end - begin);
  for (const at of order) {
    const from = beginOf(rows[at]);
    // Moments are told to the millisecond: what overlaps by less did not.
    let mine = free.findIndex((until) => until <= from + 1.5);
    if (mine < 0) mine = free.length < most ? free.push(0) - 1 : free.indexOf(Math.min(...free));
    free[mine] = from + rows[at][TOOK];
    lane[at - begin] = mine;
  }
  return { lane, count: Math.max(free.length, 1) };
};

const colours = () => {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { bars: OUTCOMES.map((name) => of(`--${name}-bar`)), line: of("--line"), faint: of("--faint") };
};

// Draws calls into a canvas; what went well first, so that trouble lies on top.
const drawCalls = (canvas, begin, end, lanes, box) => {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(Math.round(box.width * ratio), 1);
  canvas.height = Math.max(Math.round(box.height * ratio), 1);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const paint = colours();
  const thick = Math.min(Math.max(box.lane - 1, 1), 10);
  for (const outcome of [SKIPPED, DONE, UNKNOWN, FAILED]) {
    pen.fillStyle = paint.bars[outcome];
    const last = new Float64Array(256).fill(-9);
    for (let at = begin; at < end; at += 1) {
      const row = rows[at];
      if (row[OUTCOME] !== outcome) continue;
      const lane = lanes.lane[at - begin];
      const from = fraction(beginOf(row)) * box.width;
      const until = fraction(beginOf(row) + row[TOOK]) * box.width;
      if (until < last[lane] + 0.3) continue;
      last[lane] = Math.max(until, from + 0.7);
      const wide = Math.max(until - from - (until - from > 3 ? 0.6 : 0), outcome === FAILED || outcome === UNKNOWN ? 2 : 1);
      pen.fillRect(Math.min(from, box.width - wide), box.top + lane * box.lane, wide, thick);
    }
  }
  return { pen, paint };
};

const chart = byId("chart");
const wholeLanes = lanesOf(0, rows.length, 24);
const laneHeight = wholeLanes.count > 10 ? 6 : 10;

const niceStep = (rough) => {
  const long = [30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400].map((seconds) => seconds * 1000);
  if (rough > 20000) return long.find((n) => n >= rough) || Math.ceil(rough / 86400000) * 86400000;
  const ten = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((n) => n * ten).find((n) => n >= rough) || rough;
};

const tickLabel = (ms) => {
  if (ms < 1 && ms > 0) return `${+ms.toFixed(2)} ms`;
  if (ms < 1000) return ms ? `${Math.round(ms)} ms` : "0";
  if (ms < 60000) return `${+(ms / 1000).toFixed(1)} s`;
  return duration(ms).replace(/ 0 s$/, "");
};

const drawChart = () => {
  const width = chart.clientWidth;
  const top = 6, height = wholeLanes.count * laneHeight;
  chart.style.height = `${top + height + 22}px`;
  const box = { width, height: top + height + 22, top, lane: laneHeight };
  const { pen, paint } = drawCalls(chart, 0, rows.length, wholeLanes, box);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = paint.faint;
  pen.strokeStyle = paint.line;
  const base = top + height + 3;
  pen.fillRect(0, base, width, 0.5);
  if (scale.breaks.length) {
    pen.textAlign = "center";
    for (const gap of scale.breaks) {
      const x = (gap.at / scale.total + 0.02) * width;
      pen.fillText("⋯", x, top + height / 2 + 3);
      pen.fillText(`${duration(gap.idle)} idle`, x, base + 14);
    }
    return;
  }
  const step = niceStep(Math.max(scale.total / Math.max(width / 110, 2), 0.1));
  for (let tick = 0; tick <= scale.total; tick += step) {
    const x = (tick / scale.total) * width;
    pen.fillRect(Math.min(x, width - 1), base, 1, 4);
    const label = tickLabel(tick);
    const room = pen.measureText(label).width;
    if (x + room / 2 < width) pen.fillText(label, Math.max(x - room / 2, 0), base + 15);
  }
};

// The call that is drawn there, or the one nearest to it in its lane.
const callAt = (event) => {
  const box = chart.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width;
  const lane = Math.min(Math.max(Math.floor((event.clientY - box.top - 6) / laneHeight), 0), wholeLanes.count - 1);
  let best = -1, near = 0.02;
  for (let at = 0; at < rows.length; at += 1) {
    if (wholeLanes.lane[at] !== lane) continue;
    const from = fraction(beginOf(rows[at])), until = fraction(beginOf(rows[at]) + rows[at][TOOK]);
    const off = x < from ? from - x : x > until ? x - until : 0;
    if (off < near || (off === near && rows[at][OUTCOME] === FAILED)) { near = off; best = at; }
  }
  return best;
};
