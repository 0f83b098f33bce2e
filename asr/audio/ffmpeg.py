"""Sound by FFmpeg, through PyAV: whatever libsndfile doesn't know, and what is damaged."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from asr.audio.errors import AudioError
from asr.audio.features import SAMPLE_RATE
from asr.audio.sound import CONVERT, Sound, Warn, check_rate

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream, Packet
    from av.container import InputContainer

CODECS = "m4a, mp4 and webm need pip install 'nicebeach[codecs]'"
# What FFmpeg may take a file for. Among the others are playlists, which make it open further files and addresses.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,asf,avi,flv,live_flv,mpegts,mpeg,mpegvideo,amr,amrnb,amrwb,ac3,eac3,dts,"
    "truehd,ape,wv,tta,tak,mpc,mpc8,shn,wav,w64,aiff,caf,au,voc,ogg,flac,mp3,loas,rm,dsf,iff,oma,gsm,sox,nut,mxf,dv,wtv"
)
# Nor may it open anything else for what it finds in a file.
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
MICROSECONDS = 1_000_000  # FFmpeg's unit of time
JITTER = 0.1  # seconds; closer time stamps are taken for consecutive
LONGEST_HOLES = 12 * 3600.0  # seconds, all of a file together; what jumps further is taken for a fault
REMEMBERED = 8  # earlier origins of time stamps
BEFORE = 1.0  # seconds that decoders need to begin well
UNREAD = 0.2  # of the bytes of a file; less may be its index
PATIENCE = 100  # packets that can't be read, one after the other
MOST_PLANES = 8  # of channels that lie apart; PyAV looks for more of so many or more, beyond the last
MOST_UNFRAMED = 1 << 26  # bytes
# Those that say how long they are, where others are guessed from the bit rate, or from the last time stamp.
KNOW_LENGTH = "matroska,webm avi asf flv flac caf wav w64 aiff ape wv tta tak".split()
AVI_HEADER = 8  # bytes before each packet, at which its index points
MATROSKA = "matroska,webm"  # whose length counts from 0, not from where its first stream begins
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
INDEX_LAST = (MP4, "wtv", "mxf")  # and it may be long


class Clock:
    """Time stamps to the time of a file.

    Where they leave something out, so does time. Where they begin anew, as in files that were joined, or jump back, or
    absurdly far, the sound goes on all the same; and a single one that is out of place means nothing.
    """

    def __init__(self) -> None:
        self.end = 0.0  # where the sound up to now ends
        self._origins = [0.0]  # the latest first
        self._holes = 0.0  # seconds, all together

    def time(self, stamp: float | None, following: float | None) -> float:
        """When the sound begins that has this stamp, the next having the one following; None is one without."""
        if stamp is None:
            return self.end
        for origin in self._origins:
            if abs(stamp - origin - self.end) <= JITTER:
                break
        else:
            origin = self._origins[0]
            hole = stamp - origin - self.end
            if hole > 0 and following is not None and following < stamp:
                return self.end
            if 0 < hole <= LONGEST_HOLES - self._holes:
                self._holes += hole
            else:
                origin = stamp - self.end
        self._origins = [origin, *(other for other in self._origins if other != origin)][:REMEMBERED]
        return stamp - origin


def available() -> bool:
    """Whether the extra `codecs` is installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def sounds(stream: BinaryIO, start: float, problem: str, tell: Warn, form: str = "") -> Iterator[Sound]:
    """What a file holds, some of which before `start` seconds may be left out.

    problem: what libsndfile said of it. tell: takes a line, where it holds more than is heard. form: FFmpeg's name of
    its format, if that is known.
    Raises AudioError if PyAV isn't installed, or there is no sound that it reads.
    """
    if not available():
        message = f"damaged, or not a sound file that libsndfile reads ({problem}): {CONVERT}; {CODECS}"
        raise AudioError(message)
    import av

    try:
        container = av.open(stream, mode="r", format=form or None, options=OPTIONS)
    except (av.FFmpegError, ValueError):
        raise AudioError(f"damaged, or not a sound file ({problem}): {CONVERT}") from None
    with container:
        if not container.streams.audio:
            raise AudioError("holds no sound, only other things: record it again")
        sound = next((stream for stream in container.streams.audio if stream.codec_context), None)
        if sound is None:
            raise AudioError(f"its sound is in a form that FFmpeg doesn't know ({problem}): {CONVERT}")
        if others := len(container.streams.audio) - 1:
            tell(f"holds {others + 1} tracks of sound, of which one is heard: save the others by themselves")
        if sound.rate:
            check_rate(sound.rate)
        if sound.codec_context.name == "flac":  # whose frames have checksums, or noise would be taken for sound
            sound.codec_context.options = {"err_detect": "crccheck+explode"}
        if _is_unframed(container, sound):
            yield from _unframed(container, sound, problem)
        else:
            yield from _framed(container, sound, start, problem)


