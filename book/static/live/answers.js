// The models answer: a sentence is classified, a text is continued, and every step on the way can be opened.
((part) => part(live))((live) => {
  "use strict";
  const { escape, word, digits, percent, size, bars, map, looks, steps, control } = live.draw;
  const MOST_MAP = 48; // tokens; more would be too fine to see

  // The whole of a model's answer to ids, and the maps of all its heads.
  const layersOf = (model) => (model.encoder || model).blocks;
  const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

  // The maps as they stand still; where scripts run, the view of chapter 22 takes their place. Below them, what goes with the choice.
  function attention(packed, tokens, maps, chosen) {
    const { layer, head, token } = chosen, n = tokens.length, weights = maps[layer][head].data;
    const which = `Layer ${layer + 1}, head ${head + 1}`, { causal } = headOf(packed, chosen);
    const shown = n <= MOST_MAP ? map(`${which}: what each token (row) takes from each token (column)`, tokens, weights,
      { hidden: (i, j) => causal && j > i }) : "";
    return `<h3>Where it looks</h3><div class="attention-view"><div class="av-still"><p>${which}. ${word(tokens[token])} looks at the tokens with these weights, which sum to 1:</p>`
      + `${looks(tokens, weights, token)}<details data-name="map"><summary>The whole map, in numbers</summary>${shown || "<p>The input is too long for a table.</p>"}</details></div></div>`
      + `<div class="live-inside">${inside(packed, tokens, chosen)}</div>`;
  }

  const headOf = (packed, { layer, head }) => layersOf(packed.model)[layer].attention.heads[head];
  const inside = (packed, tokens, chosen) =>
    `<details data-name="steps"><summary>What layer ${chosen.layer + 1}, head ${chosen.head + 1} did for ${word(tokens[chosen.token])}, step by step</summary>`
    + `${steps(tokens, headOf(packed, chosen), chosen.token)}</details>${stream(packed, tokens, chosen.token)}`;

  // Put the view into the page: the script of chapter 22, and the maps that the engine has just computed.
  function view(output, packed, answered, chosen) {
    const root = output.querySelector(".attention-view"), { tokens, maps } = answered;
    if (!root || !globalThis.AttentionView) return;
    root.addEventListener("choose", () => live.replace(output.querySelector(".live-inside"), answered.inside()));
    new AttentionView(root, { tokens, maps: maps.map((heads) => heads.map((map) => map.data)), causal: headOf(packed, chosen).causal }, chosen);
  }

  // How long the vector of one token is after each block: what a block adds to the residual stream.
  function stream(packed, tokens, i) {
    const C = (packed.model.encoder || packed.model).sizes.embedding_dim;
    const length = (x) => Math.hypot(...x.data.subarray(i * C, (i + 1) * C)), blocks = layersOf(packed.model);
    const lens = (x) => {
      if (!packed.model.final_norm) return "";
      const own = new live.Rows(1, C, x.data.slice(i * C, (i + 1) * C)), { final_norm, projection } = packed.model;
      const p = live.softmax(projection.forward(final_norm.forward(own)).data), best = p.indexOf(Math.max(...p));
      return `<td>${word(packed.tokenizer.show(best))}</td><td>${percent(p[best])}</td>`;
    };
    const row = (name, x) => `<tr><th scope="row">${name}</th><td>${digits(length(x))}</td>${lens(x)}</tr>`;
    const head = packed.model.final_norm ? '<th scope="col">would predict</th><th scope="col">with</th>' : "";
    const start = (packed.model.encoder || packed.model).x;
    return `<details data-name="stream"><summary>Layer by layer: the residual stream at ${word(tokens[i])}</summary>`
      + `<div class="live-scroll" tabindex="0" role="group" aria-label="The residual stream"><table class="live-steps"><caption>The vector of ${word(tokens[i])} after each block</caption>`
      + `<thead><tr><th scope="col">after</th><th scope="col">length</th>${head}</tr></thead><tbody>${row("the two tables", start)}`
      + `${blocks.map((block, l) => row(`block ${l + 1}`, block.x)).join("")}</tbody></table></div></details>`;
  }

  // The chosen layer, head and token, as far as the model and its input have them.
  const within = ({ layer = 0, head = 0, token }, start, n, model) => {
    const { num_layers, num_heads } = (model.encoder || model).sizes;
    return { layer: Math.min(layer, num_layers - 1), head: Math.min(head, num_heads - 1), token: Math.min(token ?? start, n - 1) };
  };

  // An answer: its HTML, and what is drawn below the view. By then the model may have written a text, so it reads the ids again.
  const answerOf = (packed, ids, tokens, maps, chosen, html) => ({
    html, tokens, maps,
    inside() {
      packed.model.forward(ids);
      return inside(packed, tokens, chosen);
    },
  });

  // The first or the last n characters of a text, and no half of one.
  const first = (text, n) => text.length > n ? text.slice(0, n).replace(/[\ud800-\udbff]$/, "") + "…" : text;
  const last = (text, n) => text.length > n ? "…" + text.slice(-n).replace(/^[\udc00-\udfff]/, "") : text;
  const endOf = (text) => text.slice(-20_000); // far more than a generator reads

  // What was read of a text: its ids, or a sentence that says why there are none.
  function read(packed, text) {
    const most = (packed.model.encoder || packed.model).sizes.block_size;
    const all = packed.tokenizer.encode(text, most + 1), ids = all.slice(0, most), cut = all.length > most;
    const unknown = ids.filter((id) => id === packed.tokenizer.unknown).length;
    const notes = [];
    if (cut) notes.push(`The model reads ${most} tokens; the rest of the text is not looked at.`);
    if (unknown) notes.push(`${unknown} of ${plural(ids.length, "token")} ${unknown === 1 ? "is" : "are"} outside the vocabulary, and read as &lt;unk&gt;.`);
    return { ids, note: notes.length ? `<p class="live-note">${notes.join(" ")}</p>` : "" };
  }

  function classified(packed, text, chosen = {}) {
    const { ids, note } = read(packed, text);
    if (!ids.length) return { html: '<p class="live-note">There is no word in this text that could be read. Type a sentence.</p>' };
    const { model, tokenizer, config } = packed, [log_probs, maps] = model.forward(ids);
    const p = Array.from(log_probs, Math.exp), best = p.indexOf(Math.max(...p)), tokens = ids.map((id) => tokenizer.show(id));
    const items = config.labels.map((label, k) => ({ name: escape(label), share: p[k], text: percent(p[k]), mark: k === best }));
    Object.assign(chosen, within(chosen, 0, ids.length, model));
    const html = note + bars(`“${escape(first(text, 120))}”: ${escape(config.labels[best])}`, items)
      + attention(packed, tokens, maps, chosen);
    return answerOf(packed, ids, tokens, maps, chosen, html);
  }

  function predicted(packed, text, chosen = {}, choice = {}) {
    const { model, tokenizer } = packed, all = tokenizer.encode(endOf(text));
    const ids = live.recent(all, model.sizes.block_size); // a decoder goes on from the end
    const read = ids.length ? ids : [live.END], tokens = read.map((id) => tokenizer.show(id));
    const note = all.length > ids.length ? `<p class="live-note">The model goes on from the last ${ids.length} tokens of this text.</p>` : "";
    const [logits, maps] = model.forward(read), p = live.probabilities(live.lastLogits(logits, live.BANNED), choice);
    const order = Array.from(p.keys()).filter((id) => p[id] > 0).sort((a, b) => p[b] - p[a] || a - b).slice(0, 10);
    const items = order.map((id) => ({ name: word(tokenizer.show(id)), share: p[id], text: percent(p[id]) }));
    Object.assign(chosen, within(chosen, read.length - 1, read.length, model));
    const html = note + bars("The most probable next tokens, as they would be drawn", items) + attention(packed, tokens, maps, chosen);
    return answerOf(packed, read, tokens, maps, chosen, html);
  }

  // What is said of a text that was written.
  const told = (count, seconds, ended, stopped) => `${plural(count, "token")} in ${digits(seconds, 1)} s, ${Math.round(count / Math.max(seconds, 1e-3))} a second.`
    + (ended ? " The model ended the text here." : stopped ? " Stopped." : "");

  const CHOICE = [
    { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.1, value: 0.8 },
    { name: "top_k", label: "Top-k", options: ["all", "1", "5", "20", "50"], value: "50" },
    { name: "top_p", label: "Top-p", min: 0.05, max: 1, step: 0.05, value: 1 },
    { name: "max_new_tokens", label: "Tokens", min: 10, max: 300, step: 10, value: 80 },
  ];
  const choiceOf = (form) => ({
    temperature: Number(form.elements.temperature.value),
    top_k: form.elements.top_k.value === "all" ? null : Number(form.elements.top_k.value),
    top_p: Number(form.elements.top_p.value),
  });

  // The models of the page: what they are asked at first, and how they answer.
  const KINDS = {
    classifier: {
      kind: "EncoderClassifier",
      examples: [
        "Return the value of a header of the message.",
        "Run the test case and collect what went wrong in a result.",
        "Wait until the task is done, or cancel it after a time.",
      ],
      question: "A sentence about a library",
      fields: () => '<button type="submit" class="live-go" disabled>Classify</button>',
      worked(packed) {
        const [first, ...rest] = this.examples, more = (text) => `<details><summary>“${escape(text)}”</summary>${classified(packed, text).html}</details>`;
        return { output: classified(packed, first).html, more: `<p>Two more sentences, answered when this page was built:</p>${rest.map(more).join("")}` };
      },
      answer: (packed, text, chosen) => classified(packed, text, chosen),
    },
    generator: {
      kind: "Decoder",
      examples: ["Return a new", "If the file does not exist,", "This class is"],
      question: "The beginning of a text",
      fields: () => CHOICE.map(control).join("") + '<label>Seed <input type="number" name="seed" value="0" min="0" max="4294967295" step="1"></label>'
        + '<span class="live-buttons"><button type="submit" class="live-go" disabled>Continue the text</button>'
        + '<button type="button" class="live-stop" disabled>Stop</button></span>',
      worked(packed) {
        const choice = { temperature: 0.8, top_k: 50, max_new_tokens: 60, seed: 0 };
        const go = (text) => `<p class="live-text"><b>${escape(text)}</b>${escape([...live.generate(packed.model, packed.tokenizer, text, choice)].map((s) => s.piece).join(""))}</p>`;
        return { output: predicted(packed, this.examples[0], {}, choice).html, more: `<p>Three beginnings, continued when this page was built (temperature 0.8, top-k 50, seed 0):</p>${this.examples.map(go).join("")}` };
      },
      answer: (packed, text, chosen, form) => predicted(packed, text, chosen, choiceOf(form)),
    },
  };

  // How far the answers of the packed weights lie from those of the chapter's own, over pieces of text.
  function compare(full, packed, text, pieces = 50) {
    const words = text.split(/\s+/).filter(Boolean), length = Math.max(1, Math.floor(words.length / pieces));
    let largest = 0, same = 0, all = 0;
    for (let n = 0; n < pieces; n++) {
      const ids = packed.tokenizer.encode(words.slice(n * length, n * length + Math.min(length, 30)).join(" "), (packed.model.encoder || packed.model).sizes.block_size);
      if (!ids.length) continue;
      const [a, b] = [full, packed.model].map((model) => {
        const out = model.forward(ids)[0];
        return out instanceof live.Rows ? live.softmax(out.data.slice(-out.width)) : out.map(Math.exp);
      });
      a.forEach((p, i) => (largest = Math.max(largest, Math.abs(p - b[i]))));
      same += a.indexOf(Math.max(...a)) === b.indexOf(Math.max(...b));
      all++;
    }
    return { largest, same, all };
  }

  function html(name, packed, difference) {
    const kind = KINDS[name];
    if (!packed) return '<p class="live-note">The trained weights of this model are not part of this build: run its chapter, and build the book again.</p>';
    const { bits, bytes } = packed.config.live, { output, more } = kind.worked(packed);
    const example = (text) => `<button type="button" class="live-example">${escape(text)}</button>`;
    return `<form class="live-controls live-ask" autocomplete="off" hidden><label>${kind.question} <textarea name="text" rows="2" dir="auto">${escape(kind.examples[0])}</textarea></label>`
      + `<div class="live-examples" role="group" aria-label="Examples">${kind.examples.map(example).join("")}</div>${kind.fields()}`
      + `<span class="live-buttons"><button type="button" class="live-load">Load the model (${size(packed.bytes)})</button><progress max="1" value="0" hidden aria-label="Loading"></progress></span></form>`
      + `<p class="live-status" role="status"></p><p class="live-text live-written" dir="auto" hidden></p><div class="live-output">${output}</div><div class="live-worked">${more}</div>`
      + `<p>The weights take ${bits} bits each here, ${size(bytes)} in all.${difference ? ` Over ${plural(difference.all, "piece")} of this book's prose ${difference.largest
        ? `the largest change of a probability that this makes is ${difference.largest.toPrecision(1)}; the most probable answer stays the same in ${difference.same}`
        : "this changes no probability: the chapter's own are stored so"}.` : ""}</p>`;
  }

  // The files of a model: with a bar over http, or as one script where the page was opened as a file.
  async function fetchModel(name, tell) {
    const at = new URL(`models/${name}/`, live.base).href;
    const lost = () => new Error("The weights did not arrive. Look at the connection, and press the button again.");
    const ending = new AbortController();
    let config, tokenizer, buffer, timer;
    const wait = () => { // from now on, as long as a line may be silent
      clearTimeout(timer);
      timer = setTimeout(() => ending.abort(), live.answers.patience);
    };
    if (location.protocol === "file:") {
      await new Promise((resolve, reject) => {
        const script = Object.assign(document.createElement("script"), { src: at + "model.js", onload: resolve, onerror: () => reject(lost()) });
        document.head.append(script);
      });
      ({ config, tokenizer } = live.files[name]);
      buffer = Uint8Array.from(atob(live.files[name].weights), (c) => c.charCodeAt(0)).buffer;
    } else {
      const get = async (file) => {
        wait();
        const response = await fetch(at + file, { signal: ending.signal }).catch(() => { throw lost(); });
        if (!response.ok) throw lost();
        return response;
      };
      config = await (await get("config.json")).json().catch(() => { throw lost(); });
      tokenizer = await (await get("tokenizer.json")).json().catch(() => { throw lost(); });
      const reader = (await get("model.safetensors")).body.getReader(), chunks = [];
      if (!config?.live) throw lost();
      let got = 0;
      for (;;) {
        const { done, value } = await reader.read().catch(() => { throw lost(); });
        if (done) break;
        wait();
        chunks.push(value);
        tell((got += value.length) / config.live.bytes);
      }
      clearTimeout(timer);
      const bytes = new Uint8Array(got);
      chunks.reduce((at, chunk) => (bytes.set(chunk, at), at + chunk.length), 0);
      buffer = bytes.buffer;
    }
    try {
      return { config, tokenizer: new live.Tokenizer(tokenizer), model: live.build(config, live.readSafetensors(buffer)) };
    } catch (error) {
      throw error.constructor === Error ? error : lost(); // the line gave some other files
    }
  }

  function attach(name, element) {
    const form = element.querySelector("form");
    if (!form) return;
    const kind = KINDS[name], output = element.querySelector(".live-output"), status = element.querySelector(".live-status");
    const written = element.querySelector(".live-written"), go = form.querySelector(".live-go"), stop = form.querySelector(".live-stop");
    const load = form.querySelector(".live-load"), progress = form.querySelector("progress"), text = form.elements.text;
    const chosen = {};
    let packed = null, running = false, texts = 0;
    const say = (sentence) => (status.textContent = sentence);
    const answer = () => {
      if (!packed) {
        if (!load.disabled) say("Load the model to ask this.");
        return;
      }
      const began = performance.now();
      const answered = kind.answer(packed, text.value, chosen, form);
      live.replace(output, answered.html);
      if (answered.maps) view(output, packed, answered, chosen);
      if (!running) say(`Computed here in ${Math.max(1, Math.round(performance.now() - began))} ms.`);
    };

    load.addEventListener("click", async () => {
      load.disabled = true;
      progress.hidden = false;
      say("Loading …");
      try {
        const arrived = await fetchModel(element.dataset.model, (share) => (progress.value = share));
        if (arrived.config.model !== kind.kind) throw new Error("The files hold another kind of model.");
        packed = arrived;
        go.disabled = false;
        load.hidden = true;
        element.querySelector(".live-worked").hidden = true;
        text.focus();
        answer();
      } catch (error) {
        load.disabled = false;
        if (document.activeElement === document.body) load.focus();
        say(error.message);
      }
      progress.hidden = true;
    });

    const write = async () => {
      const own = ++texts, choice = { ...choiceOf(form), max_new_tokens: Number(form.elements.max_new_tokens.value), seed: Number(form.elements.seed.value) >>> 0 };
      const prompt = text.value, began = performance.now();
      written.hidden = false;
      written.replaceChildren(Object.assign(document.createElement("b"), { textContent: last(prompt, 2000) }));
      stop.disabled = false;
      running = true;
      let count = 0, turn = performance.now();
      const pieces = live.generate(packed.model, packed.tokenizer, endOf(prompt), choice);
      let next = pieces.next();
      for (; !next.done && texts === own && running; next = pieces.next()) {
        written.append(next.value.piece);
        count++;
        if (performance.now() - turn > 16) {
          await new Promise((resolve) => setTimeout(resolve));
          turn = performance.now();
        }
      }
      const seconds = (performance.now() - began) / 1000;
      if (texts !== own) return; // another text has begun
      say(told(count, seconds, next.done && next.value, !running));
      running = false;
      if (document.activeElement === stop) go.focus();
      stop.disabled = true;
    };

    let waiting;
    form.hidden = false;
    form.reset();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!packed) return;
      clearTimeout(waiting);
      delete chosen.token;
      answer();
      if (stop) write();
    });
    stop?.addEventListener("click", () => (running = false));
    form.addEventListener("input", (event) => {
      if (event.target.type === "range") event.target.nextElementSibling.textContent = event.target.value;
      clearTimeout(waiting);
      waiting = setTimeout(answer, 150);
    });
    element.addEventListener("click", (event) => {
      const example = event.target.closest(".live-example");
      if (!example) return;
      text.value = example.textContent;
      delete chosen.token;
      answer();
    });
  }

  live.answers = { KINDS, html, attach, compare, classified, predicted, fetchModel, told, first, last, patience: 20_000 };
});
