// The backtest's page: htmx does all of it but the dialog of a tag's limits.
import * as dialogs from "./dialogs.js";

const words = JSON.parse(document.querySelector("#page-words").textContent);

dialogs.setUp(words, () => dialogs.message(words.inForce, "note"));
