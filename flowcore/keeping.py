"""What goes on beside a run that a store keeps: its claim is renewed, its output is written down, and orders from other processes reach it."""

from __future__ import annotations

import logging

import anyio

from flowcore import orders
from flowcore.durable import Claim, RunStore
from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject
from flowcore.kept_templates import KeptTemplates
from flowcore.nodes import RunRow
from flowcore.ports import Logged
from flowcore.runner import Run
from flowcore.secrecy import Mask

_RENEWED_EVERY = 5.0  # seconds
_LOOKED_EVERY = 0.5
_MOST_AT_ONCE = 5_000
_log = logging.getLogger("flowcore")


class Keeper:
    """Keeps one claimed run. ``watch`` runs beside it until it is cancelled, ``finish`` writes down what is left."""

    def __init__(self, store: RunStore, claim: Claim, templates: KeptTemplates, run: RunRow, mask: Mask) -> None:
        self._store, self._claim, self._templates, self._mask = store, claim, templates, mask
        self._name, self._namespace = run.name, run.namespace
        self._lines: list[Logged] = []
        self._kept = 0
        self._carried_out: list[int] = []

    def keep_log(self, line: Logged) -> None:
        """Have a piece of output written down soon."""
        self._lines.append(line)

    async def keep_templates(self) -> None:
        """Record the templates that the run has asked for so far, if there are new ones."""
        if len(self._templates.kept) != self._kept:
            self._kept = len(self._templates.kept)
            await self._store.put_document("RunTemplates", self._name, self._namespace, self._mask.json(self._templates.kept))

    async def watch(self, run: Run, *, take_orders: bool) -> None:
        """Look after the run. Raises StoreError when the claim is lost or the store fails; the run must end then."""
        renew_at = anyio.current_time() + _RENEWED_EVERY
        while True:
            await anyio.sleep(_LOOKED_EVERY)
            await self._write_lines()
            await self.keep_templates()
            if take_orders:
                await self._take_orders(run)
            if anyio.current_time() >= renew_at:
                renew_at = anyio.current_time() + _RENEWED_EVERY
                await self._claim.renew()

    async def finish(self) -> None:
        """Write down what is left."""
        await self._write_lines()
        await self.keep_templates()
        await self._store.strike_orders(self._carried_out)

    async def _write_lines(self) -> None:
        while self._lines:
            lines, self._lines = self._lines[:_MOST_AT_ONCE], self._lines[_MOST_AT_ONCE:]
            await self._claim.append_logs(lines)

    async def _take_orders(self, run: Run) -> None:
        """Give new orders to the run. They are struck off one look later, when the rows that they changed are recorded."""
        done, self._carried_out = self._carried_out, []
        for order in await self._store.orders():
            if (order.name, order.namespace) == (self._name, self._namespace) and order.id not in done:
                self._carried_out.append(order.id)
                await carry_out(run, order.order)
        await self._store.strike_orders(done)


async def carry_out(run: Run, order: JsonObject) -> None:
    """Give an order to a run; one that it cannot carry out is told in the log."""
    try:
        await orders.obey(run, order)
    except UsageError as error:
        _log.warning("an order to run %s was not carried out: %s", run.name, error)


__all__ = ["Keeper", "carry_out"]
