"""Writes expect.tsv: what an independent reader (pyarrow) finds in the files beside it.

One line a column: file, column, type, rows, nulls, FNV-1a hash of the values. A struct field is named
struct.field; a list or map is given by its length. Run it with pyarrow installed; it takes no options.
"""
import datetime, decimal, pathlib, struct
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent


def fnv(values):
    state = 0xCBF29CE484222325
    for value in values:
        for byte in (b"\0" if value is None else value.encode() + b"\n"):
            state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"


def double(value):
    value = float(value)
    return "nan" if value != value else struct.pack(">d", value).hex()


def text(value):
    if isinstance(value, str):
        return value
    out, at = "", 0
    while at < len(value):
        try:
            return out + value[at:].decode()
        except UnicodeDecodeError as error:
            out += value[at:at + error.start].decode()
            out += "".join(f"\\x{byte:02X}" for byte in value[at + error.start:at + error.end])
            at += error.end
    return out


def columns(name, array):
    kind = array.type
    if pa.types.is_struct(kind):
        for field in kind:
            child = array.flatten()[kind.get_field_index(field.name)]
            yield from columns(f"{name}.{field.name}", child)
        return
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        lengths = [None if value is None else str(len(value)) for value in array.to_pylist()]
        yield f"{name}.length", "Int64", lengths
        return
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_null(kind):
        yield name, "Null", [None] * len(array)
    elif pa.types.is_timestamp(kind):
        factor = {"s": 1_000_000, "ms": 1000, "us": 1, "ns": 1}[kind.unit]
        micros = [None if v is None else (v // 1000 if kind.unit == "ns" else v * factor) for v in array.cast(pa.int64()).to_pylist()]
        yield name, "Timestamp", [None if v is None else str(v) for v in micros]
    elif pa.types.is_date(kind):
        days = array.cast(pa.date32()).cast(pa.int32()).to_pylist()
        yield name, "Date", [None if v is None else str(v) for v in days]
    elif pa.types.is_decimal(kind):
        if kind.scale == 0 and kind.precision <= 18:
            yield name, "Int64", [None if v is None else str(int(v)) for v in array.to_pylist()]
        else:
            yield name, "Float64", [None if v is None else double(v) for v in array.to_pylist()]
    elif pa.types.is_integer(kind):
        yield name, "Int64", [None if v is None else str(v) for v in array.to_pylist()]
    elif pa.types.is_floating(kind):
        yield name, "Float64", [None if v is None else double(v) for v in array.to_pylist()]
    elif pa.types.is_boolean(kind):
        yield name, "Boolean", [None if v is None else str(v).lower() for v in array.to_pylist()]
    else:
        yield name, "Utf8", [None if v is None else text(v) for v in array.to_pylist()]


def main():
    lines = []
    for path in sorted(HERE.glob("*.parquet")):
        try:
            table = pq.read_table(path, coerce_int96_timestamp_unit="us", page_checksum_verification=True).combine_chunks()
            if path.name == "int96_from_spark.parquet":
                # Spark's arithmetic wrapped around when it wrote the last value, 290000-12-30T23:00, as day
                # -105862232 and -32509551616000 ns; taken modulo 2**64 that is the value again. pyarrow does not wrap.
                micros = [*table.column("a").cast(pa.int64()).to_pylist()[:-1], 9_089_380_393_200_000_000]
                table = pa.table({"a": pa.array(micros, pa.timestamp("us"))})
            for column in table.column_names:
                chunks = table.column(column).chunks
                array = chunks[0] if chunks else pa.array([], table.schema.field(column).type)
                for name, kind, values in columns(column, array):
                    nulls = sum(value is None for value in values)
                    lines.append("\t".join([path.name, name, kind, str(len(values)), str(nulls), fnv(values)]))
        except Exception as error:
            print(f"{path.name}: {type(error).__name__}: {str(error)[:150]}")
    (HERE / "expect.tsv").write_text("\n".join(lines) + "\n")


main()
