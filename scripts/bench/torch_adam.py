"""PyTorch's Adam on the networks of the benchmarks, driven by JSON lines on stdin.

{"do": "start", "network": "MLP", "batch": 500, "threads": 2}
    a network and its optimizer, on random images, in the fastest of its forms: memory format of the images
    (contiguous or channels_last, with convolutions) and Adam's loop over the parameters (foreach or fused);
    answers with that form
{"do": "convolution", "batch": 500, "side": 15, "inputs": 24, "outputs": 96, "threads": 2}
    one convolution of 3 x 3 in its faster memory format, whose steps are the product and both gradients
{"do": "steps", "count": 8}
    that many training steps; answers with the milliseconds of each
{"do": "train", "network": "MLP", "data": FOLDER, "train": 50000, "validation": 10000, "batch": 128,
 "learningRate": 0.002, "schedule": "linear", "epochs": 2, "seed": 1, "every": 5, "target": 0.97}
    trains on MNIST until the accuracy is reached, and answers with the seconds that took: the making of
    network and optimizer, gathering of batches and steps; evaluations and reading of files are left
    out. Accuracy is on the last `validation` training images, or on the test images where that is 0.

`python torch_adam.py tune NETWORK TARGET FOLDER THREADS` prints a table of settings on a validation
split, the fastest first.
"""

import functools
import gzip
import json
import statistics
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def mlp():
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 10))


def lenet5():
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def widths_24_96_96():
    def convolution(inputs, outputs, pool=False):
        pooling = [nn.MaxPool2d(2)] if pool else []
        map = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [map, *pooling, nn.BatchNorm2d(outputs), nn.GELU()]

    whiten = nn.Conv2d(3, 24, 2)
    whiten.weight.requires_grad = False
    return nn.Sequential(
        nn.Unflatten(1, (3, 32, 32)),
        whiten,
        nn.GELU(),
        *convolution(24, 24, pool=True),
        *convolution(24, 24),
        *convolution(24, 96, pool=True),
        *convolution(96, 96),
        *convolution(96, 96, pool=True),
        *convolution(96, 96),
        nn.MaxPool2d(3),
        nn.Flatten(),
        nn.Linear(96, 10),
    )


NETWORKS = {"MLP": mlp, "LeNet-5": lenet5, "24-96-96": widths_24_96_96}
UNITS = {"MLP": 784, "LeNet-5": 784, "24-96-96": 3072}

CONTIGUOUS = {"contiguous": torch.contiguous_format}
IMAGES = {**CONTIGUOUS, "channels_last": torch.channels_last}
FORMATS = {"MLP": CONTIGUOUS, "LeNet-5": IMAGES, "24-96-96": IMAGES}


def make(network, variant, learning_rate=0.001):
    memory_format, loop = variant
    model = NETWORKS[network]().to(memory_format=FORMATS[network][memory_format])
    return model, torch.optim.Adam(model.parameters(), lr=learning_rate, **{loop: True})


def fastest(network, x, y):
    """The form whose best step of some is the fastest, by turns."""
    forms = [(name, loop) for name in FORMATS[network] for loop in ("foreach", "fused")]
    trainings = [make(network, form) for form in forms]
    best = [float("inf")] * len(forms)
    for turn in range(4):
        for i, training in enumerate(trainings):
            for _ in range(4):
                started = time.perf_counter()
                step(*training, x, y)
                if turn > 0:
                    best[i] = min(best[i], time.perf_counter() - started)
    return forms[best.index(min(best))]


def step(model, optimizer, x, y):
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


class Convolution:
    """Product and both gradients of a 3 x 3 convolution, as back-propagation computes them."""

    def __init__(self, batch, side, inputs, outputs, memory_format):
        def random(*shape):
            return torch.randn(*shape).to(memory_format=memory_format)

        self.x, self.d = random(batch, inputs, side, side), random(batch, outputs, side, side)
        self.weights = random(outputs, inputs, 3, 3)

    def __call__(self):
        ones = [1, 1]
        settings = (ones, ones, ones, False, [0, 0], 1)
        torch.ops.aten.convolution(self.x, self.weights, None, *settings)
        torch.ops.aten.convolution_backward(self.d, self.x, self.weights, None, *settings,
                                            [True, True, False])


