"""The command `csmetrics work`."""

import asyncio
import signal

import structlog
import typer

from app.books.open import open_books
from app.core import logs
from app.core.settings import Settings, misspelt_settings

cli = typer.Typer()
log = structlog.get_logger(__name__)


@cli.command("work")
def work_command() -> None:
    """Evaluate alerts and deliver webhooks, beside services with WEBHOOK_WORKER=false.

    Several of these, on any machine, share the work: none delivers what another one has taken. They stop on SIGTERM or Ctrl-C.
    """
    settings = Settings()
    logs.configure(settings.log_level)
    for name, setting in misspelt_settings().items():
        log.warning("there is no such setting", name=name, did_you_mean=setting)
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    from app.alerts.watch import Watch
    from app.webhooks.worker import DeliveryWorker  # it needs the HTTP client, which `csmetrics --help` should not load

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_books(settings, create=False) as books:
        worker = DeliveryWorker(books, settings)
        watch = Watch(books, settings)

        async def run_both() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(worker.run())
                group.create_task(watch.run())

        running = asyncio.create_task(run_both())
        stopping = asyncio.create_task(stop.wait())
        log.info("evaluating alerts and delivering webhooks")
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        watch.stop()
        if not running.done():
            await worker.stop()
        await running
