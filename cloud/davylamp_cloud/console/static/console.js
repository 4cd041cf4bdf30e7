// The duty room's page: keeps the stream, swaps what changed, sounds what calls, shouts when nothing is heard.
import * as dialogs from "./dialogs.js";
import * as sound from "./sound.js";
import * as trend from "./trend.js";

const SILENT_MS = 10000;
const ADVICE_MS = 30000;
const words = JSON.parse(document.querySelector("#page-words").textContent);
const language = document.documentElement.lang.slice(0, 2);
const zone = document.querySelector("#clock").dataset.zone;
const byId = (id) => document.getElementById(id);

const heard = { at: performance.now(), engineAge: 0, clockOffset: 0, signedOut: false };
const silenced = new Set();
let source = null;
let watched = "";

// --- the stream -------------------------------------------------------------------------------------------------

function connect() {
  source?.close();
  source = new EventSource(`/console/stream?lang=${language}&tags=${watched}`);
  const on = (name, act) => source.addEventListener(name, (event) => { heardSomething(); act(event.data); });
  on("heartbeat", (data) => beat(JSON.parse(data)));
  on("alarms", (html) => { showAlarms(html); renewHandover(); });
  on("forecasts", (data) => JSON.parse(data).forEach(showForecast));
  on("counts", (html) => (byId("counts").innerHTML = html));
  on("edges", (html) => { byId("edges").innerHTML = html; tellTimes(); });
  on("flood", showFlood);
  on("values", (data) => JSON.parse(data).forEach(showValue));
  on("announce", (data) => JSON.parse(data).forEach(announce));
  source.addEventListener("error", lost);
}

function heardSomething() {
  heard.at = performance.now();
}

function beat(heartbeat) {
  heard.engineAge = heartbeat.engine_age_ms;
  heard.clockOffset = heartbeat.now_ms - Date.now();
  heard.signedOut = false;
}

// A browser gives up for good when the answer is no stream at all; we never do.
async function lost() {
  if (source.readyState !== EventSource.CLOSED) return;
  setTimeout(connect, 2000);
  try {
    const answer = await fetch("/api/v1/health", { cache: "no-store" });
    heard.signedOut = answer.status === 401;
  } catch {
    heard.signedOut = false;
  }
}

// --- alarms -----------------------------------------------------------------------------------------------------

// The list may not move under a hand that is about to press: while it rests on a button new HTML waits, a second at
// most, and a press right after the list moved does nothing but say so.
const HOLD_MS = 1000;
const SETTLE_MS = 300;
let held = null;
let holdUntil = 0;
let settling = 0;

function showAlarms(html) {
  if (performance.now() < holdUntil) {
    held = html;
    setTimeout(release, holdUntil - performance.now() + 1);
    return;
  }
  const order = rowOrder();
  swapAlarms(html);
  held = null;
  if (order !== rowOrder()) settle();
}

// Once for all that changes within a moment, and always after the last of it.
const RENEW_MS = 300;
let renewing = 0;

function renewHandover() {
  renewing ||= setTimeout(() => { renewing = 0; htmx.trigger("#handover", "renew"); htmx.trigger("#proposals", "renew"); }, RENEW_MS);
}

// Not while somebody writes in it: what they wrote would be gone.
function renewAdvice() {
  if (!byId("advice").contains(document.activeElement)) htmx.trigger("#advice", "renew");
}

function settle() {
  const list = byId("alarms");
  list.classList.add("moving");
  clearTimeout(settling);
  settling = setTimeout(() => list.classList.remove("moving"), SETTLE_MS);
}

const rowOrder = () => [...document.querySelectorAll("#alarm-list .alarm")].map((row) => row.id).join();

function release() {
  if (held === null || performance.now() < holdUntil) return;
  const html = held;
  showAlarms(html);
}

function guardPress(event) {
  if (!event.isTrusted || event.detail === 0 || !event.target.closest("#alarms [data-act]")) return;
  if (!byId("alarms").classList.contains("moving")) return;
  event.stopImmediatePropagation();
  event.preventDefault();
  dialogs.message(words.moved, "note");
}

function hold(event) {
  if (event.target.closest("#alarms [data-act]")) holdUntil = performance.now() + HOLD_MS;
}

function letGo() {
  holdUntil = 0;
  release();
}

function swapAlarms(html) {
  const focused = document.activeElement;
  const row = focused?.closest?.(".alarm");
  const again = row && { id: row.id, act: focused.dataset?.act };
  const place = byId("alarms");
  const unfolded = [...place.querySelectorAll("details.why[open]")].map((why) => why.id);
  place.innerHTML = html;
  for (const id of unfolded) byId(id)?.setAttribute("open", "");
  htmx.process(place);
  for (const measure of place.querySelectorAll("[data-index]")) {
    const reading = newest.get(Number(measure.dataset.index));
    if (reading) showMeasure(measure, reading);
  }
  if (again) refocus(again);
  tellTimes();
  soundOut();
}

