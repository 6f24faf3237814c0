"use strict";
// How it is drawn: lanes across, time to the right.

const canvas = document.getElementById("canvas"), pen = canvas.getContext("2d");
const LEFT = 96, AXIS = 26, FAULT_ROW = 20, RIGHT = 14, ROW = 9, BAR = 16, CALL = 17;
const view = { from: begin, to: end, scroll: 0, width: 0, height: 0, tall: 0 };
let ink = {}, places = [], targets = [], hovered = null, pinned = null, past = null, hits = null;
const EPOCHS = { light: ["#3a7bc8", "#d0822a", "#4f9a56", "#9a62c2", "#c65a72", "#2f9296", "#8f7a3a", "#6b78b8"],
  dark: ["#5b9be6", "#e09c4d", "#6fb877", "#b586db", "#dd7f94", "#4fb3b6", "#b39c58", "#8e9ade"] };
let epochColours = EPOCHS.light;

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  ink = {};
  for (const name of ["paper", "panel", "ink", "soft", "faint", "rule", "lane", "wrong", "wrong-soft", "amber", "focus", "vote", "log", "snapshot",
    "read", "client", "heartbeat", "other", "disk", "note", "step", "fault", "call", "call-ink"]) {
    ink[name] = style.getPropertyValue("--" + name).trim();
  }
  ink.sans = style.getPropertyValue("--sans"); ink.mono = style.getPropertyValue("--mono");
  epochColours = document.documentElement.dataset.theme === "dark" ? EPOCHS.dark : EPOCHS.light;
}
const colourOf = event => ink[event.family] || ink.other;
const epochColour = epoch => epochColours[epoch % epochColours.length];
const x = time => LEFT + ((time - view.from) / (view.to - view.from)) * (view.width - LEFT - RIGHT);
const timeAt = px => view.from + ((px - LEFT) / (view.width - LEFT - RIGHT)) * (view.to - view.from);
const shownGroups = () => (group < 0 ? named : [group]);

function layOut() {
  const box = canvas.getBoundingClientRect(), dense = window.devicePixelRatio || 1;
  view.width = box.width; view.height = box.height;
  canvas.width = Math.round(box.width * dense); canvas.height = Math.round(box.height * dense);
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  const rows = Math.max(1, shownGroups().length);
  const heights = lanes.map(lane => (lane.client ? CALL : rows > 1 ? rows * ROW : BAR));
  const used = heights.reduce((sum, h) => sum + h, 0), room = view.height - AXIS - FAULT_ROW - 18 - used;
  const least = shapes.message.length ? 30 : 6, most = shapes.message.length ? 130 : 22;
  const weights = lanes.map(lane => (lane.client ? 0.62 : 1)), weight = weights.reduce((sum, w) => sum + w, 0);
  let top = AXIS + FAULT_ROW;
  places = lanes.map((lane, at) => {
    const gap = Math.min(most, Math.max(least, room / weight)) * weights[at];
    top += gap * 0.5;
    const place = { top, height: heights[at], middle: top + heights[at] / 2, bottom: top + heights[at] };
    top += heights[at] + gap * 0.5;
    return place;
  });
  view.tall = top + 10;
  view.scroll = Math.max(0, Math.min(view.scroll, view.tall - view.height));
  const list = document.getElementById("lanes");
  if (list.children.length !== lanes.length) {
    list.replaceChildren(...lanes.map(lane => Object.assign(document.createElement("li"), { textContent: lane.name, className: lane.client ? "client lane" : "node lane" })));
  }
  lanes.forEach((lane, at) => { list.children[at].style.top = places[at].middle - view.scroll + "px"; });
}

let queued = false;
function paintSoon() {
  if (!queued) { queued = true; requestAnimationFrame(() => { queued = false; paint(); }); }
}

function paint() {
  targets = [];
  pen.save();
  pen.clearRect(0, 0, view.width, view.height);
  pen.beginPath(); pen.rect(LEFT - 2, 0, view.width, view.height); pen.clip();
  paintAxis();
  pen.save();
  pen.beginPath(); pen.rect(LEFT - 2, AXIS, view.width, view.height); pen.clip();
  pen.translate(0, -view.scroll);
  paintLanes(); paintBands(); paintReigns(); paintMessages(); paintSpans(); paintPoints(); paintVerdict();
  if (past) paintKnown();
  pen.restore();
  pen.restore();
  window.painted = (window.painted || 0) + 1;
}

