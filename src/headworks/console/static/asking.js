// A question, its answer as it streams in, and what the answer cites.

import { $, Problem, ask, count, element, post, say, words } from "./dom.js";
import { showCode } from "./code.js";
import { places, write } from "./prose.js";
import { openDocument } from "./reading.js";
import { closeRequest, showRequest } from "./timing.js";

const ONLY_QUOTES = "builtin/extractive";
const QUOTES_HEADING = "Closest passages";

const PAST_RULES = "This release is live past the rules (break-glass). `headworks release log` says who let it, and why.";
const SUPPORTED = 0.5; // of a statement's words: as the server counts it
const exchange = { feature: null, text: "", citations: [], grounding: null, running: null, isDrawn: true };

export function useFeature(feature) {
  exchange.feature = feature;
  $("send").disabled = feature === null;
}

export async function askQuestion(event) {
  event.preventDefault();
  if (exchange.running) return exchange.running.abort();
  const question = $("question").value.trim();
  if (!question || !exchange.feature) return;
  const stop = new AbortController();
  begin(question, stop);
  const began = performance.now();
  let trace = null;
  let first = null;
  try {
    const response = await ask("/api/ask", { ...post(asked(question)), signal: stop.signal });
    trace = response.headers.get("x-headworks-trace");
    notice(response.headers);
    for await (const chunk of chunks(response.body)) {
      if (take(chunk)) first ??= performance.now();
    }
    draw();
    conclude(began, first);
  } catch (error) {
    trace ??= error.trace;
    draw();
    if (error.name === "AbortError") conclude(began, first, "Stopped by you.");
    else showProblem(error);
  } finally {
    end();
    if (trace) showRequest(trace);
  }
}

/** Forget the exchange. */
export function closeExchange() {
  exchange.running?.abort();
  Object.assign(exchange, { text: "", citations: [], grounding: null });
  $("exchange").hidden = true;
  $("question").value = "";
  $("notices").hidden = true;
  for (const id of ["asked", "notices", "answer", "citations", "grounding", "summary", "problem"]) $(id).replaceChildren();
}

function asked(question) {
  return { model: exchange.feature.name, stream: true, stream_options: { include_usage: true }, messages: [{ role: "user", content: question }] };
}

function begin(question, stop) {
  Object.assign(exchange, { text: "", citations: [], grounding: null, running: stop });
  $("send").textContent = "Stop";
  $("welcome").hidden = true;
  $("exchange").hidden = false;
  $("exchange").setAttribute("aria-busy", "true");
  $("asked").textContent = question;
  $("problem").hidden = $("notices").hidden = true;
  $("notices").replaceChildren();
  $("summary").textContent = "";
  $("grounding").replaceChildren();
  $("answer").classList.add("busy");
  closeRequest();
  showCode({ question });
  draw();
  say("Asked.");
}

function end() {
  exchange.running = null;
  $("send").textContent = "Ask";
  $("exchange").removeAttribute("aria-busy");
  $("answer").classList.remove("busy");
}

function showProblem(error) {
  $("problem").replaceChildren(...words(error instanceof Problem ? error.message : `The answer broke off: ${error.message}`));
  $("problem").hidden = false;
}

/** What the reader of the answer should know of how it came to be. */
function notice(headers) {
  const isPastRules = headers.get("x-headworks-notice") === "break-glass";
  const ofSearch = headers.get("x-headworks-search-notice");
  const lines = [];
  if (isPastRules) lines.push(element("li", { className: "warning" }, ...words(PAST_RULES)));
  if (ofSearch) lines.push(element("li", {}, ...words(ofSearch)));
  $("notices").replaceChildren(...lines);
  $("notices").hidden = lines.length === 0;
}

// ── The stream ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The chunks of a stream of events. One that ends without its end is a Problem. */
async function* chunks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await read(reader);
    if (done) throw new Problem("The answer broke off before its end: what stands above is not all of it.");
    const parts = (rest + value).split(/\r?\n\r?\n/);
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      if (data === "[DONE]") return;
      if (data) yield JSON.parse(data);
    }
  }
}

async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The connection broke off: what stands above is not all of the answer.");
  }
}

/** Add a chunk; true if it brought text. */
function take(chunk) {
  if (chunk.error) throw new Problem(chunk.error.message);
  exchange.grounding = chunk.headworks?.grounding ?? exchange.grounding;
  const delta = chunk.choices?.[0]?.delta ?? {};
  exchange.text += delta.content ?? "";
  exchange.citations.push(...(delta.annotations ?? []).filter((each) => each.type === "url_citation" && each.headworks));
  if (exchange.isDrawn) {
    exchange.isDrawn = false;
    requestAnimationFrame(() => exchange.isDrawn || draw());
  }
  return Boolean(delta.content);
}

// ── The answer ───────────────────────────────────────────────────────────────────────────────────────────────────────

