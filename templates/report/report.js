// Comfort only: everything is in the page without this script.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  all(".tools").forEach((tools) => { tools.hidden = false; });

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  const say = (button, text) => {
    const before = button.textContent;
    button.textContent = text;
    setTimeout(() => { button.textContent = before; }, 1500);
  };

  const themes = ["auto", "light", "dark"];
  const setTheme = (button, theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    try { localStorage.setItem("shakedown-theme", theme); } catch { /* a file may have no storage */ }
  };

  const actions = {
    copy: (button) => copy(document.getElementById("markdown").content.textContent).then(() => say(button, "Copied")),
    expand: (button) => {
      const open = button.getAttribute("aria-pressed") !== "true";
      all("details").forEach((details) => { details.open = open; });
      button.setAttribute("aria-pressed", String(open));
      button.textContent = open ? "Collapse all" : "Expand all";
    },
    filter: (button) => {
      const on = document.body.classList.toggle("hide-passed");
      button.setAttribute("aria-pressed", String(on));
    },
    theme: (button) => {
      const now = document.documentElement.dataset.theme ?? "auto";
      setTheme(button, themes[(themes.indexOf(now) + 1) % themes.length]);
    },
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    if (button) actions[button.dataset.do](button);
  });
  const themeButton = document.querySelector("button[data-do=theme]");
  try {
    const saved = localStorage.getItem("shakedown-theme");
    if (themes.includes(saved)) setTheme(themeButton, saved);
  } catch { /* as above */ }

  all("pre.command").forEach((pre) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () => copy(pre.querySelector("code").textContent).then(() => say(button, "Copied")));
    pre.append(button);
  });

  // The figures under the pointer, in a line below the chart: each strip of the chart is a row of its table.
  const figures = (name, [requests, failed, p50, p99]) => {
    if (requests === "—") return "";
    const lost = failed === "0" ? "" : `, ${failed} of ${requests} failed`;
    return ` · ${name} P99 ${p99}, P50 ${p50}${lost}`;
  };
  all("figure.chart").forEach((figure) => {
    const readout = figure.querySelector(".readout");
    const rows = all(".series tbody tr", figure);
    const strips = all(".hovers rect", figure);
    const idle = "Move over the chart to read its figures.";
    readout.hidden = false;
    readout.textContent = idle;
    const hovers = figure.querySelector(".hovers");
    hovers.addEventListener("pointerover", (event) => {
      const row = rows[strips.indexOf(event.target)];
      if (!row) return;
      const [time, ...cells] = all("td", row).map((cell) => cell.textContent);
      readout.textContent = time + figures("candidate", cells.slice(0, 4)) + figures("baseline", cells.slice(4));
    });
    hovers.addEventListener("pointerleave", () => { readout.textContent = idle; });
  });

  // A link to a closed waterfall opens it.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.trace:not([open])");
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
})();
