"""What speech goes through before a recogniser hears it: rooms, noise, other voices, coders. At the waveform.

Waveforms are float32 [N] at 16 kHz. What comes out is as long as what went in, and every word in it as early, so that
transcripts and times stay true. Everything random is drawn from a generator that is given, so a seed fixes it.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyroomacoustics
import soundfile
import soxr
from scipy.signal import butter, fftconvolve, sosfiltfilt

RATE = 16_000
TELEPHONE_RATE = 8_000
SPEED_OF_SOUND = 343.0  # m/s
LEAD = 40  # samples before the direct sound in a room's response: half of the filter that places sounds between samples
SILENT = 1e-4  # root mean square of what counts as no sound at all
HIGHEST_ORDER = 50  # of reflections: what comes after them is 30 dB down, and time grows by the cube
Range = tuple[float, float]

# --- Rooms ----------------------------------------------------------------------------------------------------


def room_response(random: np.random.Generator, t60: Range, distance: Range) -> np.ndarray:
    """The impulse response of a random room of four walls, float32 [K] of energy 1; its direct sound is at LEAD.

    t60: seconds in which sound decays by 60 dB; distance: metres from the talker to the microphone.
    """
    while True:
        size = random.uniform([2.5, 2.5, 2.3], [8.0, 6.0, 3.5])
        corner = np.array([0.3, 0.3, 0.5])  # nobody stands nearer to two walls and the floor
        microphone = random.uniform(corner, size - 0.3)
        direction = random.normal(size=3) * [1, 1, 0.3]
        far = random.uniform(*distance)
        talker = microphone + far * direction / np.linalg.norm(direction)
        decay = random.uniform(*t60)
        if not (np.all(talker > corner) and np.all(talker < size - 0.3)):
            continue
        try:
            absorption, order = pyroomacoustics.inverse_sabine(decay, size)
            break
        except ValueError:  # so large a room can't be so dry
            continue
    # Walls are not flat: images moved by some centimetres keep echoes from falling into step.
    room = pyroomacoustics.ShoeBox(
        size,
        RATE,
        materials=pyroomacoustics.Material(absorption),
        max_order=min(order, HIGHEST_ORDER),
        use_rand_ism=True,
        max_rand_disp=0.05,
    )
    room.add_source(talker)
    room.add_microphone(microphone)
    pyroomacoustics.random.seed(int(random.integers(2**32)))
    room.compute_rir()
    direct = LEAD + round(far / SPEED_OF_SOUND * RATE)
    response = room.rir[0][0][direct - LEAD :].astype(np.float32)
    return response / np.linalg.norm(response)


def reverberated(speech: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Speech as a microphone in a room hears it whose response has its direct sound at LEAD."""
    return fftconvolve(speech, response)[LEAD : LEAD + len(speech)].astype(np.float32)


# --- Noise ----------------------------------------------------------------------------------------------------


def noise_excerpt(random: np.random.Generator, files: Sequence[Path], samples: int) -> np.ndarray:
    """A stretch of one of the files, which are of 16 kHz, from anywhere in it. Raises ValueError if all are silent."""
    for _ in range(100):
        path = files[int(random.integers(len(files)))]
        frames = soundfile.info(path).frames
        start = int(random.integers(max(1, frames - samples)))
        sound, rate = soundfile.read(path, samples, start, dtype="float32", always_2d=True)
        if rate != RATE:
            raise ValueError(f"{path}: has {rate} Hz; convert it to {RATE}")
        sound = sound.mean(1)
        if rms(sound) > SILENT:
            return np.resize(sound, samples)  # what is too short is repeated
    raise ValueError("noises are silent: name others")


def babble(random: np.random.Generator, voices: Sequence[np.ndarray], samples: int) -> np.ndarray:
    """Several voices at once, equally loud, each from anywhere in it and again from its start."""
    total = np.zeros(samples, np.float32)
    for voice in voices:
        if len(voice) and (loudness := rms(voice)) > SILENT:
            total += np.resize(np.roll(voice, -int(random.integers(len(voice)))), samples) / loudness
    return total


