// The live page: keeps the server-rendered lists in step with the event stream.
// Rows are cloned from <template>s and filled with textContent only; nothing is parsed as markup.

import { announce } from "/static/own.js";

const MAX_ALERTS = 60;
const MAX_DECISIONS = 30;
const MAX_NOTICES = 5;
const AGE_TICK_MS = 5000;
const FRESH_MS = 6000;

const root = document.getElementById("live");
const link = document.getElementById("link");
const lost = document.getElementById("lost");
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { style: "short" });

const kinds = {
  alert: { list: document.getElementById("alerts"), row: "alert-row", key: "alertId", max: MAX_ALERTS },
  decision: { list: document.getElementById("decisions"), row: "decision-row", key: "decisionId", max: MAX_DECISIONS },
  device: { list: document.getElementById("devices"), row: "device-row", key: "deviceId", max: Infinity },
};
const marks = {
  alert: (row, data) => { row.dataset.severity = data.severity; row.dataset.level = data.level; },
  decision: (row, data) => { row.dataset.decision = data.decision; },
  device: (row, data) => { row.dataset.presence = data.presence; row.dataset.worst = data.worst; },
};

function pairNodes(pairs) {
  return pairs.map(([label, value]) => {
    const group = document.createElement("div");
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = label;
    text.textContent = value;
    group.append(term, text);
    return group;
  });
}

function listNodes(texts) {
  return texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  });
}

function fill(row, kind, data) {
  row.dataset[kinds[kind].key] = data.id;
  marks[kind](row, data);
  for (const node of row.querySelectorAll("[data-field]")) {
    node.textContent = data[node.dataset.field];
    if (node.classList.contains("replay") || node.classList.contains("failing")) {
      node.hidden = node.textContent === "";
    }
  }
  for (const node of row.querySelectorAll("[data-if]")) node.hidden = !data[node.dataset.if];
  for (const node of row.querySelectorAll("[data-href]")) {
    node.setAttribute("href", data[node.dataset.href]);
    if (!node.dataset.field) node.hidden = data[node.dataset.href] === "";
  }
  for (const node of row.querySelectorAll("[data-pairs]")) node.replaceChildren(...pairNodes(data[node.dataset.pairs]));
  for (const node of row.querySelectorAll("[data-list]")) node.replaceChildren(...listNodes(data[node.dataset.list]));
  for (const node of row.querySelectorAll("time[data-age]")) {
    node.dateTime = data[node.dataset.age];
    node.title = node.textContent;
  }
}

function rowOf(kind, id) {
  for (const row of kinds[kind].list.children) {
    if (row.dataset[kinds[kind].key] === String(id)) return row;
  }
  return null;
}

function place(kind, row) {
  const { list, key } = kinds[kind];
  if (kind !== "device") {
    list.prepend(row);
    return;
  }
  const next = [...list.children].find((other) => other !== row && other.dataset[key] > row.dataset[key]);
  list.insertBefore(row, next ?? null);
}

function upsert(kind, data, isRisen = false) {
  const found = rowOf(kind, data.id);
  const row = found ?? document.getElementById(kinds[kind].row).content.firstElementChild.cloneNode(true);
  fill(row, kind, data);
  if (found === null || (isRisen && kinds[kind].list.firstElementChild !== row)) place(kind, row);
  while (kinds[kind].list.children.length > kinds[kind].max) kinds[kind].list.lastElementChild.remove();
  return row;
}

function replaceAll(kind, items) {
  kinds[kind].list.replaceChildren();
  for (const data of [...items].reverse()) upsert(kind, data);
}

function highlight(row) {
  row.classList.add("fresh");
  setTimeout(() => row.classList.remove("fresh"), FRESH_MS);
}

function setCount(name, value) {
  root.querySelector(`[data-count="${name}"]`).textContent = value;
}

