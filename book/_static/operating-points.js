// The operating-point explorer of chapter 5: move the threshold, and everything that depends on it follows.
//
// What needs a formula of its own (intervals over specimens, calibration, counts) was computed by hep2lib for
// every threshold that decides differently (hep2lib/figures/results.py, operating_points) and is looked up.
// Computed here are only quotients: rates, predictive values, net benefit, sera (hep2lib/evaluation/decisions.py,
// calibration.py, specimens.py), and tests compare each with hep2lib's.
//
// The page holds this module and its data in itself: a browser that opens the page as a file fetches no module.

const MINUS = "\u2212", NONE = "\u2013";

// As Python prints it. Both round what the bits say; exactly between two numbers, as at 6.25 for one digit, toFixed
// takes the larger one and Python the even one. Such a value is an odd number of parts of a power of two.
function number(value, digits) {
  if (!Number.isFinite(value)) return NONE;
  const tie = Math.abs(value * 2 ** (digits + 1)) % 2 === 1, power = 10 ** digits;
  const even = tie ? (2 * Math.round((value * power) / 2)) / power : value;
  return even.toFixed(digits).replace("-", MINUS);
}

const percent = (share) => (Number.isFinite(share) ? `${number(100 * share, 1)}\u00a0%` : NONE);
const ratio = (above, below) => (below === 0 ? NaN : above / below);

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "circle", "rect", "text"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// What a threshold decides. A score at or above it is called positive; `place` counts the scores below it.
function placeOf(scores, threshold) {
  let low = 0, high = scores.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[middle] < threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The next larger double, as NumPy's nextafter: the first threshold at which none is called positive.
function above(value) {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  bits.setBigInt64(0, bits.getBigInt64(0) + 1n);
  return bits.getFloat64(0);
}

// The threshold that stands for all that decide alike, as hep2lib.evaluation.decisions.candidates has it.
function thresholdOf(scores, place) {
  if (place === 0) return scores[0];
  const last = scores[place - 1];
  if (place === scores.length) return above(last);
  const middle = last + (scores[place] - last) / 2;
  return middle > last ? middle : scores[place];
}

function ratesAt(data, threshold, prevalence) {
  const place = placeOf(data.scores, threshold);
  const [positive, negative] = data.images;
  const [found, alarms] = data.called[place];
  const sensitivity = ratio(found, positive);
  const specificity = ratio(negative - alarms, negative);
  const alarm = 1 - specificity;
  const benefit = (hit, wrong) => hit * prevalence
    - (wrong && ratio(wrong * (1 - prevalence) * threshold, 1 - threshold));  // no alarm has no price, even at 1
  return {
    place, found, alarms, missed: positive - found, cleared: negative - alarms,
    sensitivity, specificity, accuracy: (found + negative - alarms) / (positive + negative),
    ppv: ratio(sensitivity * prevalence, sensitivity * prevalence + alarm * (1 - prevalence)),
    npv: ratio(specificity * (1 - prevalence),
      specificity * (1 - prevalence) + (1 - sensitivity) * prevalence),
    benefit: benefit(sensitivity, alarms / negative), benefitOfAll: benefit(1, 1),
    sera: {
      found: 1000 * prevalence * sensitivity, missed: 1000 * prevalence * (1 - sensitivity),
      alarms: 1000 * (1 - prevalence) * (1 - specificity), cleared: 1000 * (1 - prevalence) * specificity,
    },
  };
}

// ---- Controls ----

function slider(id, label, attributes, beside) {
  const range = element("input", { type: "range", id, ...attributes });
  return [range, element("div", { class: "hep2-control" }, element("label", { for: id }, label), range, beside)];
}

// What a number field holds, or NaN: nothing, or beyond its limits. Finer than its step is welcome.
function typed(field) {
  const { badInput, rangeOverflow, rangeUnderflow } = field.validity;
  return badInput || rangeOverflow || rangeUnderflow ? NaN : field.valueAsNumber;
}

function button(text, action) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", action);
  return made;
}

// ---- Charts: each returns its element and a function that shows a state ----

const WIDTH = 340, HEIGHT = 270, LEFT = 38, RIGHT = 8, TOP = 10, BOTTOM = 38;
const across = (share, width = WIDTH) => LEFT + share * (width - LEFT - RIGHT);
const SIDE = HEIGHT - TOP - BOTTOM + LEFT + RIGHT;  // a ROC curve stands in a square