def music(random: np.random.Generator, samples: int) -> np.ndarray:
    """Chords, a tune and a beat, made up: in place of recordings, which have owners."""
    beat = int(RATE * 60 / random.uniform(70, 150))
    length = -(-samples // beat) * beat
    total = np.zeros(length + 4 * beat, np.float32)
    scale = random.permutation([0, 2, 4, 5, 7, 9, 11])
    key, brightness = random.uniform(45, 57), random.uniform(0.5, 2.0)
    drum = np.exp(-np.arange(beat) / (0.03 * RATE)) * random.normal(size=beat)
    for place in range(0, length, beat):
        root = int(random.choice(scale[:4]))
        notes = [root, root + 4, root + 7] if place % (4 * beat) == 0 else []
        notes += [12 + int(random.choice(scale))] * (random.random() < 0.7)
        for note in notes:
            hertz = 440 * 2 ** ((key + note - 69) / 12)
            time = np.arange(4 * beat if note < 12 else beat) / RATE
            decay = np.exp(-time * random.uniform(0.5, 4))
            overtones = (np.sin(2 * np.pi * hertz * k * time) / k**brightness for k in range(1, 9))
            total[place : place + len(time)] += sum(overtones) * decay
        total[place : place + beat] += random.uniform(0, 1.5) * drum
    return total[:samples]


def with_noise(speech: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Speech with noise that is so many dB quieter, over the whole of both. What is silent has nothing added."""
    loudness = rms(noise)
    if loudness == 0:
        return speech
    gain = rms(speech) / loudness * 10 ** (-snr / 20)
    return (speech + gain * noise).astype(np.float32)


def rms(sound: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) if len(sound) else 0.0


# --- Microphones and lines ------------------------------------------------------------------------------------


def with_hum(random: np.random.Generator, speech: np.ndarray) -> np.ndarray:
    """A bad cable's: a constant, and mains of 50 or 60 Hz with overtones, 10 to 30 dB below the speech."""
    phase = 2 * np.pi * float(random.choice([50, 60])) * np.arange(len(speech)) / RATE
    hum = sum(random.uniform(0, 1 / k) * np.sin(k * phase + random.uniform(0, 6)) for k in (1, 2, 3, 5))
    hummed = with_noise(speech, np.asarray(hum), random.uniform(10, 30))
    return (hummed + random.uniform(-0.5, 0.5) * rms(speech)).astype(np.float32)


def at_level(speech: np.ndarray, decibels: float) -> np.ndarray:
    """Speech whose root mean square is at so many dB of full scale, or so that its peaks just reach that."""
    if not len(speech) or not (loudness := rms(speech)):
        return speech
    gain = min(10 ** (decibels / 20) / loudness, 0.99 / float(np.abs(speech).max()))
    return (speech * gain).astype(np.float32)


# --- Coders ---------------------------------------------------------------------------------------------------


class Codec(StrEnum):
    """Ways to send sound."""

    mulaw = "mulaw"  # telephone lines
    gsm = "gsm"  # GSM 06.10 full rate, 13 kbit/s
    amr = "amr"  # AMR-NB: mobile telephones, 4.75 to 12.2 kbit/s
    opus = "opus"  # calls through the internet, voice messages
    mp3 = "mp3"


NARROW = (Codec.mulaw, Codec.gsm, Codec.amr)  # carry 8 kHz
# By how many samples, at the codec's rate, what is decoded lags behind; found by correlation.
DELAYS = {Codec.amr: 39, Codec.mp3: 1105}
AMR_RATES = (4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2)  # kbit/s


def coded(speech: np.ndarray, codec: Codec, kilobits: float = 0.0) -> np.ndarray:
    """Speech after a codec, its delay taken off. kilobits: a second, for those that have a choice."""
    rate = TELEPHONE_RATE if codec in NARROW else RATE
    sound = soxr.resample(speech, RATE, rate) if rate != RATE else speech
    sound = np.clip(sound, -1, 1)
    length = len(sound)
    delay = DELAYS.get(codec, 0)
    sound = np.pad(sound, (0, delay + rate // 10))  # codecs hold back what has not filled a block
    if codec is Codec.mulaw:
        decoded = _by_soundfile(sound, rate, "WAV", "ULAW")
    elif codec is Codec.gsm:
        decoded = _by_soundfile(sound, rate, "WAV", "GSM610")
    elif codec is Codec.opus:
        decoded = _by_soundfile(sound, rate, "OGG", "OPUS", (256 - kilobits) / 250)
    elif codec is Codec.mp3:
        decoded = _by_soundfile(sound, rate, "MP3", "MPEG_LAYER_III", (160 - kilobits) / 152)
    else:
        decoded = _amr(sound, kilobits)
    decoded = decoded[delay : delay + length]
    if rate != RATE:
        decoded = soxr.resample(decoded, rate, RATE)
    return np.pad(decoded[: len(speech)], (0, max(0, len(speech) - len(decoded)))).astype(np.float32)


def _by_soundfile(
    sound: np.ndarray, rate: int, container: str, subtype: str, compression: float | None = None
) -> np.ndarray:
    """compression: 0 to 1, which libsndfile maps to the highest and lowest bit rate of Opus and MP3."""
    file = io.BytesIO()
    # soundfile takes the settings of a bit rate for these two alone.
    settings: dict[str, Any] = {} if compression is None else {"compression_level": compression}
    if subtype == "MPEG_LAYER_III":
        settings["bitrate_mode"] = "CONSTANT"
    soundfile.write(file, sound, rate, format=container, subtype=subtype, **settings)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def _amr(sound: np.ndarray, kilobits: float) -> np.ndarray:
    file = io.BytesIO()
    with av.open(file, "w", format="amr") as container:
        stream = container.add_stream("libopencore_amrnb", rate=TELEPHONE_RATE)
        stream.layout = "mono"
        stream.bit_rate = round(1000 * kilobits)
        samples = np.round(sound * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = TELEPHONE_RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    file.seek(0)
    with av.open(file, "r") as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], 1)[0]


def telephone_band(speech: np.ndarray) -> np.ndarray:
    """What a telephone line lets through, 300 to 3400 Hz, without delay."""
    if len(speech) < 100:
        return speech
    return sosfiltfilt(butter(3, [300, 3400], "bandpass", fs=RATE, output="sos"), speech).astype(np.float32)


# --- All of it, at random -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How many of the recordings go through what; each is drawn by itself."""

    room: float = 0.5
    noise: float = 0.67
    codec: float = 0.33
    hum: float = 0.07
    babble: float = 0.3  # of the noises
    music: float = 0.15
    snr: Range = (0.0, 20.0)  # dB
    voices: tuple[int, int] = (3, 6)
    level: Range = (-38.0, -14.0)  # dB of full scale


class Surroundings:
    """Where recordings are made: rooms, noises and other voices, drawn for each by its own generator."""

    def __init__(
        self,
        shares: Shares,
        rooms: Sequence[np.ndarray],
        noises: Sequence[Path],
        voice: Callable[[np.random.Generator], np.ndarray],
    ) -> None:
        """rooms: responses; noises: files; voice: draws what someone else says, a waveform."""
        self.shares, self._rooms, self._noises, self._voice = shares, rooms, noises, voice

    def __call__(self, random: np.random.Generator, speech: np.ndarray) -> tuple[np.ndarray, str]:
        """Speech as it is heard there, and in words what happened to it."""
        told = []
        if random.random() < self.shares.room:
            number = int(random.integers(len(self._rooms)))
            speech = reverberated(speech, self._rooms[number])
            told.append(f"room {number}")
        if random.random() < self.shares.noise:
            noise, kind = self._noise(random, len(speech))
            snr = random.uniform(*self.shares.snr)
            speech = with_noise(speech, noise, snr)
            told.append(f"{kind} at {snr:.1f} dB")
        if random.random() < self.shares.hum:
            speech = with_hum(random, speech)
            told.append("hum")
        speech = at_level(speech, random.uniform(*self.shares.level))
        if random.random() < self.shares.codec:
            codec, kilobits = random_codec(random)
            if codec in NARROW and random.random() < 0.5:
                speech = telephone_band(speech)
                told.append("telephone band")
            speech = coded(speech, codec, kilobits)
            told.append(f"{codec} {kilobits:.4g}" if kilobits else f"{codec}")
        return speech, ", ".join(told)

    def _noise(self, random: np.random.Generator, samples: int) -> tuple[np.ndarray, str]:
        draw = random.random()
        if draw < self.shares.babble:
            low, high = self.shares.voices
            count = int(random.integers(low, high + 1))
            return babble(random, [self._voice(random) for _ in range(count)], samples), f"babble of {count}"
        if draw < self.shares.babble + self.shares.music:
            return music(random, samples), "music"
        return noise_excerpt(random, self._noises, samples), "noise"


def random_codec(random: np.random.Generator) -> tuple[Codec, float]:
    """One of them, and kbit/s, low ones more often than high ones."""
    codec = list(Codec)[random.integers(len(Codec))]
    if codec is Codec.amr:
        return codec, float(random.choice(AMR_RATES))
    if codec is Codec.opus:
        return codec, float(np.exp(random.uniform(np.log(6), np.log(24))))
    if codec is Codec.mp3:
        return codec, float(random.choice([16, 24, 32]))
    return codec, 0.0