def faster_convolution(**shape):
    """Of the memory formats, by the best of three."""
    best = {}
    for memory_format in IMAGES.values():
        convolution = Convolution(**shape, memory_format=memory_format)
        convolution()
        best[min(milliseconds(convolution) for _ in range(3))] = convolution
    return best[min(best)]


def milliseconds(function):
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1e3


def read(folder, name, offset):
    with gzip.open(f"{folder}/{name}.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset).copy()


class Mnist:
    def __init__(self, folder):
        def images(name):
            pixels = read(folder, name, 16).reshape(-1, 784)
            return torch.from_numpy(pixels).float().div_(255)

        def labels(name):
            return torch.from_numpy(read(folder, name, 8)).long()

        self.train = images("train-images-idx3-ubyte"), labels("train-labels-idx1-ubyte")
        self.test = images("t10k-images-idx3-ubyte"), labels("t10k-labels-idx1-ubyte")


def train(data, network, *, batch, learningRate, schedule, epochs, seed, every, target,
          validation=0, limit_seconds=60, **_):
    x, y = data.train
    count = len(x) - validation
    held = (x[count:], y[count:]) if validation else data.test
    variant = fastest(network, x[:batch], y[:batch])
    torch.manual_seed(seed)

    started = time.perf_counter()
    model, optimizer = make(network, variant, learningRate)
    total = epochs * (count // batch)
    seconds = time.perf_counter() - started
    accuracy = 0.0
    for t in range(total):
        started = time.perf_counter()
        if t % (count // batch) == 0:
            order = torch.randperm(count)
        start = t % (count // batch) * batch
        rows = order[start : start + batch]
        if schedule == "linear":
            optimizer.param_groups[0]["lr"] = learningRate * (1 - t / total)
        step(model, optimizer, x[rows], y[rows])
        seconds += time.perf_counter() - started
        if (t + 1) % every == 0:
            with torch.no_grad():
                accuracy = (model(held[0]).argmax(1) == held[1]).float().mean().item()
            if accuracy >= target:
                return {"seconds": seconds, "batches": t + 1, "accuracy": accuracy}
            if seconds > limit_seconds:
                break
    return {"seconds": None, "batches": total, "accuracy": accuracy}


def serve():
    data = None
    current = None

    def answer(value):
        print(json.dumps(value), flush=True)

    answer({"torch": torch.__version__})
    for line in sys.stdin:
        message = json.loads(line)
        if "threads" in message:
            torch.set_num_threads(message["threads"])
        if message["do"] == "start":
            torch.manual_seed(1)
            x = torch.rand(message["batch"], UNITS[message["network"]])
            y = torch.randint(0, 10, (message["batch"],))
            variant = fastest(message["network"], x, y)
            training = (*make(message["network"], variant), x, y)
            current = functools.partial(step, *training)
            answer({"variant": ", ".join(variant)})
        elif message["do"] == "convolution":
            sizes = ("batch", "side", "inputs", "outputs")
            current = faster_convolution(**{name: message[name] for name in sizes})
            answer({})
        elif message["do"] == "steps":
            answer({"ms": [milliseconds(current) for _ in range(message["count"])]})
        elif message["do"] == "train":
            data = data or Mnist(message.pop("data"))
            message.pop("data", None)
            answer(train(data, **message))


def tune(network, target, folder, threads):
    torch.set_num_threads(int(threads))
    data = Mnist(folder)
    rows = []
    limit = 1e9
    for batch in (256, 128, 64, 500):
        for rate in (0.008, 0.004, 0.002, 0.001, 0.016):
            for schedule, epochs in (("linear", 2), ("linear", 1), ("constant", 4), ("linear", 4)):
                setting = dict(batch=batch, learningRate=rate, schedule=schedule, epochs=epochs)
                times = []
                for seed in (1, 2, 3):
                    result = train(data, network, **setting, seed=seed, every=10, target=float(target),
                                   validation=10000, limit_seconds=limit)
                    if result["seconds"] is None:
                        break
                    times.append(result["seconds"])
                if len(times) == 3:
                    rows.append((statistics.mean(times), setting))
                    print(f"{rows[-1][0]:.3f} s  {json.dumps(setting)}", file=sys.stderr, flush=True)
                    # Slower settings are given up early.
                    limit = min(limit, 1.5 * rows[-1][0])
    for seconds, setting in sorted(rows, key=lambda row: row[0]):
        print(f"{seconds:.3f} s  {json.dumps(setting)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["tune"]:
        tune(*sys.argv[2:])
    else:
        serve()
