// The page at `/`. No build step, no library. Everything that comes from a model or a document is put in as text, never as HTML.

const $ = (id) => document.getElementById(id);
const state = { features: [], feature: null, question: "", text: "", citations: [], trace: null, key: null, busy: false };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function call(path, options = {}) {
  const response = await fetch(path, { credentials: "same-origin", ...options });
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

async function problemOf(response) {
  let message = `The server answered with status ${response.status}.`;
  try {
    message = (await response.json()).error.message || message;
  } catch { /* not our error shape: the status says enough */ }
  return Object.assign(new Error(message), { status: response.status });
}

// ── Start ────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function start() {
  let me;
  try {
    me = await call("/api/me");
  } catch (error) {
    $("signed-out").hidden = false;
    if (error.status !== 401) $("signed-out").append(element("p", { className: "problem", textContent: error.message }));
    return;
  }
  $("who-name").textContent = me.name;
  $("who").hidden = false;
  $("desk").hidden = false;
  state.features = (await call("/api/features")).features;
  for (const feature of state.features) $("feature").append(element("option", { value: feature.name, textContent: feature.name }));
  if (state.features.length === 0) $("empty").firstElementChild.textContent = "There is no feature yet: apply a workspace with `headworks apply`.";
  $("send").disabled = state.features.length === 0;
  chooseFeature();
  $("question").focus();
}

function chooseFeature() {
  state.feature = state.features.find((each) => each.name === $("feature").value) ?? null;
  $("release").textContent = state.feature ? state.feature.digest.slice(0, 19) : "";
  $("release").title = state.feature ? `The release that answers: ${state.feature.digest}` : "";
  showCode();
}

