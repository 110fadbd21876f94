"""The other side of test_tensorflow.py, run by a Python that has TensorFlow and nothing of ours.

python tensorflow_side.py read PREFIX FILE.npz       all variables of a checkpoint, as TensorFlow reads them
python tensorflow_side.py write PREFIX FILE.npz      a checkpoint of variables of several kinds, and what they hold
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

tf: Any = __import__("tensorflow")


def read(prefix: str, path: str) -> None:
    reader = tf.train.load_checkpoint(prefix)
    np.savez(path, **{name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()})


def write(prefix: str, path: str) -> None:
    """Two data files, one variable in three slices over both, three kinds of numbers, and a step."""
    v1 = tf.compat.v1
    v1.disable_eager_execution()
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    )
    generator = np.random.default_rng(1)
    words, half, narrow = (generator.normal(size=shape).astype(np.float32) for shape in ((100, 70), (8,), (3, 2, 4)))

    def part(shape: Any, partition_info: Any = None, **_: Any) -> Any:
        places = zip(partition_info.var_offset, shape, strict=True)
        return tf.constant(words[tuple(slice(start, start + int(size)) for start, size in places)])

    with v1.Session() as session:
        with v1.device("/cpu:1"):
            kinds = {
                "kinds/half": v1.get_variable("kinds/half", initializer=tf.constant(half, tf.float16)),
                "kinds/narrow": v1.get_variable("kinds/narrow", initializer=tf.constant(narrow, tf.bfloat16)),
            }
        with v1.device(lambda operation: "/cpu:1" if "part_1" in operation.name else "/cpu:0"):
            v1.get_variable(
                "bert/embeddings/word_embeddings",
                shape=words.shape,
                initializer=part,
                partitioner=v1.fixed_size_partitioner(3),
            )
        with v1.device("/cpu:0"):
            v1.get_variable("global_step", initializer=tf.constant(7, tf.int64))
            v1.get_variable("scalar", initializer=tf.constant(2.5))
        session.run(v1.global_variables_initializer())
        v1.train.Saver(sharded=True).save(session, prefix, write_meta_graph=False)
        held = session.run({name: tf.cast(variable, tf.float32) for name, variable in kinds.items()})
    arrays: dict[str, Any] = {**held, "bert/embeddings/word_embeddings": words, "scalar": np.float32(2.5)}
    np.savez(path, **arrays)


if __name__ == "__main__":
    {"read": read, "write": write}[sys.argv[1]](*sys.argv[2:])
