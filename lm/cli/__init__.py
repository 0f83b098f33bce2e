"""``lm``: what language models say about words, sentences and texts, and how they are made."""

from lm.cli import query, readable, text, training
from lm.cli.errors import App
from lm.cli.options import with_version

app = App(
    help="Language models of English words.", no_args_is_help=True, add_completion=False, rich_markup_mode="markdown"
)
app.callback()(with_version)
app.command("next")(query.next_)
for command in (
    query.fill,
    query.score,
    query.compare,
    query.show,
    query.generate,
    query.interactive,
    query.perplexity,
    query.mix,
    readable.readable,
    readable.evaluate_readable,
    text.prepare_text,
    text.check_overlap,
    text.build_vocabulary,
    text.blend,
    training.count_ngrams,
    training.build_ngram,
    training.train,
    training.export,
    training.adapt,
    training.train_readable,
    training.export_readable,
):
    app.command()(command)