// ── Ask ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function ask(event) {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || state.busy || !state.feature) return;
  Object.assign(state, { question, text: "", citations: [], trace: null, busy: true });
  $("send").disabled = true;
  $("empty").hidden = true;
  $("exchange").hidden = false;
  $("asked").textContent = question;
  $("problem").hidden = true;
  $("summary").textContent = "";
  $("answer").classList.add("busy");
  showAnswer();
  showCode();
  const began = performance.now();
  let first = null;
  try {
    const response = await fetch("/api/ask", {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: state.feature.name, stream: true, stream_options: { include_usage: true }, messages: [{ role: "user", content: question }] }),
    });
    state.trace = response.headers.get("x-headworks-trace");
    if (!response.ok) throw await problemOf(response);
    for await (const chunk of events(response.body)) {
      if (chunk.error) throw new Error(chunk.error.message);
      const delta = chunk.choices?.[0]?.delta ?? {};
      if (delta.content) {
        first ??= performance.now();
        state.text += delta.content;
      }
      if (delta.annotations) state.citations.push(...delta.annotations.filter((each) => each.type === "url_citation"));
      if (delta.content || delta.annotations) showAnswer();
    }
    const total = (performance.now() - began) / 1000;
    const cited = new Set(state.citations.map((each) => each.headworks.document)).size;
    const begun = first === null ? "" : `, the first words after ${((first - began) / 1000).toFixed(2)} s`;
    $("summary").textContent = `${state.citations.length} citations from ${cited} documents · ${total.toFixed(2)} s${begun}`;
  } catch (error) {
    $("problem").textContent = error.message;
    $("problem").hidden = false;
  } finally {
    state.busy = false;
    $("send").disabled = false;
    $("answer").classList.remove("busy");
    if (state.trace) showRequest(state.trace);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split(/\r?\n\r?\n/);
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

function showAnswer() {
  const answer = $("answer");
  answer.replaceChildren();
  const characters = Array.from(state.text); // indices of annotations count characters, not UTF-16 units
  let at = 0;
  const marks = state.citations.map((each, index) => ({ ...each.url_citation, index })).sort((a, b) => a.start_index - b.start_index);
  for (const mark of marks) {
    if (mark.start_index < at) continue;
    answer.append(characters.slice(at, mark.start_index).join(""));
    const number = characters.slice(mark.start_index, mark.end_index).join("").replace(/[^0-9]/g, "") || String(mark.index + 1);
    const button = element("button", { className: "cite", type: "button", textContent: number, title: mark.title ?? "" });
    button.dataset.citation = mark.index;
    button.addEventListener("click", () => openCitation(mark.index));
    answer.append(button);
    at = mark.end_index;
  }
  answer.append(characters.slice(at).join(""));
  showCitations();
}

function numberOf(citation) {
  const { start_index: start, end_index: end } = citation.url_citation;
  return Array.from(state.text).slice(start, end).join("").replace(/[^0-9]/g, "");
}

function showCitations() {
  $("citations").replaceChildren(...state.citations.map((citation, index) => {
    const section = (citation.headworks.section ?? []).join(" › ");
    const button = element("button", { type: "button" },
      element("span", { className: "n", textContent: numberOf(citation) || String(index + 1) }),
      element("span", { className: "title", textContent: [citation.url_citation.title, section].filter(Boolean).join(" — ") }),
      element("span", { className: "quote", textContent: `“${citation.headworks.quote}”` }));
    button.dataset.citation = index;
    button.addEventListener("click", () => openCitation(index));
    return element("li", {}, button);
  }));
}

// ── The document of a citation ───────────────────────────────────────────────────────────────────────────────────────

async function openCitation(index) {
  const citation = state.citations[index];
  for (const each of document.querySelectorAll("[data-citation]")) each.setAttribute("aria-current", String(Number(each.dataset.citation) === index));
  choose("document");
  await openDocument(citation.headworks.document, citation.headworks.start, citation.headworks.end);
}

async function openDocument(id, start, end) {
  $("document-hint").hidden = true;
  $("document").hidden = false;
  try {
    const found = await call(`/api/documents/${encodeURIComponent(id)}`);
    const characters = Array.from(found.text);
    const quoted = element("mark", { textContent: characters.slice(start, end).join("") });
    $("document-title").textContent = found.title;
    $("document-place").textContent = `${found.path} · version ${found.version}`;
    $("document-text").replaceChildren(characters.slice(0, start).join(""), quoted, characters.slice(end).join(""));
    const pane = $("pane-document");
    pane.scrollTop = Math.max(0, quoted.offsetTop - pane.offsetTop - pane.clientHeight / 3);
  } catch (error) {
    $("document-title").textContent = "This document can't be shown";
    $("document-place").textContent = error.message;
    $("document-text").replaceChildren();
  }
}

function openAddress() {
  const place = /^\/documents\/([^/]+)$/.exec(location.pathname);
  if (!place) return;
  const [, start, end] = /char=(\d+),(\d+)/.exec(location.hash) ?? [null, "0", "0"];
  choose("document");
  openDocument(decodeURIComponent(place[1]), Number(start), Number(end));
}

// ── The waterfall of a request ───────────────────────────────────────────────────────────────────────────────────────

async function showRequest(trace) {
  $("request-hint").hidden = true;
  $("request").hidden = false;
  for (let attempt = 0; attempt < 20; attempt += 1) {
    try {
      drawRequest(await call(`/api/traces/${encodeURIComponent(trace)}`));
      return;
    } catch (error) {
      if (error.status !== 404) {
        $("facts").replaceChildren(element("dt", { textContent: "Trace" }), element("dd", { textContent: error.message }));
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 150)); // records are copied to the database a moment later
    }
  }
  $("facts").replaceChildren(element("dt", { textContent: "Trace" }), element("dd", { textContent: `${trace} is not recorded yet.` }));
}

function milliseconds(us) {
  return us >= 1e6 ? `${(us / 1e6).toFixed(2)} s` : `${(us / 1e3).toFixed(us < 1e4 ? 2 : 1)} ms`;
}

