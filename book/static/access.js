// Names and keys for the parts of a page that scripts make: widgets, and boxes that scroll.
(() => {
  // The widgets typeset their labels with the call of MathJax 2; this site has MathJax 3.
  document.addEventListener("DOMContentLoaded", () => {
    const mathjax = window.MathJax;
    if (!mathjax || mathjax.Hub) return;
    const typeset = tasks => mathjax.typesetPromise(tasks.map(([name, hub, element]) => element));
    mathjax.Hub = { Queue: (...tasks) => mathjax.startup?.promise?.then(() => typeset(tasks)) };
  });

  // A formula as a line of text.
  const SIGNS = { approx: "≈", cdot: "·", infty: "∞", le: "≤", sqrt: "√", times: "×" };
  const asText = tex => tex.replace(/\\t?frac\{([^{}]*)\}\{([^{}]*)\}/g, "$1/($2)").replace(/\\(left|right|operatorname|text(it)?)\b/g, "")
    .replace(/\\([A-Za-z]+)/g, (_, name) => SIGNS[name] ?? name).replace(/\\.|[{}]/g, "");

  // What is found is shown with the text around it: the article's, and not the buttons' above it.
  if (typeof Search !== "undefined") {
    Search.htmlToText = (text, anchor) => {
      const page = new DOMParser().parseFromString(text, "text/html");
      page.querySelectorAll(".headerlink, script, style, h1").forEach(element => element.remove());
      page.querySelectorAll(".math").forEach(formula => (formula.textContent = asText(formula.textContent)));
      page.querySelectorAll("dt").forEach(term => (term.textContent = `${term.textContent.trim()}: `));
      const article = page.querySelector("article.bd-article") || page.body;
      const found = anchor ? article.querySelector(anchor) : null;
      if (found?.matches("dt")) return found.textContent + (found.nextElementSibling?.textContent || "");
      return (found || article).textContent.replace(/\s+/g, " ");
    };
  }

  // A slider or a field is named by the label beside it, and a slider says the value beside it, not its place.
  const nameControls = () => {
    for (const control of document.querySelectorAll(".jupyter-widgets :is([role=slider], input, select, textarea)")) {
      const widget = control.closest(".jupyter-widgets");
      const label = widget?.querySelector(".widget-label")?.textContent.trim();
      if (label && !control.labels?.length && !control.getAttribute("aria-label")) control.setAttribute("aria-label", label);
      const value = widget?.querySelector(".widget-readout")?.textContent.trim();
      if (value && control.matches("[role=slider]")) control.setAttribute("aria-valuetext", value);
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

  // The button of a folded solution or note says which it folds.
  const nameSolutions = () => {
    for (const button of document.querySelectorAll(".dropdown > .admonition-title > .toggle-button"))
      button.setAttribute("aria-label", `Show or hide: ${button.parentElement.textContent.trim()}`);
  };

  // The link to the first page stands in a landmark, as all that is read does.
  const placeLogo = () => {
    const place = document.querySelector(".navbar-brand.logo")?.parentElement;
    place?.setAttribute("role", "navigation");
    place?.setAttribute("aria-label", "First page");
  };

  // A figure that a narrow screen makes smaller can be opened at its own size; the style sheet shows the link there.
  const linkFigures = () => {
    for (const caption of document.querySelectorAll("article figure > figcaption")) {
      const images = [...caption.parentElement.querySelectorAll("img")];
      const link = document.createElement("a");
      const toShown = () => (link.href = images.find(image => image.getClientRects().length)?.src || images[0].src);
      link.className = "full-size";
      link.textContent = "Open the figure";
      link.addEventListener("click", toShown);  // the theme may have changed
      if (!(images[0]?.naturalWidth > 400)) continue;
      toShown();
      (caption.querySelector("p") || caption).append(link);
    }
  };

  // On paper the theme is light, solutions stand at the end, unfolded, and a cell of few lines is not parted; then all is as before.
  const moved = [];
  let theme = null;
  window.addEventListener("beforeprint", () => {
    theme ??= document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    const article = document.querySelector("article.bd-article");
    if (!article || moved.length) return;
    for (const cell of article.querySelectorAll("div.cell"))
      cell.classList.toggle("short-cell", cell.textContent.trim().split("\n").length < 18);
    const solutions = [...article.querySelectorAll(".solution")].filter(s => !s.parentElement.closest(".solution"));
    if (!solutions.length) return;
    const end = document.createElement("section");
    end.className = "print-solutions";
    end.append(Object.assign(document.createElement("h2"), { textContent: "Solutions" }));
    for (const solution of solutions) {
      const place = document.createComment("solution");
      solution.replaceWith(place);
      moved.push([solution, place]);
      end.append(solution);
    }
    (article.querySelector("section") || article).append(end);
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = theme ?? document.documentElement.dataset.theme;
    theme = null;
    for (const [solution, place] of moved.splice(0)) place.replaceWith(solution);
    document.querySelector(".print-solutions")?.remove();
  });

  // What unfolds may hold boxes that scroll.
  document.addEventListener("click", () => setTimeout(reachBoxes, 300));

  window.addEventListener("load", () => {
    nameControls();
    nameSolutions();
    placeLogo();
    linkFigures();
    reachBoxes();
    const widgets = document.querySelectorAll(".cell_output");
    const watch = new MutationObserver(nameControls);
    widgets.forEach(cell => watch.observe(cell, { childList: true, subtree: true }));
  });
  window.addEventListener("resize", reachBoxes);
})();
