"""``data-prep``: from nothing to a corpus, its manifest or shards, what is in it, and whether it may be trained on."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_prep import MAX_SECONDS, Kind
from lm.cli.errors import App, one_line_errors
from lm.cli.options import with_version

if TYPE_CHECKING:
    from lhotse import MonoCut

    from data_prep.manifest import Prepared

app = App(
    help="Speech corpora: fetched, unpacked, as lhotse manifests and shards.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)
app.callback()(with_version)

CORPUS_HELP = "A corpus folder, a Common Voice .tsv or a manifest."


@app.command("download")
def download_(
    corpus: Annotated[str, typer.Argument(help="librispeech, mini-librispeech, librispeech-lm, ljspeech or a .toml.")],
    folder: Annotated[Path, typer.Argument(help="Where the archives go; unpack them with data-prep unpack.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Fetch this archive. May be given several times.", show_default="all")
    ] = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            help="An address to fetch from. May be given several times; they are tried in order.",
            metavar="URL",
            show_default="the official ones",
        ),
    ] = None,
) -> None:
    """Fetch the archives of a corpus, and verify their sizes and checksums.

    A connection that is cut, or a run that is killed, goes on where it stopped. What is there is not fetched again.

    librispeech, 61 GB: train-clean-100, train-clean-360, train-other-500, dev-clean, dev-other, test-clean, test-other.

    mini-librispeech, 0.5 GB: train-clean-5, dev-clean-2.

    librispeech-lm, 3.7 GB: librispeech-vocab.txt, librispeech-lexicon.txt, librispeech-lm-norm.txt.gz, 3-gram.arpa.gz,
    4-gram.arpa.gz, 3-gram.pruned.1e-7.arpa.gz, 3-gram.pruned.3e-7.arpa.gz.

    ljspeech, 2.7 GB: LJSpeech.

    A .toml file may describe another corpus, as those in data_prep/corpora do.

    A mirror is what stands before a file's path, which is 12/dev-clean.tar.gz for LibriSpeech's dev-clean.

    Examples:

        data-prep download librispeech data --only train-clean-100 --only dev-clean

        data-prep download mini-librispeech data --mirror https://openslr.elda.org/resources
    """
    with one_line_errors():
        from data_prep.download import download, read_corpus

        described = read_corpus(corpus)
        archives = described.choose(only or [])
        if not download(archives, folder, mirror or described.mirrors):
            print(f"nothing to do, all is there: {', '.join(archives)}", file=sys.stderr)


@app.command("unpack")
def unpack_(
    archives: Annotated[list[Path], typer.Argument(metavar="ARCHIVE...", help=".tar, .tar.gz, .tar.bz2 or .tar.xz.")],
    folder: Annotated[Path, typer.Argument(help="Where to.")],
) -> None:
    """Unpack archives of corpora: whole, or not at all.

    An archive with a link, a device or a path that leads outside is refused. LibriSpeech's become one LibriSpeech/.
    What was unpacked before is skipped; delete FOLDER/.ARCHIVE.unpacked to have it unpacked again.

    Examples:

        data-prep unpack data/train-clean-100.tar.gz data/dev-clean.tar.gz data
    """
    with one_line_errors():
        from data_prep.unpack import unpack

        for archive in archives:
            files = unpack(archive, folder)
            told = "nothing to do, unpacked before" if files is None else f"{files} files to {folder}"
            print(f"{archive}: {told}", file=sys.stderr)


@app.command()
def manifest(
    path: Annotated[Path, typer.Argument(help=CORPUS_HELP)],
    output: Annotated[Path, typer.Argument(help="The manifest to write: .jsonl or .jsonl.gz.")],
    max_seconds: Annotated[float, typer.Option(help="Drop longer utterances.", min=0.0)] = MAX_SECONDS,
    avoid: Annotated[
        list[Path] | None,
        typer.Option(help="Held-out data; drop what check-overlap would find. May be given several times."),
    ] = None,
) -> None:
    """Write the manifest of a corpus.

    The layout is recognised by its files: LibriSpeech, Common Voice, Kaldi, LJSpeech, CMU Sphinx, VCTK,
    FSDD.
    Utterances that can't be used are counted by reason on stderr.

    Examples:

        data-prep manifest LibriSpeech/train-clean-100 train.jsonl.gz

        data-prep manifest cv-corpus/en/dev.tsv dev.jsonl.gz --max-seconds 20

        data-prep manifest cv-corpus/en/train.tsv train.jsonl.gz --avoid dev.jsonl.gz
    """
    with one_line_errors():
        from data_prep.layouts import read
        from data_prep.manifest import check_manifest_name, write
        from data_prep.overlap import utterance, without
        from lm.settings import Cost, checked

        check_manifest_name(output)  # before the long work
        checked(Cost, max_seconds, "--max-seconds")
        prepared = read(path, max_seconds)
        if avoid:
            heldout = [utterance(cut, str(other)) for other in avoid for cut in all_cuts(other)]
            prepared = without(prepared, heldout)
        report_drops(prepared)
        if not len(prepared.cuts):
            raise ValueError(f"{path}: no usable utterance")
        write(prepared.cuts, output)
        print(f"{output}: {len(prepared.cuts)} utterances", file=sys.stderr)


@app.command()
def text(
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST...", help="Manifests or corpora.")],
) -> None:
    """Print what is said in manifests, normalised as text for language models is: one utterance a line.

    Example:

        data-prep text exp/manifests/train.jsonl.gz > transcripts.txt
    """
    with one_line_errors():
        from lm.text.normalise import normalize

        for path in manifests:
            for cut in all_cuts(path):
                if words := normalize(cut.supervisions[0].text):
                    print(*words)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help=CORPUS_HELP)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print a manifest's (or corpus's) size: utterances, hours, speakers, shortest and longest.

    Examples:

        data-prep show train.jsonl.gz

        data-prep show LibriSpeech/dev-clean --json
    """
    with one_line_errors():
        from data_prep.layouts import read

        prepared = read(path, float("inf"))
        report_drops(prepared)
        cuts = sorted(prepared.cuts, key=lambda cut: cut.duration)
        if not cuts:
            raise ValueError(f"{path}: no usable utterance")
    speakers = [supervision.speaker for cut in cuts for supervision in cut.supervisions]
    summary = {
        "utterances": len(cuts),
        "hours": round(sum(cut.duration for cut in cuts) / 3600, 4),
        "speakers": len(set(speakers) - {None}),
        "utterances_without_speaker": speakers.count(None),
        "shortest": {"id": cuts[0].id, "seconds": cuts[0].duration},
        "longest": {"id": cuts[-1].id, "seconds": cuts[-1].duration},
    }
    if as_json:
        print(json.dumps(summary))
        return
    for key, value in summary.items():
        shown = f"{value['seconds']:.2f} s  {value['id']}" if isinstance(value, dict) else value
        print(f"{key.replace('_', ' '):<28}{shown}")