function frame(width, xTitle, yTitle, xTicks, yTicks) {
  const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", style: `max-width:${width}px` });
  const bottom = HEIGHT - BOTTOM;
  for (const [share, text] of xTicks) {
    svg.append(element("text", { x: across(share, width), y: bottom + 15, "text-anchor": "middle" }, text));
  }
  for (const [y, text] of yTicks) {
    svg.append(element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }));
    svg.append(element("text", { x: LEFT - 5, y: y + 4, "text-anchor": "end" }, text));
  }
  svg.append(element("text", { x: across(0.5, width), y: HEIGHT - 5, "text-anchor": "middle" }, xTitle));
  svg.append(element("text", {
    x: 0, y: 0, "text-anchor": "middle", transform: `translate(10 ${(TOP + bottom) / 2}) rotate(-90)`,
  }, yTitle));
  return svg;
}

// A finger or a mouse on a chart; the keyboard has the sliders.
function dragged(svg, action) {
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    action((event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
  };
  svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); at(event); });
  svg.addEventListener("pointermove", (event) => { if (event.buttons) at(event); });
}

function histogram(data, choose) {
  const bins = 40, middle = (TOP + HEIGHT - BOTTOM) / 2;
  const counts = [new Array(bins).fill(0), new Array(bins).fill(0)];  // positive, negative images
  data.scores.forEach((score, place) => {
    for (const label of [0, 1]) {
      const here = data.called[place][label] - data.called[place + 1][label];
      counts[label][Math.min(bins - 1, Math.floor(score * bins))] += here;
    }
  });
  const most = Math.max(...counts.flat());
  const high = (count) => (count / most) * (middle - TOP);
  const svg = frame(WIDTH, "score (scaled probability)", "negative \u2193   images   \u2191 positive",
    [0, 0.25, 0.5, 0.75, 1].map((share) => [share, String(share)]),
    [[TOP, most], [middle, 0], [HEIGHT - BOTTOM, most]]);
  svg.classList.add("touch");
  const shade = element("rect", { class: "called", y: TOP, height: HEIGHT - BOTTOM - TOP });
  const chosen = element("line", { class: "chosen", y1: TOP, y2: HEIGHT - BOTTOM });
  chosen.setAttribute("x1", across(data.chosen));
  chosen.setAttribute("x2", across(data.chosen));
  svg.append(shade);
  counts.forEach((row, label) => row.forEach((count, bin) => {
    if (count) {
      svg.append(element("rect", {
        class: label ? "negative" : "positive", x: across(bin / bins) + 0.5,
        width: across(1 / bins) - LEFT - 1, y: label ? middle : middle - high(count), height: high(count),
      }));
    }
  }));
  const line = element("line", { class: "now", y1: TOP - 4, y2: HEIGHT - BOTTOM + 4 });
  svg.append(chosen, line);
  dragged(svg, (x) => choose(Math.min(1, Math.max(0, (x - LEFT) / (WIDTH - LEFT - RIGHT)))));
  return [svg, (threshold, rates) => {
    const x = across(Math.min(1, threshold));
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    shade.setAttribute("x", x);
    shade.setAttribute("width", Math.max(0, WIDTH - RIGHT - x));
    svg.setAttribute("aria-label", `Scores of positive images (up) and negative images (down). At or above ${
      number(threshold, 3)}: ${rates.found} positive and ${rates.alarms} negative images.`);
  }];
}

