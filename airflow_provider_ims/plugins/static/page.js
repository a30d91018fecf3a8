/*
 * The page GST. Everything that it shows comes from Airflow's REST API, asked as the user who is logged in.
 * Text of others is put in as text (textContent) and never as HTML.
 */

const API = new URL("../api/v2/", location.href);
const UI = new URL("../", location.href);
const PAGE = 100; // entries of one answer: Airflow's own limit, unless somebody has changed it
const MOST_PAGES = 60; // of events
const MOST_FAILURES = 300; // tasks that failed, whose events are read one by one
const AT_ONCE = 6; // requests
const DAYS_BACK = 45;
const EVERY = 30_000; // ms between two looks for news
const KEY = "gstn_events";
const SESSION = ["otp_requested", "opened", "extended", "otp_needed", "ended"];
const STAGES = ["snapshot_taken", "reconciled", "reset", "verified"];
const DAY = 86_400_000;

// ---- Airflow's REST API

class Denied extends Error {}

async function api(path, params = {}) {
  const url = new URL(path, API);
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
  const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" } });
  if (answer.status === 401 || answer.status === 403) throw new Denied(String(answer.status));
  if (!answer.ok) throw new Error(`Airflow answered ${answer.status}`);
  return answer.json();
}

const part = (text) => encodeURIComponent(text);

