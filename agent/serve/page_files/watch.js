// Shows what the server says of the deployment. Every text that comes from there becomes a text node.

const SILENCE = 25_000; // milliseconds; the server says something every ten seconds
const AGAIN = 3_000;
const PATIENCE = 1_500; // a stream that is renewed is no lost connection

const STATES = { doing: "Being deployed", done: "Done", error: "Failed" };
const STEP_STATES = { pending: "to do", doing: "in progress", done: "done", failed: "failed" };

const at = (id) => document.getElementById(id);

let source = null;
let silence = null;
let doubt = null;
let announced = "";
let state = null;

function connect() {
  source?.close();
  source = new EventSource("events");
  source.addEventListener("open", connected);
  source.addEventListener("status", (event) => { connected(); showStatus(JSON.parse(event.data)); });
  source.addEventListener("log", (event) => { connected(); showLog(JSON.parse(event.data)); });
  source.addEventListener("alive", connected);
  source.addEventListener("error", () => {
    doubt ??= setTimeout(lost, PATIENCE);
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN);
  });
  expectNews();
}

function connected() {
  clearTimeout(doubt);
  doubt = null;
  at("connection").className = "";
  setText("connection", "Connected: this page keeps itself up to date.");
  expectNews();
}

function expectNews() {
  clearTimeout(silence);
  silence = setTimeout(() => { lost(); connect(); }, SILENCE);
}

function lost() {
  doubt = null;
  at("connection").className = "lost";
  setText("connection", state === "done"
    ? "The connection is lost: the server may be restarting into the new system. Trying again …"
    : "The connection is lost; what is shown may be old. Trying again …");
}

function showStatus({ status, words }) {
  at("live").hidden = false;
  state = status?.status ?? null;
  document.body.className = state ?? "";
  setOptional("nothing", words.nothing);
  at("now").hidden = at("planned").hidden = status === null;
  at("warned").hidden = !status?.warnings.length;
  setText("server", status ? `of ${status.servername}` : "");
  document.title = title(status, words);
  if (status === null) {
    announce(words.nothing);
    return;
  }
  showNow(status, words);
  showItems("warnings", status.warnings.map((text) => ({ text })));
  showSteps(status, words);
}

function title(status, words) {
  if (status === null) return "byoi-agent";
  const how = status.status === "doing" && words.percent !== null ? `${words.percent} %` : STATES[status.status];
  return `${how} · ${status.servername} · byoi-agent`;
}

function showNow(status, words) {
  const doing = status.status === "doing";
  setText("state", doing ? capital(status.message) : STATES[status.status]);
  at("moving").hidden = !doing;
  if (doing) showProgress(words);
  showFailure(status, words);
  setRow("image", status.description);
  setRow("disk", words.disk);
  setRow("disk-state", doing || status.status === "done" ? words.diskState : null);
  setRow("checksum", status.checksum);
  setRow("started", local(status.startedAt));
  setRow("finished", local(status.finishedAt));
  announce(announcement(status));
}

function showProgress({ percent, progress }) {
  const bar = at("bar");
  if (percent === null) bar.removeAttribute("value");
  else bar.value = percent;
  const text = progress ?? "How long this takes can not be told.";
  bar.setAttribute("aria-valuetext", text);
  setText("pace", text);
}

function showFailure(status, words) {
  const failed = status.status === "error";
  at("failure").hidden = !failed;
  setText("message", failed ? status.message : "");
  setText("detail", failed ? status.detail : "");
  setText("failed-disk", failed ? words.diskState ?? "No disk was changed." : "");
  setText("hint", failed ? status.hint : "");
}

function showSteps(status, words) {
  at("planned").hidden = status.steps.length === 0;
  showItems("steps", status.steps.map((step) => ({
    text: words.titles[step.name],
    how: [STEP_STATES[step.state], words.seconds[step.name]].filter(Boolean).join(", "),
    kind: step.state,
  })));
}

function showLog(lines) {
  at("logged").hidden = lines.length === 0;
  const log = at("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  setText("log", lines.join("\n"));
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function announcement(status) {
  const failed = status.status === "error" ? status.message : "";
  if (status.status !== "doing") return [STATES[status.status], failed].filter(Boolean).join(": ");
  const number = status.steps.findIndex((step) => step.name === status.step) + 1;
  const where = number ? `Step ${number} of ${status.steps.length}: ` : "";
  return `${where}${capital(status.message)}`;
}

// Only what is new is said, so that no percentage interrupts whoever listens.
function announce(text) {
  if (text === announced) return;
  announced = text;
  setText("announcement", text);
}

function showItems(id, items) {
  const list = at(id);
  while (list.children.length > items.length) list.lastElementChild.remove();
  items.forEach(({ text, how, kind }, index) => {
    const item = list.children[index] ?? list.appendChild(newItem());
    item.className = kind ?? "";
    if (kind === "doing") item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
    put(item.children[0], text);
    put(item.children[1], how ? ` (${how})` : "");
  });
}

function newItem() {
  const item = document.createElement("li");
  const how = document.createElement("span");
  how.className = "how";
  item.append(document.createElement("span"), how);
  return item;
}

function setRow(id, text) {
  setOptional(id, text);
  at(id).parentElement.hidden = at(id).hidden;
}

function setOptional(id, text) {
  at(id).hidden = !text;
  setText(id, text);
}

function setText(id, text) {
  put(at(id), text ?? "");
}

// What has not changed is left alone: a screen reader would take it for news, and a selection would be lost.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function local(moment) {
  return moment ? new Date(moment).toLocaleString() : null;
}

connect();
