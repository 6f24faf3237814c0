"use strict";
// What a reader can do: move, zoom, point, pin, search, choose.

const element = id => document.getElementById(id);
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// ---- the heading --------------------------------------------------------------------------------------

element("title").textContent = data.title;
const facts = Object.entries(data.facts || {});
if (data.left_out) facts.push(["left out", `${data.left_out.toLocaleString("en")} older events`]);
if (data.again) facts.push(["again", data.again]);
element("facts").append(...facts.map(([name, text]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: text }))));
if (verdict) {
  const [first, ...rest] = verdict.text.split("\n");
  element("verdict").hidden = false;
  element("judge").textContent = `${verdict.judge} is broken`;
  element("reason").textContent = first;
  element("witness").hidden = !rest.length;
  element("witness").textContent = rest.join("\n").replace(/(\S) {3,}/g, "$1  ");
  element("look").onclick = lookAtVerdict;
}

// ---- moving and zooming -------------------------------------------------------------------------------

const LEAST = steps ? 4 : 20;
function show(from, to) {
  const most = (end - begin) * 1.04, length = Math.max(LEAST, Math.min(to - from, most));
  const low = begin - most * 0.02, high = begin + most * 0.99 - length;
  view.from = Math.max(low, Math.min((from + to - length) / 2, Math.max(low, high)));
  view.to = view.from + length;
  paintSoon(); listSoon();
}
function zoom(factor, around = (view.from + view.to) / 2) {
  const length = Math.max(LEAST, Math.min((view.to - view.from) * factor, (end - begin) * 1.04)), part = (around - view.from) / (view.to - view.from);
  show(around - part * length, around + (1 - part) * length);
}
const slide = part => show(view.from + part * (view.to - view.from), view.to + part * (view.to - view.from));
const showAll = () => show(begin - (end - begin) * 0.02, end + (end - begin) * 0.02);
function centre(event) {
  const length = view.to - view.from, reach = latest(event) - event.time;
  const wide = Math.max(Math.min(length, (end - begin) / 8), reach * 1.6, usualDelay * 6), middle = event.time + Math.min(reach, wide) / 2;
  show(middle - wide / 2, middle + wide / 2);
  if (event.lane >= 0 && view.tall > view.height) { view.scroll = Math.max(0, Math.min(view.tall - view.height, places[event.lane].middle - view.height / 2)); layOut(); }
}
function lookAtVerdict() {
  const marked = data.events.filter(event => event.marked);
  if (marked.length) {
    const from = Math.min(...marked.map(e => e.time)), to = Math.max(...marked.map(e => (e.until < 0 ? e.time : e.until)));
    const pad = Math.max((to - from) * 0.12, usualDelay * 3);
    show(from - pad, to + pad);
  } else {
    const near = shapes.message.filter(e => e.time <= verdict.time && wanted(e)).slice(-60);
    const length = Math.max(verdict.time - (near.length ? near[0].time : begin), usualDelay * 8);
    show(verdict.time - length * 0.86, verdict.time + length * 0.14);
  }
  const lane = verdict.lane >= 0 ? verdict.lane : marked.length ? marked[0].lane : -1;
  if (lane >= 0 && view.tall > view.height) { view.scroll = places[lane].middle - view.height / 2; layOut(); }
}

