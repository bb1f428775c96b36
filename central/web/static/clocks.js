// The board of clocks: what is left counts on by itself; when a clock runs out the page asks anew.

const TICK_MS = 1000;
const RELOAD_MS = 30000;
let renewed = Date.now();

function text(ms) {
  const all = Math.floor(Math.abs(ms) / 1000);
  const two = (n) => String(n).padStart(2, "0");
  const days = Math.floor(all / 86400);
  const clock = `${Math.floor((all % 86400) / 3600)}:${two(Math.floor((all % 3600) / 60))}:${two(all % 60)}`;
  return days ? `${days} d ${clock}` : clock;
}

function tick() {
  let isOver = false;
  for (const node of document.querySelectorAll("[data-left]")) {
    const left = Number(node.dataset.left) / 1000 - Date.now();
    node.textContent = text(left);
    if (left < 0 && !node.closest("[data-overdue]")) isOver = true;
  }
  const isTyping = document.activeElement && document.activeElement.matches("input, select, textarea, button");
  if (Date.now() - renewed > RELOAD_MS && !isTyping && (isOver || !document.hidden)) {
    renewed = Date.now();
    location.reload();
  }
}

setInterval(tick, TICK_MS);
