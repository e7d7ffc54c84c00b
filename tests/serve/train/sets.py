"""Training sets on disk, to test with."""

import io
import json
import tarfile

from tests.images import png

WORDS = ("login", "chart", "list", "map", "form")


def caption(index):
    return f"{WORDS[index % len(WORDS)]} screen {index}"


def write_images(folder, count):
    """Write so many different pictures; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (folder / f"{index}.png").write_bytes(png(seed=index))
    return [f"{index}.png" for index in range(count)]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pairs_file(folder, count, **others):
    """Write pictures and a table that names them by relative paths."""
    names = write_images(folder / "shots", count)
    rows = [
        {"image": f"shots/{name}", "text": caption(index)}
        | {key: value(index) for key, value in others.items()}
        for index, name in enumerate(names)
    ]
    return write_lines(folder / "pairs.jsonl", rows)


def tar(path, members):
    """Write a tar of (name, bytes), or of members as they are."""
    with tarfile.open(path, "w") as file:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                file.addfile(member)
                continue
            name, data = member
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path
