// What the live parts of a page draw, as HTML: the same functions write the page when it is built and redraw it later.
((part) => {
  globalThis.live ??= { parts: [] };
  part(live);
})((live) => {
  "use strict";

  const SIGNS = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  const escape = (text) => String(text).replace(/[&<>"']/g, (sign) => SIGNS[sign]);

  // A token as one can see it: a space and an end of line have signs of their own, and no token turns its neighbours.
  // A token of which nothing can be seen shows its code.
  const code = (sign) => "U+" + sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  const visible = (token) => {
    const text = token === "" ? "∅" : token.replace(/ /g, "·").replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/\r/g, "␍");
    return /[^\p{Cc}\p{Cf}\p{Z}]/u.test(text) ? text : Array.from(text, code).join(" ");
  };
  const word = (token) => `<bdi>${escape(visible(token))}</bdi>`;

  const digits = (x, n = 2) => (x < 0 && Number(x.toFixed(n)) === 0 ? (0).toFixed(n) : x.toFixed(n)).replace("-", "−");
  const percent = (p) => (p > 0 && p < 0.001 ? "< 0.1" : (100 * p).toFixed(1)) + "\u00a0%";
  const size = (bytes) => (bytes >= 1e6 ? (bytes / 1e6).toFixed(1) + " MB" : Math.ceil(bytes / 1000) + " kB");

  // Rows of a name, a bar and a number. items: [{name, share, text, mark}]; name is HTML.
  function bars(caption, items) {
    const row = ({ name, share, text, mark }) =>
      `<tr${mark ? ' class="live-mark"' : ""}><th scope="row">${name}</th><td class="live-bar">`
      + `<span style="width:${(100 * Math.max(0, Math.min(1, share))).toFixed(2)}%"></span></td><td class="live-number">${text}</td></tr>`;
    return `<table class="live-bars"><caption>${caption}</caption><tbody>${items.map(row).join("")}</tbody></table>`;
  }

  // An attention map as a table: row i holds what token i takes from each token. More than `most` tokens: no digits.
  function map(caption, tokens, weights, { most = 12, hidden = () => false, after } = {}) {
    const n = tokens.length, small = n <= most ? "" : " live-fine";
    const head = tokens.map((token) => `<th scope="col">${word(token)}</th>`).join("");
    const cell = (i, j) => {
      if (hidden(i, j)) return '<td class="live-hidden"><span class="live-said">hidden</span></td>';
      const w = weights[i * n + j];
      return `<td style="--w:${w.toFixed(3)}"${small ? ` title="${digits(w)}"` : ""}>${small ? "" : digits(w)}</td>`;
    };
    const row = (token, i) => `<tr><th scope="row">${word(token)}</th>${tokens.map((_, j) => cell(i, j)).join("")}${after ? after(i) : ""}</tr>`;
    return `<div class="live-scroll" tabindex="0" role="group" aria-label="${caption.replace(/<[^>]*>/g, "")}"><table class="live-map${small}"><caption>${caption}</caption>`
      + `<thead><tr><td></td>${head}${after ? after(-1) : ""}</tr></thead><tbody>${tokens.map(row).join("")}</tbody></table></div>`;
  }

  // All maps of a model as small pictures, layers by heads; one of them can be chosen, if they do not stand still.
  function glance(tokens, maps, chosen, still) {
    const n = tokens.length, picture = (weights) => {
      let cells = "";
      for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) {
        const w = weights[i * n + j];
        if (w > 0.02) cells += `<rect x="${j}" y="${i}" width="1" height="1" opacity="${w.toFixed(2)}"/>`;
      }
      return `<svg viewBox="0 0 ${n} ${n}" aria-hidden="true" preserveAspectRatio="none">${cells}</svg>`;
    };
    const button = (weights, l, h) => {
      const here = l === chosen.layer && h === chosen.head, named = `${picture(weights)}<span>layer ${l + 1}, head ${h + 1}</span>`;
      if (still) return `<div${here ? ' class="live-chosen"' : ""}>${named}</div>`;
      return `<button type="button" data-layer="${l}" data-head="${h}" aria-pressed="${here}">${named}</button>`;
    };
    return `<div class="live-glance" role="group" aria-label="All attention maps">${maps.flatMap((heads, l) => heads.map((w, h) => button(w, l, h))).join("")}</div>`;
  }

  // The tokens in a row; those that the chosen one looks at are coloured.
  function looks(tokens, weights, chosen) {
    const n = tokens.length, item = (token, j) => {
      const w = weights[chosen * n + j];
      return `<span${j === chosen ? ' class="live-chosen"' : ""} style="--w:${w.toFixed(3)}">${word(token)}<small>${digits(w)}</small></span>`;
    };
    return `<div class="live-tokens" role="group" aria-label="Tokens, each with its weight">${tokens.map(item).join("")}</div>`;
  }

  // Every number on the way from one token's query to what its head gives: of the head that ran last.
  function steps(tokens, head, i) {
    const D = head.q.width, T = tokens.length, q = head.q.data.subarray(i * D, (i + 1) * D), rows = [];
    const mixture = new Float64Array(D);
    for (let j = 0; j < T; j++) {
      const open = !head.causal || j <= i, w = head.weights.data[i * T + j];
      let score = 0;
      for (let d = 0; d < D; d++) {
        score += q[d] * head.k.data[j * D + d];
        mixture[d] += w * head.v.data[j * D + d];
      }
      const norm = Math.hypot(...head.v.data.subarray(j * D, (j + 1) * D));
      rows.push(`<tr><th scope="row">${word(tokens[j])}</th><td>${digits(score)}</td><td>${digits(score / Math.sqrt(D))}</td>`
        + `<td>${open ? "open" : "hidden"}</td><td style="--w:${w.toFixed(3)}">${digits(w, 3)}</td><td>${digits(w * norm, 3)}</td></tr>`);
    }
    return `<div class="live-scroll" tabindex="0" role="group" aria-label="The steps of attention"><table class="live-steps"><caption>From the query of ${word(tokens[i])} to its output, in the head chosen above</caption>`
      + `<thead><tr><th scope="col">key</th><th scope="col">q · k</th><th scope="col">/ √${D}</th><th scope="col">mask</th>`
      + `<th scope="col">softmax</th><th scope="col">weight × |v|</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`
      + `<p>The weights sum to ${digits(head.weights.data.subarray(i * T, (i + 1) * T).reduce((a, b) => a + b), 3)}. `
      + `The mixture of the values, the head's output, has the length ${digits(Math.hypot(...mixture), 3)}; its first numbers are `
      + `${Array.from(mixture.subarray(0, 4), (x) => digits(x, 3)).join(", ")}.</p>`;
  }

  // A chart of lines. lines: [{name, points: [[x, y]], dash, level}]; a level is one y for all x.
  function chart(caption, lines, { width = 460, height = 230 } = {}) {
    const all = lines.flatMap((line) => line.points), left = 36, bottom = 30;
    const most = Math.max(10, ...all.map(([x]) => x));
    const levels = [...all.map(([, y]) => y), ...lines.filter((l) => l.level).map((l) => l.level)].filter(Number.isFinite);
    const low = Math.min(...levels, 1) * 0.9, high = Math.max(...levels, 2) * 1.05;
    const x = (step) => left + (step / most) * (width - left - 8), y = (v) => 8 + ((high - v) / (high - low)) * (height - bottom - 8);
    const ticks = [0, 1, 2, 3, 4].map((i) => low + ((high - low) * i) / 4);
    const grid = ticks.map((v) => `<line class="live-grid" x1="${left}" x2="${width - 8}" y1="${y(v).toFixed(1)}" y2="${y(v).toFixed(1)}"/>`
      + `<text x="${left - 6}" y="${(y(v) + 4).toFixed(1)}" text-anchor="end">${v.toFixed(2)}</text>`).join("");
    const drawn = lines.map(({ points, level, kind }) => {
      const at = level ? [[0, level], [most, level]] : points;
      return `<polyline class="live-line-${kind}" points="${at.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ")}"/>`;
    }).join("");
    const key = lines.map(({ name, kind }) => `<li class="live-key-${kind}">${name}</li>`).join("");
    return `<figure class="live-chart"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(caption)}">${grid}${drawn}`
      + `<text x="${width - 8}" y="${height - 8}" text-anchor="end">step ${most}</text><text x="${left}" y="${height - 8}">0</text></svg>`
      + `<ul class="live-key">${key}</ul><figcaption>${escape(caption)}</figcaption></figure>`;
  }

  // Controls: a slider, a box to tick, or a choice. They are shown where scripts run.
  function control({ name, label, min, max, step, value, options }) {
    if (options) {
      const option = (o) => `<option${o === value ? " selected" : ""}>${escape(o)}</option>`;
      return `<label>${label} <select name="${name}">${options.map(option).join("")}</select></label>`;
    }
    if (typeof value === "boolean")
      return `<label><input type="checkbox" name="${name}"${value ? " checked" : ""}> ${label}</label>`;
    return `<label>${label} <input type="range" name="${name}" min="${min}" max="${max}" step="${step}" value="${value}"> <output>${value}</output></label>`;
  }

  // A thing to touch: controls, and what they change. show(state) -> HTML.
  live.things = {};
  function thing(name, { controls, show }) {
    const start = Object.fromEntries(controls.map(({ name, value }) => [name, value]));
    live.things[name] = {
      show,
      html: () => `<form class="live-controls" autocomplete="off" hidden>${controls.map(control).join("")}</form><div class="live-output" aria-live="polite">${show(start)}</div>`,
      attach(element) {
        const form = element.querySelector("form"), output = element.querySelector(".live-output");
        const redraw = () => {
          const state = {};
          for (const { name, value } of controls) {
            const field = form.elements[name];
            state[name] = typeof value === "boolean" ? field.checked : typeof value === "number" ? Number(field.value) : field.value;
            if (field.type === "range") field.nextElementSibling.textContent = field.value;
          }
          output.innerHTML = show(state);
        };
        form.hidden = false;
        form.addEventListener("input", redraw);
        form.addEventListener("submit", (event) => event.preventDefault());
        form.reset();
      },
    };
  }

  Object.assign(live, { draw: { escape, visible, word, digits, percent, size, bars, map, glance, looks, steps, chart, control }, thing });
});
