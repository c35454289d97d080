// Where the time of a request went: its usage row and its stages.

import { $, call, count, element, terms, words } from "./dom.js";
import { openDocument } from "./reading.js";

const TRIES = 25;
const PAUSE_MS = 300; // records are copied to the database a moment after the answer

let latest = 0;

/** Show a request, once its record has arrived. */
export async function showRequest(trace) {
  const ticket = (latest += 1);
  $("request-hint").hidden = true;
  $("request").hidden = false;
  $("facts").replaceChildren(...terms([["Trace", trace], ["", "Its record is on its way…"]]));
  $("stages").hidden = true;
  for (let attempt = 0; attempt < TRIES && ticket === latest; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    try {
      const found = await call(`/api/traces/${encodeURIComponent(trace)}`);
      if (ticket !== latest) return;
      // What it caused is recorded before it: until then the row of an embedding call stands in for it.
      if (found.usage.surface !== "internal") return show(found);
    } catch (error) {
      if (error.status !== 404) return refuse(trace, error.message);
    }
  }
  if (ticket === latest) refuse(trace, "It is not recorded yet. `headworks trace show` finds it later.");
}

/** Forget the request. */
export function closeRequest() {
  latest += 1;
  $("request-hint").hidden = false;
  $("request").hidden = true;
  $("facts").replaceChildren();
  $("waterfall").replaceChildren();
}

export function duration(microseconds) {
  if (microseconds == null) return "–";
  if (microseconds < 1e3) return `${microseconds} µs`;
  return microseconds < 1e6 ? `${(microseconds / 1e3).toFixed(microseconds < 1e4 ? 2 : 1)} ms` : `${(microseconds / 1e6).toFixed(2)} s`;
}

function refuse(trace, message) {
  $("facts").replaceChildren(...terms([["Trace", trace], ["", words(message)]]));
}

function show({ trace, usage, calls, spans }) {
  $("facts").replaceChildren(...terms([
    ["Trace", trace],
    ["Release", usage.release ?? "–"],
    ["Answered by", usage.model ? `${usage.provider}/${usage.model}` : "no model was called"],
    ["Status", usage.error_code ? `${usage.status}, ${usage.error_code}` : String(usage.status ?? "–")],
    ...(usage.model ? [["Tokens", tokens(usage)], ["Cost", money(usage.cost_micro_usd)]] : []),
    ["Time", duration(usage.total_us)],
    ...calls.map((each) => ["It called", `${each.provider}/${each.model} to ${each.purpose.replaceAll("_", " ")}: ${each.input_tokens == null ? "" : `${count(each.input_tokens, "token")}, `}${duration(each.total_us)}`]),
  ]));
  draw(spans);
}

function tokens(usage) {
  if (usage.input_tokens == null && usage.output_tokens == null) return "not counted";
  return `${usage.input_tokens ?? "–"} in, ${usage.output_tokens ?? "–"} out${usage.is_estimated ? ", estimated" : ""}`;
}

function money(microUsd) {
  if (microUsd == null) return "no price is known";
  return microUsd === 0 ? "nothing" : `$${(microUsd / 1e6).toFixed(6)}`;
}

function draw(spans) {
  $("stages").hidden = false;
  $("stages-hint").textContent = spans.length ? "Open a stage to see what it noted." : "No stages are recorded: only features have them.";
  const total = Math.max(1, ...spans.map((each) => each.offset_us + each.duration_us));
  const depths = new Map();
  for (const each of spans) depths.set(each.span, Math.min(2, depths.has(each.parent) ? depths.get(each.parent) + 1 : 0));
  $("waterfall").replaceChildren(...spans.map((each) => stage(each, total, depths.get(each.span))));
}

function stage(span, total, depth) {
  const failed = span.status === "ok" ? "" : "failed";
  return element("details", { className: `stage depth-${depth} ${failed}` },
    element("summary", {},
      element("span", { className: "name" }, span.name, failed && element("span", { className: "status", textContent: ` ${span.status}` })),
      bar(span, total),
      element("span", { className: "time", textContent: duration(span.duration_us) })),
    noted(span));
}

function bar(span, total) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("viewBox", "0 0 1000 10");
  picture.setAttribute("aria-hidden", "true");
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const width = Math.max(5, (1000 * span.duration_us) / total);
  drawn.setAttribute("x", String(Math.max(0, Math.min(1000 - width, (1000 * span.offset_us) / total))));
  drawn.setAttribute("width", String(width));
  drawn.setAttribute("height", "10");
  picture.append(drawn);
  return picture;
}

/** What a stage noted. Places in documents can be opened. */
function noted(span) {
  const { passages, citations, ...rest } = span.payload ?? {};
  const facts = [["began after", duration(span.offset_us)], ...Object.entries({ ...span.attributes, ...rest }).map(([name, value]) => [name, asText(value)])];
  const body = element("div", { className: "noted" }, element("dl", { className: "facts" }, ...terms(facts)));
  const found = passages ?? citations ?? [];
  if (found.length) body.append(element("ol", { className: "found" }, ...found.map(place)));
  if (span.withheld) body.append(element("p", { className: "muted small", textContent: "Its text is not shown: it may hold a part of a document that you can't read now." }));
  return body;
}

function place({ number, document: id, version, start, end, score }) {
  const label = `[${number}] characters ${start} to ${end}${score === undefined ? "" : `, score ${score.toFixed(3)}`}`;
  const button = element("button", { type: "button", className: "quiet", textContent: label });
  button.addEventListener("click", () => openDocument(id, { start, end, version }));
  return element("li", {}, button);
}

function asText(value) {
  if (value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0)) return "none";
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
