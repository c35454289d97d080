// The document of a citation, with the quote marked and brought into view: as a printed page, or as text.

import { $, call, element, say, words } from "./dom.js";
import { closePage, openPage, startPaging } from "./paging.js";
import { places, styleOf, write } from "./prose.js";
import { showTab } from "./tabs.js";

const PDF = "application/pdf";
const NO_PICTURES = "Its pages can't be shown as they are printed, only as text.";
const LAST = 2 ** 31 - 1; // character that may be asked for
const AROUND = 60_000; // characters shown before and after the quote at first; more on demand

let shown = null; // {text, style, headings, quote, from, to} of the document in the pane
let latest = 0;
let prefersText = false; // once somebody has chosen so

/**
 * Open the document; `start` and `end` count the characters of the stored text of its `version`. `quote` are those
 * words, to be found again where the version is another now.
 */
export async function openDocument(id, { start = 0, end = 0, version = undefined, quote = "" } = {}) {
  const ticket = (latest += 1);
  showTab("document", { bringsIntoView: true });
  $("document-hint").hidden = true;
  $("pane-document").setAttribute("aria-busy", "true");
  try {
    const [from, to] = [start, Math.max(start, end)].map((each) => Math.min(each, LAST));
    const found = await call(`/api/documents/${encodeURIComponent(id)}?start=${from}&end=${to}`);
    if (ticket !== latest) return;
    show(found, version === undefined || version === found.version ? asAsked(found, start, end) : asNow(found, quote));
  } catch (error) {
    if (ticket !== latest) return;
    refuse(error);
  }
  $("pane-document").removeAttribute("aria-busy");
}

/** Whether the page's own address names a document, as the address of a citation does: then open it. */
export function openAddress() {
  const address = /^\/documents\/([^/]+)$/.exec(location.pathname);
  if (!address) return;
  const [, start, end] = /char=(\d+),(\d+)/.exec(location.hash) ?? [null, "0", "0"];
  openDocument(decodeURIComponent(address[1]), { start: Number(start), end: Number(end) });
}

export function startReading() {
  startPaging();
  $("view-page").addEventListener("click", () => choose(false));
  $("view-text").addEventListener("click", () => choose(true));
}

/** Forget the document, so that nothing of it stays in the page. */
export function closeDocument() {
  shown = null;
  latest += 1;
  closePage();
  $("views").hidden = $("document-note").hidden = true;
  $("document").hidden = true;
  $("document-hint").hidden = false;
  $("pane-document").removeAttribute("aria-busy");
  for (const id of ["document-title", "document-section", "document-place", "document-note", "document-text"]) $(id).replaceChildren();
}

/** The place in the version that it was cited from. */
function asAsked(found, start, end) {
  const quote = places(found.text, [start, Math.max(start, end)]);
  const address = quote[1] > quote[0] ? `#char=${start},${end}` : "";
  return { quote, address, page: found.page, areas: found.areas, note: "" };
}

/** The place in a version that has come since: where the same words stand, if they do. */
function asNow(found, quote) {
  const at = quote ? found.text.indexOf(quote) : -1;
  const note = `The document was replaced after this answer. ${at < 0 ? "What was quoted no longer stands in it." : "The same words stand here now."}`;
  return { quote: at < 0 ? [0, 0] : [at, at + quote.length], address: "", page: null, areas: [], note };
}