@app.command()
def shards(
    manifest: Annotated[Path, typer.Argument(help="A manifest: .jsonl or .jsonl.gz.")],
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    shard_size: Annotated[int, typer.Option(help="How many utterances a shard has.", min=1)] = 1000,
    jobs: Annotated[
        int | None, typer.Option(help="How many processes write shards.", min=1, show_default="one a core")
    ] = None,
) -> None:
    """Write a manifest's utterances, audio and all, to shards: to be trained on elsewhere.

    The shards are lhotse's (Shar): cuts.000000.jsonl.gz, recording.000000.tar and so on. Audio is FLAC of 16 bits.

    Examples:

        data-prep shards train.jsonl.gz train-shards --shard-size 2000
    """
    with one_line_errors():
        from data_prep.manifest import read_manifest, write_shards

        prepared = read_manifest(manifest, float("inf"))
        report_drops(prepared)
        if not len(prepared.cuts):
            raise ValueError(f"{manifest}: no usable utterance")
        write_shards(prepared.cuts, folder, shard_size, jobs or len(os.sched_getaffinity(0)))
        print(f"{folder}: {len(prepared.cuts)} utterances", file=sys.stderr)


@app.command("augment")
def augment_(
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST...", help="Manifests: .jsonl or .jsonl.gz.")],
    output: Annotated[Path, typer.Option(help="A folder: for manifests of the same names, and their audio.")],
    noise: Annotated[Path, typer.Option(help="A folder of noises, 16 kHz. A third of them is left to benchmarks.")],
    version: Annotated[int, typer.Option(help="Each number gives another copy, the same one every time.")] = 1,
    rooms: Annotated[int, typer.Option(help="How many rooms are simulated.", min=1)] = 400,
    jobs: Annotated[int | None, typer.Option(help="Processes.", min=1, show_default="one a core")] = None,
    room_share: Annotated[float, typer.Option(help="Of the recordings are made in a room.", min=0, max=1)] = 0.5,
    noise_share: Annotated[float, typer.Option(help="… have noise, music or babble.", min=0, max=1)] = 0.67,
    codec_share: Annotated[float, typer.Option(help="… go through a coder.", min=0, max=1)] = 0.33,
    quietest_noise: Annotated[float, typer.Option(help="dB below the speech.")] = 20.0,
    loudest_noise: Annotated[float, typer.Option(help="dB below the speech.")] = 0.0,
) -> None:
    """Write a copy of a manifest's speech as it is heard in rooms, in noise, by telephone; to be trained on beside it.

    Words keep their times. What befell an utterance stands in the field conditions of its copy.

    Needs pyroomacoustics and, for telephones, av: pip install 'nicebeach[augment]'.

    Examples:

        data-prep augment train.jsonl.gz more.jsonl.gz --noise noises --output in-rooms-1

        data-prep augment train.jsonl.gz --noise noises --output in-rooms-2 --version 2 --loudest-noise 5
    """
    with one_line_errors():
        try:
            from data_prep.augment import augment
            from data_prep.conditions import Shares
        except ModuleNotFoundError as missing:
            raise ValueError(f"{missing}: pip install 'nicebeach[augment]'") from None
        from data_prep.manifest import read_manifest
        from data_prep.noises import noise_files

        corpora = {path.name.split(".jsonl")[0]: list(read_manifest(path).cuts) for path in manifests}
        if len(corpora) < len(manifests):
            raise ValueError("two manifests have the same name, and so would their copies: rename one")
        noises = noise_files(noise, aside=False)
        if not noises:
            raise ValueError(f"{noise}: holds no sounds to train with")
        shares = Shares(room=room_share, noise=noise_share, codec=codec_share, snr=(loudest_noise, quietest_noise))
        augment(corpora, output, noises, version, shares, rooms, jobs or len(os.sched_getaffinity(0)))
        for name, cuts in corpora.items():
            print(f"{output / name}.jsonl.gz: {len(cuts)} utterances", file=sys.stderr)


