"use strict";
// The page of `asr serve`: no build step, nothing from elsewhere. Times are seconds.

const DOUBTFUL = 0.6; // confidence below which a word is marked
const RATE = 16000; // Hz, of what is recorded
const SENTENCE_END = /[.?!]["')\]]*$/;

const $ = (id) => document.getElementById(id);

function made(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function tell(problem) {
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
}

function tellMore(problem) {
  tell([$("problem").textContent, problem].filter(Boolean).join("\n"));
}

async function problemOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

// --- Tabs ------------------------------------------------------------------------------------------------------

const tabs = [...document.querySelectorAll("[role=tab]")];

function show(tab) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  tell("");
  if (tab.id === "tab-next") foretell();
  if (tab.id === "tab-transcribe") drawAll(); // which it can't be while it has no width
}

tabs.forEach((tab, index) => {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const other = tabs[(index + step + tabs.length) % tabs.length];
    other.focus();
    show(other);
  });
});

// --- Transcribe ------------------------------------------------------------------------------------------------

const recordings = []; // {name, file, sound: {samples, rate} or null, transcript, segments: [{start, end, tokens}]}
let current = null;
let edited = null; // the token whose correction is asked for
let queue = Promise.resolve(); // recordings are sent one after the other

function add(files) {
  tell("");
  for (const file of files) queue = queue.then(() => transcribe(file)).catch((error) => tellMore(`${file.name}: ${error.message}`));
}

async function transcribe(file) {
  $("progress-line").hidden = false;
  $("progress-text").textContent = `Transcribing ${file.name}`;
  $("progress").removeAttribute("value");
  try {
    const sound = await samplesOf(file);
    const form = new FormData();
    form.append("model", "nicebeach");
    form.append("response_format", "nicebeach_json");
    form.append("stream", "true");
    form.append("file", file);
    const response = await fetch("v1/audio/transcriptions", { method: "POST", body: form });
    if (!response.ok) throw new Error(await problemOf(response));
    let transcript = null;
    for await (const event of events(response.body)) {
      if (event.error) throw new Error(event.error.message);
      if (event.end && sound) $("progress").value = Math.min(1, (event.end * sound.rate) / sound.samples.length);
      if (event.transcript) transcript = event.transcript;
    }
    if (!transcript) throw new Error("the answer broke off: try again");
    const recording = { name: file.name, file, sound, transcript, segments: segmentsOf(transcript) };
    recordings.push(recording);
    if (current && !($("editor").hidden && $("audio").paused)) listRecordings(); // somebody corrects, or listens
    else choose(recording);
    if (transcript.warnings.length) tellMore(`${file.name}: ${transcript.warnings.join("; ")}`);
  } finally {
    $("progress-line").hidden = true;
  }
}

