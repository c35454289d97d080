// Text as headings, paragraphs, lists and tables. Nothing of it is ever read as HTML, and every character keeps its
// place in the text, so that a quote can be marked exactly.

const HEADING = /^ {0,3}(#{1,6})\s+/;
const ITEM = /^(\s*)(?:([-*+•])|(\d{1,3}[.)]|\([a-z0-9]{1,3}\)))\s+/;
const NUMBERED = /^(?:\d{1,3}[.)]|\([a-z0-9]{1,3}\))\s/;
const QUOTED = /^ {0,3}> ?/;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const CLAUSE = /^\s*(?:\d+(?:\.\d+)+\s|\d+[.)]\s|\([a-z0-9]{1,3}\)\s|[-*•]\s)/;
const INLINE = /(`+)([^`]+)\1(?!`)|\*\*(\S(?:.*?\S)?)\*\*|(?<![\w*])\*([^\s*](?:[^*]*[^\s*])?)\*(?![\w*])|!?\[([^[\]]*)\]\((?:[^()\s]|\([^()\s]*\))*\)/gs;
const INLINE_TAGS = { 2: "code", 3: "strong", 4: "em", 5: "span" }; // by the number of the group in INLINE

/** How the text of a kind of file is to be read: Markdown has markup, a PDF's lines are broken by the page. */
export function styleOf(mediaType) {
  return { "text/markdown": "markdown", "application/pdf": "paged", "text/plain": "plain" }[mediaType] ?? "flowing";
}

/** UTF-16 places of offsets that count characters; `offsets` in ascending order. */
export function places(text, offsets) {
  if (!/[\ud800-\udbff]/.test(text)) return offsets.map((each) => Math.min(each, text.length));
  const found = [];
  let place = 0;
  let count = 0;
  for (const offset of offsets) {
    for (; count < offset && place < text.length; count += 1) place += text.codePointAt(place) > 0xffff ? 2 : 1;
    found.push(place);
  }
  return found;
}

/**
 * Put `text` into `parent`. `style` as of `styleOf`; `headings` are [{start, end, level}] and `marks`
 * [{start, end, make(text) → Node}], both by UTF-16 place, in order, apart; `from` and `to` are places of line ends.
 */
export function write(parent, text, { style = "markdown", headings = [], marks = [], from = 0, to = text.length } = {}) {
  const page = { text, marks, hasMarkup: style === "markdown" };
  const reader = new Reader(text, style, headings);
  for (const [start, end] of lines(text, from, to)) reader.read(start, end);
  for (const block of reader.blocks) WRITERS[block.kind](parent, block, page);
}

// ── Blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Brings lines together to blocks: {kind, ranges: [[start, end], …], …}. */
class Reader {
  blocks = [];
  #open = null; // the block that the next line may go on with
  #fence = null; // what ends the code block that is being read
  #skipTo = 0;

  constructor(text, style, headings) {
    this.text = text;
    this.hasMarkup = style === "markdown";
    this.isPaged = style === "paged";
    this.isPlain = style === "plain";
    this.headings = new Map(headings.map((each) => [each.start, each]));
    this.fullLine = this.isPaged ? fullLine(text) : 0;
  }

  read(start, end) {
    if (start < this.#skipTo) return;
    const line = this.text.slice(start, end);
    if (this.#fence !== null) this.#readCode(line, start, end);
    else if (this.headings.has(start)) this.#readHeading(line, start, end);
    else if (line.trim() === "") this.#open = null;
    else if (this.isPlain) this.#goOn("plain", start, end);
    else if (this.isPaged) this.#readPaged(line, start, end);
    else if (!(this.hasMarkup && this.#readMarkup(line, start, end))) this.#readText(line, start, end);
  }

  #add(kind, start, end, more = {}) {
    this.#open = { kind, ranges: [[start, end]], ...more };
    this.blocks.push(this.#open);
  }

  #goOn(kind, start, end, more = {}) {
    if (this.#open?.kind === kind) this.#open.ranges.push([start, end]);
    else this.#add(kind, start, end, more);
  }

  #readHeading(line, start, end) {
    const { level, end: headingEnd } = this.headings.get(start);
    const markup = this.hasMarkup ? HEADING.exec(line) : null;
    this.#add("heading", start + (markup?.[0].length ?? 0), end, { level });
    this.#open = null;
    this.#skipTo = headingEnd; // the line below, where it makes the heading
  }

  #readCode(line, start, end) {
    if (line.trim().startsWith(this.#fence)) this.#fence = this.#open = null;
    else this.#open.ranges.push([start, end]);
  }

  /** Lines of a page: one that is nearly full was broken because the page ended, a shorter one on purpose. */
  #readPaged(line, start, end) {
    if (isRow(line)) {
      this.#readRow(line, start, end);
      return;
    }
    if (this.#open?.kind === "table") this.#open = null;
    if (this.#open && !this.#open.endsHere && !CLAUSE.test(line)) this.#open.ranges.push([start, end]);
    else this.#add("paragraph", start, end, { isClose: this.#open !== null });
    this.#open.endsHere = line.length < this.fullLine;
  }

  /** A row of a table; the rule below the first one makes it the head. */
  #readRow(line, start, end) {
    const table = this.#open?.kind === "table" ? this.#open : null;
    if (table?.ranges.length === 1 && !table.hasHead && DIVIDER.test(line)) table.hasHead = true;
    else this.#goOn("table", start, end);
  }

  /** What only Markdown has; false if the line is none of it. */
  #readMarkup(line, start, end) {
    const heading = HEADING.exec(line);
    if (this.#open?.kind === "table" && DIVIDER.test(line)) this.#readRow(line, start, end);
    else if (RULE.test(line)) {
      this.#add("rule", start, end);
      this.#open = null;
    } else if (FENCE.test(line)) {
      this.#fence = FENCE.exec(line)[1];
      this.#add("code", end, end);
    } else if (heading) {
      this.#add("heading", start + heading[0].length, end, { level: heading[1].length });
      this.#open = null;
    } else if (QUOTED.test(line)) this.#goOn("quote", start + QUOTED.exec(line)[0].length, end);
    else return false;
    return true;
  }

  #readText(line, start, end) {
    const item = ITEM.exec(line);
    if (isRow(line)) this.#readRow(line, start, end);
    else if (item) {
      const [prefix, indent, bullet] = item;
      const isBulleted = Boolean(bullet) && !NUMBERED.test(line.slice(prefix.length));
      const at = start + (bullet ? prefix.length : indent.length);
      this.#add("item", at, end, { depth: Math.min(4, indent.length >> 1), isBulleted });
    } else if (this.#open?.kind === "item" || this.#open?.kind === "quote") this.#open.ranges.push([start, end]);
    else this.#goOn("paragraph", start, end, { keepsLines: !this.hasMarkup });
  }
}

function* lines(text, from, to) {
  for (let start = from; start < to;) {
    const found = text.indexOf("\n", start);
    const end = found < 0 || found > to ? to : found;
    yield [start, end];
    start = end + 1;
  }
}

function isRow(line) {
  const trimmed = line.trim();
  return trimmed.length > 1 && trimmed.startsWith("|") && trimmed.endsWith("|");
}

/** How long a line is that the page has broken: most are nearly as long as the longest ones. */
function fullLine(text) {
  const lengths = text.split("\n").map((line) => line.length).filter(Boolean).sort((a, b) => a - b);
  return (lengths[Math.floor(lengths.length * 0.9)] ?? 0) * 0.8;
}

// ── Nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function child(parent, tag, className = "") {
  const made = parent.appendChild(document.createElement(tag));
  if (className) made.className = className;
  return made;
}

const WRITERS = {
  heading(parent, { level, ranges }, page) {
    flow(child(parent, `h${Math.min(6, level + 2)}`), ranges, page); // what holds the text has an h2
  },
  paragraph(parent, { ranges, isClose, keepsLines }, page) {
    flow(child(parent, "p", isClose ? "close" : keepsLines ? "keeps-lines" : ""), ranges, page);
  },
  plain(parent, { ranges }, page) {
    flow(child(parent, "p", "plain"), ranges, page);
  },
  quote(parent, { ranges }, page) {
    flow(child(parent, "blockquote"), ranges, page);
  },
  code(parent, { ranges }, page) {
    put(child(child(parent, "pre"), "code"), Math.min(ranges[0][0] + 1, ranges.at(-1)[1]), ranges.at(-1)[1], page);
  },
  rule(parent) {
    child(parent, "hr");
  },
  item(parent, { ranges, depth, isBulleted }, page) {
    const list = parent.lastElementChild?.tagName === "UL" ? parent.lastElementChild : child(parent, "ul");
    flow(child(list, "li", `${isBulleted ? "bulleted" : "numbered"} in-${depth}`), ranges, page);
  },
  table(parent, { ranges, hasHead }, page) {
    const table = child(child(parent, "div", "table"), "table");
    ranges.forEach(([start, end], index) => {
      const row = child(table, "tr");
      for (const cell of cells(page.text, start, end)) flow(child(row, hasHead && index === 0 ? "th" : "td"), [cell], page);
    });
  },
};

function* cells(text, start, end) {
  const line = text.slice(start, end);
  let at = line.indexOf("|") + 1;
  for (let place = at; place < line.length; place += 1) {
    if (line[place] !== "|" || line[place - 1] === "\\") continue;
    const cell = line.slice(at, place);
    const lead = cell.length - cell.trimStart().length;
    yield [start + at + lead, start + at + Math.max(lead, cell.trimEnd().length)];
    at = place + 1;
  }
}

/** Lines that follow one another are one piece, so that markup and marks may go over their ends. */
function flow(parent, ranges, page) {
  const joined = [];
  for (const [start, end] of ranges) {
    if (joined.length && joined.at(-1)[1] + 1 === start) joined.at(-1)[1] = end;
    else joined.push([start, end]);
  }
  joined.forEach(([start, end], index) => {
    if (index) parent.append(" ");
    if (page.hasMarkup) inline(parent, start, end, page);
    else put(parent, start, end, page);
  });
}

function inline(parent, start, end, page) {
  let at = start;
  for (const match of page.text.slice(start, end).matchAll(INLINE)) {
    const group = [2, 3, 4, 5].find((each) => match[each] !== undefined);
    const begin = start + match.index;
    const from = begin + match[0].indexOf(match[group], match[0].startsWith("!") ? 2 : 1);
    put(parent, at, begin, page);
    put(child(parent, INLINE_TAGS[group]), from, from + match[group].length, page);
    at = begin + match[0].length;
  }
  put(parent, at, end, page);
}

/** Characters as they are, but where a mark lies. */
function put(parent, start, end, { text, marks }) {
  let at = start;
  for (const mark of marks) {
    const from = Math.max(at, mark.start);
    const to = Math.min(end, mark.end);
    if (from >= to) continue;
    if (from > at) parent.append(text.slice(at, from));
    parent.append(mark.make(text.slice(from, to)));
    at = to;
  }
  if (at < end) parent.append(text.slice(at, end));
}