// ---- time ---------------------------------------------------------------------------------------------

function paintAxis() {
  const span = view.to - view.from, about = (span / (view.width - LEFT)) * 110;
  const power = 10 ** Math.floor(Math.log10(Math.max(about, 1)));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= about) || power * 10;
  pen.font = `11px ${ink.sans}`; pen.textAlign = "center"; pen.textBaseline = "middle"; pen.lineWidth = 1;
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
    const at = Math.round(x(time)) + 0.5;
    pen.strokeStyle = ink.rule; pen.beginPath(); pen.moveTo(at, AXIS - 5); pen.lineTo(at, view.height); pen.stroke();
    pen.fillStyle = ink.soft; pen.fillText(sayTime(time, step), at, 12);
  }
}

// ---- faults that last ---------------------------------------------------------------------------------

function hatch(colour, gap = 6) {
  const key = colour + gap;
  if (!hatch.made) hatch.made = new Map();
  if (!hatch.made.has(key)) {
    const tile = document.createElement("canvas"); tile.width = tile.height = gap;
    const p = tile.getContext("2d"); p.strokeStyle = colour; p.lineWidth = 1;
    p.beginPath(); p.moveTo(-1, gap + 1); p.lineTo(gap + 1, -1); p.moveTo(-1, 1); p.lineTo(1, -1); p.moveTo(gap - 1, gap + 1); p.lineTo(gap + 1, gap - 1); p.stroke();
    hatch.made.set(key, pen.createPattern(tile, "repeat"));
  }
  return hatch.made.get(key);
}
function paintBands() {
  const ends = []; // overlapping faults of everybody share the row
  for (const band of shapes.band) {
    const a = Math.max(LEFT, x(band.time)), b = Math.max(x(latest(band)), a + 1.5);
    if (b < LEFT || a > view.width) continue;
    if (band.lane < 0) {
      let row = ends.findIndex(edge => edge <= a); if (row < 0) row = ends.length < 4 ? ends.length : 0;
      ends[row] = b;
      const top = AXIS + 2 + view.scroll + row * 5;
      pen.fillStyle = ink.fault; pen.globalAlpha = band.kind === "partition" ? 0.05 : 0.025; pen.fillRect(a, AXIS + view.scroll, b - a, view.height);
      pen.globalAlpha = 0.75; pen.fillRect(a, top, b - a, 2.5); pen.globalAlpha = 1;
      if (b - a > 60 && row === 0 && band.kind === "partition") label(`${band.kind}: ${band.text.split(":")[0]}`, a + 3, top + 9, ink.fault, b - a - 6, 10.5);
      targets.push({ event: band, x: a, y: top - 3, w: b - a, h: 12 });
    } else {
      const place = places[band.lane], pad = 5;
      const colour = band.kind === "paused" || /full|slow/.test(band.kind) ? ink.amber : band.kind === "down" && band.text.startsWith("not") ? ink.faint : ink.fault;
      pen.globalAlpha = 0.1; pen.fillStyle = colour; pen.fillRect(a, place.top - pad, b - a, place.height + 2 * pad);
      pen.globalAlpha = 0.55; pen.fillStyle = hatch(colour); pen.fillRect(a, place.top - pad, b - a, place.height + 2 * pad);
      pen.globalAlpha = 1;
      const said = band.kind === "down" && band.text.startsWith("not") ? band.text : band.kind === "down" ? band.text : band.kind;
      if (b - a > 44) label(said, a + 5, place.middle, colour, b - a - 10, 11, true);
      targets.push({ event: band, x: a, y: place.top - pad, w: b - a, h: place.height + 2 * pad, weak: true });
    }
  }
}
function label(text, left, middle, colour, room, size = 11, ground = false, font = ink.sans) {
  pen.font = `${size}px ${font}`; pen.textAlign = "left"; pen.textBaseline = "middle";
  let said = text;
  if (pen.measureText(said).width > room) {
    const fits = Math.floor((said.length * room) / pen.measureText(said).width) - 1;
    if (fits < 3) return;
    said = said.slice(0, fits) + "…";
  }
  if (ground) { pen.fillStyle = ink.paper; pen.globalAlpha = 0.85; pen.fillRect(left - 2, middle - size * 0.65, pen.measureText(said).width + 4, size * 1.3); pen.globalAlpha = 1; }
  pen.fillStyle = colour; pen.fillText(said, left, middle);
}