function summarise() {
  setCount("online", kinds.device.list.querySelectorAll('[data-presence="online"]').length);
  setCount("devices", kinds.device.list.children.length);
  for (const { list } of Object.values(kinds)) {
    list.parentElement.querySelector(".empty").hidden = list.children.length > 0;
  }
  const urgent = root.querySelector('[data-count="critical"]').textContent;
  document.title = document.title.replace(/^(\(\d+\+?\) )?/, urgent !== "0" ? `(${urgent}) ` : "");
  tick();
}

function ageText(then) {
  const seconds = Math.round((Date.now() - then) / 1000);
  if (Math.abs(seconds) < 10) return root.dataset.textNow;
  if (seconds < 90) return relative.format(-seconds, "second");
  if (seconds < 5400) return relative.format(-Math.round(seconds / 60), "minute");
  if (seconds < 129600) return relative.format(-Math.round(seconds / 3600), "hour");
  return relative.format(-Math.round(seconds / 86400), "day");
}

function tick() {
  for (const node of root.querySelectorAll("time[data-age]")) {
    const then = Date.parse(node.dateTime);
    if (Number.isNaN(then)) continue;
    if (!node.title) node.title = node.textContent;
    const text = ageText(then);
    if (node.textContent !== text) node.textContent = text;
  }
}

function show(isLive) {
  link.dataset.state = isLive ? "live" : "lost";
  const text = isLive ? root.dataset.textLive : root.dataset.textLost;
  const node = link.querySelector(".link-text");
  if (node.textContent !== text) node.textContent = text;
  lost.hidden = isLive;
}

// What the duty officer is told: an alarm of 110, a clock of the law that is due.
function tell(notice) {
  const list = document.getElementById("notices");
  if (list.querySelector(`[data-notice="${Number(notice.id)}"]`)) return;
  const row = document.createElement("li");
  const to = document.createElement("a");
  const when = document.createElement("span");
  row.className = "line";
  row.dataset.notice = notice.id;
  row.dataset.severity = notice.severity;
  to.className = "target";
  to.href = notice.href;
  to.textContent = notice.title;
  when.className = "quiet";
  when.textContent = [notice.at_text, notice.station].filter(Boolean).join(" · ");
  row.append(to, when);
  list.prepend(row);
  list.hidden = false;
  while (list.children.length > MAX_NOTICES) list.lastElementChild.remove();
  highlight(row);
  announce({ ...notice, id: `notice-${notice.id}` });
}

function listen() {
  // EventSource connects again by itself and then sends the id of the last event it has seen.
  const source = new EventSource(root.dataset.events);
  source.addEventListener("open", () => show(true));
  source.addEventListener("error", () => {
    show(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
  source.addEventListener("signed_out", () => location.reload());
  source.addEventListener("snapshot", (message) => {
    const data = JSON.parse(message.data);
    replaceAll("alert", data.alerts);
    replaceAll("decision", data.decisions);
    replaceAll("device", data.devices);
    summarise();
  });
  source.addEventListener("counts", (message) => {
    const { open, called, oldest } = JSON.parse(message.data);
    for (const [severity, count] of Object.entries(open)) setCount(severity, count);
    const banner = document.querySelector("[data-called]");
    if (banner) {
      banner.hidden = !called;
      banner.dataset.called = called;
      banner.querySelector("b").textContent = called;
      banner.querySelector("a").href = `/alerts/${oldest ?? ""}`;
    }
    summarise();
  });
  source.addEventListener("alert", (message) => {
    const { alert, change } = JSON.parse(message.data);
    // Calls are told again to everybody who listens; what a colleague does is no news to the ear.
    const isRisen = ["raised", "escalated", "call"].includes(change);
    const row = upsert("alert", alert, isRisen);
    if (isRisen) {
      highlight(row);
      announce(alert);
    }
    summarise();
  });
  source.addEventListener("decision", (message) => {
    highlight(upsert("decision", JSON.parse(message.data).decision));
    summarise();
  });
  source.addEventListener("notice", (message) => tell(JSON.parse(message.data).notice));
  source.addEventListener("device", (message) => {
    upsert("device", JSON.parse(message.data).device);
    summarise();
  });
}

summarise();
setInterval(tick, AGE_TICK_MS);
listen();
