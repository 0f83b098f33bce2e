"""``asr``: recordings to words, how good that is, and how the models are made."""

from asr.cli import archive, evaluate, listen, rescore, serve, show, training, transcribe
from lm.cli.errors import App
from lm.cli.options import with_version

app = App(
    help="Speech recognition: recordings to English words.",
    epilog="Begin with: asr transcribe talk.mp3",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)
app.callback()(with_version)
for command in (
    transcribe.transcribe,
    archive.archive,
    listen.listen,
    rescore.rescore,
    show.show,
    serve.serve,
    evaluate.evaluate,
    training.train,
    training.train_letter_to_sound,
    training.train_pieces,
    training.export,
    training.tune,
    training.calibrate,
):
    app.command()(command)