// ---- lanes, roles, committed ----------------------------------------------------------------------------

function paintLanes() {
  pen.lineWidth = 1; pen.strokeStyle = ink.lane;
  for (const place of places) {
    pen.beginPath(); pen.moveTo(LEFT, Math.round(place.middle) + 0.5); pen.lineTo(view.width, Math.round(place.middle) + 0.5); pen.stroke();
  }
}
function paintReigns() {
  const some = shownGroups();
  lanes.forEach((lane, at) => some.forEach((number, row) => {
    const place = places[at], height = some.length > 1 ? ROW - 1 : BAR, top = some.length > 1 ? place.top + row * ROW : place.top;
    for (const leadership of leaderships.get(at + "/" + number) || []) {
      const a = Math.max(LEFT, x(leadership.time)), b = Math.min(view.width, x(latest(leadership)));
      if (b < LEFT || a > view.width) continue;
      const w = Math.max(b - a, 1);
      paintReign(leadership, a, top, w, height);
      targets.push({ event: leadership, x: a, y: top, w, h: height, weak: true });
    }
    if (some.length === 1) paintCounted(at, number, place);
  }));
}
function paintReign(leadership, a, top, w, height) {
  const colour = epochColour(leadership.epoch);
  if (leadership.kind === "leader") {
    pen.fillStyle = colour; pen.fillRect(a, top, w, height);
    if (height > 10 && w > 34) label(w > 130 ? `leader of epoch ${leadership.epoch}` : `e${leadership.epoch}`, a + 5, top + height / 2 + 0.5, ink.paper, w - 8, 10.5);
  } else if (leadership.kind === "candidate" || leadership.kind === "pre_candidate") {
    pen.globalAlpha = leadership.kind === "candidate" ? 0.9 : 0.5;
    pen.fillStyle = hatch(colour, 5); pen.fillRect(a, top, w, height);
    pen.strokeStyle = colour; pen.lineWidth = 1; pen.strokeRect(a + 0.5, top + 0.5, Math.max(0, w - 1), height - 1); pen.globalAlpha = 1;
  } else {
    pen.fillStyle = ink.paper; pen.fillRect(a, top + height / 2 - 2.5, w, 5);
    pen.fillStyle = colour; pen.globalAlpha = leadership.epoch ? 0.5 : 0.15; pen.fillRect(a, top + height / 2 - 2, w, 4); pen.globalAlpha = 1;
  }
}
function paintCounted(at, number, place) {
  const events = counts.get(at + "/" + number) || [];
  let free = LEFT;
  pen.font = `10px ${ink.sans}`; pen.textAlign = "left"; pen.textBaseline = "middle";
  let start = Math.max(0, firstAfter(events, view.from) - 1);
  for (; start < events.length && events[start].time <= view.to; start++) {
    const count = events[start], left = Math.max(LEFT, x(count.time));
    pen.strokeStyle = ink.faint; pen.lineWidth = 1; pen.beginPath(); pen.moveTo(left, place.bottom + 1); pen.lineTo(left, place.bottom + 5); pen.stroke();
    const next = events[start + 1], room = (next ? x(next.time) : view.width) - left;
    if (left >= free && room > 18) {
      const wide = pen.measureText(count.index).width;
      pen.fillStyle = ink.paper; pen.globalAlpha = 0.8; pen.fillRect(left + 1, place.bottom + 2, wide + 3, 11); pen.globalAlpha = 1;
      pen.fillStyle = ink.soft; pen.fillText(count.index, left + 2.5, place.bottom + 7); free = left + wide + 8;
    }
    targets.push({ event: count, x: left - 2, y: place.bottom, w: Math.max(5, Math.min(room, 18)), h: 12 });
  }
}

// ---- calls and writes ---------------------------------------------------------------------------------