canvas.addEventListener("wheel", event => {
  event.preventDefault();
  const box = canvas.getBoundingClientRect();
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) slide((event.deltaX || event.deltaY) / view.width);
  else zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.006), timeAt(event.clientX - box.left));
}, { passive: false });
let drag = null;
canvas.addEventListener("pointerdown", event => {
  drag = { x: event.clientX, y: event.clientY, from: view.from, to: view.to, scroll: view.scroll, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", event => {
  const box = canvas.getBoundingClientRect();
  if (!drag) { pointAt(event.clientX - box.left, event.clientY - box.top); return; }
  const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
  if (!drag.moved && Math.hypot(dx, dy) < 4) return;
  drag.moved = true; canvas.classList.add("moving"); hideTip();
  const shift = (dx / (view.width - LEFT - RIGHT)) * (drag.to - drag.from);
  if (view.tall > view.height) { view.scroll = drag.scroll - dy; layOut(); }
  show(drag.from - shift, drag.to - shift);
});
canvas.addEventListener("pointerup", event => {
  const box = canvas.getBoundingClientRect();
  if (drag && !drag.moved) pin(under(event.clientX - box.left, event.clientY - box.top));
  drag = null; canvas.classList.remove("moving");
});
canvas.addEventListener("pointerleave", () => { hovered = null; hideTip(); paintSoon(); });
function along(event) {
  const box = strip.getBoundingClientRect(), middle = begin + ((event.clientX - box.left) / box.width) * (end - begin), half = (view.to - view.from) / 2;
  show(middle - half, middle + half);
}
strip.addEventListener("pointerdown", event => { strip.setPointerCapture(event.pointerId); along(event); });
strip.addEventListener("pointermove", event => { if (event.buttons) along(event); });

// ---- pointing and pinning -----------------------------------------------------------------------------

const tip = element("tip");
function hideTip() { tip.hidden = true; }
function pointAt(px, py) {
  const found = px < LEFT - 4 ? null : under(px, py);
  canvas.classList.toggle("over", Boolean(found));
  if (found !== hovered) { hovered = found; paintSoon(); }
  if (!found) { hideTip(); return; }
  tip.replaceChildren(...describe(found));
  tip.hidden = false;
  const wide = tip.offsetWidth, tall = tip.offsetHeight;
  tip.style.left = Math.min(px + 14, view.width - wide - 8) + "px";
  tip.style.top = (py + 18 + tall > view.height ? Math.max(4, py - tall - 12) : py + 18) + "px";
}
function describe(event) {
  const where = event.to >= 0 ? `${laneName(event.lane)} → ${laneName(event.to)}` : event.lane >= 0 ? laneName(event.lane) : "";
  const about = event.group >= 0 ? ` · group ${event.group}${groups[event.group] ? " " + groups[event.group] : ""}` : "";
  const title = event.shape === "leadership" ? `${ROLES[event.kind] || event.kind} in epoch ${event.epoch}` : event.shape === "count" ? `committed ${event.index}` : event.kind;
  const parts = [make("b", { textContent: title }), make("span", { className: "where", textContent: where + about }), make("br")];
  let when = sayTime(event.time);
  if (event.until >= 0 && event.until !== event.time) when += ` … ${sayTime(event.until)} (${sayLength(event.until - event.time)})`;
  parts.push(make("span", { className: "when", textContent: when }));
  if (event.fate) parts.push(" ", make("em", { textContent: event.fate === "ok" ? "" : event.fate }));
  if (event.text) parts.push(make("code", { textContent: event.text }));
  return parts;
}
function pin(event) {
  pinned = event === pinned ? null : event;
  past = pinned && ["message", "point", "span"].includes(pinned.shape) && shapes.message.length ? pastOf(pinned) : null;
  paintSoon(); listNow();
}

// ---- the list -----------------------------------------------------------------------------------------

const list = element("list"), LISTED = 250;
let listing = 0;
function listSoon() { clearTimeout(listing); listing = setTimeout(listNow, 90); paintOverviewSoon(); }
let overviewQueued = false;
function paintOverviewSoon() {
  if (!overviewQueued) { overviewQueued = true; requestAnimationFrame(() => { overviewQueued = false; paintOverview(); }); }
}
function listNow() {
  clearTimeout(listing);
  const from = hits ? begin : view.from, to = hits ? end : view.to, found = [];
  let many = 0;
  for (const event of data.events) {
    if (event.shape === "leadership" && event.kind === "follower") continue;
    if (event.shape === "count" || event.time < from || event.time > to) continue;
    if (hits ? !hits.has(event.number) : !wanted(event) || (past && event.shape === "message" && !past.messages.has(event.number))) continue;
    many++;
    if (found.length < LISTED) found.push(event);
  }
  element("listed").textContent = hits ? `${many} found` : past ? `Its past, in view: ${many} events` : `In view: ${many} events${many > LISTED ? `, the first ${LISTED}` : ""}`;
  list.replaceChildren(...(found.length ? found.map(row) : [make("li", { className: "none", textContent: hits ? "Nothing says that." : "Nothing here; zoom out or choose more kinds." })]));
  const chosen = list.querySelector(".pinned");
  if (chosen) chosen.scrollIntoView({ block: "nearest" });
}
function row(event) {
  const who = event.lane < 0 ? "" : event.to >= 0 ? `${laneName(event.lane)} → ${laneName(event.to)}` : laneName(event.lane);
  const what = event.shape === "leadership" ? `${ROLES[event.kind] || event.kind}, epoch ${event.epoch}` : event.kind;
  const bad = event.fate && event.fate !== "ok" ? make("span", { className: "fate", textContent: ` ${event.fate}` }) : "";
  const made = make("li", { onclick: () => { if (pinned !== event) pin(event); centre(event); }, onmouseenter: () => { hovered = event; paintSoon(); } },
    make("time", { textContent: steps ? String(event.time) : (event.time / 1e6).toFixed(5) }),
    make("span", {}, make("span", { className: "what", textContent: what + " " }), make("span", { className: "who", textContent: who }), bad));
  if (event.text) made.append(make("span", { className: "text", textContent: event.text }));
  made.style.setProperty("--hue", event.shape === "band" ? "var(--fault)" : event.shape === "leadership" ? epochColour(event.epoch) : ink[event.family] ? `var(--${event.family === "call" ? "call-ink" : event.family})` : "var(--call-ink)");
  if (event === pinned) made.className = "pinned";
  if (event.marked) made.classList.add("wrong");
  return made;
}

// ---- choosing and searching ---------------------------------------------------------------------------

function chips() {
  if (named.length > 1) {
    const choices = [[-1, "all groups"], ...named.map(number => [number, `${number} ${groups[number]}`])];
    element("groups").replaceChildren(...choices.map(([number, name]) => {
      const chip = make("button", { className: "chip", textContent: name, onclick: () => { group = number; layOut(); chips(); paintSoon(); listNow(); paintOverview(); } });
      chip.setAttribute("aria-pressed", group === number);
      return chip;
    }));
  }
  element("families").replaceChildren(...[...families].map(([name, count]) => {
    const chip = make("button", { className: "chip" }, make("i"), NAMES[name] || name, make("b", { textContent: count.toLocaleString("en") }));
    chip.onclick = event => {
      if (event.altKey) for (const each of shown.keys()) shown.set(each, each === name);
      else shown.set(name, !shown.get(name));
      chips(); paintSoon(); listNow();
    };
    chip.title = "Alt-click: only this";
    chip.style.setProperty("--hue", ink[name] ? `var(--${name === "call" ? "call-ink" : name})` : "var(--call-ink)");
    chip.setAttribute("aria-pressed", shown.get(name));
    return chip;
  }));
}
const box = element("search");
let order = [], at = -1;
box.addEventListener("input", () => {
  const words = box.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  hits = words.length ? new Set(data.events.filter(e => words.every(word => searchable(e).includes(word))).map(e => e.number)) : null;
  order = hits ? [...hits] : []; at = -1;
  element("hits").textContent = hits ? order.length : "";
  paintSoon(); listNow(); paintOverview();
});
function nextHit(way) {
  if (!order.length) return;
  at = (at + way + order.length) % order.length;
  element("hits").textContent = `${at + 1}/${order.length}`;
  const event = data.events[order[at]];
  pinned = event; past = null; centre(event); listNow();
}
box.addEventListener("keydown", event => {
  if (event.key === "Enter") { event.preventDefault(); nextHit(event.shiftKey ? -1 : 1); }
  if (event.key === "Escape") { box.value = ""; box.dispatchEvent(new Event("input")); box.blur(); }
});
element("in").onclick = () => zoom(0.5);
element("out").onclick = () => zoom(2);
element("fit").onclick = showAll;
const KEYS = { "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1.6), 0: showAll, v: () => verdict && lookAtVerdict(), n: () => nextHit(1),
  N: () => nextHit(-1), ArrowLeft: () => slide(-0.15), ArrowRight: () => slide(0.15), "/": () => box.focus(), Escape: () => pin(null),
  ArrowUp: () => { view.scroll -= 60; layOut(); paintSoon(); }, ArrowDown: () => { view.scroll += 60; layOut(); paintSoon(); } };
document.addEventListener("keydown", event => {
  if (event.target === box || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = KEYS[event.key];
  if (action) { event.preventDefault(); action(); }
});

// ---- the legend ---------------------------------------------------------------------------------------

const LEGEND = [
  ["leader", () => shapes.leadership.length, p => { p.fillStyle = epochColours[1]; p.fillRect(0, 2, 30, 10); }],
  ["follower; colour is the epoch", () => shapes.leadership.length, p => { p.globalAlpha = 0.6; p.fillStyle = epochColours[1]; p.fillRect(0, 5, 15, 4); p.fillStyle = epochColours[2]; p.fillRect(15, 5, 15, 4); }],
  ["candidate", () => shapes.leadership.some(e => /candidate/.test(e.kind)), p => { p.fillStyle = hatch(epochColours[1], 5); p.fillRect(0, 2, 30, 10); p.strokeStyle = epochColours[1]; p.strokeRect(0.5, 2.5, 29, 9); }],
  ["commit index", () => shapes.count.length, p => { p.strokeStyle = ink.faint; p.beginPath(); p.moveTo(4, 1); p.lineTo(4, 7); p.stroke(); p.fillStyle = ink.soft; p.font = `10px ${ink.sans}`; p.fillText("12", 7, 11); }],
  ["write to disk", () => families.has("disk"), p => { p.fillStyle = ink.disk; p.fillRect(2, 5, 26, 3); }],
  ["message", () => shapes.message.length, p => { p.strokeStyle = ink.log; p.beginPath(); p.moveTo(2, 1); p.lineTo(28, 12); p.stroke(); }],
  ["lost", () => shapes.message.some(e => e.fate === "lost"), p => { p.strokeStyle = ink.log; p.setLineDash([3, 2]); p.beginPath(); p.moveTo(2, 1); p.lineTo(20, 9); p.stroke(); p.setLineDash([]); p.strokeStyle = ink.wrong; p.beginPath(); p.moveTo(18, 6); p.lineTo(24, 12); p.moveTo(24, 6); p.lineTo(18, 12); p.stroke(); }],
  ["down", () => shapes.band.some(e => e.kind === "down"), p => { p.globalAlpha = 0.6; p.fillStyle = hatch(ink.fault); p.fillRect(0, 1, 30, 12); }],
  ["paused, or no room", () => shapes.band.some(e => /paused|full/.test(e.kind)), p => { p.globalAlpha = 0.6; p.fillStyle = hatch(ink.amber); p.fillRect(0, 1, 30, 12); }],
  ["partition", () => shapes.band.some(e => e.lane < 0), p => { p.globalAlpha = 0.08; p.fillStyle = ink.fault; p.fillRect(0, 0, 30, 13); p.globalAlpha = 0.8; p.fillRect(0, 1, 30, 2.5); }],
  ["answered", () => families.has("call") || !shapes.message.length, p => { p.fillStyle = ink.call; p.fillRect(0, 1, 30, 12); }],
  ["nobody knows", () => shapes.span.some(e => e.fate === "info"), p => { p.fillStyle = hatch(ink.amber, 7); p.fillRect(0, 1, 30, 12); p.strokeStyle = ink.amber; p.setLineDash([3, 2]); p.strokeRect(0.5, 1.5, 29, 11); }],
  ["did not happen", () => shapes.span.some(e => e.fate === "fail"), p => { p.fillStyle = ink.panel; p.fillRect(0, 1, 30, 12); p.strokeStyle = ink.faint; p.strokeRect(0.5, 1.5, 29, 11); }],
  ["what is wrong", () => verdict, p => { p.strokeStyle = ink.wrong; p.lineWidth = 2; p.strokeRect(1, 2, 28, 10); }],
];
function paintLegend() {
  const dense = window.devicePixelRatio || 1;
  element("legend").replaceChildren(...LEGEND.filter(([, present]) => present()).map(([name, , draw]) => {
    const sample = make("canvas", { width: 30 * dense, height: 13 * dense }), p = sample.getContext("2d");
    p.scale(dense, dense); draw(p);
    return make("span", {}, sample, name);
  }), make("span", { className: "keys", textContent: "drag to move · wheel to zoom · click an event for its past · / search, n next · v what is wrong · 0 all" }));
}

// ---- light and dark -----------------------------------------------------------------------------------

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  hatch.made = null; readTheme(); chips(); paintLegend(); paintSoon(); paintOverviewSoon(); listNow();
}
const asked = /theme=(light|dark)/.exec(location.hash), darkness = matchMedia("(prefers-color-scheme: dark)");
element("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
darkness.addEventListener("change", () => setTheme(darkness.matches ? "dark" : "light"));

function resized() { layOut(); paint(); paintOverview(); }
group = firstGroup();
document.documentElement.dataset.theme = asked ? asked[1] : darkness.matches ? "dark" : "light";
readTheme();
layOut();
if (verdict) lookAtVerdict(); else showAll();
chips(); paintLegend(); resized(); listNow();
new ResizeObserver(resized).observe(element("stage"));
document.documentElement.dataset.ready = `${lanes.length} lanes, ${data.events.length} events`;
