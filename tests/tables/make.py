"""Writes the tables beside it: python make.py, with pyarrow 24, pandas 3 and polars 1 or later."""

import datetime

import pandas
import polars
import pyarrow
import pyarrow.parquet

ROWS = range(60)
plants = pandas.DataFrame({
    "height": [None if row % 13 == 5 else row * 7 % 20 + 0.5 for row in ROWS],
    "leaves": pandas.array([row * 3 % 11 for row in ROWS], dtype="int32"),
    "place": pandas.Categorical([["sun", "shade"][row // 2 % 2] for row in ROWS]),
    "bought": [row % 3 == 0 for row in ROWS],
    "sown": [datetime.date(2024, 1, 1) + datetime.timedelta(days=row) for row in ROWS],
    "seen": pandas.date_range("2024-05-01 06:00", periods=60, freq="90min").astype("datetime64[ns]"),
    "species": [["fern", "moss"][int(row * 7 % 20 > row * 3 % 11)] for row in ROWS],
})
plants.to_parquet("pandas-snappy.parquet", index=False, compression="snappy", engine="pyarrow")
polars.from_pandas(plants).write_parquet("polars-zstd.parquet", compression="zstd")
lists = pyarrow.table({"species": ["fern", "moss"], "heights": [[1, 2], [3]]})
pyarrow.parquet.write_table(lists, "lists.parquet", compression="gzip")
