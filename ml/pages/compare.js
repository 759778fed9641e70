"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const state = { task: "", cutoff: "", stratum: "", sort: "", falling: true };
const byId = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
const kinds = { purchase: "purchase within", churn: "churn: no purchase within", spend: "spend within" };
const shownTask = (task) => {
  const found = /^([a-z]+)_(\d+)d$/.exec(task);
  return found && kinds[found[1]] ? `${kinds[found[1]]} ${found[2]} days` : task === "all" ? "score and time" : task;
};
const shownCutoff = (cutoff) => (cutoff === "mean" ? "mean of the test cutoffs" : cutoff);
const shownStratum = (stratum) => (stratum === "all" ? "all customers" : stratum.replace("_", " "));
// Goodness: the larger the better, whatever the metric.
const goodness = (metric, value) => {
  const better = data.metrics[metric][1];
  if (better === "more") return value;
  return better === "less" ? -value : -Math.abs(value - (better === "zero" ? 0 : Number(better)));
};
const written = (value) => {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 4).replace("-", "−");
};

function choose(name, label, values, shown) {
  if (!values.includes(state[name])) state[name] = values.find((v) => v === "all" || v === "mean") || values[0];
  const select = make("select");
  select.id = name;
  for (const value of values) {
    const option = make("option", "", shown(value));
    option.value = value;
    option.selected = value === state[name];
    select.append(option);
  }
  select.onchange = () => { state[name] = select.value; draw(); };
  const holder = make("label", "", label);
  holder.append(select);
  byId("choice").append(holder);
}

function cell(metric, found, range, best) {
  const td = make("td", "n");
  if (!found || found[0] === null) { td.textContent = "–"; return td; }
  const [value, low, high] = found;
  const sign = metric.includes("minus") && value > 0 ? "+" : "";
  const number = make("span", "", sign + written(value));
  if (value === best) td.classList.add("best");
  if (metric.includes("minus") && low !== undefined) {
    if (low > 0) number.className = "up";
    if (high < 0) number.className = "down";
  }
  td.append(number);
  if (low === undefined || low === null) return td;
  td.title = `95 % interval ${written(low)} … ${written(high)}`;
  const width = range[1] - range[0] || 1;
  const at = (x) => 100 * (x - range[0]) / width;
  const bar = make("span", "bar"), reach = make("i"), tick = make("b");
  if (range[0] < 0 && range[1] > 0) {
    const nought = make("s");
    nought.style.left = `${at(0)}%`;
    bar.append(nought);
  }
  reach.style.left = `${at(low)}%`;
  reach.style.width = `${Math.max(at(high) - at(low), 1)}%`;
  tick.style.left = `calc(${at(value)}% - 1px)`;
  bar.append(reach, tick);
  td.append(bar);
  return td;
}

function draw() {
  byId("choice").replaceChildren();
  choose("task", "Task", Object.keys(data.tables), shownTask);
  const cutoffs = data.tables[state.task];
  choose("cutoff", "Cutoff", Object.keys(cutoffs).sort().reverse(), shownCutoff);
  const strata = cutoffs[state.cutoff];
  choose("stratum", "Customers", Object.keys(strata), shownStratum);
  const models = strata[state.stratum], names = Object.keys(models);
  const metrics = Object.keys(data.metrics).filter((m) => names.some((name) => m in models[name]));
  if (!metrics.includes(state.sort)) { state.sort = metrics[0]; state.falling = true; }
  const key = (name) => (models[name][state.sort] ? goodness(state.sort, models[name][state.sort][0]) : -Infinity);
  names.sort((a, b) => (state.falling ? key(b) - key(a) : key(a) - key(b)));
  const table = make("table"), head = make("tr");
  head.append(make("th", "", "model"));
  for (const metric of metrics) {
    const mark = metric === state.sort ? (state.falling ? " ▾" : " ▴") : "";
    const th = make("th", "n", data.metrics[metric][0] + mark);
    th.title = data.metrics[metric][2];
    th.onclick = () => {
      state.falling = metric === state.sort ? !state.falling : true;
      state.sort = metric;
      draw();
    };
    head.append(th);
  }
  table.append(head);
  const ranges = {}, bests = {};
  for (const metric of metrics) {
    const found = names.map((name) => models[name][metric]).filter((f) => f && f[0] !== null);
    const ends = found.flat().filter((x) => x !== null);
    ranges[metric] = [Math.min(...ends), Math.max(...ends)];
    bests[metric] = found.map((f) => f[0]).sort((a, b) => goodness(metric, b) - goodness(metric, a))[0];
  }
  for (const name of names) {
    const row = make("tr", name === data.champion ? "champion" : "");
    row.append(make("td", "", name));
    for (const metric of metrics) row.append(cell(metric, models[name][metric], ranges[metric], bests[metric]));
    table.append(row);
  }
  byId("table").replaceChildren(table);
  const happened = data.outcomes[[state.task, state.cutoff, state.stratum].join("|")] || {};
  const mean = happened.mean === undefined || happened.mean === null ? ""
    : state.task.startsWith("spend") ? `, ${happened.mean.toFixed(2)} spent a customer (shop's currency)`
    : `, ${(100 * happened.mean).toFixed(1)} % of them do`;
  byId("about").textContent = happened.customers ? `${happened.customers.toLocaleString("en")} rows${mean}.` : "";
  byId("notes").textContent = "Click a heading to sort, best first; again to turn. Bars: 95 % intervals, customers resampled; "
    + "all bars of a column share one scale, a grey line marks 0. Bold: the best of the column. "
    + metrics.map((m) => `${data.metrics[m][0]}: ${data.metrics[m][2]}`).join(" · ") + ".";
}
const first = Object.keys(data.tables).find((task) => task.startsWith("churn"));
if (first) state.task = first;
draw();