function show(found, { quote, address, page, areas, note }) {
  closePage();
  const bounds = places(found.text, found.headings.flatMap((each) => [each.start, each.end]));
  const headings = found.headings.map((each, index) => ({ ...each, start: bounds[2 * index], end: bounds[2 * index + 1] }));
  shown = {
    id: found.document,
    page: page ?? 1,
    areas,
    hasPictures: found.has_pictures && note === "",
    text: found.text,
    style: styleOf(found.media_type),
    headings,
    quote,
    from: lineStart(found.text, quote[0] - AROUND),
    to: lineEnd(found.text, quote[1] + AROUND),
  };
  const section = sectionAt(headings, quote[0]);
  $("document-title").textContent = found.title;
  $("document-section").textContent = section;
  $("document-section").hidden = section === "";
  const href = `/documents/${encodeURIComponent(found.document)}${address}`;
  $("document-place").replaceChildren(
    element("span", { className: "path", textContent: found.path }), ` · version ${found.version} · ${page ? `page ${page} · ` : ""}`,
    element("a", { href, textContent: "address of this place" }));
  remark(note || (found.media_type === PDF && !found.has_pictures ? NO_PICTURES : ""));
  $("document").hidden = false;
  draw();
  look();
  say(`Opened ${found.title}${section ? `, ${section}` : ""}.`);
}

function remark(note) {
  $("document-note").replaceChildren(...words(note));
  $("document-note").hidden = note === "";
}

function choose(text) {
  prefersText = text;
  remark("");
  look();
}

/** Show the page where there is one and nobody prefers the text. */
function look() {
  const isPage = shown.hasPictures && !prefersText;
  $("views").hidden = !shown.hasPictures;
  $("view-page").setAttribute("aria-pressed", String(isPage));
  $("view-text").setAttribute("aria-pressed", String(!isPage));
  $("document-text").hidden = isPage;
  if (isPage) {
    $("pane-document").scrollTop = 0;
    openPage(shown.id, shown.page, shown.areas, refusePage);
  } else {
    closePage();
    reveal();
  }
}

/** A page that can't be drawn: its text is there still. */
function refusePage(error) {
  shown.hasPictures = false;
  look();
  remark(`${NO_PICTURES} ${error.message}`);
}

function refuse(error) {
  closeDocument();
  $("document-hint").hidden = true;
  $("document").hidden = false;
  $("document-title").textContent = "This document can't be shown";
  $("document-place").replaceChildren(...words(error.message));
  say(`This document can't be shown. ${error.message}`);
}

function draw() {
  const { text, style, headings, quote, from, to } = shown;
  const marks = [{ start: quote[0], end: quote[1], make: (words) => element("mark", { textContent: words }) }];
  const body = document.createDocumentFragment();
  if (from > 0) body.append(more("Show what comes before", () => ({ from: lineStart(text, from - AROUND) })));
  write(body, text, { style, headings, marks, from, to });
  if (to < text.length) body.append(more("Show what comes after", () => ({ to: lineEnd(text, to + AROUND) })));
  $("document-text").replaceChildren(body);
}

function more(label, wider) {
  const button = element("button", { type: "button", className: "quiet more", textContent: label });
  button.addEventListener("click", () => {
    Object.assign(shown, wider());
    draw();
  });
  return button;
}

/** Bring the quote into view, in its pane where that scrolls by itself, else in the page. */
function reveal() {
  const pane = $("pane-document");
  const quoted = pane.querySelector("mark");
  pane.scrollTop = 0;
  if (!quoted) return;
  if (pane.scrollHeight > pane.clientHeight) {
    pane.scrollTop = quoted.getBoundingClientRect().top - pane.getBoundingClientRect().top - pane.clientHeight / 3;
  } else {
    quoted.scrollIntoView({ block: "center" });
  }
}

/** The headings above a place, from the outermost below the title. */
function sectionAt(headings, place) {
  const above = [];
  for (const each of headings) {
    if (each.start > place) break;
    while (above.length && above.at(-1).level >= each.level) above.pop();
    above.push(each);
  }
  return above.filter((each) => each.level > 1).map((each) => each.text).join(" › ");
}

function lineStart(text, place) {
  return place <= 0 ? 0 : text.lastIndexOf("\n", place) + 1;
}

function lineEnd(text, place) {
  const found = place >= text.length ? -1 : text.indexOf("\n", place);
  return found < 0 ? text.length : found;
}
