// What the other files need of the page and of the server. Whatever comes from a model or a document is put in as text.

export const $ = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Terms and values, each a text or a list of nodes, as the children of a <dl>. */
export function terms(pairs) {
  return pairs.flatMap(([term, value]) => [element("dt", { textContent: term }), element("dd", {}, ...[value].flat())]);
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** A sentence of ours, in which `backticks` stand around what is typed. */
export function words(text) {
  return text.split("`").map((part, index) => (index % 2 ? element("code", { textContent: part }) : part));
}

/** Tell people who do not see the page what has changed. */
export function say(text) {
  $("said").textContent = text;
}

export class Problem extends Error {
  constructor(message, status = 0, trace = null) {
    super(message);
    this.status = status;
    this.trace = trace;
  }
}

/** `fetch`, where every failure is a Problem in words. A session that has ended tells the page so. */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server can't be reached. It may be restarting: try again in a moment.");
  }
  if (response.ok) return response;
  if (response.status === 401) document.dispatchEvent(new Event("signed-out"));
  let message = `The server answered with status ${response.status}.`;
  try {
    message = (await response.json()).error.message || message;
  } catch { /* not an error of our shape: the status says enough */ }
  throw new Problem(message, response.status, response.headers.get("x-headworks-trace"));
}

export async function call(path, options) {
  return (await ask(path, options)).json();
}

export function post(body) {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
