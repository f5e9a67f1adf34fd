// The freeze explorer of chapter 2: choose one of the 144 layers, and see what it is, what freezing up to it
// leaves to train, and what it answers to a positive and a negative field.
//
// All numbers and maps were computed by hep2lib (hep2lib/figures/network.py, layer_answers); only parameters are
// summed up here. The page holds this module and its data in itself: a browser that opens the page as a file
// fetches no module.

const format = new Intl.NumberFormat("en-US");
const whole = (count) => format.format(count);

function number(value) {
  const size = Math.abs(value);
  const text = size >= 1000 ? whole(Math.round(value)) : size < 1e-6 ? "0" : value.toPrecision(3);
  return text.replace("-", "\u2212");
}

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "line", "rect", "text"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// As the table of the chapter says it.
function percent(part) {
  if (part === 0) return "0\u00a0%";
  return part < 0.001 ? "under 0.1\u00a0%" : `${(100 * part).toFixed(1)}\u00a0%`;
}

// All layers as bars, as high as their parameters (their square root: few are seen beside many); the frozen ones
// are open, the others filled.
function strip(layers, depths, choose) {
  const high = 66, x = (n) => `${(100 * n) / layers.length}%`;
  const svg = element("svg", { role: "img", class: "strip touch" });
  const most = Math.sqrt(Math.max(...layers.map((layer) => layer.parameters)));
  const now = element("rect", { class: "called", y: 0, width: x(1), height: high + 8 });
  svg.append(now);
  const bars = layers.map((layer, n) => {
    const tall = layer.parameters ? Math.max(3, (Math.sqrt(layer.parameters) / most) * high) : 1.5;
    const bar = element("rect", { x: x(n + 0.15), width: x(0.7), y: high + 4 - tall, height: tall });
    svg.append(bar);
    return bar;
  });
  for (const depth of depths) {
    svg.append(element("line", { class: "chosen", x1: x(depth), x2: x(depth), y1: 0, y2: high + 8 }));
    const end = depth > 0.9 * layers.length;  // beside the line, lest it leave the picture
    svg.append(element("text", { x: x(depth), y: high + 22, "text-anchor": end ? "end" : "middle" }, depth));
  }
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    choose(Math.min(layers.length, Math.max(1, Math.ceil(((event.clientX - box.left) / box.width) * layers.length))));
  };
  svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); at(event); });
  svg.addEventListener("pointermove", (event) => { if (event.buttons) at(event); });
  return [svg, (depth) => {
    now.setAttribute("x", x(depth - 1));
    bars.forEach((bar, n) => bar.setAttribute("class", n < depth ? "frozen" : "positive"));
    svg.setAttribute("aria-label", `Parameters of each of ${layers.length} layers; the first ${depth} are frozen.`);
  }];
}

const FACTS = {
  layer: "Layer", kind: "Kind", inputs: "Takes", output: "Output", parameters: "Parameters",
  receptive: "Receptive field", trained: "Left to train", cut: "Computed once",
};

function factsTable(layers) {
  const total = layers.reduce((sum, layer) => sum + layer.parameters, 0);
  const cells = {};
  const rows = Object.entries(FACTS).map(([name, title]) => {
    cells[name] = element("td", { "data-shown": name });
    return element("tr", {}, element("th", { scope: "row" }, title), cells[name]);
  });
  const caption = element("caption");
  const table = element("table", { class: "table" }, caption, element("tbody", {}, ...rows));
  return [table, (depth) => {
    const layer = layers[depth - 1];
    const trained = layers.slice(depth).reduce((sum, one) => sum + one.parameters, 0);
    caption.textContent = `Layer ${depth} of ${layers.length}, and freezing up to it`;
    const told = {
      layer: layer.name, kind: layer.type + (layer.window && `, ${layer.window}`),
      inputs: layer.inputs.join(", ") || "the image",
      output: layer.output.replaceAll("x", " \u00d7 "), parameters: whole(layer.parameters),
      receptive: `${whole(layer.receptive_field)} pixels`,
      trained: `${whole(trained)} of ${whole(total)} parameters (${percent(trained / total)})`,
      cut: `layers 1 to ${layer.cut}, up to ${layers[layer.cut - 1].name}`,
    };
    for (const [name, text] of Object.entries(told)) cells[name].textContent = text;
  }];
}

