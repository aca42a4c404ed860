// Charts: figures under the pointer, and a range of time that everything of a scenario follows.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const svgOf = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    return element;
  };
  const seconds = (value) => `${value < 0 ? "−" : ""}${Number(Math.abs(value).toFixed(2))} s`;
  const figures = (name, [requests, failed, p50, p99]) => {
    if (requests === "—") return "";
    const lost = failed === "0" ? "" : `, ${failed} of ${requests} failed`;
    return ` · ${name} P99 ${p99}, P50 ${p50}${lost}`;
  };

  class Chart {
    constructor(figure) {
      this.plot = figure.querySelector("svg.plot");
      this.pane = this.plot.querySelector(".pane");
      this.readout = figure.querySelector(".readout");
      [this.left, , this.width, this.height] = this.pane.getAttribute("viewBox").split(" ").map(Number);
      this.whole = [Number(this.plot.dataset.from), Number(this.plot.dataset.to)];
      this.range = this.whole;
      const body = figure.querySelector(".series tbody");
      this.rows = [...body.rows];
      this.times = body.dataset.times.split(" ").map(Number);
      this.bucket = Number(this.plot.dataset.bucket);
      this.ticks = this.plot.querySelector(".ticks");
      this.firstTicks = this.ticks.innerHTML;
      this.movers = all(".m", this.plot).map((element) => {
        const name = element.hasAttribute("cx") ? "cx" : "x";
        return { element, name, x: Number(element.getAttribute(name)), width: Number(element.getAttribute("width")) };
      });
      this.cursor = this.pane.appendChild(svgOf("path", { class: "cursor", stroke: "#1b1d21", "vector-effect": "non-scaling-stroke" }));
      this.brush = this.pane.appendChild(svgOf("rect", { class: "brush", y: 0, height: this.height, width: 0, fill: "#1f4fc4", "fill-opacity": ".16" }));
      this.row = -1;
      this.hint = this.readout.textContent;
    }

    // x of a second in the whole chart, which is what the pane is drawn in.
    x(second) {
      return this.left + ((second - this.whole[0]) / (this.whole[1] - this.whole[0])) * this.width;
    }

    // The second under the pointer.
    second(clientX) {
      const box = this.plot.getBoundingClientRect();
      const x = ((clientX - box.left) / box.width) * this.plot.viewBox.baseVal.width;
      const share = Math.min(Math.max((x - this.left) / this.width, 0), 1);
      return this.range[0] + share * (this.range[1] - this.range[0]);
    }

    idle() {
      this.row = -1;
      this.cursor.removeAttribute("d");
      this.readout.textContent = this.range === this.whole
        ? this.hint
        : `${seconds(this.range[0])} … ${seconds(this.range[1])}. Escape or a double click shows everything.`;
    }

    // Reads one row of the table aloud and marks its place.
    read(row) {
      if (row < 0 || row >= this.rows.length) return;
      this.row = row;
      const x = this.x(this.times[row] + this.bucket / 2);
      this.cursor.setAttribute("d", `M${x} 16V${this.height}`);
      const [time, ...cells] = [...this.rows[row].cells].map((cell) => cell.textContent.trim());
      this.readout.textContent = time + figures("candidate", cells.slice(0, 4)) + figures("baseline", cells.slice(4));
    }

    readAt(second) {
      const after = this.times.findIndex((time) => time > second);
      this.read(after < 0 ? this.times.length - 1 : Math.max(after - 1, 0));
    }

    step(by) {
      const inside = (row) => this.times[row] + this.bucket > this.range[0] && this.times[row] < this.range[1];
      let row = this.row < 0 ? this.times.findIndex((_, index) => inside(index)) : this.row + by;
      if (row >= 0 && row < this.rows.length && inside(row)) this.read(row);
    }

    show(range) {
      this.range = range ?? this.whole;
      const [from, to] = this.range.map((second) => this.x(second));
      this.pane.setAttribute("viewBox", `${from} 0 ${to - from} ${this.height}`);
      const place = (x) => this.left + ((x - from) / (to - from)) * this.width;
      const right = this.left + this.width;
      this.movers.forEach(({ element, name, x, width }) => {
        if (element.localName === "path") {
          element.classList.toggle("out", this.range !== this.whole);
          return;
        }
        const start = place(x);
        const end = width ? place(x + width) : start;
        element.classList.toggle("out", end < this.left || start > right);
        const kept = width ? Math.max(start, this.left) : start;
        element.setAttribute(name, kept.toFixed(1));
        if (width) element.setAttribute("width", Math.max(Math.min(end, right) - kept, 0).toFixed(1));
      });
      this.tick(place);
      this.idle();
    }

    tick(place) {
      if (this.range === this.whole) {
        this.ticks.innerHTML = this.firstTicks;
        return;
      }
      const y = this.ticks.querySelector("text")?.getAttribute("y") ?? this.height + 18;
      const rough = (this.range[1] - this.range[0]) / 8;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((factor) => factor * power).find((round) => round >= rough);
      this.ticks.replaceChildren();
      for (let number = Math.ceil(this.range[0] / step); number * step <= this.range[1]; number += 1) {
        const text = svgOf("text", { x: place(this.x(number * step)).toFixed(1), y });
        text.textContent = seconds(number * step);
        this.ticks.append(text);
      }
    }
  }

  // A range of time for all of a scenario: its charts, tables, marks, traces and log lines. `null`: everything.
  const follow = (section, charts, range) => {
    charts.forEach((chart) => {
      chart.show(range);
      chart.rows.forEach((row, index) => { row.hidden = range !== null && (chart.times[index] + chart.bucket <= range[0] || chart.times[index] >= range[1]); });
    });
    all("[data-at]", section).forEach((element) => {
      const at = Number(element.dataset.at);
      element.classList.toggle("out", range !== null && (at < range[0] || at > range[1]));
    });
    section.classList.toggle("is-ranged", range !== null);
  };

  const zoomed = (chart, factor) => {
    const middle = chart.row < 0 ? (chart.range[0] + chart.range[1]) / 2 : chart.times[chart.row];
    const length = (chart.range[1] - chart.range[0]) * factor;
    if (length > (chart.whole[1] - chart.whole[0]) * 0.99) return null;
    const from = Math.min(Math.max(middle - length / 2, chart.whole[0]), chart.whole[1] - length);
    return [from, from + length];
  };

  const listen = (section, chart, charts) => {
    const { plot } = chart;
    let from = null;
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { x: event.clientX, second: chart.second(event.clientX) };
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      const second = chart.second(event.clientX);
      chart.readAt(second);
      if (!from) return;
      const [low, high] = [from.second, second].sort((a, b) => a - b).map((edge) => chart.x(edge));
      chart.brush.setAttribute("x", low);
      chart.brush.setAttribute("width", high - low);
    });
    plot.addEventListener("pointerup", (event) => {
      if (!from) return;
      const range = [from.second, chart.second(event.clientX)].sort((a, b) => a - b);
      const isDrag = Math.abs(event.clientX - from.x) > 6 && range[1] > range[0];
      from = null;
      chart.brush.setAttribute("width", 0);
      if (isDrag) follow(section, charts, range);
    });
    plot.addEventListener("pointercancel", () => {
      from = null;
      chart.brush.setAttribute("width", 0);
    });
    plot.addEventListener("pointerleave", () => { if (!from) chart.idle(); });
    plot.addEventListener("dblclick", () => follow(section, charts, null));
    plot.closest(".scroll").addEventListener("keydown", (event) => {
      const keys = { ArrowLeft: () => chart.step(-1), ArrowRight: () => chart.step(1), "+": () => follow(section, charts, zoomed(chart, 0.5)), "-": () => follow(section, charts, zoomed(chart, 2)) };
      if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
      event.preventDefault();
      keys[event.key]();
    });
  };

  // A page of fifty scenarios has hundreds of charts: those of a scenario are made ready when somebody comes to it.
  const ready = new Map();
  const prepare = (event) => {
    const section = event.target.closest?.(".scenario");
    if (!section || ready.has(section)) return;
    const charts = all("figure.chart", section).map((figure) => new Chart(figure));
    ready.set(section, charts);
    charts.forEach((chart) => listen(section, chart, charts));
  };
  document.addEventListener("pointerover", prepare);
  document.addEventListener("focusin", prepare);
  all(".readout").forEach((readout) => { readout.hidden = false; });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    ready.forEach((charts, section) => { if (section.classList.contains("is-ranged")) follow(section, charts, null); });
  });
})();
