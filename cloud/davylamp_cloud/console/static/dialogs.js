// The one dialog of a page and its message line: what htmx swaps in opens, what an act answers closes it or is told.
const byId = (id) => document.getElementById(id);

export function message(text, kind = "refused") {
  const box = byId("message");
  box.className = "message " + kind;
  byId("message-text").textContent = text;
  box.hidden = false;
}

export function setUp(words, done) {
  byId("message-close").addEventListener("click", () => (byId("message").hidden = true));
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) byId("dialog").close();
  });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "dialog" && !byId("dialog").open) {
      byId("dialog").showModal();
      byId("dialog").scrollTop = 0; // the focus is on its last button: a long one opened at its end
    }
  });
  document.body.addEventListener("davylamp-done", () => { byId("dialog").close(); byId("message").hidden = true; done(); });
  document.body.addEventListener("davylamp-message", (event) => message(event.detail.text, event.detail.kind));
  document.body.addEventListener("htmx:sendError", () => message(words.failed));
  document.body.addEventListener("htmx:responseError", (event) => { if (!event.detail.xhr.getResponseHeader("HX-Trigger")) message(words.failed); });
}
