// A page of a PDF as it is printed, with the lines of the quote marked on it.

import { $, ask, say } from "./dom.js";

const MARGIN = 1.5; // points around a marked line, so that no letter touches the edge
const MARGIN_PX = 16; // left of them, where the page is wider than its pane
const SVG = "http://www.w3.org/2000/svg";

let shown = null; // {id, areas, number, pages, refuse} of the document in the pane
let latest = 0;

/** Show page `number`; `areas` are {page, x0, y0, x1, y1} in points, and `refuse(error)` is called where it can't be. */
export function openPage(id, number, areas, refuse) {
  shown = { id, areas, number, pages: null, refuse };
  return turnTo(number);
}

/** Forget the page, so that nothing of it stays in the page. */
export function closePage() {
  latest += 1;
  shown = null;
  $("document-page").hidden = $("turning").hidden = $("page-larger").hidden = true;
  $("document-page").removeAttribute("aria-busy");
  $("page-marks").replaceChildren();
  $("page-number").textContent = "";
  $("page-picture").removeAttribute("aria-label");
  $("page-picture").width = $("page-picture").height = 1; // which wipes it
}

export function startPaging() {
  $("page-before").addEventListener("click", () => turnTo(shown.number - 1));
  $("page-after").addEventListener("click", () => turnTo(shown.number + 1));
  $("page-larger").addEventListener("click", () => {
    const isLarge = $("document-page").classList.toggle("large");
    $("page-larger").setAttribute("aria-pressed", String(isLarge));
    reveal();
  });
}

async function turnTo(number) {
  const ticket = (latest += 1);
  const { id, refuse } = shown;
  $("document-page").hidden = false;
  $("document-page").setAttribute("aria-busy", "true");
  try {
    const response = await ask(`/api/documents/${encodeURIComponent(id)}/pages/${number}`);
    const picture = await createImageBitmap(await response.blob());
    if (ticket !== latest) return;
    Object.assign(shown, { number, pages: Number(response.headers.get("x-headworks-pages")) });
    draw(picture, response.headers.get("x-headworks-page-size").split(" ").map(Number));
  } catch (error) {
    if (ticket === latest) refuse(error);
  }
  if (ticket === latest) $("document-page").removeAttribute("aria-busy");
}

function draw(picture, [width, height]) {
  const { number, pages, areas } = shown;
  const canvas = $("page-picture");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  const here = areas.filter((each) => each.page === number);
  $("page-marks").setAttribute("viewBox", `0 0 ${width} ${height}`);
  $("page-marks").replaceChildren(...here.map(mark));
  const name = `Page ${number} of ${pages}`;
  canvas.setAttribute("aria-label", `${name} as it is printed${here.length ? ", the quote is marked" : ""}`);
  $("page-number").textContent = name;
  $("turning").hidden = pages < 2;
  $("page-larger").hidden = false;
  $("page-before").disabled = number <= 1;
  $("page-after").disabled = number >= pages;
  reveal();
  say(`${name}.`);
}

function mark({ x0, y0, x1, y1 }) {
  const made = document.createElementNS(SVG, "rect");
  const place = { x: x0 - MARGIN, y: y0 - MARGIN, width: x1 - x0 + 2 * MARGIN, height: y1 - y0 + 2 * MARGIN };
  for (const [name, value] of Object.entries(place)) made.setAttribute(name, String(value));
  return made;
}

/** Bring the marked lines into view, in the pane where that scrolls by itself, else in the page. */
function reveal() {
  const pane = $("pane-document");
  const sheet = $("document-page");
  const first = $("page-marks").firstElementChild;
  if (!first) return;
  sheet.scrollLeft += first.getBoundingClientRect().left - sheet.getBoundingClientRect().left - MARGIN_PX;
  if (pane.scrollHeight > pane.clientHeight) {
    pane.scrollTop += first.getBoundingClientRect().top - pane.getBoundingClientRect().top - pane.clientHeight / 3;
  } else {
    first.scrollIntoView({ block: "center" });
  }
}