function refocus({ id, act }) {
  const row = byId(id);
  (row?.querySelector(`[data-act="${act}"]`) ?? row)?.focus({ preventScroll: true });
}

function calling() {
  return [...document.querySelectorAll("#alarm-list [data-calls]")];
}

function soundOut() {
  const rows = calling();
  const here = new Set(rows.map((row) => row.dataset.occurrence));
  for (const occurrence of silenced) if (!here.has(occurrence)) silenced.delete(occurrence);
  const kinds = new Set(rows.filter((row) => !silenced.has(row.dataset.occurrence)).map((row) => row.dataset.calls));
  if (isSilent()) kinds.add("silent");
  sound.sounding(kinds);
  byId("silence").hidden = kinds.size === 0 || isSilent();
  document.title = (isSilent() ? "!! " : rows.length ? `(${rows.length}) ` : "") + "安灯 Davylamp";
}

// An acknowledged red that announces itself again (every 30 min, at shift change) sounds once and flashes.
function announce({ occurrence, level, late, event }) {
  silenced.delete(occurrence);
  const row = byId("alarm-" + occurrence);
  row?.classList.remove("announced");
  void row?.offsetWidth;
  row?.classList.add("announced");
  if (event === "re_alarmed") sound.play(late ? "late" : level);
  soundOut();
}

function showFlood(html) {
  const place = byId("flood");
  const pressed = place.contains(document.activeElement);
  place.innerHTML = html;
  if (pressed) place.querySelector("[data-first]")?.focus({ preventScroll: true });
}

// The first alarm of a flood, where it stands; its trend where it went, or is beyond what the page shows.
function goToFirst(button) {
  const row = byId("alarm-" + button.dataset.first);
  row?.scrollIntoView({ block: "center" });
  if (row) row.focus({ preventScroll: true });
  else if (button.dataset.tag) trend.open(button.dataset.tag);
}

// A warning's forecast grows old while nothing else in its row changes; so does its figure, where somebody looks at it.
const REDRAW_MS = 10000;
function showForecast({ occurrence, label, html }) {
  const place = byId("forecast-" + occurrence);
  if (!place) return;
  place.innerHTML = html;
  place.closest(".alarm").setAttribute("aria-label", label);
  const why = byId("why-" + occurrence);
  if (!why?.open || now() - Number(why.dataset.drawn ?? 0) < REDRAW_MS) return;
  why.dataset.drawn = now();
  why.dispatchEvent(new Event("toggle"));
}

// --- values -----------------------------------------------------------------------------------------------------

function showValue(reading) {
  trend.append(reading);
  for (const place of document.querySelectorAll(`#alarm-list [data-index="${reading.index}"]`)) showMeasure(place, reading);
  const row = document.querySelector(`#tags tr[data-index="${reading.index}"]`);
  if (!row) return;
  row.className = reading.level;
  row.querySelector(".reading .number").textContent = reading.shown;
  row.querySelector(".quality").textContent = reading.words;
  if (reading.arrival_ms >= 0) row.querySelector(".age").dataset.arrived = reading.arrival_ms;
}

// An alarm's row keeps the value of its beginning until the tag says something newer.
const newest = new Map();
function showMeasure(place, reading) {
  newest.set(reading.index, reading);
  const number = place.querySelector(".value .number");
  if (!number) return;
  if (reading.value !== null || reading.text) number.textContent = reading.shown;
  place.className = "measure " + reading.level;
  place.querySelector(".quality").textContent = reading.words;
}

function watchShown() {
  const table = document.querySelector("#tags .tags");
  byId("tags-count").textContent = table?.dataset.total ?? "";
  const wanted = [...document.querySelectorAll("#tags tr[data-index]")].map((row) => row.dataset.index).join(",");
  tellTimes();
  if (wanted === watched && source) return;
  watched = wanted;
  connect();
}

// --- time and silence -------------------------------------------------------------------------------------------

const now = () => Date.now() + heard.clockOffset;

function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return words.seconds.replace("{n}", s);
  if (s < 3600) return words.minutes.replace("{n}", Math.floor(s / 60));
  if (s < 172800) return words.hours.replace("{n}", Math.floor(s / 3600));
  return words.days.replace("{n}", Math.floor(s / 86400));
}

// To the second where seconds count: how long a person still has, or since when it is too late.
function countdown(ms) {
  const s = Math.floor(Math.abs(ms) / 1000);
  return s < 3600 ? `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}` : span(s * 1000);
}