def duration(stream: BinaryIO) -> float | None:
    """How many seconds a file holds, if it says so, and PyAV is installed."""
    if not available():
        return None
    import av

    try:
        with av.open(stream, mode="r", options=OPTIONS) as container:
            return container.duration / MICROSECONDS if container.duration else None
    except (av.FFmpegError, ValueError):
        return None


def _framed(container: "InputContainer", sound: "AudioStream", start: float, problem: str) -> Iterator[Sound]:
    """The sound of packets that can be decoded one by one, whatever the others are."""
    import av

    # What players call the beginning of a file is that of the first of its streams.
    origin = (container.start_time or 0) / MICROSECONDS
    clock, rate, lost, heard, begun = Clock(), sound.rate or SAMPLE_RATE, 0.0, 0.0, False
    # Packets of an AVI have no time stamps, and are counted: but for its index, those that are damaged weren't.
    entries = getattr(sound, "index_entries", ()) if container.format.name == "avi" else ()  # PyAV had none once
    index = {entry.pos + AVI_HEADER: entry.timestamp for entry in entries}
    latest, read = 0.0, 0  # second and byte up to which there are packets

    def of_sound() -> Iterator["Packet | None"]:
        nonlocal latest, read
        for packet in _packets(container):
            if packet.stream is sound and packet.pts is not None:
                packet.pts = max(packet.pts, index.get(packet.pos, packet.pts))
            latest = max(latest, (_stamp(packet, origin) or 0.0) + _seconds(packet))
            read = max(read, (packet.pos or 0) + packet.size)
            if packet.stream is sound:
                yield packet
        yield None

    for packet, following in pairwise(of_sound()):
        assert packet is not None
        stamp, seconds = _stamp(packet, origin), _seconds(packet)
        time = clock.time(stamp, _stamp(following, origin))
        if seconds and time + seconds + BEFORE < start:
            clock.end, begun = time + seconds, True
            continue
        try:
            frames = cast("list[AudioFrame]", packet.decode())
            blocks = [(frame, _samples(frame)) for frame in frames if frame.samples]
        except (av.FFmpegError, ValueError):
            lost += seconds
            clock.end += seconds
            continue
        shift = time - (stamp or 0.0)
        for frame, samples in blocks:
            check_rate(rate := frame.sample_rate)
            # Frames begin later than their packets where a decoder needs what comes first to begin.
            time = clock.end if stamp is None or frame.time is None else frame.time - origin + shift
            yield Sound(samples, rate, time, lost)
            clock.end, lost, begun = time + frame.samples / rate, 0.0, True
            heard += frame.samples / rate
    if not begun:
        raise AudioError(f"damaged, or nothing that can be decoded ({problem}): {CONVERT}")
    missing = max(0.0, _promised(container, sound, origin, latest) - max(clock.end, heard))
    if container.format.name not in INDEX_LAST and (unread := 1 - read / container.size) > UNREAD:
        missing = max(missing, clock.end * unread / (1 - unread))
    nothing = np.zeros((0, 1), np.float32)
    yield Sound(nothing, rate, clock.end - lost, 0.0 if missing else lost, missing + lost if missing else 0.0)


