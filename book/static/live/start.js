// Bring the live parts of a page to life: they stand in it already, and from now on answer to touch and keys.
((part) => part(live))((live) => {
  "use strict";
  live.base = document.currentScript.src.replace(/[^/]*$/, "");

  // Draw anew, and keep what was folded open, where the focus was, and how far a box was scrolled.
  live.replace = (element, html) => {
    const open = new Set([...element.querySelectorAll("details[open]")].map((d) => d.dataset.name));
    const focus = element.contains(document.activeElement) ? document.activeElement : null;
    const { token, layer, head } = focus?.dataset || {};
    const where = token !== undefined ? `[data-token="${token}"]` : layer !== undefined ? `[data-layer="${layer}"][data-head="${head}"]`
      : focus?.matches("summary") ? `details[data-name="${focus.parentElement.dataset.name}"] > summary` : null;
    const scrolled = [...element.querySelectorAll(".live-scroll")].map((box) => box.scrollLeft);
    element.innerHTML = html;
    for (const details of element.querySelectorAll("details")) if (open.has(details.dataset.name)) details.open = true;
    [...element.querySelectorAll(".live-scroll")].forEach((box, i) => (box.scrollLeft = scrolled[i] || 0));
    if (where) element.querySelector(where)?.focus({ preventScroll: true });
  };

  const begin = () => {
    for (const element of document.querySelectorAll("[data-live]")) {
      const name = element.dataset.live;
      if (live.things[name]) live.things[name].attach(element);
      else if (live.answers.KINDS[name]) live.answers.attach(name, element);
      else if (name === "learner") live.learns.attach(element);
    }
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
});