async function samplesOf(file) {
  const context = new AudioContext();
  try {
    const buffer = await context.decodeAudioData(await file.arrayBuffer());
    return { samples: buffer.getChannelData(0), rate: buffer.sampleRate };
  } catch {
    return null; // the browser can't read it; the server may
  } finally {
    context.close();
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}

// Words by segment; what is written for several at once is one token. Of it text is as corrected, heard as it was.
function segmentsOf(transcript) {
  const words = [...transcript.words];
  return transcript.segments.map((segment) => {
    const tokens = [];
    segment.alternatives.forEach((alternative) => {
      const word = words.shift();
      if (word.written === "" && tokens.length) {
        const token = tokens.at(-1);
        token.end = word.end;
        token.confidence = Math.min(token.confidence, word.confidence);
      } else {
        const { start, end, confidence } = word;
        const text = word.written || word.word;
        tokens.push({ heard: text, text, start, end, confidence, alternative });
      }
    });
    return { ...segment, tokens };
  });
}

function listRecordings() {
  $("recordings").replaceChildren(
    ...recordings.map((one) => {
      const button = made("button", { type: "button", textContent: one.name, onclick: () => choose(one) });
      button.setAttribute("aria-current", String(one === current));
      return made("li", {}, button);
    }),
  );
}

function choose(recording) {
  current = recording;
  listRecordings();
  URL.revokeObjectURL($("audio").src);
  $("audio").src = URL.createObjectURL(recording.file);
  $("transcript").hidden = false;
  $("editor").hidden = true;
  $("transcript").append($("editor")); // out of a segment that goes
  $("segments").replaceChildren(...recording.segments.filter((segment) => segment.tokens.length).map(segmentNode));
  $("transcript").insertBefore($("editor"), $("transcript").lastElementChild);
  drawAll();
  fillWhy();
}

function segmentNode(segment) {
  const canvas = made("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Waveform, ${segment.start.toFixed(1)} to ${segment.end.toFixed(1)} s`);
  const words = made("p", { className: "words" });
  for (const token of segment.tokens) {
    token.node = made("button", { type: "button", onclick: () => select(token, segment) });
    label(token);
    words.append(token.node, " ");
  }
  segment.canvas = canvas;
  segment.node = made("div", { className: "segment" }, canvas, words);
  return segment.node;
}

// A word that was taken out stays to be seen, so that it can be put back.
function label(token) {
  const { node, text, heard } = token;
  const doubtful = token.confidence < DOUBTFUL && !token.checked;
  const more = doubtful ? `${text}, doubtful, ${percent(token)}` : text ? "" : `${heard}, taken out`;
  node.textContent = text || heard;
  node.classList.toggle("doubtful", doubtful);
  node.classList.toggle("out", !text);
  if (more) node.setAttribute("aria-label", more);
  else node.removeAttribute("aria-label");
}

function percent(token) {
  return `${Math.round(100 * token.confidence)} %`;
}

function select(token, segment) {
  edited = token;
  $("audio").currentTime = token.start;
  $("audio").play().catch(() => {}); // what the browser can't play
  $("correction-label").textContent = `${token.heard} (${percent(token)} sure)`;
  $("correction").value = token.text;
  const other = token.alternative?.toLowerCase();
  const others = [token.heard, other, ""].filter((text) => text !== undefined && text !== token.text);
  $("alternatives").replaceChildren(
    ...[...new Set(others)].flatMap((text) => [
      "or ",
      made("button", { type: "button", textContent: text || "(nothing)", onclick: () => correct(text) }),
      " ",
    ]),
  );
  segment.node.append($("editor"));
  $("editor").hidden = false;
}

function correct(text) {
  edited.text = text.trim();
  edited.checked = true;
  label(edited);
  $("editor").hidden = true;
  edited.node.focus();
}

$("editor").addEventListener("submit", (event) => {
  event.preventDefault();
  correct($("correction").value);
});

$("editor").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  $("editor").hidden = true;
  edited.node.focus();
});

function drawAll() {
  for (const segment of current ? current.segments : []) if (segment.canvas) draw(segment, null);
}

// The waveform of a segment, and where the token is in it.
function draw(segment, token) {
  const { canvas } = segment;
  const width = (canvas.width = canvas.clientWidth);
  const height = (canvas.height = canvas.clientHeight);
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.body);
  const seconds = segment.end - segment.start;
  if (!width || !current.sound) return;
  if (token) {
    context.fillStyle = style.getPropertyValue("--accent");
    context.globalAlpha = 0.35;
    const left = ((token.start - segment.start) / seconds) * width;
    context.fillRect(left, 0, ((token.end - token.start) / seconds) * width, height);
    context.globalAlpha = 1;
  }
  const { samples, rate } = current.sound;
  context.fillStyle = style.color;
  const first = segment.start * rate;
  const step = (seconds * rate) / width;
  let loudest = 1e-3;
  const peaks = Array.from({ length: width }, (_, x) => {
    let peak = 0;
    const end = Math.min(samples.length, first + (x + 1) * step);
    for (let place = Math.floor(first + x * step); place < end; place += 1) peak = Math.max(peak, Math.abs(samples[place]));
    loudest = Math.max(loudest, peak);
    return peak;
  });
  peaks.forEach((peak, x) => {
    const size = Math.max(1, (peak / loudest) * height);
    context.fillRect(x, (height - size) / 2, 1, size);
  });
}