function rocCurve(data, choose) {
  const [positive, negative] = data.images, bottom = HEIGHT - BOTTOM;
  const down = (share) => bottom - share * (bottom - TOP);
  const at = ([found, alarms]) => [across(alarms / negative, SIDE), down(found / positive)];
  const ticks = [0, 0.5, 1];
  const svg = frame(SIDE, "1 \u2212 specificity", "sensitivity",
    ticks.map((share) => [share, String(share)]), ticks.map((share) => [down(share), String(share)]));
  svg.classList.add("touch");
  const points = data.called.map(at);
  const chosen = at(data.called[placeOf(data.scores, data.chosen)]);
  const now = element("circle", { class: "now", r: 6 });
  svg.append(
    element("line", { class: "chance", x1: across(0, SIDE), y1: down(0), x2: across(1, SIDE), y2: down(1) }),
    element("path", { class: "curve", d: `M${points.map((point) => point.join(" ")).join("L")}` }),
    element("path", { class: "chosen", d: `M${chosen[0]} ${chosen[1] - 7}l7 7l-7 7l-7 -7z` }), now,
  );
  dragged(svg, (x, y) => {
    const far = points.map(([px, py]) => (px - x) ** 2 + (py - y) ** 2);
    choose(thresholdOf(data.scores, far.indexOf(Math.min(...far))));
  });
  return [svg, (threshold, rates) => {
    const [x, y] = points[rates.place];
    now.setAttribute("cx", x);
    now.setAttribute("cy", y);
    svg.setAttribute("aria-label", `ROC curve with the present point: sensitivity ${
      percent(rates.sensitivity)}, 1 minus specificity ${percent(1 - rates.specificity)}.`);
  }];
}

const KINDS = {
  found: "positive, called positive", missed: "positive, called negative",
  alarms: "negative, called positive", cleared: "negative, called negative",
};

// 1,000 small squares; parts are rounded so that they are 1,000 together (largest remainders).
function seraSquares() {
  const columns = 50, step = 6.8;
  const svg = element("svg", { viewBox: `0 0 ${columns * step} ${20 * step}`, role: "img", style: "max-width:510px" });
  const paths = {}, counts = {}, legend = element("ul", { class: "hep2-legend" });
  for (const [kind, words] of Object.entries(KINDS)) {
    paths[kind] = element("path", { class: kind });
    counts[kind] = element("b", { "data-shown": `sera-${kind}` });
    svg.append(paths[kind]);
    legend.append(element("li", {}, element("i", { class: kind }), counts[kind], ` ${words}`));
  }
  return [element("div", {}, svg, legend), (_, rates) => {
    const whole = Object.fromEntries(Object.entries(rates.sera).map(([kind, count]) => [kind, Math.floor(count)]));
    const order = Object.keys(KINDS).sort((a, b) => (rates.sera[b] % 1) - (rates.sera[a] % 1));
    for (let n = 0; Object.values(whole).reduce((a, b) => a + b) < 1000; n += 1) whole[order[n % 4]] += 1;
    let place = 0;
    for (const kind of Object.keys(KINDS)) {
      const squares = [];
      for (let n = 0; n < whole[kind]; n += 1, place += 1) {
        const [x, y] = [Math.floor(place / 20), place % 20].map((n) => (n * step + 1).toFixed(1));
        squares.push(`M${x} ${y}h4.8v4.8h-4.8z`);
      }
      paths[kind].setAttribute("d", squares.join(""));
      counts[kind].textContent = number(rates.sera[kind], 0);
    }
    svg.setAttribute("aria-label", `1,000 sera: ${Object.entries(KINDS).map(([kind, words]) =>
      `${number(rates.sera[kind], 0)} ${words}`).join("; ")}.`);
  }];
}

function calibrationBar(data) {
  const { predicted, observed, low, high, lowest, highest, images } = data.groups;
  const svg = element("svg", { role: "img", class: "bar" }), words = element("p", { "data-shown": "calibration" });
  const bar = element("rect", { class: "positive", y: 2, height: 20 });
  const whisker = element("line", { class: "whisker", y1: 12, y2: 12 });
  const mark = element("text", { y: 36, "text-anchor": "middle" }, "\u25b2");
  svg.append(element("rect", { class: "ground", width: "100%", y: 2, height: 20 }), bar, whisker, mark);
  return [element("div", {}, svg, words), (threshold) => {
    let group = highest.findIndex((end) => end >= threshold);
    if (group < 0) group = highest.length - 1;
    bar.setAttribute("width", `${100 * observed[group]}%`);
    whisker.setAttribute("x1", `${100 * low[group]}%`);
    whisker.setAttribute("x2", `${100 * high[group]}%`);
    mark.setAttribute("x", `${100 * predicted[group]}%`);
    words.textContent = `${images[group]} images have scores from ${number(lowest[group], 3)} to ${
      number(highest[group], 3)}, on average ${percent(predicted[group])} (triangle). Of these images ${
      percent(observed[group])} are positive (bar; interval ${percent(low[group])} to ${percent(high[group])}).`;
    svg.setAttribute("aria-label", words.textContent);
  }];
}

