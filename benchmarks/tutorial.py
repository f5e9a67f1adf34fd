"""Fine-tuning as a tutorial teaches it, which other benchmarks compare with; it does not know this package.

    python benchmarks/tutorial.py images.csv --frozen 3 [--batch 16] [--workers 0] [--device cuda]

PyTorch's transfer learning tutorial as people copy it: ``torchvision.models.googlenet`` with
``requires_grad=False`` on the frozen part, Pillow and torchvision's transforms in a ``Dataset``, a
``DataLoader``, SGD with momentum, float32, all threads of the machine. For each line that it reads it trains
an epoch, scores the validation and test images, and writes the seconds that this took.
"""

import argparse
import sys
import time

import pandas as pd
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

#: The names in torchvision's module of what lies before each of the paper's cuts.
STAGES = ["conv1", "conv2", "conv3", "inception3a", "inception3b", "inception4a", "inception4b"]
STAGES += ["inception4c", "inception4d", "inception4e", "inception5a", "inception5b"]


class Files(Dataset):
    """Images decoded, resized and normalised each time they are asked for."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.files = table["path"].tolist()
        self.labels = table["label"].tolist()
        self.transform = transforms.Compose(
            [
                transforms.Resize((224, 224)),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.open(self.files[number]).convert("RGB")), self.labels[number]


def main() -> None:
    options = _options()
    table = pd.read_csv(options.images)
    model = torchvision.models.googlenet(weights=None, aux_logits=False, init_weights=False, num_classes=2)
    model.to(options.device)
    for name in STAGES[: options.frozen]:
        getattr(model, name).requires_grad_(False)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    loaders = {
        part: DataLoader(
            Files(table[table["part"] == part]),
            options.batch,
            shuffle=part == "train",
            num_workers=options.workers,
        )
        for part in ("train", "validation", "test")
    }
    for _ in sys.stdin:
        start = time.perf_counter()
        for part, loader in loaders.items():
            model.train(part == "train")
            for images, labels in loader:
                images, labels = images.to(options.device), labels.to(options.device)
                with torch.set_grad_enabled(part == "train"):
                    loss = criterion(model(images), labels)
                if part == "train":
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
        if options.device != "cpu":
            torch.cuda.synchronize()
        print(time.perf_counter() - start, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", help="table with the columns path, label (0 or 1) and part")
    parser.add_argument("--frozen", type=int, default=3, help="how many stages are frozen, 0 to 12")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=0, help="processes of the loader")
    parser.add_argument("--device", default="cpu", help="where to compute (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