function dim(event) { return (past && !past.messages.has(event.number)) || (hits && !hits.has(event.number)); }
function paintSpans() {
  for (const span of within(shapes.span, view.from, view.to)) {
    if (!wanted(span)) continue;
    const place = places[span.lane], a = Math.max(LEFT, x(span.time)), b = Math.max(a + 1, Math.min(view.width + 4, x(latest(span)))), w = b - a;
    if (b < LEFT) continue;
    if (!lanes[span.lane].client) {
      pen.fillStyle = span.fate ? ink.fault : ink.disk; pen.globalAlpha = dim(span) ? 0.15 : 0.8;
      pen.fillRect(a, place.top - 5, Math.max(w, 1.5), 3); pen.globalAlpha = 1;
      targets.push({ event: span, x: a, y: place.top - 7, w: Math.max(w, 4), h: 7 });
      continue;
    }
    paintCall(span, a, w, place);
  }
}
function paintCall(span, a, w, place) {
  const open = span.until < 0 || span.fate === "info", failed = span.fate === "fail";
  pen.globalAlpha = past ? (span === pinned || span.time <= past.known[span.lane] ? 1 : 0.25) : hits && !hits.has(span.number) ? 0.3 : 1;
  const shape = () => { pen.beginPath(); pen.roundRect(a + 0.5, place.top + 0.5, Math.max(w - 1, 1), place.height - 1, w > 8 ? 3 : 0); };
  shape(); pen.fillStyle = ink.paper; pen.fill();
  shape(); pen.fillStyle = span.marked ? ink["wrong-soft"] : failed ? ink.panel : ink.call; pen.fill();
  if (open) { shape(); pen.fillStyle = hatch(ink.amber, 7); pen.globalAlpha *= 0.45; pen.fill(); pen.globalAlpha = pen.globalAlpha / 0.45; }
  const colour = span.marked ? ink.wrong : open ? ink.amber : failed ? ink.faint : ink["call-ink"];
  if (w > 5 || span.marked) {
    pen.strokeStyle = colour; pen.lineWidth = span.marked ? 2 : 0.8;
    if (open) pen.setLineDash([3, 2]);
    shape(); pen.stroke(); pen.setLineDash([]);
  }
  if (w > 30) label(steps || span.text.startsWith(span.kind) ? span.text : `${span.kind} ${span.text}`, a + 5, place.middle + 0.5, colour, w - 9, 11);
  pen.globalAlpha = 1;
  targets.push({ event: span, x: a, y: place.top, w, h: place.height });
}

// ---- messages -----------------------------------------------------------------------------------------

function ends(message) {
  const from = places[message.lane], to = places[message.to], down = to.middle > from.middle;
  const y1 = down ? from.bottom : from.top, y2 = down ? to.top : to.bottom;
  const x1 = x(message.time);
  if (message.until >= 0) return [x1, y1, x(message.until), y2, 1];
  const part = message.fate === "in flight" ? 0.85 : 0.45;
  return [x1, y1, x(message.time + usualDelay * part), y1 + (y2 - y1) * part, part];
}
function paintMessages() {
  const drawn = [], strokes = new Map();
  for (const message of within(shapes.message, view.from, view.to)) {
    if (!wanted(message)) continue;
    const [x1, y1, x2, y2] = ends(message);
    if (Math.max(x1, x2) < LEFT || Math.min(x1, x2) > view.width) continue;
    const faint = dim(message), broken = message.fate === "lost" || message.fate === "to the dead";
    const style = `${faint ? "faint" : message.family}|${broken || message.fate === "again" || message.fate === "in flight" ? 1 : 0}`;
    if (!strokes.has(style)) strokes.set(style, []);
    const line = { event: message, x1, y1, x2, y2, faint, broken };
    strokes.get(style).push(line);
    drawn.push(line); targets.push(line);
  }
  const crowd = drawn.length;
  for (const [style, lines] of strokes) {
    const [family, dashed] = style.split("|");
    pen.strokeStyle = family === "faint" ? ink.faint : ink[family] || ink.other;
    pen.globalAlpha = family === "faint" ? 0.13 : family === "heartbeat" ? 0.55 : family === "client" ? (crowd > 700 ? 0.35 : 0.6) : crowd > 2500 ? 0.45 : crowd > 700 ? 0.65 : 0.9;
    pen.lineWidth = crowd > 1500 || family === "client" ? 0.7 : 1.1;
    pen.setLineDash(dashed === "1" ? [4, 3] : []);
    pen.beginPath();
    for (const l of lines) { pen.moveTo(l.x1, l.y1); pen.lineTo(l.x2, l.y2); }
    pen.stroke();
  }
  pen.setLineDash([]); pen.globalAlpha = 1;
  for (const line of drawn) {
    if (line.faint) continue;
    if (line.broken && crowd < 2500) cross(line.x2, line.y2);
    else if (crowd < 900 && line.event.fate !== "in flight") arrow(line);
  }
  for (const line of drawn) if (line.event === hovered || line.event === pinned || line.event.marked) {
    pen.strokeStyle = line.event.marked ? ink.wrong : colourOf(line.event); pen.lineWidth = 2.6;
    pen.beginPath(); pen.moveTo(line.x1, line.y1); pen.lineTo(line.x2, line.y2); pen.stroke();
    if (!line.broken) arrow(line, 8);
  }
}
function cross(cx, cy, size = 3.4) {
  pen.strokeStyle = ink.wrong; pen.lineWidth = 1.6;
  pen.beginPath(); pen.moveTo(cx - size, cy - size); pen.lineTo(cx + size, cy + size); pen.moveTo(cx - size, cy + size); pen.lineTo(cx + size, cy - size); pen.stroke();
}
function arrow(line, size = 5.5) {
  const angle = Math.atan2(line.y2 - line.y1, line.x2 - line.x1);
  pen.fillStyle = line.event.marked ? ink.wrong : colourOf(line.event);
  pen.beginPath(); pen.moveTo(line.x2, line.y2);
  pen.lineTo(line.x2 - size * Math.cos(angle - 0.38), line.y2 - size * Math.sin(angle - 0.38));
  pen.lineTo(line.x2 - size * Math.cos(angle + 0.38), line.y2 - size * Math.sin(angle + 0.38));
  pen.fill();
}