function drawRequest(trace) {
  const usage = trace.usage ?? {};
  const cost = usage.cost_micro_usd == null ? "no price is known" : `$${(usage.cost_micro_usd / 1e6).toFixed(6)}`;
  const facts = [
    ["Trace", trace.trace], ["Release", usage.release ?? "–"], ["Answered by", usage.model ? `${usage.provider}/${usage.model}` : "–"],
    ["Tokens", `${usage.input_tokens ?? "–"} in, ${usage.output_tokens ?? "–"} out`], ["Cost", cost], ["Status", String(usage.status ?? "–")],
  ];
  $("facts").replaceChildren(...facts.flatMap(([term, value]) => [element("dt", { textContent: term }), element("dd", { textContent: value })]));
  const spans = trace.spans;
  const total = Math.max(1, ...spans.map((each) => each.offset_us + each.duration_us));
  const depth = new Map();
  for (const each of spans) depth.set(each.span, each.parent ? (depth.get(each.parent) ?? 0) + 1 : 0);
  $("waterfall").setAttribute("aria-label", spans.map((each) => `${each.name} ${milliseconds(each.duration_us)}`).join(", "));
  $("waterfall").replaceChildren(...spans.map((each) => spanRow(each, total, Math.min(2, depth.get(each.span)))));
}

function spanRow(span, total, depth) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("viewBox", "0 0 1000 10");
  const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const width = Math.max(4, (1000 * span.duration_us) / total);
  bar.setAttribute("x", String(Math.min(1000 - width, (1000 * span.offset_us) / total)));
  bar.setAttribute("width", String(width));
  bar.setAttribute("height", "10");
  picture.append(bar);
  const facts = Object.entries(span.attributes ?? {}).map(([key, value]) => `${key}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return element("div", { className: `span depth-${depth} ${span.status === "ok" ? "" : "failed"}`, title: facts.join("\n") },
    element("span", { className: "name", textContent: span.name }), picture,
    element("span", { className: "time", textContent: milliseconds(span.duration_us) }));
}

// ── Code ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

function showCode() {
  const model = state.feature?.name ?? "your-feature";
  const question = state.question || "Your question";
  const key = state.key ?? "hw_…";
  $("code-python").textContent = [
    "from openai import OpenAI", "",
    `client = OpenAI(base_url=${JSON.stringify(`${location.origin}/v1`)}, api_key=${JSON.stringify(key)})`,
    "answer = client.chat.completions.create(",
    `    model=${JSON.stringify(model)},`,
    `    messages=[{"role": "user", "content": ${JSON.stringify(question)}}],`,
    ")", "print(answer.choices[0].message.content)",
  ].join("\n");
  const body = JSON.stringify({ model, messages: [{ role: "user", content: question }] }).replaceAll("'", "'\\''");
  $("code-curl").textContent = `curl ${location.origin}/v1/chat/completions \\\n  -H 'authorization: Bearer ${key}' \\\n  -H 'content-type: application/json' \\\n  -d '${body}'`;
}

async function makeKey() {
  $("make-key").disabled = true;
  try {
    const made = await call("/api/keys", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name: "made in the console" }) });
    state.key = made.token;
    $("key").textContent = made.token;
    $("key").hidden = false;
    showCode();
  } catch (error) {
    $("key").textContent = error.message;
    $("key").hidden = false;
    $("make-key").disabled = false;
  }
}

// ── Tabs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

const TABS = ["document", "request", "code"];

function choose(name) {
  for (const each of TABS) {
    $(`tab-${each}`).setAttribute("aria-selected", String(each === name));
    $(`tab-${each}`).tabIndex = each === name ? 0 : -1;
    $(`pane-${each}`).hidden = each !== name;
  }
}

for (const [index, name] of TABS.entries()) {
  $(`tab-${name}`).addEventListener("click", () => choose(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(index + step + TABS.length) % TABS.length];
    choose(next);
    $(`tab-${next}`).focus();
  });
}
$("feature").addEventListener("change", chooseFeature);
$("ask").addEventListener("submit", ask);
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
});
$("make-key").addEventListener("click", makeKey);
$("sign-out").addEventListener("click", async () => {
  await fetch("/api/sign-out", { method: "POST", credentials: "same-origin" });
  location.assign("/");
});
await start();
openAddress();
