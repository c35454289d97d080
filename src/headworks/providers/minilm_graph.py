"""all-MiniLM-L6-v2 as an ONNX graph: written from its weights, quantised, and compared with the model before that.

Run by `minilm_conversion.py` as a process of its own, because `onnx` and `safetensors` are needed for this alone:
`python -m headworks.providers.minilm_graph WEIGHTS TOKENIZER OUTPUT`. Its last line is JSON: `lowest_cosine` and
`known_pair`, or `refused` with the reason.

One text at a time: activations are quantised by their range over the whole input, so in a batch a text's vector would
depend on its neighbours; and on a CPU a batch gains nothing.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HIDDEN = 384
HEADS = 12
LAYERS = 6
POSITIONS = 256
EPSILON = 1e-12
LOWEST_COSINE = 0.99
"""Between the quantised and the full model, on each of SENTENCES: below, the conversion is refused."""
SENSITIVE = re.compile(r"encoder\.layer\.\d\.output\.dense\.product")
KNOWN_PAIR = ("A man is eating food.", "A man is eating a piece of bread.", 0.7553)
"""The similarity that the model's authors publish: it shows that the graph is the model."""


class Graph:
    """ONNX nodes and constants, added one after the other; each method gives the name of its result."""

    def __init__(self) -> None:
        import onnx

        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 -- ONNX attributes are of any type
        """Adds a node with one output."""
        return self.named(f"{kind}_{len(self.nodes)}", kind, *inputs, **attributes)

    def named(self, name: str, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 -- as above
        """Adds a node whose result has this name."""
        self.nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def split(self, tensor: str, parts: int) -> list[str]:
        """Parts a tensor evenly along its last axis."""
        outputs = [f"Split_{len(self.nodes)}_{part}" for part in range(parts)]
        node = self._onnx.helper.make_node("Split", [tensor], outputs, axis=-1, num_outputs=parts)
        self.nodes.append(node)
        return outputs

    def constant(self, values: Any, dtype: Any = np.float32) -> str:  # noqa: ANN401 -- anything numpy takes
        """Adds an array of the graph's own."""
        name = f"constant_{len(self.constants)}"
        array = np.ascontiguousarray(np.asarray(values, dtype=dtype))
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def dense(self, x: str, weights: Mapping[str, NDArray[Any]], *names: str) -> str:
        """A linear layer, x · Wᵀ + b; several layers of the same input become one."""
        weight = np.concatenate([weights[f"{name}.weight"] for name in names])
        bias = np.concatenate([weights[f"{name}.bias"] for name in names])
        product = self.named(f"{names[0]}.product", "MatMul", x, self.constant(weight.T))
        return self.op("Add", product, self.constant(bias))

    def norm(self, x: str, weights: Mapping[str, NDArray[Any]], name: str) -> str:
        """Layer normalisation over the last axis."""
        scale, bias = self.constant(weights[f"{name}.weight"]), self.constant(weights[f"{name}.bias"])
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)

    def model(self) -> Any:  # noqa: ANN401 -- onnx has no types
        """The whole as an ONNX model: token ids in (texts of one length), normalised vectors out."""
        helper, tensor = self._onnx.helper, self._onnx.TensorProto
        tokens = helper.make_tensor_value_info("input_ids", tensor.INT64, ["batch", "length"])
        output = helper.make_tensor_value_info("embedding", tensor.FLOAT, ["batch", HIDDEN])
        graph = helper.make_graph(self.nodes, "minilm-l6", [tokens], [output], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def build(weights: Mapping[str, NDArray[Any]]) -> Any:  # noqa: ANN401 -- onnx has no types
    """The BERT encoder of six layers, mean pooling, and L2 normalisation, as an ONNX model."""
    g = Graph()
    embeddings = "embeddings."
    places = (
        weights[f"{embeddings}position_embeddings.weight"] + weights[f"{embeddings}token_type_embeddings.weight"][0]
    )
    words = g.op("Gather", g.constant(weights[f"{embeddings}word_embeddings.weight"]), "input_ids")
    length = g.op("Shape", "input_ids", start=1, end=2)
    zero, first = g.constant([0], np.int64), g.constant([0], np.int64)
    place = g.op("Slice", g.constant(places[:POSITIONS]), zero, length, first)
    x = g.norm(g.op("Add", words, place), weights, f"{embeddings}LayerNorm")
    for layer in range(LAYERS):
        x = _layer(g, weights, f"encoder.layer.{layer}", x)
    axis = g.constant([1], np.int64)
    mean = g.op("ReduceMean", x, axis, keepdims=0)
    size = g.op("ReduceL2", mean, axis, keepdims=1)
    g.named("embedding", "Div", mean, g.op("Max", size, g.constant(1e-12)))
    return g.model()


def _layer(g: Graph, weights: Mapping[str, NDArray[Any]], name: str, x: str) -> str:
    heads = g.constant([0, 0, HEADS, HIDDEN // HEADS], np.int64)
    own = f"{name}.attention.self"
    parts = g.split(g.dense(x, weights, f"{own}.query", f"{own}.key", f"{own}.value"), 3)
    query, key, value = (
        g.op("Transpose", g.op("Reshape", part, heads), perm=perm)
        for part, perm in zip(parts, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    scale = g.constant((HIDDEN // HEADS) ** -0.5)
    scores = g.op("Mul", g.op("MatMul", query, key), scale)
    mixed = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
    flat = g.op("Reshape", g.op("Transpose", mixed, perm=[0, 2, 1, 3]), g.constant([0, 0, HIDDEN], np.int64))
    attended = g.dense(flat, weights, f"{name}.attention.output.dense")
    x = g.norm(g.op("Add", attended, x), weights, f"{name}.attention.output.LayerNorm")
    inner = g.op("Gelu", g.dense(x, weights, f"{name}.intermediate.dense"), approximate="none")
    return g.norm(g.op("Add", g.dense(inner, weights, f"{name}.output.dense"), x), weights, f"{name}.output.LayerNorm")


# ── Quantisation and acceptance ───────────────────────────────────────────────────────────────────────────────────────


def convert(weights: Path, tokenizer: Path, output: Path) -> dict[str, float]:
    """Writes the quantised model and gives what it was accepted by; Refused when it is not good enough.

    Weights are int8 per channel (per tensor the cosine falls to 0.93). On processors whose int8 products saturate that
    may not do: then seven bits are tried, with the last product of each layer, the most sensitive one, left as it is.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from safetensors.numpy import load_file

    full = output.with_suffix(".fp32.onnx")
    onnx.save(build(load_file(weights)), full)
    exact = _embed(full, tokenizer, (*SENTENCES, *KNOWN_PAIR[:2]))
    known = float(exact[-2] @ exact[-1])
    if abs(known - KNOWN_PAIR[2]) > 0.001:
        raise Refused(f"The graph gives {known:.4f} for the published pair, not {KNOWN_PAIR[2]}.")
    sensitive = [node.name for node in onnx.load(full).graph.node if SENSITIVE.fullmatch(node.name)]
    lowest = 0.0
    for careful in (False, True):
        quantize_dynamic(
            full,
            output,
            per_channel=True,
            reduce_range=careful,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gather"],
            nodes_to_exclude=sensitive if careful else [],
        )
        lowest = float((exact[:-2] * _embed(output, tokenizer, SENTENCES)).sum(axis=1).min())
        if lowest >= LOWEST_COSINE:
            full.unlink()
            return {"lowest_cosine": round(lowest, 5), "known_pair": round(known, 4)}
    raise Refused(f"The quantised model is too far from the full one: cosine {lowest:.4f}, wanted {LOWEST_COSINE}.")


class Refused(Exception):
    """The conversion ran, but its result is not the model."""


def _embed(model: Path, tokenizer: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    import onnxruntime
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(tokenizer))
    words.no_padding()
    words.enable_truncation(POSITIONS)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    rows = [session.run(None, {"input_ids": np.array([words.encode(text).ids], np.int64)})[0][0] for text in texts]
    return np.stack(rows).astype(np.float32)


SENTENCES = (
    "The plan pays for up to twenty visits of physical therapy in a calendar year.",
    "Prior authorisation is required before any planned stay in a hospital.",
    "Members may see a specialist without a referral if the clinic belongs to the network.",
    "Emergency care is covered at every hospital, also outside the country.",
    "The deductible starts again on the first of January.",
    "Appeals must be filed in writing within sixty days of the decision.",
    "Children under eighteen are seen by the dentist twice a year at no cost.",
    "Store vaccines between two and eight degrees Celsius and record the temperature twice a day.",
    "Wash your hands for at least twenty seconds before touching the patient.",
    "The nurse on duty calls the physician when the oxygen saturation falls below ninety per cent.",
    "Passwords must be at least twelve characters long and are checked against a list of breached ones.",
    "Session tokens are renewed after authentication and expire after thirty minutes of inactivity.",
    "All traffic between services is encrypted with TLS 1.3.",
    "The database is backed up every night and the backup is restored once a month as a test.",
    "Rotate the signing keys every ninety days and revoke the old ones at once.",
    "An attacker who controls the template can read files from the server.",
    "Logs never hold passwords, card numbers or health data.",
    "The function returns the index of the first match, or minus one when there is none.",
    "Sorting the list first makes the search logarithmic instead of linear.",
    "The compiler rejects the program because the variable is used before it is assigned.",
    "A cat sleeps on the warm stones in front of the bakery.",
    "The train to the coast leaves at a quarter past seven from platform four.",
    "Heavy rain is expected in the north, with strong winds along the shore.",
    "She bought two kilograms of apples, a loaf of bread and some cheese at the market.",
    "The orchestra tuned their instruments while the audience found their seats.",
    "He has lived in the same small house by the river since he was a child.",
    "The museum is closed on Mondays and free of charge on the first Sunday of the month.",
    "Our flight was delayed by three hours because of fog.",
    "The recipe asks for a pinch of salt, half a lemon and fresh basil.",
    "They climbed the hill before sunrise to see the valley fill with light.",
    "Interest rates were raised by a quarter of a point to slow inflation.",
    "The company reported a profit of four million, twice as much as the year before.",
    "Shareholders will vote on the merger at the annual meeting in May.",
    "The contract ends when either side gives notice three months ahead.",
    "Tenants are responsible for small repairs up to one hundred per year.",
    "The court found that the clause was unfair and therefore void.",
    "Employees are entitled to twenty-five days of paid leave.",
    "Parliament passed the law with a narrow majority after a long debate.",
    "Light travels faster than sound, so we see the lightning before we hear the thunder.",
    "Water boils at a lower temperature in the mountains because the air pressure is lower.",
    "The boundary layer separates from the wing when the angle of attack is too large.",
    "Heat flows from the warmer body to the colder one until both have the same temperature.",
    "Enzymes are proteins that speed up chemical reactions in living cells.",
    "The orbit of the planet is an ellipse with the sun in one of its foci.",
    "Fossils found in the limestone show that the region was once covered by a shallow sea.",
    "The algorithm divides the graph into parts of equal size with few edges between them.",
    "How many days do I have to return a product that does not work?",
    "What is the highest dose of this medicine for an adult?",
    "Who may open the cabinet with the controlled substances, and where is the key kept?",
    "Please send the signed form to the address below, together with a copy of your identity card.",
)
"""Fixed: of many subjects, lengths and forms."""


def main(arguments: Sequence[str]) -> int:
    """The command line of this module."""
    weights, tokenizer, output = map(Path, arguments)
    try:
        report: dict[str, Any] = dict(convert(weights, tokenizer, output))
    except Refused as refusal:
        report = {"refused": str(refusal)}
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
