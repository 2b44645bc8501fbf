// The page's own watch over the server: what it says of itself, and the picture again when it was away.
const live = document.getElementById("live");
const health = document.getElementById("health");
const seen = document.getElementById("seen");
const list = document.getElementById("streams");
const empty = document.getElementById("empty");
const source = live.getAttribute("src");
let away = false;

function show(streams) {
  empty.hidden = streams.length > 0;
  list.replaceChildren(...streams.map((stream) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = "/video/" + encodeURIComponent(stream.stream);
    link.textContent = stream.stream;
    item.append(link, ` frame ${stream.frame}, ${stream.frames_per_second} frames a second`);
    return item;
  }));
  seen.textContent = streams.map((stream) => `${stream.stream}: ${stream.labels.join(", ") || "nothing"}`).join(" · ");
}

async function look() {
  try {
    const state = await (await fetch("/health")).json();
    health.textContent = `${state.status} · ${state.frames_per_second} frames a second · lag ${state.lag ?? "?"}`;
    show((await (await fetch("/streams")).json()).streams);
    if (away) live.src = `${source}?since=${Date.now()}`;
    away = false;
  } catch {
    if (!away) health.textContent = `no answer from the server since ${new Date().toLocaleTimeString()}`;
    away = true;
  }
  live.classList.toggle("away", away);
  setTimeout(look, 1000);
}

live.addEventListener("error", () => { away = true; });
look();
