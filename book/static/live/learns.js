// The model learns: a text, a small decoder that trains on it in a worker, and what it writes meanwhile.
((part) => part(live))((live) => {
  "use strict";
  const { escape, digits, percent, glance, map, chart } = live.draw;

  const RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1];
  const TEXTS = { "numbers in words": () => live.counting(), "sums in words": () => live.sums(), "this book": () => live.texts.book };

  const FIXED = ["choice", "text", "num_layers", "embedding_dim", "seed"]; // what a run has from its start to its reset

  // The state of a run as HTML. run: {ready, losses: [[step, loss]], reports, chosen, still}
  function show({ ready, losses = [], reports = [], chosen = { layer: 0, head: 0 }, still = false }) {
    if (!ready) return "<p>Nothing has been learned yet.</p>";
    const { sizes, baseline, learned, held, kept, cut, unknown, parameters } = ready, last = reports.at(-1), n = (count) => count.toLocaleString("en");
    const uniform = Math.log(sizes.vocab_size), smooth = [];
    losses.forEach(([step, loss], i) => smooth.push([step, i ? 0.9 * smooth[i - 1][1] + 0.1 * loss : loss]));
    const thin = smooth.filter((_, i) => i % Math.ceil(smooth.length / 300) === 0 || i === smooth.length - 1);
    const behind = last.held - baseline.loss;
    const lines = [
      { name: "training loss, smoothed", kind: "train", points: thin },
      { name: "loss on text kept apart", kind: "held", points: reports.map((r) => [r.step, r.held]) },
      { name: `${baseline.order}-grams (Kneser-Ney): ${digits(baseline.loss)}`, kind: "grams", points: [], level: baseline.loss },
      { name: `knowing nothing: ln ${sizes.vocab_size} = ${digits(uniform)}`, kind: "uniform", points: [], level: uniform },
    ];
    const shown = { layer: Math.min(chosen.layer, last.maps.length - 1), head: Math.min(chosen.head, last.maps[0].length - 1) };
    return `<p>${n(parameters)} parameters, ${n(learned)} characters to learn from, ${n(kept)} kept apart${held < kept ? `, of which the first ${n(held)} are measured` : ""}.`
      + `${cut ? ` The text is longer than the ${n(learned + kept)} characters that are read of it.` : ""}`
      + `${unknown ? ` Only the ${n(sizes.vocab_size - 4)} commonest characters are learned; ${percent(unknown)} of the text are others, each read as &lt;unk&gt;.` : ""}${still ? "" : " Another text, size or seed can be chosen after Reset."}</p>`
      + chart(`Loss in nats per character, step ${last.step}: ${digits(last.held)} on text kept apart, ${digits(Math.abs(behind))} ${behind > 0 ? "above" : "below"} the n-grams`, lines)
      + `<h3>What it writes</h3>` + [...new Set([reports[0], last])].map((r) => `<p class="live-text" dir="auto"><span class="live-when">step ${r.step}</span> <b>${escape(r.sample.prompt)}</b>${escape(r.sample.text)}</p>`).join("")
      + `<h3>Where it looks</h3>` + glance(last.tokens, last.maps, shown, still)
      + `<details data-name="map"><summary>Layer ${shown.layer + 1}, head ${shown.head + 1}, in numbers</summary>${map(`Layer ${shown.layer + 1}, head ${shown.head + 1}, step ${last.step}`, last.tokens, last.maps[shown.layer][shown.head], { hidden: (i, j) => j > i })}</details>`;
  }

  // A short run made when the page is built: what it looks like before anyone has pressed a button.
  function example(steps = 150) {
    const lesson = new live.Lesson(live.counting(), {}), losses = [], reports = [lesson.report()];
    while (lesson.done < steps) {
      const loss = lesson.step(3e-3);
      losses.push([lesson.done, loss]);
      if (lesson.done % 25 === 0) reports.push(lesson.report());
    }
    const { sizes, parameters, learned, held, kept } = lesson;
    return { ready: { sizes, parameters, learned: learned.length, held: held.length, kept, baseline: lesson.baseline() }, losses, reports, still: true };
  }

  function html() {
    const options = (values, chosen) => values.map((v) => `<option${v === chosen ? " selected" : ""}>${v}</option>`).join("");
    return `<form class="live-controls live-ask" autocomplete="off" hidden><label>Text to learn <select name="choice">${options([...Object.keys(TEXTS), "my own"], "numbers in words")}</select></label>`
      + `<label class="live-own" hidden>Your text <textarea name="text" rows="5" dir="auto" maxlength="1000000"></textarea></label>`
      + `<label>Layers <select name="num_layers">${options(["1", "2"], "1")}</select></label><label>Width <select name="embedding_dim">${options(["32", "64"], "32")}</select></label>`
      + `<label>Seed <input type="number" name="seed" value="0" min="0" max="4294967295"></label>`
      + `<label>Learning rate <input type="range" name="rate" min="0" max="${RATES.length - 1}" step="1" value="3"> <output>${RATES[3]}</output></label>`
      + `<span class="live-buttons"><button type="submit" class="live-run">Start</button><button type="button" class="live-pause" disabled>Pause</button>`
      + `<button type="button" class="live-step" disabled>One step</button><button type="button" class="live-reset" disabled>Reset</button></span></form>`
      + `<p class="live-status" role="status"></p><div class="live-output"><p>A run of 150 steps on the numbers from zero to nine hundred and ninety-nine in words, made when this page was built:</p>${show(example())}</div>`;
  }

  // All computing parts of the page as one script: a worker of a page that was opened as a file may load no other.
  function worker() {
    const source = `"use strict"; globalThis.live = {parts: []};\n${live.parts.map((part) => `(${part})(live);`).join("\n")}\nlive.work(self);`;
    return new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  }

  // The state of a page is drawn at once, or when the reader has let go: what is replaced under a pointer, a key or a
  // selection loses it.
  function patient(element, draw) {
    let pressed = false, late = false;
    const selected = () => {
      const { isCollapsed, anchorNode } = document.getSelection();
      return !isCollapsed && element.contains(anchorNode);
    };
    const redraw = () => {
      late = pressed || selected();
      if (!late) draw();
    };
    const again = () => late && redraw();
    for (const kind of ["pointerdown", "keydown"]) element.addEventListener(kind, () => (pressed = true));
    for (const kind of ["pointerup", "pointercancel", "keyup", "blur"])
      globalThis.addEventListener(kind, () => {
        pressed = false;
        setTimeout(again); // after the click
      });
    document.addEventListener("selectionchange", again);
    return redraw;
  }

  async function texts() {
    if (live.texts) return;
    await new Promise((resolve, reject) => {
      const script = Object.assign(document.createElement("script"), { src: new URL("text.js", live.base).href, onload: resolve });
      script.onerror = () => reject(new Error("The text did not arrive. Take another one, or try again."));
      document.head.append(script);
    });
  }

  function attach(element) {
    const form = element.querySelector("form"), output = element.querySelector(".live-output"), status = element.querySelector(".live-status");
    const [run, pause, step, reset] = ["run", "pause", "step", "reset"].map((name) => form.querySelector(`.live-${name}`));
    const rate = form.elements.rate, own = form.querySelector(".live-own");
    let helper = null, state = {}, running = false, begun = 0, clock = 0, drawn = 0, first = 0;
    const say = (sentence) => (status.textContent = sentence);
    const draw = () => live.replace(output, show(state)), redraw = patient(output, draw);
    const buttons = () => {
      run.textContent = helper ? "Go on" : "Start";
      const held = document.activeElement; // who presses a button that can no longer be pressed goes on from the next
      run.disabled = running;
      pause.disabled = !running;
      step.disabled = running || !helper;
      reset.disabled = !helper;
      for (const name of FIXED) form.elements[name].disabled = running || !!helper;
      if (held.disabled && form.contains(held)) (running ? pause : run).focus();
    };
    const end = () => {
      helper?.terminate();
      helper = null;
      running = false;
      state = {};
      buttons();
    };
    const heard = ({ data }) => {
      if (data.kind === "error") {
        end();
        say(data.text);
      } else if (data.kind === "ready") {
        state = { ready: data, losses: [], reports: [], chosen: state.chosen };
      } else if (data.kind === "steps") {
        data.losses.forEach((loss, i) => state.losses.push([data.done - data.losses.length + i + 1, loss]));
        if (!clock) [clock, first] = [performance.now(), data.done];
        const seconds = (performance.now() - clock) / 1000, speed = seconds > 0.5 && running ? `, ${Math.round((data.done - first) / seconds)} steps a second` : "";
        say(`Step ${data.done}, loss ${digits(data.losses.at(-1))}${speed}.`);
        if (state.reports.length && performance.now() - drawn > 500) {
          drawn = performance.now();
          redraw();
        }
      } else if (data.kind === "report") {
        if (state.reports.at(-1)?.step !== data.step) state.reports.push(data);
        redraw();
      }
    };
    const start = (choice) => {
      const text = choice === "my own" ? form.elements.text.value : TEXTS[choice]();
      const one = (helper = worker());
      helper.onmessage = (message) => one === helper && heard(message);
      helper.onerror = () => {
        end();
        say("This browser does not let the page compute in the background, so that nothing can be learned here.");
      };
      const settings = { num_layers: Number(form.elements.num_layers.value), embedding_dim: Number(form.elements.embedding_dim.value), seed: Number(form.elements.seed.value) >>> 0 };
      helper.postMessage({ order: "rate", value: RATES[rate.value] });
      helper.postMessage({ order: "start", text, settings });
      say("The text is read, and the n-grams are counted …");
    };
    form.hidden = false;
    form.reset();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const turn = ++begun, choice = form.elements.choice.value;
      try {
        running = true;
        buttons();
        if (!helper && choice === "this book") {
          say("The text is loading …");
          await texts();
          if (turn !== begun) return; // the reader has pressed Pause meanwhile
        }
        if (!helper) start(choice);
        helper.postMessage({ order: "run" });
        clock = 0;
      } catch (error) {
        if (turn !== begun) return;
        end();
        say(error.message);
      }
      buttons();
    });
    pause.addEventListener("click", () => {
      begun++;
      running = false;
      if (helper) helper.postMessage({ order: "pause" });
      else say("Stopped before the text had arrived.");
      buttons();
    });
    step.addEventListener("click", () => helper?.postMessage({ order: "step" }));
    reset.addEventListener("click", () => {
      end();
      say("Reset: the next start begins with new weights, drawn from the seed.");
      output.innerHTML = "<p>Nothing has been learned yet.</p>";
    });
    form.addEventListener("input", () => {
      own.hidden = form.elements.choice.value !== "my own";
      rate.nextElementSibling.textContent = RATES[rate.value];
      helper?.postMessage({ order: "rate", value: RATES[rate.value] });
    });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-layer]");
      if (!button || !state.ready) return;
      state.chosen = { layer: Number(button.dataset.layer), head: Number(button.dataset.head) };
      draw();
    });
  }

  live.learns = { RATES, html, attach, show, example, patient };
});
