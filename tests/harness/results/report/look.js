/* What a reader does with the page, and what is seen then; put into it by test_report.py. */
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
function tell(value) {
  if (parent !== window) { parent.postMessage(JSON.stringify(value), "*"); return; }
  const e = document.createElement("output");
  e.id = "said";
  e.textContent = JSON.stringify(value);
  document.body.append(e);
}
const titled = (e, name) => e.querySelector(".tabulator-col-title")?.textContent === name;
const head = (name) => [...document.querySelectorAll("#runs .tabulator-col")].find((e) => titled(e, name));
const press = (e, key) => e.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const column = (name) => [...document.querySelectorAll("#runs .tabulator-row")].map((row) => row.querySelector(`[tabulator-field="${head(name).getAttribute("tabulator-field")}"]`).textContent);
const choose = (id, value) => { const e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event(id === "find" || id === "of" ? "input" : "change", { bubbles: true })); };
/* What is packed is unpacked by a thread of the browser's own, for which its time, that stands still for no thread, has to wait. */
async function drawn() { for (let i = 0; i < 10000 && document.body.dataset.fits === undefined; i++) await wait(50); }
(async () => { try { await drawn(); await main(); } catch (error) { tell({ error: String(error) }); } })();

async function main() {
  const right = head("t").getBoundingClientRect().right, sort = head("mean %");
  const found = { title: document.title, width: innerWidth, error: document.body.dataset.error, right, fits: document.body.dataset.fits, charts: document.body.dataset.charts, rows: column("ratio").length };
  sort.focus();
  found.focus = document.activeElement === sort;
  press(sort, "Enter");
  await wait(300);
  found.up = column("mean %"); found.aria = sort.getAttribute("aria-sort");
  press(sort, " ");
  await wait(300);
  found.down = column("mean %"); found.then = sort.getAttribute("aria-sort");
  choose("filters-limit", "50");
  await wait(300);
  found.limited = column("ratio").length; found.count = document.querySelector("#filters .soft").textContent;
  choose("filters-status", "complete"); choose("filters-model", "pico");
  await wait(300);
  found.same = column("ratio").length;
  choose("filters-limit", ""); await wait(300);
  choose("find", "nothing of the kind");
  await wait(300);
  found.empty = document.querySelector("#samples").textContent;
  choose("find", "");
  await wait(300);
  found.cards = document.querySelectorAll(".sample").length; found.marks = document.querySelector("#samples").textContent.includes("✗") && document.querySelector("#samples").textContent.includes("✓");
  location.hash = "#run-run0003"; await wait(500);
  found.details = document.getElementById("detail").textContent;
  location.hash = "#samples-run0003"; await wait(500);
  found.of = document.getElementById("of").value;
  found.ink = getComputedStyle(document.body).color;
  tell(found);
}