function draw() {
  exchange.isDrawn = true;
  const { text, citations } = exchange;
  const marks = citations
    .map(({ url_citation: web }, index) => ({ index, start: web.start_index, end: web.end_index }))
    .sort((a, b) => a.start - b.start)
    .filter((each, index, all) => index === 0 || each.start >= all[index - 1].end);
  const bounds = places(text, marks.flatMap((each) => [each.start, each.end]));
  marks.forEach((each, index) => {
    [each.start, each.end] = bounds.slice(2 * index);
    each.make = (words) => marker(words, each.index);
  });
  const body = document.createDocumentFragment();
  write(body, text, { marks });
  $("answer").replaceChildren(body);
  noteQuotes();
  drawSources();
}

/** Answers of the model that only quotes are headed so, and say why. */
function noteQuotes() {
  const first = $("answer").firstElementChild;
  if (first?.textContent !== `${QUOTES_HEADING}:` || !exchange.feature?.targets.includes(ONLY_QUOTES)) return;
  first.replaceWith(
    element("h3", { className: "quotes-heading", textContent: QUOTES_HEADING }),
    element("p", { className: "muted small", textContent: "Whole sentences of your documents, word for word: no language model is connected to this feature." }));
}

function marker(words, index) {
  const { url_citation: web } = exchange.citations[index];
  const button = element("button", { className: "cite", type: "button", textContent: digits(words) || String(index + 1), title: web.title ?? "" });
  button.setAttribute("aria-label", `Citation ${button.textContent}: ${web.title ?? ""}`);
  return opening(button, index);
}

function opening(button, index) {
  button.dataset.citation = index;
  button.addEventListener("click", () => openCitation(index));
  return button;
}

function openCitation(index) {
  const { document: id, start, end, version, quote } = exchange.citations[index].headworks;
  for (const each of document.querySelectorAll("[data-citation]")) {
    if (Number(each.dataset.citation) === index) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  }
  openDocument(id, { start, end, version, quote });
}

/** The documents cited, each with its quotes. */
function drawSources() {
  const groups = new Map();
  exchange.citations.forEach((citation, index) => {
    const number = digits(citedWords(citation)) || String(index + 1);
    const section = (citation.headworks.section ?? []).filter((each) => each !== citation.url_citation.title).join(" › ");
    const page = citation.headworks.page ? `page ${citation.headworks.page}` : "";
    const stale = citation.headworks.stale ?? "";
    const key = JSON.stringify([number, citation.headworks.document, section, page]);
    const group = groups.get(key) ?? { number, title: citation.url_citation.title, section, page, stale, quotes: [] };
    group.quotes.push([citation.headworks.quote, index]);
    groups.set(key, group);
  });
  $("sources").hidden = groups.size === 0;
  $("citations").replaceChildren(...[...groups.values()].map(source));
}

function source({ number, title, section, page, stale, quotes }) {
  return element("li", {},
    element("p", { className: "source" },
      element("span", { className: "number", textContent: number }),
      element("span", { className: "title", textContent: title }),
      element("span", { className: "muted", textContent: [section, page].filter(Boolean).join(" · ") })),
    stale && element("p", { className: "stale", textContent: `May be out of date: ${stale}` }),
    ...quotes.map(([quote, index]) => opening(element("button", { type: "button", className: "quoted", textContent: `“${quote}”` }), index)));
}

function citedWords({ url_citation: web }) {
  const [start, end] = places(exchange.text, [web.start_index, web.end_index]);
  return exchange.text.slice(start, end);
}

function digits(words) {
  return words.replace(/\D/g, "");
}

/** How much of the answer its sources say, and which statements they do not. */
function drawGrounding() {
  const { grounding, text } = exchange;
  if (!grounding?.claims) return;
  const line = `${grounding.cited} of ${count(grounding.claims, "statement")} cited, ${grounding.supported} found in what was read. Counted by words, without understanding them: a tripwire.`;
  const doubts = grounding.doubts.map((each) => {
    const [start, end] = places(text, [each.start, each.end]);
    const why = [each.cited ? "" : "not cited", each.support < SUPPORTED ? "not found in what was read" : "", each.missing?.length ? `not in its source: ${each.missing.join(", ")}` : ""];
    return element("li", {}, element("q", { textContent: text.slice(start, end) }), ` ${why.filter(Boolean).join("; ")}`);
  });
  $("grounding").replaceChildren(element("p", { className: "muted small", textContent: line }));
  if (doubts.length) {
    $("grounding").append(element("details", {},
      element("summary", { textContent: `${count(doubts.length, "statement")} to look at` }),
      element("ul", { className: "small" }, ...doubts)));
  }
}

function conclude(began, first, note = "") {
  drawGrounding();
  const cited = new Set(exchange.citations.map((each) => each.headworks.document)).size;
  const checked = cited ? `${count(exchange.citations.length, "citation")} of ${count(cited, "document")}, each checked word for word` : "No citation";
  const seconds = (from, to) => `${((to - from) / 1000).toFixed(2)}\u00a0s`;
  const begun = first === null ? "" : `, the first words after ${seconds(began, first)}`;
  $("summary").textContent = [note, checked, `${seconds(began, performance.now())}${begun}`].filter(Boolean).join(" · ");
  say(`${note || "The answer is complete."} ${checked}.`);
}