let heard = null; // the token that sounds

function follow() {
  const time = $("audio").currentTime;
  const segment = current && current.segments.find((one) => one.canvas && time >= one.start && time < one.end);
  const token = segment ? (segment.tokens.find((one) => time >= one.start && time < one.end) ?? null) : null;
  if (token !== heard) {
    heard?.node.classList.remove("now");
    token?.node.classList.add("now");
    heard = token;
    if (segment) draw(segment, token);
  }
  if (!$("audio").paused) requestAnimationFrame(follow);
}

for (const event of ["play", "seeked", "pause"]) $("audio").addEventListener(event, follow);
window.addEventListener("resize", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

$("file").addEventListener("change", (event) => add(event.target.files));
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") add(event.dataTransfer.files);
  });
}

// --- Record ----------------------------------------------------------------------------------------------------

let recorder = null;

$("record").hidden = !navigator.mediaDevices; // as browsers have it where pages come over http from elsewhere

$("record").addEventListener("click", async () => {
  if (recorder) {
    recorder.stop();
    return;
  }
  tell("");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const parts = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = async () => {
      recorder = null;
      $("record").textContent = "Record";
      stream.getTracks().forEach((track) => track.stop());
      add([await asWav(new Blob(parts))]);
    };
    recorder.start();
    $("record").textContent = "Stop recording";
  } catch (error) {
    tell(`The microphone can't be used: ${error.message}`);
  }
});

