// Ticks from a worker: a page in the background has its own timers slowed to one a minute, and a duty room cannot wait.
setInterval(() => postMessage("tick"), 500);
