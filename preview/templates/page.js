"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const tip = document.getElementById("tip");
const form = document.getElementById("choices");
const panels = [...document.querySelectorAll("[data-panel]")].filter((one) => data[one.dataset.panel]);

const place = (panel, hover) => {
  const area = panel.querySelector("svg").getBoundingClientRect();
  const [x, y, width, height] = hover.box;
  return { left: area.left + x * area.width, top: area.top + y * area.height, width: width * area.width, height: height * area.height };
};

const point = (moment) => {
  for (const panel of panels) {
    const hover = data[panel.dataset.panel], cross = panel.querySelector(".cross");
    if (moment === null || moment < hover.start || moment > hover.end) { cross.style.display = "none"; continue; }
    const box = place(panel, hover), body = cross.parentElement.getBoundingClientRect();
    const x = box.left + (moment - hover.start) / (hover.end - hover.start) * box.width;
    Object.assign(cross.style, { display: "block", left: `${x - body.left}px`, top: `${box.top - body.top}px`, height: `${box.height}px` });
  }
};

const cell = (row, text, colour) => {
  const made = row.insertCell();
  if (colour) { const key = document.createElement("i"); key.style.background = colour; made.append(key); } else made.textContent = text;
};

const describe = (hover, moment) => {
  // The last point may lie up to a step before the end of the range.
  const last = Math.max(0, ...hover.series.map((one) => one.order.length - 1));
  const index = Math.min(Math.max(0, Math.round((moment - hover.first) / hover.step)), last);
  const table = document.createElement("table");
  const head = document.createElement("div");
  head.textContent = new Date((hover.first + index * hover.step) * 1000).toLocaleString();
  hover.series
    .map((one) => ({ one, order: one.order[index], text: one.texts[index], colour: (one.colours || [])[index] || one.colour }))
    .filter((found) => found.order !== null && found.order !== undefined)
    .sort((a, b) => b.order - a.order)
    .forEach(({ one, text, colour }) => { const row = table.insertRow(); cell(row, "", colour); cell(row, one.name); cell(row, text); });
  const held = new Map(hover.marks.filter(([, start, end]) => moment >= start - hover.step && moment <= end + hover.step).map((mark) => [mark[0], mark]));
  for (const [title, , , kind, colour] of held.values()) { const row = table.insertRow(); cell(row, "", colour); cell(row, title); cell(row, kind); }
  tip.replaceChildren(head, table);
};

// A stretch that is dragged over becomes the time range, as in Grafana.
let dragged = null;
const zoom = (hover, first, last) => {
  const at = (part) => Math.round((hover.start + part * (hover.end - hover.start)) * 1000);
  form.elements.from.add(new Option("", at(first), true, true));
  form.elements.to.value = at(last);
  form.requestSubmit();
};

for (const panel of panels) {
  const hover = data[panel.dataset.panel];
  panel.addEventListener("pointermove", (event) => {
    const box = place(panel, hover), part = (event.clientX - box.left) / box.width;
    if (part < 0 || part > 1) { tip.style.display = "none"; point(null); return; }
    const moment = hover.start + part * (hover.end - hover.start);
    point(moment);
    describe(hover, moment);
    tip.style.display = "block";
    const wide = tip.offsetWidth, high = tip.offsetHeight;
    tip.style.left = `${event.clientX + 16 + wide > innerWidth ? event.clientX - wide - 16 : event.clientX + 16}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 12, innerHeight - high - 8))}px`;
  });
  panel.addEventListener("pointerdown", (event) => {
    const box = place(panel, hover), part = (event.clientX - box.left) / box.width;
    dragged = event.button === 0 && part >= 0 && part <= 1 && event.target.closest("svg") ? { panel, part } : null;
    if (dragged) event.preventDefault();
  });
  panel.addEventListener("pointerup", (event) => {
    if (!form || !dragged || dragged.panel !== panel) return;
    const box = place(panel, hover), part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    if (Math.abs(part - dragged.part) * box.width > 5) zoom(hover, Math.min(part, dragged.part), Math.max(part, dragged.part));
    dragged = null;
  });
  panel.addEventListener("pointerleave", () => { tip.style.display = "none"; point(null); });
}

if (form) {
  form.addEventListener("change", (event) => {
    const changed = event.target;
    if (changed.name === "from") form.elements.to.value = changed.selectedOptions[0].dataset.to;
    if (changed.type === "checkbox") {
      const same = [...form.querySelectorAll(`[name="${changed.name}"]`)];
      if (changed.value === "$__all" && changed.checked) same.forEach((one) => { one.checked = one === changed; });
      else if (changed.checked) same.forEach((one) => { if (one.value === "$__all") one.checked = false; });
      return;
    }
    // What later variables offer depends on earlier ones: they start anew.
    if (changed.name.startsWith("var-")) {
      const all = [...form.elements];
      all.slice(all.indexOf(changed) + 1).forEach((one) => { if ((one.name || "").startsWith("var-") && one.name !== changed.name) one.disabled = true; });
    }
    form.requestSubmit();
  });
  const seconds = { "10s": 10, "30s": 30, "1m": 60 }[form.elements.refresh.value];
  if (seconds) setInterval(() => {
    const busy = document.hidden || tip.style.display === "block" || form.querySelector("details[open]") || form.contains(document.activeElement);
    if (!busy) location.reload();
  }, seconds * 1000);
}
