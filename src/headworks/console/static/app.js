// The page at `/`: who is signed in, which feature answers, and the parts put together. No build step, no library.

import { askQuestion, closeExchange, useFeature } from "./asking.js";
import { closeCode, showCode, startCode } from "./code.js";
import { $, ask, call, count, element, terms, words } from "./dom.js";
import { closeDocument, openAddress, startReading } from "./reading.js";
import { showTab, startTabs } from "./tabs.js";
import { closeRequest } from "./timing.js";

const NO_FEATURE = "A feature is a prompt over a route and a collection of documents. `headworks init` writes one, `headworks apply` makes it live.";

const TITLES = { desk: "Headworks", "signed-out": "Signed out – Headworks", away: "Not reachable – Headworks" };

let features = [];
let collections = [];

async function start() {
  try {
    const me = await call("/api/me");
    features = may(me, "feature:call", "workspace:read") ? (await call("/api/features")).features : [];
    collections = may(me, "collection:read") ? (await call("/api/collections")).rows : [];
    welcome(me);
  } catch (error) {
    if (error.status !== 401) turnAway(error);
  }
}

function may(me, ...anyOf) {
  return anyOf.some((each) => me.permissions.includes(each));
}

function welcome(me) {
  $("who-name").textContent = me.tenant.name === "default" ? me.name : `${me.name}, ${me.tenant.name}`;
  show("desk");
  $("feature").replaceChildren(...features.map((each) => element("option", { value: each.name, textContent: each.name })));
  showCode({ permissions: me.permissions });
  chooseFeature();
  $("question").focus();
  openAddress();
}

/** One of the page's faces: `desk`, `signed-out`, `away`. */
function show(face) {
  for (const each of Object.keys(TITLES)) $(each).hidden = each !== face;
  document.title = TITLES[face];
  $("who").hidden = face !== "desk";
}

function turnAway(error) {
  $("away-reason").replaceChildren(...words(error.message));
  show("away");
}

function chooseFeature() {
  const feature = features.find((each) => each.name === $("feature").value) ?? null;
  useFeature(feature);
  $("feature").hidden = feature === null;
  $("question").disabled = feature === null;
  $("release").textContent = feature ? `release ${feature.digest.replace("sha256:", "").slice(0, 12)}` : "";
  $("release").title = feature?.digest ?? "";
  if (feature) {
    showCode({ model: feature.name });
    describe(feature);
  } else {
    $("welcome-title").textContent = "There is nothing to ask yet";
    $("welcome-text").replaceChildren(...words(NO_FEATURE));
  }
}

function describe(feature) {
  const collection = collections.find((each) => each.name === feature.collection);
  const facts = [["Feature", `${feature.name}, of ${feature.owner}`], ["Answered by", feature.targets.join(", else ")]];
  if (feature.collection) facts.push(["Reads", words(reads(feature.collection, collection))]);
  $("welcome-facts").replaceChildren(...terms(facts));
}

function reads(name, collection) {
  if (!collection) return `${name}, which holds nothing that you may read`;
  if (collection.documents === 0) return `${name}, which holds no documents yet: \`headworks ingest ${name} FOLDER\``;
  const size = `${name}, ${count(collection.documents, "document")} that you may read`;
  return collection.description ? `${size}: ${collection.description}` : size;
}

/** Nothing of what was shown stays in the page. */
function forget() {
  closeExchange();
  closeDocument();
  closeRequest();
  closeCode();
  features = collections = [];
  for (const id of ["feature", "release", "who-name", "welcome-facts"]) $(id).replaceChildren();
  $("release").title = "";
  $("welcome").hidden = false;
  showTab("document");
}

async function signOut() {
  try {
    await ask("/api/sign-out", { method: "POST" });
    forget();
    location.replace("/");
  } catch (error) {
    turnAway(error);
  }
}

document.addEventListener("signed-out", () => {
  forget();
  show("signed-out");
});
$("feature").addEventListener("change", chooseFeature);
$("ask").addEventListener("submit", askQuestion);
$("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("ask").requestSubmit();
});
$("sign-out").addEventListener("click", signOut);
$("again").addEventListener("click", () => location.reload());
addEventListener("hashchange", openAddress);
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // the browser kept the page as it was: ask again who is signed in
});
startTabs();
startReading();
startCode();
start();
