"""Parquet with Arrow's types. It needs pyarrow, which is the extra `parquet`."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.http.encoder import Encoder
from app.http.sink import Sink
from app.http.tables import Answer, Row, TableColumn, json_text

# Of the file. A group is in memory until it is complete.
_ROWS_PER_GROUP = 20_000


class ParquetEncoder(Encoder):
    """Encodes rows as groups of rows. Columns have the same types where there are no rows."""

    def __init__(self, answer: Answer) -> None:
        # Not before it is needed: it takes 50 MB.
        import pyarrow as arrow  # type: ignore[import-untyped]
        from pyarrow import parquet

        super().__init__(answer)
        types = {
            "text": arrow.string(),
            "integer": arrow.int64(),
            "number": arrow.float64(),
            # Of all currencies, none has more than four decimals.
            "decimal": arrow.decimal128(38, 4),
            "boolean": arrow.bool_(),
            "date": arrow.date32(),
            "time": arrow.timestamp("us", tz="UTC"),
            "value": arrow.string(),
            "json": arrow.string(),
        }
        self._arrow = arrow
        self._schema = arrow.schema([(own.name, types[own.type]) for own in answer.columns])
        self._sink = Sink()
        self._writer = parquet.ParquetWriter(arrow.PythonFile(self._sink, mode="w"), self._schema)
        self._batches: list[Any] = []
        self._row_count = 0

    def begin(self) -> bytes:
        return self._sink.take()

    def add(self, rows: Sequence[Row]) -> bytes:
        arrays = [
            self._arrow.array(_values(own, rows), field.type)
            for own, field in zip(self.answer.columns, self._schema, strict=True)
        ]
        self._batches.append(self._arrow.record_batch(arrays, schema=self._schema))
        self._row_count += len(rows)
        if self._row_count >= _ROWS_PER_GROUP:
            self._write_group()
        return self._sink.take()

    def end(self) -> bytes:
        if self._batches:
            self._write_group()
        self._writer.close()
        return self._sink.take()

    def _write_group(self) -> None:
        self._writer.write_table(self._arrow.Table.from_batches(self._batches), row_group_size=self._row_count)
        self._batches, self._row_count = [], 0


def _values(own: TableColumn, rows: Sequence[Row]) -> list[Any]:
    values = [own.read(row) for row in rows]
    match own.type:
        case "number":
            # Whole numbers may be larger than those that Arrow takes for exact ones.
            return [None if value is None else float(value) for value in values]
        case "decimal":
            return [None if value is None else Decimal(value) for value in values]
        case "time":
            return [datetime.fromisoformat(value) if isinstance(value, str) else value for value in values]
        case "value":
            return [value if value is None or isinstance(value, str) else json_text(value) for value in values]
        case "json":
            return [None if value is None else json_text(value) for value in values]
    return values
