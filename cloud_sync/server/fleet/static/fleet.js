// Brings the parts of a page that are marked data-live up to date, without losing the place on it, and shows the devices
// that are searched for as they are typed. Without this script the page loads itself anew and the form has a button.
"use strict";

(() => {
  const everyMs = 10_000;
  const form = document.getElementById("choose");
  let asked = 0;
  let typing = 0;
  document.documentElement.classList.add("has-script");

  function replace(part, fresh) {
    if (part.innerHTML === fresh.innerHTML) return;
    const open = [...part.querySelectorAll("details[open]")].map((details) => details.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceChildren(...document.adoptNode(fresh).childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }

  function tell(text, stale) {
    const freshness = document.getElementById("freshness");
    freshness.textContent = text;
    freshness.classList.toggle("is-stale", stale);
  }

  async function look() {
    const number = ++asked;
    try {
      const answer = await fetch(window.location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (number !== asked) return; // another look was begun meanwhile
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh) replace(part, fresh);
      }
      tell(page.getElementById("freshness").textContent, false);
    } catch {
      const shown = document.getElementById("freshness");
      if (number === asked && !shown.classList.contains("is-stale")) {
        tell(`The server is out of reach; what is shown grows old. ${shown.textContent}`, true);
      }
    }
  }

  function choose() {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    window.history.replaceState(null, "", `/?${query}`);
    look();
  }

  if (form) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      choose();
    });
    form.addEventListener("input", () => {
      window.clearTimeout(typing);
      typing = window.setTimeout(choose, 200);
    });
  }

  window.setInterval(() => {
    if (!document.hidden) look();
  }, everyMs);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
})();
