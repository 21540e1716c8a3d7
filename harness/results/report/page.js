/* All of it in a function, as the libraries before it have names of their own. */
(() => {
"use strict";
const at = (id) => document.getElementById(id);
const plain = (id) => JSON.parse(at(id).textContent);
const make = (tag, text, kind) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (kind) e.className = kind; return e; };

/* What is folded: lines of JSON, gzip, base64; each is unfolded once, when it is first looked at. */
const unfolded = {};
function unfold(id) {
  unfolded[id] ??= (async () => {
    const bytes = Uint8Array.from(atob(at(id).textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return (await new Response(stream).text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  })();
  return unfolded[id];
}
function select(form, name, choices, all) {
  const label = make("label", name), list = make("select");
  list.id = `${form.id}-${name}`;
  if (all) list.append(new Option(all, ""));
  choices.forEach((choice) => list.append(new Option(choice, choice)));
  label.append(list);
  form.append(label);
  return list;
}
const distinct = (values) => [...new Set(values)];

/* Runs. */
const runs = plain("data-runs");
const number = (text) => { const found = String(text).match(/^[+-]?[\d.]+(e[+-]?\d+)?/i); return found ? parseFloat(found[0]) : null; };
const order = (a, b) => {
  const x = number(a), y = number(b);
  return x !== null && y !== null ? x - y : (x === null) - (y === null) || String(a).localeCompare(String(b));
};
const field = (place) => `c${place}`;
const place = (name) => runs.columns.findIndex((column) => column.name === name);
const value = (row, name) => row[field(place(name))];
const rows = runs.rows.map((cells) => Object.fromEntries(cells.map((text, i) => [field(i), text])));
const heads = { mean: "mean %", entrance: "entrance %", last: "last %" };
const words = ["model", "reducer", "at", "run", "status"];
function links(cell) {
  const run = value(cell.getData(), "id"), box = make("span");
  [["settings", `#run-${run}`], ["samples", `#samples-${run}`]].forEach(([text, to]) => {
    const link = make("a", text);
    link.href = to;
    link.setAttribute("aria-label", `${text} of run ${run}`);
    box.append(link);
  });
  box.append(make("span", cell.getValue()));
  return box;
}
const form = at("filters"), wanted = {};
form.addEventListener("submit", (event) => event.preventDefault());
for (const [name, column] of [["model", "model"], ["method", "reducer"], ["limit", "limit"], ["status", "status"]]) {
  wanted[column] = select(form, name, distinct(rows.map((row) => value(row, column))).sort(order), "all");
}
const task = select(form, "task", runs.tasks, "all");
task.value = runs.first;
const clear = make("button", "clear"), count = make("span", "", "soft");
clear.type = "button";
count.setAttribute("role", "status");
form.append(clear, count);

const table = new Tabulator("#runs", {
  data: rows, maxHeight: "75vh", layout: "fitData", placeholder: rows.length ? "No run is like this: clear the filters." : "There are no runs.",
  columnDefaults: { sorter: order, headerSortStartingDir: "asc", titleFormatter: (cell) => make("span", cell.getValue()) },
  columns: runs.columns.filter((column) => column.name !== "id").map((column) => ({
    title: heads[column.name] ?? column.name, field: field(place(column.name)), frozen: column.name === "reducer" && window.innerWidth > 700,
    hozAlign: words.includes(column.name) ? "left" : "right", maxWidth: column.name === "reducer" ? 320 : undefined,
    formatter: column.name === "run" ? links : "plaintext", visible: !column.task || !task.value || column.task === task.value,
  })),
});
const matches = (row) => Object.entries(wanted).every(([name, list]) => !list.value || value(row, name) === list.value)
  && (!task.value || value(row, task.value) !== "");
function filter() {
  runs.columns.forEach((column, i) => {
    if (column.task) table[!task.value || column.task === task.value ? "showColumn" : "hideColumn"](field(i));
  });
  table.setFilter(matches);
}
form.addEventListener("change", filter);
clear.addEventListener("click", () => { Object.values(wanted).forEach((list) => { list.value = ""; }); task.value = runs.first; filter(); });
table.on("dataFiltered", (_, found) => { count.textContent = `${found.length} of ${rows.length} runs`; });
table.on("tableBuilt", () => {
  document.querySelectorAll("#runs .tabulator-col.tabulator-sortable").forEach((head) => {
    head.tabIndex = 0;
    head.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      head.querySelector(".tabulator-col-content").click();
    });
  });
  filter();
  document.body.dataset.runs = rows.length;
});

/* Plots. */
async function plots() {
  const spec = plain("data-spec"), points = spec ? await unfold("data-points") : [];
  if (!spec) return at("chart").replaceChildren(make("p", "No finished run has both a figure and a cost, so there is nothing to draw.", "soft"));
  const choose = at("choose"), lists = { model: select(choose, "model", distinct(points.map((p) => p.model))), task: select(choose, "task", distinct(points.map((p) => p.task))) };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  async function draw() {
    const chosen = points.filter((point) => point.model === lists.model.value && point.task === lists.task.value);
    if (!chosen.length) return at("chart").replaceChildren(make("p", "This model has no figure of this task.", "soft"));
    const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--ink"), line = style.getPropertyValue("--line");
    const axis = { labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line }, { looks, ...drawn } = spec;
    const methods = distinct(chosen.map((point) => point.method)).sort();
    [drawn, ...drawn.layer].forEach((part) => [["color", 0], ["shape", 1]].forEach(([channel, i]) => {
      if (part.encoding[channel]) part.encoding[channel].scale = { domain: methods, range: methods.map((m) => (looks[m][i] === "#000000" ? ink : looks[m][i])) };
    }));
    drawn.datasets = { points: chosen };
    const config = { background: null, axis, legend: { labelColor: ink, titleColor: ink }, view: { stroke: line } };
    await vegaEmbed("#chart", drawn, { actions: false, renderer: "svg", config });
    document.body.dataset.charts = chosen.length;
  }
  choose.addEventListener("change", draw);
  dark.addEventListener("change", draw);
  return draw();
}

/* Samples. */
const right = (answer) => answer.score !== null && answer.score >= 0.5;
function card(sample, run) {
  const box = make("div", undefined, "sample"), answers = make("div", undefined, "answers");
  box.append(make("div", `${sample.model} · ${sample.task}/${sample.doc_id}`, "soft"), make("p", sample.question), make("div", `target: ${sample.target}`, "soft"));
  const shown = sample.answers.filter((answer) => !run || answer.base || answer.run.startsWith(run));
  shown.forEach((answer) => {
    const mark = answer.score === null ? "·" : right(answer) ? "✓" : "✗", said = make("div", undefined, answer.score === null ? "" : right(answer) ? "right" : "wrong");
    said.append(make("span", `${mark} ${answer.method}: ${answer.answer}`));
    if (answer.tokens) said.append(make("div", `tokens ${answer.tokens}`, "soft"));
    answers.append(said);
  });
  box.append(answers);
  shown.forEach((answer) => {
    if (answer.picture) {
      const image = make("img");
      image.src = "data:image/jpeg;base64," + answer.picture;
      image.alt = `tokens kept by ${answer.method}`;
      box.append(make("div", answer.method, "soft"), image);
    } else if (answer.why) box.append(make("div", answer.why, "soft"));
  });
  return box;
}
async function browse() {
  const found = await unfold("data-samples"), of = at("of"), find = at("find"), which = at("which");
  found.forEach((sample) => { sample.text = [sample.question, sample.target, ...sample.answers.map((a) => a.answer)].join("\n").toLowerCase(); });
  const list = new Tabulator("#samples", {
    data: found, layout: "fitColumns", headerVisible: false, renderVertical: "basic", pagination: true, paginationSize: 10,
    placeholder: found.length ? "No sample is like this." : "None of these runs has its answers here: those of other machines come with `winnow export --full`.",
    columns: [{ field: "text", formatter: (cell) => card(cell.getData(), of.value) }],
  });
  const fits = (sample) => {
    const base = sample.answers.find((a) => a.base), others = sample.answers.filter((a) => !a.base && (!of.value || a.run.startsWith(of.value)));
    if (of.value && !sample.answers.some((a) => a.run.startsWith(of.value))) return false;
    if (which.value !== "all" && !base) return false;
    if (which.value === "lost" && !(right(base) && others.some((a) => !right(a)))) return false;
    if (which.value === "won" && !(!right(base) && others.some(right))) return false;
    return sample.text.includes(find.value.toLowerCase());
  };
  const seek = () => { list.setFilter(fits); list.getRows("active").forEach((row) => row.reformat()); };
  list.on("dataFiltered", (_, kept) => { at("samples-count").textContent = `${kept.length} of ${found.length} samples`; });
  await new Promise((done) => { list.on("tableBuilt", done); });
  at("sought").addEventListener("submit", (event) => event.preventDefault());
  at("sought").addEventListener("input", seek);
  seek();
  document.body.dataset.samples = found.length;
  return seek;
}

/* A run's settings, or its samples, by the address: #run-ID, #samples-ID. */
let browsed;
async function go() {
  const [, kind, run] = window.location.hash.match(/^#(run|samples)-(.+)$/) ?? [];
  if (kind === "samples" && run !== "part") {
    const seek = await browsed;
    at("of").value = run;
    seek();
    at("samples-part").scrollIntoView();
  } else if (kind === "run") {
    const found = (await unfold("data-details")).find((one) => one.run === run), box = at("detail");
    if (!found) return box.replaceChildren(make("p", `This page holds no run ${run}.`, "soft"));
    const texts = ["settings", "environment"].filter((name) => found[name]).flatMap((name) => [make("h3", name), make("pre", found[name])]);
    box.replaceChildren(make("p", `${found.title} · run ${run}`), ...texts, ...(texts.length ? [] : [make("p", "It is imported, without settings and environment.", "soft")]));
    box.dataset.run = run;
    at("details").scrollIntoView();
  }
}
window.addEventListener("hashchange", go);
(async () => {
  await plots();
  browsed = browse();
  await browsed;
  await go();
  document.body.dataset.fits = document.documentElement.scrollWidth <= window.innerWidth;
})();
})();
