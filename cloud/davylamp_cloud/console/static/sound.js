// What the duty room hears. Nothing sounds until a person has armed it with a click (browsers demand it, and the page
// says so until it is done). Each priority has its own rhythm and pitch; a late alarm falls, a silent engine sweeps.

const PATTERNS = {
  red: { every: 1.6, type: "square", notes: [[960, 0, 0.18], [720, 0.2, 0.18], [960, 0.4, 0.18], [720, 0.6, 0.18]] },
  late: { every: 5, type: "triangle", notes: [[880, 0, 0.3], [660, 0.32, 0.3], [440, 0.64, 0.5]] },
  orange: { every: 5, type: "square", notes: [[660, 0, 0.25], [660, 0.4, 0.25], [660, 0.8, 0.25]] },
  yellow: { every: 15, type: "triangle", notes: [[520, 0, 0.3], [520, 0.5, 0.3]] },
  blue: { every: 60, type: "sine", notes: [[400, 0, 0.4]] },
  silent: { every: 1.3, type: "sawtooth", notes: [[420, 0, 1.1, 1250]] },
};
export const ORDER = ["silent", "red", "late", "orange", "yellow", "blue"];

let context = null;
let current = "";
let nextAt = 0;

export function armed() {
  return context !== null && context.state === "running";
}

export async function arm() {
  context ??= new AudioContext();
  await context.resume();
  play("blue");
}

export async function disarm() {
  await context?.suspend();
}

// Sound the most urgent of some kinds until told otherwise; none is silence.
export function sounding(kinds) {
  const most = ORDER.find((kind) => kinds.has(kind)) ?? "";
  document.documentElement.dataset.sounding = most;
  if (most !== current) {
    current = most;
    nextAt = 0;
  }
}

// Called by the watchdog's tick: timers of the page itself may be asleep.
export function tick(nowS) {
  if (!armed() || current === "" || nowS < nextAt) return;
  play(current);
  nextAt = nowS + PATTERNS[current].every;
}

// Sound one pattern once, for an announcement.
export function play(kind) {
  const pattern = PATTERNS[kind];
  if (!armed() || !pattern) return;
  for (const [pitch, start, length, glide] of pattern.notes) note(pattern.type, pitch, context.currentTime + start, length, glide);
}

function note(type, pitch, at, length, glide) {
  const tone = new OscillatorNode(context, { type, frequency: pitch });
  const volume = new GainNode(context, { gain: 0 });
  if (glide) tone.frequency.linearRampToValueAtTime(glide, at + length);
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(0.5, at + 0.015);
  volume.gain.setValueAtTime(0.5, at + length - 0.03);
  volume.gain.linearRampToValueAtTime(0, at + length);
  tone.connect(volume).connect(context.destination);
  tone.start(at);
  tone.stop(at + length + 0.02);
}
