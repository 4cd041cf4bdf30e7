// One tag's trend: the curve, its limits as lines, gaps where nothing good is known, holes where readings were lost.

const COLOURS = { red: "#ff5c68", orange: "#ff9a1f", yellow: "#ffe14d", blue: "#58aaff" };
const GOOD = 0;

let chart = null;
let tag = null;
let minutes = 30;
let words = {};
let language = "en";
let zone = "UTC";

export function setUp(pageWords, pageLanguage, pageZone) {
  words = pageWords;
  language = pageLanguage;
  zone = pageZone;
  document.querySelector("#trend-close").addEventListener("click", close);
  for (const button of document.querySelectorAll(".spans [data-minutes]")) {
    button.addEventListener("click", () => {
      minutes = Number(button.dataset.minutes);
      for (const other of document.querySelectorAll(".spans [data-minutes]")) other.setAttribute("aria-pressed", other === button);
      load();
    });
  }
  addEventListener("resize", () => chart?.resize());
}

export async function open(id) {
  const section = document.querySelector("#trend");
  section.hidden = false;
  section.dataset.tag = id;
  chart ??= echarts.init(document.querySelector("#chart"), "dark");
  chart.resize();
  tag = { tag: id };
  await load();
  section.scrollIntoView({ block: "nearest" });
}

export function close() {
  document.querySelector("#trend").hidden = true;
  tag = null;
}

export function isOpen() {
  return tag !== null;
}

async function load() {
  const asked = tag?.tag;
  if (!asked) return;
  const to = Date.now();
  const path = "/api/v1/tags/" + asked;
  const about = document.querySelector("#chart-text");
  try {
    const [facts, history] = await Promise.all([
      json(path),
      json(`${path}/history?from_ms=${to - minutes * 60000}&to_ms=${to + 1000}&resolution=auto`),
    ]);
    if (tag?.tag !== asked) return;
    tag = { ...facts, history };
    draw(to - minutes * 60000, to);
    about.textContent = history.times_ms.length ? summary() : words.noReadings;
  } catch {
    about.textContent = words.trendFailed;
  }
}

