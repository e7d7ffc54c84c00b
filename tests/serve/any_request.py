"""Strategies of what may come over the wire: anything, what is right, and what is nearly right."""

import json
from copy import deepcopy

from hypothesis import strategies as st

from serve.wire.answers import RENDERERS
from serve.wire.protocol import PARSERS

DATA_URL = "data:image/png;base64,iVBORw0KGgo="

# What a header may hold on the wire, as a server gives it to the application.
header_texts = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=80)
strings = st.text(max_size=20) | st.sampled_from(["\ud800", "\0", "https://a/b", DATA_URL, "AA=="])
numbers = (
    st.integers() | st.floats(allow_nan=False) | st.sampled_from([0, -1, 2**63, 10**400, 1e308])
)
names = st.sampled_from(
    "inputs urls images texts url image text id model parameters encoding timings deadline_ms lane "
    "stream labels template inputText inputImage candidate_labels hypothesis_template".split()
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | numbers | strings,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | strings, inner, max_size=4),
    max_leaves=20,
)
items = st.builds(
    lambda form, value, item_id: {form: value} | ({"id": item_id} if item_id else {}),
    st.sampled_from(["url", "image", "text"]),
    strings,
    st.none() | st.text(st.characters(codec="utf-8"), max_size=20),
)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "encoding": st.sampled_from(["float", "base64"]),
        "timings": st.booleans(),
        "deadline_ms": st.integers(1, 10**20),
        "lane": st.sampled_from(["interactive", "bulk"]),
        "stream": st.booleans(),
    },
)
models = st.sampled_from(["fake", ["fake"], "other"])
labels = st.lists(st.text("abc", min_size=1), min_size=1, max_size=3, unique=True)
templates = st.sampled_from(["{}", "a {} of {}"])
forms_of_toolkits = st.one_of(
    st.lists(strings, min_size=1, max_size=5),
    st.fixed_dictionaries({"inputText": strings}, optional={"inputImage": st.none() | strings}),
    st.fixed_dictionaries({"image": strings, "labels": labels}, optional={"template": templates}),
    st.builds(
        lambda inputs, given: {"inputs": inputs, "parameters": given},
        strings | st.lists(strings, min_size=1, max_size=5),
        st.fixed_dictionaries(
            {"candidate_labels": labels | st.just("a, b")},
            optional={"hypothesis_template": templates, "deadline_ms": st.integers(1, 10**6)},
        ),
    ),
)
valid_requests = forms_of_toolkits | st.builds(
    lambda form, given, model: (
        form | ({"parameters": given} if given else {}) | ({"model": model} if model else {})
    ),
    st.one_of(
        st.builds(lambda value: {"inputs": value}, st.lists(items, min_size=1, max_size=5)),
        st.builds(
            lambda form, value: {form: value},
            st.sampled_from(["urls", "images", "texts"]), st.lists(strings, min_size=1, max_size=5),
        ),
        st.builds(lambda form, value: {form: value}, st.sampled_from(["url", "text"]), strings),
    ),
    parameters,
    st.none() | models,
)  # fmt: skip


def places(value, path=()):
    """The path to each value of a JSON document."""
    yield path
    inner = {dict: dict.items, list: enumerate}.get(type(value), lambda _: ())
    for key, one in inner(value):
        yield from places(one, (*path, key))


@st.composite
def nearly_valid_requests(draw):
    """One that is right, with a value exchanged, dropped, or given a neighbour."""
    whole = deepcopy(draw(valid_requests))
    *parents, key = draw(st.sampled_from(list(places(whole))[1:]))
    holder = whole
    for parent in parents:
        holder = holder[parent]
    kind = draw(st.sampled_from(["exchange", "drop", "rename"]))
    if kind == "drop":
        del holder[key]
    elif kind == "rename" and isinstance(holder, dict):
        holder[draw(names | strings)] = holder.pop(key)
    else:
        holder[key] = draw(anything)
    return whole


@st.composite
def damaged_bytes(draw):
    """The bytes of one that is right, with a stretch of them exchanged."""
    whole = json.dumps(draw(valid_requests)).encode()
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + 5)))
    encoded = whole[:start] + draw(st.binary(max_size=5)) + whole[end:]
    return encoded.decode("latin-1").encode(draw(st.sampled_from(["latin-1", "utf-16", "utf-32"])))


bodies = st.one_of(
    st.binary(max_size=300),
    st.one_of(anything, valid_requests, nearly_valid_requests()).map(
        lambda value: json.dumps(value).encode()
    ),
    damaged_bytes(),
    st.lists(nearly_valid_requests(), max_size=4).map(
        lambda lines: "\n".join(map(json.dumps, lines)).encode()
    ),
    st.integers(1, 100_000).map(lambda depth: b"[" * depth),
    st.integers(1, 100_000).map(lambda depth: b'{"text":' * depth),
)
charsets = ["", ";", "; charset=utf-8", "; charset=latin-1", ';charset="', ";charset*=x''%ff"]
content_types = header_texts | st.builds(
    lambda media_type, rest: media_type + rest,
    st.sampled_from([*PARSERS, "image/png", "IMAGE/", "text/html", ""]),
    st.sampled_from(charsets) | header_texts.map(lambda text: f"; charset={text}"),
)
values = ["bulk", "float", "true", "FALSE", "5", "0", "-1", "²", "9" * 20, "9" * 5000]
attributes = header_texts | st.lists(
    st.builds(
        lambda name, value: f"{name}={value}",
        st.sampled_from("lane encoding deadline-ms deadline_ms timings stream Lane x".split()),
        header_texts | st.sampled_from(values),
    ),
    max_size=4,
).map(";".join)  # fmt: skip
qualities = ["", ";q=0", ";q=1", ";q=0.5", ";q=nan", ";q=inf", ";q=1e999", ";q=-1", ";q=²"]
accepts = header_texts | st.lists(
    st.builds(
        lambda media_type, quality: media_type + quality,
        st.sampled_from([*RENDERERS, "*/*", "application/*", "text/html", "*", "/", ""]),
        st.sampled_from(qualities) | header_texts.map(lambda text: f";{text}"),
    ),
    max_size=4,
).map(",".join)  # fmt: skip
