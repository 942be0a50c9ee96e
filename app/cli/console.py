"""The console of the commands, and their progress bars."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

# Results go to standard output, progress and errors to standard error.
out, err = Console(soft_wrap=True, highlight=False), Console(stderr=True, highlight=False)


def progress_bar() -> Progress:
    """Return a progress bar. Its tasks need a field `status`, a text that is shown beside the bar."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
    )
