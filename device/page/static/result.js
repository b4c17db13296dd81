// Shows what became of each photo as soon as it is counted, without losing the place on the page. Without this script
// the page loads itself anew.
"use strict";

(() => {
  const everyMs = 1500;

  async function look() {
    const result = document.getElementById("result");
    if (result.dataset.running !== "yes") return;
    try {
      const answer = await fetch(window.location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("result");
      if (answer.ok && fresh && fresh.innerHTML !== result.innerHTML) {
        result.replaceWith(document.adoptNode(fresh));
        document.querySelector(".actions").replaceWith(document.adoptNode(page.querySelector(".actions")));
      }
    } catch {
      // out of reach for a moment; the photos are safe on the device and the next look may succeed
    }
    window.setTimeout(look, everyMs);
  }

  window.setTimeout(look, everyMs);
})();
