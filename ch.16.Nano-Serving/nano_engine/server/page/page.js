// The page at /: asks the server it came from, over the same API as any client, and shows what comes as it comes.

const MAX_ANSWERS = 20; // shown below each other
const MAX_BARS = 240; // of one answer; its earliest steps leave first
const $ = (id) => document.getElementById(id);
const messages = []; // of the chat
let running = null; // the AbortController of the answer that is being written
let model = null;

const problem = (text) => {
  $("error").textContent = text;
  $("error").hidden = !text;
};

async function connect() {
  const response = await fetch("v1/models");
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  model = (await response.json()).data[0];
  $("status").textContent = `${model.id}, ${model.max_model_len} tokens`;
  document.querySelector(".modes").hidden = !model.has_chat_template;
}

const isChat = () => document.querySelector("input[name=mode]:checked").value === "chat";

function body() {
  const asked = {
    model: model.id,
    max_tokens: $("max_tokens").valueAsNumber,
    temperature: $("temperature").valueAsNumber,
    n: $("n").valueAsNumber,
    stream: true,
    stream_options: { include_usage: true, include_batch: true },
  };
  if ($("seed").value !== "") asked.seed = $("seed").valueAsNumber;
  if (!isChat()) return { ...asked, prompt: $("prompt").value };
  return { ...asked, messages: [...messages, { role: "user", content: $("prompt").value }] };
}

// The events of a response, parsed; the last one, [DONE], is not handed on.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (part.startsWith("data: ") && part !== "data: [DONE]") yield JSON.parse(part.slice(6));
    }
  }
}

// One answer's card: what has come so far, and the figures about it.
class Card {
  constructor(given, n) {
    this.element = $("answer").content.cloneNode(true).firstElementChild;
    this.began = performance.now();
    this.texts = Array.from({ length: n }, () => {
      const text = document.createElement("p");
      text.className = "text writing";
      const prompt = document.createElement("span");
      prompt.className = "given";
      prompt.textContent = given;
      text.append(prompt, document.createTextNode(""));
      this.element.querySelector(".texts").append(text);
      return text;
    });
    this.steps = [];
    this.reasons = new Set();
    this.numWritten = 0;
    $("answers").prepend(this.element);
    while ($("answers").children.length > MAX_ANSWERS) $("answers").lastElementChild.remove();
  }

  show(name, text) {
    this.element.querySelector(`.${name}`).textContent = text;
  }

  take(event) {
    if (event.usage) this.takeUsage(event.usage);
    for (const choice of event.choices) {
      const text = this.texts[choice.index];
      text.lastChild.data += choice.text ?? choice.delta.content ?? "";
      if (!this.firstAt) {
        this.firstAt = performance.now();
        this.show("first", `${Math.round(this.firstAt - this.began)} ms`);
      }
      if (choice.index === 0 && event.batch.requests) this.steps.push(event.batch.requests);
      this.numWritten += 1;
      this.show("written", `${this.numWritten} pieces`);
      if (choice.finish_reason) {
        text.classList.remove("writing");
        this.reasons.add(choice.finish_reason);
        this.show("ended", [...this.reasons].join(", "));
      }
    }
    this.draw();
  }

  takeUsage(usage) {
    const cached = usage.prompt_tokens_details.cached_tokens;
    this.show("cached", `${usage.prompt_tokens} tokens, ${cached} from the cache`);
    const seconds = (performance.now() - this.began) / 1000;
    this.show("written", `${usage.completion_tokens} tokens, ${Math.round(usage.completion_tokens / seconds)} a second`);
  }

  draw() {
    const most = Math.max(1, ...this.steps);
    this.show("shared", most === 1 ? "nobody" : `${most - 1} other${most > 2 ? "s" : ""}`);
    const steps = this.steps.slice(-MAX_BARS);
    const svg = this.element.querySelector(".steps");
    svg.setAttribute("viewBox", `0 0 ${Math.max(60, steps.length)} ${Math.max(4, most)}`);
    svg.replaceChildren(...steps.map((height, i) => {
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const place = { x: i + 0.1, y: Math.max(4, most) - height, width: 0.8, height };
      for (const [name, value] of Object.entries(place)) bar.setAttribute(name, value);
      return bar;
    }));
  }

  end(reason) {
    for (const text of this.texts) text.classList.remove("writing");
    if (reason) this.show("ended", reason);
  }
}

async function write() {
  problem("");
  running = new AbortController();
  $("write").disabled = true;
  $("stop").disabled = false;
  const asked = body();
  let card = null;
  try {
    const response = await fetch(isChat() ? "v1/chat/completions" : "v1/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(asked),
      signal: running.signal,
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
    card = new Card(asked.prompt ?? `${$("prompt").value}\n\n`, asked.n);
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      card.take(event);
    }
    card.end();
    if (asked.messages) {
      messages.push(asked.messages.at(-1), { role: "assistant", content: card.texts[0].lastChild.data });
      $("prompt").value = "";
    }
  } catch (failure) {
    card?.end(failure.name === "AbortError" ? "you" : "error");
    if (failure.name !== "AbortError") problem(failure.message);
  } finally {
    running = null;
    $("write").disabled = false;
    $("stop").disabled = true;
  }
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running && model) write();
});
$("stop").addEventListener("click", () => running?.abort());
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});
for (const mode of document.querySelectorAll("input[name=mode]")) {
  mode.addEventListener("change", () => {
    $("prompt-label").textContent = isChat() ? "Message" : "Prompt";
    messages.length = 0;
  });
}
connect().catch((failure) => {
  $("status").textContent = "not connected";
  problem(failure.message);
});
