// The three tabs beside the answer.

import { $ } from "./dom.js";

const NAMES = ["document", "request", "code"];
const narrow = matchMedia("(max-width: 60rem)");

/** Show a tab. Where the page is one column, `bringsIntoView` goes there. */
export function showTab(name, { bringsIntoView = false } = {}) {
  for (const each of NAMES) {
    const isShown = each === name;
    $(`tab-${each}`).setAttribute("aria-selected", String(isShown));
    $(`tab-${each}`).tabIndex = isShown ? 0 : -1;
    $(`pane-${each}`).hidden = !isShown;
  }
  if (bringsIntoView && narrow.matches) $("side").scrollIntoView();
}

export function startTabs() {
  for (const [index, name] of NAMES.entries()) {
    const tab = $(`tab-${name}`);
    tab.addEventListener("click", () => showTab(name));
    tab.addEventListener("keydown", (event) => {
      const last = NAMES.length - 1;
      const next = { ArrowRight: index === last ? 0 : index + 1, ArrowLeft: index === 0 ? last : index - 1, Home: 0, End: last }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      showTab(NAMES[next]);
      $(`tab-${NAMES[next]}`).focus();
    });
  }
  const back = $("back");
  const follow = () => { back.hidden = !narrow.matches; };
  narrow.addEventListener("change", follow);
  follow();
  back.addEventListener("click", () => {
    const target = $("exchange").hidden ? $("ask") : $("exchange");
    target.scrollIntoView();
    target.focus();
  });
}
