"""The customer's page: one document without anything from elsewhere, filled by events."""

from __future__ import annotations

from typing import Final

PAGE: Final = """<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="kiosk-key" content="@KEY@"><title>取款 Withdrawal</title>
<style>
 :root { color-scheme: dark; font-family: "Noto Sans CJK SC", "Noto Sans SC", system-ui, sans-serif;
   --u: min(1vw, 1.25vh) }
 * { box-sizing: border-box }
 body { margin: 0; height: 100vh; display: grid; grid-template-rows: 1fr auto; background: #0b2239;
   color: #fff; text-align: center; padding: calc(3 * var(--u)) }
 main { display: grid; align-content: center; justify-items: center; gap: calc(2.5 * var(--u));
   min-height: 0 }
 p { margin: 0; text-wrap: balance; max-width: 36em }
 #zh { font-size: calc(6.4 * var(--u)); font-weight: 600; line-height: 1.3; overflow-wrap: anywhere;
   word-break: keep-all; line-break: strict }
 #en { font-size: calc(3.6 * var(--u)); line-height: 1.35; color: #d7e6f5 }
 [data-lang=en] .texts { display: flex; flex-direction: column-reverse }
 [data-lang=en] #zh { font-size: calc(3.6 * var(--u)) !important; font-weight: 400; color: #d7e6f5 }
 [data-lang=en] main:has(form:not([hidden])) #en { font-size: calc(4.4 * var(--u)) !important }
 [data-lang=en] #en { font-size: calc(5.4 * var(--u)) !important; font-weight: 600; color: #fff }
 [data-lang=en] button:has(small) { display: flex; flex-direction: column-reverse; font-size:
   calc(2.2 * var(--u)); font-weight: 400; align-items: center; justify-content: center }
 [data-lang=en] button small { font-size: calc(3.2 * var(--u)); font-weight: 600 }
 #lang { position: fixed; top: calc(1.2 * var(--u)); right: calc(1.6 * var(--u));
   min-height: calc(5.6 * var(--u)); font-size: calc(2.6 * var(--u)); background: #35506c;
   color: #fff; padding: 0 1em }
 #detail { font-size: calc(3.4 * var(--u)); font-weight: 600; color: #ffd75e; max-width: none }
 #detail span { display: block }
 #options { display: grid; gap: calc(1.3 * var(--u)); grid-template-columns: 1fr 1fr }
 #options:has(> :nth-child(1):last-child, > :nth-child(3):last-child) { grid-template-columns: 1fr }
 #card { font-size: calc(3.9 * var(--u)); color: #ffd75e }
 #card:empty, [hidden] { display: none !important }
 #other { font-size: calc(2.9 * var(--u)); color: #d7e6f5; padding-top: calc(2 * var(--u));
   border-top: 2px solid #2c4a69 }
 form { display: grid; gap: calc(1.3 * var(--u)); width: min(100%, calc(92 * var(--u))) }
 output { display: block; font-size: calc(5 * var(--u)); font-weight: 600; background: #06182a;
   border: 3px solid #7fa7cf; border-radius: 12px; padding: calc(.3 * var(--u)); line-height: 1.3 }
 #hint { font-size: calc(2.6 * var(--u)); color: #d7e6f5 }
 #hint.is-off { color: #ffd75e }
 .keys { display: grid; grid-template-columns: repeat(6, 1fr); gap: calc(1.2 * var(--u)) }
 button { font: inherit; font-size: calc(3.3 * var(--u)); font-weight: 600; color: #0b2239;
   background: #d7e6f5; border: 3px solid transparent; border-radius: 12px;
   min-height: calc(8.2 * var(--u)); padding: 0 .3em; line-height: 1.15;
   touch-action: manipulation }
 button:focus-visible { border-color: #ffd75e; outline: 3px solid #ffd75e }
 button:active { background: #fff }
 button.main { background: #2f9e5b; color: #fff } button.main:disabled { background: #4d5d6d }
 button.leave { background: #35506c; color: #fff }
 small { display: block; font-size: .62em; font-weight: 400 }
 .row { display: grid; grid-template-columns: 1fr 1fr; gap: calc(1.6 * var(--u)) }
 #other { max-width: none } #other span, #hint span { display: block }
 body:has(#amount:not([hidden])) { padding: calc(1.5 * var(--u)) calc(3 * var(--u)) }
 main:has(#amount:not([hidden])) { gap: calc(1.2 * var(--u)); align-content: space-evenly }
 main:has(#choice:not([hidden])) #zh { font-size: calc(5 * var(--u)) }
 main:has(#choice:not([hidden])) #en { font-size: calc(3 * var(--u)) }
 main:has(#amount:not([hidden])) #zh { font-size: calc(4.6 * var(--u)) }
 main:has(#amount:not([hidden])) #en { font-size: calc(2.8 * var(--u)) }
 body:has(#amount:not([hidden])) #other { font-size: calc(2.5 * var(--u));
   padding-top: calc(1 * var(--u)) }
 @media (orientation: portrait) { :root { --u: min(1.12vw, 1vh) }
   .keys { grid-template-columns: repeat(3, 1fr) } button { min-height: calc(11 * var(--u)) }
   #amount button { min-height: calc(9 * var(--u)) }
   body:has(#confirm:not([hidden])) #zh { font-size: calc(5.6 * var(--u)) }
   #zh { font-size: calc(6.6 * var(--u)) }
   main:has(#amount:not([hidden])) #zh { font-size: calc(5 * var(--u)) }
   #en, main:has(#amount:not([hidden])) #en { font-size: calc(4.2 * var(--u)) } }
</style>
<main>
 <div aria-live="assertive" role="status"><div class="texts">
  <p id="zh" lang="zh-CN">欢迎使用，请插入银行卡</p><p id="en" lang="en">Welcome. Please insert your
  card.</p></div><p id="card"></p></div>
 <form id="choice" hidden>
  <div id="options"></div>
  <button type="button" class="leave" data-no>取消并退卡
   <small>Cancel, take the card</small></button>
 </form>
 <form id="amount" hidden>
  <output id="sum" aria-live="polite">¥ 0</output>
  <p id="hint"></p>
  <div class="keys" id="quick"></div>
  <div class="keys" id="digits"></div>
  <div class="row"><button type="button" class="leave" data-no>取消并退卡
   <small>Cancel, take the card</small></button>
   <button type="submit" class="main">确认<small>Confirm</small></button></div>
 </form>
 <form id="confirm" hidden>
  <p id="detail"></p>
  <div class="row"><button type="button" class="leave" data-no>不办理，退卡
   <small>No, stop and return the card</small></button>
   <button type="submit" class="main" id="yes">是我本人意愿，继续
   <small>Yes, this is my own wish</small></button></div>
 </form>
</main>
<button type="button" id="lang" lang="en">English</button>
<p id="other"><span lang="zh-CN">不使用人脸，或需要帮助？请到柜台办理</span>
 <span lang="en">Prefer not to use the camera, or need help? Please go to the counter.</span></p>
<script>
 const at = (id) => document.getElementById(id), key = document.querySelector("[name=kiosk-key]");
 const start = { zh: at("zh").textContent, en: at("en").textContent };
 let form = null, digits = "", home = 0, wait = 0;
 const yuan = (fen) => (fen / 100).toLocaleString("en-US");
 const send = (value) => {
   if (!form) return;
   const body = JSON.stringify({ key: key.content, number: form.number, value });
   form = null; clearInterval(wait);
   for (const kind of ["amount", "confirm", "choice"]) at(kind).hidden = true;
   fetch("/answer", { method: "POST", body });
 };
 const fen = () => Number(digits || "0") * 100;
 const limits = () => `<span>每次为 ${yuan(form.note_fen)} 元的整数倍，`
   + `最多 ${yuan(form.most_fen)} 元</span>`
   + `<span>Multiples of ¥${yuan(form.note_fen)}, up to ¥${yuan(form.most_fen)}</span>`;
 const isGood = () => fen() > 0 && fen() <= form.most_fen && fen() % form.note_fen === 0;
 const draw = (isOff = false) => {
   if (form.kind === "payee") {
     at("sum").textContent = digits.replace(/(.{4})(?=.)/g, "$1 ") || "—";
     at("hint").innerHTML = `<span>账号为 ${form.least} 至 ${form.most} 位数字</span>`
       + `<span>${form.least} to ${form.most} digits</span>`;
   } else { at("sum").textContent = "¥ " + yuan(fen()); at("hint").innerHTML = limits() }
   at("hint").className = isOff ? "is-off" : "";
 };
 const hasKeys = () => form?.kind === "amount" || form?.kind === "payee";
 const press = (name) => {
   if (!hasKeys()) return;
   if (name === "back") digits = digits.slice(0, -1);
   else if (name === "clear") digits = "";
   else if (form.kind === "payee") digits = (digits + name).slice(0, form.most);
   else if (digits.length < 7) digits = (digits + name).replace(/^0+/, "");
   draw();
 };
 const button = (where, html, run) => {
   const made = document.createElement("button");
   made.type = "button"; made.innerHTML = html; made.onclick = run; where.append(made);
 };
 for (const name of "1234567890") button(at("digits"), name, () => press(name));
 button(at("digits"), "清除<small>Clear</small>", () => press("clear"));
 button(at("digits"), "退格<small>Back</small>", () => press("back"));
 at("amount").onsubmit = (event) => {
   event.preventDefault();
   if (form?.kind === "payee") digits.length >= form.least ? send(digits) : draw(true);
   else if (form) isGood() ? send(fen()) : draw(true);
 };
 at("choice").onsubmit = (event) => event.preventDefault();
 const speak = (lang) => {
   document.body.dataset.lang = lang; document.documentElement.lang = lang;
   at("lang").textContent = lang === "en" ? "中文" : "English";
   at("lang").lang = lang === "en" ? "zh-CN" : "en";
 };
 const turn = () => speak(document.body.dataset.lang === "en" ? "zh-CN" : "en");
 at("lang").onclick = () => { turn(); at("lang").blur() };  // else Enter would turn it again
 speak("zh-CN");
 at("confirm").onsubmit = (event) => { event.preventDefault(); send(true) };
 for (const no of document.querySelectorAll("[data-no]")) no.onclick = () => send(false);
 addEventListener("keydown", (event) => {
   if (event.key === "l" || event.key === "L") return turn();
   if (!form) return;
   if (event.key === "Escape") send(false);
   else if (form.kind === "choice" && form.options[Number(event.key) - 1])
     send(Number(event.key) - 1);
   else if (!hasKeys() || event.target.matches?.("button") && event.key === "Enter")
     return;
   else if (/^[0-9]$/.test(event.key)) press(event.key);
   else if (event.key === "Backspace") press("back");
   else if (event.key === "Enter") at("amount").requestSubmit();
 });
 const ask = (asked) => {
   form = asked; digits = "";
   at("amount").hidden = !hasKeys(); at("confirm").hidden = asked?.kind !== "confirm";
   at("choice").hidden = asked?.kind !== "choice"; at("detail").replaceChildren();
   clearInterval(wait); at("quick").replaceChildren(); at("options").replaceChildren();
   if (asked?.kind === "payee") draw();
   else if (asked?.kind === "choice") asked.options.forEach((one, place) =>
     button(at("options"), `${place + 1}. ${one.zh}<small>${one.en}</small>`, () => send(place)));
   else if (asked?.kind === "amount") {
     for (const sum of asked.quick_fen) button(at("quick"), yuan(sum), () => send(sum));
     draw();
   } else if (asked?.kind === "confirm") {
     for (const words of asked.detail ? [asked.detail.zh, asked.detail.en] : []) {
       const line = document.createElement("span"); line.textContent = words;
       at("detail").append(line);
     }
     let left = asked.wait_s; const yes = at("yes"), label = yes.innerHTML;
     const tick = () => { yes.disabled = left > 0; yes.innerHTML = left > 0
       ? `请先阅读 ${left} 秒<small>Please read first: ${left} s</small>`
       : yes.dataset.label; left-- };
     yes.dataset.label ||= label; tick(); wait = setInterval(tick, 1000);
   }
 };
 const put = (shown) => {
   clearTimeout(home);
   document.body.dataset.screen = shown.screen;
   at("zh").textContent = shown.zh; at("en").textContent = shown.en;
   at("card").textContent = shown.asks_for_card ? "请取走银行卡 · Please take your card" : "";
   ask(shown.form);
   if (shown.is_end) home = setTimeout(() => {
     speak("zh-CN"); put({ screen: "welcome", ...start }) }, 10000);
   const lang = document.body.dataset.lang;
   document.dispatchEvent(new CustomEvent("qianshao-voice", { detail: { ...shown, lang } }));
 };
 new EventSource("/events").onmessage = (event) => put(JSON.parse(event.data));
</script></html>
"""
