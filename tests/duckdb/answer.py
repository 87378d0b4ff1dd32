"""Answers of DuckDB: reads statements that make tables and queries, and prints the rows of each query, a JSON document a line."""

import datetime
import decimal
import json
import math
import sys

import duckdb


def plain(value):
    if isinstance(value, decimal.Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep="T")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def main():
    asked = json.load(sys.stdin)
    connection = duckdb.connect()
    for statement in asked["tables"]:
        connection.execute(statement)
    for query in asked["queries"]:
        try:
            rows = connection.execute(query).fetchall()
            print(json.dumps({"rows": [[plain(value) for value in row] for row in rows]}))
        except Exception as error:
            print(json.dumps({"error": str(error).splitlines()[0]}))


main()