@app.command("cut-noise")
def cut_noise_(
    noise: Annotated[Path, typer.Argument(metavar="NOISES", help="A folder of noises. A third is left to benchmarks.")],
    manifest: Annotated[Path, typer.Argument(help=".jsonl or .jsonl.gz, to be written.")],
) -> None:
    """Write a manifest of noises, in stretches of 2 to 12 s, for a recogniser to learn that they say nothing.

    A training hears them if its settings name the manifest with `speech = false`. `augment` copies them as it does
    speech.

    Examples:

        data-prep cut-noise noises noises.jsonl.gz
    """
    with one_line_errors():
        from data_prep.manifest import write
        from data_prep.noises import cut_noise, noise_files

        files = noise_files(noise, aside=False)
        cuts = cut_noise(files, noise)
        if not len(cuts):
            raise ValueError(f"{noise}: holds no sounds to train with")
        write(cuts, manifest)
        seconds = sum(cut.duration for cut in cuts)
        print(f"{manifest}: {len(cuts)} stretches of {len(files)} files, {seconds / 3600:.2f} hours", file=sys.stderr)


@app.command()
def check_overlap(
    train: Annotated[list[Path], typer.Argument(metavar="TRAIN...", help="What is trained on: manifests or corpora.")],
    heldout: Annotated[list[Path], typer.Option(help="What models are to be measured on; may be given several times.")],
    allow: Annotated[
        list[Kind] | None, typer.Option(help="May be shared: only its count is reported. May be given several times.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the names of all utterances.")] = False,
) -> None:
    """Fail if training data holds what models are to be measured on; print what is shared.

    Looked for are held-out speakers, sentences, recordings, audio, chapters and books. A sentence is shared if all its
    words are, normalised, however few. Audio is shared if its file is the same byte for byte. Speakers and recordings
    go by their ids, and are compared within a layout (LibriSpeech, Kaldi, ...), or with all if a manifest lacks it.
    Chapters go by LibriSpeech's ids; its CHAPTERS.TXT tells the books. What the data doesn't tell can't be found:
    stderr says of how many utterances.

    A corpus may be split by sentence, not by speaker: --allow speaker.

    Exit code 0: nothing is shared but what is allowed; 1: something is.

    Examples:

        data-prep check-overlap train.jsonl.gz more.jsonl.gz --heldout dev.jsonl.gz --heldout test.jsonl.gz

        data-prep check-overlap train.jsonl.gz --heldout cv-dev.jsonl.gz --allow speaker --json
    """
    with one_line_errors():
        from data_prep.overlap import find_overlaps, utterance

        asked = [utterance(cut, str(path)) for path in heldout for cut in all_cuts(path)]
        given = [utterance(cut, str(path)) for path in train for cut in all_cuts(path)]
        overlaps = find_overlaps(given, asked)
    forbidden = [overlap for overlap in overlaps if overlap.kind not in (allow or [])]
    if as_json:
        print(json.dumps([asdict(overlap) for overlap in forbidden], indent=2))
    for item in [] if as_json else forbidden:
        print(f"{item.kind} {item.value}: {and_more(item.heldout)}; in training {and_more(item.train)}")
    for kind in Kind:
        shared = [overlap.heldout for overlap in overlaps if overlap.kind == kind]
        allowed = " (allowed)" if kind in (allow or []) else ""
        untold = [sum(kind not in item.traits for item in items) for items in (asked, given)]
        line = f"{kind}: {len(shared)} shared{allowed} by {sum(map(len, shared))} of {len(asked)} held-out utterances"
        if any(untold):
            line += f"; not told of {untold[0]}, nor of {untold[1]} of {len(given)} in training"
        print(line, file=sys.stderr)
    if forbidden:
        raise typer.Exit(1)