function tellRespond(place) {
  const left = Number(place.dataset.respondBy) - now();
  place.textContent = (left >= 0 ? words.left : words.overdue).replace("{n}", countdown(left));
  place.classList.toggle("overdue", left < 0);
}

function tellTimes() {
  document.querySelectorAll("[data-respond-by]").forEach(tellRespond);
  for (const place of document.querySelectorAll("[data-elapsed]")) place.textContent = span(now() - Number(place.dataset.elapsed));
  for (const place of document.querySelectorAll("[data-arrived]")) place.textContent = span(now() - Number(place.dataset.arrived));
  const parts = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }).format(now()).split(" ");
  byId("clock").innerHTML = `<span class="day">${parts[0]} </span>${parts[1]}`;
}

const streamSilence = () => performance.now() - heard.at;
const engineSilence = () => heard.engineAge + streamSilence();
const isSilent = () => engineSilence() > SILENT_MS;

function watchdog() {
  const banner = byId("silent");
  const silent = isSilent();
  if (silent) {
    if (byId("dialog").open) byId("dialog").close(); // a modal would cover the banner, and no act can be done now
    const which = heard.signedOut ? "signedOut" : streamSilence() > SILENT_MS / 2 ? "streamSilent" : "engineSilent";
    const seconds = span(which === "engineSilent" ? engineSilence() : streamSilence());
    const what = words[which];
    if (byId("silent-what").textContent !== what) byId("silent-what").textContent = what;
    byId("silent-do").textContent = `${words[which + "Do"]} ${seconds}`;
  }
  if (banner.hidden === silent) {
    banner.hidden = !silent;
    document.body.classList.toggle("is-silent", silent);
    if (silent) banner.scrollIntoView({ block: "start" });
    soundOut();
  }
  const fresh = engineSilence() < 5000 && source?.readyState === EventSource.OPEN;
  byId("pulse").classList.toggle("waiting", !fresh);
  byId("pulse-text").textContent = fresh ? words.connected : words.connecting;
  tellArmed();
  sound.tick(performance.now() / 1000);
}

// --- what a person does -----------------------------------------------------------------------------------------

function tellArmed() {
  const on = sound.armed();
  const button = byId("sound");
  if (button.getAttribute("aria-pressed") === String(on)) return;
  button.setAttribute("aria-pressed", on);
  button.className = on ? "sound-on" : "sound-off";
  button.querySelector("use").setAttribute("href", on ? "#s-sound" : "#s-mute");
  byId("sound-text").textContent = on ? words.soundOn : words.soundOff;
}

function keys(event) {
  if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = [...document.querySelectorAll("#alarm-list .alarm")];
  const at = rows.indexOf(document.activeElement?.closest(".alarm"));
  const key = event.key.toLowerCase();
  if (key === "arrowdown" || key === "j") rows[Math.min(at + 1, rows.length - 1)]?.focus();
  else if (key === "arrowup" || key === "k") rows[Math.max(at - 1, 0)]?.focus();
  else if (key === "a" && at >= 0) rows[at].querySelector('[data-act="acknowledge"]')?.click();
  else if (key === "s" && at >= 0) rows[at].querySelector('[data-act="shelve"]')?.click();
  else if (key === "/") byId("search").focus();
  else return;
  event.preventDefault();
}

function setUp() {
  trend.setUp(words, language, zone);
  byId("sound").addEventListener("click", async () => { await (sound.armed() ? sound.disarm() : sound.arm()); tellArmed(); });
  byId("silence").addEventListener("click", () => { calling().forEach((row) => silenced.add(row.dataset.occurrence)); soundOut(); });
  dialogs.setUp(words, () => { renewHandover(); document.activeElement?.blur(); renewAdvice(); });
  document.addEventListener("click", (event) => {
    if (event.target.closest("#alarms [data-act]")) letGo();
    const open = event.target.closest("[data-tag]");
    if (open?.classList.contains("open")) trend.open(open.dataset.tag);
    const first = event.target.closest("[data-first]");
    if (first) goToFirst(first);
  });
  document.addEventListener("click", guardPress, { capture: true });
  byId("alarms").addEventListener("pointerover", hold);
  byId("alarms").addEventListener("pointerleave", letGo);
  document.addEventListener("keydown", keys);
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "tags") watchShown();
  });
  new Worker(document.querySelector("script[data-watchdog]").dataset.watchdog).addEventListener("message", watchdog);
  setInterval(tellTimes, 1000);
  setInterval(renewAdvice, ADVICE_MS);
  tellTimes();
  connect();
  soundOut();
}

setUp();
