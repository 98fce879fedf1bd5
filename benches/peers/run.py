#!/usr/bin/env python3
"""The questions of `bailiwick bench hunt`, asked of DuckDB and chDB about the same rows.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install duckdb chdb pyarrow
    /tmp/peers/bin/python benches/peers/run.py --bailiwick target/release/bailiwick --dir /tmp/bench --events 1000000

One session: the program hunts (its rows are sealed) and writes the rows out once; they become
unencrypted Parquet (zstd, row groups of 131,072, in order of time); then each peer runs the same
questions in a process of its own, each question a few times, the best one counts. Answers must agree
with the program's. Instants are 64-bit ticks in all three, which is the fastest form for each.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))


def questions():
    with open(os.path.join(HERE, "questions.toml"), "rb") as f:
        return tomllib.load(f)["question"]


def filled(text, values):
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def convert(folder):
    """Arrow files to Parquet; what is there already stays."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in sorted(os.listdir(folder)):
        if not name.endswith(".arrow"):
            continue
        source = os.path.join(folder, name)
        target = source.removesuffix(".arrow") + ".parquet"
        with pa.OSFile(source) as f, pa.ipc.open_file(f) as reader:
            schema = pa.schema([field.remove_metadata() for field in reader.schema])
            with pq.ParquetWriter(target + ".part", schema, compression="zstd", compression_level=1) as writer:
                waiting, rows = [], 0
                for at in range(reader.num_record_batches + 1):
                    last = at == reader.num_record_batches
                    if not last:
                        batch = reader.get_batch(at)
                        waiting.append(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
                        rows += batch.num_rows
                    while rows >= 131_072 or (last and rows):
                        table = pa.Table.from_batches(waiting)
                        writer.write_table(table.slice(0, 131_072), row_group_size=131_072)
                        rest = table.slice(131_072)
                        waiting, rows = rest.to_batches(), rest.num_rows
        os.rename(target + ".part", target)
        os.remove(source)


def tables(folder):
    return [n.removesuffix(".parquet") for n in sorted(os.listdir(folder)) if n.endswith(".parquet")]


class DuckDb:
    def __init__(self, folder, threads):
        import duckdb

        self.version = duckdb.__version__
        self.db = duckdb.connect()
        self.db.execute(f"SET threads = {threads}")
        for t in tables(folder):
            self.db.execute(f"CREATE VIEW {t} AS SELECT * FROM read_parquet('{folder}/{t}.parquet')")

    def ask(self, text):
        return [list(row) for row in self.db.execute(text).fetchall()]


class ChDb:
    def __init__(self, folder, threads):
        import chdb
        from chdb.session import Session

        self.version = chdb.__version__
        self.db = Session()
        self.threads = threads
        self.db.query("CREATE DATABASE IF NOT EXISTS b ENGINE = Atomic")
        self.db.query("USE b")
        for t in tables(folder):
            self.db.query(f"CREATE VIEW b.{t} AS SELECT * FROM file('{folder}/{t}.parquet', Parquet)")

    def ask(self, text):
        done = f"{text} SETTINGS max_threads = {self.threads}, output_format_json_quote_64bit_integers = 0"
        out = str(self.db.query(done, "JSONCompact"))
        return json.loads(out)["data"] if out else []


def peer(engine, folder, threads, runs, only):
    """Runs every question; prints JSON."""
    with open(os.path.join(folder, "hunts.json")) as f:
        values = json.load(f)["values"]
    db = {"duckdb": DuckDb, "chdb": ChDb}[engine](folder, threads)
    out = {"version": db.version, "hunts": {}}
    for q in questions():
        if only not in q["name"]:
            continue
        text = filled(q.get(engine) or q["sql"], values)
        wall = cpu = math.inf
        rows, error = [], None
        for _ in range(runs):
            before, started = time.process_time(), time.perf_counter()
            try:
                rows = db.ask(text)
            except Exception as e:  # One question that fails must not hide the others.
                error = str(e)[:500]
                break
            wall = min(wall, time.perf_counter() - started)
            cpu = min(cpu, time.process_time() - before)
        out["hunts"][q["name"]] = {"wall_ms": wall * 1e3, "cpu_ms": cpu * 1e3, "rows": rows, "error": error}
    with open(os.path.join(folder, f"{engine}.json"), "w") as f:
        json.dump(out, f)


def normal(rows):
    def cell(v):
        if v is None or v == "":
            return ""
        if isinstance(v, float):
            return f"{v:.9g}"
        return str(v)

    return sorted([cell(v) for v in row] for row in rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bailiwick", default="target/release/bailiwick")
    parser.add_argument("--dir", required=True)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    parser.add_argument("--engine")
    options = parser.parse_args()
    folder = os.path.abspath(os.path.join(options.dir, "peers"))
    if options.engine:
        peer(options.engine, folder, options.threads, options.runs, options.only)
        return 0
    ours = [options.bailiwick, "bench", "hunt", "--events", str(options.events), "--dir", options.dir]
    ours += ["--runs", str(options.runs), "--export", folder, "--only", options.only]
    subprocess.run(ours, check=True)
    convert(folder)
    with open(os.path.join(folder, "hunts.json")) as f:
        hunts = json.load(f)["hunts"]
    found = {}
    for engine in ("duckdb", "chdb"):
        again = [sys.executable, os.path.abspath(__file__), "--engine", engine, "--dir", options.dir]
        again += ["--threads", str(options.threads), "--runs", str(options.runs), "--only", options.only]
        subprocess.run(again, check=True)
        with open(os.path.join(folder, f"{engine}.json")) as f:
            found[engine] = json.load(f)
    print(f"\n{platform.machine()}, {options.threads} threads, DuckDB {found['duckdb']['version']}, chDB {found['chdb']['version']}")
    print("\n| hunt | rows | ours ms (CPU) | DuckDB ms (CPU) | chDB ms (CPU) | ours / faster peer |")
    print("|---|---|---|---|---|---|")
    ratios, cpu_ratios, wrong = [], [], []
    for hunt in hunts:
        line = [hunt["name"], str(len(hunt["rows"])), f"{hunt['wall_ms']:.1f} ({hunt['cpu_ms']:.0f})"]
        walls, cpus = [], []
        for engine in ("duckdb", "chdb"):
            theirs = found[engine]["hunts"][hunt["name"]]
            if theirs["error"]:
                line.append("failed")
                wrong.append(f"{hunt['name']}: {engine}: {theirs['error']}")
                continue
            walls.append(theirs["wall_ms"])
            cpus.append(theirs["cpu_ms"])
            line.append(f"{theirs['wall_ms']:.1f} ({theirs['cpu_ms']:.0f})")
            if normal(theirs["rows"]) != normal(hunt["rows"]):
                wrong.append(f"{hunt['name']}: {engine} answers otherwise: {normal(theirs['rows'])[:3]} against {normal(hunt['rows'])[:3]}")
        if walls:
            ratios.append(hunt["wall_ms"] / min(walls))
            cpu_ratios.append(hunt["cpu_ms"] / max(min(cpus), 0.01))
            line.append(f"{ratios[-1]:.2f}")
        print("| " + " | ".join(line) + " |")
    if ratios:
        mean = lambda all: math.exp(sum(map(math.log, all)) / len(all))
        print(f"\ngeometric mean of ours / faster peer: wall {mean(ratios):.2f}, CPU {mean(cpu_ratios):.2f}")
    for what in wrong:
        print(f"DISAGREES: {what}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