def and_more(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


@app.command("hash")
def hash_(
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST...", help="Manifests or corpora.")],
) -> None:
    """Print a hash of what each manifest holds: its utterances' ids, speakers, texts, times and audio.

    It is the same wherever the audio lies and in whatever order the utterances come; a hash of the file would not be.

    Examples:

        data-prep hash exp/manifests/*.jsonl.gz | diff recipes/librispeech/manifest-hashes.txt -
    """
    with one_line_errors():
        from data_prep.overlap import content_hash

        for path in manifests:
            print(f"{content_hash(all_cuts(path))}  {path}", flush=True)


def all_cuts(path: Path) -> "Iterator[MonoCut]":
    """The cuts of a manifest or corpus, however long, with a bar while their audio is read."""
    from data_prep.layouts import read
    from data_prep.overlap import has_file
    from lm.progress import progress_bar

    prepared = read(path, float("inf"))
    report_drops(prepared)
    if not len(prepared.cuts):
        raise ValueError(f"{path}: no usable utterance")
    for cut in progress_bar(prepared.cuts, f"reading {path.name}", len(prepared.cuts)):
        if not has_file(cut):
            raise ValueError(
                f"{path}: {cut.id} is not one utterance with an audio file, as data-prep manifest has them"
            )
        yield cut


def report_drops(prepared: "Prepared") -> None:
    for reason, ids in prepared.dropped.items():
        examples = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
        print(f"dropped {len(ids)}: {reason} ({examples})", file=sys.stderr)


if __name__ == "__main__":
    app()
