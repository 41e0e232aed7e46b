// What the server tells: server-sent events, read by fetch, which can show the token in a header (an EventSource cannot).

const QUIET_SECONDS = 15; // the server says something every 5
const PAUSES = [250, 500, 1000, 2000];

let token = "";

/** The token of the address (`#token=...`), which then stands there no more: no screenshot shows it, and no history keeps it. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", "#/map");
  }
  token = given ?? sessionStorage.getItem("token") ?? "";
}

/** The answer to a question. Throws where there is none: `status` 0, nobody answered; 401, the token is wrong; 503, no server. */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { authorization: `Bearer ${token}` }, cache: "no-store" });
  } catch (error) {
    throw options.signal?.aborted ? error : Object.assign(new Error("nobody answers"), { status: 0 });
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(said.message ?? answer.statusText), { status: answer.status });
}

/** Follows what is asked for, for ever: `told(name, value)` for each event, `changed(state, error)` when the stream stands or broke. */
export class Live {
  #told;
  #changed;
  #question = new AbortController();

  constructor(told, changed) {
    this.#told = told;
    this.#changed = changed;
  }

  /** Follow nothing. */
  rest() {
    this.#question.abort();
  }

  /** Ask anew; what was asked before is of no more interest. */
  async follow(query) {
    this.#question.abort();
    const question = (this.#question = new AbortController());
    for (let failures = 0; !question.signal.aborted; failures += 1) {
      try {
        await this.#read(query, question.signal, () => (failures = 0));
        throw Object.assign(new Error("the answer ended"), { status: 503 });
      } catch (error) {
        if (question.signal.aborted) return;
        this.#changed("away", error);
        if (error.status === 401) return;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSES[Math.min(failures, PAUSES.length - 1)]));
    }
  }

  async #read(query, signal, stands) {
    const silence = new AbortController();
    let timer = 0;
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), QUIET_SECONDS * 1000);
    };
    listen();
    try {
      const answer = await ask(`events?${query}`, { signal: AbortSignal.any([signal, silence.signal]) });
      let rest = "";
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        listen();
        const events = (rest + part.value).split("\n\n");
        rest = events.pop();
        for (const event of events) this.#take(event);
        stands();
        if (!signal.aborted) this.#changed("live");
      }
    } catch (error) {
      throw silence.signal.aborted ? Object.assign(new Error("the server is silent"), { status: 503 }) : Object.assign(error, { status: error.status ?? 503 });
    } finally {
      clearTimeout(timer);
    }
  }

  #take(event) {
    const lines = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
    if (lines.event) this.#told(lines.event, JSON.parse(lines.data));
  }
}