// The two maps of a layer, each value a square; a layer without a map says its numbers.
function answers(data, picture) {
  const places = [];  // of a layer's tiles in the picture
  data.layers.forEach((layer, n) => { places[n] = n && places[n - 1] + ("side" in data.layers[n - 1]); });
  const sides = ["positive", "negative"].map((label) => {
    const canvas = element("canvas", { width: 224, height: 224, role: "img" }), words = element("p");
    const field = element("img", { src: data[label], alt: `The ${label} field.` });
    return { label, canvas, words, box: element("div", {}, field, canvas, words) };
  });
  const scale = element("p");
  const box = element("div", {}, element("div", { class: "hep2-pair" }, ...sides.map((one) => one.box)), scale);
  return [box, (depth) => {
    const layer = data.layers[depth - 1], drawn = "side" in layer;
    sides.forEach(({ label, canvas, words }, n) => {
      const told = drawn ? "" : `: ${layer.numbers[n].map(number).join(", ")}`;
      words.textContent = `${label} field${told}`;
      canvas.hidden = !drawn;
      canvas.setAttribute("aria-label", `What ${layer.name} answers to the ${label} field.`);
      if (drawn) {
        const pen = canvas.getContext("2d");
        pen.imageSmoothingEnabled = false;
        pen.drawImage(picture, n * data.tile, places[depth - 1] * data.tile, layer.side, layer.side, 0, 0, 224, 224);
      }
    });
    const channel = "channel" in layer ? `Channel ${layer.channel + 1}, whose mean differs most between the fields`
      : "All channels, one square each";
    scale.textContent = drawn ? `${channel}: from ${number(layer.low)} (black) to ${number(layer.high)} (white).`
      : "One number for each class, negative first.";
  }];
}

function build(place) {
  const data = JSON.parse(place.querySelector("script").textContent);
  const { layers, depths } = data, last = layers.length;
  let depth = depths[0];

  const range = element("input", { type: "range", id: "freeze-layer", min: 1, max: last, step: 1 });
  const exact = element("input", { type: "number", min: 1, max: last, step: 1, "aria-label": "Layer, as a number" });
  const names = element("select", { "aria-label": "Layer, by name" },
    ...layers.map((layer, n) => element("option", { value: n + 1 }, `${n + 1} ${layer.name}`)));
  const told = element("p", { class: "hep2-told", "aria-live": "polite" });

  const picture = new Image();
  const parts = [strip(layers, depths, choose), factsTable(layers), answers(data, picture)];

  let waiting = 0;
  function show() {
    range.value = depth;
    range.setAttribute("aria-valuetext", `${depth}, ${layers[depth - 1].name}`);
    if (document.activeElement !== exact) exact.value = depth;
    names.value = depth;
    for (const [, update] of parts) update(depth);
    clearTimeout(waiting);  // said once a movement ends
    waiting = setTimeout(() => {
      const trained = layers.slice(depth).reduce((sum, one) => sum + one.parameters, 0);
      told.textContent = `Layers 1 to ${depth} frozen, up to ${layers[depth - 1].name}: ${
        whole(trained)} parameters are trained.`;
    }, 300);
  }

  function choose(number) {
    if (Number.isInteger(number) && number >= 1 && number <= last) {
      depth = number;
      show();
    }
  }

  range.addEventListener("input", () => choose(range.valueAsNumber));
  exact.addEventListener("input", () => choose(exact.valueAsNumber));
  exact.addEventListener("blur", show);
  names.addEventListener("change", () => choose(Number(names.value)));
  const marks = depths.map((one) => {
    const made = element("button", { type: "button", "aria-label": `${one} layers` }, one);
    made.addEventListener("click", () => choose(one));
    return made;
  });
  const [bars, facts, maps] = parts.map(([part]) => part);
  picture.addEventListener("load", () => {
    place.replaceChildren(
      element("div", { class: "hep2-controls hep2-stay" }, element("div", { class: "hep2-control" },
        element("label", { for: "freeze-layer" }, "Freeze up to"), range, exact)),
      element("div", { class: "hep2-controls" }, element("div", { class: "hep2-marks" }, names,
        element("span", { class: "hep2-marks", role: "group", "aria-label": "The paper's depths" },
          "the paper:", ...marks))),
      told, bars,
      element("p", {}, "Parameters of each layer (height: their square root); open bars are frozen."),
      element("div", { class: "hep2-panels" }, facts, maps),
    );
    show();
  });
  picture.src = data.sprite;
}

document.querySelectorAll('[data-explorer="freezing"]').forEach(build);
