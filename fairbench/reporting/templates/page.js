// Sorting and filtering. Without this script everything on the page is there, and nothing is hidden.
"use strict";
(() => {
  const words = (element) => (element ? element.textContent.trim() : "");

  // A column's key of a row: a number where the cell has one, else its text. Rows without a value come last in either order.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return null;
    const given = cell.getAttribute("data-k");
    if (given === null) return words(cell).toLowerCase() || null;
    return given === "" ? null : Number(given);
  };

  const before = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));

  const sortBy = (table, head, down) => {
    const column = head.cellIndex;
    const many = table.tBodies.length > 1;
    const units = many ? [...table.tBodies] : [...table.tBodies[0].rows];
    const keyed = units.map((unit, at) => ({ unit, at, key: keyOf(many ? unit.rows[0] : unit, column) }));
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.at - b.at;
      return (down ? -1 : 1) * before(a.key, b.key) || a.at - b.at;
    });
    const place = many ? table : table.tBodies[0];
    for (const { unit } of keyed) place.append(unit);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    if (!table.tBodies.length) continue;
    for (const head of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sortBy(table, head, head.getAttribute("aria-sort") === "ascending"));
    }
  }

  const form = document.getElementById("filters");
  const scores = document.getElementById("table-of-scores");
  if (!form || !scores) return;
  form.hidden = false;
  const said = form.querySelector("output");
  const searched = new WeakMap();
  const textOf = (body) => {
    if (!searched.has(body)) searched.set(body, body.textContent.toLowerCase());
    return searched.get(body);
  };

  const filter = () => {
    const wanted = [...form.querySelectorAll("select")].filter((one) => one.value !== "").map((one) => [one.name, one.value]);
    const text = form.elements.text.value.trim().toLowerCase();
    let shown = 0;
    for (const body of scores.tBodies) {
      const fits = wanted.every(([name, value]) => body.dataset[name] === value) && (text === "" || textOf(body).includes(text));
      body.hidden = !fits;
      shown += fits;
    }
    const all = scores.tBodies.length;
    said.textContent = shown === all ? `all ${all} scores are shown` : `${shown} of ${all} scores are shown`;
  };

  let later = 0;
  form.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(filter, 120);
  });
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  filter();

  // A link to a score that a filter hides shows all of them again.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      form.reset();
      setTimeout(() => target.scrollIntoView());
    }
  };
  window.addEventListener("hashchange", reveal);
})();
