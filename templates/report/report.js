// Comfort only: everything is in the page without this script. What is about charts is in charts.js.
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
    button.dataset.says ??= button.textContent;
    button.textContent = text;
    setTimeout(() => { button.textContent = button.dataset.says; }, 1500);
  };

  const themes = ["auto", "light", "dark"];
  const setTheme = (button, theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    try { localStorage.setItem("shakedown-theme", theme); } catch { /* a file may have no storage */ }
  };

  // A scenario as Markdown. Its text came from services: what Markdown would obey is quoted.
  const plain = (element) => {
    if (!element) return "";
    const clone = element.cloneNode(true);
    all("svg, .anchor, .tools", clone).forEach((part) => part.remove());
    return clone.textContent.replace(/\s+/g, " ").trim().replace(/[\\`*_<>[\]|#&]/g, "\\$&");
  };
  const markdown = (section) => {
    const part = (selector) => plain(section.querySelector(selector));
    const findings = all(".findings tbody tr", section).map((row) => `| ${[...row.cells].slice(0, 6).map(plain).join(" | ")} |`);
    const culprit = all(".culprit.first .name, .culprit.first li", section).map((line, index) => (index ? `- ${plain(line)}` : `**Culprit: ${plain(line)}**\n`));
    const command = section.querySelector("pre.command code")?.textContent ?? "";
    const head = ["| Verdict | Expectation | Observed | Allowed | Baseline | Change |", "|---|---|---|---|---|---|"];
    return [`## ${part(".eyebrow .badge")}: ${part("h2")}`, "", part(".lead"), "", ...culprit, "", ...(findings.length ? [...head, ...findings] : []),
      "", ...command.split("\n").map((line) => `    ${line}`), ""].join("\n");
  };

  const actions = {
    copy: (button) => copy(document.getElementById("markdown").content.textContent).then(() => say(button, "Copied")),
    "copy-scenario": (button) => copy(markdown(button.closest("section"))).then(() => say(button, "Copied")),
    "copy-link": (button) => copy(`${location.href.split("#")[0]}#${button.closest("section").id}`).then(() => say(button, "Copied")),
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
    keys: () => document.getElementById("keys").showModal(),
    close: (button) => button.closest("dialog").close(),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    if (button) actions[button.dataset.do](button);
  });
  try {
    const saved = localStorage.getItem("shakedown-theme");
    if (themes.includes(saved)) setTheme(document.querySelector("button[data-do=theme]"), saved);
  } catch { /* as above */ }

  all("pre.command").forEach((pre) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () => copy(pre.querySelector("code").textContent).then(() => say(button, "Copied")));
    pre.append(button);
  });

  // Words typed into a field narrow down lines of a log, or scenarios.
  const matches = (element, words) => words.every((word) => element.textContent.toLowerCase().includes(word));
  const find = (input, elements, noun, follow = () => {}) => {
    const status = input.closest(".tools").querySelector("[role=status]");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      elements.forEach((element) => {
        const fits = matches(element, words);
        element.classList.toggle("unfound", !fits);
        follow(element, fits);
        shown += fits;
      });
      status.textContent = words.length ? `${shown} of ${elements.length} ${noun}` : "";
    });
  };
  all("input[data-find]").forEach((input) => find(input, all("tbody tr", document.getElementById(input.dataset.find)), "lines"));
  const filter = document.querySelector("input[data-filter]");
  const scenarioOf = (row) => document.getElementById(row.querySelector("th a").hash.slice(1));
  if (filter) find(filter, all(".overview tbody tr"), "scenarios", (row, fits) => scenarioOf(row)?.classList.toggle("unfound", !fits));

  // A link into something that is closed or filtered away opens it.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let element = target; element; element = element.parentElement) {
      if (element instanceof HTMLDetailsElement) element.open = true;
      element.classList.remove("unfound", "out");
      if (element.dataset.verdict === "pass") {
        document.body.classList.remove("hide-passed");
        document.querySelector("button[data-do=filter]")?.setAttribute("aria-pressed", "false");
      }
    }
    target.scrollIntoView({ behavior: "instant" });
  };
  addEventListener("hashchange", reveal);
  reveal();

  const go = (step) => {
    const scenarios = all(".scenario").filter((section) => section.checkVisibility());
    const here = scenarios.findLastIndex((section) => section.getBoundingClientRect().top < 20);
    const next = scenarios[Math.max(here + step, 0)];
    if (!next) return;
    next.scrollIntoView();
    next.querySelector("h2 a").focus({ preventScroll: true });
  };
  const press = (name) => document.querySelector(`button[data-do=${name}]`)?.click();
  const keys = { j: () => go(1), k: () => go(-1), "/": () => filter?.focus(), f: () => press("filter"), e: () => press("expand"), c: () => press("copy"), t: () => press("theme"), "?": () => press("keys") };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.trace:not([open]), details.passed:not([open])");
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
})();
