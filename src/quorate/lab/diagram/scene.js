"use strict";
// What there is: the events by shape, what they are called, and which of them a reader wants to see.

const data = JSON.parse(document.getElementById("data").textContent);
const begin = data.begin || 0, end = Math.max(data.end || 0, begin + 1);
const steps = data.unit === "step";
const lanes = data.lanes.map((lane, place) => ({ name: lane.name, client: lane.kind === "client", place }));
const groups = data.groups || {};
const verdict = data.verdict || null;

const shapes = { point: [], message: [], span: [], band: [], leadership: [], count: [] };
data.events.forEach((event, number) => {
  event.number = number;
  event.text = event.text || "";
  event.shape = event.shape || "point";
  event.until = event.until === undefined ? -1 : event.until;
  event.to = event.to === undefined ? -1 : event.to;
  event.group = event.group === undefined ? -1 : event.group;
  event.epoch = event.epoch || 0;
  event.fate = event.fate || "";
  (shapes[event.shape] || shapes.point).push(event);
});
const latest = e => (e.until < 0 ? (e.shape === "message" ? e.time : end) : e.until);

// ---- families of kinds: one colour and one switch each ------------------------------------------------

const FAMILIES = [
  ["vote", "elections", /Vote|TimeoutNow/],
  ["log", "log", /^Append/],
  ["snapshot", "snapshots", /^Snapshot/],
  ["read", "read index", /^ReadIndex/],
  ["client", "clients", /^(Request|Answer)$/],
  ["heartbeat", "heartbeats", /^Heartbeat/],
];
const FAULTS = /^(crash|pause|resume|start|damage|Halt|partition|mended|clog|down|paused|disk|fsync|slow|clock|kill|SIG)/i;
const NOTES = /became|stepped|follow|candidate|install|needed|drain|Drain|damaged|rebuilt|whole/;

function familyOf(event) {
  if (event.shape === "message") {
    for (const [name, , kinds] of FAMILIES) if (kinds.test(event.kind)) return name;
    return "other";
  }
  if (event.shape === "span") return lanes[event.lane].client ? (shapes.message.length ? "call" : "call:" + event.kind) : "disk";
  if (event.lane < 0 || FAULTS.test(event.kind)) return "fault";
  return NOTES.test(event.kind) ? "note" : "step";
}
const NAMES = { other: "other messages", call: "calls", disk: "disk writes", fault: "faults", note: "notes", step: "steps" };
for (const [name, title] of FAMILIES) NAMES[name] = title;
const families = new Map();
for (const shape of ["message", "span", "point"]) {
  for (const event of shapes[shape]) {
    event.family = familyOf(event);
    families.set(event.family, (families.get(event.family) || 0) + 1);
  }
}
for (const name of families.keys()) if (name.startsWith("call:")) NAMES[name] = name.slice(5);
for (const event of [...shapes.band, ...shapes.leadership, ...shapes.count]) event.family = event.shape;

// ---- what is shown ------------------------------------------------------------------------------------

const QUIET = new Set(["heartbeat", "step"]);
const shown = new Map([...families.keys()].map(name => [name, !QUIET.has(name) || families.size === 1]));
const named = Object.keys(groups).map(Number);
let group = -1; // all

function firstGroup() {
  const said = verdict && /group (\d+)/.exec(verdict.text);
  if (said && groups[said[1]] !== undefined) return Number(said[1]);
  if (named.length < 2) return named.length ? named[0] : -1;
  return named.find(number => number > 0);
}
const wanted = event =>
  event.marked || (shown.get(event.family) !== false && (group < 0 || event.group < 0 || event.group === group));

// ---- by lane and group, for quick drawing -------------------------------------------------------------

const leaderships = new Map(), counts = new Map();
for (const [events, place] of [[shapes.leadership, leaderships], [shapes.count, counts]]) {
  for (const event of events) {
    const key = event.lane + "/" + event.group;
    if (!place.has(key)) place.set(key, []);
    place.get(key).push(event);
  }
}
const delays = shapes.message.filter(e => e.until > e.time && !e.fate).map(e => e.until - e.time).sort((a, b) => a - b);
const usualDelay = delays.length ? delays[delays.length >> 1] : (end - begin) / 100;
const longest = shapes.message.concat(shapes.span).reduce((most, e) => Math.max(most, latest(e) - e.time), usualDelay);

function firstAfter(events, time) {
  let low = 0, high = events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events[middle].time < time) low = middle + 1; else high = middle;
  }
  return low;
}
function* within(events, from, to, reach = longest) {
  for (let at = firstAfter(events, from - reach); at < events.length && events[at].time <= to; at++) {
    if (events[at].shape === "point" ? events[at].time >= from : Math.max(latest(events[at]), events[at].time + usualDelay) >= from) yield events[at];
  }
}

// ---- the past of an event: every message that can have had a part in it (Lamport's happened-before) ----

function pastOf(event) {
  const known = new Array(lanes.length).fill(-1);
  const lane = event.shape === "message" && event.until >= 0 && event.aimed !== "source" ? event.to : event.lane;
  if (lane < 0) return null;
  known[lane] = event.shape === "span" ? latest(event) : event.shape === "message" && lane === event.to ? event.until : event.time;
  const past = new Set([event.number]);
  const arrivals = shapes.message.filter(e => e.until >= 0 && e.fate !== "to the dead").sort((a, b) => b.until - a.until || b.time - a.time);
  for (const message of arrivals) {
    if (message.until <= known[message.to]) {
      past.add(message.number);
      known[message.lane] = Math.max(known[message.lane], message.time);
    }
  }
  return { messages: past, known };
}

// ---- saying things ------------------------------------------------------------------------------------

function sayTime(time, scale) {
  if (steps) return String(Math.round(time));
  const digits = scale === undefined ? 6 : scale >= 1e6 ? 1 : scale >= 1e5 ? 1 : scale >= 1e4 ? 2 : scale >= 1e3 ? 3 : scale >= 100 ? 4 : scale >= 10 ? 5 : 6;
  return (time / 1e6).toFixed(digits) + " s";
}
function sayLength(length) {
  if (steps) return `${Math.round(length)} steps`;
  if (length >= 1e6) return (length / 1e6).toFixed(2) + " s";
  if (length >= 1e3) return (length / 1e3).toFixed(length >= 1e5 ? 0 : 1) + " ms";
  return Math.round(length) + " µs";
}
const laneName = place => (place < 0 ? "all" : lanes[place].name);
const ROLES = { leader: "leader", follower: "follower", candidate: "candidate", pre_candidate: "asking around" };
function searchable(event) {
  if (event.said === undefined) {
    const to = event.to >= 0 ? " → " + laneName(event.to) : "";
    event.said = `${laneName(event.lane)}${to} ${event.kind} ${event.text} ${event.fate}`.toLowerCase();
  }
  return event.said;
}
