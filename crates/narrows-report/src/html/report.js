"use strict";
// Sorting of tables, and the timeline. Reads only what stands in this page; makes no request.

// ---- tables -------------------------------------------------------------------------------
(() => {
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent.trim();
    return text === "-" ? null : text;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table.sort")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      // Numbers: the largest first, as that is what one looks for.
      const first = head.classList.contains("n") ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      const now = was === first ? other : first;
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", now);
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [key(row, column), row]);
      const sign = now === "ascending" ? 1 : -1;
      // What was not measured stays at the end either way.
      rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : sign * compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    }));
  }
})();

// ---- printing -----------------------------------------------------------------------------
(() => {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((d) => { d.open = true; });
  });
  addEventListener("afterprint", () => { opened.forEach((d) => { d.open = false; }); });
})();

// ---- timeline -----------------------------------------------------------------------------
(() => {
  const source = document.getElementById("timeline-data");
  const box = document.getElementById("timeline");
  if (!source || !box) return;
  const data = JSON.parse(source.textContent);
  const said = document.getElementById("timeline-said");
  const canvas = box.querySelector("canvas");
  const context = canvas.getContext("2d");
  const NOTHING = 255, ROW = 40, BAR = 22, TOP = 34, SHORTEST = 200;

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const lanes = data.lanes.map((lane) => {
    let at = data.exact ? data.exact[0] : 0;
    const exact = lane.exact.map(([gap, length, state, owner]) => {
      const start = at + gap;
      at = start + length;
      return { start, end: at, state, owner: owner ? lane.owners[owner - 1] : null };
    });
    return { name: lane.name, kind: lane.kind, levels: lane.levels.map(bytes), exact };
  });

  let view = { from: 0, to: data.length };
  let chosen = null; // { lane, time } under the pointer or the keyboard
  let colours = {};

  const time = (ns) => {
    const [value, unit] = ns >= 1e9 ? [ns / 1e9, "s"] : ns >= 1e6 ? [ns / 1e6, "ms"] : ns >= 1e3 ? [ns / 1e3, "us"] : [ns, "ns"];
    return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`;
  };
  const instant = (ns, span) => {
    // As many digits as tell the ends of the view apart.
    const [divisor, unit] = data.length >= 1e9 ? [1e9, "s"] : data.length >= 1e6 ? [1e6, "ms"] : [1e3, "us"];
    const digits = Math.max(0, Math.min(9, Math.ceil(-Math.log10(span / divisor / 20))));
    return `${(ns / divisor).toFixed(digits)} ${unit}`;
  };
  const readColours = () => {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["app", "interpreter", "framework", "library", "runtime", "driver", "kernel", "gpu", "scheduler", "unseen", "paper", "ink", "soft", "line", "shade", "link"]) {
      colours[name] = style.getPropertyValue("--" + name).trim();
    }
  };
  const paint = (state) => {
    const [layer, what] = data.states[state] || ["app", "running"];
    // Waits that are no contention (joins, sleeps, idle workers) must not look like it.
    const alpha = what === "running" ? (layer === "gpu" ? 0.9 : 0.38) : what === "other waits" ? 0.2 : 1;
    return [colours[layer] || colours.app, alpha];
  };

  const setView = (from, to, keepHash) => {
    let span = Math.min(data.length, Math.max(SHORTEST, to - from));
    from = Math.max(0, Math.min(data.length - span, from));
    view = { from, to: from + span };
    box.dataset.from = Math.round(view.from);
    box.dataset.to = Math.round(view.to);
    draw();
    say();
    if (!keepHash) {
      clearTimeout(setView.later);
      setView.later = setTimeout(() => history.replaceState(null, "", `#t=${box.dataset.from},${box.dataset.to}`), 300);
    }
  };
  const zoom = (factor, around) => {
    const span = (view.to - view.from) * factor;
    const part = (around - view.from) / (view.to - view.from);
    setView(around - span * part, around - span * part + span);
  };
  const middle = () => (view.from + view.to) / 2;

  // The finest level whose bins are not narrower than a pixel; exact states where all of the view has them.
  const level = (width) => {
    const pixel = (view.to - view.from) / width;
    for (let i = data.bins.length - 1; i > 0; i--) if (data.bins[i] >= pixel) return i;
    return 0;
  };
  const isExact = () => data.exact && view.from < data.exact[1] && view.to > data.exact[0]
    && view.to - view.from <= 2 * (data.exact[1] - data.exact[0]);

  function draw() {
    const width = box.clientWidth, height = TOP + lanes.length * ROW + 4;
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = `${height}px`;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, width, height);
    const x = (ns) => (ns - view.from) / (view.to - view.from) * width;
    axis(width, height, x);
    const at = level(width), exact = isExact();
    lanes.forEach((lane, i) => {
      const y = TOP + i * ROW;
      context.fillStyle = colours.ink;
      context.globalAlpha = 1;
      context.font = "12px system-ui, sans-serif";
      context.fillText(lane.name + (lane.kind === "ops" ? "" : lane.kind === "device" ? "" : " (does no ops)"), 4, y + 11);
      context.fillStyle = colours.shade;
      context.fillRect(0, y + 15, width, BAR);
      if (!(exact && lane.exact.length && drawExact(lane, y + 15, x, width))) drawBins(lane, at, y + 15, x, width);
      if (chosen && chosen.lane === i && document.activeElement === box) {
        context.globalAlpha = 1;
        context.strokeStyle = colours.link;
        context.lineWidth = 2;
        context.strokeRect(1, y + 14, width - 2, BAR + 2);
      }
    });
    if (chosen) {
      context.globalAlpha = 0.8;
      context.fillStyle = colours.link;
      context.fillRect(x(chosen.time), TOP - 4, 1, height);
    }
    context.globalAlpha = 1;
    box.dataset.drawn = exact ? "exact" : `level ${at}`;
  }
  function axis(width, height, x) {
    const shade = (range, colour, alpha) => {
      if (!range) return;
      context.globalAlpha = alpha;
      context.fillStyle = colour;
      const from = Math.max(0, x(range[0])), to = Math.min(width, x(range[1]));
      if (to > from) context.fillRect(from, 0, to - from, 6);
    };
    shade(data.window, colours.gpu, 0.6);
    shade(data.exact, colours.link, 0.9);
    context.globalAlpha = 1;
    const span = view.to - view.from;
    const raw = span / Math.max(2, width / 130), power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw);
    context.font = "11px system-ui, sans-serif";
    for (let t = Math.ceil(view.from / step) * step; t < view.to; t += step) {
      context.fillStyle = colours.line;
      context.fillRect(x(t), 10, 1, height);
      context.fillStyle = colours.soft;
      const text = instant(t, span);
      if (x(t) + context.measureText(text).width + 4 < width) context.fillText(text, x(t) + 3, 24);
    }
  }
  function block(state, left, right, y, part) {
    const [colour, alpha] = paint(state);
    context.fillStyle = colour;
    context.globalAlpha = alpha;
    const height = Math.max(1, BAR * part);
    context.fillRect(left, y - height, Math.max(0.6, right - left), height);
    return height;
  }
  function drawBins(lane, at, y, x, width) {
    const bins = lane.levels[at], span = data.bins[at];
    const first = Math.max(0, Math.floor(view.from / span)), last = Math.min(bins.length / 4, Math.ceil(view.to / span));
    for (let i = first; i < last; i++) {
      const left = Math.max(0, x(i * span)), right = Math.min(width, x((i + 1) * span));
      let bottom = y + BAR;
      for (const o of [4 * i, 4 * i + 2]) if (bins[o] !== NOTHING) bottom -= block(bins[o], left, right, bottom, bins[o + 1] / 255);
    }
  }
  // Bins outside the exact stretch, the states themselves inside it.
  function drawExact(lane, y, x, width) {
    const left = x(data.exact[0]), right = x(data.exact[1]);
    if (left > 0 || right < width) drawBins(lane, data.bins.length - 1, y, x, width);
    context.globalAlpha = 1;
    context.fillStyle = colours.shade;
    context.fillRect(Math.max(0, left), y, Math.min(width, right) - Math.max(0, left), BAR);
    for (const s of lane.exact) {
      if (s.end < view.from || s.start > view.to) continue;
      block(s.state, Math.max(0, x(s.start)), Math.min(width, x(s.end)), y + BAR, 1);
    }
    return true;
  }

  const words = (state) => {
    const [layer, what, place] = data.states[state];
    return `${layer}, ${what}${place ? `, ${place}` : ""}`;
  };
  function say() {
    const range = `${instant(view.from, view.to - view.from)} to ${instant(view.to, view.to - view.from)} (${time(view.to - view.from)}).`;
    if (!chosen || !lanes[chosen.lane]) { said.textContent = range; return; }
    const lane = lanes[chosen.lane], t = chosen.time;
    const head = `${range} ${lane.name} at ${instant(t, view.to - view.from)}: `;
    if (isExact() && lane.exact.length && t >= data.exact[0] && t < data.exact[1]) {
      const s = lane.exact.find((e) => e.start <= t && t < e.end);
      said.textContent = head + (s ? `${words(s.state)}, ${time(s.end - s.start)}${s.owner ? `, held by ${s.owner}` : ""}.` : "outside recorded calls.");
      return;
    }
    const at = level(box.clientWidth), bins = lane.levels[at], i = 4 * Math.floor(t / data.bins[at]);
    const parts = [];
    for (const o of [i, i + 2]) if (o + 1 < bins.length && bins[o] !== NOTHING) parts.push(`${Math.round(bins[o + 1] / 2.55)} % ${words(bins[o])}`);
    said.textContent = head + (parts.length ? `${parts.join("; ")}; of ${time(data.bins[at])}.` : "nothing recorded.");
  }

  const place = (event) => {
    const area = canvas.getBoundingClientRect();
    return { time: view.from + (event.clientX - area.left) / area.width * (view.to - view.from), lane: Math.floor((event.clientY - area.top - TOP) / ROW) };
  };
  box.addEventListener("wheel", (event) => {
    event.preventDefault();
    const wide = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (wide || event.shiftKey) {
      const move = (wide ? event.deltaX : event.deltaY) / box.clientWidth * (view.to - view.from);
      setView(view.from + move, view.to + move);
    } else {
      zoom(Math.exp(Math.max(-300, Math.min(300, event.deltaY)) / 300), place(event).time);
    }
  }, { passive: false });

  const pointers = new Map();
  box.addEventListener("pointerdown", (event) => { pointers.set(event.pointerId, event.clientX); box.setPointerCapture(event.pointerId); });
  const lift = (event) => pointers.delete(event.pointerId);
  box.addEventListener("pointerup", lift);
  box.addEventListener("pointercancel", lift);
  box.addEventListener("pointerleave", () => { if (!pointers.size && document.activeElement !== box) { chosen = null; draw(); say(); } });
  box.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) {
      const { time: t, lane } = place(event);
      chosen = lane >= 0 && lane < lanes.length ? { lane, time: t } : null;
      draw();
      say();
      return;
    }
    const others = [...pointers].filter(([id]) => id !== event.pointerId);
    pointers.set(event.pointerId, event.clientX);
    const perPixel = (view.to - view.from) / box.clientWidth;
    if (others.length) {
      const still = others[0][1], was = Math.abs(before - still), now = Math.abs(event.clientX - still);
      if (was > 5 && now > 5) zoom(was / now, view.from + (still - canvas.getBoundingClientRect().left) * perPixel);
    } else {
      const move = (before - event.clientX) * perPixel;
      setView(view.from + move, view.to + move);
    }
  });

  const step = (part) => setView(view.from + part * (view.to - view.from), view.to + part * (view.to - view.from));
  const select = (by) => {
    const lane = chosen ? Math.max(0, Math.min(lanes.length - 1, chosen.lane + by)) : 0;
    chosen = { lane, time: chosen && chosen.time >= view.from && chosen.time <= view.to ? chosen.time : middle() };
    draw();
    say();
  };
  const actions = {
    in: () => zoom(0.5, middle()), out: () => zoom(2, middle()), left: () => step(-0.25), right: () => step(0.25),
    all: () => setView(0, data.length),
    window: () => data.window && setView(...data.window),
    exact: () => data.exact && setView(...data.exact),
  };
  const keys = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", Home: "all" };
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowUp" || event.key === "ArrowDown") select(event.key === "ArrowUp" ? -1 : 1);
    else if (keys[event.key]) { actions[keys[event.key]](); if (chosen) { chosen.time = middle(); draw(); say(); } }
    else return;
    event.preventDefault();
  });
  box.addEventListener("focus", () => select(0));
  box.addEventListener("blur", () => { chosen = null; draw(); say(); });
  for (const button of document.querySelectorAll("#timeline-figure button")) {
    const action = button.dataset.do;
    if ((action === "window" && !data.window) || (action === "exact" && !data.exact)) button.hidden = true;
    button.addEventListener("click", actions[action]);
  }

  const fromHash = () => {
    const found = /^#t=(\d+),(\d+)$/.exec(location.hash);
    if (found && Number(found[2]) > Number(found[1])) setView(Number(found[1]), Number(found[2]), true);
    return !!found;
  };
  const redraw = () => { readColours(); draw(); };
  addEventListener("hashchange", fromHash);
  new ResizeObserver(redraw).observe(box);
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", redraw);
  addEventListener("beforeprint", redraw);
  readColours();
  if (!fromHash()) {
    // The part in which all threads work, with a little around it.
    const [from, to] = data.window || [0, data.length];
    const margin = (to - from) * 0.03;
    setView(from - margin, to + margin, true);
  }
  say();
})();
