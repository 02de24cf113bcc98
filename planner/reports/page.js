// Draws the charts, one after the other, from the specifications that the page carries.
(async function () {
  "use strict";
  // "ast": expressions are interpreted, so that the page's policy need not allow eval.
  const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true };
  let failed = 0;
  for (const chart of document.querySelectorAll(".chart")) {
    try {
      const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
      await vegaEmbed(chart, spec, options);
    } catch (error) {
      failed += 1;
      const note = document.createElement("p");
      note.className = "failed";
      note.textContent = "This chart could not be drawn: " + error.message;
      chart.replaceChildren(note);
      console.error(error);
    }
  }
  document.documentElement.dataset.charts = failed ? "failed" : "drawn";
})();
