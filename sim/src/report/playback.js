"use strict";
(() => {
  const run = JSON.parse(document.getElementById("recording").textContent);
  const by = (id) => document.getElementById(id);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const n = run.operators, hosts = run.ids.length;
  // A mark is on its way for so many seconds of whoever watches, whatever the speed: real ones
  // take milliseconds, which nobody sees.
  const FLIGHT = 0.7, MARKS = 240;
  const SVG = "http://www.w3.org/2000/svg";
  const make = (name, attributes, parent) => {
    const it = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) it.setAttribute(key, value);
    return parent.appendChild(it);
  };
  const text = (name, said, parent) => {
    const it = document.createElement(name);
    it.textContent = said;
    return parent.appendChild(it);
  };
  const said = (t) => t.toFixed(t < 100 ? 2 : 1) + " s";
  // How many of a list sorted by time (its first member, or as `of` says) are at or before a time.
  const until = (list, time, of = (it) => it[0]) => {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (of(list[middle]) <= time) low = middle + 1; else high = middle;
    }
    return low;
  };
  const last = (list, time) => list[until(list, time) - 1];
  const grid = (make) => Array.from({ length: n }, (_, a) => Array.from({ length: n }, (_, b) => make(a, b)));

  // 0, 1, 2, 5 as "0–2, 5".
  const ranges = (numbers) => {
    const spans = [];
    for (const it of numbers) {
      const span = spans[spans.length - 1];
      if (span && span[1] === it - 1) span[1] = it; else spans.push([it, it]);
    }
    return spans.map(([from, to]) => from === to ? `${from}` : `${from}–${to}`).join(", ");
  };

  // By pair and by host, what there is to look up.
  const spans = grid(() => []), known = grid(() => []), newest = Array.from({ length: n }, () => []);
  for (const [a, b, state, from] of run.links) spans[a][b].push([from, state]);
  for (const [time, holder, signer, seq] of run.known) {
    known[holder][signer].push([time, seq]);
    if (seq === null) continue;
    const top = newest[signer], before = top.length ? top[top.length - 1][1] : -1;
    if (seq > before) top.push([time, seq]);
  }
  const states = Array.from({ length: hosts }, () => []);
  for (const [time, host, runs, where] of run.hosts) states[host].push([time, runs, where]);
  const linked = (a, b, time) => {
    const span = last(a < b ? spans[a][b] : spans[b][a], time);
    return span ? span[1] : "apart";
  };

  // The ring: where an id is among all ids, moved apart where labels would cover each other.
  const angles = (() => {
    const order = run.ids.map((id, host) => [parseInt(id.slice(0, 12), 16) / 2 ** 48, host]).sort((x, y) => x[0] - y[0]);
    const gap = Math.min(0.075, 0.8 / hosts), at = order.map((it) => it[0]);
    for (let round = 0; round < 300; round++) {
      let moved = false;
      for (let i = 0; i < at.length && at.length > 1; i++) {
        const j = (i + 1) % at.length;
        const apart = at[j] - at[i] + (j ? 0 : 1);
        if (apart < gap - 1e-6) {
          const push = (gap - apart) / 2;
          at[i] -= push; at[j] += push; moved = true;
        }
      }
      if (!moved) break;
    }
    const found = [];
    order.forEach(([, host], i) => { found[host] = at[i] * 2 * Math.PI - Math.PI / 2; });
    return found;
  })();
  const RADIUS = 112;
  const place = angles.map((angle) => [RADIUS * Math.cos(angle), RADIUS * Math.sin(angle)]);
  const ring = by("ring");
  make("circle", { class: "circle", r: RADIUS }, ring);
  const lines = [];
  for (let a = 0; a < n; a++) for (let b = a + 1; b < n; b++) {
    const [x1, y1] = place[a], [x2, y2] = place[b];
    const line = make("line", { x1, y1, x2, y2, class: "link apart", id: `link-${a}-${b}` }, ring);
    lines.push([a, b, line]);
  }
  const flying = Array.from({ length: MARKS }, () => make("circle", { r: 2.6, visibility: "hidden" }, ring));
  // Operators last, so that nothing covers them.
  const nodes = [];
  for (const host of [...place.keys()].sort((a, b) => (a < n) - (b < n) || a - b)) {
    const [x, y] = place[host], operator = host < n;
    const group = make("g", { class: operator ? "host" : "host other", id: `host-${host}` }, ring);
    const title = make("title", {}, group);
    make("circle", { class: "node", cx: x, cy: y, r: operator ? 10 : hosts > 60 ? 2.5 : 6 }, group);
    if (operator) make("text", { x, y }, group).textContent = host;
    let note = null;
    if (operator) {
      const out = 1 + 22 / RADIUS;
      note = make("text", { x: x * out, y: y * out, class: "addr" }, group);
      note.style.textAnchor = x > 40 ? "start" : x < -40 ? "end" : "middle";
    }
    nodes[host] = { group, title, note };
  }

  // The matrix.
  const table = by("matrix");
  const head = table.createTHead().insertRow(), body = table.createTBody();
  text("th", "", head);
  const columns = Array.from({ length: n }, (_, b) => { const it = text("th", b, head); it.scope = "col"; return it; });
  const rows = [];
  const cells = grid(() => null);
  for (let a = 0; a < n; a++) {
    const row = body.insertRow(), name = text("th", a, row);
    name.scope = "row";
    rows.push(name);
    for (let b = 0; b < n; b++) {
      const cell = row.insertCell();
      cell.id = `cell-${a}-${b}`;
      cells[a][b] = { cell, letter: text("small", "", cell), seq: cell.appendChild(document.createTextNode("")), shown: "" };
    }
  }

  // Faults, and what was found.
  const faults = run.faults.map(([time, host, words, kind, other]) => ({ time, host, words, kind, other }));
  // Of what is done to many hosts at once, one line is enough.
  const listed = [];
  for (const it of faults) {
    const before = listed[listed.length - 1];
    const plain = it.words === `${it.kind} ${it.host}`;
    if (plain && before && before.together === it.kind && before.time === it.time) {
      before.hosts.push(it.host);
      before.words = `${it.kind} ${ranges(before.hosts)}`;
    } else listed.push({ time: it.time, words: it.words, together: plain ? it.kind : null, hosts: [it.host] });
  }
  if (run.found !== null) listed.push({ time: run.found, words: `${run.verdict}: ${run.finding}`, finding: true });
  listed.sort((x, y) => x.time - y.time);
  const list = by("faults");
  for (const it of listed) {
    it.item = text("li", "", list);
    if (it.finding) it.item.classList.add("finding");
    const button = text("button", "", it.item);
    button.type = "button";
    text("time", said(it.time), button);
    text("span", it.words, button);
    button.addEventListener("click", () => { pause(); seek(it.time); });
  }
  const strip = by("strip");
  strip.setAttribute("viewBox", `0 0 ${run.until} 16`);
  for (const [, , state, from, to] of run.links) {
    if (state === "dead") make("rect", { x: from, width: to - from, y: 9, height: 7, opacity: 0.35 }, strip);
  }
  for (const it of faults) make("path", { d: `M${it.time} 0V8` }, strip);

  // Sides of a partition and one-way cuts hold until the next of their kind.
  const apart = (time) => {
    const side = new Map(), cut = new Set();
    for (const it of faults.slice(0, until(faults, time, (it) => it.time))) {
      if (it.kind === "side") side.set(it.host, it.other);
      if (it.kind === "cut") cut.add(`${it.host} to ${it.other}`);
      if (it.kind === "mend") cut.delete(`${it.host} to ${it.other}`);
    }
    const sides = new Set(side.values());
    const away = [...side].filter(([, of]) => of !== 0).map(([host, of]) => `${host} on side ${of}`);
    return (sides.size && away.length ? ` · partition: ${away.join(", ")}` : "") + (cut.size ? ` · cut: ${[...cut].join(", ")}` : "");
  };

  let now = 0, playing = false, before = null, followed = -1;
  const slider = by("time"), clock = by("clock"), speed = by("speed"), player = by("player");
  slider.max = run.until;
  // So fast that all of it takes two minutes at most, if it can.
  const fast = [...speed.options].find((it) => run.until / Number(it.value) <= 120);
  speed.value = (fast || speed.options[speed.options.length - 1]).value;
  const status = text("p", "", by("keys").parentNode);
  status.className = "facts";
  status.id = "status";
  by("keys").before(status);

  const drawLinks = () => {
    for (const [a, b, line] of lines) {
      const name = `link ${linked(a, b, now)}`;
      if (line.getAttribute("class") !== name) line.setAttribute("class", name);
    }
  };
  const drawMatrix = () => {
    for (let a = 0; a < n; a++) for (let b = 0; b < n; b++) {
      const held = last(known[a][b], now), top = last(newest[b], now);
      const seq = held ? held[1] : null;
      // Numbers may be times of a clock: what counts is how many newer ones there are.
      const behind = seq === null || !top ? null : until(newest[b], now) - until(newest[b], seq, (it) => it[1]);
      const state = a === b ? "own" : linked(a, b, now);
      const it = cells[a][b], mark = behind === null ? "?" : behind > 0 ? `−${behind}` : "✓";
      if (it.shown === state + mark + seq) continue;
      it.shown = state + mark + seq;
      it.cell.className = state;
      it.letter.textContent = a === b ? "" : state[0].toUpperCase();
      it.seq.data = mark;
      it.cell.title = `${a} holds ${seq === null ? "no record" : `record ${seq}`} of ${b}` + (a === b ? "" : `; link ${state}`);
    }
  };
  const drawHosts = () => {
    const near = Math.max(1, Number(speed.value) * 0.5);
    const hit = new Set();
    for (let i = until(faults, now, (it) => it.time) - 1; i >= 0 && faults[i].time > now - near; i--) hit.add(faults[i].host);
    nodes.forEach(({ group, title, note }, host) => {
      const state = last(states[host], now), runs = Boolean(state && state[1]);
      const name = "host" + (host < n ? "" : " other") + (runs ? "" : " off") + (hit.has(host) ? " hit" : "");
      const where = state && state[2], first = where ? where.split(" ")[0] : "not reachable";
      if (group.getAttribute("class") !== name) group.setAttribute("class", name);
      const words = `host ${host}, ${runs ? "running" : "not running"}, ${where ? `at ${where}` : first}, id ${run.ids[host].slice(0, 16)}…`;
      if (title.textContent !== words) title.textContent = words;
      if (note && note.textContent !== first) note.textContent = first;
      if (host < n) { rows[host].classList.toggle("off", !runs); columns[host].classList.toggle("off", !runs); }
    });
  };
  const drawMarks = () => {
    const span = FLIGHT * Number(speed.value);
    const first = until(run.marks, now - span), end = until(run.marks, now);
    // The latest ones if there are too many.
    const from = Math.max(first, end - MARKS);
    for (let i = 0; i < MARKS; i++) {
      const mark = still.matches ? undefined : run.marks[from + i], dot = flying[i];
      if (from + i >= end || !mark) { dot.setAttribute("visibility", "hidden"); continue; }
      const [time, a, b, kind, times] = mark, part = (now - time) / span;
      const [x1, y1] = place[a], [x2, y2] = place[b];
      dot.setAttribute("cx", x1 + (x2 - x1) * part);
      dot.setAttribute("cy", y1 + (y2 - y1) * part);
      dot.setAttribute("r", 2.2 + Math.min(2.5, Math.log2(times) * 0.5));
      dot.setAttribute("class", kind);
      dot.setAttribute("visibility", "visible");
    }
  };
  const drawFaults = () => {
    const past = until(listed, now, (it) => it.time);
    if (past === followed) return;
    followed = past;
    listed.forEach((it, i) => {
      it.item.classList.toggle("past", i < past);
      it.item.classList.toggle("now", i === past - 1);
    });
    const item = past && listed[past - 1].item;
    if (item && !list.contains(document.activeElement)) list.scrollTop = item.offsetTop - list.offsetTop - list.clientHeight / 2;
  };
  const draw = () => {
    slider.value = now;
    slider.setAttribute("aria-valuetext", said(now));
    clock.textContent = `${said(now)} of ${said(run.until)}`;
    drawLinks(); drawMatrix(); drawHosts(); drawMarks(); drawFaults();
    const count = { working: 0, dead: 0, apart: 0 };
    for (const [a, b] of lines) count[linked(a, b, now)]++;
    const words = `links: ${count.working} working, ${count.dead} dead, ${count.apart} apart${apart(now)}`;
    if (status.textContent !== words) status.textContent = words;
  };
  const seek = (time) => { now = Math.min(run.until, Math.max(0, time)); draw(); };
  const show = () => {
    player.classList.toggle("playing", playing);
    by("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  };
  const pause = () => { playing = false; before = null; show(); };
  const step = (at) => {
    if (!playing) return;
    if (before !== null) seek(now + Math.min(0.2, (at - before) / 1000) * Number(speed.value));
    before = at;
    if (now >= run.until) return pause();
    requestAnimationFrame(step);
  };
  const toggle = () => {
    if (playing) return pause();
    if (now >= run.until) now = 0;
    playing = true;
    show();
    requestAnimationFrame(step);
  };
  const jump = (way) => {
    const times = listed.map((it) => it.time).filter((time) => way > 0 ? time > now + 1e-6 : time < now - 1e-6);
    if (times.length) { pause(); seek(way > 0 ? times[0] : times[times.length - 1]); }
  };

  by("play").addEventListener("click", toggle);
  slider.addEventListener("input", () => { pause(); seek(Number(slider.value)); });
  speed.addEventListener("change", draw);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target, busy = on.matches && on.matches("select, summary, button, .scroll, pre");
    const step = event.shiftKey ? 10 : 1;
    if (event.key === " " && !busy) toggle();
    else if (event.key === "ArrowRight" && (!busy || on.matches("button"))) { pause(); seek(now + step); }
    else if (event.key === "ArrowLeft" && (!busy || on.matches("button"))) { pause(); seek(now - step); }
    else if (event.key === "[") jump(-1);
    else if (event.key === "]") jump(1);
    else return;
    event.preventDefault();
  });
  const shown = run.marks.length;
  by("thinned").textContent = `${run.sent} messages were sent between hosts` +
    (shown < run.sent ? `; thinned to ${shown} marks, each for all of one kind between two hosts in a short span (a larger mark for more)` : "") +
    (run.every > 1 ? `, of which about one in ${run.every} is left` : "") +
    `. A mark leaves when it was sent and is on its way for ${FLIGHT} s of yours, whether it arrived or was lost` +
    (still.matches ? "; not shown, because reduced motion is asked for." : ".");
  // Where something has begun to happen, rather than an empty stage.
  seek(run.found !== null ? run.found : Math.min(run.until, (faults.find((it) => it.kind !== "start") || { time: 0 }).time));
})();