def _promised(container: "InputContainer", sound: "AudioStream", origin: float, latest: float) -> float:
    """When the sound ends by the file's header; 0 if that isn't known. latest: when the latest packet of all ends."""
    if container.format.name == MP4:
        return float(((sound.start_time or 0) + (sound.duration or 0)) * (sound.time_base or 0)) - origin
    if container.format.name in KNOW_LENGTH and container.duration:
        promised = container.duration / MICROSECONDS - (origin if container.format.name == MATROSKA else 0.0)
        return promised if latest < promised - JITTER else 0.0  # pictures may last longer than the sound
    return 0.0


def _packets(container: "InputContainer") -> "Iterator[Packet]":
    """As many as can be read."""
    import av

    streams, failures = tuple(container.streams), 0  # not those that are made up of what is damaged
    while failures < PATIENCE:
        try:
            for packet in container.demux(streams):
                failures = 0
                yield packet
            return
        except IndexError:  # at its end PyAV looks for streams that have appeared meanwhile
            return
        except (av.FFmpegError, ValueError):
            failures += 1


def _seconds(packet: "Packet") -> float:
    """How long a packet lasts; 0 if that isn't known."""
    return float((packet.duration or 0) * (packet.time_base or 0))


def _stamp(packet: "Packet | None", origin: float) -> float | None:
    """When a packet is to be heard, in seconds; None if it doesn't say."""
    if packet is None or packet.pts is None or not packet.time_base:
        return None
    return float(packet.pts * packet.time_base) - origin


def _samples(frame: "AudioFrame") -> np.ndarray:
    """float32 [n, channels] in -1..1."""
    import av

    count, channels = frame.samples, frame.layout.nb_channels
    if frame.format.is_planar and channels >= MOST_PLANES:
        (frame,) = av.AudioResampler(format="flt").resample(frame)
    data = frame.to_ndarray()
    data = data.T if frame.format.is_planar else data.reshape(count, channels)
    if data.dtype.kind == "f":
        return data.astype(np.float32, copy=False)
    full = np.float32(2.0 ** (8 * data.dtype.itemsize - 1))
    return (data.astype(np.float32) - (full if data.dtype.kind == "u" else 0)) / full


def _is_unframed(container: "InputContainer", sound: "AudioStream") -> bool:
    """Whether this is AAC in a wav, where no header tells where its frames begin."""
    context = sound.codec_context
    return container.format.name == "wav" and context.name == "aac" and bool(context.extradata)


def _unframed(container: "InputContainer", sound: "AudioStream", problem: str) -> Iterator[Sound]:
    """AAC whose frames lie together: a decoder finds the next where one ends, if it is given them all."""
    import av

    data = b"".join(bytes(packet) for packet in _packets(container) if packet.stream is sound)
    if len(data) > MOST_UNFRAMED:
        raise AudioError(f"more than {MOST_UNFRAMED >> 20} MiB of AAC in a wav: {CONVERT}")
    context = av.CodecContext.create("aac", "r")
    context.extradata, context.sample_rate = sound.codec_context.extradata, sound.codec_context.sample_rate
    context.layout = sound.codec_context.layout
    time = 0.0
    try:
        for frame in context.decode(av.Packet(data)):
            check_rate(frame.sample_rate)
            yield Sound(_samples(frame), frame.sample_rate, time)
            time += frame.samples / frame.sample_rate
        # Where it is damaged, the decoder ends.
        missing = max(0.0, (container.duration or 0) / MICROSECONDS - time)
        yield Sound(np.zeros((0, 1), np.float32), context.sample_rate, time, missing=missing)
    except (av.FFmpegError, ValueError):
        raise AudioError(f"damaged AAC in a wav ({problem}): {CONVERT}") from None
