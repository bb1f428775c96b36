// On every page: this browser's own settings, keys, progress of long work, lists that renew themselves.

const settings = {
  get: (name) => localStorage.getItem(`qianshao.${name}`) ?? "",
  set: (name, value) => localStorage.setItem(`qianshao.${name}`, value),
};

function applyTheme() {
  const theme = settings.get("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
applyTheme();

function ownSettings() {
  for (const panel of document.querySelectorAll("[data-own-device]")) panel.hidden = false;
  for (const input of document.querySelectorAll("[data-setting]")) {
    const name = input.dataset.setting;
    if (input.type === "checkbox") input.checked = settings.get(name) === "on";
    else input.value = settings.get(name);
    input.addEventListener("change", async () => {
      if (name === "notice" && input.checked && "Notification" in window) {
        input.checked = (await Notification.requestPermission()) === "granted";
      }
      settings.set(name, input.type === "checkbox" ? (input.checked ? "on" : "") : input.value);
      if (name === "sound" && input.checked) beep("high");
      applyTheme();
    });
  }
}

// A tone made here: no file to fetch. Critical is higher and comes twice.
export function beep(severity) {
  const audio = new AudioContext();
  const times = severity === "critical" ? 2 : 1;
  for (let i = 0; i < times; i += 1) {
    const tone = audio.createOscillator();
    const gain = audio.createGain();
    const at = audio.currentTime + i * 0.3;
    tone.frequency.value = severity === "critical" ? 880 : 587;
    gain.gain.setValueAtTime(0.0001, at);
    gain.gain.exponentialRampToValueAtTime(0.25, at + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.22);
    tone.connect(gain).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.25);
    if (i === times - 1) tone.onended = () => audio.close();
  }
}

export function announce(alert) {
  if (settings.get("sound") === "on") beep(alert.severity);
  if (settings.get("notice") === "on" && "Notification" in window && Notification.permission === "granted") {
    const notice = new Notification(alert.title, { body: `${alert.severity_text} · ${alert.station}`, tag: `alert-${alert.id}` });
    notice.onclick = () => { window.focus(); location.href = alert.href; };
  }
}

// j and k walk through the rows of the first list or table of the page, as in a mail reader.
function keys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key)) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    const links = [...document.querySelectorAll("main .alert h3 a, main td a.target")];
    if (!links.length) return;
    const now = links.indexOf(document.activeElement);
    const next = event.key === "j" ? Math.min(now + 1, links.length - 1) : Math.max(now - 1, 0);
    links[next].focus();
    event.preventDefault();
  });
}

// A menu that stands open closes with Escape, with a click elsewhere and when the focus leaves it.
function menus() {
  const close = (kept) => {
    for (const menu of document.querySelectorAll(".menu[open]")) if (menu !== kept) menu.open = false;
  };
  document.addEventListener("click", (event) => close(event.target.closest(".menu")));
  document.addEventListener("focusin", (event) => close(event.target.closest(".menu")));
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.querySelector(".menu[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });
}

function progress() {
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || event.defaultPrevented) return;
    if (event.target.method === "post") {
      // A second click must not send the form twice; the page that comes replaces this one.
      setTimeout(() => { button.disabled = true; button.dataset.sent = ""; }, 0);
    }
    if (!button.dataset.busy) return;
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", button.dataset.busy);
    button.after(bar);
    button.textContent = button.dataset.busy;
  });
  addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button[data-sent]")) button.disabled = false;
  });
}

function renew() {
  const part = document.getElementById("refreshed");
  if (!part) return;
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.getElementById("refreshed").replaceWith(fresh.getElementById("refreshed"));
      const time = document.querySelector("[data-refreshed]");
      if (time) time.textContent = fresh.querySelector("[data-refreshed]").textContent;
    } catch {
      location.reload();
    }
  }, Number(part.dataset.refreshS) * 1000);
}

ownSettings();
keys();
menus();
progress();
renew();
