// The page of the admin listener, live: each event is the whole overview, and fills the tables anew.
// What comes from guests is only ever the text of a node. No library, nothing of another host.
"use strict";

const UNKNOWN = "\u2013";
const byId = (id) => document.getElementById(id);
const setText = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

function make(name, text, attributes = {}) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function number(value) {
  if (value === null) return UNKNOWN;
  return value.toLocaleString("en", { maximumFractionDigits: 1 });
}

// Rates: counts of this look less those of the last one.

let last = null;

function change(now, before, key, seconds) {
  // A proxy that has started anew counts from nothing.
  if (!before || seconds <= 0 || now[key] < before[key]) return null;
  return (now[key] - before[key]) / seconds;
}

const MOST_NAMES = 3;

function servedBy(route) {
  if (route.vacant) return "vacant";
  const more = route.subscribers.length - MOST_NAMES;
  const names = route.subscribers.slice(0, MOST_NAMES);
  return [...names, ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}

function routeRows(data) {
  const before = new Map((last ? last.routes : []).map((each) => [`${each.host} ${each.path}`, each]));
  const seconds = last ? data.at - last.at : 0;
  return data.routes.map((each) => {
    const name = `${each.host} ${each.path}`;
    const old = before.get(name);
    const answers = old ? each.answers - old.answers : 0;
    const mean = answers > 0 ? ((each.first_byte - old.first_byte) / answers) * 1000 : null;
    return {
      key: name,
      name,
      served: each.vacant ? -1 : each.subscribers.length,
      served_by: servedBy(each),
      waiting: each.waiting,
      rate: change(each, old, "requests", seconds),
      requests: each.requests,
      errors: each.errors,
      error_rate: change(each, old, "errors", seconds),
      first_byte: mean,
    };
  });
}

// Tables.

const ROUTES = {
  table: byId("routes"),
  cells: (row) => [
    [row.served_by, row.served < 0 ? "bad" : "names"],
    [number(row.waiting), row.waiting > 0 ? "warn" : ""],
    [number(row.rate)],
    [number(row.requests)],
    [number(row.errors), row.error_rate > 0 ? "bad" : ""],
    [number(row.first_byte)],
  ],
  head: (row) => row.name,
};

const STATES = { ready: "good", full: "warn", draining: "warn" };

function stateText(row) {
  if (row.out_for !== null && row.out_for !== undefined) {
    return `${row.state}, back in ${Math.max(0, Math.ceil(row.out_for))} s`;
  }
  return row.failures > 0 ? `${row.state}, ${row.failures} failures in a row` : row.state;
}

const SUBSCRIBERS = {
  table: byId("subscribers"),
  cells: (row) => [
    [stateText(row), row.failures > 0 ? "bad" : STATES[row.state] || "bad"],
    [number(row.process)],
    [number(row.latency * 1000)],
    [number(row.in_flight)],
    [row.concurrency ? number(row.concurrency) : UNKNOWN],
    [String(row.weight)],
    [number(row.routes)],
  ],
  head: (row) => row.id,
  action: (row) => (row.state === "draining" ? "Undrain" : "Drain"),
};

const WORKERS = {
  table: byId("workers"),
  cells: (row) => [[row.state, row.state === "serving" ? "good" : "warn"], [String(row.pid)]],
  head: (row) => String(row.worker),
};

const MACHINE_STATES = { up: "good", failed: "bad" };

const MACHINES = {
  table: byId("machines"),
  cells: (row) => [
    [row.reason ? `${row.state}: ${row.reason}` : row.state, MACHINE_STATES[row.state] || "warn"],
    [row.since === null ? UNKNOWN : number(Math.round(row.since))],
    [number(row.starts)],
    [row.start_seconds === null ? UNKNOWN : row.start_seconds.toFixed(2)],
    [number(row.waiting), row.waiting > 0 ? "warn" : ""],
    [number(row.busy)],
    [number(row.failed), row.failed > 0 ? "bad" : ""],
    [number(Math.floor(row.memory / 1048576))],
  ],
  head: (row) => row.name,
};

const reached = (state) => (state === "no" ? "warn" : STATES[state] || "");

const HOSTS = {
  table: byId("hosts"),
  cells: (row) => [
    [row.address || UNKNOWN],
    [row.asks],
    [row.asked, reached(row.asked)],
    [number(row.routes)],
    [row.latency === null ? UNKNOWN : number(row.latency * 1000)],
    [number(row.in_flight)],
  ],
  head: (row) => row.host,
};

function clusterText(cluster) {
  if (cluster === null) return "";
  const stale = cluster.stale ? `, stale for ${Math.round(cluster.stale_for)} s` : "";
  return `Store: ${cluster.state}${stale}; lease: ${cluster.lease}.`;
}

function fill(kind, rows) {
  kind.rows = rows;
  const order = kind.order;
  if (order) {
    rows = [...rows].sort((one, other) => {
      const a = one[order.key] ?? -1;
      const b = other[order.key] ?? -1;
      return (a < b ? -1 : a > b ? 1 : 0) * order.sign;
    });
  }
  if (!kind.nodes) {
    kind.nodes = new Map();
    kind.table.tBodies[0].replaceChildren(); // what the proxy has written, for who has no script
  }
  const body = kind.table.tBodies[0];
  const focused = document.activeElement;
  const left = new Map(kind.nodes);
  rows.forEach((row, at) => {
    let node = kind.nodes.get(row.key);
    if (!node) {
      node = make("tr");
      node.append(make("th", kind.head(row), { scope: "row" }));
      kind.cells(row).forEach(() => node.append(make("td")));
      if (kind.action) {
        const button = make("button", "", { type: "button" });
        button.addEventListener("click", () => ask(node.row));
        const cell = make("td");
        cell.append(button);
        node.append(cell);
      }
      kind.nodes.set(row.key, node);
    }
    left.delete(row.key);
    node.row = row;
    kind.cells(row).forEach(([text, look = ""], column) => {
      const cell = node.cells[column + 1];
      setText(cell, text);
      if (cell.className !== look) cell.className = look;
    });
    if (kind.action) {
      const button = node.querySelector("button");
      setText(button, kind.action(row));
      button.setAttribute("aria-label", `${kind.action(row)} ${row.id}`);
    }
    if (body.children[at] !== node) body.insertBefore(node, body.children[at] || null);
  });
  for (const [key, node] of left) {
    kind.nodes.delete(key);
    node.remove();
  }
  // A row that has moved has lost the focus.
  if (focused !== document.activeElement && focused.isConnected) focused.focus();
}

function sortable(kind) {
  const heads = kind.table.tHead.querySelectorAll("th[data-key]");
  for (const head of heads) {
    const button = make("button", head.textContent, { type: "button" });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") === "descending";
      const first = head.cellIndex === 0 && !head.hasAttribute("aria-sort");
      const sign = ascending || first ? 1 : -1;
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      kind.order = { key: head.dataset.key, sign };
      if (kind.rows) fill(kind, kind.rows);
    });
  }
}

