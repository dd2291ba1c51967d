// Runs inside pages, in an isolated world: function(op, arg, ...found) -> JSON
// value. arg.at.chains are alternatives for one element. A chain is a list of
// selectors, each looked up in the shadow root of what the one before found, or
// below it. A selector is CSS, or begins with xpath/, text/ or pierce/ (the
// dialect of the Chrome DevTools Recorder). What only the browser can find
// (aria/) comes as elements in found; arg.at.found says which belong to a chain.
function (op, arg = {}, ...found) {
  const squash = (s) => (s ?? "").replace(/\s+/g, " ").trim();

  // All open shadow roots below root, at any depth.
  const shadows = (root) => {
    const out = [];
    for (const el of root.querySelectorAll("*")) {
      if (el.shadowRoot) out.push(el.shadowRoot, ...shadows(el.shadowRoot));
    }
    return out;
  };

  const byXPath = (path, root) => {
    const r = document.evaluate(path, root, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE, null);
    return Array.from({ length: r.snapshotLength }, (_, i) => r.snapshotItem(i));
  };

  // The innermost elements that show the text, and buttons that have it as value.
  const silent = new Set(["SCRIPT", "STYLE", "NOSCRIPT", "TEMPLATE", "HEAD", "TITLE"]);
  const textOf = (el) => (el instanceof HTMLInputElement ? (/^(button|submit|reset)$/.test(el.type) ? el.value : "") : el.textContent);
  const byText = (text, root) => {
    const out = [];
    const walk = (el) => {
      if (silent.has(el.tagName) || !squash(textOf(el)).includes(text)) return false;
      const inside = [...el.children].map(walk).includes(true);
      if (!inside) out.push(el);
      return true;
    };
    const within = (r) => {
      for (const el of r.querySelectorAll("input[type=button], input[type=submit], input[type=reset]")) walk(el);
      for (const el of r.children) walk(el);
    };
    within(root);
    for (const s of shadows(root)) within(s);
    return out;
  };

  const find = (selector, root = document) => {
    if (selector.startsWith("xpath/")) return byXPath(selector.slice(6), root);
    if (selector.startsWith("text/")) return byText(squash(selector.slice(5)), root);
    if (selector.startsWith("pierce/")) {
      const css = selector.slice(7);
      return [...root.querySelectorAll(css), ...shadows(root).flatMap((s) => [...s.querySelectorAll(css)])];
    }
    return [...root.querySelectorAll(selector.startsWith("css/") ? selector.slice(4) : selector)];
  };

  const follow = (chain, from = [document]) => {
    let roots = from;
    for (const part of chain) roots = roots.flatMap((r) => find(part, r.shadowRoot ?? r));
    return roots;
  };

  // What each alternative finds, in order.
  const alternatives = (at) => at.chains.map((chain, i) => {
    const range = at.found?.[i];
    return range ? () => found.slice(range[0], range[1]).filter((el) => el.isConnected) : () => follow(chain);
  });

  // The first element of the first alternative that has one which suits.
  const first = (at, suits = () => true) => {
    for (const list of alternatives(at)) {
      for (const el of list()) if (suits(el)) return el;
    }
    return null;
  };

  const visible = (el) => {
    if (!(el instanceof Element)) return false;
    const box = el.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && el.checkVisibility({ visibilityProperty: true });
  };

  const describe = (el) => {
    if (!(el instanceof Element)) return "the document";
    const id = el.id ? "#" + el.id : "";
    const cls = typeof el.className === "string" && el.className ? "." + el.className.trim().split(/\s+/).join(".") : "";
    return "<" + (el.tagName.toLowerCase() + id + cls).slice(0, 120) + ">";
  };

  const why = (at) => (first(at) ? "it is there but not visible" : "no element matches");

  const disabled = (el) => el.matches(":disabled") || el.closest("[aria-disabled=true]") !== null;

  const up = (el) => el.parentElement ?? el.getRootNode()?.host ?? null;
  const within = (outer, el) => {
    for (; el; el = up(el)) if (el === outer) return true;
    return false;
  };

  // Whether a click that lands on hit is a click on el: inside it, on the button
  // or link that it is a part of, or on the label of the field.
  const lands = (el, hit) => {
    if (within(el, hit)) return true;
    const control = el.closest("button, a[href], [role=button], [role=link], summary, label");
    return (control !== null && within(control, hit)) || [...(el.labels ?? [])].some((l) => within(l, hit));
  };

  const elementAt = (x, y) => {
    let hit = document.elementFromPoint(x, y);
    for (let inner; hit?.shadowRoot && (inner = hit.shadowRoot.elementFromPoint(x, y)) && inner !== hit; ) hit = inner;
    return hit;
  };

  // Calls f in the next frame; a hidden page has none.
  const nextFrame = (f) => {
    let done = false;
    const once = () => { if (!done) { done = true; f(); } };
    requestAnimationFrame(once);
    setTimeout(once, 200);
  };

  // Asks again and again until the answer is ok, or ms are over.
  const poll = (ms, again, ask) => new Promise((resolve, reject) => {
    const start = performance.now();
    const look = () => {
      try {
        const answer = ask();
        if (answer.ok || performance.now() - start >= ms) return resolve(answer);
      } catch (e) { return reject(e); }
      again(look);
    };
    look();
  });
  const soon = (f) => setTimeout(f, 25);

  // Where to click: the middle of the visible part of the first line box, or the
  // given distance from the upper left corner.
  const point = (el, offset) => {
    const box = el.getBoundingClientRect();
    if (offset) return { x: box.left + offset.x, y: box.top + offset.y };
    const line = [...el.getClientRects()].find((r) => r.width > 0 && r.height > 0) ?? box;
    return {
      x: (Math.max(line.left, 0) + Math.min(line.right, innerWidth)) / 2,
      y: (Math.max(line.top, 0) + Math.min(line.bottom, innerHeight)) / 2,
    };
  };

  const inView = ({ x, y }) => x >= 0 && y >= 0 && x < innerWidth && y < innerHeight;
  const outOfView = (el) => {
    const box = el.getBoundingClientRect();
    return box.bottom <= 0 || box.right <= 0 || box.top >= innerHeight || box.left >= innerWidth;
  };

  // Watches the events of one click and swallows those that miss the element,
  // because the page may change between the look and the click.
  const watch = (el) => {
    globalThis.waybillWatch?.end();
    const types = ["pointerdown", "mousedown", "pointerup", "mouseup", "touchstart", "touchend", "click", "auxclick", "dblclick", "contextmenu"];
    const w = { hit: null };
    const on = (e) => {
      if (!e.isTrusted) return;
      if (w.hit === null) w.hit = lands(el, e.composedPath()[0]) ? "" : describe(e.composedPath()[0]);
      if (w.hit !== "") { e.preventDefault(); e.stopImmediatePropagation(); }
    };
    for (const type of types) addEventListener(type, on, { capture: true, passive: false });
    w.end = () => { for (const type of types) removeEventListener(type, on, { capture: true }); };
    globalThis.waybillWatch = w;
  };

  const fire = (el, ...types) => { for (const type of types) el.dispatchEvent(new Event(type, { bubbles: true, composed: true })); };

  const compare = { "==": (a, b) => a === b, ">=": (a, b) => a >= b, "<=": (a, b) => a <= b };

  // Whether all that want says is so in got.
  const matches = (want, got) => want === got || (want instanceof Object && got instanceof Object
    && Object.entries(want).every(([k, v]) => matches(v, got[k])));

  const tableOf = (el) => {
    const cells = (row) => [...row.cells].map((c) => squash(c.innerText));
    const rows = [...(el.rows ?? [])];
    const head = rows.findIndex((r) => r.cells.length > 0 && [...r.cells].every((c) => c.tagName === "TH"));
    if (head < 0) return rows.map(cells);
    const names = cells(rows[head]).map((name, i) => name || String(i + 1));
    return rows.slice(head + 1).map((r) => Object.fromEntries(cells(r).map((v, i) => [names[i] ?? String(i + 1), v])));
  };

  const read = (f, node) => {
    if (f.fields) return record(f.fields, node);
    if (f.attr) return node.getAttribute ? node.getAttribute(f.attr) : null;
    const text = node instanceof HTMLElement ? node.innerText : node.textContent;
    switch (f.kind) {
      case "html": return node.outerHTML ?? node.nodeValue;
      case "table": return tableOf(node);
      case "value": return node.value ?? null;
      case "json": try { return JSON.parse(node.textContent); } catch { return null; }
      case "number": {
        const m = text.replace(/[\s\u00a0\u202f,_']/g, "").match(/[-+]?\d+(\.\d+)?([eE][-+]?\d+)?/);
        return m ? Number(m[0]) : null;
      }
    }
    return squash(text);
  };

  const missing = [];
  const record = (fields, root, path = "") => {
    const out = {};
    for (const f of fields) {
      const nodes = f.selector === "" ? [root] : find(f.selector, root);
      if (f.all) out[f.name] = nodes.map((n) => read(f, n)).filter((v) => v !== null);
      else out[f.name] = nodes.length ? read(f, nodes[0]) : null;
      const none = f.all ? out[f.name].length === 0 : out[f.name] === null;
      if (none && !f.optional) missing.push(f.name);
    }
    return out;
  };

  // Long texts go out in parts; what is left stays here for slice.
  const parts = (text, { chunk, max }) => {
    if (text.length > max) return { size: text.length };
    globalThis.waybillText = text.length > chunk ? text : null;
    return { size: text.length, ...cut(text, 0, chunk) };
  };
  // Never cuts between the two halves of a character outside the BMP.
  const cut = (text, from, chunk) => {
    let to = Math.min(from + chunk, text.length);
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last <= 0xdbff) to--;
    return { part: text.slice(from, to), next: to };
  };

  const ops = {
    wait: ({ at, state, ms }) => {
      const ask = {
        present: () => (first(at) ? { ok: true } : { why: why(at) }),
        visible: () => (first(at, visible) ? { ok: true } : { why: why(at) }),
        hidden: () => (first(at, visible) ? { why: "it is still visible" } : { ok: true }),
      }[state];
      return poll(ms, soon, ask);
    },

    // Waits until so many elements of the first alternative that finds any are as wanted.
    count: ({ at, ms, operator, count, visible: want, attributes, properties }) => poll(ms, soon, () => {
      const list = alternatives(at).map((l) => l()).find((l) => l.length > 0) ?? [];
      const odd = list.find((el) => !Object.entries(attributes ?? {}).every(([k, v]) => el.getAttribute?.(k) === v)
        || !matches(properties ?? {}, el) && Object.keys(properties ?? {}).length > 0);
      const ok = compare[operator](list.length, count) && !odd;
      if (ok === want) return { ok: true };
      if (list.length === 0) return { why: "no element matches" };
      return { why: odd && want ? describe(odd) + " has other attributes or properties" : list.length + (list.length === 1 ? " element matches" : " elements match") };
    }),

    // Waits until the element is there, visible, at rest for two frames, and as
    // needed: enabled, editable, hit by a click at its point.
    ready: ({ at, ms, needs, offset, guard, misses }) => {
      let last = null;
      return poll(ms, nextFrame, () => {
        const el = first(at, visible);
        if (!el) { last = null; return { why: why(at) }; }
        if (needs.enabled && disabled(el)) return { why: "it is disabled" };
        if (needs.editable && el.readOnly) return { why: "it is read-only" };
        // What a frame shows may be out of sight in the document around it.
        const hidden = parent !== window && last === null || outOfView(el);
        if (hidden || needs.hit && !inView(point(el, offset)) || misses > 0) {
          const block = ["center", "end", "start", "nearest"][misses % 4];
          el.scrollIntoView({ block, inline: "center", behavior: "instant" });
        }
        const b = el.getBoundingClientRect(), before = last;
        last = { el, x: b.x, y: b.y, w: b.width, h: b.height };
        if (!before || before.el !== el) return { why: "it is not at rest" };
        if (before.x !== b.x || before.y !== b.y || before.w !== b.width || before.h !== b.height) return { why: "it is moving" };
        const p = point(el, offset);
        if (needs.hit) {
          const hit = elementAt(p.x, p.y);
          if (!hit || !lands(el, hit)) {
            misses++;
            return { why: hit ? "it is covered by " + describe(hit) : "it is outside of the page's visible part" };
          }
        }
        if (guard) watch(el);
        return { ok: true, ...p };
      });
    },

    // Whether the watched click arrived, two tasks later: a form is submitted in
    // a task of its own.
    settle: ({ watched }) => new Promise((done) => setTimeout(() => setTimeout(() => {
      const w = globalThis.waybillWatch;
      if (!watched || !w) return done({ ok: true });
      w.end();
      globalThis.waybillWatch = null;
      done(w.hit === "" ? { ok: true } : { why: w.hit === null ? "the click did not reach it" : "it is covered by " + w.hit });
    }))),

    // A point of an embedded document as a point of the one around it.
    outward: ({ x, y, hit }) => {
      const frame = found[0], box = frame.getBoundingClientRect(), style = getComputedStyle(frame);
      const p = { x: box.left + frame.clientLeft + parseFloat(style.paddingLeft) + x, y: box.top + frame.clientTop + parseFloat(style.paddingTop) + y };
      const over = hit ? elementAt(p.x, p.y) : frame;
      return over === frame ? { ok: true, ...p } : { why: "its frame is covered by " + (over ? describe(over) : "nothing that can be clicked") };
    },

    reveal: () => {
      if (outOfView(found[0])) found[0].scrollIntoView({ block: "center", behavior: "instant" });
      return true;
    },

    // The frame's element: by its number, or by a selector.
    frame: ({ which }) => {
      const frames = /^\d+$/.test(which) ? [document, ...shadows(document)].flatMap((r) => [...r.querySelectorAll("iframe, frame")]) : find(which);
      return frames[/^\d+$/.test(which) ? Number(which) : 0] ?? null;
    },

    // The part of a chain before aria/ needs one element to look in.
    one: ({ chain }) => follow(chain, [found[0]])[0] ?? null,

    // Focuses a field and selects what is to be replaced; what cannot be typed
    // into (lists, dates, colours, ranges) is set here.
    focus: ({ at, clear, value }) => {
      const el = first(at, visible);
      if (!el) return { why: why(at) };
      if (el instanceof HTMLSelectElement) return ops.choose({ at, values: [value] });
      const typed = el instanceof HTMLTextAreaElement || el.isContentEditable
        || el instanceof HTMLInputElement && /^(text|search|url|tel|email|password|number)$/.test(el.type);
      if (!typed && el instanceof HTMLInputElement && !/^(checkbox|radio|file|button|submit|reset|image)$/.test(el.type)) {
        el.focus();
        el.value = value;
        if (el.value !== value && el.type !== "range") return { why: JSON.stringify(value) + " is not a value of " + describe(el) };
        fire(el, "input", "change");
        return { ok: true, done: true };
      }
      if (!typed) return { why: "it is not a field: " + describe(el) };
      el.focus();
      if (!clear) {
        const end = String(el.value ?? "").length;
        if (el.isContentEditable) getSelection().selectAllChildren(el), getSelection().collapseToEnd();
        else if (el.selectionStart !== null) el.setSelectionRange(end, end); // null: the field has no caret to set
        return { ok: true };
      }
      if (typeof el.select === "function") el.select();
      else getSelection().selectAllChildren(el);
      if (value !== "") return { ok: true };
      document.execCommand("delete");
      return { ok: true, done: true };
    },

    focusOn: ({ at }) => {
      const el = first(at, visible);
      if (!el) return { why: why(at) };
      el.focus();
      return el.getRootNode().activeElement === el ? { ok: true } : { why: "it takes no focus: " + describe(el) };
    },

    // Chooses options by value or label.
    choose: ({ at, values }) => {
      const el = first(at, visible);
      if (!el) return { why: why(at) };
      if (!(el instanceof HTMLSelectElement)) return { why: "it is not a list: " + describe(el) };
      if (!el.multiple && values.length !== 1) return { why: "it takes one choice" };
      const chosen = values.map((v) => [...el.options].find((o) => o.value === v || squash(o.textContent) === squash(v)));
      const none = chosen.indexOf(undefined);
      if (none >= 0) return { why: "it has no option " + JSON.stringify(values[none]) };
      for (const o of el.options) o.selected = chosen.includes(o);
      el.focus();
      fire(el, "input", "change");
      return { ok: true, done: true };
    },

    // The state of a check box, radio button or switch.
    checked: ({ at }) => {
      const el = first(at, visible);
      if (!el) return { why: why(at) };
      const box = el instanceof HTMLLabelElement ? el.control : el;
      if (box instanceof HTMLInputElement && /^(checkbox|radio)$/.test(box.type)) return { ok: true, on: box.checked };
      const state = el.getAttribute("aria-checked");
      return state === null ? { why: "it is not a check box: " + describe(el) } : { ok: true, on: state === "true" };
    },

    scroll: ({ at, x, y }) => {
      if (!at) { scrollTo({ left: x, top: y, behavior: "instant" }); return { ok: true }; }
      const el = first(at, visible);
      if (!el) return { why: why(at) };
      if (x === null) el.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
      else el.scrollTo({ left: x, top: y, behavior: "instant" });
      return { ok: true };
    },

    // Scrolls to the end; says how high the document is now.
    bottom: () => {
      const el = document.scrollingElement;
      el.scrollTo({ top: el.scrollHeight, behavior: "instant" });
      return { ok: true, y: el.scrollHeight };
    },

    rect: ({ at }) => {
      const el = first(at, visible);
      if (!el) return { why: why(at) };
      const box = el.getBoundingClientRect();
      return { ok: true, x: box.left, y: box.top, rect: { x: box.left + scrollX, y: box.top + scrollY, width: box.width, height: box.height } };
    },

    text: ({ at, max }) => {
      const el = first(at, visible);
      if (!el) return { why: why(at) };
      const text = squash(el.innerText ?? el.textContent);
      return text.length > max ? { ok: true, size: text.length } : { ok: true, text };
    },

    title: () => document.title,

    // How much the document and its parts are, as far as is known.
    weight: () => document.documentElement.outerHTML.length
      + performance.getEntriesByType("resource").reduce((sum, e) => sum + e.encodedBodySize, 0),

    // Files come in parts (base64) and are handed over when all are there.
    file: ({ name, type, data }) => {
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
      const files = (globalThis.waybillFiles ??= []);
      if (name !== undefined) files.push({ name, type, parts: [] });
      files.at(-1).parts.push(bytes);
      return true;
    },
    upload: ({ at }) => {
      const el = first(at);
      if (!el) return { why: why(at) };
      const input = el instanceof HTMLLabelElement ? el.control : el;
      if (!(input instanceof HTMLInputElement) || input.type !== "file") return { why: "it takes no files: " + describe(el) };
      const files = globalThis.waybillFiles ?? [];
      if (files.length > 1 && !input.multiple) return { why: "it takes one file" };
      if (disabled(input)) return { why: "it is disabled" };
      const all = new DataTransfer();
      for (const f of files) all.items.add(new File(f.parts, f.name, { type: f.type }));
      input.files = all.files;
      globalThis.waybillFiles = null;
      fire(input, "input", "change");
      return { ok: true };
    },

    extract: ({ fields, chunk, max }) => {
      const json = JSON.stringify(record(fields, document));
      return { ...parts(json, { chunk, max }), missing };
    },

    html: ({ chunk, max }) => {
      const type = document.doctype ? new XMLSerializer().serializeToString(document.doctype) + "\n" : "";
      return parts(type + document.documentElement.outerHTML, { chunk, max });
    },

    slice: ({ from, chunk }) => cut(globalThis.waybillText, from, chunk),
  };

  return ops[op](arg);
}