// Fields on another side of the present threshold than of the chosen one, those that changed first in front.
function changedFields(data) {
  const parts = [1, 0].map((label) => {
    const title = element("h5", {}), row = element("div", { class: "hep2-fields" });
    return { label, title, row };
  });
  const tile = (place) => {
    const [score, label, pattern] = data.shown[place];
    const told = `${label ? "positive" : "negative"} field, score ${number(score, 3)}${pattern && `, ${pattern}`}`;
    return element("span", {
      role: "img", title: told, "aria-label": told,
      style: `background-position: 0 ${-place * data.tile}px`,
    });
  };
  const note = element("p", {}, "Compared with the threshold chosen on validation images (dashed line, diamond). "
    + "Each field is brightened for the eye, dim ones most.");
  const picture = `--hep2-sprite: url(${data.sprite})`;  // once for all fields
  const box = element("div", { style: picture }, note, ...parts.flatMap(({ title, row }) => [title, row]));
  return [box, (threshold, rates) => {
    const before = data.called[placeOf(data.scores, data.chosen)], now = [rates.found, rates.alarms];
    const down = threshold < data.chosen;
    parts.forEach(({ label, title, row }, part) => {
      const count = Math.abs(now[part] - before[part]);
      const verdict = ["now called positive, rightly", "now called positive: false alarms",
        "now called negative: missed", "now called negative, rightly"][2 * Number(!down) + part];
      const places = data.shown.map((_, place) => place).filter((place) => {
        const [score, own] = data.shown[place];
        return own === label && (score >= threshold) !== (score >= data.chosen);
      });
      if (down) places.reverse();
      const more = count - places.length;
      title.textContent = count ? `${count} ${label ? "positive" : "negative"} ${count > 1 ? "fields" : "field"} ${
        verdict}${more > 0 ? ` (the first ${places.length} are shown)` : ""}`
        : `No ${label ? "positive" : "negative"} field changes side`;
      title.dataset.count = count;
      row.replaceChildren(...places.map(tile));
    });
  }];
}

// ---- Tables ----

function confusionTable() {
  const cells = {};
  const cell = (kind) => { cells[kind] = element("td", { class: kind, "data-shown": kind }); return cells[kind]; };
  const head = (text, scope) => element("th", { scope }, text);
  const table = element("table", { class: "table" }, element("caption", {}, "Test images"),
    element("thead", {}, element("tr", {},
      element("td"), head("called positive", "col"), head("called negative", "col"))),
    element("tbody", {},
      element("tr", {}, head("positive", "row"), cell("found"), cell("missed")),
      element("tr", {}, head("negative", "row"), cell("alarms"), cell("cleared"))));
  return [table, (_, rates) => {
    for (const [kind, one] of Object.entries(cells)) one.textContent = rates[kind];
  }];
}

const RATES = {
  sensitivity: "Sensitivity", specificity: "Specificity", accuracy: "Accuracy",
  ppv: "PPV", npv: "NPV", benefit: "Net benefit", benefitOfAll: "\u2026 of reporting all",
};

function ratesTable(data) {
  const cells = {};
  const rows = Object.entries(RATES).map(([name, title]) => {
    cells[name] = element("td", { "data-shown": name });
    return element("tr", {}, element("th", { scope: "row" }, title), cells[name]);
  });
  const caption = `With 95\u00a0% intervals over ${data.specimens} specimens`;
  const table = element("table", { class: "table" }, element("caption", {}, caption), element("tbody", {}, ...rows));
  return [table, (_, rates) => {
    const ends = data.intervals[rates.place].map((end) => end.toFixed(1));
    ["sensitivity", "specificity", "accuracy"].forEach((name, n) => {
      cells[name].textContent = `${percent(rates[name])} (${ends[2 * n]} to ${ends[2 * n + 1]})`;
    });
    for (const name of ["ppv", "npv"]) cells[name].textContent = percent(rates[name]);
    for (const name of ["benefit", "benefitOfAll"]) cells[name].textContent = number(rates[name], 3);
  }];
}

// ---- The explorer ----

