"""configs/mnist-128.yaml as a plain PyTorch script: `torch_mnist.py EPOCHS X Y TEST_X TEST_Y`, gzipped IDX files.

784-128-10 with ReLU, Adam at 0.001, batches of 128, on the CPU. Prints the test accuracy.
"""

import gzip
import sys

import numpy as np
import torch
from torch import nn


def read(path: str, header: int) -> torch.Tensor:
    with gzip.open(path) as file:
        return torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=header).copy())


epochs, files = int(sys.argv[1]), sys.argv[2:]
x, test_x = (read(path, 16).view(-1, 784).float() / 255 for path in files[::2])
y, test_y = (read(path, 8).long() for path in files[1::2])

torch.manual_seed(1)
model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
for epoch in range(epochs):
    total = 0.0
    for rows in torch.randperm(len(x)).split(128):
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    print(f"epoch {epoch + 1}/{epochs}  loss {total / len(x):.4f}", file=sys.stderr)
with torch.inference_mode():
    accuracy = (model(test_x).argmax(1) == test_y).float().mean().item()
print(accuracy)
