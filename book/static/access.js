// Names and keys for the parts of a page that scripts make: widgets, and boxes that scroll.
(() => {
  // The widgets typeset their labels with the call of MathJax 2; this site has MathJax 3.
  document.addEventListener("DOMContentLoaded", () => {
    const mathjax = window.MathJax;
    if (!mathjax || mathjax.Hub) return;
    const typeset = tasks => mathjax.typesetPromise(tasks.map(([name, hub, element]) => element));
    mathjax.Hub = { Queue: (...tasks) => mathjax.startup?.promise?.then(() => typeset(tasks)) };
  });

  // A slider or a field is named by the label beside it.
  const nameControls = () => {
    for (const control of document.querySelectorAll(".jupyter-widgets :is([role=slider], input, select, textarea)")) {
      const label = control.closest(".jupyter-widgets")?.querySelector(".widget-label")?.textContent.trim();
      if (label && !control.labels?.length && !control.getAttribute("aria-label")) control.setAttribute("aria-label", label);
    }
  };

  // What scrolls inside the page can be reached with the Tab key.
  const boxes = ".cell_output .output, .cell_output pre, .highlight pre, div.math, .pst-scrollable-table-container";
  const reachBoxes = () => {
    for (const box of document.querySelectorAll(boxes)) {
      const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
      if (scrolls) box.tabIndex = 0;
      else if (box.tabIndex === 0) box.removeAttribute("tabindex");
    }
  };

  window.addEventListener("load", () => {
    nameControls();
    reachBoxes();
    const widgets = document.querySelectorAll(".cell_output");
    const watch = new MutationObserver(nameControls);
    widgets.forEach(cell => watch.observe(cell, { childList: true, subtree: true }));
  });
  window.addEventListener("resize", reachBoxes);
})();
