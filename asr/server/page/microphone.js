"use strict";
// Takes what the microphone hears to the page, in chunks of a tenth of a second: samples of 16 bits.

class Microphone extends AudioWorkletProcessor {
  chunk = new Int16Array(Math.round(sampleRate / 10));
  filled = 0;

  process([[channel]]) {
    for (const sample of channel ?? []) {
      this.chunk[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.filled === this.chunk.length) {
        this.port.postMessage(this.chunk);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
