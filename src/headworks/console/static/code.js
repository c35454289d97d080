// The lines of Python and curl that ask the same question, and a key for them.

import { $, call, post, say, words } from "./dom.js";

const LASTS = "30d";
const NEEDS = ["feature:call", "model:call", "collection:read", "trace:own"]; // of these, what the person has

const NOTHING = { model: "your-feature", question: "", key: null, permissions: [] };

const state = { ...NOTHING };

/** Show the lines for what is known so far. */
export function showCode(known = {}) {
  Object.assign(state, known);
  const question = state.question || "Your question";
  const key = state.key ?? "hw_…";
  $("code-python").textContent = python(state.model, question, key);
  $("code-curl").textContent = curl(state.model, question, key);
}

function python(model, question, key) {
  const quoted = JSON.stringify; // a JSON string is a Python string, too
  return `from openai import OpenAI

client = OpenAI(
    base_url=${quoted(`${location.origin}/v1`)},
    api_key=${quoted(key)},
)
answer = client.chat.completions.create(
    model=${quoted(model)},
    messages=[{"role": "user", "content": ${quoted(question)}}],
)
print(answer.choices[0].message.content)
for each in answer.choices[0].message.annotations or []:
    print(each.url_citation.title, each.url_citation.url)`;
}

function curl(model, question, key) {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: question }] }).replaceAll("'", "'\\''");
  return `curl ${location.origin}/v1/chat/completions \\
  -H 'authorization: Bearer ${key}' \\
  -H 'content-type: application/json' \\
  -d '${body}'`;
}

async function makeKey() {
  $("make-key").disabled = true;
  $("key-problem").hidden = true;
  try {
    const permissions = NEEDS.filter((each) => state.permissions.includes(each));
    const made = await call("/api/keys", post({ name: "made in the console", permissions, expires: LASTS }));
    $("key").textContent = made.token;
    $("key-made").hidden = false;
    $("key-making").hidden = true;
    showCode({ key: made.token });
    say("Your key was made. It is shown only now.");
  } catch (error) {
    $("key-problem").replaceChildren(...words(error.message));
    $("key-problem").hidden = false;
    $("make-key").disabled = false;
  }
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText($(button.dataset.copies).textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($(button.dataset.copies));
    button.textContent = "Press Ctrl + C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

export function startCode() {
  $("make-key").addEventListener("click", makeKey);
  for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
}

/** Forget who asked what, and the key. */
export function closeCode() {
  $("key").textContent = "";
  $("key-made").hidden = true;
  $("key-making").hidden = false;
  $("make-key").disabled = false;
  showCode(NOTHING);
}