function build(place) {
  const data = JSON.parse(place.querySelector("script").textContent);
  const last = data.scores.length, total = data.images[0] + data.images[1];
  let threshold = data.chosen, prevalence = data.prevalences.routine ?? Object.values(data.prevalences)[0];

  const field = (max, step, name) => element("input", { type: "number", min: 0, max, step, "aria-label": name });
  const exact = field(1, 0.001, "Threshold, as a number");
  const exactRare = field(100, 0.1, "Prevalence in per cent, as a number");
  const count = element("span");
  const [range, rangeRow] = slider("op-threshold", "Threshold", { min: 0, max: 1, step: 0.001 }, exact);
  const [share, shareRow] = slider("op-share", "Called positive", { min: 0, max: last, step: 1 }, count);
  const [rare, rareRow] = slider("op-prevalence", "Prevalence, %", { min: 0, max: 100, step: 0.1 }, exactRare);
  const told = element("p", { class: "hep2-told", "aria-live": "polite" });

  const charts = {
    scores: histogram(data, (value) => move(value)), roc: rocCurve(data, (value) => move(value)),
    confusion: confusionTable(), rates: ratesTable(data), sera: seraSquares(),
    calibration: calibrationBar(data), fields: changedFields(data),
  };

  function show() {
    const rates = ratesAt(data, threshold, prevalence);
    const called = rates.found + rates.alarms;
    range.value = threshold;
    range.setAttribute("aria-valuetext", number(threshold, 3));
    if (document.activeElement !== exact) exact.value = number(threshold, 3);
    share.value = last - rates.place;
    count.textContent = `${percent(called / total)} (${called} of ${total})`;
    share.setAttribute("aria-valuetext", `${called} of ${total} images`);
    rare.value = 100 * prevalence;
    if (document.activeElement !== exactRare) exactRare.value = number(100 * prevalence, 1);
    for (const [, update] of Object.values(charts)) update(threshold, rates);
    return rates;
  }

  // Said once a movement ends: a screen reader would not keep up with each step.
  function tell(rates) {
    told.textContent = `Threshold ${number(threshold, 3)}: sensitivity ${percent(rates.sensitivity)}, specificity ${
      percent(rates.specificity)}; at a prevalence of ${percent(prevalence)} PPV ${percent(rates.ppv)}, NPV ${
      percent(rates.npv)}.`;
  }

  let waiting = 0;
  function update() {
    const rates = show();
    clearTimeout(waiting);
    waiting = setTimeout(() => tell(rates), 300);
  }

  function move(value) { threshold = value; update(); }
  function expect(value) { prevalence = value; update(); }

  range.addEventListener("input", () => move(range.valueAsNumber));
  share.addEventListener("input", () => move(thresholdOf(data.scores, last - share.valueAsNumber)));
  exact.addEventListener("input", () => { if (typed(exact) >= 0) move(typed(exact)); });
  rare.addEventListener("input", () => expect(rare.valueAsNumber / 100));
  exactRare.addEventListener("input", () => { if (typed(exactRare) >= 0) expect(typed(exactRare) / 100); });
  for (const one of [exact, exactRare]) one.addEventListener("blur", show);

  const marks = element("div", { class: "hep2-marks", role: "group", "aria-label": "Thresholds" },
    button(`chosen on validation (${number(data.chosen, 3)})`, () => move(data.chosen)),
    button("0.5", () => move(0.5)),
    button("all positive", () => move(0)),
    button("none", () => move(thresholdOf(data.scores, last))));
  const places = element("div", { class: "hep2-marks", role: "group", "aria-label": "Prevalences" },
    ...Object.entries(data.prevalences).map(([name, value]) =>
      button(`${name} (${percent(value)})`, () => expect(value))));

  const panel = (title, [chart]) => element("div", {}, element("h4", {}, title), chart);
  place.replaceChildren(
    element("div", { class: "hep2-controls hep2-stay" }, rangeRow, shareRow),
    element("div", { class: "hep2-controls" }, marks, rareRow, places), told,
    element("div", { class: "hep2-panels" },
      panel("Scores", charts.scores), panel("ROC curve", charts.roc),
      element("div", {}, panel("Confusion matrix", charts.confusion),
        panel("Calibration near the threshold", charts.calibration)),
      panel("Rates", charts.rates)),
    panel("1,000 sera", charts.sera), panel("Fields that change side", charts.fields),
  );
  tell(show());
}

document.querySelectorAll('[data-explorer="operating-points"]').forEach(build);