/** Do something with each of a list, a few at a time. */
async function forEach(list, work) {
  const left = [...list];
  const worker = async () => {
    while (left.length) await work(left.shift());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Return all entries of a list that Airflow gives in pages. */
async function all(path, params, name, most = MOST_PAGES) {
  const first = await api(path, { ...params, limit: PAGE, offset: 0 });
  const size = first[name].length; // Airflow may give fewer than it is asked for
  const pages = [first[name]];
  const count = size ? Math.min(Math.ceil(first.total_entries / size), most) : 1;
  await forEach(Array.from({ length: count - 1 }, (_, n) => n + 1), async (n) => {
    pages[n] = (await api(path, { ...params, limit: PAGE, offset: n * size }))[name];
  });
  return pages.flat();
}

// ---- What is known

const state = { events: new Map(), gstins: new Map(), since: null, notes: new Set(), filter: "all", askers: [] };

/** Take the extra of an event, whatever somebody may have put there. */
function read(extra, source, at) {
  if (!extra || typeof extra !== "object") return null;
  const { event, gstin } = extra;
  if (![...SESSION, ...STAGES].includes(event) || !/^[0-9A-Za-z]{15}$/.test(gstin)) return null;
  const when = Date.parse(extra.at ?? at);
  return {
    ...extra,
    gstin: gstin.toUpperCase(),
    when: Number.isNaN(when) ? Date.parse(at) : when,
    counts: extra.counts ?? {},
    tax: extra.tax ?? {},
    refused: Array.isArray(extra.refused) ? extra.refused : [],
    source,
  };
}

function keep(key, found) {
  if (found) state.events.set(key, found);
}

function keepEvent(entry) {
  if (!/^gstn:\/\/(session|ims)\//.test(entry.uri ?? "")) return;
  const source = {
    dag: entry.source_dag_id,
    run: entry.source_run_id,
    task: entry.source_task_id,
    map: entry.source_map_index,
  };
  keep(`event ${entry.id}`, read(entry.extra, source, entry.timestamp));
}

async function loadEvents(since) {
  const params = { order_by: "-timestamp", name_prefix_pattern: "gstn" };
  if (since) params.timestamp_gte = since;
  for (const entry of await all("assets/events", params, "asset_events")) keepEvent(entry);
}

async function loadAssets() {
  const assets = await all("assets", { uri_pattern: "gstn://", only_active: false }, "assets");
  for (const asset of assets) {
    const found = /^gstn:\/\/(session|ims)\/([0-9A-Za-z]{15})$/.exec(asset.uri);
    if (!found) continue;
    const known = state.gstins.get(found[2]) ?? {};
    state.gstins.set(found[2], { ...known, [found[1]]: asset.id });
  }
}

/** Airflow takes asset events of tasks that succeed, and not too many at once; the others are in an XCom. */
async function loadFailures() {
  const since = new Date(Date.now() - DAYS_BACK * DAY).toISOString();
  let entries;
  try {
    const path = "dags/~/dagRuns/~/taskInstances/~/xcomEntries";
    entries = await all(path, { xcom_key: KEY, run_after_gte: since }, "xcom_entries");
  } catch (error) {
    if (!(error instanceof Denied)) throw error;
    state.notes.add("You may not read XComs: what tasks that failed have told is not shown.");
    return;
  }
  const key = (entry) => `xcom ${entry.dag_id} ${entry.run_id} ${entry.task_id} ${entry.map_index}`;
  const there = new Set(entries.map(key));
  // A task that is tried again takes its XCom back.
  for (const known of state.events.keys()) {
    const [kind, ...rest] = known.split("\n");
    if (kind.startsWith("xcom ") && rest.length && !there.has(kind)) state.events.delete(known);
  }
  entries.sort((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp));
  await forEach(entries.slice(0, MOST_FAILURES), async (entry) => {
    const name = `${key(entry)}\n${entry.timestamp}`;
    if (state.events.has(`${name}\n0`)) return;
    const path =
      `dags/${part(entry.dag_id)}/dagRuns/${part(entry.run_id)}/taskInstances/${part(entry.task_id)}` +
      `/xcomEntries/${KEY}`;
    let value;
    try {
      ({ value } = await api(path, { map_index: entry.map_index, deserialize: false }));
      if (typeof value === "string") value = JSON.parse(value);
    } catch {
      return; // gone meanwhile, or not ours
    }
    const source = { dag: entry.dag_id, run: entry.run_id, task: entry.task_id, map: entry.map_index, failed: !value?.succeeds };
    for (const [n, extra] of (Array.isArray(value?.events) ? value.events : []).entries()) {
      keep(`${name}\n${n}`, read(extra, source, entry.timestamp));
    }
  });
}

/** Which DAG asks for one-time passwords, if no event has told yet: the example's name. */
async function findAsker() {
  try {
    await api("dags/gstn_session");
    state.askers = ["gstn_session"];
  } catch {
    state.askers = [];
  }
}

/** Put together what the rows show: the newest event of each kind. */
function rows() {
  const found = new Map();
  for (const gstin of state.gstins.keys()) found.set(gstin, { gstin, events: [] });
  for (const event of state.events.values()) {
    if (!found.has(event.gstin)) found.set(event.gstin, { gstin: event.gstin, events: [] });
    found.get(event.gstin).events.push(event);
  }
  for (const row of found.values()) {
    row.events.sort((a, b) => b.when - a.when);
    const newest = (words) => row.events.find((event) => words.includes(event.event));
    for (const stage of STAGES) row[stage] = newest([stage]);
    row.session = newest(SESSION);
    row.dates = datesOf(row.events);
    row.asker = newest(["otp_requested", "opened"])?.source.dag;
    row.needs = needsOf(row);
    row.urgent = row.needs.length ? (row.needs.includes("password") ? 2 : 1) : 0;
  }
  return [...found.values()].sort((a, b) => b.urgent - a.urgent || a.gstin.localeCompare(b.gstin));
}

function needsOf(row) {
  const needs = [];
  if (["over", "needed"].includes(sessionOf(row).kind)) needs.push("password");
  const { reset, verified } = row;
  const left = reset ? Number(reset.counts.unknown ?? 0) + Number(reset.counts.not_sent ?? 0) : 0;
  if (reset && Number(reset.counts.refused ?? 0) > 0) needs.push("refused");
  if (reset && (left || !["processed", "partial"].includes(reset.outcome))) needs.push("open");
  if (verified && Number(verified.counts.not_reset ?? 0) > 0) needs.push("open");
  return needs;
}

function sessionOf(row) {
  const last = row.session;
  if (!last) return { kind: "none" };
  const held = row.events.find((event) => ["opened", "extended"].includes(event.event));
  const until = held ? Date.parse(held.ends_at) : Number.NaN;
  if (last.event === "otp_needed") return { kind: "needed", last, until };
  if (last.event === "ended") return { kind: "over", last, until: last.when };
  if (last.event === "otp_requested" && !(until > Date.now())) return { kind: "asked", last };
  return until > Date.now() ? { kind: "good", last, until } : { kind: "over", last, until };
}

/** India's day of a moment, as a number of days. */
const indiaDay = (when) => Math.floor((when + 5.5 * 3_600_000) / DAY);
const dayOf = (text) => (/^\d{4}-\d\d-\d\d$/.test(text ?? "") ? Math.floor(Date.parse(text) / DAY) : null);

/** The dates that come next: as the newest event tells them, until the last of them has gone by. */
function datesOf(events) {
  const today = indiaDay(Date.now());
  const now = new Date(today * DAY);
  const month = Math.floor(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1) / DAY);
  const told = events.find((event) => dayOf(event.due_3b) !== null && dayOf(event.draft_2b) !== null);
  if (told && dayOf(told.due_3b) >= today) {
    return { period: String(told.rtnprd ?? ""), draft: dayOf(told.draft_2b), due: dayOf(told.due_3b) };
  }
  if (told?.filing === "quarterly") return null; // the next run tells
  // The last day has gone by, or nobody has told one: the usual days of the period that comes next.
  const next = Math.floor(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1) / DAY);
  const first = today - month < 20 && !(told && dayOf(told.due_3b) >= month) ? month : next;
  const of = new Date((first - 1) * DAY);
  const period = `${String(of.getUTCMonth() + 1).padStart(2, "0")}${of.getUTCFullYear()}`;
  return { period, draft: first + 13, due: first + 19 };
}

// ---- How it is written

const rupees = new Intl.NumberFormat("en-IN", { style: "currency", currency: "INR", maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat("en-IN", { style: "currency", currency: "INR" });
const whole = new Intl.NumberFormat("en-IN");
const dayText = new Intl.DateTimeFormat("en-IN", { day: "numeric", month: "short", timeZone: "UTC" });
const momentText = new Intl.DateTimeFormat("en-IN", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
  timeZone: "Asia/Kolkata",
});
const monthText = new Intl.DateTimeFormat("en-IN", { month: "long", year: "numeric", timeZone: "UTC" });

const count = (value) => whole.format(Number(value ?? 0));
const moment = (when) => (Number.isFinite(when) ? momentText.format(when) : "");

function ago(when) {
  const minutes = Math.round((Date.now() - when) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h ago`;
  return `${Math.round(minutes / 1440)} days ago`;
}

function inDays(day) {
  const left = day - indiaDay(Date.now());
  if (left === 0) return "today";
  if (left === 1) return "tomorrow";
  if (left === -1) return "yesterday";
  return left > 0 ? `in ${left} days` : `${-left} days ago`;
}

const HAPPENED = {
  otp_requested: "One-time password requested",
  opened: "Session opened",
  extended: "Session extended",
  otp_needed: "One-time password needed",
  ended: "Session ended",
  snapshot_taken: "Snapshot taken",
  reconciled: "Reconciled with the books",
  reset: "Reset",
  verified: "Verified",
};
const COUNTED = {
  A: "accepted",
  R: "rejected",
  P: "pending",
  N: "no action",
  not_sent: "not sent",
  not_reset: "not reset",
  changed_by_supplier: "changed by supplier",
  within_tolerance: "within tolerance",
  only_in_ims: "only in IMS",
  only_in_books: "only in books",
};
const happened = (name) => HAPPENED[name] ?? String(name);
const word = (name) => COUNTED[name] ?? String(name).replaceAll("_", " ");

/** Make an element; strings become text. */
function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** A link into Airflow's own pages. The frame may not navigate its parent, so the parent's own link is clicked. */
function link(path, text, name = "") {
  const href = new URL(path, UI).href;
  return el("a", { href, class: name, onclick: (event) => leave(event, href) }, text);
}

function leave(event, href) {
  event.stopPropagation();
  if (window.parent === window) return;
  event.preventDefault();
  const outer = window.parent.document;
  const anchor = outer.createElement("a");
  anchor.href = href;
  if (event.ctrlKey || event.metaKey) anchor.target = "_blank";
  outer.body.append(anchor);
  anchor.click();
  anchor.remove();
}

const runPath = (source) => `dags/${part(source.dag)}/runs/${part(source.run)}`;
function taskPath(source) {
  const task = `${runPath(source)}/tasks/${part(source.task)}`;
  return source.map >= 0 ? `${task}/mapped/${source.map}` : task;
}

function total(tax) {
  const sum = Object.values(tax).reduce((all, each) => all + Number(each), 0);
  return Number.isFinite(sum) ? sum : 0;
}

// ---- The rows

const cell = (label, ...children) => el("td", { "data-label": label }, el("div", { class: "cell" }, ...children));
const strong = (text, kind = "") => el("span", { class: `main ${kind}` }, text);
const sub = (text) => el("span", { class: "sub" }, text);
const nothing = () => el("span", { class: "none" }, "–");

function sessionCell(row) {
  const session = sessionOf(row);
  const asker = row.asker ?? state.askers[0];
  const ask = asker ? link(`dags/${part(asker)}`, "Open a session", "action") : null;
  if (session.kind === "good") {
    const soon = session.until - Date.now() < 3_600_000;
    return cell("Session", strong(`good until ${moment(session.until)}`, soon ? "warn" : "good"));
  }
  if (session.kind === "asked") {
    const { source, when } = session.last;
    return cell("Session", strong("password awaited", "warn"), sub(ago(when)), link(runPath(source), "Enter it", "action"));
  }
  if (session.kind === "none") return cell("Session", sub("not known"), ask);
  const since = Number.isFinite(session.until) ? sub(`ended ${moment(session.until)}`) : null;
  return cell("Session", strong("needs a one-time password", "bad"), since, ask);
}

function stageCell(row, stage, label, tell) {
  const event = row[stage];
  if (!event) return el("td", { class: "empty", "data-label": label }, nothing());
  return cell(label, ...tell(event), sub(ago(event.when)));
}

const SUMMARY = {
  snapshot_taken: (event) => [
    strong(`${count(event.documents)} documents`),
    sub(`${count(event.counts.N)} at no action · tax ${rupees.format(total(event.tax))}`),
  ],
  reconciled: (event) => [
    strong(`${count(event.counts.reset)} to reset`),
    sub(`tax ${rupees.format(Number(event.tax.reset ?? 0))} · ${count(event.counts.review)} to review`),
  ],
  reset: (event) => {
    const { counts, tax } = event;
    const parts = ["refused", "unknown", "not_sent"].filter((name) => Number(counts[name] ?? 0) > 0);
    const bad = parts.map((name) => `${count(counts[name])} ${word(name)}`).join(" · ");
    const failed = !["processed", "partial"].includes(event.outcome);
    const amount = Number(tax.reset ?? 0) ? ` · ${rupees.format(Number(tax.reset))}` : "";
    return [
      strong(`${count(counts.reset)} reset${amount}`, failed ? "bad" : bad ? "warn" : "good"),
      bad || failed ? el("span", { class: failed ? "main bad" : "main warn" }, bad || word(event.outcome)) : null,
    ];
  },
  verified: (event) => {
    const { counts, tax } = event;
    const wrong = Number(counts.not_reset ?? 0);
    const changed = Number(counts.changed_by_supplier ?? 0) + Number(counts.gone ?? 0);
    return [
      strong(wrong ? `${count(wrong)} not reset` : `${count(counts.verified)} verified`, wrong ? "bad" : "good"),
      sub(
        [`tax ${rupees.format(Number(tax.verified ?? 0))}`, changed ? `${count(changed)} changed or gone` : ""]
          .filter(Boolean)
          .join(" · "),
      ),
    ];
  },
};

function dayCell(label, day, warnFrom) {
  if (day === undefined) return cell(label, nothing());
  const left = day - indiaDay(Date.now());
  const kind = warnFrom !== null && left <= warnFrom && left >= 0 ? (left <= 2 ? "bad" : "warn") : "";
  return cell(label, strong(dayText.format(day * DAY), kind), sub(inDays(day)));
}

function rowOf(row) {
  const open = () => show(row.gstin);
  const simulated = row.events.some((event) => event.simulator) ? el("span", { class: "tag" }, "simulator") : null;
  const name = el("button", { type: "button", class: "gstin", onclick: open }, row.gstin);
  return el(
    "tr",
    { class: row.urgent ? "urgent" : "", onclick: (event) => event.target.closest("a, button") || open() },
    el("th", { scope: "row" }, name, simulated),
    sessionCell(row),
    ...[
      ["snapshot_taken", "Snapshot"],
      ["reconciled", "Reconciled"],
      ["reset", "Reset"],
      ["verified", "Verified"],
    ].map(([stage, label]) => stageCell(row, stage, label, SUMMARY[stage])),
    dayCell("GSTR-2B drawn", row.dates?.draft, null),
    dayCell("GSTR-3B due", row.dates?.due, 5),
  );
}

const FILTERS = [
  ["all", "All", () => true, ""],
  ["password", "Need a one-time password", (row) => row.needs.includes("password"), "bad"],
  ["refused", "Refused documents", (row) => row.needs.includes("refused"), "warn"],
  ["open", "Not reset or unknown", (row) => row.needs.includes("open"), "bad"],
];

function draw() {
  const found = rows();
  const wanted = document.getElementById("search").value.trim().toUpperCase();
  const [, , fits] = FILTERS.find(([name]) => name === state.filter);
  const shown = found.filter((row) => fits(row) && row.gstin.includes(wanted));
  const filters = FILTERS.map(([name, label, test, kind]) => {
    const number = found.filter(test).length;
    const pressed = String(state.filter === name);
    const choose = () => {
      state.filter = name;
      draw();
    };
    return el(
      "button",
      { type: "button", "aria-pressed": pressed, class: number && kind ? kind : "", onclick: choose },
      el("b", {}, count(number)),
      label,
    );
  });
  document.getElementById("filters").replaceChildren(...filters);
  document.getElementById("filters").hidden = !found.length;
  const table = document.getElementById("rows");
  table.hidden = !found.length;
  const body = document.createDocumentFragment();
  for (const row of shown) body.append(rowOf(row));
  table.tBodies[0].replaceChildren(body);
  const period = found.find((row) => row.dates)?.dates;
  document.getElementById("period").textContent = period ? headline(period, found) : "";
  const notes = found.length ? ["Times are India's.", ...state.notes] : [...state.notes];
  if (found.length && !shown.length) notes.unshift("No GSTIN fits.");
  document.getElementById("foot").textContent = notes.join(" ");
  if (!found.length) {
    notice(
      "Nothing is known of a GSTIN yet. A row appears once a task of this provider has run: open a session, or take a" +
        " snapshot.",
    );
  }
}

function headline(dates, found) {
  const date = /^(\d\d)(\d{4})$/.exec(dates.period);
  const name = date ? monthText.format(Date.UTC(Number(date[2]), Number(date[1]) - 1, 1)) : dates.period;
  const due = new Set(found.filter((row) => row.dates).map((row) => row.dates.due));
  const when = due.size === 1 ? `: GSTR-3B is due on ${dayText.format(dates.due * DAY)}, ${inDays(dates.due)}` : "";
  return `${name}${when}`;
}

function notice(text, kind = "") {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.className = kind;
  place.hidden = !text;
}

// ---- One GSTIN

let shownGstin = null;

async function show(gstin) {
  const row = rows().find((each) => each.gstin === gstin);
  if (!row) return;
  shownGstin = gstin;
  document.getElementById("detail-title").textContent = gstin;
  fill(row, []);
  const dialog = document.getElementById("detail");
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  await history(row);
}

/** Read older events of this GSTIN and how the runs have ended. */
async function history(row) {
  const ids = Object.values(state.gstins.get(row.gstin) ?? {});
  try {
    for (const id of ids) {
      const { asset_events: older } = await api("assets/events", { asset_id: id, order_by: "-timestamp", limit: 20 });
      older.forEach(keepEvent);
    }
  } catch {
    // what is there already is shown
  }
  const fresh = rows().find((each) => each.gstin === row.gstin) ?? row;
  const sources = new Map(fresh.events.slice(0, 15).map(({ source }) => [runPath(source), source]));
  const runs = [];
  await forEach(sources.values(), async (source) => {
    try {
      runs.push([runPath(source), await api(`dags/${part(source.dag)}/dagRuns/${part(source.run)}`)]);
    } catch {
      // not to be seen by this user, or gone
    }
  });
  if (shownGstin === row.gstin) fill(fresh, runs);
}

function fill(row, runs) {
  const states = new Map(runs.map(([path, run]) => [path, run.state]));
  const body = document.getElementById("detail-body");
  const sections = [sessionSection(row), refusedSection(row), countsSection(row), runsSection(row, states)];
  body.replaceChildren(...sections.filter(Boolean));
}

function sessionSection(row) {
  const session = sessionOf(row);
  if (["good", "none"].includes(session.kind)) return null;
  const asker = row.asker ?? state.askers[0];
  return el(
    "section",
    { class: "callout" },
    el("p", {}, session.kind === "asked" ? "A one-time password is awaited." : "GSTN wants a one-time password."),
    session.last.reason ? el("p", { class: "sub" }, String(session.last.reason)) : null,
    session.kind === "asked"
      ? link(runPath(session.last.source), "Enter it", "action")
      : asker
        ? link(`dags/${part(asker)}`, `Start ${asker}`, "action")
        : null,
  );
}

function refusedSection(row) {
  const { reset } = row;
  if (!reset) return null;
  const refused = Number(reset.counts.refused ?? 0);
  if (!refused && !reset.reason) return null;
  const cards = reset.refused.map((document_) =>
    el(
      "li",
      {},
      el(
        "p",
        { class: "document" },
        el("b", {}, String(document_.number || "no number given")),
        ` of ${document_.stin || "an unnamed supplier"}`,
      ),
      el(
        "p",
        { class: "sub" },
        [document_.section, document_.date, document_.rtnprd && `period ${document_.rtnprd}`].filter(Boolean).join(" · "),
      ),
      el("p", {}, el("code", {}, String(document_.code ?? "")), ` ${document_.message ?? ""}`),
      document_.remedy ? el("p", { class: "remedy" }, String(document_.remedy)) : null,
    ),
  );
  const more = refused - cards.length;
  return el(
    "section",
    { class: "refused" },
    el("h3", {}, refused ? `${count(refused)} refused by GSTN` : "The reset did not succeed"),
    reset.reason ? el("p", { class: "bad" }, String(reset.reason)) : null,
    el("ul", { class: "cards" }, ...cards),
    more > 0 ? el("p", { class: "sub" }, `and ${count(more)} more`) : null,
    reset.path ? el("p", { class: "sub path" }, `All of them: ${reset.path}`) : null,
    el("p", {}, link(taskPath(reset.source), "Open the task", "action")),
  );
}

function countsSection(row) {
  const blocks = STAGES.filter((stage) => row[stage]).map((stage) => {
    const event = row[stage];
    const names = [...new Set([...Object.keys(event.counts), ...Object.keys(event.tax)])];
    const lines = names
      .filter((name) => Number(event.counts[name] ?? 0) || Number(event.tax[name] ?? 0))
      .map((name) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, word(name)),
          el("td", {}, count(event.counts[name])),
          el("td", {}, name in event.tax ? exact.format(Number(event.tax[name])) : ""),
        ),
      );
    return el(
      "div",
      { class: "block" },
      el("h4", {}, happened(stage), " ", el("span", { class: "sub" }, moment(event.when))),
      el("table", {}, el("tbody", {}, ...lines)),
    );
  });
  return blocks.length ? el("section", {}, el("h3", {}, "Documents and tax"), el("div", { class: "blocks" }, ...blocks)) : null;
}

function runsSection(row, states) {
  const lines = row.events.slice(0, 15).map((event) => {
    const { source } = event;
    const ended = states.get(runPath(source));
    return el(
      "tr",
      {},
      el("td", {}, moment(event.when)),
      el("td", {}, link(taskPath(source), `${happened(event.event)}${source.failed ? " (task did not succeed)" : ""}`)),
      el("td", {}, link(runPath(source), source.dag), ended ? el("span", { class: `state ${ended}` }, ended) : ""),
    );
  });
  if (!lines.length) return null;
  return el("section", {}, el("h3", {}, "Last runs"), el("table", { class: "runs" }, el("tbody", {}, ...lines)));
}

// ---- Beginning, and going on

function outerHash() {
  try {
    return window.parent.location.hash || location.hash;
  } catch {
    return location.hash;
  }
}

function followTheme() {
  const own = document.documentElement;
  let outer;
  try {
    outer = window.parent !== window ? window.parent.document.documentElement : null;
  } catch {
    outer = null; // another origin: the browser's own setting counts
  }
  if (!outer) return;
  const take = () => {
    const dark = outer.classList.contains("dark") || outer.dataset.theme === "dark";
    const light = outer.classList.contains("light") || outer.dataset.theme === "light";
    if (dark || light) own.dataset.theme = dark ? "dark" : "light";
  };
  take();
  new MutationObserver(take).observe(outer, { attributes: true, attributeFilter: ["class", "data-theme"] });
}

let busy = false;

async function load() {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  const began = new Date(Date.now() - 60_000).toISOString();
  state.notes.clear();
  try {
    await Promise.all([loadAssets(), loadEvents(state.since), loadFailures(), findAsker()]);
    state.since = began;
    notice("");
    draw();
    if (shownGstin && document.getElementById("detail").open) await show(shownGstin);
  } catch (error) {
    if (error instanceof Denied) {
      state.events.clear();
      state.gstins.clear();
      document.getElementById("detail").close();
      draw();
      notice(
        error.message === "401"
          ? "You are not logged in."
          : "You may not see this: it takes the right to read Airflow's assets, and the DAGs that they come from.",
        "denied",
      );
    } else {
      notice(`Airflow could not be asked: ${error.message}. What is shown may be out of date.`, "bad");
    }
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
    document.body.dataset.loaded = "true";
  }
}

// First of all: Airflow 3.3 gives its own address the frame's path, without the hash, once the frame has loaded.
const wanted = outerHash().slice(1).toUpperCase();
followTheme();
const dialog = document.getElementById("detail");
dialog.addEventListener("close", () => (shownGstin = null));
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
document.getElementById("close").addEventListener("click", () => dialog.close());
document.getElementById("search").addEventListener("input", draw);
document.getElementById("refresh").addEventListener("click", load);
await load();
if (wanted) show(wanted);
setInterval(() => document.visibilityState === "visible" && load(), EVERY);
