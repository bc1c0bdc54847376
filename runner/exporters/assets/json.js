// JSON for people: indented and coloured from its text, whole or cut off in its midst.
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};

const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s{}[\],:"]+/g;

// Lines of [class, text] pairs.
const prettyLines = (text) => {
  const tokens = text.match(TOKEN) || [];
  const lines = [[]];
  let depth = 0;
  const put = (kind, part) => lines[lines.length - 1].push([kind, part]);
  const feed = () => lines.push([["", "  ".repeat(depth)]]);
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    if (token === "{" || token === "[") {
      put("", token);
      if (next === "}" || next === "]") return;
      depth += 1;
      feed();
    } else if (token === "}" || token === "]") {
      if (tokens[i - 1] !== "{" && tokens[i - 1] !== "[") { depth = Math.max(depth - 1, 0); feed(); }
      put("", token);
    } else if (token === ",") {
      put("", ",");
      feed();
    } else if (token === ":") put("", ": ");
    else if (token[0] === '"') put(next === ":" ? "k" : "s", token);
    else put("n", token);
  });
  return lines;
};

const FOLD_AFTER = 24;

const drawLines = (pre, lines) => {
  const piece = document.createDocumentFragment();
  lines.forEach((line, i) => {
    if (i) piece.append("\n");
    for (const [kind, text] of line) piece.append(kind ? make("span", kind, text) : text);
  });
  pre.replaceChildren(piece);
};

// A block of JSON or text. What a string holds is shown as it is, and not as JSON spells it.
const jsonBlock = (value, length) => {
  const box = document.createDocumentFragment();
  const isText = typeof value === "string" && length === undefined;
  const lines = isText
    ? value.split("\n").map((line) => [["", line]])
    : prettyLines(length === undefined ? JSON.stringify(value) : value);
  const pre = make("pre", "json");
  pre.tabIndex = 0;
  const fold = lines.length > FOLD_AFTER + 6;
  drawLines(pre, fold ? lines.slice(0, FOLD_AFTER) : lines);
  box.append(pre);
  if (fold) {
    const more = make("button", "more", `Show all ${number(lines.length)} lines`);
    more.type = "button";
    let open = false;
    more.addEventListener("click", () => {
      open = !open;
      drawLines(pre, open ? lines : lines.slice(0, FOLD_AFTER));
      more.textContent = open ? "Show fewer lines" : `Show all ${number(lines.length)} lines`;
    });
    box.append(more);
  }
  if (length !== undefined) {
    const shown = number(value.length);
    box.append(make("p", "cut", `Cut: the first ${shown} of ${number(length)} characters. The report has all of them.`));
  }
  return box;
};