[ROUTES, SUBSCRIBERS, MACHINES, HOSTS, WORKERS].forEach(sortable);

function machineRow(each) {
  const name = each.index === null ? each.machine : `${each.machine} (${each.index})`;
  return { ...each, name, key: name };
}

// What comes.

function show(data) {
  const seconds = last ? data.at - last.at : 0;
  const before = last ? last.totals : null;
  const figures = {
    ...data.totals,
    rate: change(data.totals, before, "requests", seconds),
    error_rate: change(data.totals, before, "errors", seconds),
  };
  for (const [key, value] of Object.entries(figures)) {
    const node = byId(`total-${key}`);
    if (node) setText(node, number(value));
  }
  for (const what of ["routes", "subscribers"]) {
    const [count, all] = [data[what].length, data[`${what}_in_all`]];
    setText(byId(`${what}-in-all`), count === all ? String(all) : `${count} of ${all}`);
  }
  fill(ROUTES, routeRows(data));
  fill(
    SUBSCRIBERS,
    data.subscribers.map((each) => ({
      process: 0,
      ...each,
      key: `${each.id} ${each.process} ${each.instance}`,
    })),
  );
  fill(WORKERS, data.workers.map((each) => ({ ...each, key: `${each.worker} ${each.serial}` })));
  byId("workers-section").hidden = data.workers.length === 0;
  fill(MACHINES, data.machines.map(machineRow));
  byId("machines-section").hidden = data.machines.length === 0;
  fill(HOSTS, data.hosts.map((each) => ({ ...each, key: each.host })));
  setText(byId("cluster"), clusterText(data.cluster));
  byId("hosts-section").hidden = data.hosts.length === 0 && data.cluster === null;
  last = data;
}

function say(state, text) {
  const node = byId("live");
  node.dataset.state = state;
  setText(node, text);
}

