// The live picture, and a look once a second at what the server says of itself.
"use strict";

const EVERY_MS = 1000;
const ANSWER_MS = 3000;
const TRY_AGAIN_LOOKS = 3;

const picture = document.getElementById("picture");
const emptyNote = document.getElementById("empty");
const brokenNote = document.getElementById("broken");
const health = document.getElementById("health");
const figures = document.getElementById("figures");
const list = document.getElementById("streams");
const live = new Image();
let awaySince = null;
let looksWithoutPicture = 0;

function say(element, text) {
  // Only what changes is written, so that a screen reader tells the health when it changes, not each second.
  if (element.textContent !== text) element.textContent = text;
}

function age(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s old`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min old`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h old` : `${Math.round(seconds / 86400)} days old`;
}

function itemOf(name) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = "/video/" + encodeURIComponent(name);
  link.textContent = name;
  item.append(link, document.createElement("span"));
  return item;
}

function show(streams) {
  // Items stay while their stream does: a link keeps the focus, and a click is not lost.
  const items = new Map([...list.children].map((item) => [item.firstElementChild.textContent, item]));
  streams.forEach((stream, index) => {
    const item = items.get(stream.stream) ?? itemOf(stream.stream);
    items.delete(stream.stream);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    const seen = stream.labels.length ? stream.labels.join(", ") : "nothing seen";
    const rate = `${stream.frames_per_second.toFixed(1)} frames a second`;
    say(item.lastElementChild, `frame ${stream.frame} · ${age(stream.age_s)} · ${rate} · ${seen}`);
  });
  for (const gone of items.values()) gone.remove();
}

function play() {
  live.src = `${picture.dataset.src}?since=${Date.now()}`;
}

function keepPlaying(wasAway, streams) {
  // A picture that was cut off fires no event in Chrome: it is complete, and has no size.
  const broken = live.complete && !live.naturalWidth;
  if (wasAway || (broken && looksWithoutPicture % TRY_AGAIN_LOOKS === 0)) play();
  looksWithoutPicture = broken ? looksWithoutPicture + 1 : 0;
  live.hidden = broken;
  emptyNote.hidden = streams.length > 0;
  brokenNote.hidden = !streams.length || looksWithoutPicture < 2;
}

async function ask(address) {
  return (await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) })).json();
}

async function look() {
  try {
    const [state, { streams }] = await Promise.all([ask("/health"), ask("/streams")]);
    say(health, state.status);
    health.className = state.status === "healthy" ? "healthy" : "bad";
    const down = ["broker", "store"].filter((part) => state[part] !== "up").map((part) => `${part} down · `).join("");
    say(figures, `${down}${state.frames_per_second.toFixed(1)} frames a second · lag ${state.lag ?? "?"}`);
    show(streams);
    keepPlaying(awaySince !== null, streams);
    awaySince = null;
  } catch {
    awaySince ??= new Date();
    say(health, `no answer since ${awaySince.toLocaleTimeString()}`);
    health.className = "bad";
    say(figures, "");
  }
  live.classList.toggle("away", awaySince !== null);
  setTimeout(look, EVERY_MS);
}

live.id = "live";
live.alt = "Live picture with boxes around what is seen";
picture.prepend(live);
// After the page: a picture that waits for its first frame would keep the browser saying that the page loads.
addEventListener("load", () => { play(); look(); });