async function json(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

// A reading that just arrived, while the trend is open.
export function append(reading) {
  if (!tag?.history || reading.index !== tag.index || tag.history.resolution !== "raw") return;
  const history = tag.history;
  if (history.times_ms.length && reading.time_ms <= history.times_ms.at(-1)) return;
  history.times_ms.push(reading.time_ms);
  history.values.push(reading.value);
  history.qualities.push(reading.quality);
  draw(Date.now() - minutes * 60000, Date.now());
  document.querySelector("#chart-text").textContent = summary();
}

function draw(from, to) {
  const history = tag.history;
  document.querySelector("#trend-title").textContent = `${tag.name[language]} ${tag.plant_tag}${tag.unit ? " (" + tag.unit + ")" : ""}`;
  chart.setOption(
    {
      backgroundColor: "transparent",
      animation: false,
      grid: narrow() ? { left: 46, right: 62, top: 20, bottom: 30 } : { left: 70, right: 110, top: 24, bottom: 36 },
      tooltip: { trigger: "axis", valueFormatter: (value) => (value === null || value === undefined ? "—" : `${Number(value.toPrecision(6))} ${tag.unit}`) },
      xAxis: { type: "time", min: from, max: to, axisLabel: { color: "#f4f7fa", fontSize: 15, hideOverlap: true, formatter: clock }, splitLine: { show: true, lineStyle: { color: "#22303e" } } },
      yAxis: { type: "value", scale: true, min: lowest, max: highest, axisLabel: { color: "#f4f7fa", fontSize: 15, showMinLabel: false, showMaxLabel: false }, splitLine: { lineStyle: { color: "#22303e" } } },
      series: [...bands(history), line(history)],
    },
    { notMerge: true },
  );
}

const narrow = () => document.querySelector("#chart").clientWidth < 600;

function clock(time) {
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", ...(minutes > 1440 ? { day: "numeric", month: "numeric" } : {}) }).format(time);
}

// The axis keeps every limit in sight: how far away it is, is what a person wants to know.
function lowest(range) {
  const least = Math.min(range.min, ...tag.limits.map((limit) => limit.value));
  return least >= 0 && least < margin(range) ? 0 : least - margin(range);
}
function highest(range) {
  return Math.max(range.max, ...tag.limits.map((limit) => limit.value)) + margin(range);
}
function margin(range) {
  const all = [range.min, range.max, ...tag.limits.map((limit) => limit.value)];
  return (Math.max(...all) - Math.min(...all) || 1) * 0.08;
}

function line(history) {
  return {
    type: "line", name: history.resolution === "raw" ? tag.name[language] : words.mean, showSymbol: false, connectNulls: false, z: 5,
    step: tag.kind === "status" ? "end" : false, lineStyle: { width: 3, color: "#8cf0ff" }, itemStyle: { color: "#8cf0ff" },
    data: points(history),
    markLine: { symbol: "none", silent: true, data: tag.limits.map(limitLine) },
    markArea: { silent: true, data: [...doubts(history), ...history.holes.map(hole)] },
  };
}

function limitLine(limit) {
  const colour = COLOURS[limit.priority];
  return { yAxis: limit.value, lineStyle: { color: colour, width: 2, type: limit.priority === "red" ? "solid" : "dashed" }, label: { color: colour, fontSize: 15, fontWeight: 700, formatter: `${limit.kind} ${limit.value}${limit.verified ? "" : " ?"}` } };
}

// A value that is not good leaves a gap in the curve; the shade says why there is one.
function points(history) {
  return history.times_ms.map((time, i) => [time, history.resolution === "raw" && history.qualities[i] >> 8 === 2 ? null : history.values[i]]);
}

function doubts(history) {
  const bad = (i) => (history.resolution === "raw" ? history.qualities[i] !== GOOD : history.doubtful[i] > 0);
  const spans = [];
  for (let i = 0; i < history.times_ms.length; i++) {
    if (!bad(i)) continue;
    const first = i;
    while (i + 1 < history.times_ms.length && bad(i + 1)) i++;
    const end = history.times_ms[i + 1] ?? history.times_ms[i] + (history.step_ms || 1000);
    spans.push([{ xAxis: history.times_ms[first], name: words.notGood, itemStyle: { color: "rgba(255,154,31,.22)" }, label: { color: "#ffb052", fontSize: 13, position: "insideTop" } }, { xAxis: end }]);
  }
  return spans.slice(-200);
}

function hole(gap) {
  return [{ xAxis: gap.first_ms, name: `${words.hole}: ${gap.count}`, itemStyle: { color: "rgba(216,9,31,.28)" }, label: { color: "#ff9aa2", fontSize: 13, position: "insideBottom" } }, { xAxis: gap.last_ms }];
}

function bands(history) {
  if (history.resolution === "raw") return [];
  const band = (name, data, area) => ({ type: "line", name, data, stack: "band", stackStrategy: "all", symbol: "none", silent: true, lineStyle: { opacity: 0 }, areaStyle: area, tooltip: { show: false } });
  const low = history.times_ms.map((time, i) => [time, history.lows[i]]);
  const spread = history.times_ms.map((time, i) => [time, history.highs[i] === null ? null : history.highs[i] - history.lows[i]]);
  return [band("low", low, { opacity: 0 }), band(words.lowHigh, spread, { color: "rgba(140,240,255,.22)" })];
}

function summary() {
  const history = tag.history;
  const value = history.values.at(-1);
  const limits = tag.limits.map((limit) => `${limit.kind} ${limit.value} ${tag.unit} — ${limit.source}${limit.verified ? "" : " (" + words.unverified + ")"}`);
  return [`${words.newest}: ${value === null || value === undefined ? "—" : Number(value.toPrecision(6))} ${tag.unit}`, ...limits].join(" · ");
}