// ---- points, the verdict, the pinned event's past -----------------------------------------------------

function paintPoints() {
  for (const point of within(shapes.point, view.from, view.to)) {
    if (!wanted(point) || point.time < view.from) continue;
    const at = x(point.time), quiet = point.family === "step";
    const y = point.lane < 0 ? AXIS + 12 + view.scroll : places[point.lane].middle;
    pen.globalAlpha = hits && !hits.has(point.number) ? 0.2 : 1;
    pen.fillStyle = colourOf(point);
    pen.beginPath();
    if (quiet) pen.arc(at, y, 2, 0, 7);
    else if (point.family === "fault") { pen.moveTo(at, y - 6); pen.lineTo(at + 5, y + 4); pen.lineTo(at - 5, y + 4); pen.closePath(); }
    else { pen.moveTo(at, y - 5); pen.lineTo(at + 4, y); pen.lineTo(at, y + 5); pen.lineTo(at - 4, y); pen.closePath(); }
    pen.fill();
    if (!quiet) { pen.strokeStyle = ink.paper; pen.lineWidth = 1; pen.stroke(); }
    if (point === hovered || point === pinned) { pen.strokeStyle = ink.focus; pen.lineWidth = 1.6; pen.beginPath(); pen.arc(at, y, 8, 0, 7); pen.stroke(); }
    pen.globalAlpha = 1;
    targets.push({ event: point, x: at - 5, y: y - 6, w: 10, h: 12, dot: true });
  }
}
function paintVerdict() {
  if (!verdict) return;
  const at = x(verdict.time);
  if (at < LEFT - 2 || at > view.width) return;
  pen.strokeStyle = ink.wrong; pen.lineWidth = 1.5;
  pen.beginPath(); pen.moveTo(at, AXIS + view.scroll); pen.lineTo(at, view.height + view.scroll); pen.stroke();
  if (verdict.lane >= 0) {
    pen.lineWidth = 2.5; pen.beginPath(); pen.arc(at, places[verdict.lane].middle, 13, 0, 7); pen.stroke();
  }
  pen.font = `600 11px ${ink.sans}`;
  const said = `${verdict.judge}: broken`, wide = pen.measureText(said).width + 12, left = Math.min(at, view.width - wide - 2);
  const top = AXIS + view.scroll + 1;
  pen.fillStyle = ink.wrong; pen.fillRect(left, top, wide, 17);
  pen.fillStyle = ink.paper; pen.textAlign = "left"; pen.textBaseline = "middle"; pen.fillText(said, left + 6, top + 9);
}
function paintKnown() {
  pen.strokeStyle = ink.focus; pen.lineWidth = 2;
  lanes.forEach((lane, at) => {
    if (past.known[at] < 0) return;
    const px = x(past.known[at]), place = places[at];
    pen.beginPath(); pen.moveTo(px - 5, place.top - 6); pen.lineTo(px, place.top - 6); pen.lineTo(px, place.bottom + 6); pen.lineTo(px - 5, place.bottom + 6); pen.stroke();
  });
}

