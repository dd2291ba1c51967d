// Runs inside pages, in an isolated world: function(op, arg) -> JSON value.
// Selectors are CSS, or begin with xpath/, text/ or pierce/ (the dialect of the
// Chrome DevTools Recorder); a list of selectors means alternatives.
function (op, arg) {
  const squash = (s) => (s ?? "").replace(/\s+/g, " ").trim();

  const deep = (selector, root) => {
    const hits = [...root.querySelectorAll(selector)];
    for (const el of root.querySelectorAll("*")) {
      if (el.shadowRoot) hits.push(...deep(selector, el.shadowRoot));
    }
    return hits;
  };

  const byXPath = (path, root) => {
    const r = document.evaluate(path, root, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE, null);
    return Array.from({ length: r.snapshotLength }, (_, i) => r.snapshotItem(i));
  };

  // The innermost elements that contain the text.
  const byText = (text, root) => {
    const has = (el) => squash(el.textContent).includes(text);
    const hidden = new Set(["SCRIPT", "STYLE", "NOSCRIPT", "TEMPLATE", "HEAD", "TITLE"]);
    return [...root.querySelectorAll("*")].filter((el) => !hidden.has(el.tagName) && has(el) && ![...el.children].some(has));
  };

  const find = (selector, root = document) => {
    if (selector.startsWith("xpath/")) return byXPath(selector.slice(6), root);
    if (selector.startsWith("text/")) return byText(squash(selector.slice(5)), root);
    if (selector.startsWith("pierce/")) return deep(selector.slice(7), root);
    return [...root.querySelectorAll(selector)];
  };

  const visible = (el) => {
    if (!(el instanceof Element)) return false;
    const box = el.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && el.checkVisibility({ visibilityProperty: true });
  };

  // The first element of the first alternative that has one which suits.
  const first = (selectors, suits = () => true) => {
    for (const s of selectors) {
      for (const el of find(s)) if (suits(el)) return el;
    }
    return null;
  };

  const describe = (el) => {
    const id = el.id ? "#" + el.id : "";
    const cls = typeof el.className === "string" && el.className ? "." + el.className.trim().split(/\s+/).join(".") : "";
    return "<" + el.tagName.toLowerCase() + id + cls + ">";
  };

  const why = (selectors) => (first(selectors) ? "it is there but not visible" : "no element matches");

  const ops = {
    // Resolves as soon as the condition holds, or with the reason after ms.
    wait: ({ selectors, state, ms }) => new Promise((resolve, reject) => {
      const start = performance.now();
      const holds = {
        present: () => first(selectors) !== null,
        visible: () => first(selectors, visible) !== null,
        hidden: () => first(selectors, visible) === null,
      }[state];
      const look = () => {
        try {
          if (holds()) return resolve({ ok: true });
          if (performance.now() - start >= ms) return resolve({ ok: false, why: state === "hidden" ? "it is still visible" : why(selectors) });
        } catch (e) { return reject(e); }
        setTimeout(look, 25);
      };
      look();
    }),

    // Where to click: the middle of the visible part, if nothing covers it.
    point: ({ selectors }) => {
      const el = first(selectors, visible);
      if (!el) return { ok: false, why: why(selectors) };
      if (el.disabled) return { ok: false, why: "it is disabled" };
      el.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
      const box = el.getClientRects()[0] ?? el.getBoundingClientRect();
      const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2;
      const y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2;
      let hit = document.elementFromPoint(x, y);
      while (hit?.shadowRoot?.elementFromPoint(x, y) && hit.shadowRoot.elementFromPoint(x, y) !== hit) hit = hit.shadowRoot.elementFromPoint(x, y);
      const label = hit?.closest?.("label")?.control;
      if (!hit || !(el.contains(hit) || hit.contains(el) && hit.getRootNode() !== el.getRootNode() || label === el)) {
        return { ok: false, why: "it is covered by " + (hit ? describe(hit) : "nothing that can be clicked") };
      }
      return { ok: true, x, y };
    },

    // Focuses a field and selects what is to be replaced.
    focus: ({ selectors, clear, value }) => {
      const el = first(selectors, visible);
      if (!el) return { ok: false, why: why(selectors) };
      if (el.disabled || el.readOnly) return { ok: false, why: "it is disabled or read-only" };
      if (el instanceof HTMLSelectElement) {
        const option = [...el.options].find((o) => o.value === value || squash(o.textContent) === squash(value));
        if (!option) return { ok: false, why: "it has no such option" };
        el.value = option.value;
        el.dispatchEvent(new Event("input", { bubbles: true }));
        el.dispatchEvent(new Event("change", { bubbles: true }));
        return { ok: true, done: true };
      }
      el.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
      el.focus();
      const editable = el.isContentEditable || "value" in el;
      if (!editable) return { ok: false, why: "it is not a field: " + describe(el) };
      if (!clear) return { ok: true };
      if (typeof el.select === "function") el.select();
      else getSelection().selectAllChildren(el);
      if (value !== "") return { ok: true };
      document.execCommand("delete");
      return { ok: true, done: true };
    },

    rect: ({ selectors }) => {
      const el = first(selectors, visible);
      if (!el) return { ok: false, why: why(selectors) };
      const box = el.getBoundingClientRect();
      return { ok: true, rect: { x: box.left + scrollX, y: box.top + scrollY, width: box.width, height: box.height } };
    },

    extract: ({ fields, max }) => {
      const read = (f, node) => {
        if (f.attr) return node.getAttribute ? node.getAttribute(f.attr) : null;
        if (f.kind === "html") return node.outerHTML ?? node.nodeValue;
        const text = node instanceof HTMLElement ? node.innerText : node.textContent;
        if (f.kind !== "number") return squash(text);
        const m = text.replace(/[\s\u00a0\u202f,_']/g, "").match(/[-+]?\d+(\.\d+)?([eE][-+]?\d+)?/);
        return m ? Number(m[0]) : null;
      };
      const out = {};
      const missing = [];
      for (const f of fields) {
        const nodes = find(f.selector);
        if (f.all) out[f.name] = nodes.map((n) => read(f, n)).filter((v) => v !== null);
        else out[f.name] = nodes.length ? read(f, nodes[0]) : null;
        const none = f.all ? out[f.name].length === 0 : out[f.name] === null;
        if (none && !f.optional) missing.push(f.name);
      }
      const json = JSON.stringify(out);
      return json.length > max ? { size: json.length } : { json, missing };
    },

    // The document as text; the part after the first chunk stays here for slice.
    html: ({ chunk, max }) => {
      const type = document.doctype ? new XMLSerializer().serializeToString(document.doctype) + "\n" : "";
      const text = type + document.documentElement.outerHTML;
      if (text.length > max) return { size: text.length };
      globalThis.waybillText = text.length > chunk ? text : null;
      return { size: text.length, ...ops.cut(text, 0, chunk) };
    },

    slice: ({ from, chunk }) => ops.cut(globalThis.waybillText, from, chunk),

    // Never cuts between the two halves of a character outside the BMP.
    cut: (text, from, chunk) => {
      let to = Math.min(from + chunk, text.length);
      const last = text.charCodeAt(to - 1);
      if (to < text.length && last >= 0xd800 && last <= 0xdbff) to--;
      return { part: text.slice(from, to), next: to };
    },
  };

  return ops[op](arg);
}
