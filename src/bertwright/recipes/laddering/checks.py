"""What is wrong with the rows and the texts of a ladder, found before hours were spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.errors import CorpusError, RowError
from bertwright.files import sha256
from bertwright.lines import STANDARD_INPUT, is_remote
from bertwright.progress import Progress
from bertwright.recipes.adapting.adapt import general_sample, refuse_long
from bertwright.recipes.adapting.settings import AdaptSettings
from bertwright.recipes.adapting.texts import Rows, task_documents
from bertwright.recipes.finetuning.assembly import assemble
from bertwright.recipes.finetuning.checks import check_best_by, check_settings, check_wish
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.text.documents import corpus_files, read_documents

_ROWS: dict[str, Rows] = {"tag": "tagged", "answer": "questions"}
_TOLD_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Files:
    """The labelled files of a task; without `test`, dev is what rungs are told by."""

    train: Path
    dev: Path
    test: Path | None

    @property
    def scored(self) -> tuple[str, Path]:
        """The rows that rungs are told by."""
        return ("dev", self.dev) if self.test is None else ("test", self.test)


def adapting_rows(task: str, adapting: AdaptSettings, fine_tuning: FinetuneSettings) -> AdaptSettings:
    """Settings that read the text of training rows where the task reads it, unless they say where it is."""
    known = adapting.task
    rows = _ROWS.get(task, "auto") if known.rows == "auto" else known.rows
    columns = known.text_columns or fine_tuning.text_columns
    on_error = known.on_error or ("skip" if fine_tuning.on_error == "skip" else None)
    read = {"rows": rows, "text_columns": columns, "on_error": on_error}
    return adapting.model_copy(update={"task": known.model_copy(update=read)})


def check_rows(
    task: str,
    files: Files,
    loaded: LoadedModel,
    settings: FinetuneSettings,
    adapting: AdaptSettings,
    progress: Progress,
) -> int:
    """Read all rows as the task reads them; returns the number of those that rungs are told by.

    Raises RowError or SettingsError.
    """
    given = [file for file in (files.train, files.dev, files.test) if file is not None]
    check_wish(task, given)
    check_settings(settings, task, loaded.model.config, loaded.longest)
    digests: dict[str, Path] = {}
    for file in given:
        other = digests.setdefault(sha256(file), file)
        if other is not file:
            what = f"holds the same as {other}" if other != file else "is named twice"
            raise RowError(f"{what}: no score on it would say anything", where=file, cure="give other rows")
    lengths = settings.lengths(loaded.model.config.max_position_embeddings, task, loaded.longest)
    lesson = assemble(task, files.train, files.dev, settings, lengths, progress.say)
    check_best_by(settings, lesson.task)
    known = adapting.task
    rows, _ = task_documents(
        [str(files.train)], known.text_columns, known.rows, known.on_error or adapting.on_error, progress.say
    )
    if len(rows) < 2:
        raise RowError("holds the text of one row, and two are the least to adapt to", where=files.train)
    return len(lesson.dev if files.test is None else lesson.task.read(files.test, progress.say))


def check_texts(
    field: Sequence[str], general: Sequence[str], files: Files, loaded: LoadedModel, settings: AdaptSettings
) -> None:
    """Look at all that costs no reading. Raises CorpusError or SettingsError."""
    refuse_long(settings, loaded, "--adapt-set")
    if STANDARD_INPUT in (*field, *general):
        what = "a ladder reads its texts more than once, and standard input can be read only once"
        raise CorpusError(what, cure="save it to a file")
    scored = {file.resolve() for file in (files.dev, files.test) if file is not None}
    for texts in (field, general):
        for file in corpus_files(texts) if texts else ():
            if not is_remote(file) and Path(file).resolve() in scored:
                what = "holds rows that are scored on, and a model that had read them would look better than it is"
                raise CorpusError(what, where=file, cure="leave it out of the corpus")


def read_texts(field: Sequence[str], general: Sequence[str], settings: AdaptSettings, progress: Progress) -> None:
    """Read the field's text to its end, and of the general one what is watched of it. Raises CorpusError."""
    if field:
        count = 0
        with progress.task("reading the field's text", None, "documents") as bar:
            for _ in read_documents(field, text_column=settings.text_column, on_error=settings.on_error):
                count += 1
                if not count % _TOLD_EVERY:
                    bar.update(count)
            bar.update(count)
        if count < 2:
            cure = "part its documents by blank lines (.txt), or give one object a document (.jsonl)"
            what = f"holds {count} documents, and two are the least to adapt to"
            raise CorpusError(what, where=" ".join(field), cure=cure)
    if general:
        for _ in general_sample(general, settings):
            pass