// ---- what lies under the pointer ----------------------------------------------------------------------

function under(px, py) {
  const y = py + view.scroll;
  let best = null, least = 1;
  for (const t of targets) {
    let far;
    if (t.x1 !== undefined) {
      if (t.faint) continue;
      const dx = t.x2 - t.x1, dy = t.y2 - t.y1, along = Math.max(0, Math.min(1, ((px - t.x1) * dx + (y - t.y1) * dy) / (dx * dx + dy * dy || 1)));
      far = Math.hypot(px - t.x1 - along * dx, y - t.y1 - along * dy) / 6;
    } else {
      if (px < t.x - 2 || px > t.x + t.w + 2 || y < t.y || y > t.y + t.h) continue;
      far = t.dot ? 0 : t.weak ? 0.98 : 0.4;
    }
    if (far < least) { least = far; best = t.event; }
  }
  return best;
}

// ---- the whole run in one strip -----------------------------------------------------------------------

const strip = document.getElementById("overview"), thin = strip.getContext("2d");
let density = null;
function paintOverview() {
  const box = strip.getBoundingClientRect(), dense = window.devicePixelRatio || 1, w = box.width, h = box.height;
  strip.width = Math.round(w * dense); strip.height = Math.round(h * dense);
  thin.setTransform(dense, 0, 0, dense, 0, 0);
  const at = time => ((time - begin) / (end - begin)) * w, bins = Math.max(1, Math.floor(w / 3));
  if (!density || density.length !== bins) {
    density = new Array(bins).fill(0);
    for (const e of shapes.message.length ? shapes.message : shapes.span) density[Math.max(0, Math.min(bins - 1, Math.floor(((e.time - begin) / (end - begin)) * bins)))]++;
  }
  thin.fillStyle = ink.panel; thin.fillRect(0, 0, w, h);
  for (const band of shapes.band) {
    const a = at(Math.max(begin, band.time)), b = at(latest(band));
    thin.globalAlpha = 0.16; thin.fillStyle = band.text.startsWith("not started") ? ink.faint : band.kind === "paused" ? ink.amber : ink.fault;
    const part = band.lane < 0 ? [0, h] : [(band.lane * h) / lanes.length, h / lanes.length];
    thin.fillRect(a, part[0], Math.max(1, b - a), part[1]);
  }
  thin.globalAlpha = 1;
  const top = Math.max(...density, 1);
  thin.fillStyle = ink.faint;
  density.forEach((n, bin) => { const tall = Math.sqrt(n / top) * (h - 12); thin.fillRect((bin * w) / bins, h - 4 - tall, w / bins - 0.8, tall); });
  const leading = group < 0 ? named.find(number => number > 0) ?? named[0] : group;
  for (const leadership of shapes.leadership) if (leadership.kind === "leader" && leadership.group === leading) {
    thin.fillStyle = epochColour(leadership.epoch); thin.fillRect(at(Math.max(begin, leadership.time)), h - 4, Math.max(1, at(latest(leadership)) - at(Math.max(begin, leadership.time))), 4);
  }
  if (hits) { thin.fillStyle = ink.log; for (const number of hits) thin.fillRect(at(data.events[number].time), 0, 1.5, 6); }
  if (verdict) { thin.fillStyle = ink.wrong; thin.fillRect(at(verdict.time) - 1, 0, 2, h); }
  const a = at(view.from), b = at(view.to);
  thin.fillStyle = ink.paper; thin.globalAlpha = 0.55; thin.fillRect(0, 0, a, h); thin.fillRect(b, 0, w - b, h); thin.globalAlpha = 1;
  thin.strokeStyle = ink.soft; thin.lineWidth = 1.5; thin.strokeRect(a + 0.75, 0.75, Math.max(3, b - a - 1.5), h - 1.5);
}