const events = new EventSource("/api/events");
events.addEventListener("message", (event) => {
  show(JSON.parse(event.data));
  say("live", "Live");
});
events.addEventListener("error", async () => {
  last = null;
  if (events.readyState !== EventSource.CLOSED) {
    say("lost", "No answer from the proxy; trying again.");
    return;
  }
  const { status } = await fetch("/api/events", { method: "HEAD" }).catch(() => ({ status: 0 }));
  const reasons = { 401: "Signed out: load the page again.", 200: "Too many pages are open already." };
  say("lost", reasons[status] || "No answer from the proxy: load the page again.");
});

// Drain, and back.

async function ask(row) {
  const drains = row.state !== "draining";
  const verb = drains ? "Drain" : "Undrain";
  setText(byId("confirm-title"), `${verb} ${row.id}?`);
  setText(
    byId("confirm-text"),
    drains
      ? "It finishes what it has, and gets nothing new until somebody undrains it."
      : "It gets new requests again.",
  );
  setText(byId("confirm-yes"), verb);
  const dialog = byId("confirm");
  dialog.returnValue = "no";
  dialog.addEventListener("close", () => dialog.returnValue === "yes" && feed(row, drains), { once: true });
  dialog.showModal();
}

async function feed(row, drains) {
  const name = row.id.split("/").map(encodeURIComponent).join("/");
  const said = byId("said");
  try {
    const response = await fetch(`/api/drain/${name}`, { method: drains ? "POST" : "DELETE" });
    const data = await response.json();
    setText(said, response.ok ? `${drains ? "Drained" : "Undrained"} ${data.subscribers.join(", ")}.` : data.error);
  } catch {
    setText(said, "No answer from the proxy.");
  }
}

// Who answers?

byId("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = byId("answer");
  let lines;
  try {
    const response = await fetch(`/api/explain?url=${encodeURIComponent(byId("url").value)}`);
    lines = explanation(await response.json());
  } catch {
    lines = [make("p", "No answer from the proxy.")];
  }
  answer.replaceChildren(...lines);
});

function wayOfRequest(data) {
  const title = make("p");
  title.append(make("code", data.id), ` at ${data.time}`);
  if (data.process !== undefined) title.append(`, worker ${data.process}`);
  const list = make("ul");
  const say = (text) => list.append(make("li", text));
  const host = data.host === null ? "" : ` of ${data.host}`;
  say(`${data.client} asked: ${data.method} ${data.target}${host}`);
  say(data.route === "-" ? "No route." : `Route: ${data.route}`);
  data.tried.forEach((each) => say(`${each} had it, and lost it.`));
  if (data.subscriber !== "-") say(`Subscriber: ${data.subscriber}, attempt ${data.attempts}`);
  const error = data.error === null ? "" : `: ${data.error}`;
  say(`Status ${data.status}, ${number(data.bytes)} bytes${error}`);
  if (data.trace) say(`Trace: ${data.trace}`);
  const times = [
    ["waited for a subscriber", data.queued],
    ["for a machine", data.wake],
    ["guest", data.guest],
    ["first byte", data.first_byte],
    ["last byte", data.last_byte],
  ];
  const known = times.filter(([, value]) => value !== null);
  say(`Milliseconds: ${known.map(([name, value]) => `${name} ${number(value * 1000)}`).join(", ")}`);
  return [title, list];
}

function explanation(data) {
  if (data.error) return [make("p", data.error)];
  if (data.requests) return data.requests.flatMap(wayOfRequest);
  const title = make("p");
  title.append(make("code", `${data.host} ${data.path}`));
  const lines = [title];
  if (data.route === null) {
    lines.push(make("p", data.reason));
    data.same_host.forEach((route) => lines.push(make("p", `Same host: ${route}`)));
  } else {
    title.append(" goes to ", make("code", `${data.route.host} ${data.route.path}`), `: ${data.reason}.`);
  }
  for (const each of data.site_rules) {
    const when = each.each_request ? ", asked at each request" : "";
    lines.push(make("p", `${each.rule}: by the site ${each.site}${when}`));
  }
  data.candidates.slice(1).forEach((each, at) => {
    lines.push(make("p", `${at + 2}. ${each.route} loses, since ${each.rule}.`));
  });
  if (data.route === null) return lines;
  if (data.subscribers.length === 0) return [...lines, make("p", "It has no subscriber now.")];
  const list = make("ul");
  const sorted = [...data.subscribers].sort((one, other) => one.score - other.score);
  for (const each of sorted) {
    list.append(make("li", `${each.id}: ${each.state}, score ${each.score} (less is better), ${each.in_flight} under way`));
  }
  return [...lines, list];
}
