// Keeps what the page knows as new as the daemon's: events tell that something
// happened, then the state is asked for again.

const GAP_MS = 500;
const POLL_MS = 2000;
const RETRY_MS = 1000;
const ANSWER_MS = 5000;
/// Without events the whole state is asked for with every fifth poll; the others
/// ask for the status alone, whose ages change.
const WHOLE_EVERY = 5;
const EARLIER_EVENTS = 200;

/// Goes on for ever. `onEvent` gets each event as JSON text, `onState` the answers of
/// status, members and matrix (the latter two only if they were asked for), `onLost`
/// is called with each attempt that failed.
export async function follow({ onEvent, onState, onLost }) {
  const bell = createBell();
  const events = createEventSource((json) => {
    onEvent(json);
    bell.ring();
  }, bell.ring);
  for (let poll = 0; ; poll++) {
    await untilVisible(events);
    const isWhole = bell.answer() || poll % WHOLE_EVERY === 0;
    try {
      onState(await fetchState(isWhole));
      events.open();
      await pause(GAP_MS);
      await bell.rung(POLL_MS - GAP_MS);
    } catch (error) {
      events.close();
      onLost(error);
      poll = -1;
      await pause(RETRY_MS);
    }
  }
}

async function fetchState(isWhole) {
  const paths = isWhole ? ["status", "members", "matrix"] : ["status"];
  const answers = await Promise.all(paths.map(fetchJson));
  return Object.fromEntries(paths.map((path, n) => [path, answers[n]]));
}

async function fetchJson(path) {
  const answer = await fetch(`api/v1/${path}`, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/// Opened again by whoever sees that the daemon answers; a browser's own attempts
/// would end at the first answer that is not 200.
function createEventSource(onEvent, onBreak) {
  let source = null;
  const close = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    if (source) return;
    source = new EventSource(`api/v1/events?last=${EARLIER_EVENTS}`);
    source.onmessage = ({ data }) => onEvent(data);
    source.onerror = () => {
      close();
      onBreak();
    };
  };
  return { open, close };
}

/// Something to be waited for that may ring before anybody waits.
function createBell() {
  let rang = false;
  let wake = () => {};
  return {
    ring() {
      rang = true;
      wake();
    },
    answer() {
      const was = rang;
      rang = false;
      return was;
    },
    rung: (limit) => (rang ? null : Promise.race([pause(limit), new Promise((resolve) => (wake = resolve))])),
  };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/// A tab that nobody looks at takes no place among the readers of events.
async function untilVisible(events) {
  if (!document.hidden) return;
  events.close();
  await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}