// What browsers record comes in containers that not every server reads.
async function asWav(blob) {
  const context = new OfflineAudioContext(1, 1, RATE);
  const samples = (await context.decodeAudioData(await blob.arrayBuffer())).getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (place, letters) => [...letters].forEach((letter, index) => view.setUint8(place + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, index) => view.setInt16(44 + 2 * index, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new File([view], `recording ${recordings.length + 1}.wav`, { type: "audio/wav" });
}

// --- Save ------------------------------------------------------------------------------------------------------

function clock(seconds, mark) {
  const total = Math.round(1000 * seconds);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const rest = String(total % 1000).padStart(3, "0");
  return `${two(total / 3600000)}:${two((total / 60000) % 60)}:${two((total / 1000) % 60)}${mark}${rest}`;
}

// Cues of a sentence at most, two lines of 42 characters, seven seconds.
function cuesOf(tokens) {
  const cues = [];
  let cue = null;
  for (const token of tokens) {
    const long = cue && (cue.text.length + token.text.length > 84 || token.end - cue.start > 7 || token.start - cue.end > 1);
    if (!cue || long || SENTENCE_END.test(cue.text)) cues.push((cue = { start: token.start, text: "" }));
    cue.text += (cue.text && " ") + token.text;
    cue.end = token.end;
  }
  return cues;
}

function written(form) {
  const segments = current.segments.map((segment) => segment.tokens.filter((token) => token.text));
  const cues = cuesOf(segments.flat());
  switch (form) {
    case "srt":
      return cues.map((cue, index) => `${index + 1}\n${clock(cue.start, ",")} --> ${clock(cue.end, ",")}\n${cue.text}\n\n`).join("");
    case "vtt":
      return `WEBVTT\n\n${cues.map((cue) => `${clock(cue.start, ".")} --> ${clock(cue.end, ".")}\n${escaped(cue.text)}\n\n`).join("")}`;
    case "json": {
      const words = segments.flat().map(({ text, heard, start, end, confidence }) => ({
        word: text, start, end, confidence, corrected: text !== heard,
      }));
      return JSON.stringify({ file: current.name, duration: current.transcript.duration, words }, null, 2);
    }
    default:
      return `${segments.flat().map((token) => token.text).join(" ")}\n`;
  }
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

for (const button of document.querySelectorAll("[data-save]")) {
  button.addEventListener("click", () => {
    const form = button.dataset.save;
    const href = URL.createObjectURL(new Blob([written(form)], { type: "text/plain" }));
    made("a", { href, download: `${current.name.replace(/\.[^.]*$/, "")}.${form}` }).click();
    URL.revokeObjectURL(href);
  });
}

// --- Why -------------------------------------------------------------------------------------------------------

const sliders = ["acoustic", "ngram", "lstm", "word"].map((name) => $(`w-${name}`));
let hypotheses = [];

function fillWhy() {
  const spoken = current.segments.filter((segment) => segment.tokens.length);
  $("why-empty").hidden = spoken.length > 0;
  $("why-full").hidden = !spoken.length;
  $("segment").replaceChildren(
    ...spoken.map((segment) => made("option", { textContent: `${segment.start.toFixed(1)} s: ${segment.text.slice(0, 60)}` })),
  );
  $("segment").onchange = () => explain(spoken[$("segment").selectedIndex]);
  usual();
  if (spoken.length) explain(spoken[0]);
}

function usual() {
  const { ngram, lstm, word } = current.transcript.weights;
  [1, ngram, lstm, word].forEach((weight, index) => (sliders[index].value = weight));
}

function explain(segment) {
  const { ngram, lstm, word } = current.transcript.weights;
  hypotheses = segment.nbest.map((one) => {
    const words = one.text ? one.text.split(" ").length : 0;
    // What hot words add is in the total alone.
    const more = one.total - one.acoustic - ngram * one.ngram - lstm * one.lstm - word * words;
    return { text: one.text, parts: [one.acoustic, one.ngram, one.lstm, words], more };
  });
  rank();
}

function rank() {
  const weights = sliders.map((slider) => Number(slider.value));
  sliders.forEach((slider) => (slider.nextElementSibling.value = Number(slider.value).toFixed(2)));
  for (const one of hypotheses) one.score = one.more + one.parts.reduce((sum, part, index) => sum + weights[index] * part, 0);
  const ranked = [...hypotheses].sort((a, b) => b.score - a.score);
  $("hypotheses").replaceChildren(
    ...ranked.map((one, index) => {
      const [acoustic, ngram, lstm, words] = one.parts;
      const cells = [index + 1, one.text, acoustic.toFixed(1), ngram.toFixed(1), lstm.toFixed(1), words, one.score.toFixed(1)];
      return made("tr", {}, ...cells.map((cell) => made("td", { textContent: cell })));
    }),
  );
  const best = ranked.length ? ranked[0].text : "";
  if ($("best").textContent !== best) $("best").textContent = best; // told aloud where it changes
}

sliders.forEach((slider) => slider.addEventListener("input", rank));
$("reset").addEventListener("click", () => {
  usual();
  rank();
});

// --- Live ------------------------------------------------------------------------------------------------------

const BEHIND = 10; // chunks without an answer, a second, from which on that is told
let captions = null; // a promise of what ends them, while there are some

if (!navigator.mediaDevices) {
  $("listen").disabled = true;
  $("live-state").textContent = "The microphone needs https, unless the page comes from this machine.";
}

$("listen").addEventListener("click", async () => {
  if (captions) {
    const stop = await captions;
    stop?.();
    return;
  }
  tell("");
  $("listen").textContent = "Stop captions";
  captions = caption().catch((error) => {
    tell(`There are no captions: ${error.message}`);
    endCaptions();
  });
});

function endCaptions() {
  captions = null;
  $("listen").textContent = "Start captions";
  $("live-state").textContent = $("growing").textContent = "";
}

// Captions until what it returns is called, or the server ends them.
async function caption() {
  $("live-state").textContent = "Connecting";
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  const context = new AudioContext();
  const release = () => {
    microphone.getTracks().forEach((track) => track.stop());
    if (context.state !== "closed") context.close();
  };
  try {
    await context.audioWorklet.addModule("microphone.js");
    const socket = await connected();
    socket.send(JSON.stringify({ config: { sample_rate: context.sampleRate, words: false, style: null } }));
    const worklet = new AudioWorkletNode(context, "microphone");
    let unanswered = 0;
    worklet.port.onmessage = ({ data }) => {
      if (socket.readyState !== WebSocket.OPEN || context.state === "closed") return;
      socket.send(data);
      unanswered += 1;
    };
    socket.onmessage = ({ data }) => {
      unanswered -= 1;
      $("live-state").textContent = unanswered < BEHIND ? "Listening" : `${Math.round(unanswered / 10)} s behind`;
      const { partial = "", text } = JSON.parse(data);
      $("growing").textContent = partial;
      if (!text) return;
      $("captions").append(made("p", { textContent: text }));
      $("captions").scrollTop = $("captions").scrollHeight;
    };
    socket.onclose = ({ code, reason }) => {
      release();
      endCaptions();
      if (code !== 1000) tell(`The captions ended: ${reason || "the server is gone"}.`);
    };
    context.createMediaStreamSource(microphone).connect(worklet);
    return () => {
      release();
      if (socket.readyState === WebSocket.OPEN) socket.send('{"eof": 1}');
    };
  } catch (error) {
    release();
    throw error;
  }
}

// A WebSocket with a key that the page may know, as browsers send no other with one.
async function connected() {
  const response = await fetch("v1/realtime/client_secrets", { method: "POST", body: "{}" });
  if (!response.ok) throw new Error(await problemOf(response));
  const { value } = await response.json();
  const address = new URL(".", location.href).href.replace(/^http/, "ws");
  const socket = new WebSocket(address, ["vosk", `openai-insecure-api-key.${value}`]);
  await new Promise((done, fail) => {
    socket.onopen = done;
    socket.onclose = () => fail(new Error("the server has no room for another stream, or is gone: try again later"));
  });
  return socket;
}

// --- Next word -------------------------------------------------------------------------------------------------

const MODELS = { ngram: "n-gram", lstm: "LSTM", mixture: "Both" };
let asked = 0;
let pause = 0;

$("text").addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(foretell, 120);
});

async function foretell() {
  const turn = ++asked;
  const text = $("text").value;
  try {
    const answers = await Promise.all(
      Object.keys(MODELS).map(async (model) => {
        const response = await fetch("v1/lm/next", { method: "POST", body: JSON.stringify({ text, model, top: 10 }) });
        if (!response.ok) throw new Error(await problemOf(response));
        return response.json();
      }),
    );
    if (turn !== asked) return; // more was typed meanwhile
    tell("");
    $("models").replaceChildren(...answers.map(column));
  } catch (error) {
    if (turn === asked) tell(error.message);
  }
}

function column(answer) {
  const items = answer.words.map(({ word, probability }) => {
    const name = { "</s>": "(end of the sentence)", "<unk>": "(an unknown word)" }[word] ?? word.toLowerCase();
    const share = `${(100 * probability).toFixed(1)} %`;
    const button = made("button", { type: "button" }, made("span", { textContent: name }), made("span", { textContent: share }));
    button.style.setProperty("--share", `${100 * probability}%`);
    button.onclick = () => {
      const end = word === "</s>" ? "." : word === "<unk>" ? "" : ` ${word.toLowerCase()}`;
      $("text").value = $("text").value.trimEnd() + end;
      $("text").focus();
      foretell();
    };
    return made("li", {}, button);
  });
  return made("section", {}, made("h2", { textContent: MODELS[answer.model] }), made("ol", {}, ...items));
}
