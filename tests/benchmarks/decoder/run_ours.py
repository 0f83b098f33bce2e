"""Times asr.decoder for peers.py."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from measure import Decode, Prepared, Problem, measure

from asr.decoder.beam import BeamSearch
from asr.recognizer import Recognizer


def prepare(problem: Problem) -> Prepared:
    search = Recognizer.load(Path(problem.model)).search
    blank = np.exp(np.concatenate(problem.emissions)[:, 0])
    skipped = float((blank >= search.config.skip_blank).mean())

    def decoder(beam: int) -> Decode:
        config = replace(search.config, size=beam)
        sized = BeamSearch(search.tree, search.ngram, search.vocabulary, config, search.weights)
        return lambda log_probs: sized.decode(log_probs)[0].text

    settings = asdict(search.config) | {"frames skipped as blank": f"{100 * skipped:.1f} %"}
    del settings["size"]  # which is the beam
    return decoder, settings


measure(prepare)
